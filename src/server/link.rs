//! The server as its tools reach it: announcements, and edits of the registry while it is served.
//!
//! An edit is made on a copy. The shards get the copy only when it is complete, and all at once as far as clients can
//! tell: from then on every request is decoded for it. Then the clients that listen hear which lists have changed.
#![allow(
    clippy::disallowed_types,
    reason = "edits follow one another, whichever thread they come from"
)]

use std::sync::{Arc, Mutex, PoisonError};

use crate::mcp::{Announcement, SessionToken};
use crate::registry::{
    Edited, ForeignFault, ForeignServer, Registry, RegistryBuilder, RegistryEdit, ServerLink,
};
use crate::shard::Served;
use crate::units::ViewId;

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
        self.served.main().store.live().announce(announcement);
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
        self.edit(ViewId::MAIN, true, |builder| edit(builder));
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
        for (server, view) in servers.iter().zip(1..) {
            self.replace_own(ViewId(view), server, has_clients);
        }
        let mut faults = Vec::new();
        self.edit(ViewId::MAIN, has_clients, |builder| {
            faults = match servers.len() {
                // It is in nobody's way.
                ..=1 => builder.replace_foreign(servers),
                _ => builder.merge_foreign(servers),
            };
            Edited::Publish
        });
        faults
    }

    /// Serves what a server has in a view of its own, if it has one. What cannot be served of it cannot be served among
    /// others, either.
    fn replace_own(&self, view: ViewId, server: &Arc<ForeignServer>, has_clients: bool) {
        self.edit(view, has_clients, |builder| {
            if builder.foreign_servers().iter().eq([server]) {
                return Edited::Discard;
            }
            builder.replace_foreign(vec![Arc::clone(server)]);
            Edited::Publish
        });
    }

    /// A session is over, though its client has not said so: its id is unknown from now on.
    pub(super) fn end_session(&self, session: SessionToken) {
        for service in self.served.all() {
            service.store.end_lost(session);
        }
    }

    /// Who is to hear of each session that ends before its id expires.
    pub(super) fn on_session_end(&self, hear: impl Fn(SessionToken) + Send + Sync + Clone + 'static) {
        for service in self.served.all() {
            service.store.on_end(Box::new(hear.clone()));
        }
    }

    /// Whether a session is over.
    pub(super) fn is_over(&self, session: SessionToken) -> bool {
        let services = self.served.all();
        services.iter().any(|service| service.store.is_over(session))
    }

    /// Edits what a view serves, if there is such a view, and tells clients what has changed if there are any.
    fn edit(&self, view: ViewId, has_clients: bool, edit: impl FnOnce(&mut RegistryBuilder) -> Edited) {
        let editing = self.editing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(service) = self.served.all().into_iter().nth(usize::from(view.0)) else {
            return;
        };
        let mut builder = service.protocol.registry().edit();
        if edit(&mut builder) == Edited::Discard {
            return;
        }
        let mut protocol = service.protocol.with_registry(builder.build());
        let changes = protocol.changes_since(&service.protocol);
        if let Some(registry) = promising(protocol.registry(), &changes) {
            protocol = protocol.with_registry(registry);
        }
        let edited = service.with_protocol(Arc::new(protocol));
        self.served.replace(view, Arc::new(edited));
        drop(editing);
        for change in changes.into_iter().filter(|_| has_clients) {
            service.store.live().announce(change);
        }
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
