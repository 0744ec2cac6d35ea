//! Health where MCP is served, for platforms that give a process one port.
//!
//! A shard knows nothing of the others, so it asks the server around it. The answer is control: it takes no handler and
//! waits for nothing. A shard that does not answer is, for its prober, unhealthy.

use std::fmt::Debug;
use std::sync::{Arc, OnceLock, Weak};

use super::admission::Probe;
use crate::wire::http1::Status;

/// A source of knowledge about the server as a whole.
pub trait HealthSource: Debug + Send + Sync {
    /// The answer to a prober: 200 if the server is as it should be, 503 if it is not, and a line of text. It is called
    /// on a shard, so it must not wait for any.
    fn answer(&self, probe: Probe) -> (Status, String);
}

/// The slot in which the server leaves its source once there is one; until then the server is starting. The source
/// belongs to the server: shards do not keep it alive.
pub type HealthSlot = Arc<OnceLock<Weak<dyn HealthSource>>>;

/// The answer to a prober before, while and after the server runs.
pub fn answer_probe(slot: &HealthSlot, probe: Probe) -> (Status, String) {
    match (slot.get().map(Weak::upgrade), probe) {
        (Some(Some(source)), _) => source.answer(probe),
        (None, Probe::Health) => (Status::Ok, "ok\n".to_owned()),
        (None, Probe::Readiness) => (Status::ServiceUnavailable, "starting\n".to_owned()),
        (Some(None), _) => (Status::ServiceUnavailable, "ending\n".to_owned()),
    }
}
