//! The client that a child belongs to, where children are not everybody's.

use std::fmt;
use std::sync::Arc;

use crate::mcp::{ClientCapabilities, Era, Principal, Revision, SessionToken};

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
        assert_eq!(
            ClientProfile::new(Revision::V2026_07_28, ClientCapabilities::TASKS),
            ClientProfile::NOBODY
        );
    }
}
