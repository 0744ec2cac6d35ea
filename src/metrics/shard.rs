//! What one shard counts, where the scraper can read it.
//!
//! Written by the shard's thread alone, read by any; see `counter` for what that costs and what it does not promise.
//! Latency percentiles are elsewhere (`histogram`). Invariant: a cell says what its name says and nothing is counted in
//! two of them; sums over shards are made by the reader.

use std::sync::Arc;
use std::time::Duration;

use super::counter::{Counter, Counts, Family, Gauge};
use super::duration::{DurationBuckets, DurationCounts, Operation, OperationDurations};
use super::labels::{
    Era, Eviction, HandlerState, HttpRefusal, Outcome, OverloadReason, RequestClass, ToolLabels, WaitEnd,
};
use super::saturating_nanos;
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
    /// Event streams that are open here: of calls, sessions and subscriptions.
    pub streams_open: Gauge,
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
    /// Most handlers leased at one time: calls that ran, or lingered, together.
    pub pool_high_water: Gauge,
    /// Requests that wait here for a handler.
    pub queue_depth: Gauge,
    /// How many may wait.
    pub queue_depth_max: Gauge,
    /// Most requests that waited at one time.
    pub queue_high_water: Gauge,
    /// How long the oldest one had waited at the shard's last tick, in nanoseconds; zero when none waited.
    pub oldest_wait_nanos: Gauge,
    /// Requests that ever had to wait here.
    pub queued: Counter,
    /// Waits ended, by how; see [`ShardMetrics::on_wait_ended`].
    pub wait_ends: Counters<WaitEnd, { WaitEnd::COUNT }>,
    /// How long requests waited, those that moved included where they arrived.
    waits: DurationBuckets,
    /// Requests that came from another shard's queue.
    pub steals_in: Counter,
    /// Requests that went from this queue to another shard.
    pub steals_out: Counter,
    /// Lingers cut short because others needed a handler.
    pub linger_cuts: Counter,
    /// Ring buffers there are.
    pub ring_buffers: Gauge,
    /// Ring buffers without bytes.
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
            streams_open: Gauge::default(),
            accept_failures: Counter::default(),
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
            handlers: Family::default(),
            pool_size: Gauge::default(),
            pool_high_water: Gauge::default(),
            queue_depth: Gauge::default(),
            queue_depth_max: Gauge::default(),
            queue_high_water: Gauge::default(),
            oldest_wait_nanos: Gauge::default(),
            queued: Counter::default(),
            wait_ends: Family::default(),
            waits: DurationBuckets::default(),
            steals_in: Counter::default(),
            steals_out: Counter::default(),
            linger_cuts: Counter::default(),
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

    /// The queue was made: so many may wait in it.
    pub fn on_queue(&self, depth_max: u32) {
        self.queue_depth_max.set(depth_max.into());
    }

    /// A request joined the queue.
    #[inline]
    pub fn on_queued(&self) {
        self.queued.increment();
        self.queue_depth.up();
        self.queue_high_water.raise_to(self.queue_depth.value());
    }

    /// A request left the queue after this time. A stolen one's whole wait is recorded where it arrives, and who left
    /// says nothing about how long one has to wait.
    #[inline]
    pub fn on_wait_ended(&self, end: WaitEnd, waited: Duration) {
        self.queue_depth.down();
        self.wait_ends.increment(end);
        match end {
            WaitEnd::Served | WaitEnd::TimedOut => self.waits.record(waited),
            WaitEnd::Stolen => self.steals_out.increment(),
            WaitEnd::Left => {}
        }
    }

    /// A request arrived that had waited this long in another shard's queue, and on the way.
    #[inline]
    pub fn on_stolen_in(&self, waited: Duration) {
        self.steals_in.increment();
        self.waits.record(waited);
    }

    /// The oldest request in the queue has waited this long; zero when none waits.
    pub fn on_oldest_wait(&self, waited: Duration) {
        self.oldest_wait_nanos.set(saturating_nanos(waited));
    }

    /// How often work found no handler, or no worker: a sum that grows while the shard is short of something.
    pub(super) fn shortages(&self) -> u64 {
        let refused = [
            OverloadReason::Handlers,
            OverloadReason::QueueTimeout,
            OverloadReason::Workers,
        ];
        let refused = refused.map(|reason| self.refusals.of(reason).value());
        self.queued.value() + refused.iter().sum::<u64>()
    }

    /// Requests that wait for a handler now.
    pub(super) fn waiting(&self) -> u64 {
        self.queue_depth.value()
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
            streams_open: self.streams_open.value(),
            accept_failures: self.accept_failures.value(),
            received_bytes: self.received_bytes.value(),
            sent_bytes: self.sent_bytes.value(),
            handlers: self.handlers.values(),
            pool_size: self.pool_size.value(),
            pool_high_water: self.pool_high_water.value(),
            queue_depth: self.queue_depth.value(),
            queue_depth_max: self.queue_depth_max.value(),
            queue_high_water: self.queue_high_water.value(),
            oldest_wait_nanos: self.oldest_wait_nanos.value(),
            queued: self.queued.value(),
            wait_ends: self.wait_ends.values(),
            waits: self.waits.values(),
            steals_in: self.steals_in.value(),
            steals_out: self.steals_out.value(),
            linger_cuts: self.linger_cuts.value(),
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
    pub streams_open: u64,
    pub accept_failures: u64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    pub handlers: Counts<HandlerState, { HandlerState::COUNT }>,
    pub pool_size: u64,
    pub pool_high_water: u64,
    pub queue_depth: u64,
    pub queue_depth_max: u64,
    pub queue_high_water: u64,
    pub oldest_wait_nanos: u64,
    pub queued: u64,
    pub wait_ends: Counts<WaitEnd, { WaitEnd::COUNT }>,
    pub waits: DurationCounts,
    pub steals_in: u64,
    pub steals_out: u64,
    pub linger_cuts: u64,
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

    /// Share of the handlers that is leased now; `None` when there are none.
    pub fn utilization(&self) -> Option<f64> {
        (self.pool_size > 0).then(|| self.handlers_leased() as f64 / self.pool_size as f64)
    }

    /// Adds another shard's numbers. The high-water marks are added too: an upper bound of the process's own.
    /// Of the oldest waits the longest stays.
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
        self.streams_open += other.streams_open;
        self.accept_failures += other.accept_failures;
        self.received_bytes += other.received_bytes;
        self.sent_bytes += other.sent_bytes;
        self.handlers.merge(&other.handlers);
        self.pool_size += other.pool_size;
        self.pool_high_water += other.pool_high_water;
        self.queue_depth += other.queue_depth;
        self.queue_depth_max += other.queue_depth_max;
        self.queue_high_water += other.queue_high_water;
        self.oldest_wait_nanos = self.oldest_wait_nanos.max(other.oldest_wait_nanos);
        self.queued += other.queued;
        self.wait_ends.merge(&other.wait_ends);
        self.waits.merge(&other.waits);
        self.steals_in += other.steals_in;
        self.steals_out += other.steals_out;
        self.linger_cuts += other.linger_cuts;
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
    fn a_wait_is_counted_where_it_began_and_timed_where_it_ended() {
        let tools = ToolLabels::new([], 0);
        let (owner, thief) = (
            ShardMetrics::new(ShardId(0), &tools),
            ShardMetrics::new(ShardId(1), &tools),
        );
        owner.on_queue(8);
        for _ in 0..4 {
            owner.on_queued();
        }
        owner.on_wait_ended(WaitEnd::Served, Duration::from_secs(1));
        owner.on_queued();
        owner.on_wait_ended(WaitEnd::TimedOut, Duration::from_secs(5));
        owner.on_wait_ended(WaitEnd::Left, Duration::from_secs(100));
        owner.on_wait_ended(WaitEnd::Stolen, Duration::from_secs(1000));
        thief.on_stolen_in(Duration::from_secs(2));
        owner.on_oldest_wait(Duration::from_secs(3));
        thief.on_oldest_wait(Duration::ZERO);
        let (owner, thief) = (owner.snapshot(), thief.snapshot());
        assert_eq!(
            (owner.queue_depth, owner.queue_depth_max, owner.queue_high_water),
            (1, 8, 4)
        );
        assert_eq!(owner.queued, owner.wait_ends.total() + owner.queue_depth);
        assert_eq!(owner.waits.sum_seconds(), 6.0);
        assert_eq!((thief.queued, thief.wait_ends.total()), (0, 0));
        let mut both = owner;
        both.merge(&thief);
        assert_eq!((both.waits.count(), both.waits.sum_seconds()), (3, 8.0));
        assert_eq!((both.steals_in, both.steals_out), (1, 1));
        assert_eq!(both.oldest_wait_nanos, 3_000_000_000);
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
