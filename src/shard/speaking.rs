//! What calls say before they end: progress, log messages and questions, from the call's link to its stream.
//!
//! A tool that is polled here is listened to right behind the poll. One on a worker, or one that hands its context to
//! another task, posts a [`ShardEvent::Spoke`](super::ShardEvent::Spoke). What is said is put into the words of
//! the request's revision at once and lies in the live store from then on.

use std::sync::Arc;

use crate::pool::HandlerKey;
use crate::registry::{CallLink, ClientFacts, Emission, LinkListener, ServerHandle};

use super::{Shard, ShardRing};

/// Links kept for calls to come; more run at once only while a burst lasts.
const LINKS_KEPT_MAX: usize = 256;

/// The links of calls: made once, used again.
pub(super) struct Links {
    free: Vec<Arc<CallLink>>,
    listener: Arc<dyn LinkListener>,
    server: ServerHandle,
}

impl Links {
    /// Links whose calls tell `listener` of what they say outside a poll.
    pub(super) fn new(listener: Arc<dyn LinkListener>, server: ServerHandle) -> Links {
        Links {
            free: Vec::with_capacity(LINKS_KEPT_MAX),
            listener,
            server,
        }
    }

    /// A link for a call whose client is as `facts` say. Allocates only while more calls run than ever before.
    pub(super) fn take(&mut self, facts: ClientFacts) -> Arc<CallLink> {
        let mut link = self
            .free
            .pop()
            .unwrap_or_else(|| CallLink::new(Arc::clone(&self.listener), self.server.clone()));
        match Arc::get_mut(&mut link) {
            Some(own) => own.begin(facts),
            None => debug_assert!(false, "a free link is nobody's"),
        }
        link
    }

    /// Takes a link back whose call is over. One that a tool still holds is left to it.
    pub(super) fn put(&mut self, link: Arc<CallLink>) {
        link.close();
        // Nobody can make a second one of the last.
        if self.free.len() < LINKS_KEPT_MAX && Arc::strong_count(&link) == 1 {
            self.free.push(link);
        }
    }
}

/// A handler as the number that its call's link gives to the listener.
pub(super) fn call_number(handler: HandlerKey) -> u64 {
    u64::from(handler.lease) << 32 | u64::from(handler.index)
}

/// The handler whose call's link gives this number to the listener.
pub(super) fn handler_of(number: u64) -> HandlerKey {
    HandlerKey {
        index: number as u32,
        lease: (number >> 32) as u32,
    }
}

impl<R: ShardRing> Shard<R> {
    /// A call was polled, or is about to be settled: passes on what it said meanwhile.
    pub(super) fn hear_polled(&mut self, handler: HandlerKey) {
        let link = self.pool.call_mut(handler).and_then(|call| call.link.as_ref());
        if link.is_some_and(|link| link.end_poll()) {
            self.hear(handler);
        }
    }

    /// Passes on what a call has said.
    pub(super) fn hear(&mut self, handler: HandlerKey) {
        let Some(link) = self.pool.call_mut(handler).and_then(|call| call.link.clone()) else {
            return;
        };
        let mut emissions = std::mem::take(&mut self.emissions);
        link.take_emissions(&mut emissions);
        for emission in emissions.drain(..) {
            match emission {
                Emission::Question(question) => self.ask(handler, &link, question),
                Emission::CloseStream { retry } => self.cut_response(handler, retry),
                emission => self.speak(handler, &emission),
            }
        }
        self.emissions = emissions;
    }

    /// Puts one message on a call's stream, if its client is to have it.
    fn speak(&mut self, handler: HandlerKey, emission: &Emission) {
        if self.is_task(handler) {
            return self.speak_of_task(handler, emission);
        }
        let Some(call) = self.pool.call_mut(handler) else {
            return;
        };
        let mut message = Vec::new();
        let (service, ticket) = (&call.service, &call.ticket);
        let is_wanted = service
            .protocol
            .write_emission(ticket, emission, "", &*service.store, &mut message);
        if is_wanted {
            self.say(handler, emission, message);
        }
    }
}
