//! The server as its tools reach it: announcements, and edits of the registry while it is served.
//!
//! An edit is made on a copy. The shards get the copy only when it is complete, and all at once as far as clients can
//! tell: from then on every request is decoded for it. Then the clients that listen hear which lists have changed.
#![allow(
    clippy::disallowed_types,
    reason = "edits follow one another, whichever thread they come from"
)]

use std::sync::{Arc, Mutex, PoisonError};

use crate::mcp::Announcement;
use crate::registry::{
    Edited, ForeignFault, ForeignServer, Registry, RegistryBuilder, RegistryEdit, ServerLink,
};
use crate::shard::Served;

/// The server behind the handles of calls.
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

    fn edit_registry(&self, edit: RegistryEdit<'_>) {
        let changes = self.edit(|builder| edit(builder));
        self.announce_all(changes);
    }
}

impl Link {
    /// Serves what other programs have besides what is registered here, instead of what they had before; `has_clients`
    /// if somebody may know that and is to be told. Returns what of it cannot be served.
    pub(super) fn replace_foreign(
        &self,
        servers: Vec<Arc<ForeignServer>>,
        has_clients: bool,
    ) -> Vec<ForeignFault> {
        let mut faults = Vec::new();
        let changes = self.edit(|builder| {
            faults = builder.replace_foreign(servers);
            Edited::Publish
        });
        if has_clients {
            self.announce_all(changes);
        }
        faults
    }

    fn announce_all(&self, changes: Vec<Announcement>) {
        changes.into_iter().for_each(|change| self.announce(change));
    }

    /// Edits what is served; what has changed for clients.
    fn edit(&self, edit: impl FnOnce(&mut RegistryBuilder) -> Edited) -> Vec<Announcement> {
        let editing = self.editing.lock().unwrap_or_else(PoisonError::into_inner);
        let service = self.served.current();
        let mut builder = service.protocol.registry().edit();
        if edit(&mut builder) == Edited::Discard {
            return Vec::new();
        }
        let mut protocol = service.protocol.with_registry(builder.build());
        let changes = protocol.changes_since(&service.protocol);
        if let Some(registry) = promising(protocol.registry(), &changes) {
            protocol = protocol.with_registry(registry);
        }
        self.served
            .replace(Arc::new(service.with_protocol(Arc::new(protocol))));
        drop(editing);
        changes
    }
}

/// A list that changed once may change again: the same registry with a promise to announce that, unless it was promised
/// before.
fn promising(registry: &Registry, changes: &[Announcement]) -> Option<Registry> {
    let promised = registry.list_changed();
    let mut builder = registry.edit();
    let mut is_new = false;
    for change in changes {
        match change {
            Announcement::ToolsChanged if !promised.tools => builder.tools_list_changed(),
            Announcement::PromptsChanged if !promised.prompts => builder.prompts_list_changed(),
            Announcement::ResourcesChanged if !promised.resources => builder.resources_list_changed(),
            _ => continue,
        };
        is_new = true;
    }
    is_new.then(|| builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{CallContext, NoArguments, Tool};

    #[test]
    fn what_changed_once_is_promised_from_then_on() {
        let mut builder = Registry::builder();
        builder
            .add(Tool::new("a").run(|_: CallContext, _: NoArguments| async { Ok("") }))
            .unwrap();
        let registry = builder.build();
        assert!(promising(&registry, &[]).is_none());
        let promised = promising(&registry, &[Announcement::ToolsChanged]).unwrap();
        let lists = promised.list_changed();
        assert_eq!(
            (lists.tools, lists.resources, lists.prompts),
            (true, false, false)
        );
        assert!(promised.find("a").is_some());
        assert!(promising(&promised, &[Announcement::ToolsChanged]).is_none());
        let all = [Announcement::PromptsChanged, Announcement::ResourcesChanged];
        let lists = promising(&promised, &all).unwrap().list_changed();
        assert_eq!((lists.tools, lists.resources, lists.prompts), (true, true, true));
    }
}
