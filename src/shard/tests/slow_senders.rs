//! Clients that are slow to send, those that only seem so, and the buffers that they take.

use std::time::Duration;

use super::client::{Client, Era, call, ping};
use super::rig::{Rig, Sizes};
use crate::metrics::Eviction;

#[test]
fn clients_that_send_in_two_pieces_do_not_push_each_other_out() {
    let sizes = Sizes {
        assembly_buffers: 2,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut clients: Vec<Client> = (0..20).map(|_| Client::new(rig.connect())).collect();
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
fn a_receive_that_found_no_buffer_is_not_armed_under_a_running_call() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = Client::new(rig.connect());
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

/// The second half of its request is there, and this shard has not come to look at it.
#[test]
fn nobody_is_slow_for_time_in_which_the_shard_did_not_look() {
    let sizes = Sizes {
        assembly_buffers: 1,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut early = Client::new(rig.connect());
    early.ask(call(Era::Legacy, "echo", 1, "early"));
    early.send(40);
    rig.run();
    let mut other = Client::new(rig.connect());
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
    let mut steady = Client::new(rig.connect());
    let secret = "steady ".repeat(1000);
    steady.ask(call(Era::Legacy, "echo", 1, &secret));
    let mut others = Vec::new();
    while !steady.unsent.is_empty() {
        steady.send(1500);
        rig.run();
        rig.pass(Duration::from_secs(1));
        rig.run();
        let mut other = Client::new(rig.connect());
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
    let mut first = Client::new(rig.connect());
    first.ask(call(Era::Legacy, "echo", 1, "first"));
    first.send(40);
    rig.run();
    let mut refused = Client::new(rig.connect());
    refused.ask(call(Era::Legacy, "echo", 1, "refused"));
    refused.send(40);
    rig.run();
    refused.read();
    assert_eq!(refused.answers[0].status, 503);
    rig.pass(Duration::from_secs(2));
    rig.run();
    let mut second = Client::new(rig.connect());
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
