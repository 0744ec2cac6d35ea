//! Tools that run on tokio: everything that ends a call, with a runtime of the server's own and with one that is lent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::test_client::{Asked, Caller, PATIENCE, read_until};
use super::*;
use crate::registry::{CallContext, Elicit, ElicitAnswer, NoArguments, Registry, Tool, ToolError};

/// Counts its drop.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// What the tools have in common with the test.
#[derive(Clone, Default)]
struct Seen {
    /// Calls of `hang` that have begun.
    begun: Arc<AtomicUsize>,
    /// Those whose futures were dropped.
    dropped: Arc<AtomicUsize>,
}

impl Seen {
    fn hung(&self) -> (usize, usize) {
        (
            self.begun.load(Ordering::SeqCst),
            self.dropped.load(Ordering::SeqCst),
        )
    }
}

fn registry(seen: &Seen) -> Registry {
    let mut tools = Registry::builder();
    let hang = {
        let seen = seen.clone();
        move |_: CallContext, _: NoArguments| {
            let dropped = Dropped(Arc::clone(&seen.dropped));
            seen.begun.fetch_add(1, Ordering::SeqCst);
            async move {
                let _dropped = dropped;
                // Every await is one at which the call may end.
                loop {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    if false {
                        return Ok("it ended");
                    }
                }
            }
        }
    };
    tools.add(Tool::new("hang").run_tokio(hang)).unwrap();
    let sockets = Tool::new("sockets").run_tokio(|_: CallContext, _: NoArguments| async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serves = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"17").await.unwrap();
        });
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        serves.await.unwrap();
        Ok(said)
    });
    tools.add(sockets).unwrap();
    tools
        .add(
            Tool::new("panic").run_tokio(|_: CallContext, _: NoArguments| async {
                tokio::task::yield_now().await;
                if true {
                    panic!("of the tool's own");
                }
                Ok("no panic")
            }),
        )
        .unwrap();
    let ask = Tool::new("ask").run_tokio(|call: CallContext, _: NoArguments| async move {
        call.progress((1, 2));
        // The question is asked, and its answer waited for, on another thread than the call began on.
        let asks = tokio::spawn(async move { call.ask("well", Elicit::form("Well?")).await });
        match asks.await.unwrap()? {
            ElicitAnswer::Accept(_) => Ok("accepted"),
            _ => Err(ToolError::message("not accepted")),
        }
    });
    tools.add(ask).unwrap();
    tools
        .add(
            Tool::new("block").run_tokio(|_: CallContext, _: NoArguments| async {
                thread::sleep(Duration::from_secs(2));
                Ok("it blocked")
            }),
        )
        .unwrap();
    tools
        .add(
            Tool::new("slow").run_tokio(|_: CallContext, _: NoArguments| async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                Ok("it was slow")
            }),
        )
        .unwrap();
    tools
        .add(
            Tool::new("name").run_tokio(|call: CallContext, _: NoArguments| async move {
                let thread = thread::current();
                Ok(format!(
                    "{} on {}",
                    call.tool_name(),
                    thread.name().unwrap_or_default()
                ))
            }),
        )
        .unwrap();
    tools.build()
}

fn builder() -> ServerBuilder {
    let builder = Server::builder("test", "1").listen(([127, 0, 0, 1], 0).into());
    builder.shards(1).pool_size(2)
}

fn start(seen: &Seen) -> Server {
    builder().start(registry(seen)).unwrap()
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not after {PATIENCE:?}");
        thread::sleep(Duration::from_millis(3));
    }
}

#[test]
fn all_of_a_tool_runs_on_the_runtimes_threads() {
    let server = start(&Seen::default());
    let mut caller = Caller::new(&server);
    assert_eq!(caller.call("sockets"), 17);
    caller.answer("name", r#""text":"name on weir-tokio""#);
}

/// The state is borrowed on the runtime's threads, over every await.
#[test]
fn a_tool_borrows_the_registrys_state() {
    struct Notes {
        kept: tokio::sync::Mutex<Vec<u64>>,
    }

    impl Notes {
        async fn keep(&self, _: CallContext) -> Result<String, ToolError> {
            let mut kept = self.kept.lock().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            let next = kept.last().map_or(1, |last| last + 1);
            kept.push(next);
            Ok(next.to_string())
        }
    }

    let kept = tokio::sync::Mutex::default();
    let mut tools = Registry::builder().state(Arc::new(Notes { kept }));
    tools.add(Tool::new("keep").run_tokio(Notes::keep)).unwrap();
    let sum = async |notes: &Notes, _: CallContext, _: NoArguments| {
        let kept = notes.kept.lock().await;
        tokio::task::yield_now().await;
        Ok(kept.iter().sum::<u64>().to_string())
    };
    tools.add(Tool::new("sum").run_tokio(sum)).unwrap();
    let server = builder().start(tools.build()).unwrap();
    let callers: Vec<_> = (0..4).map(|_| Caller::new(&server)).collect();
    thread::scope(|scope| {
        for mut caller in callers {
            scope.spawn(move || caller.call("keep"));
        }
    });
    assert_eq!(Caller::new(&server).call("sum"), 1 + 2 + 3 + 4);
}

#[test]
fn a_call_whose_client_leaves_is_dropped_and_gives_its_handler_back() {
    let seen = Seen::default();
    let server = start(&seen);
    for round in 1..=5 {
        let mut callers = [Caller::new(&server), Caller::new(&server)];
        callers.iter_mut().for_each(|caller| caller.begin("hang"));
        eventually("the calls run", || seen.begun.load(Ordering::SeqCst) == 2 * round);
        drop(callers);
        eventually("their futures are dropped", || {
            seen.hung() == (2 * round, 2 * round)
        });
    }
    assert_eq!(Caller::new(&server).call("sockets"), 17);
}

#[test]
fn a_call_that_takes_too_long_is_dropped() {
    let seen = Seen::default();
    let configured = builder().configure(|options| options.timeouts.call = Duration::from_millis(200));
    let server = configured.start(registry(&seen)).unwrap();
    Caller::new(&server).answer("hang", "timed out");
    eventually("its future is dropped", || seen.hung() == (1, 1));
}

#[test]
fn a_panic_ends_its_own_call_alone() {
    let server = start(&Seen::default());
    let mut caller = Caller::new(&server);
    for _ in 0..3 {
        caller.answer("panic", "failed unexpectedly");
    }
    assert_eq!(caller.call("sockets"), 17);
    let metrics = server.metrics();
    assert!(metrics.contains("weir_panics_total 3"), "{metrics}");
}

#[test]
fn a_question_waits_without_a_handler() {
    let server = start(&Seen::default());
    let asked = Asked::new(&server);
    let call = |tool: &str| {
        let params = format!(r#"{{"name":"{tool}","arguments":{{}},"_meta":{{"progressToken":"p"}}}}"#);
        let request = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        asked.post(&request)
    };
    // More of them than handlers, and one that needs a handler meanwhile.
    let mut calls: Vec<_> = (0..4).map(|_| call("ask")).collect();
    let questions: Vec<String> = calls
        .iter_mut()
        .map(|stream| read_until(stream, "", "requestedSchema"))
        .collect();
    assert_eq!(Caller::new(&server).call("sockets"), 17);
    for (stream, question) in calls.iter_mut().zip(&questions) {
        assert!(question.contains(r#""progress":1"#), "{question}");
        let (_, id) = question.split_once(r#""id":""#).expect("a question");
        let id = id.split_once('"').unwrap().0;
        let answer = r#"{"action":"accept","content":{}}"#;
        let mut other = asked.post(&format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":{answer}}}"#));
        read_until(stream, "", r#""text":"accepted""#);
        read_until(&mut other, "", "202");
    }
}

#[test]
fn a_drain_waits_for_calls_and_not_for_threads_that_they_block() {
    let server = start(&Seen::default());
    let mut slow = Caller::new(&server);
    slow.begin("slow");
    eventually("the call runs", || is_busy(&server));
    let drained = server.drain(PATIENCE, |_| false);
    assert!(drained.is_clean);
    read_until(&mut slow.0, "", "it was slow");
    let server = start(&Seen::default());
    let mut blocked = Caller::new(&server);
    blocked.begin("block");
    eventually("the call runs", || is_busy(&server));
    let began = Instant::now();
    let drained = server.drain(Duration::from_millis(50), |_| false);
    assert!(!drained.is_clean);
    // It would be two seconds.
    assert!(
        began.elapsed() < Duration::from_millis(1_900),
        "{:?}",
        began.elapsed()
    );
}

fn is_busy(server: &Server) -> bool {
    let metrics = server.metrics();
    metrics.contains("weir_pool_handlers{shard=\"0\",state=\"busy\"} 1")
}

#[test]
fn a_dropped_server_drops_what_runs() {
    let seen = Seen::default();
    let server = start(&seen);
    let mut caller = Caller::new(&server);
    caller.begin("hang");
    eventually("the call runs", || seen.hung() == (1, 0));
    drop(server);
    eventually("its future is dropped", || seen.hung() == (1, 1));
}

#[test]
fn a_runtime_may_be_lent_and_may_go_first() {
    let seen = Seen::default();
    let lent = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("lent")
        .enable_all()
        .build()
        .unwrap();
    let server = builder().tokio_runtime(lent.handle().clone());
    let server = server.start(registry(&seen)).unwrap();
    Caller::new(&server).answer("name", r#""text":"name on lent""#);
    let mut caller = Caller::new(&server);
    caller.begin("hang");
    eventually("the call runs", || seen.hung() == (1, 0));
    drop(lent);
    read_until(&mut caller.0, "", "internal error");
    assert_eq!(seen.hung(), (1, 1));
    Caller::new(&server).answer("name", "internal error");
    assert!(server.drain(PATIENCE, |_| false).is_clean);
}

#[test]
fn calls_of_a_batch_run_there_too() {
    let server = start(&Seen::default());
    let asked = Asked::of(&server, "2025-03-26");
    let call = |id: u32, tool: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{}}}}}}"#
        )
    };
    let mut batch = asked.post(&format!(
        "[{},{},{}]",
        call(1, "name"),
        call(2, "panic"),
        call(3, "sockets")
    ));
    let answer = read_until(&mut batch, "", r#""text":"17""#);
    assert!(
        answer.contains("name on weir-tokio") && answer.contains("failed unexpectedly"),
        "{answer}"
    );
}
