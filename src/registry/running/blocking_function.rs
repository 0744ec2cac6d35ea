//! The forms of functions that may block.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::blocking_context::BlockingContext;
use super::blocking_handler::BlockingHandler;
use super::function_result::FunctionResult;
use super::outcome::Kind;
use super::output::NoArguments;
use super::states::Unbound;

/// A function that may block, and runs on a worker.
///
/// | form | borrows |
/// |---|---|
/// | `\|ctx: &BlockingContext, args: A\| { … }` | nothing |
/// | `\|state: &S, ctx: &BlockingContext, args: A\| { … }` | the registry's [state](crate::RegistryBuilder::state) |
///
/// A `fn` of such parameters is one as well, also a method that takes `&self`; and whatever takes no arguments may
/// leave out the last parameter. `Form` tells the forms apart, and the compiler finds it.
#[diagnostic::on_unimplemented(
    message = "this function cannot run on a worker",
    label = "its parameters are others",
    note = "without state it is `|ctx: &BlockingContext, args: Args| {{ … }}`",
    note = "with state it is `|state: &State, ctx: &BlockingContext, args: Args| {{ … }}`, or a `fn` of these",
    note = "`args` may be left out"
)]
pub trait BlockingFunction<A, R, Form>: Send + Sync + Sized + 'static {
    /// The function as a handler of operations of kind `K`.
    #[doc(hidden)]
    fn unbound<K>(self) -> Unbound
    where
        R: FunctionResult,
        K: Kind<R::Value>,
        A: DeserializeOwned + Send + 'static;
}

impl<A, R, H> BlockingFunction<A, R, fn(&BlockingContext, A) -> R> for H
where
    H: Fn(&BlockingContext, A) -> R + Send + Sync + 'static,
{
    fn unbound<K>(self) -> Unbound
    where
        R: FunctionResult,
        K: Kind<R::Value>,
        A: DeserializeOwned + Send + 'static,
    {
        Unbound::whole(Arc::new(BlockingHandler::<K, A, R, H>::new(self)))
    }
}

impl<R, H> BlockingFunction<NoArguments, R, fn(&BlockingContext) -> R> for H
where
    H: Fn(&BlockingContext) -> R + Send + Sync + 'static,
{
    fn unbound<K>(self) -> Unbound
    where
        R: FunctionResult,
        K: Kind<R::Value>,
    {
        let function = move |context: &BlockingContext, NoArguments {}| self(context);
        Unbound::whole(Arc::new(BlockingHandler::<K, NoArguments, R, _>::new(function)))
    }
}

impl<A, S, R, H> BlockingFunction<A, R, (S, fn(&BlockingContext, A) -> R)> for H
where
    S: Send + Sync + 'static,
    H: Fn(&S, &BlockingContext, A) -> R + Send + Sync + 'static,
{
    fn unbound<K>(self) -> Unbound
    where
        R: FunctionResult,
        K: Kind<R::Value>,
        A: DeserializeOwned + Send + 'static,
    {
        Unbound::borrowing(move |state: Arc<S>| {
            let function = move |context: &BlockingContext, arguments: A| self(&state, context, arguments);
            Arc::new(BlockingHandler::<K, A, R, _>::new(function))
        })
    }
}

impl<S, R, H> BlockingFunction<NoArguments, R, (S, fn(&BlockingContext) -> R)> for H
where
    S: Send + Sync + 'static,
    H: Fn(&S, &BlockingContext) -> R + Send + Sync + 'static,
{
    fn unbound<K>(self) -> Unbound
    where
        R: FunctionResult,
        K: Kind<R::Value>,
    {
        let function = move |state: &S, context: &BlockingContext, NoArguments {}| self(state, context);
        BlockingFunction::<NoArguments, R, (S, fn(&BlockingContext, NoArguments) -> R)>::unbound::<K>(
            function,
        )
    }
}
