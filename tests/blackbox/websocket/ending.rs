//! Every way to end: closed, silent, half closed, reset in the middle, drained.

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{
    CLOSE, Dialect, FIN, Incoming, Revision, Server, TEXT, WebSocket, assert_at_rest, case, connect_to, echo,
    eras, eventually, eventually_some, frame, tool,
};

/// A server with two kinds of clients; the modern one's calls end with it.
fn open_calling(server: &Server) -> WebSocket {
    let mut socket = server.open_websocket();
    socket.send(&tool("call", "sleep", json!({"ms": 60_000})));
    eventually("it runs", || server.busy_handlers() == 1);
    socket
}

/// How many are open when no client is connected.
fn settled_descriptors(server: &Server) -> usize {
    eventually("no connection is left", || {
        server.metric("weir_connections", &[]) == 0
    });
    server.descriptors()
}

#[test]
fn a_client_that_goes_takes_its_calls_with_it() {
    let server = Server::start(&["--pool-size", "1"]);
    server.ask(&echo(1, "x"));
    let descriptors = settled_descriptors(&server);
    let mut closes = open_calling(&server);
    closes.send_frame(FIN | CLOSE, &1000u16.to_be_bytes());
    closes.assert_closed(1000);
    assert_at_rest(&server);
    let mut finishes = open_calling(&server);
    finishes.client().finish();
    // It never said that it would leave: only the end is owed to it.
    finishes.client().ending();
    assert_at_rest(&server);
    open_calling(&server).reset();
    assert_at_rest(&server);
    drop(open_calling(&server));
    assert_at_rest(&server);
    eventually("the descriptors are back", || server.descriptors() <= descriptors);
}

#[test]
fn legacy_calls_that_run_finish_unheard() {
    let server = Server::start(&["--pool-size", "1"]);
    let dialect = Dialect::legacy(Revision::NEWEST_LEGACY);
    let mut socket = server.open_websocket();
    socket.open_session(&dialect);
    socket.send(&dialect.tool("call", "sleep", json!({"ms": 400})));
    eventually("it runs", || server.busy_handlers() == 1);
    socket.reset();
    assert_at_rest(&server);
    assert_eq!(
        server.metric("weir_operations_total", &[("outcome", "cancelled")]),
        0
    );
}

#[test]
fn a_reset_at_any_byte_leaves_nothing_behind() {
    let server = Server::start(&["--shards", "2", "--pool-size", "4"]);
    // A shard that has answered has everything that it will have.
    for shard in 0..2 {
        connect_to(&server, shard).ask(&echo(shard, "x"));
    }
    let descriptors = settled_descriptors(&server);
    for dialect in eras() {
        let bytes = [
            WebSocket::handshake().encode(),
            frame(FIN | TEXT, &dialect.initialize(0).body),
            frame(TEXT, &dialect.echo(1, "x").body[..30]),
            frame(FIN, &dialect.echo(1, "x").body[30..]),
            frame(FIN | TEXT, &dialect.tool(2, "sleep", json!({"ms": 5})).body),
        ]
        .concat();
        for at in 0..bytes.len() {
            let mut client = server.connect();
            client.send_bytes(&bytes[..at]);
            client.reset();
        }
    }
    assert_at_rest(&server);
    eventually("the descriptors are back", || server.descriptors() <= descriptors);
    eventually("no connection is left", || {
        server.metric("weir_connections", &[]) <= 1
    });
}

#[test]
fn silence_is_asked_for_a_sign_of_life_and_then_closed() {
    let server = Server::start(&["--websocket-timeout", "1s"]);
    let mut silent = server.open_websocket();
    // It is pinged, and never answers.
    let is_ping = |first: u8| first == FIN | 0x9;
    let (first, _) = silent.receive_unanswered();
    assert!(is_ping(first), "{first:#x}");
    silent.assert_closed(1008);
    // A client that answers is pinged again and again, and is served.
    let mut alive = server.open_websocket();
    while alive.pings < 4 {
        assert!(matches!(alive.try_receive(), Ok(Incoming::Ping(_))));
    }
    alive.ask(&echo(1, "x"));
    alive.close(1000);
}

#[test]
fn a_call_may_take_longer_than_the_silence_allowed() {
    let server = Server::start(&["--websocket-timeout", "1s"]);
    let mut socket = server.open_websocket();
    socket.send(&tool("long", "sleep", json!({"ms": 3_000})));
    socket.answer("long");
    assert!(socket.pings >= 2, "{} pings", socket.pings);
    socket.close(1000);
}

#[test]
fn half_a_message_is_waited_for_only_so_long() {
    let server = Server::start(&["--body-timeout", "1s"]);
    let call = echo("half", "x");
    let raw = frame(FIN | TEXT, &call.body);
    let pieces = [&raw[..1], &raw[..5], &raw[..raw.len() - 1], &frame(TEXT, b"{")];
    let mut sockets: Vec<WebSocket> = pieces
        .iter()
        .map(|piece| {
            let mut socket = server.open_websocket();
            socket.send_bytes(piece);
            socket
        })
        .collect();
    // Nobody waits behind them.
    server.open_websocket().ask(&echo(1, "x"));
    for socket in &mut sockets {
        socket.assert_closed(1008);
    }
}

#[test]
fn a_drain_answers_what_is_in_flight_and_closes_with_1001() {
    let mut server = Server::start(&["--pool-size", "4"]);
    let mut idle: Vec<WebSocket> = (0..5).map(|_| server.open_websocket()).collect();
    let mut busy: Vec<(Dialect, WebSocket)> = Vec::new();
    for dialect in eras() {
        let mut socket = server.open_websocket();
        if !dialect.is_modern() {
            socket.open_session(&dialect);
        }
        socket.send(&dialect.tool("call", "sleep", json!({"ms": 1_500})));
        busy.push((dialect, socket));
    }
    eventually("the calls run", || server.busy_handlers() == 2);
    server.signal(Signal::TERM);
    for socket in &mut idle {
        socket.assert_closed(1001);
    }
    assert!(server.is_running());
    for (_, socket) in &mut busy {
        let answer = socket.answer("call");
        assert_eq!(
            answer["result"]["content"][0]["text"], "slept 1500 ms",
            "{answer}"
        );
        socket.assert_closed(1001);
    }
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_drain_leaves_a_client_its_task_and_the_result() {
    let mut server = Server::start(&["--pool-size", "4"]);
    let able = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
    for dialect in eras() {
        let _case = case(dialect.revision.0);
        let dialect = dialect.able(able.clone());
        let mut socket = server.open_websocket();
        let mut params = json!({"name": "sleep", "arguments": {"ms": 1_000}});
        if !dialect.is_modern() {
            socket.open_session(&dialect);
            params["task"] = json!({});
        }
        let made = socket.ask(&dialect.request("begin", "tools/call", params));
        let made = if dialect.is_modern() {
            &made["result"]
        } else {
            &made["result"]["task"]
        };
        let task = json!({"taskId": made["taskId"]});
        server.signal(Signal::TERM);
        eventually("it drains", || {
            let ready = crate::harness::Request::new("GET", "/readyz");
            server.ask_admin(&ready).status == 503
        });
        let result = if dialect.is_modern() {
            eventually_some("the task is over", || {
                let looked = socket.ask(&dialect.request("look", "tasks/get", task.clone()));
                looked["result"].get("result").cloned()
            })
        } else {
            let told = socket.notification("notifications/tasks/status");
            assert_eq!(told["status"], "completed", "{told}");
            socket.ask(&dialect.request("fetch", "tasks/result", task))["result"].clone()
        };
        assert_eq!(result["content"][0]["text"], "slept 1000 ms", "{result}");
        socket.assert_closed(1001);
        assert_eq!(server.wait().code(), Some(0));
        server = Server::start(&["--pool-size", "4"]);
    }
}

#[test]
fn what_comes_while_draining_is_told_so() {
    let mut server = Server::start(&["--pool-size", "4"]);
    let mut socket = server.open_websocket();
    socket.send(&tool("call", "sleep", json!({"ms": 2_000})));
    eventually("it runs", || server.busy_handlers() == 1);
    server.signal(Signal::TERM);
    eventually("it drains", || {
        let ready = crate::harness::Request::new("GET", "/readyz");
        server.ask_admin(&ready).status == 503
    });
    let refused = socket.ask(&echo("late", "x"));
    assert_eq!(refused["error"]["data"]["reason"], "draining", "{refused}");
    socket.answer("call");
    socket.assert_closed(1001);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_drains_deadline_ends_what_will_not() {
    let mut server = Server::start(&["--drain-timeout", "1s"]);
    let mut socket = server.open_websocket();
    socket.send(&tool("call", "sleep", json!({"ms": 60_000})));
    eventually("it runs", || server.busy_handlers() == 1);
    server.signal(Signal::TERM);
    socket.client().ending();
    server.wait();
}

#[test]
fn thousands_come_and_go_and_leave_nothing_behind() {
    let server = Server::start(&["--shards", "2", "--prefault", "on"]);
    let come_and_go = |count: usize| {
        for number in 0..count {
            let _case = case(format!("connection {number}"));
            let mut socket = server.open_websocket();
            socket.ask(&echo(number, "x"));
            match number % 3 {
                0 => socket.close(1000),
                1 => socket.reset(),
                _ => drop(socket),
            }
        }
        eventually("no connection is left", || {
            server.metric("weir_connections", &[]) <= 1
        });
    };
    come_and_go(500);
    let (before_kib, descriptors) = (server.resident_kib(), settled_descriptors(&server));
    come_and_go(2_000);
    assert_at_rest(&server);
    eventually("the descriptors are back", || server.descriptors() <= descriptors);
    let grown_kib = server.resident_kib().saturating_sub(before_kib);
    assert!(grown_kib <= before_kib / 100 + 2048, "{grown_kib} KiB");
}
