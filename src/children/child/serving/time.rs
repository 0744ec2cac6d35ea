//! What time brings a child: calls that took too long, a start that does not end, a ping.

use std::time::{Duration, Instant};

use crate::children::child::calls::{Expired, OWN_IDS_MAX};
use crate::children::child::event::{ChildEvent, ChildFailure};
use crate::children::child::handshake::write_discover;
use crate::mcp::Era;

use super::{Child, Phase};

/// For the answer to the question whether a child is of the modern era, before it is taken for one of the other.
const PROBE_SILENCE: Duration = Duration::from_secs(2);

impl<C> Child<C> {
    /// What time brings: calls that took too long, a child that does not start, read or answer.
    pub fn on_time(&mut self, now: Instant, mut tell: impl FnMut(ChildEvent<'_, C>)) {
        self.expire_questions(now, &mut tell);
        while let Some(expired) = self.in_flight.expire(now) {
            match expired {
                Expired::TimedOut { key, caller } => {
                    self.tell_cancelled(key, "the call took too long", now);
                    tell(ChildEvent::TimedOut { caller });
                }
                Expired::Lost => self.counters.lost_places += 1,
            }
        }
        self.listen_again(now);
        let is_over = |since: Instant, limit: Duration| now.saturating_duration_since(since) >= limit;
        let is_stuck = self.outgoing.stuck_since();
        if is_stuck.is_some_and(|since| is_over(since, self.limits.write_timeout)) {
            return self.fail(ChildFailure::InputStuck, &mut tell);
        }
        match self.phase {
            Phase::Starting(_) | Phase::Warming(_) if is_over(self.began, self.limits.start_timeout) => {
                self.fail(ChildFailure::StartTimeout, &mut tell);
            }
            Phase::Starting(ref mut handshake)
                if is_over(self.began, PROBE_SILENCE.min(self.limits.start_timeout / 2)) =>
            {
                handshake.on_silence(self.outgoing.line(now));
                self.own_id = handshake.id();
            }
            Phase::Serving if self.rereading.is_some() => {
                let limit = self.limits.start_timeout;
                if self
                    .rereading
                    .as_ref()
                    .is_some_and(|(_, since)| is_over(*since, limit))
                {
                    self.rereading = None;
                }
            }
            Phase::Serving if self.in_flight.taken() == 0 => match self.pinged_at {
                Some(at) if is_over(at, self.limits.ping_interval) => {
                    self.fail(ChildFailure::Unresponsive, &mut tell);
                }
                None if is_over(self.active_at, self.limits.ping_interval) => self.ping(now),
                _ => {}
            },
            // What it is busy with may keep it from answering a ping.
            Phase::Serving => self.pinged_at = None,
            _ => {}
        }
    }

    /// An id for a request of ours, which no other that is open has.
    pub(super) fn take_own_id(&mut self) -> u64 {
        self.own_id = match self.own_id + 1 {
            next if next >= OWN_IDS_MAX => 1,
            next => next,
        };
        if self.listening.is_at(self.own_id) {
            self.own_id += 1;
        }
        self.own_id
    }

    fn ping(&mut self, now: Instant) {
        self.take_own_id();
        self.pinged_at = Some(now);
        let out = self.outgoing.line(now);
        if self.era == Era::Modern {
            return write_discover(out, self.own_id);
        }
        out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
        out.extend_from_slice(itoa::Buffer::new().format(self.own_id).as_bytes());
        out.extend_from_slice(b",\"method\":\"ping\"}\n");
    }
}
