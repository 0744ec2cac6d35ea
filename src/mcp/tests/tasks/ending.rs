//! How tasks fail, and how they are cancelled.

use super::*;

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
