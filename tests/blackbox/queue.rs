//! The wait queue: first in first out, bounded, with a deadline for each wait; a client that leaves frees its place.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{
    Client, Dialect, Request, Revision, Server, assert_at_rest, assert_control_is_answered, assert_overload,
    assert_overloaded, case, echo, enqueue, eras, eventually, hold, send_long_call, tool, waiting, waits,
};

/// A way for a client to go.
type Leave = (&'static str, fn(Client));

const LEAVES: [Leave; 3] = [
    ("close", drop),
    ("reset", Client::reset),
    ("half-close", |mut client| {
        client.finish();
        client.assert_closed();
    }),
];

/// A pool of one, its handler held, and room for this many to wait.
fn exhausted(places: u64, flags: &[&str]) -> (Server, Client) {
    let places = places.to_string();
    let flags = [&["--pool-size", "1", "--queue-depth", &places], flags].concat();
    let server = Server::start(&flags);
    let held = hold(&server);
    (server, held)
}

/// A request of each kind that works, in a framing of its own; the last closes its connection.
fn framings(dialect: &Dialect) -> Vec<(&'static str, Vec<u8>, bool)> {
    let call = dialect.echo("framed", "x");
    let old = call.clone().with_version("HTTP/1.0");
    vec![
        ("length", call.encode(), false),
        ("chunked", call.encode_chunked(&[1, 7]), false),
        (
            "1.0, kept",
            old.clone().plus("Connection", "keep-alive").encode(),
            false,
        ),
        ("1.0", old.encode(), true),
        ("close", call.plus("Connection", "close").encode(), true),
    ]
}

/// How many calls of a tool have ended, in whichever way.
fn ended_calls(server: &Server, tool: &str) -> u64 {
    let name = "mcp_server_operation_duration_seconds_count";
    let labels = [("gen_ai_tool_name", tool)];
    let metrics = server.metrics();
    match metrics.count(name, &labels) {
        0 => 0,
        _ => metrics.sum(name, &labels) as u64,
    }
}

#[test]
fn whoever_came_first_is_served_first() {
    let seed = fastrand::u64(..1 << 40);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (server, first) = exhausted(40, &[]);
    let mut waiters: Vec<(bool, Client)> = Vec::new();
    for place in 0..40 {
        let is_long = random.bool();
        let mut client = server.connect();
        if is_long {
            send_long_call(&mut client)
        } else {
            client.send(&echo(place, "x"))
        }
        eventually("it waits", || waiting(&server) == place + 1);
        waiters.push((is_long, client));
    }
    // Calls behind one that still runs have no answer yet; all calls in front of it have one.
    let mut running = first;
    let mut waiters = waiters.into_iter();
    loop {
        drop(running);
        let answered = waiters
            .as_slice()
            .iter()
            .take_while(|(is_long, _)| !is_long)
            .count();
        for _ in 0..answered {
            waiters.next().unwrap().1.receive().tool_text();
        }
        let Some((_, next)) = waiters.next() else { break };
        running = next;
        eventually("the next runs", || {
            waiting(&server) == waiters.len() as u64 && server.busy_handlers() == 1
        });
        assert!(waiters.as_slice().iter().all(|(_, client)| client.is_silent()));
        assert!(running.is_silent());
    }
    assert_eq!(waits(&server, "served"), 40);
    assert_at_rest(&server);
}

#[test]
fn one_past_the_queue_is_refused_at_once_and_its_connection_goes_on() {
    let (server, held) = exhausted(2, &["--queue-timeout", "1h"]);
    let mut waiters = [server.connect(), server.connect()];
    for (id, client) in waiters.iter_mut().enumerate() {
        enqueue(&server, client, &echo(id, "waited").encode());
    }
    let mut refused = 0;
    let mut kept = Vec::new();
    for dialect in eras() {
        for (name, bytes, closes) in framings(&dialect) {
            let _case = case(format!("{name} in {}", dialect.revision.0));
            let mut client = server.connect();
            let response = client.ask_bytes(&bytes);
            refused += 1;
            assert_overload(response.json(), &response, "handlers");
            assert_eq!(response.json()["error"]["data"]["queueDepth"], 2);
            assert_eq!(response.json()["id"], "framed");
            assert_eq!((response.status, response.closes()), (503, closes));
            if closes {
                client.assert_closed()
            } else {
                kept.push((dialect.clone(), client))
            }
        }
    }
    assert_control_is_answered(&server);
    assert_eq!(waiting(&server), 2);
    drop(held);
    for (id, client) in waiters.iter_mut().enumerate() {
        client.receive().assert_echo(id, "waited");
    }
    for (dialect, client) in &mut kept {
        client.ask(&dialect.echo(7, "served")).assert_echo(7, "served");
    }
    assert_eq!(
        server.metric("weir_refusals_total", &[("reason", "handlers")]),
        refused
    );
    assert_at_rest(&server);
}

#[test]
fn a_wait_that_takes_too_long_is_refused_once_and_its_connection_goes_on() {
    let (server, held) = exhausted(20, &["--queue-timeout", "100ms"]);
    let mut clients = Vec::new();
    for dialect in eras() {
        for (_, bytes, closes) in framings(&dialect).into_iter().filter(|(_, _, closes)| !closes) {
            assert!(!closes);
            let mut client = server.connect();
            // Requests behind it have to wait for their turn, too.
            let ping = Dialect::legacy(Revision::NEWEST_LEGACY).request("behind", "ping", json!({}));
            client.send_bytes(&[bytes, ping.encode()].concat());
            clients.push((dialect.clone(), client));
        }
    }
    for (_, client) in &mut clients {
        assert_overloaded(&client.receive(), "queue_timeout", "framed");
        assert_eq!(client.receive().json()["id"], "behind");
        assert!(client.is_silent());
    }
    let count = clients.len() as u64;
    assert_eq!(waits(&server, "timed_out"), count);
    assert_eq!(
        server.metric("weir_refusals_total", &[("reason", "queue_timeout")]),
        count
    );
    assert_eq!(waiting(&server), 0);
    drop(held);
    for (dialect, client) in &mut clients {
        client.ask(&dialect.echo(7, "served")).assert_echo(7, "served");
    }
    assert_at_rest(&server);
}

#[test]
fn browsers_and_agents_have_a_patience_each() {
    let browser = || echo("browser", "x").plus("Origin", "http://localhost");
    let agent = || echo("agent", "x");
    let cases: [(&[&str], Request, Request); 2] = [
        (
            &["--queue-timeout", "50ms", "--queue-timeout-agent", "1h"],
            browser(),
            agent(),
        ),
        (
            &["--queue-timeout", "1h", "--queue-timeout-agent", "50ms"],
            agent(),
            browser(),
        ),
    ];
    for (flags, hasty, patient) in cases {
        let _case = case(flags.join(" "));
        let (server, held) = exhausted(2, flags);
        let mut waiter = server.connect();
        enqueue(&server, &mut waiter, &patient.encode());
        let response = server.ask(&hasty);
        assert_overload(response.json(), &response, "queue_timeout");
        assert!(waiter.is_silent() && waiting(&server) == 1);
        drop(held);
        assert_eq!(waiter.receive().tool_text(), "x");
    }
    // The time-out of browsers holds for all clients if none is set for agents.
    let (server, _held) = exhausted(2, &["--queue-timeout", "50ms"]);
    for request in [browser(), agent()] {
        let response = server.ask(&request);
        assert_overload(response.json(), &response, "queue_timeout");
    }
}

#[test]
fn who_leaves_while_waiting_frees_the_place_and_is_never_served() {
    let (server, held) = exhausted(1, &["--queue-timeout", "1h"]);
    let mut left = 0;
    for dialect in eras() {
        for (name, leave) in LEAVES {
            let _case = case(format!("{name} in {}", dialect.revision.0));
            let mut client = server.connect();
            let call = dialect.tool(1, "fail", json!({"how": "error"})).encode();
            enqueue(&server, &mut client, &[&call[..], &call[..]].concat());
            leave(client);
            left += 1;
            eventually("its place is free", || waiting(&server) == 0);
            assert_eq!(waits(&server, "left"), left);
        }
    }
    // The only place is free for another.
    let mut waiter = server.connect();
    enqueue(&server, &mut waiter, &echo(1, "waited").encode());
    drop(held);
    waiter.receive().assert_echo(1, "waited");
    assert_eq!(ended_calls(&server, "fail"), 0);
    assert_at_rest(&server);
}

#[test]
fn each_call_of_a_batch_that_cannot_be_served_gets_its_own_error() {
    let call = |id: u64| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "echo", "arguments": {"message": "x"}}});
    let ping = json!({"jsonrpc": "2.0", "id": "ping", "method": "ping"});
    let dialect = Dialect::legacy(Revision::BATCHING);
    let batch = dialect.post(&json!([call(1), ping, call(2)]));
    for (places, reason) in [(0, "handlers"), (1, "queue_timeout")] {
        let _case = case(reason);
        let (server, held) = exhausted(places, &["--queue-timeout", "50ms"]);
        let mut client = server.connect();
        let refused = client.ask(&batch);
        refused.assert_status(503);
        assert!(!refused.closes());
        let answers = refused.json().as_array().unwrap();
        for answer in answers {
            match &answer["id"] {
                Value::String(_) => assert_eq!(answer["result"], json!({})),
                _ => assert_overload(answer, &refused, reason),
            }
        }
        assert_eq!(answers.len(), 3);
        // A batch of nothing but control needs no handler.
        client.ask(&dialect.post(&json!([ping, ping]))).assert_status(200);
        drop(held);
        eventually("the handler is free", || server.busy_handlers() == 0);
        assert_eq!(client.ask(&batch).json().as_array().unwrap().len(), 3);
        assert_at_rest(&server);
    }
}

#[test]
fn a_batch_waits_as_a_whole() {
    let call = |id: u64| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "echo", "arguments": {"message": "x"}}});
    let batch = Dialect::legacy(Revision::BATCHING).post(&json!([call(1), call(2)]));
    let (server, held) = exhausted(1, &["--queue-timeout", "1h"]);
    let mut client = server.connect();
    client.expect(&batch);
    enqueue(&server, &mut client, &batch.encode());
    drop(held);
    let served = client.receive();
    served.assert_status(200);
    assert_eq!(served.json().as_array().unwrap().len(), 2);
    assert_at_rest(&server);
}

#[test]
fn a_queue_without_places_lets_nobody_wait() {
    let (server, held) = exhausted(0, &[]);
    let mut client = server.connect();
    for dialect in eras() {
        assert_overloaded(&client.ask(&dialect.echo(1, "x")), "handlers", 1);
    }
    assert_control_is_answered(&server);
    drop(held);
    eventually("the handler is free", || server.busy_handlers() == 0);
    client.ask(&echo(2, "served")).assert_echo(2, "served");
    assert_eq!(server.metric("weir_queued_total", &[]), 0);
}

#[test]
fn who_waits_when_a_drain_begins_is_served() {
    let (mut server, held) = exhausted(8, &["--queue-timeout", "1h"]);
    let mut waiters: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    for (id, client) in waiters.iter_mut().enumerate() {
        let call = tool(id, "sleep", json!({"ms": 20}));
        enqueue(
            &server,
            client,
            &[call.encode(), echo("behind", "x").encode()].concat(),
        );
    }
    server.signal(Signal::TERM);
    eventually("it drains", || {
        server.ask_admin(&Request::new("GET", "/readyz")).status == 503
    });
    assert!(waiters.iter().all(Client::is_silent));
    drop(held);
    for (id, client) in waiters.iter_mut().enumerate() {
        let response = client.receive();
        assert_eq!(response.json()["id"], id);
        assert_eq!(response.tool_text(), "slept 20 ms");
        assert!(response.closes());
        client.assert_closed();
    }
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn who_cannot_be_served_before_the_end_is_told_so() {
    let (mut server, held) = exhausted(4, &["--queue-timeout", "1h", "--drain-timeout", "2s"]);
    let mut waiters: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    for client in &mut waiters {
        enqueue(&server, client, &echo("late", "x").encode());
    }
    server.signal(Signal::TERM);
    for client in &mut waiters {
        let response = client.receive();
        assert_eq!(response.status, 503);
        assert_overload(response.json(), &response, "draining");
        assert!(response.closes());
        client.assert_closed();
    }
    drop(held);
    assert_eq!(server.wait().code(), Some(0));
}
