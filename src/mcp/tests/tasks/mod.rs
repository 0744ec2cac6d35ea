//! Tasks in both eras: which calls become one, what is sent about them, and who may look.

mod ending;
mod making;
mod shapes;
mod talking;
mod watching;

use std::sync::Arc;

pub(super) use shapes::{validate_detailed, validate_result};

use super::*;
use crate::registry::{Elicit, ElicitAnswer, LogLevel, Progress, Property, TaskSupport};

const LEGACY: Revision = Revision::V2025_11_25;
const RELATED: &str = "io.modelcontextprotocol/related-task";
const EXTENSION: &str = "io.modelcontextprotocol/tasks";

fn name() -> Elicit {
    Elicit::form("Your name?").property("name", Property::string())
}

fn said_name(answer: ElicitAnswer) -> String {
    match answer {
        ElicitAnswer::Accept(content) => content["name"].as_str().unwrap_or_default().to_owned(),
        ElicitAnswer::Decline | ElicitAnswer::Cancel => "nobody".to_owned(),
    }
}

async fn greet(context: CallContext, _: NoArguments) -> Result<String, ToolError> {
    context.progress(Progress::new(1.0).total(2.0));
    context.log(LogLevel::Error, "greeting");
    let name = context.ask("user_name", name()).await?;
    context.elicitation_complete("e-1");
    Ok(format!("Hello, {}!", said_name(name)))
}

fn registry() -> Registry {
    let mut registry = Registry::builder();
    registry
        .add(Tool::new("plain").run(|_: CallContext, _: NoArguments| async { Ok("plain") }))
        .unwrap()
        .add(
            Tool::new("echo")
                .task(TaskSupport::Optional)
                .run(|_: CallContext, args: EchoArguments| async move { Ok(args.message) }),
        )
        .unwrap()
        .add(Tool::new("greet").task(TaskSupport::Optional).run(greet))
        .unwrap()
        .add(
            Tool::new("ask_first")
                .task(TaskSupport::Required)
                .ask_before_task("user_name")
                .run(greet),
        )
        .unwrap()
        .add(Tool::new("fail").task(TaskSupport::Required).run(
            |_: CallContext, args: FailArguments| async move {
                match args.how.as_str() {
                    "panic" => panic!("a secret in src/secret.rs:1"),
                    "url" => {
                        let place = Elicit::url("Sign in", "https://example.com/x");
                        Err(ToolError::url_elicitation_required([place]))
                    }
                    _ => Err::<String, _>(ToolError::message("it \"failed\"")),
                }
            },
        ))
        .unwrap();
    registry.build()
}

fn server() -> Server {
    Server::with(registry(), Options::default())
}

/// The capabilities of a client that knows tasks.
fn knowing() -> Value {
    json!({"extensions": {EXTENSION: {}}, "elicitation": {"form": {}, "url": {}}})
}

fn echo() -> Value {
    json!({"name": "echo", "arguments": {"message": "hi"}})
}

fn as_task(mut params: Value, task: Value) -> Value {
    params["task"] = task;
    params
}

fn ann() -> Value {
    json!({"action": "accept", "content": {"name": "Ann"}})
}

/// A request in a session of a client that can be asked.
fn in_session(server: &mut Server, session: &str, method: &str, params: Value) -> Answer {
    server.in_session(LEGACY, session, request(1, method, params))
}

fn session(server: &mut Server) -> String {
    server.open_session_of(LEGACY, json!({"elicitation": {"form": {}, "url": {}}}))
}

/// The answer to `tasks/result`, as the store of tasks gives it.
pub(super) fn result_of(server: &mut Server, session: &str, id: &str) -> Value {
    let headers = [
        ("mcp-protocol-version", LEGACY.as_str()),
        ("mcp-session-id", session),
    ];
    let body = request("r", "tasks/result", json!({"taskId": id})).to_string();
    let mut out = Vec::new();
    let step = server.protocol.decode(
        &request_context(&headers),
        body.as_bytes(),
        &mut server.scratch,
        &server.state,
        &mut out,
    );
    let Step::AwaitTask(wanted) = step else {
        panic!("{step:?}");
    };
    assert!(out.is_empty());
    assert_eq!((wanted.task.as_str(), wanted.revision), (id, LEGACY));
    assert_eq!(wanted.labels.method, crate::metrics::Method::TasksResult);
    match server.state.task(&wanted.owner, id) {
        Some(task) => write_task_end(&wanted.id, task.end.as_deref().unwrap(), &mut out),
        None => {
            let reply = server.protocol.refuse_task(&wanted.id, &mut out);
            assert_eq!(
                (reply.kind, reply.labels),
                (
                    ReplyKind::Answered,
                    Labels {
                        outcome: reply.labels.outcome,
                        ..wanted.labels
                    }
                )
            );
        }
    }
    let answer: Value = serde_json::from_slice(&out).unwrap();
    spec::validate(LEGACY, body.as_bytes(), &answer);
    answer
}
