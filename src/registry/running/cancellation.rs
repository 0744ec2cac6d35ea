//! The request to a blocking call to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Asks a blocking call to stop. It crosses threads: the shard keeps one end, the worker reads the other.
#[derive(Debug, Clone, Default)]
pub struct Cancellation(Arc<AtomicBool>);

impl Cancellation {
    /// A call that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the call to stop, irrevocably.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the call was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        // Relaxed is enough: the flag publishes nothing but itself.
        self.0.load(Ordering::Relaxed)
    }
}
