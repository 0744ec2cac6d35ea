//! The client that a child belongs to, where children are not everybody's, and how a message shows whose it is.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::mcp::protocol::Protocol;
use crate::mcp::request_context::{RequestContext, Via};
use crate::mcp::revision::{Era, Revision};
use crate::mcp::sessions::{Principal, SessionToken, Sessions};
use crate::registry::{ClientCapabilities, ClientRules, Registry};

/// A client, or what counts as one: a child serves it and nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientKey {
    /// A legacy session.
    Session(SessionToken),
    /// A connection that carries messages both ways: a WebSocket, or the client that has started the server.
    Channel(SessionToken),
    /// Whoever has this principal.
    Principal(Principal),
    /// Whoever sends what has this digest; if it is a session's, of that session.
    Values {
        /// The session.
        session: Option<SessionToken>,
        /// Half of a SHA-256.
        digest: [u8; 16],
    },
    /// Everybody who is none of these.
    Everybody,
    /// One call of somebody who is none of these.
    Call {
        /// The shard that numbered it.
        shard: u16,
        /// Its number there.
        number: u64,
    },
}

impl ClientKey {
    /// Whether it is over with its first call.
    pub fn is_single(&self) -> bool {
        matches!(self, ClientKey::Call { .. })
    }

    /// The session with which it is over, if there is one.
    pub fn session(&self) -> Option<SessionToken> {
        match self {
            ClientKey::Session(session) => Some(*session),
            ClientKey::Values { session, .. } => *session,
            _ => None,
        }
    }
}

/// What a legacy child is told of its client, and never again something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientProfile {
    /// The revision to ask for.
    pub revision: Revision,
    /// What the client can be asked.
    pub capabilities: ClientCapabilities,
}

impl ClientProfile {
    /// Somebody who cannot be asked.
    pub const NOBODY: ClientProfile = ClientProfile {
        revision: Revision::NEWEST_LEGACY,
        capabilities: ClientCapabilities::NONE,
    };

    /// Anybody: who it is in the end, and what that one can be asked, is seen with each call.
    pub const ANYBODY: ClientProfile = ClientProfile {
        revision: Revision::NEWEST_LEGACY,
        capabilities: ClientCapabilities::ROOTS
            .with(ClientCapabilities::SAMPLING)
            .with(ClientCapabilities::SAMPLING_TOOLS)
            .with(ClientCapabilities::SAMPLING_CONTEXT)
            .with(ClientCapabilities::ELICITATION_FORM)
            .with(ClientCapabilities::ELICITATION_URL),
    };

    /// Of a client with this revision, to whom a modern one is as good as the newest that a legacy child can know.
    pub fn new(revision: Revision, capabilities: ClientCapabilities) -> ClientProfile {
        ClientProfile {
            revision: match revision.era() {
                Era::Legacy => revision,
                Era::Modern => Revision::NEWEST_LEGACY,
            },
            capabilities: capabilities.without(ClientCapabilities::TASKS),
        }
    }
}

/// Who a client is, and what its child is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Who.
    pub key: ClientKey,
    /// What it is told.
    pub profile: ClientProfile,
    /// Whether its child is started with [values](ClientValues) of its own.
    pub has_values: bool,
}

/// A client that has a child of its own, and will have another if that is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildOwner {
    /// Who.
    pub client: Client,
    /// What its child is to be started with, if that is its own.
    pub values: Option<ClientValues>,
}

/// The heads of the request that a message came with.
#[derive(Clone, Copy)]
pub enum Heads<'h> {
    /// It is being decoded.
    Of(&'h RequestContext<'h>),
    /// It was a batch; this is what was kept of it.
    Kept(&'h KeptFields),
    /// It had none, or none that say anything.
    None,
}

impl<'h> Heads<'h> {
    /// The value of a field, whose name is in lower case.
    pub fn value(self, name: &str) -> Option<&'h [u8]> {
        match self {
            Heads::Of(context) => context.header(name)?.value(),
            Heads::Kept(fields) => fields.value(name),
            Heads::None => None,
        }
    }
}

/// What a message shows of its client, besides its heads.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    /// Its principal.
    pub principal: Principal,
    /// The legacy session or channel.
    pub conversation: Option<SessionToken>,
    /// Whether it came on a channel.
    pub is_on_channel: bool,
    /// The revision that it speaks.
    pub revision: Revision,
    /// What it can be asked.
    pub capabilities: ClientCapabilities,
}

impl ChildOwner {
    /// Whose child is meant by a message, for a server whose clients are told apart by these rules; `None` if each of
    /// the client's calls has a child of its own.
    pub fn of(rules: &ClientRules, sender: &Sender, heads: Heads<'_>) -> Option<ChildOwner> {
        let key = sender.lasting_key(rules, heads)?;
        Some(ChildOwner::new(key, rules, sender, heads))
    }

    /// The same, but each call that has no other owner has this one.
    pub fn of_call(
        rules: &ClientRules,
        sender: &Sender,
        heads: Heads<'_>,
        call: impl FnOnce() -> ClientKey,
    ) -> ChildOwner {
        let key = sender.lasting_key(rules, heads).unwrap_or_else(call);
        ChildOwner::new(key, rules, sender, heads)
    }

    fn new(key: ClientKey, rules: &ClientRules, sender: &Sender, heads: Heads<'_>) -> ChildOwner {
        let values = values_of(rules, heads);
        let client = Client {
            key: values.as_ref().map_or(key, |values| with_values(key, values)),
            profile: match key {
                // One child is for all of them, and told of its client once.
                ClientKey::Everybody => ClientProfile::ANYBODY,
                _ => ClientProfile::new(sender.revision, sender.capabilities),
            },
            has_values: values.is_some(),
        };
        ChildOwner { client, values }
    }
}

/// How the clients of a server's programs are told apart that have children of their own, if that is the same for all
/// of those programs.
fn common_rules(registry: &Registry) -> Option<&ClientRules> {
    let servers = registry.foreign_servers().iter();
    let mut rules = servers.filter_map(|server| server.clients.as_deref());
    let first = rules.next()?;
    rules.all(|rules| rules == first).then_some(first)
}

impl Protocol {
    /// The client with a child of its own that sent this, if it is one.
    pub fn client_of(&self, sender: &Sender, heads: Heads<'_>) -> Option<ClientKey> {
        let rules = common_rules(self.registry())?;
        let owner = ChildOwner::of(rules, sender, heads)?;
        Some(owner.client.key)
    }

    /// The same for a request that was not decoded yet.
    pub fn client_of_request(
        &self,
        request_context: &RequestContext<'_>,
        sessions: &dyn Sessions,
    ) -> Option<ClientKey> {
        let conversation = match &request_context.via {
            Via::Channel(channel) => Some(channel.token),
            Via::Http(_) if request_context.names_modern_revision() => None,
            Via::Http(head) => {
                let id = head.session_id.value();
                let open =
                    id.and_then(|id| sessions.open(id, request_context.principal, request_context.now));
                open.map(|open| open.token)
            }
        };
        let sender = Sender {
            principal: request_context.principal,
            conversation,
            is_on_channel: request_context.channel().is_some(),
            // Who it is does not depend on what it can.
            revision: Revision::NEWEST_LEGACY,
            capabilities: ClientCapabilities::NONE,
        };
        self.client_of(&sender, Heads::Of(request_context))
    }
}

impl Sender {
    fn lasting_key(&self, rules: &ClientRules, heads: Heads<'_>) -> Option<ClientKey> {
        if rules.is_by_call {
            return None;
        }
        let named = rules.key_header.as_deref();
        let value = named.and_then(|name| heads.value(name));
        if let Some(value) = value {
            return Some(ClientKey::Values {
                session: None,
                digest: digest([value]),
            });
        }
        if let Some(token) = self.conversation {
            return Some(if self.is_on_channel {
                ClientKey::Channel(token)
            } else {
                ClientKey::Session(token)
            });
        }
        if self.principal != Principal::ANONYMOUS {
            return Some(ClientKey::Principal(self.principal));
        }
        rules.are_strangers_one.then_some(ClientKey::Everybody)
    }
}

/// What the heads of a request say its client's child is to be started with.
fn values_of(rules: &ClientRules, heads: Heads<'_>) -> Option<ClientValues> {
    if rules.env_from.is_empty() {
        return None;
    }
    let sent = rules.env_from.iter().filter_map(|(name, header)| {
        let value = heads.value(header)?;
        Some((name.clone(), value.to_vec()))
    });
    let sent: Vec<_> = sent.collect();
    (!sent.is_empty()).then(|| ClientValues::new(sent))
}

/// A client that is told apart by values besides what it is told apart by anyway. A single call stays what it is.
fn with_values(key: ClientKey, values: &ClientValues) -> ClientKey {
    let (kind, own): (u8, &[u8]) = match &key {
        ClientKey::Call { .. } => return key,
        ClientKey::Session(token) => (0, &token.0),
        ClientKey::Channel(token) => (1, &token.0),
        ClientKey::Principal(principal) => (2, &principal.0),
        ClientKey::Values { digest, .. } => (3, digest),
        ClientKey::Everybody => (4, &[]),
    };
    let parts = values.iter().flat_map(|(name, value)| [name.as_bytes(), value]);
    ClientKey::Values {
        session: key.session(),
        digest: digest([&[kind][..], own].into_iter().chain(parts)),
    }
}

/// Half of a SHA-256 over parts, each with its length. They may be secrets, and are kept nowhere.
fn digest<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> [u8; 16] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let whole: [u8; 32] = digest.finalize().into();
    *whole.first_chunk().unwrap_or(&[0; 16])
}

/// Variables that the requests of a client set for its child, and their values. They may be secrets, and are shown to
/// nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientValues(Arc<[(String, Vec<u8>)]>);

impl ClientValues {
    /// These, by name.
    pub fn new(values: Vec<(String, Vec<u8>)>) -> ClientValues {
        ClientValues(values.into())
    }

    /// Their names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// The bytes of all of them.
    pub fn bytes(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

/// Fields of a request's head, for those of its calls that begin later. Their values may be secrets, and are shown to
/// nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptFields(ClientValues);

impl KeptFields {
    /// These, by name.
    pub fn new(fields: Vec<(String, Vec<u8>)>) -> KeptFields {
        KeptFields(ClientValues::new(fields))
    }

    /// The value of the field with precisely this name.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.0
            .iter()
            .find_map(|(kept, value)| (kept == name).then_some(value))
    }
}

impl fmt::Debug for ClientValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_to_nobody() {
        let values = ClientValues::new(vec![("TOKEN".to_owned(), b"s3cret".to_vec())]);
        assert_eq!(format!("{values:?}"), r#"["TOKEN"]"#);
        assert_eq!(values.iter().next(), Some(("TOKEN", &b"s3cret"[..])));
        let fields = KeptFields::new(vec![("x-token".to_owned(), b"s3cret".to_vec())]);
        assert_eq!(format!("{fields:?}"), r#"KeptFields(["x-token"])"#);
        assert_eq!(
            (fields.value("x-token"), fields.value("x")),
            (Some(&b"s3cret"[..]), None)
        );
    }

    #[test]
    fn a_profile_has_what_a_legacy_child_can_know() {
        let asked = ClientCapabilities::ROOTS.with(ClientCapabilities::SAMPLING);
        let modern = ClientProfile::new(Revision::V2026_07_28, asked.with(ClientCapabilities::TASKS));
        let newest = ClientProfile::new(Revision::V2025_11_25, asked);
        assert_eq!(modern, newest);
        assert_ne!(newest, ClientProfile::new(Revision::V2025_06_18, asked));
        let host = ClientProfile::new(Revision::V2026_07_28, ClientCapabilities::APPS);
        assert_eq!(host.capabilities, ClientCapabilities::APPS);
        assert_eq!(
            ClientProfile::new(Revision::V2026_07_28, ClientCapabilities::TASKS),
            ClientProfile::NOBODY
        );
    }
}
