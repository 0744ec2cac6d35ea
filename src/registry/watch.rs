//! Watching resources on behalf of those who subscribed to them.
//!
//! A watch begins with a URI's first subscriber and ends with its last; between them it says when the resource has
//! changed. Who counts subscribers is not known here.

use std::sync::Arc;

use super::handler::guard;
use super::output::ToolError;
use super::server_handle::ServerHandle;

/// Says that one resource has changed. Cheap to clone, for any thread.
#[derive(Debug, Clone)]
pub struct Updates {
    uri: Arc<str>,
    server: ServerHandle,
}

impl Updates {
    /// Updates of the resource at `uri`, told to `server`.
    pub fn new(uri: &str, server: ServerHandle) -> Self {
        Self {
            uri: uri.into(),
            server,
        }
    }

    /// Which resource.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Tells all who subscribed that the resource has changed.
    pub fn updated(&self) {
        self.server.resource_updated(&self.uri);
    }
}

/// A registered function that watches resources; see [`ResourceBuilder::watch`](super::ResourceBuilder::watch).
pub trait Watch: Send + Sync {
    /// Begins to watch; dropping what it gives ends that. May block, and so may the drop: never call it on a shard.
    ///
    /// # Errors
    /// Those of the function, and [`ToolError::Panicked`].
    fn watch(&self, uri: &str, updates: Updates) -> Result<Box<dyn Send>, ToolError>;
}

/// A function as a [`Watch`].
pub(super) struct Watcher<F>(pub(super) F);

impl<F> Watch for Watcher<F>
where
    F: Fn(&str, Updates) -> Result<Box<dyn Send>, ToolError> + Send + Sync,
{
    fn watch(&self, uri: &str, updates: Updates) -> Result<Box<dyn Send>, ToolError> {
        guard(|| (self.0)(uri, updates)).and_then(|watch| watch)
    }
}
