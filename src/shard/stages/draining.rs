//! Draining, step by step, as its time comes.

use std::time::{Duration, Instant};

use crate::metrics::Eviction;

use crate::shard::connections::{Connection, State};
use crate::shard::drain::{CLOSE_LINGER, CLOSE_LINGER_DRAINING, Drain};
use crate::shard::{Shard, ShardRing};

/// From keeping new SYNs away to closing the listener: handshakes on their way complete in this time.
const LISTENER_GRACE: Duration = Duration::from_millis(60);
/// How long a connection that never sent a byte may still send its first request.
const FRESH_GRACE: Duration = Duration::from_millis(250);
/// How long a request that is not there yet may still take: this, or a quarter of the whole time if that is less.
const INCOMPLETE_GRACE: Duration = Duration::from_secs(1);
impl<R: ShardRing> Shard<R> {
    /// Whether the shard is on its way out.
    pub fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Whether the drain is complete: no listener, no connection, no call.
    pub fn is_finished(&self) -> bool {
        let is_empty = self.acceptor.is_over()
            && self.table.open() == 0
            && self.calls.pool.idle() == self.calls.pool.size();
        let is_empty = is_empty && self.calls.askers.is_shelf_empty();
        // From here on nobody sends a waiter here; a permit still out is one on its way.
        is_empty && self.admission.retire(self.calls.pool.size())
    }

    /// When those who still wait are told that nothing comes of it any more.
    pub(in crate::shard) fn drain_cutoff(&self) -> Option<Instant> {
        self.drain.map(|drain| drain.cutoff())
    }

    /// Until when a channel may stay for a task or its result: what then still runs has failed at the cutoff, and its
    /// client has heard so.
    pub(in crate::shard) fn result_cutoff(&self) -> Option<Instant> {
        self.drain.map(|drain| drain.result_cutoff())
    }

    /// Stops accepting and finishes what is in flight; the process ends at `deadline`.
    pub(in crate::shard) fn begin_drain(&mut self, deadline: Instant) {
        if self.drain.is_some() {
            return;
        }
        self.drain = Some(Drain {
            began: self.clock.now,
            deadline,
            is_aborted: false,
        });
        self.shorten_waits();
        self.end_subscriptions();
        self.fail_all_questions();
        self.drain_channels();
        for key in self
            .table
            .connections_where(|connection| connection.is_parked() && !connection.is_fresh)
        {
            self.begin_close(key);
        }
        let deadline = self.clock.now + CLOSE_LINGER_DRAINING;
        for key in self
            .table
            .connections_where(|connection| connection.state == State::Closing)
        {
            self.set_deadline(key, deadline);
        }
    }

    /// Ends at once what a drain would finish: the shard is over when the ring has let go of its sockets. A job on a
    /// worker is told to stop, and given up.
    pub(in crate::shard) fn abort_all(&mut self) {
        self.begin_drain(self.clock.now);
        if let Some(drain) = &mut self.drain {
            drain.is_aborted = true;
        }
        self.fail_tasks();
        // An answer on its way gives its handler back itself.
        for handler in self.calls.handlers_where(|call| !call.is_over()) {
            self.cancel_call(handler);
        }
        while let Some((connection, call)) = self.calls.askers.take_shelved(|_| true) {
            self.cancel_shelved(connection, call);
        }
        self.stop_accept();
        self.abort_entries();
    }

    /// Whoever is still taken from the listener's queue after this meets it at the next tick.
    fn abort_entries(&mut self) {
        for key in self.table.alive() {
            self.abort(key);
        }
    }

    /// The next step, when its time has come.
    pub(in crate::shard) fn advance_drain(&mut self) {
        let Some(drain) = self.drain else { return };
        if drain.is_aborted {
            return self.abort_entries();
        }
        let now = self.clock.now;
        let age = now.saturating_duration_since(drain.began);
        if age >= LISTENER_GRACE {
            self.stop_accept();
        }
        if age >= FRESH_GRACE {
            // Who is only now taken from the listener's queue has its time, too.
            let is_over = |connection: &Connection<R::Socket>| {
                let age = now.saturating_duration_since(connection.request.phase_began);
                connection.is_parked() && (!connection.is_fresh || age >= FRESH_GRACE)
            };
            for key in self.table.connections_where(is_over) {
                self.begin_close(key);
            }
        }
        if self.drain_cutoff().is_some_and(|cutoff| now >= cutoff) {
            self.fail_tasks();
        }
        self.close_idle_channels();
        let grace = INCOMPLETE_GRACE.min(drain.time() / 4);
        if age >= grace {
            // Whoever sends slowly does not hold up the end.
            let is_incomplete = |connection: &Connection<R::Socket>| {
                let is_amid = connection.state == State::Open && connection.request.assembly.is_some();
                let is_amid = is_amid && connection.channel.is_none();
                is_amid && !connection.ring.is_sending && now >= connection.request.began + grace
            };
            for key in self.table.connections_where(is_incomplete) {
                self.evict(key, Eviction::ReadTimeout);
            }
        }
    }

    /// How long a half-closed connection waits for its peer.
    pub(in crate::shard) fn close_linger(&self) -> Duration {
        if self.is_draining() {
            CLOSE_LINGER_DRAINING
        } else {
            CLOSE_LINGER
        }
    }
}
