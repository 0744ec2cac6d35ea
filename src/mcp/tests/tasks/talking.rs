//! The messages and questions of a task while it runs.

use super::*;

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
    // The task holds its question in the same words.
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
    // The task looked like this while it waited.
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
    // A client that cannot be asked learns so at once.
    let mute = json!({"extensions": {EXTENSION: {}}});
    assert_eq!(
        server.modern_of(&mute, "tools/call", params.clone()).refusal(),
        (400, -32021)
    );
    // A legacy task sends its questions itself.
    let session = session(&mut server);
    server.stream.answers.push_back(Ok(ann()));
    let made = in_session(&mut server, &session, "tools/call", as_task(params, json!({})));
    let id = made.body["result"]["task"]["taskId"].as_str().unwrap().to_owned();
    let end = result_of(&mut server, &session, &id);
    assert_eq!(end["result"]["content"][0]["text"], "Hello, Ann!");
}
