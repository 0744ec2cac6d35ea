//! The tools of the demo.

use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::registry::{
    BlockingContext, CallContext, Elicit, ElicitAnswer, Progress, RegistryBuilder, RegistryError,
    TaskSupport, Tool, ToolError,
};

#[derive(Deserialize, JsonSchema)]
struct Echo {
    /// The message to return.
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
    /// The way to fail.
    how: How,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum How {
    Error,
    Internal,
    Panic,
}

#[derive(Deserialize, JsonSchema)]
struct Blob {
    /// How long the text is to be, in bytes.
    #[schemars(range(max = 3_145_728))]
    bytes: usize,
}

#[derive(Deserialize, JsonSchema)]
struct Steps {
    /// How many steps to take.
    #[schemars(range(min = 1, max = 1_000_000))]
    steps: u32,
    /// How long each takes, in milliseconds.
    #[schemars(range(max = 10_000))]
    delay_ms: u64,
}

#[derive(Deserialize, JsonSchema)]
struct Question {
    /// The question for the user.
    question: String,
}

/// The form that the user fills in.
#[derive(Deserialize, JsonSchema)]
struct Answer {
    /// The answer.
    answer: String,
}

pub(super) fn register(tools: &mut RegistryBuilder) -> Result<(), RegistryError> {
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
            .task(TaskSupport::Optional)
            .run(|_: CallContext, args: Sleep| sleep(args.ms)),
    )?;
    tools.add(
        Tool::new("spin")
            .title("Spin")
            .description("Keeps one CPU of the worker pool busy, then says for how long.")
            .read_only()
            .idempotent()
            .open_world(false)
            .task(TaskSupport::Optional)
            .run_blocking(spin),
    )?;
    tools.add(
        Tool::new("fail")
            .title("Fail")
            .description("Fails with an error, or by panicking.")
            .read_only()
            .idempotent()
            .open_world(false)
            .task(TaskSupport::Optional)
            .run(|_: CallContext, args: Fail| async move { fail(&args.how) }),
    )?;
    tools.add(
        Tool::new("blob")
            .title("Blob")
            .description("Answers with a text of the length it was given.")
            .read_only()
            .idempotent()
            .open_world(false)
            .run(|_: CallContext, args: Blob| async move { Ok(blob(args.bytes).await) }),
    )?;
    tools.add(
        Tool::new("progress")
            .title("Progress")
            .description("Takes so many steps and tells of each.")
            .read_only()
            .idempotent()
            .open_world(false)
            .task(TaskSupport::Optional)
            .run(progress),
    )?;
    tools.add(
        Tool::new("ask")
            .title("Ask")
            .description("Asks the user a question, then says what the answer was.")
            .read_only()
            .open_world(false)
            .task(TaskSupport::Optional)
            .run(ask),
    )?;
    Ok(())
}

pub(super) async fn sleep(ms: u64) -> Result<String, ToolError> {
    crate::ring::sleep(Duration::from_millis(ms)).await;
    Ok(format!("slept {ms} ms"))
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
        How::Internal => Err(std::io::Error::other("failed inside as asked").into()),
        How::Panic => panic!("panicked as asked"),
    }
}

const ALPHABET: &str = "abcdefghijklmnopqrstuvwxyz";

/// The largest text that is made at once.
const SMALL_BLOB_BYTES_MAX: usize = 128 << 10;

/// How much of a larger one is made in one turn.
const BLOB_STEP_BYTES: usize = 64 << 10;

/// Repeats the alphabet: it needs no escapes, and a wrong byte is easy to see. A large text takes so long to make that
/// others have their turns meanwhile.
async fn blob(bytes: usize) -> String {
    let of = |bytes: usize| ALPHABET.repeat(bytes.div_ceil(ALPHABET.len()));
    let mut text;
    if bytes <= SMALL_BLOB_BYTES_MAX {
        text = of(bytes);
    } else {
        let step = of(BLOB_STEP_BYTES);
        text = String::with_capacity(bytes + step.len());
        text.push_str(&step);
        while text.len() < bytes {
            give_way().await;
            text.push_str(&step);
        }
    }
    text.truncate(bytes);
    text
}

async fn progress(context: CallContext, args: Steps) -> Result<String, ToolError> {
    for step in 1..=args.steps {
        match args.delay_ms {
            // Steps without a delay still leave the shard time for other calls, and to send the progress.
            0 => give_way().await,
            ms => crate::ring::sleep(Duration::from_millis(ms)).await,
        }
        if context.wants_progress() {
            let message = format!("step {step} of {}", args.steps);
            context.progress(Progress::from((step, args.steps)).message(message));
        }
    }
    Ok(format!("done {} steps", args.steps))
}

/// A future that is pending once and asks to be polled again.
async fn give_way() {
    let mut has_waited = false;
    poll_fn(|cx| {
        if has_waited {
            return Poll::Ready(());
        }
        has_waited = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn ask(context: CallContext, args: Question) -> Result<String, ToolError> {
    let form = Elicit::typed::<Answer>(args.question);
    match context.ask("answer", form).await? {
        ElicitAnswer::Accept(content) => Ok(format!("the user said: {}", content.answer)),
        ElicitAnswer::Decline => Ok("the user declined".to_owned()),
        ElicitAnswer::Cancel => Ok("the user cancelled".to_owned()),
    }
}
