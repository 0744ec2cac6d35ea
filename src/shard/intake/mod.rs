//! The bytes of requests until they are served: whose turn it is to receive, and where bytes that cannot be served now
//! are kept.
//!
//! A request that arrived whole is served from the ring buffer it lies in. Anything left over is copied into an
//! assembly buffer. When these run out, the oldest request whose client is slow to send it is given up for another,
//! so slow senders starve each other and nobody else. When no buffer can be freed, the bytes go to the heap, within
//! the memory budget.
//!
//! Intake decodes nothing and closes nothing: it names the slow client, and the shard gives it up.
//!
//! | file | its part |
//! |---|---|
//! | `starved` | connections that wait for a ring buffer |

mod starved;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::jsonrpc::Scratch;
use crate::pool::{Assembly, AssemblyPool, AssemblySizes, HeapBudget, Purpose};
use crate::ring::{ConnectionKey, DataRing};

use super::connections::{Connection, Request, State, Table};
use starved::Starved;

/// A client that has not sent the rest of a request for this long may be slow, and gives way to others when buffers run
/// out. Clients that send head and body apart take a fraction of it.
const SLOW_AFTER: Duration = Duration::from_secs(1);
/// It is slow if it has sent less than this for each second. A client whose bytes are there is read from at this rate
/// even by a shard that takes four seconds for one look at the ring.
const SLOW_BYTES_PER_SECOND: u128 = 1024;
/// Large buffers that were not needed for so long go back to the allocator.
const UNNEEDED_AFTER: Duration = Duration::from_secs(1);
/// Bytes of a body that are received at a time, at most, so that others get their turn meanwhile.
const FILL_BYTES_MAX: usize = 256 << 10;
/// How many connections are looked at to find one that is slow.
const SLOW_LOOKS_MAX: usize = 64;

/// Where one shard keeps the bytes of requests.
pub(super) struct Intake {
    assembly: AssemblyPool,
    /// Bytes of an assembly buffer for a request that waits.
    waiting_bytes: usize,
    starved: Starved,
    /// Connections that were given an assembly buffer, oldest first; some may have given it back since.
    incomplete: VecDeque<ConnectionKey>,
    /// With more of these, those that have given it back are forgotten.
    incomplete_max: usize,
    /// Everything that had arrived by this time has been handled.
    caught_up_at: Instant,
    /// When large buffers were last given back.
    released_at: Instant,
    /// `None` only while a request is decoded; making one anew would allocate. It is boxed because each request takes
    /// it.
    scratch: Option<Box<Scratch>>,
    /// Where a chunked body is put together.
    unchunked: Vec<u8>,
}

impl Intake {
    pub(super) fn new(sizes: AssemblySizes, heap: HeapBudget, now: Instant) -> Intake {
        let incomplete_max = 2 * sizes.pieces;
        Intake {
            waiting_bytes: sizes.waiting_bytes,
            assembly: AssemblyPool::new(sizes, heap),
            starved: Starved::default(),
            incomplete: VecDeque::with_capacity(incomplete_max + 1),
            incomplete_max,
            caught_up_at: now,
            released_at: now,
            scratch: Some(Box::default()),
            unchunked: Vec::new(),
        }
    }

    /// Makes all pages of the assembly buffers resident.
    pub(super) fn prefault(&mut self) {
        self.assembly.prefault();
    }

    // Receiving.

    /// Receives on a connection. While others wait for ring buffers it joins them: a connection that has been served
    /// does not compete for one with those that have not.
    pub(super) fn arm_receive<R: DataRing>(
        &mut self,
        key: ConnectionKey,
        table: &mut Table<R::Socket>,
        ring: &mut R,
    ) {
        let Some(connection) = table.connection(key) else {
            return;
        };
        if connection.ring.is_receiving || connection.ring.is_starved {
            return;
        }
        if self.starved.is_empty() {
            connection.ring.is_receiving = true;
            ring.receive(key, &connection.socket);
        } else {
            connection.ring.is_starved = true;
            self.starved.join(key, false);
        }
    }

    /// Receives the rest of a request whose body's length is known straight into its assembly buffer, `missing` bytes
    /// at most. False if there is no room: then the bytes come through a ring buffer, and whoever is slow gives way.
    pub(super) fn arm_fill<R: DataRing>(
        &mut self,
        key: ConnectionKey,
        missing: usize,
        connection: &mut Connection<R::Socket>,
        ring: &mut R,
    ) -> bool {
        if connection.ring.is_receiving || connection.ring.is_starved {
            return true;
        }
        let Some(assembly) = connection.request.assembly.as_deref_mut() else {
            return false;
        };
        let Ok(room) = self.assembly.make_room(assembly, missing) else {
            return false;
        };
        connection.ring.is_receiving = true;
        let bytes = room.min(FILL_BYTES_MAX);
        ring.receive_into(key, &connection.socket, assembly.lend(), bytes);
        true
    }

    /// A receive found no ring buffer: the connection is next when there are some.
    pub(super) fn starve<S>(&mut self, key: ConnectionKey, connection: &mut Connection<S>) {
        connection.ring.is_starved = true;
        let was_passed_over = std::mem::replace(&mut connection.ring.is_passed_over, true);
        self.starved.join(key, was_passed_over);
    }

    /// Whether connections wait for ring buffers.
    pub(super) fn has_starved(&self) -> bool {
        !self.starved.is_empty()
    }

    /// Receives for connections that wait for ring buffers, as many as there are. Comes right before a flush, whose
    /// first operations these are then to be.
    #[inline]
    pub(super) fn rearm_starved<R: DataRing>(&mut self, table: &mut Table<R::Socket>, ring: &mut R) {
        if !self.starved.is_empty() {
            self.rearm_first_starved(table, ring);
        }
    }

    fn rearm_first_starved<R: DataRing>(&mut self, table: &mut Table<R::Socket>, ring: &mut R) {
        for _ in 0..ring.counters().buffers_free {
            let Some(key) = self.starved.pop() else { return };
            let Some(connection) = table.connection(key) else {
                continue;
            };
            connection.ring.is_starved = false;
            if !connection.reads_on() || connection.ring.is_receiving {
                connection.ring.is_passed_over = false;
                continue;
            }
            connection.ring.is_receiving = true;
            if connection.ring.is_passed_over {
                ring.receive_ready(key, &connection.socket);
            } else {
                ring.receive(key, &connection.socket);
            }
        }
    }

    /// Everything that has arrived by now was handled.
    pub(super) fn on_caught_up(&mut self, now: Instant) {
        self.caught_up_at = now;
    }

    // Keeping.

    /// Appends bytes to what is kept of a request. False if there is no memory for them.
    pub(super) fn append(&mut self, assembly: &mut Assembly, bytes: &[u8]) -> bool {
        self.assembly.append(assembly, bytes).is_ok()
    }

    /// Gives back the large buffers that nobody needed of late, if it is time; whether it was.
    pub(super) fn release_unneeded(&mut self, now: Instant) -> bool {
        let is_due = now.saturating_duration_since(self.released_at) >= UNNEEDED_AFTER;
        if is_due {
            self.released_at = now;
            self.assembly.release_unneeded();
        }
        is_due
    }

    /// Takes a buffer back, with whatever is in it.
    pub(super) fn give_back(&mut self, assembly: Box<Assembly>) {
        self.assembly.give_back(assembly);
    }

    /// Takes back what is kept of a request, if anything is. While the ring receives into it, it stays, and goes when
    /// the receive is over.
    pub(super) fn drop_kept(&mut self, request: &mut Request) {
        if let Some(assembly) = request.assembly.take_if(|assembly| !assembly.is_lent()) {
            self.give_back(assembly);
        }
    }

    /// A buffer for a request in pieces, or an empty one that grows on the heap.
    pub(super) fn free_buffer(&mut self) -> Box<Assembly> {
        self.assembly
            .take(Purpose::Pieces)
            .unwrap_or_else(|| self.assembly.extra())
    }

    /// Begins to keep a request of `key`.
    pub(super) fn begin_request(&mut self, key: ConnectionKey) -> Box<Assembly> {
        self.incomplete.push_back(key);
        self.free_buffer()
    }

    /// A buffer with the bytes of a request that waits; `None` if there is no memory for them.
    pub(super) fn keep_waiting(&mut self, bytes: &[u8]) -> Option<Box<Assembly>> {
        let mut assembly = self
            .assembly
            .take(Purpose::Waiting)
            .unwrap_or_else(|| self.assembly.extra());
        if self.append(&mut assembly, bytes) {
            return Some(assembly);
        }
        self.assembly.give_back(assembly);
        None
    }

    /// Moves a request that waits to a buffer for that, if it fits: those for pieces stay free for requests in pieces.
    pub(super) fn move_to_waiting(&mut self, assembly: Box<Assembly>) -> Box<Assembly> {
        let is_small = assembly.window().len() <= self.waiting_bytes;
        if assembly.purpose() == Some(Purpose::Waiting) || !is_small {
            return assembly;
        }
        let Some(mut waiting) = self.assembly.take(Purpose::Waiting) else {
            return assembly;
        };
        if self.append(&mut waiting, assembly.window()) {
            self.assembly.give_back(assembly);
            waiting
        } else {
            self.assembly.give_back(waiting);
            assembly
        }
    }

    // Clients that are slow to send the rest of a request.

    /// Whether the next request in pieces finds no buffer.
    pub(super) fn is_exhausted(&self) -> bool {
        self.assembly.free(Purpose::Pieces) == 0
    }

    /// Forgets the connections of which nothing is kept any more, if there may be many.
    pub(super) fn forget_complete<S>(&mut self, table: &mut Table<S>) {
        if self.incomplete.len() > self.incomplete_max {
            self.incomplete.retain(|&key| {
                let connection = table.connection(key);
                connection.is_some_and(|connection| connection.request.assembly.is_some())
            });
            // Looked through again when it has doubled, so that many of them cost each a few looks.
            self.incomplete_max = 2 * self.incomplete.len().max(self.assembly.total(Purpose::Pieces));
        }
    }

    /// The oldest request whose client is slow to send it, which is to be given up for one of `asking`.
    pub(super) fn next_slow<S>(
        &mut self,
        asking: ConnectionKey,
        table: &mut Table<S>,
    ) -> Option<ConnectionKey> {
        for _ in 0..self.incomplete.len().min(SLOW_LOOKS_MAX) {
            let oldest = self.incomplete.pop_front()?;
            match self.is_slow(oldest, table) {
                Some(true) => return Some(oldest),
                Some(false) => self.incomplete.push_back(oldest),
                None if oldest == asking => self.incomplete.push_back(oldest),
                None => {}
            }
        }
        None
    }

    /// Whether a client owes the rest of a request for long; `None` if nothing of it is kept. It does not while it has
    /// to wait itself (an answer comes first; what waits behind it may turn out to be incomplete), nor for time in
    /// which this shard has not come to look at what it has sent.
    fn is_slow<S>(&self, key: ConnectionKey, table: &mut Table<S>) -> Option<bool> {
        let connection = table.connection(key)?;
        let assembly = connection.request.assembly.as_ref()?;
        let age = self
            .caught_up_at
            .saturating_duration_since(connection.request.began);
        let owed_bytes = age.as_millis() * SLOW_BYTES_PER_SECOND / 1000;
        let is_behind = age >= SLOW_AFTER && (assembly.kept_bytes() as u128) < owed_bytes;
        Some(connection.state == State::Open && connection.reads_on() && is_behind)
    }

    // Decoding.

    /// Takes the scratch that requests are decoded in.
    pub(super) fn take_scratch(&mut self) -> Box<Scratch> {
        self.scratch.take().unwrap_or_default()
    }

    /// Takes it back.
    pub(super) fn put_scratch(&mut self, mut scratch: Box<Scratch>) {
        scratch.trim();
        self.scratch = Some(scratch);
    }

    /// The scratch, to decode the requests of a batch in.
    pub(super) fn scratch(&mut self) -> &mut Scratch {
        self.scratch.get_or_insert_default()
    }

    /// Takes the buffer in which a chunked body is put together.
    pub(super) fn take_unchunked(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unchunked)
    }

    /// Takes it back. No more than `kept_bytes` of it stay allocated.
    pub(super) fn put_unchunked(&mut self, mut unchunked: Vec<u8>, kept_bytes: usize) {
        unchunked.clear();
        unchunked.shrink_to(kept_bytes);
        self.unchunked = unchunked;
    }

    /// Assembly buffers for requests in pieces that are free.
    #[cfg(test)]
    pub(super) fn free_pieces(&self) -> usize {
        self.assembly.free(Purpose::Pieces)
    }

    /// Panics unless so many assembly buffers for pieces and for waiters are free, and nobody waits for a ring buffer.
    #[cfg(test)]
    pub(super) fn assert_at_rest(&self, pieces: usize, waiting: usize) {
        assert_eq!(self.free_pieces(), pieces, "assembly buffers");
        assert_eq!(
            self.assembly.free(Purpose::Waiting),
            waiting,
            "buffers of waiters"
        );
        assert!(self.starved.is_empty(), "starved connections");
    }
}
