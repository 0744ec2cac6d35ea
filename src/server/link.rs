//! The server as its tools reach it: announcements, and edits of the registry while it is served.
//!
//! An edit is made on a copy. Only when it is complete do the shards get it, all at once as far as clients can tell:
//! from then on every request is decoded for it. Then whoever listens hears which lists have changed.
#![allow(
    clippy::disallowed_types,
    reason = "edits follow one another, whichever thread they come from"
)]

use std::sync::{Arc, Mutex, PoisonError};

use crate::mcp::Announcement;
use crate::registry::{RegistryEdit, RegistryError, ServerLink};
use crate::shard::Served;

/// What stands behind the handles that calls have.
pub(super) struct Link {
    served: Arc<Served>,
    /// Held while an edit is made.
    editing: Mutex<()>,
}

impl Link {
    pub(super) fn new(served: Arc<Served>) -> Arc<Link> {
        Arc::new(Link {
            served,
            editing: Mutex::new(()),
        })
    }

    fn announce(&self, announcement: Announcement) {
        self.served.current().store.live().announce(announcement);
    }
}

impl ServerLink for Link {
    fn resource_updated(&self, uri: &str) {
        self.announce(Announcement::ResourceUpdated(uri.into()));
    }

    fn resources_changed(&self) {
        self.announce(Announcement::ResourcesChanged);
    }

    fn edit_registry(&self, edit: RegistryEdit<'_>) -> Result<(), RegistryError> {
        let editing = self.editing.lock().unwrap_or_else(PoisonError::into_inner);
        let service = self.served.current();
        let mut builder = service.protocol.registry().edit();
        edit(&mut builder)?;
        let protocol = Arc::new(service.protocol.with_registry(builder.build()));
        let changes = protocol.changes_since(&service.protocol);
        self.served.replace(Arc::new(service.with_protocol(protocol)));
        drop(editing);
        changes.into_iter().for_each(|change| self.announce(change));
        Ok(())
    }
}
