//! A blocking call: typed arguments and the function, boxed for the trip to a worker thread.

use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::argument_error::ArgumentError;
use super::call::{Started, noted};
use super::context::{BlockingContext, CallContext};
use super::handler::{Handler, ShardHandler, guard};
use super::outcome::{Kind, Outcome, typed};
use super::output::ToolError;
use super::schema::OutputSchema;
use super::tape::TapeNode;

/// A blocking call that has not run yet. `Send`; dropping it is the same as never having started it.
#[must_use = "a blocking call does nothing until it is run"]
pub struct BlockingCall {
    run: Box<dyn FnOnce(&BlockingContext) -> Outcome + Send>,
    pub(super) note: Option<Box<str>>,
}

impl BlockingCall {
    /// Runs the function on this thread. A panic becomes [`ToolError::Panicked`].
    pub fn run(self, context: &BlockingContext) -> Outcome {
        let outcome = guard(|| (self.run)(context)).and_then(|outcome| outcome);
        noted(outcome, self.note.as_deref())
    }
}

/// A blocking function of kind `K`.
pub(super) struct BlockingHandler<K, A, T, H> {
    function: Arc<H>,
    types: PhantomData<fn(A) -> (K, T)>,
}

impl<K, A, T, H> BlockingHandler<K, A, T, H> {
    pub(super) fn new(function: H) -> Self {
        Self {
            function: Arc::new(function),
            types: PhantomData,
        }
    }
}

impl<K, A, T, H> Handler for BlockingHandler<K, A, T, H>
where
    K: Kind<T>,
    A: DeserializeOwned + Send + 'static,
    T: 'static,
    H: Fn(&BlockingContext, A) -> Result<T, ToolError> + Send + Sync + 'static,
{
    fn for_shard(self: Arc<Self>, output: Option<Arc<OutputSchema>>) -> Rc<dyn ShardHandler> {
        Rc::new(BlockingShardHandler { shared: self, output })
    }
}

struct BlockingShardHandler<K, A, T, H> {
    shared: Arc<BlockingHandler<K, A, T, H>>,
    output: Option<Arc<OutputSchema>>,
}

impl<K, A, T, H> ShardHandler for BlockingShardHandler<K, A, T, H>
where
    K: Kind<T>,
    A: DeserializeOwned + Send + 'static,
    T: 'static,
    H: Fn(&BlockingContext, A) -> Result<T, ToolError> + Send + Sync + 'static,
{
    /// The context stays behind: a worker has its own.
    fn start(&self, arguments: TapeNode<'_>, _: CallContext) -> Result<Started, ArgumentError> {
        let typed: A = typed::<K, T, A>(arguments)?;
        let function = Arc::clone(&self.shared.function);
        let output = self.output.clone();
        let run = move |context: &BlockingContext| {
            function(context, typed).and_then(|value| K::output(value, output.as_deref()))
        };
        Ok(Started::Blocking(BlockingCall {
            run: Box::new(run),
            note: None,
        }))
    }
}
