//! The live state of one session. The lock of its partition guards it.

use std::sync::Arc;

use super::super::budget::Charge;
use super::super::shared_context::Seconds;
use super::super::streams::{Stream, StreamId, StreamKind};
use super::super::subscriptions::SubscriptionKey;
use super::question::Question;
use crate::mcp::Principal;
use crate::registry::LogLevel;

pub(in crate::session::live) struct SessionState {
    pub(in crate::session::live) principal: Principal,
    pub(in crate::session::live) log_level: Option<LogLevel>,
    /// The time when a request last named the session, or one of its streams was let go.
    pub(in crate::session::live) used: Seconds,
    /// Its time in the order of idle sessions; `None` while it is known to be busy.
    pub(in crate::session::live) idle_since: Option<Seconds>,
    pub(in crate::session::live) get_stream: Option<Arc<Stream>>,
    /// Streams of calls, oldest first: running, or finished and retained.
    pub(in crate::session::live) calls: Vec<Arc<Stream>>,
    pub(in crate::session::live) subscriptions: Vec<SubscriptionKey>,
    pub(in crate::session::live) questions: Vec<Question>,
    pub(in crate::session::live) _charge: Charge,
}

impl SessionState {
    /// The bytes of a session beside its streams and subscriptions: itself, its entry in the map, and its place in the
    /// order of idle ones.
    pub(in crate::session::live) const BYTES: usize = size_of::<Self>() + 64 + 32;

    pub(in crate::session::live) fn new(principal: Principal, used: Seconds, charge: Charge) -> Self {
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

    /// Whether nothing live is left.
    pub(in crate::session::live) fn is_empty(&self) -> bool {
        self.log_level.is_none()
            && self.get_stream.is_none()
            && self.calls.is_empty()
            && self.subscriptions.is_empty()
            && self.questions.is_empty()
    }

    /// Whether a client is connected, or a call is running that talks to its client.
    pub(in crate::session::live) fn is_busy(&self) -> bool {
        let mut streams = self.get_stream.iter().chain(&self.calls);
        let is_in_use = |stream: &Arc<Stream>| stream.is_attached() || is_running(stream);
        !self.questions.is_empty() || streams.any(is_in_use)
    }

    pub(in crate::session::live) fn stream(&self, id: StreamId) -> Option<&Arc<Stream>> {
        let mut streams = self.get_stream.iter().chain(&self.calls);
        streams.find(|stream| stream.id() == id)
    }

    /// Drops what was retained for long enough, and finished calls beyond `finished_max`.
    pub(in crate::session::live) fn sweep(
        &mut self,
        oldest: Seconds,
        finished_max: usize,
        dropped: &mut Vec<Arc<Stream>>,
    ) {
        let is_stale =
            |stream: &Stream| !stream.sweep(oldest) || (!stream.is_attached() && stream.touched() < oldest);
        if self.get_stream.as_deref().is_some_and(is_stale) {
            dropped.extend(self.get_stream.take());
        }
        for stream in &self.calls {
            // The call that was to end it is gone and has not done so.
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

    pub(in crate::session::live) fn limit_finished(
        &mut self,
        finished_max: usize,
        dropped: &mut Vec<Arc<Stream>>,
    ) {
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

/// Whether somebody else than the session holds the stream and may still push a message.
fn is_running(stream: &Arc<Stream>) -> bool {
    stream.id().kind == StreamKind::Call && Arc::strong_count(stream) > 1 && !stream.is_over()
}
