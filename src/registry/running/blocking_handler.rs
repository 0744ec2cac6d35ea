//! Functions that may block, and run on a worker thread.

use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::blocking_call::BlockingCall;
use super::blocking_context::BlockingContext;
use super::context::CallContext;
use super::ending::Ending;
use super::function_result::FunctionResult;
use super::handler::{Handler, OnShard, ShardHandler};
use super::outcome::{Kind, typed};
use super::started::Started;
use crate::registry::caller::facts::CallerFacts;
use crate::registry::owned::Owned;
use crate::registry::schemas::argument_error::ArgumentError;
use crate::registry::schemas::schema::OutputSchema;
use crate::registry::schemas::tape::TapeNode;

/// A blocking function of kind `K`.
pub(super) struct BlockingHandler<K, A, R, H: Send + 'static> {
    function: Arc<Owned<H>>,
    types: PhantomData<fn(A) -> (K, R)>,
}

impl<K, A, R, H: Send> BlockingHandler<K, A, R, H> {
    pub(super) fn new(function: H) -> Self {
        Self {
            function: Arc::new(Owned::new(function)),
            types: PhantomData,
        }
    }
}

impl<K, A, R, H> Handler for BlockingHandler<K, A, R, H>
where
    K: Kind<R::Value>,
    A: DeserializeOwned + Send + 'static,
    R: FunctionResult,
    H: Fn(&BlockingContext, A) -> R + Send + Sync + 'static,
{
    fn for_shard(self: Arc<Self>, here: OnShard<'_>) -> Rc<dyn ShardHandler> {
        Rc::new(BlockingShardHandler {
            shared: self,
            output: here.output,
        })
    }
}

struct BlockingShardHandler<K, A, R, H: Send + 'static> {
    shared: Arc<BlockingHandler<K, A, R, H>>,
    output: Option<Arc<OutputSchema>>,
}

impl<K, A, R, H> ShardHandler for BlockingShardHandler<K, A, R, H>
where
    K: Kind<R::Value>,
    A: DeserializeOwned + Send + 'static,
    R: FunctionResult,
    H: Fn(&BlockingContext, A) -> R + Send + Sync + 'static,
{
    fn start(&self, arguments: TapeNode<'_>, context: CallContext) -> Result<Started, ArgumentError> {
        let typed: A = typed::<K, _, A>(arguments)?;
        let blocking = self
            .shared
            .begin(typed, context.unheard_caller(), self.output.clone());
        Ok(Started::Blocking(blocking))
    }
}

impl<K, A, R, H> BlockingHandler<K, A, R, H>
where
    K: Kind<R::Value>,
    A: Send + 'static,
    R: FunctionResult,
    H: Fn(&BlockingContext, A) -> R + Send + Sync + 'static,
{
    /// A call with these arguments. It has no context: a worker has its own, with the call's link if there is one.
    pub(super) fn begin(
        &self,
        arguments: A,
        caller: Option<Arc<CallerFacts>>,
        output: Option<Arc<OutputSchema>>,
    ) -> BlockingCall {
        let function = Arc::clone(&self.function);
        let run = move |context: &BlockingContext| {
            let unheard = caller.map(|caller| context.unheard(caller));
            let value = function(unheard.as_ref().unwrap_or(context), arguments).into_result()?;
            K::output(value, output.as_deref())
        };
        BlockingCall {
            run: Box::new(run),
            ending: Ending::default(),
            guard: None,
        }
    }
}
