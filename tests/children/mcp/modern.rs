//! What it does as a server of 2026-07-28.

use std::process;

use serde_json::{Value, json};

use super::{Params, Server};

/// What every page of a list says besides.
pub(super) const LIST_MEMBERS: &str = r#","resultType":"complete","ttlMs":1000,"cacheScope":"public""#;

/// The eras that it speaks.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Eras {
    #[default]
    Legacy,
    Modern,
    Dual,
}

/// A client that listens.
pub(super) struct Listen {
    pub(super) id: Value,
    wanted: Value,
}

impl Server {
    /// Whether it is spoken to in the modern era.
    pub(super) fn is_modern(&self) -> bool {
        match self.options.eras {
            Eras::Legacy => false,
            Eras::Modern => true,
            Eras::Dual => self.state.lock().unwrap().is_modern == Some(true),
        }
    }

    /// Refuses a request that is of another era than it speaks; whether it did.
    pub(super) fn is_out_of_era(&self, id: &Value, method: &str, params: &Params) -> bool {
        let options = &self.options;
        if method == "server/discover" && options.dies_of_discover {
            process::exit(3);
        }
        let is_greeted = {
            let mut state = self.state.lock().unwrap();
            let is_greeting = method == "initialize";
            let is_discovery = method == "server/discover" && options.eras == Eras::Dual;
            if state.is_modern.is_none() && (is_greeting || is_discovery) {
                state.is_modern = Some(is_discovery);
            }
            state.is_modern.is_some()
        };
        if !is_greeted && options.is_deaf {
            return true;
        }
        if !is_greeted && options.is_picky {
            crate::fill_stderr(7 << 10);
            self.refuse(
                id,
                &json!({"code": -32602, "message": "Invalid request parameters"}),
            );
            return true;
        }
        if !self.is_modern() {
            return false;
        }
        let error = match (&params.meta.version, &params.meta.capabilities) {
            _ if method == "initialize" => {
                let data = json!({"supported": ["2026-07-28"], "requested": params.protocol_version});
                json!({"code": -32022, "message": "Unsupported protocol version", "data": data})
            }
            (Some(version), Some(Value::Object(_))) if version == "2026-07-28" => return false,
            _ => json!({"code": -32602, "message": "no envelope"}),
        };
        self.refuse(id, &error);
        true
    }

    pub(super) fn discover(&self, id: &Value) {
        if !self.is_modern() {
            return self.refuse(id, &json!({"code": -32601, "message": "Method not found"}));
        }
        let result = json!({
            "supportedVersions": ["2025-11-25", "2026-07-28"],
            "capabilities": self.capabilities(),
            "instructions": self.instructions(),
        });
        self.succeed(id, &result);
    }

    /// A result with what its era wants.
    pub(super) fn result(&self, result: &Value) -> Value {
        let mut result = result.clone();
        if self.is_modern() {
            result["resultType"] = json!("complete");
            let cached = [
                "contents",
                "prompts",
                "resources",
                "resourceTemplates",
                "supportedVersions",
            ];
            if cached.iter().any(|name| result.get(name).is_some()) {
                result["ttlMs"] = json!(1000);
                result["cacheScope"] = json!("public");
            }
            result["_meta"] =
                json!({"io.modelcontextprotocol/serverInfo": {"name": "misbehave", "version": "6.6.6"}});
        }
        result
    }

    pub(super) fn listen(&self, id: &Value, wanted: &Value) {
        let listen = Listen {
            id: id.clone(),
            wanted: wanted.clone(),
        };
        let params = json!({"_meta": subscription(id), "notifications": wanted});
        self.state.lock().unwrap().listens.push(listen);
        self.notify("notifications/subscriptions/acknowledged", &params);
    }

    pub(super) fn tell_tools_changed(&self) {
        const METHOD: &str = "notifications/tools/list_changed";
        if self.options.is_secretive {
            return;
        }
        if !self.is_modern() {
            return self.notify(METHOD, &json!({}));
        }
        let state = self.state.lock().unwrap();
        let listens = state.listens.iter();
        let wanting = listens.filter(|listen| listen.wanted["toolsListChanged"] == true);
        let ids: Vec<Value> = wanting.map(|listen| listen.id.clone()).collect();
        drop(state);
        for id in ids {
            self.notify(METHOD, &json!({"_meta": subscription(&id)}));
        }
    }
}

fn subscription(id: &Value) -> Value {
    json!({"io.modelcontextprotocol/subscriptionId": id})
}
