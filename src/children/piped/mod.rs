//! A child with its pipes on a shard's data ring.
//!
//! Each of the three pipes is an entry of its own in the ring: so stdout and stderr are read while a write waits,
//! however full the pipes are, and each can be closed by itself. Closing stdin is how a child is asked to end.
//!
//! The shard hands in the completions that bear the pipes' keys, and calls [`PipedChild::flush`] once a pass: then
//! what was gathered in the pass goes out in one write, and what found no ring buffer is read again.

mod pipes;

#[cfg(test)]
mod tests;

use std::io;
use std::time::Instant;

use crate::children::child::{Abandoned, Child, ChildEvent, ErrorLine};
use crate::ring::{ConnectionKey, DataRing, Received};

use pipes::Pipes;
pub use pipes::{PipeEnd, PipeKeys, PipeSockets};

/// A child and its pipes.
#[derive(Debug)]
pub struct PipedChild<C, S> {
    child: Child<C>,
    pipes: Pipes<S>,
}

impl<C, S> PipedChild<C, S> {
    /// Begins to talk to a child whose process was just started.
    pub fn new(child: Child<C>, sockets: PipeSockets<S>, keys: PipeKeys) -> PipedChild<C, S> {
        PipedChild {
            child,
            pipes: Pipes::new(sockets, keys),
        }
    }

    /// The child itself.
    pub fn child(&self) -> &Child<C> {
        &self.child
    }

    /// The same, to give it calls and the time.
    pub fn child_mut(&mut self) -> &mut Child<C> {
        &mut self.child
    }

    /// Closes what is to be closed, arms what is to be read, and writes what was gathered.
    pub fn flush<R: DataRing<Socket = S>>(&mut self, ring: &mut R) {
        self.pipes.flush(ring);
        if self.pipes.can_write()
            && let Some(write) = self.child.next_write()
        {
            self.pipes.write(ring, write);
        }
    }

    /// A receive on one of its pipes is over.
    pub fn on_received(
        &mut self,
        key: ConnectionKey,
        outcome: Received,
        now: Instant,
        tell: impl FnMut(ChildEvent<'_, C>),
        log: impl FnMut(ErrorLine<'_>),
    ) {
        let Some(end) = self.pipes.end_of(key) else {
            return;
        };
        self.pipes.on_over(end);
        match outcome {
            Received::Bytes(bytes) => match end {
                PipeEnd::Output => self.child.on_output(&bytes, now, tell),
                PipeEnd::Errors => self.child.on_error_output(&bytes, now, log),
                PipeEnd::Input => {}
            },
            // The next flush tries again.
            Received::Starved | Received::Cancelled => {}
            Received::End | Received::Failed(_) => {
                self.pipes.close(end);
                match end {
                    PipeEnd::Output => self.child.on_output_end(now, tell),
                    PipeEnd::Errors => self.child.on_error_output_end(now, log),
                    PipeEnd::Input => {}
                }
            }
        }
    }

    /// A write to its stdin is over.
    pub fn on_sent(
        &mut self,
        buffer: Vec<u8>,
        result: io::Result<usize>,
        now: Instant,
        tell: impl FnMut(ChildEvent<'_, C>),
    ) {
        self.child.on_written(buffer, result, now, tell);
        self.pipes.on_over(PipeEnd::Input);
    }

    /// One of its pipes is closed.
    pub fn on_closed(&mut self, key: ConnectionKey) {
        self.pipes.on_closed(key);
    }

    /// Closes its stdin, which asks it to end. What it says is still read.
    pub fn close_input(&mut self) {
        self.pipes.close(PipeEnd::Input);
    }

    /// Closes all its pipes: nothing that it says is of interest any more.
    pub fn close(&mut self) {
        for end in PipeEnd::ALL {
            self.pipes.close(end);
        }
    }

    /// Whether its pipes are closed and nothing of it is with the ring: its keys may be used again.
    pub fn is_closed(&self) -> bool {
        self.pipes.is_closed()
    }

    /// Takes its calls from it; `None` as long as the ring may still write one of them.
    pub fn abandon(&mut self) -> Option<Vec<Abandoned<C>>> {
        self.pipes.is_input_over().then(|| self.child.abandon())
    }
}
