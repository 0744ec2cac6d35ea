//! Accepting when nobody is there, at the cap, and without descriptors.

use std::time::Duration;

use super::client::{Client, ping};
use super::rig::{Rig, Sizes};
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
