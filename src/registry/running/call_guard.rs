//! What is kept until a call's function is over, wherever it runs.

use std::sync::Arc;

/// What is dropped when the function of a call is over: on a shard with the call, elsewhere when it is not in the
/// function any more.
pub(in crate::registry) type CallGuard = Arc<dyn Send + Sync>;
