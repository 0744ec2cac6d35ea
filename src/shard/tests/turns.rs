//! A batch is not overload, and everybody gets a turn: however many are ready at once, a handler is taken only by what
//! runs, and nobody is passed over for somebody who has been served.

use std::time::Duration;

use super::super::writer::SENDS_PER_FLUSH_MAX;
use super::client::{Client, Era, call, ping};
use super::dice::{Announce, Dice, seeds};
use super::rig::{Rig, Sizes};
use super::websocket::WebSocket;
use crate::config::Linger;
use crate::ring::simulated::Faults;

/// Far more than handlers, buffers and places in any queue here.
const CROWD: usize = 60;

/// Late and in any order, but nothing fails.
const UNRULY: Faults = Faults {
    receive_short: 200,
    receive_starved: 100,
    receive_cancelled: 0,
    receive_reset: 0,
    send_short: 200,
    send_refused: 100,
    send_reset: 0,
    watch_failed: 0,
    accept_exhausted: 0,
    accept_nothing: 0,
    delayed: 200,
    delay_flushes_max: 4,
    reordered: 200,
};

fn few_handlers(handlers: u32) -> Sizes {
    Sizes {
        handlers,
        queue_depth_max: 0,
        ..Sizes::default()
    }
}

/// Everybody asks the same at once.
fn crowd(rig: &Rig, tool: &str) -> Vec<Client> {
    let ask = |id: usize| {
        let mut client = Client::new(rig.connect());
        client.request(call(Era::Modern, tool, id as u64, &format!("{tool}{id}.")));
        client
    };
    (0..CROWD).map(ask).collect()
}

/// Runs until everybody has an answer, each their own.
fn assert_all_served(rig: &mut Rig, clients: &mut [Client], tool: &str) {
    for _ in 0..CROWD {
        rig.turn();
    }
    rig.run();
    for (id, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.heard_results(), [format!("{tool}{id}.")]);
    }
    assert_eq!(rig.metrics.snapshot().refusals.total(), 0, "{tool}: refusals");
    assert_eq!(rig.metrics.queued.value(), 0, "{tool}: requests that waited");
}

#[test]
fn a_batch_of_calls_that_take_no_time_needs_one_handler() {
    for seed in seeds() {
        let _announce = Announce(seed, "turns");
        let sizes = Sizes {
            ring_buffers: Dice(seed).of(&[1, 4, 100]),
            ..few_handlers(Dice(seed).of(&[1, 2, 8]))
        };
        let mut rig = Rig::new(seed, sizes);
        if seed % 2 == 1 {
            rig.network.set_faults(UNRULY);
        }
        let mut clients = crowd(&rig, "echo");
        assert_all_served(&mut rig, &mut clients, "echo");
        let numbers = rig.metrics.snapshot();
        assert_eq!(numbers.pool_high_water, 1, "calls that ran at the same time");
        rig.network.calm();
        rig.leave(&clients);
    }
}

#[test]
fn handlers_that_linger_are_there_for_a_batch() {
    let sizes = Sizes {
        linger: Linger::For(Duration::from_secs(1)),
        ..few_handlers(2)
    };
    let mut rig = Rig::new(1, sizes);
    let mut clients = crowd(&rig, "echo");
    assert_all_served(&mut rig, &mut clients, "echo");
    rig.leave(&clients);
}

#[test]
fn no_request_is_decoded_for_which_a_handler_is_about_to_be_free() {
    for seed in seeds() {
        let _announce = Announce(seed, "turns");
        let mut rig = Rig::new(seed, few_handlers(Dice(seed).of(&[1, 2, 8])));
        if seed % 2 == 1 {
            rig.network.set_faults(UNRULY);
        }
        // Each is pending when it is first polled, and ready when its task runs.
        let mut clients = crowd(&rig, "yield");
        assert_all_served(&mut rig, &mut clients, "yield");
        rig.network.calm();
        rig.leave(&clients);
    }
}

#[test]
fn a_call_that_has_ended_on_a_worker_keeps_nobody_from_its_handler() {
    let mut rig = Rig::new(1, few_handlers(2));
    let mut clients: Vec<Client> = (0..4).map(|_| Client::new(rig.connect())).collect();
    rig.run();
    for (pair, ids) in clients.chunks_mut(2).zip([[1, 2], [3, 4]]) {
        for (client, id) in pair.iter_mut().zip(ids) {
            client.request(call(Era::Modern, "block", id, "b"));
        }
        // The second pair's requests are there before word of how the first pair's ended.
        rig.pass_once(100);
        rig.await_workers();
    }
    rig.run();
    for client in &mut clients {
        assert_eq!(client.heard_results(), ["b"]);
    }
    assert_eq!(rig.metrics.queued.value(), 0);
    rig.leave(&clients);
}

#[test]
fn a_batch_moves_nobody_to_another_shard() {
    let sizes = Sizes {
        shards: 2,
        queue_depth_max: 8,
        ..few_handlers(1)
    };
    let mut rig = Rig::new(1, sizes);
    let mut clients = crowd(&rig, "echo");
    rig.offer(Duration::from_millis(1));
    assert_all_served(&mut rig, &mut clients, "echo");
    assert_eq!(rig.metrics.steals_out.value(), 0);
    rig.leave(&clients);
}

#[test]
fn messages_that_come_in_one_read_need_one_handler() {
    for tool in ["echo", "yield"] {
        let mut rig = Rig::new(1, few_handlers(1));
        let mut socket = WebSocket::new(rig.connect());
        socket.send(usize::MAX);
        rig.run();
        socket.read();
        // More than a channel may have in flight.
        for id in 0..200 {
            socket.ask(true, tool, id, &format!("s{id}."));
        }
        socket.send(usize::MAX);
        for _ in 0..20 {
            rig.run();
            socket.read();
        }
        assert_eq!(socket.waiting(), Vec::<u64>::new(), "{tool}");
        let refused = socket
            .answers
            .values()
            .filter(|answer| answer.get("error").is_some());
        assert_eq!((refused.count(), socket.answers.len()), (0, 200), "{tool}");
        assert_eq!(rig.metrics.queued.value(), 0, "{tool}");
        socket.peer.finish();
        rig.live(Duration::from_secs(20));
        rig.assert_nothing_left();
    }
}

#[test]
fn answers_of_a_batch_share_a_few_buffers() {
    let sizes = Sizes {
        ring_buffers: 600,
        ..few_handlers(1)
    };
    let mut rig = Rig::new(1, sizes);
    let mut clients: Vec<Client> = (0..500).map(|_| Client::new(rig.connect())).collect();
    for _ in 0..10 {
        rig.run();
    }
    for (id, client) in clients.iter_mut().enumerate() {
        client.request(match id % 2 {
            0 => ping(id as u64),
            _ => call(Era::Modern, "echo", id as u64, "e"),
        });
    }
    rig.run();
    for client in &mut clients {
        client.read();
        assert_eq!(client.answers.len(), 1);
    }
    // One more is written before the first are seen to be over.
    let most = rig.shard.writer.buffers_high_water();
    assert!(
        most <= SENDS_PER_FLUSH_MAX + 2,
        "{most} answers in buffers at a time"
    );
    rig.leave(&clients);
}

/// Every client asks again as soon as it has its answer, so all are ready all the time. Ring buffers run dry.
#[test]
fn nobody_is_passed_over_twice_while_another_is_served_twice() {
    let mut starved = 0;
    // Each is a long run.
    for seed in seeds().step_by(4) {
        let _announce = Announce(seed, "turns");
        let mut dice = Dice(seed);
        let sizes = Sizes {
            ring_buffers: dice.of(&[1, 2, 3, 7, 100]),
            ..few_handlers(dice.of(&[1, 8]))
        };
        let mut rig = Rig::new(seed, sizes);
        let count = dice.of(&[4, 8, 24]);
        let mut clients: Vec<Client> = (0..count).map(|_| Client::new(rig.connect())).collect();
        (0..4).for_each(|_| rig.run());
        let mut next_id = 0;
        let mut ask = |client: &mut Client| {
            next_id += 1;
            client.request(call(Era::Modern, "echo", next_id, "e"));
        };
        clients.iter_mut().for_each(&mut ask);
        let mut served = vec![0; count];
        // What everybody had been served when each asked last.
        let mut since = vec![served.clone(); count];
        for _ in 0..60 * count {
            rig.pass_once(dice.of(&[1, 3, 16]));
            for (index, client) in clients.iter_mut().enumerate() {
                client.read();
                if client.answers.len() > served[index] {
                    served[index] = client.answers.len();
                    ask(client);
                    since[index].clone_from(&served);
                }
            }
            for (index, since) in since.iter().enumerate() {
                // One that was on its way when this one asked, and one more.
                let others = served.iter().zip(since).map(|(now, then)| now - then);
                let most = others.max().unwrap();
                assert!(
                    most <= 2,
                    "{index} waits while another is served {most} times: {served:?}"
                );
            }
        }
        assert!(served.iter().all(|count| *count > 3), "{served:?}");
        starved += rig.metrics.ring_starved.value();
        (0..4).for_each(|_| rig.run());
        rig.leave(&clients);
    }
    assert!(starved > 100, "buffers ran dry {starved} times");
}
