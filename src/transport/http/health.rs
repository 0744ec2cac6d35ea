//! Health where MCP is served, for platforms that give a process one port.
//!
//! A shard knows nothing of the others, so it asks whoever runs the server. The answer is control: it takes no handler
//! and waits for nothing, and a shard that does not answer is, for its prober, not well.

use std::fmt::Debug;
use std::sync::{Arc, OnceLock, Weak};

use super::admission::Probe;
use crate::wire::http1::Status;

/// What is known of the server as a whole.
pub trait HealthSource: Debug + Send + Sync {
    /// What a prober is told: 200 if the server is as it should be, 503 if it is not, and a line of text. It is called
    /// on a shard, so it must not wait for any.
    fn answer(&self, probe: Probe) -> (Status, String);
}

/// Where the server leaves its source once there is one; until then the server is starting. The source belongs to the
/// server: what shards serve does not keep it alive.
pub type HealthSlot = Arc<OnceLock<Weak<dyn HealthSource>>>;

/// What a prober is told before, while and after the server runs.
pub fn answer_probe(slot: &HealthSlot, probe: Probe) -> (Status, String) {
    match (slot.get().map(Weak::upgrade), probe) {
        (Some(Some(source)), _) => source.answer(probe),
        (None, Probe::Health) => (Status::Ok, "ok\n".to_owned()),
        (None, Probe::Readiness) => (Status::ServiceUnavailable, "starting\n".to_owned()),
        (Some(None), _) => (Status::ServiceUnavailable, "ending\n".to_owned()),
    }
}
