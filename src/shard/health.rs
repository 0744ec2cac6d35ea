//! Health where MCP is served, for platforms that give a process one port.
//!
//! A shard knows nothing of the others, so it asks whoever runs the server. The answer is control: it takes no handler
//! and waits for nothing, and a shard that does not answer is, for its prober, not well.

use std::fmt::Debug;
use std::sync::{Arc, OnceLock, Weak};

use crate::ring::ConnectionKey;
use crate::transport::http::HEAD_RESERVE;
use crate::transport::http::admission::Probe;
use crate::wire::http1::{BodyLength, ResponseHead, Status};

use super::answering::Answer;
use super::{Shard, ShardRing};

/// What is known of the server as a whole.
pub trait HealthSource: Debug + Send + Sync {
    /// What a prober is told: 200 if it is as it should be, 503 if it is not, and a line of text. Called on a shard, so
    /// it must not wait for any.
    fn answer(&self, probe: Probe) -> (Status, String);
}

/// Where the server leaves it once it is known; until then the server is starting. It is the server's: what shards serve
/// does not keep it.
pub type HealthSlot = Arc<OnceLock<Weak<dyn HealthSource>>>;

impl<R: ShardRing> Shard<R> {
    /// Answers a prober; `out` is for the answer.
    pub(super) fn answer_probe(&mut self, key: ConnectionKey, probe: Probe, is_head: bool, mut out: Vec<u8>) {
        let source = self.service.health.get().map(Weak::upgrade);
        let (status, text) = match (source, probe) {
            (Some(Some(source)), _) => source.answer(probe),
            (None, Probe::Health) => (Status::Ok, "ok\n".to_owned()),
            (None, Probe::Readiness) => (Status::ServiceUnavailable, "starting\n".to_owned()),
            (Some(None), _) => (Status::ServiceUnavailable, "ending\n".to_owned()),
        };
        self.log_opened(key, if is_head { "HEAD" } else { "GET" }, status.code(), None);
        out.extend_from_slice(text.as_bytes());
        let date = *self.date.text();
        let head = ResponseHead {
            content_type: Some("text/plain; charset=utf-8"),
            body: BodyLength::Length((out.len() - HEAD_RESERVE) as u64),
            // Nothing may be said of now that was true a while ago.
            is_live: true,
            ..ResponseHead::empty(status, &date)
        };
        let answer = Answer {
            buffer: out,
            head,
            handler: None,
            charged: 0,
            is_counted: true,
            is_head,
        };
        self.answer(key, answer);
    }
}
