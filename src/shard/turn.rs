//! One turn of a shard: completions, events and ticks, and the order in which they are handled.

use crate::metrics::ShardHistograms;
use crate::ring::Completion;
use std::io;

use super::acceptor::AcceptEvent;
use super::{Shard, ShardRing};

/// A deadline this near makes a shard busy: the idle tick would be late for it.
const BUSY_HORIZON_TICKS: u64 = 10;

impl<R: ShardRing> Shard<R> {
    /// Takes the time, once for all that is handled in one pass.
    pub fn begin_pass(&mut self) {
        self.clock.begin_pass();
        self.metrics.passes.increment();
    }

    /// Begins what was queued and collects what is done.
    ///
    /// # Errors
    /// What makes the ring unusable.
    pub fn flush(&mut self) -> io::Result<()> {
        self.begin_flush();
        self.ring.flush()
    }

    /// Does the same, but may leave receives to the call with which the shard is about to wait.
    ///
    /// # Errors
    /// What makes the ring unusable.
    pub fn flush_before_wait(&mut self) -> io::Result<()> {
        self.begin_flush();
        self.ring.flush_before_wait()
    }

    fn begin_flush(&mut self) {
        self.flush_children();
        self.intake.rearm_starved(&mut self.table, &mut self.ring);
        if self.writer.has_pieces() {
            self.send_pieces();
        }
        self.writer.on_flush();
    }

    /// Handles up to `max` completions, fewer once one of them has started a call; returns how many. While no handler
    /// is free and some are about to be, no further request is decoded.
    pub fn handle_completions(&mut self, max: usize) -> usize {
        let mut handled = 0;
        while handled < max && !self.calls.has_started() && self.handle_next() {
            handled += 1;
            self.clock.on_activity();
            self.serve_waiters();
        }
        handled
    }

    /// Handles what is next; false if there is nothing. What frees something goes before what asks for it.
    fn handle_next(&mut self) -> bool {
        self.send_queued();
        let has_handler = self.admission.has_free_handler();
        if !has_handler && self.inbox.has_events() {
            // Calls that have ended on workers, perhaps.
            self.handle_events();
        } else if !has_handler && self.calls.has_fresh() {
            // Their tasks come first; what asks for nothing does not wait for that.
            let Some(early) = self.ring.next_early() else {
                return false;
            };
            self.handle(early);
        } else if let Some(channel) = self.next_interrupted() {
            self.resume_channel(channel);
        } else if let Some(completion) = self.ring.next_completion() {
            self.handle(completion);
        } else {
            if !self.ring.has_more() && !self.intake.has_starved() {
                self.intake.on_caught_up(self.clock.now());
            }
            return false;
        }
        self.clock.on_unmeasured();
        true
    }

    /// Once so many sends are queued, begins them and takes their buffers back.
    pub(super) fn send_queued(&mut self) {
        if !self.writer.is_full() {
            return;
        }
        // A ring that is broken is so at the pump's next flush, too.
        let _ = self.flush();
        self.clock.on_unmeasured();
        while let Some(early) = self.ring.next_early() {
            self.handle(early);
        }
    }

    /// Whether there may be requests that are not decoded before tasks have run.
    pub fn awaits_tasks(&self) -> bool {
        self.calls.has_fresh() && (self.channels.has_interrupted() || !self.admission.has_free_handler())
    }

    /// Whether the next flush sends more of what large answers have left.
    pub fn has_pieces(&self) -> bool {
        self.writer.has_pieces()
    }

    fn handle(&mut self, completion: Completion) {
        match completion {
            Completion::AcceptReady => self.handle_accept(&AcceptEvent::Ready),
            Completion::AcceptFailed { error } => self.handle_accept(&AcceptEvent::Failed(&error)),
            Completion::AcceptStopped => self.handle_accept(&AcceptEvent::Stopped),
            Completion::Received { key, outcome } => self.handle_received(key, outcome),
            Completion::Filled { key, buffer, result } => self.handle_filled(key, buffer, result),
            Completion::Sent { key, buffer, result } => self.handle_sent(key, buffer, result),
            Completion::HungUp { key, outcome } => self.handle_hang_up(key, &outcome),
            Completion::Closed { key } => self.handle_closed(key),
            Completion::Cancelled { key, .. } => self.handle_cancelled(key),
            Completion::Woken => {
                self.ring.arm_wake();
                self.handle_events();
            }
        }
    }

    /// What time brings: deadlines, the drain's next step, the date, the gauges.
    pub fn handle_tick(&mut self) {
        self.clock.begin_tick();
        self.writer.refresh_date(self.clock.unix_now().0);
        self.expire();
        self.expire_lingers();
        self.admission.take_back(self.clock.now());
        self.serve_waiters();
        self.offer_waiters();
        self.tick_children();
        self.advance_drain();
        self.handle_accept(&AcceptEvent::Tick);
        self.log().left_out();
        if self.intake.release_unneeded(self.clock.now()) {
            self.writer.release_unneeded();
            self.ring.release_unneeded();
        }
        let counters = self.ring.counters();
        self.metrics.ring_buffers_free.set(counters.buffers_free as u64);
        let oldest_wait = self.admission.oldest_wait(self.clock.now());
        self.metrics.on_oldest_wait(oldest_wait);
    }

    /// Whether anything is in progress, so that time matters in ticks rather than tenths of a second. Traffic
    /// counts: a sleep that the executor should not have begun then ends with the next short tick.
    pub fn is_busy(&self) -> bool {
        self.clock.is_active()
            || self.metrics.in_flight.value() > 0
            || self.is_cutting_lingers()
            || self.drain.is_begun()
            || self.acceptor.is_paused()
            || self.clock.is_due_within(BUSY_HORIZON_TICKS)
    }

    /// The shard's latencies so far.
    pub fn histograms(&self) -> &ShardHistograms {
        self.metrics.histograms()
    }
}
