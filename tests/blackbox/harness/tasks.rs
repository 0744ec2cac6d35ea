//! Checks of tasks since 2026-07-28: an extension whose schema is not among the specification's.

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::specification::assert_conforms;

/// Fails unless this is a task with the members that belong to its status, and no others (SEP-2663).
pub(super) fn check(task: &Value) {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    assert_conforms(SCHEMA.get_or_init(schema), task);
    let is_created = task["resultType"] == "task";
    for (member, status) in [
        ("inputRequests", "input_required"),
        ("result", "completed"),
        ("error", "failed"),
    ] {
        let belongs = task["status"] == status && !is_created;
        assert_eq!(task.get(member).is_some(), belongs, "{task}");
    }
    for gone in ["task", "ttl", "pollInterval", "requestState"] {
        assert!(task.get(gone).is_none(), "{gone}: {task}");
    }
}

fn schema() -> Value {
    let timestamp =
        json!({"type": "string", "pattern": "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?Z$"});
    let statuses = ["working", "input_required", "completed", "failed", "cancelled"];
    json!({
        "type": "object",
        "required": ["taskId", "status", "createdAt", "lastUpdatedAt", "ttlMs"],
        "properties": {
            "resultType": {"enum": ["task", "complete"]},
            "taskId": {"type": "string", "minLength": 1},
            "status": {"enum": statuses},
            "statusMessage": {"type": "string"},
            "createdAt": timestamp,
            "lastUpdatedAt": timestamp,
            "ttlMs": {"type": ["integer", "null"], "minimum": 0},
            "pollIntervalMs": {"type": "integer", "minimum": 1},
            "inputRequests": {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {"type": "object", "required": ["method", "params"]},
            },
            "result": {"type": "object"},
            "error": {"type": "object", "required": ["code", "message"]},
        },
    })
}
