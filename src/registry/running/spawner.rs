//! What runs futures on other threads than the shards'.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A call's future, on its way to another thread.
pub type SpawnedFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs futures on threads of its own.
pub trait Spawner: Send + Sync + fmt::Debug {
    /// Runs it to its end. It is dropped early if what is returned is dropped, or if the threads end.
    ///
    /// # Errors
    /// Why there are no such threads, for the log.
    fn spawn(&self, future: SpawnedFuture) -> Result<AbortOnDrop, String>;

    /// Drops what still runs, if these threads are its own, and waits so long for those that tool code blocks.
    fn shut_down(&self, _patience: Duration) {}
}

/// A future on another thread, which is dropped soon after this.
#[must_use = "what is dropped ends the future"]
pub struct AbortOnDrop(Option<Box<dyn FnOnce() + Send>>);

impl AbortOnDrop {
    /// Calls `abort` when it is dropped.
    pub fn new(abort: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(abort)))
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(abort) = self.0.take() {
            abort();
        }
    }
}

/// There are no other threads: this program was built without them.
#[cfg(any(test, feature = "internals", not(feature = "tokio")))]
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSpawner;

#[cfg(any(test, feature = "internals", not(feature = "tokio")))]
impl Spawner for NoSpawner {
    fn spawn(&self, _: SpawnedFuture) -> Result<AbortOnDrop, String> {
        Err("there is no runtime to spawn this on".to_owned())
    }
}
