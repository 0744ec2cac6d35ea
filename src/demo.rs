//! The embedded `demo` toolset: small tools for trials, tests and benchmarks.
//!
//! One tool for each way a call can go: answered at once, pending, on a worker, failing, large. None touches the
//! world outside.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::registry::{BlockingContext, CallContext, RegistryBuilder, RegistryError, Tool, ToolError};

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

/// Adds `echo`, `sleep`, `spin`, `fail` and `blob`.
///
/// # Errors
/// If one of these names is taken.
pub fn register(tools: &mut RegistryBuilder) -> Result<(), RegistryError> {
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
