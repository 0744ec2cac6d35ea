//! Waiters on their way to another shard, caught at every step.

use std::time::Duration;

use super::super::connections::State;
use super::client::{Client, Era, call, ping};
use super::rig::{Rig, Sizes};

/// Time enough for a waiter to be offered, and no tick.
const OFFER: Duration = Duration::from_millis(1);

fn rig(seed: u64, shards: usize, handlers: u32) -> Rig {
    let sizes = Sizes {
        shards,
        handlers,
        queue_depth_max: 4,
        ..Sizes::default()
    };
    Rig::new(seed, sizes)
}

fn asking(rig: &Rig, shard: usize, tool: &str, id: u64, secret: &str) -> Client {
    let mut client = Client::new(rig.connect_to(shard));
    client.request(call(Era::Modern, tool, id, secret));
    client
}

fn is_moving(rig: &mut Rig, shard: usize) -> bool {
    let table = &rig.drivers[shard].shard.table;
    let moving = table.connections_where(|connection| matches!(connection.state, State::Moving(_)));
    !moving.is_empty()
}

/// A permit that comes back to a shard from another is as good as one of its own: the waiter there gets it.
#[test]
fn a_permit_given_back_from_afar_serves_who_waits_for_it() {
    for seed in 0..40 {
        let mut rig = rig(seed, 2, 1);
        let holder = asking(&rig, 0, "hold", 1, "held");
        rig.run();
        let leaver = asking(&rig, 0, "hold", 2, "never");
        rig.run();
        rig.offer(OFFER);
        assert!(is_moving(&mut rig, 0), "seed {seed}");
        // The handler of shard 1 is promised, so that its own client has to wait.
        let mut waiter = asking(&rig, 1, "hold", 3, "waited");
        rig.release("waited");
        (0..8).for_each(|_| rig.turn_of(1));
        assert_eq!(rig.drivers[1].metrics.queue_depth.value(), 1, "seed {seed}");
        leaver.peer.reset();
        rig.run();
        assert_eq!(waiter.heard_results(), ["waited"], "seed {seed}");
        rig.release("held");
        rig.release("never");
        rig.run();
        rig.leave(&[holder, leaver, waiter]);
    }
}

#[test]
fn a_receive_armed_with_controls_answer_keeps_nobody_from_moving() {
    for seed in 0..40 {
        let mut rig = rig(seed, 2, 1);
        let holder = asking(&rig, 0, "hold", 1, "held");
        rig.run();
        let mut client = Client::new(rig.connect_to(0));
        client.ask(ping(2));
        client.ask(call(Era::Modern, "echo", 3, "behind"));
        client.send(usize::MAX);
        rig.run();
        rig.offer(OFFER);
        assert!(is_moving(&mut rig, 0), "seed {seed}");
        // Bytes that come before the receive is over move, too.
        if seed % 2 == 0 {
            client.request(call(Era::Modern, "echo", 4, "more"));
        }
        rig.run();
        client.read();
        assert_eq!(client.unanswered(), 0, "seed {seed}");
        assert_eq!(rig.drivers[1].metrics.steals_in.value(), 1, "seed {seed}");
        rig.release("held");
        rig.run();
        rig.leave(&[holder, client]);
    }
}

#[test]
fn slack_that_one_waiting_shard_does_not_need_is_anothers() {
    for seed in 0..40 {
        let mut rig = rig(seed, 3, 2);
        let held = |shard: usize| if shard == 2 { "spared" } else { "held" };
        let mut clients: Vec<Client> = (0..6)
            .map(|at| asking(&rig, at / 2, "hold", at as u64, held(at / 2)))
            .collect();
        rig.run();
        // The first goes on holding what it gets: only what is left can be the other's.
        let mut waiters = [0, 1].map(|shard| asking(&rig, shard, "hold", 9, ["first", "second"][shard]));
        rig.release("second");
        rig.run();
        rig.offer(OFFER);
        // Both fall free before anybody has looked.
        rig.release("spared");
        rig.turn_of(2);
        rig.run();
        assert_eq!(waiters[1].heard_results(), ["second"], "seed {seed}");
        rig.release("held");
        rig.release("first");
        rig.run();
        clients.extend(waiters);
        rig.leave(&clients);
    }
}
