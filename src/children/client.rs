//! The client that a child belongs to, where children are not everybody's.

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
    /// Whoever sends what has this digest.
    Values([u8; 16]),
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
}

#[cfg(test)]
mod tests {
    use super::*;

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
