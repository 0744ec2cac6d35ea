//! Waiters that move to a shard with slack.

use std::time::Duration;

use super::super::ShardEvent;
use super::client::{Client, Era, call, with_field};
use super::rig::{Rig, Sizes};
use crate::config::Linger;
use crate::metrics::WaitEnd;
use crate::ring::simulated::{Fault, Faults, PeerView};

/// Longer than a hop costs.
const HOP: Duration = Duration::from_millis(1);

fn shards(count: usize) -> Sizes {
    Sizes {
        shards: count,
        handlers: 1,
        queue_depth_max: 16,
        ..Sizes::default()
    }
}

/// A client of this shard that has asked for a held call.
fn holding(rig: &mut Rig, shard: usize, id: u64, secret: &str) -> Client {
    let client = asking(rig, shard, "hold", id, secret);
    rig.run();
    client
}

/// One that has asked, and was not looked at yet.
fn asking(rig: &Rig, shard: usize, tool: &str, id: u64, secret: &str) -> Client {
    let mut client = Client::new(rig.connect_to(shard));
    client.request(call(Era::Modern, tool, id, secret));
    client
}

fn steals(rig: &Rig) -> Vec<(u64, u64)> {
    let of = |driver: &super::rig::Driver| {
        (
            driver.metrics.steals_out.value(),
            driver.metrics.steals_in.value(),
        )
    };
    rig.drivers.iter().map(of).collect()
}

fn waiting(rig: &Rig, shard: usize) -> u64 {
    rig.drivers[shard].metrics.queue_depth.value()
}

#[test]
fn a_waiter_older_than_a_hop_moves_to_a_shard_with_slack_and_lives_there() {
    let mut rig = Rig::new(1, shards(2));
    let holder = holding(&mut rig, 0, 1, "held");
    let mut waiter = asking(&rig, 0, "echo", 2, "moved");
    rig.run();
    assert_eq!(
        (waiting(&rig, 0), steals(&rig)),
        (1, vec![(0, 0); 2]),
        "too young"
    );
    rig.offer(HOP);
    rig.run();
    assert_eq!(waiter.heard_results(), ["moved"]);
    assert_eq!(steals(&rig), [(1, 0), (0, 1)]);
    assert_eq!(rig.drivers[1].metrics.connections_open.value(), 1);
    for id in 3..6 {
        waiter.request(call(Era::Legacy, "echo", id, "at home"));
        rig.run();
        assert_eq!(waiter.heard_results().last().unwrap(), "at home");
    }
    assert_eq!(rig.drivers[1].metrics.in_flight.value(), 0);
    rig.release("held");
    rig.leave(&[holder, waiter]);
}

/// The connection, its session and the head of its request move with it.
#[test]
fn a_call_that_moved_knows_who_made_it() {
    let mut rig = Rig::new(1, shards(2));
    let holder = holding(&mut rig, 0, 1, "held");
    // Simulated peers have numbers for ports, the first is 0.
    let expected = "Http 192.0.2.1:1  acme";
    let mut waiter = Client::new(rig.connect_to(0));
    waiter.request(with_field(
        call(Era::Modern, "who", 2, expected),
        "X-Tenant",
        "acme",
    ));
    rig.run();
    rig.offer(HOP);
    rig.run();
    assert_eq!(waiter.heard_results(), [expected]);
    assert_eq!(steals(&rig), [(1, 0), (0, 1)]);
    rig.release("held");
    rig.leave(&[holder, waiter]);
}

#[test]
fn the_oldest_move_first_and_no_more_than_there_is_slack() {
    let mut rig = Rig::new(1, shards(2));
    let holder = holding(&mut rig, 0, 1, "held");
    let mut waiters: Vec<Client> = ["a", "b", "c"]
        .iter()
        .zip(2..)
        .map(|(secret, id)| {
            let waiter = asking(&rig, 0, "hold", id, secret);
            rig.run();
            waiter
        })
        .collect();
    rig.offer(HOP);
    rig.run();
    assert_eq!((waiting(&rig, 0), steals(&rig)), (2, vec![(1, 0), (0, 1)]));
    // The shard that has slack again says so: no time passes.
    for (served, secret) in ["a", "b", "c"].into_iter().enumerate() {
        rig.release(secret);
        rig.run();
        assert_eq!(waiters[served].heard_results(), [secret]);
    }
    assert_eq!(steals(&rig), [(3, 0), (0, 3)]);
    rig.release("held");
    waiters.push(holder);
    rig.leave(&waiters);
}

#[test]
fn with_many_shards_no_handler_stays_idle_while_somebody_waits() {
    for seed in 0..40 {
        let mut rig = Rig::new(seed, shards(5));
        rig.network.set_faults(Faults {
            delayed: 300,
            delay_flushes_max: 4,
            reordered: 300,
            ..Faults::default()
        });
        let secrets: Vec<String> = (0..12).map(|n| format!("s{n}.")).collect();
        let mut clients: Vec<Client> = secrets
            .iter()
            .zip(1..)
            .map(|(secret, id)| asking(&rig, 0, "hold", id, secret))
            .collect();
        rig.run();
        rig.offer(HOP);
        (0..6).for_each(|_| rig.run());
        let busy: u32 = rig.drivers.iter().map(|driver| driver.shard.calls.busy()).sum();
        assert_eq!((busy, waiting(&rig, 0)), (5, 7), "seed {seed}");
        for secret in &secrets {
            rig.release(secret);
        }
        (0..12).for_each(|_| rig.run());
        for (client, secret) in clients.iter_mut().zip(&secrets) {
            assert_eq!(client.heard_results(), [secret.as_str()], "seed {seed}");
        }
        rig.network.calm();
        rig.leave(&clients);
    }
}

#[test]
fn what_is_pipelined_behind_a_stolen_request_goes_with_it() {
    for split in [0, 100, 2000] {
        let mut rig = Rig::new(1, shards(2));
        let holder = holding(&mut rig, 0, 1, "held");
        let mut client = Client::new(rig.connect_to(0));
        client.ask(call(Era::Modern, "echo", 2, "first"));
        let whole = client.unsent.len();
        for id in 3..8 {
            client.ask(call(Era::Modern, "echo", id, &format!("s{id}")));
        }
        // The request whole, and so many bytes of what is behind it.
        client.send(whole + split);
        rig.run();
        rig.offer(HOP);
        rig.run();
        client.send(usize::MAX);
        rig.run();
        assert_eq!(
            client.heard_results(),
            ["first", "s3", "s4", "s5", "s6", "s7"],
            "{split}"
        );
        assert_eq!(steals(&rig), [(1, 0), (0, 1)]);
        rig.release("held");
        rig.leave(&[holder, client]);
    }
}

#[test]
fn a_half_read_request_neither_waits_nor_moves() {
    let mut rig = Rig::new(1, shards(2));
    let holder = holding(&mut rig, 0, 1, "held");
    let mut slow = Client::new(rig.connect_to(0));
    slow.ask(call(Era::Modern, "echo", 2, "slow"));
    slow.send(slow.unsent.len() - 1);
    rig.run();
    rig.offer(HOP);
    rig.run();
    assert_eq!((waiting(&rig, 0), steals(&rig)), (0, vec![(0, 0); 2]));
    slow.send(1);
    rig.run();
    rig.offer(HOP);
    rig.run();
    assert_eq!(slow.heard_results(), ["slow"]);
    rig.release("held");
    rig.leave(&[holder, slow]);
}

#[test]
fn the_reserve_is_not_for_others() {
    let sizes = Sizes {
        handlers: 2,
        steal_reserve: 1,
        ..shards(2)
    };
    let mut rig = Rig::new(1, sizes);
    let mut clients: Vec<Client> = ["a", "b", "c", "d"]
        .iter()
        .zip(1..)
        .map(|(secret, id)| holding(&mut rig, 0, id, secret))
        .collect();
    rig.offer(HOP);
    rig.run();
    assert_eq!((waiting(&rig, 0), steals(&rig)), (1, vec![(1, 0), (0, 1)]));
    clients.push(holding(&mut rig, 1, 9, "own"));
    assert_eq!(waiting(&rig, 1), 0, "its own reserve is its own");
    ["a", "b", "c", "d", "own"]
        .into_iter()
        .for_each(|secret| rig.release(secret));
    rig.run();
    rig.leave(&clients);
}

#[test]
fn who_leaves_while_it_moves_gives_its_permit_to_the_next() {
    let mut rig = Rig::new(1, shards(2));
    let holder = holding(&mut rig, 0, 1, "held");
    let leaver = asking(&rig, 0, "hold", 2, "left");
    rig.run();
    let mut next = asking(&rig, 0, "echo", 3, "next");
    rig.run();
    // Seen together: the hang-up, and that its time to move has come.
    leaver.peer.reset();
    rig.offer(HOP);
    rig.run();
    assert_eq!(next.heard_results(), ["next"]);
    let left = rig.drivers[0].metrics.wait_ends.of(WaitEnd::Left).value();
    assert_eq!((left, steals(&rig)), (1, vec![(1, 0), (0, 1)]));
    rig.release("held");
    rig.leave(&[holder, leaver, next]);
}

#[test]
fn a_watch_that_fails_ends_the_move_and_nothing_else() {
    let mut rig = Rig::new(1, shards(2));
    let holder = holding(&mut rig, 0, 1, "held");
    let mut unlucky = asking(&rig, 0, "echo", 2, "unlucky");
    rig.run();
    let mut next = asking(&rig, 0, "echo", 3, "next");
    rig.run();
    rig.network.order(Fault::WatchFailed);
    rig.offer(HOP);
    rig.run();
    assert!(unlucky.heard_results().is_empty());
    assert_ne!(unlucky.peer.view(), PeerView::Open);
    assert_eq!(next.heard_results(), ["next"]);
    rig.release("held");
    rig.leave(&[holder, unlucky, next]);
}

#[test]
fn the_thief_may_fill_up_meanwhile() {
    for seed in 0..40 {
        let mut rig = Rig::new(seed, shards(2));
        rig.network.set_faults(Faults {
            delayed: 500,
            delay_flushes_max: 3,
            ..Faults::default()
        });
        let holder = holding(&mut rig, 0, 1, "held");
        let mut mover = asking(&rig, 0, "echo", 2, "mover");
        rig.run();
        rig.offer(HOP);
        // Its permit is taken; the thief's own clients come before it does.
        let mut own: Vec<Client> = (3..6).map(|id| asking(&rig, 1, "echo", id, "own")).collect();
        (0..8).for_each(|_| rig.run());
        assert_eq!(mover.heard_results(), ["mover"], "seed {seed}");
        for client in &mut own {
            assert_eq!(client.heard_results(), ["own"], "seed {seed}");
        }
        rig.network.calm();
        rig.release("held");
        own.extend([holder, mover]);
        rig.leave(&own);
    }
}

#[test]
fn waiters_move_during_a_drain_and_nobody_is_lost() {
    for seed in 0..40 {
        let mut rig = Rig::new(seed, shards(3));
        rig.network.set_faults(Faults {
            delayed: 500,
            delay_flushes_max: 6,
            ..Faults::default()
        });
        let mut clients: Vec<Client> = (0..6)
            .map(|id| asking(&rig, 0, "hold", id, &format!("s{id}.")))
            .collect();
        (0..3).for_each(|_| rig.run());
        rig.offer(HOP);
        rig.drain();
        rig.turn();
        (0..6).for_each(|id| rig.release(&format!("s{id}.")));
        rig.live(Duration::from_secs(1));
        for (id, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.heard_results(), [format!("s{id}.")], "seed {seed}");
            client.peer.finish();
        }
        rig.live(Duration::from_secs(3));
        assert!(rig.is_finished(), "seed {seed}");
        rig.assert_nothing_left();
    }
}

/// It lies in the inbox of a shard that is told to end: nothing would end its call.
#[test]
fn who_comes_to_a_dying_shard_is_not_served() {
    let mut rig = Rig::new(1, shards(2));
    let holder = holding(&mut rig, 0, 1, "held");
    let mut waiter = asking(&rig, 0, "hold", 2, "moved");
    rig.run();
    rig.offer(HOP);
    rig.drivers[1].inbox.post(ShardEvent::Abort);
    rig.turn_of(0);
    rig.live(Duration::from_millis(500));
    assert!(rig.drivers[1].shard.is_finished());
    assert!(waiter.heard_results().is_empty());
    assert_ne!(waiter.peer.view(), PeerView::Open);
    rig.release("held");
    rig.leave(&[holder, waiter]);
}

#[test]
fn a_handler_that_lingers_for_a_moment_is_slack_to_others() {
    let sizes = Sizes {
        linger: Linger::For(Duration::from_secs(5)),
        ..shards(2)
    };
    let mut rig = Rig::new(1, sizes);
    let mut lingerer = asking(&rig, 1, "echo", 1, "here");
    rig.run();
    let holder = holding(&mut rig, 0, 2, "held");
    let mut waiter = asking(&rig, 0, "echo", 3, "moved");
    rig.run();
    rig.offer(HOP);
    rig.run();
    assert_eq!(waiter.heard_results(), ["moved"]);
    assert_eq!(rig.drivers[1].metrics.linger_cuts.value(), 1);
    lingerer.request(call(Era::Modern, "echo", 4, "still here"));
    rig.run();
    assert_eq!(lingerer.heard_results(), ["here", "still here"]);
    rig.release("held");
    rig.leave(&[lingerer, holder, waiter]);
}

#[test]
fn nobody_is_refused_while_another_shard_has_a_handler() {
    for depth in [0, 1] {
        let sizes = Sizes {
            queue_depth_max: depth,
            handlers: 2,
            ..shards(3)
        };
        let mut rig = Rig::new(1, sizes);
        let count = 6 + depth as usize;
        let mut clients: Vec<Client> = (0..count)
            .map(|id| asking(&rig, 0, "hold", id as u64, &format!("s{id}.")))
            .collect();
        // No time passes.
        rig.run();
        let busy: u32 = rig.drivers.iter().map(|driver| driver.shard.calls.busy()).sum();
        assert_eq!((busy, waiting(&rig, 0)), (6, depth.into()));
        let mut late = asking(&rig, 0, "echo", 99, "late");
        rig.run();
        assert_eq!(late.heard_results(), ["-31503"]);
        (0..count).for_each(|id| rig.release(&format!("s{id}.")));
        (0..4).for_each(|_| rig.run());
        for (id, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.heard_results(), [format!("s{id}.")]);
        }
        clients.push(late);
        rig.leave(&clients);
    }
}
