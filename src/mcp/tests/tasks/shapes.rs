//! The shapes of the extension's results, checked against its text: the schemas of 2026-07-28 do not know it.

use super::*;

/// Panics unless it is a result of the extension.
pub(in crate::mcp::tests) fn validate_result(method: &str, result: &Value) {
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
pub(in crate::mcp::tests) fn validate_detailed(task: &Value) {
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

/// Checks every member by its type, and that there are no others.
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
