//! What a server says of itself, prepared once: `initialize` and `server/discover` results, tool lists.
//!
//! A registry never changes while the process lives, so each answer is a prepared text with the request's id in
//! front. Every revision gets the members its schema knows and no others. Invariant: the order of tools is the
//! order of their registration, for every client and every time.

use serde_json::{Map, Value, json};

use crate::registry::{Registry, ToolInfo};

use super::revision::Revision;

/// How long a client may keep a list, in milliseconds. A list changes only with a restart; five minutes bound
/// how long a client goes on with the old one.
const LIST_TTL_MS: u64 = 300_000;

const SERVER_INFO_KEY: &str = "io.modelcontextprotocol/serverInfo";

/// How a server introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// For programs.
    pub name: String,
    /// Of the server.
    pub version: String,
    /// For people.
    pub title: Option<String>,
    /// For models: how to use this server.
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

/// The prepared texts, each a JSON value.
pub(super) struct Lists {
    tools: [Vec<u8>; Revision::ALL.len()],
    initialize: [Vec<u8>; Revision::ALL.len()],
    discover: Vec<u8>,
    meta: Vec<u8>,
}

impl Lists {
    pub(super) fn new(registry: &Registry, identity: &Identity) -> Self {
        Self {
            tools: Revision::ALL.map(|revision| text(&tools_list(registry, identity, revision))),
            initialize: Revision::ALL.map(|revision| text(&initialize(registry, identity, revision))),
            discover: text(&discover(registry, identity)),
            meta: text(&meta(identity)),
        }
    }

    /// The result of `tools/list`.
    pub(super) fn tools(&self, revision: Revision) -> &[u8] {
        self.tools.get(revision.index()).map_or(b"{}", Vec::as_slice)
    }

    /// The result of `initialize`.
    pub(super) fn initialize(&self, revision: Revision) -> &[u8] {
        self.initialize.get(revision.index()).map_or(b"{}", Vec::as_slice)
    }

    /// The result of `server/discover`.
    pub(super) fn discover(&self) -> &[u8] {
        &self.discover
    }

    /// The value of `_meta` in every modern result.
    pub(super) fn meta(&self) -> &[u8] {
        &self.meta
    }
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

/// Only what works is declared.
fn capabilities(registry: &Registry) -> Value {
    match registry.tools().len() {
        0 => json!({}),
        _ => json!({"tools": {}}),
    }
}

fn initialize(registry: &Registry, identity: &Identity, revision: Revision) -> Value {
    let mut result = json!({
        "protocolVersion": revision.as_str(),
        "capabilities": capabilities(registry),
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
        "capabilities": capabilities(registry),
    });
    if let Some(instructions) = &identity.instructions {
        result["instructions"] = json!(instructions);
    }
    cacheable(result, identity)
}

fn tools_list(registry: &Registry, identity: &Identity, revision: Revision) -> Value {
    let tools: Vec<Value> = registry.tools().map(|(_, info)| tool(info, revision)).collect();
    match revision {
        Revision::V2026_07_28 => cacheable(json!({"resultType": "complete", "tools": tools}), identity),
        _ => json!({"tools": tools}),
    }
}

/// The members of every modern result that may be kept for a while. Nothing here depends on who asks.
fn cacheable(mut result: Value, identity: &Identity) -> Value {
    result["ttlMs"] = json!(LIST_TTL_MS);
    result["cacheScope"] = json!("public");
    result["_meta"] = meta(identity);
    result
}

fn tool(info: &ToolInfo, revision: Revision) -> Value {
    let mut tool = Map::new();
    tool.insert("name".to_owned(), json!(info.name()));
    if let Some(title) = info.title().filter(|_| revision.has_titles()) {
        tool.insert("title".to_owned(), json!(title));
    }
    if let Some(description) = info.description() {
        tool.insert("description".to_owned(), json!(description));
    }
    tool.insert("inputSchema".to_owned(), schema(info.input_schema(), revision));
    if let Some(output) = info.output_schema().filter(|schema| is_offered(schema, revision)) {
        tool.insert("outputSchema".to_owned(), schema(output, revision));
    }
    if let Some(annotations) = annotations(info, revision) {
        tool.insert("annotations".to_owned(), annotations);
    }
    Value::Object(tool)
}

fn is_offered(output_schema: &Value, revision: Revision) -> bool {
    revision.has_any_structured_result()
        || revision.has_structured_results() && output_schema["type"] == "object"
}

/// The hints; between the first hints and the first titles, the title stood among them.
fn annotations(info: &ToolInfo, revision: Revision) -> Option<Value> {
    if !revision.has_annotations() {
        return None;
    }
    let mut hints = serde_json::to_value(info.annotations()).ok()?;
    if let Some(title) = info.title().filter(|_| !revision.has_titles()) {
        hints["title"] = json!(title);
    }
    let is_empty = hints.as_object().is_none_or(Map::is_empty);
    (!is_empty).then_some(hints)
}

/// A schema as this revision allows it: before 2026-07-28 the schema of a property was an object, never a
/// boolean.
fn schema(schema: &Value, revision: Revision) -> Value {
    let mut schema = schema.clone();
    if revision < Revision::V2026_07_28
        && let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut)
    {
        for property in properties.values_mut() {
            match property {
                Value::Bool(true) => *property = json!({}),
                Value::Bool(false) => *property = json!({"not": {}}),
                _ => {}
            }
        }
    }
    schema
}
