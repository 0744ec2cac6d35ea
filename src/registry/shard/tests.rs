//! Calls started on one shard.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::panic::panic_any;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::registry::running::async_handler::SLOTS_FREE_MAX;
use crate::registry::{
    BlockingContext, Cancellation, NoArguments, Outcome, Prompt, PromptArgument, ResourceTemplate, Tool,
    ToolError, ToolOutput, UnknownArguments,
};

#[derive(Deserialize, JsonSchema)]
struct Echo {
    message: String,
}

/// One tool on one shard.
fn only(tool: Tool) -> (ShardRegistry, ToolIndex) {
    let mut tools = Registry::builder();
    tools.add(tool).unwrap();
    let registry = tools.build();
    let (index, _) = registry.tools().next().unwrap();
    (registry.for_shard(), index)
}

fn echo() -> Tool {
    Tool::new("echo").run(|_: CallContext, args: Echo| async move { Ok(args.message) })
}

fn start(tools: &ShardRegistry, tool: ToolIndex, arguments: &str) -> Result<Started, StartError> {
    let mut bytes = arguments.as_bytes().to_vec();
    let tape = simd_json::to_tape(&mut bytes).unwrap();
    tools.start_tool(
        tool,
        Some(crate::jsonrpc::Value::of_tape(&tape)),
        CallContext::new(),
    )
}

/// The same, and it has begun.
fn begin(tools: &ShardRegistry, tool: ToolIndex, arguments: &str) -> Result<Started, StartError> {
    start(tools, tool, arguments).map(|started| match started {
        Started::Readied(call) => call.begin().map_or_else(Started::Blocking, Started::Future),
        started => started,
    })
}

fn future(tools: &ShardRegistry, tool: ToolIndex, arguments: &str) -> CallFuture {
    match begin(tools, tool, arguments) {
        Ok(Started::Future(call)) => call,
        Ok(_) => panic!("a blocking call"),
        Err(error) => panic!("{error}"),
    }
}

fn blocking(tools: &ShardRegistry, tool: ToolIndex) -> Outcome {
    match start(tools, tool, "{}") {
        Ok(Started::Blocking(call)) => call.run(&BlockingContext::default()),
        _ => panic!("not a blocking call"),
    }
}

fn poll(call: &mut CallFuture) -> Poll<Outcome> {
    pin!(call).as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn ready(text: &str) -> Poll<Outcome> {
    Poll::Ready(Ok(ToolOutput::text(text).into()))
}

#[test]
fn a_call_runs_and_its_slot_is_used_again() {
    let (tools, index) = only(echo());
    for round in 0..3 {
        assert_eq!(tools.slots_free(index), usize::from(round > 0));
        let mut call = future(&tools, index, r#"{"message":"again"}"#);
        assert_eq!(tools.slots_free(index), 0);
        assert_eq!(poll(&mut call), ready("again"));
        assert_eq!(tools.slots_free(index), 1);
        assert!(matches!(
            poll(&mut call),
            Poll::Ready(Err(ToolError::Internal(_)))
        ));
    }
}

#[test]
fn dropped_pending_calls_give_their_slots_back() {
    let (tools, index) = only(
        Tool::new("wait")
            .run(|_: CallContext, _: NoArguments| async { pending::<Result<String, _>>().await }),
    );
    let mut calls: Vec<_> = (0..SLOTS_FREE_MAX + 10)
        .map(|_| future(&tools, index, "{}"))
        .collect();
    assert!(calls.iter_mut().all(|call| poll(call).is_pending()));
    assert_eq!(tools.slots_free(index), 0);
    calls.truncate(10);
    assert_eq!(tools.slots_free(index), SLOTS_FREE_MAX);
    drop(calls);
    assert_eq!(tools.slots_free(index), SLOTS_FREE_MAX, "the list is bounded");
}

#[test]
fn a_call_outlives_its_shards_tools() {
    let (tools, index) = only(echo());
    let mut call = future(&tools, index, r#"{"message":"late"}"#);
    drop(tools);
    assert_eq!(poll(&mut call), ready("late"));
}

#[test]
fn futures_need_not_be_send_and_know_their_tool() {
    let tool = Tool::new("count").run(|context: CallContext, _: NoArguments| async move {
        let polls = Rc::new(Cell::new(0));
        poll_fn(|_| {
            polls.set(polls.get() + 1);
            if polls.get() < 3 {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
        Ok(format!(
            "{} {:?}: {}",
            context.tool_name(),
            context.tool_index(),
            polls.get()
        ))
    });
    let (tools, index) = only(tool);
    let mut call = future(&tools, index, "{}");
    assert!(poll(&mut call).is_pending());
    assert!(poll(&mut call).is_pending());
    assert_eq!(poll(&mut call), ready("count Some(ToolIndex(0)): 3"));
}

#[test]
fn unknown_arguments_are_ignored_told_or_refused() {
    let call = |choice: UnknownArguments| {
        let builder = Tool::new("echo").unknown_arguments(choice);
        let (tools, index) = only(builder.run(|_: CallContext, args: Echo| async move { Ok(args.message) }));
        let started = start(&tools, index, r#"{"message":"m","mesage":1}"#)?;
        let Started::Future(mut call) = started else {
            panic!("a blocking call");
        };
        let Poll::Ready(Ok(output)) = poll(&mut call) else {
            panic!("no result");
        };
        let mut content = Vec::new();
        output.into_tool().unwrap().write_content(&mut content);
        Ok::<_, StartError>(String::from_utf8(content).unwrap())
    };
    assert_eq!(
        call(UnknownArguments::Ignore).unwrap(),
        r#"[{"type":"text","text":"m"}]"#
    );
    assert_eq!(
        call(UnknownArguments::Report).unwrap(),
        r#"[{"type":"text","text":"m"},{"type":"text","text":"Unknown arguments were ignored: \"mesage\" (did you mean \"message\"?)."}]"#
    );
    let refused = call(UnknownArguments::Refuse).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "invalid arguments: Additional properties are not allowed ('mesage' was unexpected); did you mean \
         \"message\"?"
    );
    let refusing = Tool::new("echo").unknown_arguments(UnknownArguments::Refuse);
    let refusing = refusing.run(|_: CallContext, args: Echo| async move { Ok(args.message) });
    assert_eq!(refusing.info.input_schema()["additionalProperties"], false);
}

#[test]
fn unknown_arguments_of_a_blocking_call_are_told_too() {
    let tool = Tool::new("list").unknown_arguments(UnknownArguments::Report);
    let tool = tool.run_blocking(|_: &BlockingContext, args: Echo| match args.message.as_str() {
        "fail" => Err(ToolError::message("failed")),
        _ => Ok(ToolOutput::structured(json!({"a": [1]}))),
    });
    let (tools, index) = only(tool);
    let run = |arguments: &str| match start(&tools, index, arguments) {
        Ok(Started::Blocking(call)) => call.run(&BlockingContext::default()),
        _ => panic!("not a blocking call"),
    };
    let output = run(r#"{"message":"m","x":1}"#).unwrap().into_tool().unwrap();
    let mut content = Vec::new();
    output.write_content(&mut content);
    let content: serde_json::Value = serde_json::from_slice(&content).unwrap();
    assert_eq!(content[0]["text"], r#"{"a":[1]}"#);
    assert_eq!(content[1]["text"], "Unknown arguments were ignored: \"x\".");
    assert_eq!(output.structured_content(), Some(&json!({"a": [1]})));
    let failed = run(r#"{"message":"fail","x":1}"#).unwrap_err();
    assert_eq!(
        failed.to_string(),
        "failed\nUnknown arguments were ignored: \"x\"."
    );
    assert_eq!(run(r#"{"message":"fail"}"#), Err(ToolError::message("failed")));
}

#[test]
fn null_for_an_optional_argument_is_its_default() {
    #[derive(Deserialize, JsonSchema)]
    struct Optional {
        #[serde(default = "seven")]
        #[schemars(extend("default" = 7))]
        count: u8,
        name: Option<String>,
        all: serde_json::Value,
    }
    fn seven() -> u8 {
        7
    }
    let tool = Tool::new("count").run(|_: CallContext, args: Optional| async move {
        Ok(format!("{} {:?} {}", args.count, args.name, args.all))
    });
    let (tools, index) = only(tool);
    for (arguments, expected) in [
        (r#"{"all":1}"#, "7 None 1"),
        (r#"{"count":null,"name":null,"all":[null]}"#, "7 None [null]"),
        (r#"{"count":null,"all":null,"other":null}"#, "7 None null"),
        (r#"{"count":3,"name":"n","all":{}}"#, "3 Some(\"n\") {}"),
    ] {
        assert_eq!(
            poll(&mut future(&tools, index, arguments)),
            ready(expected),
            "{arguments}"
        );
    }
    let refused = start(&tools, index, r#"{"count":null,"name":1,"all":1}"#)
        .err()
        .unwrap();
    assert_eq!(
        refused.to_string(),
        "invalid arguments: /name: 1 is not of type \"string\""
    );
}

#[test]
fn variables_become_what_the_function_takes() {
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum State {
        Open,
        Closed,
    }
    #[derive(Deserialize)]
    struct Issue {
        state: State,
        id: i64,
    }
    let mut registry = Registry::builder();
    let template = ResourceTemplate::new("issue://{state}/{id}", "issue");
    registry
        .add(
            template.read(|_: CallContext, args: Issue| async move {
                Ok(format!("{:?} {}", args.state, args.id))
            }),
        )
        .unwrap();
    let prompt = Prompt::new("page")
        .argument(PromptArgument::required("id"))
        .argument(PromptArgument::optional("state"));
    #[derive(Deserialize)]
    struct Page {
        id: u8,
        state: Option<State>,
    }
    let prompt =
        prompt.run(|_: CallContext, args: Page| async move { Ok(format!("{} {:?}", args.id, args.state)) });
    registry.add(prompt).unwrap();
    let registry = registry.build();
    let shard = registry.for_shard();
    let read = |uri: &str| {
        let index = registry.find_template(uri).unwrap();
        let Started::Future(mut call) = shard.start_template(index, uri, CallContext::new())? else {
            panic!("a blocking call");
        };
        Ok::<_, StartError>(format!("{:?}", poll(&mut call)))
    };
    assert!(read("issue://open/-12").unwrap().contains("Open -12"));
    for uri in [
        "issue://open/x",
        "issue://open/1.5",
        "issue://gone/1",
        "issue://Open/1",
    ] {
        assert!(read(uri).is_err(), "{uri}");
    }
    let get = |arguments: &str| {
        let mut bytes = arguments.as_bytes().to_vec();
        let tape = simd_json::to_tape(&mut bytes).unwrap();
        let index = registry.find_prompt("page").unwrap();
        match shard.start_prompt(
            index,
            Some(crate::jsonrpc::Value::of_tape(&tape)),
            CallContext::new(),
        ) {
            Ok(Started::Future(mut call)) => format!("{:?}", poll(&mut call)),
            Ok(_) => panic!("a blocking call"),
            Err(error) => error.to_string(),
        }
    };
    assert!(get(r#"{"id":"12"}"#).contains("12 None"));
    assert!(get(r#"{"id":"12","state":null}"#).contains("12 None"));
    assert!(get(r#"{"id":"12","state":"closed"}"#).contains("12 Some(Closed)"));
    assert_eq!(get(r#"{"id":"x"}"#), "invalid arguments: /id: expected a number");
}

#[test]
fn a_panic_is_its_calls_alone() {
    let tool = Tool::new("fail").run(|_: CallContext, args: Echo| {
        assert_ne!(args.message, "at once");
        async move {
            assert_ne!(args.message, "later");
            Ok(args.message)
        }
    });
    let (tools, index) = only(tool);
    for message in ["at once", "later"] {
        let mut call = future(&tools, index, &format!(r#"{{"message":"{message}"}}"#));
        assert_eq!(
            poll(&mut call),
            Poll::Ready(Err(ToolError::Panicked)),
            "{message}"
        );
    }
    assert_eq!(
        poll(&mut future(&tools, index, r#"{"message":"fine"}"#)),
        ready("fine")
    );
}

/// Panics when it is dropped.
struct Mine;

impl Drop for Mine {
    fn drop(&mut self) {
        panic!("in a destructor");
    }
}

#[test]
fn panicking_destructors_are_their_calls_alone() {
    let tool = Tool::new("mine").run(|_: CallContext, args: Echo| async move {
        let mine = Mine;
        match args.message.as_str() {
            "payload" => panic_any(mine),
            "wait" => pending::<()>().await,
            _ => std::mem::forget(mine),
        }
        Ok("")
    });
    let (tools, index) = only(tool);
    let mut call = future(&tools, index, r#"{"message":"payload"}"#);
    assert_eq!(poll(&mut call), Poll::Ready(Err(ToolError::Panicked)));
    let mut call = future(&tools, index, r#"{"message":"wait"}"#);
    assert!(poll(&mut call).is_pending());
    drop(call);
    assert_eq!(poll(&mut future(&tools, index, r#"{"message":""}"#)), ready(""));
}

#[derive(Debug, JsonSchema)]
struct Grenade {}

impl<'de> Deserialize<'de> for Grenade {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("in an argument");
    }
}

#[test]
fn a_panic_in_making_arguments_is_the_calls() {
    let (tools, index) = only(Tool::new("boom").run(|_: CallContext, _: Grenade| async { Ok("") }));
    for _ in 0..2 {
        assert_eq!(
            poll(&mut future(&tools, index, "{}")),
            Poll::Ready(Err(ToolError::Panicked))
        );
    }
}

#[test]
fn blocking_calls_run_elsewhere_fail_alone_and_see_cancellation() {
    let (tools, index) = only(Tool::new("panic").run_blocking(
        |_: &BlockingContext, _: NoArguments| -> Result<String, ToolError> { panic!("on a worker") },
    ));
    assert_eq!(blocking(&tools, index), Err(ToolError::Panicked));

    let (tools, index) = only(
        Tool::new("spin").run_blocking(|context: &BlockingContext, _: NoArguments| {
            while !context.is_cancelled() {
                std::hint::spin_loop();
            }
            Err::<String, _>(ToolError::Cancelled)
        }),
    );
    let cancellation = Cancellation::new();
    let context = BlockingContext::new(cancellation.clone());
    let Ok(Started::Blocking(call)) = start(&tools, index, "{}") else {
        panic!("not a blocking call");
    };
    let worker = std::thread::spawn(move || call.run(&context));
    cancellation.cancel();
    assert_eq!(worker.join().unwrap(), Err(ToolError::Cancelled));
}

/// Of numbers below ten the answer is there at once.
#[cfg(feature = "files")]
#[test]
fn a_blocking_function_runs_only_if_its_result_is_not_there_at_once() {
    #[derive(Deserialize, JsonSchema)]
    struct Sized {
        number: u32,
    }
    let at_once = |unit: &String, sized: &Sized| match sized.number {
        0 => panic!("nothing is there"),
        1 => Some(Err(ToolError::message("one is too few"))),
        number => (number < 10).then(|| Ok(format!("{number} {unit} at once"))),
    };
    let later =
        |unit: &String, _: &BlockingContext, sized: Sized| Ok(format!("{} {unit} later", sized.number));
    let tool = Tool::new("size")
        .unknown_arguments(UnknownArguments::Report)
        .run_blocking_unless(at_once, later);
    let mut tools = Registry::builder().state(Arc::new("units".to_owned()));
    tools.add(tool).unwrap();
    let registry = tools.build();
    let (index, tools) = (registry.find("size").unwrap(), registry.for_shard());
    assert_eq!(
        poll(&mut future(&tools, index, r#"{"number":2}"#)),
        ready("2 units at once")
    );
    let Ok(Started::Blocking(call)) = begin(&tools, index, r#"{"number":10}"#) else {
        panic!("not a blocking call");
    };
    let outcome = call.run(&BlockingContext::default());
    assert_eq!(Poll::Ready(outcome), ready("10 units later"));
    // Failures, panics and notes end as they do of other functions.
    let failed = |arguments| match poll(&mut future(&tools, index, arguments)) {
        Poll::Ready(Err(error)) => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(failed(r#"{"number":0}"#), ToolError::Panicked));
    assert_eq!(failed(r#"{"number":1}"#), ToolError::message("one is too few"));
    let ToolError::Message(text) = failed(r#"{"number":1,"limt":3}"#) else {
        panic!("the note is missing");
    };
    assert!(
        text.starts_with("one is too few\n") && text.contains("limt"),
        "{text}"
    );
}

#[test]
fn arguments_that_break_the_schema_do_not_start() {
    let (tools, index) = only(echo());
    for (arguments, path) in [
        ("{}", ""),
        (r#"{"message":1}"#, "/message"),
        ("[]", ""),
        ("null", ""),
        (r#"{"message":"a","message":"a"}"#, "/message"),
        (r#"{"message":"a","x":{"y":1,"y":2}}"#, "/x/y"),
    ] {
        let Err(StartError::Violations(violations)) = start(&tools, index, arguments) else {
            panic!("{arguments} started");
        };
        assert_eq!(
            violations.iter().next().map(|first| first.path()),
            Some(path),
            "{arguments}"
        );
    }
    assert!(tools.start_tool(index, None, CallContext::new()).is_err());
    // A schema does not forbid members that it does not know.
    assert_eq!(
        poll(&mut future(&tools, index, r#"{"message":"a","x":1}"#)),
        ready("a")
    );
}

#[test]
fn what_the_type_refuses_is_a_violation_too() {
    let schema = json!({"type": "object", "properties": {"message": {}}});
    let tool = Tool::new("loose")
        .input_schema(schema)
        .run(|_: CallContext, args: Echo| async move { Ok(args.message) });
    let (tools, index) = only(tool);
    let Err(StartError::Violations(violations)) = start(&tools, index, r#"{"message":[]}"#) else {
        panic!("it started");
    };
    assert_eq!(
        violations.iter().next().map(|first| first.path()),
        Some("/message")
    );
}

#[test]
fn absent_arguments_are_the_empty_object() {
    let (tools, index) = only(Tool::new("none").run(|_: CallContext, _: NoArguments| async { Ok("ran") }));
    let Ok(Started::Future(mut call)) = tools.start_tool(index, None, CallContext::new()) else {
        panic!("did not start");
    };
    assert_eq!(poll(&mut call), ready("ran"));
}

#[test]
fn untyped_tools_are_held_to_their_output_schema() {
    let tool = Tool::new("raw")
        .input_schema(json!({"type": "object"}))
        .output_schema(json!({"type": "object", "required": ["n"]}))
        .run(|_: CallContext, args: serde_json::Value| async move { Ok(ToolOutput::structured(args)) });
    let (tools, index) = only(tool);
    let Poll::Ready(Ok(output)) = poll(&mut future(&tools, index, r#"{"n":[1,{"b":null}]}"#)) else {
        panic!("no result");
    };
    let output = output.into_tool().unwrap();
    assert_eq!(output.structured_content(), Some(&json!({"n": [1, {"b": null}]})));
    let broken = poll(&mut future(&tools, index, "{}"));
    assert!(
        matches!(broken, Poll::Ready(Err(ToolError::Internal(_)))),
        "{broken:?}"
    );
}

#[test]
fn calls_are_unpin_and_blocking_calls_are_send() {
    fn is_unpin<T: Unpin>() {}
    fn is_send<T: Send>() {}
    is_unpin::<CallFuture>();
    is_send::<super::super::BlockingCall>();
    is_send::<Registry>();
    let _: fn(Pin<&mut CallFuture>, &mut Context<'_>) -> Poll<Outcome> = Future::poll;
}
