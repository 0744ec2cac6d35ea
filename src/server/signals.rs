//! Signals that tell a server to stop, taken one after the other, and the news that it ended by itself.
//!
//! A thread of its own waits for them, so that none interrupts a system call of another. It reports what came, and does
//! nothing about it. SIGHUP, which would end the process, is ignored with a line in the log: there is nothing to
//! reload. A process is often told to stop twice at once, directly and through its process group: a signal within a
//! moment of the first counts as the first.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{self, Handle};

/// Time from the first signal that tells to stop; a signal that comes sooner is not meant as a second one. No person
/// presses Ctrl-C twice as quickly; `timeout`, shells and supervisors that signal a group do.
const ECHO_TIME: Duration = Duration::from_millis(250);

/// Signals that no longer have their old effect, until this is dropped; from then on they have none.
pub(crate) struct Signals {
    came: Receiver<Option<i32>>,
    to: Sender<Option<i32>>,
    handle: Handle,
}

/// Ends a wait for signals early when it is dropped, on any thread.
pub(crate) struct WakeOnDrop(Sender<Option<i32>>);

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        // Nobody waits any more.
        let _ = self.0.send(None);
    }
}

impl Signals {
    /// Takes over these signals, and SIGHUP.
    pub(crate) fn listen(signals: &[i32]) -> io::Result<Signals> {
        let mut signals = iterator::Signals::new(signals.iter().chain([&SIGHUP]))?;
        let handle = signals.handle();
        let (to, came) = mpsc::channel();
        let sender = to.clone();
        thread::Builder::new()
            .name("weir-signals".to_owned())
            .spawn(move || {
                let mut filter = Filter::default();
                for signal in signals.forever() {
                    if filter.passes(signal, Instant::now()) && sender.send(Some(signal)).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Signals { came, to, handle })
    }

    /// A value whose drop ends the wait for the next signal.
    pub(crate) fn wake_on_drop(&self) -> WakeOnDrop {
        WakeOnDrop(self.to.clone())
    }

    /// The next signal, if it comes in time and nobody ends the wait.
    pub(crate) fn next(&self, patience: Duration) -> Option<i32> {
        self.came.recv_timeout(patience).ok().flatten()
    }

    /// Whether a signal that came by now tells to stop; other signals are kept for later.
    pub(crate) fn is_stop_waiting(&self) -> bool {
        let came: Vec<i32> = self.came.try_iter().flatten().collect();
        if came.iter().copied().any(is_stop) {
            return true;
        }
        for signal in came {
            // This end of the channel is held here, so the other one exists.
            let _ = self.to.send(Some(signal));
        }
        false
    }

    /// Whether the next signal comes in time and tells to stop.
    pub(crate) fn is_stop_within(&self, patience: Duration) -> bool {
        self.next(patience).is_some_and(is_stop)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.handle.close();
    }
}

/// Decides which signals are reported.
#[derive(Default)]
struct Filter {
    first_stop: Option<Instant>,
}

impl Filter {
    fn passes(&mut self, signal: i32, now: Instant) -> bool {
        if signal == SIGHUP {
            tracing::info!("SIGHUP is ignored: settings are read at start, and change with a restart");
            return false;
        }
        if !is_stop(signal) {
            return true;
        }
        match self.first_stop {
            Some(first) => now.saturating_duration_since(first) >= ECHO_TIME,
            None => {
                self.first_stop = Some(now);
                true
            }
        }
    }
}

fn is_stop(signal: i32) -> bool {
    matches!(signal, SIGTERM | SIGINT)
}

#[cfg(test)]
mod tests {
    use signal_hook::consts::SIGUSR1;

    use super::*;

    #[test]
    fn a_stop_soon_after_the_first_is_the_first_one_again() {
        let start = Instant::now();
        let mut filter = Filter::default();
        for (millis, signal, passes) in [
            (0, SIGUSR1, true),
            (1_000, SIGHUP, false),
            (2_000, SIGTERM, true),
            (2_001, SIGTERM, false),
            (2_001, SIGINT, false),
            (2_100, SIGUSR1, true),
            (2_100, SIGHUP, false),
            // The time counts from the first, not from the one before.
            (2_249, SIGINT, false),
            (2_250, SIGINT, true),
            (2_251, SIGTERM, true),
        ] {
            let now = start + Duration::from_millis(millis);
            assert_eq!(
                filter.passes(signal, now),
                passes,
                "signal {signal} at {millis} ms"
            );
        }
    }
}
