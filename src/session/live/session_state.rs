//! What is live of one session. No lock of its own: its partition's guards it.

use std::sync::Arc;

use super::budget::Charge;
use super::event_id::{StreamId, StreamKind};
use super::shared_context::Seconds;
use super::stream::Stream;
use super::subscriptions::SubscriptionKey;
use crate::mcp::Principal;
use crate::registry::LogLevel;

/// A call that asks, as its shard knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallPlace {
    /// Where it runs.
    pub shard: u16,
    /// The shard's own number for it.
    pub call: u64,
}

/// The JSON-RPC id of a question to a client: unpredictable and never used twice, so that an answer to an earlier
/// process's question answers nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuestionId([u8; Self::BYTES]);

impl QuestionId {
    const BYTES: usize = 1 + 16;

    pub(super) fn new(number: u64) -> Self {
        let mut text = [b'q'; Self::BYTES];
        for (at, digit) in text.iter_mut().skip(1).enumerate() {
            let nibble = (number >> (60 - 4 * at)) & 0xF;
            *digit = char::from_digit(nibble as u32, 16).map_or(b'0', |digit| digit as u8);
        }
        Self(text)
    }

    /// What could be one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        text.as_bytes().try_into().ok().map(Self)
    }

    /// Its text: ASCII, without anything to escape.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    pub(super) id: QuestionId,
    pub(super) asker: CallPlace,
    pub(super) number: u32,
}

pub(super) struct SessionState {
    pub(super) principal: Principal,
    pub(super) log_level: Option<LogLevel>,
    /// When a request last named the session, or a stream of its was let go.
    pub(super) used: Seconds,
    /// Since when it counts as idle; none while it is known to be busy.
    pub(super) idle_since: Option<Seconds>,
    pub(super) get_stream: Option<Arc<Stream>>,
    /// Streams of calls, oldest first: running, or finished and retained.
    pub(super) calls: Vec<Arc<Stream>>,
    pub(super) subscriptions: Vec<SubscriptionKey>,
    pub(super) questions: Vec<Question>,
    pub(super) _charge: Charge,
}

impl SessionState {
    /// What a session costs beside its streams and subscriptions: itself, its table's entry, its place in order.
    pub(super) const BYTES: usize = size_of::<Self>() + 64 + 32;

    pub(super) fn new(principal: Principal, used: Seconds, charge: Charge) -> Self {
        Self {
            principal,
            log_level: None,
            used,
            idle_since: None,
            get_stream: None,
            calls: Vec::new(),
            subscriptions: Vec::new(),
            questions: Vec::new(),
            _charge: charge,
        }
    }

    /// Nothing live is left.
    pub(super) fn is_empty(&self) -> bool {
        self.log_level.is_none()
            && self.get_stream.is_none()
            && self.calls.is_empty()
            && self.subscriptions.is_empty()
            && self.questions.is_empty()
    }

    /// Somebody is connected, or a call is running that talks to its client.
    pub(super) fn is_busy(&self) -> bool {
        let mut streams = self.get_stream.iter().chain(&self.calls);
        let is_in_use = |stream: &Arc<Stream>| stream.is_attached() || is_running(stream);
        !self.questions.is_empty() || streams.any(is_in_use)
    }

    pub(super) fn stream(&self, id: StreamId) -> Option<&Arc<Stream>> {
        let mut streams = self.get_stream.iter().chain(&self.calls);
        streams.find(|stream| stream.id() == id)
    }

    /// Lets go of what was retained long enough, and of finished calls beyond `finished_max`.
    pub(super) fn sweep(&mut self, oldest: Seconds, finished_max: usize, dropped: &mut Vec<Arc<Stream>>) {
        let is_stale =
            |stream: &Stream| !stream.sweep(oldest) || (!stream.is_attached() && stream.touched() < oldest);
        if self.get_stream.as_deref().is_some_and(is_stale) {
            dropped.extend(self.get_stream.take());
        }
        for stream in &self.calls {
            // Whoever was to end it is gone without a word.
            if !stream.is_attached() && !is_running(stream) {
                stream.end_quietly();
            }
        }
        dropped.extend(self.calls.extract_if(.., |stream| !stream.sweep(oldest)));
        self.limit_finished(finished_max, dropped);
        if self.calls.is_empty() {
            self.calls = Vec::new();
        }
    }

    pub(super) fn limit_finished(&mut self, finished_max: usize, dropped: &mut Vec<Arc<Stream>>) {
        let is_finished = |stream: &Arc<Stream>| stream.is_over() && !stream.is_attached();
        let finished = self.calls.iter().filter(|stream| is_finished(stream)).count();
        let mut surplus = finished.saturating_sub(finished_max);
        dropped.extend(self.calls.extract_if(.., |stream| {
            let goes = surplus > 0 && is_finished(stream);
            surplus -= usize::from(goes);
            goes
        }));
    }
}

/// Somebody else than the session holds the stream and may still say something.
fn is_running(stream: &Arc<Stream>) -> bool {
    stream.id().kind == StreamKind::Call && Arc::strong_count(stream) > 1 && !stream.is_over()
}
