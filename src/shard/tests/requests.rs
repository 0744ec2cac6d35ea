//! Requests on one connection, however their bytes come, and what is counted of them.

use std::time::Duration;

use super::client::{Client, Era, batch, call, chunked, expecting_continue, get, notification, ping};
use super::rig::{Rig, Sizes, TIMEOUTS};
use crate::config::Timeouts;
use crate::metrics::{Method, Operation, Outcome, Stage};
use crate::ring::simulated::Fault;
use crate::units::TimeLimit;

#[test]
fn every_kind_of_request_is_answered_in_order_on_one_connection() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = Client::new(rig.connect());
    let requests = [
        call(Era::Legacy, "echo", 1, "a"),
        notification(),
        call(Era::Modern, "block", 2, "b"),
        chunked(call(Era::Modern, "echo", 3, "c"), 7),
        get(),
        ping(4),
        batch(&[("echo", 5, "d"), ("block", 6, "e"), ("echo", 7, "f")]),
        call(Era::Legacy, "fail", 8, "g"),
        call(Era::Modern, "blob", 9, "h"),
    ];
    for request in requests {
        client.request(request);
        for _ in 0..4 {
            rig.run();
            rig.await_workers();
            client.read();
        }
        assert_eq!(client.unanswered(), 0, "{:?}", client.answers);
    }
    rig.leave(&[client]);
}

#[test]
fn operations_are_counted_by_method_tool_and_outcome() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = Client::new(rig.connect());
    client.ask(ping(1));
    client.ask(notification());
    client.ask(call(Era::Legacy, "echo", 2, "a"));
    client.ask(call(Era::Modern, "fail", 3, "b"));
    client.ask(call(Era::Modern, "nothing", 4, "c"));
    client.ask(batch(&[("echo", 5, "d"), ("blob", 6, "e")]));
    client.ask(call(Era::Legacy, "block", 7, "f"));
    client.send(usize::MAX);
    for _ in 0..4 {
        rig.run();
        client.read();
    }
    assert_eq!(client.unanswered(), 0);
    let count = |operation: Operation| -> Vec<(Outcome, u64)> {
        let outcomes = Outcome::ALL.iter();
        let counts = outcomes.map(|&outcome| (outcome, rig.metrics.durations().count(operation, outcome)));
        counts.filter(|(_, count)| *count > 0).collect()
    };
    let tool = |name| Operation::Tool(rig.row(name));
    assert_eq!(count(Operation::Method(Method::Ping)), [(Outcome::Ok, 1)]);
    assert_eq!(
        count(Operation::Method(Method::NotificationsInitialized)),
        [(Outcome::Ok, 1)]
    );
    assert_eq!(
        count(Operation::Method(Method::ToolsCall)),
        [(Outcome::InvalidParams, 1)]
    );
    assert_eq!(count(tool("echo")), [(Outcome::Ok, 2)]);
    assert_eq!(count(tool("fail")), [(Outcome::ToolError, 1)]);
    let numbers = rig.metrics.snapshot();
    let queued = rig.shard.histograms().stage(Stage::Queue);
    assert_eq!(queued.count(), 1, "one call waited for a worker");
    let by_era = |era: usize| numbers.requests.0[era].1.total();
    assert_eq!(
        (by_era(0), by_era(1), by_era(2)),
        (6, 2, 0),
        "{:?}",
        numbers.requests.0
    );
    rig.leave(&[client]);
}

#[test]
fn a_request_split_anywhere_gets_the_same_answer() {
    let whole = chunked(call(Era::Modern, "echo", 1, "s"), 16);
    let mut rig = Rig::new(1, Sizes::default());
    let mut clients = Vec::new();
    for split in 1..whole.bytes.len() {
        let mut client = Client::new(rig.connect());
        client.ask(whole.clone());
        client.send(split);
        rig.run();
        client.send(usize::MAX);
        rig.run();
        client.read();
        assert_eq!(client.results(), ["s"], "split at {split}");
        clients.push(client);
    }
    rig.leave(&clients);
}

#[test]
fn a_client_that_asks_to_go_on_is_told_to() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = Client::new(rig.connect());
    let request = expecting_continue(call(Era::Legacy, "echo", 1, "s"));
    let head_bytes = memchr::memmem::find(&request.bytes, b"\r\n\r\n").unwrap() + 4;
    client.ask(request);
    client.send(head_bytes);
    rig.network.order(Fault::SendRefused);
    rig.run();
    let heard = client.peer.read();
    assert_eq!(heard, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.send(usize::MAX);
    rig.run();
    client.read();
    assert_eq!(client.results(), ["s"]);
    rig.leave(&[client]);
}

#[test]
fn a_body_that_comes_before_its_100_continue_is_out_waits_for_it() {
    let sizes = Sizes {
        ring_buffer_bytes: 4096,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut client = Client::new(rig.connect());
    client.request(ping(1));
    rig.run();
    let pong_bytes = client.peer.read().len();
    // The next pong fills the window, and the interim answer stays on its way.
    client.peer.set_window(pong_bytes);
    let request = expecting_continue(call(Era::Legacy, "echo", 2, "s"));
    let head_bytes = memchr::memmem::find(&request.bytes, b"\r\n\r\n").unwrap() + 4;
    client
        .peer
        .write(&[&ping(1).bytes, &request.bytes[..head_bytes]].concat());
    rig.run();
    client.peer.write(&request.bytes[head_bytes..]);
    rig.run();
    assert_eq!(client.peer.read().len(), pong_bytes);
    client.peer.set_window(1 << 16);
    rig.run();
    let rest = client.peer.read();
    assert!(rest.starts_with(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"));
    rig.leave(&[client]);
}

#[test]
fn a_body_that_stops_after_a_slow_100_continue_meets_its_own_deadline() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = Client::new(rig.connect());
    let request = expecting_continue(call(Era::Legacy, "echo", 1, "s"));
    let head_bytes = memchr::memmem::find(&request.bytes, b"\r\n\r\n").unwrap() + 4;
    client.ask(request);
    client.send(head_bytes);
    rig.network.order(Fault::SendRefused);
    rig.run();
    // The read deadline, not the write deadline that the interim answer was under.
    rig.live(Duration::from_secs(6));
    client.read();
    assert_eq!(client.results(), ["408"]);
    rig.leave(&[client]);
}

#[test]
fn a_reset_at_any_byte_of_request_or_answer_leaves_nothing() {
    let request = call(Era::Legacy, "blob", 1, "reset");
    let mut rig = Rig::new(1, Sizes::default());
    for split in (1..request.bytes.len()).chain([request.bytes.len()]) {
        let mut client = Client::new(rig.connect());
        client.peer.set_window(split * 7);
        client.ask(request.clone());
        client.send(split);
        rig.run();
        client.peer.reset();
        rig.run();
    }
    rig.leave(&[]);
}

#[test]
fn bytes_that_come_behind_a_refusal_are_dropped_and_do_not_destroy_it() {
    let sizes = Sizes {
        assembly_buffers: 1,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut slow = Client::new(rig.connect());
    slow.ask(call(Era::Legacy, "echo", 1, "slow"));
    slow.send(40);
    rig.run();
    let mut other = Client::new(rig.connect());
    rig.run();
    rig.pass(Duration::from_secs(2));
    rig.run();
    // The window is shut: the 408 stays on its way while more bytes come.
    slow.peer.set_window(0);
    other.ask(call(Era::Legacy, "echo", 1, "other"));
    other.send(40);
    rig.run();
    slow.send(40);
    rig.run();
    slow.peer.set_window(1 << 16);
    rig.run();
    slow.read();
    assert_eq!(slow.results(), ["408"]);
    other.send(usize::MAX);
    rig.run();
    other.read();
    assert_eq!(other.results(), ["other"]);
    rig.leave(&[slow, other]);
}

#[test]
fn empty_lines_between_requests_keep_no_buffer_and_stop_no_drain() {
    let timeouts = Timeouts {
        idle: TimeLimit::Forever,
        ..TIMEOUTS
    };
    let mut rig = Rig::with_timeouts(1, Sizes::default(), timeouts);
    let mut client = Client::new(rig.connect());
    client.request(call(Era::Legacy, "echo", 1, "a"));
    rig.run();
    client.rave(b"\r\n");
    client.send(usize::MAX);
    rig.run();
    rig.live(Duration::from_secs(12));
    client.read();
    rig.drain();
    rig.run();
    client.peer.finish();
    rig.live(Duration::from_secs(12));
    assert!(rig.shard.is_finished());
    rig.assert_nothing_left();
}
