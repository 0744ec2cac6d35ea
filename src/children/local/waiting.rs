//! The calls that wait for a child: bounded, in order, each with a deadline; in front of them those that have waited
//! before: they come back from a child which is of no more use, or from the queue of another shard.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::children::line::Message;
use crate::pool::{WaitKey, WaitQueue};

use super::event::LocalRefusal;

/// Texts of calls whose memory is kept for the next ones, and how much of each.
const SPARES: usize = 16;
const SPARE_BYTES_MAX: usize = 16 << 10;

#[derive(Debug)]
struct WaitingCall<C> {
    text: Vec<u8>,
    caller: C,
    due: Instant,
}

/// A call that has waited before.
#[derive(Debug)]
struct Returned<C> {
    text: Vec<u8>,
    caller: C,
    /// When its time is over; `None` if a child had it already: it waits no longer than it takes.
    due: Option<Instant>,
}

/// A call that is taken out to wait elsewhere: its text, who waits for it, and when its time is over.
pub type Taken<C> = (Vec<u8>, C, Option<Instant>);

/// The calls that wait.
pub(super) struct Waiting<C> {
    returned: VecDeque<Returned<C>>,
    queue: WaitQueue<WaitingCall<C>>,
    timeout: Duration,
    spares: Vec<Vec<u8>>,
}

impl<C> std::fmt::Debug for Waiting<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl<C> Waiting<C> {
    pub(super) fn new(depth_max: u32, timeout: Duration) -> Waiting<C> {
        Waiting {
            returned: VecDeque::new(),
            queue: WaitQueue::new(depth_max),
            timeout,
            spares: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.returned.len() + self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts a call behind all others.
    pub(super) fn push(&mut self, text: &[u8], caller: C, now: Instant) -> Result<(), (C, LocalRefusal)> {
        let mut kept = self.spares.pop().unwrap_or_default();
        kept.extend_from_slice(text);
        let call = WaitingCall {
            text: kept,
            caller,
            due: now + self.timeout,
        };
        match self.queue.push(call) {
            Ok(_) => Ok(()),
            Err(WaitingCall { text, caller, .. }) => {
                self.keep(text);
                Err((caller, LocalRefusal::QueueFull))
            }
        }
    }

    /// Puts a call before all others: a child had it, and has not seen it.
    pub(super) fn push_front(&mut self, text: Vec<u8>, caller: C) {
        let due = None;
        self.returned.push_back(Returned { text, caller, due });
    }

    /// Puts a call before those that have waited here only: it has waited on another shard, until `due` at most.
    pub(super) fn push_moved(&mut self, text: &[u8], caller: C, due: Instant) {
        let mut kept = self.spares.pop().unwrap_or_default();
        kept.extend_from_slice(text);
        self.returned.push_back(Returned {
            text: kept,
            caller,
            due: Some(due),
        });
    }

    /// Takes the oldest call out.
    pub(super) fn pop(&mut self) -> Option<(Vec<u8>, Message, C)> {
        let (text, caller) = match self.returned.pop_front() {
            Some(Returned { text, caller, .. }) => (text, caller),
            None => {
                let (key, _) = self.queue.front()?;
                let call = self.queue.remove(key)?;
                (call.text, call.caller)
            }
        };
        let message = Message::read_checked(&text);
        debug_assert!(message.is_ok(), "it was a message when it came");
        Some((text, message.ok()?, caller))
    }

    /// Takes the call of this caller out.
    pub(super) fn remove(&mut self, is_it: impl Fn(&C) -> bool) -> Option<C> {
        if let Some(at) = self.returned.iter().position(|call| is_it(&call.caller)) {
            return self.returned.remove(at).map(|call| call.caller);
        }
        let key = self.queue.iter().find(|(_, call)| is_it(&call.caller));
        let key = key.map(|(key, _)| key);
        self.take(key?)
    }

    /// Takes the oldest call out that `is_it`.
    pub(super) fn take_first(&mut self, is_it: impl Fn(&C) -> bool) -> Option<Taken<C>> {
        if let Some(at) = self.returned.iter().position(|call| is_it(&call.caller)) {
            let Returned { text, caller, due } = self.returned.remove(at)?;
            return Some((text, caller, due));
        }
        let key = self
            .queue
            .iter()
            .find(|(_, call)| is_it(&call.caller))
            .map(|(key, _)| key);
        let call = self.queue.remove(key?)?;
        Some((call.text, call.caller, Some(call.due)))
    }

    /// Takes a call out whose time is over, if there is one.
    pub(super) fn expire(&mut self, now: Instant) -> Option<C> {
        let is_over = |call: &Returned<C>| call.due.is_some_and(|due| due <= now);
        if let Some(at) = self.returned.iter().position(is_over) {
            return self.returned.remove(at).map(|call| call.caller);
        }
        let (key, call) = self.queue.front()?;
        if call.due > now {
            return None;
        }
        self.take(key)
    }

    /// Keeps the memory of a text for the next one.
    pub(super) fn keep(&mut self, mut text: Vec<u8>) {
        if self.spares.len() < SPARES && text.capacity() <= SPARE_BYTES_MAX {
            text.clear();
            self.spares.push(text);
        }
    }

    fn take(&mut self, key: WaitKey) -> Option<C> {
        let call = self.queue.remove(key)?;
        self.keep(call.text);
        Some(call.caller)
    }
}
