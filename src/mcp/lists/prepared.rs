//! The texts in which a server describes itself, prepared once: `initialize` and `server/discover` results, and every
//! list.
//!
//! A registry never changes; an edited one is a new registry with a protocol of its own. So each answer is a prepared
//! text with the request's id in front. Every revision gets the members its schema knows and no others. Invariant: the
//! order in a list is the order of registration, for every client and every time.

use std::time::Duration;

use serde_json::{Value, json};

use crate::registry::{CacheScope, Caching, Registry, TASKS_EXTENSION, TaskSupport};

use crate::mcp::lists::announce::Announcement;
use crate::mcp::lists::cursor::Cursor;
use crate::mcp::lists::describe;
use crate::mcp::revision::{Era, Revision};

/// How long a client may keep a list. A client that listens hears of a change at once; five minutes bound how long the
/// others go on with the old list.
const LIST_TTL: Duration = Duration::from_secs(300);

/// Items on one page of a list. The number is large because clients that do not know pages see only the first one.
pub(in crate::mcp) const PAGE_ITEMS_MAX: usize = 1_000;

const SERVER_INFO_KEY: &str = "io.modelcontextprotocol/serverInfo";

/// How a server introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name that programs read.
    pub name: String,
    /// The version of the server.
    pub version: String,
    /// The name that people read.
    pub title: Option<String>,
    /// Instructions for models: how to use this server.
    pub instructions: Option<String>,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            name: "weir".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            title: Some("Weir".to_owned()),
            instructions: None,
        }
    }
}

/// The things that can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mcp) enum Listed {
    Tools,
    Resources,
    ResourceTemplates,
    Prompts,
}

impl Listed {
    const ALL: [Self; 4] = [
        Self::Tools,
        Self::Resources,
        Self::ResourceTemplates,
        Self::Prompts,
    ];

    /// The member of the result that holds the items.
    const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources => "resources",
            Self::ResourceTemplates => "resourceTemplates",
            Self::Prompts => "prompts",
        }
    }

    /// Whether the list ends with what listers find.
    fn has_tail(self, registry: &Registry) -> bool {
        self == Self::Resources && registry.listers().len() > 0
    }

    fn describe(self, registry: &Registry, revision: Revision) -> Vec<Value> {
        match self {
            Self::Tools => registry
                .tools()
                .filter(|(_, info)| describe::is_callable(info, revision))
                .map(|(_, info)| describe::tool(info, revision))
                .collect(),
            Self::Resources => registry
                .resources()
                .map(|info| describe::resource(info, revision))
                .collect(),
            Self::ResourceTemplates => registry
                .templates()
                .map(|info| describe::resource(info, revision))
                .collect(),
            Self::Prompts => registry
                .prompts()
                .map(|info| describe::prompt(info, revision))
                .collect(),
        }
    }
}

/// The features of which something is registered. The methods of the others do not exist.
#[derive(Clone, Copy, Debug)]
pub(in crate::mcp) struct Has {
    pub(in crate::mcp) tools: bool,
    pub(in crate::mcp) resources: bool,
    pub(in crate::mcp) prompts: bool,
    pub(in crate::mcp) completions: bool,
}

impl Has {
    pub(in crate::mcp) fn of(registry: &Registry) -> Self {
        Self {
            tools: registry.tools().len() > 0,
            resources: registry.resources().len() + registry.templates().len() + registry.listers().len() > 0,
            prompts: registry.prompts().len() > 0,
            completions: registry.has_completers(),
        }
    }
}

/// The prepared texts, each a JSON value.
pub(in crate::mcp) struct Lists {
    pages: [[Vec<Vec<u8>>; Revision::ALL.len()]; Listed::ALL.len()],
    tails: [Vec<u8>; Revision::ALL.len()],
    initialize: [Vec<u8>; Revision::ALL.len()],
    discover: Vec<u8>,
    meta: Vec<u8>,
    has_tasks: bool,
}

impl Lists {
    pub(in crate::mcp) fn new(registry: &Registry, identity: &Identity) -> Self {
        Self {
            pages: Listed::ALL
                .map(|listed| Revision::ALL.map(|revision| pages(listed, registry, identity, revision))),
            tails: Revision::ALL.map(|revision| tail(registry, revision)),
            initialize: Revision::ALL.map(|revision| text(&initialize(registry, identity, revision))),
            discover: text(&discover(registry, identity)),
            meta: text(&meta(identity)),
            has_tasks: has_tasks(registry),
        }
    }

    /// The lists that differ from those of `other`, for a client of any revision.
    pub(in crate::mcp) fn changes_since(&self, other: &Lists) -> Vec<Announcement> {
        let differs = |listed: Listed| self.pages[listed as usize] != other.pages[listed as usize];
        let has_new_resources =
            differs(Listed::Resources) || differs(Listed::ResourceTemplates) || self.tails != other.tails;
        [
            (differs(Listed::Tools), Announcement::ToolsChanged),
            (differs(Listed::Prompts), Announcement::PromptsChanged),
            (has_new_resources, Announcement::ResourcesChanged),
        ]
        .into_iter()
        .filter_map(|(is_changed, what)| is_changed.then_some(what))
        .collect()
    }

    /// A page of a list, counted from zero.
    pub(in crate::mcp) fn page(&self, listed: Listed, revision: Revision, page: usize) -> Option<&[u8]> {
        let pages = self.pages.get(listed as usize)?.get(revision.index())?;
        pages.get(page).map(Vec::as_slice)
    }

    /// The page that the listers begin with; pages before it are prepared.
    pub(in crate::mcp) fn tail_page(&self, revision: Revision) -> usize {
        self.pages
            .get(Listed::Resources as usize)
            .and_then(|pages| pages.get(revision.index()))
            .map_or(0, Vec::len)
    }

    /// The part of that page in front of what the first lister finds: items, each with a comma behind it.
    pub(in crate::mcp) fn tail(&self, revision: Revision) -> &[u8] {
        self.tails.get(revision.index()).map_or(b"", Vec::as_slice)
    }

    /// The result of `initialize`.
    pub(in crate::mcp) fn initialize(&self, revision: Revision) -> &[u8] {
        self.initialize.get(revision.index()).map_or(b"{}", Vec::as_slice)
    }

    /// The result of `server/discover`.
    pub(in crate::mcp) fn discover(&self) -> &[u8] {
        &self.discover
    }

    /// Whether there are tools whose calls may go on as tasks.
    pub(in crate::mcp) fn has_tasks(&self) -> bool {
        self.has_tasks
    }

    /// The value of `_meta` in every modern result.
    pub(in crate::mcp) fn meta(&self) -> &[u8] {
        &self.meta
    }
}

fn has_tasks(registry: &Registry) -> bool {
    registry
        .tools()
        .any(|(_, tool)| tool.task_support() != TaskSupport::Forbidden)
}

fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn server_info(identity: &Identity, revision: Revision) -> Value {
    let mut info = json!({"name": identity.name, "version": identity.version});
    if let Some(title) = identity.title.as_ref().filter(|_| revision.has_titles()) {
        info["title"] = json!(title);
    }
    info
}

fn meta(identity: &Identity) -> Value {
    json!({SERVER_INFO_KEY: server_info(identity, Revision::V2026_07_28)})
}

/// Only capabilities that work are declared.
fn capabilities(registry: &Registry, revision: Revision) -> Value {
    let has = Has::of(registry);
    let changed = registry.list_changed();
    let declared = [
        ("tools", has.tools, with_list_changed(json!({}), changed.tools)),
        (
            "resources",
            has.resources,
            with_list_changed(json!({"subscribe": true}), changed.resources),
        ),
        (
            "prompts",
            has.prompts,
            with_list_changed(json!({}), changed.prompts),
        ),
        (
            "completions",
            has.completions && revision.has_completions_capability(),
            json!({}),
        ),
        // Any tool may log.
        ("logging", true, json!({})),
        (
            "tasks",
            revision.has_requested_tasks() && has_tasks(registry),
            json!({"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}),
        ),
        (
            "extensions",
            revision.era() == Era::Modern && has_tasks(registry),
            json!({TASKS_EXTENSION: {}}),
        ),
    ];
    let declared = declared.into_iter().filter(|(_, is_there, _)| *is_there);
    Value::Object(declared.map(|(name, _, how)| (name.to_owned(), how)).collect())
}

/// The capability of a list that never changes promises no announcements.
fn with_list_changed(mut capability: Value, is_promised: bool) -> Value {
    if is_promised {
        capability["listChanged"] = json!(true);
    }
    capability
}

fn initialize(registry: &Registry, identity: &Identity, revision: Revision) -> Value {
    let mut result = json!({
        "protocolVersion": revision.as_str(),
        "capabilities": capabilities(registry, revision),
        "serverInfo": server_info(identity, revision),
    });
    if let Some(instructions) = &identity.instructions {
        result["instructions"] = json!(instructions);
    }
    result
}

fn discover(registry: &Registry, identity: &Identity) -> Value {
    let mut result = json!({
        "resultType": "complete",
        "supportedVersions": [Revision::V2026_07_28.as_str()],
        "capabilities": capabilities(registry, Revision::V2026_07_28),
    });
    if let Some(instructions) = &identity.instructions {
        result["instructions"] = json!(instructions);
    }
    cacheable(result, Caching::new(LIST_TTL, CacheScope::Public), identity)
}

/// The prepared pages of a list. There is at least one, unless listers end the list: then they fill the last page, and
/// [`tail`] goes in front of it.
fn pages(listed: Listed, registry: &Registry, identity: &Identity, revision: Revision) -> Vec<Vec<u8>> {
    let items = listed.describe(registry, revision);
    let mut pages: Vec<&[Value]> = items.chunks(PAGE_ITEMS_MAX).collect();
    let has_tail = listed.has_tail(registry);
    if has_tail {
        pages.pop();
    } else if pages.is_empty() {
        pages.push(&[]);
    }
    let page = |(at, items): (usize, &&[Value])| {
        let mut result = json!({listed.member(): items});
        if has_tail || at + 1 < pages.len() {
            result["nextCursor"] = json!(Cursor::Page(at + 1).to_string());
        }
        if revision.era() == Era::Modern {
            result["resultType"] = json!("complete");
            result = cacheable(result, list_caching(listed, registry), identity);
        }
        text(&result)
    };
    pages.iter().enumerate().map(page).collect()
}

/// The registered resources on the page that the first lister goes on with: items, each with a comma behind it.
fn tail(registry: &Registry, revision: Revision) -> Vec<u8> {
    if !Listed::Resources.has_tail(registry) {
        return Vec::new();
    }
    let items = Listed::Resources.describe(registry, revision);
    let last = items.chunks(PAGE_ITEMS_MAX).last().unwrap_or_default();
    last.iter()
        .flat_map(|item| [text(item), b",".to_vec()])
        .flatten()
        .collect()
}

/// How long a list may be kept, which is the same on all of its pages. Nothing registered depends on the client; what a
/// lister finds may, and may be gone at once.
pub(in crate::mcp) fn list_caching(listed: Listed, registry: &Registry) -> Caching {
    if listed.has_tail(registry) {
        Caching::default()
    } else {
        Caching::new(LIST_TTL, CacheScope::Public)
    }
}

/// Adds the members of every modern result that may be kept for a while.
fn cacheable(mut result: Value, caching: Caching, identity: &Identity) -> Value {
    result["ttlMs"] = json!(caching.ttl_ms());
    result["cacheScope"] = json!(caching.scope().as_str());
    result["_meta"] = meta(identity);
    result
}
