//! One operation that a client asked for: checked, waiting for a handler, started.
//!
//! [`Work`] borrows the scratch it was decoded in and is short-lived: it is started at once or dropped, and then
//! decoded again when a handler is free. [`Ticket`] is what outlives it: all that an answer needs.

use simd_json::base::ValueIntoString as _;
use simd_json::tape;

use crate::jsonrpc::{Document, Id, RequestId, Value};
use crate::registry::{CallContext, Operation, ShardRegistry, StartError, Started};

use super::capabilities::ClientCapabilities;
use super::cursor::Cursor;
use super::error::Failure;
use super::params::members;
use super::revision::Revision;

/// The parameters of `tools/call`.
pub(super) struct CallParams<'s> {
    pub(super) name: &'s str,
}

impl<'s> CallParams<'s> {
    /// `arguments` may be absent or `null`, as several clients send it.
    pub(super) fn read(params: Option<Value<'_, 's>>) -> Result<Self, Failure<'s>> {
        let [name, arguments] = members(params, ["name", "arguments"])?;
        let name = name
            .and_then(Value::as_str)
            .ok_or(Failure::Parameter("`params.name` must be a tool's name"))?;
        match arguments.is_none_or(|value| value.is_null() || value.is_object()) {
            true => Ok(Self { name }),
            false => Err(Failure::Parameter("`params.arguments` must be an object")),
        }
    }
}

/// What is known of an operation once it passed every check but its own.
pub(super) struct Call<'s> {
    pub(super) id: Id<'s>,
    pub(super) operation: Operation,
    pub(super) revision: Revision,
    pub(super) capabilities: ClientCapabilities,
}

/// An operation whose request passed all checks of envelope and headers and that was not started yet.
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
        self.call.id
    }

    /// What is to run.
    pub fn operation(&self) -> Operation {
        self.call.operation
    }

    /// The revision the client speaks.
    pub fn revision(&self) -> Revision {
        self.call.revision
    }

    /// What the client can do when asked.
    pub fn capabilities(&self) -> ClientCapabilities {
        self.call.capabilities
    }

    /// The arguments, always an object; none if there were none.
    pub fn arguments(&self) -> Option<tape::Value<'_, 's>> {
        self.param(&["arguments"]).filter(|value| value.is_object())
    }

    /// A value in the parameters. Decoding saw to it that each stands once, and is of its type or `null`.
    fn param(&self, path: &[&str]) -> Option<tape::Value<'_, 's>> {
        let params = self.document.tape().as_object()?.get("params")?;
        let mut inside = path.iter();
        inside.try_fold(params, |value, name| value.as_object()?.get(*name))
    }

    fn text(&self, path: &[&str]) -> Option<&'s str> {
        self.param(path)?.into_string()
    }

    /// Where a lister is to go on.
    fn list_after(&self) -> Option<&'s str> {
        match Cursor::parse(self.text(&["cursor"])?)? {
            Cursor::Lister { after, .. } => after,
            Cursor::Page(_) => None,
        }
    }

    /// What answering needs after this is gone. Allocates only for an id of more than 46 bytes, and for the URI
    /// that a template reads.
    pub fn ticket(&self) -> Ticket {
        Ticket {
            id: self.call.id.into(),
            revision: self.call.revision,
            operation: self.call.operation,
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
    /// When they break its schema; answered by [`answer_start_error`](super::Protocol::answer_start_error).
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
    /// When they break its schema; answered by [`answer_start_error`](super::Protocol::answer_start_error).
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
            .field("id", &self.call.id)
            .field("operation", &self.call.operation)
            .field("revision", &self.call.revision)
            .finish_non_exhaustive()
    }
}

/// What is needed to answer an operation when it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    id: RequestId,
    revision: Revision,
    operation: Operation,
    /// What a template reads; everything else is registered.
    uri: Option<Box<str>>,
    /// Whether what a lister finds stands behind registered resources.
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

    /// The URI that a template reads.
    pub(super) fn uri(&self) -> Option<&str> {
        self.uri.as_deref()
    }

    /// Whether what a lister finds stands behind registered resources, on the page they end on.
    pub(super) fn has_tail(&self) -> bool {
        self.has_tail
    }

    /// What ran.
    pub fn operation(&self) -> Operation {
        self.operation
    }
}
