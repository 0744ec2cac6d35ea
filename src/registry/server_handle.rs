//! Speaking to the server around a call: its registry, and those who subscribed to its resources.
//!
//! Only the way there. What a change leads to (announcements, subscriptions) is the business of whoever stands
//! behind [`ServerLink`].

use std::sync::Arc;

use super::catalog::RegistryBuilder;
use super::registration::RegistryError;

/// A change of a registry; see [`ServerHandle::edit_registry`].
pub type RegistryEdit<'a> = &'a mut (dyn FnMut(&mut RegistryBuilder) -> Result<(), RegistryError> + Send);

/// The server behind a [`ServerHandle`]. Every method may be called on any thread, shards included, and must not
/// block for long.
pub trait ServerLink: Send + Sync {
    /// Announces that the resource at `uri` has changed, to all who subscribed to it.
    fn resource_updated(&self, uri: &str);

    /// Announces that the list of resources has changed, though the registry has not.
    fn resources_changed(&self);

    /// Runs `edit` once on a copy of the registry and serves the copy from then on, unless `edit` failed.
    ///
    /// # Errors
    /// Those of `edit`.
    fn edit_registry(&self, edit: RegistryEdit<'_>) -> Result<(), RegistryError>;
}

/// A way to the server, cheap to clone, for any thread. The default leads nowhere.
#[derive(Clone, Default)]
pub struct ServerHandle(Option<Arc<dyn ServerLink>>);

impl ServerHandle {
    /// The handle that leads nowhere.
    pub const NOWHERE: Self = Self(None);

    /// A handle to this server.
    pub fn new(link: Arc<dyn ServerLink>) -> Self {
        Self(Some(link))
    }

    /// Tells all who subscribed to `uri` that the resource there has changed (`notifications/resources/updated`).
    pub fn resource_updated(&self, uri: &str) {
        if let Some(link) = &self.0 {
            link.resource_updated(uri);
        }
    }

    /// Tells everybody that the list of resources has changed, because a
    /// [`ResourceLister`](super::ResourceLister)'s have. Edits of the registry say so by themselves.
    pub fn resources_changed(&self) {
        if let Some(link) = &self.0 {
            link.resources_changed();
        }
    }

    /// Changes what is registered, all of `edit` or nothing. Calls that run now end with what they began with;
    /// clients hear of the lists that changed.
    ///
    /// # Errors
    /// Those of `edit`, and [`RegistryError::NoServer`] if no server stands behind this handle.
    pub fn edit_registry(
        &self,
        edit: impl FnOnce(&mut RegistryBuilder) -> Result<(), RegistryError> + Send,
    ) -> Result<(), RegistryError> {
        let link = self.0.as_ref().ok_or(RegistryError::NoServer)?;
        let mut edit = Some(edit);
        link.edit_registry(&mut |builder| match edit.take() {
            Some(edit) => edit(builder),
            None => Ok(()),
        })
    }
}

impl std::fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = if self.0.is_some() { "a server" } else { "nowhere" };
        f.debug_tuple("ServerHandle").field(&state).finish()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, reason = "a server of a test")]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::registry::{CallContext, NoArguments, Registry, Tool};

    /// A server that keeps what it was told.
    struct Told {
        registry: Mutex<Registry>,
        words: Mutex<Vec<String>>,
    }

    impl ServerLink for Told {
        fn resource_updated(&self, uri: &str) {
            self.words.lock().unwrap().push(uri.to_owned());
        }

        fn resources_changed(&self) {
            self.words.lock().unwrap().push("changed".to_owned());
        }

        fn edit_registry(&self, edit: RegistryEdit<'_>) -> Result<(), RegistryError> {
            let mut registry = self.registry.lock().unwrap();
            let mut builder = registry.edit();
            edit(&mut builder)?;
            *registry = builder.build();
            Ok(())
        }
    }

    fn tool(name: &str) -> Tool {
        Tool::new(name).run(|_: CallContext, _: NoArguments| async { Ok("") })
    }

    #[test]
    fn edits_and_updates_reach_the_server() {
        let told = Arc::new(Told {
            registry: Mutex::default(),
            words: Mutex::default(),
        });
        let handle = ServerHandle::new(told.clone());
        handle.resource_updated("demo://a");
        handle.resources_changed();
        assert_eq!(*told.words.lock().unwrap(), ["demo://a", "changed"]);

        handle
            .edit_registry(|registry| registry.add(tool("a")).map(|_| ()))
            .unwrap();
        // All or nothing: what came before the failure is undone.
        let refused = handle.edit_registry(|registry| {
            registry.add(tool("b"))?.add(tool("a"))?;
            Ok(())
        });
        assert!(matches!(refused, Err(RegistryError::Duplicate(_))));
        let registry = told.registry.lock().unwrap();
        assert!(registry.find("a").is_some() && registry.find("b").is_none());
    }

    #[test]
    fn nowhere_says_that_no_edit_took_place() {
        let handle = ServerHandle::default();
        handle.resource_updated("demo://a");
        handle.resources_changed();
        let edited = handle.edit_registry(|_| panic!("nothing to edit"));
        assert!(matches!(edited, Err(RegistryError::NoServer)));
    }
}
