//! Waiting for conditions that can be observed.

use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine; only a failing test waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The time between two checks.
const LOOK_INTERVAL: Duration = Duration::from_millis(3);

/// Checks until `is_so`, and panics with `what` when the time is over.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    eventually_some(what, || is_so().then_some(()));
}

/// Checks until there is a value.
#[track_caller]
pub(crate) fn eventually_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not after {PATIENCE:?}");
        std::thread::sleep(LOOK_INTERVAL);
    }
}
