//! Questions that a tool asks its client, and the answers of a test.

use serde_json::{Map, Value, json};

/// What a tool asks: its user (elicitation), its client's model (sampling) or its client (roots).
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    method: String,
    params: Value,
    key: Option<String>,
}

impl Question {
    pub(super) fn new(method: &str, params: &Value, key: Option<&str>) -> Question {
        Question {
            method: method.to_owned(),
            params: params.clone(),
            key: key.map(str::to_owned),
        }
    }

    /// The method: `elicitation/create`, `sampling/createMessage` or `roots/list`.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Its parameters, as the specification has them.
    pub fn params(&self) -> &Value {
        &self.params
    }

    /// The text for the user (`message`); empty if there is none.
    pub fn message(&self) -> &str {
        self.params["message"].as_str().unwrap_or_default()
    }

    /// The tool's own name for the question: clients are told it since 2026-07-28.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }
}

/// The answer to a [`Question`].
#[derive(Debug, Clone, PartialEq)]
pub struct Reply(pub(super) Said);

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    Result(Value),
    Error(Value),
    Nothing,
}

impl Reply {
    /// The user has filled in the form: an object of its values.
    pub fn accept(content: Value) -> Reply {
        Reply::result(json!({"action": "accept", "content": content}))
    }

    /// The user has agreed to open a URL.
    pub fn opened() -> Reply {
        Reply::result(json!({"action": "accept"}))
    }

    /// The user has declined.
    pub fn decline() -> Reply {
        Reply::result(json!({"action": "decline"}))
    }

    /// The user has closed the form.
    pub fn cancel() -> Reply {
        Reply::result(json!({"action": "cancel"}))
    }

    /// The model's answer to sampling: a text.
    pub fn sampled(text: impl Into<String>) -> Reply {
        let content = json!({"type": "text", "text": text.into()});
        Reply::result(
            json!({"role": "assistant", "model": "of-a-test", "stopReason": "endTurn", "content": content}),
        )
    }

    /// The client's roots: URIs.
    pub fn roots<'a>(uris: impl IntoIterator<Item = &'a str>) -> Reply {
        let roots: Vec<Value> = uris.into_iter().map(|uri| json!({"uri": uri})).collect();
        Reply::result(json!({"roots": roots}))
    }

    /// Any result, as the specification has it.
    pub fn result(result: Value) -> Reply {
        Reply(Said::Result(result))
    }

    /// An error (JSON-RPC) instead of an answer. Clients since 2026-07-28 have none: they do not call again.
    pub fn error(code: i64, message: impl Into<String>) -> Reply {
        Reply(Said::Error(json!({"code": code, "message": message.into()})))
    }

    /// No answer, ever. The call goes on when its time is over; since 2026-07-28 it has ended already, with the
    /// question.
    pub fn nothing() -> Reply {
        Reply(Said::Nothing)
    }
}

/// What a client can be asked, as it says in a revision: everything there is.
pub(super) fn capabilities(has_url_mode: bool, has_tools: bool, has_elicitation: bool) -> Value {
    let mut all = Map::new();
    all.insert("roots".to_owned(), json!({}));
    all.insert(
        "sampling".to_owned(),
        if has_tools {
            json!({"tools": {}})
        } else {
            json!({})
        },
    );
    if has_elicitation {
        let modes = if has_url_mode {
            json!({"form": {}, "url": {}})
        } else {
            json!({})
        };
        all.insert("elicitation".to_owned(), modes);
    }
    Value::Object(all)
}
