//! Watching resources on behalf of their subscribers.
//!
//! A watch begins with a URI's first subscriber and ends with its last; between them it announces when the resource has
//! changed. The subscribers are counted elsewhere.

use std::sync::Arc;
use std::time::SystemTime;

use crate::registry::asking::server_handle::ServerHandle;
use crate::registry::asking::tool_error::ToolError;
use crate::registry::mount::Mount;
use crate::registry::owned::Owned;
use crate::registry::running::guard::guard;

/// Announces that one resource has changed. It is cheap to clone, and may be used on any thread.
#[derive(Debug, Clone)]
pub struct Updates {
    uri: Arc<str>,
    /// As clients know it.
    served: Arc<str>,
    server: ServerHandle,
    since: Option<SystemTime>,
}

impl Updates {
    /// Updates of the resource at `uri`, announced by `server`.
    pub fn new(uri: &str, server: ServerHandle) -> Self {
        let uri: Arc<str> = uri.into();
        Self {
            served: Arc::clone(&uri),
            uri,
            server,
            since: None,
        }
    }

    /// The same, for a resource that has had subscribers since then and has not been watched.
    #[must_use]
    pub fn listened_to(self, since: Option<SystemTime>) -> Self {
        Self { since, ..self }
    }

    /// The same for a toolset that calls the resource `own`.
    fn of_own(self, own: &str) -> Self {
        Self {
            uri: own.into(),
            ..self
        }
    }

    /// The time, by the system's clock, from which on changes are to be announced: the resource got its first
    /// subscriber then, who had the answer before the watching begins. A watch that can tell when its resource last
    /// changed looks at it once it is watched, and announces a change of that time or later. `None` if that time is not
    /// known, and for a watch that takes over from another one, which has announced the changes before.
    pub fn since(&self) -> Option<SystemTime> {
        self.since
    }

    /// The URI of the resource.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Tells all subscribers that the resource has changed.
    pub fn updated(&self) {
        self.server.resource_updated(&self.served);
    }
}

/// Announces that the list of a lister has changed. It is cheap to clone, and may be used on any thread.
#[derive(Debug, Clone, Default)]
pub struct ListUpdates {
    server: ServerHandle,
}

impl ListUpdates {
    /// Changes announced by `server`.
    pub fn new(server: ServerHandle) -> Self {
        Self { server }
    }

    /// Tells all clients that want to know that the list of resources has changed.
    pub fn changed(&self) {
        self.server.resources_changed();
    }
}

/// A registered function that watches the list of a lister; see
/// [`ResourceLister::watch`](crate::ResourceLister::watch).
pub trait WatchList: Send + Sync {
    /// Begins to watch; dropping the returned value ends the watch. Both may block: never do either on a shard.
    ///
    /// # Errors
    /// Fails with the function's error, and with [`ToolError::Panicked`].
    fn watch(&self, updates: ListUpdates) -> Result<Box<dyn Send>, ToolError>;
}

/// A function as a [`WatchList`].
pub(super) struct ListWatcher<F: Send + 'static>(pub(super) Owned<F>);

impl<F> WatchList for ListWatcher<F>
where
    F: Fn(ListUpdates) -> Result<Box<dyn Send>, ToolError> + Send + Sync + 'static,
{
    fn watch(&self, updates: ListUpdates) -> Result<Box<dyn Send>, ToolError> {
        guard(|| (self.0)(updates)).and_then(|watch| watch)
    }
}

/// A registered function that watches resources; see [`ResourceBuilder::watch`](crate::ResourceBuilder::watch).
pub trait Watch: Send + Sync {
    /// Begins to watch; dropping the returned value ends the watch. Both may block: never do either on a shard.
    ///
    /// # Errors
    /// Fails with the function's error, and with [`ToolError::Panicked`].
    fn watch(&self, uri: &str, updates: Updates) -> Result<Box<dyn Send>, ToolError>;
}

/// A function as a [`Watch`].
pub(super) struct Watcher<F: Send + 'static>(pub(super) Owned<F>);

impl<F> Watch for Watcher<F>
where
    F: Fn(&str, Updates) -> Result<Box<dyn Send>, ToolError> + Send + Sync + 'static,
{
    fn watch(&self, uri: &str, updates: Updates) -> Result<Box<dyn Send>, ToolError> {
        guard(|| (self.0)(uri, updates)).and_then(|watch| watch)
    }
}

/// A function of a mounted toolset, which knows its resources by its own URIs.
pub(super) struct MountedWatch {
    pub(super) watch: Arc<dyn Watch>,
    pub(super) mount: Arc<Mount>,
}

impl Watch for MountedWatch {
    fn watch(&self, uri: &str, updates: Updates) -> Result<Box<dyn Send>, ToolError> {
        let own = self.mount.own_uri(uri);
        let own = own.ok_or_else(|| ToolError::not_found("not found"))?;
        self.watch.watch(&own, updates.of_own(&own))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, reason = "a server of a test")]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::registry::{
        CallContext, NoArguments, Registry, RegistryEdit, Resource, ResourceTemplate, ServerLink,
    };

    /// Keeps the announcements, in order.
    #[derive(Clone, Default)]
    struct Notes(Arc<Mutex<Vec<String>>>);

    impl Notes {
        fn note(&self, text: impl Into<String>) {
            self.0.lock().unwrap().push(text.into());
        }

        fn taken(&self) -> Vec<String> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    impl ServerLink for Notes {
        fn resource_updated(&self, uri: &str) {
            self.note(format!("updated {uri}"));
        }

        fn resources_changed(&self) {}

        fn edit_registry(&self, _: RegistryEdit<'_>) {}
    }

    /// A value that notes when its watch ends.
    struct Ends(Notes, String);

    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.note(format!("ends {}", self.1));
        }
    }

    fn registry(notes: &Notes) -> Registry {
        let mut registry = Registry::builder();
        let told = notes.clone();
        let watched = Resource::new("demo://watched", "watched").watch(move |uri, updates| {
            updates.updated();
            let thread = std::thread::spawn(move || updates.updated());
            thread.join().map_err(|_| ToolError::Panicked)?;
            Ok(Box::new(Ends(told.clone(), uri.to_owned())))
        });
        let told = notes.clone();
        let template = ResourceTemplate::new("demo://file/{name}", "file").watch(move |uri, updates| {
            assert_eq!(updates.uri(), uri);
            match uri {
                "demo://file/gone" => Err(ToolError::not_found("not found")),
                "demo://file/broken" => panic!("broken"),
                _ => Ok(Box::new(Ends(told.clone(), uri.to_owned()))),
            }
        });
        registry
            .add(watched.read(|_: CallContext| async { Ok("") }))
            .unwrap()
            .add(template.read(|_: CallContext, _: NoArguments| async { Ok("") }))
            .unwrap()
            .add(Resource::new("demo://file/still", "still").read(|_: CallContext| async { Ok("") }))
            .unwrap();
        registry.build()
    }

    #[test]
    fn a_watch_tells_of_changes_until_it_is_dropped() {
        let notes = Notes::default();
        let registry = registry(&notes);
        let uri = "demo://watched";
        let updates = Updates::new(uri, ServerHandle::new(Arc::new(notes.clone())));
        let watch = registry.watcher(uri).unwrap().watch(uri, updates).unwrap();
        let update = "updated demo://watched";
        assert_eq!(notes.taken(), [update, update]);
        // The registry may go before the watch does.
        drop(registry);
        drop(watch);
        assert_eq!(notes.taken(), ["ends demo://watched"]);
    }

    #[test]
    fn whoever_reads_a_uri_watches_it() {
        let notes = Notes::default();
        let registry = registry(&notes);
        for uri in ["demo://other", "demo://file/", "demo://file/still"] {
            assert!(registry.watcher(uri).is_none(), "{uri}");
        }
        let begin = |uri: &str| {
            let watcher = registry.watcher(uri).unwrap();
            watcher
                .watch(uri, Updates::new(uri, ServerHandle::default()))
                .map(drop)
        };
        assert_eq!(begin("demo://file/a"), Ok(()));
        assert_eq!(notes.taken(), ["ends demo://file/a"]);
        assert_eq!(begin("demo://file/gone"), Err(ToolError::not_found("not found")));
        assert_eq!(begin("demo://file/broken"), Err(ToolError::Panicked));
    }
}
