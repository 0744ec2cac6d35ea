//! One core's world: its data ring, connections, handlers, deadlines and inbox.
//!
//! A shard is a synchronous state machine. Whoever drives it (the pump inside an executor, or a test on
//! the simulated ring) hands it the ring's completions, polls the calls it started and ticks its clock:
//!
//! ```text
//! begin_pass ─► handle_completions ─► next_started ─ poll ─► settle | suspend ─► flush ─► …
//! ```
//!
//! No borrow of the shard is held while tool code runs. Nothing in it is `Send` but its inbox.
//!
//! | file | its part |
//! |---|---|
//! | `acceptor` | new connections |
//! | `gate`, `addresses` | who may come in: caps over all shards |
//! | `connections` | the connection table |
//! | `reading` | bytes → requests |
//! | `calls`, `batches` | requests → calls → outcomes |
//! | `admission` | who runs, who waits, who moves to another shard, and who is refused |
//! | `waiting`, `moving`, `lingering` | requests that wait, connections that move, handlers that stay |
//! | `replies` | outcomes → answers |
//! | `answering` | answers → bytes; the ways a connection ends |
//! | `streams`, `listening` | answers in events; who listens |
//! | `channels` | connections that carry messages both ways, many at once |
//! | `speaking`, `asking` | what calls say before they end, and ask their clients |
//! | `tasks` | calls that go on as tasks |
//! | `service` | what is served, and its replacement |
//! | `clock`, `telemetry` | what "now" is and what is due; what is counted and measured |
//! | `deadlines`, `drain` | what time does |
//! | `access` | what the log says of requests |
//! | `inbox`, `events` | what other threads say, and what is done about it |
//! | `alarm` | waking an executor that should not sleep |
//! | `sync` | the primitives that shards share through |
//! | `pump` | the executor's side |

mod acceptor;
mod access;
mod addresses;
mod admission;
mod alarm;
mod answering;
mod asking;
mod batches;
mod calls;
mod channels;
mod clock;
mod connections;
mod deadlines;
mod drain;
mod events;
mod gate;
mod inbox;
mod lingering;
mod listening;
#[cfg(test)]
mod models;
mod moving;
mod pump;
mod reading;
mod replies;
mod service;
mod spares;
mod speaking;
mod streams;
mod sync;
mod tasks;
mod telemetry;
#[cfg(test)]
mod tests;
mod waiting;

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{AccessLog, StealSettings};
use crate::jsonrpc::Scratch;
use crate::metrics::{ShardHistograms, ShardMetrics};
use crate::pool::{AssemblyPool, AssemblySizes, HandlerKey, HeapBudget, Pool};
use crate::registry::{Emission, LinkListener, ServerHandle, ShardRegistry};
use crate::ring::{Completion, ConnectionKey};
use crate::timers::TimerKind;
use crate::transport::http::Origins;
use crate::wire::http1::DateCache;
use crate::workers::Submitter;

use acceptor::Acceptor;
pub use acceptor::ShardRing;
use access::Access;
use admission::{Admission, Peers};
pub use admission::{Mesh, Moved};
pub use alarm::Alarm;
use asking::Askers;
pub use calls::Call;
pub use channels::ChannelLimits;
use clock::{Clock, Timers};
use connections::Table;
use drain::Drain;
pub use gate::Gate;
use gate::on_place_free;
pub use inbox::{Inbox, ShardEvent, Waker};
pub use pump::run;
pub use service::{Served, Service};
use spares::{SENDS_PER_FLUSH_MAX, Spares};
use speaking::Links;
pub use sync::{Queue, StdSync, SyncTypes};
use telemetry::Telemetry;

/// A deadline this near makes a shard busy: the idle tick would be late for it.
const BUSY_HORIZON_TICKS: u64 = 10;

/// Cloned for every request: a count of the shard's own, not one that all cores write.
#[allow(clippy::redundant_allocation)]
type LocalService = Rc<Arc<Service>>;

/// How long work may wait for a handler.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// For a request with an `Origin`.
    pub browser: Duration,
    /// For any other.
    pub agent: Duration,
}

/// Sizes of one shard's preallocated parts.
#[derive(Debug, Clone, Copy)]
pub struct ShardSizes {
    /// Handlers in the pool.
    pub handlers: u32,
    /// Each of a handler's two buffers, bytes.
    pub handler_buffer_bytes: usize,
    /// Places in the wait queue, each with a buffer as large as a ring buffer.
    pub queue_depth_max: u32,
    /// Assembly buffers for requests in pieces.
    pub assembly_buffers: usize,
    /// Each of those, bytes.
    pub assembly_buffer_bytes: usize,
    /// Each ring buffer, bytes.
    pub ring_buffer_bytes: usize,
    /// Heap for large bodies and outboxes, bytes.
    pub heap_bytes_max: usize,
    /// Whether the pages of all these buffers are resident from the start, rather than from their first use.
    pub is_prefaulted: bool,
}

/// One shard, on any backend of the data ring.
pub struct Shard<R: ShardRing> {
    service: LocalService,
    served: Arc<Served>,
    /// Replacements of the service that were taken up.
    replacements_seen: u64,
    ring: R,
    table: Table<R::Socket>,
    pool: Pool<Call, ConnectionKey>,
    admission: Admission<R::Socket>,
    registry: ShardRegistry,
    /// What calls speak into.
    links: Links,
    /// What one call said, while it is passed on.
    emissions: Vec<Emission>,
    /// Calls that wait for their clients.
    askers: Askers,
    /// Connections whose stream has something to send, oldest first.
    ready_streams: VecDeque<ConnectionKey>,
    assembly: AssemblyPool,
    heap: HeapBudget,
    clock: Clock,
    timers: Timers,
    /// `None` only while a request is decoded; making one anew would allocate.
    scratch: Option<Scratch>,
    /// Where a chunked body is put together.
    unchunked: Vec<u8>,
    /// Where a masked message is put together.
    unmasked: Vec<u8>,
    /// Channels there ever were.
    channels_begun: u64,
    spares: Spares,
    /// Of pages.
    origins: Origins,
    date: DateCache,
    /// Calls to be polled for the first time, oldest first.
    started: VecDeque<HandlerKey>,
    /// Connections that are to receive when there is a ring buffer, whoever waits longest first. Each is in one of
    /// the two at most once, and knows it.
    starved: VecDeque<ConnectionKey>,
    /// Those that found none when it was their turn: they go before the others.
    starved_again: VecDeque<ConnectionKey>,
    /// Channels with messages that were read and not taken, as calls of the one before were to be run first.
    interrupted: VecDeque<ConnectionKey>,
    /// Sends not begun yet.
    sends_queued: usize,
    /// Pending calls that their tasks have not polled yet: they are, as soon as tasks run.
    fresh_calls: usize,
    /// Connections given an assembly buffer, oldest first; may hold some that have since given it back.
    incomplete: VecDeque<ConnectionKey>,
    /// So many of these are no reason to look who has given his back.
    incomplete_max: usize,
    /// All that had arrived by this time has been handled.
    caught_up_at: Instant,
    /// Calls that run as tasks, with a handler or waiting for their clients.
    tasks_running: usize,
    /// Calls that wait for something on this shard.
    pending_calls: usize,
    /// Something was handled since the last tick.
    is_active: bool,
    acceptor: Acceptor,
    access: Access,
    drain: Option<Drain>,
    alarm: Alarm,
    inbox: Inbox<R::Socket>,
    ring_buffer_bytes: usize,
    workers: Submitter,
    metrics: Telemetry,
}

/// What a shard is given by its server.
pub struct ShardParts<S> {
    /// What it serves.
    pub served: Arc<Served>,
    /// What its calls reach the server by.
    pub server: ServerHandle,
    /// Sizes.
    pub sizes: ShardSizes,
    /// The process's connection cap.
    pub gate: Gate,
    /// What wakes its executor from outside.
    pub alarm: Alarm,
    /// Its own inbox.
    pub inbox: Inbox<S>,
    /// What it shares with the other shards.
    pub mesh: Arc<Mesh<S>>,
    /// What others may take of it, and it of others.
    pub steal: StealSettings,
    /// Where blocking calls go.
    pub workers: Submitter,
    /// The one client of a process that serves no others: its pipes. No listener is watched then.
    pub stdio: Option<S>,
    /// Which requests are logged.
    pub access_log: AccessLog,
    /// Its counters.
    pub metrics: Arc<ShardMetrics>,
    /// The clock; a test's may stand still.
    pub clock: fn() -> Instant,
}

impl<R: ShardRing> Shard<R> {
    /// Makes everything the shard will need, and begins to accept on `ring`.
    pub fn new(ring: R, parts: ShardParts<R::Socket>) -> Shard<R> {
        let ShardParts {
            served,
            server,
            sizes,
            gate,
            alarm,
            inbox,
            mesh,
            steal,
            workers,
            stdio,
            access_log,
            metrics,
            clock,
        } = parts;
        let clock = Clock::new(clock);
        let now = clock.now;
        let service = served.current();
        service
            .store
            .live()
            .join(metrics.shard.0, Box::new(inbox.clone()));
        metrics.on_pool(sizes.handlers);
        metrics.on_queue(sizes.queue_depth_max);
        metrics.ring_buffers.set(ring.counters().buffers_total as u64);
        let peers = Peers::join(mesh, metrics.shard, inbox.clone(), steal);
        let mut shard = Shard {
            table: Table::new(),
            pool: Pool::new(sizes.handlers, sizes.handler_buffer_bytes),
            admission: Admission::new(peers, sizes.handlers, sizes.queue_depth_max, now),
            assembly: AssemblyPool::new(AssemblySizes {
                pieces: sizes.assembly_buffers,
                pieces_bytes: sizes.assembly_buffer_bytes,
                waiting: sizes.queue_depth_max as usize,
                waiting_bytes: sizes.ring_buffer_bytes,
            }),
            heap: HeapBudget::new(sizes.heap_bytes_max),
            timers: Timers::new(now),
            scratch: Some(Scratch::new()),
            unchunked: Vec::new(),
            unmasked: Vec::new(),
            channels_begun: 0,
            spares: Spares::new(sizes.handlers as usize, sizes.handler_buffer_bytes),
            origins: Origins::default(),
            date: DateCache::new(clock.unix_now.0),
            clock,
            started: VecDeque::with_capacity(sizes.handlers as usize),
            starved: VecDeque::new(),
            starved_again: VecDeque::new(),
            interrupted: VecDeque::new(),
            sends_queued: 0,
            fresh_calls: 0,
            incomplete: VecDeque::with_capacity(2 * sizes.assembly_buffers + 1),
            incomplete_max: 2 * sizes.assembly_buffers,
            caught_up_at: now,
            tasks_running: 0,
            pending_calls: 0,
            is_active: false,
            acceptor: Acceptor::new(gate.join(on_place_free(&inbox))),
            access: Access::new(access_log, now),
            drain: None,
            registry: service.protocol.registry().for_shard(),
            links: Links::new(Arc::new(inbox.clone()) as Arc<dyn LinkListener>, server),
            emissions: Vec::new(),
            askers: Askers::new(sizes.handlers),
            ready_streams: VecDeque::new(),
            metrics: Telemetry::new(metrics, &service.labels),
            service: Rc::new(service),
            served,
            replacements_seen: 0,
            ring,
            alarm,
            inbox,
            ring_buffer_bytes: sizes.ring_buffer_bytes,
            workers,
        };
        if sizes.is_prefaulted {
            shard.pool.prefault();
            shard.assembly.prefault();
            shard.spares.prefault();
        }
        shard.timers.reserve(TimerKind::Call, sizes.handlers);
        shard.ring.arm_wake();
        match stdio {
            Some(pipes) => shard.serve_stdio(pipes),
            None => shard.ring.watch_listener(),
        }
        shard
    }

    /// Takes the time, once for all that is handled in one pass.
    pub fn begin_pass(&mut self) {
        self.clock.begin_pass();
        self.metrics.passes.increment();
    }

    /// The time now.
    fn time(&self) -> Instant {
        self.clock.read()
    }

    /// Whether waiters can move to other shards.
    fn can_steal(&self) -> bool {
        self.admission.can_move()
    }

    /// How long ago the last pass over the ring began.
    pub fn pass_age(&self) -> Duration {
        self.clock.pass_age()
    }

    /// Begins what was queued and collects what is done.
    ///
    /// # Errors
    /// What makes the ring unusable.
    pub fn flush(&mut self) -> io::Result<()> {
        self.rearm_starved();
        self.sends_queued = 0;
        self.ring.flush()
    }

    /// Handles up to `max` completions, fewer once one of them has started a call; returns how many. While no handler
    /// is free and some are about to be, no further request is decoded.
    pub fn handle_completions(&mut self, max: usize) -> usize {
        let mut handled = 0;
        while handled < max && self.started.is_empty() && self.handle_next() {
            handled += 1;
            self.is_active = true;
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
        } else if !has_handler && self.fresh_calls > 0 {
            // Their tasks come first; what asks for nothing does not wait for that.
            let Some(early) = self.ring.next_early() else {
                return false;
            };
            self.handle(early);
        } else if let Some(channel) = self.next_interrupted() {
            self.go_on_reading(channel);
        } else if let Some(completion) = self.ring.next_completion() {
            self.handle(completion);
        } else {
            if !self.ring.has_more() && self.starved.is_empty() && self.starved_again.is_empty() {
                self.caught_up_at = self.clock.now;
            }
            return false;
        }
        true
    }

    /// Once so many sends are queued, begins them and takes their buffers back.
    fn send_queued(&mut self) {
        if self.sends_queued < SENDS_PER_FLUSH_MAX {
            return;
        }
        // A ring that is broken is so at the pump's next flush, too.
        let _ = self.flush();
        while let Some(early) = self.ring.next_early() {
            self.handle(early);
        }
    }

    /// Whether there may be requests that are not decoded before tasks have run.
    pub fn awaits_tasks(&self) -> bool {
        self.fresh_calls > 0 && (!self.interrupted.is_empty() || !self.admission.has_free_handler())
    }

    fn handle(&mut self, completion: Completion) {
        match completion {
            Completion::AcceptReady => self.handle_accept_ready(),
            Completion::AcceptFailed { error } => self.handle_accept_failed(&error),
            Completion::AcceptStopped => self.handle_accept_stopped(),
            Completion::Received { key, outcome } => self.handle_received(key, outcome),
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

    /// Takes up a service that has replaced the one known.
    fn refresh_service(&mut self) {
        if let Some(service) = self.served.newer(&mut self.replacements_seen) {
            self.registry = service.protocol.registry().for_shard();
            self.service = Rc::new(service);
        }
    }

    /// What time brings: deadlines, the drain's next step, the date, the gauges.
    pub fn handle_tick(&mut self) {
        self.is_active = false;
        self.clock.refresh_unix();
        self.date.refresh(self.clock.unix_now.0);
        self.expire();
        self.expire_lingers();
        self.serve_waiters();
        self.offer_waiters();
        self.advance_drain();
        self.tick_accept();
        self.tell_left_out();
        let counters = self.ring.counters();
        self.metrics.ring_buffers_free.set(counters.buffers_free as u64);
        let oldest_wait = self.admission.oldest_wait(self.clock.now);
        self.metrics.on_oldest_wait(oldest_wait);
    }

    /// Whether anything is in progress, so that time matters in ticks rather than tenths of a second. Traffic
    /// counts: a sleep that the executor should not have begun then ends with the next short tick.
    pub fn is_busy(&self) -> bool {
        self.is_active
            || self.metrics.in_flight.value() > 0
            || self.is_cutting_lingers()
            || self.drain.is_some()
            || self.acceptor.is_paused()
            || self.timers.is_due_within(self.clock.now, BUSY_HORIZON_TICKS)
    }

    /// Whether calls wait for something other than the ring.
    pub fn has_pending_calls(&self) -> bool {
        self.pending_calls > 0
    }

    /// What wakes its executor from outside.
    pub fn alarm(&self) -> Alarm {
        self.alarm.clone()
    }

    /// Makes whoever drives the shard look at it.
    pub fn wake(&self) {
        self.inbox.wake();
    }

    /// The shard's latencies so far.
    pub fn histograms(&self) -> &ShardHistograms {
        self.metrics.histograms()
    }
}
