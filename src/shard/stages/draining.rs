//! Draining, step by step, as its time comes.

use std::time::Instant;

use crate::metrics::Eviction;

use crate::shard::connections::State;
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Whether the drain is complete: no listener, no connection, no call, no child.
    pub fn is_finished(&self) -> bool {
        let is_empty = self.acceptor.is_over() && self.table.open() == 0 && self.calls.is_empty();
        // From here on nobody sends a waiter here; a permit still out is one on its way.
        let is_empty = is_empty && self.children.is_over();
        is_empty && self.acceptor.retire() && self.admission.retire(self.calls.handlers())
    }

    /// Stops accepting and finishes what is in flight; the process ends at `deadline`.
    pub(in crate::shard) fn begin_drain(&mut self, deadline: Instant) {
        let now = self.clock.now();
        if !self.drain.begin(now, deadline) {
            return;
        }
        self.shorten_waits();
        self.end_subscriptions();
        self.fail_all_questions();
        self.refuse_child_questions();
        self.fail_rounds();
        self.drain_channels();
        let deadline = now + self.drain.close_linger();
        for key in self
            .table
            .connections_where(|connection| connection.state == State::Closing)
        {
            self.clock.set_deadline(key, deadline);
        }
    }

    /// Ends at once what a drain would finish: the shard is over when the ring has let go of its sockets. A job on a
    /// worker is told to stop, and given up.
    pub(in crate::shard) fn abort_all(&mut self) {
        self.begin_drain(self.clock.now());
        self.drain.abort();
        self.fail_tasks();
        // An answer on its way gives its handler back itself.
        for handler in self.calls.handlers_where(|call| !call.is_over()) {
            self.cancel_call(handler);
        }
        while let Some((connection, call)) = self.calls.take_shelved(|_| true) {
            self.cancel_shelved(connection, call);
        }
        self.acceptor.stop(&mut self.ring);
        self.abort_entries();
        self.children.abort(self.clock.now());
    }

    /// Aborts everything that is open now. A connection that is taken from the listener's queue after this is aborted
    /// at the next tick.
    fn abort_entries(&mut self) {
        for key in self.table.alive() {
            self.abort(key);
        }
    }

    /// The next step, when its time has come.
    pub(in crate::shard) fn advance_drain(&mut self) {
        let now = self.clock.now();
        let Some(due) = self.drain.due(now) else { return };
        self.drain_children();
        if due.is_aborted {
            return self.abort_entries();
        }
        if due.stops_accepting {
            self.acceptor.stop(&mut self.ring);
        }
        if due.parked_cutoff.is_some() {
            for key in self.table.connections_where(|connection| {
                let cutoff = if connection.is_fresh {
                    due.fresh_cutoff
                } else {
                    due.parked_cutoff
                };
                connection.is_parked()
                    && cutoff.is_some_and(|cutoff| connection.request.phase_began <= cutoff)
            }) {
                self.begin_close(key);
            }
        }
        if due.fails_tasks {
            self.fail_tasks();
        }
        self.close_idle_channels();
        if let Some(grace) = due.incomplete_after {
            // A client that sends slowly does not hold up the end.
            for key in self.table.connections_where(|connection| {
                connection.is_incomplete() && now >= connection.request.began + grace
            }) {
                self.evict(key, Eviction::ReadTimeout);
            }
        }
    }
}
