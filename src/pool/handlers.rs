//! The shard's handlers: preallocated slots for work in flight, and the free list over them.
//!
//! A handler is leased from a complete work request until its answer is on its way. Handlers are for work, never for
//! waiting on a peer or on the ring: parked connections, half-sent requests, answers that are yet to be sent and slow
//! readers hold none, and control takes none. The pool never grows: an exhausted pool is an answer ("not now"), not an event. Where
//! it was asked for, a handler lingers with its holder between two calls.
//!
//! ```text
//!          acquire                 release (reset)
//! idle ───────────────► busy ───────────────────────► idle
//!   │                  │    ▲                           ▲
//!   │           linger ▼    │ resume                    │
//!   └─── hold ──────► lingering ──── release (reset) ───┘
//! ```
//!
//! Who may use a handler at all is decided by permits (`credit`); here a permit is taken for granted.
//!
//! Invariant: a slot is on the free list if and only if nobody holds it; `idle + busy + lingering = size`.

use std::fmt;
use std::time::Instant;

use super::fifo::Fifo;

/// A slot of the pool, together with the lease that named it: a stale key finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HandlerKey {
    /// Which slot.
    pub index: u32,
    /// Counts the slot's leases.
    pub lease: u32,
}

/// How many handlers are doing what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolFigures {
    /// Handlers in the pool.
    pub size: u32,
    /// Handlers with a call.
    pub busy: u32,
    /// Handlers that wait with their holder for its next call.
    pub lingering: u32,
    /// Most handlers ever held at once.
    pub high_water: u32,
}

impl PoolFigures {
    /// Share of the pool in use, 0 to 1.
    pub fn utilization(&self) -> f64 {
        f64::from(self.busy + self.lingering) / f64::from(self.size.max(1))
    }
}

/// A fixed number of handlers, each with a buffer, room for the state of one call, `C`, and a name for its holder,
/// `H`.
pub struct Pool<C, H> {
    handlers: Box<[Handler<C, H>]>,
    /// Last freed, first leased: its buffers are still in the cache.
    free: Vec<u32>,
    lingering: Fifo,
    buffer_bytes: usize,
    high_water: u32,
}

struct Handler<C, H> {
    lease: u32,
    inbound: Vec<u8>,
    holder: Option<H>,
    call: Option<C>,
    lingers_since: Option<Instant>,
}

impl<C, H: Copy> Pool<C, H> {
    /// Allocates `size` handlers. An inbound buffer of `buffer_bytes` is made for the first batch a handler gets.
    pub fn new(size: u32, buffer_bytes: usize) -> Self {
        assert!(size > 0, "a pool has at least one handler");
        let handler = |_| Handler {
            lease: 0,
            inbound: Vec::new(),
            holder: None,
            call: None,
            lingers_since: None,
        };
        Pool {
            handlers: (0..size).map(handler).collect(),
            free: (0..size).rev().collect(),
            lingering: Fifo::new(size),
            buffer_bytes,
            high_water: 0,
        }
    }

    /// Makes what is still to be made and all pages of it resident.
    pub fn prefault(&mut self) {
        for handler in &mut self.handlers {
            handler.inbound.reserve_exact(self.buffer_bytes);
            touch(&mut handler.inbound);
        }
    }

    /// Leases the most recently freed handler to `call`, or gives it back when none is idle.
    ///
    /// # Errors
    /// The call itself, unchanged, when no handler is idle.
    pub fn acquire(&mut self, holder: H, call: C) -> Result<HandlerKey, C> {
        let Some(key) = self.take_idle(holder) else {
            return Err(call);
        };
        self.handlers[key.index as usize].call = Some(call);
        Ok(key)
    }

    /// Gives the most recently freed handler to `holder` without a call: it lingers. `None` when none is idle.
    pub fn hold(&mut self, holder: H, now: Instant) -> Option<HandlerKey> {
        let key = self.take_idle(holder)?;
        self.handlers[key.index as usize].lingers_since = Some(now);
        self.lingering.push_back(key.index);
        Some(key)
    }

    fn take_idle(&mut self, holder: H) -> Option<HandlerKey> {
        let index = self.free.pop()?;
        self.high_water = self.high_water.max(self.size() - self.idle());
        let handler = &mut self.handlers[index as usize];
        debug_assert!(
            handler.holder.is_none(),
            "handler {index} was on the free list and held"
        );
        handler.holder = Some(holder);
        Some(HandlerKey {
            index,
            lease: handler.lease,
        })
    }

    /// Ends a call; its holder keeps the handler, under a new lease. The call is handed out. `None` for a stale key.
    pub fn linger(&mut self, key: HandlerKey, now: Instant) -> Option<(HandlerKey, C)> {
        let buffer_bytes = self.buffer_bytes;
        let handler = self.current(key)?;
        let call = handler.call.take()?;
        handler.reset(buffer_bytes);
        handler.lingers_since = Some(now);
        let key = HandlerKey {
            lease: handler.lease,
            ..key
        };
        self.lingering.push_back(key.index);
        Some((key, call))
    }

    /// Begins a call in a handler that lingers with its holder.
    ///
    /// # Errors
    /// The call itself, unchanged, when the handler does not linger any more.
    pub fn resume(&mut self, key: HandlerKey, call: C) -> Result<HandlerKey, C> {
        let Some(handler) = self
            .current(key)
            .filter(|handler| handler.lingers_since.is_some())
        else {
            return Err(call);
        };
        handler.lingers_since = None;
        handler.call = Some(call);
        self.lingering.remove(key.index);
        Ok(key)
    }

    /// The handler that lingers longest, who holds it and since when.
    pub fn longest_lingering(&self) -> Option<(HandlerKey, H, Instant)> {
        let index = self.lingering.front()?;
        let handler = &self.handlers[index as usize];
        let key = HandlerKey {
            index,
            lease: handler.lease,
        };
        Some((key, handler.holder?, handler.lingers_since?))
    }

    /// Takes a handler back: its call, if it has one, is handed out, the handler reset and free. `None` for a stale key.
    pub fn release(&mut self, key: HandlerKey) -> Option<Option<C>> {
        let buffer_bytes = self.buffer_bytes;
        let handler = self.current(key)?;
        handler.holder.take()?;
        let call = handler.call.take();
        if handler.lingers_since.take().is_some() {
            self.lingering.remove(key.index);
        }
        if let Some(handler) = self.current(key) {
            handler.reset(buffer_bytes);
        }
        self.free.push(key.index);
        debug_assert!(
            self.free.len() <= self.handlers.len(),
            "a handler was freed twice"
        );
        Some(call)
    }

    /// Who holds a handler.
    pub fn holder(&self, key: HandlerKey) -> Option<H> {
        let handler = self.handlers.get(key.index as usize)?;
        handler.holder.filter(|_| handler.lease == key.lease)
    }

    /// From now on a handler is held by somebody else: the call it works for goes on without whoever brought it.
    pub fn hand_over(&mut self, key: HandlerKey, holder: H) {
        if let Some(handler) = self.current(key) {
            handler.holder = Some(holder);
        }
    }

    /// Ends a lease and begins the next with the same call in the same handler: what still names the old
    /// lease finds nothing. `None` for a lease that is over.
    pub fn renew(&mut self, key: HandlerKey) -> Option<HandlerKey> {
        let handler = self.current(key)?;
        handler.call.as_ref()?;
        handler.lease = handler.lease.wrapping_add(1);
        Some(HandlerKey {
            lease: handler.lease,
            ..key
        })
    }

    /// The call a lease runs, `None` once the lease has ended.
    pub fn call_mut(&mut self, key: HandlerKey) -> Option<&mut C> {
        self.current(key)?.call.as_mut()
    }

    /// The lease a slot is under, if any.
    pub fn key_at(&self, index: u32) -> Option<HandlerKey> {
        let handler = self.handlers.get(index as usize)?;
        handler.call.as_ref().map(|_| HandlerKey {
            index,
            lease: handler.lease,
        })
    }

    /// Takes the inbound buffer of a leased handler, with the request's body; see [`Pool::put_inbound`].
    pub fn take_inbound(&mut self, key: HandlerKey) -> Option<Vec<u8>> {
        let buffer_bytes = self.buffer_bytes;
        self.current(key).map(|handler| {
            let mut buffer = std::mem::take(&mut handler.inbound);
            if buffer.capacity() == 0 {
                buffer.reserve_exact(buffer_bytes);
            }
            buffer
        })
    }

    /// Puts an inbound buffer back. One that outgrew its size is dropped, and a new one made at reset.
    pub fn put_inbound(&mut self, key: HandlerKey, buffer: Vec<u8>) {
        if let Some(handler) = self.current(key) {
            handler.inbound = buffer;
        }
    }

    /// Handlers nobody holds.
    pub fn idle(&self) -> u32 {
        self.free.len() as u32
    }

    /// Handlers with a call.
    pub fn busy(&self) -> u32 {
        self.size() - self.idle() - self.lingering.len()
    }

    /// Handlers in the pool.
    pub fn size(&self) -> u32 {
        self.handlers.len() as u32
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

    fn current(&mut self, key: HandlerKey) -> Option<&mut Handler<C, H>> {
        self.handlers
            .get_mut(key.index as usize)
            .filter(|handler| handler.lease == key.lease)
    }
}

impl<C, H> Handler<C, H> {
    /// Ready for the next lease: a new number, an empty buffer of the standard size.
    fn reset(&mut self, buffer_bytes: usize) {
        self.lease = self.lease.wrapping_add(1);
        self.inbound.clear();
        if self.inbound.capacity() != buffer_bytes {
            self.inbound = Vec::new();
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

    /// Calls are numbers, holders letters.
    fn pool(size: u32) -> Pool<u32, char> {
        Pool::new(size, 64)
    }

    #[test]
    fn leases_the_last_freed_handler_first() {
        let mut pool = pool(3);
        let first = pool.acquire('a', 1).unwrap();
        let second = pool.acquire('b', 2).unwrap();
        assert_eq!(pool.release(first), Some(Some(1)));
        assert_eq!(pool.acquire('c', 3).unwrap().index, first.index);
        assert_eq!(pool.release(second), Some(Some(2)));
    }

    #[test]
    fn an_exhausted_pool_gives_the_call_back_and_recovers() {
        let mut pool = pool(1);
        let key = pool.acquire('a', 1).unwrap();
        assert_eq!(pool.idle(), 0);
        assert_eq!(pool.acquire('b', 2), Err(2));
        assert_eq!(pool.hold('b', Instant::now()), None);
        assert_eq!(pool.release(key), Some(Some(1)));
        assert!(pool.acquire('b', 2).is_ok());
    }

    #[test]
    fn a_stale_key_finds_nothing() {
        let mut pool = pool(1);
        let stale = pool.acquire('a', 1).unwrap();
        pool.release(stale);
        let current = pool.acquire('b', 2).unwrap();
        assert_eq!(stale.index, current.index);
        assert_eq!(pool.release(stale), None);
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
        let old = pool.acquire('a', 1).unwrap();
        let new = pool.renew(old).unwrap();
        assert!(pool.call_mut(old).is_none());
        assert!(pool.renew(old).is_none());
        assert_eq!(pool.release(new), Some(Some(1)));
        assert!(pool.renew(new).is_none());
    }

    #[test]
    fn reset_restores_a_buffer_that_outgrew_its_size() {
        let mut pool = pool(1);
        let key = pool.acquire('a', 1).unwrap();
        let mut inbound = pool.take_inbound(key).unwrap();
        inbound.extend_from_slice(&[7; 1000]);
        pool.put_inbound(key, inbound);
        pool.release(key);
        let key = pool.acquire('b', 2).unwrap();
        let inbound = pool.take_inbound(key).unwrap();
        assert_eq!((inbound.len(), inbound.capacity()), (0, 64));
    }

    #[test]
    fn a_lingering_handler_is_its_holders_until_it_is_taken_back() {
        let mut pool = pool(1);
        let now = Instant::now();
        let first = pool.acquire('a', 1).unwrap();
        let (lingering, ended) = pool.linger(first, now).unwrap();
        assert_eq!((ended, lingering.index), (1, first.index));
        assert!(pool.call_mut(first).is_none(), "the lease is over");
        assert_eq!(pool.key_at(0), None, "no call");
        assert_eq!(pool.acquire('b', 2), Err(2));
        assert_eq!(pool.longest_lingering(), Some((lingering, 'a', now)));
        let resumed = pool.resume(lingering, 3).unwrap();
        assert_eq!(pool.longest_lingering(), None);
        assert_eq!(pool.resume(resumed, 4), Err(4), "it has a call");
        let (lingering, _) = pool.linger(resumed, now).unwrap();
        assert_eq!(pool.release(lingering), Some(None), "no call");
        assert_eq!(pool.resume(lingering, 5), Err(5));
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
        pool.resume(held[0], 1).unwrap();
        pool.release(held[1]);
        assert_eq!(pool.longest_lingering().unwrap().1, 'c');
    }

    #[test]
    fn figures_follow_leases_and_keep_the_high_water_mark() {
        let mut pool = pool(4);
        let keys: Vec<_> = (0..3).map(|n| pool.acquire('a', n).unwrap()).collect();
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
        while let Ok(key) = pool.acquire('a', 0) {
            every.push(key);
        }
        assert_eq!((every.len(), pool.figures().utilization()), (4, 1.0));
    }
}
