//! The messages of a call that nobody has taken yet, in order and within bounds.
//!
//! A call has two of these queues: one under its link's lock, for messages from other threads, and one of the thread
//! that polls it, for messages during the poll.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use crate::registry::asking::emission::Emission;

/// Emissions a call may have unsent. Beyond it the oldest progress or log message is dropped.
pub const UNSENT_MAX: usize = 1_024;
/// Approximate bytes of them: as much as a stream holds for a client that does not read.
pub const UNSENT_BYTES_MAX: usize = 256 << 10;
/// Places for emissions that an idle queue keeps.
const KEPT_MAX: usize = 16;

thread_local! {
    static POLLED: Polled = const { Polled::new() };
}

/// The address of a call's link, which identifies it and is never followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct LinkAddress(*const ());

impl LinkAddress {
    pub(super) fn of<T>(link: &T) -> LinkAddress {
        LinkAddress(std::ptr::from_ref(link).cast())
    }
}

/// The call that a thread polls now, or has polled last, and its messages meanwhile. No other thread sees it, so that a
/// call that emits while it is polled takes no lock.
struct Polled {
    /// The call's link.
    link: Cell<LinkAddress>,
    is_polling: Cell<bool>,
    unsent: RefCell<Unsent>,
}

/// Emissions, oldest first.
#[derive(Default)]
pub(super) struct Unsent {
    emissions: VecDeque<Emission>,
    bytes: usize,
}

/// The fate of an emission.
pub(super) struct Queued {
    /// Whether it is in the queue.
    pub(super) is_kept: bool,
    /// Emissions that were dropped: this one or older ones.
    pub(super) dropped: u64,
}

impl Polled {
    const fn new() -> Polled {
        Polled {
            link: Cell::new(LinkAddress(std::ptr::null())),
            is_polling: Cell::new(false),
            unsent: RefCell::new(Unsent::new()),
        }
    }
}

/// From here on this thread polls the call of `link`. Messages left over from another call are dropped.
pub(super) fn begin_poll(link: LinkAddress) {
    POLLED.with(|polled| {
        polled.link.set(link);
        polled.is_polling.set(true);
        polled.unsent.borrow_mut().clear();
    });
}

/// This thread no longer polls the call of `link`. Returns whether there are messages to take.
pub(super) fn end_poll(link: LinkAddress) -> bool {
    of_polled(link, |polled| {
        polled.is_polling.set(false);
        !polled.unsent.borrow().emissions.is_empty()
    })
    .unwrap_or(false)
}

/// Acts on the messages that the call of `link` emitted while this thread polled it, if this is that thread.
pub(super) fn with_polled<T>(link: LinkAddress, act: impl FnOnce(&mut Unsent) -> T) -> Option<T> {
    of_polled(link, |polled| act(&mut polled.unsent.borrow_mut()))
}

/// Does the same, from the beginning of the poll until its messages are taken.
pub(super) fn while_polled<T>(link: LinkAddress, act: impl FnOnce(&mut Unsent) -> T) -> Option<T> {
    of_polled(link, |polled| {
        let mut unsent = polled.unsent.borrow_mut();
        let is_listened_to = polled.is_polling.get() || !unsent.emissions.is_empty();
        is_listened_to.then(|| act(&mut unsent))
    })
    .flatten()
}

fn of_polled<T>(link: LinkAddress, act: impl FnOnce(&Polled) -> T) -> Option<T> {
    let is_it = |polled: &Polled| polled.link.get() == link;
    // A thread that ends has nothing to send.
    POLLED
        .try_with(|polled| is_it(polled).then(|| act(polled)))
        .ok()
        .flatten()
}

impl Unsent {
    const fn new() -> Unsent {
        Unsent {
            emissions: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Empties the queue. It keeps its memory, except for what an unusually talkative call needed.
    pub(super) fn clear(&mut self) {
        // Most calls say nothing.
        if !self.emissions.is_empty() || self.emissions.capacity() > KEPT_MAX {
            self.emissions.clear();
            self.emissions.shrink_to(KEPT_MAX);
        }
        self.bytes = 0;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Emission> {
        self.emissions.iter()
    }

    /// Moves everything, in order, to the end of `into`.
    pub(super) fn take(&mut self, into: &mut Vec<Emission>) {
        while let Some(emission) = self.emissions.pop_front() {
            into.push(emission);
        }
        self.bytes = 0;
    }

    /// Adds to the queue and keeps it within its bounds: the oldest that may be dropped makes room.
    pub(super) fn queue(&mut self, emission: Emission) -> Queued {
        let weight_bytes = emission.weight_bytes();
        let is_droppable = emission.is_droppable();
        let mut dropped = 0;
        while self.emissions.len() >= UNSENT_MAX || self.bytes + weight_bytes > UNSENT_BYTES_MAX {
            if is_droppable && weight_bytes > UNSENT_BYTES_MAX || !self.drop_oldest() {
                if is_droppable {
                    return Queued {
                        is_kept: false,
                        dropped: dropped + 1,
                    };
                }
                break;
            }
            dropped += 1;
        }
        self.bytes += weight_bytes;
        self.emissions.push_back(emission);
        Queued {
            is_kept: true,
            dropped,
        }
    }

    /// Removes a question that was not taken yet.
    pub(super) fn forget_question(&mut self, number: u32) {
        let is_it = |emission: &Emission| matches!(emission, Emission::Question(question) if question.number == number);
        if let Some(at) = self.emissions.iter().position(is_it) {
            self.remove(at);
        }
    }

    /// Drops the oldest emission that may be dropped, if there is one.
    fn drop_oldest(&mut self) -> bool {
        let Some(at) = self.emissions.iter().position(Emission::is_droppable) else {
            return false;
        };
        self.remove(at);
        true
    }

    fn remove(&mut self, at: usize) {
        if let Some(emission) = self.emissions.remove(at) {
            self.bytes = self.bytes.saturating_sub(emission.weight_bytes());
        }
    }
}
