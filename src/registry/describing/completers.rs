//! The completion functions of one prompt or template.

use std::future::Future;
use std::sync::Arc;

use crate::registry::asking::tool_error::ToolError;
use crate::registry::info::index::CompleterIndex;
use crate::registry::running::async_handler::AsyncHandler;
use crate::registry::running::blocking_context::BlockingContext;
use crate::registry::running::blocking_handler::BlockingHandler;
use crate::registry::running::completion::{CompletionRequest, IntoCompletion};
use crate::registry::running::context::CallContext;
use crate::registry::running::handler::Handler;
use crate::registry::running::outcome::CompletionKind;

/// The completion functions of one prompt or template, by argument.
#[derive(Default)]
pub(in crate::registry) struct Completers(pub(in crate::registry) Vec<(String, Arc<dyn Handler>)>);

impl Completers {
    /// The index of the function for `argument`, if this row of functions begins at `begin`.
    pub(in crate::registry) fn place(&self, argument: &str, begin: usize) -> Option<CompleterIndex> {
        let at = self.0.iter().position(|(name, _)| name == argument)?;
        Some(CompleterIndex::after(begin + at))
    }

    pub(in crate::registry) fn push<T, F, H>(&mut self, argument: String, function: H)
    where
        T: IntoCompletion + 'static,
        F: Future<Output = Result<T, ToolError>> + 'static,
        H: Fn(CallContext, CompletionRequest) -> F + Send + Sync + 'static,
    {
        let handler = AsyncHandler::<CompletionKind, CompletionRequest, F, H>::new(function);
        self.0.push((argument, Arc::new(handler)));
    }

    /// Adds a function that was put into a handler.
    #[cfg(feature = "tokio")]
    pub(super) fn push_handler(&mut self, argument: String, handler: Arc<dyn Handler>) {
        self.0.push((argument, handler));
    }

    pub(super) fn push_blocking<T, H>(&mut self, argument: String, function: H)
    where
        T: IntoCompletion + 'static,
        H: Fn(&BlockingContext, CompletionRequest) -> Result<T, ToolError> + Send + Sync + 'static,
    {
        let handler = BlockingHandler::<CompletionKind, CompletionRequest, T, H>::new(function);
        self.0.push((argument, Arc::new(handler)));
    }
}
