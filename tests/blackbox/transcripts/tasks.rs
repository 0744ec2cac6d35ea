//! Work that outlives its request: the client asks for it in 2025-11-25, and the server decides since 2026-07-28.

use serde_json::{Value, json};

use super::Feature;
use crate::harness::{Conversation, eventually_some, subscription_of, text_of};

const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;

/// The declaration of a client that knows tasks (2026-07-28).
const EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// The member that names the task of a message (2025-11-25).
const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";
/// The notification of a status, which the server may send but need not (2025-11-25).
const STATUS: &str = "notifications/tasks/status";

/// Calls a tool whose call becomes a task; returns the task's id.
fn begin(conversation: &mut Conversation, tool: &str, arguments: Value) -> String {
    let mut params = json!({"name": tool, "arguments": arguments});
    if conversation.is_modern() {
        conversation.dialect.capabilities["extensions"] = json!({EXTENSION: {}});
    } else {
        params["task"] = json!({"ttl": 60_000});
    }
    let created = ask(conversation, "tools/call", params);
    let task = if conversation.is_modern() {
        &created
    } else {
        &created["task"]
    };
    task["taskId"]
        .as_str()
        .unwrap_or_else(|| panic!("no task: {created}"))
        .to_owned()
}

/// The next message other than notifications of a status.
fn message(conversation: &mut Conversation) -> Value {
    loop {
        let message = conversation.message();
        if message["method"] != STATUS {
            return message;
        }
    }
}

/// The answer to a request; notifications of statuses are skipped.
fn answer(conversation: &mut Conversation, id: &Value) -> Value {
    let answer = message(conversation);
    assert!(answer.get("method").is_none() && answer["id"] == *id, "{answer}");
    answer
}

fn ask(conversation: &mut Conversation, method: &str, params: Value) -> Value {
    let id = conversation.send(method, params);
    let mut answer = answer(conversation, &id);
    assert!(answer.get("result").is_some(), "{answer}");
    answer["result"].take()
}

fn refuse(conversation: &mut Conversation, method: &str, task: &str, code: i64) {
    let id = conversation.send(method, json!({"taskId": task}));
    let answer = answer(conversation, &id);
    assert_eq!(answer["error"]["code"], code, "{answer}");
}

/// The task once it has this status.
fn wait_for(conversation: &mut Conversation, task: &str, status: &str) -> Value {
    eventually_some("the task is there", || {
        let seen = ask(conversation, "tasks/get", json!({"taskId": task}));
        assert_eq!(seen["taskId"], task, "{seen}");
        (seen["status"] == status).then_some(seen)
    })
}

/// The result of the call of an ended task: an answer without its id.
fn outcome(conversation: &mut Conversation, task: &str, status: &str) -> Value {
    let seen = wait_for(conversation, task, status);
    if conversation.is_modern() {
        return seen;
    }
    // It can be asked for any number of times.
    let [first, second] = [(); 2].map(|()| {
        let id = conversation.send("tasks/result", json!({"taskId": task}));
        let mut answer = answer(conversation, &id);
        answer["id"].take();
        answer
    });
    assert_eq!(first, second);
    if first.get("result").is_some() {
        assert_eq!(first["result"]["_meta"][RELATED_TASK]["taskId"], task, "{first}");
    }
    first
}

/// Agrees to every question.
fn agree(form: &Value) -> Value {
    let properties = form["requestedSchema"]["properties"].as_object().unwrap();
    let content: serde_json::Map<String, Value> = properties
        .iter()
        .map(|(name, schema)| match schema["type"].as_str() {
            Some("boolean") => (name.clone(), json!(true)),
            _ => (name.clone(), json!("yes")),
        })
        .collect();
    json!({"action": "accept", "content": content})
}

#[test]
fn tasks_come_to_results() {
    Feature::Tasks.run(|conversation| {
        let task = begin(
            conversation,
            "slow_compute",
            json!({"seconds": 0, "label": "quick"}),
        );
        let outcome = outcome(conversation, &task, "completed");
        assert!(!text_of(&outcome["result"]).is_empty(), "{outcome}");
    });
}

#[test]
fn tasks_come_to_errors() {
    Feature::Tasks.run(|conversation| {
        let task = begin(conversation, "protocol_error_job", json!({}));
        let outcome = outcome(conversation, &task, "failed");
        // The text of an error that the older era has for models, and the newer for programs.
        if conversation.is_modern() {
            assert!(outcome["error"]["code"].is_i64(), "{outcome}")
        } else {
            assert_eq!(outcome["result"]["isError"], true, "{outcome}")
        }
    });
}

#[test]
fn tasks_are_cancelled() {
    Feature::Tasks.run(|conversation| {
        let task = begin(
            conversation,
            "slow_compute",
            json!({"seconds": 60, "label": "slow"}),
        );
        wait_for(conversation, &task, "working");
        ask(conversation, "tasks/cancel", json!({"taskId": task}));
        wait_for(conversation, &task, "cancelled");
        // A second cancellation is an error in one era and as good as the first in the other.
        if conversation.is_modern() {
            drop(ask(conversation, "tasks/cancel", json!({"taskId": task})))
        } else {
            refuse(conversation, "tasks/cancel", &task, INVALID_PARAMS)
        }
    });
}

#[test]
fn tasks_ask() {
    Feature::Tasks.run(|conversation| {
        let task = begin(conversation, "confirm_delete", json!({"filename": "a.txt"}));
        if conversation.is_modern() {
            let seen = wait_for(conversation, &task, "input_required");
            let requests = seen["inputRequests"].as_object().unwrap();
            let answers: serde_json::Map<String, Value> = requests
                .iter()
                .map(|(key, request)| (key.clone(), agree(&request["params"])))
                .collect();
            assert_eq!(answers.len(), 1, "{seen}");
            let update = json!({"taskId": task, "inputResponses": answers});
            ask(conversation, "tasks/update", update);
            let seen = wait_for(conversation, &task, "completed");
            assert!(text_of(&seen["result"]).contains("a.txt"), "{seen}");
            return;
        }
        let awaiting = conversation.send("tasks/result", json!({"taskId": task}));
        let question = message(conversation);
        assert_eq!(question["method"], "elicitation/create", "{question}");
        assert_eq!(
            question["params"]["_meta"][RELATED_TASK]["taskId"], task,
            "{question}"
        );
        conversation.respond(&question["id"], &agree(&question["params"]));
        let answer = answer(conversation, &awaiting);
        assert!(text_of(&answer["result"]).contains("a.txt"), "{answer}");
        wait_for(conversation, &task, "completed");
    });
}

#[test]
fn tasks_are_their_clients_own() {
    Feature::Tasks.run(|conversation| {
        let task = begin(
            conversation,
            "slow_compute",
            json!({"seconds": 0, "label": "own"}),
        );
        wait_for(conversation, &task, "completed");
        for unknown in ["no-such-task", "", &task[1..]] {
            refuse(conversation, "tasks/get", unknown, INVALID_PARAMS);
            refuse(conversation, "tasks/cancel", unknown, INVALID_PARAMS);
        }
        if conversation.is_modern() {
            refuse(conversation, "tasks/list", &task, METHOD_NOT_FOUND);
            refuse(conversation, "tasks/result", &task, METHOD_NOT_FOUND);
            return;
        }
        refuse(conversation, "tasks/result", "no-such-task", INVALID_PARAMS);
        let listed = ask(conversation, "tasks/list", json!({}));
        let tasks = listed["tasks"].as_array().unwrap();
        assert!(
            tasks.iter().any(|listed| listed["taskId"] == task.as_str()),
            "{listed}"
        );
    });
}

#[test]
fn tasks_are_told_of() {
    Feature::TasksToldOf.run(|conversation| {
        let task = begin(
            conversation,
            "slow_compute",
            json!({"seconds": 60, "label": "told of"}),
        );
        let asked = json!({"notifications": {"taskIds": [task]}});
        let listening = conversation.send("subscriptions/listen", asked);
        conversation.notification("notifications/subscriptions/acknowledged");
        let cancelling = conversation.send("tasks/cancel", json!({"taskId": task}));
        let mut is_acknowledged = false;
        let mut is_told = false;
        while !(is_acknowledged && is_told) {
            let message = conversation.message();
            if message["id"] == cancelling {
                is_acknowledged = true;
                continue;
            }
            assert_eq!(message["method"], "notifications/tasks", "{message}");
            assert_eq!(message["params"]["taskId"], task.as_str(), "{message}");
            assert_eq!(*subscription_of(&message["params"]), listening, "{message}");
            is_told |= message["params"]["status"] == "cancelled";
        }
        conversation.cancel(&listening);
    });
}
