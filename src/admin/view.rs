//! What the admin listener shows, as whoever runs the server keeps it up to date.
//!
//! Atomics and one function; nothing in here waits for a shard. The states go one way:
//!
//! ```text
//! Starting ──► Serving ──► Draining
//!     └───────────────────────▲
//! ```

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Where the server is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Lifecycle {
    /// Not every shard listens yet.
    Starting,
    /// Every shard listens.
    Serving,
    /// Nothing new is accepted; what is in flight finishes.
    Draining,
}

impl Lifecycle {
    /// In one word.
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

/// What the listener shows.
pub struct AdminView {
    lifecycle: AtomicU8,
    is_well: AtomicBool,
    metrics: Box<dyn Fn() -> String + Send + Sync>,
}

impl AdminView {
    /// A server that is starting and well. `metrics` renders the exposition; it is called on the admin thread, for
    /// each scrape, and must not wait for a shard.
    pub fn new(metrics: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self {
            lifecycle: AtomicU8::new(Lifecycle::Starting as u8),
            is_well: AtomicBool::new(true),
            metrics: Box::new(metrics),
        }
    }

    /// Where the server is.
    pub fn lifecycle(&self) -> Lifecycle {
        Lifecycle::from_number(self.lifecycle.load(Ordering::Acquire))
    }

    /// The server has come to `state`; a state it has left already is ignored.
    pub fn advance(&self, state: Lifecycle) {
        self.lifecycle.fetch_max(state as u8, Ordering::AcqRel);
    }

    /// Whether the process can still do its work.
    pub fn is_well(&self) -> bool {
        self.is_well.load(Ordering::Acquire)
    }

    /// Something has ended that cannot be mended without a restart, such as a shard's thread.
    pub fn mark_unwell(&self) {
        self.is_well.store(false, Ordering::Release);
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
            .field("is_well", &self.is_well())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_go_one_way() {
        let view = AdminView::new(String::new);
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
}
