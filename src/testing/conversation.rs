//! What a client does to get an answer: its introduction, questions on the way, and what is said besides.

use std::io;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::answer::{Answer, Log, Progress};
use super::client::{Client, PendingCall};
use super::exchange::Exchange;
use super::question::{Question, Reply, Said, capabilities};
use super::request::param_headers;
use super::schemas;
use crate::mcp::{Era, Revision};
use crate::registry::TASKS_EXTENSION;

/// How often a call may be made again with answers before it is taken for endless.
const ROUNDS_MAX: usize = 100;

impl Client {
    /// Introduces the client, if its revision has that and it was not done.
    #[track_caller]
    pub(super) fn introduce(&mut self) {
        if std::mem::replace(&mut self.is_introduced, true) || self.profile.revision.era() == Era::Modern {
            return;
        }
        let revision = self.profile.revision;
        let params = json!({
            "protocolVersion": revision.as_str(),
            "capabilities": self.capabilities_of_client(),
            "clientInfo": {"name": self.profile.name, "version": self.profile.version},
        });
        let id = self.next_id();
        let message = json!({"jsonrpc": "2.0", "id": id, "method": "initialize", "params": params});
        let exchange = self.post(&message, &[]);
        let mut call = PendingCall::new(exchange, id, "initialize", params);
        let head = call
            .exchange
            .head()
            .unwrap_or_else(|error| panic!("initialize: {error}"));
        self.session = head.field("mcp-session-id").map(str::to_owned);
        let answer = self.answer_to(call);
        let result = answer.result();
        assert_eq!(
            result["protocolVersion"],
            revision.as_str(),
            "the server offers another revision"
        );
        self.post_aside(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        if let Some(level) = self.profile.log_level.clone()
            && result["capabilities"].get("logging").is_some()
        {
            self.request("logging/setLevel", json!({"level": level}));
        }
    }

    /// Sends a request.
    #[track_caller]
    pub(super) fn send(&mut self, method: &str, params: Value) -> PendingCall {
        self.introduce();
        let id = self.next_id();
        let exchange = self.send_as((id, id), method, &params);
        PendingCall::new(exchange, id, method, params)
    }

    #[track_caller]
    fn send_as(&mut self, (id, token): (u64, u64), method: &str, params: &Value) -> Exchange {
        let in_head = if method == "tools/call" && self.profile.revision.era() == Era::Modern {
            let tool = self.known_tool(params["name"].as_str().unwrap_or_default());
            tool.map(|tool| param_headers(&tool["inputSchema"], &params["arguments"]))
        } else {
            None
        };
        let capabilities = self.capabilities_of_client();
        let sent = self.profile.params(params.clone(), &capabilities, token);
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": sent});
        self.post(&message, &in_head.unwrap_or_default())
    }

    fn next_id(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }

    /// What the client says that it can do.
    pub(super) fn capabilities_of_client(&self) -> Value {
        let revision = self.profile.revision;
        let mut all = match &self.profile.capabilities {
            Some(set) => set.clone(),
            None if self.answerer.is_none() => json!({}),
            None => capabilities(
                revision >= Revision::V2025_11_25,
                revision >= Revision::V2025_11_25,
                revision >= Revision::V2025_06_18,
            ),
        };
        if self.knows_tasks && revision.era() == Era::Modern {
            all["extensions"][TASKS_EXTENSION] = json!({});
        }
        all
    }

    /// Waits for the answer to a request, and answers what is asked meanwhile.
    #[track_caller]
    pub(super) fn answer_to(&mut self, mut call: PendingCall) -> Answer {
        loop {
            let message = call.exchange.message();
            let message = message.unwrap_or_else(|error| panic!("{}: {error}", call.method));
            let Some(message) = message else {
                self.resume(&mut call);
                continue;
            };
            if message.get("method").is_some() {
                self.hear(&message, Some(&mut call));
                continue;
            }
            self.check(schemas::check_answer(
                self.profile.revision,
                &call.method,
                &message,
            ));
            assert_eq!(message["id"], call.id, "an answer to something else: {message}");
            if message["result"]["resultType"] == "input_required" {
                match self.replies(&message["result"]) {
                    Some(more) => self.call_again(&mut call, more),
                    None => panic!("{}: a test that does not answer cannot call again", call.method),
                }
                continue;
            }
            return self.concluded(call, message);
        }
    }

    /// Comes back for the rest of a stream that the server has closed, as it may since 2025-11-25.
    #[track_caller]
    fn resume(&mut self, call: &mut PendingCall) {
        let Some(last) = call.exchange.last_event_id.clone() else {
            panic!(
                "{}: the answer ends without a message: {:?}",
                call.method,
                call.exchange.head()
            );
        };
        self.pass(Duration::from_millis(call.exchange.retry_ms.unwrap_or(0)));
        let place = self.place().clone();
        let request = self
            .profile
            .get(place.target(), self.session.as_deref(), Some(&last));
        let sent = self.send_bytes(&request);
        call.exchange = sent.unwrap_or_else(|error| panic!("{}: {error}", call.method));
    }

    /// The last message of a request has come.
    #[track_caller]
    fn concluded(&mut self, mut call: PendingCall, mut message: Value) -> Answer {
        let status = call.exchange.head().map_or(0, |head| head.status);
        let rest = call.exchange.message();
        assert!(
            matches!(rest, Ok(None)),
            "{}: there is more behind the answer: {rest:?}",
            call.method
        );
        self.idle.extend(call.exchange.into_wire());
        let outcome = match message.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(message["error"].take()),
        };
        // A test that fails because of it shows this, whatever of it the test compares.
        if let Err(error) = &outcome
            && error.get("data").is_some()
        {
            eprintln!("{} was refused: {error}", call.method);
        }
        Answer {
            status,
            outcome,
            progress: call.progress,
            logs: call.logs,
        }
    }

    /// Makes a call again, with what it lacked.
    #[track_caller]
    fn call_again(&mut self, call: &mut PendingCall, more: Map<String, Value>) {
        call.rounds += 1;
        assert!(call.rounds < ROUNDS_MAX, "{} asks without end", call.method);
        if let Some(params) = call.params.as_object_mut() {
            params.remove("inputResponses");
            params.remove("requestState");
            params.extend(more);
        }
        call.id = self.next_id();
        let exchange = self.send_as((call.id, call.first_id), &call.method, &call.params);
        let rest = std::mem::replace(&mut call.exchange, exchange);
        self.idle.extend(rest.into_wire());
    }

    /// What is to be sent for a result that asks for more; `None` if somebody does not answer.
    #[track_caller]
    fn replies(&mut self, result: &Value) -> Option<Map<String, Value>> {
        let mut more = Map::new();
        if let Some(state) = result.get("requestState") {
            more.insert("requestState".to_owned(), state.clone());
        }
        let mut answers = Map::new();
        for (key, asked) in result["inputRequests"].as_object().into_iter().flatten() {
            let method = asked["method"].as_str().unwrap_or_default();
            let question = Question::new(method, &asked["params"], Some(key));
            match self.reply(&question).0 {
                Said::Result(result) => answers.insert(key.clone(), result),
                Said::Error(_) | Said::Nothing => return None,
            };
        }
        if !answers.is_empty() {
            more.insert("inputResponses".to_owned(), Value::Object(answers));
        }
        Some(more)
    }

    #[track_caller]
    pub(super) fn reply(&mut self, question: &Question) -> Reply {
        match &mut self.answerer {
            Some(answer) => answer(question),
            None => panic!("nobody answers {}: set `Client::answer`", question.method()),
        }
    }

    /// Something that the server says by itself: a notification, or a question.
    #[track_caller]
    pub(super) fn hear(&mut self, message: &Value, call: Option<&mut PendingCall>) {
        self.check(schemas::check_said(self.profile.revision, message));
        let method = message["method"].as_str().unwrap_or_default();
        let params = &message["params"];
        if message.get("id").is_some() {
            return self.answer_question(method, message);
        }
        match (method, call) {
            ("notifications/progress", Some(call)) if params["progressToken"] == call.first_id => {
                let progress = Progress::of(params);
                let last = call.progress.last().map(|last| last.progress);
                assert!(
                    last.is_none_or(|last| last < progress.progress),
                    "progress does not increase: {message}"
                );
                call.progress.push(progress);
            }
            ("notifications/message", Some(call)) => call.logs.push(Log::of(params)),
            _ => {
                if method == "notifications/tools/list_changed" {
                    self.tools = None;
                }
                self.notifications.push(message.clone());
            }
        }
    }

    /// Answers a question of the legacy era.
    #[track_caller]
    fn answer_question(&mut self, method: &str, message: &Value) {
        let said = match method {
            "ping" => Said::Result(json!({})),
            _ => self.reply(&Question::new(method, &message["params"], None)).0,
        };
        let id = &message["id"];
        match said {
            Said::Result(result) => self.post_aside(&json!({"jsonrpc": "2.0", "id": id, "result": result})),
            Said::Error(error) => self.post_aside(&json!({"jsonrpc": "2.0", "id": id, "error": error})),
            Said::Nothing => {}
        }
    }

    /// Sends a message that has no answer.
    #[track_caller]
    pub(super) fn post_aside(&mut self, message: &Value) {
        let mut exchange = self.post(message, &[]);
        let head = exchange
            .head()
            .unwrap_or_else(|error| panic!("{message}: {error}"));
        let body = exchange.message();
        assert!(
            head.status == 202,
            "{message} is answered with {}: {body:?}",
            head.status
        );
        self.idle.extend(exchange.into_wire());
    }

    /// Sends a message on a connection that is free.
    #[track_caller]
    pub(super) fn post(&mut self, message: &Value, in_head: &[(String, String)]) -> Exchange {
        let (session, profile) = (self.session.clone(), self.profile.clone());
        let place = self.place().clone();
        let request = profile.post(place.target(), session.as_deref(), message, in_head);
        self.send_bytes(&request)
            .unwrap_or_else(|error| panic!("{}: {error}", message["method"]))
    }

    #[track_caller]
    pub(super) fn send_bytes(&mut self, request: &[u8]) -> io::Result<Exchange> {
        let mut wire = None;
        while let Some(idle) = self.idle.pop() {
            if idle.is_silent_now() {
                wire = Some(idle);
                break;
            }
        }
        let wire = match wire {
            Some(wire) => wire,
            None => self.place().connect()?,
        };
        Exchange::send(wire, request)
    }

    // Checks.

    #[track_caller]
    pub(super) fn check(&self, checked: Result<(), schemas::Fault>) {
        if let Err(fault) = checked {
            panic!("{fault}");
        }
    }

    /// Checks the structured result of a tool against the schema that it lists.
    #[track_caller]
    pub(super) fn check_output(&mut self, tool: &str, answer: &Answer) {
        let Ok(result) = &answer.outcome else { return };
        if result["isError"] == true || result.get("content").is_none() {
            return;
        }
        let known = self
            .known_tool(tool)
            .and_then(|tool| tool.get("outputSchema").cloned());
        let Some(schema) = known else { return };
        match result.get("structuredContent") {
            Some(structured) => self.check(schemas::check_by(&schema, structured)),
            None => {
                panic!("{tool} lists an output schema, and its result has no structuredContent: {result}")
            }
        }
    }

    /// A tool as it is listed.
    #[track_caller]
    fn known_tool(&mut self, name: &str) -> Option<Value> {
        let is_known = self.tools.as_ref().is_some_and(|tools| tools.contains_key(name));
        if !is_known {
            let has_tools = self.request("tools/list", json!({})).outcome.is_ok();
            let listed = if has_tools { self.list_tools() } else { Vec::new() };
            let named = listed
                .into_iter()
                .filter_map(|tool| Some((tool["name"].as_str()?.to_owned(), tool)));
            self.tools = Some(named.collect());
        }
        self.tools.as_ref()?.get(name).cloned()
    }
}

impl PendingCall {
    fn new(exchange: Exchange, id: u64, method: &str, params: Value) -> PendingCall {
        PendingCall {
            exchange,
            id,
            first_id: id,
            method: method.to_owned(),
            params,
            rounds: 0,
            progress: Vec::new(),
            logs: Vec::new(),
        }
    }
}
