//! The bytes of a request, as each revision wants them.

use serde_json::{Map, Value, json};

use crate::mcp::{Era, Revision, wrapped};

const META: &str = "io.modelcontextprotocol/";

/// What a client says of itself.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub(super) revision: Revision,
    pub(super) name: String,
    pub(super) version: String,
    /// `None`: everything, if there is somebody who answers.
    pub(super) capabilities: Option<Value>,
    /// The least severe level of the log messages that it wants.
    pub(super) log_level: Option<String>,
    /// Fields that are sent with every request.
    pub(super) fields: Vec<(String, String)>,
}

impl Profile {
    /// The parameters of a request as they are sent.
    pub(super) fn params(&self, params: Value, capabilities: &Value, token: u64) -> Value {
        let mut params = match params {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        let meta = params.entry("_meta").or_insert_with(|| json!({}));
        meta["progressToken"] = json!(token);
        if self.revision.era() == Era::Modern {
            meta[format!("{META}protocolVersion")] = json!(self.revision.as_str());
            meta[format!("{META}clientCapabilities")] = capabilities.clone();
            meta[format!("{META}clientInfo")] = json!({"name": self.name, "version": self.version});
            if let Some(level) = &self.log_level {
                meta[format!("{META}logLevel")] = json!(level);
            }
        }
        Value::Object(params)
    }

    /// The bytes of a POST.
    pub(super) fn post(
        &self,
        (path, host): (&str, &str),
        session: Option<&str>,
        message: &Value,
        param_headers: &[(String, String)],
    ) -> Vec<u8> {
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n"
        );
        self.write_fields(&mut head, session, message["method"] == "initialize");
        if self.revision.era() == Era::Modern
            && let Some(method) = message["method"].as_str()
        {
            field(&mut head, "Mcp-Method", method);
            if let Some(name) = named(method, &message["params"]) {
                field(&mut head, "Mcp-Name", &wrapped(name));
            }
            for (name, value) in param_headers {
                field(&mut head, &format!("Mcp-Param-{name}"), &wrapped(value));
            }
        }
        let body = message.to_string();
        field(&mut head, "Content-Length", &body.len().to_string());
        head.push_str("\r\n");
        head.push_str(&body);
        head.into_bytes()
    }

    /// The bytes of a GET, which opens a stream of events.
    pub(super) fn get(
        &self,
        (path, host): (&str, &str),
        session: Option<&str>,
        last_event_id: Option<&str>,
    ) -> Vec<u8> {
        let mut head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n");
        self.write_fields(&mut head, session, false);
        if let Some(id) = last_event_id {
            field(&mut head, "Last-Event-ID", id);
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    fn write_fields(&self, head: &mut String, session: Option<&str>, is_first: bool) {
        for (name, value) in &self.fields {
            field(head, name, value);
        }
        if let Some(session) = session {
            field(head, "Mcp-Session-Id", session);
        }
        // The field came with 2025-06-18, and a first request has nothing to refer to.
        if self.revision >= Revision::V2025_06_18 && !is_first {
            field(head, "MCP-Protocol-Version", self.revision.as_str());
        }
    }
}

fn field(head: &mut String, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        head.push_str(part);
    }
}

/// What a request is about, as its head says it since 2026-07-28.
fn named<'v>(method: &str, params: &'v Value) -> Option<&'v str> {
    let member = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        "tasks/get" | "tasks/update" | "tasks/cancel" => "taskId",
        _ => return None,
    };
    params[member].as_str()
}

/// The arguments that also stand in the head, by the schema that the tool lists (`x-mcp-header`), and their values.
pub(super) fn param_headers(schema: &Value, arguments: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let properties = schema["properties"].as_object().into_iter().flatten();
    for (name, property) in properties {
        let value = &arguments[name.as_str()];
        match (property["x-mcp-header"].as_str(), value) {
            (_, Value::Null) => {}
            (Some(header), Value::String(text)) => found.push((header.to_owned(), text.clone())),
            (Some(header), value) => found.push((header.to_owned(), value.to_string())),
            (None, value) => found.extend(param_headers(property, value)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_stand_in_the_head_where_the_schema_says_so() {
        let schema = json!({"properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "count": {"type": "integer", "x-mcp-header": "Count"},
            "deep": {"properties": {"flag": {"type": "boolean", "x-mcp-header": "Flag"}}},
            "plain": {"type": "string"},
        }});
        let arguments = json!({"region": "eu", "count": null, "deep": {"flag": true}, "plain": "x"});
        let found = param_headers(&schema, &arguments);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(found, [pair("Region", "eu"), pair("Flag", "true")]);
    }
}
