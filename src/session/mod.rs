//! Legacy sessions that cost nothing: an `Mcp-Session-Id` *is* its session, sealed.
//!
//! What was agreed in `initialize` travels in the id, encrypted and authenticated, so a session takes no memory until
//! it holds something live, survives a restart and is known to every replica with the same key. The store remembers
//! only ended sessions, and only until their ids expire. Ids are not credentials: the principal is established
//! elsewhere, and an id works for the principal for which it was made and for nobody else.
//!
//! Behind what is sealed an id says in plain text what its client said of itself, so that tools can be told; the seal
//! covers that, too.
//!
//! This module has no clock (`now` is passed in) and no I/O but the system's randomness.
//! Invariant: an id that was tampered with, cut, extended, sealed by another key, expired, ended or made for
//! another principal is unknown, and clients cannot tell these cases apart.
//!
//! | file | its part |
//! |---|---|
//! | `shard_store` | the store as one shard uses it |
//! | `store` | sealed ids, live state, tasks and sealed state as one store |
//! | `seal`, `key` | session ids, and the key that seals them |
//! | `opened`, `random` | what a shard keeps so that ids cost less: those it opened, and random bytes |
//! | `state_seal` | the sealed state that modern clients carry |
//! | `tombstones` | ended and evicted sessions |
//! | `tasks` | calls that go on without the client that made them |
//! | `live` | streams, subscriptions, log levels, questions in flight |

mod key;
pub mod live;
mod opened;
mod random;
mod seal;
mod shard_store;
mod state_seal;
mod store;
pub mod tasks;
mod tombstones;

use std::time::Duration;

pub use key::{KeyError, SessionKey};
pub use shard_store::ShardStore;
pub use store::Store;

use opened::OpenedIds;
use random::RandomBytes;
use seal::{Plain, Seal, TEXT_BYTES};
use tombstones::Tombstones;

use crate::mcp::{Principal, Session, SessionId, SessionUnavailable, UnixSeconds};
use crate::metrics::TombstoneFigures;
use crate::registry::ClientText;

/// Limits of sealed sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// How long an id is valid.
    pub max_age: Duration,
    /// Ended sessions that the process remembers at a time. When more end within `max_age`, the oldest are forgotten: a
    /// client that still has such an id has a session again, in which nothing is left.
    pub tombstones_max: usize,
    /// Ids that each shard remembers, so that it need not decrypt them again: at most so many.
    pub opened_max: usize,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(24 * 60 * 60),
            tombstones_max: Self::TOMBSTONES_MAX,
            opened_max: Self::OPENED_MAX,
        }
    }
}

impl SessionOptions {
    /// As many as there are unless memory is short: 1.5 a second within the 24 hours that an id is valid by default.
    pub const TOMBSTONES_MAX: usize = 128 * 1024;
    /// The most bytes that each of them takes.
    pub const TOMBSTONE_BYTES: usize = Tombstones::ENTRY_BYTES;
    /// As many as there are unless memory is short; their table grows as sessions come.
    pub const OPENED_MAX: usize = 4_096;
    /// The bytes that each of them takes.
    pub const OPENED_BYTES: usize = OpenedIds::ENTRY_BYTES;
}

/// The sessions of one process. All shards share it; it takes a lock only where sessions were ended.
#[derive(Debug)]
struct SealedSessions {
    seal: Seal,
    tombstones: Tombstones,
    max_age_seconds: u64,
}

impl SealedSessions {
    /// Sessions sealed with `key`.
    fn new(key: &SessionKey, options: SessionOptions) -> Self {
        Self {
            seal: Seal::new(key),
            tombstones: Tombstones::new(options.tombstones_max),
            max_age_seconds: options.max_age.as_secs(),
        }
    }

    /// Ended sessions that are remembered, and those that were forgotten before their ids expired.
    fn tombstones(&self) -> TombstoneFigures {
        self.tombstones.figures()
    }

    fn mint(
        &self,
        ids: &mut ShardIds,
        session: &Session,
        client: &ClientText,
        now: UnixSeconds,
    ) -> Result<SessionId, SessionUnavailable> {
        let random = ids.random.take().ok_or(SessionUnavailable)?;
        let sealed = self.seal.seal(&random, session, client.as_bytes(), now);
        let (text, plain) = sealed.ok_or(SessionUnavailable)?;
        ids.opened.insert(&text, client.as_bytes(), plain);
        SessionId::of_parts(&text, client.as_bytes()).ok_or(SessionUnavailable)
    }

    fn open(&self, ids: &mut ShardIds, id: &[u8], principal: Principal, now: UnixSeconds) -> Option<Plain> {
        let (text, client) = id.split_first_chunk()?;
        let plain = match ids.opened.find(text, client) {
            Some(plain) => *plain,
            None => self.open_unknown(ids, text, client)?,
        };
        let is_valid = plain.session.principal == principal
            && now < self.expiry(&plain)
            && !self.tombstones.contains(plain.token);
        is_valid.then_some(plain)
    }

    #[cold]
    fn open_unknown(&self, ids: &mut ShardIds, text: &[u8; TEXT_BYTES], client: &[u8]) -> Option<Plain> {
        let plain = self.seal.open(text, client)?;
        ids.opened.insert(text, client, plain);
        Some(plain)
    }

    /// Ends a session that was opened by `id`.
    fn end(&self, ids: &mut ShardIds, id: &[u8], plain: &Plain, now: UnixSeconds) {
        self.tombstones.insert(plain.token, self.expiry(plain), now);
        if let Some((text, client)) = id.split_first_chunk() {
            ids.opened.remove(text, client);
        }
    }

    /// Ends a session that may have begun just now.
    fn end_lost(&self, token: seal::Token, now: UnixSeconds) {
        let expiry = UnixSeconds(now.0.saturating_add(self.max_age_seconds));
        self.tombstones.insert(token, expiry, now);
    }

    /// Whether a session was ended.
    fn has_ended(&self, token: seal::Token) -> bool {
        self.tombstones.contains(token)
    }

    fn expiry(&self, plain: &Plain) -> UnixSeconds {
        UnixSeconds(plain.issued.0.saturating_add(self.max_age_seconds))
    }
}

/// What one shard keeps so that ids cost less.
struct ShardIds {
    opened: OpenedIds,
    random: RandomBytes,
}

impl ShardIds {
    fn new(options: SessionOptions) -> Self {
        Self {
            opened: OpenedIds::new(options.opened_max),
            random: RandomBytes::new(),
        }
    }
}

#[cfg(test)]
mod tests;
