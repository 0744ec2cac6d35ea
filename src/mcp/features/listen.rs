//! `subscriptions/listen` (2026-07-28): a request whose answer is a stream of announcements.
//!
//! A subscription is granted what exists: features of which something is registered, and URIs that lead to a resource.
//! The acknowledgement says so before anything else goes out. Every message of the stream carries the request's id,
//! which is the subscription's; [`write_subscription`] is the one place that writes it.

use crate::jsonrpc::{Id, Request, RequestId, Value, write_result_head, write_string};
use crate::registry::ClientCapabilities;

use crate::mcp::child_client::{ChildOwner, ClientKey, Heads, Sender};
use crate::mcp::error::Failure;
use crate::mcp::features::methods::{Teller, URI_BYTES_MAX, teller_of};
use crate::mcp::lists::announce::write_subscription;
use crate::mcp::params::{members, present};
use crate::mcp::protocol::Protocol;
use crate::mcp::reply::{Labels, Reply};
use crate::mcp::request_context::RequestContext;
use crate::mcp::revision::Era;
use crate::mcp::state::State;
use crate::mcp::task::TaskOwner;

pub(in crate::mcp) const LISTEN: &str = "subscriptions/listen";

/// URIs that one subscription may name. Each is looked up, remembered and compared with every change.
pub const LISTEN_URIS_MAX: usize = 1_024;
/// Tasks that one subscription may name.
pub const LISTEN_TASKS_MAX: usize = 1_024;
/// Bytes of all URIs together, which bound what one idle stream keeps in memory.
pub const LISTEN_URI_BYTES_MAX: usize = 64 << 10;

/// A client that starts to listen. Its acknowledgement is appended already, as a whole message, and comes first on the
/// stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The request's id, which is the subscription's.
    pub id: RequestId,
    /// What the client is to hear of.
    pub interest: Interest,
    /// The owner whose tasks the client may hear of.
    pub owner: TaskOwner,
    /// The client, if it has a child of its own.
    pub client: Option<ClientKey>,
    /// The labels that metrics count it under.
    pub labels: Labels,
}

/// What a subscription was granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Changes of the list of tools.
    pub tools: bool,
    /// Changes of the list of prompts.
    pub prompts: bool,
    /// Changes of the list of resources.
    pub resources: bool,
    /// Resources of whose updates the client hears as everybody does, each once.
    pub uris: Vec<Box<str>>,
    /// Resources of whose updates its own children tell, each once.
    pub own_uris: Vec<(Box<str>, ChildOwner)>,
    /// Tasks of whose changes the client hears, by their ids, each once.
    pub tasks: Vec<Box<str>>,
}

/// The client that wants to listen.
pub(in crate::mcp) struct Listener<'c> {
    pub(in crate::mcp) owner: TaskOwner,
    pub(in crate::mcp) sender: Sender,
    pub(in crate::mcp) heads: &'c RequestContext<'c>,
}

/// Whether the server has anything to announce.
pub(in crate::mcp) fn is_offered(protocol: &Protocol) -> bool {
    let has = protocol.has();
    has.tools || has.prompts || has.resources
}

/// Reads what a client wants to hear of, and acknowledges what it will hear of.
pub(in crate::mcp) fn listen<'s>(
    protocol: &Protocol,
    request: &Request<'_, 's>,
    listener: &Listener<'_>,
    state: &dyn State,
    out: &mut Vec<u8>,
) -> Result<Listen, Failure<'s>> {
    let has = protocol.has();
    let [wanted] = members(request.params, ["notifications"])?;
    let wanted = wanted
        .filter(|value| value.is_object())
        .ok_or(Failure::Parameter("`params.notifications` must be an object"))?;
    let [tools, prompts, resources, uris, tasks] = members(
        Some(wanted),
        [
            "toolsListChanged",
            "promptsListChanged",
            "resourcesListChanged",
            "resourceSubscriptions",
            "taskIds",
        ],
    )?;
    let uris = present(uris);
    // A server without tasks ignores the member, like any other unknown one.
    let tasks = present(tasks).filter(|_| protocol.lists().makes_tasks());
    let accepted = accepted_uris(protocol, listener, uris)?;
    let mut interest = Interest {
        tools: is_wanted(tools)? && has.tools,
        prompts: is_wanted(prompts)? && has.prompts,
        resources: is_wanted(resources)? && has.resources,
        tasks: accepted_tasks(listener, tasks, state)?,
        ..Interest::default()
    };
    let named = Named {
        uris: uris.is_some() && has.subscriptions,
        tasks: tasks.is_some(),
    };
    write_acknowledgement(request.id, &interest, &accepted, named, out);
    for (uri, teller) in accepted {
        match teller {
            Teller::Everybodys => interest.uris.push(uri.into()),
            Teller::Own(owner) => interest.own_uris.push((uri.into(), owner)),
        }
    }
    Ok(Listen {
        id: request.id.into(),
        owner: listener.owner,
        client: protocol.client_of(&listener.sender, Heads::Of(listener.heads)),
        interest,
        labels: Reply::answered().about(Era::Modern, LISTEN).labels,
    })
}

fn is_wanted<'s>(value: Option<Value<'_, 's>>) -> Result<bool, Failure<'s>> {
    match present(value) {
        None => Ok(false),
        Some(value) => value.as_bool().ok_or(Failure::Parameter(
            "members of `params.notifications` that end in `ListChanged` must be booleans",
        )),
    }
}

/// The URIs that lead to something that is watched, each once, in the order of the request.
fn accepted_uris<'s>(
    protocol: &Protocol,
    listener: &Listener<'_>,
    uris: Option<Value<'_, 's>>,
) -> Result<Vec<(&'s str, Teller)>, Failure<'s>> {
    const NOT_URIS: Failure<'static> =
        Failure::Parameter("`params.notifications.resourceSubscriptions` must be an array of strings");
    let Some(uris) = uris else { return Ok(Vec::new()) };
    if !uris.is_array() {
        return Err(NOT_URIS);
    }
    let (mut asked, mut bytes) = (Vec::new(), 0);
    for uri in uris.elements() {
        let uri = uri.as_str().ok_or(NOT_URIS)?;
        bytes += uri.len();
        if asked.len() == LISTEN_URIS_MAX || bytes > LISTEN_URI_BYTES_MAX || uri.len() > URI_BYTES_MAX {
            return Err(Failure::Parameter(
                "`params.notifications.resourceSubscriptions` has at most 1024 URIs of 65536 bytes together, 8192 each",
            ));
        }
        asked.push(uri);
    }
    let mut seen = std::collections::HashSet::with_capacity(asked.len());
    asked.retain(|uri| seen.insert(*uri));
    let (registry, heads) = (protocol.registry(), Heads::Of(listener.heads));
    let accepted = asked.into_iter().filter_map(|uri| {
        let teller = teller_of(registry, uri, &listener.sender, heads)?;
        Some((uri, teller))
    });
    Ok(accepted.collect())
}

/// The ids among those named that belong to the client's own tasks.
fn accepted_tasks<'s>(
    listener: &Listener<'_>,
    ids: Option<Value<'_, 's>>,
    state: &dyn State,
) -> Result<Vec<Box<str>>, Failure<'s>> {
    const NOT_IDS: Failure<'static> =
        Failure::Parameter("`params.notifications.taskIds` must be an array of at most 1024 strings");
    let Some(ids) = ids else { return Ok(Vec::new()) };
    if !listener.sender.capabilities.contains(ClientCapabilities::TASKS) {
        return Err(Failure::MissingCapability(ClientCapabilities::TASKS));
    }
    if !ids.is_array() {
        return Err(NOT_IDS);
    }
    let mut asked = Vec::new();
    for id in ids.elements() {
        if asked.len() == LISTEN_TASKS_MAX {
            return Err(NOT_IDS);
        }
        asked.push(id.as_str().ok_or(NOT_IDS)?);
    }
    let mut seen = std::collections::HashSet::with_capacity(asked.len());
    asked.retain(|id| seen.insert(*id) && state.task(&listener.owner, id).is_some());
    Ok(asked.into_iter().map(Box::from).collect())
}

/// Which lists a request named; an acknowledgement repeats what is left of each.
#[derive(Clone, Copy)]
struct Named {
    uris: bool,
    tasks: bool,
}

fn write_acknowledgement(
    id: Id<'_>,
    interest: &Interest,
    uris: &[(&str, Teller)],
    named: Named,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(
        br#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"#,
    );
    write_subscription(id, out);
    out.extend_from_slice(br#"},"notifications":{"#);
    let lists = [
        ("toolsListChanged", interest.tools),
        ("promptsListChanged", interest.prompts),
        ("resourcesListChanged", interest.resources),
    ];
    let mut separator: &[u8] = b"";
    for (name, _) in lists.into_iter().filter(|(_, is_granted)| *is_granted) {
        out.extend_from_slice(separator);
        write_string(out, name);
        out.extend_from_slice(b":true");
        separator = b",";
    }
    let uris: Vec<&str> = uris.iter().map(|(uri, _)| *uri).collect();
    let tasks: Vec<&str> = interest.tasks.iter().map(|id| &**id).collect();
    let lists = [
        ("resourceSubscriptions", uris, named.uris),
        ("taskIds", tasks, named.tasks),
    ];
    for (name, granted, _) in lists.into_iter().filter(|(_, _, is_named)| *is_named) {
        out.extend_from_slice(separator);
        write_string(out, name);
        out.extend_from_slice(b":[");
        for (at, text) in granted.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_string(out, text);
        }
        out.push(b']');
        separator = b",";
    }
    out.extend_from_slice(b"}}}");
}

impl Protocol {
    /// Appends the result that ends a subscription for the server's own reasons (2026-07-28, subscriptions).
    pub fn write_listen_end(&self, id: &RequestId, out: &mut Vec<u8>) {
        write_result_head(out, id.as_id());
        out.extend_from_slice(br#"{"resultType":"complete","_meta":{"#);
        write_subscription(id.as_id(), out);
        // The prepared value is an object with members, and its own brace closes the merged one.
        if let Some(members) = self.lists().meta().strip_prefix(b"{") {
            out.push(b',');
            out.extend_from_slice(members);
        }
        out.extend_from_slice(b"}}");
    }
}
