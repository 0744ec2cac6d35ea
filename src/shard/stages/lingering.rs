//! Handlers that stay with their connection between two requests.
//!
//! | `--linger` | a handler is held | and given up |
//! |---|---|---|
//! | `0s` | while it works | with the answer |
//! | finite | and a moment longer | when that is over, or when others need it: the connection stays open |
//! | `forever` | from a connection's first byte | when it ends, or is silent for the read timeout |
//!
//! A handler that lingers for a moment has no permit: it counts as free, and whoever is given a permit when no
//! handler is idle takes the one that has lingered longest. One held for ever keeps its permit.

use crate::config::Linger;
use crate::metrics::HandlerState;
use crate::pool::HandlerKey;
use crate::ring::ConnectionKey;

use crate::shard::connections::State;
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Bytes of an open connection: where handlers are held for ever, it gets one now if one is free.
    pub(in crate::shard) fn hold_from_first_byte(&mut self, key: ConnectionKey) {
        if self.service.queue.linger != Linger::Forever || self.admission.has_waiters() {
            return;
        }
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        if connection.held.is_some() || !self.admission.try_take_permit() {
            return;
        }
        connection.held = self.calls.hold(key, self.clock.now());
        debug_assert!(connection.held.is_some(), "a permit was free, but no handler");
        self.metrics
            .on_handler(HandlerState::Idle, HandlerState::Lingering);
    }

    /// A call's answer is on its way and its connection goes on: its handler may stay.
    pub(in crate::shard) fn finish_lease(&mut self, handler: HandlerKey) {
        match self.service.queue.linger {
            _ if self.calls.is_without_handler(handler) => self.end_lease(handler),
            Linger::None => self.end_lease(handler),
            Linger::For(_) if self.admission.has_waiters() => self.end_lease(handler),
            Linger::For(_) | Linger::Forever => self.begin_linger(handler),
        }
    }

    fn begin_linger(&mut self, handler: HandlerKey) {
        let holder = self.calls.holder(handler);
        let is_alive = |key: &ConnectionKey| {
            let connection = self.table.connection(*key);
            connection.is_some_and(|connection| connection.state != State::Dead)
        };
        let Some(key) = holder.filter(is_alive) else {
            return self.end_lease(handler);
        };
        self.end_call(handler);
        let Some(held) = self.calls.linger(handler, self.clock.now()) else {
            return;
        };
        if let Some(connection) = self.table.connection(key) {
            connection.held = Some(held);
        }
        self.metrics
            .on_handler(HandlerState::Busy, HandlerState::Lingering);
        if self.service.queue.linger != Linger::Forever {
            self.admission.release_permit(self.clock.now());
        }
    }

    /// A connection gives up the handler it holds between requests, if it holds one.
    pub(in crate::shard) fn end_hold(&mut self, key: ConnectionKey) {
        let Some(held) = self
            .table
            .connection(key)
            .and_then(|connection| connection.held.take())
        else {
            return;
        };
        if self.calls.release(held) {
            self.metrics
                .on_handler(HandlerState::Lingering, HandlerState::Idle);
        }
        if self.service.queue.linger == Linger::Forever {
            self.admission.release_permit(self.clock.now());
        }
    }

    /// A permit is in hand and no handler idle: then one lingers, and is taken back.
    pub(in crate::shard) fn cut_longest_linger(&mut self) {
        if let Some((holder, _)) = self.calls.longest_lingering() {
            self.metrics.linger_cuts.increment();
            self.end_hold(holder);
        }
    }

    /// Whether lingers are to end in time.
    pub(in crate::shard) fn is_cutting_lingers(&self) -> bool {
        matches!(self.service.queue.linger, Linger::For(_)) && self.calls.longest_lingering().is_some()
    }

    /// Ends the lingers whose time is over. All are as long, so the longest is always the first to end.
    pub(in crate::shard) fn expire_lingers(&mut self) {
        let Linger::For(linger) = self.service.queue.linger else {
            return;
        };
        while let Some((holder, since)) = self.calls.longest_lingering()
            && since + linger <= self.clock.now()
        {
            self.end_hold(holder);
        }
    }
}
