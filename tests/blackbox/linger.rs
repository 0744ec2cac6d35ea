//! Handlers that stay with their connection: not at all, for a moment, or until it ends.

use serde_json::json;

use crate::harness::{
    Client, Dialect, Ending, Revision, Server, assert_at_rest, busy_per_shard, connect_to, echo, enqueue,
    eventually, per_shard, send_long_call, tool, waiting,
};

/// One shard with this many handlers, and room for two as many requests to wait.
fn started(pool_size: &str, linger: &str, flags: &[&str]) -> Server {
    let own = [
        "--pool-size",
        pool_size,
        "--linger",
        linger,
        "--queue-timeout",
        "1h",
    ];
    Server::start(&[&own, flags].concat())
}

fn lingering(server: &Server) -> u64 {
    server.metric("weir_pool_handlers", &[("state", "lingering")])
}

fn idle(server: &Server) -> u64 {
    server.metric("weir_pool_handlers", &[("state", "idle")])
}

fn cuts(server: &Server) -> u64 {
    server.metric("weir_linger_cuts_total", &[])
}

fn evictions(server: &Server, reason: &str) -> u64 {
    server.metric("weir_evictions_total", &[("reason", reason)])
}

#[test]
fn without_it_a_handler_is_free_with_the_answer() {
    let server = started("1", "0s", &[]);
    let mut clients: Vec<Client> = (0..5).map(|_| server.connect()).collect();
    for turn in 0..3 {
        for client in &mut clients {
            client.ask(&echo(turn, "x")).assert_echo(turn, "x");
            assert_eq!(lingering(&server), 0);
        }
    }
    assert_at_rest(&server);
}

#[test]
fn for_a_moment_it_serves_the_next_request_and_ends_by_itself() {
    let server = started("2", "500ms", &[]);
    let mut client = server.connect();
    for turn in 0..20 {
        client.ask(&echo(turn, "x")).assert_echo(turn, "x");
        assert_eq!(server.metric("weir_pool_high_water", &[]), 1, "the same handler");
    }
    eventually("it ends", || (lingering(&server), idle(&server)) == (0, 2));
    assert_eq!(cuts(&server), 0);
    client.ask(&echo("still", "open")).assert_echo("still", "open");
    eventually("it lingers", || lingering(&server) == 1);
    client.reset();
    eventually("it is free with its connection", || idle(&server) == 2);
}

#[test]
fn for_a_moment_is_cut_short_when_others_need_it() {
    let server = started("2", "1h", &[]);
    let mut parked: Vec<Client> = (0..6).map(|_| server.connect()).collect();
    // Each takes the handler that lingers longest; nobody waits for an hour.
    for turn in 0..18 {
        parked[turn % 6].ask(&echo(turn, "x")).assert_echo(turn, "x");
        let expected = (2.min(turn as u64 + 1), (turn as u64).saturating_sub(1));
        eventually("it lingers", || (lingering(&server), cuts(&server)) == expected);
    }
    // A handler at work is not cut short, and a waiting call gets it before its last holder.
    let mut holders: Vec<Client> = (0..2).map(|_| server.connect()).collect();
    holders.iter_mut().for_each(send_long_call);
    eventually("all are busy", || server.busy_handlers() == 2);
    enqueue(&server, &mut parked[0], &echo("waits", "x").encode());
    enqueue(&server, &mut parked[1], &echo("waits", "x").encode());
    drop(holders);
    for client in &mut parked[..2] {
        client.receive().assert_echo("waits", "x");
    }
    for client in &mut parked {
        client.ask(&echo(9, "usable")).assert_echo(9, "usable");
    }
    drop(parked);
    assert_at_rest(&server);
}

#[test]
fn for_a_moment_and_pipelined_it_keeps_order_and_gives_others_their_turn() {
    let server = started("1", "1h", &[]);
    let mut clients: Vec<Client> = (0..2).map(|_| server.connect()).collect();
    let bytes: Vec<u8> = (0..30).flat_map(|id| echo(id, "x").encode()).collect();
    for client in &mut clients {
        client.send_bytes(&bytes);
    }
    for id in 0..30 {
        for client in &mut clients {
            client.receive().assert_echo(id, "x");
        }
    }
    assert!(clients.iter().all(Client::is_silent));
    drop(clients);
    assert_at_rest(&server);
}

#[test]
fn for_ever_it_is_held_from_the_first_byte_until_the_end() {
    let server = started("2", "forever", &["--queue-depth", "0"]);
    let mut slow = server.connect();
    slow.send_bytes(b"P");
    eventually("one byte holds one", || lingering(&server) == 1);
    let mut silent = server.connect();
    let mut used = server.connect();
    used.ask(&echo(1, "x")).assert_echo(1, "x");
    eventually("so does an answer", || {
        (lingering(&server), idle(&server)) == (2, 0)
    });
    // Nobody else gets a handler that is held, not even for a moment.
    for id in 0..3 {
        silent.ask(&echo(id, "x")).assert_error(503, -31503, id);
        used.ask(&echo(id, "its own")).assert_echo(id, "its own");
    }
    let ping = Dialect::legacy(Revision::NEWEST_LEGACY).request("p", "ping", json!({}));
    assert_eq!(silent.ask(&ping).json()["id"], "p");
    eventually("both are held", || (lingering(&server), cuts(&server)) == (2, 0));
    // The slow head is served in the end, by the handler it has held all along.
    slow.send_bytes(&echo(1, "slow").encode()[1..]);
    slow.receive().assert_echo(1, "slow");
    slow.reset();
    eventually("it is free", || idle(&server) == 1);
    silent.ask(&echo(4, "now")).assert_echo(4, "now");
    drop((silent, used));
    assert_at_rest(&server);
}

#[test]
fn for_ever_ends_with_each_way_a_connection_ends() {
    let server = started("1", "forever", &[]);
    let ways: [fn(Client); 4] = [
        drop,
        Client::reset,
        |mut client| {
            client.finish();
            client.assert_closed();
        },
        |mut client| {
            client.ask(&echo(1, "last").plus("Connection", "close"));
            client.assert_closed();
        },
    ];
    for way in ways {
        let mut holder = server.connect();
        holder.ask(&echo(1, "x")).assert_echo(1, "x");
        let mut waiter = server.connect();
        enqueue(&server, &mut waiter, &echo(2, "waited").encode());
        way(holder);
        waiter.receive().assert_echo(2, "waited");
        drop(waiter);
        eventually("the handler is free", || idle(&server) == 1);
    }
    assert_at_rest(&server);
}

#[test]
fn for_ever_ends_with_silence_and_the_connection_does_not() {
    let flags = ["--read-timeout", "300ms", "--idle-timeout", "4s"];
    let server = started("1", "forever", &flags);
    let mut silent = server.connect();
    silent.ask(&echo(1, "x")).assert_echo(1, "x");
    let mut waiter = server.connect();
    waiter
        .ask(&echo(2, "after the silence"))
        .assert_echo(2, "after the silence");
    // The connection lost its handler, no more.
    silent.ask(&echo(3, "open")).assert_echo(3, "open");
    for client in [&mut silent, &mut waiter] {
        assert_eq!(client.ending(), Ending::Closed(Vec::new()));
    }
    assert_eq!(evictions(&server, "idle"), 2);
    assert_at_rest(&server);
}

#[test]
fn for_ever_a_head_that_stops_gives_it_back() {
    let server = started("1", "forever", &["--read-timeout", "300ms"]);
    for bytes in [&b"P"[..], b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut slow = server.connect();
        slow.send_bytes(bytes);
        eventually("it is held", || lingering(&server) == 1);
        let mut waiter = server.connect();
        enqueue(&server, &mut waiter, &echo(1, "waited").encode());
        slow.receive().assert_status(408);
        slow.assert_closed();
        waiter.receive().assert_echo(1, "waited");
        drop(waiter);
        eventually("the handler is free", || idle(&server) == 1);
    }
    assert_eq!(evictions(&server, "read_timeout"), 2);
}

#[test]
fn a_stolen_connection_lingers_where_it_went() {
    for linger in ["1h", "forever"] {
        let flags = ["--shards", "2"];
        let server = started("1", linger, &flags);
        let mut holder = connect_to(&server, 0);
        send_long_call(&mut holder);
        eventually("shard 0 is busy", || busy_per_shard(&server) == [1, 0]);
        let mut moved = connect_to(&server, 0);
        for turn in 0..3 {
            moved.ask(&echo(turn, "x")).assert_echo(turn, "x");
        }
        let lingers = || per_shard(&server, "weir_pool_handlers", &[("state", "lingering")]);
        eventually("it lingers on shard 1", || lingers() == [0, 1]);
        // Whether another connection may have it: for a moment, also from afar.
        let mut other = connect_to(&server, 0);
        if linger == "forever" {
            enqueue(&server, &mut other, &echo(9, "x").encode());
            moved.ask(&echo(8, "mine")).assert_echo(8, "mine");
            assert_eq!(waiting(&server), 1);
            drop(moved);
            other.receive().assert_echo(9, "x");
        } else {
            other.ask(&echo(9, "x")).assert_echo(9, "x");
            assert_eq!(cuts(&server), 1);
            moved.ask(&echo(8, "usable")).assert_echo(8, "usable");
        }
        drop((holder, other));
        drop(server);
    }
}

#[test]
fn a_drain_ends_every_linger() {
    for linger in ["1h", "forever"] {
        let server = started("4", linger, &[]);
        let mut clients: Vec<Client> = (0..3).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.ask(&echo(1, "x")).assert_echo(1, "x");
        }
        let mut busy = server.connect();
        busy.send(&tool(2, "sleep", json!({"ms": 300})));
        eventually("it runs", || server.busy_handlers() == 1);
        let report = server.stop();
        assert_eq!(busy.receive().tool_text(), "slept 300 ms");
        clients.iter_mut().for_each(Client::assert_closed);
        assert_eq!(report["all"]["handlers"]["idle"], 4, "{report}");
    }
}
