//! The messages of one client in one conversation, over any transport.
//!
//! It is strict about order and about messages that were not asked for: the next message must be the expected one. Ids
//! are strings and numbers by turns.

use serde_json::{Map, Value, json};

use super::Transport;
use crate::harness::message::Dialect;

/// A client, and its way to the server.
pub(crate) struct Conversation {
    transport: Box<dyn Transport>,
    pub(crate) dialect: Dialect,
    next_id: u32,
}

/// The end of a call that asked its client.
#[derive(Debug)]
pub(crate) struct Conversed {
    /// The questions: methods and parameters, in order.
    pub(crate) questions: Vec<(String, Value)>,
    pub(crate) result: Value,
}

impl Conversation {
    /// A conversation in which nothing was sent yet.
    pub(crate) fn new(transport: Box<dyn Transport>, dialect: Dialect) -> Self {
        Self {
            transport,
            dialect,
            next_id: 1,
        }
    }

    /// Sends `initialize`, then `notifications/initialized`; returns the result.
    #[track_caller]
    pub(crate) fn initialize(&mut self) -> Value {
        let id = self.take_id();
        let request = self.dialect.initialize(id.clone());
        self.transport.send(&request);
        let result = self.result(&id);
        assert_eq!(result["protocolVersion"], self.dialect.revision.0, "{result}");
        self.notify("notifications/initialized", json!({}));
        result
    }

    pub(crate) fn is_modern(&self) -> bool {
        self.dialect.is_modern()
    }

    /// Sends a request; returns its id.
    pub(crate) fn send(&mut self, method: &str, params: Value) -> Value {
        let id = self.take_id();
        self.transport
            .send(&self.dialect.request(id.clone(), method, params));
        id
    }

    /// Calls a tool; returns the request's id.
    pub(crate) fn call(&mut self, name: &str, arguments: Value) -> Value {
        self.send("tools/call", json!({"name": name, "arguments": arguments}))
    }

    /// The same, with more members in `_meta`.
    pub(crate) fn call_with(&mut self, name: &str, arguments: Value, meta: Value) -> Value {
        let id = self.take_id();
        let request = self.dialect.tool_with(id.clone(), name, arguments, meta);
        self.transport.send(&request);
        id
    }

    pub(crate) fn notify(&mut self, method: &str, params: Value) {
        self.transport.send(&self.dialect.notification(method, params));
    }

    /// Sends a body that is not a message of the protocol, or is several.
    pub(crate) fn send_raw(&mut self, text: impl Into<Vec<u8>>) {
        let request = self.dialect.post(&Value::Null).with_body(text);
        self.transport.send(&request);
    }

    /// Sends a message that gets none back, whatever it is.
    pub(crate) fn send_unanswered(&mut self, text: impl Into<Vec<u8>>) {
        let request = self.dialect.post(&Value::Null).with_body(text);
        self.transport.send_unanswered(&request);
    }

    /// Answers a question of the server.
    pub(crate) fn respond(&mut self, id: &Value, result: &Value) {
        self.transport.send(&self.dialect.response(id, result));
    }

    /// Cancels a request, in the way of the era and the transport.
    pub(crate) fn cancel(&mut self, id: &Value) {
        self.transport.cancel(&self.dialect, id);
    }

    /// The next message.
    #[track_caller]
    pub(crate) fn message(&mut self) -> Value {
        self.transport.receive()
    }

    /// The last message as it came, byte for byte.
    pub(crate) fn text(&self) -> &str {
        self.transport.text()
    }

    /// The next message, which must be this notification; its parameters.
    #[track_caller]
    pub(crate) fn notification(&mut self, method: &str) -> Value {
        let mut message = self.message();
        assert_eq!(message["method"], method, "{message}");
        assert!(message.get("id").is_none(), "{message}");
        message["params"].take()
    }

    /// The next message, which must be the answer to this request.
    #[track_caller]
    pub(crate) fn answer(&mut self, id: &Value) -> Value {
        let message = self.message();
        assert!(message.get("method").is_none(), "{message}");
        assert_eq!(message["id"], *id, "{message}");
        message
    }

    /// The answer to this request, whatever comes before it.
    #[track_caller]
    pub(crate) fn answer_among(&mut self, id: &Value) -> Value {
        loop {
            let message = self.message();
            if message.get("method").is_none() {
                assert_eq!(message["id"], *id, "{message}");
                return message;
            }
        }
    }

    /// The next message, which must be the result of this request.
    #[track_caller]
    pub(crate) fn result(&mut self, id: &Value) -> Value {
        let mut answer = self.answer(id);
        assert!(answer.get("result").is_some(), "{answer}");
        answer["result"].take()
    }

    /// The next message, which must answer this request with an error of this code.
    #[track_caller]
    pub(crate) fn error(&mut self, id: &Value, code: i64) -> Value {
        let mut answer = self.answer(id);
        assert_eq!(answer["error"]["code"], code, "{answer}");
        answer["error"].take()
    }

    /// A request and its result.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        self.result(&id)
    }

    /// The same under an id of the caller's choice.
    #[track_caller]
    pub(crate) fn ask_as(&mut self, id: &Value, method: &str, params: Value) -> Value {
        self.send_as(id, method, params);
        self.result(id)
    }

    /// Sends a request under an id of the caller's choice.
    pub(crate) fn send_as(&mut self, id: &Value, method: &str, params: Value) {
        self.transport
            .send(&self.dialect.request(id.clone(), method, params));
    }

    /// A call and the text of its answer, which must not be an error.
    #[track_caller]
    pub(crate) fn text_of(&mut self, name: &str, arguments: Value) -> String {
        let id = self.call(name, arguments);
        text_of(&self.result(&id)).to_owned()
    }

    /// A call that asks: see [`Conversation::converse_by`].
    #[track_caller]
    pub(crate) fn converse(
        &mut self,
        name: &str,
        arguments: Value,
        rounds: &[usize],
        answer: impl Fn(&str, &Value) -> Value,
    ) -> Conversed {
        let params = json!({"name": name, "arguments": arguments});
        self.converse_by("tools/call", params, rounds, answer)
    }

    /// A request that asks: in each of `rounds` so many questions, all of which are there before the first of them is
    /// answered.
    ///
    /// In the legacy era the questions are requests, and are answered in the opposite order. In the modern era each
    /// round but the last ends with its questions, and the call is made again with the answers.
    #[track_caller]
    pub(crate) fn converse_by(
        &mut self,
        method: &str,
        params: Value,
        rounds: &[usize],
        answer: impl Fn(&str, &Value) -> Value,
    ) -> Conversed {
        if self.is_modern() {
            return self.ask_again(method, params, rounds, answer);
        }
        let call = self.send(method, params);
        let mut questions = Vec::new();
        for count in rounds {
            let round: Vec<Value> = (0..*count).map(|_| self.message()).collect();
            for question in round.iter().rev() {
                let method = question["method"].as_str();
                let method = method.unwrap_or_else(|| panic!("no question: {question}"));
                self.respond(&question["id"], &answer(method, &question["params"]));
            }
            questions.extend(round.into_iter().map(|mut question| {
                let method = question["method"].as_str().unwrap_or_default().to_owned();
                (method, question["params"].take())
            }));
        }
        let result = self.result(&call);
        Conversed { questions, result }
    }

    #[track_caller]
    fn ask_again(
        &mut self,
        method: &str,
        mut params: Value,
        rounds: &[usize],
        answer: impl Fn(&str, &Value) -> Value,
    ) -> Conversed {
        let mut questions = Vec::new();
        for count in rounds {
            let asked = self.ask(method, params.clone());
            assert_eq!(asked["resultType"], "input_required", "{asked}");
            let requests = asked["inputRequests"].as_object().unwrap();
            assert_eq!(requests.len(), *count, "{asked}");
            let mut answers = Map::new();
            for (key, request) in requests {
                let method = request["method"].as_str().unwrap();
                answers.insert(key.clone(), answer(method, &request["params"]));
                questions.push((method.to_owned(), request["params"].clone()));
            }
            params["inputResponses"] = Value::Object(answers);
            if let Some(state) = asked.get("requestState") {
                params["requestState"] = state.clone();
            }
        }
        let result = self.ask(method, params);
        assert_eq!(result["resultType"], "complete", "{result}");
        Conversed { questions, result }
    }

    /// Leaves, after checking that no message came that was not asked for.
    #[track_caller]
    pub(crate) fn finish(mut self) {
        self.assert_quiet();
        self.transport.close();
    }

    /// A request that needs nothing must be answered by the next message.
    #[track_caller]
    pub(crate) fn assert_quiet(&mut self) {
        let method = if self.is_modern() {
            "server/discover"
        } else {
            "ping"
        };
        self.ask(method, json!({}));
    }

    fn take_id(&mut self) -> Value {
        let number = self.next_id;
        self.next_id += 1;
        match number % 2 {
            0 => json!(format!("request-{number}")),
            _ => json!(number),
        }
    }
}

/// The text of the only content block of a tool's result, which must not be an error.
#[track_caller]
pub(crate) fn text_of(result: &Value) -> &str {
    assert_ne!(result["isError"], true, "{result}");
    assert_eq!(result["content"].as_array().map(Vec::len), Some(1), "{result}");
    result["content"][0]["text"].as_str().unwrap()
}
