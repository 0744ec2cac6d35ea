//! The entries of a registry. A registry and those made from it share entries; each has its own indices.

use std::sync::Arc;

use super::completers::Completers;
use super::foreign::ForeignKind;
use super::foreign_entries::ForeignEntries;
use super::names::Names;
use super::uri_template::UriTemplate;
use super::watch::{Watch, WatchList};
use crate::registry::caller::headers::HeaderNames;
use crate::registry::info::index::{PromptIndex, ResourceIndex, ToolIndex};
use crate::registry::info::prompt_info::PromptInfo;
use crate::registry::info::resource_info::ResourceInfo;
use crate::registry::info::tool_info::ToolInfo;
use crate::registry::mount::Mount;
use crate::registry::owned::Owned;
use crate::registry::running::handler::Handler;
use crate::registry::running::states::States;
use crate::registry::schemas::schema::{InputSchema, OutputSchema};
use crate::registry::schemas::unknown::KnownArguments;

#[derive(Clone, Default)]
pub(in crate::registry) struct Entries {
    pub(in crate::registry) tools: Vec<Arc<Registered>>,
    pub(super) tools_by_name: Names<ToolIndex>,
    pub(in crate::registry) resources: Vec<Arc<RegisteredResource>>,
    pub(super) resources_by_uri: Names<ResourceIndex>,
    pub(in crate::registry) templates: Vec<Arc<RegisteredTemplate>>,
    pub(in crate::registry) listers: Vec<Arc<RegisteredLister>>,
    pub(in crate::registry) prompts: Vec<Arc<RegisteredPrompt>>,
    pub(super) prompts_by_name: Names<PromptIndex>,
    /// The functions of all templates, then of all prompts, in order; [`RegistryBuilder::build`] makes the list.
    pub(in crate::registry) completers: Vec<RegisteredCompleter>,
    /// Index of the first completer of each template.
    pub(super) template_completers: Vec<usize>,
    /// Index of the first completer of each prompt.
    pub(super) prompt_completers: Vec<usize>,
    /// The values that functions borrow.
    pub(super) states: States,
    /// Lists that are declared to change.
    pub(super) list_changed: ListChanged,
    /// It was promised that none of this spawns tasks.
    pub(super) spawns_no_tasks: bool,
    pub(super) not_ready: Vec<Arc<NotReady>>,
    /// What other programs serve, if there are any.
    pub(in crate::registry) foreign: Option<Arc<ForeignEntries>>,
}

/// The lists that change while they are served, as clients are promised to hear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListChanged {
    pub(crate) tools: bool,
    pub(crate) resources: bool,
    pub(crate) prompts: bool,
}

/// A reason why a running server may not be ready.
pub(in crate::registry) struct NotReady {
    pub(in crate::registry) reason: String,
    pub(super) is_so: Owned<Box<dyn Fn() -> bool + Send + Sync>>,
}

/// One tool, its schemas compiled.
pub(in crate::registry) struct Registered {
    pub(in crate::registry) info: ToolInfo,
    pub(in crate::registry) input: InputSchema,
    /// The names of its arguments, if others are to be reported.
    pub(in crate::registry) known: Option<KnownArguments>,
    pub(in crate::registry) output: Option<Arc<OutputSchema>>,
    pub(in crate::registry) handler: Arc<dyn Handler>,
    /// The headers that its function read.
    pub(in crate::registry) reads: Option<Arc<HeaderNames>>,
    /// The place of the toolset that has it, if that is mounted.
    pub(in crate::registry) mount: Option<Arc<Mount>>,
}

/// One resource.
pub(in crate::registry) struct RegisteredResource {
    pub(in crate::registry) info: ResourceInfo,
    pub(in crate::registry) handler: Arc<dyn Handler>,
    pub(in crate::registry) watch: Option<Arc<dyn Watch>>,
    /// The headers that its function read.
    pub(in crate::registry) reads: Option<Arc<HeaderNames>>,
    /// The place of the toolset that has it, if that is mounted.
    pub(in crate::registry) mount: Option<Arc<Mount>>,
}

/// One template, parsed.
pub(in crate::registry) struct RegisteredTemplate {
    pub(in crate::registry) info: ResourceInfo,
    pub(in crate::registry) template: UriTemplate,
    pub(in crate::registry) handler: Arc<dyn Handler>,
    pub(in crate::registry) watch: Option<Arc<dyn Watch>>,
    pub(in crate::registry) completers: Completers,
    /// The headers that its functions read.
    pub(in crate::registry) reads: Option<Arc<HeaderNames>>,
    /// The place of the toolset that has it, if that is mounted.
    pub(in crate::registry) mount: Option<Arc<Mount>>,
}

/// One lister.
pub(in crate::registry) struct RegisteredLister {
    pub(in crate::registry) name: String,
    pub(in crate::registry) handler: Arc<dyn Handler>,
    pub(in crate::registry) watch: Option<Arc<dyn WatchList>>,
    /// The headers that its function reads.
    pub(in crate::registry) reads: Option<Arc<HeaderNames>>,
    /// The place of the toolset that has it, if that is mounted.
    pub(in crate::registry) mount: Option<Arc<Mount>>,
}

/// One prompt, its arguments' schema compiled.
pub(in crate::registry) struct RegisteredPrompt {
    pub(in crate::registry) info: PromptInfo,
    pub(in crate::registry) arguments: InputSchema,
    pub(in crate::registry) handler: Arc<dyn Handler>,
    pub(in crate::registry) completers: Completers,
    /// The headers that its functions read.
    pub(in crate::registry) reads: Option<Arc<HeaderNames>>,
    /// The place of the toolset that has it, if that is mounted.
    pub(in crate::registry) mount: Option<Arc<Mount>>,
}

/// One completion function.
#[derive(Clone)]
pub(in crate::registry) struct RegisteredCompleter {
    /// The name of the prompt, or the text of the template.
    pub(in crate::registry) owner: Arc<str>,
    pub(in crate::registry) handler: Arc<dyn Handler>,
    /// The headers that its function read.
    pub(in crate::registry) reads: Option<Arc<HeaderNames>>,
}

impl Entries {
    /// Whether an item has this name: one with a function of ours.
    pub(super) fn has_own(&self, kind: ForeignKind, name: &str) -> bool {
        match kind {
            ForeignKind::Tool => self.tools_by_name.contains_key(name),
            ForeignKind::Prompt => self.prompts_by_name.contains_key(name),
            ForeignKind::Resource => self.resources_by_uri.contains_key(name),
            ForeignKind::Template => self.templates.iter().any(|entry| entry.info.address() == name),
        }
    }

    /// Whether any item has this name.
    pub(super) fn has(&self, kind: ForeignKind, name: &str) -> bool {
        let foreign = self.foreign.as_deref();
        self.has_own(kind, name) || foreign.is_some_and(|foreign| foreign.has(kind, name))
    }

    /// The places of all mounted toolsets.
    pub(super) fn mounts(&self) -> impl Iterator<Item = &Mount> {
        let tools = self.tools.iter().map(|entry| &entry.mount);
        let resources = self.resources.iter().map(|entry| &entry.mount);
        let templates = self.templates.iter().map(|entry| &entry.mount);
        let listers = self.listers.iter().map(|entry| &entry.mount);
        let prompts = self.prompts.iter().map(|entry| &entry.mount);
        let all = tools
            .chain(resources)
            .chain(templates)
            .chain(listers)
            .chain(prompts);
        all.flatten().map(Arc::as_ref)
    }

    /// Lays all completion functions out in one row.
    pub(super) fn place_completers(&mut self) {
        let mut all = Vec::new();
        let mut place = |owner: &str, completers: &Completers, reads: &Option<Arc<HeaderNames>>| {
            let begin = all.len();
            let owner: Arc<str> = owner.into();
            all.extend(completers.0.iter().map(|(_, handler)| RegisteredCompleter {
                owner: Arc::clone(&owner),
                handler: Arc::clone(handler),
                reads: reads.clone(),
            }));
            begin
        };
        let templates = self.templates.iter();
        self.template_completers = templates
            .map(|entry| place(entry.info.address(), &entry.completers, &entry.reads))
            .collect();
        let prompts = self.prompts.iter();
        self.prompt_completers = prompts
            .map(|entry| place(entry.info.name(), &entry.completers, &entry.reads))
            .collect();
        self.completers = all;
    }
}
