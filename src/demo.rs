//! The embedded `demo` toolset: small tools, resources and a prompt for trials, tests and benchmarks.
//!
//! One tool for each way a call can go: answered at once, pending, on a worker, failing, large; a resource at a
//! fixed place and two templates, one of which takes its time. None touches the world outside.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::registry::{
    BlockingContext, CacheScope, Caching, CallContext, Completing, Prompt, PromptArgument, RegistryBuilder,
    RegistryError, Resource, ResourceTemplate, Tool, ToolError,
};

#[derive(Deserialize, JsonSchema)]
struct Echo {
    /// What to answer.
    message: String,
}

#[derive(Deserialize, JsonSchema)]
struct Sleep {
    /// How long to wait, in milliseconds.
    #[schemars(range(max = 60_000))]
    ms: u64,
}

#[derive(Deserialize, JsonSchema)]
struct Spin {
    /// How long to keep a CPU busy, in milliseconds.
    #[schemars(range(max = 60_000))]
    ms: u64,
}

#[derive(Deserialize, JsonSchema)]
struct Fail {
    /// In which way to fail.
    how: How,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum How {
    Error,
    Panic,
}

#[derive(Deserialize, JsonSchema)]
struct Blob {
    /// How long the text is to be, in bytes.
    #[schemars(range(max = 3_145_728))]
    bytes: usize,
}

/// Variables of `demo://greeting/{name}`.
#[derive(Deserialize)]
struct Greeting {
    name: String,
}

/// Variables of `demo://sleep/{ms}`.
#[derive(Deserialize)]
struct Nap {
    ms: String,
}

/// Arguments of `summarize`.
#[derive(Deserialize)]
struct Summarize {
    text: String,
    style: Option<String>,
}

/// What the server says of the demo's resource.
const ABOUT: &str =
    "Weir's demo toolset: tools, resources and a prompt that touch nothing outside the server.\n";

/// Whom a greeting proposes to greet.
const NAMES: [&str; 4] = ["Ada", "Alan", "Barbara", "Grace"];

const STYLES: [&str; 3] = ["brief", "bullets", "detailed"];

/// A nap's longest, as with the tool.
const NAP_MS_MAX: u64 = 60_000;

/// Adds the tools `echo`, `sleep`, `spin`, `fail` and `blob`; the resource `demo://about`; the templates
/// `demo://greeting/{name}` and `demo://sleep/{ms}`; and the prompt `summarize`.
///
/// # Errors
/// If one of these names is taken.
pub fn register(registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
    register_tools(registry)?;
    register_resources(registry)?;
    registry.add(summarize())?;
    Ok(())
}

fn register_resources(registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
    registry.add(
        Resource::new("demo://about", "about")
            .title("About the demo")
            .description("What the demo toolset is.")
            .mime_type("text/plain")
            .size_bytes(ABOUT.len() as u64)
            .caching(Caching::new(Duration::from_secs(300), CacheScope::Public))
            .read(|_: CallContext| async { Ok(ABOUT) }),
    )?;
    registry.add(
        ResourceTemplate::new("demo://greeting/{name}", "greeting")
            .title("A greeting")
            .description("Greets by name.")
            .mime_type("text/plain")
            .complete("name", |_: CallContext, completing: Completing| async move {
                Ok(beginning_with(&NAMES, completing.value()))
            })
            .read(|_: CallContext, args: Greeting| async move { Ok(format!("Hello, {}!", args.name)) }),
    )?;
    registry.add(
        ResourceTemplate::new("demo://sleep/{ms}", "sleep")
            .title("A nap")
            .description("Takes as many milliseconds to read as its URI says.")
            .mime_type("text/plain")
            .read(|_: CallContext, args: Nap| async move {
                match args.ms.parse() {
                    Ok(ms @ 0..=NAP_MS_MAX) => sleep(Sleep { ms }).await,
                    _ => Err(ToolError::NotFound),
                }
            }),
    )?;
    Ok(())
}

fn summarize() -> Prompt {
    Prompt::new("summarize")
        .title("Summarize")
        .description("Asks for a summary of a text.")
        .argument(PromptArgument::required("text").description("What to summarize."))
        .argument(PromptArgument::optional("style").description("brief, bullets or detailed."))
        .complete("style", |_: CallContext, completing: Completing| async move {
            Ok(beginning_with(&STYLES, completing.value()))
        })
        .run(|_: CallContext, args: Summarize| async move {
            let style = args.style.as_deref().unwrap_or("brief");
            match STYLES.contains(&style) {
                true => Ok(format!(
                    "Give a summary ({style}) of the following text.\n\n{}",
                    args.text
                )),
                false => Err(ToolError::invalid_arguments(
                    "`style` is brief, bullets or detailed",
                )),
            }
        })
}

fn beginning_with(known: &[&'static str], start: &str) -> Vec<&'static str> {
    let is_meant = |name: &&&str| {
        name.get(..start.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(start))
    };
    known.iter().filter(is_meant).copied().collect()
}

fn register_tools(tools: &mut RegistryBuilder) -> Result<(), RegistryError> {
    tools.add(
        Tool::new("echo")
            .title("Echo")
            .description("Answers with the message it was given.")
            .read_only()
            .idempotent()
            .open_world(false)
            .run(|_: CallContext, args: Echo| async move { Ok(args.message) }),
    )?;
    tools.add(
        Tool::new("sleep")
            .title("Sleep")
            .description("Waits without using a CPU, then says how long it waited.")
            .read_only()
            .idempotent()
            .open_world(false)
            .run(|_: CallContext, args: Sleep| sleep(args)),
    )?;
    tools.add(
        Tool::new("spin")
            .title("Spin")
            .description("Keeps one CPU of the worker pool busy, then says for how long.")
            .read_only()
            .idempotent()
            .open_world(false)
            .run_blocking(spin),
    )?;
    tools.add(
        Tool::new("fail")
            .title("Fail")
            .description("Fails with an error, or by panicking.")
            .read_only()
            .idempotent()
            .open_world(false)
            .run(|_: CallContext, args: Fail| async move { fail(&args.how) }),
    )?;
    tools.add(
        Tool::new("blob")
            .title("Blob")
            .description("Answers with a text of the length it was given.")
            .read_only()
            .idempotent()
            .open_world(false)
            .run(|_: CallContext, args: Blob| async move { Ok(blob(args.bytes)) }),
    )?;
    Ok(())
}

async fn sleep(args: Sleep) -> Result<String, ToolError> {
    glommio::timer::sleep(Duration::from_millis(args.ms)).await;
    Ok(format!("slept {} ms", args.ms))
}

#[allow(clippy::disallowed_methods, reason = "runs on a worker")]
fn spin(context: &BlockingContext, args: Spin) -> Result<String, ToolError> {
    let begin = Instant::now();
    let duration = Duration::from_millis(args.ms);
    while begin.elapsed() < duration {
        if context.is_cancelled() {
            return Err(ToolError::Cancelled);
        }
        std::hint::spin_loop();
    }
    Ok(format!("spun {} ms", args.ms))
}

fn fail(how: &How) -> Result<&'static str, ToolError> {
    match how {
        How::Error => Err(ToolError::message("failed as asked")),
        How::Panic => panic!("panicked as asked"),
    }
}

/// The alphabet over and over: no escapes, easy to check for a wrong byte.
fn blob(bytes: usize) -> String {
    const ALPHABET: &str = "abcdefghijklmnopqrstuvwxyz";
    let mut text = ALPHABET.repeat(bytes.div_ceil(ALPHABET.len()));
    text.truncate(bytes);
    text
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use serde_json::{Value, json};

    use super::*;
    use crate::registry::specification::{REVISIONS, assert_matches};
    use crate::registry::{Cancellation, Content, Execution, Outcome, Registry, StartError, Started};

    fn demo() -> Registry {
        let mut tools = Registry::builder();
        register(&mut tools).unwrap();
        tools.build()
    }

    fn start(name: &str, arguments: &Value) -> Result<Started, StartError> {
        let registry = demo();
        let mut bytes = arguments.to_string().into_bytes();
        let tape = simd_json::to_tape(&mut bytes).unwrap();
        let tool = registry.find(name).unwrap();
        registry
            .for_shard()
            .start_tool(tool, Some(tape.as_value()), CallContext::new())
    }

    fn run(name: &str, arguments: &Value) -> Outcome {
        match start(name, arguments).unwrap() {
            Started::Blocking(call) => call.run(&BlockingContext::default()),
            Started::Future(call) => match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => panic!("{name} is pending"),
            },
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
        assert_eq!(tools.len(), 5);
        for tool in tools {
            assert_eq!(tool["inputSchema"]["type"], "object");
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
            ("spin", json!({"ms": 60_001})),
            ("fail", json!({"how": "softly"})),
            ("blob", json!({"bytes": 3 * 1024 * 1024 + 1})),
        ] {
            assert!(start(name, &arguments).is_err(), "{name} {arguments}");
        }
        assert!(start("blob", &json!({"bytes": 3 * 1024 * 1024})).is_ok());
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
    fn sleep_is_a_future_of_the_executor() {
        let slept = glommio::LocalExecutorBuilder::default()
            .spawn(|| async {
                match start("sleep", &json!({"ms": 1})) {
                    Ok(Started::Future(call)) => call.await,
                    _ => panic!("did not start"),
                }
            })
            .unwrap()
            .join()
            .unwrap();
        assert_eq!(text(slept), "slept 1 ms");
    }
}
