//! Handlers, workers and memory that run out: which requests are refused, and which go on.

use std::time::Duration;

use super::client::{Client, Era, batch, call, ping};
use super::rig::{Rig, Sizes};

const CALL_TIMEOUT: Duration = Duration::from_secs(16);

#[test]
fn an_exhausted_pool_refuses_work_and_still_answers_control() {
    let sizes = Sizes {
        handlers: 1,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut first = Client::new(rig.connect());
    first.request(call(Era::Modern, "hold", 1, "first"));
    rig.run();
    let mut second = Client::new(rig.connect());
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
    let mut first = Client::new(rig.connect());
    first.request(call(Era::Legacy, "wait", 1, "first"));
    rig.run();
    rig.barrier.await_waiting(1);
    let mut second = Client::new(rig.connect());
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
fn an_answer_there_is_no_memory_for_is_overload_and_the_connection_goes_on() {
    let sizes = Sizes {
        heap_bytes_max: 100_000,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut slow = Client::new(rig.connect());
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
fn a_request_there_is_no_room_for_is_refused_as_overload() {
    let sizes = Sizes {
        assembly_buffers: 0,
        heap_bytes_max: 0,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut slow = Client::new(rig.connect());
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
fn answers_that_outgrow_their_buffers_stay_within_the_heap_budget() {
    let sizes = Sizes {
        heap_bytes_max: 700_000,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut clients: Vec<Client> = (0..8).map(|_| Client::new(rig.connect())).collect();
    for (client, id) in clients.iter_mut().zip(0..) {
        client.peer.set_window(0);
        client.request(call(Era::Modern, "blob", id, "b"));
    }
    rig.run();
    assert!(rig.shard.writer.heap_bytes_used() > 100_000, "they are counted");
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
fn a_slow_reader_holds_memory_but_no_handler_and_stalls_for_so_long() {
    let sizes = Sizes {
        handlers: 1,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut slow = Client::new(rig.connect());
    slow.peer.set_window(1000);
    slow.request(call(Era::Legacy, "blob", 1, "slow"));
    rig.run();
    assert_eq!(rig.metrics.in_flight.value(), 1, "its answer is not out yet");
    let mut other = Client::new(rig.connect());
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
