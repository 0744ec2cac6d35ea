//! What a registry holds. Entries are shared between a registry and those made from it; their places are each
//! registry's own.

use std::collections::HashMap;
use std::sync::Arc;

use super::completers::Completers;
use super::handler::Handler;
use super::index::{PromptIndex, ResourceIndex, ToolIndex};
use super::lister::ResourceLister;
use super::prompt_info::PromptInfo;
use super::resource_info::ResourceInfo;
use super::schema::{InputSchema, OutputSchema};
use super::tool_info::ToolInfo;
use super::unknown::KnownArguments;
use super::uri_template::UriTemplate;
use super::watch::Watch;

#[derive(Clone, Default)]
pub(super) struct Entries {
    pub(super) tools: Vec<Arc<Registered>>,
    pub(super) tools_by_name: HashMap<String, ToolIndex>,
    pub(super) resources: Vec<Arc<RegisteredResource>>,
    pub(super) resources_by_uri: HashMap<String, ResourceIndex>,
    pub(super) templates: Vec<Arc<RegisteredTemplate>>,
    pub(super) listers: Vec<Arc<ResourceLister>>,
    pub(super) prompts: Vec<Arc<RegisteredPrompt>>,
    pub(super) prompts_by_name: HashMap<String, PromptIndex>,
    /// Of all templates, then of all prompts, in order; made by [`RegistryBuilder::build`].
    pub(super) completers: Vec<RegisteredCompleter>,
    /// Where each template's completers begin.
    pub(super) template_completers: Vec<usize>,
    /// Where each prompt's completers begin.
    pub(super) prompt_completers: Vec<usize>,
    /// Lists that are said to change.
    pub(super) list_changed: ListChanged,
    pub(super) not_ready: Vec<Arc<NotReady>>,
}

/// Which lists change while they are served, as clients are promised to hear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListChanged {
    pub(crate) tools: bool,
    pub(crate) resources: bool,
    pub(crate) prompts: bool,
}

/// Why a server may not be ready though it serves.
pub(super) struct NotReady {
    pub(super) reason: String,
    pub(super) is_so: Box<dyn Fn() -> bool + Send + Sync>,
}

/// One tool, its schemas compiled.
pub(super) struct Registered {
    pub(super) info: ToolInfo,
    pub(super) input: InputSchema,
    /// The names of its arguments, if others are to be reported.
    pub(super) known: Option<KnownArguments>,
    pub(super) output: Option<Arc<OutputSchema>>,
    pub(super) handler: Arc<dyn Handler>,
}

/// One resource.
pub(super) struct RegisteredResource {
    pub(super) info: ResourceInfo,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) watch: Option<Arc<dyn Watch>>,
}

/// One template, taken apart.
pub(super) struct RegisteredTemplate {
    pub(super) info: ResourceInfo,
    pub(super) template: UriTemplate,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) watch: Option<Arc<dyn Watch>>,
    pub(super) completers: Completers,
}

/// One prompt, its arguments' schema compiled.
pub(super) struct RegisteredPrompt {
    pub(super) info: PromptInfo,
    pub(super) arguments: InputSchema,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) completers: Completers,
}

/// One completion function.
#[derive(Clone)]
pub(super) struct RegisteredCompleter {
    /// Of its prompt, or the text of its template.
    pub(super) owner: Arc<str>,
    pub(super) handler: Arc<dyn Handler>,
}

impl Entries {
    /// Lays all completion functions out in one row.
    pub(super) fn place_completers(&mut self) {
        let mut all = Vec::new();
        let mut place = |owner: &str, completers: &Completers| {
            let begin = all.len();
            let owner: Arc<str> = owner.into();
            all.extend(completers.0.iter().map(|(_, handler)| RegisteredCompleter {
                owner: Arc::clone(&owner),
                handler: Arc::clone(handler),
            }));
            begin
        };
        let templates = self.templates.iter();
        self.template_completers = templates
            .map(|entry| place(entry.info.address(), &entry.completers))
            .collect();
        let prompts = self.prompts.iter();
        self.prompt_completers = prompts
            .map(|entry| place(entry.info.name(), &entry.completers))
            .collect();
        self.completers = all;
    }
}
