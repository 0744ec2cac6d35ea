//! What a call has said and nobody has taken yet, in order and within bounds.
//!
//! There are two of these for a call: one under its link's lock, for what other threads say, and one of the thread that
//! polls it, for what it says meanwhile.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use crate::registry::asking::emission::Emission;

/// Emissions a call may have unsent. Beyond it the oldest progress or log message is dropped.
pub const UNSENT_MAX: usize = 1_024;
/// Of about this many bytes: as much as a stream holds for a client that does not read.
pub const UNSENT_BYTES_MAX: usize = 256 << 10;
/// Places for emissions that a queue at rest keeps.
const KEPT_MAX: usize = 16;

thread_local! {
    static POLLED: Polled = const { Polled::new() };
}

/// Where a call's link is: what tells it from others. Never followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct LinkAddress(*const ());

impl LinkAddress {
    pub(super) fn of<T>(link: &T) -> LinkAddress {
        LinkAddress(std::ptr::from_ref(link).cast())
    }
}

/// The call that a thread polls now, or has polled last, and what it said meanwhile. No other thread sees it, so that a
/// call which speaks while it is polled takes no lock.
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

/// What became of an emission.
pub(super) struct Queued {
    /// Whether it is in the queue.
    pub(super) is_kept: bool,
    /// Emissions that were dropped, itself or older ones.
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

/// From here on this thread polls the call of `link`. What was left of another call is nobody's.
pub(super) fn begin_poll(link: LinkAddress) {
    POLLED.with(|polled| {
        polled.link.set(link);
        polled.is_polling.set(true);
        polled.unsent.borrow_mut().clear();
    });
}

/// This thread does not poll the call of `link` any more; whether the call said something that can be taken.
pub(super) fn end_poll(link: LinkAddress) -> bool {
    of_polled(link, |polled| {
        polled.is_polling.set(false);
        !polled.unsent.borrow().emissions.is_empty()
    })
    .unwrap_or(false)
}

/// What the call of `link` said while this thread polled it, if this is the thread.
pub(super) fn with_polled<T>(link: LinkAddress, act: impl FnOnce(&mut Unsent) -> T) -> Option<T> {
    of_polled(link, |polled| act(&mut polled.unsent.borrow_mut()))
}

/// The same, from the begin of the poll until what was said in it is taken.
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
    // A thread that ends has nothing to say.
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

    /// Empties it and keeps its memory, but for what only a very talkative call needed.
    pub(super) fn clear(&mut self) {
        self.emissions.clear();
        self.emissions.shrink_to(KEPT_MAX);
        self.bytes = 0;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Emission> {
        self.emissions.iter()
    }

    /// Moves everything, in order, to the end of `into`.
    pub(super) fn take(&mut self, into: &mut Vec<Emission>) {
        into.extend(self.emissions.drain(..));
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

    /// Takes a question out that was not taken yet.
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
