//! One operation that a client asked for: checked, waiting for a handler, started.
//!
//! [`Work`] borrows the scratch it was decoded in and is short-lived: it is started at once, or dropped and decoded
//! again when a handler is free. [`Ticket`] outlives it and holds all that an answer needs.

use crate::jsonrpc::{Document, Id, RequestId, Scratch, Value};
use crate::registry::{
    Asking, CallContext, CallerSession, CallerSource, ClientCapabilities, ClientFacts, ClientPlaces,
    ClientSource, HeaderSource, LogLevel, MetaSource, Operation, ShardRegistry, StartError, Started,
    Transport,
};

use crate::mcp::binding::Binding;
use crate::mcp::child_client::Sender;
use crate::mcp::error::Failure;
use crate::mcp::lists::cursor::Cursor;
use crate::mcp::params::{members, present};
use crate::mcp::revision::{Era, Revision};
use crate::mcp::sessions::{Principal, SessionToken};
use crate::mcp::task::{TaskParam, TaskTerms};

/// The member of `_meta` by which a request says what its client is (2026-07-28).
pub(super) const CLIENT_INFO_KEY: &str = "io.modelcontextprotocol/clientInfo";

/// The parameters of `tools/call`.
#[derive(Debug)]
pub(super) struct CallParams<'s> {
    pub(super) name: &'s str,
    pub(super) task: TaskParam,
}

impl<'s> CallParams<'s> {
    /// `arguments` may be absent or `null`, as several clients send it.
    pub(super) fn read(params: Option<Value<'_, 's>>) -> Result<Self, Failure<'s>> {
        let [name, arguments, task] = members(params, ["name", "arguments", "task"])?;
        let name = name
            .and_then(Value::as_str)
            .ok_or(Failure::Parameter("`params.name` must be a tool's name"))?;
        let task = present(task).map_or(TaskParam::Absent, TaskParam::read);
        if present(arguments).is_none_or(Value::is_object) {
            Ok(Self { name, task })
        } else {
            Err(Failure::Parameter("`params.arguments` must be an object"))
        }
    }
}

/// The client of a call: who it is, which messages it wants while the call runs, and in which revision it reads the
/// answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requester<'s> {
    pub(super) id: Id<'s>,
    pub(super) revision: Revision,
    /// The declared capabilities of the client, as far as its revision has them.
    pub(super) capabilities: ClientCapabilities,
    pub(super) principal: Principal,
    /// The legacy session or channel in which its requests can be cancelled.
    pub(super) conversation: Option<SessionToken>,
    /// Whether the request came on a channel.
    pub(super) is_on_channel: bool,
    pub(super) progress_token: Option<Id<'s>>,
    /// The name and version that it gives in the request.
    pub(super) client: ClientPlaces,
    /// Whether the request has `_meta`.
    pub(super) has_meta: bool,
    pub(super) log_level: Option<LogLevel>,
    /// Whether the answer may be a stream. In a batch it may not.
    pub(super) has_stream: bool,
}

/// All that is known of an operation when every check but its own has passed.
pub(super) struct Call<'s> {
    pub(super) requester: Requester<'s>,
    pub(super) operation: Operation,
    /// What the client has brought back from earlier rounds.
    pub(super) brought: Option<Box<Brought>>,
    /// Set if the call is to run as a task.
    pub(super) task: Option<TaskTerms>,
}

/// What a client has brought back with a request that it repeats.
#[derive(Debug)]
pub(super) enum Brought {
    /// All answers by the key of their question.
    Answers(Answers),
    /// What names a call that another program has.
    Resumed(Resumed),
}

/// What a client has brought back that its request was given to carry, while another program has the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// What was sealed.
    Known(Box<[u8]>),
    /// It is not of this request, was changed or is too old.
    Unknown,
}

impl Call<'_> {
    /// The client's answers to questions of earlier rounds.
    pub(super) fn answers(&self) -> Option<&Answers> {
        match self.brought.as_deref() {
            Some(Brought::Answers(answers)) => Some(answers),
            _ => None,
        }
    }
}

/// Answers by the key of their question.
pub(super) type Answers = serde_json::Map<String, serde_json::Value>;

/// An operation whose request passed all checks of envelope and headers, and which has not been started yet.
#[must_use = "dropped work leaves its request without an answer"]
pub struct Work<'s> {
    document: Document<'s>,
    call: Call<'s>,
}

impl<'s> Work<'s> {
    pub(super) fn new(document: Document<'s>, call: Call<'s>) -> Self {
        Self { document, call }
    }

    /// The request's id.
    pub fn id(&self) -> Id<'s> {
        self.call.requester.id
    }

    /// The operation to run.
    pub fn operation(&self) -> Operation {
        self.call.operation
    }

    /// The request as its client sent it.
    pub fn message(&self) -> &'s [u8] {
        self.document.text()
    }

    /// The revision the client speaks.
    pub fn revision(&self) -> Revision {
        self.call.requester.revision
    }

    /// The capabilities of the client, which say what it can be asked.
    #[cfg(any(test, feature = "internals"))]
    pub fn capabilities(&self) -> ClientCapabilities {
        self.call.requester.capabilities
    }

    /// What the client has brought back, if the request goes on with a call of another program.
    pub fn resumed(&self) -> Option<&Resumed> {
        match self.call.brought.as_deref() {
            Some(Brought::Resumed(resumed)) => Some(resumed),
            _ => None,
        }
    }

    /// The terms of the task, if the call is to run as one.
    pub fn task(&self) -> Option<TaskTerms> {
        self.call.task
    }

    /// The arguments, always an object; `None` if the request has none.
    pub fn arguments(&self) -> Option<Value<'_, 's>> {
        self.param(&["arguments"]).filter(|value| value.is_object())
    }

    /// A value in the parameters. Decoding has checked that each member stands once, and that it has its type or is
    /// `null`.
    fn param(&self, path: &[&str]) -> Option<Value<'_, 's>> {
        let params = self.document.root().member("params")?;
        let mut inside = path.iter();
        inside.try_fold(params, |value, name| value.member(name))
    }

    fn text(&self, path: &[&str]) -> Option<&'s str> {
        self.param(path)?.as_str()
    }

    /// The place at which a lister is to go on.
    fn list_after(&self) -> Option<&'s str> {
        match Cursor::parse(self.text(&["cursor"])?)? {
            Cursor::Lister { after, .. } => after,
            Cursor::Page(_) => None,
        }
    }

    /// The level of messages that the request asks for; nothing is said in a batch.
    pub(super) fn asked_log_level(&self) -> Option<LogLevel> {
        let requester = &self.call.requester;
        requester.log_level.filter(|_| requester.has_stream)
    }

    /// What a call is given to know about its client. Copies the answers that came with the request, if there are any,
    /// and allocates nothing else.
    pub fn client(&self) -> ClientFacts {
        let requester = &self.call.requester;
        if !requester.has_stream {
            return ClientFacts {
                capabilities: requester.capabilities,
                ..ClientFacts::default()
            };
        }
        // A task of 2026-07-28 sends no messages before it ends.
        let is_heard = self.call.task.is_none() || requester.revision.era() == Era::Legacy;
        ClientFacts {
            capabilities: requester.capabilities,
            wants_progress: is_heard && requester.progress_token.is_some(),
            log_level: requester.log_level.filter(|_| is_heard),
            asking: self.asking(),
            answers: self.call.answers().cloned().map(Box::new),
        }
    }

    /// What a call is given to know about who made it, as far as the message says so.
    #[inline(always)]
    pub fn caller(&self) -> CallerSource<'_> {
        let requester = &self.call.requester;
        CallerSource {
            revision: requester.revision.as_str(),
            transport: Transport::Http,
            peer: None,
            principal: requester.principal,
            session: requester
                .conversation
                .map(|SessionToken(token)| CallerSession(token)),
            client: match requester.client {
                ClientPlaces::UNSAID => ClientSource::Unsaid,
                ClientPlaces::ELSEWHERE => self.said_elsewhere(),
                places => ClientSource::In(places),
            },
            meta: if requester.has_meta {
                MetaSource::of(self.document.text(), || self.param(&["_meta"]))
            } else {
                MetaSource::Absent
            },
            headers: HeaderSource::Unread,
        }
    }

    #[cold]
    fn said_elsewhere(&self) -> ClientSource<'_> {
        let text = |name| self.text(&["_meta", CLIENT_INFO_KEY, name]);
        match (text("name"), text("version")) {
            (Some(name), Some(version)) => ClientSource::Said { name, version },
            _ => ClientSource::Unsaid,
        }
    }

    /// A legacy client answers questions in its session; a client without a session declared no capabilities. A task
    /// waits for its answers, however they come.
    fn asking(&self) -> Asking {
        let requester = &self.call.requester;
        match requester.revision.era() {
            _ if !requester.capabilities.can_be_asked() || !self.call.operation.may_ask() => Asking::Never,
            Era::Legacy if requester.conversation.is_none() => Asking::Never,
            Era::Legacy => Asking::OnStream,
            Era::Modern if self.call.task.is_some() => Asking::OnStream,
            Era::Modern => Asking::ByRetry,
        }
    }

    /// Whether the call may end with questions that its client answers by repeating the request. Whoever runs the call
    /// keeps its message then, and [binds](Ticket::bind) the ticket to it if it comes to that.
    #[inline]
    pub fn is_repeatable(&self) -> bool {
        self.asking() == Asking::ByRetry
    }

    /// Binds the call's `ticket` to the request now, so that the message need not be kept.
    pub fn bind(&self, ticket: &mut Ticket) {
        ticket.bind_to(&self.document);
    }

    /// All that answering needs after this value is gone. Allocates only for an id of more than 46 bytes, for a
    /// progress token that is a string, and for the URI that a template reads.
    pub fn ticket(&self) -> Ticket {
        let requester = &self.call.requester;
        Ticket {
            id: requester.id.into(),
            revision: requester.revision,
            operation: self.call.operation,
            capabilities: requester.capabilities,
            is_task: self.call.task.is_some(),
            conversation: requester.conversation,
            is_on_channel: requester.is_on_channel,
            principal: requester.principal,
            progress_token: requester.progress_token.map(ProgressToken::from),
            binding: None,
            uri: match self.call.operation {
                Operation::Template(_) => self.text(&["uri"]).map(Box::from),
                _ => None,
            },
            has_tail: match self.call.operation {
                Operation::ResourceList(lister) => lister.as_usize() == 0 && self.list_after().is_none(),
                _ => false,
            },
        }
    }

    /// Checks the arguments without starting the operation.
    ///
    /// # Errors
    /// Fails when the arguments break the schema; [`answer_start_error`](super::Protocol::answer_start_error) answers
    /// that.
    pub fn check(&self, registry: &ShardRegistry) -> Result<(), StartError> {
        match self.call.operation {
            Operation::Tool(tool) => registry.check_tool(tool, self.arguments()),
            Operation::Prompt(prompt) => registry.check_prompt(prompt, self.arguments()),
            Operation::Resource(_)
            | Operation::Template(_)
            | Operation::ResourceList(_)
            | Operation::Completion(_) => Ok(()),
        }
    }

    /// Checks the arguments and starts the operation.
    ///
    /// # Errors
    /// Fails when the arguments break the schema; [`answer_start_error`](super::Protocol::answer_start_error) answers
    /// that.
    pub fn start(&self, registry: &ShardRegistry, context: CallContext) -> Result<Started, StartError> {
        match self.call.operation {
            Operation::Tool(tool) => registry.start_tool(tool, self.arguments(), context),
            Operation::Prompt(prompt) => registry.start_prompt(prompt, self.arguments(), context),
            Operation::Resource(resource) => registry.start_resource(resource, context),
            Operation::Template(template) => {
                registry.start_template(template, self.text(&["uri"]).unwrap_or_default(), context)
            }
            Operation::ResourceList(lister) => registry.start_lister(lister, self.list_after(), context),
            Operation::Completion(completer) => {
                let value = self.text(&["argument", "value"]).unwrap_or_default();
                let settled = self.param(&["context", "arguments"]);
                let settled = settled.filter(|value| value.is_object());
                registry.start_completion(completer, value, settled, context)
            }
        }
    }
}

impl std::fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work")
            .field("id", &self.id())
            .field("operation", &self.call.operation)
            .field("revision", &self.revision())
            .finish_non_exhaustive()
    }
}

/// A progress token that outlives the text of its request. Most are integers, which keeps a ticket small.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ProgressToken {
    Signed(i64),
    Unsigned(u64),
    Text(Box<str>),
    Verbatim(Box<str>),
}

impl ProgressToken {
    fn as_id(&self) -> Id<'_> {
        match self {
            Self::Signed(number) => Id::Signed(*number),
            Self::Unsigned(number) => Id::Unsigned(*number),
            Self::Text(text) => Id::Text(text),
            Self::Verbatim(number) => Id::Verbatim(number),
        }
    }
}

impl From<Id<'_>> for ProgressToken {
    fn from(id: Id<'_>) -> Self {
        match id {
            Id::Signed(number) => Self::Signed(number),
            Id::Unsigned(number) => Self::Unsigned(number),
            Id::Text(text) => Self::Text(text.into()),
            Id::Verbatim(number) => Self::Verbatim(number.into()),
        }
    }
}

/// All that is needed to answer an operation when it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    id: RequestId,
    revision: Revision,
    operation: Operation,
    capabilities: ClientCapabilities,
    is_task: bool,
    conversation: Option<SessionToken>,
    is_on_channel: bool,
    principal: Principal,
    progress_token: Option<ProgressToken>,
    /// Set when the call has asked by its answer: hardly any call does, and a digest costs as much as a small answer.
    binding: Option<Binding>,
    /// The URI that a template reads. The registry knows the URIs of all other operations.
    uri: Option<Box<str>>,
    /// Whether the resources that a lister finds follow registered ones.
    has_tail: bool,
}

impl Ticket {
    /// The request's id.
    pub fn id(&self) -> &RequestId {
        &self.id
    }

    /// The revision to answer in.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The legacy session that the call belongs to. A channel without a session has nothing remembered under it.
    pub fn session(&self) -> Option<SessionToken> {
        self.conversation.filter(|_| self.revision.era() == Era::Legacy)
    }

    /// The legacy session or channel in which the call can be cancelled.
    pub fn conversation(&self) -> Option<SessionToken> {
        self.conversation
    }

    /// What the request shows of its client.
    pub fn sender(&self) -> Sender {
        Sender {
            principal: self.principal,
            conversation: self.conversation,
            is_on_channel: self.is_on_channel,
            revision: self.revision,
            capabilities: self.capabilities,
        }
    }

    /// The principal that sent the request.
    pub fn principal(&self) -> Principal {
        self.principal
    }

    /// Whether the call's stream begins with an event that has an id and no data, so that the client can resume the
    /// stream even if nothing else arrived (2025-11-25, transports). Older clients would take that event for a message.
    pub fn wants_stream_priming(&self) -> bool {
        self.is_resumable() && self.revision.has_stream_priming()
    }

    /// Whether the client can resume the call's stream: the messages that were sent are remembered under its session. A
    /// channel is no stream of HTTP, and messages that it missed are gone with it.
    pub fn is_resumable(&self) -> bool {
        self.session().is_some() && !self.is_on_channel
    }

    /// Whether the call runs as a task.
    pub fn is_task(&self) -> bool {
        self.is_task
    }

    /// How the client is asked something while the call runs, unless that is one of a batch.
    pub fn asking(&self) -> Asking {
        match self.revision.era() {
            _ if !self.capabilities.can_be_asked() || !self.operation.may_ask() => Asking::Never,
            Era::Legacy if self.conversation.is_none() => Asking::Never,
            Era::Legacy => Asking::OnStream,
            Era::Modern => Asking::ByRetry,
        }
    }

    /// The capabilities of the client, which say what it can be asked.
    pub fn capabilities(&self) -> ClientCapabilities {
        self.capabilities
    }

    /// The token under which the client follows the call's progress.
    pub fn progress_token(&self) -> Option<Id<'_>> {
        self.progress_token.as_ref().map(ProgressToken::as_id)
    }

    /// Binds what the client is given to carry to the request, which came as `message`. A ticket that is bound already
    /// stays as it is.
    pub fn bind(&mut self, message: &[u8], scratch: &mut Scratch) {
        if self.binding.is_none()
            && let Ok(document) = scratch.parse(message)
        {
            self.bind_to(&document);
        }
    }

    fn bind_to(&mut self, document: &Document<'_>) {
        let params = document.root().member("params");
        let method = self.operation.asking_method();
        self.binding = method.map(|method| Binding::of(self.principal, method, params));
    }

    /// The binding of the call's `requestState`.
    pub(super) fn binding(&self) -> Option<&Binding> {
        self.binding.as_ref()
    }

    /// The URI that a template reads.
    pub(super) fn uri(&self) -> Option<&str> {
        self.uri.as_deref()
    }

    /// Whether the call reads a resource.
    pub(super) fn reads_resource(&self) -> bool {
        matches!(self.operation, Operation::Resource(_) | Operation::Template(_))
    }

    /// Whether the resources that a lister finds follow registered ones, on the last page of those.
    pub(super) fn has_tail(&self) -> bool {
        self.has_tail
    }

    /// The operation that ran.
    pub fn operation(&self) -> Operation {
        self.operation
    }
}
