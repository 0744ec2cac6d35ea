//! Lists of resources that come and go.

use std::future::Future;
use std::sync::Arc;

use super::watch::{ListUpdates, ListWatcher, WatchList};
use crate::registry::asking::tool_error::ToolError;
use crate::registry::caller::headers::HeaderNames;
use crate::registry::running::async_handler::AsyncHandler;
use crate::registry::running::blocking_context::BlockingContext;
use crate::registry::running::blocking_handler::BlockingHandler;
use crate::registry::running::context::CallContext;
use crate::registry::running::handler::Handler;
use crate::registry::running::outcome::ListKind;
use crate::registry::running::resource_page::{ListRequest, ResourcePage};

/// Lists resources that are not registered one by one, such as the files of a directory, when a client asks. Clients
/// read them through a template.
pub struct ResourceLister {
    pub(super) name: String,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) watch: Option<Arc<dyn WatchList>>,
    pub(super) reads: HeaderNames,
}

impl ResourceLister {
    /// An asynchronous function; `name` is for the log.
    pub fn new<F, H>(name: impl Into<String>, function: H) -> Self
    where
        F: Future<Output = Result<ResourcePage, ToolError>> + 'static,
        H: Fn(CallContext, ListRequest) -> F + Send + Sync + 'static,
    {
        Self::with_handler(
            name,
            Arc::new(AsyncHandler::<ListKind, ListRequest, F, H>::new(function)),
        )
    }

    /// A header of HTTP that the function reads by [`Caller::header`](crate::Caller::header); may be called more than
    /// once, for at most 16. No other headers are kept, so that calls that need none cost nothing.
    pub fn reads_header(mut self, name: impl AsRef<str>) -> Self {
        self.reads.add(name.as_ref());
        self
    }

    /// A function that watches for changes of the listed resources; clients are then promised to hear of them. It is
    /// called when the server runs, on a thread that may block for a short while; its value is dropped there when the
    /// lister, or the server, is gone. In between, [`ListUpdates::changed`] announces a change, from any thread.
    pub fn watch<F>(mut self, function: F) -> Self
    where
        F: Fn(ListUpdates) -> Result<Box<dyn Send>, ToolError> + Send + Sync + 'static,
    {
        self.watch = Some(Arc::new(ListWatcher(function)));
        self
    }

    /// A function that may block; it runs on the worker pool.
    pub fn blocking<H>(name: impl Into<String>, function: H) -> Self
    where
        H: Fn(&BlockingContext, ListRequest) -> Result<ResourcePage, ToolError> + Send + Sync + 'static,
    {
        let handler = BlockingHandler::<ListKind, ListRequest, ResourcePage, H>::new(function);
        Self::with_handler(name, Arc::new(handler))
    }

    pub(super) fn with_handler(name: impl Into<String>, handler: Arc<dyn Handler>) -> Self {
        Self {
            name: name.into(),
            handler,
            watch: None,
            reads: HeaderNames::default(),
        }
    }
}

impl std::fmt::Debug for ResourceLister {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ResourceLister").field(&self.name).finish()
    }
}
