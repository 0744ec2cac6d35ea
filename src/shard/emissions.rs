//! Emissions of calls: progress, log messages and questions, on their way from a call's link to its client.
//!
//! The emissions of a tool that is polled here are taken right after the poll. A tool on a worker, or one that hands its
//! context to another task, posts a [`ShardEvent::Spoke`](super::ShardEvent::Spoke). What is said is put into the words of
//! the request's revision at once and lies in the live store from then on.

use crate::pool::HandlerKey;
use crate::registry::Emission;

use super::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// A call was polled, or is about to be settled: passes its emissions on.
    pub(super) fn emit_polled(&mut self, handler: HandlerKey) {
        let link = self.calls.at(handler).and_then(|call| call.link.as_ref());
        if link.is_some_and(|link| link.end_poll()) {
            self.emit(handler);
        }
    }

    /// Passes the emissions of a call on.
    pub(super) fn emit(&mut self, handler: HandlerKey) {
        let Some(link) = self.calls.at(handler).and_then(|call| call.link.clone()) else {
            return;
        };
        let mut emissions = self.calls.take_emissions(&link);
        for emission in emissions.drain(..) {
            match emission {
                Emission::Question(question) => self.ask(handler, &link, question),
                Emission::CloseStream { retry } => self.cut_response(handler, retry),
                emission => self.emit_one(handler, &emission),
            }
        }
        self.calls.put_emissions(emissions);
    }

    /// Puts one message on a call's stream, if its client is to have it.
    fn emit_one(&mut self, handler: HandlerKey, emission: &Emission) {
        if self.calls.is_task(handler) {
            return self.emit_of_task(handler, emission);
        }
        let Some(call) = self.calls.at(handler) else {
            return;
        };
        let mut message = Vec::new();
        let (service, ticket) = (&call.service, &call.ticket);
        let is_wanted = service
            .protocol
            .write_emission(ticket, emission, "", &*service.store, &mut message);
        if is_wanted {
            self.send_emission(handler, emission, message);
        }
    }
}
