use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde_json::{Value, json};

use super::Demo;
use crate::registry::specification::{REVISIONS, assert_matches};
use crate::registry::{
    Asking, BlockingContext, CallContext, CallFuture, CallLink, Cancellation, ClientCapabilities,
    ClientFacts, Content, Emission, Execution, LinkListener, Outcome, Registry, ServerHandle, StartError,
    Started, ToolError,
};
use crate::ring::ServedSleepers;

/// Polls after which the largest blob is there.
const BLOB_POLLS_MAX: usize = 64;

fn demo() -> Registry {
    let mut tools = Registry::builder();
    tools.add(Demo).unwrap();
    tools.build()
}

fn start(name: &str, arguments: &Value) -> Result<Started, StartError> {
    start_with(name, arguments, CallContext::new())
}

fn start_with(name: &str, arguments: &Value, context: CallContext) -> Result<Started, StartError> {
    let registry = demo();
    let mut bytes = arguments.to_string().into_bytes();
    let tape = simd_json::to_tape(&mut bytes).unwrap();
    let tool = registry.find(name).unwrap();
    registry
        .for_shard()
        .start_tool(tool, Some(crate::jsonrpc::Value::of_tape(&tape)), context)
}

fn run(name: &str, arguments: &Value) -> Outcome {
    match start(name, arguments).unwrap() {
        Started::Blocking(call) => call.run(&BlockingContext::default()),
        Started::Future(call) => match polled(call, BLOB_POLLS_MAX) {
            Some((outcome, _)) => outcome,
            None => panic!("{name} is pending"),
        },
        Started::Readied(_) => panic!("no tool here is readied"),
    }
}

/// What a call that only gives way comes to, and how often it was polled for that.
fn polled(call: CallFuture, polls_max: usize) -> Option<(Outcome, usize)> {
    let mut call = pin!(call);
    (1..=polls_max).find_map(
        |polls| match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Some((outcome, polls)),
            Poll::Pending => None,
        },
    )
}

#[test]
fn a_large_blob_gives_way_to_others_and_a_small_one_is_there_at_once() {
    for (bytes, steps) in [(100 << 10, 1), (128 << 10, 1), (1 << 20, 16)] {
        let Ok(Started::Future(call)) = start("blob", &json!({"bytes": bytes})) else {
            panic!("not a future");
        };
        let (outcome, polls) = polled(call, BLOB_POLLS_MAX).unwrap();
        assert_eq!((text(outcome).len(), polls), (bytes, steps));
    }
}

fn text(outcome: Outcome) -> String {
    match outcome.map(|output| output.into_tool().unwrap().content().clone()) {
        Ok(Content::Text(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn definitions_match_each_revision() {
    let registry = demo();
    let tools: Vec<Value> = registry
        .tools()
        .map(|(_, tool)| serde_json::to_value(tool).unwrap())
        .collect();
    assert_eq!(tools.len(), 7);
    for tool in tools {
        assert_eq!(crate::registry::unportable_input(&tool["inputSchema"]), []);
        assert_eq!(tool["annotations"]["readOnlyHint"], true);
        for revision in REVISIONS {
            assert_matches(revision, "Tool", &tool);
        }
    }
}

#[test]
fn each_tool_answers() {
    assert_eq!(text(run("echo", &json!({"message": "hé\"\n"}))), "hé\"\n");
    assert_eq!(text(run("spin", &json!({"ms": 1}))), "spun 1 ms");
    assert_eq!(
        run("fail", &json!({"how": "error"})),
        Err(ToolError::message("failed as asked"))
    );
    assert_eq!(run("fail", &json!({"how": "panic"})), Err(ToolError::Panicked));
    for bytes in [0, 1, 26, 1_000_003] {
        let blob = text(run("blob", &json!({"bytes": bytes})));
        assert_eq!(blob.len(), bytes);
        assert!(
            blob.bytes()
                .enumerate()
                .all(|(at, byte)| byte == b'a' + (at % 26) as u8)
        );
    }
}

#[test]
fn arguments_are_bounded() {
    for (name, arguments) in [
        ("echo", json!({})),
        ("sleep", json!({"ms": 60_001})),
        ("sleep", json!({"ms": -1})),
        ("sleep", json!({"ms": 1.5})),
        ("sleep", json!({"ms": 1, "spread": "wide"})),
        ("spin", json!({"ms": 60_001})),
        ("fail", json!({"how": "softly"})),
        ("blob", json!({"bytes": 3 * 1024 * 1024 + 1})),
        ("progress", json!({"steps": 0, "delay_ms": 0})),
        ("progress", json!({"steps": 1_000_001, "delay_ms": 0})),
        ("progress", json!({"steps": 1, "delay_ms": 10_001})),
        ("ask", json!({})),
    ] {
        assert!(start(name, &arguments).is_err(), "{name} {arguments}");
    }
    assert!(start("blob", &json!({"bytes": 3 * 1024 * 1024})).is_ok());
    assert!(start("sleep", &json!({"ms": 1, "spread": "heavy"})).is_ok());
}

#[test]
fn only_spin_runs_on_a_worker_and_it_stops_when_asked() {
    let registry = demo();
    for (_, tool) in registry.tools() {
        let is_worker = tool.execution() == Execution::Worker;
        assert_eq!(is_worker, tool.name() == "spin", "{}", tool.name());
    }
    let Ok(Started::Blocking(call)) = start("spin", &json!({"ms": 60_000})) else {
        panic!("not a blocking call");
    };
    let cancellation = Cancellation::new();
    cancellation.cancel();
    assert_eq!(
        call.run(&BlockingContext::new(cancellation)),
        Err(ToolError::Cancelled)
    );
}

#[test]
fn sleep_is_woken_by_the_shard() {
    let served = ServedSleepers::new();
    let Ok(Started::Future(mut call)) = start("sleep", &json!({"ms": 1})) else {
        panic!("did not start");
    };
    let mut context = Context::from_waker(Waker::noop());
    let slept = loop {
        match Pin::new(&mut call).poll(&mut context) {
            Poll::Ready(slept) => break slept,
            // The first poll comes long before the end, unless this thread loses its CPU.
            Poll::Pending => while !served.wake() {},
        }
    };
    assert_eq!(text(slept), "slept 1 ms");
}

/// A listener that ignores messages.
struct NullListener;

impl LinkListener for NullListener {
    fn on_emission(&self, _: u64) {}
}

fn link(facts: ClientFacts) -> Arc<CallLink> {
    let mut link = CallLink::new(Arc::new(NullListener), ServerHandle::default());
    Arc::get_mut(&mut link).unwrap().begin(facts);
    link
}

#[test]
fn progress_tells_of_every_step_in_order() {
    let link = link(ClientFacts {
        wants_progress: true,
        ..ClientFacts::default()
    });
    let arguments = json!({"steps": 1_000, "delay_ms": 0});
    let Ok(Started::Future(call)) = start_with("progress", &arguments, CallContext::with_link(link.clone()))
    else {
        panic!("not a future");
    };
    let (mut call, mut said) = (pin!(call), Vec::new());
    let outcome = loop {
        match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => break outcome,
            Poll::Pending => link.take_emissions(&mut said),
        }
    };
    link.take_emissions(&mut said);
    assert_eq!(text(outcome), "done 1000 steps");
    assert_eq!(said.len(), 1_000);
    for (step, emission) in (1..).zip(said) {
        let expected = Emission::Progress {
            progress: f64::from(step),
            total: Some(1_000.0),
            message: Some(format!("step {step} of 1000")),
        };
        assert_eq!(emission, expected);
    }
}

/// The client's answer to the demo's question, and the tool's result.
fn asked(answer: Value) -> Outcome {
    let answers = json!({ "answer": answer });
    let link = link(ClientFacts {
        capabilities: ClientCapabilities::ELICITATION_FORM,
        asking: Asking::ByRetry,
        answers: answers.as_object().cloned().map(Box::new),
        ..ClientFacts::default()
    });
    let context = CallContext::with_link(link);
    let Ok(Started::Future(call)) = start_with("ask", &json!({"question": "Who?"}), context) else {
        panic!("not a future");
    };
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("pending"),
    }
}

#[test]
fn ask_says_what_the_user_did() {
    let accepted = json!({"action": "accept", "content": {"answer": "Ada"}});
    assert_eq!(text(asked(accepted)), "the user said: Ada");
    assert_eq!(text(asked(json!({"action": "decline"}))), "the user declined");
    assert_eq!(text(asked(json!({"action": "cancel"}))), "the user cancelled");
    let empty = asked(json!({"action": "accept"}));
    assert!(matches!(empty, Err(ToolError::InvalidAnswer(_))), "{empty:?}");
    let nobody = run("ask", &json!({"question": "Who?"}));
    let needs = ClientCapabilities::ELICITATION_FORM;
    assert_eq!(nobody, Err(ToolError::MissingCapability(needs)));
}
