//! Edits of the registry of a running server, from within one of its calls.

use std::any::Any;

use super::registry_builder::RegistryBuilder;
use super::registry_error::RegistryError;
use crate::registry::asking::server_handle::{Draft, Edited, ServerHandle};

impl Draft for RegistryBuilder {}

impl ServerHandle {
    /// Changes what is registered, with all of `edit` or nothing of it. Calls that run now end with the functions they
    /// began with; clients hear of the lists that changed.
    ///
    /// # Errors
    /// Fails with the error of `edit`, and with [`RegistryError::NoServer`] if no server stands behind this handle.
    pub fn edit_registry(
        &self,
        edit: impl FnOnce(&mut RegistryBuilder) -> Result<(), RegistryError> + Send,
    ) -> Result<(), RegistryError> {
        let link = self.link().ok_or(RegistryError::NoServer)?;
        let mut edit = Some(edit);
        let mut result = Err(RegistryError::NoServer);
        link.edit_registry(&mut |draft| {
            let builder = (draft as &mut dyn Any).downcast_mut::<RegistryBuilder>();
            if let (Some(builder), Some(edit)) = (builder, edit.take()) {
                result = edit(builder);
            }
            match result {
                Ok(()) => Edited::Publish,
                Err(_) => Edited::Discard,
            }
        });
        result
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, reason = "a server of a test")]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::registry::{CallContext, NoArguments, Registry, RegistryEdit, ServerLink, Tool};

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

        fn edit_registry(&self, edit: RegistryEdit<'_>) {
            let mut registry = self.registry.lock().unwrap();
            let mut builder = registry.edit();
            if edit(&mut builder) == Edited::Publish {
                *registry = builder.build();
            }
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
        // An edit happens as a whole or not at all: the changes before the failure are undone.
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
