//! What children tell their clients unasked: log messages, and that what a URL was opened for is done.
//!
//! It goes to the call that it is about, by the call's stream or channel. While a child that is one client's has no
//! call, it goes to that client by the stream of its session, which a channel has as well; so do its questions. What
//! finds no stream there is nobody's.

use std::sync::Arc;

use crate::children::{Answer, Hearer, Message, level_of, write_without_breaks};
use crate::mcp::{Era, log_level_of};
use crate::pool::HandlerKey;
use crate::registry::LogLevel;
use crate::session::live::{self, Stream};

use super::modern::for_older;
use crate::shard::calls::{Call, Run};
use crate::shard::children::{Caller, ChildWord, ClientTerms};
use crate::shard::{Shard, ShardRing};

/// How this is said that what a URL was opened for is done.
const COMPLETE: &str = "notifications/elicitation/complete";

impl<R: ShardRing> Shard<R> {
    /// A child tells something. False if it is nobody's.
    pub(super) fn tell_hearer(&mut self, hearer: &Hearer<'_, Caller>, said: &Answer<'_>) -> bool {
        match hearer {
            Hearer::Caller(caller) => {
                self.tell_caller(**caller, said);
                true
            }
            // The newer era has no such stream, and its children say nothing unasked.
            Hearer::Client(last) if said.era == Era::Legacy => self.tell_client(&last.terms, said),
            Hearer::Client(_) | Hearer::Nobody => false,
        }
    }

    /// A child tells something about a call, here or elsewhere.
    fn tell_caller(&mut self, caller: Caller, said: &Answer<'_>) {
        if self.children.is_own(caller) {
            self.pass_on_told(caller.call, said.line, &said.message);
        } else if self.children.mesh().may_say(caller.shard) {
            let (line, message) = (said.line.to_vec(), said.message);
            self.say_to(caller, ChildWord::Told { line, message });
        }
    }

    /// A child tells something about a call of this shard. Its client gets what it has asked for.
    pub(super) fn pass_on_told(&mut self, call: HandlerKey, line: &[u8], said: &Message) {
        let mut message = self.calls.take_message();
        let holder = self.calls.speaker(call).and_then(|(entry, holder)| {
            if !is_wanted_by(entry, line, said) {
                return None;
            }
            match for_older(entry, line, said) {
                Some((older, _)) => message.extend_from_slice(&older),
                None => write_without_breaks(&mut message, line),
            }
            Some(holder)
        });
        if let Some(holder) = holder {
            self.say_of_child(call, holder, &message);
        }
        self.calls.put_message(message);
        if holder.is_some() {
            self.flush_emissions(call);
        }
    }

    /// A child that has no call tells its client something. False if there is no stream for that.
    fn tell_client(&self, terms: &ClientTerms, said: &Answer<'_>) -> bool {
        let Some((stream, level)) = self.client_stream(terms) else {
            return false;
        };
        let is_wanted = match level_of(said.line, &said.message) {
            _ if is_complete(said.line, &said.message) => terms.revision.has_elicitation_ids(),
            told => told.is_some_and(|told| told >= level),
        };
        if is_wanted {
            let mut text = Vec::with_capacity(said.line.len());
            write_without_breaks(&mut text, said.line);
            stream.offer(live::Message::new(text));
        }
        true
    }

    /// The stream of a legacy client's session for what belongs to no call, if it is open, and the least severe message
    /// that the client wants there.
    pub(super) fn client_stream(&self, terms: &ClientTerms) -> Option<(Arc<Stream>, LogLevel)> {
        let (session, _) = terms.session?;
        let view = self.service.view(terms.view);
        let stream = view.store.live().get_stream_of(session)?;
        Some((stream, log_level_of(session, &*view.state)))
    }
}

/// Whether the client of a call wants to hear this.
fn is_wanted_by(call: &Call, line: &[u8], said: &Message) -> bool {
    let Run::Forwarded(forwarding) = call.run else {
        return false;
    };
    if call.batch.is_some() {
        return false;
    }
    if is_complete(line, said) {
        return call.ticket.revision().has_elicitation_ids();
    }
    match (forwarding.log_level, level_of(line, said)) {
        (Some(wanted), Some(level)) => level >= wanted,
        _ => false,
    }
}

fn is_complete(line: &[u8], said: &Message) -> bool {
    said.method(line) == COMPLETE
}
