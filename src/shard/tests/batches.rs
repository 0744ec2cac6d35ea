//! Batches, and results that come too late for the call they are of.

use std::time::Duration;

use super::client::{Client, Era, batch, call};
use super::rig::{Rig, Sizes};

const CALL_TIMEOUT: Duration = Duration::from_secs(16);

#[test]
fn a_result_that_comes_with_its_timeout_is_not_a_second_answer() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = Client::new(rig.connect());
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
    let mut client = Client::new(rig.connect());
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
    let mut client = Client::new(rig.connect());
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
fn calls_of_a_batch_that_have_not_begun_when_its_client_leaves_never_do() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = Client::new(rig.connect());
    client.request(batch(&[("hold", 1, "a"), ("hold", 2, "b"), ("hold", 3, "c")]));
    rig.run();
    client.peer.reset();
    rig.run();
    assert_eq!(rig.shard.calls.busy(), 1, "the call that runs ends first");
    rig.release("a");
    rig.run();
    assert_eq!((rig.shard.calls.busy(), rig.metrics.in_flight.value()), (0, 0));
    rig.leave(&[client]);
}

#[test]
fn the_calls_of_a_batch_have_one_deadline() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = Client::new(rig.connect());
    client.request(batch(&[("hold", 1, "a"), ("hold", 2, "b"), ("hold", 3, "c")]));
    rig.run();
    rig.live(CALL_TIMEOUT);
    client.read();
    assert_eq!(client.answers.len(), 1);
    rig.leave(&[client]);
}
