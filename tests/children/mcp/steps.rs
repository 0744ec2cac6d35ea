//! What a call of `act` does, step by step: `["NAME", VALUE…]`, or the name alone.
//!
//! | step | does |
//! |---|---|
//! | `write TEXT` | writes these characters, a byte each; `$ID` is the id of the call |
//! | `mutter TEXT` | writes a line of these bytes to stderr |
//! | `answer RESULT` | answers with this text as result |
//! | `error ERROR` | answers with this text as error |
//! | `bytes N` | answers by a line of exactly so many bytes, without its end |
//! | `line` | answers with the line of the call as it came |
//! | `heard` | answers with all lines it has heard but tool calls, as a JSON array |
//! | `count` | answers with how often it was told to count |
//! | `counted` | answers with the same number, without counting |
//! | `pid` | answers with its process id |
//! | `variable NAME` | answers with the value of a variable, or `unset` |
//! | `progress N` | reports so many times, under the token of the call |
//! | `notify METHOD PARAMS` | notifies |
//! | `add NAME` | adds a tool, and says that the list has changed |
//! | `ask METHOD PARAMS` | asks, and waits for the answer; its line becomes the answer of the call |
//! | `ask-both METHOD PARAMS METHOD PARAMS` | asks twice at once; the lines become the answer of the call |
//! | `await-cancel` | waits until the call is cancelled |
//! | `round REQUESTS STATE` | unless the call has answers to all these questions, asks them by its result and ends |
//! | `forget` | ends without an answer |
//! | `mute` | writes nothing from now on, for anybody |
//! | another | is an action of `misbehave` |
//!
//! A call that was not answered by its steps is answered in the end by the text `done`.

use std::io::Write;
use std::process;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};

use super::Server;

/// A call under way.
pub(super) struct Act {
    server: Arc<Server>,
    id: Value,
    token: Option<Value>,
    /// The answers to questions of a round before.
    responses: Map<String, Value>,
    line: String,
    is_answered: bool,
    /// The text of its answer in the end.
    text: String,
}

impl Act {
    pub(super) fn new(
        server: &Arc<Server>,
        id: Value,
        token: Option<Value>,
        responses: Map<String, Value>,
        line: &str,
    ) -> Act {
        Act {
            server: Arc::clone(server),
            id,
            token,
            responses,
            line: line.to_owned(),
            is_answered: false,
            text: "done".to_owned(),
        }
    }

    pub(super) fn run(&mut self, steps: &[Value]) {
        for step in steps {
            let words = step.as_array().cloned().unwrap_or_else(|| vec![step.clone()]);
            let name = words[0].as_str().unwrap();
            if name == "forget" {
                return;
            }
            if name == "round" && self.asks(&words[1..]) {
                return;
            }
            self.step(name, &words[1..]);
        }
        if !self.is_answered {
            self.server.answer_text(&self.id, &self.text);
        }
    }

    fn step(&mut self, name: &str, values: &[Value]) {
        let text = || as_text(&values[0]);
        match name {
            "write" => {
                let text = text().replace("$ID", &self.id.to_string());
                let bytes: Vec<u8> = text.chars().map(|letter| u8::try_from(letter).unwrap()).collect();
                self.is_answered |= values[0].as_str().is_some_and(|text| text.contains("$ID"));
                self.server.write(&bytes);
            }
            "mutter" => {
                let bytes: Vec<u8> = text()
                    .chars()
                    .map(|letter| u8::try_from(letter).unwrap())
                    .collect();
                std::io::stderr()
                    .write_all(&[&bytes[..], b"\n"].concat())
                    .unwrap();
            }
            "answer" => self.answer("result", &text()),
            "error" => self.answer("error", &text()),
            "bytes" => self.answer_by_bytes(values[0].as_u64().unwrap().try_into().unwrap()),
            "line" => self.text.clone_from(&self.line),
            "heard" => self.text = json!(self.server.state.lock().unwrap().heard).to_string(),
            "round" => self.text.clone_from(&self.line),
            "count" => {
                let before = self.server.counted.fetch_add(1, Ordering::Relaxed);
                self.text = (before + 1).to_string();
            }
            "counted" => self.text = self.server.counted.load(Ordering::Relaxed).to_string(),
            "pid" => self.text = process::id().to_string(),
            "variable" => self.text = std::env::var(text()).unwrap_or_else(|_| "unset".to_owned()),
            "progress" => self.report(values[0].as_u64().unwrap()),
            "notify" => self.server.notify(&text(), &values[1]),
            "add" => {
                self.server.state.lock().unwrap().added.push(text());
                self.server.tell_tools_changed();
            }
            "ask" => self.text = self.server.ask(&text(), &values[1]).recv().unwrap(),
            "ask-both" => {
                let asked = values
                    .chunks(2)
                    .map(|pair| self.server.ask(&as_text(&pair[0]), &pair[1]));
                let asked: Vec<_> = asked.collect();
                self.text = asked.iter().map(|answer| answer.recv().unwrap()).collect();
            }
            "await-cancel" => self.server.wait_until_cancelled(&self.id),
            "mute" => self.server.is_mute.store(true, Ordering::Relaxed),
            _ => {
                let value = values.first().map_or(String::new(), as_text);
                crate::act(&self.server.mark, &format!("{name}:{value}"));
            }
        }
    }

    /// Asks by a result, if an answer is missing.
    fn asks(&mut self, values: &[Value]) -> bool {
        let mut keys = values[0].as_object().unwrap().keys();
        let is_asking = keys.any(|key| !self.responses.contains_key(key));
        if is_asking {
            let mut result = self.server.result(&json!({"inputRequests": values[0]}));
            result["resultType"] = json!("input_required");
            if let Some(state) = values.get(1) {
                result["requestState"] = state.clone();
            }
            self.answer("result", &result.to_string());
        }
        is_asking
    }

    fn answer(&mut self, member: &str, text: &str) {
        let id = &self.id;
        self.is_answered = true;
        self.server
            .write(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"{member}\":{text}}}\n").as_bytes());
    }

    fn answer_by_bytes(&mut self, bytes: usize) {
        let around = |text: &str| format!(r#"{{"content":[{{"type":"text","text":"{text}"}}]}}"#);
        let envelope = format!(r#"{{"jsonrpc":"2.0","id":{},"result":}}"#, self.id);
        let text = "x".repeat(bytes - envelope.len() - around("").len());
        self.answer("result", &around(&text));
    }

    fn report(&self, count: u64) {
        let token = self.token.clone().unwrap_or_default();
        for progress in 1..=count {
            let params = json!({"progressToken": token, "progress": progress, "total": count});
            self.server.notify("notifications/progress", &params);
        }
    }
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
