//! What a shard consists of, and how it is made.

use std::sync::Arc;
use std::time::Instant;

use crate::children::ChildrenParts;
pub use crate::config::ShardSizes;
use crate::metrics::ShardMetrics;
use crate::pool::{AssemblySizes, HeapBudget};
use crate::registry::{LinkListener, ServerHandle};
use crate::workers::Submitter;

use super::acceptor::{Acceptor, ConnectionCap, ShardSpread, Spread, UnixPeers};
use super::access::Access;
use super::admission::{Admission, Mesh, Peers};
use super::calls::Calls;
use super::channels::Channels;
use super::children::Children;
use super::clients::Clients;
use super::clock::Clock;
use super::connections::Table;
use super::drain::Drain;
use super::inbox::Inbox;
use super::intake::Intake;
use super::service::{Served, Serving};
use super::shard_ring::ShardRing;
use super::streams::Streams;
use super::tasks::Tasks;
use super::telemetry::Telemetry;
use super::writer::Writer;

/// One shard, on any backend of the data ring.
pub struct Shard<R: ShardRing> {
    pub(super) service: Serving,
    pub(super) ring: R,
    pub(super) table: Table<R::Socket>,
    pub(super) calls: Calls,
    pub(super) admission: Admission<R::Socket>,
    pub(super) streams: Streams,
    pub(super) intake: Intake,
    pub(super) clock: Clock,
    pub(super) channels: Channels,
    pub(super) writer: Writer,
    pub(super) tasks: Tasks,
    pub(super) acceptor: Acceptor<R::Socket>,
    pub(super) children: Children<R::Socket>,
    pub(super) drain: Drain,
    pub(super) inbox: Inbox<R::Socket>,
    pub(super) metrics: Telemetry,
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
    pub connection_cap: ConnectionCap,
    /// What shards know of each other's connections.
    pub spread: Arc<Spread<S>>,
    /// Whose processes are served on Unix sockets.
    pub unix_peers: UnixPeers,
    /// Its own inbox.
    pub inbox: Inbox<S>,
    /// What it shares with the other shards.
    pub mesh: Arc<Mesh<S>>,
    /// Where blocking calls go.
    pub workers: Submitter,
    /// Where its clients come from.
    pub clients: Clients<S>,
    /// The servers whose children it talks to, if there are any.
    pub children: Option<ChildrenParts>,
    /// Its counters.
    pub metrics: Arc<ShardMetrics>,
    /// The clock; a test's may stand still.
    pub clock: fn() -> Instant,
}

impl<R: ShardRing> Shard<R> {
    /// Makes everything the shard will need, and begins to accept on `ring`, unless it is to wait.
    pub fn new(ring: R, parts: ShardParts<R::Socket>) -> Shard<R> {
        let ShardParts {
            served,
            server,
            sizes,
            connection_cap,
            spread,
            unix_peers,
            inbox,
            mesh,
            workers,
            clients,
            children,
            metrics,
            clock,
        } = parts;
        let clock = Clock::new(clock);
        let now = clock.now();
        let service = Serving::new(served);
        for view in service.views() {
            let live = view.store.live();
            live.join(metrics.shard.0, Box::new(inbox.clone()));
        }
        metrics.on_pool(sizes.handlers);
        metrics.on_queue(sizes.queue_depth_max);
        metrics.ring_buffers.set(ring.counters().buffers_total as u64);
        let heap = HeapBudget::new(sizes.heap_bytes_max);
        let peers = Peers::join(mesh, metrics.shard, inbox.clone(), &service.queue);
        let mut shard = Shard {
            table: Table::new(),
            calls: Calls::new(
                sizes.handlers,
                sizes.handler_buffer_bytes,
                Arc::new(inbox.clone()) as Arc<dyn LinkListener>,
                server,
                workers,
            ),
            admission: Admission::new(
                peers,
                sizes.handlers,
                sizes.queue_depth_max,
                Arc::new(inbox.clone()),
            ),
            intake: Intake::new(
                AssemblySizes {
                    pieces: sizes.assembly_buffers,
                    pieces_bytes: sizes.assembly_buffer_bytes,
                    waiting: sizes.queue_depth_max as usize,
                    waiting_bytes: sizes.ring_buffer_bytes,
                },
                heap.clone(),
                now,
            ),
            channels: Channels::new(metrics.shard),
            writer: Writer::new(sizes.handlers, sizes.handler_buffer_bytes, heap, clock.unix_now()),
            tasks: Tasks::new(sizes.handlers),
            clock,
            acceptor: Acceptor::new(
                connection_cap.join(inbox.on_place_free()),
                ShardSpread::join(spread, metrics.shard, inbox.on_handed_over()),
                unix_peers,
            ),
            children: Children::new(children, metrics.shard.0, now),
            drain: Drain::default(),
            streams: Streams::new(metrics.shard),
            metrics: Telemetry::new(metrics, &service.labels, Access::new(&service.output, now)),
            service,
            ring,
            inbox,
        };
        if sizes.is_prefaulted {
            shard.calls.prefault();
            shard.intake.prefault();
            shard.writer.prefault();
        }
        shard.clock.reserve_calls(sizes.handlers);
        shard.ring.arm_wake();
        shard.open(clients);
        shard
    }
}
