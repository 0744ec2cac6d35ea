//! Bytes that a connection sends behind a request that waits, and requests that are incomplete.

use serde_json::json;

use crate::harness::{
    Client, Dialect, Request, Revision, Server, assert_at_rest, case, connect_to, echo, enqueue, eventually,
    hold, per_shard, tool, waiting,
};

fn ping(id: &str) -> Request {
    Dialect::legacy(Revision::NEWEST_LEGACY).request(id, "ping", json!({}))
}

fn exhausted(flags: &[&str]) -> (Server, Client) {
    let server = Server::start(&[&["--pool-size", "1", "--queue-timeout", "1h"], flags].concat());
    let held = hold(&server);
    (server, held)
}

/// Texts on either side of every buffer size: ring buffers, handlers, assembly.
const SIZES: [usize; 7] = [1, 700, 4_096, 16_384, 5_000, 120_000, 300];

fn message(at: usize) -> String {
    format!("{at}~").repeat(SIZES[at] / 2)
}

#[test]
fn what_is_pipelined_behind_a_waiting_request_is_answered_in_order() {
    let (server, mut held) = exhausted(&["--queue-depth", "1"]);
    type Split = fn(&[u8]) -> Vec<&[u8]>;
    let splits: [(&str, Split); 3] = [
        ("at once", |bytes| vec![bytes]),
        ("in the middle", |bytes| {
            let (first, second) = bytes.split_at(bytes.len() / 3);
            vec![first, second]
        }),
        ("in pieces", |bytes| bytes.chunks(1_009).collect()),
    ];
    for (name, split) in splits {
        let _case = case(name);
        let mut bytes = Vec::new();
        for at in 0..SIZES.len() {
            let call = echo(at, &message(at));
            bytes.extend(match at % 2 {
                0 => call.encode(),
                _ => call.encode_chunked(&[3, 1_000]),
            });
            bytes.extend(ping("between").encode());
        }
        let mut client = server.connect();
        let mut reader = client.second_hand();
        std::thread::scope(|scope| {
            // Bytes that do not fit into the kernel's buffers are read only when it is their turn.
            scope.spawn(|| {
                split(&bytes)
                    .into_iter()
                    .for_each(|piece| client.send_bytes(piece))
            });
            eventually("the first waits", || waiting(&server) == 1);
            assert!(reader.is_silent());
            drop(held);
            for at in 0..SIZES.len() {
                let _case = case(format!("answer {at}"));
                reader.receive().assert_echo(at, &message(at));
                assert_eq!(reader.receive().json()["id"], "between");
            }
        });
        assert!(client.is_silent());
        assert_at_rest(&server);
        held = hold(&server);
    }
}

#[test]
fn a_waiting_request_that_came_byte_by_byte_is_served() {
    let (server, held) = exhausted(&[]);
    let mut client = server.connect();
    let bytes = [echo(1, "slow").encode(), echo(2, "slower").encode()].concat();
    let mut pieces = bytes.chunks(1);
    pieces
        .by_ref()
        .take(300)
        .for_each(|piece| client.send_bytes(piece));
    for piece in pieces {
        client.send_bytes(piece);
    }
    eventually("it waits", || waiting(&server) == 1);
    drop(held);
    client.receive().assert_echo(1, "slow");
    client.receive().assert_echo(2, "slower");
    assert_at_rest(&server);
}

#[test]
fn a_large_request_waits_whole_and_the_next_behind_it_too() {
    let (server, held) = exhausted(&[]);
    let large = "large ".repeat(30_000);
    let mut clients: Vec<Client> = (0..2).map(|_| server.connect()).collect();
    for (id, client) in clients.iter_mut().enumerate() {
        enqueue(&server, client, &echo(id, &large).encode());
    }
    drop(held);
    for (id, client) in clients.iter_mut().enumerate() {
        client.receive().assert_echo(id, &large);
        client.ask(&echo("next", "x")).assert_echo("next", "x");
    }
    assert_at_rest(&server);
}

#[test]
fn half_a_request_neither_waits_nor_moves() {
    let flags = ["--shards", "2", "--pool-size", "1", "--assembly-buffers", "3"];
    let server = Server::start(&flags);
    let held = [connect_to(&server, 0), connect_to(&server, 0)].map(|mut client| {
        crate::harness::send_long_call(&mut client);
        client
    });
    eventually("both handlers are held", || server.busy_handlers() == 2);
    let raw = echo(1, "whole").encode();
    let mut halves: Vec<Client> = (0..3).map(|_| connect_to(&server, 0)).collect();
    let connections = per_shard(&server, "weir_connections", &[]);
    let received = || server.metric("weir_received_bytes_total", &[]);
    for (client, end) in halves.iter_mut().zip([10, raw.len() / 2, raw.len() - 1]) {
        let before = received();
        client.send_bytes(&raw[..end]);
        eventually("it is read", || received() == before + end as u64);
    }
    assert_eq!(waiting(&server), 0);
    drop(held);
    eventually("the handlers are free", || server.busy_handlers() == 0);
    // One of the holders had moved, and is gone.
    let after = per_shard(&server, "weir_connections", &[]);
    assert!(after[0] >= 3 && after[0] <= connections[0], "{after:?}");
    assert_eq!(server.metric("weir_queued_total", &[]), 1);
    for (client, end) in halves.iter_mut().zip([10, raw.len() / 2, raw.len() - 1]) {
        client.send_bytes(&raw[end..]);
        client.receive().assert_echo(1, "whole");
    }
    assert_at_rest(&server);
}

#[test]
fn with_two_assembly_buffers_everybody_who_pipelines_is_answered() {
    let flags = ["--queue-depth", "64", "--assembly-buffers", "2"];
    let (server, held) = exhausted(&flags);
    let mut clients: Vec<Client> = (0..40).map(|_| server.connect()).collect();
    for client in &mut clients {
        let requests: Vec<u8> = (0..6).flat_map(|id| echo(id, "pipelined").encode()).collect();
        assert!(requests.len() < 4_096, "in one ring buffer");
        enqueue(&server, client, &requests);
    }
    drop(held);
    for client in &mut clients {
        for id in 0..6 {
            client.receive().assert_echo(id, "pipelined");
        }
        assert!(client.is_silent());
    }
    assert_eq!(server.metric("weir_evictions_total", &[]), 1, "the holder's");
    assert_eq!(server.metric("weir_refusals_total", &[]), 0);
    assert_at_rest(&server);
}

#[test]
fn with_two_assembly_buffers_nothing_behind_a_running_call_is_given_up() {
    let server = Server::start(&["--pool-size", "64", "--assembly-buffers", "2"]);
    let mut clients: Vec<Client> = (0..40).map(|_| server.connect()).collect();
    for client in &mut clients {
        let mut bytes = tool("first", "sleep", json!({"ms": 1_500})).encode();
        bytes.extend((0..6).flat_map(|id| echo(id, "pipelined").encode()));
        client.send_bytes(&bytes);
    }
    eventually("the calls run", || server.busy_handlers() == 40);
    for client in &mut clients {
        assert_eq!(client.receive().tool_text(), "slept 1500 ms");
        for id in 0..6 {
            client.receive().assert_echo(id, "pipelined");
        }
        assert!(client.is_silent());
    }
    assert_eq!(server.metric("weir_evictions_total", &[]), 0);
    assert_eq!(server.metric("weir_refusals_total", &[]), 0);
    assert_at_rest(&server);
}

#[test]
fn large_requests_that_wait_take_no_room_from_those_that_arrive() {
    let (server, held) = exhausted(&["--queue-depth", "8", "--assembly-buffers", "2"]);
    let large = "large ".repeat(1_500);
    let mut clients: Vec<Client> = (0..6).map(|_| server.connect()).collect();
    for (id, client) in clients[..4].iter_mut().enumerate() {
        enqueue(&server, client, &echo(id, &large).encode());
    }
    let received = || server.metric("weir_received_bytes_total", &[]);
    let raw = |id| echo(id, &large).encode();
    for (id, client) in clients.iter_mut().enumerate().skip(4) {
        let before = received();
        client.send_bytes(&raw(id)[..5_000]);
        eventually("it is read", || received() == before + 5_000);
    }
    for (id, client) in clients.iter_mut().enumerate().skip(4) {
        assert!(client.is_silent(), "{:?}", client.receive());
        enqueue(&server, client, &raw(id)[5_000..]);
    }
    drop(held);
    for (id, client) in clients.iter_mut().enumerate() {
        client.receive().assert_echo(id, &large);
    }
    assert_at_rest(&server);
}
