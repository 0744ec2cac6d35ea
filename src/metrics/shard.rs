//! What one shard counts, where the scraper can read it.
//!
//! Written by the shard's thread alone, read by any; see `counter` for what that costs and what it does not promise.
//! Latency percentiles are elsewhere (`histogram`). Invariant: a cell says what its name says and nothing is counted in
//! two of them; sums over shards are made by the reader.

use std::sync::Arc;
use std::time::Duration;

use super::counter::{Counter, Counts, Family, Gauge};
use super::duration::{Operation, OperationDurations};
use super::labels::{
    Era, Eviction, HandlerState, HttpRefusal, Outcome, OverloadReason, RequestClass, ToolLabels, WaitEnd,
};
use crate::units::ShardId;

type Counters<E, const N: usize> = Family<E, Counter, N>;

/// One shard's counters. Aligned so that no two shards' cells share a cache line or an adjacent-line prefetch.
#[derive(Debug)]
#[repr(align(128))]
pub struct ShardMetrics {
    /// Whose numbers these are.
    pub shard: ShardId,
    /// Requests (and notifications) decoded, by era, then class; see [`ShardMetrics::on_request`].
    requests: Family<Era, Counters<RequestClass, { RequestClass::COUNT }>, { Era::COUNT }>,
    /// Operations ended, by outcome; see [`ShardMetrics::on_operation`].
    outcomes: Counters<Outcome, { Outcome::COUNT }>,
    durations: OperationDurations,
    /// Requests decoded whose answer is not yet with the kernel.
    pub in_flight: Gauge,
    /// Work refused with the overload answer.
    pub refusals: Counters<OverloadReason, { OverloadReason::COUNT }>,
    /// Requests refused by HTTP status, the overload answer's 503 not included.
    pub http_refusals: Counters<HttpRefusal, { HttpRefusal::COUNT }>,
    /// Connections given up.
    pub evictions: Counters<Eviction, { Eviction::COUNT }>,
    /// Connections accepted here.
    pub connections_accepted: Counter,
    /// Connections closed here, by whichever side.
    pub connections_closed: Counter,
    /// Connections that live here now.
    pub connections_open: Gauge,
    /// Failed accepts.
    pub accept_failures: Counter,
    /// Bytes received on connections.
    pub received_bytes: Counter,
    /// Bytes sent on connections.
    pub sent_bytes: Counter,
    /// Handlers by state.
    pub handlers: Family<HandlerState, Gauge, { HandlerState::COUNT }>,
    /// Handlers there are.
    pub pool_size: Gauge,
    /// Most handlers leased at one time.
    pub pool_high_water: Gauge,
    /// TEMP
    pub queue_depth: Gauge,
    /// TEMP
    pub steals_in: Counter,
    /// TEMP
    pub steals_out: Counter,
    /// TEMP
    pub queued: Counter,
    /// TEMP
    pub linger_cuts: Counter,
    /// TEMP
    pub wait_ends: Counters<WaitEnd, { WaitEnd::COUNT }>,
    /// Ring buffers there are.
    pub ring_buffers: Gauge,
    /// Ring buffers the kernel has to fill.
    pub ring_buffers_free: Gauge,
    /// Receives that found no ring buffer.
    pub ring_starved: Counter,
    /// Tools that panicked on this shard.
    pub panics: Counter,
    /// Passes over the ring: what the watchdog takes for progress.
    pub passes: Counter,
    /// Times the shard had work and made no progress for longer than the watchdog allows.
    pub stalls: Counter,
}

impl ShardMetrics {
    /// Cells for a shard that serves these tools, all zero.
    pub fn new(shard: ShardId, tools: &ToolLabels) -> Arc<Self> {
        Arc::new(Self {
            shard,
            requests: Family::default(),
            outcomes: Family::default(),
            durations: OperationDurations::new(tools),
            in_flight: Gauge::default(),
            refusals: Family::default(),
            http_refusals: Family::default(),
            evictions: Family::default(),
            connections_accepted: Counter::default(),
            connections_closed: Counter::default(),
            connections_open: Gauge::default(),
            accept_failures: Counter::default(),
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
            handlers: Family::default(),
            pool_size: Gauge::default(),
            pool_high_water: Gauge::default(),
            queue_depth: Gauge::default(),
            steals_in: Counter::default(),
            steals_out: Counter::default(),
            queued: Counter::default(),
            linger_cuts: Counter::default(),
            wait_ends: Family::default(),
            ring_buffers: Gauge::default(),
            ring_buffers_free: Gauge::default(),
            ring_starved: Counter::default(),
            panics: Counter::default(),
            passes: Counter::default(),
            stalls: Counter::default(),
        })
    }

    /// A request or notification was decoded.
    #[inline]
    pub fn on_request(&self, era: Era, class: RequestClass) {
        self.requests.of(era).increment(class);
    }

    /// An operation ended. Allocates the first time this operation ends in this outcome, never again.
    #[inline]
    pub fn on_operation(&self, operation: Operation, outcome: Outcome, elapsed: Duration) {
        self.outcomes.increment(outcome);
        self.durations.record(operation, outcome, elapsed);
    }

    /// A connection was accepted.
    #[inline]
    pub fn on_accepted(&self) {
        self.connections_accepted.increment();
        self.connections_open.up();
    }

    /// A connection was closed.
    #[inline]
    pub fn on_closed(&self) {
        self.connections_closed.increment();
        self.connections_open.down();
    }

    /// A handler went from one state to another.
    #[inline]
    pub fn on_handler(&self, from: HandlerState, to: HandlerState) {
        self.handlers.of(from).down();
        self.handlers.of(to).up();
        let leased =
            self.handlers.of(HandlerState::Busy).value() + self.handlers.of(HandlerState::Lingering).value();
        self.pool_high_water.raise_to(leased);
    }

    /// TEMP
    pub fn on_queue(&self, _depth_max: u32) {}
    /// TEMP
    pub fn on_queued(&self) {
        self.queue_depth.up();
        self.queued.increment();
    }
    /// TEMP
    pub fn on_wait_ended(&self, end: WaitEnd, _waited: Duration) {
        self.queue_depth.down();
        self.wait_ends.increment(end);
        if end == WaitEnd::Stolen {
            self.steals_out.increment();
        }
    }
    /// TEMP
    pub fn on_stolen_in(&self, _waited: Duration) {
        self.steals_in.increment();
    }
    /// The pool was made: all its handlers are idle.
    pub fn on_pool(&self, handlers: u32) {
        self.pool_size.set(handlers.into());
        self.handlers.of(HandlerState::Idle).set(handlers.into());
    }

    /// Durations of operations.
    pub fn durations(&self) -> &OperationDurations {
        &self.durations
    }

    /// The numbers now. Not of one instant: the shard goes on while they are read.
    pub fn snapshot(&self) -> ShardSnapshot {
        ShardSnapshot {
            requests: Era::ALL
                .iter()
                .map(|&era| (era, self.requests.of(era).values()))
                .collect(),
            outcomes: self.outcomes.values(),
            in_flight: self.in_flight.value(),
            refusals: self.refusals.values(),
            http_refusals: self.http_refusals.values(),
            evictions: self.evictions.values(),
            connections_accepted: self.connections_accepted.value(),
            connections_closed: self.connections_closed.value(),
            connections_open: self.connections_open.value(),
            accept_failures: self.accept_failures.value(),
            received_bytes: self.received_bytes.value(),
            sent_bytes: self.sent_bytes.value(),
            handlers: self.handlers.values(),
            pool_size: self.pool_size.value(),
            pool_high_water: self.pool_high_water.value(),
            ring_buffers: self.ring_buffers.value(),
            ring_buffers_free: self.ring_buffers_free.value(),
            ring_starved: self.ring_starved.value(),
            panics: self.panics.value(),
            stalls: self.stalls.value(),
        }
    }
}

/// A shard's numbers at one moment, or several shards' together. The fields are those of [`ShardMetrics`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented once, on the cells they are read from")]
pub struct ShardSnapshot {
    pub requests: Vec<(Era, Counts<RequestClass, { RequestClass::COUNT }>)>,
    pub outcomes: Counts<Outcome, { Outcome::COUNT }>,
    pub in_flight: u64,
    pub refusals: Counts<OverloadReason, { OverloadReason::COUNT }>,
    pub http_refusals: Counts<HttpRefusal, { HttpRefusal::COUNT }>,
    pub evictions: Counts<Eviction, { Eviction::COUNT }>,
    pub connections_accepted: u64,
    pub connections_closed: u64,
    pub connections_open: u64,
    pub accept_failures: u64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    pub handlers: Counts<HandlerState, { HandlerState::COUNT }>,
    pub pool_size: u64,
    pub pool_high_water: u64,
    pub ring_buffers: u64,
    pub ring_buffers_free: u64,
    pub ring_starved: u64,
    pub panics: u64,
    pub stalls: u64,
}

impl Default for ShardSnapshot {
    fn default() -> Self {
        ShardMetrics::new(ShardId(0), &ToolLabels::new([], 0)).snapshot()
    }
}

impl ShardSnapshot {
    /// Requests of every era and class.
    pub fn requests_total(&self) -> u64 {
        self.requests.iter().map(|(_, classes)| classes.total()).sum()
    }

    /// Requests of one class, of every era.
    pub fn requests_of(&self, class: RequestClass) -> u64 {
        self.requests.iter().map(|(_, classes)| classes.of(class)).sum()
    }

    /// Handlers leased now.
    pub fn handlers_leased(&self) -> u64 {
        self.handlers.total() - self.handlers.of(HandlerState::Idle)
    }

    /// Adds another shard's numbers. The high-water marks are added too: an upper bound of the process's own.
    pub fn merge(&mut self, other: &Self) {
        for ((_, own), (_, theirs)) in self.requests.iter_mut().zip(&other.requests) {
            own.merge(theirs);
        }
        self.outcomes.merge(&other.outcomes);
        self.in_flight += other.in_flight;
        self.refusals.merge(&other.refusals);
        self.http_refusals.merge(&other.http_refusals);
        self.evictions.merge(&other.evictions);
        self.connections_accepted += other.connections_accepted;
        self.connections_closed += other.connections_closed;
        self.connections_open += other.connections_open;
        self.accept_failures += other.accept_failures;
        self.received_bytes += other.received_bytes;
        self.sent_bytes += other.sent_bytes;
        self.handlers.merge(&other.handlers);
        self.pool_size += other.pool_size;
        self.pool_high_water += other.pool_high_water;
        self.ring_buffers += other.ring_buffers;
        self.ring_buffers_free += other.ring_buffers_free;
        self.ring_starved += other.ring_starved;
        self.panics += other.panics;
        self.stalls += other.stalls;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::labels::Method;

    #[test]
    fn shards_do_not_share_cache_lines() {
        assert_eq!(align_of::<ShardMetrics>(), 128);
        assert_eq!(size_of::<ShardMetrics>() % 128, 0);
    }

    #[test]
    fn handlers_keep_their_number_and_the_high_water_mark() {
        let metrics = ShardMetrics::new(ShardId(0), &ToolLabels::new([], 0));
        metrics.on_pool(4);
        metrics.on_handler(HandlerState::Idle, HandlerState::Busy);
        metrics.on_handler(HandlerState::Idle, HandlerState::Busy);
        metrics.on_handler(HandlerState::Busy, HandlerState::Lingering);
        metrics.on_handler(HandlerState::Idle, HandlerState::Busy);
        metrics.on_handler(HandlerState::Busy, HandlerState::Idle);
        let now = metrics.snapshot();
        assert_eq!(now.handlers.total(), 4);
        assert_eq!(now.handlers.of(HandlerState::Idle), 2);
        assert_eq!(now.handlers_leased(), 2);
        assert_eq!(now.pool_high_water, 3);
    }

    #[test]
    fn merged_snapshots_are_sums() {
        let tools = ToolLabels::new([], 0);
        let shards = [
            ShardMetrics::new(ShardId(0), &tools),
            ShardMetrics::new(ShardId(1), &tools),
        ];
        for metrics in &shards {
            metrics.on_pool(8);
            metrics.on_accepted();
            metrics.on_accepted();
            metrics.on_closed();
            metrics.on_request(Era::Modern, RequestClass::Work);
            metrics.on_request(Era::Legacy, RequestClass::Control);
            let operation = Operation::Method(Method::Ping);
            metrics.on_operation(operation, Outcome::Ok, Duration::from_micros(10));
            metrics.received_bytes.add(100);
        }
        shards[1].refusals.increment(OverloadReason::Handlers);
        let mut all = ShardSnapshot::default();
        for metrics in &shards {
            all.merge(&metrics.snapshot());
        }
        assert_eq!(all.requests_total(), 4);
        assert_eq!(all.requests_of(RequestClass::Work), 2);
        assert_eq!(all.outcomes.of(Outcome::Ok), 2);
        assert_eq!(all.pool_size, 16);
        assert_eq!(
            (
                all.connections_accepted,
                all.connections_closed,
                all.connections_open
            ),
            (4, 2, 2)
        );
        assert_eq!(all.received_bytes, 200);
        assert_eq!(all.refusals.total(), 1);
    }
}
