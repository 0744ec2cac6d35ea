//! What a modern child wants back from its modern client with the next round (2026-07-28, patterns/mrtr): the client
//! carries it sealed, and any child of the server that has the next round gets it as it was.
//!
//! It is bound to the principal, to the request and to the server, so that no client can bring back another's, or one
//! that a child never gave.

use crate::children::{Answer, Message, place_of_state, with_state};
use crate::mcp::{Era, Ticket, Work};
use crate::pool::HandlerKey;
use crate::registry::ServerIndex;

use crate::shard::service::LocalService;
use crate::shard::{Shard, ShardRing};

use super::modern::speaks_modern;

/// Why a request is refused that brings something else back.
const NOT_OURS: &str = "`params.requestState` is not of this request, was changed or is too old";
/// Stands before what is sealed: whose it is.
const OF_CHILD: &str = "child\0";

impl<R: ShardRing> Shard<R> {
    /// Makes `ticket` ready for the call to be answered with questions, and gives the request, which is `text` for
    /// children, with what its client has brought back as its child gave it, if it has.
    ///
    /// # Errors
    /// Why the request is refused.
    pub(super) fn reopen_state(
        &self,
        (service, server): (&LocalService, ServerIndex),
        work: &Work<'_>,
        (text, message): (&[u8], &Message),
        ticket: &mut Ticket,
    ) -> Result<Option<(Vec<u8>, Message)>, &'static str> {
        let is_modern = ticket.revision().era() == Era::Modern;
        if !is_modern || !work.operation().may_ask() || !speaks_modern(service, server) {
            return Ok(None);
        }
        work.bind(ticket);
        let Some(place) = message.params.and_then(|params| place_of_state(text, params)) else {
            return Ok(None);
        };
        let sealed: String = serde_json::from_slice(place.of(text)).map_err(|_| NOT_OURS)?;
        let plain = ticket.open_state(&sealed, &*service.store, self.clock.unix_now());
        let plain = plain.and_then(|plain| String::from_utf8(plain).ok());
        let state = plain
            .as_deref()
            .and_then(|plain| plain.strip_prefix(OF_CHILD))
            .and_then(|rest| rest.strip_prefix(self.children.name(server)))
            .and_then(|rest| rest.strip_prefix('\0'))
            .ok_or(NOT_OURS)?;
        let text = with_state(text, place, state);
        let message = Message::read_checked(&text).map_err(|_| NOT_OURS)?;
        Ok(Some((text, message)))
    }

    /// Answers a modern client's call with what its child asks; what that wants back is sealed.
    pub(super) fn settle_sealed(&mut self, call: HandlerKey, answer: &Answer<'_>) {
        let place = answer.message.outcome;
        let place = place.and_then(|result| place_of_state(answer.line, result));
        let Some(place) = place else {
            return self.settle_answered(call, answer);
        };
        let now = self.clock.unix_now();
        let forwarding = self.calls.at(call).and_then(|call| call.forwarding());
        let Some(server) = forwarding.map(|forwarding| forwarding.server) else {
            return;
        };
        let state: Option<String> = serde_json::from_slice(place.of(answer.line)).ok();
        let plain = state.map(|state| format!("{OF_CHILD}{}\0{state}", self.children.name(server)));
        let Some(entry) = self.calls.at(call) else { return };
        let sealed = plain.and_then(|plain| {
            entry
                .ticket
                .seal_state(plain.as_bytes(), &*entry.service.store, now)
        });
        let line = sealed.map(|sealed| with_state(answer.line, place, &sealed));
        match line.and_then(|line| Some((Message::read_checked(&line).ok()?, line))) {
            Some((message, line)) => {
                let (line, era) = (&line, answer.era);
                self.settle_answered(call, &Answer { line, message, era });
            }
            None => self.fail_round(call, "what it wants back cannot be sealed"),
        }
    }
}
