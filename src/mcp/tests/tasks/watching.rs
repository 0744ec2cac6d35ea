//! Access to tasks, and the announcements of their changes.

use super::*;

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
