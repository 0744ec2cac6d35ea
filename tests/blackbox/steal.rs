//! Waiting requests that move to a shard with slack, connection and all, and stay there.

use serde_json::json;

use crate::harness::{
    Client, Dialect, Revision, Server, assert_at_rest, assert_overload, busy_per_shard, case, connect_to,
    echo, enqueue, eras, eventually, per_shard, send_long_call, tool, waiting, waits,
};

fn started(shards: usize, pool_size: usize, flags: &[&str]) -> Server {
    let (shards, pool_size) = (shards.to_string(), pool_size.to_string());
    let own = [
        "--shards",
        &shards,
        "--pool-size",
        &pool_size,
        "--queue-timeout",
        "1h",
    ];
    Server::start(&[&own, flags].concat())
}

fn stolen(server: &Server, direction: &str) -> u64 {
    server.metric("weir_steals_total", &[("direction", direction)])
}

/// Clients of shard 0 whose calls run until they leave, each begun when the one before was served.
fn hold_from_first(server: &Server, count: usize) -> Vec<Client> {
    let holder = |at: usize| {
        let mut client = connect_to(server, 0);
        send_long_call(&mut client);
        eventually("it is served", || server.busy_handlers() == at as u64 + 1);
        client
    };
    (0..count).map(holder).collect()
}

/// A connection that began on shard 0, was served by shard 1, and lives there now.
fn moved(server: &Server) -> Client {
    let before = per_shard(server, "weir_connections", &[])[1];
    let mut holder = connect_to(server, 0);
    send_long_call(&mut holder);
    eventually("shard 0 is busy", || busy_per_shard(server)[0] == 1);
    let mut client = connect_to(server, 0);
    client.ask(&echo("moving", "x")).assert_echo("moving", "x");
    assert_eq!(per_shard(server, "weir_connections", &[])[1], before + 1);
    drop(holder);
    eventually("shard 0 is free", || busy_per_shard(server)[0] == 0);
    client
}

#[test]
fn no_handler_stays_idle_while_somebody_waits() {
    for shards in [2, 3, 5] {
        for pool_size in [1, 3] {
            let _case = case(format!("{shards} shards of {pool_size}"));
            let handlers = shards * pool_size;
            let server = started(shards, pool_size, &[]);
            let held = hold_from_first(&server, handlers);
            assert_eq!(busy_per_shard(&server), vec![pool_size as u64; shards]);
            assert_eq!(stolen(&server, "in"), (handlers - pool_size) as u64);
            // All are busy: from here on requests wait, and the first free handler serves them.
            let mut waiters: Vec<Client> = (0..3).map(|_| connect_to(&server, 0)).collect();
            for (id, client) in waiters.iter_mut().enumerate() {
                enqueue(&server, client, &tool(id, "sleep", json!({"ms": 1})).encode());
            }
            assert!(waiters.iter().all(Client::is_silent));
            drop(held);
            for (id, client) in waiters.iter_mut().enumerate() {
                let response = client.receive();
                assert_eq!(response.tool_text(), "slept 1 ms");
                assert_eq!(response.json()["id"], id);
            }
            assert_at_rest(&server);
        }
    }
}

#[test]
fn a_handler_that_falls_free_elsewhere_serves_who_has_long_waited() {
    let server = started(3, 1, &[]);
    let mut held = hold_from_first(&server, 3);
    let mut waiter = connect_to(&server, 1);
    enqueue(&server, &mut waiter, &echo(1, "waited").encode());
    // The handler that becomes free is not its own shard's.
    let connections = per_shard(&server, "weir_connections", &[]);
    drop(held.remove(0));
    waiter.receive().assert_echo(1, "waited");
    assert_eq!(stolen(&server, "in"), 3);
    assert_eq!(per_shard(&server, "weir_connections", &[])[1], connections[1] - 1);
    drop(held);
    assert_at_rest(&server);
}

#[test]
fn what_is_pipelined_behind_a_moving_request_moves_with_it() {
    let server = started(2, 1, &[]);
    let holder = hold_from_first(&server, 1);
    let ping = Dialect::legacy(Revision::NEWEST_LEGACY).request("between", "ping", json!({}));
    let message = |at: usize| format!("{at}~").repeat([1, 2_000, 60_000, 5, 4_000][at]);
    let mut bytes = tool("first", "sleep", json!({"ms": 30})).encode();
    for at in 0..5 {
        bytes.extend(echo(at, &message(at)).encode_chunked(&[1 + at, 700]));
        bytes.extend(ping.encode());
    }
    let mut client = connect_to(&server, 0);
    let mut reader = client.second_hand();
    std::thread::scope(|scope| {
        scope.spawn(|| client.send_bytes(&bytes));
        assert_eq!(reader.receive().tool_text(), "slept 30 ms");
        for at in 0..5 {
            let _case = case(format!("answer {at}"));
            reader.receive().assert_echo(at, &message(at));
            assert_eq!(reader.receive().json()["id"], "between");
        }
    });
    assert!(client.is_silent());
    assert_eq!(stolen(&server, "in"), 1);
    drop(holder);
    assert_at_rest(&server);
}

#[test]
fn a_call_behind_control_in_one_segment_moves_too() {
    let server = started(2, 1, &[]);
    let holder = hold_from_first(&server, 1);
    let ping = Dialect::legacy(Revision::NEWEST_LEGACY).request("first", "ping", json!({}));
    for turn in 0..5 {
        let mut client = connect_to(&server, 0);
        client.send_bytes(&[ping.encode(), echo(turn, "second").encode()].concat());
        assert_eq!(client.receive().json()["id"], "first");
        client.receive().assert_echo(turn, "second");
        client.ask(&echo(turn, "third")).assert_echo(turn, "third");
    }
    drop(holder);
    assert_at_rest(&server);
}

#[test]
fn a_connection_that_moved_lives_on_where_it_is() {
    let server = started(2, 1, &[]);
    let mut client = moved(&server);
    for dialect in eras() {
        for turn in 0..5 {
            client.ask(&dialect.echo(turn, "here")).assert_echo(turn, "here");
            client
                .ask(&dialect.request(turn, "tools/list", json!({})))
                .result();
        }
    }
    // The request comes in pieces, and pipelined.
    let bytes = [echo(1, "a").encode(), echo(2, &"b".repeat(50_000)).encode()].concat();
    bytes.chunks(4_000).for_each(|piece| client.send_bytes(piece));
    client.receive().assert_echo(1, "a");
    client.receive().assert_echo(2, &"b".repeat(50_000));
    eventually("the holder is gone", || {
        per_shard(&server, "weir_connections", &[]) == [0, 1]
    });
    assert_eq!(stolen(&server, "in"), 1);
    // The server notices when this client leaves while its call runs.
    send_long_call(&mut client);
    eventually("shard 1 is busy", || busy_per_shard(&server) == [0, 1]);
    client.reset();
    eventually("shard 1 is free", || busy_per_shard(&server) == [0, 0]);
    eventually("it is closed", || server.metric("weir_connections", &[]) == 0);
    assert_at_rest(&server);
}

#[test]
fn a_connection_that_moved_moves_back_for_another_request() {
    let server = started(2, 1, &[]);
    let mut client = moved(&server);
    let mut holder = connect_to(&server, 1);
    send_long_call(&mut holder);
    eventually("shard 1 is busy", || busy_per_shard(&server) == [0, 1]);
    client.ask(&echo(1, "back")).assert_echo(1, "back");
    eventually("it is back on shard 0", || {
        per_shard(&server, "weir_connections", &[]) == [1, 1]
    });
    assert_eq!(stolen(&server, "in"), 2);
    drop(holder);
    assert_at_rest(&server);
}

#[test]
fn a_connection_that_moved_is_closed_when_it_is_idle() {
    let server = started(2, 1, &["--idle-timeout", "1s"]);
    let mut client = moved(&server);
    client.assert_closed();
    assert_eq!(server.metric("weir_evictions_total", &[("reason", "idle")]), 1);
    assert_at_rest(&server);
}

#[test]
fn a_connection_that_moved_may_wait_and_leave_there() {
    let server = started(2, 1, &["--steal-reserve", "0"]);
    let mut client = moved(&server);
    let held = [connect_to(&server, 0), connect_to(&server, 1)].map(|mut client| {
        send_long_call(&mut client);
        client
    });
    eventually("all are busy", || busy_per_shard(&server) == [1, 1]);
    enqueue(&server, &mut client, &echo(1, "x").encode());
    assert_eq!(per_shard(&server, "weir_queue_depth", &[]), [0, 1]);
    client.reset();
    eventually("its place is free", || waiting(&server) == 0);
    assert_eq!(waits(&server, "left"), 1);
    drop(held);
    assert_at_rest(&server);
}

#[test]
fn switched_off_nobody_moves() {
    let server = started(2, 1, &["--steal", "off", "--queue-timeout-agent", "300ms"]);
    let holders = hold_from_first(&server, 1);
    let mut client = connect_to(&server, 0);
    let refused = client.ask(&echo(1, "x"));
    assert_overload(refused.json(), &refused, "queue_timeout");
    enqueue(&server, &mut client, &echo(2, "x").encode());
    assert_eq!(busy_per_shard(&server), [1, 0]);
    drop(holders);
    client.receive().assert_echo(2, "x");
    assert_eq!(
        per_shard(&server, "weir_steals_total", &[("direction", "in")]),
        [0, 0]
    );
    assert_at_rest(&server);
}

#[test]
fn the_reserve_is_for_a_shards_own_clients() {
    let server = started(2, 4, &["--steal-reserve", "2"]);
    let mut held = hold_from_first(&server, 6);
    assert_eq!(busy_per_shard(&server), [4, 2]);
    let mut waiter = connect_to(&server, 0);
    enqueue(&server, &mut waiter, &echo(1, "waited").encode());
    // The two left are for clients of shard 1.
    for turn in 0..3 {
        let mut own = connect_to(&server, 1);
        own.ask(&echo(turn, "own")).assert_echo(turn, "own");
    }
    assert!(waiter.is_silent() && waiting(&server) == 1);
    // A handler that becomes free above the reserve is the waiter's, wherever it is.
    drop(held.pop());
    waiter.receive().assert_echo(1, "waited");
    drop(held);
    assert_at_rest(&server);
}

#[test]
fn a_reserve_of_the_whole_pool_lets_nobody_in() {
    let server = started(2, 1, &["--steal-reserve", "1"]);
    let holders = hold_from_first(&server, 1);
    let mut waiter = connect_to(&server, 0);
    enqueue(&server, &mut waiter, &echo(1, "waited").encode());
    assert_eq!(busy_per_shard(&server), [1, 0]);
    drop(holders);
    waiter.receive().assert_echo(1, "waited");
    assert_eq!(stolen(&server, "in"), 0);
}
