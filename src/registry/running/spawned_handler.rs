//! Asynchronous functions whose futures run on another thread than the shard's.

use std::future::Future;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::call::CallFuture;
use super::context::CallContext;
use super::function_result::FunctionResult;
use super::handler::{Handler, OnShard, ShardHandler};
use super::outcome::{Kind, typed};
use super::spawned_call::SpawnedSlot;
use super::spawner::Spawner;
use super::started::Started;
use crate::registry::owned::Owned;
use crate::registry::schemas::argument_error::ArgumentError;
use crate::registry::schemas::schema::OutputSchema;
use crate::registry::schemas::tape::TapeNode;

/// An asynchronous function of kind `K` that runs elsewhere.
pub(super) struct SpawnedHandler<K, A, F, H: Send + 'static> {
    function: Arc<Owned<H>>,
    types: PhantomData<fn(A) -> (K, F)>,
}

impl<K, A, F, H: Send> SpawnedHandler<K, A, F, H> {
    pub(super) fn new(function: H) -> Self {
        Self {
            function: Arc::new(Owned::new(function)),
            types: PhantomData,
        }
    }
}

impl<K, A, F, H> Handler for SpawnedHandler<K, A, F, H>
where
    K: Kind<<F::Output as FunctionResult>::Value>,
    A: DeserializeOwned + Send + 'static,
    F: Future<Output: FunctionResult> + Send + 'static,
    H: Fn(CallContext, A) -> F + Send + Sync + 'static,
{
    fn for_shard(self: Arc<Self>, here: OnShard<'_>) -> Rc<dyn ShardHandler> {
        Rc::new(SpawnedShardHandler {
            shared: self,
            output: here.output,
            spawner: Arc::clone(here.spawner),
        })
    }
}

struct SpawnedShardHandler<K, A, F, H: Send + 'static> {
    shared: Arc<SpawnedHandler<K, A, F, H>>,
    output: Option<Arc<OutputSchema>>,
    spawner: Arc<dyn Spawner>,
}

impl<K, A, F, H> ShardHandler for SpawnedShardHandler<K, A, F, H>
where
    K: Kind<<F::Output as FunctionResult>::Value>,
    A: DeserializeOwned + Send + 'static,
    F: Future<Output: FunctionResult> + Send + 'static,
    H: Fn(CallContext, A) -> F + Send + Sync + 'static,
{
    /// Nothing of the function runs on the shard, so all of it may use what only the other threads have.
    fn start(&self, arguments: TapeNode<'_>, context: CallContext) -> Result<Started, ArgumentError> {
        let typed: A = typed::<K, _, A>(arguments)?;
        let function = Arc::clone(&self.shared.function);
        let output = self.output.clone();
        let link = context.link();
        let future = async move {
            let result = function(context, typed).await;
            K::output(result.into_result()?, output.as_deref())
        };
        let slot = SpawnedSlot::new(Arc::clone(&self.spawner), future, link);
        Ok(Started::Future(CallFuture::running(Box::pin(slot))))
    }
}
