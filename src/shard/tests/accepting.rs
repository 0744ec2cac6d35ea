//! Accepting when nobody is there, at the cap, and without descriptors.

use std::time::Duration;

use super::client::{Client, ping};
use super::rig::{Rig, Sizes};
use crate::ring::Credentials;
use crate::ring::simulated::{Fault, Faults, PeerView};

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
        let clients: Vec<Client> = (0..6).map(|_| Client::new(rig.connect())).collect();
        for client in &clients {
            client.peer.finish();
            rig.turn();
            rig.pass(Duration::from_millis(1));
        }
        rig.network.calm();
        rig.leave(&clients);
        let mut fresh = Client::new(rig.connect());
        fresh.request(ping(1));
        rig.run();
        fresh.read();
        assert_eq!(fresh.answers.len(), 1, "seed {seed}");
        rig.leave(&[fresh]);
    }
}

/// A shard that waits, with a client that has asked something.
fn closed() -> (Rig, Client) {
    let sizes = Sizes {
        opens_later: true,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut client = Client::new(rig.connect());
    client.request(ping(1));
    rig.live(Duration::from_secs(30));
    client.read();
    assert_eq!((client.answers.len(), client.peer.view()), (0, PeerView::Open));
    (rig, client)
}

#[test]
fn who_comes_before_the_shard_is_opened_waits() {
    let (mut rig, mut client) = closed();
    rig.open();
    rig.run();
    client.read();
    assert_eq!(client.answers.len(), 1);
    rig.leave(&[client]);
}

#[test]
fn a_shard_that_was_never_opened_ends_as_others_do() {
    for is_aborted in [false, true] {
        let (mut rig, client) = closed();
        if is_aborted {
            rig.abort();
        } else {
            rig.drain();
        }
        rig.open();
        rig.turn();
        rig.live(Duration::from_secs(10));
        assert!(rig.shard.is_finished());
        rig.assert_nothing_left();
        drop(client);
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
        let clients: Vec<Client> = (0..3).map(|_| Client::new(rig.connect())).collect();
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

/// A client of the socket that all shards share, whose connection wakes the first of them.
fn burst(rig: &Rig, count: u64) -> Vec<Client> {
    let process = Credentials {
        pid: 1,
        uid: 2,
        gid: 3,
    };
    let client = |id| {
        let mut client = Client::new(rig.network.connect_as(0, process));
        client.request(ping(id));
        client
    };
    (0..count).map(client).collect()
}

#[test]
fn a_burst_on_a_shared_socket_comes_to_all_shards() {
    for seed in 0..20 {
        let mut rig = Rig::new(
            seed,
            Sizes {
                shards: 3,
                ..Sizes::default()
            },
        );
        let mut clients = burst(&rig, 60);
        rig.run();
        clients.iter_mut().for_each(Client::read);
        assert!(
            clients.iter().all(|client| client.answers.len() == 1),
            "seed {seed}"
        );
        let open = |shard: usize| rig.drivers[shard].metrics.connections_open.value();
        let open = [open(0), open(1), open(2)];
        assert!(
            open.iter().all(|open| (17..=23).contains(open)),
            "seed {seed}: {open:?}"
        );
        // Places are given back wherever the connections ended.
        rig.leave(&clients);
        let fresh = burst(&rig, 3);
        rig.run();
        assert_eq!(rig.metrics.connections_open.value(), 3, "few are worth no hop");
        rig.leave(&fresh);
    }
}

#[test]
fn a_drain_loses_no_connection_on_its_way_to_another_shard() {
    for turns in 0..6 {
        let mut rig = Rig::new(
            turns,
            Sizes {
                shards: 2,
                ..Sizes::default()
            },
        );
        let mut clients = burst(&rig, 40);
        // The first shard accepts, and the second does not look for a while.
        (0..turns).for_each(|_| rig.turn_of(0));
        rig.drain();
        (0..turns).for_each(|_| rig.turn_of(0));
        rig.live(Duration::from_secs(10));
        assert!(rig.is_finished(), "after {turns} turns");
        clients.iter_mut().for_each(Client::read);
        assert!(
            clients.iter().all(|client| client.answers.len() == 1),
            "after {turns} turns"
        );
        rig.assert_nothing_left();
    }
}

#[test]
fn running_out_of_descriptors_pauses_accepting_and_loses_nobody() {
    let mut rig = Rig::new(1, Sizes::default());
    rig.network.order(Fault::AcceptExhausted);
    let mut client = Client::new(rig.connect());
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
