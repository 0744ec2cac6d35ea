//! The way from a call to the server around it: its registry, and the subscribers of its resources.
//!
//! The implementor of [`ServerLink`] decides what a change leads to (announcements, subscriptions).

use std::any::Any;
use std::sync::Arc;

/// A registry that is being edited, without its type: a registry holds functions, and each of their calls has a handle
/// that leads back to the registry. Only [`RegistryBuilder`](crate::RegistryBuilder) is one.
pub trait Draft: Any {}

/// What is to happen to an edited draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edited {
    /// The draft is to be served from now on.
    Publish,
    /// The edit failed; nothing changes.
    Discard,
}

/// A change of a registry; see [`ServerHandle::edit_registry`].
pub type RegistryEdit<'a> = &'a mut (dyn FnMut(&mut dyn Draft) -> Edited + Send);

/// The server behind a [`ServerHandle`]. Every method may be called on any thread, shards included, and must not
/// block for long.
pub trait ServerLink: Send + Sync {
    /// Announces to all subscribers that the resource at `uri` has changed.
    fn resource_updated(&self, uri: &str);

    /// Announces that the list of resources has changed, though the registry has not.
    fn resources_changed(&self);

    /// Runs `edit` once on a copy of the registry, and serves the copy from then on unless it is to be discarded.
    fn edit_registry(&self, edit: RegistryEdit<'_>);
}

/// A way to the server, cheap to clone, for any thread. The default leads nowhere.
#[derive(Clone, Default)]
pub struct ServerHandle(Option<Arc<dyn ServerLink>>);

impl ServerHandle {
    /// The handle that leads nowhere.
    pub const NOWHERE: Self = Self(None);

    /// A handle to this server.
    pub(crate) fn new(link: Arc<dyn ServerLink>) -> Self {
        Self(Some(link))
    }

    /// Tells all subscribers of `uri` that the contents of the resource there have changed
    /// (`notifications/resources/updated`).
    pub fn resource_updated(&self, uri: &str) {
        if let Some(link) = &self.0 {
            link.resource_updated(uri);
        }
    }

    /// Tells all clients that the list of resources has changed, because that of a
    /// [`ResourceLister`](crate::ResourceLister) has (`notifications/resources/list_changed`). Edits of the registry
    /// are announced by themselves. It reaches those who were promised to hear of it: by the lister's
    /// [`watch`](crate::ResourceLister::watch), or by
    /// [`RegistryBuilder::resources_list_changed`](crate::RegistryBuilder::resources_list_changed), which announces
    /// nothing itself. That the contents of one resource have changed is said by
    /// [`resource_updated`](Self::resource_updated).
    pub fn resources_changed(&self) {
        if let Some(link) = &self.0 {
            link.resources_changed();
        }
    }

    pub(in crate::registry) fn link(&self) -> Option<&dyn ServerLink> {
        self.0.as_deref()
    }
}

impl std::fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = if self.0.is_some() { "a server" } else { "nowhere" };
        f.debug_tuple("ServerHandle").field(&state).finish()
    }
}
