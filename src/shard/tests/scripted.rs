//! One fault at a time, told step by step.

use std::time::Duration;

use super::client::{Client, Era, batch, call, chunked, expecting_continue, get, notification, ping};
use super::rig::{Rig, Sizes, TIMEOUTS};
use crate::config::Timeouts;
use crate::metrics::{Eviction, Method, Operation, Outcome, Stage};
use crate::ring::simulated::{Fault, Faults, PeerView};
use crate::units::TimeLimit;

const CALL_TIMEOUT: Duration = Duration::from_secs(16);

fn connected(rig: &Rig) -> Client {
    Client::new(rig.connect())
}

/// Hangs up, lets every deadline pass and looks for what is left.
#[test]
fn every_kind_of_request_is_answered_in_order_on_one_connection() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = connected(&rig);
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
    let mut client = connected(&rig);
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
fn pipelined_requests_are_answered_in_order_while_the_first_is_pending() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = connected(&rig);
    client.ask(call(Era::Legacy, "hold", 0, "held"));
    for id in 1..100 {
        client.ask(call(Era::Legacy, "echo", id, &format!("e{id}")));
    }
    client.send(usize::MAX);
    rig.run();
    client.read();
    assert_eq!(client.answers.len(), 0);
    rig.release("held");
    for _ in 0..10 {
        rig.run();
        client.read();
    }
    assert_eq!(client.answers.len(), 100);
    rig.leave(&[client]);
}

#[test]
fn a_request_split_anywhere_gets_the_same_answer() {
    let whole = chunked(call(Era::Modern, "echo", 1, "s"), 16);
    let mut rig = Rig::new(1, Sizes::default());
    let mut clients = Vec::new();
    for split in 1..whole.bytes.len() {
        let mut client = connected(&rig);
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
    let mut client = connected(&rig);
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
    let mut client = connected(&rig);
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
fn a_client_that_leaves_a_pipelined_call_cancels_it() {
    let sizes = Sizes {
        ring_buffer_bytes: 4096,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut client = connected(&rig);
    client.ask(ping(1));
    client.ask(call(Era::Modern, "hold", 2, "never"));
    client.send(usize::MAX);
    rig.run();
    assert_eq!(rig.shard.calls.pool.busy(), 1);
    client.peer.close();
    rig.run();
    assert_eq!(rig.shard.calls.pool.busy(), 0);
    rig.leave(&[client]);
}

#[test]
fn a_body_that_stops_after_a_slow_100_continue_meets_its_own_deadline() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = connected(&rig);
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
fn a_result_that_comes_with_its_timeout_is_not_a_second_answer() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = connected(&rig);
    client.request(call(Era::Legacy, "wait", 1, "late"));
    rig.run();
    rig.barrier.await_waiting(1);
    rig.barrier.open();
    rig.await_workers();
    // The result lies in the inbox when the deadline is looked at.
    rig.pass(CALL_TIMEOUT);
    rig.run();
    client.read();
    assert_eq!(client.answers.len(), 1);
    client.request(call(Era::Legacy, "echo", 2, "next"));
    rig.run();
    client.read();
    assert_eq!(client.results()[1..], ["next"]);
    rig.leave(&[client]);
}

#[test]
fn a_late_result_is_never_taken_for_the_next_call_of_its_batch() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = connected(&rig);
    client.request(batch(&[("wait", 1, "late"), ("hold", 2, "own")]));
    rig.run();
    rig.barrier.await_waiting(1);
    rig.barrier.open();
    rig.await_workers();
    rig.pass(CALL_TIMEOUT);
    rig.run();
    rig.release("own");
    rig.run();
    client.read();
    assert_eq!(client.answers.len(), 1);
    rig.leave(&[client]);
}

#[test]
fn a_batch_of_pending_calls_leaves_no_task_behind() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = connected(&rig);
    client.request(batch(&[("hold", 1, "never"), ("hold", 2, "b"), ("hold", 3, "c")]));
    rig.run();
    rig.pass(CALL_TIMEOUT);
    rig.run();
    rig.release("b");
    rig.run();
    rig.release("c");
    rig.run();
    client.read();
    assert_eq!(client.answers.len(), 1);
    rig.leave(&[client]);
}

#[test]
fn accepting_that_finds_nobody_or_comes_late_goes_on() {
    for seed in 0..100 {
        let sizes = Sizes {
            connections_max: 2,
            ..Sizes::default()
        };
        let mut rig = Rig::new(seed, sizes);
        rig.network.set_faults(Faults {
            accept_nothing: 500,
            delayed: 500,
            delay_flushes_max: 8,
            ..Faults::default()
        });
        let clients: Vec<Client> = (0..6).map(|_| connected(&rig)).collect();
        for client in &clients {
            client.peer.finish();
            rig.turn();
            rig.pass(Duration::from_millis(1));
        }
        rig.network.calm();
        rig.leave(&clients);
        let mut fresh = connected(&rig);
        fresh.request(ping(1));
        rig.run();
        fresh.read();
        assert_eq!(fresh.answers.len(), 1, "seed {seed}");
        rig.leave(&[fresh]);
    }
}

#[test]
fn a_drain_that_begins_at_the_cap_takes_who_is_queued_and_ends() {
    for turns in 0..4 {
        let sizes = Sizes {
            connections_max: 1,
            ..Sizes::default()
        };
        let mut rig = Rig::new(1, sizes);
        let clients: Vec<Client> = (0..3).map(|_| connected(&rig)).collect();
        (0..turns).for_each(|_| rig.turn());
        rig.drain();
        rig.turn();
        // One place, in which each of them has its time to speak and to close.
        rig.live(Duration::from_secs(10));
        assert!(rig.shard.is_finished(), "after {turns} turns");
        rig.assert_nothing_left();
        let are_reset = clients.iter().any(|client| client.peer.view() == PeerView::Reset);
        assert!(!are_reset, "after {turns} turns");
    }
}

#[test]
fn running_out_of_descriptors_pauses_accepting_and_loses_nobody() {
    let mut rig = Rig::new(1, Sizes::default());
    rig.network.order(Fault::AcceptExhausted);
    let mut client = connected(&rig);
    client.request(ping(1));
    rig.run();
    client.read();
    assert_eq!(client.answers.len(), 0);
    rig.pass(Duration::from_millis(60));
    rig.run();
    client.read();
    assert_eq!(client.answers.len(), 1);
    rig.leave(&[client]);
}

#[test]
fn empty_lines_between_requests_keep_no_buffer_and_stop_no_drain() {
    let timeouts = Timeouts {
        idle: TimeLimit::Forever,
        ..TIMEOUTS
    };
    let mut rig = Rig::with_timeouts(1, Sizes::default(), timeouts);
    let mut client = connected(&rig);
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

#[test]
fn clients_that_send_in_two_pieces_do_not_push_each_other_out() {
    let sizes = Sizes {
        assembly_buffers: 2,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut clients: Vec<Client> = (0..20).map(|_| connected(&rig)).collect();
    for (client, id) in clients.iter_mut().zip(0..) {
        client.ask(call(Era::Modern, "echo", id, "in pieces"));
        client.send(300);
        rig.run();
    }
    for client in &mut clients {
        client.send(usize::MAX);
        rig.run();
        client.read();
        assert_eq!(client.results(), ["in pieces"]);
    }
    rig.leave(&clients);
}

#[test]
fn a_pipelined_request_left_unfinished_gives_way_to_others() {
    let sizes = Sizes {
        assembly_buffers: 1,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut slow = connected(&rig);
    slow.ask(call(Era::Legacy, "hold", 1, "held"));
    slow.ask(call(Era::Legacy, "echo", 2, "unfinished"));
    slow.send(slow.unsent.len() - 5);
    rig.run();
    // Somebody else asks for the buffer while the first call runs, and is refused.
    let mut second = connected(&rig);
    second.ask(call(Era::Legacy, "echo", 1, "second"));
    second.send(50);
    rig.run();
    rig.release("held");
    rig.run();
    slow.read();
    assert_eq!(slow.results(), ["held"]);
    // Now the slow one only owes bytes: it must give way.
    let mut third = connected(&rig);
    third.ask(call(Era::Legacy, "echo", 1, "third"));
    third.send(50);
    rig.run();
    third.send(usize::MAX);
    rig.run();
    third.read();
    assert_eq!(third.results(), ["third"]);
    rig.leave(&[slow, second, third]);
}

#[test]
fn a_receive_that_found_no_buffer_is_not_armed_under_a_running_call() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = connected(&rig);
    client.request(call(Era::Legacy, "hold", 1, "held"));
    rig.run();
    let shard = &mut rig.shard;
    for key in shard.table.connections_where(|_| true) {
        let connection = shard.table.connection(key).unwrap();
        shard.intake.starve(key, connection);
    }
    client.request(ping(2));
    rig.run();
    assert_eq!(rig.shard.intake.free_pieces(), Sizes::default().assembly_buffers);
    rig.release("held");
    rig.run();
    client.read();
    assert_eq!(client.answers.len(), 2);
    rig.leave(&[client]);
}

#[test]
fn without_room_for_what_is_pipelined_the_request_in_hand_is_still_answered() {
    for tool in ["echo", "hold", "block"] {
        let sizes = Sizes {
            assembly_buffers: 0,
            heap_bytes_max: 0,
            ..Sizes::default()
        };
        let mut rig = Rig::new(1, sizes);
        let mut client = connected(&rig);
        client.ask(call(Era::Modern, tool, 1, "a"));
        client.ask(call(Era::Modern, "echo", 2, "b"));
        client.send(usize::MAX);
        rig.run();
        rig.release("a");
        rig.await_workers();
        rig.run();
        client.read();
        assert_eq!(client.results(), ["a"], "{tool}");
        assert_eq!(client.peer.view(), PeerView::Ended, "{tool}");
        rig.leave(&[client]);
    }
}

#[test]
fn bytes_that_come_behind_a_refusal_are_dropped_and_do_not_destroy_it() {
    let sizes = Sizes {
        assembly_buffers: 1,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut slow = connected(&rig);
    slow.ask(call(Era::Legacy, "echo", 1, "slow"));
    slow.send(40);
    rig.run();
    let mut other = connected(&rig);
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
fn a_slow_reader_holds_memory_but_no_handler_and_stalls_for_so_long() {
    let sizes = Sizes {
        handlers: 1,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut slow = connected(&rig);
    slow.peer.set_window(1000);
    slow.request(call(Era::Legacy, "blob", 1, "slow"));
    rig.run();
    assert_eq!(rig.metrics.in_flight.value(), 1, "its answer is not out yet");
    let mut other = connected(&rig);
    other.request(call(Era::Legacy, "echo", 1, "other"));
    rig.run();
    other.read();
    assert_eq!(other.results(), ["other"]);
    rig.live(Duration::from_secs(9));
    slow.read();
    assert!(slow.is_amid_answer() && !slow.is_open());
    assert_eq!(rig.metrics.in_flight.value(), 0);
    rig.leave(&[slow, other]);
}

#[test]
fn an_answer_there_is_no_memory_for_is_overload_and_the_connection_goes_on() {
    let sizes = Sizes {
        heap_bytes_max: 100_000,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut slow = connected(&rig);
    slow.request(call(Era::Legacy, "blob", 1, "slow"));
    rig.run();
    assert_eq!(slow.heard_results(), ["-31503"]);
    slow.request(batch(&[("echo", 2, "small"), ("blob", 3, "large")]));
    rig.run();
    assert!(slow.is_open());
    slow.read();
    let answers: serde_json::Value = serde_json::from_slice(&slow.answers[1].body).unwrap();
    assert_eq!(answers[0]["result"]["content"][0]["text"], "small");
    assert_eq!(answers[1]["error"]["data"]["reason"], "memory");
    rig.leave(&[slow]);
}

#[test]
fn an_exhausted_pool_refuses_work_and_still_answers_control() {
    let sizes = Sizes {
        handlers: 1,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut first = connected(&rig);
    first.request(call(Era::Modern, "hold", 1, "first"));
    rig.run();
    let mut second = connected(&rig);
    second.ask(call(Era::Modern, "echo", 1, "second"));
    second.ask(ping(2));
    second.ask(batch(&[("echo", 3, "x"), ("echo", 4, "y")]));
    second.send(usize::MAX);
    rig.run();
    second.read();
    assert_eq!(
        second.answers.iter().map(|a| a.status).collect::<Vec<_>>(),
        [503, 200, 503]
    );
    // Its client leaves: the call is cancelled and the handler free.
    first.peer.close();
    rig.run();
    second.request(call(Era::Modern, "echo", 5, "third"));
    rig.run();
    second.read();
    assert_eq!(second.results()[3], "third");
    rig.leave(&[first, second]);
}

#[test]
fn a_full_worker_queue_refuses_and_an_abandoned_job_is_nobodys_answer() {
    let sizes = Sizes {
        worker_queue_depth_max: 0,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut first = connected(&rig);
    first.request(call(Era::Legacy, "wait", 1, "first"));
    rig.run();
    rig.barrier.await_waiting(1);
    let mut second = connected(&rig);
    second.request(call(Era::Legacy, "block", 1, "second"));
    rig.run();
    second.read();
    assert_eq!(second.results(), ["-31503"]);
    rig.live(CALL_TIMEOUT);
    first.read();
    assert_eq!(first.answers.len(), 1, "it has timed out");
    rig.leave(&[first, second]);
}

#[test]
fn a_reset_at_any_byte_of_request_or_answer_leaves_nothing() {
    let request = call(Era::Legacy, "blob", 1, "reset");
    let mut rig = Rig::new(1, Sizes::default());
    for split in (1..request.bytes.len()).chain([request.bytes.len()]) {
        let mut client = connected(&rig);
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
fn a_drain_finishes_what_is_in_flight_and_says_so() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut busy = connected(&rig);
    busy.request(call(Era::Legacy, "hold", 1, "busy"));
    let mut parked = connected(&rig);
    parked.request(ping(1));
    let mut fresh = connected(&rig);
    rig.run();
    parked.read();
    rig.drain();
    rig.turn();
    let mut queued = connected(&rig);
    queued.request(call(Era::Legacy, "echo", 1, "queued"));
    fresh.request(call(Era::Legacy, "echo", 1, "fresh"));
    rig.pass(Duration::from_millis(100));
    rig.run();
    rig.pass(Duration::from_millis(300));
    rig.run();
    rig.release("busy");
    rig.run();
    for client in [&mut busy, &mut queued, &mut fresh] {
        client.read();
        assert_eq!(client.answers.len(), 1);
        assert!(client.answers[0].head.contains("connection: close"));
        assert_eq!(client.peer.view(), PeerView::Ended);
    }
    rig.live(Duration::from_secs(3));
    assert!(rig.shard.is_finished());
    rig.assert_nothing_left();
}

#[test]
fn a_drain_does_not_wait_for_requests_that_stay_half_sent() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut clients: Vec<Client> = (0..3).map(|_| connected(&rig)).collect();
    // Amid the head, amid the body, and one that goes on in time.
    for (client, bytes) in clients.iter_mut().zip([40, 200, 60]) {
        client.ask(call(Era::Legacy, "echo", 1, "s"));
        client.send(bytes);
    }
    rig.run();
    rig.drain();
    rig.live(Duration::from_millis(500));
    clients[2].send(usize::MAX);
    rig.live(Duration::from_secs(2));
    let statuses = clients.iter_mut().map(|client| {
        client.read();
        client.answers.last().map(|answer| answer.status)
    });
    assert_eq!(statuses.collect::<Vec<_>>(), [Some(408), Some(408), Some(200)]);
    clients.iter().for_each(|client| client.peer.finish());
    rig.live(Duration::from_secs(1));
    assert!(rig.shard.is_finished());
    rig.assert_nothing_left();
}

#[test]
fn a_drain_does_not_wait_long_for_who_was_closing_before_it() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut closing = connected(&rig);
    closing.rave(b"rubbish\r\n\r\n");
    closing.send(usize::MAX);
    rig.run();
    rig.drain();
    rig.turn();
    for _ in 0..8 {
        rig.pass(Duration::from_millis(100));
        rig.run();
    }
    assert!(rig.shard.is_finished());
    rig.assert_nothing_left();
}

#[test]
fn a_request_there_is_no_room_for_is_refused_as_overload() {
    let sizes = Sizes {
        assembly_buffers: 0,
        heap_bytes_max: 0,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut slow = connected(&rig);
    slow.ask(call(Era::Legacy, "echo", 1, "slow"));
    slow.send(40);
    rig.run();
    slow.read();
    assert_eq!(slow.answers.len(), 1);
    assert_eq!(slow.answers[0].status, 503);
    assert!(slow.answers[0].head.contains("retry-after: 1"));
    assert_eq!(slow.results(), ["-31503"]);
    rig.leave(&[slow]);
}

#[test]
fn a_legacy_client_that_only_finished_sending_still_gets_its_answer() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = connected(&rig);
    client.request(call(Era::Legacy, "hold", 1, "half"));
    rig.run();
    client.peer.finish();
    rig.run();
    rig.release("half");
    rig.run();
    client.read();
    assert_eq!(client.results(), ["half"]);
    assert!(client.answers[0].head.contains("connection: close"));
    rig.leave(&[client]);
}

/// What came behind the call in hand: with it in one piece, or while it ran, so that the kernel has it still.
#[test]
fn what_is_pipelined_behind_a_call_is_answered_though_its_client_sends_no_more() {
    for tool in ["hold", "wait", "speak"] {
        for is_unread in [false, true] {
            let mut rig = Rig::new(1, Sizes::default());
            let mut client = connected(&rig);
            client.ask(call(Era::Legacy, tool, 1, "in hand"));
            if is_unread {
                client.send(usize::MAX);
                rig.run();
            }
            client.ask(call(Era::Legacy, "echo", 2, "behind"));
            client.ask(call(Era::Legacy, "hold", 3, "last"));
            client.send(usize::MAX);
            rig.run();
            client.peer.finish();
            rig.run();
            rig.release("in hand");
            rig.barrier.open();
            rig.run();
            rig.release("last");
            rig.run();
            client.read();
            let case = format!("{tool}, unread: {is_unread}");
            assert_eq!(client.results(), ["in hand", "behind", "last"], "{case}");
            let closes: Vec<bool> = client
                .answers
                .iter()
                .map(|answer| answer.head.contains("connection: close"))
                .collect();
            assert_eq!(closes, [false, false, true], "{case}");
            assert_eq!(client.peer.view(), PeerView::Ended, "{case}");
            rig.leave(&[client]);
        }
    }
}

#[test]
fn a_request_behind_a_call_may_wait_for_a_handler_though_its_client_sends_no_more() {
    let sizes = Sizes {
        handlers: 1,
        queue_depth_max: 4,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut client = connected(&rig);
    client.ask(call(Era::Legacy, "hold", 1, "in hand"));
    client.ask(call(Era::Legacy, "echo", 2, "behind"));
    client.send(usize::MAX);
    rig.run();
    let mut other = connected(&rig);
    other.request(call(Era::Modern, "hold", 3, "other"));
    rig.run();
    client.peer.finish();
    rig.run();
    rig.release("in hand");
    rig.run();
    assert_eq!(rig.metrics.queue_depth.value(), 1, "it waits behind the other's");
    rig.release("other");
    rig.run();
    client.read();
    other.read();
    assert_eq!(client.results(), ["in hand", "behind"]);
    assert_eq!(other.results(), ["other"]);
    assert_eq!(client.peer.view(), PeerView::Ended);
    rig.leave(&[client, other]);
}

/// The second half of its request is there, and this shard has not come to look at it.
#[test]
fn nobody_is_slow_for_time_in_which_the_shard_did_not_look() {
    let sizes = Sizes {
        assembly_buffers: 1,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut early = connected(&rig);
    early.ask(call(Era::Legacy, "echo", 1, "early"));
    early.send(40);
    rig.run();
    let mut other = connected(&rig);
    other.ask(call(Era::Legacy, "echo", 1, "other"));
    other.send(40);
    early.send(usize::MAX);
    rig.pass(Duration::from_secs(2));
    rig.run();
    other.send(usize::MAX);
    rig.run();
    early.read();
    other.read();
    assert_eq!(early.results(), ["early"]);
    assert_eq!(other.results(), ["other"]);
    assert_eq!(rig.metrics.evictions.of(Eviction::AssemblyPressure).value(), 0);
    rig.leave(&[early, other]);
}

/// A large request takes more than a second to arrive, and keeps coming.
#[test]
fn who_sends_steadily_is_not_slow() {
    let sizes = Sizes {
        assembly_buffers: 1,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut steady = connected(&rig);
    let secret = "steady ".repeat(1000);
    steady.ask(call(Era::Legacy, "echo", 1, &secret));
    let mut others = Vec::new();
    while !steady.unsent.is_empty() {
        steady.send(1500);
        rig.run();
        rig.pass(Duration::from_secs(1));
        rig.run();
        let mut other = connected(&rig);
        other.ask(call(Era::Legacy, "echo", 1, "other"));
        other.send(40);
        rig.run();
        others.push(other);
    }
    steady.read();
    assert_eq!(steady.results(), [secret]);
    // Those who send nothing more are, and give way to each other.
    others[0].read();
    assert_eq!(others[0].answers[0].status, 408);
    others.push(steady);
    rig.leave(&others);
}

#[test]
fn without_memory_who_is_slow_gives_way_and_who_is_not_does_not() {
    let sizes = Sizes {
        assembly_buffers: 1,
        heap_bytes_max: 0,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut first = connected(&rig);
    first.ask(call(Era::Legacy, "echo", 1, "first"));
    first.send(40);
    rig.run();
    let mut refused = connected(&rig);
    refused.ask(call(Era::Legacy, "echo", 1, "refused"));
    refused.send(40);
    rig.run();
    refused.read();
    assert_eq!(refused.answers[0].status, 503);
    rig.pass(Duration::from_secs(2));
    rig.run();
    let mut second = connected(&rig);
    second.ask(call(Era::Legacy, "echo", 1, "second"));
    second.send(40);
    rig.run();
    second.send(usize::MAX);
    rig.run();
    second.read();
    assert_eq!(second.results(), ["second"]);
    first.read();
    assert_eq!(first.answers[0].status, 408);
    rig.leave(&[first, refused, second]);
}

#[test]
fn answers_that_outgrow_their_buffers_stay_within_the_heap_budget() {
    let sizes = Sizes {
        heap_bytes_max: 700_000,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut clients: Vec<Client> = (0..8).map(|_| connected(&rig)).collect();
    for (client, id) in clients.iter_mut().zip(0..) {
        client.peer.set_window(0);
        client.request(call(Era::Modern, "blob", id, "b"));
    }
    rig.run();
    assert!(rig.shard.writer.heap.used() > 100_000, "they are counted");
    let mut refused = 0;
    for client in &mut clients {
        client.peer.set_window(1 << 20);
        rig.run();
        client.read();
        assert_eq!(client.answers.len(), 1);
        refused += usize::from(client.answers[0].status == 503);
    }
    assert!((1..8).contains(&refused), "{refused} of 8 refused");
    rig.leave(&clients);
}

#[test]
fn calls_of_a_batch_that_have_not_begun_when_its_client_leaves_never_do() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = connected(&rig);
    client.request(batch(&[("hold", 1, "a"), ("hold", 2, "b"), ("hold", 3, "c")]));
    rig.run();
    client.peer.reset();
    rig.run();
    assert_eq!(rig.shard.calls.pool.busy(), 1, "the call that runs ends first");
    rig.release("a");
    rig.run();
    assert_eq!(
        (rig.shard.calls.pool.busy(), rig.metrics.in_flight.value()),
        (0, 0)
    );
    rig.leave(&[client]);
}

#[test]
fn the_calls_of_a_batch_have_one_deadline() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = connected(&rig);
    client.request(batch(&[("hold", 1, "a"), ("hold", 2, "b"), ("hold", 3, "c")]));
    rig.run();
    rig.live(CALL_TIMEOUT);
    client.read();
    assert_eq!(client.answers.len(), 1);
    rig.leave(&[client]);
}
