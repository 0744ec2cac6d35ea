//! Asynchronous functions. A call's future lives in a slot that the shard uses again.
//!
//! ```text
//!   free list ── start ──▶ running ── ready, panic or drop ──▶ free list (or freed, when that is full)
//! ```
//!
//! The slot is pinned once, when it is allocated; a warm call puts its future where the last one was. Invariant: a
//! slot on the free list holds no future.

use std::cell::RefCell;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use serde::de::DeserializeOwned;

use super::call::{CallFuture, CallSlot};
use super::context::CallContext;
use super::function_result::FunctionResult;
use super::handler::{Handler, OnShard, ShardHandler};
use super::outcome::{Kind, Outcome, typed};
use super::started::Started;
use crate::registry::asking::tool_error::ToolError;
use crate::registry::owned::Owned;
use crate::registry::schemas::argument_error::ArgumentError;
use crate::registry::schemas::schema::OutputSchema;
use crate::registry::schemas::tape::TapeNode;

/// Slots an operation keeps on a shard while none of its calls run. There is no limit here on slots in use (handlers
/// are the limit); those beyond this number are freed when their calls end. Covers the default pool of 256 handlers.
pub(in crate::registry) const SLOTS_FREE_MAX: usize = 256;

/// An asynchronous function of kind `K`.
pub(super) struct AsyncHandler<K, A, F, H: Send + 'static> {
    function: Owned<H>,
    types: PhantomData<fn(A) -> (K, F)>,
}

impl<K, A, F, H: Send> AsyncHandler<K, A, F, H> {
    pub(super) fn new(function: H) -> Self {
        Self {
            function: Owned::new(function),
            types: PhantomData,
        }
    }
}

impl<K, A, F, H> Handler for AsyncHandler<K, A, F, H>
where
    K: Kind<<F::Output as FunctionResult>::Value>,
    A: DeserializeOwned + 'static,
    F: Future<Output: FunctionResult> + 'static,
    H: Fn(CallContext, A) -> F + Send + Sync + 'static,
{
    fn for_shard(self: Arc<Self>, here: OnShard<'_>) -> Rc<dyn ShardHandler> {
        let call = move |context, arguments| (self.function)(context, arguments);
        on_shard::<K, A, F, _>(call, here.output)
    }
}

/// A function of kind `K` on one shard, by which it is called.
pub(super) fn on_shard<K, A, F, C>(call: C, output: Option<Arc<OutputSchema>>) -> Rc<dyn ShardHandler>
where
    K: Kind<<F::Output as FunctionResult>::Value>,
    A: DeserializeOwned + 'static,
    F: Future<Output: FunctionResult> + 'static,
    C: Fn(CallContext, A) -> F + 'static,
{
    Rc::new(AsyncShardHandler::<K, A, F, C> {
        call,
        output,
        free: Rc::default(),
        arguments: PhantomData,
    })
}

struct AsyncShardHandler<K, A, F, C> {
    call: C,
    output: Option<Arc<OutputSchema>>,
    free: Rc<FreeList<K, F>>,
    arguments: PhantomData<fn(A)>,
}

type FreeList<K, F> = RefCell<Vec<Pin<Box<Slot<K, F>>>>>;

impl<K, A, F, C> ShardHandler for AsyncShardHandler<K, A, F, C>
where
    K: Kind<<F::Output as FunctionResult>::Value>,
    A: DeserializeOwned + 'static,
    F: Future<Output: FunctionResult> + 'static,
    C: Fn(CallContext, A) -> F + 'static,
{
    fn start(&self, arguments: TapeNode<'_>, context: CallContext) -> Result<Started, ArgumentError> {
        let typed: A = typed::<K, _, A>(arguments)?;
        let future = (self.call)(context, typed);
        Ok(Started::Future(CallFuture::running(self.slot_with(future))))
    }

    #[cfg(test)]
    fn slots_free(&self) -> usize {
        self.free.borrow().len()
    }
}

impl<K, A, F, C> AsyncShardHandler<K, A, F, C> {
    fn slot_with(&self, future: F) -> Pin<Box<Slot<K, F>>> {
        let reused = self.free.borrow_mut().pop();
        let Some(mut slot) = reused else {
            return Box::pin(Slot {
                future: Some(future),
                home: Rc::downgrade(&self.free),
                output: self.output.clone(),
            });
        };
        slot.as_mut().project().future.set(Some(future));
        slot
    }
}

pin_project! {
    struct Slot<K, F> {
        #[pin]
        future: Option<F>,
        // The reference is weak: a list of slots that own the list would never be freed.
        home: Weak<FreeList<K, F>>,
        output: Option<Arc<OutputSchema>>,
    }
}

impl<K, F> CallSlot for Slot<K, F>
where
    K: Kind<<F::Output as FunctionResult>::Value>,
    F: Future<Output: FunctionResult>,
{
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let slot = self.project();
        match slot.future.as_pin_mut() {
            Some(future) => future
                .poll(cx)
                .map(|result| K::output(result.into_result()?, slot.output.as_deref())),
            None => Poll::Ready(Err(ToolError::internal("an empty slot was polled"))),
        }
    }

    fn recycle(mut self: Pin<Box<Self>>) {
        self.as_mut().project().future.set(None);
        let Some(home) = self.home.upgrade() else {
            return;
        };
        let mut free = home.borrow_mut();
        if free.len() < SLOTS_FREE_MAX {
            free.push(self);
        }
    }
}
