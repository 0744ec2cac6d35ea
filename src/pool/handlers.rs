//! The shard's handlers: preallocated slots for work in flight, and the free list over them.
//!
//! A handler is leased from a complete work request until its answer is with the kernel. Handlers are for
//! work, never for waiting on a peer: parked connections, half-sent requests and slow readers hold none, and
//! control takes none. The pool never grows: an exhausted pool is an answer ("not now"), not an event.
//!
//! ```text
//! idle ── acquire ──► busy ── release (reset) ──► idle
//! ```
//!
//! Invariant: a slot is on the free list if and only if it holds no call; `idle + busy = size`.

use std::fmt;

use crate::wire::http1::HEAD_RESERVE;

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
    /// Most handlers ever busy at once.
    pub high_water: u32,
}

impl PoolFigures {
    /// Share of the pool in use, 0 to 1.
    pub fn utilization(&self) -> f64 {
        f64::from(self.busy) / f64::from(self.size.max(1))
    }
}

/// A fixed number of handlers, each with two buffers and room for the state of one call, `C`.
pub struct Pool<C> {
    handlers: Box<[Handler<C>]>,
    /// Last freed, first leased: its buffers are still in the cache.
    free: Vec<u32>,
    buffer_bytes: usize,
    high_water: u32,
}

struct Handler<C> {
    lease: u32,
    inbound: Vec<u8>,
    response: Vec<u8>,
    call: Option<C>,
}

impl<C> Pool<C> {
    /// Allocates `size` handlers with two buffers of `buffer_bytes` each and touches every page of them, so
    /// that the memory is the process's before the first request asks for it.
    pub fn new(size: u32, buffer_bytes: usize) -> Pool<C> {
        assert!(size > 0, "a pool has at least one handler");
        let handler = |_| Handler {
            lease: 0,
            inbound: touched_buffer(buffer_bytes),
            response: touched_buffer(buffer_bytes),
            call: None,
        };
        Pool {
            handlers: (0..size).map(handler).collect(),
            free: (0..size).rev().collect(),
            buffer_bytes,
            high_water: 0,
        }
    }

    /// Leases the most recently freed handler to `call`, or gives it back when all are busy.
    ///
    /// # Errors
    /// The call itself, unchanged, when the pool is exhausted.
    pub fn acquire(&mut self, call: C) -> Result<HandlerKey, C> {
        let Some(index) = self.free.pop() else {
            return Err(call);
        };
        self.high_water = self.high_water.max(self.busy());
        let handler = &mut self.handlers[index as usize];
        debug_assert!(
            handler.call.is_none(),
            "handler {index} was on the free list with a call"
        );
        handler.call = Some(call);
        Ok(HandlerKey {
            index,
            lease: handler.lease,
        })
    }

    /// Ends the lease: the call is handed out, the handler reset and free. `None` for a stale key.
    pub fn release(&mut self, key: HandlerKey) -> Option<C> {
        let buffer_bytes = self.buffer_bytes;
        let handler = self.current(key)?;
        let call = handler.call.take()?;
        handler.reset(buffer_bytes);
        self.free.push(key.index);
        debug_assert!(
            self.free.len() <= self.handlers.len(),
            "a handler was freed twice"
        );
        Some(call)
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

    /// Takes the response buffer of a leased handler, with no more in it than room for a head; see
    /// [`Pool::put_response`].
    pub fn take_response(&mut self, key: HandlerKey) -> Option<Vec<u8>> {
        self.current(key)
            .map(|handler| std::mem::take(&mut handler.response))
    }

    /// Puts a response buffer back. One that outgrew its size is dropped, and a new one made at reset.
    pub fn put_response(&mut self, key: HandlerKey, buffer: Vec<u8>) {
        if let Some(handler) = self.current(key) {
            handler.response = buffer;
        }
    }

    /// Takes the inbound buffer of the handler that [`Pool::acquire`] would lease next, so that a request is
    /// decoded where its handler will keep it. `None` when the pool is exhausted.
    pub fn take_next_inbound(&mut self) -> Option<Vec<u8>> {
        let &index = self.free.last()?;
        Some(std::mem::take(&mut self.handlers[index as usize].inbound))
    }

    /// Puts the buffer from [`Pool::take_next_inbound`] back; nothing was leased or released in between.
    pub fn put_next_inbound(&mut self, buffer: Vec<u8>) {
        if let Some(&index) = self.free.last() {
            self.handlers[index as usize].inbound = buffer;
        }
    }

    /// Takes the inbound buffer of a leased handler, with the request's body; see [`Pool::put_inbound`].
    pub fn take_inbound(&mut self, key: HandlerKey) -> Option<Vec<u8>> {
        self.current(key)
            .map(|handler| std::mem::take(&mut handler.inbound))
    }

    /// Puts an inbound buffer back.
    pub fn put_inbound(&mut self, key: HandlerKey, buffer: Vec<u8>) {
        if let Some(handler) = self.current(key) {
            handler.inbound = buffer;
        }
    }

    /// Whether no handler is free.
    pub fn is_exhausted(&self) -> bool {
        self.free.is_empty()
    }

    /// Handlers with a call.
    pub fn busy(&self) -> u32 {
        (self.handlers.len() - self.free.len()) as u32
    }

    /// Handlers in the pool.
    pub fn size(&self) -> u32 {
        self.handlers.len() as u32
    }

    /// Capacity of each of a handler's two buffers, bytes.
    pub fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// Size, busy and high-water mark.
    pub fn figures(&self) -> PoolFigures {
        PoolFigures {
            size: self.size(),
            busy: self.busy(),
            high_water: self.high_water,
        }
    }

    fn current(&mut self, key: HandlerKey) -> Option<&mut Handler<C>> {
        self.handlers
            .get_mut(key.index as usize)
            .filter(|handler| handler.lease == key.lease)
    }
}

impl<C> Handler<C> {
    /// Ready for the next lease: a new number, buffers of the standard size without a body. The room for a head in
    /// front of an answer stays, so that it is not zeroed for each; nothing of it is sent before it is written.
    fn reset(&mut self, buffer_bytes: usize) {
        self.lease = self.lease.wrapping_add(1);
        self.inbound.clear();
        self.response.truncate(HEAD_RESERVE);
        for buffer in [&mut self.inbound, &mut self.response] {
            if buffer.capacity() != buffer_bytes {
                *buffer = Vec::with_capacity(buffer_bytes);
            }
        }
    }
}

impl<C> fmt::Debug for Pool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("figures", &self.figures())
            .finish_non_exhaustive()
    }
}

/// An empty buffer whose pages are resident.
pub(super) fn touched_buffer(bytes: usize) -> Vec<u8> {
    let mut buffer = vec![1; bytes];
    buffer.clear();
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_the_last_freed_handler_first() {
        let mut pool = Pool::new(3, 64);
        let first = pool.acquire("a").unwrap();
        let second = pool.acquire("b").unwrap();
        assert_eq!(pool.release(first), Some("a"));
        assert_eq!(pool.acquire("c").unwrap().index, first.index);
        assert_eq!(pool.release(second), Some("b"));
    }

    #[test]
    fn an_exhausted_pool_gives_the_call_back_and_recovers() {
        let mut pool = Pool::new(1, 64);
        let key = pool.acquire(1).unwrap();
        assert!(pool.is_exhausted());
        assert_eq!(pool.acquire(2), Err(2));
        assert!(pool.take_next_inbound().is_none());
        assert_eq!(pool.release(key), Some(1));
        assert!(pool.acquire(2).is_ok());
    }

    #[test]
    fn a_stale_key_finds_nothing() {
        let mut pool = Pool::new(1, 64);
        let stale = pool.acquire(1).unwrap();
        pool.release(stale);
        let current = pool.acquire(2).unwrap();
        assert_eq!(stale.index, current.index);
        assert_eq!(pool.release(stale), None);
        assert!(pool.call_mut(stale).is_none());
        assert!(pool.take_response(stale).is_none());
        assert_eq!(pool.call_mut(current), Some(&mut 2));
        assert_eq!(pool.key_at(0), Some(current));
    }

    #[test]
    fn a_renewed_lease_keeps_the_call_and_forgets_the_old_key() {
        let mut pool = Pool::new(1, 64);
        let old = pool.acquire("batch").unwrap();
        let new = pool.renew(old).unwrap();
        assert!(pool.call_mut(old).is_none());
        assert!(pool.renew(old).is_none());
        assert_eq!(pool.release(new), Some("batch"));
        assert!(pool.renew(new).is_none());
    }

    #[test]
    fn reset_restores_buffers_that_outgrew_their_size() {
        let mut pool = Pool::new(1, 64);
        let key = pool.acquire(()).unwrap();
        let mut response = pool.take_response(key).unwrap();
        response.extend_from_slice(&[7; 1000]);
        pool.put_response(key, response);
        pool.release(key);
        let key = pool.acquire(()).unwrap();
        let response = pool.take_response(key).unwrap();
        assert_eq!((response.len(), response.capacity()), (0, 64));
    }

    #[test]
    fn the_inbound_buffer_taken_belongs_to_the_handler_leased_next() {
        let mut pool = Pool::new(2, 64);
        let mut inbound = pool.take_next_inbound().unwrap();
        inbound.extend_from_slice(b"request");
        pool.put_next_inbound(inbound);
        let key = pool.acquire(()).unwrap();
        assert_eq!(pool.handlers[key.index as usize].inbound, b"request");
        pool.release(key);
        assert!(pool.take_next_inbound().unwrap().is_empty());
    }

    #[test]
    fn figures_follow_leases_and_keep_the_high_water_mark() {
        let mut pool = Pool::new(4, 64);
        let keys: Vec<_> = (0..3).map(|n| pool.acquire(n).unwrap()).collect();
        for key in keys {
            pool.release(key);
        }
        assert_eq!(
            pool.figures(),
            PoolFigures {
                size: 4,
                busy: 0,
                high_water: 3
            }
        );
        let mut every = Vec::new();
        while let Ok(key) = pool.acquire(0) {
            every.push(key);
        }
        assert_eq!((every.len(), pool.figures().utilization()), (4, 1.0));
    }
}
