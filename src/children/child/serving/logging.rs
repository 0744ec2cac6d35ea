//! What a child logs and tells besides, and how much of that its client wants; and the updates that it is to tell of.

use std::time::Instant;

use crate::jsonrpc::write_string;
use crate::mcp::Era;
use crate::registry::LogLevel;

use crate::children::child::log_state::{LogWish, WishOf};

use super::Child;

/// The beginning of the ids of requests whose answers are of no interest: text, which no call has.
const IGNORED_ID: &[u8] = b"\"weir-";

impl<C> Child<C> {
    /// Its callers have wishes about what it logs, which it is told of before their calls.
    pub fn heed_wishes(&mut self, wish_of: WishOf<C>) {
        self.logs.wish_of = Some(wish_of);
    }

    /// Whether it is of the older era, and one client alone can be meant by what it says.
    pub(super) fn is_attributed_legacy(&self) -> bool {
        self.era == Era::Legacy && self.limits.ask_timeout.is_some()
    }

    /// Whose call it must be about what the child tells now; nothing in the message says so. With one client the oldest
    /// call is as good as any. Among several, each request of a modern child asks for messages of its own, so there
    /// must be no other.
    pub(super) fn told_for(&self) -> Option<&C> {
        let call = match (self.era, self.limits.ask_timeout) {
            (Era::Legacy, None) => return None,
            (Era::Modern, None) => return self.in_flight.sole(),
            (_, Some(_)) => self.in_flight.oldest()?,
        };
        self.in_flight.caller(call)
    }

    /// Tells it how much the next caller wants to hear, if that is news.
    pub(super) fn tell_level(&mut self, caller: &C, now: Instant) {
        let Some(wish_of) = self.logs.wish_of else { return };
        let is_logging = self
            .introduction
            .as_ref()
            .is_some_and(|said| said.capabilities.logging);
        if !is_logging || self.era == Era::Modern {
            return;
        }
        let level = match wish_of(caller) {
            LogWish::FromRequest(level) | LogWish::OfSession(Some(level)) => level,
            // It may say what it likes, unless another client wanted something else.
            LogWish::None | LogWish::OfSession(None) if self.logs.told.is_none() => return,
            LogWish::None | LogWish::OfSession(None) => LogLevel::Info,
        };
        if self.logs.told.replace(level) == Some(level) {
            return;
        }
        self.write_ignored("logging/setLevel", now, |out| {
            out.extend_from_slice(br#"{"level":"#);
            write_string(out, level.as_str());
            out.push(b'}');
        });
    }

    /// Asks a legacy child to tell of the updates of a resource, or no longer.
    pub(super) fn write_subscribe(&mut self, uri: &str, is_wanted: bool, now: Instant) {
        let method = if is_wanted {
            "resources/subscribe"
        } else {
            "resources/unsubscribe"
        };
        self.write_ignored(method, now, |out| {
            out.extend_from_slice(br#"{"uri":"#);
            write_string(out, uri);
            out.push(b'}');
        });
    }

    /// Asks it for something whose answer is of no interest.
    pub(super) fn write_ignored(&mut self, method: &str, now: Instant, params: impl FnOnce(&mut Vec<u8>)) {
        self.logs.last += 1;
        let number = self.logs.last;
        let out = self.outgoing.line(now);
        out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
        out.extend_from_slice(IGNORED_ID);
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        out.extend_from_slice(b"\",\"method\":");
        write_string(out, method);
        out.extend_from_slice(br#","params":"#);
        params(out);
        out.extend_from_slice(b"}\n");
    }

    /// Whether this is the id of such a request.
    pub(super) fn is_ignored(id: &[u8]) -> bool {
        id.starts_with(IGNORED_ID)
    }
}
