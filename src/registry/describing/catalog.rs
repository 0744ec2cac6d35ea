//! The registry: built once, then shared and never changed. Another can be made from it, and take its place.

use std::sync::Arc;

use super::entries::{Entries, ListChanged};
use super::foreign::{ForeignFeatures, ForeignKind, ForeignServer};
use super::foreign_entries::ForeignEntries;
use super::watch::{Watch, WatchList};
use crate::registry::app;
use crate::registry::info::index::{
    CompleterIndex, ListerIndex, PromptIndex, ResourceIndex, ServerIndex, TemplateIndex, ToolIndex,
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
        let own = self.inner.tools_by_name.get(name).copied();
        own.or_else(|| {
            let at = self.foreign()?.tools.find(name)?;
            Some(ToolIndex::after(self.inner.tools.len() + at))
        })
    }

    /// A tool's description.
    ///
    /// # Panics
    /// If `index` comes from another, larger registry.
    pub fn tool(&self, index: ToolIndex) -> &ToolInfo {
        let (own, at) = (&self.inner.tools, index.as_usize());
        match own.get(at) {
            Some(entry) => &entry.info,
            None => self.foreign_info(at - own.len(), |foreign, at| foreign.tools.info(at)),
        }
    }

    /// Whether it was promised that none of this leaves a task behind in a shard's executor.
    pub fn spawns_no_tasks(&self) -> bool {
        self.inner.spawns_no_tasks
    }

    /// All tools in the order they were registered, without those of other programs.
    pub fn tools(&self) -> impl ExactSizeIterator<Item = (ToolIndex, &ToolInfo)> {
        self.inner
            .tools
            .iter()
            .enumerate()
            .map(|(at, tool)| (ToolIndex::after(at), &tool.info))
    }

    /// The names of all tools, those of other programs too, in the order of [`ToolIndex`].
    pub(crate) fn tool_names(&self) -> impl Iterator<Item = &str> {
        self.all_tools().map(ToolInfo::name)
    }

    /// All tools, those of other programs too, in the order of [`ToolIndex`].
    pub(crate) fn all_tools(&self) -> impl Iterator<Item = &ToolInfo> {
        let foreign = self
            .foreign()
            .into_iter()
            .flat_map(|foreign| foreign.tools.infos());
        let own = self.inner.tools.iter().map(|tool| &tool.info);
        own.chain(foreign)
    }

    /// The resource of exactly this URI, unless it is another program's. Does not allocate.
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
        let (own, at) = (&self.inner.resources, index.as_usize());
        match own.get(at) {
            Some(entry) => &entry.info,
            None => self.foreign_info(at - own.len(), |foreign, at| foreign.resources.info(at)),
        }
    }

    /// A template's description.
    ///
    /// # Panics
    /// If `index` comes from another, larger registry.
    pub fn template(&self, index: TemplateIndex) -> &ResourceInfo {
        let (own, at) = (&self.inner.templates, index.as_usize());
        match own.get(at) {
            Some(entry) => &entry.info,
            None => self.foreign_info(at - own.len(), |foreign, at| foreign.unlisted(at)),
        }
    }

    /// Whether any of our tools has an app, or any of our resources is one.
    pub(crate) fn has_apps(&self) -> bool {
        let tools = self.tools().map(|(_, tool)| tool.meta());
        let resources = self.resources().chain(self.templates()).map(ResourceInfo::meta);
        let is_page = |info: &ResourceInfo| info.mime_type() == Some(app::APP_MIME_TYPE);
        tools.chain(resources).any(app::has_app) || self.resources().chain(self.templates()).any(is_page)
    }

    /// All resources in the order they were registered, without those of other programs.
    pub fn resources(&self) -> impl ExactSizeIterator<Item = &ResourceInfo> {
        self.inner.resources.iter().map(|entry| &entry.info)
    }

    /// All resource templates in the order they were registered, without those of other programs.
    pub fn templates(&self) -> impl ExactSizeIterator<Item = &ResourceInfo> {
        self.inner.templates.iter().map(|entry| &entry.info)
    }

    /// The places of all resource listers.
    pub(crate) fn listers(&self) -> impl ExactSizeIterator<Item = ListerIndex> {
        (0..self.inner.listers.len()).map(ListerIndex::after)
    }

    /// The prompt of this name. Does not allocate.
    pub fn find_prompt(&self, name: &str) -> Option<PromptIndex> {
        let own = self.inner.prompts_by_name.get(name).copied();
        own.or_else(|| {
            let at = self.foreign()?.prompts.find(name)?;
            Some(PromptIndex::after(self.inner.prompts.len() + at))
        })
    }

    /// A prompt's description.
    ///
    /// # Panics
    /// If `index` comes from another, larger registry.
    pub fn prompt(&self, index: PromptIndex) -> &PromptInfo {
        let (own, at) = (&self.inner.prompts, index.as_usize());
        match own.get(at) {
            Some(entry) => &entry.info,
            None => self.foreign_info(at - own.len(), |foreign, at| foreign.prompts.info(at)),
        }
    }

    /// All prompts in the order they were registered, without those of other programs.
    pub fn prompts(&self) -> impl ExactSizeIterator<Item = &PromptInfo> {
        self.inner.prompts.iter().map(|entry| &entry.info)
    }

    /// The function that completes an argument of a prompt, if there is one; `Err` if there is no such argument.
    pub(crate) fn prompt_completer(
        &self,
        index: PromptIndex,
        argument: &str,
    ) -> Result<Option<CompleterIndex>, NoSuchArgument> {
        let Some(entry) = self.inner.prompts.get(index.as_usize()) else {
            return Ok(self.foreign_prompt_completer(index));
        };
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
            None => match self.find_resource(uri) {
                Some(_) => Some(Err(NoSuchArgument)),
                None => self.foreign_template_completer(uri).map(Ok),
            },
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
        !self.inner.completers.is_empty() || self.foreign_features().completions
    }

    /// The lists of which clients are promised to hear when they change. A lister that is watched promises for itself,
    /// and what other programs serve may always change.
    pub(crate) fn list_changed(&self) -> ListChanged {
        let is_watched = self.inner.listers.iter().any(|lister| lister.watch.is_some());
        let (declared, foreign) = (self.inner.list_changed, self.foreign_features());
        ListChanged {
            tools: declared.tools || foreign.tools,
            resources: declared.resources || is_watched || foreign.resources,
            prompts: declared.prompts || foreign.prompts,
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

    /// Whether nothing is registered but what other programs serve.
    pub(crate) fn is_all_foreign(&self) -> bool {
        self.foreign().is_some() && !self.has_own()
    }

    /// Whether anything is registered that this process serves itself.
    pub(crate) fn has_own(&self) -> bool {
        let Entries {
            tools,
            resources,
            templates,
            listers,
            prompts,
            ..
        } = self.inner();
        let own = [
            tools.len(),
            resources.len(),
            templates.len(),
            listers.len(),
            prompts.len(),
        ];
        own != [0; 5]
    }

    /// The servers that are other programs.
    pub(crate) fn foreign_servers(&self) -> &[Arc<ForeignServer>] {
        self.foreign().map_or(&[], ForeignEntries::servers)
    }

    /// One of them.
    #[cfg(test)]
    pub(crate) fn foreign_server(&self, server: crate::registry::ServerIndex) -> Option<&ForeignServer> {
        let mut servers = self.foreign_servers().iter();
        servers.find(|other| other.server == server).map(Arc::as_ref)
    }

    /// What at least one of them declares.
    pub(crate) fn foreign_features(&self) -> ForeignFeatures {
        self.foreign().map(ForeignEntries::features).unwrap_or_default()
    }

    /// The resource of exactly this URI that another program lists.
    pub(crate) fn find_foreign_resource(&self, uri: &str) -> Option<ResourceIndex> {
        let at = self.foreign()?.resources.find(uri)?;
        Some(ResourceIndex::after(self.inner.resources.len() + at))
    }

    /// The reading of a resource that nobody lists, by the program that is asked for it.
    pub(crate) fn find_unlisted(&self, uri: &str) -> Option<TemplateIndex> {
        let at = self.foreign()?.reader_of(uri)?;
        Some(TemplateIndex::after(self.inner.templates.len() + at))
    }

    /// Whether what other programs have is served under names that are not their own.
    #[inline]
    pub(crate) fn is_merged(&self) -> bool {
        self.foreign().is_some_and(|foreign| foreign.names().is_some())
    }

    /// What another program calls what is served under this name, if it is [merged](Self::is_merged).
    pub(crate) fn own_name(&self, kind: ForeignKind, served: &str) -> Option<String> {
        self.foreign()?.own_name(kind, served)
    }

    /// The URI under which one of a server's is served, if that is another.
    pub(crate) fn served_uri(&self, server: ServerIndex, own: &str) -> Option<String> {
        let foreign = self.foreign()?;
        let place = foreign.place_of(server)?;
        Some(foreign.names()?.uri(place, own))
    }

    /// The completion of another program's prompt, if that program completes anything.
    fn foreign_prompt_completer(&self, prompt: PromptIndex) -> Option<CompleterIndex> {
        let foreign = self.foreign()?;
        let at = prompt.as_usize().checked_sub(self.inner.prompts.len())?;
        self.foreign_completer(foreign.prompts.server_at(at)?)
    }

    /// The completion of another program's template, if there is such a template; `None` inside if that program
    /// completes nothing.
    fn foreign_template_completer(&self, uri: &str) -> Option<Option<CompleterIndex>> {
        let server = self.foreign()?.template_server(uri)?;
        Some(self.foreign_completer(server))
    }

    fn foreign_completer(&self, server: usize) -> Option<CompleterIndex> {
        let features = self.foreign()?.server(server)?.features;
        let index = CompleterIndex::after(self.inner.completers.len() + server);
        features.completions.then_some(index)
    }

    /// The name of the prompt or template whose argument is completed, or of the program that completes it.
    pub(in crate::registry) fn completer_owner(&self, index: CompleterIndex) -> &str {
        let (own, at) = (&self.inner.completers, index.as_usize());
        match own.get(at) {
            Some(entry) => &entry.owner,
            None => {
                let server = self.foreign_info(at - own.len(), ForeignEntries::server);
                &server.name
            }
        }
    }

    fn foreign(&self) -> Option<&ForeignEntries> {
        self.inner.foreign.as_deref()
    }

    /// # Panics
    /// If there is no such entry: its index comes from another, larger registry.
    #[allow(
        clippy::expect_used,
        reason = "an index of another registry is a fault of ours"
    )]
    fn foreign_info<'r, I>(
        &'r self,
        at: usize,
        info: impl FnOnce(&'r ForeignEntries, usize) -> Option<&'r I>,
    ) -> &'r I {
        self.foreign()
            .and_then(|foreign| info(foreign, at))
            .expect("the index is of this registry")
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
