//! Signals that tell a server to stop, taken one after the other; and word that it ended by itself.
//!
//! A thread of its own waits for them, so that none interrupts a system call of anybody else. Says what came, and does
//! nothing about it.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{self, Handle};

/// Signals that no longer do what they did before, until this is dropped; from then on they do nothing.
pub(super) struct Signals {
    came: Receiver<Option<i32>>,
    to: Sender<Option<i32>>,
    handle: Handle,
}

/// Ends a wait for signals early when it is dropped, on whichever thread.
pub(super) struct Waking(Sender<Option<i32>>);

impl Drop for Waking {
    fn drop(&mut self) {
        // Nobody waits any more.
        let _ = self.0.send(None);
    }
}

impl Signals {
    pub(super) fn listen(signals: &[i32]) -> io::Result<Signals> {
        let mut signals = iterator::Signals::new(signals)?;
        let handle = signals.handle();
        let (to, came) = mpsc::channel();
        let sender = to.clone();
        thread::Builder::new()
            .name("weir-signals".to_owned())
            .spawn(move || {
                for signal in signals.forever() {
                    if sender.send(Some(signal)).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Signals { came, to, handle })
    }

    /// What ends the wait for the next signal when it goes.
    pub(super) fn waking(&self) -> Waking {
        Waking(self.to.clone())
    }

    /// The next one, if it comes in time and nobody ends the wait.
    pub(super) fn next(&self, patience: Duration) -> Option<i32> {
        self.came.recv_timeout(patience).ok().flatten()
    }

    /// Whether one of those that came by now says to stop; the others are passed over.
    pub(super) fn is_stop_waiting(&self) -> bool {
        self.came.try_iter().flatten().any(is_stop)
    }

    /// Whether the next one comes in time and says to stop.
    pub(super) fn is_stop_within(&self, patience: Duration) -> bool {
        self.next(patience).is_some_and(is_stop)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.handle.close();
    }
}

fn is_stop(signal: i32) -> bool {
    matches!(signal, SIGTERM | SIGINT)
}
