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
use crate::registry::caller::facts::CallerFacts;
use crate::registry::caller::view::Caller;

/// The way to the client of one call, and what is known of it. Without a link, messages go nowhere.
#[derive(Debug, Clone, Default)]
pub(in crate::registry) enum ClientLink {
    /// Nobody called.
    #[default]
    Nobody,
    /// The call speaks to its client.
    Linked(Arc<CallLink>),
    /// The call knows its client, but cannot speak to it, as those of a batch.
    Unheard(Arc<CallerFacts>),
}

impl ClientLink {
    pub(in crate::registry) fn new(link: Arc<CallLink>) -> Self {
        Self::Linked(link)
    }

    pub(in crate::registry) fn link(&self) -> Option<Arc<CallLink>> {
        self.linked().cloned()
    }

    pub(in crate::registry) fn caller(&self) -> Caller<'_> {
        Caller::new(match self {
            Self::Nobody => None,
            Self::Linked(link) => Some(link.caller()),
            Self::Unheard(facts) => Some(facts),
        })
    }

    pub(in crate::registry) fn unheard(&self) -> Option<Arc<CallerFacts>> {
        match self {
            Self::Unheard(facts) => Some(Arc::clone(facts)),
            Self::Nobody | Self::Linked(_) => None,
        }
    }

    fn linked(&self) -> Option<&Arc<CallLink>> {
        match self {
            Self::Linked(link) => Some(link),
            Self::Nobody | Self::Unheard(_) => None,
        }
    }

    pub(in crate::registry) fn ask<Q: Question>(&self, key: &str, question: Q) -> Ask<Q> {
        Ask::begin(self.linked(), key, question)
    }

    pub(in crate::registry) fn progress(&self, progress: impl Into<Progress>) {
        if let Some(link) = self.linked().filter(|link| link.wants_progress()) {
            link.progress(progress.into());
        }
    }

    pub(in crate::registry) fn wants_progress(&self) -> bool {
        self.linked().is_some_and(|link| link.wants_progress())
    }

    pub(in crate::registry) fn log(&self, logger: Option<&str>, level: LogLevel, data: impl Into<Value>) {
        if let Some(link) = self.linked().filter(|link| link.wants_log(level)) {
            link.emit(Emission::Log {
                level,
                logger: logger.map(str::to_owned),
                data: data.into(),
            });
        }
    }

    pub(in crate::registry) fn wants_log(&self, level: LogLevel) -> bool {
        self.linked().is_some_and(|link| link.wants_log(level))
    }

    pub(in crate::registry) fn capabilities(&self) -> ClientCapabilities {
        let link = self.linked();
        link.map_or(ClientCapabilities::NONE, |link| link.capabilities())
    }

    pub(in crate::registry) fn server(&self) -> &ServerHandle {
        static NOWHERE: ServerHandle = ServerHandle::NOWHERE;
        self.linked().map_or(&NOWHERE, |link| link.server())
    }

    pub(in crate::registry) fn close_stream(&self, retry: Duration) {
        if let Some(link) = self.linked() {
            link.emit(Emission::CloseStream { retry });
        }
    }

    pub(in crate::registry) fn elicitation_complete(&self, elicitation_id: impl Into<String>) {
        if let Some(link) = self.linked() {
            let elicitation_id = elicitation_id.into();
            link.emit(Emission::ElicitationComplete { elicitation_id });
        }
    }
}
