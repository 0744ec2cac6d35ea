//! Work that finds no handler: in order, in time, or not at all.

use std::time::Duration;

use super::client::{Client, Era, batch, call, chunked, ping, with_origin};
use super::rig::{AGENT_TIMEOUT, BROWSER_TIMEOUT, Rig, Sizes};
use crate::metrics::{Eviction, OverloadReason, WaitEnd};
use crate::ring::simulated::PeerView;

fn one_handler(queue_depth_max: u32) -> Rig {
    let sizes = Sizes {
        handlers: 1,
        queue_depth_max,
        ..Sizes::default()
    };
    Rig::new(1, sizes)
}

/// A client that has asked for a held call.
fn holding(rig: &mut Rig, id: u64, secret: &str) -> Client {
    asking(rig, Era::Modern, "hold", id, secret)
}

fn asking(rig: &mut Rig, era: Era, tool: &str, id: u64, secret: &str) -> Client {
    let mut client = Client::new(rig.connect());
    client.request(call(era, tool, id, secret));
    rig.run();
    client
}

fn ended(rig: &Rig, end: WaitEnd) -> u64 {
    rig.metrics.wait_ends.of(end).value()
}

#[test]
fn a_handler_that_falls_free_is_the_oldest_waiters() {
    for era in [Era::Legacy, Era::Modern] {
        let mut rig = one_handler(4);
        let mut holder = holding(&mut rig, 1, "held");
        let secrets = ["first", "second", "third"];
        let mut waiters: Vec<Client> = secrets
            .iter()
            .zip(2..)
            .map(|(secret, id)| asking(&mut rig, era, "hold", id, secret))
            .collect();
        assert_eq!(rig.metrics.queue_depth.value(), 3);
        rig.release("held");
        rig.run();
        assert_eq!(holder.heard_results(), ["held"]);
        for served in 0..3 {
            assert_eq!(rig.metrics.queue_depth.value(), 2 - served as u64);
            rig.release(secrets[served]);
            rig.run();
            for (index, waiter) in waiters.iter_mut().enumerate() {
                let expected: &[&str] = if index <= served {
                    &secrets[index..=index]
                } else {
                    &[]
                };
                assert_eq!(waiter.heard_results(), expected, "{era:?}");
            }
        }
        assert_eq!(ended(&rig, WaitEnd::Served), 3);
        waiters.push(holder);
        rig.leave(&waiters);
    }
}

#[test]
fn who_comes_when_a_handler_is_free_does_not_overtake_those_who_wait() {
    let mut rig = one_handler(4);
    let holder = holding(&mut rig, 1, "held");
    let mut waiter = holding(&mut rig, 2, "waiter");
    let late = Client::new(rig.connect());
    rig.run();
    // Both are seen in one pass: the holder's end, and the newcomer's request behind it.
    rig.release("held");
    late.peer.write(&call(Era::Modern, "hold", 3, "late").bytes);
    rig.run();
    assert_eq!(rig.metrics.queue_depth.value(), 1, "the newcomer waits");
    rig.release("waiter");
    rig.run();
    assert_eq!(waiter.heard_results(), ["waiter"]);
    rig.release("late");
    rig.run();
    rig.leave(&[holder, waiter, late]);
}

#[test]
fn past_its_places_the_queue_refuses_at_once_and_the_connection_goes_on() {
    for depth in [0, 2] {
        let mut rig = one_handler(depth);
        let mut clients = vec![holding(&mut rig, 1, "held")];
        for id in 0..depth {
            let waiter = asking(&mut rig, Era::Modern, "echo", id.into(), "w");
            clients.push(waiter);
        }
        let mut refused = asking(&mut rig, Era::Modern, "echo", 9, "refused");
        assert_eq!(refused.heard_results(), ["-31503"]);
        let answer = &refused.answers[0];
        assert_eq!(answer.status, 503);
        let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let data = &json["error"]["data"];
        assert_eq!(
            (data["reason"].as_str(), data["queueDepth"].as_u64()),
            (Some("handlers"), Some(depth.into()))
        );
        rig.release("held");
        rig.run();
        refused.request(call(Era::Modern, "echo", 10, "again"));
        rig.run();
        assert_eq!(refused.heard_results(), ["-31503", "again"]);
        clients.push(refused);
        rig.leave(&clients);
    }
}

#[test]
fn a_waiter_whose_time_is_over_is_refused_once_and_may_ask_again() {
    let mut rig = one_handler(4);
    let mut holder = holding(&mut rig, 1, "held");
    let mut agent = asking(&mut rig, Era::Legacy, "echo", 2, "agent");
    let mut browser = Client::new(rig.connect());
    browser.request(with_origin(call(Era::Modern, "echo", 3, "browser")));
    rig.run();
    rig.live(AGENT_TIMEOUT - Duration::from_millis(500));
    assert!(agent.heard_results().is_empty());
    rig.live(Duration::from_millis(520));
    assert_eq!(agent.heard_results(), ["-31503"]);
    assert!(browser.heard_results().is_empty(), "a browser waits for longer");
    rig.live(BROWSER_TIMEOUT - AGENT_TIMEOUT);
    assert_eq!(browser.heard_results(), ["-31503"]);
    assert_eq!(ended(&rig, WaitEnd::TimedOut), 2);
    assert_eq!(rig.metrics.refusals.of(OverloadReason::QueueTimeout).value(), 2);
    // The report and the scrape count the same waits.
    let waits = rig.shard.histograms().waits();
    assert_eq!((waits.count(), rig.metrics.snapshot().waits.count()), (2, 2));
    assert!(waits.max() >= BROWSER_TIMEOUT, "{:?}", waits.max());
    rig.release("held");
    rig.run();
    assert_eq!(holder.heard_results(), ["held"]);
    agent.request(call(Era::Legacy, "echo", 4, "agent again"));
    rig.run();
    assert_eq!(agent.heard_results(), ["-31503", "agent again"]);
    rig.leave(&[holder, agent, browser]);
}

#[test]
fn a_waiter_that_leaves_frees_its_place_at_once_and_is_never_called() {
    let leave: [fn(&Client); 3] = [
        |client| client.peer.finish(),
        |client| client.peer.close(),
        |client| client.peer.reset(),
    ];
    for era in [Era::Legacy, Era::Modern] {
        for leave in leave {
            let mut rig = one_handler(1);
            let mut holder = holding(&mut rig, 1, "held");
            let leaver = asking(&mut rig, era, "hold", 2, "left");
            leave(&leaver);
            rig.run();
            assert_eq!(
                (rig.metrics.queue_depth.value(), ended(&rig, WaitEnd::Left)),
                (0, 1)
            );
            assert_eq!(rig.metrics.evictions.of(Eviction::HangUp).value(), 1);
            let mut stayer = asking(&mut rig, era, "echo", 3, "stayed");
            rig.release("held");
            rig.run();
            assert_eq!(holder.heard_results(), ["held"]);
            assert_eq!(
                stayer.heard_results(),
                ["stayed"],
                "the call of who left would hold the handler"
            );
            rig.leave(&[holder, stayer]);
        }
    }
}

#[test]
fn control_and_whatever_is_wrong_are_answered_while_pool_and_queue_are_full() {
    let mut rig = one_handler(1);
    let holder = holding(&mut rig, 1, "held");
    let waiter = asking(&mut rig, Era::Modern, "echo", 2, "waiter");
    let mut client = Client::new(rig.connect());
    client.request(ping(3));
    client.request(call(Era::Modern, "no-such-tool", 4, "x"));
    let mut wrong = call(Era::Modern, "echo", 5, "x");
    let text = String::from_utf8(wrong.bytes).unwrap();
    wrong.bytes = text.replace(r#""secret":"#, r#""sacred":"#).into_bytes();
    client.request(wrong);
    rig.run();
    client.read();
    assert_eq!(client.answers.len(), 3, "{:?}", client.results());
    assert!(client.answers.iter().all(|answer| answer.status != 503));
    rig.release("held");
    rig.run();
    rig.leave(&[holder, waiter, client]);
}

#[test]
fn what_is_pipelined_behind_a_waiter_is_served_behind_it_in_order() {
    for piece_bytes in [usize::MAX, 700, 1] {
        let mut rig = one_handler(4);
        let holder = holding(&mut rig, 1, "held");
        let mut client = Client::new(rig.connect());
        let secrets: Vec<String> = (0..6).map(|n| format!("s{n}")).collect();
        for (secret, id) in secrets.iter().zip(2..) {
            client.ask(call(Era::Modern, "echo", id, secret));
        }
        client.ask(batch(&[("echo", 20, "a"), ("echo", 21, "b")]));
        client.ask(chunked(call(Era::Legacy, "echo", 30, "chunks"), 10));
        while !client.unsent.is_empty() {
            client.send(piece_bytes);
            rig.turn();
        }
        assert!(client.heard_results().is_empty());
        assert_eq!(rig.metrics.queue_depth.value(), 1, "one at a time");
        rig.release("held");
        rig.run();
        client.read();
        assert_eq!(
            client.answers.len(),
            8,
            "pieces of {piece_bytes}: {:?}",
            client.results()
        );
        rig.leave(&[holder, client]);
    }
}

#[test]
fn a_request_larger_than_any_buffer_waits_too() {
    let mut rig = one_handler(4);
    let holder = holding(&mut rig, 1, "held");
    let secret = "y".repeat(20_000);
    let mut large = asking(&mut rig, Era::Modern, "echo", 2, &secret);
    rig.run();
    assert_eq!(rig.metrics.queue_depth.value(), 1);
    rig.release("held");
    rig.run();
    assert_eq!(large.heard_results(), [secret]);
    rig.leave(&[holder, large]);
}

#[test]
fn a_request_there_is_no_memory_to_keep_is_refused_instead_of_waiting() {
    let sizes = Sizes {
        handlers: 1,
        queue_depth_max: 1,
        assembly_buffers: 0,
        heap_bytes_max: 0,
        ring_buffer_bytes: 4096,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let holder = holding(&mut rig, 1, "held");
    // Its second request, and the bytes of a third, do not fit into the buffer for one.
    let mut client = Client::new(rig.connect());
    client.ask(call(Era::Modern, "echo", 2, "small"));
    client.ask(call(Era::Modern, "echo", 3, &"z".repeat(3000)));
    client.send(3900);
    rig.run();
    client.send(usize::MAX);
    rig.run();
    rig.release("held");
    rig.run();
    client.read();
    assert!(!client.answers.is_empty());
    rig.leave(&[holder, client]);
}

#[test]
fn a_drain_serves_those_who_wait() {
    let mut rig = one_handler(4);
    let mut holder = holding(&mut rig, 1, "held");
    let mut waiter = asking(&mut rig, Era::Modern, "echo", 2, "waiter");
    rig.drain();
    rig.live(Duration::from_millis(500));
    rig.release("held");
    rig.live(Duration::from_secs(2));
    for (client, secret) in [(&mut holder, "held"), (&mut waiter, "waiter")] {
        assert_eq!(client.heard_results(), [secret]);
        assert_eq!(client.peer.view(), PeerView::Ended);
        client.peer.finish();
    }
    rig.live(Duration::from_secs(2));
    assert!(rig.is_finished());
    rig.assert_nothing_left();
}

#[test]
fn an_abort_ends_what_runs_waits_is_parked_or_queued_in_the_kernel() {
    for is_draining in [false, true] {
        let mut rig = one_handler(4);
        let holder = holding(&mut rig, 1, "held");
        let waiters = [Era::Legacy, Era::Modern].map(|era| asking(&mut rig, era, "echo", 2, "waiter"));
        let parked = rig.connect();
        rig.run();
        if is_draining {
            rig.drain();
            rig.run();
        }
        let late = rig.connect();
        rig.abort();
        // A connection that is taken from the listener after the abort is aborted at the next tick.
        (0..2).for_each(|_| rig.live(Duration::from_millis(100)));
        assert!(rig.is_finished(), "draining: {is_draining}");
        for mut client in waiters.into_iter().chain([holder]) {
            assert!(client.heard_results().is_empty());
            assert_ne!(client.peer.view(), PeerView::Open);
        }
        assert_ne!(parked.view(), PeerView::Open);
        assert_ne!(late.view(), PeerView::Open);
        rig.assert_nothing_left();
    }
}

#[test]
fn a_drain_that_is_about_to_end_tells_those_who_still_wait() {
    let mut rig = one_handler(4);
    let holder = holding(&mut rig, 1, "held");
    let mut waiter = asking(&mut rig, Era::Modern, "echo", 2, "waiter");
    rig.drain_within(Duration::from_secs(2));
    rig.run();
    rig.live(Duration::from_secs(1));
    assert!(waiter.heard_results().is_empty());
    rig.live(Duration::from_millis(600));
    assert_eq!(waiter.heard_results(), ["-31503"]);
    assert_eq!(rig.metrics.refusals.of(OverloadReason::Draining).value(), 1);
    rig.release("held");
    rig.run();
    rig.leave(&[holder, waiter]);
}

#[test]
fn the_time_told_to_wait_follows_from_what_was_served() {
    let mut rig = one_handler(0);
    for id in 0..200 {
        let client = asking(&mut rig, Era::Modern, "echo", id, "quick");
        client.peer.finish();
        rig.pass(Duration::from_millis(50));
    }
    let holder = holding(&mut rig, 1, "held");
    let mut refused = asking(&mut rig, Era::Modern, "echo", 2, "x");
    refused.read();
    assert!(
        refused.answers[0].head.contains("retry-after: 1\r\n"),
        "{:?}",
        refused.answers
    );
    rig.live(Duration::from_secs(14));
    refused.request(call(Era::Modern, "echo", 3, "x"));
    rig.run();
    refused.read();
    let later = refused.answers[1]
        .head
        .lines()
        .find(|line| line.starts_with("retry-after: "))
        .unwrap();
    assert_ne!(later, "retry-after: 1", "nothing was served for long");
    rig.release("held");
    rig.run();
    rig.leave(&[holder, refused]);
}

/// What refusals so far were told, in seconds and in milliseconds.
fn told(client: &mut Client) -> Vec<(u64, u64)> {
    client.read();
    let refusals = client.answers.iter().filter(|answer| answer.status == 503);
    let told = refusals.map(|answer| {
        let mut lines = answer.head.lines();
        let seconds = lines.find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let millis = json["error"]["data"]["retryAfterMs"].as_u64().unwrap();
        (seconds.parse().unwrap(), millis)
    });
    told.collect()
}

#[test]
fn a_refusal_says_when_those_in_front_will_have_been_served() {
    let sizes = Sizes {
        handlers: 2,
        queue_depth_max: 32,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let secret = |id: u64| format!("s{id}.");
    let mut burst: Vec<Client> = (0..34)
        .map(|id| asking(&mut rig, Era::Modern, "hold", id, &secret(id)))
        .collect();
    let mut refused = asking(&mut rig, Era::Modern, "hold", 90, "r");
    // Nothing has ended, and nothing has run for long: the least that can be said.
    assert_eq!(told(&mut refused), [(1, 1000)]);
    rig.pass(Duration::from_secs(1));
    (0..2).for_each(|id| rig.release(&secret(id)));
    rig.run();
    burst.extend((34..36).map(|id| asking(&mut rig, Era::Modern, "hold", id, &secret(id))));
    refused.request(call(Era::Modern, "hold", 91, "r"));
    rig.run();
    // Two at a time, a second each: thirty-two wait, and two have just begun.
    assert_eq!(told(&mut refused)[1..], [(17, 17_000)]);
    (2..36).for_each(|id| rig.release(&secret(id)));
    rig.run();
    burst.push(refused);
    rig.leave(&burst);
}

#[test]
fn a_worker_queue_that_is_full_does_not_keep_handlers_from_those_who_wait() {
    let sizes = Sizes {
        handlers: 1,
        queue_depth_max: 4,
        worker_queue_depth_max: 1,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut first = asking(&mut rig, Era::Modern, "wait", 1, "first");
    let mut waiters: Vec<Client> = (2..5)
        .map(|id| asking(&mut rig, Era::Modern, "block", id, "b"))
        .collect();
    rig.barrier.open();
    rig.await_workers();
    rig.run();
    assert_eq!(first.heard_results(), ["first"]);
    for waiter in &mut waiters {
        assert_eq!(waiter.heard_results(), ["b"]);
    }
    waiters.push(first);
    rig.leave(&waiters);
}
