//! A server from the inside: how it ends when nobody drains it, when a shard dies, and how often a drain asks.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::running::DRAIN_LOOK;
use super::test_client::Caller;
use super::*;
use crate::registry::{CallContext, NoArguments, Registry, Tool};
use crate::ring::sleep;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Counts its drop.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Two shards with the tools `hang`, which never ends and counts in `ended` when it is dropped, and `die`, which takes
/// its shard with it.
fn start(ended: &Arc<AtomicUsize>) -> Server {
    let mut tools = Registry::builder();
    let ended = Arc::clone(ended);
    let hang = Tool::new("hang").run(move |_: CallContext, _: NoArguments| {
        let dropped = Dropped(Arc::clone(&ended));
        async move {
            let _dropped = dropped;
            sleep(Duration::from_secs(3_600)).await;
            Ok("it ended")
        }
    });
    tools.add(hang).unwrap();
    let brief = Tool::new("brief").timeout(Duration::from_millis(50));
    let brief = brief.run(|_: CallContext, _: NoArguments| async {
        sleep(Duration::from_secs(3_600)).await;
        Ok("it ended")
    });
    tools.add(brief).unwrap();
    let die = Tool::new("die").run(|_: CallContext, _: NoArguments| async {
        let task = async {
            // This is past the call's own poll, in which a panic would be the call's.
            sleep(Duration::from_millis(1)).await;
            panic!("a task of its own that nobody catches");
        };
        glommio::spawn_local(task).detach();
        sleep(Duration::from_secs(3_600)).await;
        Ok("it lives")
    });
    tools.add(die).unwrap();
    let builder = Server::builder("test", "1").listen(([127, 0, 0, 1], 0).into());
    let builder = builder.admin(([127, 0, 0, 1], 0).into()).pool_size(8);
    builder.shards(1).start(tools.build()).unwrap()
}

/// A connection whose call of this tool is on its way.
fn calling(server: &Server, tool: &str) -> TcpStream {
    let params = format!(
        r#"{{"name":"{tool}","arguments":{{}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}"#
    );
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, \
         text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    stream
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

fn is_busy(server: &Server) -> bool {
    server
        .metrics()
        .contains("weir_pool_handlers{shard=\"0\",state=\"busy\"} 1")
}

/// The bytes that a connection still gets; the tests want none, by an end or a reset.
fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

#[test]
fn a_dropped_server_serves_nobody_any_more_and_leaves_no_thread() {
    let ended = Arc::default();
    let server = start(&ended);
    let (address, admin) = (server.address(), server.admin_address().unwrap());
    let parked = TcpStream::connect(address).unwrap();
    let call = calling(&server, "hang");
    eventually("the call runs", || is_busy(&server));
    // A handle that outlives the server keeps nothing alive.
    let handle = server.handle().clone();
    drop(server);
    assert_eq!(ended.load(Ordering::SeqCst), 1, "the call was given up");
    for stream in [parked, call] {
        assert_eq!(rest(stream), b"");
    }
    for address in [address, admin] {
        TcpStream::connect(address).unwrap_err();
    }
    handle.resource_updated("test://nobody/listens");
}

#[test]
fn a_tool_may_have_a_timeout_of_its_own() {
    let server = start(&Arc::default());
    // That of the server is a minute.
    let mut answered = Caller::new(&server);
    answered.answer("brief", "the call timed out");
    let mut patient = Caller::new(&server);
    patient.begin("hang");
    eventually("the other runs", || is_busy(&server));
}

/// What `main` prints of an error that it returns.
#[test]
fn errors_are_shown_as_their_texts() {
    let server = Server::builder("test", "1").pool_size(0);
    let refused = server.start(Registry::builder().build()).unwrap_err();
    assert_eq!(format!("{refused:?}"), refused.to_string());
    assert!(refused.to_string().contains("pool-size = 0"), "{refused}");
    let tool = Tool::new("a b").run(|_: CallContext, _: NoArguments| async { Ok("") });
    let refused: Box<dyn std::error::Error> = Registry::builder().add(tool).unwrap_err().into();
    let text = "name \"a b\" is not 1 to 128 characters of [A-Za-z0-9_.-]";
    assert_eq!(format!("{refused:?}"), text);
}

#[test]
fn a_drain_asks_a_callback_that_answers_at_once_a_few_hundred_times_a_second_and_no_more() {
    let ended = Arc::default();
    let server = start(&ended);
    let call = calling(&server, "hang");
    eventually("the call runs", || is_busy(&server));
    let (mut asked, timeout) = (0, Duration::from_millis(200));
    let drained = server.drain(timeout, |_| {
        asked += 1;
        false
    });
    assert!(!drained.is_clean);
    // A loaded machine can only make it fewer.
    let asked_max = timeout.as_millis() / DRAIN_LOOK.as_millis() + 1;
    assert!((1..=asked_max).contains(&asked), "asked {asked} times");
    assert_eq!(ended.load(Ordering::SeqCst), 1, "what was left was given up");
    assert_eq!(rest(call), b"");
}

#[test]
fn a_drain_can_be_cut_short_and_ends_what_is_left() {
    let ended = Arc::default();
    let server = start(&ended);
    let call = calling(&server, "hang");
    eventually("the call runs", || is_busy(&server));
    assert!(!server.drain(Duration::from_secs(3_600), |_| true).is_clean);
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    assert_eq!(rest(call), b"");
}

#[test]
fn a_shard_that_dies_is_named_by_health_and_readiness_and_hinders_no_end() {
    let server = start(&Arc::default());
    let admin = server.admin_address().unwrap();
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(admin).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask("/healthz").starts_with("HTTP/1.1 200 "));
    let call = calling(&server, "die");
    eventually("health says so", || ask("/healthz").starts_with("HTTP/1.1 503 "));
    for path in ["/healthz", "/readyz"] {
        let answer = ask(path);
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("shard 0 has ended"), "{answer}");
    }
    assert!(ask("/metrics").starts_with("HTTP/1.1 200 "));
    eventually("it is broken", || server.is_broken());
    // Nobody empties its inbox any more.
    for _ in 0..200 {
        assert_eq!(server.report().to_json().matches('\n').count(), 1);
    }
    assert!(server.drain(PATIENCE, |_| false).is_clean);
    drop(call);
}
