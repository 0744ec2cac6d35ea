//! Functions that may block, and run on a worker thread.

use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::blocking_call::BlockingCall;
use super::blocking_context::BlockingContext;
use super::context::CallContext;
use super::handler::{Handler, OnShard, ShardHandler};
use super::outcome::{Kind, typed};
use super::started::Started;
use crate::registry::asking::tool_error::ToolError;
use crate::registry::schemas::argument_error::ArgumentError;
use crate::registry::schemas::schema::OutputSchema;
use crate::registry::schemas::tape::TapeNode;

/// A blocking function of kind `K`.
pub(in crate::registry) struct BlockingHandler<K, A, T, H> {
    function: Arc<H>,
    types: PhantomData<fn(A) -> (K, T)>,
}

impl<K, A, T, H> BlockingHandler<K, A, T, H> {
    pub(in crate::registry) fn new(function: H) -> Self {
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
    fn for_shard(self: Arc<Self>, here: OnShard<'_>) -> Rc<dyn ShardHandler> {
        Rc::new(BlockingShardHandler {
            shared: self,
            output: here.output,
        })
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
    /// The context is dropped here: a worker has its own, with the call's link if there is one.
    fn start(&self, arguments: TapeNode<'_>, context: CallContext) -> Result<Started, ArgumentError> {
        let typed: A = typed::<K, T, A>(arguments)?;
        let function = Arc::clone(&self.shared.function);
        let output = self.output.clone();
        let caller = context.unheard_caller();
        let run = move |context: &BlockingContext| {
            let unheard = caller.map(|caller| context.unheard(caller));
            let value = function(unheard.as_ref().unwrap_or(context), typed)?;
            K::output(value, output.as_deref())
        };
        Ok(Started::Blocking(BlockingCall {
            run: Box::new(run),
            note: None,
        }))
    }
}
