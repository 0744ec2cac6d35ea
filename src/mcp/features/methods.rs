//! The methods of tools, resources, prompts and completion, which are the same in both eras.
//!
//! They take two steps, because the modern era compares headers between them: parameters are read; then what they name
//! is looked up, and the request is answered or handed out. A feature of which nothing is registered has no methods.

use crate::jsonrpc::{Request, Value, write_result};
use crate::registry::{
    ClientCapabilities, CompleterIndex, ForeignServer, NoSuchArgument, Operation, Registry, ServerIndex,
};

use crate::mcp::call::{Call, CallParams, Requester};
use crate::mcp::child_client::{ChildOwner, Heads, Sender};
use crate::mcp::error::Failure;
use crate::mcp::lists::cursor::Cursor;
use crate::mcp::lists::prepared::Listed;
use crate::mcp::params::{members, present};
use crate::mcp::protocol::Protocol;
use crate::mcp::reply::Reply;
use crate::mcp::revision::Revision;

/// The longest URI that is looked up; RFC 9110 (4.1) wants 8,000 bytes to be possible.
pub(in crate::mcp) const URI_BYTES_MAX: usize = 8_192;
const URI_TOO_LONG: &str = "`params.uri` is longer than 8192 bytes";

/// A method whose parameters are read, but not looked up yet.
#[derive(Debug)]
pub(in crate::mcp) enum FeatureRequest<'s> {
    List(Listed, Cursor<'s>),
    CallTool(CallParams<'s>),
    ReadResource(&'s str),
    GetPrompt(&'s str),
    Complete { of: Reference<'s>, argument: &'s str },
}

/// The result of looking up: an answer, or a call to run.
pub(in crate::mcp) enum Found<'s> {
    Reply(Reply),
    Call(Call<'s>),
}

/// The prompt or template whose argument is to be completed.
#[derive(Debug)]
pub(in crate::mcp) enum Reference<'s> {
    Prompt(&'s str),
    Resource(&'s str),
}

impl<'s> FeatureRequest<'s> {
    /// Reads the parameters of one of the features' methods.
    ///
    /// # Errors
    /// Fails when it is another method, or when its parameters are wrong.
    pub(in crate::mcp) fn read(protocol: &Protocol, request: &Request<'_, 's>) -> Result<Self, Failure<'s>> {
        let has = protocol.has();
        let params = request.params;
        match request.method {
            "tools/call" if has.tools => CallParams::read(params).map(Self::CallTool),
            "tools/list" if has.tools => list(Listed::Tools, params),
            "resources/list" if has.resources => list(Listed::Resources, params),
            "resources/templates/list" if has.resources => list(Listed::ResourceTemplates, params),
            "resources/read" if has.resources => read_resource(params),
            "prompts/list" if has.prompts => list(Listed::Prompts, params),
            "prompts/get" if has.prompts => get_prompt(params),
            "completion/complete" if has.completions => complete(params),
            method => Err(Failure::MethodNotFound(method)),
        }
    }

    /// The value that the header `Mcp-Name` must repeat.
    pub(in crate::mcp) fn name(&self) -> Option<&'s str> {
        match self {
            Self::CallTool(CallParams { name, .. }) | Self::ReadResource(name) | Self::GetPrompt(name) => {
                Some(name)
            }
            Self::List(..) | Self::Complete { .. } => None,
        }
    }

    /// Answers the request if it needs no user code, and hands it out otherwise.
    ///
    /// # Errors
    /// Fails when the named thing does not exist.
    pub(in crate::mcp) fn find(
        self,
        protocol: &Protocol,
        requester: Requester<'s>,
        out: &mut Vec<u8>,
    ) -> Result<Found<'s>, Failure<'s>> {
        let registry = protocol.registry();
        let mut task = None;
        let operation = match self {
            Self::CallTool(CallParams { name, task: asked }) => {
                let tool = registry.find(name).ok_or(Failure::UnknownTool(name))?;
                task = asked.terms(protocol, registry.tool(tool), &requester)?;
                Operation::Tool(tool)
            }
            Self::ReadResource(uri) => resource_at(registry, uri).ok_or(Failure::UnknownResource(uri))?,
            Self::GetPrompt(name) => registry
                .find_prompt(name)
                .map(Operation::Prompt)
                .ok_or(Failure::UnknownPrompt(name))?,
            Self::Complete { of, argument } => match of.completer(protocol, argument)? {
                Some(completer) => Operation::Completion(completer),
                None => {
                    protocol.write_no_completion(requester.id, requester.revision, out);
                    return Ok(Found::Reply(Reply::answered()));
                }
            },
            Self::List(listed, cursor) => match list_operation(protocol, listed, cursor, requester.revision)?
            {
                Some(operation) => operation,
                None => return list_page(protocol, listed, cursor, &requester, out),
            },
        };
        Ok(Found::Call(Call {
            requester,
            operation,
            brought: None,
            task,
        }))
    }
}

/// The operation that reads the resource at a URI, if there may be one: ours before those of other programs.
fn resource_at(registry: &Registry, uri: &str) -> Option<Operation> {
    let own = registry.find_resource(uri).map(Operation::Resource);
    own.or_else(|| registry.find_template(uri).map(Operation::Template))
        .or_else(|| foreign_resource_at(registry, uri))
}

/// Another program may have resources that it does not list.
fn foreign_resource_at(registry: &Registry, uri: &str) -> Option<Operation> {
    let listed = registry.find_foreign_resource(uri).map(Operation::Resource);
    listed.or_else(|| registry.find_unlisted(uri).map(Operation::Template))
}

/// Who tells of updates of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::mcp) enum Teller {
    /// The same for all clients.
    Everybodys,
    /// The child of the client that asks.
    Own(ChildOwner),
}

/// Who tells `sender` of updates of the resource at a URI, if there may be one and somebody does.
pub(in crate::mcp) fn teller_of(
    registry: &Registry,
    uri: &str,
    sender: &Sender,
    heads: Heads<'_>,
) -> Option<Teller> {
    if registry.find_resource(uri).is_some() || registry.find_template(uri).is_some() {
        return Some(Teller::Everybodys);
    }
    match &program_watching(registry, uri)?.clients {
        None => Some(Teller::Everybodys),
        Some(rules) => ChildOwner::of(rules, sender, heads).map(Teller::Own),
    }
}

/// The server that tells of updates of the resource at a URI, if that is another program's.
pub fn server_watching(registry: &Registry, uri: &str) -> Option<ServerIndex> {
    program_watching(registry, uri).map(|program| program.server)
}

fn program_watching<'r>(registry: &'r Registry, uri: &str) -> Option<&'r ForeignServer> {
    let server = registry.server_of(foreign_resource_at(registry, uri)?)?;
    let mut known = registry.foreign_servers().iter();
    let known = known.find(|known| known.server == server)?;
    known.features.subscriptions.then_some(known)
}

/// Whether another program may have a resource at a URI.
pub(in crate::mcp) fn leads_elsewhere(registry: &Registry, uri: &str) -> bool {
    foreign_resource_at(registry, uri).is_some()
}

/// The operation that lists what is asked for, if the list is not prepared.
fn list_operation<'s>(
    protocol: &Protocol,
    listed: Listed,
    cursor: Cursor<'_>,
    revision: Revision,
) -> Result<Option<Operation>, Failure<'s>> {
    let mut listers = protocol.registry().listers();
    match cursor {
        _ if listed != Listed::Resources || listers.len() == 0 => Ok(None),
        Cursor::Page(page) if page == protocol.lists().tail_page(revision) => {
            Ok(listers.next().map(Operation::ResourceList))
        }
        Cursor::Page(_) => Ok(None),
        // Its first page is the one above.
        Cursor::Lister { at: 0, after: None } => Err(NOT_OUR_CURSOR),
        Cursor::Lister { at, .. } => match listers.nth(at) {
            Some(lister) => Ok(Some(Operation::ResourceList(lister))),
            None => Err(NOT_OUR_CURSOR),
        },
    }
}

fn list_page<'s>(
    protocol: &Protocol,
    listed: Listed,
    cursor: Cursor<'_>,
    requester: &Requester<'s>,
    out: &mut Vec<u8>,
) -> Result<Found<'s>, Failure<'s>> {
    let page = match cursor {
        Cursor::Page(page) => {
            let shows_apps = requester.capabilities.contains(ClientCapabilities::APPS);
            let kind = (requester.revision, shows_apps);
            protocol.lists().page(listed, kind, page)
        }
        Cursor::Lister { .. } => None,
    };
    write_result(out, requester.id, page.ok_or(NOT_OUR_CURSOR)?);
    Ok(Found::Reply(Reply::answered()))
}

const NOT_OUR_CURSOR: Failure<'static> = Failure::Parameter("`params.cursor` is not one of this server's");

/// Clients may send the empty cursor, or `null`, and mean the first page.
fn list<'s>(listed: Listed, params: Option<Value<'_, 's>>) -> Result<FeatureRequest<'s>, Failure<'s>> {
    let [cursor] = members(params, ["cursor"])?;
    let cursor = match present(cursor).map(Value::as_str) {
        None | Some(Some("")) => Cursor::Page(0),
        Some(text) => text.and_then(Cursor::parse).ok_or(NOT_OUR_CURSOR)?,
    };
    Ok(FeatureRequest::List(listed, cursor))
}

fn read_resource<'s>(params: Option<Value<'_, 's>>) -> Result<FeatureRequest<'s>, Failure<'s>> {
    resource_uri(params).map(FeatureRequest::ReadResource)
}

/// `params.uri`.
pub(in crate::mcp) fn resource_uri<'s>(params: Option<Value<'_, 's>>) -> Result<&'s str, Failure<'s>> {
    let [uri] = members(params, ["uri"])?;
    let uri = uri
        .and_then(Value::as_str)
        .ok_or(Failure::Parameter("`params.uri` must be a string"))?;
    if uri.len() <= URI_BYTES_MAX {
        Ok(uri)
    } else {
        Err(Failure::Parameter(URI_TOO_LONG))
    }
}

/// `arguments` may be absent or `null`, as with tools.
fn get_prompt<'s>(params: Option<Value<'_, 's>>) -> Result<FeatureRequest<'s>, Failure<'s>> {
    let [name, arguments] = members(params, ["name", "arguments"])?;
    let name = name
        .and_then(Value::as_str)
        .ok_or(Failure::Parameter("`params.name` must be a prompt's name"))?;
    if present(arguments).is_none_or(Value::is_object) {
        Ok(FeatureRequest::GetPrompt(name))
    } else {
        Err(Failure::Parameter("`params.arguments` must be an object"))
    }
}

fn complete<'s>(params: Option<Value<'_, 's>>) -> Result<FeatureRequest<'s>, Failure<'s>> {
    let [reference, argument, context] = members(params, ["ref", "argument", "context"])?;
    let of = Reference::read(reference)?;
    let [name, value] = members(argument, ["name", "value"])?;
    let (Some(name), Some(_)) = (name.and_then(Value::as_str), value.and_then(Value::as_str)) else {
        return Err(Failure::Parameter(
            "`params.argument` must have the strings `name` and `value`",
        ));
    };
    let [settled] = members(context, ["arguments"])?;
    let is_object = |value| present(value).is_none_or(Value::is_object);
    if is_object(context) && is_object(settled) {
        Ok(FeatureRequest::Complete { of, argument: name })
    } else {
        Err(Failure::Parameter(
            "`params.context` must be an object, and so must its `arguments`",
        ))
    }
}

impl<'s> Reference<'s> {
    fn read(reference: Option<Value<'_, 's>>) -> Result<Self, Failure<'s>> {
        let [kind, name, uri] = members(reference, ["type", "name", "uri"])?;
        let text = |value: Option<Value<'_, 's>>| value.and_then(Value::as_str);
        match (text(kind), text(name), text(uri)) {
            (Some("ref/prompt"), Some(name), _) => Ok(Self::Prompt(name)),
            (Some("ref/resource"), _, Some(uri)) => Ok(Self::Resource(uri)),
            _ => Err(Failure::Parameter(
                "`params.ref` must be a `ref/prompt` with a name or a `ref/resource` with a uri",
            )),
        }
    }

    /// The operation that completes the argument, if there is one.
    fn completer(&self, protocol: &Protocol, argument: &str) -> Result<Option<CompleterIndex>, Failure<'s>> {
        let registry = protocol.registry();
        let found = match self {
            Self::Prompt(name) => {
                let prompt = registry.find_prompt(name).ok_or(Failure::UnknownPrompt(name))?;
                registry.prompt_completer(prompt, argument)
            }
            Self::Resource(uri) => registry
                .template_completer(uri, argument)
                .ok_or(Failure::Parameter(
                    "`params.ref.uri` is no resource template of this server",
                ))?,
        };
        found.map_err(|NoSuchArgument| {
            Failure::Parameter("`params.argument.name` is no argument of what `params.ref` names")
        })
    }
}
