//! The specification's own schemas, against which every JSON body that a client receives is checked.
//!
//! The definition that applies follows from what was received: a body's shape gives its kind, `resultType` its era, the
//! client's last version header its legacy revision. A result of no known shape is a failure, too.

#![allow(clippy::disallowed_types, reason = "compiled once for all test threads")]

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock};

use jsonschema::Validator;
use serde_json::{Value, json};

use super::message::Revision;
use super::process::fixture;
use super::tasks;

type Compiled = HashMap<(Revision, &'static str), Arc<Validator>>;
type Accepted = HashSet<(Revision, Vec<u8>)>;

/// Thousands of answers are the same to the byte: so many of them, up to this size, are judged once.
const REMEMBERED_MAX: usize = 1_000;
const REMEMBERED_BYTES_MAX: usize = 2_048;
/// A number that is valid JSON, and infinite to most parsers.
pub(crate) const HUGE: &str = "1e400";
/// The code of the errors that children of these tests make up.
pub(crate) const CHILDS_OWN: i64 = -31999;

/// Checks the JSON text `body`, which a client that speaks `revision` received.
///
/// # Panics
/// Panics if it is not JSON, or not what the specification allows.
pub(crate) fn read(body: &[u8], revision: Revision) -> Value {
    static ACCEPTED: OnceLock<Mutex<Accepted>> = OnceLock::new();
    let text = String::from_utf8_lossy(&body[..body.len().min(400)]);
    let json = parse(body).unwrap_or_else(|error| panic!("{error}: {text}"));
    let accepted = ACCEPTED.get_or_init(Mutex::default);
    let key = (revision, body.to_vec());
    if !accepted.lock().unwrap().contains(&key) {
        validate(&json, revision);
        let mut accepted = accepted.lock().unwrap();
        if body.len() <= REMEMBERED_BYTES_MAX && accepted.len() < REMEMBERED_MAX {
            accepted.insert(key);
        }
    }
    json
}

/// Checks a message of the server's own: a notification, or a question in the eras that have those.
fn validate_said(message: &Value, revision: Revision) {
    let method = message["method"].as_str().unwrap();
    if message.get("id").is_some() {
        assert_ne!(revision, Revision::MODERN, "no requests in this era: {message}");
        check(revision, "JSONRPCRequest", message);
        return check(revision, question_of(method), message);
    }
    check(revision, "JSONRPCNotification", message);
    if method == "notifications/tasks" && revision == Revision::MODERN {
        tasks::check(&message["params"]);
    } else {
        check(revision, notification_of(method), message);
    }
    if revision == Revision::MODERN {
        let is_of_call = ["notifications/progress", "notifications/message"].contains(&method);
        let id = &message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
        assert_eq!(id.is_null(), is_of_call, "{message}");
    }
}

fn question_of(method: &str) -> &'static str {
    match method {
        "elicitation/create" => "ElicitRequest",
        "sampling/createMessage" => "CreateMessageRequest",
        "roots/list" => "ListRootsRequest",
        "ping" => "PingRequest",
        _ => panic!("no request of a server: {method}"),
    }
}

fn notification_of(method: &str) -> &'static str {
    match method {
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
        _ => panic!("no notification of a server: {method}"),
    }
}

/// Parses a text in which a number may be too large for the parser, as a child may write it: [`HUGE`].
///
/// # Errors
/// Fails when it is not JSON.
pub(crate) fn parse(text: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice(text).or_else(|error| match std::str::from_utf8(text) {
        Ok(text) if text.contains(HUGE) => serde_json::from_str(&text.replace(HUGE, "1e300")),
        _ => Err(error),
    })
}

/// Panics unless a client that speaks `revision` may receive `body`.
fn validate(body: &Value, revision: Revision) {
    match body {
        Value::Array(answers) => {
            check(Revision::BATCHING, "JSONRPCBatchResponse", body);
            answers
                .iter()
                .for_each(|answer| validate_one(answer, Revision::BATCHING));
        }
        _ => validate_one(body, revision),
    }
}

fn validate_one(answer: &Value, revision: Revision) {
    if answer.get("method").is_some() {
        return validate_said(answer, revision);
    }
    match answer.get("result") {
        Some(result) => {
            let revision = revision_of(result, revision);
            let is_named_so = revision >= Revision::NEWEST_LEGACY;
            let envelope = if is_named_so {
                "JSONRPCResultResponse"
            } else {
                "JSONRPCResponse"
            };
            check(revision, envelope, answer);
            if revision == Revision::MODERN && result.get("taskId").is_some() {
                tasks::check(result);
            } else {
                check(revision, kind_of(result), result);
            }
            if revision == Revision::MODERN {
                check(revision, "ResultMetaObject", &result["_meta"]);
                let has_lifetime = result["resultType"] != "input_required";
                assert!(has_lifetime || result.get("ttlMs").is_none(), "{result}");
            }
        }
        None => validate_error(answer, revision),
    }
}

fn revision_of(result: &Value, asked: Revision) -> Revision {
    if result.get("resultType").is_some() {
        return Revision::MODERN;
    }
    let negotiated = result.get("protocolVersion").and_then(Value::as_str);
    match negotiated.and_then(Revision::parse) {
        Some(negotiated) => negotiated,
        None if asked == Revision::MODERN => Revision::NEWEST_LEGACY,
        None => asked,
    }
}

fn kind_of(result: &Value) -> &'static str {
    let has = |member: &str| result.get(member).is_some();
    let is_tagged = || {
        let meta = &result["_meta"];
        !meta["io.modelcontextprotocol/subscriptionId"].is_null()
    };
    match () {
        () if result.get("resultType") == Some(&json!("input_required")) => "InputRequiredResult",
        () if is_tagged() => "SubscriptionsListenResult",
        () if has("supportedVersions") => "DiscoverResult",
        () if has("protocolVersion") => "InitializeResult",
        () if has("tools") => "ListToolsResult",
        () if has("content") => "CallToolResult",
        () if has("resources") => "ListResourcesResult",
        () if has("resourceTemplates") => "ListResourceTemplatesResult",
        () if has("contents") => "ReadResourceResult",
        () if has("prompts") => "ListPromptsResult",
        () if has("messages") => "GetPromptResult",
        () if has("completion") => "CompleteResult",
        () if has("task") => "CreateTaskResult",
        () if has("tasks") => "ListTasksResult",
        () if has("taskId") => "GetTaskResult",
        () if is_bare(result) => "EmptyResult",
        () => panic!("a result of no known shape: {result}"),
    }
}

/// Whether it has only the members that every result has.
fn is_bare(result: &Value) -> bool {
    let mut members = result.as_object().into_iter().flat_map(|members| members.keys());
    members.all(|name| name == "resultType" || name == "_meta")
}

fn validate_error(answer: &Value, revision: Revision) {
    // Errors without an id came into the schema with 2025-11-25; the text always allowed them over HTTP.
    let revision = match answer.get("id") {
        None => revision.max(Revision::NEWEST_LEGACY),
        Some(_) => revision,
    };
    let is_named_so = revision >= Revision::NEWEST_LEGACY;
    check(
        revision,
        if is_named_so {
            "JSONRPCErrorResponse"
        } else {
            "JSONRPCError"
        },
        answer,
    );
    let error = &answer["error"];
    if revision == Revision::MODERN {
        match error["code"].as_i64().unwrap() {
            -32700 => check(revision, "ParseError", error),
            -32600 => check(revision, "InvalidRequestError", error),
            -32601 => check(revision, "MethodNotFoundError", error),
            -32602 => check(revision, "InvalidParamsError", error),
            -32603 => check(revision, "InternalError", error),
            -32021 => check(revision, "MissingRequiredClientCapabilityError", answer),
            -32020 => check(revision, "HeaderMismatchError", answer),
            -32022 => check(revision, "UnsupportedProtocolVersionError", answer),
            -31503 | CHILDS_OWN => check(revision, "Error", error),
            code => panic!("code {code} is not this server's: {answer}"),
        }
    }
    if error["code"] == -32042 {
        assert_eq!(revision, Revision::NEWEST_LEGACY, "{answer}");
        check(revision, "URLElicitationRequiredError", answer);
    }
    if error["code"] == -31503 {
        let data = &error["data"];
        assert!(data["retryAfterMs"].as_u64().is_some_and(|ms| ms > 0), "{answer}");
        assert!(
            data["queueDepth"].is_u64() && data["reason"].is_string(),
            "{answer}"
        );
    }
    let message = error["message"].as_str().unwrap();
    assert!(message.len() < 9000 && !message.contains(".rs"), "{message}");
}

/// Fails unless `value` is valid by `schema`, a tool's own.
#[track_caller]
pub(crate) fn assert_conforms(schema: &Value, value: &Value) {
    let validator = jsonschema::validator_for(schema).unwrap();
    assert_no_errors(&validator, value, "the tool's own schema");
}

fn check(revision: Revision, definition: &'static str, value: &Value) {
    static COMPILED: OnceLock<Mutex<Compiled>> = OnceLock::new();
    let validator = {
        // A panic under this lock is a missing schema, which every other test meets, too.
        let mut compiled = COMPILED.get_or_init(Mutex::default).lock().unwrap();
        let entry = compiled.entry((revision, definition));
        Arc::clone(entry.or_insert_with(|| Arc::new(compile(revision, definition))))
    };
    assert_no_errors(&validator, value, &format!("{} {definition}", revision.0));
}

#[track_caller]
fn assert_no_errors(validator: &Validator, value: &Value, what: &str) {
    if !validator.is_valid(value) {
        let errors: Vec<String> = validator
            .iter_errors(value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        panic!("{what}: {errors:#?}\n{value:#}");
    }
}

fn compile(revision: Revision, definition: &str) -> Validator {
    let path = fixture("spec").join(revision.0).join("schema.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    let has_new_name = schema.get("$defs").is_some();
    let key = if has_new_name { "$defs" } else { "definitions" };
    assert!(
        schema[key].get(definition).is_some(),
        "{} has no {definition}",
        path.display()
    );
    schema["$ref"] = json!(format!("#/{key}/{definition}"));
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
#[should_panic(expected = "JSONRPCResultResponse")]
fn the_referee_refuses_a_result_without_an_id() {
    validate(
        &json!({"jsonrpc": "2.0", "id": null, "result": {}}),
        Revision::MODERN,
    );
}

#[test]
#[should_panic(expected = "ProgressNotification")]
fn the_referee_refuses_progress_without_a_token() {
    let params = json!({"progress": 1});
    validate(
        &json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}),
        Revision::NEWEST_LEGACY,
    );
}

#[test]
#[should_panic(expected = "no requests in this era")]
fn the_referee_refuses_a_modern_question() {
    validate(
        &json!({"jsonrpc": "2.0", "id": 1, "method": "roots/list"}),
        Revision::MODERN,
    );
}

#[test]
#[should_panic(expected = "ListToolsResult")]
fn the_referee_refuses_a_modern_list_without_a_lifetime() {
    let result = json!({"resultType": "complete", "tools": []});
    validate(
        &json!({"jsonrpc": "2.0", "id": 1, "result": result}),
        Revision::MODERN,
    );
}
