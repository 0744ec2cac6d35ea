//! The shard's handlers: preallocated slots for work in flight, and the free list over them.
//!
//! A handler is leased from a complete work request until its answer is on its way. Handlers are for work, never for
//! waiting on a peer or on the ring: parked connections, half-sent requests, answers that are yet to be sent and slow
//! readers hold none, and control takes none. The pool never grows: when it is exhausted, the client is told "not now".
//! With `--linger`, a handler stays with its holder between two calls.
//!
//! ```text
//!          acquire                 release (reset)
//! idle ───────────────► busy ───────────────────────► idle
//!   │                  │    ▲                           ▲
//!   │           linger ▼    │ resume                    │
//!   └─── hold ──────► lingering ──── release (reset) ───┘
//! ```
//!
//! Permits (`credit`) decide who may use a handler at all; this module assumes that its callers have one.
//!
//! Invariant: a handler has a lease if and only if somebody holds it; `idle + busy + lingering = size`.

use std::fmt;
use std::time::Instant;

use super::fifo::Fifo;
use crate::slab::{Slab, SlabKey};

/// A slot of the pool, together with the lease that named it: a stale key finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HandlerKey {
    /// The slot.
    pub index: u32,
    /// The number of the slot's lease.
    pub lease: u32,
}

impl SlabKey for HandlerKey {
    const GENERATION_MAX: u32 = u32::MAX;

    fn new(index: u32, lease: u32) -> HandlerKey {
        HandlerKey { index, lease }
    }

    fn slot(self) -> u32 {
        self.index
    }

    fn generation(self) -> u32 {
        self.lease
    }
}

/// The numbers of handlers by what they are doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolFigures {
    /// All handlers in the pool.
    pub size: u32,
    /// Handlers with a call.
    pub busy: u32,
    /// Handlers that wait with their holder for its next call.
    pub lingering: u32,
    /// The most handlers ever held at once.
    pub high_water: u32,
}

impl PoolFigures {
    /// The share of the pool in use, from 0 to 1.
    #[cfg(test)]
    pub fn utilization(&self) -> f64 {
        f64::from(self.busy + self.lingering) / f64::from(self.size.max(1))
    }
}

/// A fixed number of handlers, each with a buffer, room for the state of one call, `C`, and a name for its holder,
/// `H`.
pub struct Pool<C, H> {
    /// The handlers that are free. The one freed last is leased first, because its buffer is still in the cache.
    leases: Slab<HandlerKey, Lease<H>>,
    /// Handlers that linger, by their indices.
    handlers: Box<[Handler<C>]>,
    lingering: Fifo,
    buffer_bytes: usize,
    high_water: u32,
}

/// The parts that stay in place from lease to lease: a call is large, so moving it is expensive.
struct Handler<C> {
    inbound: Vec<u8>,
    /// The call; none in a handler that lingers or is not leased. There is room for one, which is emptied where it
    /// lies: an `Option` is copied as a whole when it becomes `None`.
    call: Vec<C>,
}

/// The holder of a handler.
struct Lease<H> {
    holder: H,
    lingers_since: Option<Instant>,
}

impl<C, H: Copy> Pool<C, H> {
    /// Allocates `size` handlers. An inbound buffer of `buffer_bytes` is made for the first batch a handler gets.
    pub fn new(size: u32, buffer_bytes: usize) -> Self {
        assert!(size > 0, "a pool has at least one handler");
        let handler = |_| Handler {
            inbound: Vec::new(),
            call: Vec::with_capacity(1),
        };
        Pool {
            leases: Slab::preallocated(size),
            handlers: (0..size).map(handler).collect(),
            lingering: Fifo::new(size),
            buffer_bytes,
            high_water: 0,
        }
    }

    /// Makes the buffers that do not exist yet, and makes all pages resident.
    pub fn prefault(&mut self) {
        for handler in &mut self.handlers {
            handler.inbound.reserve_exact(self.buffer_bytes);
            touch(&mut handler.inbound);
        }
    }

    /// Leases the most recently freed handler to a call, which is made where it stays. `None` when none is idle.
    #[inline(always)]
    pub fn acquire(&mut self, holder: H, call: impl FnOnce() -> C) -> Option<HandlerKey> {
        let key = self.take_idle(holder, None)?;
        self.put(key, call);
        Some(key)
    }

    /// Gives the most recently freed handler to `holder` without a call: it lingers. `None` when none is idle.
    pub fn hold(&mut self, holder: H, now: Instant) -> Option<HandlerKey> {
        let key = self.take_idle(holder, Some(now))?;
        self.lingering.push_back(key.index);
        Some(key)
    }

    fn take_idle(&mut self, holder: H, lingers_since: Option<Instant>) -> Option<HandlerKey> {
        let lease = Lease {
            holder,
            lingers_since,
        };
        let key = self.leases.insert(lease).ok()?;
        self.high_water = self.high_water.max(self.leases.len());
        Some(key)
    }

    /// Ends a call, which is dropped where it lies; its holder keeps the handler, under a new lease. `None` for a stale
    /// key.
    pub fn linger(&mut self, key: HandlerKey, now: Instant) -> Option<HandlerKey> {
        let lease = self.leases.get_mut(key)?;
        let call = &mut self.handlers[key.index as usize].call;
        if call.is_empty() {
            return None;
        }
        call.clear();
        lease.lingers_since = Some(now);
        let key = self.leases.renew(key)?;
        self.reset_inbound(key.index);
        self.lingering.push_back(key.index);
        Some(key)
    }

    /// Begins a call in a handler that lingers with its holder. `None` when the handler does not linger any more.
    #[inline(always)]
    pub fn resume(&mut self, key: HandlerKey, call: impl FnOnce() -> C) -> Option<HandlerKey> {
        self.leases.get_mut(key)?.lingers_since.take()?;
        self.put(key, call);
        self.lingering.remove(key.index);
        Some(key)
    }

    // Inlined down to where the call is made, it is written once, where it stays.
    #[inline(always)]
    fn put(&mut self, key: HandlerKey, call: impl FnOnce() -> C) {
        let place = &mut self.handlers[key.index as usize].call;
        debug_assert!(place.is_empty(), "a handler has one call at a time");
        place.push(call());
    }

    /// The handler that lingers longest, its holder, and since when it lingers.
    pub fn longest_lingering(&self) -> Option<(HandlerKey, H, Instant)> {
        let key = self.leases.key_at(self.lingering.front()?)?;
        let lease = self.leases.get(key)?;
        Some((key, lease.holder, lease.lingers_since?))
    }

    /// Takes a handler back and resets it; its call, if it has one, is dropped where it lies. False for a stale key.
    pub fn release(&mut self, key: HandlerKey) -> bool {
        let Some(lease) = self.leases.remove(key) else {
            return false;
        };
        if lease.lingers_since.is_some() {
            self.lingering.remove(key.index);
        }
        self.reset_inbound(key.index);
        self.handlers[key.index as usize].call.clear();
        true
    }

    /// Takes a handler back, resets it, and returns its call; a handler without one keeps its holder.
    pub fn take(&mut self, key: HandlerKey) -> Option<C> {
        self.leases.get(key)?;
        let call = self.handlers[key.index as usize].call.pop()?;
        self.release(key);
        Some(call)
    }

    /// The holder of a handler.
    #[inline]
    pub fn holder(&self, key: HandlerKey) -> Option<H> {
        self.leases.get(key).map(|lease| lease.holder)
    }

    /// Gives a handler to another holder: its call goes on without the connection that brought it.
    pub fn hand_over(&mut self, key: HandlerKey, holder: H) {
        if let Some(lease) = self.leases.get_mut(key) {
            lease.holder = holder;
        }
    }

    /// Ends a lease and begins the next with the same call in the same handler: keys of the old lease find nothing.
    /// `None` for a lease that is over.
    pub fn renew(&mut self, key: HandlerKey) -> Option<HandlerKey> {
        self.call_mut(key)?;
        self.leases.renew(key)
    }

    /// The call a lease runs, `None` once the lease has ended.
    #[inline]
    pub fn call_mut(&mut self, key: HandlerKey) -> Option<&mut C> {
        self.leases.get(key)?;
        self.handlers[key.index as usize].call.first_mut()
    }

    /// The lease a slot is under, if any.
    pub fn key_at(&self, index: u32) -> Option<HandlerKey> {
        let key = self.leases.key_at(index)?;
        self.handlers[key.index as usize].call.first().map(|_| key)
    }

    /// Takes the inbound buffer of a leased handler, with the request's body; see [`Pool::put_inbound`].
    pub fn take_inbound(&mut self, key: HandlerKey) -> Option<Vec<u8>> {
        let buffer_bytes = self.buffer_bytes;
        let mut buffer = std::mem::take(self.inbound_of(key)?);
        if buffer.capacity() == 0 {
            buffer.reserve_exact(buffer_bytes);
        }
        Some(buffer)
    }

    /// Puts an inbound buffer back. A buffer that outgrew its size is dropped, and the reset makes a new one.
    pub fn put_inbound(&mut self, key: HandlerKey, buffer: Vec<u8>) {
        if let Some(inbound) = self.inbound_of(key) {
            *inbound = buffer;
        }
    }

    /// The number of handlers that nobody holds.
    pub fn idle(&self) -> u32 {
        self.size() - self.leases.len()
    }

    /// The number of handlers with a call.
    pub fn busy(&self) -> u32 {
        self.leases.len() - self.lingering.len()
    }

    /// The number of handlers in the pool.
    pub fn size(&self) -> u32 {
        self.leases.slots_max()
    }

    /// Capacity of a handler's buffer, and of a response buffer, bytes.
    pub fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// Size, busy and high-water mark.
    pub fn figures(&self) -> PoolFigures {
        PoolFigures {
            size: self.size(),
            busy: self.busy(),
            lingering: self.lingering.len(),
            high_water: self.high_water,
        }
    }

    fn inbound_of(&mut self, key: HandlerKey) -> Option<&mut Vec<u8>> {
        self.leases.get(key)?;
        Some(&mut self.handlers[key.index as usize].inbound)
    }

    /// Makes the handler ready for the next lease, with an empty buffer of the standard size.
    fn reset_inbound(&mut self, index: u32) {
        let inbound = &mut self.handlers[index as usize].inbound;
        inbound.clear();
        if inbound.capacity() != self.buffer_bytes {
            *inbound = Vec::new();
        }
    }
}

impl<C, H: Copy> fmt::Debug for Pool<C, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("figures", &self.figures())
            .finish_non_exhaustive()
    }
}

/// Makes all pages of an empty buffer resident.
pub(crate) fn touch(buffer: &mut Vec<u8>) {
    buffer.resize(buffer.capacity(), 1);
    buffer.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls are numbers, holders are letters.
    fn pool(size: u32) -> Pool<u32, char> {
        Pool::new(size, 64)
    }

    #[test]
    fn leases_the_last_freed_handler_first() {
        let mut pool = pool(3);
        let first = pool.acquire('a', || 1).unwrap();
        let second = pool.acquire('b', || 2).unwrap();
        assert_eq!(pool.take(first), Some(1));
        assert_eq!(pool.acquire('c', || 3).unwrap().index, first.index);
        assert_eq!(pool.take(second), Some(2));
    }

    #[test]
    fn an_exhausted_pool_takes_no_call_and_recovers() {
        let mut pool = pool(1);
        let key = pool.acquire('a', || 1).unwrap();
        assert_eq!(pool.idle(), 0);
        assert_eq!(pool.acquire('b', || 2), None);
        assert_eq!(pool.hold('b', Instant::now()), None);
        assert_eq!(pool.take(key), Some(1));
        assert!(pool.acquire('b', || 2).is_some());
    }

    #[test]
    fn a_stale_key_finds_nothing() {
        let mut pool = pool(1);
        let stale = pool.acquire('a', || 1).unwrap();
        pool.release(stale);
        let current = pool.acquire('b', || 2).unwrap();
        assert_eq!(stale.index, current.index);
        assert!(!pool.release(stale));
        assert_eq!(pool.take(stale), None);
        assert!(pool.call_mut(stale).is_none());
        assert!(pool.take_inbound(stale).is_none());
        assert_eq!(pool.holder(stale), None);
        assert_eq!(pool.call_mut(current), Some(&mut 2));
        assert_eq!(pool.holder(current), Some('b'));
        assert_eq!(pool.key_at(0), Some(current));
    }

    #[test]
    fn a_renewed_lease_keeps_the_call_and_forgets_the_old_key() {
        let mut pool = pool(1);
        let old = pool.acquire('a', || 1).unwrap();
        let new = pool.renew(old).unwrap();
        assert!(pool.call_mut(old).is_none());
        assert!(pool.renew(old).is_none());
        assert_eq!(pool.take(new), Some(1));
        assert!(pool.renew(new).is_none());
    }

    #[test]
    fn reset_restores_a_buffer_that_outgrew_its_size() {
        let mut pool = pool(1);
        let key = pool.acquire('a', || 1).unwrap();
        let mut inbound = pool.take_inbound(key).unwrap();
        inbound.extend_from_slice(&[7; 1000]);
        pool.put_inbound(key, inbound);
        pool.release(key);
        let key = pool.acquire('b', || 2).unwrap();
        let inbound = pool.take_inbound(key).unwrap();
        assert_eq!((inbound.len(), inbound.capacity()), (0, 64));
    }

    #[test]
    fn a_lingering_handler_is_its_holders_until_it_is_taken_back() {
        let mut pool = pool(1);
        let now = Instant::now();
        let first = pool.acquire('a', || 1).unwrap();
        let lingering = pool.linger(first, now).unwrap();
        assert_eq!(lingering.index, first.index);
        assert!(pool.call_mut(first).is_none(), "the lease is over");
        assert_eq!(pool.key_at(0), None, "no call");
        assert_eq!(pool.acquire('b', || 2), None);
        assert_eq!(pool.take(lingering), None, "no call");
        assert_eq!(pool.longest_lingering(), Some((lingering, 'a', now)));
        let resumed = pool.resume(lingering, || 3).unwrap();
        assert_eq!(pool.longest_lingering(), None);
        assert_eq!(pool.resume(resumed, || 4), None, "it has a call");
        assert_eq!(pool.call_mut(resumed), Some(&mut 3));
        let lingering = pool.linger(resumed, now).unwrap();
        assert!(pool.release(lingering));
        assert_eq!(pool.resume(lingering, || 5), None);
        assert_eq!(pool.idle(), 1);
    }

    #[test]
    fn the_one_that_lingers_longest_comes_first() {
        let mut pool = pool(3);
        let now = Instant::now();
        let held: Vec<_> = ['a', 'b', 'c']
            .map(|holder| pool.hold(holder, now).unwrap())
            .to_vec();
        assert_eq!((pool.busy(), pool.figures().lingering), (0, 3));
        pool.resume(held[0], || 1).unwrap();
        pool.release(held[1]);
        assert_eq!(pool.longest_lingering().unwrap().1, 'c');
    }

    #[test]
    fn figures_follow_leases_and_keep_the_high_water_mark() {
        let mut pool = pool(4);
        let keys: Vec<_> = (0..3).map(|n| pool.acquire('a', || n).unwrap()).collect();
        for key in keys {
            pool.release(key);
        }
        assert_eq!(
            pool.figures(),
            PoolFigures {
                size: 4,
                busy: 0,
                lingering: 0,
                high_water: 3
            }
        );
        let mut every = Vec::new();
        while let Some(key) = pool.acquire('a', || 0) {
            every.push(key);
        }
        assert_eq!((every.len(), pool.figures().utilization()), (4, 1.0));
    }
}
