//! The counters of one shard, where the scraper can read them.
//!
//! Only the shard's thread writes them, and any thread reads them; see `counter` for what that costs and what it does
//! not promise. Latency percentiles are elsewhere (`histogram`). A row declares a metric whole: its cell, name, help
//! and labels. Invariant: a cell counts what its name says, and nothing is counted in two of them; readers sum over
//! shards.

use std::sync::Arc;
use std::time::Duration;

use super::cell::{Cell, LongestNanos, Numbers, Requests, by_shard, hidden, summed};
use super::counter::{Counter, Family, Gauge};
use super::duration::{DurationBuckets, Operation, OperationDurations};
use super::exposition::Exposition;
use super::labels::{
    Era, Eviction, HandlerState, HttpRefusal, Outcome, OverloadReason, RequestClass, ToolLabels, WaitEnd,
};
use super::saturating_nanos;
use crate::units::ShardId;

type Counters<E, const N: usize> = Family<E, Counter, N>;
type Gauges<E, const N: usize> = Family<E, Gauge, N>;

/// Declares a shard's cells: for each one its type, which says how its numbers are summed, and how it is exposed.
macro_rules! shard_metrics {
    ($( $(#[$doc:meta])* $visible:vis $field:ident: $cell:ty => $shown:expr, )+) => {
        /// One shard's counters. Aligned so that no two shards' cells share a cache line or an adjacent-line prefetch.
        #[derive(Debug)]
        #[repr(align(128))]
        pub struct ShardMetrics {
            /// The shard that the numbers are of.
            pub shard: ShardId,
            durations: OperationDurations,
            $( $(#[$doc])* $visible $field: $cell, )+
        }

        impl ShardMetrics {
            /// Cells for a shard that serves these tools, all zero.
            pub fn new(shard: ShardId, tools: &ToolLabels) -> Arc<Self> {
                Arc::new(Self {
                    shard,
                    durations: OperationDurations::new(tools),
                    $( $field: Default::default(), )+
                })
            }

            /// The numbers now. They are not of one instant, because the shard goes on while they are read.
            pub fn snapshot(&self) -> ShardSnapshot {
                ShardSnapshot { $( $field: self.$field.numbers(), )+ }
            }
        }

        /// A shard's numbers at one moment, or several shards' together. The fields are those of [`ShardMetrics`].
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        pub struct ShardSnapshot {
            $( $(#[$doc])* pub $field: <$cell as Cell>::Numbers, )+
        }

        impl ShardSnapshot {
            /// Adds another shard's numbers. The high-water marks are added too: an upper bound of the process's own.
            /// The longest of the oldest waits stays.
            pub fn merge(&mut self, other: &Self) {
                $( self.$field.merge(&other.$field); )+
            }
        }

        /// Exposes the numbers of all shards, each with its label; `all` is their sum.
        pub(super) fn expose(exposition: &mut Exposition, shards: &[(String, ShardSnapshot)], all: &ShardSnapshot) {
            $(
                let each = shards.iter().map(|(shard, numbers)| (shard.as_str(), &numbers.$field));
                $shown.write(exposition, <$cell as Cell>::KIND, each, &all.$field);
            )+
        }
    };
}

shard_metrics! {
    /// Requests (and notifications) decoded, by era, then class; see [`ShardMetrics::on_request`].
    requests: Requests =>
        by_shard("weir_requests_total", "Requests and notifications decoded.").members("class"),
    /// Operations ended, by outcome; see [`ShardMetrics::on_operation`].
    outcomes: Counters<Outcome, { Outcome::COUNT }> =>
        summed("weir_operations_total", "Operations ended, by outcome.").members("outcome"),
    /// Requests decoded whose answer is not yet with the kernel.
    pub in_flight: Gauge =>
        by_shard("weir_requests_in_flight", "Requests whose answer is not yet with the kernel."),
    /// Event streams that are open here: of calls, sessions and subscriptions.
    pub streams_open: Gauge =>
        by_shard("weir_streams_open", "Event streams that are open: of calls, sessions and subscriptions."),
    /// Work refused with the overload answer.
    pub refusals: Counters<OverloadReason, { OverloadReason::COUNT }> =>
        summed("weir_refusals_total", "Work refused by overload, by reason.").members("reason"),
    /// Requests refused by HTTP status, the overload answer's 503 not included.
    pub http_refusals: Counters<HttpRefusal, { HttpRefusal::COUNT }> =>
        summed("weir_http_refusals_total", "Requests refused by HTTP status, overload aside.").members("code"),
    /// Handlers by state.
    pub handlers: Gauges<HandlerState, { HandlerState::COUNT }> =>
        by_shard("weir_pool_handlers", "Handlers by state.").members("state"),
    /// Handlers there are.
    pub pool_size: Gauge => by_shard("weir_pool_size", "Handlers there are."),
    /// Most handlers leased at one time: calls that ran, or lingered, together.
    pub pool_high_water: Gauge => by_shard("weir_pool_high_water", "Most handlers leased at one time."),
    /// Ring buffers there are.
    pub ring_buffers: Gauge => by_shard("weir_ring_buffers", "Ring buffers there are."),
    /// Ring buffers without bytes.
    pub ring_buffers_free: Gauge => by_shard("weir_ring_buffers_free", "Ring buffers without bytes."),
    /// Receives that found no ring buffer.
    pub ring_starved: Counter => by_shard("weir_ring_starved_total", "Receives that found no ring buffer."),
    /// Requests that wait here for a handler.
    pub queue_depth: Gauge => by_shard("weir_queue_depth", "Requests that wait for a handler."),
    /// The number of requests that may wait.
    pub queue_depth_max: Gauge => by_shard("weir_queue_depth_max", "Requests that may wait for a handler."),
    /// Most requests that waited at one time.
    pub queue_high_water: Gauge => by_shard("weir_queue_high_water", "Most requests that waited at one time."),
    /// How long the oldest one had waited at the shard's last tick; zero when none waited.
    pub oldest_wait: LongestNanos =>
        by_shard("weir_queue_oldest_wait_seconds", "How long the oldest waiting request has waited."),
    /// Requests that ever had to wait here.
    pub queued: Counter => by_shard("weir_queued_total", "Requests that had to wait for a handler."),
    /// Waits ended, by how; see [`ShardMetrics::on_wait_ended`].
    pub wait_ends: Counters<WaitEnd, { WaitEnd::COUNT }> =>
        by_shard("weir_queue_waits_total", "Waits for a handler that ended, by how.").members("end"),
    /// How long requests waited. Requests that moved are counted where they arrived.
    waits: DurationBuckets =>
        summed("weir_queue_wait_seconds", "Time requests waited until they got a handler or were refused."),
    /// Requests that came from another shard's queue.
    pub steals_in: Counter =>
        by_shard("weir_steals_total", "Waiting requests that moved to or from another shard.").labelled("direction", "in"),
    /// Requests that went from this queue to another shard.
    pub steals_out: Counter =>
        by_shard("weir_steals_total", "Waiting requests that moved to or from another shard.").labelled("direction", "out"),
    /// Lingers cut short because others needed a handler.
    pub linger_cuts: Counter =>
        by_shard("weir_linger_cuts_total", "Lingers cut short because others needed a handler."),
    /// Connections that live here now.
    pub connections_open: Gauge => by_shard("weir_connections", "Open connections."),
    /// Connections accepted here.
    pub connections_accepted: Counter => by_shard("weir_connections_accepted_total", "Connections accepted."),
    /// Connections closed here, by either side.
    pub connections_closed: Counter =>
        by_shard("weir_connections_closed_total", "Connections closed, by whichever side."),
    /// Failed accepts.
    pub accept_failures: Counter => by_shard("weir_accept_failures_total", "Failed accepts."),
    /// Connections to Unix sockets that were closed because their process's user is not to be served.
    pub unix_peers_refused: Counter =>
        summed("weir_unix_peers_refused_total", "Connections closed because their user is not among --unix-peers."),
    /// Connections that the server closed.
    pub evictions: Counters<Eviction, { Eviction::COUNT }> =>
        summed("weir_evictions_total", "Connections given up, by reason.").members("reason"),
    /// Bytes received on connections.
    pub received_bytes: Counter => summed("weir_received_bytes_total", "Bytes received."),
    /// Bytes sent on connections.
    pub sent_bytes: Counter => summed("weir_sent_bytes_total", "Bytes sent."),
    /// Tools that panicked on this shard.
    pub panics: Counter => summed("weir_panics_total", "Tools that panicked on a shard."),
    /// Times the shard had work and made no progress for longer than the watchdog allows.
    pub stalls: Counter => by_shard("weir_stalls_total", "Times a shard had work and made no progress for too long."),
    /// Passes over the ring, which the watchdog takes for progress.
    pub passes: Counter => hidden(),
}

impl ShardMetrics {
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

    /// A request left the queue after this time. The whole wait of a stolen one is recorded where it arrives, and a
    /// client that left says nothing about how long one has to wait.
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
        self.oldest_wait.0.set(saturating_nanos(waited));
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
}

impl ShardSnapshot {
    /// Requests of every era and class.
    pub fn requests_total(&self) -> u64 {
        self.requests.0.iter().map(|(_, classes)| classes.total()).sum()
    }

    /// Requests of one class, of every era.
    pub fn requests_of(&self, class: RequestClass) -> u64 {
        self.requests.0.iter().map(|(_, classes)| classes.of(class)).sum()
    }

    /// Handlers leased now.
    pub fn handlers_leased(&self) -> u64 {
        self.handlers.total() - self.handlers.of(HandlerState::Idle)
    }

    /// Share of the handlers that is leased now; `None` when there are none.
    pub fn utilization(&self) -> Option<f64> {
        (self.pool_size > 0).then(|| self.handlers_leased() as f64 / self.pool_size as f64)
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
        assert_eq!(both.oldest_wait.0, 3_000_000_000);
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
