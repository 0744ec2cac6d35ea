//! The calls that wait for a child: bounded, in order, each with a deadline; in front of them those that have waited
//! before: they come back from a child which is of no more use, or from the queue of another shard.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::children::line::Message;
use crate::mcp::ClientKey;
use crate::pool::{WaitKey, WaitQueue};

use super::event::{LocalRefusal, Taken};

/// Texts of calls whose memory is kept for the next ones, and how much of each.
const SPARES: usize = 16;
const SPARE_BYTES_MAX: usize = 16 << 10;

#[derive(Debug)]
struct WaitingCall<C> {
    text: Vec<u8>,
    caller: C,
    /// Whose child it waits for; `None` if any will do.
    client: Option<ClientKey>,
    due: Instant,
}

/// A call that has waited before.
#[derive(Debug)]
struct Returned<C> {
    text: Vec<u8>,
    caller: C,
    client: Option<ClientKey>,
    due: Instant,
}

impl<C> Returned<C> {
    fn taken(self) -> Taken<C> {
        (self.text, self.caller, Some(self.due))
    }
}

/// The calls that wait.
pub(super) struct Waiting<C> {
    returned: VecDeque<Returned<C>>,
    queue: WaitQueue<WaitingCall<C>>,
    depth_max: u32,
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
            depth_max,
            timeout,
            spares: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.returned.len() + self.queue.len()
    }

    /// Whether no call more may wait.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= self.depth_max as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a call waits that any child may have.
    pub(super) fn has_unowned(&self) -> bool {
        // All of them may be, or none.
        let returned = self.returned.front().map(|call| call.client);
        let queued = self.queue.front().map(|(_, call)| call.client);
        returned.or(queued).is_some_and(|client| client.is_none())
    }

    /// Puts a call behind all others, which waits for the child of `client`, or for any.
    pub(super) fn push(
        &mut self,
        text: &[u8],
        caller: C,
        client: Option<ClientKey>,
        now: Instant,
    ) -> Result<(), (C, LocalRefusal)> {
        let mut kept = self.spares.pop().unwrap_or_default();
        kept.extend_from_slice(text);
        let call = WaitingCall {
            text: kept,
            caller,
            client,
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

    /// Puts a call before all others: a child had it, and has not seen it. Its wait begins anew, because there may be
    /// no other child for long.
    pub(super) fn push_front(&mut self, text: Vec<u8>, caller: C, now: Instant) {
        self.returned.push_back(Returned {
            text,
            caller,
            client: None,
            due: now + self.timeout,
        });
    }

    /// Puts a call before those that have waited here only: it has waited on another shard, until `due` at most.
    pub(super) fn push_moved(&mut self, text: &[u8], caller: C, client: Option<ClientKey>, due: Instant) {
        let mut kept = self.spares.pop().unwrap_or_default();
        kept.extend_from_slice(text);
        self.returned.push_back(Returned {
            text: kept,
            caller,
            client,
            due,
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

    /// Takes the oldest call out that waits for the child of this client.
    pub(super) fn take_of(&mut self, client: ClientKey) -> Option<Taken<C>> {
        if let Some(at) = self.returned.iter().position(|call| call.client == Some(client)) {
            return self.returned.remove(at).map(Returned::taken);
        }
        let key = self.find(|call| call.client == Some(client))?;
        let call = self.queue.remove(key)?;
        Some((call.text, call.caller, Some(call.due)))
    }

    /// Whether a call waits for the child of this client.
    pub(super) fn has_of(&self, client: ClientKey) -> bool {
        self.returned.iter().any(|call| call.client == Some(client))
            || self.find(|call| call.client == Some(client)).is_some()
    }

    /// Takes the call of this caller out, with the client for whose child it waits.
    pub(super) fn remove(&mut self, is_it: impl Fn(&C) -> bool) -> Option<(C, Option<ClientKey>)> {
        if let Some(at) = self.returned.iter().position(|call| is_it(&call.caller)) {
            return self.returned.remove(at).map(|call| (call.caller, call.client));
        }
        let key = self.find(|call| is_it(&call.caller));
        self.take(key?)
    }

    /// Takes the oldest call out that `is_it`.
    pub(super) fn take_first(&mut self, is_it: impl Fn(&C) -> bool) -> Option<Taken<C>> {
        if let Some(at) = self.returned.iter().position(|call| is_it(&call.caller)) {
            return self.returned.remove(at).map(Returned::taken);
        }
        let key = self.find(|call| is_it(&call.caller));
        let call = self.queue.remove(key?)?;
        Some((call.text, call.caller, Some(call.due)))
    }

    /// Takes a call out whose time is over, if there is one, with the client for whose child it waits.
    pub(super) fn expire(&mut self, now: Instant) -> Option<(C, Option<ClientKey>)> {
        let is_over = |call: &Returned<C>| call.due <= now;
        if let Some(at) = self.returned.iter().position(is_over) {
            return self.returned.remove(at).map(|call| (call.caller, call.client));
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

    fn find(&self, is_it: impl Fn(&WaitingCall<C>) -> bool) -> Option<WaitKey> {
        let mut calls = self.queue.iter();
        calls.find(|(_, call)| is_it(call)).map(|(key, _)| key)
    }

    fn take(&mut self, key: WaitKey) -> Option<(C, Option<ClientKey>)> {
        let call = self.queue.remove(key)?;
        self.keep(call.text);
        Some((call.caller, call.client))
    }
}
