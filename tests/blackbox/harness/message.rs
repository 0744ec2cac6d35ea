//! MCP messages in both eras.

use serde_json::{Value, json};

use super::request::Request;

/// Protocol revisions by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Revision(pub(crate) &'static str);

impl Revision {
    pub(crate) const ALL_LEGACY: [Revision; 4] = [
        Revision("2024-11-05"),
        Revision("2025-03-26"),
        Revision("2025-06-18"),
        Revision("2025-11-25"),
    ];
    pub(crate) const BATCHING: Revision = Revision("2025-03-26");
    pub(crate) const NEWEST_LEGACY: Revision = Revision("2025-11-25");
    pub(crate) const MODERN: Revision = Revision("2026-07-28");

    pub(crate) fn parse(name: &str) -> Option<Revision> {
        let mut all = Self::ALL_LEGACY.into_iter().chain([Self::MODERN]);
        all.find(|revision| revision.0 == name)
    }
}

/// The way a client speaks: stateless and modern, or legacy with or without a session.
#[derive(Clone, Debug)]
pub(crate) struct Dialect {
    pub(crate) revision: Revision,
    pub(crate) session: Option<String>,
    /// The capabilities that the client declares: in each request's envelope, or when its session opens.
    pub(crate) capabilities: Value,
}

/// Both eras, for a rule that holds in both.
pub(crate) fn eras() -> [Dialect; 2] {
    [Dialect::modern(), Dialect::legacy(Revision::NEWEST_LEGACY)]
}

/// A modern call of `echo`, the usual probe.
pub(crate) fn echo(id: impl Into<Value>, message: &str) -> Request {
    Dialect::modern().echo(id, message)
}

/// A modern call of any tool.
pub(crate) fn tool(id: impl Into<Value>, name: &str, arguments: Value) -> Request {
    Dialect::modern().tool(id, name, arguments)
}

impl Dialect {
    pub(crate) fn modern() -> Self {
        Self {
            revision: Revision::MODERN,
            session: None,
            capabilities: json!({}),
        }
    }

    /// A legacy client without a session.
    pub(crate) fn legacy(revision: Revision) -> Self {
        Self {
            revision,
            session: None,
            capabilities: json!({}),
        }
    }

    /// The same client with these capabilities.
    pub(crate) fn able(self, capabilities: Value) -> Self {
        Self { capabilities, ..self }
    }

    pub(crate) fn is_modern(&self) -> bool {
        self.revision == Revision::MODERN
    }

    pub(crate) fn echo(&self, id: impl Into<Value>, message: &str) -> Request {
        self.tool(id, "echo", json!({"message": message}))
    }

    pub(crate) fn tool(&self, id: impl Into<Value>, name: &str, arguments: Value) -> Request {
        self.request(id, "tools/call", json!({"name": name, "arguments": arguments}))
    }

    /// A call whose `_meta` has these keys besides its era's.
    pub(crate) fn tool_with(
        &self,
        id: impl Into<Value>,
        name: &str,
        arguments: Value,
        meta: Value,
    ) -> Request {
        let mut params = self.params(json!({"name": name, "arguments": arguments}));
        if let Value::Object(keys) = meta {
            keys.into_iter()
                .for_each(|(key, value)| params["_meta"][key] = value);
        }
        self.post(&json!({"jsonrpc": "2.0", "id": id.into(), "method": "tools/call", "params": params}))
    }

    /// A call of `progress` that reports every step under the token `token`.
    pub(crate) fn progress(&self, id: impl Into<Value>, steps: u64, delay_ms: u64) -> Request {
        let arguments = json!({"steps": steps, "delay_ms": delay_ms});
        self.tool_with(id, "progress", arguments, json!({"progressToken": "token"}))
    }

    /// The client's answer to a question of the server: a result.
    pub(crate) fn response(&self, id: &Value, result: &Value) -> Request {
        self.post(&json!({"jsonrpc": "2.0", "id": id, "result": result}))
    }

    /// The client's answer to a question of the server: an error.
    pub(crate) fn refusal(&self, id: &Value, code: i64, message: &str) -> Request {
        self.post(&json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}))
    }

    /// `notifications/cancelled` for a request of this client.
    pub(crate) fn cancelled(&self, id: impl Into<Value>) -> Request {
        let params = json!({"requestId": id.into(), "reason": "no longer needed"});
        self.notification("notifications/cancelled", params)
    }

    /// A GET of the GET stream.
    pub(crate) fn get_stream(&self) -> Request {
        let request = Request::new("GET", "/mcp")
            .plus("Accept", "text/event-stream")
            .plus("MCP-Protocol-Version", self.revision.0);
        match &self.session {
            Some(session) => request.plus("Mcp-Session-Id", session),
            None => request,
        }
    }

    /// The same, resuming behind an event.
    pub(crate) fn resumption(&self, event_id: &str) -> Request {
        self.get_stream().plus("Last-Event-ID", event_id)
    }

    pub(crate) fn request(&self, id: impl Into<Value>, method: &str, params: Value) -> Request {
        let params = self.params(params);
        self.post(&json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params}))
    }

    pub(crate) fn notification(&self, method: &str, params: Value) -> Request {
        let params = self.params(params);
        self.post(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
    }

    pub(crate) fn initialize(&self, id: impl Into<Value>) -> Request {
        let params = json!({
            "protocolVersion": self.revision.0,
            "capabilities": self.capabilities,
            "clientInfo": {"name": "blackbox", "version": "1"},
        });
        let message = json!({"jsonrpc": "2.0", "id": id.into(), "method": "initialize", "params": params});
        Request::post(message.to_string())
    }

    /// Any message with the fields that belong to it.
    pub(crate) fn post(&self, message: &Value) -> Request {
        let mut request = Request::post(message.to_string()).plus("MCP-Protocol-Version", self.revision.0);
        if let Some(session) = &self.session {
            request = request.plus("Mcp-Session-Id", session);
        }
        if self.is_modern() {
            request = request.plus("Mcp-Method", message["method"].as_str().unwrap_or_default());
            let params = &message["params"];
            let names = ["name", "uri", "taskId"].map(|member| params[member].as_str());
            if let Some(name) = names.into_iter().flatten().next() {
                request = request.plus("Mcp-Name", name);
            }
        }
        request
    }

    /// The modern envelope: `params._meta`.
    pub(crate) fn envelope() -> Value {
        json!({
            "io.modelcontextprotocol/protocolVersion": Revision::MODERN.0,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "blackbox", "version": "1"},
        })
    }

    fn params(&self, mut params: Value) -> Value {
        if self.is_modern() && params.get("_meta").is_none() {
            params["_meta"] = Self::envelope();
            params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = self.capabilities.clone();
        }
        params
    }
}
