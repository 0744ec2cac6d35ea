//! Which calls become tasks, and where tasks are declared.

use super::*;

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
    // `null` asks for no task.
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
    // A client that asks for a task never gets a result in its stead.
    let wrong = json!({"name": "fail", "arguments": {}});
    let refused = in_session(&mut server, &session, "tools/call", as_task(wrong, json!({})));
    assert_eq!(refused.refusal(), (200, -32602));
    // Older revisions do not know the parameter.
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
    // Without the extension the same tool waits; a tool that cannot be a task is none, whatever is asked for.
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
