//! The users whose processes are served on Unix sockets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ring::Peer;

/// How often the log says that somebody was turned away.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

/// Whose processes are served on Unix sockets.
#[derive(Debug, Clone)]
pub enum UnixPeers {
    /// Everybody's whom the file's permissions let connect.
    Any,
    /// Those of users with these numbers, which are in ascending order.
    Only(Arc<[u32]>),
}

/// The rule, and when the log last told of a breach.
#[derive(Debug)]
pub(super) struct UnixPeerRule {
    served: UnixPeers,
    told_at: Option<Instant>,
}

impl UnixPeerRule {
    pub(super) fn new(served: UnixPeers) -> UnixPeerRule {
        UnixPeerRule {
            served,
            told_at: None,
        }
    }

    /// Whether a peer has to be looked at.
    pub(super) fn is_needed(&self) -> bool {
        matches!(self.served, UnixPeers::Only(_))
    }

    /// Whether a peer is served. Clients of the internet are none of this rule's concern; a peer that is not known is
    /// not served.
    pub(super) fn serves(&self, peer: Option<&Peer>) -> bool {
        match (&self.served, peer) {
            (UnixPeers::Any, _) | (UnixPeers::Only(_), Some(Peer::Internet(_))) => true,
            (UnixPeers::Only(uids), Some(Peer::Process(process))) => uids.binary_search(&process.uid).is_ok(),
            (UnixPeers::Only(_), None) => false,
        }
    }

    /// Tells the log of a peer that is not served. A client that tries again and again is told of once a second.
    pub(super) fn on_refused(&mut self, peer: Option<&Peer>, now: Instant) {
        let is_due = self
            .told_at
            .is_none_or(|told| now.saturating_duration_since(told) >= TELL_INTERVAL);
        if let Some(peer) = peer.filter(|_| is_due) {
            self.told_at = Some(now);
            tracing::warn!(%peer, "a connection was closed: its user is not among --unix-peers");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::Credentials;

    fn process(uid: u32) -> Peer {
        Peer::Process(Credentials { pid: 1, uid, gid: 0 })
    }

    #[test]
    fn listed_users_are_served_and_nobody_else() {
        let rule = UnixPeerRule::new(UnixPeers::Only([0, 7, 1000].into()));
        for (uid, is_served) in [(0, true), (7, true), (1000, true), (1, false), (u32::MAX, false)] {
            assert_eq!(rule.serves(Some(&process(uid))), is_served, "{uid}");
        }
        assert!(rule.serves(Some(&Peer::Internet(([127, 0, 0, 1], 1).into()))));
        assert!(!rule.serves(None), "it is not known who it is");
        assert!(UnixPeerRule::new(UnixPeers::Any).serves(Some(&process(1))));
    }
}
