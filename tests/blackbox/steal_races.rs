//! Waiting requests that move while other clients come and leave, or the server stops.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use fastrand::Rng;
use rustix::process::Signal;
use serde_json::json;

use crate::harness::{
    Client, Dialect, Ending, Request, Revision, Server, assert_at_rest, case, connect_to, echo, eventually,
    per_shard, send_long_call, tool, waits,
};

fn started(shards: &str, pool_size: &str, flags: &[&str]) -> Server {
    let own = [
        "--shards",
        shards,
        "--pool-size",
        pool_size,
        "--queue-depth",
        "256",
        "--queue-timeout",
        "1h",
    ];
    Server::start(&[&own, flags].concat())
}

fn stolen(server: &Server) -> u64 {
    server.metric("weir_steals_total", &[("direction", "in")])
}

#[test]
fn more_waiters_than_slack_are_served_once_each() {
    for shards in ["2", "3", "5"] {
        let _case = case(format!("{shards} shards"));
        let server = started(shards, "2", &[]);
        let mut clients: Vec<Client> = (0..60).map(|_| connect_to(&server, 0)).collect();
        let mut own: Vec<Client> = (0..4).map(|_| connect_to(&server, 1)).collect();
        for (id, client) in clients.iter_mut().enumerate() {
            client.send(&tool(id, "sleep", json!({"ms": 5})));
            // The thief's own clients come in between.
            if id % 15 == 0 {
                own[id / 15].send(&tool(id, "sleep", json!({"ms": 5})));
            }
        }
        for (id, client) in clients.iter_mut().enumerate() {
            let response = client.receive();
            assert_eq!(response.json()["id"], id);
            assert_eq!(response.tool_text(), "slept 5 ms");
        }
        for (at, client) in own.iter_mut().enumerate() {
            assert_eq!(client.receive().json()["id"], at * 15);
        }
        assert!(clients.iter().chain(&own).all(Client::is_silent));
        assert!(stolen(&server) > 0);
        assert_at_rest(&server);
        let calls = server.metric("weir_operations_total", &[("outcome", "ok")]);
        assert_eq!(calls, 64, "each ran once");
        // All go on, wherever they are now.
        let connections: u64 = per_shard(&server, "weir_connections", &[]).iter().sum();
        assert_eq!(connections, 64);
        for (id, client) in clients.iter_mut().chain(&mut own).enumerate() {
            client.ask(&echo(id, "still here")).assert_echo(id, "still here");
        }
    }
}

#[test]
fn who_leaves_while_others_move_takes_nothing_along() {
    let seed = fastrand::u64(..1 << 40);
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let server = started("3", "1", &[]);
    for _ in 0..40 {
        let mut leavers = Vec::new();
        let mut stayers = Vec::new();
        for id in 0..12 {
            let mut client = server.connect();
            match random.u8(..3) {
                0 => {
                    send_long_call(&mut client);
                    leavers.push(client);
                }
                1 => {
                    client.send(&tool(id, "sleep", json!({"ms": 1})));
                    leavers.push(client);
                }
                _ => {
                    client.send(&echo(id, "stays"));
                    stayers.push((id, client));
                }
            }
        }
        random.shuffle(&mut leavers);
        for client in leavers {
            if random.bool() {
                client.reset()
            } else {
                drop(client)
            }
        }
        for (id, client) in &mut stayers {
            client.receive().assert_echo(*id, "stays");
        }
    }
    assert_at_rest(&server);
    assert!(waits(&server, "served") > 0 && waits(&server, "left") > 0 && stolen(&server) > 0);
}

/// Many channels, whose messages move while others are cancelled and their clients leave.
#[test]
fn messages_of_channels_move_while_their_clients_cancel_and_leave() {
    let seed = fastrand::u64(..1 << 40);
    println!("seed {seed}");
    let server = started("3", "1", &[]);
    std::thread::scope(|scope| {
        for number in 0..6 {
            let server = &server;
            scope.spawn(move || {
                let mut random = Rng::with_seed(seed + number);
                (0..15).for_each(|visit| visit_by_websocket(server, &mut random, number * 100 + visit));
            });
        }
    });
    assert_at_rest(&server);
    assert!(waits(&server, "served") > 0 && stolen(&server) > 0);
}

/// One client that asks, takes some of it back, and leaves in order or not.
fn visit_by_websocket(server: &Server, random: &mut Rng, name: u64) {
    let mut socket = server.open_websocket();
    let mut owed = Vec::new();
    for id in 0..random.u64(1..12) {
        match random.u8(..4) {
            0 => {
                socket.send(&tool(id, "sleep", json!({"ms": 60_000})));
                socket.send(&Dialect::modern().cancelled(id));
            }
            1 => {
                socket.send(&tool(id, "sleep", json!({"ms": random.u8(1..4)})));
                owed.push(id);
            }
            _ => {
                let text = format!("{name} {id}.").repeat(random.usize(1..500));
                socket.send(&echo(id, &text));
                owed.push(id);
            }
        }
    }
    if random.u8(..4) == 0 {
        return socket.reset();
    }
    while !owed.is_empty() {
        let answer = socket.message();
        let id = answer["id"].as_u64().unwrap();
        let text = answer["result"]["content"][0]["text"].as_str();
        let is_own = |text: &str| text.starts_with("slept") || text.starts_with(&format!("{name} {id}."));
        assert!(text.is_some_and(is_own), "{name}: {answer}");
        let at = owed.iter().position(|owed| *owed == id);
        owed.swap_remove(at.unwrap_or_else(|| panic!("{name}: {answer} was not owed")));
    }
    socket.close(1000);
}

/// This makes a server that does not end fail the test instead of keeping it.
const TURNS_MAX: usize = 2_000;

/// Sends requests until nobody listens any more; returns how many calls were answered.
fn ask_until_gone(client: &mut Client, seed: u64, answered: &AtomicUsize) {
    let mut random = Rng::with_seed(seed);
    for turn in 0..TURNS_MAX {
        let text = random.u64(..).to_string().repeat(random.usize(1..300));
        let behind = random.usize(0..3);
        let mut bytes = tool("first", "sleep", json!({"ms": random.u64(1..10)})).encode();
        (0..behind).for_each(|id| bytes.extend(echo(id, &text).encode()));
        if client.try_send_bytes(&bytes).is_err() {
            return;
        }
        for at in 0..=behind {
            let response = match client.try_receive() {
                Ok(response) => response,
                // The drain's FIN crossed a request; no answer was cut, and nothing was begun.
                Err(Ending::Closed(rest)) if at == 0 && turn > 0 => return assert!(rest.is_empty()),
                Err(ending) => panic!("turn {turn}, answer {at}: {ending:?}"),
            };
            match at {
                0 => assert!(response.tool_text().starts_with("slept")),
                _ => response.assert_echo(at - 1, &text),
            }
            answered.fetch_add(1, Ordering::Relaxed);
            if response.closes() {
                let ending = client.ending();
                let (Ending::Closed(rest) | Ending::Reset(rest)) = ending;
                return assert!(rest.is_empty());
            }
        }
    }
}

#[test]
fn a_drain_while_waiters_move_loses_nothing() {
    for linger in ["0s", "50ms"] {
        let _case = case(format!("linger {linger}"));
        let mut server = started("3", "2", &["--linger", linger]);
        let mut clients: Vec<Client> = (0..24).map(|_| connect_to(&server, 0)).collect();
        let answered = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for (seed, client) in clients.iter_mut().enumerate() {
                let answered = &answered;
                scope.spawn(move || ask_until_gone(client, seed as u64, answered));
            }
            eventually("waiters move", || stolen(&server) >= 4);
            server.signal(Signal::TERM);
        });
        assert_eq!(server.wait().code(), Some(0));
        let text = server.stdout();
        let report: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        let done = report["all"]["operations"]["ok"].as_u64().unwrap();
        assert_eq!(
            done,
            answered.load(Ordering::Relaxed) as u64,
            "calls that ran unanswered"
        );
        assert_eq!(report["all"]["handlers"]["busy"], 0);
        assert_eq!(report["all"]["connections_open"], 0);
    }
}

/// A call, and a text that only its client may see.
struct Secret {
    bytes: Vec<u8>,
    text: String,
}

impl Secret {
    fn new(client: u64, random: &mut Rng) -> Self {
        let size = *random.choice(&[20, 300, 3_000, 5_000, 30_000]).unwrap();
        let text = format!("{client}:{:016x};", random.u64(..)).repeat(size / 20);
        let legacy = Dialect::legacy(Revision::NEWEST_LEGACY);
        let call: Request = if random.bool() {
            echo(1, &text)
        } else {
            legacy.echo(1, &text)
        };
        let bytes = if random.bool() {
            call.encode()
        } else {
            call.encode_chunked(&[random.usize(1..40), random.usize(1..4_000)])
        };
        Self { bytes, text }
    }
}

/// Some pipelined secrets behind a moment's sleep, so that they wait and move; now and then the client leaves.
fn live(server: &Server, number: u64, seed: u64) {
    let mut random = Rng::with_seed(seed + number);
    let mut kept: Option<Client> = None;
    for _ in 0..30 {
        let mut client = kept.take().unwrap_or_else(|| server.connect());
        let secrets: Vec<Secret> = (0..random.usize(1..6))
            .map(|_| Secret::new(number, &mut random))
            .collect();
        let mut bytes = tool(1, "sleep", json!({"ms": random.u64(..3)})).encode();
        secrets.iter().for_each(|secret| bytes.extend(&secret.bytes));
        if random.u8(..5) == 0 {
            let _ = client.try_send_bytes(&bytes[..random.usize(..bytes.len())]);
            client.reset();
            continue;
        }
        client.send_bytes(&bytes);
        assert!(client.receive().tool_text().starts_with("slept"));
        for secret in &secrets {
            let response = client.receive();
            assert!(
                response.tool_text() == secret.text,
                "another's: {}",
                response.text()
            );
        }
        assert!(client.is_silent());
        kept = random.bool().then_some(client);
    }
}

#[test]
fn no_answer_crosses_over_queues_lingers_and_shards() {
    let seed = fastrand::u64(..1 << 40);
    println!("seed {seed}");
    let mut moved = BTreeMap::new();
    for linger in ["0s", "10ms", "1h"] {
        for (shards, pool_size) in [("2", "1"), ("5", "1"), ("3", "2")] {
            let _case = case(format!("{shards} shards of {pool_size}, linger {linger}"));
            let flags = ["--linger", linger, "--assembly-buffers", "64"];
            let server = started(shards, pool_size, &flags);
            std::thread::scope(|scope| {
                for number in 0..12 {
                    let server = &server;
                    scope.spawn(move || live(server, number, seed));
                }
            });
            eventually("all connections are closed", || {
                server.metric("weir_connections", &[]) == 0
            });
            assert_at_rest(&server);
            moved.insert((linger, shards), stolen(&server));
        }
    }
    assert!(moved.values().all(|&count| count > 0), "{moved:?}");
}
