//! The specification's own schemas judge the answers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::tasks;
use crate::mcp::Revision;
use crate::registry::specification::compile;

thread_local! {
    static VALIDATORS: RefCell<HashMap<(Revision, &'static str), Rc<Validator>>> = RefCell::default();
}

/// Panics unless `answer`, if there is one, matches what `revision` prescribes for an answer to `request`.
pub(super) fn validate(revision: Revision, request: &[u8], answer: &Value) {
    let request: Value = serde_json::from_slice(request).unwrap_or_default();
    match answer {
        Value::Null => {}
        Value::Array(answers) => {
            check(revision, "JSONRPCBatchResponse", answer);
            for answer in answers {
                let asked = request.as_array().into_iter().flatten();
                let asked = asked.into_iter().find(|request| request["id"] == answer["id"]);
                validate_one(revision, asked.unwrap_or(&Value::Null), answer);
            }
        }
        answer => validate_one(revision, &request, answer),
    }
}

fn validate_one(revision: Revision, request: &Value, answer: &Value) {
    if answer.get("error").is_some() {
        return validate_error(revision, answer);
    }
    let envelope = match revision {
        Revision::V2025_11_25 | Revision::V2026_07_28 => "JSONRPCResultResponse",
        _ => "JSONRPCResponse",
    };
    check(revision, envelope, answer);
    let method = request["method"].as_str().unwrap_or_default();
    let asks = ["tools/call", "prompts/get", "resources/read"].contains(&method);
    if revision == Revision::V2026_07_28 && is_of_extension(method, &answer["result"]) {
        check(revision, "ResultMetaObject", &answer["result"]["_meta"]);
        return tasks::validate_result(method, &answer["result"]);
    }
    let result = match method {
        "tools/call" if answer["result"].get("task").is_some() => "CreateTaskResult",
        "tasks/get" => "GetTaskResult",
        "tasks/result" => "CallToolResult",
        "tasks/list" => "ListTasksResult",
        "tasks/cancel" => "CancelTaskResult",
        _ if asks && answer["result"]["resultType"] == "input_required" => "InputRequiredResult",
        "initialize" => "InitializeResult",
        "server/discover" => "DiscoverResult",
        "tools/list" => "ListToolsResult",
        "tools/call" => "CallToolResult",
        "resources/list" => "ListResourcesResult",
        "resources/templates/list" => "ListResourceTemplatesResult",
        "resources/read" => "ReadResourceResult",
        "prompts/list" => "ListPromptsResult",
        "prompts/get" => "GetPromptResult",
        "completion/complete" => "CompleteResult",
        "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => "EmptyResult",
        "subscriptions/listen" => "SubscriptionsListenResult",
        method => panic!("a result for {method:?}: {answer}"),
    };
    check(revision, result, &answer["result"]);
    if revision == Revision::V2026_07_28 {
        check(revision, "ResultMetaObject", &answer["result"]["_meta"]);
        let name = &answer["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"];
        assert!(name == "weir" || name == super::foreign::THEIR_NAME, "{name}");
    }
}

/// Whether the core schema does not know the result.
fn is_of_extension(method: &str, result: &Value) -> bool {
    method.starts_with("tasks/") || method == "tools/call" && result["resultType"] == "task"
}

/// Panics unless `revision` knows this message, which the server sent of its own accord.
pub(super) fn validate_said(revision: Revision, message: &Value) {
    let method = message["method"].as_str().unwrap_or_default();
    let definition = match method {
        "notifications/progress" => "ProgressNotification",
        "notifications/message" => "LoggingMessageNotification",
        "notifications/tools/list_changed" => "ToolListChangedNotification",
        "notifications/prompts/list_changed" => "PromptListChangedNotification",
        "notifications/resources/list_changed" => "ResourceListChangedNotification",
        "notifications/resources/updated" => "ResourceUpdatedNotification",
        "notifications/elicitation/complete" => "ElicitationCompleteNotification",
        "notifications/subscriptions/acknowledged" => "SubscriptionsAcknowledgedNotification",
        "notifications/tasks/status" => "TaskStatusNotification",
        "notifications/tasks" => {
            check(revision, "JSONRPCNotification", message);
            return tasks::validate_detailed(&message["params"]);
        }
        "elicitation/create" => "ElicitRequest",
        "sampling/createMessage" => "CreateMessageRequest",
        "roots/list" => "ListRootsRequest",
        method => panic!("{method:?} is nothing a server says: {message}"),
    };
    check(revision, definition, message);
    match message.get("id") {
        Some(_) => {
            assert_ne!(revision, Revision::V2026_07_28, "{message}");
            check(revision, "JSONRPCRequest", message);
        }
        None => check(revision, "JSONRPCNotification", message),
    }
}

fn validate_error(revision: Revision, answer: &Value) {
    // Errors without an id came into the schema with 2025-11-25; the text always allowed them over HTTP.
    let revision = match answer.get("id") {
        None => revision.max(Revision::V2025_11_25),
        Some(_) => revision,
    };
    let envelope = match revision {
        Revision::V2025_11_25 | Revision::V2026_07_28 => "JSONRPCErrorResponse",
        _ => "JSONRPCError",
    };
    check(revision, envelope, answer);
    if answer["error"]["code"] == -32042 {
        assert_eq!(revision, Revision::V2025_11_25, "{answer}");
        check(revision, "URLElicitationRequiredError", answer);
    }
    if revision == Revision::V2026_07_28 {
        let (name, part) = match answer["error"]["code"].as_i64().unwrap() {
            -32700 => ("ParseError", &answer["error"]),
            -32600 => ("InvalidRequestError", &answer["error"]),
            -32601 => ("MethodNotFoundError", &answer["error"]),
            -32602 => ("InvalidParamsError", &answer["error"]),
            -32603 => ("InternalError", &answer["error"]),
            -32020 => ("HeaderMismatchError", answer),
            -32021 => ("MissingRequiredClientCapabilityError", answer),
            -32022 => ("UnsupportedProtocolVersionError", answer),
            -31503 => ("Error", &answer["error"]),
            code => panic!("code {code} is not this server's"),
        };
        check(revision, name, part);
    }
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.len() < 9000 && !message.contains(".rs"), "{message}");
}

pub(super) fn check(revision: Revision, definition: &'static str, value: &Value) {
    let validator = VALIDATORS.with_borrow_mut(|validators| {
        let entry = validators.entry((revision, definition));
        Rc::clone(entry.or_insert_with(|| Rc::new(compile(revision.as_str(), definition))))
    });
    let errors: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(
        errors.is_empty(),
        "{} {definition}: {errors:#?}\n{value:#}",
        revision.as_str()
    );
}

#[test]
#[should_panic(expected = "JSONRPCResultResponse")]
fn the_referee_refuses_what_is_wrong() {
    validate(
        Revision::V2026_07_28,
        br#"{"method":"ping"}"#,
        &json!({"jsonrpc": "2.0", "id": null, "result": {}}),
    );
}
