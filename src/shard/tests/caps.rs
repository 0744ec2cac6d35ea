//! Connections past the process's cap wait, those past their address's are told so, and peers that vanish go.

use std::time::Duration;

use serde_json::Value;

use super::client::{Client, Era, call, ping};
use super::rig::{Rig, Sizes};
use crate::metrics::{Eviction, OverloadReason};
use crate::ring::Credentials;
use crate::ring::simulated::{Fault, Faults, PeerView};

const CAP: usize = 4;

fn capped() -> Sizes {
    Sizes {
        connections_max: CAP,
        ..Sizes::default()
    }
}

fn per_address(cap: u32) -> Sizes {
    Sizes {
        connections_per_ip: Some(cap),
        ..Sizes::default()
    }
}

/// Several shards of one process, each with a listener of its own.
fn several(seed: u64, sizes: Sizes, shards: usize) -> Rig {
    Rig::new(seed, Sizes { shards, ..sizes })
}

/// A client of this shard that has sent a ping.
fn asking(rig: &Rig, shard: usize, id: u64) -> Client {
    let mut client = Client::new(rig.connect_to(shard));
    client.request(ping(id));
    client
}

/// A turn of every shard, after which the cap must hold.
fn turn(rig: &mut Rig) {
    for shard in 0..rig.drivers.len() {
        rig.turn_of(shard);
        let open = rig.network.connections_open();
        assert!(open <= CAP, "{open} connections are open");
    }
}

#[test]
fn shards_together_never_pass_the_cap_and_serve_everybody_in_the_end() {
    let late = Faults {
        accept_nothing: 300,
        delayed: 400,
        delay_flushes_max: 5,
        ..Faults::default()
    };
    for seed in 0..50 {
        let mut rig = several(seed, capped(), 3);
        rig.network.set_faults(late);
        let mut waiting: Vec<Client> = (0..30).map(|id| asking(&rig, id % 3, id as u64)).collect();
        // No tick in all of this: a client that leaves makes room at once, on whichever shard.
        for _ in 0..2_000 {
            turn(&mut rig);
            waiting.retain_mut(|client| {
                client.read();
                let is_served = client.answers.len() == 1;
                if is_served {
                    client.peer.finish();
                }
                !is_served
            });
            if waiting.is_empty() {
                break;
            }
        }
        assert_eq!(waiting.len(), 0, "seed {seed}: left waiting");
        rig.network.calm();
        rig.run();
        rig.assert_nothing_left();
    }
}

#[test]
fn one_place_goes_round_the_shards() {
    let sizes = Sizes {
        connections_max: 1,
        ..Sizes::default()
    };
    let mut rig = several(1, sizes, 2);
    // As many on each; the shard that frees the place does not keep it.
    let mut clients: Vec<Client> = (0..8).map(|id| asking(&rig, id / 4, id as u64)).collect();
    let mut order = Vec::new();
    for _ in 0..200 {
        turn(&mut rig);
        for (index, client) in clients.iter_mut().enumerate() {
            client.read();
            if client.answers.len() == 1 && !order.contains(&index) {
                order.push(index);
                client.peer.finish();
            }
        }
    }
    assert_eq!(order.len(), 8, "{order:?}");
    let first_half = &order[..4];
    assert!(first_half.iter().any(|index| *index < 4) && first_half.iter().any(|index| *index >= 4));
    rig.assert_nothing_left();
}

#[test]
fn used_up_descriptors_cost_no_place() {
    let mut rig = several(1, capped(), 2);
    for _ in 0..CAP {
        rig.network.order(Fault::AcceptExhausted);
    }
    let mut clients: Vec<Client> = (0..CAP).map(|id| asking(&rig, id % 2, id as u64)).collect();
    for _ in 0..2 * CAP {
        rig.run();
        rig.pass(Duration::from_millis(60));
        rig.run();
    }
    for client in &mut clients {
        client.read();
        assert_eq!(client.answers.len(), 1);
        client.peer.finish();
    }
    rig.run();
    rig.assert_nothing_left();
}

#[test]
fn a_descriptor_that_comes_back_is_used_at_once() {
    let mut rig = Rig::new(1, capped());
    let first = asking(&rig, 0, 0);
    rig.run();
    rig.network.order(Fault::AcceptExhausted);
    let mut second = asking(&rig, 0, 1);
    rig.run();
    second.read();
    assert_eq!(second.answers.len(), 0);
    // No time passes.
    first.peer.finish();
    rig.run();
    second.read();
    assert_eq!(second.answers.len(), 1);
    rig.leave(&[second]);
}

fn assert_refused(client: &mut Client) {
    client.read();
    assert_eq!(client.answers.len(), 1, "{client:?}");
    let answer = &client.answers[0];
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("retry-after: ") && answer.head.contains("connection: close"));
    let json: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(json["error"]["code"], -31503);
    assert_eq!(json["error"]["data"]["reason"], "connections");
    assert!(json.get("id").is_none_or(Value::is_null));
    assert_eq!(client.peer.view(), PeerView::Ended);
}

#[test]
fn beyond_its_cap_an_address_is_told_so_without_its_request_being_read() {
    let mut rig = Rig::new(1, per_address(2));
    let mut served: Vec<Client> = (0..2).map(|id| asking(&rig, 0, id)).collect();
    rig.run();
    let mut whole = asking(&rig, 0, 2);
    // Half a request is as good: nothing is looked at.
    let mut half = Client::new(rig.connect());
    half.ask(call(Era::Modern, "echo", 3, "x"));
    half.send(20);
    rig.run();
    assert_refused(&mut whole);
    assert_refused(&mut half);
    assert_eq!(rig.metrics.snapshot().refusals.of(OverloadReason::Connections), 2);
    for client in &mut served {
        client.read();
        assert_eq!(client.answers.len(), 1);
    }
    // What still comes of the request is dropped, and no RST destroys the answer.
    half.send(usize::MAX);
    rig.run();
    assert_eq!(half.peer.view(), PeerView::Ended);
    // A client that leaves makes room.
    served[0].peer.finish();
    rig.run();
    let mut newcomer = asking(&rig, 0, 4);
    rig.run();
    newcomer.read();
    assert_eq!(newcomer.results(), ["{}"]);
    served.extend([whole, half, newcomer]);
    rig.leave(&served);
}

#[test]
fn beyond_its_cap_a_silent_client_is_told_after_a_moment_and_closed_after_another() {
    let mut rig = Rig::new(1, per_address(1));
    let first = Client::new(rig.connect());
    let mut silent = Client::new(rig.connect());
    silent.has_sent_rubbish = true;
    rig.run();
    silent.read();
    assert_eq!(silent.answers.len(), 0);
    rig.pass(Duration::from_millis(300));
    rig.run();
    assert_refused(&mut silent);
    // It never closes; its place comes back all the same.
    assert_eq!(rig.network.connections_open(), 2);
    rig.pass(Duration::from_secs(3));
    rig.run();
    assert_eq!(rig.network.connections_open(), 1);
    rig.leave(&[first]);
}

#[test]
fn an_address_never_holds_more_than_twice_its_cap() {
    let mut rig = Rig::new(1, per_address(3));
    let clients: Vec<Client> = (0..50).map(|_| Client::new(rig.connect())).collect();
    rig.run();
    assert_eq!(rig.network.connections_open(), 6);
    assert_eq!(
        rig.metrics.snapshot().refusals.of(OverloadReason::Connections),
        44
    );
    rig.leave(&clients);
}

/// A process of this user.
fn process(uid: u32) -> Credentials {
    Credentials { pid: 7, uid, gid: 8 }
}

#[test]
fn processes_count_by_their_user() {
    let mut rig = Rig::new(1, per_address(1));
    let first = Client::new(rig.network.connect_as(0, process(1)));
    let other = Client::new(rig.network.connect_as(0, process(2)));
    rig.run();
    let mut second = Client::new(rig.network.connect_as(0, process(1)));
    second.request(ping(2));
    rig.run();
    assert_refused(&mut second);
    rig.leave(&[first, other, second]);
}

#[test]
fn a_process_of_a_user_who_is_not_served_is_closed_before_it_is_read() {
    let served = Sizes {
        unix_peer: Some(1),
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, served);
    let mut clients: Vec<Client> = [Some(1), Some(2), Some(0), None]
        .map(|uid| match uid {
            Some(uid) => rig.network.connect_as(0, process(uid)),
            None => rig.connect(),
        })
        .into_iter()
        .zip(0..)
        .map(|(peer, id)| {
            let mut client = Client::new(peer);
            client.request(ping(id));
            client
        })
        .collect();
    rig.run();
    clients.iter_mut().for_each(Client::read);
    let answered: Vec<usize> = clients.iter().map(|client| client.answers.len()).collect();
    assert_eq!(answered, [1, 0, 0, 1]);
    assert_ne!(clients[1].peer.view(), PeerView::Open);
    assert_eq!(rig.metrics.unix_peers_refused.value(), 2);
    assert_eq!(rig.network.connections_open(), 2);
    rig.leave(&clients);
}

#[test]
fn a_peer_that_vanishes_is_counted_wherever_it_was() {
    let mut rig = Rig::new(1, Sizes::default());
    let counts = |rig: &Rig| {
        let evictions = rig.metrics.snapshot().evictions;
        (evictions.of(Eviction::Vanished), evictions.of(Eviction::HangUp))
    };
    // Parked.
    let parked = Client::new(rig.connect());
    rig.run();
    parked.peer.vanish();
    rig.run();
    assert_eq!(counts(&rig), (1, 0));
    // Amid a request.
    let mut slow = Client::new(rig.connect());
    slow.ask(ping(1));
    slow.send(20);
    rig.run();
    slow.peer.vanish();
    rig.run();
    assert_eq!(counts(&rig), (2, 0));
    // While its call runs.
    for era in [Era::Legacy, Era::Modern] {
        let mut calling = Client::new(rig.connect());
        calling.request(call(era, "hold", 2, "never"));
        rig.run();
        calling.peer.vanish();
        rig.run();
        rig.release("never");
        rig.run();
    }
    assert_eq!(counts(&rig), (4, 0));
    // While it does not take its answer.
    let mut stalled = Client::new(rig.connect());
    stalled.peer.set_window(100);
    stalled.request(call(Era::Legacy, "blob", 3, "b"));
    rig.run();
    stalled.peer.vanish();
    rig.run();
    assert_eq!(counts(&rig), (5, 0));
    // A reset is none of these.
    let mut reset = Client::new(rig.connect());
    reset.peer.set_window(100);
    reset.request(call(Era::Legacy, "blob", 4, "b"));
    rig.run();
    reset.peer.reset();
    rig.run();
    assert_eq!(counts(&rig), (5, 1));
    rig.leave(&[]);
}
