//! Legacy sessions that cost nothing: an `Mcp-Session-Id` *is* its session, sealed.
//!
//! What was agreed in `initialize` travels in the id, encrypted and authenticated, so a session takes no memory until
//! it holds something live, survives a restart and is known to every replica with the same key. The store remembers
//! only ended sessions, and only until their ids expire. Ids are not credentials: the principal is established
//! elsewhere, and an id works for the principal for which it was made and for nobody else.
//!
//! This module has no clock (`now` is passed in) and no I/O but the system's randomness.
//! Invariant: an id that was tampered with, cut, extended, sealed by another key, expired, ended or made for
//! another principal is unknown, and clients cannot tell these cases apart.
//!
//! | file | its part |
//! |---|---|
//! | `store` | sealed ids, live state, tasks and sealed state as one store |
//! | `seal`, `key` | session ids, and the key that seals them |
//! | `state_seal` | the sealed state that modern clients carry |
//! | `tombstones` | ended and evicted sessions |
//! | `tasks` | calls that go on without the client that made them |
//! | `live` | streams, subscriptions, log levels, questions in flight |

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
use crate::metrics::TombstoneFigures;

/// Limits of sealed sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// How long an id is valid.
    pub max_age: Duration,
    /// Ended sessions that the process remembers at a time. When more end within `max_age`, the oldest are forgotten: a
    /// client that still has such an id has a session again, in which nothing is left.
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
    /// As many as there are unless memory is short: 1.5 a second within the 24 hours that an id is valid by default.
    pub const TOMBSTONES_MAX: usize = 128 * 1024;
    /// The most bytes that each of them takes.
    pub const TOMBSTONE_BYTES: usize = Tombstones::ENTRY_BYTES;
}

/// The sessions of one process. All shards share it; it takes a lock only where sessions were ended.
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

    /// Ended sessions that are remembered, and those that were forgotten before their ids expired.
    pub fn tombstones(&self) -> TombstoneFigures {
        self.tombstones.figures()
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
            Some(plain) => {
                self.tombstones.insert(plain.token, self.expiry(&plain), now);
                EndSession::Ended
            }
        }
    }
}

#[cfg(test)]
mod tests;
