//! The specification's own schemas, against which everything is checked that a server sends.
//!
//! The definition that applies follows from what was asked, and from the revision. The texts are part of the library;
//! a program that does not test with it does not contain them, because nothing else refers to them.
#![allow(
    clippy::disallowed_types,
    reason = "compiled once for all threads of a test program"
)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::mcp::{Era, Revision};

/// By [`Revision::index`].
const TEXTS: [&str; 5] = [
    include_str!("../../tests/spec/2024-11-05/schema.json"),
    include_str!("../../tests/spec/2025-03-26/schema.json"),
    include_str!("../../tests/spec/2025-06-18/schema.json"),
    include_str!("../../tests/spec/2025-11-25/schema.json"),
    include_str!("../../tests/spec/2026-07-28/schema.json"),
];

/// A fault of something that a server has sent, as the panic of a test says it.
pub(super) type Fault = String;

/// Checks a notification, or a question, which has an id.
pub(super) fn check_said(revision: Revision, message: &Value) -> Result<(), Fault> {
    let method = message["method"].as_str().unwrap_or_default();
    let is_question = message.get("id").is_some();
    if is_question && revision.era() == Era::Modern {
        return Err(format!(
            "a request of the server's own, which {} does not have: {message}",
            revision.as_str()
        ));
    }
    let envelope = if is_question {
        "JSONRPCRequest"
    } else {
        "JSONRPCNotification"
    };
    check(revision, envelope, message)?;
    let definition = match method {
        "elicitation/create" => "ElicitRequest",
        "sampling/createMessage" => "CreateMessageRequest",
        "roots/list" => "ListRootsRequest",
        "ping" => "PingRequest",
        "notifications/progress" => "ProgressNotification",
        "notifications/message" => "LoggingMessageNotification",
        "notifications/cancelled" => "CancelledNotification",
        "notifications/resources/updated" => "ResourceUpdatedNotification",
        "notifications/resources/list_changed" => "ResourceListChangedNotification",
        "notifications/tools/list_changed" => "ToolListChangedNotification",
        "notifications/prompts/list_changed" => "PromptListChangedNotification",
        "notifications/subscriptions/acknowledged" => "SubscriptionsAcknowledgedNotification",
        "notifications/elicitation/complete" => "ElicitationCompleteNotification",
        "notifications/tasks/status" => "TaskStatusNotification",
        // Of an extension, which has no schema.
        "notifications/tasks" if revision.era() == Era::Modern => return Ok(()),
        _ => return Err(format!("no method that a server uses: {message}")),
    };
    check(revision, definition, message)
}

/// Checks the answer to a request of `method`.
pub(super) fn check_answer(revision: Revision, method: &str, answer: &Value) -> Result<(), Fault> {
    let is_named_so = revision >= Revision::V2025_11_25;
    let Some(result) = answer.get("result") else {
        let envelope = if is_named_so {
            "JSONRPCErrorResponse"
        } else {
            "JSONRPCError"
        };
        return check(revision, envelope, answer);
    };
    let envelope = if is_named_so {
        "JSONRPCResultResponse"
    } else {
        "JSONRPCResponse"
    };
    check(revision, envelope, answer)?;
    match definition_of(method, result) {
        Some(definition) => check(revision, definition, result),
        None => Ok(()),
    }
}

fn definition_of(method: &str, result: &Value) -> Option<&'static str> {
    match result.get("resultType").and_then(Value::as_str) {
        Some("input_required") => return Some("InputRequiredResult"),
        // Of an extension, which has no schema.
        Some("task") => return None,
        Some(_) if method.starts_with("tasks/") => return None,
        _ => {}
    }
    Some(match method {
        "tools/call" if result.get("task").is_some() => "CreateTaskResult",
        "tools/call" | "tasks/result" => "CallToolResult",
        "tools/list" => "ListToolsResult",
        "resources/list" => "ListResourcesResult",
        "resources/templates/list" => "ListResourceTemplatesResult",
        "resources/read" => "ReadResourceResult",
        "prompts/list" => "ListPromptsResult",
        "prompts/get" => "GetPromptResult",
        "completion/complete" => "CompleteResult",
        "initialize" => "InitializeResult",
        "server/discover" => "DiscoverResult",
        "subscriptions/listen" => "SubscriptionsListenResult",
        "tasks/get" => "GetTaskResult",
        "tasks/cancel" => "CancelTaskResult",
        "tasks/list" => "ListTasksResult",
        "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => "EmptyResult",
        _ => return None,
    })
}

/// Checks a structured result against the schema that its tool lists.
pub(super) fn check_by(schema: &Value, value: &Value) -> Result<(), Fault> {
    let validator = jsonschema::options().offline().build(schema);
    let validator = validator.map_err(|error| format!("the output schema cannot be used: {error}"))?;
    errors_of(&validator, value)
        .map_err(|errors| format!("structuredContent breaks the tool's output schema{errors}"))
}

fn check(revision: Revision, definition: &'static str, value: &Value) -> Result<(), Fault> {
    let validator = validator(revision, definition)?;
    let name = revision.as_str();
    errors_of(&validator, value).map_err(|errors| format!("no {definition} of {name}{errors}"))
}

fn errors_of(validator: &Validator, value: &Value) -> Result<(), Fault> {
    if validator.is_valid(value) {
        return Ok(());
    }
    let mut text = String::from(":");
    for error in validator.iter_errors(value) {
        text.push_str(&format!(
            "\n  at {:?}: {error}",
            error.instance_path().to_string()
        ));
    }
    Err(format!("{text}\n{value:#}"))
}

type Compiled = HashMap<(Revision, &'static str), Arc<Validator>>;

fn validator(revision: Revision, definition: &'static str) -> Result<Arc<Validator>, Fault> {
    static COMPILED: OnceLock<Mutex<Compiled>> = OnceLock::new();
    let compiled = COMPILED.get_or_init(Mutex::default);
    let mut compiled = compiled.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = compiled.get(&(revision, definition)) {
        return Ok(Arc::clone(known));
    }
    let made = Arc::new(compile(revision, definition)?);
    compiled.insert((revision, definition), Arc::clone(&made));
    Ok(made)
}

fn compile(revision: Revision, definition: &str) -> Result<Validator, Fault> {
    let name = revision.as_str();
    let parsed = serde_json::from_str(TEXTS[revision.index()]);
    let mut schema: Value = parsed.map_err(|error| format!("the schema of {name}: {error}"))?;
    let places = ["$defs", "definitions"].into_iter();
    let mut places =
        places.filter(|place| schema.get(place).is_some_and(|all| all.get(definition).is_some()));
    let place = places
        .next()
        .ok_or_else(|| format!("{name} has no {definition}"))?;
    schema["$ref"] = json!(format!("#/{place}/{definition}"));
    let built = jsonschema::options().offline().build(&schema);
    built.map_err(|error| format!("the schema of {name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_that_an_answer_may_need_is_there() {
        for revision in Revision::ALL {
            for method in [
                "tools/call",
                "tools/list",
                "resources/read",
                "prompts/get",
                "completion/complete",
            ] {
                let definition = definition_of(method, &json!({})).unwrap();
                validator(revision, definition).unwrap();
            }
        }
    }

    #[test]
    fn what_breaks_a_schema_is_told_with_its_place() {
        let answer =
            json!({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete", "content": [{}]}});
        for revision in Revision::ALL {
            let fault = check_answer(revision, "tools/call", &answer).unwrap_err();
            assert!(
                fault.starts_with(&format!("no CallToolResult of {}", revision.as_str())),
                "{fault}"
            );
        }
        let question = json!({"jsonrpc": "2.0", "id": 1, "method": "roots/list"});
        assert!(check_said(Revision::V2025_11_25, &question).is_ok());
        assert!(check_said(Revision::V2026_07_28, &question).is_err());
        let progress =
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}});
        assert!(check_said(Revision::V2025_11_25, &progress).is_err());
        let sum = json!({"type": "object", "required": ["sum"]});
        assert!(check_by(&sum, &json!({"sum": 1})).is_ok());
        assert!(check_by(&sum, &json!({})).unwrap_err().contains("sum"));
    }
}
