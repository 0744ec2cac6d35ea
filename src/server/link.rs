//! The server as its tools reach it: announcements, and edits of the registry while it is served.
//!
//! An edit is made on a copy. The shards get the copy only when it is complete, and all at once as far as clients can
//! tell: from then on every request is decoded for it. Then the clients that listen hear which lists have changed.
#![allow(
    clippy::disallowed_types,
    reason = "edits follow one another, whichever thread they come from"
)]

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::mcp::{Announcement, ClientKey, SessionToken};
use crate::registry::{
    Edited, ForeignFault, ForeignServer, Registry, RegistryBuilder, RegistryEdit, ServerLink,
};
use crate::shard::{Served, Service};
use crate::units::ViewId;

/// The server behind the handles of calls.
pub(super) struct Link {
    served: Arc<Served>,
    /// Held while an edit is made.
    editing: Mutex<Vec<OwnLists>>,
    /// The servers that are other programs, as all clients were served them last.
    published: Mutex<Vec<Arc<ForeignServer>>>,
}

/// What clients have whose own children have something else than those of others, in one view.
#[derive(Default)]
struct OwnLists {
    /// The servers of the view, with those that are a client's own.
    wanted: HashMap<ClientKey, Vec<Arc<ForeignServer>>>,
    /// What each is served of that, made of this common service.
    made: Vec<OwnMade>,
    served: HashMap<ClientKey, Arc<Service>>,
}

struct OwnMade {
    servers: Vec<Arc<ForeignServer>>,
    common: Arc<Service>,
    service: Arc<Service>,
}

impl Link {
    pub(super) fn new(served: Arc<Served>) -> Arc<Link> {
        Arc::new(Link {
            served,
            editing: Mutex::default(),
            published: Mutex::default(),
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
    /// Serves what other programs have besides what is registered here, instead of what they had before; to a client
    /// whose own child has something else, that; `has_clients` if somebody may know that and is to be told. Returns
    /// what of it cannot be served.
    pub(super) fn replace_foreign(
        &self,
        servers: &[Arc<ForeignServer>],
        own: &HashMap<ClientKey, Vec<Arc<ForeignServer>>>,
        has_clients: bool,
    ) -> Vec<ForeignFault> {
        for (server, view) in servers.iter().zip(1..) {
            self.replace_own(ViewId(view), server, has_clients);
            let own = own.iter().filter_map(|(client, own)| {
                let own = own.iter().find(|own| own.server == server.server)?;
                Some((*client, vec![Arc::clone(own)]))
            });
            self.set_own(ViewId(view), own.collect());
        }
        let mut faults = Vec::new();
        if self.is_new(servers) {
            self.edit(ViewId::MAIN, has_clients, |builder| {
                faults = replace_all(builder, servers.to_vec());
                Edited::Publish
            });
        }
        let own = own.iter().map(|(client, own)| {
            let of_client = |server: &Arc<ForeignServer>| {
                let own = own.iter().find(|own| own.server == server.server);
                Arc::clone(own.unwrap_or(server))
            };
            (*client, servers.iter().map(of_client).collect())
        });
        self.set_own(ViewId::MAIN, own.collect());
        faults
    }

    /// Whether these are others than those that all clients were served last; they are from now on.
    fn is_new(&self, servers: &[Arc<ForeignServer>]) -> bool {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = *published != servers;
        if is_new {
            *published = servers.to_vec();
        }
        is_new
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

    /// From now on these clients are served these servers in a view.
    fn set_own(&self, view: ViewId, wanted: HashMap<ClientKey, Vec<Arc<ForeignServer>>>) {
        let mut editing = self.editing.lock().unwrap_or_else(PoisonError::into_inner);
        let at = usize::from(view.0);
        if editing.len() <= at {
            if wanted.is_empty() {
                return;
            }
            editing.resize_with(at + 1, OwnLists::default);
        }
        editing[at].wanted = wanted;
        let changes = self.serve_own(view, &mut editing[at], None);
        drop(editing);
        self.tell_own(view, changes);
    }

    /// Serves clients in a view what is their own of it, and gives what that changes for whom. `before` is what all
    /// others were served until now, if that has just changed: they are told of that.
    fn serve_own(
        &self,
        view: ViewId,
        own: &mut OwnLists,
        before: Option<&Arc<Service>>,
    ) -> Vec<(ClientKey, Announcement)> {
        if own.wanted.is_empty() && own.served.is_empty() {
            return Vec::new();
        }
        let Some(common) = self.served.all().into_iter().nth(usize::from(view.0)) else {
            return Vec::new();
        };
        let mut kept = Vec::new();
        let mut served = HashMap::new();
        for (client, servers) in &own.wanted {
            let is_it = |made: &&OwnMade| Arc::ptr_eq(&made.common, &common) && made.servers == *servers;
            let known = kept.iter().find(is_it).or_else(|| own.made.iter().find(is_it));
            let service = known.map_or_else(
                || own_service(&common, servers.clone()),
                |made| Arc::clone(&made.service),
            );
            served.insert(*client, Arc::clone(&service));
            kept.push(OwnMade {
                servers: servers.clone(),
                common: Arc::clone(&common),
                service,
            });
        }
        let before = before.unwrap_or(&common);
        let was = |client: ClientKey| own.served.get(&client).unwrap_or(before);
        let clients: HashSet<ClientKey> = own.served.keys().chain(served.keys()).copied().collect();
        let changes = clients.into_iter().flat_map(|client| {
            let now = served.get(&client).unwrap_or(&common);
            let changes = now.protocol.changes_since(&was(client).protocol);
            changes.into_iter().map(move |change| (client, change))
        });
        let changes = changes.collect();
        own.made = kept;
        own.served.clone_from(&served);
        self.served.replace_own(view, served);
        changes
    }

    fn tell_own(&self, view: ViewId, changes: Vec<(ClientKey, Announcement)>) {
        let service = self.served.all().into_iter().nth(usize::from(view.0));
        for (client, change) in changes {
            if let Some(service) = &service {
                service.store.live().announce_to(Some(client), change);
            }
        }
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
        let mut editing = self.editing.lock().unwrap_or_else(PoisonError::into_inner);
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
        let edited = Arc::new(edited);
        self.served.replace(view, Arc::clone(&edited));
        if view == ViewId::MAIN {
            // Calls that this wakes are decoded for what is served now.
            edited.lift_limits();
        }
        // What clients have of their own is made of it.
        let own = editing.get_mut(usize::from(view.0));
        let own = own.map(|own| self.serve_own(view, own, Some(&service)));
        drop(editing);
        self.tell_own(view, own.unwrap_or_default());
        for change in changes.into_iter().filter(|_| has_clients) {
            service.store.live().announce(change);
        }
    }
}

/// Puts these servers in the place of those that were there. Returns what of them cannot be served.
fn replace_all(builder: &mut RegistryBuilder, servers: Vec<Arc<ForeignServer>>) -> Vec<ForeignFault> {
    match servers.len() {
        // It is in nobody's way.
        ..=1 => builder.replace_foreign(servers),
        _ => builder.merge_foreign(servers),
    }
}

/// A service with these servers instead of those that all clients have.
fn own_service(common: &Service, servers: Vec<Arc<ForeignServer>>) -> Arc<Service> {
    let mut builder = common.protocol.registry().edit();
    let _ = replace_all(&mut builder, servers);
    let protocol = common.protocol.with_registry(builder.build());
    Arc::new(common.with_protocol(Arc::new(protocol)))
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
