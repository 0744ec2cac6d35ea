//! Questions to the client in the middle of a call, in both eras: answered over other connections and shards,
//! refused, answered twice, answered by other clients, and never answered.

use serde_json::{Map, Value, json};

use crate::harness::{
    Client, Dialect, EventStream, Request, Response, Revision, Scratch, Server, Shared, case, connect_to,
    eventually,
};

const INVALID_PARAMS: i64 = -32602;
const MISSING_CAPABILITY: i64 = -32021;

/// A client's answer to the question of this id.
type Answer<'s> = Box<dyn Fn(&Value) -> Request + 's>;

/// A client that can be asked with forms.
fn able(dialect: Dialect) -> Dialect {
    dialect.able(json!({"elicitation": {}}))
}

fn newest() -> Dialect {
    able(Dialect::legacy(Revision::NEWEST_LEGACY))
}

fn modern() -> Dialect {
    able(Dialect::modern())
}

/// A call of `ask`.
fn ask(dialect: &Dialect, id: impl Into<Value>) -> Request {
    dialect.tool(id, "ask", json!({"question": "Which colour?"}))
}

/// An answer that fits the form: `text` in all fields that are text.
#[track_caller]
fn accept(form: &Value, text: &str) -> Value {
    let properties = form["requestedSchema"]["properties"].as_object().unwrap();
    assert!(!properties.is_empty(), "{form}");
    let content: Map<String, Value> = properties
        .iter()
        .map(|(name, schema)| {
            let value = match schema["type"].as_str().unwrap() {
                "string" => json!(text),
                "boolean" => json!(true),
                "integer" | "number" => json!(1),
                other => panic!("{other} in {form}"),
            };
            (name.clone(), value)
        })
        .collect();
    json!({"action": "accept", "content": content})
}

/// Opens the stream of a call that asks, and reads the question.
#[track_caller]
fn open_asking(client: Client, session: &Dialect, id: impl Into<Value>) -> (EventStream, Value, Value) {
    let mut stream = client.open(&ask(session, id));
    let (question, form) = stream.question("elicitation/create");
    assert!(
        form["message"].as_str().unwrap().contains("Which colour?"),
        "{form}"
    );
    (stream, question, form)
}

/// The text of a tool's result inside an answer, which is no error.
#[track_caller]
fn text_of(answer: &Value) -> &str {
    assert_ne!(answer["result"]["isError"], true, "{answer}");
    answer["result"]["content"][0]["text"].as_str().unwrap()
}

#[test]
fn a_legacy_answer_reaches_its_call_from_any_connection_and_shard() {
    let server = Shared::usual();
    for revision in [Revision("2025-06-18"), Revision::NEWEST_LEGACY] {
        let session = server.open_session(&able(Dialect::legacy(revision)));
        for (asks, answers) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let _case = case(format!("{}: asked on {asks}, answered on {answers}", revision.0));
            let (mut stream, question, form) = open_asking(connect_to(&server, asks), &session, "call");
            let answer = session.response(&question, &accept(&form, "ultramarine"));
            connect_to(&server, answers).ask(&answer).assert_status(202);
            let answer = stream.answer("call");
            assert!(text_of(&answer).contains("ultramarine"), "{answer}");
            stream
                .into_client()
                .ask(&session.echo(1, "on"))
                .assert_echo(1, "on");
        }
    }
}

#[test]
fn a_call_that_waits_for_its_client_holds_no_handler() {
    let server = Server::start(&["--pool-size", "1", "--queue-depth", "0"]);
    let session = server.open_session(&newest());
    // These are as many as may wait for one handler.
    let mut calls: Vec<_> = (0..4)
        .map(|id| open_asking(server.connect(), &session, id))
        .collect();
    assert_eq!(server.busy_handlers(), 0);
    server.ask(&session.echo(1, "x")).assert_echo(1, "x");
    // One more cannot be asked, and is told so.
    let mut client = server.connect();
    client.send(&ask(&session, "one more"));
    if client.is_stream_next() {
        let answer = client.receive_stream().answer("one more");
        assert_eq!(answer["result"]["isError"], true, "{answer}");
    } else {
        assert!(client.receive().is_tool_error());
    }
    // The answers come in another order than the questions.
    for (id, (stream, question, form)) in calls.iter_mut().enumerate().rev() {
        let colour = format!("colour-{id}");
        server
            .ask(&session.response(question, &accept(form, &colour)))
            .assert_status(202);
        let answer = stream.answer(id);
        assert!(text_of(&answer).contains(&colour), "{answer}");
    }
    eventually("nothing is left", || server.busy_handlers() == 0);
}

#[test]
fn a_client_may_decline_cancel_or_fail() {
    let server = Shared::usual();
    let session = server.open_session(&newest());
    let answers: [(&str, Answer<'_>); 7] = [
        (
            "declined",
            Box::new(|id| session.response(id, &json!({"action": "decline"}))),
        ),
        (
            "cancelled",
            Box::new(|id| session.response(id, &json!({"action": "cancel"}))),
        ),
        (
            "an error",
            Box::new(|id| session.refusal(id, -1, "the user is away")),
        ),
        (
            "no such method",
            Box::new(|id| session.refusal(id, -32601, "what?")),
        ),
        (
            "no action",
            Box::new(|id| session.response(id, &json!({"content": {"answer": "x"}}))),
        ),
        (
            "an action nobody knows",
            Box::new(|id| session.response(id, &json!({"action": "perhaps"}))),
        ),
        ("empty", Box::new(|id| session.response(id, &json!({})))),
    ];
    for (name, answer) in answers {
        let _case = case(name);
        let (mut stream, question, _) = open_asking(server.connect(), &session, 1);
        server.ask(&answer(&question)).assert_status(202);
        // Whatever the tool makes of it, the call ends, in words or in an error.
        let answered = stream.answer(1);
        let says = answered["result"]["content"][0]["text"].as_str();
        let code = answered["error"]["code"].as_i64();
        assert!(says.is_some() || code.is_some(), "{answered}");
        stream
            .into_client()
            .ask(&session.echo(2, "on"))
            .assert_echo(2, "on");
    }
}

#[test]
fn answers_nobody_asked_for_change_nothing() {
    let server = Shared::usual();
    let session = server.open_session(&newest());
    let stranger = server.open_session(&newest());
    let (mut stream, question, form) = open_asking(server.connect(), &session, 1);
    let good = accept(&form, "true blue");
    let evil = accept(&form, "evil");
    let mut client = server.connect();
    let unasked = [
        json!("unknown"),
        json!(0),
        json!(1),
        json!(-1),
        json!("1"),
        json!(""),
        json!(u64::MAX),
        json!(format!("{}x", question.as_str().unwrap_or("q"))),
    ];
    for id in unasked.iter().filter(|id| **id != question) {
        let _case = case(format!("id {id}"));
        client.ask(&session.response(id, &evil)).assert_status(202);
        client.ask(&session.refusal(id, -1, "no")).assert_status(202);
    }
    // The right id from the wrong session has no effect, and the answer shows nothing.
    client
        .ask(&stranger.response(&question, &evil))
        .assert_status(202);
    client
        .ask(&stranger.refusal(&question, -1, "no"))
        .assert_status(202);
    // This comes without a session, and with one that is unknown.
    let nobody = Dialect {
        session: None,
        ..session.clone()
    };
    client.ask(&nobody.response(&question, &evil));
    let unknown = Dialect {
        session: Some("no-such-session".into()),
        ..session.clone()
    };
    client.ask(&unknown.response(&question, &evil)).assert_status(404);
    client.ask(&session.response(&question, &good)).assert_status(202);
    // The answer comes twice; the second one is ignored.
    client.ask(&session.response(&question, &evil)).assert_status(202);
    let answer = stream.answer(1);
    let said = text_of(&answer);
    assert!(said.contains("true blue") && !said.contains("evil"), "{said}");
    // It is ignored after the call has ended, too.
    client.ask(&session.response(&question, &evil)).assert_status(202);
    client.ask(&session.echo(2, "on")).assert_echo(2, "on");
}

#[test]
fn two_calls_of_one_session_are_never_mixed_up() {
    let server = Shared::usual();
    let session = server.open_session(&newest());
    let mut calls: Vec<_> = (0..20)
        .map(|number| open_asking(connect_to(&server, number % 2), &session, number))
        .collect();
    let mut ids: Vec<String> = calls.iter().map(|(_, id, _)| id.to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), calls.len(), "ids of questions are unique in a session");
    let mut client = server.connect();
    for (number, (_, question, form)) in calls.iter().enumerate() {
        let secret = format!("secret-{number}-");
        client
            .ask(&session.response(question, &accept(form, &secret)))
            .assert_status(202);
    }
    for (number, (stream, ..)) in calls.iter_mut().enumerate() {
        let answer = stream.answer(number);
        assert!(
            text_of(&answer).contains(&format!("secret-{number}-")),
            "{answer}"
        );
    }
}

/// Elicitation came with 2025-06-18; a client says with `initialize` or in its envelope whether it can.
#[test]
fn who_cannot_be_asked_is_not_asked() {
    let server = Shared::usual();
    let incapable = Revision::ALL_LEGACY.map(Dialect::legacy);
    let too_old =
        [Revision("2024-11-05"), Revision("2025-03-26")].map(|revision| able(Dialect::legacy(revision)));
    let other = [newest().able(json!({"sampling": {}, "roots": {}}))];
    for dialect in incapable.into_iter().chain(too_old).chain(other) {
        let _case = case(format!("{} {}", dialect.revision.0, dialect.capabilities));
        let session = server.open_session(&dialect);
        let answer = server.ask(&ask(&session, 1));
        let is_refused = answer.json().get("error").is_some() || answer.is_tool_error();
        assert!(is_refused, "{}", answer.text());
    }
    // Without a session nothing is known of the client.
    let answer = server.ask(&ask(&newest(), 1));
    assert!(answer.json().get("error").is_some() || answer.is_tool_error());
    // This tool asks only by forms.
    let url_only = Dialect::modern().able(json!({"elicitation": {"url": {}}}));
    for dialect in [
        Dialect::modern(),
        Dialect::modern().able(json!({"sampling": {}})),
        url_only,
    ] {
        let _case = case(format!("modern {}", dialect.capabilities));
        let answer = server.ask(&ask(&dialect, 1));
        let error = answer.assert_error(400, MISSING_CAPABILITY, 1);
        assert!(
            error["data"]["requiredCapabilities"]["elicitation"].is_object(),
            "{error}"
        );
    }
}

#[test]
fn a_question_that_is_not_answered_in_time_ends_its_call() {
    let server = Server::start(&["--ask-timeout", "300ms"]);
    let session = server.open_session(&newest());
    let (mut stream, question, form) = open_asking(server.connect(), &session, 1);
    let answer = loop {
        // The server may withdraw its question before the client answers.
        let message = stream.message();
        if message["id"] == 1 {
            break message;
        }
        assert_eq!(message["method"], "notifications/cancelled", "{message}");
        assert_eq!(message["params"]["requestId"], question, "{message}");
    };
    let is_refused = answer.get("error").is_some() || answer["result"]["isError"] == true;
    assert!(is_refused, "{answer}");
    assert_eq!(stream.try_message(), None);
    // This comes too late.
    server
        .ask(&session.response(&question, &accept(&form, "late")))
        .assert_status(202);
    server.ask(&session.echo(2, "on")).assert_echo(2, "on");
}

/// The time a client takes to answer does not count for the call.
#[test]
fn a_question_does_not_use_up_the_calls_time() {
    let server = Server::start(&["--call-timeout", "500ms"]);
    let session = server.open_session(&newest());
    let (mut stream, question, form) = open_asking(server.connect(), &session, 1);
    // Another call begins later and times out first.
    assert!(
        server
            .ask(&session.tool(2, "sleep", json!({"ms": 60_000})))
            .is_tool_error()
    );
    assert!(
        server
            .ask(&session.tool(3, "sleep", json!({"ms": 60_000})))
            .is_tool_error()
    );
    server
        .ask(&session.response(&question, &accept(&form, "patience")))
        .assert_status(202);
    assert!(text_of(&stream.answer(1)).contains("patience"));
}

#[test]
fn a_lost_stream_with_a_question_can_be_resumed_and_answered() {
    let server = Shared::usual();
    for (from, to) in [(0, 1), (1, 0), (0, 0)] {
        let _case = case(format!("from shard {from} to {to}"));
        let session = server.open_session(&newest());
        let (stream, question, form) = open_asking(connect_to(&server, from), &session, 1);
        let last = stream.last_event_id().unwrap();
        stream.reset();
        server
            .ask(&session.response(&question, &accept(&form, "teal")))
            .assert_status(202);
        let mut resumed = connect_to(&server, to).open(&session.resumption(&last));
        assert!(text_of(&resumed.answer(1)).contains("teal"));
    }
}

#[test]
fn deletion_of_the_session_ends_a_waiting_call() {
    let server = Server::start(&["--shards", "2"]);
    let session = server.open_session(&newest());
    let (mut stream, ..) = open_asking(server.connect(), &session, 1);
    let id = session.session.clone().unwrap();
    server
        .ask(&Request::new("DELETE", "/mcp").plus("Mcp-Session-Id", id))
        .assert_status(200);
    while let Ok(Some(_)) = stream.try_frame() {}
    eventually("the call is over", || {
        server.metric("weir_requests_in_flight", &[]) == 0
    });
}

#[test]
fn a_drain_does_not_wait_for_answers_for_ever() {
    let mut server = Server::start(&["--drain-timeout", "1s"]);
    let session = server.open_session(&newest());
    let (mut stream, ..) = open_asking(server.connect(), &session, 1);
    server.signal(rustix::process::Signal::TERM);
    while let Ok(Some(_)) = stream.try_frame() {}
    server.wait();
}

/// The questions of a modern call, by key, and the state to send back.
#[track_caller]
fn input_required(answer: &Response) -> (String, Value, String) {
    let result = answer.result();
    assert_eq!(result["resultType"], "input_required", "{result}");
    let requests = result["inputRequests"].as_object().unwrap();
    assert_eq!(requests.len(), 1, "{result}");
    let (key, request) = requests.iter().next().unwrap();
    assert_eq!(request["method"], "elicitation/create");
    let state = result["requestState"].as_str().unwrap().to_owned();
    (key.clone(), request["params"].clone(), state)
}

/// The retry of a call of `ask` with these answers and this state.
fn retry(
    dialect: &Dialect,
    id: impl Into<Value>,
    question: &str,
    answers: Value,
    state: Option<&str>,
) -> Request {
    let mut params = json!({
        "name": "ask",
        "arguments": {"question": question},
        "inputResponses": answers,
    });
    if let Some(state) = state {
        params["requestState"] = json!(state);
    }
    dialect.request(id, "tools/call", params)
}

#[test]
fn a_modern_call_ends_with_its_questions_and_its_retry_with_the_answer() {
    let server = Shared::usual();
    for (asks, answers) in [(0, 0), (0, 1), (1, 0)] {
        let _case = case(format!("asked on {asks}, answered on {answers}"));
        let (key, form, state) = input_required(&connect_to(&server, asks).ask(&ask(&modern(), 1)));
        assert!(form["message"].as_str().unwrap().contains("Which colour?"));
        let mut client = connect_to(&server, answers);
        let given = json!({&key: accept(&form, "umber")});
        let answered = client.ask(&retry(&modern(), 2, "Which colour?", given, Some(&state)));
        assert_eq!(answered.result()["resultType"], "complete");
        assert!(answered.tool_text().contains("umber"));
        for action in ["decline", "cancel"] {
            let given = json!({&key: {"action": action}});
            let answered = client.ask(&retry(&modern(), 3, "Which colour?", given, Some(&state)));
            assert_eq!(answered.result()["resultType"], "complete");
        }
    }
}

#[test]
fn a_retry_that_answers_something_else_is_asked_again() {
    let server = Shared::usual();
    let (key, form, state) = input_required(&server.ask(&ask(&modern(), 1)));
    for given in [
        json!({}),
        json!({"another": accept(&form, "x")}),
        json!({(key.to_uppercase() + "x"): accept(&form, "x")}),
    ] {
        let _case = case(given.to_string());
        let answered = server.ask(&retry(&modern(), 2, "Which colour?", given, Some(&state)));
        let (again, _, next) = input_required(&answered);
        assert_eq!(again, key);
        // And that question can be answered, too.
        let given = json!({&key: accept(&form, "sepia")});
        let answered = server.ask(&retry(&modern(), 3, "Which colour?", given, Some(&next)));
        assert!(answered.tool_text().contains("sepia"));
    }
    // An answer that nobody asked for is ignored.
    let given = json!({&key: accept(&form, "ochre"), "more": accept(&form, "x")});
    let answered = server.ask(&retry(&modern(), 4, "Which colour?", given, Some(&state)));
    assert!(answered.tool_text().contains("ochre"));
}

#[test]
fn malformed_answers_complete_nothing() {
    let server = Shared::usual();
    let (key, form, state) = input_required(&server.ask(&ask(&modern(), 1)));
    for given in [
        json!(null),
        json!([]),
        json!("x"),
        json!({&key: 12_345}),
        json!({&key: null}),
        json!({&key: "blue"}),
        json!({&key: {}}),
        json!({&key: {"action": "perhaps"}}),
        json!({&key: {"action": "accept", "content": "blue"}}),
    ] {
        let _case = case(given.to_string());
        let answered = server.ask(&retry(&modern(), 2, "Which colour?", given, Some(&state)));
        let answer = answered.json();
        let is_asked_again = answer["result"]["resultType"] == "input_required";
        let is_refused = answer.get("error").is_some() || answer["result"]["isError"] == true;
        assert!(is_asked_again || is_refused, "{answer}");
    }
    let given = json!({&key: accept(&form, "x")});
    for wrong in [json!(5), json!({}), json!([]), json!(true)] {
        let mut params = json!({"name": "ask", "arguments": {"question": "Which colour?"}});
        params["inputResponses"] = given.clone();
        params["requestState"] = wrong;
        let answered = server.ask(&modern().request(3, "tools/call", params));
        assert_eq!(
            answered.json()["error"]["code"],
            INVALID_PARAMS,
            "{}",
            answered.text()
        );
    }
}

#[test]
fn a_state_that_is_not_exactly_what_was_given_is_refused() {
    let server = Shared::usual();
    let (key, form, state) = input_required(&server.ask(&ask(&modern(), 1)));
    let given = json!({&key: accept(&form, "forged")});
    let mut client = server.connect();
    let mut refuse = |state: &str| {
        let _case = case(state.chars().take(200).collect::<String>());
        let answered = client.ask(&retry(&modern(), 2, "Which colour?", given.clone(), Some(state)));
        let error = &answered.json()["error"];
        assert_eq!(error["code"], INVALID_PARAMS, "{}", answered.text());
    };
    for at in 0..state.len() {
        let mut changed = state.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        refuse(&String::from_utf8(changed).unwrap());
    }
    refuse("");
    refuse("x");
    refuse(&state[1..]);
    refuse(&state[..state.len() - 1]);
    refuse(&format!("{state}A"));
    refuse(&format!("{state}="));
    refuse(&format!("{state} "));
    refuse(&state.repeat(2));
    refuse(&"A".repeat(100_000));
    refuse("\u{e9}☃");
}

#[test]
fn a_state_belongs_to_its_request() {
    let server = Shared::usual();
    let (key, form, state) = input_required(&server.ask(&ask(&modern(), 1)));
    let given = json!({&key: accept(&form, "moved")});
    // The same tool is asked something else.
    let other = server.ask(&retry(&modern(), 2, "Which number?", given.clone(), Some(&state)));
    assert_eq!(other.json()["error"]["code"], INVALID_PARAMS, "{}", other.text());
    // Another tool is called, and another method.
    for (method, params) in [
        (
            "tools/call",
            json!({"name": "echo", "arguments": {"question": "Which colour?", "message": "x"}}),
        ),
        ("resources/read", json!({"uri": "demo://about"})),
        (
            "prompts/get",
            json!({"name": "summarize", "arguments": {"text": "x"}}),
        ),
    ] {
        let _case = case(method);
        let mut params = params;
        params["inputResponses"] = given.clone();
        params["requestState"] = json!(state);
        let answered = server.ask(&modern().request(3, method, params));
        assert_eq!(
            answered.json()["error"]["code"],
            INVALID_PARAMS,
            "{}",
            answered.text()
        );
    }
    // The same arguments in other words are the same request.
    let body = retry(&modern(), 4, "Which colour?", given, Some(&state));
    let text = String::from_utf8(body.body.clone()).unwrap();
    let spelled = text.replace("Which colour?", "Which\\u0020colour?");
    assert_ne!(spelled, text);
    let answered = server.ask(&body.with_body(spelled));
    assert!(answered.tool_text().contains("moved"));
}

#[test]
fn a_state_of_another_server_is_refused_unless_it_has_the_key() {
    let folder = Scratch::new("state-keys");
    let key_file = folder.text("key");
    std::fs::write(&key_file, "0123456789abcdef".repeat(4) + "\n").unwrap();
    let [first, second] = [(); 2].map(|()| Server::start(&["--session-key-file", &key_file]));
    let stranger = Server::start(&[]);
    let (key, form, state) = input_required(&first.ask(&ask(&modern(), 1)));
    let given = json!({&key: accept(&form, "shared")});
    let request = retry(&modern(), 2, "Which colour?", given, Some(&state));
    assert!(second.ask(&request).tool_text().contains("shared"));
    let refused = stranger.ask(&request);
    assert_eq!(
        refused.json()["error"]["code"],
        INVALID_PARAMS,
        "{}",
        refused.text()
    );
}

#[test]
fn modern_questions_never_come_as_requests() {
    let server = Shared::usual();
    let mut stream = server.open(&ask(&modern(), 1).with("Accept", "text/event-stream"));
    let answer = stream.answer(1);
    assert_eq!(answer["result"]["resultType"], "input_required");
    // This era has no responses.
    let response = modern().post(&json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
    assert_eq!(server.ask(&response).status, 400);
}
