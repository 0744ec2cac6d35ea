//! The calls that wait for a child: bounded, in order, each with a deadline; in front of them those that come back
//! from a child which is of no more use.

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

/// The calls that wait.
pub(super) struct Waiting<C> {
    /// They have waited before, and wait no longer than it takes.
    returned: VecDeque<(Vec<u8>, C)>,
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
    pub(super) fn push_front(&mut self, line: Vec<u8>, caller: C) {
        self.returned.push_back((line, caller));
    }

    /// Takes the oldest call out.
    pub(super) fn pop(&mut self) -> Option<(Vec<u8>, Message, C)> {
        let (text, caller) = match self.returned.pop_front() {
            Some(returned) => returned,
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
        if let Some(at) = self.returned.iter().position(|(_, caller)| is_it(caller)) {
            return self.returned.remove(at).map(|(_, caller)| caller);
        }
        let key = self.queue.iter().find(|(_, call)| is_it(&call.caller));
        let key = key.map(|(key, _)| key);
        self.take(key?)
    }

    /// Takes the oldest call out that `is_it`, with its text.
    pub(super) fn take_first(&mut self, is_it: impl Fn(&C) -> bool) -> Option<(Vec<u8>, C)> {
        if let Some(at) = self.returned.iter().position(|(_, caller)| is_it(caller)) {
            return self.returned.remove(at);
        }
        let key = self
            .queue
            .iter()
            .find(|(_, call)| is_it(&call.caller))
            .map(|(key, _)| key);
        let call = self.queue.remove(key?)?;
        Some((call.text, call.caller))
    }

    /// Takes the oldest call out if its time is over.
    pub(super) fn expire(&mut self, now: Instant) -> Option<C> {
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
