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
    /// How the time is spread over calls whose mean it is. `heavy` is log-normal with a standard deviation of three
    /// times the mean.
    #[serde(default)]
    spread: Spread,
}

/// How long calls take, about a mean.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Spread {
    #[default]
    Constant,
    Exponential,
    Heavy,
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
            .run(|_: CallContext, args: Sleep| sleep(args)),
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

/// Waits for this long.
pub(super) async fn nap(ms: u64) -> Result<String, ToolError> {
    sleep(Sleep {
        ms,
        spread: Spread::Constant,
    })
    .await
}

async fn sleep(Sleep { ms, spread }: Sleep) -> Result<String, ToolError> {
    let drawn = spread.draw(&mut fastrand::Rng::new(), ms as f64);
    crate::ring::sleep(Duration::from_secs_f64(drawn / 1e3)).await;
    Ok(match spread {
        Spread::Constant => format!("slept {ms} ms"),
        Spread::Exponential | Spread::Heavy => format!("slept {drawn:.3} ms"),
    })
}

/// The longest time that a spread draws, in milliseconds.
const DRAWN_MS_MAX: f64 = 60_000.0;

impl Spread {
    /// A time of this mean, in its unit.
    fn draw(self, random: &mut fastrand::Rng, mean: f64) -> f64 {
        // 1 - [0, 1) is never 0.
        let mut exponential = || -(1.0 - random.f64()).ln();
        let drawn = match self {
            Spread::Constant => mean,
            Spread::Exponential => mean * exponential(),
            Spread::Heavy => {
                // Of a log-normal time with a coefficient of variation of 3.
                let variance = 10_f64.ln();
                // Box and Muller: a normal number of two uniform ones.
                let radius = (2.0 * exponential()).sqrt();
                let normal = radius * (std::f64::consts::TAU * random.f64()).cos();
                mean * variance.sqrt().mul_add(normal, -variance / 2.0).exp()
            }
        };
        drawn.min(DRAWN_MS_MAX)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_have_their_mean_and_deviation() {
        let mut random = fastrand::Rng::with_seed(11);
        for (spread, deviation, slack) in [
            (Spread::Constant, 0.0, 0.0),
            (Spread::Exponential, 1.0, 0.02),
            // The tail that makes the deviation is rare.
            (Spread::Heavy, 3.0, 0.5),
        ] {
            let drawn: Vec<f64> = (0..400_000).map(|_| spread.draw(&mut random, 20.0)).collect();
            let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
            let variance = drawn.iter().map(|ms| (ms - mean).powi(2)).sum::<f64>() / drawn.len() as f64;
            assert!((mean / 20.0 - 1.0).abs() < 0.02, "{spread:?}: mean {mean}");
            let found = variance.sqrt() / mean;
            assert!((found - deviation).abs() <= slack, "{spread:?}: {found}");
        }
        assert_eq!(Spread::Heavy.draw(&mut random, 0.0), 0.0);
    }

    #[test]
    fn what_is_drawn_is_bounded() {
        let mut random = fastrand::Rng::with_seed(12);
        let longest = (0..10_000)
            .map(|_| Spread::Heavy.draw(&mut random, 60_000.0))
            .fold(0.0, f64::max);
        assert_eq!(longest, DRAWN_MS_MAX);
    }
}
