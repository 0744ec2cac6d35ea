//! Messages of channels that are served on another shard: under cancellation, drain and the death of either side.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Shard, ShardEvent};
use super::channels::{begin_session, exchange, opened};
use super::client::{self, Client, Era};
use super::rig::{Rig, Sizes, now};
use super::websocket::{TEXT, WebSocket, call, frame};
use crate::metrics::{Operation, Outcome, WaitEnd};
use crate::ring::simulated::{Faults, SimulatedRing};

/// Longer than a hop costs.
const HOP: Duration = Duration::from_millis(1);

const TWO: Sizes = Sizes {
    shards: 2,
    handlers: 1,
    queue_depth_max: 16,
    ..Sizes::DEFAULT
};

/// A client that keeps the one handler of a shard.
fn holder(rig: &mut Rig, shard: usize, secret: &str) -> Client {
    let mut client = Client::new(rig.connect_to(shard));
    client.request(client::call(Era::Modern, "hold", 1, secret));
    rig.run();
    client
}

/// A call waits on a channel, then moves.
fn ask_elsewhere(rig: &mut Rig, socket: &mut WebSocket, is_modern: bool, tool: &str, id: u64) {
    socket.ask(is_modern, tool, id, &format!("s{id}."));
    exchange(rig, socket);
    rig.offer(HOP);
    rig.run();
    socket.read();
}

fn busy(rig: &Rig) -> Vec<u32> {
    let of = |shard: &Shard<SimulatedRing>| shard.calls.busy();
    rig.drivers.iter().map(|driver| of(&driver.shard)).collect()
}

fn steals(rig: &Rig) -> Vec<(u64, u64)> {
    let numbers = rig.drivers.iter().map(|driver| &driver.metrics);
    numbers
        .map(|metrics| (metrics.steals_out.value(), metrics.steals_in.value()))
        .collect()
}

fn in_flight(rig: &Rig) -> Vec<u64> {
    let numbers = rig.drivers.iter().map(|driver| &driver.metrics);
    numbers.map(|metrics| metrics.in_flight.value()).collect()
}

/// Everybody leaves, and nothing is left.
fn end(mut rig: Rig, socket: &WebSocket, clients: &[Client]) {
    rig.release("held");
    socket.peer.finish();
    rig.run();
    rig.leave(clients);
}

#[test]
fn a_message_that_waits_is_served_elsewhere_and_its_channel_stays() {
    let mut rig = Rig::new(1, TWO);
    let mut socket = opened(&mut rig);
    socket.ask(true, "hold", 1, "held");
    socket.ask(true, "hold", 2, "s2.");
    exchange(&mut rig, &mut socket);
    assert_eq!(
        (busy(&rig), steals(&rig)),
        (vec![1, 0], vec![(0, 0); 2]),
        "too young"
    );
    rig.offer(HOP);
    exchange(&mut rig, &mut socket);
    assert_eq!((busy(&rig), steals(&rig)), (vec![1, 1], vec![(1, 0), (0, 1)]));
    assert_eq!(in_flight(&rig), [1, 1]);
    let open = |rig: &Rig| rig.drivers[1].metrics.connections_open.value();
    assert_eq!(open(&rig), 0);
    rig.release("s2.");
    exchange(&mut rig, &mut socket);
    assert_eq!((socket.waiting(), in_flight(&rig)), (vec![1], vec![1, 0]));
    // It is counted where it ran, and once.
    let calls = |shard: usize| {
        let row = Operation::Tool(rig.row("hold"));
        rig.drivers[shard].metrics.durations().count(row, Outcome::Ok)
    };
    assert_eq!([calls(0), calls(1)], [0, 1]);
    end(rig, &socket, &[]);
}

/// The other shard does not know the path that the channel was opened at.
/// What is known of a channel's client goes with a message that is served elsewhere.
#[test]
fn a_message_that_moved_knows_who_sent_it() {
    let mut rig = Rig::new(1, TWO);
    let mut socket = WebSocket::with_field(rig.connect(), "X-Tenant: acme");
    exchange(&mut rig, &mut socket);
    begin_session(&mut socket);
    exchange(&mut rig, &mut socket);
    let holder = holder(&mut rig, 0, "held");
    let expected = "WebSocket 192.0.2.1:0 a 1 acme";
    socket.ask(false, "who", 2, expected);
    exchange(&mut rig, &mut socket);
    rig.offer(HOP);
    exchange(&mut rig, &mut socket);
    exchange(&mut rig, &mut socket);
    assert_eq!(steals(&rig), [(1, 0), (0, 1)]);
    assert_eq!(socket.waiting(), [0; 0]);
    end(rig, &socket, &[holder]);
}

#[test]
fn a_message_that_moves_is_served_for_its_own_endpoint() {
    for is_modern in [true, false] {
        let mut rig = Rig::new(1, TWO);
        let mut socket = WebSocket::at(rig.connect(), "/servers/elsewhere/mcp");
        exchange(&mut rig, &mut socket);
        let clients = [holder(&mut rig, 0, "held")];
        ask_elsewhere(&mut rig, &mut socket, is_modern, "abroad", 2);
        assert_eq!((busy(&rig), steals(&rig)), (vec![1, 1], vec![(1, 0), (0, 1)]));
        rig.release("s2.");
        exchange(&mut rig, &mut socket);
        assert!(socket.waiting().is_empty());
        assert_eq!(socket.answers[&2]["result"]["content"][0]["text"], "s2.");
        // At the other endpoint nobody has it, and here nobody has what is there.
        socket.ask(is_modern, "nap", 3, "s3.");
        exchange(&mut rig, &mut socket);
        assert_eq!(socket.answers[&3]["error"]["code"], -32602);
        let mut other = opened(&mut rig);
        other.ask(is_modern, "abroad", 4, "s4.");
        exchange(&mut rig, &mut other);
        assert_eq!(other.answers[&4]["error"]["code"], -32602);
        other.peer.finish();
        end(rig, &socket, &clients);
    }
}

#[test]
fn what_a_call_says_elsewhere_comes_in_order_and_before_its_answer() {
    for is_modern in [true, false] {
        let mut rig = Rig::new(1, TWO);
        let mut socket = initialized(&mut rig);
        let clients = [holder(&mut rig, 0, "held")];
        ask_elsewhere(&mut rig, &mut socket, is_modern, "speak", 2);
        assert_eq!(busy(&rig), [1, 1]);
        let lines = |socket: &WebSocket| -> Vec<String> {
            let texts = socket
                .said
                .iter()
                .filter_map(|said| said["params"]["data"].as_str());
            texts.map(|text| text[..4].to_owned()).collect()
        };
        let expected = ["s2.:", "s2.:", "s2.:"];
        assert_eq!(
            (lines(&socket), socket.waiting()),
            (expected.map(str::to_owned).to_vec(), vec![2])
        );
        let numbers: Vec<&str> = socket
            .said
            .iter()
            .map(|said| &said["params"]["data"].as_str().unwrap()[4..5])
            .collect();
        assert_eq!(numbers, ["0", "1", "2"]);
        rig.release("s2.");
        exchange(&mut rig, &mut socket);
        assert_eq!((socket.waiting(), socket.said.len()), (vec![], 3));
        end(rig, &socket, &clients);
    }
}

/// A channel on which a client that can be asked has begun a legacy session.
fn initialized(rig: &mut Rig) -> WebSocket {
    let mut socket = opened(rig);
    begin_session(&mut socket);
    exchange(rig, &mut socket);
    assert_eq!(socket.waiting(), [0; 0]);
    socket
}

/// The question that has come last, answered.
fn accept(socket: &mut WebSocket) {
    let question = socket.said.pop().unwrap();
    assert_eq!(question["method"], "elicitation/create", "{question}");
    socket.say(&json!({"jsonrpc": "2.0", "id": question["id"],
        "result": {"action": "accept", "content": {}}}));
}

#[test]
fn a_call_asks_its_client_from_elsewhere() {
    let mut rig = Rig::new(1, TWO);
    let mut socket = initialized(&mut rig);
    let clients = [holder(&mut rig, 0, "held")];
    ask_elsewhere(&mut rig, &mut socket, false, "ask", 2);
    assert_eq!(busy(&rig), [1, 0], "it waits for its client without a handler");
    accept(&mut socket);
    exchange(&mut rig, &mut socket);
    assert_eq!(socket.answers[&2]["result"]["content"][0]["text"], "s2.");
    assert_eq!(socket.waiting(), [0; 0]);
    end(rig, &socket, &clients);
}

#[test]
fn a_client_leaves_or_cancels_while_it_is_asked_from_elsewhere() {
    for cancels in [true, false] {
        let mut rig = Rig::new(1, TWO);
        let mut socket = initialized(&mut rig);
        let clients = [holder(&mut rig, 0, "held")];
        ask_elsewhere(&mut rig, &mut socket, false, "ask", 2);
        assert_eq!(socket.said.len(), 1);
        if cancels {
            socket.cancel(2);
            exchange(&mut rig, &mut socket);
            assert_eq!((socket.answers.get(&2), in_flight(&rig)), (None, vec![1, 0]));
            // Its place among the channel's calls is free.
            ask_elsewhere(&mut rig, &mut socket, true, "echo", 3);
            assert!(socket.answers.contains_key(&3));
        } else {
            socket.peer.reset();
            rig.run();
        }
        end(rig, &socket, &clients);
    }
}

#[test]
fn a_cancelled_call_ends_where_it_runs() {
    for (is_modern, depth) in [(true, 16), (false, 16), (true, 0), (false, 0)] {
        let sizes = Sizes {
            queue_depth_max: depth,
            ..TWO
        };
        let mut rig = Rig::new(1, sizes);
        let mut socket = opened(&mut rig);
        let clients = [holder(&mut rig, 0, "held")];
        ask_elsewhere(&mut rig, &mut socket, is_modern, "hold", 2);
        assert_eq!(busy(&rig), [1, 1]);
        socket.cancel(2);
        exchange(&mut rig, &mut socket);
        assert_eq!(
            (busy(&rig), in_flight(&rig)),
            (vec![1, 0], vec![1, 0]),
            "{is_modern}"
        );
        ask_elsewhere(&mut rig, &mut socket, is_modern, "echo", 3);
        assert_eq!(socket.waiting(), [2], "no answer comes");
        end(rig, &socket, &clients);
    }
}

/// The other shard hears of it before the message comes.
#[test]
fn a_cancellation_overtakes_no_message() {
    let mut rig = Rig::new(1, TWO);
    let mut socket = opened(&mut rig);
    let clients = [holder(&mut rig, 0, "held")];
    socket.ask(true, "hold", 2, "s2.");
    exchange(&mut rig, &mut socket);
    socket.cancel(2);
    socket.send(usize::MAX);
    while !rig.drivers[1].inbox.has_events() {
        rig.pass_once(1);
    }
    rig.turn_of(1);
    assert_eq!(
        rig.drivers[0].metrics.queue_depth.value(),
        1,
        "not handled here yet"
    );
    rig.offer(HOP);
    assert_eq!(rig.drivers[0].metrics.queue_depth.value(), 0, "it moves");
    exchange(&mut rig, &mut socket);
    assert_eq!((busy(&rig), socket.answers.len()), (vec![1, 0], 0));
    end(rig, &socket, &clients);
}

#[test]
fn a_message_goes_straight_on_if_the_queue_is_full() {
    let sizes = Sizes {
        queue_depth_max: 0,
        ..TWO
    };
    let mut rig = Rig::new(1, sizes);
    let mut socket = opened(&mut rig);
    let clients = [holder(&mut rig, 0, "held")];
    socket.ask(true, "hold", 2, "s2.");
    socket.ask(true, "echo", 3, "s3.");
    exchange(&mut rig, &mut socket);
    assert_eq!(busy(&rig), [1, 1], "no time passes");
    assert_eq!(socket.answers[&3]["error"]["code"], -31503);
    rig.release("s2.");
    exchange(&mut rig, &mut socket);
    assert_eq!(socket.waiting(), [0; 0]);
    end(rig, &socket, &clients);
}

#[test]
fn without_memory_for_its_bytes_a_message_is_refused_and_its_permit_goes_back() {
    let sizes = Sizes {
        queue_depth_max: 0,
        heap_bytes_max: 0,
        ..TWO
    };
    let mut rig = Rig::new(1, sizes);
    let mut socket = opened(&mut rig);
    let clients = [holder(&mut rig, 0, "held")];
    socket.ask(true, "echo", 2, "s2.");
    exchange(&mut rig, &mut socket);
    assert_eq!(socket.answers[&2]["error"]["data"]["reason"], "memory");
    assert_eq!(rig.drivers[1].shard.calls.idle(), 1);
    end(rig, &socket, &clients);
}

#[test]
fn a_large_answer_is_charged_until_it_is_taken() {
    let mut rig = Rig::new(1, TWO);
    let mut socket = opened(&mut rig);
    let clients = [holder(&mut rig, 0, "held")];
    socket.ask(true, "blob", 2, "s2.");
    exchange(&mut rig, &mut socket);
    rig.offer(HOP);
    rig.turn_of(1);
    let used = |rig: &Rig, shard: usize| rig.drivers[shard].shard.writer.heap_bytes_used();
    assert!(used(&rig, 1) >= 9_000, "{}", used(&rig, 1));
    socket.peer.set_window(0);
    rig.turn_of(0);
    rig.turn_of(1);
    assert_eq!(used(&rig, 1), 0);
    assert!(used(&rig, 0) >= 9_000, "its client has not taken it");
    socket.peer.set_window(1 << 20);
    exchange(&mut rig, &mut socket);
    assert_eq!(socket.waiting(), [0; 0]);
    end(rig, &socket, &clients);
}

/// An answer for which there was room where it was made, and is none where its client is.
#[test]
fn an_answer_that_finds_no_memory_at_home_is_a_refusal() {
    let sizes = Sizes {
        heap_bytes_max: 30_000,
        ..TWO
    };
    let mut rig = Rig::new(1, sizes);
    let mut full = opened(&mut rig);
    full.peer.set_window(0);
    for id in 1..3 {
        full.ask(true, "blob", id, &format!("s{id}."));
    }
    exchange(&mut rig, &mut full);
    let mut socket = opened(&mut rig);
    let clients = [holder(&mut rig, 0, "held")];
    ask_elsewhere(&mut rig, &mut socket, true, "blob", 2);
    assert_eq!(socket.answers[&2]["error"]["data"]["reason"], "memory");
    ask_elsewhere(&mut rig, &mut socket, true, "echo", 3);
    assert_eq!((socket.waiting(), socket.closed), (vec![], None));
    full.peer.reset();
    end(rig, &socket, &clients);
}

#[test]
fn a_client_that_leaves_ends_its_modern_calls_elsewhere_and_no_legacy_ones() {
    for is_modern in [true, false] {
        let mut rig = Rig::new(1, TWO);
        let mut socket = opened(&mut rig);
        let clients = [holder(&mut rig, 0, "held")];
        ask_elsewhere(&mut rig, &mut socket, is_modern, "hold", 2);
        socket.peer.reset();
        rig.run();
        assert_eq!(busy(&rig), [1, u32::from(!is_modern)]);
        rig.release("s2.");
        end(rig, &socket, &clients);
    }
}

/// A key is used again at once, and what comes late is not for the next.
#[test]
fn a_late_answer_reaches_nobody_else() {
    let mut rig = Rig::new(1, TWO);
    let mut socket = opened(&mut rig);
    let clients = [holder(&mut rig, 0, "held")];
    ask_elsewhere(&mut rig, &mut socket, false, "hold", 2);
    rig.release("s2.");
    rig.turn_of(1);
    // Its answer is in the inbox of the first shard, which sees the client leave first.
    socket.peer.reset();
    let mut next = opened(&mut rig);
    ask_elsewhere(&mut rig, &mut next, true, "echo", 3);
    assert_eq!((next.waiting(), next.answers.len()), (vec![], 1));
    next.peer.finish();
    end(rig, &socket, &clients);
}

#[test]
fn a_drain_waits_for_what_runs_elsewhere() {
    for is_modern in [true, false] {
        let mut rig = Rig::new(1, TWO);
        let mut socket = opened(&mut rig);
        let clients = [holder(&mut rig, 0, "held")];
        ask_elsewhere(&mut rig, &mut socket, is_modern, "hold", 2);
        rig.drain();
        rig.live(Duration::from_secs(2));
        socket.read();
        assert_eq!(
            (socket.waiting(), socket.closed, rig.is_finished()),
            (vec![2], None, false)
        );
        rig.release("s2.");
        rig.run();
        socket.read();
        assert_eq!((socket.waiting(), socket.closed), (vec![], Some(1001)));
        end(rig, &socket, &clients);
    }
}

#[test]
fn what_waits_during_a_drain_moves_and_is_answered() {
    for seed in 0..40 {
        let mut rig = Rig::new(seed, Sizes { shards: 3, ..TWO });
        rig.network.set_faults(Faults {
            delayed: 500,
            delay_flushes_max: 6,
            ..Faults::default()
        });
        let mut socket = WebSocket::new(rig.connect_to(0));
        (1..7).for_each(|id| socket.ask(true, "hold", id, &format!("s{id}.")));
        socket.send(usize::MAX);
        (0..3).for_each(|_| rig.run());
        rig.offer(HOP);
        rig.drain();
        rig.turn();
        (1..7).for_each(|id| rig.release(&format!("s{id}.")));
        rig.live(Duration::from_secs(1));
        socket.read();
        assert_eq!(
            (socket.waiting(), socket.answers.len()),
            (vec![], 6),
            "seed {seed}"
        );
        assert_eq!(socket.closed, Some(1001), "seed {seed}");
        socket.peer.finish();
        rig.live(Duration::from_secs(3));
        assert!(rig.is_finished(), "seed {seed}");
        rig.assert_nothing_left();
    }
}

#[test]
fn only_the_shard_of_the_channel_drains() {
    let mut rig = Rig::new(1, TWO);
    let mut socket = opened(&mut rig);
    let clients = [holder(&mut rig, 0, "held")];
    ask_elsewhere(&mut rig, &mut socket, true, "hold", 2);
    let deadline = now() + Duration::from_secs(1000);
    rig.drivers[0].inbox.post(ShardEvent::Drain(deadline));
    rig.release("held");
    rig.live(Duration::from_secs(2));
    assert!(!rig.drivers[0].shard.is_finished(), "an answer is still to come");
    rig.release("s2.");
    rig.run();
    socket.read();
    assert_eq!((socket.waiting(), socket.closed), (vec![], Some(1001)));
    clients.iter().for_each(|client| client.peer.finish());
    socket.peer.finish();
    rig.live(Duration::from_secs(3));
    assert!(rig.drivers[0].shard.is_finished());
    rig.leave(&[]);
}

/// The shard that serves a message ends, and the channel's lives on: the message is refused.
#[test]
fn a_message_is_refused_if_the_shard_that_serves_it_dies() {
    for is_modern in [true, false] {
        let mut rig = Rig::new(1, TWO);
        let mut socket = initialized(&mut rig);
        let clients = [holder(&mut rig, 0, "held")];
        ask_elsewhere(&mut rig, &mut socket, is_modern, "hold", 2);
        rig.drivers[1].inbox.post(ShardEvent::Abort);
        exchange(&mut rig, &mut socket);
        assert_eq!(socket.answers[&2]["error"]["data"]["reason"], "draining");
        assert_eq!((socket.waiting(), socket.closed), (vec![], None));
        rig.live(Duration::from_millis(500));
        assert!(rig.drivers[1].shard.is_finished());
        rig.release("held");
        socket.ask(true, "echo", 3, "s3.");
        exchange(&mut rig, &mut socket);
        assert_eq!(socket.waiting(), [0; 0], "its channel goes on");
        end(rig, &socket, &clients);
    }
}

/// The same while the message lies in the inbox of a shard that is told to end.
#[test]
fn a_message_that_comes_to_a_dying_shard_is_refused() {
    let mut rig = Rig::new(1, TWO);
    let mut socket = opened(&mut rig);
    let clients = [holder(&mut rig, 0, "held")];
    socket.ask(true, "hold", 2, "s2.");
    exchange(&mut rig, &mut socket);
    rig.drivers[1].inbox.post(ShardEvent::Abort);
    rig.offer(HOP);
    exchange(&mut rig, &mut socket);
    assert_eq!(socket.answers[&2]["error"]["data"]["reason"], "draining");
    rig.live(Duration::from_millis(500));
    assert!(rig.drivers[1].shard.is_finished());
    end(rig, &socket, &clients);
}

#[test]
fn a_batch_that_a_dying_shard_had_closes_its_channel() {
    let mut rig = Rig::new(1, TWO);
    let mut socket = opened(&mut rig);
    let clients = [holder(&mut rig, 0, "held")];
    let batch: Vec<Value> = (2..4)
        .map(|id| call(false, "hold", id, &format!("s{id}.")))
        .collect();
    let text = Value::from(batch).to_string();
    socket.queue(&frame(TEXT, true, text.as_bytes(), [1; 4]));
    exchange(&mut rig, &mut socket);
    rig.offer(HOP);
    rig.run();
    assert_eq!(busy(&rig), [1, 1]);
    rig.drivers[1].inbox.post(ShardEvent::Abort);
    exchange(&mut rig, &mut socket);
    assert_eq!(socket.closed, Some(1001));
    end(rig, &socket, &clients);
}

/// The channel's shard ends, and the one that serves its messages lives on.
#[test]
fn a_channel_dies_with_its_shard_and_its_calls_elsewhere_as_if_its_client_had_left() {
    for is_modern in [true, false] {
        let mut rig = Rig::new(1, TWO);
        let mut socket = opened(&mut rig);
        let clients = [holder(&mut rig, 0, "held")];
        ask_elsewhere(&mut rig, &mut socket, is_modern, "hold", 2);
        rig.drivers[0].inbox.post(ShardEvent::Abort);
        rig.run();
        rig.live(Duration::from_millis(500));
        assert!(rig.drivers[0].shard.is_finished());
        assert_eq!(busy(&rig), [0, u32::from(!is_modern)]);
        rig.release("s2.");
        let mut other = Client::new(rig.connect_to(1));
        other.request(client::call(Era::Modern, "echo", 3, "alive"));
        rig.run();
        assert_eq!(other.heard_results(), ["alive"]);
        let everybody: Vec<Client> = clients.into_iter().chain([other]).collect();
        end(rig, &socket, &everybody);
    }
}

/// A handler that falls free on another shard is the older message's, not the younger request's of its own client.
#[test]
fn who_has_waited_longest_is_next_whatever_it_came_by() {
    let mut rig = Rig::new(1, TWO);
    let mut socket = opened(&mut rig);
    let first = holder(&mut rig, 0, "held");
    let second = holder(&mut rig, 1, "second");
    socket.ask(true, "hold", 2, "s2.");
    exchange(&mut rig, &mut socket);
    rig.offer(Duration::from_millis(5));
    rig.run();
    let mut younger = Client::new(rig.connect_to(1));
    younger.request(client::call(Era::Modern, "echo", 3, "younger"));
    rig.run();
    rig.offer(HOP);
    rig.run();
    rig.release("second");
    rig.run();
    assert_eq!((busy(&rig), steals(&rig)), (vec![1, 1], vec![(1, 0), (0, 1)]));
    assert!(younger.heard_results().is_empty(), "it came later");
    rig.release("s2.");
    exchange(&mut rig, &mut socket);
    assert_eq!(socket.waiting(), [0; 0]);
    assert_eq!(younger.heard_results(), ["younger"]);
    let left = rig.drivers[1].metrics.wait_ends.of(WaitEnd::Served).value();
    assert_eq!(left, 1, "it was served where it waited");
    end(rig, &socket, &[first, second, younger]);
}

/// A request that the client has sent its last byte of, behind another one, goes on at once with all its bytes.
#[test]
fn a_half_closed_connection_that_goes_straight_on_takes_its_request_along() {
    let sizes = Sizes {
        queue_depth_max: 0,
        ..TWO
    };
    let mut moves = 0;
    for seed in 0..60 {
        let mut rig = Rig::new(seed, sizes);
        rig.network.set_faults(Faults {
            delayed: 300,
            delay_flushes_max: 2,
            reordered: 400,
            ..Faults::default()
        });
        let mut client = Client::new(rig.connect_to(0));
        client.ask(client::call(Era::Legacy, "hold", 1, "first"));
        client.ask(client::call(Era::Legacy, "echo", 2, "behind"));
        client.send(usize::MAX);
        client.peer.finish();
        let mut other = Client::new(rig.connect_to(0));
        rig.run();
        rig.release("first");
        rig.turn();
        // It may take the handler before the answer is sent.
        other.request(client::call(Era::Modern, "hold", 1, "held"));
        (0..4).for_each(|_| rig.run());
        assert_eq!(client.heard_results(), ["first", "behind"], "seed {seed}");
        moves += steals(&rig)[1].1;
        rig.network.calm();
        rig.release("held");
        rig.run();
        rig.leave(&[client, other]);
    }
    assert!(moves > 0);
}
