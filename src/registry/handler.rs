//! A registered function with its types erased: once for the process, then once per shard.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use super::argument_error::ArgumentError;
use super::call::Started;
use super::context::CallContext;
use super::output::ToolError;
use super::schema::OutputSchema;
use super::tape::TapeNode;

/// A registered function, shared by all shards.
pub(super) trait Handler: Send + Sync {
    /// The same function with one shard's reusable state around it. Structured results are held to `output`.
    fn for_shard(self: Arc<Self>, output: Option<Arc<OutputSchema>>) -> Rc<dyn ShardHandler>;
}

/// A registered function on one shard.
pub(super) trait ShardHandler {
    /// Makes the typed arguments and a call that has not run yet.
    fn start(&self, arguments: TapeNode<'_>, context: CallContext) -> Result<Started, ArgumentError>;

    /// Slots at rest, for tests and figures.
    fn slots_free(&self) -> usize {
        0
    }
}

/// Runs tool code; a panic is the call's failure and nobody else's. What the panic said is dropped: the panic
/// hook has already logged it, and the client must not read it.
pub(super) fn guard<T>(run: impl FnOnce() -> T) -> Result<T, ToolError> {
    // Unwind safe: after a panic the call's state is dropped and never polled again; what tools share across
    // calls is their own to protect, as with threads.
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        // A payload is tool code too, and may panic once more when it is dropped.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
        ToolError::Panicked
    })
}
