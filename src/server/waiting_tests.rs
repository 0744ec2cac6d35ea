//! What tools await, in every way a shard waits: nothing that the executor has to see is seen late.
//!
//! A wake-up that the shard misses while it sleeps comes with an idle tick, a tenth of a second apart; the tests look
//! at medians, which a busy machine does not make as late as that.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::Write;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures_io::AsyncRead as _;

use super::test_client::{Asked, Caller, PATIENCE};
use super::*;
use crate::registry::{CallContext, Elicit, NoArguments, Registry, RegistryBuilder, Tool, ToolError};
use crate::ring::sleep;

/// What is awaited takes this long.
const WAIT: Duration = Duration::from_millis(3);
/// Lateness that only a missed wake-up explains.
const LATE: Duration = Duration::from_millis(40);
const CALLS: usize = 15;

/// What a call of a tool says: by how many microseconds it was late.
fn late(since: Instant, wait: Duration) -> Result<String, ToolError> {
    Ok((since.elapsed().saturating_sub(wait)).as_micros().to_string())
}

async fn timer() -> Result<String, ToolError> {
    let began = Instant::now();
    glommio::timer::sleep(WAIT).await;
    late(began, WAIT)
}

/// Runs elsewhere: the shard is told.
#[cfg(feature = "tokio")]
async fn tokio_timer() -> Result<String, ToolError> {
    let began = Instant::now();
    tokio::time::sleep(WAIT).await;
    late(began, WAIT)
}

async fn own_sleep() -> Result<String, ToolError> {
    let began = Instant::now();
    sleep(WAIT).await;
    late(began, WAIT)
}

/// Waits until `begin` has had its waker woken.
async fn woken(begin: impl FnOnce(std::task::Waker)) {
    let mut begin = Some(begin);
    let has_begun = Cell::new(0);
    poll_fn(|context| match has_begun.replace(has_begun.get() + 1) {
        // A call is polled twice at first.
        0 => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
        1 => {
            if let Some(begin) = begin.take() {
                begin(context.waker().clone());
            }
            Poll::Pending
        }
        _ => Poll::Ready(()),
    })
    .await;
}

async fn other_thread() -> Result<String, ToolError> {
    let when = Arc::new(std::sync::Mutex::new(None));
    let told = Arc::clone(&when);
    woken(move |waker| {
        thread::spawn(move || {
            thread::sleep(WAIT);
            *told.lock().unwrap() = Some(Instant::now());
            waker.wake();
        });
    })
    .await;
    let at = when.lock().unwrap().unwrap();
    late(at, Duration::ZERO)
}

async fn channel() -> Result<String, ToolError> {
    let (sender, receiver) = glommio::channels::shared_channel::new_bounded::<Instant>(1);
    let sends = move || async move {
        let sender = sender.connect().await;
        glommio::timer::sleep(WAIT).await;
        let _ = sender.send(Instant::now()).await;
    };
    let other = glommio::LocalExecutorBuilder::default().spawn(sends).unwrap();
    let receiver = receiver.connect().await;
    let sent = receiver.recv().await.unwrap();
    let said = late(sent, Duration::ZERO);
    drop(receiver);
    thread::spawn(move || other.join());
    said
}

async fn file() -> Result<String, ToolError> {
    let began = Instant::now();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let file = glommio::io::BufferedFile::open(path).await.unwrap();
    let bytes = file.read_at(0, 100).await.unwrap();
    file.close().await.unwrap();
    assert_eq!(bytes.len(), 100);
    late(began, Duration::ZERO)
}

async fn socket() -> Result<String, ToolError> {
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let writes = move || {
        thread::sleep(WAIT);
        let now = Instant::now();
        theirs.write_all(b"x").unwrap();
        now
    };
    let writer = thread::spawn(writes);
    let ours = std::os::fd::OwnedFd::from(ours);
    // SAFETY: the descriptor is owned by nobody else.
    #[allow(unsafe_code, reason = "glommio takes only raw descriptors")]
    let mut ours: glommio::net::UnixStream =
        unsafe { std::os::fd::FromRawFd::from_raw_fd(std::os::fd::IntoRawFd::into_raw_fd(ours)) };
    let mut byte = [0];
    poll_fn(|context| Pin::new(&mut ours).poll_read(context, &mut byte))
        .await
        .unwrap();
    let read = Instant::now();
    let written = writer.join().unwrap();
    Ok(read.saturating_duration_since(written).as_micros().to_string())
}

/// A task of its own wakes the call: nobody holds anything of the call's that the executor would know.
async fn task() -> Result<String, ToolError> {
    let began = Instant::now();
    let is_over = Rc::new(Cell::new(false));
    let over = Rc::clone(&is_over);
    woken(move |waker| {
        let task = async move {
            glommio::timer::sleep(WAIT).await;
            over.set(true);
            waker.wake();
        };
        glommio::spawn_local(task).detach();
    })
    .await;
    assert!(is_over.get());
    late(began, WAIT)
}

const TOOLS: &[&str] = &[
    #[cfg(feature = "tokio")]
    "tokio",
    "timer",
    "own_sleep",
    "other_thread",
    "channel",
    "file",
    "socket",
    "task",
];

/// Tells the tool `yield` to end.
static ENDED: AtomicBool = AtomicBool::new(false);

fn add<F>(tools: &mut RegistryBuilder, name: &str, run: fn() -> F)
where
    F: Future<Output = Result<String, ToolError>> + 'static,
{
    let tool = Tool::new(name).run(move |_: CallContext, _: NoArguments| run());
    tools.add(tool).unwrap();
}

async fn instant() -> Result<String, ToolError> {
    Ok("0".to_owned())
}

/// Never waits for anything, and never ends by itself.
async fn yields() -> Result<String, ToolError> {
    while !ENDED.load(Ordering::SeqCst) {
        let mut has_yielded = false;
        poll_fn(|context| {
            if std::mem::replace(&mut has_yielded, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
    instant().await
}

async fn asks(call: CallContext, awaits_timer: bool) -> Result<String, ToolError> {
    let began = Instant::now();
    let mut asked = call.ask("well", Elicit::form("Well?"));
    if awaits_timer {
        // It gives its handler up meanwhile, and what else it waits for is not forgotten.
        let mut timer = glommio::timer::Timer::new(WAIT);
        poll_fn(|context| {
            if Pin::new(&mut asked).poll(context).is_ready() {
                return Poll::Ready(());
            }
            Pin::new(&mut timer).poll(context).map(|_| ())
        })
        .await;
        return late(began, WAIT);
    }
    asked.await?;
    instant().await
}

fn start(spawns_no_tasks: bool) -> Server {
    let mut tools = Registry::builder();
    if spawns_no_tasks {
        tools.spawns_no_tasks();
    }
    #[cfg(feature = "tokio")]
    tools
        .add(Tool::new("tokio").run_tokio(|_: CallContext, _: NoArguments| tokio_timer()))
        .unwrap();
    add(&mut tools, "timer", timer);
    add(&mut tools, "own_sleep", own_sleep);
    add(&mut tools, "other_thread", other_thread);
    add(&mut tools, "channel", channel);
    add(&mut tools, "file", file);
    add(&mut tools, "socket", socket);
    add(&mut tools, "task", task);
    add(&mut tools, "instant", instant);
    add(&mut tools, "yields", yields);
    for (name, awaits_timer) in [("asks", false), ("asks_and_waits", true)] {
        let tool = Tool::new(name).run(move |call: CallContext, _: NoArguments| asks(call, awaits_timer));
        tools.add(tool).unwrap();
    }
    let builder = Server::builder("test", "1").listen(([127, 0, 0, 1], 0).into());
    builder.pool_size(8).shards(1).start(tools.build()).unwrap()
}

fn assert_in_time(server: &Server, when: &str) {
    let assert_median = |tool: &str, call: &mut dyn FnMut(usize) -> u64| {
        let mut late: Vec<u64> = (0..CALLS).map(call).collect();
        late.sort_unstable();
        let median = Duration::from_micros(late[CALLS / 2]);
        assert!(median < LATE, "{tool} while the shard {when}: {late:?}");
    };
    for tool in TOOLS {
        let mut caller = Caller::new(server);
        assert_median(tool, &mut |_| caller.call(tool));
    }
    let asked = Asked::new(server);
    assert_median("asks_and_waits", &mut |_| asked.call("asks_and_waits", None));
    // The pauses have nothing to do with any tick.
    let pause = |number: usize| Duration::from_micros(11_300 * (number as u64 + 1));
    assert_median("asks", &mut |number| asked.call("asks", Some(pause(number))));
}

/// Runs `test` while so many clients call `instant` all the time.
fn with_load(server: &Server, clients: usize, test: impl FnOnce()) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut caller = Caller::new(server);
                while !is_over.load(Ordering::SeqCst) {
                    caller.call("instant");
                }
            });
        }
        test();
        is_over.store(true, Ordering::SeqCst);
    });
}

#[test]
fn what_a_tool_awaits_is_not_late_however_the_shard_waits() {
    for spawns_no_tasks in [true, false] {
        let server = start(spawns_no_tasks);
        assert_in_time(&server, "sleeps");
        with_load(&server, 4, || assert_in_time(&server, "is busy"));
        // One call never gives the shard a rest.
        ENDED.store(false, Ordering::SeqCst);
        thread::scope(|scope| {
            let yields = scope.spawn(|| Caller::new(&server).call("yields"));
            assert_in_time(&server, "serves a tool that never waits");
            ENDED.store(true, Ordering::SeqCst);
            yields.join().unwrap();
        });
    }
}

#[test]
fn a_task_that_a_tool_leaves_behind_runs_on() {
    for spawns_no_tasks in [true, false] {
        let mut tools = Registry::builder();
        // A promise that is not kept is forgiven.
        if spawns_no_tasks {
            tools.spawns_no_tasks();
        }
        let (done, is_done) = std::sync::mpsc::channel();
        let leave = Tool::new("leave").run(move |_: CallContext, _: NoArguments| {
            let done = done.clone();
            async move {
                let task = async move {
                    for _ in 0..3 {
                        glommio::timer::sleep(WAIT).await;
                    }
                    done.send(()).unwrap();
                };
                glommio::spawn_local(task).detach();
                Ok("0".to_owned())
            }
        });
        tools.add(leave).unwrap();
        let builder = Server::builder("test", "1").listen(([127, 0, 0, 1], 0).into());
        let server = builder.shards(1).start(tools.build()).unwrap();
        for _ in 0..3 {
            Caller::new(&server).call("leave");
            is_done.recv_timeout(PATIENCE).unwrap();
        }
    }
}
