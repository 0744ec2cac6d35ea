//! The context of a running blocking call, and its way to the client and the server.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::cancellation::Cancellation;
use crate::clock;
use crate::registry::asking::ask::Ask;
use crate::registry::asking::capabilities::ClientCapabilities;
use crate::registry::asking::client_link::ClientLink;
use crate::registry::asking::emission::Progress;
use crate::registry::asking::link::CallLink;
use crate::registry::asking::log_level::LogLevel;
use crate::registry::asking::question::Question;
use crate::registry::asking::server_handle::ServerHandle;
use crate::registry::asking::tool_error::ToolError;
use crate::registry::caller::facts::CallerFacts;
use crate::registry::caller::view::Caller;
use crate::registry::mount::Mount;

/// How often a call that sleeps checks whether it was cancelled. A cancellation is a flag and wakes nobody.
const CANCELLATION_LOOK: Duration = Duration::from_millis(20);

/// The context of a blocking call, on a worker thread.
#[derive(Debug, Clone, Default)]
pub struct BlockingContext {
    cancellation: Cancellation,
    client: ClientLink,
    /// The place of the toolset whose function runs, if that is mounted.
    mount: Option<Arc<Mount>>,
}

impl BlockingContext {
    /// A context that reports what `cancellation` says. Its messages go nowhere.
    pub fn new(cancellation: Cancellation) -> Self {
        Self {
            cancellation,
            client: ClientLink::default(),
            mount: None,
        }
    }

    /// The same for a call with a client.
    pub(crate) fn with_link(mut self, link: Arc<CallLink>) -> Self {
        self.client = ClientLink::new(link);
        self
    }

    /// The same for a call that knows who made it, but cannot speak to its client.
    pub(super) fn unheard(&self, caller: Arc<CallerFacts>) -> Self {
        Self {
            cancellation: self.cancellation.clone(),
            client: ClientLink::Unheard(caller),
            mount: self.mount.clone(),
        }
    }

    /// The same for a function of a toolset that is mounted there.
    pub(super) fn within(mut self, mount: &Arc<Mount>) -> Self {
        self.mount = Some(Arc::clone(mount));
        self
    }

    /// Whether the client left, the call timed out or the server is stopping. A long computation should check every few
    /// milliseconds and return [`ToolError::Cancelled`].
    pub fn is_cancelled(&self) -> bool {
        self.cancellation.is_cancelled()
    }

    /// Blocks this thread for so long, or until the call is cancelled. Tests step through it, as through
    /// [`sleep`](crate::time::sleep).
    ///
    /// # Errors
    /// [`ToolError::Cancelled`].
    pub fn sleep(&self, time: Duration) -> Result<(), ToolError> {
        clock::block_for(time, CANCELLATION_LOOK, || self.is_cancelled());
        if self.is_cancelled() {
            return Err(ToolError::Cancelled);
        }
        Ok(())
    }

    /// Asks a question and blocks this thread until the answer is there or the call is cancelled. Otherwise it works as
    /// [`CallContext::ask`](crate::CallContext::ask).
    ///
    /// # Errors
    /// As [`CallContext::ask`](crate::CallContext::ask).
    pub fn ask<Q: Question>(&self, key: &str, question: Q) -> Result<Q::Answer, ToolError> {
        self.begin_ask(key, question).wait(self)
    }

    /// Asks a question without waiting, so that several can go out before the first answer.
    pub fn begin_ask<Q: Question>(&self, key: &str, question: Q) -> PendingAnswer<Q> {
        PendingAnswer(self.client.ask(key, question))
    }

    /// Tells the client how far the call has come: `ctx.progress((3, 10))`, or a [`Progress`] with a message. Dropped
    /// if the client did not ask for it, or if it is not more than the last time.
    pub fn progress(&self, progress: impl Into<Progress>) {
        self.client.progress(progress);
    }

    /// Whether the client wants progress; check it to save the work of measuring.
    pub fn wants_progress(&self) -> bool {
        self.client.wants_progress()
    }

    /// Sends the client a log message: a string or any JSON. Dropped if the client wants only more severe ones. Never
    /// log what the client's user may not know.
    pub fn log(&self, level: LogLevel, data: impl Into<Value>) {
        self.client.log(None, level, data);
    }

    /// The same from a named part of the server.
    pub fn log_as(&self, logger: &str, level: LogLevel, data: impl Into<Value>) {
        self.client.log(Some(logger), level, data);
    }

    /// Whether a log message of this level would reach anybody; check it to save the work of making one.
    pub fn wants_log(&self, level: LogLevel) -> bool {
        self.client.wants_log(level)
    }

    /// Who calls: the client, its connection and its session, and the request's `_meta`, trace and headers.
    pub fn caller(&self) -> Caller<'_> {
        self.client.caller()
    }

    /// What the client can be asked.
    pub fn client(&self) -> ClientCapabilities {
        self.client.capabilities()
    }

    /// The server around this call.
    pub fn server(&self) -> &ServerHandle {
        self.client.server()
    }

    /// The URI under which clients know a resource that the running toolset calls `uri`: another one if the toolset is
    /// [mounted](crate::RegistryBuilder::mount) and serves it. Links, embedded resources and contents get it by
    /// themselves; texts and structured results do not.
    pub fn served_uri(&self, uri: &str) -> String {
        self.mount
            .as_ref()
            .map_or_else(|| uri.to_owned(), |mount| mount.uri(uri))
    }

    /// Tells all subscribers of the resource that the running toolset calls `uri` that it has changed.
    pub fn resource_updated(&self, uri: &str) {
        match &self.mount {
            Some(mount) => self.server().resource_updated(&mount.uri(uri)),
            None => self.server().resource_updated(uri),
        }
    }

    /// Lets the client's connection close while the call runs on; the client comes back for the rest after `retry`
    /// (2025-11-25, polling; elsewhere it changes nothing).
    pub fn close_stream(&self, retry: Duration) {
        self.client.close_stream(retry);
    }

    /// Tells the client that its user has finished what a URL was for (2025-11-25 only). The id is
    /// [`UrlElicit::id`](crate::UrlElicit::id).
    pub fn elicitation_complete(&self, elicitation_id: impl Into<String>) {
        self.client.elicitation_complete(elicitation_id);
    }
}

/// A question that a blocking call has asked and can wait for.
#[derive(Debug)]
#[must_use = "the answer is what waiting gives"]
pub struct PendingAnswer<Q>(Ask<Q>);

impl<Q: Question> PendingAnswer<Q> {
    /// Blocks this thread until the answer is there or the call is cancelled.
    ///
    /// # Errors
    /// As [`CallContext::ask`](crate::CallContext::ask).
    pub fn wait(self, context: &BlockingContext) -> Result<Q::Answer, ToolError> {
        self.0.wait(|| context.is_cancelled())
    }
}
