//! The kernel's provided-buffer ring: the kernel takes a buffer from it when bytes arrive.
//!
//! Returned buffers are written behind the tail, and the tail is published once per flush, because each
//! publication is a store the kernel's side must see.
//!
//! The kernel takes buffers in turn, so all of those it holds pass through the cache. It is given no more than `supply`
//! says; the rest lie in reserve, and of these the last used goes first. Pages of those that are not needed for a while
//! go back to the kernel. A fixed number is provided whole, at any time.
//!
//! Invariant: between `tail` as published and the kernel's head lie only buffers the kernel may fill; `provided` of
//! them, less those whose completions have not been seen.
#![allow(unsafe_code, reason = "shares a ring of buffers with the kernel")]

use super::buffers::{BufferPool, RingBuffer};
use super::mapping::{Mapping, Residence};
use super::supply::Supply;
use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use std::io;
use std::mem;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

/// Buffers whose pages are given back in one call, at most: it is to be short.
const RELEASED_MAX: usize = 256;

/// The only buffer group of a ring.
pub(super) const BUFFER_GROUP: u16 = 0;

/// Buffers the kernel is given at first: three times what it fills in one pass over a ring whose work is deferred
/// (`IO_LOCAL_TW_DEFAULT_MAX` is 20 since Linux 6.13).
const PROVIDED_MIN: usize = 64;

/// Most buffers one ring can hold (`io_uring_register_buf_ring(3)`).
pub(super) const BUFFERS_MAX: u16 = 1 << 15;

pub(super) struct ProvidedBuffers {
    pool: Rc<BufferPool>,
    /// The first of `mask + 1` entries, in memory that is never unmapped.
    entries: *mut BufRingEntry,
    mask: u16,
    tail: u16,
    /// Buffers that the kernel has and, as far as is known, has not filled.
    provided: usize,
    /// How many buffers the kernel is given.
    supply: Supply,
    /// Buffers that the kernel is not given for now, the last used on top.
    reserve: Vec<u16>,
    /// The fewest of them since the last release: so many, at the bottom, were not needed.
    reserve_min: usize,
    /// Which buffers have been filled since their pages were last given back; none are if that is not to be.
    filled: Vec<bool>,
}

/// How many buffers there are, and what becomes of those that are not needed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Provision {
    pub(super) count: u16,
    pub(super) buffer_bytes: usize,
    pub(super) residence: Residence,
    /// Whether the kernel has all of them at any time.
    pub(super) is_fixed: bool,
}

impl ProvidedBuffers {
    /// Maps, registers and provides `count` buffers. Their memory stays mapped until the process ends:
    /// the kernel may still write into it while a ring dies.
    pub(super) fn register(submitter: &Submitter<'_>, provision: Provision) -> io::Result<Self> {
        let Provision {
            count,
            buffer_bytes,
            residence,
            is_fixed,
        } = provision;
        let entry_count = count.next_power_of_two();
        let pool = BufferPool::new(count, buffer_bytes, residence)?;
        // All of it is written below, and the kernel pins it.
        let ring_bytes = usize::from(entry_count) * mem::size_of::<BufRingEntry>();
        let ring = Mapping::new(ring_bytes, Residence::AtStart)?;
        let entries: *mut BufRingEntry = ring.as_ptr().cast();
        // SAFETY: the mapping is page-aligned, holds `entry_count` entries and is leaked below.
        unsafe {
            submitter.register_buf_ring_with_flags(entries as u64, entry_count, BUFFER_GROUP, 0)?;
        }
        mem::forget(ring);
        mem::forget(Rc::clone(&pool));
        let all = usize::from(count);
        let least = if is_fixed { all } else { PROVIDED_MIN };
        let is_released = residence == Residence::WithUse && !is_fixed;
        let mut provided = ProvidedBuffers {
            pool,
            entries,
            mask: entry_count - 1,
            tail: 0,
            provided: 0,
            supply: Supply::new(least, all),
            reserve: (0..count).rev().collect(),
            reserve_min: 0,
            filled: if is_released {
                vec![false; usize::from(count)]
            } else {
                Vec::new()
            },
        };
        provided.provide();
        Ok(provided)
    }

    pub(super) fn pool(&self) -> &BufferPool {
        &self.pool
    }

    /// Takes returned buffers in, and gives the kernel as many as it needs.
    pub(super) fn publish(&mut self) {
        self.supply.judge();
        if !self.pool.has_returned() && self.provided >= self.supply.most() {
            return;
        }
        let reserve = &mut self.reserve;
        self.pool.take_returned(|id| reserve.push(id));
        self.provide();
    }

    /// Notes that the kernel has filled a buffer, which is not taken over yet.
    pub(super) fn on_filled(&mut self) {
        self.provided -= 1;
        self.supply.on_filled(self.provided);
    }

    /// Gives the kernel fewer buffers if it has needed fewer since the last call, and the pages back of those that were
    /// in reserve all the while.
    pub(super) fn release_unneeded(&mut self) {
        self.supply.release();
        let unneeded = self.reserve_min.min(self.reserve.len());
        self.reserve_min = self.reserve.len();
        if self.filled.is_empty() {
            return;
        }
        let is_filled = |id: &u16| self.filled[usize::from(*id)];
        let ids = self.reserve[..unneeded].iter().copied().filter(is_filled);
        let mut ids: Vec<u16> = ids.take(RELEASED_MAX).collect();
        // SAFETY: buffers in reserve are with nobody.
        unsafe { self.pool.release(&mut ids) };
        for id in ids {
            self.filled[usize::from(id)] = false;
        }
    }

    /// Notes that a receive found no buffer: the kernel may need more than it was given, if there are more.
    pub(super) fn on_starved(&mut self) {
        self.supply.on_starved();
    }

    /// Buffers without bytes.
    pub(super) fn free(&self) -> usize {
        self.provided + self.reserve.len() + self.pool.returned()
    }

    fn provide(&mut self) {
        let before = self.tail;
        while self.provided < self.supply.most()
            && let Some(id) = self.reserve.pop()
        {
            self.push(id);
            self.provided += 1;
        }
        self.reserve_min = self.reserve_min.min(self.reserve.len());
        if self.tail != before {
            self.publish_tail();
        }
    }

    /// Buffers that the kernel has, as far as is known.
    #[cfg(test)]
    pub(super) fn provided(&self) -> usize {
        self.provided
    }

    /// Takes over the buffer a completion names.
    ///
    /// # Safety
    /// `id` comes from a completion of this group that was not taken over before.
    pub(super) unsafe fn take(&mut self, id: u16, bytes: usize) -> RingBuffer {
        if let Some(is_filled) = self.filled.get_mut(usize::from(id)) {
            *is_filled = true;
        }
        // SAFETY: the completion ends the kernel's use of `id` until `push` provides it again, which
        // happens only after the guard's drop.
        unsafe { self.pool.lend(id, bytes) }
    }

    fn push(&mut self, id: u16) {
        let index = usize::from(self.tail & self.mask);
        // SAFETY: `index <= mask` lies within the mapping. The kernel reads only entries before the
        // published tail, so nobody else looks at this one yet. The setters leave the tail's own field,
        // which overlays the first entry's last two bytes, alone.
        let entry = unsafe { &mut *self.entries.add(index) };
        entry.set_addr(self.pool.address(id) as u64);
        entry.set_len(self.pool.buffer_bytes() as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish_tail(&self) {
        // SAFETY: `entries` is the ring's base; the tail is an aligned `u16` in it that this side alone
        // writes and the kernel reads atomically.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}
