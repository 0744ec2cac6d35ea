//! The way of both contexts to the client: the call's link, if there is one.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::ask::Ask;
use super::capabilities::ClientCapabilities;
use super::emission::{Emission, Progress};
use super::link::CallLink;
use super::log_level::LogLevel;
use super::question::Question;
use super::server_handle::ServerHandle;

/// The way to the client of one call. Without a link, messages go nowhere.
#[derive(Debug, Clone, Default)]
pub(in crate::registry) struct ClientLink(Option<Arc<CallLink>>);

impl ClientLink {
    pub(in crate::registry) fn new(link: Arc<CallLink>) -> Self {
        Self(Some(link))
    }

    pub(in crate::registry) fn link(&self) -> Option<Arc<CallLink>> {
        self.0.clone()
    }

    pub(in crate::registry) fn ask<Q: Question>(&self, key: &str, question: Q) -> Ask<Q> {
        Ask::begin(self.0.as_ref(), key, question)
    }

    pub(in crate::registry) fn progress(&self, progress: impl Into<Progress>) {
        if let Some(link) = self.0.as_ref().filter(|link| link.wants_progress()) {
            link.progress(progress.into());
        }
    }

    pub(in crate::registry) fn wants_progress(&self) -> bool {
        self.0.as_ref().is_some_and(|link| link.wants_progress())
    }

    pub(in crate::registry) fn log(&self, logger: Option<&str>, level: LogLevel, data: impl Into<Value>) {
        if let Some(link) = self.0.as_ref().filter(|link| link.wants_log(level)) {
            link.emit(Emission::Log {
                level,
                logger: logger.map(str::to_owned),
                data: data.into(),
            });
        }
    }

    pub(in crate::registry) fn wants_log(&self, level: LogLevel) -> bool {
        self.0.as_ref().is_some_and(|link| link.wants_log(level))
    }

    pub(in crate::registry) fn capabilities(&self) -> ClientCapabilities {
        let link = self.0.as_ref();
        link.map_or(ClientCapabilities::NONE, |link| link.capabilities())
    }

    pub(in crate::registry) fn server(&self) -> &ServerHandle {
        static NOWHERE: ServerHandle = ServerHandle::NOWHERE;
        self.0.as_ref().map_or(&NOWHERE, |link| link.server())
    }

    pub(in crate::registry) fn close_stream(&self, retry: Duration) {
        if let Some(link) = &self.0 {
            link.emit(Emission::CloseStream { retry });
        }
    }

    pub(in crate::registry) fn elicitation_complete(&self, elicitation_id: impl Into<String>) {
        if let Some(link) = &self.0 {
            let elicitation_id = elicitation_id.into();
            link.emit(Emission::ElicitationComplete { elicitation_id });
        }
    }
}
