//! Tasks in both eras: which calls become one, what is said of them, and who may look.
//!
//! The schemas of 2026-07-28 know nothing of the extension, so that its shapes are checked here by what its text says.

use std::sync::Arc;

use super::*;
use crate::registry::{Elicit, ElicitAnswer, LogLevel, Progress, Property, TaskSupport};

const LEGACY: Revision = Revision::V2025_11_25;
const RELATED: &str = "io.modelcontextprotocol/related-task";
const EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// Panics unless it is a result of the extension.
pub(super) fn validate_result(method: &str, result: &Value) {
    let mut result = result.clone();
    let members = result.as_object_mut().unwrap();
    assert!(members.remove("_meta").is_some());
    let kind = members.remove("resultType").unwrap();
    match method {
        "tools/call" => {
            assert_eq!(kind, "task");
            validate_task(&result, None);
        }
        "tasks/get" => {
            assert_eq!(kind, "complete");
            validate_detailed(&result);
        }
        "tasks/update" | "tasks/cancel" => assert_eq!((kind, result), (json!("complete"), json!({}))),
        method => panic!("a result for {method:?}: {result}"),
    }
}

/// Panics unless it is a `DetailedTask`, perhaps with a subscription's id.
pub(super) fn validate_detailed(task: &Value) {
    let mut task = task.clone();
    task.as_object_mut().unwrap().remove("_meta");
    let detail = match task["status"].as_str().unwrap() {
        "input_required" => {
            spec::check(Revision::V2026_07_28, "InputRequests", &task["inputRequests"]);
            assert_ne!(task["inputRequests"], json!({}));
            Some("inputRequests")
        }
        "completed" => {
            spec::check(Revision::V2026_07_28, "CallToolResult", &task["result"]);
            Some("result")
        }
        "failed" => {
            spec::check(Revision::V2026_07_28, "Error", &task["error"]);
            Some("error")
        }
        _ => None,
    };
    validate_task(&task, detail);
}

/// Every member by its type, and no others.
fn validate_task(task: &Value, detail: Option<&str>) {
    for (name, value) in task.as_object().unwrap() {
        let is_right = match name.as_str() {
            "taskId" | "statusMessage" => value.is_string(),
            "status" => ["working", "input_required", "completed", "failed", "cancelled"]
                .contains(&value.as_str().unwrap()),
            "createdAt" | "lastUpdatedAt" => value.as_str().is_some_and(|time| time.ends_with('Z')),
            "ttlMs" => value.is_null() || value.as_u64().is_some_and(|millis| millis > 0),
            "pollIntervalMs" => value.as_u64().is_some_and(|millis| millis > 0),
            name => detail == Some(name),
        };
        assert!(is_right, "{name}: {task:#}");
    }
    let needed = ["taskId", "status", "createdAt", "lastUpdatedAt", "ttlMs"];
    for name in needed.into_iter().chain(detail) {
        assert!(task.get(name).is_some(), "no {name}: {task:#}");
    }
}

fn name() -> Elicit {
    Elicit::form("Your name?").property("name", Property::string())
}

fn said_name(answer: ElicitAnswer) -> String {
    match answer {
        ElicitAnswer::Accept(content) => content["name"].as_str().unwrap_or_default().to_owned(),
        ElicitAnswer::Decline | ElicitAnswer::Cancel => "nobody".to_owned(),
    }
}

async fn greet(context: CallContext, _: NoArguments) -> Result<String, ToolError> {
    context.progress(Progress::new(1.0).total(2.0));
    context.log(LogLevel::Error, "greeting");
    let name = context.ask("user_name", name()).await?;
    context.elicitation_complete("e-1");
    Ok(format!("Hello, {}!", said_name(name)))
}

fn registry() -> Registry {
    let mut registry = Registry::builder();
    registry
        .add(Tool::new("plain").run(|_: CallContext, _: NoArguments| async { Ok("plain") }))
        .unwrap()
        .add(
            Tool::new("echo")
                .task(TaskSupport::Optional)
                .run(|_: CallContext, args: EchoArguments| async move { Ok(args.message) }),
        )
        .unwrap()
        .add(Tool::new("greet").task(TaskSupport::Optional).run(greet))
        .unwrap()
        .add(
            Tool::new("ask_first")
                .task(TaskSupport::Required)
                .ask_before_task("user_name")
                .run(greet),
        )
        .unwrap()
        .add(Tool::new("fail").task(TaskSupport::Required).run(
            |_: CallContext, args: FailArguments| async move {
                match args.how.as_str() {
                    "panic" => panic!("a secret in src/secret.rs:1"),
                    "url" => {
                        let place = Elicit::url("Sign in", "https://example.com/x");
                        Err(ToolError::url_elicitation_required([place]))
                    }
                    _ => Err::<String, _>(ToolError::message("it \"failed\"")),
                }
            },
        ))
        .unwrap();
    registry.build()
}

fn server() -> Server {
    Server::with(registry(), Options::default())
}

/// What a client declares that knows tasks.
fn knowing() -> Value {
    json!({"extensions": {EXTENSION: {}}, "elicitation": {"form": {}, "url": {}}})
}

fn echo() -> Value {
    json!({"name": "echo", "arguments": {"message": "hi"}})
}

fn as_task(mut params: Value, task: Value) -> Value {
    params["task"] = task;
    params
}

fn ann() -> Value {
    json!({"action": "accept", "content": {"name": "Ann"}})
}

/// A request in a session of a client that can be asked.
fn in_session(server: &mut Server, session: &str, method: &str, params: Value) -> Answer {
    server.in_session(LEGACY, session, request(1, method, params))
}

fn session(server: &mut Server) -> String {
    server.open_session_of(LEGACY, json!({"elicitation": {"form": {}, "url": {}}}))
}

/// The answer to `tasks/result`, as whoever keeps tasks gives it.
fn result_of(server: &mut Server, session: &str, id: &str) -> Value {
    let headers = [
        ("mcp-protocol-version", LEGACY.as_str()),
        ("mcp-session-id", session),
    ];
    let body = request("r", "tasks/result", json!({"taskId": id})).to_string();
    let mut out = Vec::new();
    let step = server.protocol.decode(
        &facts(&headers),
        body.as_bytes(),
        &mut server.scratch,
        &server.state,
        &mut out,
    );
    let Step::AwaitTask(wanted) = step else {
        panic!("{step:?}");
    };
    assert!(out.is_empty());
    assert_eq!((wanted.task.as_str(), wanted.revision), (id, LEGACY));
    assert_eq!(wanted.labels.method, crate::metrics::Method::TasksResult);
    match server.state.task(&wanted.owner, id) {
        Some(task) => write_task_end(&wanted.id, task.end.as_deref().unwrap(), &mut out),
        None => {
            let reply = server.protocol.refuse_task(&wanted.id, &mut out);
            assert_eq!(
                (reply.kind, reply.labels),
                (
                    ReplyKind::Answered,
                    Labels {
                        outcome: reply.labels.outcome,
                        ..wanted.labels
                    }
                )
            );
        }
    }
    let answer: Value = serde_json::from_slice(&out).unwrap();
    spec::validate(LEGACY, body.as_bytes(), &answer);
    answer
}

#[test]
fn tasks_are_declared_where_they_are() {
    let mut server = server();
    for revision in Revision::ALL {
        let result = match revision.era() {
            Era::Modern => server.modern("server/discover", json!({})).body["result"].take(),
            Era::Legacy => {
                let params = json!({"protocolVersion": revision.as_str(), "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
                server.legacy(revision, "initialize", params).body["result"].take()
            }
        };
        let capabilities = &result["capabilities"];
        let tasks = json!({"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}});
        let expected = if revision == LEGACY { tasks } else { Value::Null };
        assert_eq!(capabilities["tasks"], expected);
        let expected = match revision.era() {
            Era::Modern => json!({EXTENSION: {}}),
            Era::Legacy => Value::Null,
        };
        assert_eq!(capabilities["extensions"], expected);
        let listed = server.ask(revision, "tools/list", json!({}));
        let supports: Vec<(&str, &Value)> = listed.body["result"]["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| (tool["name"].as_str().unwrap(), &tool["execution"]))
            .collect();
        let [none, optional, required] = [
            Value::Null,
            json!({"taskSupport": "optional"}),
            json!({"taskSupport": "required"}),
        ];
        let expected = match revision {
            LEGACY => vec![
                ("plain", &none),
                ("echo", &optional),
                ("greet", &optional),
                ("ask_first", &required),
                ("fail", &required),
            ],
            Revision::V2026_07_28 => ["plain", "echo", "greet", "ask_first", "fail"]
                .map(|name| (name, &none))
                .to_vec(),
            _ => ["plain", "echo", "greet"].map(|name| (name, &none)).to_vec(),
        };
        assert_eq!(supports, expected);
    }
}

#[test]
fn without_such_tools_there_are_no_tasks() {
    let mut server = Server::new();
    let session = server.open_session(LEGACY);
    for method in [
        "tasks/get",
        "tasks/result",
        "tasks/list",
        "tasks/cancel",
        "tasks/update",
    ] {
        let params = json!({"taskId": "x", "inputResponses": {}});
        assert_eq!(
            in_session(&mut server, &session, method, params.clone()).refusal(),
            (200, -32601)
        );
        assert_eq!(
            server.modern_of(&knowing(), method, params).refusal(),
            (404, -32601)
        );
    }
    let declared = server.modern("server/discover", json!({}));
    assert_eq!(declared.body["result"]["capabilities"]["extensions"], Value::Null);
    let answer = in_session(
        &mut server,
        &session,
        "tools/call",
        as_task(echo(), json!({"ttl": 1})),
    );
    assert_eq!(answer.text(), "hi");
}

#[test]
fn a_legacy_client_chooses() {
    let mut server = server();
    let session = session(&mut server);
    assert_eq!(
        in_session(&mut server, &session, "tools/call", echo()).text(),
        "hi"
    );
    for (task, ttl) in [
        (json!({"ttl": 60_000}), json!(60_000)),
        (json!({"ttl": 60_000.0}), json!(60_000)),
        (json!({}), Value::Null),
        (json!({"ttl": null, "pollInterval": 5}), Value::Null),
    ] {
        let made = in_session(&mut server, &session, "tools/call", as_task(echo(), task));
        let task = &made.body["result"]["task"];
        assert_eq!((&task["status"], &task["ttl"]), (&json!("working"), &ttl));
        assert_eq!(task["createdAt"], "2025-11-25T10:30:00.000Z");
        assert_eq!(
            (&task["pollInterval"], &task["lastUpdatedAt"]),
            (&json!(500), &json!("2025-11-25T10:30:00.250Z"))
        );
        let id = &task["taskId"];
        assert_eq!(made.body["result"]["_meta"], json!({RELATED: {"taskId": id}}));
        let got = in_session(&mut server, &session, "tasks/get", json!({"taskId": id}));
        let got = &got.body["result"];
        assert_eq!(
            (&got["status"], &got["taskId"], got.get("_meta")),
            (&json!("completed"), id, None)
        );
        let result = result_of(&mut server, &session, id.as_str().unwrap());
        assert_eq!(result["id"], "r");
        assert_eq!(result["result"]["content"][0]["text"], "hi");
        assert_eq!(result["result"]["_meta"], json!({RELATED: {"taskId": id}}));
    }
    for task in [
        json!(1),
        json!({"ttl": -1}),
        json!({"ttl": 0.5}),
        json!({"ttl": "1"}),
    ] {
        let refused = in_session(&mut server, &session, "tools/call", as_task(echo(), task));
        assert_eq!(refused.refusal(), (200, -32602));
    }
    // `null` is no task.
    let plainly = in_session(&mut server, &session, "tools/call", as_task(echo(), Value::Null));
    assert_eq!(plainly.text(), "hi");
    let plain = json!({"name": "plain"});
    let refused = in_session(&mut server, &session, "tools/call", as_task(plain, json!({})));
    assert_eq!(refused.refusal(), (200, -32601));
    let must = json!({"name": "fail", "arguments": {"how": "x"}});
    assert_eq!(
        in_session(&mut server, &session, "tools/call", must.clone()).refusal(),
        (200, -32601)
    );
    // Whoever asks for a task does not get a result in its stead.
    let wrong = json!({"name": "fail", "arguments": {}});
    let refused = in_session(&mut server, &session, "tools/call", as_task(wrong, json!({})));
    assert_eq!(refused.refusal(), (200, -32602));
    // Older clients know nothing of it.
    for revision in [
        Revision::V2024_11_05,
        Revision::V2025_03_26,
        Revision::V2025_06_18,
    ] {
        let ignored = server.legacy(revision, "tools/call", as_task(echo(), json!(7)));
        assert_eq!(ignored.text(), "hi");
        assert_eq!(
            server.legacy(revision, "tools/call", must.clone()).refusal(),
            (200, -32601)
        );
        for method in ["tasks/get", "tasks/result", "tasks/list", "tasks/cancel"] {
            let refused = server.legacy(revision, method, json!({"taskId": "task-0"}));
            assert_eq!(refused.refusal(), (200, -32601));
        }
    }
}

#[test]
fn a_modern_server_decides() {
    let mut server = server();
    let made = server.modern_of(&knowing(), "tools/call", echo());
    let task = &made.body["result"];
    assert_eq!(
        (&task["resultType"], &task["status"]),
        (&json!("task"), &json!("working"))
    );
    let got = server.modern_of(&knowing(), "tasks/get", json!({"taskId": task["taskId"]}));
    let got = &got.body["result"];
    assert_eq!(
        (&got["resultType"], &got["status"]),
        (&json!("complete"), &json!("completed"))
    );
    assert_eq!(got["result"]["content"][0]["text"], "hi");
    assert_eq!(got["result"]["_meta"].get(RELATED), None);
    // Without the extension the same tool waits; what can be no task is none, whatever is asked for.
    for declared in [
        json!({}),
        json!({"extensions": {}}),
        json!({"extensions": {EXTENSION: null}}),
        json!({"tasks": {}}),
    ] {
        assert_eq!(server.modern_of(&declared, "tools/call", echo()).text(), "hi");
    }
    let plain = as_task(
        json!({"name": "plain"}),
        json!({"ttl": 60_000, "pollInterval": 100}),
    );
    assert_eq!(server.modern_of(&knowing(), "tools/call", plain).text(), "plain");
    assert_eq!(
        server
            .modern_of(&json!({}), "tools/call", as_task(echo(), json!(null)))
            .text(),
        "hi"
    );
    let must = json!({"name": "fail", "arguments": {"how": "x"}});
    let refused = server.modern_of(&json!({}), "tools/call", must);
    assert_eq!(refused.refusal(), (400, -32021));
    let needed = json!({"requiredCapabilities": {"extensions": {EXTENSION: {}}}});
    assert_eq!(refused.body["error"]["data"], needed);
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let params = json!({"taskId": "task-0", "inputResponses": {}});
        let refused = server.modern_of(&json!({}), method, params);
        assert_eq!(
            (refused.refusal(), &refused.body["error"]["data"]),
            ((400, -32021), &needed)
        );
    }
    for method in ["tasks/result", "tasks/list"] {
        let refused = server.modern_of(&knowing(), method, json!({"taskId": "task-0"}));
        assert_eq!(refused.refusal(), (404, -32601));
    }
}

#[test]
fn failures_are_the_eras_own() {
    let mut server = server();
    let session = session(&mut server);
    let failing = |how: &str| json!({"name": "fail", "arguments": {"how": how}});
    for (at, how, message) in [
        (0, "x", json!("it \"failed\"")),
        (1, "panic", json!("the server failed unexpectedly")),
        (2, "url", Value::Null),
    ] {
        let id = format!("task-{at}");
        let _ = in_session(
            &mut server,
            &session,
            "tools/call",
            as_task(failing(how), json!({})),
        );
        let got = in_session(&mut server, &session, "tasks/get", json!({"taskId": id}));
        assert_eq!(got.body["result"]["status"], "failed");
        if !message.is_null() {
            assert_eq!(got.body["result"]["statusMessage"], message);
        }
        let end = result_of(&mut server, &session, &id);
        match how {
            "x" => assert_eq!(end["result"]["isError"], true),
            "panic" => assert_eq!(end["error"]["code"], -32603),
            _ => assert_eq!(end["error"]["code"], -32042),
        }
    }
    for (at, how, status) in [
        (3, "x", "completed"),
        (4, "panic", "failed"),
        (5, "url", "completed"),
    ] {
        let _ = server.modern_of(&knowing(), "tools/call", failing(how));
        let got = server.modern_of(&knowing(), "tasks/get", json!({"taskId": format!("task-{at}")}));
        let got = &got.body["result"];
        assert_eq!(got["status"], status);
        match how {
            "panic" => {
                assert_eq!(got["error"]["code"], -32603);
                assert_eq!(got["statusMessage"], "the server failed unexpectedly");
            }
            "url" => {
                let text = got["result"]["content"][0]["text"].as_str().unwrap();
                assert!(text.contains("https://example.com/x"), "{text}");
            }
            _ => assert_eq!(
                (&got["result"]["isError"], got.get("statusMessage")),
                (&json!(true), None)
            ),
        }
    }
}

#[test]
fn overload_fails_a_task() {
    let overload = Overload {
        reason: OverloadReason::Draining,
        retry_after: std::time::Duration::from_secs(1),
        queue_depth: 0,
    };
    let ending = TaskEnding::overload(&overload);
    assert_eq!(ending.status, TaskStatus::Failed);
    assert_eq!(ending.message.as_deref(), Some("the server is stopping"));
    for (end, code) in [
        (ending.end, -31503),
        (TaskEnd::cancelled(), -32603),
        (TaskEnd::expired(), -32603),
    ] {
        let TaskEnd::Error(error) = end else {
            panic!("{end:?}")
        };
        let error: Value = serde_json::from_slice(&error).unwrap();
        spec::check(LEGACY, "Error", &error);
        assert_eq!(error["code"], code);
    }
}

#[test]
fn a_legacy_task_speaks_and_names_itself() {
    let mut server = server();
    let session = session(&mut server);
    server.stream.answers.push_back(Ok(ann()));
    let mut params = as_task(json!({"name": "greet"}), json!({}));
    params["_meta"] = json!({"progressToken": "p"});
    let _ = in_session(&mut server, &session, "tools/call", params);
    let methods: Vec<&str> = server
        .stream
        .said
        .iter()
        .map(|said| said["method"].as_str().unwrap())
        .collect();
    let expected = [
        "notifications/progress",
        "notifications/message",
        "elicitation/create",
        "notifications/elicitation/complete",
    ];
    assert_eq!(methods, expected);
    for said in &server.stream.said {
        assert_eq!(
            said["params"]["_meta"],
            json!({RELATED: {"taskId": "task-0"}}),
            "{said}"
        );
    }
    let end = result_of(&mut server, &session, "task-0");
    assert_eq!(end["result"]["content"][0]["text"], "Hello, Ann!");
    // What it asked is held in the same words.
    let (key, held) = &server.stream.task_questions[0];
    assert_eq!(
        (key.as_str(), &held["method"]),
        ("user_name", &json!("elicitation/create"))
    );
}

#[test]
fn a_modern_task_asks_and_says_nothing_else() {
    let mut server = server();
    server.stream.answers.push_back(Ok(ann()));
    let mut body: Value = serde_json::from_str(&modern_body("tools/call", json!({"name": "greet"}))).unwrap();
    body["params"]["_meta"][format!("{META}clientCapabilities")] = knowing();
    body["params"]["_meta"][format!("{META}logLevel")] = json!("debug");
    body["params"]["_meta"]["progressToken"] = json!(1);
    let headers = modern_headers("tools/call", "greet");
    let made = server.post(Revision::V2026_07_28, &headers, body.to_string());
    assert_eq!(made.body["result"]["resultType"], "task");
    assert!(server.stream.said.is_empty());
    let (key, question) = server.stream.task_questions.pop().unwrap();
    assert_eq!(key, "user_name");
    let done = server.modern_of(&knowing(), "tasks/get", json!({"taskId": "task-0"}));
    assert_eq!(done.body["result"]["result"]["content"][0]["text"], "Hello, Ann!");
    // While it waited, it looked like this.
    server.state.change_task("task-0", |task| {
        task.status = TaskStatus::InputRequired;
        let held: Arc<[u8]> = question.to_string().into_bytes().into();
        task.questions = vec![("user_name".into(), Arc::clone(&held)), ("again".into(), held)];
    });
    let got = server.modern_of(&knowing(), "tasks/get", json!({"taskId": "task-0"}));
    assert_eq!(
        got.body["result"]["inputRequests"],
        json!({"user_name": question, "again": question})
    );
    let responses = json!({"user_name": ann(), "unasked": {"ignored": true}});
    let params = json!({"taskId": "task-0", "inputResponses": responses});
    assert_eq!(server.modern_of(&knowing(), "tasks/update", params).status, 200);
    let answered = |key: &str, answer: Value| ("task-0".to_owned(), key.to_owned(), answer);
    assert_eq!(
        server.state.task_answers.take(),
        [
            answered("user_name", ann()),
            answered("unasked", json!({"ignored": true}))
        ]
    );
    for responses in [json!(null), json!([]), json!({"user_name": 1})] {
        let params = json!({"taskId": "task-0", "inputResponses": responses});
        assert_eq!(
            server.modern_of(&knowing(), "tasks/update", params).refusal(),
            (200, -32602)
        );
    }
    // A client that cannot be asked has a task that fails.
    let mute = json!({"extensions": {EXTENSION: {}}});
    let _ = server.modern_of(&mute, "tools/call", json!({"name": "greet"}));
    let got = server.modern_of(&mute, "tasks/get", json!({"taskId": "task-1"}));
    assert_eq!(got.body["result"]["error"]["code"], -32021);
}

#[test]
fn what_is_asked_first_comes_before_the_task() {
    let mut server = server();
    let params = json!({"name": "ask_first", "arguments": {}});
    let first = server.modern_of(&knowing(), "tools/call", params.clone());
    let result = &first.body["result"];
    assert_eq!(
        (&result["resultType"], result.get("taskId")),
        (&json!("input_required"), None)
    );
    let mut again = params.clone();
    again["inputResponses"] = json!({"user_name": ann()});
    again["requestState"] = result["requestState"].clone();
    let made = server.modern_of(&knowing(), "tools/call", again);
    assert_eq!(made.body["result"]["resultType"], "task");
    let id = made.body["result"]["taskId"].clone();
    let got = server.modern_of(&knowing(), "tasks/get", json!({"taskId": id}));
    assert_eq!(got.body["result"]["result"]["content"][0]["text"], "Hello, Ann!");
    // Who cannot be asked learns so at once.
    let mute = json!({"extensions": {EXTENSION: {}}});
    assert_eq!(
        server.modern_of(&mute, "tools/call", params.clone()).refusal(),
        (400, -32021)
    );
    // A legacy task asks for itself.
    let session = session(&mut server);
    server.stream.answers.push_back(Ok(ann()));
    let made = in_session(&mut server, &session, "tools/call", as_task(params, json!({})));
    let id = made.body["result"]["task"]["taskId"].as_str().unwrap().to_owned();
    let end = result_of(&mut server, &session, &id);
    assert_eq!(end["result"]["content"][0]["text"], "Hello, Ann!");
}

#[test]
fn a_task_is_cancelled_once() {
    let mut server = server();
    let session = session(&mut server);
    let _ = in_session(&mut server, &session, "tools/call", as_task(echo(), json!({})));
    let cancel = json!({"taskId": "task-0"});
    assert_eq!(
        in_session(&mut server, &session, "tasks/cancel", cancel.clone()).refusal(),
        (200, -32602)
    );
    let working = |task: &mut TaskView| (task.status, task.end) = (TaskStatus::Working, None);
    server.state.change_task("task-0", working);
    let cancelled = in_session(&mut server, &session, "tasks/cancel", cancel.clone());
    assert_eq!(cancelled.body["result"]["status"], "cancelled");
    assert_eq!(
        result_of(&mut server, &session, "task-0")["error"]["code"],
        -32603
    );
    let _ = server.modern_of(&knowing(), "tools/call", echo());
    let cancel = json!({"taskId": "task-1"});
    server.state.change_task("task-1", working);
    for _ in 0..2 {
        let done = server.modern_of(&knowing(), "tasks/cancel", cancel.clone());
        assert_eq!(done.body["result"]["resultType"], "complete");
        let got = server.modern_of(&knowing(), "tasks/get", cancel.clone());
        assert_eq!(got.body["result"]["status"], "cancelled");
    }
}

#[test]
fn nobody_finds_what_is_not_theirs() {
    let mut server = server();
    let session = session(&mut server);
    let _ = in_session(&mut server, &session, "tools/call", as_task(echo(), json!({})));
    let _ = server.modern_of(&knowing(), "tools/call", echo());
    for id in ["task-1", "x", "", "é"] {
        let params = json!({"taskId": id});
        for method in ["tasks/get", "tasks/cancel"] {
            assert_eq!(
                in_session(&mut server, &session, method, params.clone()).refusal(),
                (200, -32602)
            );
        }
    }
    assert_eq!(
        result_of(&mut server, &session, "task-1")["error"]["code"],
        -32602
    );
    for id in ["task-0", "tasks-conformance-nonexistent-12345"] {
        for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
            let params = json!({"taskId": id, "inputResponses": {}});
            assert_eq!(
                server.modern_of(&knowing(), method, params).refusal(),
                (200, -32602)
            );
        }
    }
    for method in ["tasks/get", "tasks/cancel", "tasks/result"] {
        let unnamed = in_session(&mut server, &session, method, json!({"taskId": 1}));
        assert_eq!(unnamed.refusal(), (200, -32602));
    }
    // Intermediaries route by the header.
    let mut body: Value =
        serde_json::from_str(&modern_body("tasks/get", json!({"taskId": "task-1"}))).unwrap();
    body["params"]["_meta"][format!("{META}clientCapabilities")] = knowing();
    for (method, name, status) in [
        ("tasks/get", "task-1", 200),
        ("tasks/get", "task-0", 400),
        ("tasks/get", "", 400),
        ("tasks/cancel", "task-1", 400),
    ] {
        let headers = modern_headers(method, name);
        let answer = server.post(Revision::V2026_07_28, &headers, body.to_string());
        assert_eq!(answer.status, status, "{method} {name}");
        assert!(status == 200 || answer.code() == -32020);
    }
}

#[test]
fn a_session_lists_its_tasks() {
    let mut server = server();
    let [one, other] = [(); 2].map(|()| session(&mut server));
    let all = 250;
    for _ in 0..all {
        let _ = in_session(&mut server, &one, "tools/call", as_task(echo(), json!({})));
    }
    let _ = in_session(&mut server, &other, "tools/call", as_task(echo(), json!({})));
    let (mut ids, mut params) = (Vec::new(), json!({"cursor": ""}));
    loop {
        let page = in_session(&mut server, &one, "tasks/list", params.clone());
        let tasks = page.body["result"]["tasks"].as_array().unwrap().clone();
        assert!(!tasks.is_empty() && tasks.len() <= 100);
        ids.extend(
            tasks
                .iter()
                .map(|task| task["taskId"].as_str().unwrap().to_owned()),
        );
        match &page.body["result"]["nextCursor"] {
            Value::Null => break,
            next => params["cursor"] = next.clone(),
        }
    }
    let expected: Vec<String> = (0..all).map(|at| format!("task-{at}")).collect();
    assert_eq!(ids, expected);
    let listed = in_session(&mut server, &other, "tasks/list", json!({}));
    assert_eq!(listed.body["result"]["tasks"].as_array().unwrap().len(), 1);
    for cursor in [json!("p0"), json!(1), json!("task-9999")] {
        let refused = in_session(&mut server, &one, "tasks/list", json!({"cursor": cursor}));
        assert_eq!(refused.refusal(), (200, -32602));
    }
}

#[test]
fn changes_are_told_in_the_words_of_the_era() {
    let mut server = server();
    let session = session(&mut server);
    let _ = in_session(
        &mut server,
        &session,
        "tools/call",
        as_task(echo(), json!({"ttl": 5})),
    );
    let _ = server.modern_of(&knowing(), "tools/call", echo());
    let tasks: Vec<TaskView> = server
        .state
        .tasks
        .borrow()
        .iter()
        .map(|(_, task)| task.clone())
        .collect();
    let mut out = b"HEAD".to_vec();
    let _ = write_task_notification(&tasks[0], &mut out);
    let told: Value = serde_json::from_slice(&out[4..]).unwrap();
    spec::validate_said(LEGACY, &told);
    assert_eq!(
        (&told["params"]["status"], told["params"].get("_meta")),
        (&json!("completed"), None)
    );
    out.truncate(4);
    let place = write_task_notification(&tasks[1], &mut out);
    let mut heard = Vec::new();
    place.write(&out[4..], Some(&crate::jsonrpc::Id::Signed(7).into()), &mut heard);
    let told: Value = serde_json::from_slice(&heard).unwrap();
    spec::validate_said(Revision::V2026_07_28, &told);
    let subscription = json!({"io.modelcontextprotocol/subscriptionId": 7});
    assert_eq!(told["params"]["_meta"], subscription);
    assert_eq!(told["params"]["result"]["content"][0]["text"], "hi");
}

#[test]
fn whoever_listens_names_tasks_of_theirs() {
    let mut server = server();
    let session = session(&mut server);
    let _ = in_session(&mut server, &session, "tools/call", as_task(echo(), json!({})));
    let _ = server.modern_of(&knowing(), "tools/call", echo());
    let wanted = json!({"notifications": {"taskIds": ["task-1", "task-0", "x", "task-1"]}});
    let heard = server.modern_of(&knowing(), "subscriptions/listen", wanted.clone());
    assert_eq!(
        heard.body["params"]["notifications"],
        json!({"taskIds": ["task-1"]})
    );
    let refused = server.modern_of(&json!({}), "subscriptions/listen", wanted.clone());
    assert_eq!(refused.refusal(), (400, -32021));
    let many = vec!["task-1"; LISTEN_TASKS_MAX + 1];
    for ids in [json!("task-1"), json!([1]), json!(many)] {
        let wanted = json!({"notifications": {"taskIds": ids}});
        let refused = server.modern_of(&knowing(), "subscriptions/listen", wanted);
        assert_eq!(refused.refusal(), (200, -32602));
    }
    // A server without tasks ignores what it does not know.
    let heard = Server::new().modern_of(&json!({}), "subscriptions/listen", wanted);
    assert_eq!(heard.body["params"]["notifications"], json!({}));
}
