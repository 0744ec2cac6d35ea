//! The registry: built once, then shared and never changed. Another can be made from it, and take its place.
//!
//! Entries are shared between a registry and those made from it; their places are each registry's own.

use std::collections::HashMap;
use std::sync::Arc;

use super::completion::Completers;
use super::handler::Handler;
use super::info::{ToolIndex, ToolInfo};
use super::operation::{CompleterIndex, ListerIndex, Operation, PromptIndex, ResourceIndex, TemplateIndex};
use super::prompt::PromptInfo;
use super::registration::{Registrable, RegistryError};
use super::resource::{ResourceInfo, ResourceLister};
use super::schema::{InputSchema, OutputSchema};
use super::shard::ShardRegistry;
use super::unknown::KnownArguments;
use super::uri_template::UriTemplate;
use super::watch::{Watch, WatchList};

/// All tools, resources and prompts of a server. Cloning it is cloning a pointer.
#[derive(Clone, Default)]
pub struct Registry {
    inner: Arc<Inner>,
}

#[derive(Clone, Default)]
pub(super) struct Inner {
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
    template_completers: Vec<usize>,
    /// Where each prompt's completers begin.
    prompt_completers: Vec<usize>,
    /// Lists that are said to change.
    list_changed: ListChanged,
    not_ready: Vec<Arc<NotReady>>,
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
    reason: String,
    is_so: Box<dyn Fn() -> bool + Send + Sync>,
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

impl Inner {
    /// Lays all completion functions out in one row.
    fn place_completers(&mut self) {
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

impl Registry {
    /// An empty registry to add to.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder {
            inner: Inner::default(),
        }
    }

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

    /// All tools in the order they were registered.
    pub fn tools(&self) -> impl ExactSizeIterator<Item = (ToolIndex, &ToolInfo)> {
        self.inner
            .tools
            .iter()
            .enumerate()
            .map(|(at, tool)| (ToolIndex(at as u32), &tool.info))
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
    pub fn listers(&self) -> impl ExactSizeIterator<Item = ListerIndex> {
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

    /// What completes an argument of a prompt, if anything does; `Err` if there is no such argument.
    pub(crate) fn prompt_completer(
        &self,
        index: PromptIndex,
        argument: &str,
    ) -> Result<Option<CompleterIndex>, NoSuchArgument> {
        let entry = &self.inner.prompts[index.as_usize()];
        match entry.info.arguments.iter().any(|known| known.name == argument) {
            true => Ok(entry
                .completers
                .place(argument, self.inner.prompt_completers[index.as_usize()])),
            false => Err(NoSuchArgument),
        }
    }

    /// What completes a variable of the template with this text, if anything does. A resource's own URI is taken
    /// too, and has no variables.
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

    /// What watches the resource at `uri`: that of the resource itself or, if there is none, of the template that
    /// matches. Takes as long as [`Registry::find_template`].
    pub fn watcher(&self, uri: &str) -> Option<Arc<dyn Watch>> {
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

    /// The registered name of what an operation runs, for logs.
    ///
    /// # Panics
    /// If `operation` comes from another, larger registry.
    pub fn name_of(&self, operation: Operation) -> &str {
        match operation {
            Operation::Tool(index) => self.tool(index).name(),
            Operation::Resource(index) => self.resource(index).name(),
            Operation::Template(index) => self.template(index).name(),
            Operation::ResourceList(index) => &self.inner.listers[index.as_usize()].name,
            Operation::Prompt(index) => self.prompt(index).name(),
            Operation::Completion(index) => &self.inner.completers[index.as_usize()].owner,
        }
    }

    /// Begins another registry with all that is in this one, which stays as it is. Costs a few pointers for each
    /// entry.
    pub fn edit(&self) -> RegistryBuilder {
        RegistryBuilder {
            inner: Inner::clone(&self.inner),
        }
    }

    /// One shard's own part: the slots its calls will live in.
    pub fn for_shard(&self) -> ShardRegistry {
        ShardRegistry::new(self.clone())
    }

    /// Which lists clients are promised to hear of when they change. A lister that is watched promises for itself.
    pub(crate) fn list_changed(&self) -> ListChanged {
        let is_watched = self.inner.listers.iter().any(|lister| lister.watch.is_some());
        ListChanged {
            resources: self.inner.list_changed.resources || is_watched,
            ..self.inner.list_changed
        }
    }

    /// What watches the listers' lists.
    pub fn list_watchers(&self) -> impl Iterator<Item = Arc<dyn WatchList>> {
        self.inner
            .listers
            .iter()
            .filter_map(|lister| lister.watch.clone())
    }

    /// Why a server of this should get no new clients just now, if there is such a reason. See
    /// [`RegistryBuilder::not_ready_while`].
    pub fn not_ready(&self) -> Option<&str> {
        let reasons = self.inner.not_ready.iter();
        reasons
            .filter(|not_ready| (not_ready.is_so)())
            .map(|not_ready| not_ready.reason.as_str())
            .next()
    }

    pub(super) fn inner(&self) -> &Inner {
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

/// Collects tools, resources and prompts. Toolsets add theirs to the same builder.
pub struct RegistryBuilder {
    pub(super) inner: Inner,
}

impl RegistryBuilder {
    /// Adds a [`Tool`](super::Tool), [`Resource`](super::Resource), [`ResourceTemplate`](super::ResourceTemplate),
    /// [`ResourceLister`] or [`Prompt`](super::Prompt): checks it and compiles what it is described by.
    ///
    /// # Errors
    /// See [`RegistryError`]; it is then not added.
    pub fn add(&mut self, item: impl Registrable) -> Result<&mut Self, RegistryError> {
        item.register(self)?;
        Ok(self)
    }

    /// Promises clients to hear when tools come and go (MCP, the capability `listChanged`): for a server whose tools
    /// are edited while it runs. Without it the promise is made only once they have been.
    pub fn tools_list_changed(&mut self) -> &mut Self {
        self.inner.list_changed.tools = true;
        self
    }

    /// The same for resources and templates. For what a [`ResourceLister`] lists, its
    /// [`watch`](ResourceLister::watch) is that promise.
    pub fn resources_list_changed(&mut self) -> &mut Self {
        self.inner.list_changed.resources = true;
        self
    }

    /// The same for prompts.
    pub fn prompts_list_changed(&mut self) -> &mut Self {
        self.inner.list_changed.prompts = true;
        self
    }

    /// Makes `/readyz` answer 503 with this reason, one line without anything a stranger must not know, while
    /// `is_so` says so. It is asked with each probe, on threads that serve: it must neither block nor take long.
    pub fn not_ready_while(
        &mut self,
        reason: impl Into<String>,
        is_so: impl Fn() -> bool + Send + Sync + 'static,
    ) -> &mut Self {
        self.inner.not_ready.push(Arc::new(NotReady {
            reason: reason.into(),
            is_so: Box::new(is_so),
        }));
        self
    }

    /// Removes a tool; whether there was one.
    pub fn remove_tool(&mut self, name: &str) -> bool {
        let Some(index) = self.inner.tools_by_name.remove(name) else {
            return false;
        };
        self.inner.tools.remove(index.as_usize());
        for other in self.inner.tools_by_name.values_mut() {
            other.0 -= u32::from(*other > index);
        }
        true
    }

    /// Removes the resource at exactly this URI; whether there was one.
    pub fn remove_resource(&mut self, uri: &str) -> bool {
        let Some(index) = self.inner.resources_by_uri.remove(uri) else {
            return false;
        };
        self.inner.resources.remove(index.as_usize());
        for other in self.inner.resources_by_uri.values_mut() {
            other.0 -= u32::from(*other > index);
        }
        true
    }

    /// Removes the template with this text, and its completions; whether there was one.
    pub fn remove_template(&mut self, uri_template: &str) -> bool {
        let before = self.inner.templates.len();
        self.inner
            .templates
            .retain(|entry| entry.info.address() != uri_template);
        self.inner.templates.len() < before
    }

    /// Removes a prompt and its completions; whether there was one.
    pub fn remove_prompt(&mut self, name: &str) -> bool {
        let Some(index) = self.inner.prompts_by_name.remove(name) else {
            return false;
        };
        self.inner.prompts.remove(index.as_usize());
        for other in self.inner.prompts_by_name.values_mut() {
            other.0 -= u32::from(*other > index);
        }
        true
    }

    /// The finished registry.
    pub fn build(mut self) -> Registry {
        self.inner.place_completers();
        Registry {
            inner: Arc::new(self.inner),
        }
    }
}

impl std::fmt::Debug for RegistryBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.inner.tools.iter().map(|tool| tool.info.name());
        f.debug_list().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::output::{NoArguments, Structured};
    use super::*;
    use crate::registry::{
        CallContext, Completing, Prompt, PromptArgument, Resource, ResourceTemplate, Tool,
    };
    use schemars::JsonSchema;
    use serde::Serialize;
    use serde_json::json;

    fn tool(name: &str) -> Tool {
        Tool::new(name).run(|_: CallContext, _: NoArguments| async { Ok("") })
    }

    #[test]
    fn tools_keep_their_order_and_are_found_by_name() {
        let mut tools = Registry::builder();
        let names: Vec<String> = (0..50).map(|at| format!("tool-{}", 97 * at % 50)).collect();
        for name in &names {
            tools.add(tool(name)).unwrap();
        }
        let registry = tools.build();
        assert!(registry.tools().map(|(_, tool)| tool.name()).eq(names.iter()));
        for (at, name) in names.iter().enumerate() {
            let index = registry.find(name).unwrap();
            assert_eq!(index.as_usize(), at);
            assert_eq!(registry.tool(index).name(), name);
        }
        assert_eq!(registry.find("tool-50"), None);
    }

    #[test]
    fn names_are_checked() {
        let mut tools = Registry::builder();
        for name in ["a", "A.b_c-9", &"x".repeat(128)] {
            assert!(tools.add(tool(name)).is_ok(), "{name}");
        }
        for name in ["", &"x".repeat(129), "a b", "a/b", "é", "a\0"] {
            let refused = tools.add(tool(name)).err();
            assert!(matches!(refused, Some(RegistryError::Name(_))), "{name}");
        }
        assert!(matches!(tools.add(tool("a")), Err(RegistryError::Duplicate(_))));
        assert_eq!(tools.build().tools().len(), 3);
    }

    #[test]
    fn unusable_schemas_name_the_tool() {
        let mut tools = Registry::builder();
        let external = json!({"type": "object", "$ref": "https://example.com/arguments.json"});
        let untyped = Tool::new("outside")
            .input_schema(external)
            .run(|_: CallContext, _: serde_json::Value| async { Ok("") });
        let error = tools.add(untyped).unwrap_err();
        assert!(matches!(error, RegistryError::InputSchema { .. }));
        assert!(
            error
                .to_string()
                .starts_with("input schema of tool \"outside\": reference"),
            "{error}"
        );
        let list = Tool::new("list").run(|_: CallContext, _: NoArguments| async { Ok(Structured(vec![1])) });
        let error = tools.add(list).unwrap_err();
        assert!(matches!(error, RegistryError::OutputSchema { .. }), "{error}");
        // Refused means not there.
        assert!(tools.add(tool("outside")).is_ok());
    }

    #[derive(Serialize, serde::Deserialize, JsonSchema)]
    struct Sum {
        sum: i64,
    }

    #[test]
    fn uris_templates_and_prompts_are_checked() {
        let mut registry = Registry::builder();
        let resource = |uri: &str| Resource::new(uri, "r").read(|_: CallContext| async { Ok("") });
        for uri in [
            "", "x", "x:", ":x", "1x:y", "x y:z", "x:y z", "x:é", "x:{y}", "x:\0",
        ] {
            assert!(
                matches!(registry.add(resource(uri)), Err(RegistryError::Uri(_))),
                "{uri}"
            );
        }
        registry.add(resource("x:y")).unwrap();
        assert!(matches!(
            registry.add(resource("x:y")),
            Err(RegistryError::DuplicateUri(_))
        ));
        let template = |text: &str| {
            ResourceTemplate::new(text, "t").read(|_: CallContext, _: NoArguments| async { Ok("") })
        };
        assert!(matches!(
            registry.add(template("x:{?q}")),
            Err(RegistryError::Template { .. })
        ));
        registry.add(template("x:/{a}")).unwrap();
        assert!(matches!(
            registry.add(template("x:/{a}")),
            Err(RegistryError::DuplicateTemplate(_))
        ));
        let prompt = |name: &str, arguments: &[&str], completes: &[&str]| {
            let mut prompt = Prompt::new(name);
            for argument in arguments {
                prompt = prompt.argument(PromptArgument::optional(*argument));
            }
            for argument in completes {
                prompt = prompt.complete(*argument, |_: CallContext, _: Completing| async { Ok(vec![""]) });
            }
            prompt.run(|_: CallContext, _: NoArguments| async { Ok("") })
        };
        registry.add(prompt("p", &["a"], &["a"])).unwrap();
        let mut refused = |prompt| registry.add(prompt).unwrap_err();
        assert!(matches!(
            refused(prompt("p", &[], &[])),
            RegistryError::DuplicatePrompt(_)
        ));
        assert!(matches!(refused(prompt("p q", &[], &[])), RegistryError::Name(_)));
        assert!(matches!(
            refused(prompt("q", &["a", "a"], &[])),
            RegistryError::DuplicateArgument { .. }
        ));
        assert!(matches!(
            refused(prompt("q", &["a"], &["b"])),
            RegistryError::Completion { .. }
        ));
        assert!(matches!(
            refused(prompt("q", &["a"], &["a", "a"])),
            RegistryError::Completion { .. }
        ));
        let registry = registry.build();
        assert_eq!(
            (
                registry.resources().len(),
                registry.templates().len(),
                registry.prompts().len()
            ),
            (1, 1, 1)
        );
        // What is registered as it stands goes before what a template matches.
        assert!(registry.find_resource("x:y").is_some() && registry.find_template("x:y").is_none());
        assert!(registry.find_resource("x:/y").is_none() && registry.find_template("x:/y").is_some());
        assert_eq!(
            registry.prompt_completer(registry.find_prompt("p").unwrap(), "a"),
            Ok(Some(CompleterIndex::after(0)))
        );
    }

    #[test]
    fn structured_results_bring_their_schema() {
        let mut tools = Registry::builder();
        let sum =
            Tool::new("sum").run(|_: CallContext, _: NoArguments| async { Ok(Structured(Sum { sum: 3 })) });
        tools.add(sum).unwrap();
        let registry = tools.build();
        let (_, info) = registry.tools().next().unwrap();
        assert_eq!(
            serde_json::to_value(info).unwrap(),
            json!({
                "name": "sum",
                "inputSchema": {"type": "object", "properties": {}},
                "outputSchema": {
                    "type": "object",
                    "properties": {"sum": {"type": "integer"}},
                    "required": ["sum"],
                },
            })
        );
    }

    fn prompt(name: &str) -> Prompt {
        Prompt::new(name)
            .argument(PromptArgument::optional("a"))
            .complete("a", |_: CallContext, _: Completing| async { Ok(vec![""]) })
            .run(|_: CallContext, _: NoArguments| async { Ok("") })
    }

    fn template(text: &str) -> ResourceTemplate {
        ResourceTemplate::new(text, text)
            .complete("v", |_: CallContext, _: Completing| async { Ok(vec![""]) })
            .read(|_: CallContext, _: NoArguments| async { Ok("") })
    }

    fn resource(uri: &str) -> Resource {
        Resource::new(uri, uri).read(|_: CallContext| async { Ok("") })
    }

    /// A, B and C of everything.
    fn three_of_each() -> Registry {
        let mut registry = Registry::builder();
        for name in ["A", "B", "C"] {
            registry.add(tool(name)).unwrap();
            registry.add(resource(&format!("r:{name}"))).unwrap();
            registry.add(template(&format!("t:{name}/{{v}}"))).unwrap();
            registry.add(prompt(name)).unwrap();
        }
        registry.build()
    }

    /// Every name leads to its entry, on a shard too, and every completion to its owner.
    fn assert_consistent(registry: &Registry, names: &[&str]) {
        let shard = registry.for_shard();
        assert_eq!(registry.tools().len(), names.len());
        for (at, name) in names.iter().enumerate() {
            let index = registry.find(name).unwrap();
            assert_eq!((index.as_usize(), registry.tool(index).name()), (at, *name));
            assert!(shard.start_tool(index, None, CallContext::new()).is_ok());

            let uri = format!("r:{name}");
            let index = registry.find_resource(&uri).unwrap();
            assert_eq!(
                (index.as_usize(), registry.resource(index).address()),
                (at, uri.as_str())
            );

            let text = format!("t:{name}/{{v}}");
            let index = registry.find_template(&format!("t:{name}/x")).unwrap();
            assert_eq!(
                (index.as_usize(), registry.template(index).address()),
                (at, text.as_str())
            );
            let completer = registry.template_completer(&text, "v").unwrap().unwrap().unwrap();
            assert_eq!(registry.name_of(Operation::Completion(completer)), text);

            let index = registry.find_prompt(name).unwrap();
            assert_eq!((index.as_usize(), registry.prompt(index).name()), (at, *name));
            let completer = registry.prompt_completer(index, "a").unwrap().unwrap();
            assert_eq!(registry.name_of(Operation::Completion(completer)), *name);
            assert!(
                shard
                    .start_completion(completer, "", None, CallContext::new())
                    .is_ok()
            );
        }
        assert_eq!(registry.inner().completers.len(), 2 * names.len());
    }

    #[test]
    fn what_is_removed_is_gone_and_the_rest_moves_up() {
        for (gone, left) in [("A", ["B", "C"]), ("B", ["A", "C"]), ("C", ["A", "B"])] {
            let before = three_of_each();
            let shard_before = before.for_shard();
            let mut edit = before.edit();
            for _ in 0..2 {
                // The second time there is nothing left to remove.
                let is_first = edit.inner.tools.len() == 3;
                assert_eq!(edit.remove_tool(gone), is_first);
                assert_eq!(edit.remove_resource(&format!("r:{gone}")), is_first);
                assert_eq!(edit.remove_template(&format!("t:{gone}/{{v}}")), is_first);
                assert_eq!(edit.remove_prompt(gone), is_first);
            }
            let after = edit.build();
            assert_consistent(&after, &left);
            assert_eq!((after.find(gone), after.find_prompt(gone)), (None, None));
            assert!(after.find_resource(&format!("r:{gone}")).is_none());
            assert!(after.find_template(&format!("t:{gone}/x")).is_none());
            // The old one lives on, and so does a shard of it.
            assert_consistent(&before, &["A", "B", "C"]);
            let index = before.find(gone).unwrap();
            assert!(shard_before.start_tool(index, None, CallContext::new()).is_ok());
        }
    }

    #[test]
    fn edits_add_behind_what_is_there_and_again_what_was_removed() {
        let before = three_of_each();
        let mut edit = before.edit();
        assert!(matches!(edit.add(tool("A")), Err(RegistryError::Duplicate(_))));
        assert!(matches!(
            edit.add(prompt("A")),
            Err(RegistryError::DuplicatePrompt(_))
        ));
        assert!(edit.remove_tool("A") && edit.remove_resource("r:A"));
        assert!(edit.remove_template("t:A/{v}") && edit.remove_prompt("A"));
        for name in ["D", "A"] {
            edit.add(tool(name)).unwrap();
            edit.add(resource(&format!("r:{name}"))).unwrap();
            edit.add(template(&format!("t:{name}/{{v}}"))).unwrap();
            edit.add(prompt(name)).unwrap();
        }
        assert_consistent(&edit.build(), &["B", "C", "D", "A"]);
        assert_consistent(&before, &["A", "B", "C"]);
    }

    #[test]
    fn entries_are_shared_with_what_is_made_from_them() {
        let before = three_of_each();
        let after = before.edit().build();
        for (old, new) in before.inner().tools.iter().zip(&after.inner().tools) {
            assert!(Arc::ptr_eq(old, new));
        }
        // A thousand rounds of coming and going leave nothing behind.
        let mut registry = after;
        for _ in 0..1_000 {
            let mut edit = registry.edit();
            edit.add(prompt("D")).unwrap();
            registry = edit.build();
            let mut edit = registry.edit();
            assert!(edit.remove_prompt("D"));
            registry = edit.build();
        }
        assert_consistent(&registry, &["A", "B", "C"]);
    }

    #[derive(serde::Deserialize)]
    #[expect(dead_code, reason = "only its type matters")]
    struct Of<T> {
        id: T,
    }

    #[test]
    fn types_that_cannot_be_made_of_texts_are_refused() {
        fn template<T: serde::de::DeserializeOwned + 'static>() -> ResourceTemplate {
            ResourceTemplate::new("issue://{id}", "issue").read(|_: CallContext, _: Of<T>| async { Ok("") })
        }
        fn prompt<T: serde::de::DeserializeOwned + 'static>(argument: PromptArgument) -> Prompt {
            Prompt::new("p")
                .argument(argument)
                .run(|_: CallContext, _: Of<T>| async { Ok("") })
        }
        let mut registry = Registry::builder();
        let error = registry.add(template::<Vec<u8>>()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "resource template \"issue://{id}\": the type wants a list for \"id\"; a text becomes a string, a \
             number, a boolean or an enum's name"
        );
        let other = ResourceTemplate::new("issue://{number}", "issue");
        let other = other.read(|_: CallContext, _: Of<u8>| async { Ok("") });
        let error = registry.add(other).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("the type wants \"id\", which is not among the names"),
            "{error}"
        );
        let error = registry
            .add(prompt::<Sum>(PromptArgument::required("id")))
            .unwrap_err();
        assert!(matches!(error, RegistryError::ArgumentType { .. }), "{error}");
        let error = registry
            .add(prompt::<u8>(PromptArgument::optional("id")))
            .unwrap_err();
        assert!(matches!(error, RegistryError::ArgumentType { .. }), "{error}");
        // Refused means not there.
        registry.add(template::<u8>()).unwrap();
        registry
            .add(prompt::<Option<u8>>(PromptArgument::optional("id")))
            .unwrap();
    }

    #[test]
    fn a_header_may_belong_to_an_optional_argument() {
        #[derive(serde::Deserialize, JsonSchema)]
        struct Query {
            #[expect(dead_code, reason = "only its schema matters")]
            #[schemars(extend("x-mcp-header" = "Region"))]
            region: Option<String>,
        }
        let mut tools = Registry::builder();
        tools
            .add(Tool::new("query").run(|_: CallContext, _: Query| async { Ok("") }))
            .unwrap();
        let registry = tools.build();
        let (_, info) = registry.tools().next().unwrap();
        assert_eq!(info.param_headers().len(), 1);
    }

    #[test]
    fn arguments_that_come_as_headers_are_read_when_a_tool_is_added() {
        #[derive(serde::Deserialize, JsonSchema)]
        struct Query {
            #[expect(dead_code, reason = "only its schema matters")]
            #[schemars(extend("x-mcp-header" = "Region"))]
            region: String,
        }
        let query = |name: &str| Tool::new(name).run(|_: CallContext, _: Query| async { Ok("") });
        let annotated = |header: &str| {
            let schema = json!({
                "type": "object",
                "properties": {"region": {"type": "string", "x-mcp-header": header}},
            });
            Tool::new("bad")
                .input_schema(schema)
                .run(|_: CallContext, _: serde_json::Value| async { Ok("") })
        };
        let mut tools = Registry::builder();
        tools.add(query("query")).unwrap();
        let error = tools.add(annotated("two words")).unwrap_err();
        assert!(matches!(error, RegistryError::ParamHeader { .. }));
        assert!(
            error
                .to_string()
                .starts_with("input schema of tool \"bad\": \"x-mcp-header\""),
            "{error}"
        );
        let registry = tools.build();
        let (_, info) = registry.tools().next().unwrap();
        let headers: Vec<_> = info
            .param_headers()
            .iter()
            .map(|one| (one.header(), one.path()))
            .collect();
        assert_eq!(headers, [("Region", &["region".to_owned()][..])]);
        // Clients read the annotation themselves.
        let listed = serde_json::to_value(info).unwrap();
        assert_eq!(
            listed["inputSchema"]["properties"]["region"]["x-mcp-header"],
            "Region"
        );
        assert!(registry.find("bad").is_none());
    }
}
