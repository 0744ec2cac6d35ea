//! Tools that may run only so many calls at once, under load: each counts in itself how many of its calls run, on a
//! shard, on a worker and on tokio's threads, while clients leave and the registry changes.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::test_client::{Caller, PATIENCE};
use super::*;
use crate::registry::{BlockingContext, CallContext, NoArguments, Registry, Tool};
use crate::ring::sleep;

/// Calls that may run; a test may raise and lower it, but never to more than this.
const CALLS_MAX: u32 = 3;

/// Calls of one tool that run, the most that ever did, and all that ended well.
#[derive(Debug, Default)]
struct Counted {
    running: AtomicU32,
    most: AtomicU32,
    ended: AtomicU32,
}

/// A call that runs.
struct Running(Arc<Counted>);

impl Running {
    fn begin(counted: &Arc<Counted>) -> Running {
        let running = counted.running.fetch_add(1, Ordering::SeqCst) + 1;
        counted.most.fetch_max(running, Ordering::SeqCst);
        Running(Arc::clone(counted))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

const TOOLS: [&str; 3] = ["on_shard", "blocking", "on_tokio"];
const NAP: Duration = Duration::from_millis(2);

fn on_shard(counted: &Arc<Counted>, calls_max: u32) -> Tool {
    let counted = Arc::clone(counted);
    Tool::new("on_shard")
        .concurrency(calls_max)
        .run(move |_: CallContext, _: NoArguments| {
            let counted = Arc::clone(&counted);
            async move {
                let running = Running::begin(&counted);
                sleep(NAP).await;
                running.0.ended.fetch_add(1, Ordering::SeqCst);
                Ok("1")
            }
        })
}

fn blocking(counted: &Arc<Counted>) -> Tool {
    let counted = Arc::clone(counted);
    Tool::new("blocking")
        .concurrency(CALLS_MAX)
        .run_blocking(move |_: &BlockingContext, _: NoArguments| {
            // It does not look whether anybody still waits for it.
            let running = Running::begin(&counted);
            thread::sleep(NAP);
            running.0.ended.fetch_add(1, Ordering::SeqCst);
            Ok("1")
        })
}

#[cfg(feature = "tokio")]
fn on_tokio(counted: &Arc<Counted>) -> Tool {
    let counted = Arc::clone(counted);
    Tool::new("on_tokio")
        .concurrency(CALLS_MAX)
        .run_tokio(move |_: CallContext, _: NoArguments| {
            let counted = Arc::clone(&counted);
            async move {
                let running = Running::begin(&counted);
                // Half of it cannot be aborted.
                thread::sleep(NAP / 2);
                tokio::time::sleep(NAP / 2).await;
                running.0.ended.fetch_add(1, Ordering::SeqCst);
                Ok("1")
            }
        })
}

#[cfg(not(feature = "tokio"))]
fn on_tokio(counted: &Arc<Counted>) -> Tool {
    let counted = Arc::clone(counted);
    Tool::new("on_tokio")
        .concurrency(CALLS_MAX)
        .run(move |_: CallContext, _: NoArguments| {
            let running = Running::begin(&counted);
            running.0.ended.fetch_add(1, Ordering::SeqCst);
            async { Ok("1") }
        })
}

fn server(counted: &[Arc<Counted>; 3]) -> Server {
    let mut tools = Registry::builder();
    tools.add(on_shard(&counted[0], CALLS_MAX)).unwrap();
    tools.add(blocking(&counted[1])).unwrap();
    tools.add(on_tokio(&counted[2])).unwrap();
    Server::builder("test", "1")
        .listen(([127, 0, 0, 1], 0).into())
        .shards(2)
        .configure(|options| {
            // As many as there are callers, and room for all of them.
            options.machine.pool_size = Some(32);
            options.queue.depth_max = Some(256);
            options.workers.threads = Some(8);
            options.queue.timeout = Duration::from_secs(60);
        })
        .start(tools.build())
        .unwrap()
}

/// Calls a tool over and over until `is_over`; now and then it leaves in the middle. How many answers it got.
fn call_until(server: &Server, number: usize, is_over: &AtomicBool) -> u32 {
    let mut random = fastrand::Rng::with_seed(number as u64);
    let tool = TOOLS[number % TOOLS.len()];
    let mut caller = Caller::new(server);
    let mut answers = 0;
    while !is_over.load(Ordering::SeqCst) {
        if random.u8(0..6) == 0 {
            caller.begin(tool);
            thread::sleep(Duration::from_micros(random.u64(0..4000)));
            drop(std::mem::replace(&mut caller, Caller::new(server)));
        } else {
            assert_eq!(caller.call(tool), 1);
            answers += 1;
        }
    }
    answers
}

fn figures(server: &Server) -> Vec<(String, u64, u64)> {
    let limits = server.lasting().common.tool_limits.figures();
    let figures = limits
        .into_iter()
        .map(|(name, figures)| (name, figures.in_flight, figures.waiting));
    figures.collect()
}

#[test]
fn under_load_no_tool_runs_more_than_it_may_and_no_place_is_lost() {
    let counted: [Arc<Counted>; 3] = Default::default();
    let server = server(&counted);
    let is_over = AtomicBool::new(false);
    let answers: Vec<u32> = thread::scope(|scope| {
        let callers = (0..24).map(|number| {
            let (server, is_over) = (&server, &is_over);
            scope.spawn(move || call_until(server, number, is_over))
        });
        let callers: Vec<_> = callers.collect();
        // The registry changes meanwhile: another of the same name, with a lower limit, and back.
        let handle = server.handle();
        let until = Instant::now() + Duration::from_secs(2);
        for round in 0.. {
            if Instant::now() > until {
                break;
            }
            handle
                .edit_registry(|tools| {
                    assert!(tools.remove_tool("on_shard"));
                    tools
                        .add(on_shard(&counted[0], 1 + round % CALLS_MAX))
                        .map(|_| ())
                })
                .unwrap();
            thread::sleep(Duration::from_millis(20));
        }
        is_over.store(true, Ordering::SeqCst);
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    for (counted, tool) in counted.iter().zip(TOOLS) {
        let (most, ended) = (
            counted.most.load(Ordering::SeqCst),
            counted.ended.load(Ordering::SeqCst),
        );
        assert!(most <= CALLS_MAX, "{most} calls of {tool} ran at once");
        assert!(ended > 100, "{ended} calls of {tool} ended");
    }
    assert!(answers.iter().all(|answers| *answers > 0), "{answers:?}");
    // All that is over gives its place back.
    let began = Instant::now();
    while figures(&server)
        .iter()
        .any(|(_, used, waiting)| used + waiting > 0)
    {
        assert!(began.elapsed() < PATIENCE, "{:?}", figures(&server));
        thread::sleep(Duration::from_millis(5));
    }
    assert!(server.drain(Duration::from_secs(10), |_| false).is_clean);
}

#[test]
fn a_drain_under_load_leaves_no_call_behind() {
    let counted: [Arc<Counted>; 3] = Default::default();
    let server = server(&counted);
    let mut callers: Vec<Caller> = (0..60).map(|_| Caller::new(&server)).collect();
    for (number, caller) in callers.iter_mut().enumerate() {
        caller.begin(TOOLS[number % TOOLS.len()]);
    }
    let began = Instant::now();
    while counted
        .iter()
        .any(|counted| counted.ended.load(Ordering::SeqCst) < 2)
    {
        assert!(began.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(1));
    }
    let drained = server.drain(Duration::from_secs(20), |_| false);
    assert!(drained.is_clean);
    for counted in &counted {
        assert_eq!(counted.ended.load(Ordering::SeqCst), 20);
        assert!(counted.most.load(Ordering::SeqCst) <= CALLS_MAX);
    }
    callers
        .iter_mut()
        .for_each(|caller| drop(caller.0.write_all(b"\r\n")));
}

#[test]
fn options_say_more_than_authors_and_name_only_tools_that_there_are() {
    use crate::config::ToolOverride;
    let mut tools = Registry::builder();
    tools.add(on_shard(&Arc::default(), CALLS_MAX)).unwrap();
    let registry = tools.build();
    let start = |name: &str| {
        let mut said = ToolOverride::new(name);
        said.concurrency = Some(7);
        Server::builder("test", "1")
            .listen(([127, 0, 0, 1], 0).into())
            .shards(1)
            .configure(move |options| options.tools.overrides.0.push(said))
            .start(registry.clone())
    };
    let server = start("on_shard").unwrap();
    let limits = server.lasting().common.tool_limits.figures();
    assert_eq!(limits[0].1.in_flight_max, 7);
    drop(server);
    let refused = start("on_shrad").unwrap_err().to_string();
    assert!(refused.ends_with("did you mean `on_shard`?"), "{refused}");
}
