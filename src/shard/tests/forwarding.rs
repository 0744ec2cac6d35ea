//! Calls that go to children: here and on another shard, one thing at a time and by chance.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::children::ChildFailure;

use super::client::{Client, Era, Request, batch, call};
use super::dice::Dice;
use super::nursery::{self, Nursery, QUEUE_TIMEOUT};
use super::rig::{Rig, Sizes};
use super::websocket::WebSocket;

const ONE_SHARD: Sizes = Sizes {
    handlers: 1,
    ..Sizes::DEFAULT
};
const TWO_SHARDS: Sizes = Sizes {
    shards: 2,
    ..ONE_SHARD
};

/// A child number `number` on each of these shards, from 1 on.
fn rig(sizes: Sizes, in_flight_max: u32, queue: u32, shards: &[usize]) -> (Rig, Nursery) {
    let (mut rig, mut nursery) = nursery::rig(1, sizes, in_flight_max, queue);
    for (number, shard) in (1..).zip(shards) {
        nursery.start(&mut rig, number, *shard);
    }
    (rig, nursery)
}

fn client(rig: &Rig, shard: usize) -> Client {
    Client::new(rig.connect_to(shard))
}

fn leave(rig: Rig, nursery: Nursery, clients: &[Client]) {
    nursery::leave(rig, nursery, clients.iter().map(|client| &client.peer));
}

/// The same call with a progress token.
fn followed(id: u64, secret: &str) -> Request {
    let mut request = call(Era::Legacy, "child", id, secret);
    let text = String::from_utf8(request.bytes).unwrap();
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    let mut message: Value = serde_json::from_str(body).unwrap();
    message["params"]["_meta"] = json!({"progressToken": "mine"});
    request.bytes = super::client::post("", message.to_string().as_bytes());
    request
}

#[test]
fn a_child_answers_clients_of_both_eras_and_no_handler_is_taken() {
    let (mut rig, mut nursery) = rig(ONE_SHARD, 4, 0, &[0]);
    // The one handler is held.
    let mut holder = client(&rig, 0);
    holder.request(call(Era::Legacy, "hold", 1, "held"));
    rig.run();
    let mut clients = [client(&rig, 0), client(&rig, 0)];
    clients[0].request(call(Era::Legacy, "child", 7, "a"));
    clients[1].request(call(Era::Modern, "child", 7, "b"));
    nursery.live(&mut rig);
    assert_eq!(nursery.questions(1).len(), 2);
    assert!(
        nursery
            .questions(1)
            .iter()
            .all(|question| !question.contains("io.modelcontextprotocol"))
    );
    nursery.answer(1, 1);
    nursery.answer(1, 0);
    nursery.live(&mut rig);
    assert_eq!(clients[0].heard_results(), ["a"]);
    assert_eq!(clients[1].heard_results(), ["b"]);
    let body: Value = serde_json::from_slice(&clients[1].answers[0].body).unwrap();
    assert_eq!(body["result"]["resultType"], "complete");
    rig.pass(Duration::from_millis(10));
    nursery.live(&mut rig);
    assert_eq!(nursery.answered, 2);
    rig.release("held");
    rig.run();
    assert_eq!(holder.heard_results(), ["held"]);
    let [first, second] = clients;
    leave(rig, nursery, &[holder, first, second]);
}

#[test]
fn calls_wait_for_a_child_in_order_and_beyond_that_are_refused() {
    let (mut rig, mut nursery) = rig(ONE_SHARD, 1, 2, &[0]);
    let mut clients: Vec<Client> = (0..5).map(|_| client(&rig, 0)).collect();
    for (id, client) in clients.iter_mut().enumerate() {
        client.request(call(Era::Legacy, "child", id as u64, &format!("s{id}")));
        nursery.live(&mut rig);
    }
    for refused in &mut clients[3..] {
        assert_eq!(refused.heard_results(), ["-31503"]);
        let answer = &refused.answers[0];
        assert!(
            answer.status == 503 && answer.head.contains("retry-after: "),
            "{answer:?}"
        );
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        let data = &body["error"]["data"];
        assert_eq!(
            (&data["reason"], &data["server"]),
            (&json!("children"), &json!("played"))
        );
    }
    nursery.answer(1, 0);
    nursery.live(&mut rig);
    assert_eq!(clients[0].heard_results(), ["s0"]);
    assert!(nursery.questions(1)[0].contains("s1"), "the oldest is next");
    rig.pass(QUEUE_TIMEOUT);
    nursery.live(&mut rig);
    assert_eq!(clients[2].heard_results(), ["-31503"], "it waited for too long");
    nursery.answer_all(&mut rig);
    assert_eq!(clients[1].heard_results(), ["s1"]);
    leave(rig, nursery, &clients);
}

#[test]
fn nobody_is_there_yet_and_a_child_that_comes_serves_who_waited() {
    let (mut rig, mut nursery) = rig(ONE_SHARD, 1, 4, &[]);
    let mut client = client(&rig, 0);
    client.request(call(Era::Modern, "child", 1, "early"));
    nursery.live(&mut rig);
    rig.pass(Duration::from_millis(10));
    nursery.live(&mut rig);
    assert_eq!(nursery.waiting, 1, "the supervisor knows");
    nursery.start(&mut rig, 1, 0);
    nursery.answer_all(&mut rig);
    assert_eq!(client.heard_results(), ["early"]);
    leave(rig, nursery, &[client]);
}

#[test]
fn a_modern_client_that_leaves_cancels_its_call_and_a_legacy_one_does_not() {
    for era in [Era::Modern, Era::Legacy] {
        for shard in [0, 1] {
            let (mut rig, mut nursery) = rig(TWO_SHARDS, 4, 4, &[shard]);
            let mut gone = client(&rig, 0);
            gone.request(call(era, "child", 1, "gone"));
            nursery.live(&mut rig);
            assert_eq!(nursery.questions(1).len(), 1);
            gone.peer.reset();
            nursery.live(&mut rig);
            let seen = String::from_utf8_lossy(&nursery.wards[&1].process.seen).into_owned();
            let is_told = seen.contains("notifications/cancelled");
            assert_eq!(is_told, era == Era::Modern, "{seen}");
            // What the child says all the same is nobody's.
            nursery.answer_all(&mut rig);
            let mut other = client(&rig, 0);
            other.request(call(era, "child", 2, "other"));
            nursery.answer_all(&mut rig);
            assert_eq!(other.heard_results(), ["other"]);
            leave(rig, nursery, &[other]);
        }
    }
}

#[test]
fn progress_reaches_the_client_under_its_own_token() {
    for shard in [0, 1] {
        let (mut rig, mut nursery) = rig(TWO_SHARDS, 4, 4, &[shard]);
        let mut client = client(&rig, 0);
        client.request(followed(1, "s"));
        nursery.live(&mut rig);
        nursery.progress(1, 0);
        nursery.progress(1, 0);
        nursery.live(&mut rig);
        nursery.answer_all(&mut rig);
        let heard = String::from_utf8(client.peer.read()).unwrap();
        assert!(heard.to_lowercase().contains("text/event-stream"), "{heard}");
        assert_eq!(heard.matches(r#""progressToken":"mine""#).count(), 2, "{heard}");
        let last = heard.lines().rfind(|line| line.starts_with("data: {")).unwrap();
        assert!(
            last.contains(r#""id":1"#) && last.contains(r#""text":"s""#),
            "{last}"
        );
        leave(rig, nursery, &[client]);
    }
}

#[test]
fn a_child_that_dies_loses_the_calls_that_it_may_have_seen_and_no_other() {
    let (mut rig, mut nursery) = rig(ONE_SHARD, 1, 4, &[0]);
    let mut clients: Vec<Client> = (0..2).map(|_| client(&rig, 0)).collect();
    for (id, client) in clients.iter_mut().enumerate() {
        client.request(call(Era::Legacy, "child", id as u64, &format!("s{id}")));
    }
    nursery.live(&mut rig);
    nursery.kill(&rig, 1);
    nursery.live(&mut rig);
    assert_eq!(clients[0].heard_results(), ["-32603"]);
    let body: Value = serde_json::from_slice(&clients[0].answers[0].body).unwrap();
    assert_eq!(body["error"]["data"]["server"], "played", "{body}");
    nursery.live(&mut rig);
    assert_eq!(nursery.gone.len(), 1);
    assert!(nursery.gone[0].1.is_some());
    assert!(
        clients[1].heard_results().is_empty(),
        "it waits for another child"
    );
    nursery.start(&mut rig, 2, 0);
    nursery.answer_all(&mut rig);
    assert_eq!(clients[1].heard_results(), ["s1"]);
    leave(rig, nursery, &clients);
}

#[test]
fn a_batch_mixes_calls_of_children_with_others() {
    for shard in [0, 1] {
        let (mut rig, mut nursery) = rig(TWO_SHARDS, 1, 4, &[shard]);
        let mut client = client(&rig, 0);
        client.request(batch(&[
            ("child", 1, "a"),
            ("echo", 2, "b"),
            ("child", 3, "c"),
            ("child", 4, "d"),
        ]));
        nursery.answer_all(&mut rig);
        client.read();
        assert_eq!(client.unanswered(), 0);
        leave(rig, nursery, &[client]);
    }
}

#[test]
fn calls_of_a_batch_that_are_refused_leave_the_others_alone() {
    let (mut rig, mut nursery) = rig(ONE_SHARD, 1, 0, &[]);
    let mut client = client(&rig, 0);
    client.request(batch(&[
        ("child", 1, "a"),
        ("child", 2, "b"),
        ("echo", 3, "c"),
        ("child", 4, "d"),
    ]));
    nursery.answer_all(&mut rig);
    client.read();
    let body: Value = serde_json::from_slice(&client.answers[0].body).unwrap();
    let codes: Vec<_> = (0..4).map(|at| body[at]["error"]["code"].as_i64()).collect();
    assert_eq!(codes, [Some(-31503), Some(-31503), None, Some(-31503)], "{body}");
    leave(rig, nursery, &[client]);
}

#[test]
fn a_call_goes_to_the_shard_with_room_and_one_that_waits_follows() {
    let (mut rig, mut nursery) = rig(TWO_SHARDS, 1, 4, &[0, 1]);
    let mut clients: Vec<Client> = (0..4).map(|_| client(&rig, 0)).collect();
    for (id, client) in clients.iter_mut().enumerate() {
        client.request(call(Era::Legacy, "child", id as u64, &format!("s{id}")));
        nursery.live(&mut rig);
    }
    assert_eq!((nursery.questions(1).len(), nursery.questions(2).len()), (1, 1));
    // The child elsewhere is free again, and the oldest that waits here goes there.
    nursery.answer(2, 0);
    nursery.live(&mut rig);
    nursery.live(&mut rig);
    assert!(
        nursery.questions(2)[0].contains("s2"),
        "{:?}",
        nursery.questions(2)
    );
    nursery.answer_all(&mut rig);
    for (id, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.heard_results(), [format!("s{id}")]);
    }
    leave(rig, nursery, &clients);
}

#[test]
fn messages_of_a_websocket_go_to_children_and_can_be_cancelled() {
    for shard in [0, 1] {
        let (mut rig, mut nursery) = rig(TWO_SHARDS, 2, 4, &[shard]);
        let mut socket = WebSocket::new(rig.connect_to(0));
        for id in 1..=3 {
            socket.ask(true, "child", id, &format!("w{id}"));
        }
        socket.send(usize::MAX);
        nursery.live(&mut rig);
        socket.cancel(2);
        socket.cancel(3);
        socket.send(usize::MAX);
        nursery.live(&mut rig);
        let seen = String::from_utf8_lossy(&nursery.wards[&1].process.seen).into_owned();
        assert_eq!(
            seen.matches("notifications/cancelled").count(),
            1,
            "one waited: {seen}"
        );
        nursery.answer_all(&mut rig);
        socket.read();
        assert_eq!(socket.answers.keys().copied().collect::<Vec<_>>(), [1]);
        socket.peer.finish();
        leave(rig, nursery, &[]);
    }
}

#[test]
fn an_abort_leaves_nothing() {
    for shard in [0, 1] {
        let (mut rig, mut nursery) = rig(TWO_SHARDS, 1, 4, &[shard]);
        let mut clients: Vec<Client> = (0..3).map(|_| client(&rig, 0)).collect();
        for (id, client) in clients.iter_mut().enumerate() {
            client.request(call(Era::Modern, "child", id as u64, "s"));
        }
        nursery.live(&mut rig);
        rig.abort();
        for _ in 0..10 {
            rig.pass(Duration::from_millis(10));
            nursery.live(&mut rig);
        }
        assert!(rig.is_finished());
        rig.assert_nothing_left();
    }
}

#[test]
fn a_drain_lets_calls_finish_and_then_ends_children() {
    for shard in [0, 1] {
        let (mut rig, mut nursery) = rig(TWO_SHARDS, 1, 4, &[shard]);
        let mut clients: Vec<Client> = (0..2).map(|_| client(&rig, 0)).collect();
        for (id, client) in clients.iter_mut().enumerate() {
            client.request(call(Era::Legacy, "child", id as u64, &format!("s{id}")));
        }
        nursery.live(&mut rig);
        rig.drain();
        for _ in 0..10 {
            rig.pass(Duration::from_millis(100));
            nursery.live(&mut rig);
        }
        assert!(
            !rig.is_finished() && nursery.gone.is_empty(),
            "calls are not over"
        );
        nursery.answer_all(&mut rig);
        for (id, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.heard_results(), [format!("s{id}")]);
        }
        // This one does not end with its input.
        for _ in 0..40 {
            rig.pass(Duration::from_millis(100));
            nursery.live(&mut rig);
        }
        assert!(rig.is_finished());
        assert_eq!(nursery.gone, [(1, None)]);
        rig.assert_nothing_left();
    }
}

/// Clients, children and time, by chance: every call ends once, in its own client's answer, and nothing stays.
fn play(seed: u64) {
    let mut dice = Dice(seed);
    let sizes = Sizes {
        shards: 1 + dice.below(3),
        handlers: 2,
        ..Sizes::DEFAULT
    };
    let (mut rig, mut nursery) = nursery::rig(seed, sizes, 1 + dice.below(3) as u32, dice.below(4) as u32);
    let mut next_child = 0;
    let mut clients: BTreeMap<u64, Client> = BTreeMap::new();
    let mut next_id = 0;
    for _ in 0..120 {
        match dice.below(12) {
            0 if nursery.wards.len() < 4 => {
                next_child += 1;
                nursery.adopt(&rig, next_child, dice.below(sizes.shards));
            }
            1 if dice.below(3) == 0 => {
                let numbers: Vec<u64> = nursery.wards.keys().copied().collect();
                if !numbers.is_empty() {
                    nursery.kill(&rig, numbers[dice.below(numbers.len())]);
                }
            }
            2 => rig.pass(Duration::from_millis(500 * dice.below(4) as u64)),
            3 if !clients.is_empty() && dice.below(4) == 0 => {
                let ids: Vec<u64> = clients.keys().copied().collect();
                if let Some(client) = clients.remove(&ids[dice.below(ids.len())]) {
                    client.peer.reset();
                }
            }
            4..=6 => {
                next_id += 1;
                let mut client = Client::new(rig.connect_to(dice.below(sizes.shards)));
                let era = if dice.below(2) == 0 {
                    Era::Legacy
                } else {
                    Era::Modern
                };
                let secret = format!("s{next_id}");
                let request = match dice.below(4) {
                    0 => batch(&[("child", 1, &secret), ("echo", 2, &secret), ("child", 3, &secret)]),
                    1 => call(era, "echo", next_id, &secret),
                    _ => call(era, "child", next_id, &secret),
                };
                client.request(request);
                clients.insert(next_id, client);
            }
            _ => {
                let numbers: Vec<u64> = nursery.wards.keys().copied().collect();
                for number in numbers {
                    let questions = nursery.questions(number).len();
                    if questions > 0 {
                        nursery.answer(number, dice.below(questions));
                    }
                }
            }
        }
        nursery.live(&mut rig);
        clients.values_mut().for_each(Client::read);
    }
    rig.live(Duration::from_secs(4));
    nursery.answer_all(&mut rig);
    for client in clients.values_mut() {
        client.read();
        assert_eq!(client.unanswered(), 0, "seed {seed}: {client:?}");
    }
    let clients: Vec<Client> = clients.into_values().collect();
    leave(rig, nursery, &clients);
}

#[test]
fn whatever_happens_every_call_ends_once() {
    (0..40).for_each(play);
}

#[test]
fn a_child_whose_line_does_not_fit_into_memory_is_given_up() {
    let sizes = Sizes {
        heap_bytes_max: 100_000,
        ..ONE_SHARD
    };
    let (mut rig, mut nursery) = rig(sizes, 4, 4, &[0, 0]);
    let mut client = client(&rig, 0);
    client.request(call(Era::Legacy, "child", 1, "s"));
    nursery.live(&mut rig);
    let asked = if nursery.questions(1).is_empty() { 2 } else { 1 };
    // The beginning of a line that does not end.
    for _ in 0..20 {
        nursery.wards[&asked].process.say(&"x".repeat(10_000));
        nursery.live(&mut rig);
    }
    assert_eq!(client.heard_results(), ["-32603"]);
    client.request(call(Era::Legacy, "child", 2, "t"));
    nursery.answer_all(&mut rig);
    assert_eq!(
        client.heard_results().last().map(String::as_str),
        Some("t"),
        "the other serves"
    );
    for _ in 0..10 {
        rig.pass(Duration::from_millis(500));
        nursery.live(&mut rig);
    }
    assert_eq!(nursery.gone, [(asked, Some(ChildFailure::OutOfMemory))]);
    leave(rig, nursery, &[client]);
}

#[test]
fn children_end_though_their_shard_and_others_never_had_a_client() {
    for shard in [0, 1] {
        let (rig, nursery) = rig(TWO_SHARDS, 1, 1, &[shard]);
        leave(rig, nursery, &[]);
    }
}
