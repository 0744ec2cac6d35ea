//! The tools of the shard under test, and what holds their calls until a test lets them go on.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::future::poll_fn;
use std::io::Read;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::registry::{
    BlockingContext, CallContext, Cancellation, DerivedSchema, Elicit, ElicitAnswer, FromClient, LogLevel,
    Registry, StreamedText, TaskSupport, Tool, ToolBuilder, ToolError,
};

thread_local! {
    /// The secrets of held calls that may go on.
    static RELEASED: RefCell<HashSet<String>> = RefCell::default();
    /// Wakes the calls that are held.
    static HELD: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
    /// Calls of each limited tool that run.
    static RUNNING: RefCell<HashMap<&'static str, u32>> = RefCell::default();
    /// The context of a call that shares it.
    static SHARED: RefCell<Option<CallContext>> = const { RefCell::new(None) };
}

/// How long a call of `nap` takes.
pub(super) const NAP: Duration = Duration::from_millis(20);

/// By secret, what was read from the sources of its calls.
static POURED: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

#[derive(Deserialize, JsonSchema)]
struct Secret {
    secret: String,
}

#[derive(Deserialize, JsonSchema)]
struct Blob {
    secret: String,
    #[schemars(range(max = 4_000_000))]
    bytes: usize,
}

#[derive(Deserialize, JsonSchema)]
struct Speak {
    secret: String,
    lines: usize,
    bytes: usize,
}

/// Blocking calls wait here until the test lets them go on.
#[derive(Default)]
pub(super) struct Barrier {
    state: Mutex<BarrierState>,
    changed: Condvar,
}

#[derive(Default)]
struct BarrierState {
    is_open: bool,
    waiting: usize,
    /// So many of those that waited may pass.
    passes: usize,
}

impl Barrier {
    pub(super) fn pass(&self, context: &BlockingContext) {
        let mut state = self.state.lock().unwrap();
        state.waiting += usize::from(!state.is_open);
        self.changed.notify_all();
        while !state.is_open && state.passes == 0 && !context.is_cancelled() {
            // The cancellation has no waker; the bound is for it alone.
            state = self
                .changed
                .wait_timeout(state, Duration::from_millis(1))
                .unwrap()
                .0;
        }
        if state.passes > 0 {
            state.passes -= 1;
        } else if !state.is_open {
            state.waiting -= 1;
        }
        self.changed.notify_all();
    }

    /// Lets one pass that waits.
    pub(super) fn let_one_pass(&self) {
        let mut state = self.state.lock().unwrap();
        assert!(state.waiting > 0, "nobody waits");
        state.waiting -= 1;
        state.passes += 1;
        self.changed.notify_all();
    }

    pub(super) fn open(&self) {
        let mut state = self.state.lock().unwrap();
        state.is_open = true;
        state.waiting = 0;
        self.changed.notify_all();
    }

    pub(super) fn waiting(&self) -> usize {
        self.state.lock().unwrap().waiting
    }

    /// Returns once `count` calls wait here.
    pub(super) fn await_waiting(&self, count: usize) {
        let state = self.state.lock().unwrap();
        drop(
            self.changed
                .wait_while(state, |state| state.waiting != count)
                .unwrap(),
        );
    }
}

/// What is served at another endpoint: one tool of the first is not there, and one is that the first has not.
pub(super) fn elsewhere(registry: &Registry) -> Registry {
    let mut edited = registry.edit();
    assert!(edited.remove_tool("nap"));
    let abroad = Tool::new("abroad").run(|_: CallContext, args: Secret| hold(args));
    edited.add(abroad).unwrap();
    edited.build()
}

/// Forgets which calls were released in this thread's earlier test.
pub(super) fn forget_released() {
    RELEASED.with_borrow_mut(HashSet::clear);
}

/// Lets the held call with this secret go on.
pub(super) fn release(secret: &str) {
    RELEASED.with_borrow_mut(|released| released.insert(secret.to_owned()));
    HELD.take().into_iter().for_each(Waker::wake);
}

/// The context of the call that shares it.
pub(super) fn take_context() -> CallContext {
    SHARED.take().expect("a call of `share`")
}

/// Answers with the secret once it was [released](release).
async fn hold(args: Secret) -> Result<String, ToolError> {
    poll_fn(|context| {
        if RELEASED.with_borrow(|released| released.contains(&args.secret)) {
            return Poll::Ready(());
        }
        HELD.with_borrow_mut(|held| held.push(context.waker().clone()));
        Poll::Pending
    })
    .await;
    Ok(args.secret)
}

/// A call of a limited tool that runs.
struct Running(&'static str);

impl Running {
    /// One more, of which so many may run.
    fn begin(tool: &'static str, calls_max: u32) -> Running {
        RUNNING.with_borrow_mut(|running| {
            let running = running.entry(tool).or_default();
            *running += 1;
            assert!(*running <= calls_max, "{running} calls of {tool} run");
        });
        Running(tool)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.with_borrow_mut(|running| *running.entry(self.0).or_default() -= 1);
    }
}

/// A tool that [holds](hold) its calls, so many at once.
fn limited(tool: &'static str, calls_max: u32) -> ToolBuilder<DerivedSchema> {
    Tool::new(tool).task(TaskSupport::Optional).concurrency(calls_max)
}

/// Holds a call of such a tool.
async fn hold_limited(tool: &'static str, calls_max: u32, args: Secret) -> Result<String, ToolError> {
    let _running = Running::begin(tool, calls_max);
    hold(args).await
}

/// Says what it is told to, waits to be [released](release) and answers with the secret.
async fn speak(context: CallContext, args: Speak) -> Result<String, ToolError> {
    for line in 0..args.lines {
        let text = format!("{}:{line}:{}", args.secret, "x".repeat(args.bytes));
        context.log(LogLevel::Info, text);
        if line % 8 == 7 {
            // More than a link holds is said in several goes.
            give_way().await;
        }
    }
    hold(Secret { secret: args.secret }).await
}

/// Sends the client away, waits to be [released](release) and answers with the secret.
async fn part(context: CallContext, args: Secret) -> Result<String, ToolError> {
    context.close_stream(Duration::from_millis(250));
    hold(args).await
}

/// Answers with the secret once [`NAP`] has passed on this clock. Every turn polls it.
async fn nap(args: Secret, clock: fn() -> Instant) -> Result<String, ToolError> {
    let over = clock() + NAP;
    poll_fn(|context| {
        if clock() >= over {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    Ok(args.secret)
}

/// Answers with who calls, which is the secret if all is well.
fn who(context: &CallContext, _: &Secret) -> Result<String, ToolError> {
    let caller = context.caller();
    let peer = caller.peer().map(|peer| peer.to_string());
    let client = caller.client().map(|client| client.unverified().to_string());
    let tenant = caller.header("x-tenant")?.map_or("", FromClient::unverified);
    Ok(format!(
        "{:?} {} {} {tenant}",
        caller.transport(),
        peer.unwrap_or_default(),
        client.unwrap_or_default()
    ))
}

/// Pending once.
async fn give_way() {
    let mut has_waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Answers with the secret if the user accepts.
async fn ask(context: CallContext, args: Secret) -> Result<String, ToolError> {
    let form = Elicit::form(args.secret.clone());
    match context.ask("ok", form).await? {
        ElicitAnswer::Accept(_) => Ok(args.secret),
        _ => Err(ToolError::message(format!("{} was declined", args.secret))),
    }
}

/// Hands its context to whoever [takes](take_context) it, and asks.
async fn share(context: CallContext, args: Secret) -> Result<String, ToolError> {
    SHARED.set(Some(context.clone()));
    ask(context, args).await
}

/// Bytes that were read from the sources of calls with this secret.
pub(super) fn poured_bytes(secret: &str) -> usize {
    POURED.lock().unwrap().get(secret).copied().unwrap_or_default()
}

/// The secret and so many bytes, which are read while they are sent, and which end in an error if they are `spilt`.
fn pour(args: Blob, is_spilt: bool) -> StreamedText {
    let Blob { secret, bytes } = args;
    let of = secret.clone();
    let filler = (0..bytes)
        .step_by(1000)
        .map(move |at| "x".repeat((bytes - at).min(1000)));
    let pieces = std::iter::once(secret).chain(filler).inspect(move |piece| {
        *POURED.lock().unwrap().entry(of.clone()).or_default() += piece.len();
    });
    let end = is_spilt.then(|| Err(std::io::Error::other("it is spilt")));
    StreamedText::from_results(pieces.map(Ok).chain(end))
}

/// A source that waits at the barrier before each byte of the secret, and takes its time.
struct Drip {
    barrier: Arc<Barrier>,
    bytes: VecDeque<u8>,
    of: String,
}

impl Read for Drip {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.barrier.pass(&BlockingContext::new(Cancellation::new()));
        super::rig::let_time_pass_here(Duration::from_secs(1));
        let count = self.bytes.len().min(1);
        into[..count].fill_with(|| self.bytes.pop_front().unwrap());
        *POURED.lock().unwrap().entry(self.of.clone()).or_default() += count;
        Ok(count)
    }
}

impl Drop for Drip {
    fn drop(&mut self) {
        POURED.lock().unwrap().remove(&self.of);
    }
}

fn drip(args: &Secret, barrier: &Arc<Barrier>) -> StreamedText {
    StreamedText::from_reader(Drip {
        barrier: Arc::clone(barrier),
        bytes: args.secret.bytes().collect(),
        of: args.secret.clone(),
    })
}

pub(super) fn registry(barrier: &Arc<Barrier>, clock: fn() -> Instant) -> Registry {
    let mut tools = Registry::builder();
    let barrier = Arc::clone(barrier);
    let also = Arc::clone(&barrier);
    let tap = Arc::clone(&barrier);
    let task_of = |name| Tool::new(name).task(TaskSupport::Optional);
    let toolset = [
        Tool::new("echo").run(|_: CallContext, args: Secret| async move { Ok(args.secret) }),
        task_of("hold").run(|_: CallContext, args: Secret| hold(args)),
        Tool::new("nap").run(move |_: CallContext, args: Secret| nap(args, clock)),
        Tool::new("blob").run(|_: CallContext, args: Blob| async move {
            Ok(args.secret.clone() + &"x".repeat(args.bytes))
        }),
        task_of("fail").run(|_: CallContext, args: Secret| async move {
            Err::<String, _>(ToolError::message(args.secret))
        }),
        task_of("speak").run(|context: CallContext, args: Speak| speak(context, args)),
        Tool::new("part").run(|context: CallContext, args: Secret| part(context, args)),
        task_of("ask").run(|context: CallContext, args: Secret| ask(context, args)),
        task_of("share").run(|context: CallContext, args: Secret| share(context, args)),
        // These speak before they have a future, which keeps no context.
        Tool::new("greet").run(|context: CallContext, args: Secret| {
            context.log(LogLevel::Warning, format!("{} is here", args.secret));
            async move { Ok(args.secret) }
        }),
        Tool::new("foresee").run(|context: CallContext, args: Secret| {
            let asked = context.ask("ok", Elicit::form(args.secret.clone()));
            async move {
                match asked.await? {
                    ElicitAnswer::Accept(_) => Ok(args.secret),
                    _ => Err(ToolError::message("declined")),
                }
            }
        }),
        Tool::new("yield").run(|_: CallContext, args: Secret| async move {
            give_way().await;
            Ok(args.secret)
        }),
        Tool::new("shout").run_blocking(|context: &BlockingContext, args: Secret| {
            context.log(LogLevel::Warning, args.secret.clone());
            Ok(args.secret)
        }),
        Tool::new("haul").run_blocking(|_: &BlockingContext, args: Blob| {
            Ok(args.secret.clone() + &"x".repeat(args.bytes))
        }),
        Tool::new("who")
            .reads_header("x-tenant")
            .run(|context: CallContext, args: Secret| async move { who(&context, &args) }),
        limited("sole", 1).run(|_: CallContext, args: Secret| hold_limited("sole", 1, args)),
        limited("pair", 2)
            .queue(3)
            .run(|_: CallContext, args: Secret| hold_limited("pair", 2, args)),
        limited("sole_ask", 1).run(|context: CallContext, args: Secret| async move {
            let _running = Running::begin("sole_ask", 1);
            ask(context, args).await
        }),
        limited("sole_wait", 1).run_blocking(move |context: &BlockingContext, args: Secret| {
            also.pass(context);
            Ok(args.secret)
        }),
        Tool::new("pour").run(|_: CallContext, args: Blob| async move { Ok(pour(args, false)) }),
        Tool::new("spill").run_blocking(|_: &BlockingContext, args: Blob| Ok(pour(args, true))),
        Tool::new("drip").run(move |_: CallContext, args: Secret| {
            let text = drip(&args, &tap);
            async move { Ok(text) }
        }),
        Tool::new("gush").run(|_: CallContext, args: Blob| async move {
            Ok(StreamedText::from_pieces([args.secret + &"x".repeat(args.bytes)]))
        }),
        Tool::new("block").run_blocking(|_: &BlockingContext, args: Secret| Ok(args.secret)),
        task_of("wait").run_blocking(move |context: &BlockingContext, args: Secret| {
            barrier.pass(context);
            Ok(args.secret)
        }),
    ];
    for tool in toolset {
        tools.add(tool).unwrap();
    }
    tools.build()
}
