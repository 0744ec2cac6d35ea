//! The forms of asynchronous functions that need a tokio runtime.

use std::future::Future;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::context::CallContext;
use super::function_result::FunctionResult;
use super::outcome::Kind;
use super::output::NoArguments;
use super::spawned_handler::SpawnedHandler;
use super::states::Unbound;
use crate::registry::owned::Owned;

/// An asynchronous function whose futures run on a tokio runtime, and are `Send`. Its forms are those of an
/// [`AsyncFunction`](crate::AsyncFunction), but a closure with state must not capture anything: what it would capture
/// belongs into the state.
#[diagnostic::on_unimplemented(
    message = "this function cannot run on tokio",
    label = "not asynchronous, its parameters are others, or its future is not `Send`",
    note = "without state it is `|ctx: CallContext, args: Args| async move {{ … }}`",
    note = "with state it is `async |state: &State, ctx: CallContext, args: Args| {{ … }}`, or an `async fn` of these",
    note = "`args` may be left out; what lives across an `.await` is `Send`",
    note = "an `Rc`, or a guard of a `Mutex` or `RefCell`, is none: drop it before the `.await`, in a block of its own, or \
            take an `Arc`, or the `Mutex` of `tokio::sync`"
)]
pub trait TokioFunction<A, R, Form>: Send + Sync + Sized + 'static {
    /// The function as a handler of operations of kind `K`.
    #[doc(hidden)]
    fn unbound<K>(self) -> Unbound
    where
        R: FunctionResult,
        K: Kind<R::Value>,
        A: DeserializeOwned + Send + 'static;
}

impl<A, F, H> TokioFunction<A, F::Output, fn(CallContext, A) -> F> for H
where
    F: Future + Send + 'static,
    H: Fn(CallContext, A) -> F + Send + Sync + 'static,
{
    fn unbound<K>(self) -> Unbound
    where
        F::Output: FunctionResult,
        K: Kind<<F::Output as FunctionResult>::Value>,
        A: DeserializeOwned + Send + 'static,
    {
        Unbound::whole(Arc::new(SpawnedHandler::<K, A, F, H>::new(self)))
    }
}

impl<F, H> TokioFunction<NoArguments, F::Output, fn(CallContext) -> F> for H
where
    F: Future + Send + 'static,
    H: Fn(CallContext) -> F + Send + Sync + 'static,
{
    fn unbound<K>(self) -> Unbound
    where
        F::Output: FunctionResult,
        K: Kind<<F::Output as FunctionResult>::Value>,
    {
        let function = move |context, NoArguments {}| self(context);
        Unbound::whole(Arc::new(SpawnedHandler::<K, NoArguments, F, _>::new(function)))
    }
}

impl<A, S, R, H> TokioFunction<A, R, (S, fn(CallContext, A) -> R)> for H
where
    S: Send + Sync + 'static,
    H: for<'s> SendFn<'s, S, A, Given = R> + Send + Sync + 'static,
{
    fn unbound<K>(self) -> Unbound
    where
        R: FunctionResult,
        K: Kind<R::Value>,
        A: DeserializeOwned + Send + 'static,
    {
        Unbound::borrowing(move |state: Arc<S>| {
            let bound = Arc::new(Owned::new((state, self)));
            let function = move |context: CallContext, arguments: A| {
                let bound = Arc::clone(&bound);
                async move { (bound.1)(&bound.0, context, arguments).await }
            };
            Arc::new(SpawnedHandler::<K, A, _, _>::new(function))
        })
    }
}

impl<S, R, H> TokioFunction<NoArguments, R, (S, fn(CallContext) -> R)> for H
where
    S: Send + Sync + 'static,
    H: for<'s> SendFnWithoutArguments<'s, S, Given = R> + Send + Sync + 'static,
{
    fn unbound<K>(self) -> Unbound
    where
        R: FunctionResult,
        K: Kind<R::Value>,
    {
        Unbound::borrowing(move |state: Arc<S>| {
            let bound = Arc::new(Owned::new((state, self)));
            let function = move |context: CallContext, NoArguments {}| {
                let bound = Arc::clone(&bound);
                async move { (bound.1)(&bound.0, context).await }
            };
            Arc::new(SpawnedHandler::<K, NoArguments, _, _>::new(function))
        })
    }
}

/// A function whose futures borrow its first argument and are `Send`. `AsyncFn` cannot say the latter.
#[doc(hidden)]
pub trait SendFn<'s, S: 'static, A>: Fn(&'s S, CallContext, A) -> Self::Future {
    type Future: Future<Output = Self::Given> + Send + 's;
    type Given;
}

impl<'s, S, A, F, H> SendFn<'s, S, A> for H
where
    S: 'static,
    F: Future + Send + 's,
    H: Fn(&'s S, CallContext, A) -> F,
{
    type Future = F;
    type Given = F::Output;
}

/// The same without arguments.
#[doc(hidden)]
pub trait SendFnWithoutArguments<'s, S: 'static>: Fn(&'s S, CallContext) -> Self::Future {
    type Future: Future<Output = Self::Given> + Send + 's;
    type Given;
}

impl<'s, S, F, H> SendFnWithoutArguments<'s, S> for H
where
    S: 'static,
    F: Future + Send + 's,
    H: Fn(&'s S, CallContext) -> F,
{
    type Future = F;
    type Given = F::Output;
}
