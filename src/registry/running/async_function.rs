//! The forms of asynchronous functions.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::async_handler::{AsyncHandler, on_shard};
use super::context::CallContext;
use super::function_result::FunctionResult;
use super::handler::{Handler, OnShard, ShardHandler};
use super::outcome::Kind;
use super::output::NoArguments;
use super::states::Unbound;
use crate::registry::owned::Owned;

/// An asynchronous function whose futures live on a shard. They need not be `Send`, and must not block.
///
/// | form | borrows |
/// |---|---|
/// | `\|ctx: CallContext, args: A\| async move { … }` | nothing |
/// | `async \|state: &S, ctx: CallContext, args: A\| { … }` | the registry's [state](crate::RegistryBuilder::state) |
///
/// An `async fn` of such parameters is one as well, also a method that takes `&self`; and whatever takes no arguments
/// may leave out the last parameter. `Form` tells the forms apart, and the compiler finds it.
#[diagnostic::on_unimplemented(
    message = "this function cannot run on a shard",
    label = "not asynchronous, or its parameters are others",
    note = "without state it is `|ctx: CallContext, args: Args| async move {{ … }}`",
    note = "with state it is `async |state: &State, ctx: CallContext, args: Args| {{ … }}`, or an `async fn` of these",
    note = "`args` may be left out; a function that blocks is added by `…_blocking`"
)]
pub trait AsyncFunction<A, R, Form>: Send + Sync + Sized + 'static {
    /// The function as a handler of operations of kind `K`.
    #[doc(hidden)]
    fn unbound<K>(self) -> Unbound
    where
        R: FunctionResult,
        K: Kind<R::Value>,
        A: DeserializeOwned + 'static;
}

impl<A, F, H> AsyncFunction<A, F::Output, fn(CallContext, A) -> F> for H
where
    F: Future + 'static,
    H: Fn(CallContext, A) -> F + Send + Sync + 'static,
{
    fn unbound<K>(self) -> Unbound
    where
        F::Output: FunctionResult,
        K: Kind<<F::Output as FunctionResult>::Value>,
        A: DeserializeOwned + 'static,
    {
        Unbound::whole(Arc::new(AsyncHandler::<K, A, F, H>::new(self)))
    }
}

impl<F, H> AsyncFunction<NoArguments, F::Output, fn(CallContext) -> F> for H
where
    F: Future + 'static,
    H: Fn(CallContext) -> F + Send + Sync + 'static,
{
    fn unbound<K>(self) -> Unbound
    where
        F::Output: FunctionResult,
        K: Kind<<F::Output as FunctionResult>::Value>,
    {
        let function = move |context, NoArguments {}| self(context);
        Unbound::whole(Arc::new(AsyncHandler::<K, NoArguments, F, _>::new(function)))
    }
}

impl<A, S, R, H> AsyncFunction<A, R, (S, fn(CallContext, A) -> R)> for H
where
    S: Send + Sync + 'static,
    H: AsyncFn(&S, CallContext, A) -> R + Send + Sync + 'static,
{
    fn unbound<K>(self) -> Unbound
    where
        R: FunctionResult,
        K: Kind<R::Value>,
        A: DeserializeOwned + 'static,
    {
        Unbound::borrowing(move |state: Arc<S>| {
            let on_shard = move |bound: Arc<Bound<S, H>>, here: OnShard<'_>| {
                // Shards do not share the count of those who borrow: each has its own.
                let bound = Rc::new(bound);
                let call = move |context: CallContext, arguments: A| {
                    let bound = Rc::clone(&bound);
                    async move {
                        let (state, function) = &***bound;
                        function(state, context, arguments).await
                    }
                };
                on_shard::<K, A, _, _>(call, here.output)
            };
            Arc::new(Borrowing {
                bound: Arc::new(Owned::new((state, self))),
                on_shard,
            })
        })
    }
}

impl<S, R, H> AsyncFunction<NoArguments, R, (S, fn(CallContext) -> R)> for H
where
    S: Send + Sync + 'static,
    H: AsyncFn(&S, CallContext) -> R + Send + Sync + 'static,
{
    fn unbound<K>(self) -> Unbound
    where
        R: FunctionResult,
        K: Kind<R::Value>,
    {
        let function =
            async move |state: &S, context: CallContext, NoArguments {}| self(state, context).await;
        AsyncFunction::<NoArguments, R, (S, fn(CallContext, NoArguments) -> R)>::unbound::<K>(function)
    }
}

/// The value that a function borrows, and the function.
type Bound<S, H> = Owned<(Arc<S>, H)>;

/// They become a handler on each shard by `on_shard`, which alone knows the type of the function's futures.
struct Borrowing<B, M> {
    bound: Arc<B>,
    on_shard: M,
}

impl<B, M> Handler for Borrowing<B, M>
where
    B: Send + Sync + 'static,
    M: Fn(Arc<B>, OnShard<'_>) -> Rc<dyn ShardHandler> + Send + Sync + 'static,
{
    fn for_shard(self: Arc<Self>, here: OnShard<'_>) -> Rc<dyn ShardHandler> {
        (self.on_shard)(Arc::clone(&self.bound), here)
    }
}
