//! The registry: built once, then shared and never changed. Another can be made from it, and take its place.

use std::sync::Arc;

use super::entries::{Entries, ListChanged};
use super::watch::{Watch, WatchList};
use crate::registry::info::index::{
    CompleterIndex, ListerIndex, PromptIndex, ResourceIndex, TemplateIndex, ToolIndex,
};
use crate::registry::info::prompt_info::PromptInfo;
use crate::registry::info::resource_info::ResourceInfo;
use crate::registry::info::tool_info::ToolInfo;

/// All tools, resources and prompts of a server. Cloning it is cloning a pointer.
#[derive(Clone, Default)]
pub struct Registry {
    inner: Arc<Entries>,
}

impl Registry {
    /// The tool of this name. Does not allocate.
    pub fn find(&self, name: &str) -> Option<ToolIndex> {
        self.inner.tools_by_name.get(name).copied()
    }

    /// A tool's description.
    ///
    /// # Panics
    /// If `index` comes from another, larger registry.
    pub fn tool(&self, index: ToolIndex) -> &ToolInfo {
        &self.inner.tools[index.as_usize()].info
    }

    /// Whether it was promised that none of this leaves a task behind in a shard's executor.
    pub fn spawns_no_tasks(&self) -> bool {
        self.inner.spawns_no_tasks
    }

    /// All tools in the order they were registered.
    pub fn tools(&self) -> impl ExactSizeIterator<Item = (ToolIndex, &ToolInfo)> {
        self.inner
            .tools
            .iter()
            .enumerate()
            .map(|(at, tool)| (ToolIndex::after(at), &tool.info))
    }

    /// The resource of exactly this URI. Does not allocate.
    pub fn find_resource(&self, uri: &str) -> Option<ResourceIndex> {
        self.inner.resources_by_uri.get(uri).copied()
    }

    /// The first template, in order of registration, that matches this URI. Takes time linear in the URI for each
    /// template.
    pub fn find_template(&self, uri: &str) -> Option<TemplateIndex> {
        let at = self
            .inner
            .templates
            .iter()
            .position(|entry| entry.template.values(uri).is_some())?;
        Some(TemplateIndex::after(at))
    }

    /// A resource's description.
    ///
    /// # Panics
    /// If `index` comes from another, larger registry.
    pub fn resource(&self, index: ResourceIndex) -> &ResourceInfo {
        &self.inner.resources[index.as_usize()].info
    }

    /// A template's description.
    ///
    /// # Panics
    /// If `index` comes from another, larger registry.
    pub fn template(&self, index: TemplateIndex) -> &ResourceInfo {
        &self.inner.templates[index.as_usize()].info
    }

    /// All resources in the order they were registered.
    pub fn resources(&self) -> impl ExactSizeIterator<Item = &ResourceInfo> {
        self.inner.resources.iter().map(|entry| &entry.info)
    }

    /// All resource templates in the order they were registered.
    pub fn templates(&self) -> impl ExactSizeIterator<Item = &ResourceInfo> {
        self.inner.templates.iter().map(|entry| &entry.info)
    }

    /// The places of all resource listers.
    pub(crate) fn listers(&self) -> impl ExactSizeIterator<Item = ListerIndex> {
        (0..self.inner.listers.len()).map(ListerIndex::after)
    }

    /// The prompt of this name. Does not allocate.
    pub fn find_prompt(&self, name: &str) -> Option<PromptIndex> {
        self.inner.prompts_by_name.get(name).copied()
    }

    /// A prompt's description.
    ///
    /// # Panics
    /// If `index` comes from another, larger registry.
    pub fn prompt(&self, index: PromptIndex) -> &PromptInfo {
        &self.inner.prompts[index.as_usize()].info
    }

    /// All prompts in the order they were registered.
    pub fn prompts(&self) -> impl ExactSizeIterator<Item = &PromptInfo> {
        self.inner.prompts.iter().map(|entry| &entry.info)
    }

    /// The function that completes an argument of a prompt, if there is one; `Err` if there is no such argument.
    pub(crate) fn prompt_completer(
        &self,
        index: PromptIndex,
        argument: &str,
    ) -> Result<Option<CompleterIndex>, NoSuchArgument> {
        let entry = &self.inner.prompts[index.as_usize()];
        if !entry.info.arguments.iter().any(|known| known.name == argument) {
            return Err(NoSuchArgument);
        }
        let begin = self.inner.prompt_completers[index.as_usize()];
        Ok(entry.completers.place(argument, begin))
    }

    /// The function that completes a variable of the template with this text, if there is one. The URI of a resource is
    /// accepted too, and has no variables.
    pub(crate) fn template_completer(
        &self,
        uri: &str,
        variable: &str,
    ) -> Option<Result<Option<CompleterIndex>, NoSuchArgument>> {
        let templates = self.inner.templates.iter().zip(&self.inner.template_completers);
        match templates
            .into_iter()
            .find(|(entry, _)| entry.info.address() == uri)
        {
            Some((entry, begin)) if entry.template.has_variable(variable) => {
                Some(Ok(entry.completers.place(variable, *begin)))
            }
            Some(_) => Some(Err(NoSuchArgument)),
            None => self.find_resource(uri).map(|_| Err(NoSuchArgument)),
        }
    }

    /// The watcher of the resource at `uri`: that of the resource itself or, if there is none, of the template that
    /// matches. Takes as long as [`Registry::find_template`].
    pub(crate) fn watcher(&self, uri: &str) -> Option<Arc<dyn Watch>> {
        let found = match self.find_resource(uri) {
            Some(index) => &self.inner.resources[index.as_usize()].watch,
            None => &self.inner.templates[self.find_template(uri)?.as_usize()].watch,
        };
        found.clone()
    }

    /// Whether anything can be completed.
    pub fn has_completers(&self) -> bool {
        !self.inner.completers.is_empty()
    }

    /// The lists of which clients are promised to hear when they change. A lister that is watched promises for itself.
    pub(crate) fn list_changed(&self) -> ListChanged {
        let is_watched = self.inner.listers.iter().any(|lister| lister.watch.is_some());
        ListChanged {
            resources: self.inner.list_changed.resources || is_watched,
            ..self.inner.list_changed
        }
    }

    /// The watchers of the listers' lists.
    pub(crate) fn list_watchers(&self) -> impl Iterator<Item = Arc<dyn WatchList>> {
        self.inner
            .listers
            .iter()
            .filter_map(|lister| lister.watch.clone())
    }

    /// The reason why a server of this registry should get no new clients just now, if there is one. See
    /// [`RegistryBuilder::not_ready_while`](crate::RegistryBuilder::not_ready_while).
    pub fn not_ready(&self) -> Option<&str> {
        let reasons = self.inner.not_ready.iter();
        reasons
            .filter(|not_ready| (not_ready.is_so)())
            .map(|not_ready| not_ready.reason.as_str())
            .next()
    }

    pub(super) fn from_entries(entries: Entries) -> Self {
        Self {
            inner: Arc::new(entries),
        }
    }

    pub(in crate::registry) fn inner(&self) -> &Entries {
        &self.inner
    }
}

/// The prompt or template has no argument of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoSuchArgument;

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.tools().map(|(_, tool)| tool.name()))
            .finish()
    }
}
