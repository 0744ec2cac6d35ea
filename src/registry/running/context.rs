//! The context of a running asynchronous call, and its way to the client and the server.
//!
//! Contexts hold no protocol and no executor: messages and questions go into the call's [`CallLink`]. Without one, as
//! in most unit tests, messages go nowhere and nobody can be asked.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::registry::asking::ask::Ask;
use crate::registry::asking::capabilities::ClientCapabilities;
use crate::registry::asking::client_link::ClientLink;
use crate::registry::asking::emission::Progress;
use crate::registry::asking::link::CallLink;
use crate::registry::asking::log_level::LogLevel;
use crate::registry::asking::question::Question;
use crate::registry::asking::server_handle::ServerHandle;
use crate::registry::caller::facts::CallerFacts;
use crate::registry::caller::view::Caller;
use crate::registry::info::index::ToolIndex;
use crate::registry::mount::Mount;

/// The context of an asynchronous call. Cheap to make and to clone.
#[derive(Debug, Clone, Default)]
pub struct CallContext {
    tool: Option<(ToolIndex, Arc<str>)>,
    client: ClientLink,
    /// The place of the toolset whose function runs, if that is mounted.
    mount: Option<Arc<Mount>>,
}

impl CallContext {
    /// A context that belongs to no tool yet: the shard that starts the call names the tool. Its messages go nowhere.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same for a call with a client.
    pub(crate) fn with_link(link: Arc<CallLink>) -> Self {
        Self {
            tool: None,
            client: ClientLink::new(link),
            mount: None,
        }
    }

    /// The same for a call that knows who made it, but cannot speak to its client.
    pub(crate) fn unheard(caller: Arc<CallerFacts>) -> Self {
        Self {
            tool: None,
            client: ClientLink::Unheard(caller),
            mount: None,
        }
    }

    /// The name of the tool that is running, empty before the call starts.
    pub fn tool_name(&self) -> &str {
        self.tool.as_ref().map_or("", |(_, name)| name)
    }

    /// The tool that is running, once the call started.
    pub fn tool_index(&self) -> Option<ToolIndex> {
        self.tool.as_ref().map(|(index, _)| *index)
    }

    /// Asks a question and waits for the answer. The question goes out at once; one asked before another is awaited
    /// goes out with it. The `key` is the tool's own name for the question, unique in the call and the same every time
    /// the tool runs: clients since 2026-07-28 answer by calling again, and the tool runs again from its beginning with
    /// the answers it has. So ask before doing what must not be done twice, and pass errors on with `?`.
    ///
    /// # Errors
    /// [`ToolError::MissingCapability`] if this client cannot be asked; [`ToolError::InputRequired`] if it will call
    /// again; [`ToolError::InvalidAnswer`] for an answer that cannot be used; [`ToolError::Message`] if the client
    /// answered with an error; [`ToolError::Cancelled`] and [`ToolError::TimedOut`]; [`ToolError::Internal`] for a key
    /// that was used before, is empty or too long.
    ///
    /// [`ToolError::MissingCapability`]: crate::ToolError::MissingCapability
    /// [`ToolError::InputRequired`]: crate::ToolError::InputRequired
    /// [`ToolError::InvalidAnswer`]: crate::ToolError::InvalidAnswer
    /// [`ToolError::Message`]: crate::ToolError::Message
    /// [`ToolError::Cancelled`]: crate::ToolError::Cancelled
    /// [`ToolError::TimedOut`]: crate::ToolError::TimedOut
    /// [`ToolError::Internal`]: crate::ToolError::Internal
    pub fn ask<Q: Question>(&self, key: &str, question: Q) -> Ask<Q> {
        self.client.ask(key, question)
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

    /// It is that of a tool.
    #[inline]
    pub(in crate::registry) fn name_tool(&mut self, index: ToolIndex, name: &Arc<str>) {
        self.tool = Some((index, Arc::clone(name)));
    }

    /// What is known of a caller to whom the call cannot speak.
    pub(super) fn unheard_caller(&self) -> Option<Arc<CallerFacts>> {
        self.client.unheard()
    }

    /// It is that of a function of a toolset that is mounted there, if it is one's.
    #[inline]
    pub(in crate::registry) fn mount(&mut self, mount: Option<&Arc<Mount>>) {
        if let Some(mount) = mount {
            self.mount = Some(Arc::clone(mount));
        }
    }

    /// The way to the client, if there is one.
    pub(super) fn link(&self) -> Option<Arc<CallLink>> {
        self.client.link()
    }
}

/// A context of a call that speaks to its client, for benches and tests.
#[cfg(feature = "internals")]
pub fn linked_context(link: Arc<CallLink>) -> CallContext {
    CallContext::with_link(link)
}
