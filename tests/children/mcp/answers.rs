//! What it answers besides calls of tools: its introduction, its lists, a resource, a prompt.

use std::thread;

use serde_json::{Value, json};

use super::{Params, Server, modern};

/// A member of the second page that no parser may write anew.
const ODD_MEMBERS: &str = r#""_meta":{"n":1.10,"huge":12345678901234567890123},"unknown":[1e2]"#;

impl Server {
    pub(super) fn answer(&self, id: &Value, method: &str, params: &Params) {
        match method {
            "server/discover" => self.discover(id),
            "subscriptions/listen" => self.listen(id, &params.notifications),
            "initialize" => self.introduce(id, &params.protocol_version),
            "ping" if self.options.is_deaf_to_pings => {}
            "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => {
                self.succeed(id, &json!({}));
            }
            "tools/list" => self.list_tools(id, params.cursor.as_deref()),
            "resources/list" => {
                let resources = json!([{"uri": "child://one", "name": "one"}]);
                self.succeed(id, &json!({"resources": resources}));
            }
            "resources/templates/list" => {
                let templates = json!([{"uriTemplate": "child://{name}", "name": "any"}]);
                self.succeed(id, &json!({"resourceTemplates": templates}));
            }
            "resources/read" if params.uri == "child://one" => {
                let contents = json!([{"uri": params.uri, "text": "one"}]);
                self.succeed(id, &json!({"contents": contents}));
            }
            "resources/read" => {
                let data = json!({"uri": params.uri});
                let code = if self.is_modern() { -32602 } else { -32002 };
                self.refuse(
                    id,
                    &json!({"code": code, "message": "Resource not found", "data": data}),
                );
            }
            "prompts/list" => {
                let prompts = json!([{"name": "greet", "arguments": [{"name": "name"}]}]);
                self.succeed(id, &json!({"prompts": prompts}));
            }
            "prompts/get" => {
                let content = json!({"type": "text", "text": "Greet everybody."});
                self.succeed(id, &json!({"messages": [{"role": "user", "content": content}]}));
            }
            "completion/complete" => {
                self.succeed(id, &json!({"completion": {"values": ["ada", "alan"]}}));
            }
            _ => self.refuse(id, &json!({"code": -32601, "message": "Method not found"})),
        }
    }

    fn introduce(&self, id: &Value, asked: &str) {
        let options = &self.options;
        if options.is_silent {
            return;
        }
        thread::sleep(options.late);
        if options.is_refusing {
            return self.refuse(id, &json!({"code": -32603, "message": "not today"}));
        }
        self.succeed(
            id,
            &json!({
                "protocolVersion": options.revision.as_deref().unwrap_or(asked),
                "capabilities": self.capabilities(),
                "serverInfo": {"name": "misbehave", "version": "6.6.6"},
                "instructions": self.instructions(),
            }),
        );
    }

    pub(super) fn capabilities(&self) -> Value {
        if self.options.is_bare {
            return json!({"tools": {}});
        }
        if self.options.is_secretive {
            return json!({"tools": {"listChanged": false}, "prompts": {}});
        }
        json!({
            "tools": {"listChanged": true},
            "prompts": {"listChanged": true},
            "resources": {"subscribe": true, "listChanged": true},
            "logging": {},
            "completions": {},
        })
    }

    pub(super) fn instructions(&self) -> &str {
        self.options
            .instructions
            .as_deref()
            .unwrap_or("Tell me what to do.")
    }

    fn pages(&self) -> usize {
        self.options.pages.unwrap_or(2)
    }

    pub(super) fn has_tool(&self, name: &str) -> bool {
        let page = name.strip_prefix("page-").and_then(|page| page.parse().ok());
        let is_listed = page.is_some_and(|page: usize| (2..=self.pages()).contains(&page));
        let mut added = self.state.lock().unwrap().added.clone().into_iter();
        is_listed || self.options.is_endless || added.any(|added| added == name)
    }

    /// A cursor is the number of a page.
    fn list_tools(&self, id: &Value, cursor: Option<&str>) {
        let page = cursor.map_or(1, |cursor| cursor.parse().unwrap());
        let tools = match page {
            1 => {
                let added = self.state.lock().unwrap().added.clone().into_iter();
                let named = ["echo", "act"].map(str::to_owned).into_iter().chain(added);
                let tasks = self
                    .options
                    .tasks
                    .as_deref()
                    .map(|word| format!(r#""execution":{{"taskSupport":"{word}"}}"#));
                let hint = r#""annotations":{"readOnlyHint":true}"#.to_owned();
                let hint = self.options.is_read_only.then_some(hint);
                let tasks = [tasks, hint].into_iter().flatten().collect::<Vec<_>>().join(",");
                let more = |name: &str| if name == "act" { &*tasks } else { "" };
                named
                    .map(|name| tool(&name, more(&name)))
                    .collect::<Vec<_>>()
                    .join(",")
            }
            _ => tool(&format!("page-{page}"), ODD_MEMBERS),
        };
        let next = match page {
            2 if self.options.is_repeating => Some(2),
            _ if self.options.is_endless || page < self.pages() => Some(page + 1),
            _ => None,
        };
        let next = next.map_or(String::new(), |next| format!(r#","nextCursor":"{next}""#));
        let modern = if self.is_modern() {
            modern::LIST_MEMBERS
        } else {
            ""
        };
        let result = format!(r#"{{"tools":[{tools}]{next}{modern}}}"#);
        self.write(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n").as_bytes());
    }
}

fn tool(name: &str, more: &str) -> String {
    let comma = if more.is_empty() { "" } else { "," };
    format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}{comma}{more}}}"#)
}
