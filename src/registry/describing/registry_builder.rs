//! Building a registry, from nothing or from another one.

use std::sync::Arc;

use super::catalog::Registry;
use super::entries::{Entries, NotReady};
use super::foreign::{ForeignFault, ForeignKind, ForeignServer};
use super::foreign_entries::ForeignEntries;
use super::merged::MergedNames;
use crate::registry::mount::Mount;
use crate::registry::owned::Owned;

/// Collects tools, resources and prompts. Toolsets add theirs to the same builder.
pub struct RegistryBuilder {
    pub(in crate::registry) inner: Entries,
    /// The place of the toolset that is being mounted.
    pub(super) mount: Option<Arc<Mount>>,
}

impl RegistryBuilder {
    /// A value that functions borrow: those that are added from now on and have a first parameter `&S`. A registry has
    /// one state of each type, and a later one takes the place of an earlier one; registries that are made from it by
    /// [`Registry::edit`] have it too.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// use weir::{CallContext, Registry, Tool};
    ///
    /// struct Counter(AtomicU64);
    ///
    /// let mut tools = Registry::builder().state(Arc::new(Counter(AtomicU64::new(0))));
    /// tools.add(Tool::new("count").run(async |counter: &Counter, _: CallContext| {
    ///     Ok(counter.0.fetch_add(1, Ordering::Relaxed).to_string())
    /// }))?;
    /// # Ok::<(), weir::RegistryError>(())
    /// ```
    #[must_use]
    pub fn state<S: Send + Sync + 'static>(mut self, state: Arc<S>) -> Self {
        self.inner.states.insert(state);
        self
    }

    /// Promises clients to hear when tools are added or removed (MCP, the capability `listChanged`): for a server whose
    /// tools are edited while it runs. Without it, the promise is made only after the first such edit. The promise is
    /// all that this is: edits announce themselves
    /// ([`ServerHandle::edit_registry`](crate::ServerHandle::edit_registry)).
    pub fn tools_list_changed(&mut self) -> &mut Self {
        self.inner.list_changed.tools = true;
        self
    }

    /// The same for resources and templates: a promise, made once, before the server starts. For the resources of a
    /// [`ResourceLister`](crate::ResourceLister), its [`watch`](crate::ResourceLister::watch) is that promise; whenever
    /// such a list has changed, [`ServerHandle::resources_changed`](crate::ServerHandle::resources_changed) says so.
    pub fn resources_list_changed(&mut self) -> &mut Self {
        self.inner.list_changed.resources = true;
        self
    }

    /// The same for prompts.
    pub fn prompts_list_changed(&mut self) -> &mut Self {
        self.inner.list_changed.prompts = true;
        self
    }

    /// Promises that no tool, resource or prompt, of this registry or of one that it is edited into, leaves anything
    /// behind in the executor of the shard it runs on: none spawns a task there. Whatever a call awaits itself,
    /// [`sleep`](crate::time::sleep) or anything of glommio's, is no task, and what runs on threads of its own does not
    /// matter.
    ///
    /// A shard that knows this waits for its sockets alone while no call awaits anything else, and takes a third less
    /// CPU when it is only lightly loaded. A task that is spawned all the same is woken up to a tenth of a second late.
    pub fn spawns_no_tasks(&mut self) -> &mut Self {
        self.inner.spawns_no_tasks = true;
        self
    }

    /// Makes `/readyz` answer 503 with this reason, one line without anything a stranger must not know, while `is_so`
    /// returns true. It is called with each probe, on threads that serve: it must neither block nor take long.
    pub fn not_ready_while(
        &mut self,
        reason: impl Into<String>,
        is_so: impl Fn() -> bool + Send + Sync + 'static,
    ) -> &mut Self {
        self.inner.not_ready.push(Arc::new(NotReady {
            reason: reason.into(),
            is_so: Owned::new(Box::new(is_so)),
        }));
        self
    }

    /// Removes a tool. Returns whether there was one.
    pub fn remove_tool(&mut self, name: &str) -> bool {
        let name = self.served_name(name.to_owned());
        let Some(index) = self.inner.tools_by_name.remove(&name) else {
            return false;
        };
        self.inner.tools.remove(index.as_usize());
        for other in self.inner.tools_by_name.values_mut() {
            other.0 -= u32::from(*other > index);
        }
        true
    }

    /// Removes the resource at exactly this URI. Returns whether there was one.
    pub fn remove_resource(&mut self, uri: &str) -> bool {
        let uri = self.served_uri(uri);
        let Some(index) = self.inner.resources_by_uri.remove(&uri) else {
            return false;
        };
        self.inner.resources.remove(index.as_usize());
        for other in self.inner.resources_by_uri.values_mut() {
            other.0 -= u32::from(*other > index);
        }
        true
    }

    /// Removes the template with this text, and its completions. Returns whether there was one.
    pub fn remove_template(&mut self, uri_template: &str) -> bool {
        let uri_template = self.served_uri(uri_template);
        let before = self.inner.templates.len();
        self.inner
            .templates
            .retain(|entry| entry.info.address() != uri_template);
        self.inner.templates.len() < before
    }

    /// Removes a prompt and its completions. Returns whether there was one.
    pub fn remove_prompt(&mut self, name: &str) -> bool {
        let name = self.served_name(name.to_owned());
        let Some(index) = self.inner.prompts_by_name.remove(&name) else {
            return false;
        };
        self.inner.prompts.remove(index.as_usize());
        for other in self.inner.prompts_by_name.values_mut() {
            other.0 -= u32::from(*other > index);
        }
        true
    }

    /// Lets these servers, which are other programs, serve what they have, and no others any more. An item whose name
    /// is taken, by ours or by one that comes before it, is left out; the faults name it.
    pub(crate) fn replace_foreign(&mut self, servers: Vec<Arc<ForeignServer>>) -> Vec<ForeignFault> {
        self.put_foreign(servers, None)
    }

    /// The same under names that tell the servers apart, so that nothing of one is in another's way.
    pub(crate) fn merge_foreign(&mut self, servers: Vec<Arc<ForeignServer>>) -> Vec<ForeignFault> {
        let names = MergedNames::new(servers.iter().map(|server| server.name.as_str()));
        self.put_foreign(servers, Some(names))
    }

    fn put_foreign(
        &mut self,
        servers: Vec<Arc<ForeignServer>>,
        names: Option<MergedNames>,
    ) -> Vec<ForeignFault> {
        let is_taken = |kind: ForeignKind, name: &str| self.inner.has_own(kind, name);
        let (entries, faults) = ForeignEntries::new(servers, names, is_taken);
        self.inner.foreign = (!entries.servers().is_empty()).then(|| Arc::new(entries));
        faults
    }

    /// The servers that are other programs, with those of their items that are served.
    pub(crate) fn foreign_servers(&self) -> &[Arc<ForeignServer>] {
        let foreign = self.inner.foreign.as_deref();
        foreign.map_or(&[], ForeignEntries::servers)
    }

    /// The finished registry.
    pub fn build(mut self) -> Registry {
        self.inner.place_completers();
        Registry::from_entries(self.inner)
    }
}

/// The same registry with what these servers have, for tests and benches.
#[cfg(feature = "internals")]
pub fn with_foreign(registry: &Registry, servers: Vec<Arc<ForeignServer>>) -> Registry {
    let mut edited = registry.edit();
    edited.replace_foreign(servers);
    edited.build()
}

impl std::fmt::Debug for RegistryBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.inner.tools.iter().map(|tool| tool.info.name());
        f.debug_list().entries(names).finish()
    }
}

impl Registry {
    /// An empty registry to add to.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder {
            inner: Entries::default(),
            mount: None,
        }
    }

    /// Begins another registry with everything that is in this one, which stays as it is. Costs a few pointers for each
    /// entry.
    pub fn edit(&self) -> RegistryBuilder {
        RegistryBuilder {
            inner: Entries::clone(self.inner()),
            mount: None,
        }
    }
}

#[cfg(test)]
mod tests;
