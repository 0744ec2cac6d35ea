//! Lists of resources that come and go.

use std::sync::Arc;

use super::watch::{ListUpdates, ListWatcher, WatchList};
use crate::registry::asking::tool_error::ToolError;
use crate::registry::caller::headers::HeaderNames;
use crate::registry::owned::Owned;
use crate::registry::running::async_function::AsyncFunction;
use crate::registry::running::blocking_function::BlockingFunction;
use crate::registry::running::outcome::ListKind;
use crate::registry::running::resource_page::{ListRequest, ResourcePage};
use crate::registry::running::states::Unbound;

/// Lists resources that are not registered one by one, such as the files of a directory, when a client asks. Clients
/// read them through a template.
pub struct ResourceLister {
    pub(super) name: String,
    pub(super) handler: Unbound,
    pub(super) watch: Option<Arc<dyn WatchList>>,
    pub(super) reads: HeaderNames,
}

impl ResourceLister {
    /// An asynchronous function; `name` is for the log.
    pub fn new<Form, H>(name: impl Into<String>, function: H) -> Self
    where
        H: AsyncFunction<ListRequest, Result<ResourcePage, ToolError>, Form>,
    {
        Self::with_handler(name, function.unbound::<ListKind>())
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
        self.watch = Some(Arc::new(ListWatcher(Owned::new(function))));
        self
    }

    /// A function that may block; it runs on the worker pool.
    pub fn blocking<Form, H>(name: impl Into<String>, function: H) -> Self
    where
        H: BlockingFunction<ListRequest, Result<ResourcePage, ToolError>, Form>,
    {
        Self::with_handler(name, function.unbound::<ListKind>())
    }

    pub(super) fn with_handler(name: impl Into<String>, handler: Unbound) -> Self {
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
