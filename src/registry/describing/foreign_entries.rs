//! The entries of a registry that other programs serve.
//!
//! They come behind all in-process entries of their kind, whose number is not known here: an index into these tables
//! counts from the first of them. A URI that nobody lists may be a resource all the same, so each server has one more
//! entry for those, and one for completions.
//!
//! Names come from other programs, which could pick some that share a place in a table: the maps have a secret.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::foreign::{
    ForeignFault, ForeignFaultKind, ForeignFeatures, ForeignItem, ForeignKind, ForeignServer, declared_tasks,
    value,
};
use super::merged::MergedNames;
use crate::registry::info::index::ServerIndex;
use crate::registry::info::prompt_info::PromptInfo;
use crate::registry::info::resource_info::{Address, ResourceInfo};
use crate::registry::info::tool_info::{Annotations, CallLimits, Execution, TaskSupport, TaskWord, ToolInfo};
use crate::registry::meta::Meta;
use crate::registry::schemas::param_header::{self, ParamHeader, ParamHeaderError};

/// All entries that other programs serve.
#[derive(Default)]
pub(in crate::registry) struct ForeignEntries {
    /// The names under which they are served, if those are others than the servers' own.
    names: Option<MergedNames>,
    /// The servers, with those of their items that are served.
    servers: Vec<Arc<ForeignServer>>,
    /// What at least one of them declares.
    features: ForeignFeatures,
    pub(in crate::registry) tools: Rows<ToolInfo>,
    pub(in crate::registry) prompts: Rows<PromptInfo>,
    pub(in crate::registry) resources: Rows<ResourceInfo>,
    /// For each server, its resources that nobody lists.
    unlisted: Vec<ResourceInfo>,
    templates: Templates,
}

/// The places of the servers that have templates, by the templates' texts.
#[derive(Default)]
struct Templates {
    by_text: HashMap<String, usize>,
}

impl Templates {
    /// Adds a template; false if there is one.
    fn insert_if_new(&mut self, text: &str, server: usize) -> bool {
        let is_new = !self.by_text.contains_key(text);
        if is_new {
            self.by_text.insert(text.to_owned(), server);
        }
        is_new
    }
}

/// Entries of one kind, by index and by name.
pub(in crate::registry) struct Rows<I> {
    rows: Vec<Row<I>>,
    by_name: HashMap<String, usize>,
}

struct Row<I> {
    info: I,
    /// The place of its server.
    server: usize,
    /// What that server calls it, if it is served under another name.
    own: Option<Box<str>>,
}

impl<I> Default for Rows<I> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            by_name: HashMap::new(),
        }
    }
}

impl<I> Rows<I> {
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(super) fn info(&self, at: usize) -> Option<&I> {
        self.rows.get(at).map(|row| &row.info)
    }

    pub(super) fn infos(&self) -> impl Iterator<Item = &I> {
        self.rows.iter().map(|row| &row.info)
    }

    /// What the server of the entry of this name calls it, if that is another name.
    fn own(&self, name: &str) -> Option<&str> {
        self.rows.get(self.find(name)?)?.own.as_deref()
    }

    /// The place of the entry's server.
    pub(in crate::registry) fn server_at(&self, at: usize) -> Option<usize> {
        self.rows.get(at).map(|row| row.server)
    }

    /// Adds an entry; false if its name is taken.
    fn add(&mut self, (name, own): (&str, Option<&str>), server: usize, info: I) -> bool {
        if self.by_name.contains_key(name) {
            return false;
        }
        self.by_name.insert(name.to_owned(), self.rows.len());
        self.rows.push(Row {
            info,
            server,
            own: own.map(Box::from),
        });
        true
    }
}

impl ForeignEntries {
    /// The entries of these servers, without those items whose name `is_taken`; and what is wrong with their items.
    /// With `names`, they are served under those.
    pub(super) fn new(
        servers: Vec<Arc<ForeignServer>>,
        names: Option<MergedNames>,
        is_taken: impl Fn(ForeignKind, &str) -> bool,
    ) -> (Self, Vec<ForeignFault>) {
        let (mut entries, mut faults) = (Self::default(), Vec::new());
        for (place, own) in servers.into_iter().enumerate() {
            let mut server = match &names {
                Some(names) => Arc::new(names.renamed(place, &own)),
                None => Arc::clone(&own),
            };
            for kind in ForeignKind::ALL {
                let mut left_out = Vec::new();
                for (index, item) in server.items(kind).iter().enumerate() {
                    let own = own.items(kind).get(index).filter(|_| names.is_some());
                    let added = if is_taken(kind, &item.name) {
                        Err(ForeignFaultKind::Taken)
                    } else {
                        entries.add(kind, item, own.map(|own| own.name.as_str()))
                    };
                    if let Err(what) = added {
                        left_out.extend((what == ForeignFaultKind::Taken).then_some(index));
                        faults.push(ForeignFault {
                            server: server.server,
                            kind,
                            name: item.name.clone(),
                            what,
                        });
                    }
                }
                if !left_out.is_empty() {
                    Arc::make_mut(&mut server).leave_out(kind, &left_out);
                }
            }
            entries.features = entries.features.or(server.features);
            let unlisted = ResourceInfo::new(Address::UriTemplate(String::new()), server.name.as_str());
            entries.unlisted.push(unlisted);
            entries.servers.push(server);
        }
        entries.names = names;
        (entries, faults)
    }

    /// Adds an item of the server that comes next, which calls it `own` if that is another name.
    ///
    /// # Errors
    /// Something is wrong with it; it is added all the same unless its name is taken.
    fn add(
        &mut self,
        kind: ForeignKind,
        item: &ForeignItem,
        own: Option<&str>,
    ) -> Result<(), ForeignFaultKind> {
        let (name, server) = (item.name.as_str(), self.servers.len());
        let named = (name, own);
        let mut headers = Ok(Vec::new());
        let is_added = match kind {
            ForeignKind::Tool => {
                headers = param_headers(&item.text);
                let headers = headers.clone().unwrap_or_default();
                self.tools.add(named, server, tool(name, headers, &item.text))
            }
            ForeignKind::Prompt => self.prompts.add(named, server, prompt(name)),
            ForeignKind::Resource => {
                let info = ResourceInfo::new(Address::Uri(name.to_owned()), resource_name(item));
                self.resources.add(named, server, info)
            }
            ForeignKind::Template => self.templates.insert_if_new(name, server),
        };
        match headers {
            _ if !is_added => Err(ForeignFaultKind::Taken),
            Ok(_) => Ok(()),
            Err(error) => Err(ForeignFaultKind::ParamHeader(error)),
        }
    }

    /// The servers, with those of their items that are served.
    pub(super) fn servers(&self) -> &[Arc<ForeignServer>] {
        &self.servers
    }

    /// What at least one server declares.
    pub(super) fn features(&self) -> ForeignFeatures {
        self.features
    }

    /// The server at this place.
    pub(in crate::registry) fn server(&self, at: usize) -> Option<&ForeignServer> {
        self.servers.get(at).map(Arc::as_ref)
    }

    /// The description of the resources that the server at this place has without listing them.
    pub(super) fn unlisted(&self, at: usize) -> Option<&ResourceInfo> {
        self.unlisted.get(at)
    }

    /// What a server calls what is served under this name, if that is not its own.
    pub(super) fn own_name(&self, kind: ForeignKind, name: &str) -> Option<String> {
        let names = self.names.as_ref()?;
        match kind {
            ForeignKind::Tool => self.tools.own(name).map(str::to_owned),
            ForeignKind::Prompt => self.prompts.own(name).map(str::to_owned),
            ForeignKind::Resource | ForeignKind::Template => names.own_uri(name).map(|(_, own)| own),
        }
    }

    /// The names under which all of them are served, if those are not their own.
    pub(super) fn names(&self) -> Option<&MergedNames> {
        self.names.as_ref()
    }

    /// The place of a server.
    pub(super) fn place_of(&self, server: ServerIndex) -> Option<usize> {
        self.servers.iter().position(|other| other.server == server)
    }

    /// The place of the server that is asked for a resource which nobody lists. Of several servers with resources it is
    /// the one that the URI names or, if they are served under their own names, the one with the template that begins
    /// like the URI for longest, else the first.
    pub(super) fn reader_of(&self, uri: &str) -> Option<usize> {
        if let Some(names) = &self.names {
            let (server, _) = names.own_uri(uri)?;
            return self.server(server)?.features.resources.then_some(server);
        }
        let mut with_resources = (0..self.servers.len()).filter(|at| {
            let server = self.server(*at);
            server.is_some_and(|server| server.features.resources)
        });
        let first = with_resources.next()?;
        if with_resources.next().is_none() {
            return Some(first);
        }
        let templates = self.templates.by_text.iter();
        let fitting = templates.filter_map(|(text, at)| {
            let fixed = text.split('{').next().unwrap_or_default();
            uri.starts_with(fixed)
                .then_some((fixed.len(), std::cmp::Reverse(*at)))
        });
        fitting.max().map_or(Some(first), |(_, at)| Some(at.0))
    }

    /// The place of the server that completes the variables of this template, or of the resource at this URI.
    pub(super) fn template_server(&self, uri: &str) -> Option<usize> {
        let template = self.templates.by_text.get(uri).copied();
        template.or_else(|| self.resources.server_at(self.resources.find(uri)?))
    }

    /// Whether an item has this name.
    pub(super) fn has(&self, kind: ForeignKind, name: &str) -> bool {
        match kind {
            ForeignKind::Tool => self.tools.find(name).is_some(),
            ForeignKind::Prompt => self.prompts.find(name).is_some(),
            ForeignKind::Resource => self.resources.find(name).is_some(),
            ForeignKind::Template => self.templates.by_text.contains_key(name),
        }
    }
}

/// A tool as far as calls of it need. Its arguments are not checked here, and it is listed in its own bytes.
fn tool(name: &str, param_headers: Vec<ParamHeader>, text: &[u8]) -> ToolInfo {
    let tasks = declared_tasks(text);
    let hint = value(text, "annotations").and_then(|hints| value(hints, "readOnlyHint"));
    ToolInfo {
        name: name.to_owned(),
        title: None,
        description: None,
        input_schema: json!({"type": "object"}),
        output_schema: None,
        annotations: Annotations {
            read_only_hint: hint.map(|hint| hint == b"true"),
            ..Annotations::default()
        },
        icons: Vec::new(),
        meta: Meta::NONE,
        execution: Execution::Shard,
        param_headers,
        // A task is an ordinary call to the program, which need not know of it.
        task_support: tasks.unwrap_or(TaskSupport::Optional),
        task_word: tasks.map_or(TaskWord::Unsaid, |_| TaskWord::Declared),
        limits: CallLimits::default(),
        asked_before_task: Vec::new(),
    }
}

fn prompt(name: &str) -> PromptInfo {
    PromptInfo {
        name: name.to_owned(),
        title: None,
        description: None,
        arguments: Vec::new(),
        icons: Vec::new(),
        meta: Meta::NONE,
    }
}

/// The name of a resource, for logs: that of the object that describes it, or its URI.
fn resource_name(item: &ForeignItem) -> String {
    let name = value(&item.text, "name").and_then(|name| serde_json::from_slice(name).ok());
    name.unwrap_or_else(|| item.name.clone())
}

/// The headers that a tool's schema declares. A schema that cannot be read here, because of a number perhaps, declares
/// none.
fn param_headers(tool: &[u8]) -> Result<Vec<ParamHeader>, ParamHeaderError> {
    let schema = value(tool, "inputSchema").and_then(|schema| serde_json::from_slice::<Value>(schema).ok());
    schema.map_or(Ok(Vec::new()), |schema| param_header::of_schema(&schema))
}
