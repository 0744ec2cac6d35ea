//! The completion functions of one prompt or template.

use std::future::Future;
use std::sync::Arc;

use super::async_handler::AsyncHandler;
use super::blocking_context::BlockingContext;
use super::blocking_handler::BlockingHandler;
use super::completion::{Completing, IntoCompletion};
use super::context::CallContext;
use super::handler::Handler;
use super::index::CompleterIndex;
use super::outcome::CompletionKind;
use super::tool_error::ToolError;

/// The completion functions of one prompt or template, by argument.
#[derive(Default)]
pub(super) struct Completers(pub(super) Vec<(String, Arc<dyn Handler>)>);

impl Completers {
    /// The place of the function for `argument`, if this row of functions begins at `begin`.
    pub(super) fn place(&self, argument: &str, begin: usize) -> Option<CompleterIndex> {
        let at = self.0.iter().position(|(name, _)| name == argument)?;
        Some(CompleterIndex::after(begin + at))
    }

    pub(super) fn push<T, F, H>(&mut self, argument: String, function: H)
    where
        T: IntoCompletion + 'static,
        F: Future<Output = Result<T, ToolError>> + 'static,
        H: Fn(CallContext, Completing) -> F + Send + Sync + 'static,
    {
        let handler = AsyncHandler::<CompletionKind, Completing, F, H>::new(function);
        self.0.push((argument, Arc::new(handler)));
    }

    pub(super) fn push_blocking<T, H>(&mut self, argument: String, function: H)
    where
        T: IntoCompletion + 'static,
        H: Fn(&BlockingContext, Completing) -> Result<T, ToolError> + Send + Sync + 'static,
    {
        let handler = BlockingHandler::<CompletionKind, Completing, T, H>::new(function);
        self.0.push((argument, Arc::new(handler)));
    }
}
