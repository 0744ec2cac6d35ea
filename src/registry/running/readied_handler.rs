//! Functions that may block, and most often need not: what would not wait is done at once, on the shard.

use std::rc::Rc;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::blocking_context::BlockingContext;
use super::blocking_handler::BlockingHandler;
use super::context::CallContext;
use super::function_result::FunctionResult;
use super::handler::{Handler, OnShard, ShardHandler};
use super::outcome::{Kind, typed};
use super::readied_call::ReadiedCall;
use super::started::Started;
use super::states::Unbound;
use crate::registry::owned::Owned;
use crate::registry::schemas::argument_error::ArgumentError;
use crate::registry::schemas::schema::OutputSchema;
use crate::registry::schemas::tape::TapeNode;

/// A blocking function of kind `K` that borrows an `S`, behind one that gives its result at once if it can do so
/// without waiting for anything.
pub(in crate::registry) fn unbound<K, A, S, R>(
    at_once: impl Fn(&S, &A) -> Option<R> + Send + Sync + 'static,
    function: impl Fn(&S, &BlockingContext, A) -> R + Send + Sync + 'static,
) -> Unbound
where
    K: Kind<R::Value>,
    A: DeserializeOwned + Send + 'static,
    S: Send + Sync + 'static,
    R: FunctionResult,
{
    Unbound::borrowing(move |state: Arc<S>| {
        let borrowed = Arc::clone(&state);
        let at_once = move |arguments: &A| at_once(&borrowed, arguments);
        let function = move |context: &BlockingContext, arguments: A| function(&state, context, arguments);
        Arc::new(ReadiedHandler::<K, A, R, _, _> {
            at_once: Owned::new(at_once),
            blocking: Arc::new(BlockingHandler::new(function)),
        })
    })
}

struct ReadiedHandler<K, A, R, T: Send + 'static, H: Send + 'static> {
    at_once: Owned<T>,
    blocking: Arc<BlockingHandler<K, A, R, H>>,
}

impl<K, A, R, T, H> Handler for ReadiedHandler<K, A, R, T, H>
where
    K: Kind<R::Value>,
    A: DeserializeOwned + Send + 'static,
    R: FunctionResult,
    T: Fn(&A) -> Option<R> + Send + Sync + 'static,
    H: Fn(&BlockingContext, A) -> R + Send + Sync + 'static,
{
    fn for_shard(self: Arc<Self>, here: OnShard<'_>) -> Rc<dyn ShardHandler> {
        Rc::new(ReadiedShardHandler {
            shared: self,
            output: here.output,
        })
    }
}

struct ReadiedShardHandler<K, A, R, T: Send + 'static, H: Send + 'static> {
    shared: Arc<ReadiedHandler<K, A, R, T, H>>,
    output: Option<Arc<OutputSchema>>,
}

impl<K, A, R, T, H> ShardHandler for ReadiedShardHandler<K, A, R, T, H>
where
    K: Kind<R::Value>,
    A: DeserializeOwned + Send + 'static,
    R: FunctionResult,
    T: Fn(&A) -> Option<R> + Send + Sync + 'static,
    H: Fn(&BlockingContext, A) -> R + Send + Sync + 'static,
{
    /// The context is dropped here, as that of a blocking function is.
    fn start(&self, arguments: TapeNode<'_>, context: CallContext) -> Result<Started, ArgumentError> {
        let arguments: A = typed::<K, _, A>(arguments)?;
        let (shared, output) = (Arc::clone(&self.shared), self.output.clone());
        let caller = context.unheard_caller();
        let begin = move || {
            let Some(result) = (shared.at_once)(&arguments) else {
                return Err(shared.blocking.begin(arguments, caller, output));
            };
            let value = result.into_result();
            Ok(value.and_then(|value| K::output(value, output.as_deref())))
        };
        Ok(Started::Readied(ReadiedCall::new(Box::new(begin))))
    }
}
