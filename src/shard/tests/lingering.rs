//! Handlers that stay with their connection, for a moment or for good.

use std::time::Duration;

use super::client::{Client, Era, call, ping};
use super::rig::{Rig, Sizes, TIMEOUTS};
use crate::config::Linger;
use crate::metrics::{HandlerState, OverloadReason};

const MOMENT: Duration = Duration::from_secs(2);

fn rig(linger: Linger, handlers: u32) -> Rig {
    let sizes = Sizes {
        linger,
        handlers,
        queue_depth_max: 4,
        ..Sizes::default()
    };
    Rig::new(1, sizes)
}

fn echoed(rig: &mut Rig, id: u64) -> Client {
    let mut client = Client::new(rig.connect());
    echo(rig, &mut client, id);
    client
}

fn echo(rig: &mut Rig, client: &mut Client, id: u64) {
    client.request(call(Era::Modern, "echo", id, "e"));
    rig.run();
    client.read();
    assert_eq!(client.results().last().unwrap(), "e");
}

fn lingering(rig: &Rig) -> u64 {
    rig.metrics.handlers.of(HandlerState::Lingering).value()
}

#[test]
fn without_linger_an_idle_connection_holds_no_handler() {
    let mut rig = rig(Linger::None, 1);
    let mut clients: Vec<Client> = (0..5).map(|id| echoed(&mut rig, id)).collect();
    assert_eq!((lingering(&rig), rig.shard.calls.idle()), (0, 1));
    for client in &mut clients {
        echo(&mut rig, client, 9);
    }
    rig.leave(&clients);
}

#[test]
fn a_finite_linger_ends_by_itself_and_the_connection_stays() {
    let mut rig = rig(Linger::For(MOMENT), 2);
    let mut client = echoed(&mut rig, 1);
    assert_eq!(lingering(&rig), 1);
    rig.live(MOMENT - Duration::from_millis(500));
    echo(&mut rig, &mut client, 2);
    rig.live(MOMENT - Duration::from_millis(500));
    assert_eq!(lingering(&rig), 1, "each answer begins it anew");
    rig.live(Duration::from_secs(1));
    assert_eq!((lingering(&rig), rig.metrics.linger_cuts.value()), (0, 0));
    echo(&mut rig, &mut client, 3);
    rig.leave(&[client]);
}

#[test]
fn a_finite_linger_is_cut_short_when_others_need_the_handler() {
    let mut rig = rig(Linger::For(MOMENT), 2);
    let mut first = echoed(&mut rig, 1);
    let mut second = echoed(&mut rig, 2);
    let mut third = echoed(&mut rig, 3);
    assert_eq!((lingering(&rig), rig.metrics.linger_cuts.value()), (2, 1));
    assert_eq!(rig.metrics.queued.value(), 0, "nobody waited for it");
    // The one that had lingered longest lost it, and is served all the same.
    echo(&mut rig, &mut first, 4);
    echo(&mut rig, &mut second, 5);
    echo(&mut rig, &mut third, 6);
    rig.leave(&[first, second, third]);
}

#[test]
fn while_somebody_waits_nobody_lingers() {
    let mut rig = rig(Linger::For(MOMENT), 1);
    let mut holder = Client::new(rig.connect());
    holder.request(call(Era::Modern, "hold", 1, "held"));
    rig.run();
    let mut waiter = Client::new(rig.connect());
    waiter.request(call(Era::Modern, "hold", 2, "waiter"));
    rig.run();
    rig.release("held");
    rig.run();
    assert_eq!((lingering(&rig), rig.shard.calls.busy()), (0, 1));
    rig.release("waiter");
    rig.run();
    for client in [&mut holder, &mut waiter] {
        client.read();
        assert_eq!(client.answers.len(), 1);
    }
    assert_eq!(lingering(&rig), 1);
    rig.leave(&[holder, waiter]);
}

#[test]
fn a_handler_held_for_good_is_held_from_the_first_byte() {
    let mut rig = rig(Linger::Forever, 1);
    let mut slow = Client::new(rig.connect());
    let silent = Client::new(rig.connect());
    rig.run();
    assert_eq!(lingering(&rig), 0, "nobody has said anything");
    slow.ask(call(Era::Modern, "echo", 1, "e"));
    slow.send(1);
    rig.run();
    assert_eq!(lingering(&rig), 1);
    // Control needs no handler, and work waits for one.
    let mut other = Client::new(rig.connect());
    other.request(ping(2));
    other.request(call(Era::Modern, "echo", 3, "other"));
    rig.run();
    other.read();
    assert_eq!((other.answers.len(), rig.metrics.queue_depth.value()), (1, 1));
    slow.send(usize::MAX);
    rig.run();
    slow.read();
    assert_eq!(slow.results(), ["e"]);
    assert_eq!(rig.metrics.queue_depth.value(), 1, "it is never taken back");
    slow.peer.finish();
    rig.run();
    other.read();
    assert_eq!(other.results().last().unwrap(), "other");
    rig.leave(&[silent, other]);
}

#[test]
fn a_connection_that_is_silent_for_the_read_timeout_loses_the_handler_and_stays() {
    let mut rig = rig(Linger::Forever, 1);
    let mut client = echoed(&mut rig, 1);
    rig.live(TIMEOUTS.read - Duration::from_millis(500));
    echo(&mut rig, &mut client, 2);
    rig.live(TIMEOUTS.read - Duration::from_millis(500));
    assert_eq!(lingering(&rig), 1);
    rig.live(Duration::from_secs(1));
    assert_eq!(lingering(&rig), 0);
    assert!(client.is_open());
    let other = echoed(&mut rig, 3);
    assert_eq!(lingering(&rig), 1);
    other.peer.finish();
    rig.run();
    echo(&mut rig, &mut client, 4);
    assert_eq!(lingering(&rig), 1);
    rig.leave(&[client]);
}

#[test]
fn who_waits_behind_those_who_never_let_go_is_refused_in_time() {
    let mut rig = rig(Linger::Forever, 1);
    let mut holder = echoed(&mut rig, 1);
    let mut waiter = Client::new(rig.connect());
    waiter.request(call(Era::Modern, "echo", 2, "w"));
    rig.run();
    for id in 3..7 {
        rig.live(Duration::from_secs(1));
        echo(&mut rig, &mut holder, id);
    }
    waiter.read();
    assert_eq!(waiter.results(), ["-31503"]);
    assert_eq!(rig.metrics.refusals.of(OverloadReason::QueueTimeout).value(), 1);
    rig.leave(&[holder, waiter]);
}

#[test]
fn handlers_that_are_held_do_not_keep_a_drain_from_ending() {
    for linger in [Linger::For(MOMENT), Linger::Forever] {
        let mut rig = rig(linger, 2);
        let clients = [echoed(&mut rig, 1), echoed(&mut rig, 2)];
        rig.drain();
        rig.live(Duration::from_millis(500));
        clients.iter().for_each(|client| client.peer.finish());
        rig.live(Duration::from_secs(1));
        assert!(rig.is_finished(), "{linger:?}");
        rig.assert_nothing_left();
    }
}

#[test]
fn a_stolen_connection_lingers_where_it_went() {
    for linger in [Linger::For(MOMENT), Linger::Forever] {
        let sizes = Sizes {
            shards: 2,
            handlers: 1,
            queue_depth_max: 4,
            linger,
            ..Sizes::default()
        };
        let mut rig = Rig::new(1, sizes);
        let mut holder = Client::new(rig.connect_to(0));
        holder.request(call(Era::Modern, "hold", 1, "held"));
        let mut mover = Client::new(rig.connect_to(0));
        rig.run();
        mover.request(call(Era::Modern, "echo", 2, "e"));
        rig.run();
        rig.offer(Duration::from_millis(1));
        rig.run();
        mover.read();
        assert_eq!(mover.results(), ["e"]);
        let at = |rig: &Rig, shard: usize| {
            rig.drivers[shard]
                .metrics
                .handlers
                .of(HandlerState::Lingering)
                .value()
        };
        assert_eq!((at(&rig, 0), at(&rig, 1)), (0, 1), "{linger:?}");
        rig.release("held");
        rig.leave(&[holder, mover]);
    }
}
