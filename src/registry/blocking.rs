//! A blocking call: typed arguments and the function, boxed for the trip to a worker thread.

use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::call::Started;
use super::context::{BlockingContext, CallContext};
use super::deserialize::{ArgumentError, from_tape};
use super::handler::{Handler, ShardHandler, guard, outcome};
use super::output::{IntoOutput, Outcome, ToolError};
use super::schema::OutputSchema;
use super::tape::TapeNode;

/// A blocking call that has not run yet. `Send`; dropping it is the same as never having started it.
#[must_use = "a blocking call does nothing until it is run"]
pub struct BlockingCall {
    run: Box<dyn FnOnce(&BlockingContext) -> Outcome + Send>,
}

impl BlockingCall {
    /// Runs the tool on this thread. A panic becomes [`ToolError::Panicked`].
    pub fn run(self, context: &BlockingContext) -> Outcome {
        guard(|| (self.run)(context)).and_then(|outcome| outcome)
    }
}

/// A tool with a blocking function.
pub(super) struct BlockingHandler<A, T, H> {
    pub(super) function: Arc<H>,
    pub(super) types: PhantomData<fn(A) -> T>,
}

impl<A, T, H> Handler for BlockingHandler<A, T, H>
where
    A: DeserializeOwned + Send + 'static,
    T: IntoOutput + 'static,
    H: Fn(&BlockingContext, A) -> Result<T, ToolError> + Send + Sync + 'static,
{
    fn for_shard(self: Arc<Self>, output: Option<Arc<OutputSchema>>) -> Rc<dyn ShardHandler> {
        Rc::new(BlockingShardHandler { shared: self, output })
    }
}

struct BlockingShardHandler<A, T, H> {
    shared: Arc<BlockingHandler<A, T, H>>,
    output: Option<Arc<OutputSchema>>,
}

impl<A, T, H> ShardHandler for BlockingShardHandler<A, T, H>
where
    A: DeserializeOwned + Send + 'static,
    T: IntoOutput + 'static,
    H: Fn(&BlockingContext, A) -> Result<T, ToolError> + Send + Sync + 'static,
{
    /// The context stays behind: a worker has its own.
    fn start(&self, arguments: TapeNode<'_>, _: CallContext) -> Result<Started, ArgumentError> {
        let typed: A = from_tape(arguments)?;
        let function = Arc::clone(&self.shared.function);
        let output = self.output.clone();
        let run = move |context: &BlockingContext| outcome(function(context, typed), output.as_deref());
        Ok(Started::Blocking(BlockingCall { run: Box::new(run) }))
    }
}
