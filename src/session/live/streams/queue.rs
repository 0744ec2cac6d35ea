//! The queue of one stream, under the stream's lock: the retained messages, the unsent ones, and whether the shard was
//! told.
//!
//! ```text
//!   retained (sent, may be asked for again) │ unsent
//!   ────────────────────────────────────────┴────────► pushed here
//! ```

use std::collections::VecDeque;

use super::super::places::StreamPlace;
use super::super::shared_context::Seconds;
use super::message::Message;

/// The number of entries for which a drained queue keeps room.
const KEPT_MESSAGES_MAX: usize = 4;

/// The state of a stream after its shard has taken messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamState {
    /// No message is left. The next one brings a [`LiveEvent::Ready`](crate::session::live::LiveEvent::Ready).
    Idle,
    /// More messages are left than the caller wanted. No event comes: the caller looks again when there is room.
    More,
    /// No message is left, and none will come: the stream was ended.
    Ended,
    /// No message is left, since too much was unsent. The connection is to be closed.
    CutOff,
    /// The stream is attached elsewhere or not at all; nothing was taken.
    Displaced,
}

pub(super) struct Queue {
    pub(super) place: Option<StreamPlace>,
    /// The shard has an event, or is about to look without one.
    pub(super) is_told: bool,
    pub(super) is_ended: bool,
    pub(super) is_cut_off: bool,
    /// The time from which the age of a stream without a connection counts.
    pub(super) touched: Seconds,
    messages: VecDeque<Queued>,
    /// How many of the messages are sent and retained; always 0 if the stream is not resumable.
    sent: usize,
    sent_bytes: usize,
    pub(super) unsent_bytes: usize,
    /// The sequence number of the first of the messages, or of the next one that is pushed.
    first_seq: u64,
}

pub(super) struct Queued {
    message: Message,
    pushed: Seconds,
}

impl Queue {
    pub(super) fn new(now: Seconds) -> Self {
        Self {
            place: None,
            is_told: false,
            is_ended: false,
            is_cut_off: false,
            touched: now,
            messages: VecDeque::new(),
            sent: 0,
            sent_bytes: 0,
            unsent_bytes: 0,
            first_seq: 1,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_ended || self.is_cut_off
    }

    pub(super) fn next_seq(&self) -> u64 {
        self.first_seq + self.messages.len() as u64
    }

    pub(super) fn next_unsent_seq(&self) -> u64 {
        self.first_seq + self.sent as u64
    }

    pub(super) fn push(&mut self, message: Message, now: Seconds) {
        self.unsent_bytes += message.as_bytes().len();
        self.messages.push_back(Queued { message, pushed: now });
    }

    pub(super) fn unsent(&self) -> usize {
        self.messages.len() - self.sent
    }

    /// The place for which to post an event, if its shard has none.
    pub(super) fn tell(&mut self) -> Option<StreamPlace> {
        let place = self.place.filter(|_| !self.is_told);
        self.is_told |= place.is_some();
        place
    }

    /// Takes all messages out; the caller drops them without the lock.
    pub(super) fn cut_off(&mut self) -> VecDeque<Queued> {
        self.is_cut_off = true;
        // A shard that waits for the end of its last send has an event and has not looked yet; it gets another event.
        self.is_told = false;
        self.first_seq = self.next_seq();
        (self.sent, self.sent_bytes, self.unsent_bytes) = (0, 0, 0);
        std::mem::take(&mut self.messages)
    }

    pub(super) fn take_unsent(&mut self) -> Option<(u64, Message)> {
        let message = self.messages.get(self.sent)?.message.clone();
        let seq = self.next_unsent_seq();
        let bytes = message.as_bytes().len();
        self.unsent_bytes -= bytes;
        self.sent_bytes += bytes;
        self.sent += 1;
        Some((seq, message))
    }

    /// Goes back to the message after `after`, or as far back as messages are retained.
    pub(super) fn rewind(&mut self, after: u64) {
        let wanted = after.saturating_add(1).saturating_sub(self.first_seq);
        let sent = usize::try_from(wanted)
            .unwrap_or(usize::MAX)
            .min(self.messages.len());
        let bytes = |queued: &Queued| queued.message.as_bytes().len();
        self.sent_bytes = self.messages.iter().take(sent).map(bytes).sum();
        self.unsent_bytes = self.messages.iter().skip(sent).map(bytes).sum();
        self.sent = sent;
    }

    /// Forgets sent messages until at most this many bytes of them are retained.
    pub(super) fn trim(&mut self, retained_bytes_max: usize) {
        while self.sent_bytes > retained_bytes_max || (retained_bytes_max == 0 && self.sent > 0) {
            drop(self.forget_first());
        }
        if self.messages.is_empty() {
            self.messages.shrink_to(KEPT_MESSAGES_MAX);
        }
    }

    /// Forgets messages that were pushed before `oldest` and sent; without a connection, unsent ones too.
    pub(super) fn forget_older(&mut self, oldest: Seconds, is_detached: bool, forgotten: &mut Vec<Message>) {
        let is_old = |queued: &Queued| queued.pushed < oldest;
        while (self.sent > 0 || is_detached) && self.messages.front().is_some_and(is_old) {
            forgotten.extend(self.forget_first());
        }
        if self.messages.is_empty() {
            self.messages.shrink_to(0);
        }
    }

    fn forget_first(&mut self) -> Option<Message> {
        let Queued { message, .. } = self.messages.pop_front()?;
        let bytes = message.as_bytes().len();
        if self.sent == 0 {
            self.unsent_bytes -= bytes;
        } else {
            self.sent -= 1;
            self.sent_bytes -= bytes;
        }
        self.first_seq += 1;
        Some(message)
    }

    /// The state for a shard that has taken messages; `None` if it may take more.
    pub(super) fn state(&mut self, bytes_left: usize) -> Option<StreamState> {
        if self.is_cut_off {
            return Some(StreamState::CutOff);
        }
        if self.sent < self.messages.len() {
            return (bytes_left == 0).then_some(StreamState::More);
        }
        if self.is_ended {
            return Some(StreamState::Ended);
        }
        self.is_told = false;
        Some(StreamState::Idle)
    }
}
