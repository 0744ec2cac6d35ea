//! How a server introduces itself to clients of each revision: who it is, what it can, and how it is used.
//!
//! A server that only stands before one other program introduces that program, in its own bytes. Everything else is
//! Weir, which passes on the instructions of other programs under their names.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::jsonrpc::{write_json, write_string};
use crate::registry::{
    APPS_EXTENSION, CacheScope, Caching, ForeignServer, Registry, TASKS_EXTENSION, TaskSupport, TaskWord,
    ToolInfo,
};

use crate::mcp::lists::foreign;
use crate::mcp::lists::has::Has;
use crate::mcp::revision::{Era, Revision};

/// How long a client may keep a list. A client that listens hears of a change at once; five minutes bound how long the
/// others go on with the old list.
const LIST_TTL: Duration = Duration::from_secs(300);
/// The same for lists of other programs, which may change as those like.
const FOREIGN_LIST_TTL: Duration = Duration::from_secs(60);

/// Bytes of other programs' instructions that are passed on when there are several: every client puts them before its
/// model.
const JOINED_BYTES_MAX: usize = 8 << 10;

/// The member of `_meta` that says which server it is.
pub const SERVER_INFO_KEY: &str = "io.modelcontextprotocol/serverInfo";

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

/// What a server says of itself.
#[derive(Clone, Copy)]
pub(super) struct Introduction<'r> {
    registry: &'r Registry,
    identity: &'r Identity,
    /// The other program, if there is nothing else.
    program: Option<&'r ForeignServer>,
}

impl<'r> Introduction<'r> {
    pub(super) fn new(registry: &'r Registry, identity: &'r Identity) -> Self {
        let program = match registry.foreign_servers() {
            [program] if registry.is_all_foreign() && !program.server_info.is_empty() => Some(&**program),
            _ => None,
        };
        Self {
            registry,
            identity,
            program,
        }
    }

    /// The result of `initialize`.
    pub(super) fn initialize(self, revision: Revision) -> Vec<u8> {
        let mut out = br#"{"protocolVersion":"#.to_vec();
        write_string(&mut out, revision.as_str());
        out.extend_from_slice(br#","capabilities":"#);
        write_json(&mut out, &capabilities(self.registry, revision));
        out.extend_from_slice(br#","serverInfo":"#);
        self.write_server_info(revision, &mut out);
        self.write_instructions(&mut out);
        out.push(b'}');
        out
    }

    /// The result of `server/discover`.
    pub(super) fn discover(self) -> Vec<u8> {
        let revision = Revision::V2026_07_28;
        let mut out = br#"{"resultType":"complete","supportedVersions":["#.to_vec();
        write_string(&mut out, revision.as_str());
        out.extend_from_slice(br#"],"capabilities":"#);
        write_json(&mut out, &capabilities(self.registry, revision));
        self.write_instructions(&mut out);
        self.write_cacheable(caching(self.registry), &mut out);
        out.push(b'}');
        out
    }

    /// Appends the members of every modern result that may be kept for a while.
    pub(super) fn write_cacheable(self, caching: Caching, out: &mut Vec<u8>) {
        out.extend_from_slice(br#","ttlMs":"#);
        out.extend_from_slice(itoa::Buffer::new().format(caching.ttl_ms()).as_bytes());
        out.extend_from_slice(br#","cacheScope":"#);
        write_string(out, caching.scope().as_str());
        out.extend_from_slice(br#","_meta":"#);
        out.extend_from_slice(&self.meta());
    }

    /// The value of `_meta` in every modern result.
    pub(super) fn meta(self) -> Vec<u8> {
        let mut out = b"{".to_vec();
        write_string(&mut out, SERVER_INFO_KEY);
        out.push(b':');
        self.write_server_info(Revision::V2026_07_28, &mut out);
        out.push(b'}');
        out
    }

    fn write_server_info(self, revision: Revision, out: &mut Vec<u8>) {
        match self.program {
            Some(program) => foreign::write_server_info(&program.server_info, revision, out),
            None => write_json(out, &server_info(self.identity, revision)),
        }
    }

    /// Appends a further member, if there are any instructions.
    fn write_instructions(self, out: &mut Vec<u8>) {
        let head = br#","instructions":"#;
        match (self.program, self.joined_instructions()) {
            (Some(program), _) => {
                if let Some(instructions) = &program.instructions {
                    out.extend_from_slice(head);
                    out.extend_from_slice(instructions);
                }
            }
            (None, Some(instructions)) => {
                out.extend_from_slice(head);
                write_json(out, &instructions);
            }
            (None, None) => {}
        }
    }

    /// The server's own instructions, and those of other programs under headings.
    fn joined_instructions(self) -> Option<String> {
        let own = self.identity.instructions.as_deref();
        let mut joined = own.unwrap_or_default().to_owned();
        let bytes_max = joined.len() + JOINED_BYTES_MAX;
        for server in self.registry.foreign_servers() {
            let text = server.instructions.as_deref().map(serde_json::from_slice);
            let Some(Ok(text)) = text else { continue };
            let text: String = text;
            if !joined.is_empty() {
                joined.push_str("\n\n");
            }
            joined.push_str(&format!("## {}\n\n{text}", server.name));
        }
        joined.truncate(joined.floor_char_boundary(bytes_max));
        (own.is_some() || !joined.is_empty()).then_some(joined)
    }
}

/// How long what is said of this registry may be kept. Nothing registered depends on the client.
pub(super) fn caching(registry: &Registry) -> Caching {
    let ttl = if registry.foreign_servers().is_empty() {
        LIST_TTL
    } else {
        FOREIGN_LIST_TTL
    };
    Caching::new(ttl, CacheScope::Public)
}

/// Whether calls may be tasks that their clients asked for (2025-11-25). Those of other programs may, and which tools
/// such a program has is known only once it runs.
pub(super) fn has_tasks(registry: &Registry) -> bool {
    let mut tools = registry.all_tools();
    registry.foreign_features().tools || tools.any(|tool| tool.task_support() != TaskSupport::Forbidden)
}

/// Whether calls may be tasks because the server decides so (since 2026-07-28).
pub(super) fn makes_tasks(registry: &Registry) -> bool {
    let makes_tasks = |tool: &ToolInfo| {
        tool.task_support() != TaskSupport::Forbidden && tool.task_word() != TaskWord::Unsaid
    };
    registry.all_tools().any(makes_tasks)
}

fn server_info(identity: &Identity, revision: Revision) -> Value {
    let mut info = json!({"name": identity.name, "version": identity.version});
    if let Some(title) = identity.title.as_ref().filter(|_| revision.has_titles()) {
        info["title"] = json!(title);
    }
    info
}

/// Only capabilities that work are declared.
fn capabilities(registry: &Registry, revision: Revision) -> Map<String, Value> {
    let has = Has::of(registry);
    let changed = registry.list_changed();
    let mut resources = Map::new();
    if has.subscriptions {
        resources.insert("subscribe".to_owned(), json!(true));
    }
    let extensions = [
        (TASKS_EXTENSION, makes_tasks(registry)),
        (APPS_EXTENSION, registry.has_apps()),
    ];
    let extensions = extensions.into_iter().filter(|(_, is_there)| *is_there);
    let extensions: Map<_, _> = extensions.map(|(name, _)| (name.to_owned(), json!({}))).collect();
    let declared = [
        ("tools", has.tools, with_list_changed(Map::new(), changed.tools)),
        (
            "resources",
            has.resources,
            with_list_changed(resources, changed.resources),
        ),
        (
            "prompts",
            has.prompts,
            with_list_changed(Map::new(), changed.prompts),
        ),
        (
            "completions",
            has.completions && revision.has_completions_capability(),
            json!({}),
        ),
        ("logging", has.logging, json!({})),
        (
            "tasks",
            revision.has_requested_tasks() && has_tasks(registry),
            json!({"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}),
        ),
        (
            "extensions",
            revision.era() == Era::Modern && !extensions.is_empty(),
            Value::Object(extensions),
        ),
    ];
    let declared = declared.into_iter().filter(|(_, is_there, _)| *is_there);
    declared.map(|(name, _, how)| (name.to_owned(), how)).collect()
}

/// The capability of a list that never changes promises no announcements.
fn with_list_changed(mut capability: Map<String, Value>, is_promised: bool) -> Value {
    if is_promised {
        capability.insert("listChanged".to_owned(), json!(true));
    }
    Value::Object(capability)
}
