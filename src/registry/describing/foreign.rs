//! Servers that are other programs, as values: what such a program says of itself and what it has, in its own bytes.
//!
//! Nothing here knows where those came from, or how a call gets there.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::client_rules::ClientRules;
use crate::jsonrpc::members;
use crate::registry::info::index::ServerIndex;
use crate::registry::info::tool_info::TaskSupport;
use crate::registry::schemas::param_header::ParamHeaderError;

/// A server that is another program, as it describes itself and what it has. The texts of its items are objects of
/// JSON without line breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignServer {
    /// Its place in the configuration.
    pub server: ServerIndex,
    /// Its name in the configuration.
    pub name: String,
    /// The object `serverInfo` as it wrote it; empty as long as it has said nothing.
    pub server_info: Box<[u8]>,
    /// The string `instructions` as it wrote it, with its quotes.
    pub instructions: Option<Box<[u8]>>,
    /// Whether it speaks 2026-07-28; else it is one of `initialize`.
    pub is_modern: bool,
    /// How its clients are told apart, if each has a process of it for itself.
    pub clients: Option<Arc<ClientRules>>,
    /// The features that it declares. A declared feature of which it has nothing has empty lists.
    pub features: ForeignFeatures,
    /// Its tools by name.
    pub tools: Vec<ForeignItem>,
    /// Its prompts by name.
    pub prompts: Vec<ForeignItem>,
    /// Its resources by URI.
    pub resources: Vec<ForeignItem>,
    /// Its resource templates by their text.
    pub templates: Vec<ForeignItem>,
}

impl ForeignServer {
    /// A server that has said nothing yet, because it could not be started. Clients that come now are promised to hear
    /// when its lists change: those that know of no tools never ask for them again.
    pub fn unknown(server: ServerIndex, name: &str) -> Self {
        Self {
            server,
            name: name.to_owned(),
            server_info: Box::default(),
            instructions: None,
            is_modern: false,
            clients: None,
            features: ForeignFeatures {
                tools: true,
                prompts: true,
                resources: true,
                completions: false,
                logging: false,
                subscriptions: false,
            },
            tools: Vec::new(),
            prompts: Vec::new(),
            resources: Vec::new(),
            templates: Vec::new(),
        }
    }

    /// Adds what another child of the same program has and this one has not.
    pub fn add_missing(&mut self, other: ForeignServer) {
        let pairs = [
            (&mut self.tools, other.tools),
            (&mut self.prompts, other.prompts),
            (&mut self.resources, other.resources),
            (&mut self.templates, other.templates),
        ];
        for (items, others) in pairs {
            let known: HashSet<String> = items.iter().map(|item| item.name.clone()).collect();
            items.extend(others.into_iter().filter(|item| !known.contains(&item.name)));
        }
        self.features = self.features.or(other.features);
    }

    /// Its items of one kind.
    pub fn items(&self, kind: ForeignKind) -> &[ForeignItem] {
        match kind {
            ForeignKind::Tool => &self.tools,
            ForeignKind::Prompt => &self.prompts,
            ForeignKind::Resource => &self.resources,
            ForeignKind::Template => &self.templates,
        }
    }

    /// Leaves out the items of one kind at these places, which are in order.
    pub(super) fn leave_out(&mut self, kind: ForeignKind, places: &[usize]) {
        let items = match kind {
            ForeignKind::Tool => &mut self.tools,
            ForeignKind::Prompt => &mut self.prompts,
            ForeignKind::Resource => &mut self.resources,
            ForeignKind::Template => &mut self.templates,
        };
        let mut place = 0;
        items.retain(|_| {
            let is_kept = places.binary_search(&place).is_err();
            place += 1;
            is_kept
        });
    }
}

/// The features that a server declares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ForeignFeatures {
    /// It has tools.
    pub tools: bool,
    /// It has prompts.
    pub prompts: bool,
    /// It has resources, and perhaps more than it lists.
    pub resources: bool,
    /// It completes arguments.
    pub completions: bool,
    /// What it logs about a call reaches that call's client.
    pub logging: bool,
    /// Clients can hear of updates of its resources.
    pub subscriptions: bool,
}

impl ForeignFeatures {
    /// The features that either has.
    #[must_use]
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            tools: self.tools || other.tools,
            prompts: self.prompts || other.prompts,
            resources: self.resources || other.resources,
            completions: self.completions || other.completions,
            logging: self.logging || other.logging,
            subscriptions: self.subscriptions || other.subscriptions,
        }
    }
}

/// A tool, prompt, resource or template of a server that is another program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignItem {
    /// The name by which it is called: any text at all, a URI, or the text of a template.
    pub name: String,
    /// The object that describes it, as the server wrote it.
    pub text: Box<[u8]>,
}

/// The kinds of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignKind {
    /// A tool.
    Tool,
    /// A prompt.
    Prompt,
    /// A resource.
    Resource,
    /// A resource template.
    Template,
}

impl ForeignKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tool, Self::Prompt, Self::Resource, Self::Template];
}

impl fmt::Display for ForeignKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tool => "tool",
            Self::Prompt => "prompt",
            Self::Resource => "resource",
            Self::Template => "resource template",
        })
    }
}

/// Something that is wrong with an item of another program's. Its `Display` is a line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignFault {
    /// The server that has it.
    pub server: ServerIndex,
    /// Its kind.
    pub kind: ForeignKind,
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub what: ForeignFaultKind,
}

/// What is wrong with an item, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignFaultKind {
    /// Its name is taken: it is left out.
    Taken,
    /// Its schema declares headers that are not allowed: none of them is checked.
    ParamHeader(ParamHeaderError),
}

impl fmt::Display for ForeignFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAME_BYTES_MAX: usize = 128;
        let end = self.name.floor_char_boundary(NAME_BYTES_MAX);
        let name = self.name.get(..end).unwrap_or_default();
        match &self.what {
            ForeignFaultKind::Taken => {
                write!(f, "{} {name:?} is left out: the name is taken", self.kind)
            }
            ForeignFaultKind::ParamHeader(error) => {
                write!(f, "{} {name:?}: its headers are not checked: {error}", self.kind)
            }
        }
    }
}

/// What a tool of another program says of its calls as tasks (2025-11-25, `Tool.execution.taskSupport`), if it does so
/// in a word that means something.
pub fn declared_tasks(tool: &[u8]) -> Option<TaskSupport> {
    let support = value(value(tool, "execution")?, "taskSupport")?;
    match &*serde_json::from_slice::<String>(support).ok()? {
        "forbidden" => Some(TaskSupport::Forbidden),
        "optional" => Some(TaskSupport::Optional),
        "required" => Some(TaskSupport::Required),
        _ => None,
    }
}

/// The last member of this name, as most parsers read it.
pub(super) fn value<'t>(object: &'t [u8], name: &str) -> Option<&'t [u8]> {
    let found = members(object)
        .filter(|member| member.name(object) == name)
        .last();
    found.map(|member| member.value.of(object))
}
