//! What the admin listener shows; the server keeps it up to date.
//!
//! It consists of atomics and two functions, and nothing in it waits for a shard. The states go one way:
//!
//! ```text
//! Starting ──► Serving ──► Draining
//!     └───────────────────────▲
//! ```

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use crate::units::ShardId;

/// The state of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Lifecycle {
    /// Some shard does not listen yet.
    Starting,
    /// Every shard listens.
    Serving,
    /// Nothing new is accepted; what is in flight finishes.
    Draining,
}

impl Lifecycle {
    /// The state's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Draining => "draining",
        }
    }

    const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Starting,
            1 => Self::Serving,
            _ => Self::Draining,
        }
    }
}

/// Whether the process can still do its work, as the threads of its shards report when they end.
#[derive(Debug, Default)]
pub struct Health {
    /// One more than the number of the first shard that ended; zero while none has.
    ended: AtomicU32,
}

impl Health {
    /// Notes that a shard's thread has ended though it should not have; only a restart helps then.
    pub fn on_shard_ended(&self, shard: ShardId) {
        let number = u32::from(shard.0) + 1;
        // The first one is named, because later ones may be its consequence.
        let _ = self
            .ended
            .compare_exchange(0, number, Ordering::AcqRel, Ordering::Acquire);
    }

    /// The first shard that ended though it should not have.
    pub fn ended_shard(&self) -> Option<ShardId> {
        let number = self.ended.load(Ordering::Acquire).checked_sub(1)?;
        u16::try_from(number).ok().map(ShardId)
    }
}

/// What the listener shows.
pub struct AdminView {
    lifecycle: AtomicU8,
    health: Arc<Health>,
    metrics: Box<dyn Fn() -> String + Send + Sync>,
    not_ready: Box<dyn Fn() -> Option<String> + Send + Sync>,
}

impl AdminView {
    /// A server that is starting. `metrics` renders the exposition; it is called on the admin thread, for each scrape,
    /// and must not wait for a shard.
    pub fn new(health: Arc<Health>, metrics: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self {
            lifecycle: AtomicU8::new(Lifecycle::Starting as u8),
            health,
            metrics: Box::new(metrics),
            not_ready: Box::new(|| None),
        }
    }

    /// The same server, which is not ready while `reason` gives a reason: a line for the prober. The function is called
    /// with each probe and must not wait for anything.
    pub fn with_not_ready(self, reason: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self {
            not_ready: Box::new(reason),
            ..self
        }
    }

    /// The server's state.
    pub fn lifecycle(&self) -> Lifecycle {
        Lifecycle::from_number(self.lifecycle.load(Ordering::Acquire))
    }

    /// The server has come to `state`; a state it has left already is ignored.
    pub fn advance(&self, state: Lifecycle) {
        self.lifecycle.fetch_max(state as u8, Ordering::AcqRel);
    }

    /// What is wrong with the process, if something is.
    pub fn ailment(&self) -> Option<String> {
        let shard = self.health.ended_shard()?;
        Some(format!("unwell: shard {shard} has ended; restart the process"))
    }

    /// Why a server that serves should get no new clients all the same, if it should not.
    pub fn not_ready(&self) -> Option<String> {
        // This is the embedder's code: a fault in it is a reason, too.
        catch_unwind(AssertUnwindSafe(|| (self.not_ready)()))
            .unwrap_or_else(|_| Some("whether it is ready cannot be told".to_owned()))
    }

    /// The exposition; `None` when rendering it panicked.
    pub(super) fn render_metrics(&self) -> Option<String> {
        // A fault in a figure must not take health down with it. What is rendered is only read.
        catch_unwind(AssertUnwindSafe(|| (self.metrics)())).ok()
    }
}

impl fmt::Debug for AdminView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminView")
            .field("lifecycle", &self.lifecycle())
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_go_one_way() {
        let view = AdminView::new(Arc::default(), String::new);
        assert_eq!(view.lifecycle(), Lifecycle::Starting);
        for (next, expected) in [
            (Lifecycle::Serving, Lifecycle::Serving),
            (Lifecycle::Starting, Lifecycle::Serving),
            (Lifecycle::Draining, Lifecycle::Draining),
            (Lifecycle::Serving, Lifecycle::Draining),
        ] {
            view.advance(next);
            assert_eq!(view.lifecycle(), expected);
        }
    }

    #[test]
    fn the_first_shard_that_ended_is_named() {
        let health = Health::default();
        assert_eq!(health.ended_shard(), None);
        for shard in [0, 7] {
            health.on_shard_ended(ShardId(shard));
            assert_eq!(health.ended_shard(), Some(ShardId(0)));
        }
    }
}
