//! Listing resources that come and go.

use std::future::Future;
use std::sync::Arc;

use super::async_handler::AsyncHandler;
use super::blocking_context::BlockingContext;
use super::blocking_handler::BlockingHandler;
use super::context::CallContext;
use super::handler::Handler;
use super::outcome::ListKind;
use super::resource_page::{ListFrom, ResourcePage};
use super::tool_error::ToolError;
use super::watch::{ListUpdates, ListWatcher, WatchList};

/// Lists resources that are not registered one by one, such as the files of a directory, when a client asks.
/// They are read through a template.
pub struct ResourceLister {
    pub(super) name: String,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) watch: Option<Arc<dyn WatchList>>,
}

impl ResourceLister {
    /// An asynchronous function; `name` is for the log.
    pub fn new<F, H>(name: impl Into<String>, function: H) -> Self
    where
        F: Future<Output = Result<ResourcePage, ToolError>> + 'static,
        H: Fn(CallContext, ListFrom) -> F + Send + Sync + 'static,
    {
        Self {
            name: name.into(),
            handler: Arc::new(AsyncHandler::<ListKind, ListFrom, F, H>::new(function)),
            watch: None,
        }
    }

    /// A function that watches for changes of what is listed: with it, clients are promised to hear of them. It is
    /// called once the server runs, on a thread that may block for a short while; what it gives is dropped there when
    /// the lister, or the server, is gone. In between, [`ListUpdates::changed`] tells of a change, from any thread.
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
        H: Fn(&BlockingContext, ListFrom) -> Result<ResourcePage, ToolError> + Send + Sync + 'static,
    {
        Self {
            name: name.into(),
            handler: Arc::new(BlockingHandler::<ListKind, ListFrom, ResourcePage, H>::new(
                function,
            )),
            watch: None,
        }
    }
}

impl std::fmt::Debug for ResourceLister {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ResourceLister").field(&self.name).finish()
    }
}
