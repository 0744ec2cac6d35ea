//! Questions to the client in the middle of a call, on the connection the call came on.

use serde_json::{Value, json};

use crate::harness::{Dialect, Revision, Server, Shared, WebSocket, assert_at_rest, case, eventually};

fn able(dialect: Dialect) -> Dialect {
    dialect.able(json!({"elicitation": {}}))
}

fn open(server: &Server, dialect: &Dialect) -> WebSocket {
    let mut socket = server.open_websocket();
    socket.open_session(dialect);
    socket
}

fn accept(text: &str) -> Value {
    json!({"action": "accept", "content": {"answer": text}})
}

#[track_caller]
fn text_of(answer: &Value) -> &str {
    assert_ne!(answer["result"]["isError"], true, "{answer}");
    answer["result"]["content"][0]["text"].as_str().unwrap()
}

#[test]
fn a_legacy_call_asks_and_goes_on_with_the_answer() {
    let server = Shared::usual();
    for revision in [Revision("2025-06-18"), Revision::NEWEST_LEGACY] {
        let _case = case(revision.0);
        let dialect = able(Dialect::legacy(revision));
        let mut socket = open(&server, &dialect);
        // Two questions at once are answered in the other order.
        let mut questions = Vec::new();
        for id in ["one", "two"] {
            socket.send(&dialect.tool(id, "ask", json!({"question": format!("Which, {id}?")})));
            let (question, params) = socket.question("elicitation/create");
            assert!(params["message"].as_str().unwrap().contains(id), "{params}");
            questions.push((id, question));
        }
        for (id, question) in questions.iter().rev() {
            socket.send(&dialect.response(question, &accept(&format!("colour-{id}"))));
            let answer = socket.answer(*id);
            assert!(text_of(&answer).contains(&format!("colour-{id}")), "{answer}");
        }
        let (_, answered) = &questions[0];
        // The second answer finds no question.
        socket.send(&dialect.response(answered, &accept("late")));
        socket.ask(&dialect.echo("next", "x"));
        socket.close(1000);
    }
}

#[test]
fn a_modern_call_asks_by_its_result_and_is_asked_again() {
    let server = Shared::usual();
    let dialect = able(Dialect::modern());
    let mut socket = server.open_websocket();
    let call = |id: &str, more: Value| {
        let mut params = json!({"name": "ask", "arguments": {"question": "Which?"}});
        if let Value::Object(more) = more {
            more.into_iter().for_each(|(name, value)| params[name] = value);
        }
        dialect.request(id, "tools/call", params)
    };
    let asked = socket.ask(&call("first", json!({})));
    let result = &asked["result"];
    assert_eq!(result["resultType"], "input_required", "{asked}");
    let (key, _) = result["inputRequests"]
        .as_object()
        .unwrap()
        .iter()
        .next()
        .unwrap();
    let more = json!({"inputResponses": {key: accept("teal")}, "requestState": result["requestState"]});
    let answer = socket.ask(&call("second", more));
    assert!(text_of(&answer).contains("teal"), "{answer}");
    socket.close(1000);
}

#[test]
fn a_call_that_waits_for_its_client_holds_no_handler() {
    let server = Server::start(&["--pool-size", "1"]);
    let dialect = able(Dialect::legacy(Revision::NEWEST_LEGACY));
    let mut socket = open(&server, &dialect);
    socket.send(&dialect.tool("asks", "ask", json!({"question": "Which?"})));
    let (question, _) = socket.question("elicitation/create");
    eventually("its handler is free", || server.busy_handlers() == 0);
    socket.ask(&dialect.echo("meanwhile", "x"));
    socket.send(&dialect.response(&question, &accept("green")));
    assert!(text_of(&socket.answer("asks")).contains("green"));
    // A client leaves instead of answering.
    socket.send(&dialect.tool("asks", "ask", json!({"question": "Which?"})));
    socket.question("elicitation/create");
    socket.reset();
    assert_at_rest(&server);
}

#[test]
fn nobody_answers_for_another_connection() {
    let server = Shared::usual();
    let dialect = able(Dialect::legacy(Revision::NEWEST_LEGACY));
    let (mut asked, mut stranger) = (open(&server, &dialect), open(&server, &dialect));
    asked.send(&dialect.tool("asks", "ask", json!({"question": "Which?"})));
    let (question, _) = asked.question("elicitation/create");
    stranger.send(&dialect.response(&question, &accept("forged")));
    stranger.ask(&dialect.echo("stranger", "x"));
    asked.send(&dialect.response(&question, &accept("own")));
    assert!(text_of(&asked.answer("asks")).contains("own"));
    asked.close(1000);
    stranger.close(1000);
}

#[test]
fn a_cancelled_question_is_over() {
    let server = Server::start(&["--pool-size", "1"]);
    let dialect = able(Dialect::legacy(Revision::NEWEST_LEGACY));
    let mut socket = open(&server, &dialect);
    socket.send(&dialect.tool("asks", "ask", json!({"question": "Which?"})));
    let (question, _) = socket.question("elicitation/create");
    socket.send(&dialect.cancelled("asks"));
    socket.send(&dialect.response(&question, &accept("late")));
    socket.send(&dialect.echo("next", "x"));
    loop {
        let message = socket.message();
        if message.get("method").is_none() {
            assert_eq!(message["id"], "next", "{message}");
            break;
        }
        // The server may withdraw the question.
        assert_eq!(message["method"], "notifications/cancelled", "{message}");
    }
    socket.close(1000);
    assert_at_rest(&server);
}
