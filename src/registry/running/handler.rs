//! A registered function with its types erased: once for the process, then once per shard.

use std::rc::Rc;
use std::sync::Arc;

use super::context::CallContext;
use super::spawner::Spawner;
use super::started::Started;
use crate::registry::schemas::argument_error::ArgumentError;
use crate::registry::schemas::schema::OutputSchema;
use crate::registry::schemas::tape::TapeNode;

/// A registered function, shared by all shards.
pub(in crate::registry) trait Handler: Send + Sync {
    /// The same function with one shard's reusable state around it.
    fn for_shard(self: Arc<Self>, here: OnShard<'_>) -> Rc<dyn ShardHandler>;
}

/// What a function is given on a shard.
pub(in crate::registry) struct OnShard<'a> {
    /// What structured results are checked against.
    pub(in crate::registry) output: Option<Arc<OutputSchema>>,
    /// What runs futures on other threads.
    pub(in crate::registry) spawner: &'a Arc<dyn Spawner>,
}

/// A registered function on one shard.
pub(in crate::registry) trait ShardHandler {
    /// Makes the typed arguments and a call that has not run yet.
    fn start(&self, arguments: TapeNode<'_>, context: CallContext) -> Result<Started, ArgumentError>;

    /// Unused slots.
    #[cfg(test)]
    fn slots_free(&self) -> usize {
        0
    }
}
