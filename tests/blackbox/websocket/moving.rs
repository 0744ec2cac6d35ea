//! Calls of a channel that wait while another shard has a free handler: they are served there, and everything about
//! them comes back on the channel.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{
    Client, Dialect, Revision, Server, WebSocket, assert_at_rest, busy_per_shard, case, connect_to, echo,
    eras, eventually, per_shard, send_long_call, tool,
};

/// Two shards of so many handlers, and a client that holds one of the first shard's.
fn started(pool_size: usize) -> (Server, Client) {
    let pool_size = pool_size.to_string();
    let server = Server::start(&[
        "--shards",
        "2",
        "--pool-size",
        &pool_size,
        "--queue-timeout",
        "1h",
        "--steal-reserve",
        "0",
    ]);
    let mut holder = connect_to(&server, 0);
    send_long_call(&mut holder);
    eventually("the first shard has a call", || busy_per_shard(&server)[0] == 1);
    (server, holder)
}

/// A WebSocket of the first shard.
fn open(server: &Server, dialect: &Dialect) -> WebSocket {
    let mut socket = WebSocket::upgrade(connect_to(server, 0));
    if !dialect.is_modern() {
        socket.open_session(dialect);
    }
    socket
}

fn stolen(server: &Server) -> u64 {
    server.metric("weir_steals_total", &[("direction", "in")])
}

/// Waits until the second shard serves what the first had no handler for.
fn await_moved(server: &Server) {
    eventually("it runs on the second shard", || busy_per_shard(server) == [1, 1]);
}

#[test]
fn calls_that_wait_are_served_in_order_and_their_connection_stays() {
    let (server, holder) = started(1);
    for dialect in eras() {
        let _case = case(dialect.revision.0);
        let mut socket = open(&server, &dialect);
        let before = (stolen(&server), per_shard(&server, "weir_connections", &[]));
        let text = |at: usize| format!("{at}~").repeat([1, 30, 2_000, 20_000][at % 4]);
        for at in 0..30 {
            socket.send(&dialect.echo(at, &text(at)));
        }
        for at in 0..30 {
            let answer = socket.answer(at);
            assert_eq!(answer["result"]["content"][0]["text"], text(at), "{at}");
        }
        assert_eq!(stolen(&server), before.0 + 30);
        assert_eq!(per_shard(&server, "weir_connections", &[]), before.1);
        socket.close(1000);
    }
    drop(holder);
    assert_at_rest(&server);
}

#[test]
fn clients_with_the_same_ids_get_their_own_answers() {
    let (server, holder) = started(1);
    let mut sockets: Vec<WebSocket> = (0..5).map(|_| open(&server, &Dialect::modern())).collect();
    for round in 0..10 {
        for (number, socket) in sockets.iter_mut().enumerate() {
            socket.send(&echo(round, &format!("{number} in {round}")));
        }
        for (number, socket) in sockets.iter_mut().enumerate() {
            let answer = socket.answer(round);
            let text = &answer["result"]["content"][0]["text"];
            assert_eq!(*text, format!("{number} in {round}"), "{answer}");
        }
    }
    for socket in &mut sockets {
        assert!(socket.try_receive_now().is_none(), "each is answered once");
    }
    drop(holder);
    assert_at_rest(&server);
}

#[test]
fn a_cancelled_call_frees_the_other_shards_handler() {
    let (server, holder) = started(1);
    for dialect in eras() {
        let _case = case(dialect.revision.0);
        let mut socket = open(&server, &dialect);
        for round in 0..5 {
            socket.send(&dialect.tool(round, "sleep", json!({"ms": 60_000})));
            await_moved(&server);
            socket.send(&dialect.cancelled(round));
            // It is the next to be answered.
            socket.ask(&dialect.echo(format!("after {round}"), "x"));
        }
        socket.close(1000);
    }
    drop(holder);
    assert_at_rest(&server);
}

#[test]
fn a_client_that_leaves_ends_its_calls_on_the_other_shard() {
    let (server, holder) = started(1);
    for how in ["close", "reset"] {
        let _case = case(how);
        let mut socket = open(&server, &Dialect::modern());
        socket.send(&tool("call", "sleep", json!({"ms": 60_000})));
        await_moved(&server);
        match how {
            "close" => socket.close(1000),
            _ => socket.reset(),
        }
        eventually("its handler is free", || busy_per_shard(&server) == [1, 0]);
    }
    drop(holder);
    assert_at_rest(&server);
}

#[test]
fn a_call_tells_and_asks_its_client_from_the_other_shard() {
    let (server, holder) = started(1);
    let dialect = Dialect::legacy(Revision::NEWEST_LEGACY).able(json!({"elicitation": {}}));
    let mut socket = open(&server, &dialect);
    socket.send(&dialect.request(
        "steps",
        "tools/call",
        json!({"name": "progress", "arguments": {"steps": 20, "delay_ms": 1},
            "_meta": {"progressToken": "p"}}),
    ));
    for step in 1..=20 {
        let told = socket.notification("notifications/progress");
        assert_eq!(told["progress"].as_f64(), Some(f64::from(step)), "{told}");
    }
    socket.answer("steps");
    for round in 0..5 {
        socket.send(&dialect.tool(round, "ask", json!({"question": "Which?"})));
        let (question, _) = socket.question("elicitation/create");
        let answer = json!({"action": "accept", "content": {"answer": format!("the {round}th")}});
        socket.send(&dialect.response(&question, &answer));
        let answered = socket.answer(round);
        let text = answered["result"]["content"][0]["text"].as_str();
        assert!(
            text.is_some_and(|text| text.contains(&format!("the {round}th"))),
            "{answered}"
        );
    }
    assert_eq!(stolen(&server), 6);
    socket.close(1000);
    drop(holder);
    assert_at_rest(&server);
}

#[test]
fn a_drain_waits_for_a_call_on_the_other_shard() {
    for dialect in eras() {
        let _case = case(dialect.revision.0);
        let (mut server, holder) = started(1);
        let mut socket = open(&server, &dialect);
        socket.send(&dialect.tool("call", "sleep", json!({"ms": 1_500})));
        await_moved(&server);
        drop(holder);
        server.signal(Signal::TERM);
        let answer = socket.answer("call");
        let text = &answer["result"]["content"][0]["text"];
        assert_eq!(*text, "slept 1500 ms", "{answer}");
        socket.assert_closed(1001);
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn a_drain_leaves_a_client_the_task_that_runs_on_the_other_shard() {
    let (mut server, holder) = started(4);
    // All handlers of the first shard, and as many tasks elsewhere as may run.
    let mut holders: Vec<Client> = (0..3).map(|_| connect_to(&server, 0)).collect();
    holders.iter_mut().for_each(send_long_call);
    eventually("the first shard is full", || busy_per_shard(&server) == [4, 0]);
    let dialect = Dialect::modern().able(json!({"extensions": {"io.modelcontextprotocol/tasks": {}}}));
    let mut socket = open(&server, &dialect);
    let made = socket.ask(&dialect.tool("begin", "sleep", json!({"ms": 1_000})));
    assert_eq!(busy_per_shard(&server), [4, 1]);
    drop((holder, holders));
    server.signal(Signal::TERM);
    let task = json!({"taskId": made["result"]["taskId"]});
    let mut result = Value::Null;
    eventually("the task is over", || {
        let looked = socket.ask(&dialect.request("look", "tasks/get", task.clone()));
        result = looked["result"]["result"].clone();
        !result.is_null()
    });
    assert_eq!(result["content"][0]["text"], "slept 1000 ms", "{result}");
    socket.assert_closed(1001);
    assert_eq!(server.wait().code(), Some(0));
}
