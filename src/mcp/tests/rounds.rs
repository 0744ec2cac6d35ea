//! Questions in the modern era: a call's answer asks, and the same call goes on with answers.

use super::*;
use crate::registry::{Elicit, ElicitAnswer, ListRoots, Prompt, Property, Resource, Role, Sample};

#[derive(Deserialize, JsonSchema)]
struct Interview {
    topic: String,
}

fn name() -> Elicit {
    Elicit::form("Your name?").property("name", Property::string())
}

async fn greet(context: CallContext) -> Result<String, ToolError> {
    match context.ask("user_name", name()).await? {
        ElicitAnswer::Accept(content) => Ok(format!(
            "Hello, {}!",
            content["name"].as_str().unwrap_or_default()
        )),
        ElicitAnswer::Decline | ElicitAnswer::Cancel => Ok("Hello, whoever you are!".to_owned()),
    }
}

fn registry() -> Registry {
    let mut registry = Registry::builder();
    registry
        .add(
            Tool::new("interview").run(|context: CallContext, arguments: Interview| async move {
                let greeting = greet(context.clone()).await?;
                let question = Sample::new(10).message(Role::User, arguments.topic);
                let said = context.ask("model", question).await?.text();
                Ok(format!("{greeting} {said}"))
            }),
        )
        .unwrap()
        .add(
            Tool::new("both").run(|context: CallContext, _: NoArguments| async move {
                let (name, roots) = (context.ask("name", name()), context.ask("roots", ListRoots));
                let (_, roots) = (name.await?, roots.await?);
                Ok(roots.len().to_string())
            }),
        )
        .unwrap()
        .add(
            Tool::new("sample").run(|context: CallContext, _: NoArguments| async move {
                let question = Sample::new(10).message(Role::User, "hi");
                Ok(context.ask("model", question).await?.text())
            }),
        )
        .unwrap()
        .add(Resource::new("demo://greeting", "greeting").read(greet))
        .unwrap()
        .add(Prompt::new("greeting").run(|context: CallContext, _: NoArguments| greet(context)))
        .unwrap();
    registry.build()
}

fn server() -> Server {
    Server::with(registry(), Options::default())
}

fn all() -> Value {
    json!({"elicitation": {}, "sampling": {}, "roots": {}})
}

fn ann() -> Value {
    json!({"action": "accept", "content": {"name": "Ann"}})
}

fn spoken() -> Value {
    json!({"role": "assistant", "content": {"type": "text", "text": "Yes."}, "model": "m"})
}

fn interview() -> Value {
    json!({"name": "interview", "arguments": {"topic": "tea"}})
}

/// The same request with answers.
fn with(mut params: Value, responses: Value, state: &Value) -> Value {
    params["inputResponses"] = responses;
    params["requestState"] = state.clone();
    params
}

/// The keys of the questions, and the state.
fn asked(answer: &Answer) -> (Vec<String>, Value) {
    let result = &answer.body["result"];
    assert_eq!(
        (answer.status, &result["resultType"]),
        (200, &json!("input_required")),
        "{answer:?}"
    );
    let keys = result["inputRequests"].as_object().unwrap().keys().cloned();
    (keys.collect(), result["requestState"].clone())
}

#[test]
fn answers_add_up_over_rounds() {
    let mut server = server();
    let first = server.modern_of(&all(), "tools/call", interview());
    let (keys, state) = asked(&first);
    assert_eq!(keys, ["user_name"]);
    let question = &first.body["result"]["inputRequests"]["user_name"];
    assert_eq!(
        (&question["method"], &question["params"]["message"]),
        (&json!("elicitation/create"), &json!("Your name?"))
    );

    let params = with(interview(), json!({"user_name": ann(), "unasked": {}}), &state);
    let (keys, next) = asked(&server.modern_of(&all(), "tools/call", params));
    assert_eq!(keys, ["model"]);
    assert_ne!(next, state);

    let params = with(interview(), json!({"model": spoken()}), &next);
    let last = server.modern_of(&all(), "tools/call", params);
    assert_eq!(last.text(), "Hello, Ann! Yes.");
    assert_eq!(last.body["result"]["resultType"], "complete");
    // A state may be used again, because the answer may have been lost.
    let params = with(interview(), json!({"model": spoken()}), &next);
    assert_eq!(
        server.modern_of(&all(), "tools/call", params).text(),
        "Hello, Ann! Yes."
    );
}

#[test]
fn several_questions_go_out_together() {
    let mut server = server();
    let params = json!({"name": "both"});
    let (keys, state) = asked(&server.modern_of(&all(), "tools/call", params.clone()));
    assert_eq!(keys, ["name", "roots"]);
    let some = with(params.clone(), json!({"roots": {"roots": []}}), &state);
    let (keys, state) = asked(&server.modern_of(&all(), "tools/call", some));
    assert_eq!(keys, ["name"]);
    let rest = with(params, json!({"name": {"action": "cancel"}}), &state);
    assert_eq!(server.modern_of(&all(), "tools/call", rest).text(), "0");
}

#[test]
fn prompts_and_resources_ask_too() {
    let mut server = server();
    for (method, params) in [
        ("prompts/get", json!({"name": "greeting"})),
        ("resources/read", json!({"uri": "demo://greeting"})),
    ] {
        let (keys, state) = asked(&server.modern_of(&all(), method, params.clone()));
        assert_eq!(keys, ["user_name"]);
        let answer = server.modern_of(&all(), method, with(params, json!({"user_name": ann()}), &state));
        assert!(
            answer.body["result"].to_string().contains("Hello, Ann!"),
            "{answer:?}"
        );
    }
}

#[test]
fn lists_never_ask() {
    let mut server = server();
    for method in [
        "tools/list",
        "resources/list",
        "resources/templates/list",
        "prompts/list",
    ] {
        let params = with(json!({}), json!({"user_name": ann()}), &json!("sealed-0"));
        let answer = server.modern_of(&all(), method, params);
        assert_eq!(answer.body["result"]["resultType"], "complete", "{method}");
    }
}

#[test]
fn without_the_right_answer_it_asks_again() {
    let mut server = server();
    let (_, state) = asked(&server.modern_of(&all(), "tools/call", interview()));
    for responses in [json!({}), json!({"wrong": ann()})] {
        let (keys, _) = asked(&server.modern_of(&all(), "tools/call", with(interview(), responses, &state)));
        assert_eq!(keys, ["user_name"]);
    }
    // Answers need no state: the request says which call they are given to.
    let mut params = interview();
    params["inputResponses"] = json!({"user_name": ann()});
    let (keys, _) = asked(&server.modern_of(&all(), "tools/call", params));
    assert_eq!(keys, ["model"]);
}

#[test]
fn answers_that_cannot_be_any_are_refused() {
    let mut server = server();
    let (_, state) = asked(&server.modern_of(&all(), "tools/call", interview()));
    for responses in [
        json!([]),
        json!("x"),
        json!({"user_name": 12345}),
        json!({"user_name": null}),
        json!({"user_name": {"action": "shrug"}}),
        json!({"user_name": {"action": "accept", "content": {"name": 5}}}),
    ] {
        let answer = server.modern_of(&all(), "tools/call", with(interview(), responses.clone(), &state));
        assert_eq!(answer.refusal(), (200, -32602), "{responses}");
    }
}

/// Some clients write members that others leave out.
#[test]
fn null_is_no_answer_and_no_state() {
    let mut server = server();
    let first = with(interview(), Value::Null, &Value::Null);
    let (keys, _) = asked(&server.modern_of(&all(), "tools/call", first));
    assert_eq!(keys, ["user_name"]);
    let (keys, _) = asked(&server.modern_of(
        &all(),
        "tools/call",
        with(interview(), json!({"user_name": ann()}), &Value::Null),
    ));
    assert_eq!(keys, ["model"]);
}

#[test]
fn a_state_is_for_its_own_request() {
    let mut server = server();
    let (_, state) = asked(&server.modern_of(&all(), "tools/call", interview()));
    let answers = || json!({"user_name": ann()});
    for other in [
        json!("sealed-9"),
        json!(""),
        json!("x".repeat(5000)),
        json!(1),
        json!({}),
    ] {
        let answer = server.modern_of(&all(), "tools/call", with(interview(), answers(), &other));
        assert_eq!(answer.refusal(), (200, -32602), "{other}");
    }
    for (method, params) in [
        (
            "tools/call",
            json!({"name": "interview", "arguments": {"topic": "coffee"}}),
        ),
        (
            "tools/call",
            json!({"name": "interview", "arguments": {"topic": "tea", "more": 1}}),
        ),
        ("tools/call", json!({"name": "both"})),
        ("prompts/get", json!({"name": "greeting"})),
        ("resources/read", json!({"uri": "demo://greeting"})),
    ] {
        let answer = server.modern_of(&all(), method, with(params.clone(), answers(), &state));
        assert_eq!(answer.refusal(), (200, -32602), "{params}");
    }
    // The state belongs to another principal.
    let params = with(interview(), answers(), &state);
    let mut body: Value = serde_json::from_str(&modern_body("tools/call", params)).unwrap();
    body["params"]["_meta"][format!("{META}clientCapabilities")] = all();
    let headers = modern_headers("tools/call", "interview");
    let stranger = RequestContext {
        principal: Principal([1; 16]),
        ..request_context(&headers)
    };
    let mut out = b"HEAD".to_vec();
    let text = body.to_string();
    let step = server.protocol.decode(
        &stranger,
        text.as_bytes(),
        &mut server.scratch,
        &server.state,
        &mut out,
    );
    let Step::Reply(reply) = step else {
        panic!("{step:?}")
    };
    assert_eq!(answer(&reply, &out).refusal(), (200, -32602));
}

#[test]
fn a_state_does_not_last() {
    let mut server = server();
    let (_, state) = asked(&server.modern_of(&all(), "tools/call", interview()));
    let params = || with(interview(), json!({"user_name": ann()}), &state);
    server.now = UnixSeconds(state::SEALED_SECONDS);
    asked(&server.modern_of(&all(), "tools/call", params()));
    server.now = UnixSeconds(state::SEALED_SECONDS + 1);
    assert_eq!(
        server.modern_of(&all(), "tools/call", params()).refusal(),
        (200, -32602)
    );
}

#[test]
fn a_client_is_asked_what_it_declared() {
    let mut server = server();
    let answer = server.modern_of(&json!({}), "tools/call", interview());
    assert_eq!(answer.refusal(), (400, -32021));
    assert_eq!(
        answer.body["error"]["data"]["requiredCapabilities"],
        json!({"elicitation": {"form": {}}})
    );
    for (method, params) in [
        ("prompts/get", json!({"name": "greeting"})),
        ("resources/read", json!({"uri": "demo://greeting"})),
    ] {
        assert_eq!(
            server.modern_of(&json!({}), method, params).refusal(),
            (400, -32021)
        );
    }
    let urls_only = json!({"elicitation": {"url": {}}});
    assert_eq!(
        server.modern_of(&urls_only, "tools/call", interview()).refusal(),
        (400, -32021)
    );
    let sampling = json!({"sampling": {}});
    let answer = server.modern_of(&json!({"roots": {}}), "tools/call", json!({"name": "sample"}));
    assert_eq!(answer.body["error"]["data"]["requiredCapabilities"], sampling);
    let (keys, _) = asked(&server.modern_of(&sampling, "tools/call", json!({"name": "sample"})));
    assert_eq!(keys, ["model"]);
    assert!(server.stream.said.is_empty(), "a modern client gets no requests");
}

#[test]
fn what_cannot_be_sealed_is_our_fault() {
    let mut server = server();
    server.state.cannot_seal.set(true);
    let answer = server.modern_of(&all(), "tools/call", interview());
    assert_eq!(answer.refusal(), (200, -32603));
}
