//! Legacy sessions that cost nothing: an `Mcp-Session-Id` *is* its session, sealed.
//!
//! What was agreed in `initialize` travels in the id, encrypted and authenticated, so a session takes no memory
//! until it holds something live, survives a restart and is known to every replica with the same key. Only ended
//! sessions are remembered, and only until their ids expire. Ids are not credentials: who asks is established
//! elsewhere, and an id works for the principal it was made for and nobody else.
//!
//! No clock (`now` is passed in) and no I/O but the system's randomness.
//! Invariant: an id that was tampered with, cut, extended, sealed by another key, expired, ended or made for
//! somebody else is unknown, and nothing tells these apart.

mod key;
pub mod live;
mod seal;
mod state_seal;
mod store;
pub mod tasks;
mod tombstones;

use std::time::Duration;

pub use key::{KeyError, SessionKey};
pub use store::Store;

use seal::{Plain, Seal};
use tombstones::Tombstones;

use crate::mcp::{
    EndSession, OpenSession, Principal, Session, SessionId, SessionToken, SessionUnavailable, Sessions,
    UnixSeconds,
};

/// Limits of sealed sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// How long an id is valid.
    pub max_age: Duration,
    /// Ended sessions remembered at a time, over the process. When that many ended within `max_age`, further
    /// DELETEs are refused; forgetting one instead would bring it back.
    pub tombstones_max: usize,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(24 * 60 * 60),
            tombstones_max: Self::TOMBSTONES_MAX,
        }
    }
}

impl SessionOptions {
    /// At most 4 MiB when full: 17 bytes each in a table that doubles.
    pub const TOMBSTONES_MAX: usize = 128 * 1024;
}

/// The sessions of one process. Shared by all shards; takes a lock only where sessions were ended.
#[derive(Debug)]
pub struct SealedSessions {
    seal: Seal,
    tombstones: Tombstones,
    max_age_seconds: u64,
}

impl SealedSessions {
    /// Sessions sealed with `key`.
    pub fn new(key: &SessionKey, options: SessionOptions) -> Self {
        Self {
            seal: Seal::new(key),
            tombstones: Tombstones::new(options.tombstones_max),
            max_age_seconds: options.max_age.as_secs(),
        }
    }

    /// Ended sessions that are remembered.
    pub fn tombstones(&self) -> usize {
        self.tombstones.len()
    }

    fn open_plain(&self, id: &[u8], principal: Principal, now: UnixSeconds) -> Option<Plain> {
        let plain = self.seal.open(id)?;
        let is_valid = plain.session.principal == principal
            && now < self.expiry(&plain)
            && !self.tombstones.contains(plain.token);
        is_valid.then_some(plain)
    }

    fn expiry(&self, plain: &Plain) -> UnixSeconds {
        UnixSeconds(plain.issued.0.saturating_add(self.max_age_seconds))
    }
}

impl Sessions for SealedSessions {
    fn mint(&self, session: &Session, now: UnixSeconds) -> Result<SessionId, SessionUnavailable> {
        self.seal.seal(session, now)
    }

    fn open(&self, id: &[u8], principal: Principal, now: UnixSeconds) -> Option<OpenSession> {
        let plain = self.open_plain(id, principal, now)?;
        Some(OpenSession {
            session: plain.session,
            token: SessionToken(plain.token),
        })
    }

    fn end(&self, id: &[u8], principal: Principal, now: UnixSeconds) -> EndSession {
        match self.open_plain(id, principal, now) {
            None => EndSession::Unknown,
            Some(plain) if self.tombstones.insert(plain.token, self.expiry(&plain), now) => EndSession::Ended,
            Some(_) => EndSession::Full,
        }
    }
}

#[cfg(test)]
mod tests;
