//! Tools that may run only so many calls at once: who runs, who waits without a handler, and that no place is lost.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Client, Era, batch, call, post};
use super::rig::{Rig, Sizes};
use super::streams::{legacy_call, open_session};
use super::websocket::{self, WebSocket};
use crate::metrics::{OverloadReason, ToolLimitFigures, WaitEnd};
use crate::registry::{CallContext, NoArguments, Tool};
use crate::ring::simulated::PeerView;
use crate::shard::ShardEvent;
use crate::units::ViewId;

/// Longer than a hop costs.
const HOP: Duration = Duration::from_millis(1);

const SHARDS: Sizes = Sizes {
    shards: 2,
    handlers: 4,
    queue_depth_max: 16,
    ..Sizes::DEFAULT
};

fn asking(rig: &mut Rig, shard: usize, tool: &str, secret: &str) -> Client {
    let mut client = Client::new(rig.connect_to(shard));
    client.request(call(Era::Modern, tool, 1, secret));
    rig.run();
    client
}

fn figures(rig: &Rig, tool: &str) -> ToolLimitFigures {
    let limits = rig.shard.service.main().common.tool_limits.figures();
    let found = limits.into_iter().find(|(name, _)| name == tool);
    found.unwrap_or_else(|| panic!("{tool} has no limit")).1
}

/// Calls in flight, and calls that wait for those.
fn used(rig: &Rig, tool: &str) -> (u64, u64) {
    let figures = figures(rig, tool);
    (figures.in_flight, figures.waiting)
}

fn busy(rig: &Rig) -> Vec<u32> {
    let busy = |driver: &super::rig::Driver| driver.shard.calls.busy();
    rig.drivers.iter().map(busy).collect()
}

#[test]
fn whoever_came_first_goes_first_whichever_shard_it_came_to() {
    let mut rig = Rig::new(1, SHARDS);
    let secrets: Vec<String> = (0..9).map(|number| format!("s{number}.")).collect();
    let mut clients: Vec<Client> = Vec::new();
    for (number, secret) in secrets.iter().enumerate() {
        clients.push(asking(&mut rig, [0, 1, 1][number % 3], "sole", secret));
    }
    for (served, secret) in secrets.iter().enumerate() {
        assert_eq!(used(&rig, "sole"), (1, 8 - served as u64));
        assert_eq!(busy(&rig).iter().sum::<u32>(), 1, "who waits has no handler");
        rig.release(secret);
        rig.run();
        for (number, client) in clients.iter_mut().enumerate() {
            let expected: &[String] = if number <= served {
                &secrets[number..=number]
            } else {
                &[]
            };
            assert_eq!(client.heard_results(), expected);
        }
    }
    assert_eq!(used(&rig, "sole"), (0, 0));
    // None of them was short of a handler.
    let queued: u64 = rig
        .drivers
        .iter()
        .map(|driver| driver.metrics.queued.value())
        .sum();
    assert_eq!(queued, 0);
    rig.leave(&clients);
}

#[test]
fn calls_of_other_tools_pass_those_that_wait() {
    let mut rig = Rig::new(
        1,
        Sizes {
            handlers: 2,
            ..SHARDS
        },
    );
    let mut clients: Vec<Client> = (0..4).map(|_| asking(&mut rig, 0, "sole", "s.")).collect();
    let mut other = asking(&mut rig, 0, "echo", "o.");
    assert_eq!(other.heard_results(), ["o."]);
    rig.release("s.");
    (0..4).for_each(|_| rig.run());
    for client in &mut clients {
        assert_eq!(client.heard_results(), ["s."]);
    }
    clients.push(other);
    rig.leave(&clients);
}

#[test]
fn past_its_queue_a_call_is_refused_and_told_when_to_come_back() {
    let mut rig = Rig::new(1, SHARDS);
    let mut clients: Vec<Client> = (0..5)
        .map(|number| asking(&mut rig, number % 2, "pair", "s."))
        .collect();
    assert_eq!(used(&rig, "pair"), (2, 3));
    rig.pass(Duration::from_secs(2));
    let mut refused = asking(&mut rig, 1, "pair", "r.");
    assert_eq!(refused.heard_results(), ["-31503"]);
    let answer = &refused.answers[0];
    let json: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer.status, 503);
    // Calls of two seconds, and nobody has ended: three wait, two at a time.
    assert!(answer.head.contains("retry-after: 3\r\n"), "{}", answer.head);
    assert_eq!(
        json["error"]["data"],
        json!({"reason": "tool", "queueDepth": 3, "retryAfterMs": 2500})
    );
    assert_eq!(figures(&rig, "pair").refused_total, 1);
    let refusals = |driver: &super::rig::Driver| driver.metrics.refusals.of(OverloadReason::Tool).value();
    assert_eq!(rig.drivers.iter().map(refusals).collect::<Vec<_>>(), [0, 1]);
    rig.release("s.");
    (0..4).for_each(|_| rig.run());
    refused.request(call(Era::Modern, "pair", 4, "s."));
    rig.run();
    assert_eq!(refused.heard_results(), ["-31503", "s."]);
    clients.push(refused);
    rig.leave(&clients);
}

#[test]
fn those_that_wait_take_half_of_a_shards_queue_and_leave_the_rest_to_others() {
    let sizes = Sizes {
        handlers: 1,
        queue_depth_max: 4,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut clients: Vec<Client> = (0..3).map(|_| asking(&mut rig, 0, "sole", "s.")).collect();
    let mut refused = asking(&mut rig, 0, "sole", "r.");
    assert_eq!(refused.heard_results(), ["-31503"]);
    clients.extend((0..2).map(|_| asking(&mut rig, 0, "echo", "o.")));
    let mut full = asking(&mut rig, 0, "echo", "f.");
    assert_eq!(full.heard_results(), ["-31503"]);
    assert_eq!(rig.metrics.refusals.of(OverloadReason::Handlers).value(), 1);
    rig.release("s.");
    (0..4).for_each(|_| rig.run());
    for (client, secret) in clients.iter_mut().zip(["s.", "s.", "s.", "o.", "o."]) {
        assert_eq!(client.heard_results(), [secret]);
    }
    clients.extend([refused, full]);
    rig.leave(&clients);
}

#[test]
fn a_call_whose_time_is_over_is_refused_and_its_place_is_free() {
    let mut rig = Rig::new(1, SHARDS);
    let holder = asking(&mut rig, 0, "sole", "h.");
    let mut late = asking(&mut rig, 1, "sole", "l.");
    rig.live(Duration::from_secs(2));
    let mut next = asking(&mut rig, 0, "sole", "n.");
    rig.live(Duration::from_secs(2));
    assert_eq!(late.heard_results(), ["-31503"]);
    let json: Value = serde_json::from_slice(&late.answers[0].body).unwrap();
    assert_eq!(json["error"]["data"]["reason"], "tool");
    assert_eq!(
        (used(&rig, "sole"), figures(&rig, "sole").refused_total),
        ((1, 1), 1)
    );
    rig.release("h.");
    rig.run();
    assert_eq!(used(&rig, "sole"), (1, 0));
    rig.release("n.");
    rig.run();
    assert_eq!(next.heard_results(), ["n."]);
    rig.leave(&[holder, late, next]);
}

#[test]
fn who_leaves_or_cancels_waits_no_more_even_with_its_permit_on_its_way() {
    for is_on_its_way in [false, true] {
        let mut rig = Rig::new(1, SHARDS);
        let holder = asking(&mut rig, 0, "sole", "h.");
        let gone = asking(&mut rig, 1, "sole", "g.");
        let mut next = asking(&mut rig, 1, "sole", "n.");
        if is_on_its_way {
            rig.release("h.");
            // Its shard has the permit in its inbox, and sees the hang-up before it looks.
            rig.turn_of(0);
            assert_eq!(used(&rig, "sole"), (1, 1));
        }
        gone.peer.close();
        rig.run();
        assert_eq!(used(&rig, "sole"), (1, u64::from(!is_on_its_way)));
        rig.release("h.");
        rig.release("n.");
        rig.run();
        assert_eq!(next.heard_results(), ["n."]);
        rig.leave(&[holder, next]);
    }
}

#[test]
fn a_request_that_is_cancelled_while_it_waits_is_answered_so() {
    let mut rig = Rig::new(1, SHARDS);
    let mut socket = WebSocket::new(rig.connect_to(1));
    let holder = asking(&mut rig, 0, "sole", "h.");
    socket.say(&websocket::call(true, "sole", 7, "w."));
    socket.send(usize::MAX);
    rig.run();
    assert_eq!(used(&rig, "sole"), (1, 1));
    socket.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}));
    socket.send(usize::MAX);
    rig.run();
    assert_eq!(used(&rig, "sole"), (1, 0));
    socket.peer.finish();
    rig.release("h.");
    rig.run();
    rig.leave(&[holder]);
}

#[test]
fn a_call_whose_turn_it_is_waits_for_a_handler_like_any_other_and_moves_with_its_permit() {
    let sizes = Sizes {
        handlers: 1,
        ..SHARDS
    };
    let mut rig = Rig::new(1, sizes);
    let mut first = asking(&mut rig, 0, "sole", "f.");
    let mut second = asking(&mut rig, 1, "sole", "s.");
    let mut third = asking(&mut rig, 0, "sole", "t.");
    // The handler of the second one's shard is taken meanwhile.
    let other = asking(&mut rig, 1, "hold", "o.");
    rig.release("f.");
    rig.run();
    assert_eq!(first.heard_results(), ["f."]);
    assert_eq!((used(&rig, "sole"), busy(&rig)), ((1, 1), vec![0, 1]));
    assert_eq!(rig.drivers[1].metrics.queue_depth.value(), 1);
    rig.offer(HOP);
    rig.run();
    assert_eq!((used(&rig, "sole"), busy(&rig)), ((1, 1), vec![1, 1]));
    assert_eq!(rig.drivers[1].metrics.wait_ends.of(WaitEnd::Stolen).value(), 1);
    rig.release("s.");
    rig.run();
    assert_eq!(second.heard_results(), ["s."]);
    rig.release("t.");
    rig.run();
    assert_eq!(third.heard_results(), ["t."]);
    rig.release("o.");
    rig.leave(&[first, second, third, other]);
}

#[test]
fn messages_of_channels_wait_and_move_as_requests_do() {
    let sizes = Sizes {
        handlers: 1,
        ..SHARDS
    };
    let mut rig = Rig::new(1, sizes);
    let mut socket = WebSocket::new(rig.connect_to(1));
    let holder = asking(&mut rig, 0, "sole", "h.");
    for (id, secret) in [(1, "a."), (2, "b.")] {
        socket.say(&websocket::call(true, "sole", id, secret));
        socket.expect(id, secret);
    }
    socket.send(usize::MAX);
    rig.run();
    assert_eq!((used(&rig, "sole"), busy(&rig)), ((1, 2), vec![1, 0]));
    let other = asking(&mut rig, 1, "hold", "o.");
    rig.release("h.");
    rig.run();
    rig.offer(HOP);
    rig.run();
    assert_eq!((used(&rig, "sole"), busy(&rig)), ((1, 1), vec![1, 1]));
    for secret in ["a.", "b.", "o."] {
        rig.release(secret);
        rig.run();
        rig.offer(HOP);
        rig.run();
    }
    socket.read();
    assert_eq!(socket.answers.len(), 2);
    socket.peer.finish();
    rig.run();
    rig.leave(&[holder, other]);
}

#[test]
fn a_task_is_in_flight_as_long_as_it_runs() {
    let mut rig = Rig::new(1, SHARDS);
    let mut socket = WebSocket::new(rig.connect());
    let mut message = websocket::call(true, "sole", 1, "t.");
    message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
        json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
    socket.say(&message);
    socket.expect(1, "t.");
    socket.send(usize::MAX);
    rig.run();
    socket.read();
    assert!(socket.answers[&1]["result"]["taskId"].is_string());
    let mut next = asking(&mut rig, 1, "sole", "n.");
    assert_eq!(used(&rig, "sole"), (1, 1));
    rig.release("t.");
    rig.run();
    rig.release("n.");
    rig.run();
    assert_eq!(next.heard_results(), ["n."]);
    socket.peer.finish();
    rig.run();
    rig.leave(&[next]);
}

#[test]
fn a_call_that_asks_its_client_keeps_its_place_without_a_handler() {
    let mut rig = Rig::new(1, SHARDS);
    let session = open_session(&mut rig);
    let asker = legacy_call(&session, "sole_ask", 3, "s.");
    let asker_peer = rig.connect();
    asker_peer.write(&asker);
    rig.run();
    assert_eq!((used(&rig, "sole_ask"), busy(&rig)), ((1, 0), vec![0, 0]));
    let next = rig.connect_to(1);
    next.write(&legacy_call(&session, "sole_ask", 4, "n."));
    rig.run();
    assert_eq!(used(&rig, "sole_ask"), (1, 1));
    // Nobody answers: both give up in their time, or leave.
    asker_peer.close();
    next.close();
    rig.live(Duration::from_secs(60));
    assert_eq!(used(&rig, "sole_ask"), (0, 0));
    rig.leave(&[]);
}

#[test]
fn a_blocking_call_that_was_given_up_is_in_flight_until_its_function_returns() {
    let mut rig = Rig::new(1, SHARDS);
    let mut stuck = asking(&mut rig, 0, "sole_wait", "s.");
    rig.barrier.await_waiting(1);
    let next = asking(&mut rig, 1, "sole_wait", "n.");
    assert_eq!(used(&rig, "sole_wait"), (1, 1));
    // Its time is over; the function hears of that.
    rig.pass(Duration::from_secs(16));
    rig.run();
    rig.await_workers();
    rig.run();
    stuck.read();
    assert_eq!(stuck.answers.len(), 1);
    assert!(rig.barrier.waiting() <= 1);
    rig.barrier.open();
    rig.await_workers();
    rig.run();
    assert_eq!(used(&rig, "sole_wait"), (0, 0));
    rig.leave(&[stuck, next]);
}

/// The texts and codes of errors that answer a batch.
fn of_batch(client: &mut Client) -> Vec<String> {
    client.read();
    let answers: Vec<Value> = serde_json::from_slice(&client.answers[0].body).unwrap();
    let texts = answers.iter().map(|answer| match &answer["error"]["code"] {
        Value::Null => answer["result"]["content"][0]["text"].to_string(),
        code => code.to_string(),
    });
    texts.collect()
}

#[test]
fn a_call_of_a_batch_is_refused_where_it_would_wait() {
    let mut rig = Rig::new(1, SHARDS);
    let mut client = Client::new(rig.connect());
    client.request(batch(&[("sole", 1, "a."), ("echo", 2, "b."), ("sole", 3, "c.")]));
    rig.run();
    assert_eq!(used(&rig, "sole"), (1, 0));
    let mut other = Client::new(rig.connect_to(1));
    other.request(batch(&[("echo", 1, "x."), ("sole", 2, "y."), ("echo", 3, "z.")]));
    rig.run();
    assert_eq!(of_batch(&mut other), ["\"x.\"", "-31503", "\"z.\""]);
    assert_eq!(figures(&rig, "sole").refused_total, 1);
    // One after the other: each of them has its own place.
    rig.release("a.");
    rig.run();
    assert_eq!(used(&rig, "sole"), (1, 0));
    rig.release("c.");
    rig.run();
    assert_eq!(of_batch(&mut client), ["\"a.\"", "\"b.\"", "\"c.\""]);
    assert_eq!(used(&rig, "sole"), (0, 0));
    rig.leave(&[client, other]);
}

/// Serves what `edit` makes of what is served.
fn replace(rig: &mut Rig, edit: impl FnOnce(&mut crate::registry::RegistryBuilder)) {
    let before = rig.shard.service.main();
    let mut registry = before.protocol.registry().edit();
    edit(&mut registry);
    let after = Arc::new(before.protocol.with_registry(registry.build()));
    let service = Arc::new(before.with_protocol(after));
    rig.shard
        .service
        .served()
        .replace(ViewId::MAIN, Arc::clone(&service));
    service.lift_limits();
}

#[test]
fn a_tool_that_takes_anothers_name_takes_over_its_calls_and_who_waits() {
    let mut rig = Rig::new(1, SHARDS);
    let mut old: Vec<Client> = (0..3)
        .map(|number| asking(&mut rig, number % 2, "sole", "s."))
        .collect();
    assert_eq!(used(&rig, "sole"), (1, 2));
    replace(&mut rig, |registry| {
        assert!(registry.remove_tool("sole"));
        let new = Tool::new("sole").concurrency(2);
        let new = new.run(|_: CallContext, _: NoArguments| async { Ok("s.") });
        registry.add(new).unwrap();
    });
    assert_eq!(figures(&rig, "sole").in_flight_max, 2);
    // The second runs beside the first, and the third after it.
    (0..3).for_each(|_| rig.run());
    assert_eq!(used(&rig, "sole"), (1, 0));
    for client in &mut old[1..] {
        assert_eq!(client.heard_results(), ["s."]);
    }
    rig.release("s.");
    rig.run();
    assert_eq!(old[0].heard_results(), ["s."]);
    rig.leave(&old);
}

#[test]
fn who_waits_for_a_tool_that_is_removed_hears_that_it_is_gone() {
    let mut rig = Rig::new(1, SHARDS);
    let mut clients: Vec<Client> = (0..3)
        .map(|number| asking(&mut rig, number % 2, "sole", "s."))
        .collect();
    replace(&mut rig, |registry| assert!(registry.remove_tool("sole")));
    (0..2).for_each(|_| rig.run());
    for client in &mut clients[1..] {
        assert_eq!(client.heard_results(), ["-32602"]);
    }
    // It comes back before its last call has ended, which counts.
    replace(&mut rig, |registry| {
        let again = Tool::new("sole").concurrency(1);
        let again = again.run(|_: CallContext, _: NoArguments| async { Ok("again") });
        registry.add(again).unwrap();
    });
    assert_eq!(used(&rig, "sole"), (1, 0));
    rig.release("s.");
    rig.run();
    assert_eq!(used(&rig, "sole"), (0, 0));
    rig.leave(&clients);
}

#[test]
fn a_drain_serves_those_who_wait_as_long_as_there_is_time() {
    let mut rig = Rig::new(1, SHARDS);
    let mut clients: Vec<Client> = ["a.", "b.", "c."]
        .iter()
        .enumerate()
        .map(|(number, secret)| asking(&mut rig, number % 2, "sole", secret))
        .collect();
    rig.drain_within(Duration::from_secs(2));
    rig.run();
    rig.release("a.");
    rig.run();
    rig.release("b.");
    rig.run();
    for (client, secret) in clients.iter_mut().zip(["a.", "b."]) {
        assert_eq!(client.heard_results(), [secret]);
    }
    assert_eq!(used(&rig, "sole"), (1, 0));
    let mut refused = clients.pop().unwrap();
    rig.live(Duration::from_secs(1));
    rig.release("c.");
    rig.live(Duration::from_secs(2));
    assert_eq!(refused.heard_results(), ["c."]);
    for client in clients.iter().chain([&refused]) {
        assert_ne!(client.peer.view(), PeerView::Open);
        client.peer.finish();
    }
    rig.live(Duration::from_secs(3));
    rig.assert_nothing_left();
}

#[test]
fn a_drain_that_is_about_to_end_tells_those_who_wait() {
    let mut rig = Rig::new(1, SHARDS);
    let holder = asking(&mut rig, 0, "sole", "h.");
    let mut waiter = asking(&mut rig, 1, "sole", "w.");
    rig.drain_within(Duration::from_secs(2));
    rig.run();
    rig.live(Duration::from_millis(1600));
    assert_eq!(waiter.heard_results(), ["-31503"]);
    let json: Value = serde_json::from_slice(&waiter.answers[0].body).unwrap();
    assert_eq!(json["error"]["data"]["reason"], "draining");
    rig.release("h.");
    rig.run();
    rig.leave(&[holder, waiter]);
}

#[test]
fn a_shard_does_not_end_with_a_permit_on_its_way_to_it() {
    let mut rig = Rig::new(1, SHARDS);
    let holder = asking(&mut rig, 0, "sole", "h.");
    let gone = asking(&mut rig, 1, "sole", "g.");
    let mut next = asking(&mut rig, 0, "sole", "n.");
    rig.drain_within(Duration::from_secs(20));
    rig.live(Duration::from_millis(500));
    rig.release("h.");
    rig.turn_of(0);
    // Whoever sends the permit is interrupted between the two halves of that.
    let inbox = rig.drivers[1].shard.inbox.clone();
    let permit = inbox.take().unwrap();
    assert!(matches!(permit, ShardEvent::ToolPermit(_)));
    gone.peer.close();
    rig.live(Duration::from_secs(1));
    assert_eq!(rig.drivers[1].shard.table.open(), 0);
    assert!(
        !rig.drivers[1].shard.is_finished(),
        "nobody would pass the permit on"
    );
    inbox.post(permit);
    rig.run();
    rig.release("n.");
    rig.run();
    assert_eq!(next.heard_results(), ["n."]);
    assert!(rig.drivers[1].shard.is_finished());
    rig.leave(&[holder, next]);
}

#[test]
fn an_abort_ends_calls_that_run_and_calls_that_wait() {
    let mut rig = Rig::new(1, SHARDS);
    let clients: Vec<Client> = (0..5)
        .map(|number| asking(&mut rig, number % 2, "pair", "s."))
        .collect();
    assert_eq!(used(&rig, "pair"), (2, 3));
    rig.abort();
    (0..2).for_each(|_| rig.live(Duration::from_millis(100)));
    assert_eq!(used(&rig, "pair"), (0, 0));
    assert!(clients.iter().all(|client| client.peer.view() != PeerView::Open));
    rig.assert_nothing_left();
}

#[test]
fn a_wrong_call_is_told_so_and_neither_waits_nor_takes_a_place() {
    let sizes = Sizes {
        handlers: 1,
        ..SHARDS
    };
    // It waits for others of its tool, for a handler, or for nothing.
    for (tool, used_now) in [("sole", (1, 0)), ("hold", (0, 0)), ("", (0, 0))] {
        let mut rig = Rig::new(1, sizes);
        let mut clients = Vec::new();
        if !tool.is_empty() {
            clients.push(asking(&mut rig, 0, tool, "h."));
        }
        let wrong = rig.connect_to(0);
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "sole", "arguments": {"secret": 5}}});
        wrong.write(&post("", body.to_string().as_bytes()));
        rig.run();
        assert_eq!(used(&rig, "sole"), used_now, "{tool}");
        assert!(!wrong.read().is_empty(), "{tool}");
        wrong.finish();
        rig.release("h.");
        rig.run();
        rig.leave(&clients);
    }
}
