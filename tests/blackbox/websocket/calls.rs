//! Calls over one connection: many at once, bounded, cancelled, and never mixed up with another client's.

use serde_json::{Value, json};

use crate::harness::{
    Client, Dialect, Incoming, Revision, Server, Shared, WebSocket, assert_at_rest, case, echo, eras,
    eventually, hold, tool,
};

const OVERLOADED: i64 = -31503;

/// A connection ready to speak this dialect.
fn open(server: &Server, dialect: &Dialect) -> WebSocket {
    let mut socket = server.open_websocket();
    if !dialect.is_modern() {
        socket.open_session(dialect);
    }
    socket
}

/// The overload error, without HTTP.
#[track_caller]
fn assert_overloaded(answer: &Value, id: impl Into<Value>, reason: &str) {
    assert_eq!(answer["id"], id.into(), "{answer}");
    assert_eq!(answer["error"]["code"], OVERLOADED, "{answer}");
    let data = &answer["error"]["data"];
    assert_eq!(data["reason"], reason, "{answer}");
    assert!(data["retryAfterMs"].as_u64().is_some_and(|ms| ms > 0), "{answer}");
}

#[test]
fn both_eras_are_served() {
    let server = Shared::usual();
    for dialect in eras() {
        let _case = case(dialect.revision.0);
        let mut socket = open(&server, &dialect);
        for id in 0..20 {
            let answer = socket.ask(&dialect.echo(id, "x"));
            assert_eq!(answer["result"]["content"][0]["text"], "x", "{answer}");
        }
        let listed = socket.ask(&dialect.request("list", "tools/list", json!({})));
        assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 7);
        let unknown = socket.ask(&dialect.request("unknown", "no/such", json!({})));
        assert_eq!(unknown["error"]["code"], -32601, "{unknown}");
        socket.close(1000);
    }
}

#[test]
fn large_answers_come_whole_to_a_reader_that_takes_little_at_a_time() {
    let server = Server::start(&[]);
    let mut socket = WebSocket::upgrade(Client::with_small_window(server.address));
    let dialect = Dialect::modern();
    for id in 0..3 {
        socket.send(&dialect.tool(id, "blob", json!({"bytes": 1_000_003 + id})));
        socket.send(&dialect.echo(100 + id, "beside"));
    }
    for _ in 0..6 {
        let answer = socket.message();
        let id = answer["id"].as_u64().unwrap();
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        if id >= 100 {
            assert_eq!(text, "beside");
        } else {
            let bytes = 1_000_003 + id as usize;
            assert!(
                text.bytes().eq((b'a'..=b'z').cycle().take(bytes)),
                "{} bytes",
                text.len()
            );
        }
    }
    socket.close(1000);
}

#[test]
fn every_legacy_revision_is_negotiated() {
    let server = Shared::usual();
    for revision in Revision::ALL_LEGACY {
        let _case = case(revision.0);
        let dialect = Dialect::legacy(revision);
        let mut socket = open(&server, &dialect);
        assert_eq!(
            socket.ask(&dialect.request("ping", "ping", json!({})))["result"],
            json!({})
        );
        let refused = socket.ask(&dialect.tool("bad", "echo", json!({"message": 1})));
        match revision {
            Revision::NEWEST_LEGACY => assert_eq!(refused["result"]["isError"], true, "{refused}"),
            _ => assert_eq!(refused["error"]["code"], -32602, "{refused}"),
        }
        socket.close(1000);
    }
}

#[test]
fn calls_run_at_once_and_are_answered_as_they_end() {
    let server = Server::start(&["--pool-size", "4"]);
    for dialect in eras() {
        let _case = case(dialect.revision.0);
        let mut socket = open(&server, &dialect);
        for id in ["slow-1", "slow-2", "slow-3"] {
            socket.send(&dialect.tool(id, "sleep", json!({"ms": 60_000})));
        }
        eventually("they run", || server.busy_handlers() == 3);
        for id in 0..5 {
            socket.ask(&dialect.echo(id, "meanwhile"));
        }
        for id in ["slow-2", "slow-1", "slow-3"] {
            socket.send(&dialect.cancelled(id));
        }
        eventually("they are over", || server.busy_handlers() == 0);
        socket.ask(&dialect.echo("last", "x"));
        socket.close(1000);
    }
    let mut socket = server.open_websocket();
    let order = [("third", 900), ("second", 500), ("first", 100)];
    for (id, ms) in order {
        socket.send(&tool(id, "sleep", json!({"ms": ms})));
    }
    for (id, _) in order.iter().rev() {
        socket.answer(*id);
    }
    assert_at_rest(&server);
}

#[test]
fn an_idle_connection_holds_no_handler() {
    let server = Server::start(&["--pool-size", "1"]);
    let mut sockets: Vec<WebSocket> = (0..50).map(|_| server.open_websocket()).collect();
    for _ in 0..2 {
        for (id, socket) in sockets.iter_mut().enumerate() {
            socket.ask(&echo(id, "x"));
        }
    }
    assert_at_rest(&server);
}

#[test]
fn a_handler_for_each_connection_is_none_of_a_websockets() {
    let server = Server::start(&["--pool-size", "1", "--linger", "forever"]);
    let mut sockets: Vec<WebSocket> = (0..5).map(|_| server.open_websocket()).collect();
    for round in 0..3 {
        for (id, socket) in sockets.iter_mut().enumerate() {
            let _case = case(format!("round {round}, socket {id}"));
            socket.ask(&echo(id, "x"));
        }
    }
    assert_at_rest(&server);
}

#[test]
fn calls_wait_in_order_for_a_handler() {
    let server = Server::start(&["--pool-size", "1"]);
    let mut socket = server.open_websocket();
    let ids: Vec<String> = (0..20).map(|number| format!("call-{number}")).collect();
    let held = hold(&server);
    for id in &ids {
        socket.send(&echo(id.as_str(), "x"));
    }
    eventually("all wait", || {
        server.metric("weir_queue_depth", &[]) == ids.len() as u64
    });
    // A request that needs no handler waits for none.
    socket.ping(b"meanwhile");
    socket.ask(&Dialect::modern().request("discover", "server/discover", json!({})));
    held.reset();
    for id in &ids {
        socket.answer(id.as_str());
    }
    socket.close(1000);
    assert_at_rest(&server);
}

#[test]
fn overload_is_told_without_http_and_the_connection_goes_on() {
    let server = Server::start(&["--pool-size", "1", "--queue-depth", "0"]);
    for dialect in eras() {
        let _case = case(dialect.revision.0);
        let mut socket = open(&server, &dialect);
        let held = hold(&server);
        assert_overloaded(&socket.ask(&dialect.echo("now", "x")), "now", "handlers");
        socket.ask(&dialect.request("list", "tools/list", json!({})));
        held.reset();
        eventually("the handler is free", || server.busy_handlers() == 0);
        socket.ask(&dialect.echo("later", "x"));
        socket.close(1000);
    }
    let server = Server::start(&["--pool-size", "1", "--queue-timeout", "200ms"]);
    let held = hold(&server);
    let mut socket = server.open_websocket();
    assert_overloaded(&socket.ask(&echo("late", "x")), "late", "queue_timeout");
    held.reset();
    socket.close(1000);
}

#[test]
fn calls_of_one_connection_are_bounded() {
    const BOUND: usize = 3;
    let bound = BOUND.to_string();
    let server = Server::start(&["--pool-size", "16", "--in-flight-per-connection", &bound]);
    let mut socket = server.open_websocket();
    for id in 0..BOUND {
        socket.send(&tool(id, "sleep", json!({"ms": 60_000})));
    }
    eventually("they run", || server.busy_handlers() == BOUND as u64);
    assert_overloaded(&socket.ask(&echo("one more", "x")), "one more", "connections");
    // The bound applies neither to requests that need no handler nor to other connections.
    socket.ask(&Dialect::modern().request("list", "tools/list", json!({})));
    server.open_websocket().ask(&echo(1, "x"));
    socket.send(&Dialect::modern().cancelled(0));
    eventually("one is over", || server.busy_handlers() == BOUND as u64 - 1);
    socket.ask(&echo("again", "x"));
    socket.close(1000);
    assert_at_rest(&server);
}

#[test]
fn a_cancelled_call_is_not_answered() {
    let server = Server::start(&["--pool-size", "2", "--workers", "1"]);
    for dialect in eras() {
        for name in ["sleep", "spin"] {
            let _case = case(format!("{} {name}", dialect.revision.0));
            let mut socket = open(&server, &dialect);
            socket.send(&dialect.tool("call", name, json!({"ms": 60_000})));
            eventually("it runs", || server.busy_handlers() == 1);
            // No other client can cancel it, whatever it knows.
            let mut stranger = open(&server, &dialect);
            stranger.send(&dialect.cancelled("call"));
            stranger.ask(&dialect.echo("stranger", "x"));
            assert_eq!(server.busy_handlers(), 1);
            socket.send(&dialect.cancelled("call"));
            assert_at_rest(&server);
            // The id is free again.
            let answer = socket.ask(&dialect.echo("call", "another"));
            assert_eq!(answer["result"]["content"][0]["text"], "another", "{answer}");
            socket.close(1000);
        }
    }
}

#[test]
fn a_call_that_waits_is_cancelled_too() {
    let server = Server::start(&["--pool-size", "1"]);
    for dialect in eras() {
        let _case = case(dialect.revision.0);
        let mut socket = open(&server, &dialect);
        let held = hold(&server);
        socket.send(&dialect.echo("waits", "x"));
        eventually("it waits", || server.metric("weir_queue_depth", &[]) == 1);
        socket.send(&dialect.cancelled("waits"));
        eventually("it is gone", || server.metric("weir_queue_depth", &[]) == 0);
        held.reset();
        socket.ask(&dialect.echo("next", "x"));
        socket.close(1000);
    }
    assert_at_rest(&server);
}

#[test]
fn progress_comes_before_the_answer() {
    let server = Shared::usual();
    for dialect in eras() {
        let _case = case(dialect.revision.0);
        let mut socket = open(&server, &dialect);
        socket.send(&dialect.progress("call", 5, 1));
        let mut last = 0.0;
        let answer = loop {
            let message = socket.message();
            if message.get("method").is_none() {
                break message;
            }
            assert_eq!(message["method"], "notifications/progress", "{message}");
            let progress = message["params"]["progress"].as_f64().unwrap();
            assert!(progress > last, "{message}");
            last = progress;
        };
        assert_eq!((answer["id"].as_str(), last), (Some("call"), 5.0), "{answer}");
        socket.close(1000);
    }
}

#[test]
fn the_same_ids_on_many_connections_are_many_calls() {
    let server = Shared::usual();
    let mut sockets: Vec<WebSocket> = (0..40).map(|number| open(&server, &eras()[number % 2])).collect();
    for round in 0..5 {
        for (number, socket) in sockets.iter_mut().enumerate() {
            let dialect = &eras()[number % 2];
            socket.send(&dialect.echo("same", &format!("secret-{number}-{round}")));
            socket.send(&dialect.tool("sleep", "sleep", json!({"ms": number % 7})));
        }
        for (number, socket) in sockets.iter_mut().enumerate() {
            let answers = [socket.message(), socket.message()];
            let text = |id: &str| {
                let answer = answers.iter().find(|answer| answer["id"] == id).unwrap();
                answer["result"]["content"][0]["text"].clone()
            };
            assert_eq!(text("same"), format!("secret-{number}-{round}"));
            assert_eq!(text("sleep"), format!("slept {} ms", number % 7));
        }
    }
    for socket in sockets {
        socket.close(1000);
    }
}

#[test]
fn a_tool_that_panics_is_one_calls_affair() {
    let mut server = Server::start(&["--pool-size", "2"]);
    server.may_panic = true;
    let mut socket = server.open_websocket();
    socket.send(&tool("other", "sleep", json!({"ms": 300})));
    socket.send(&tool("panics", "fail", json!({"how": "panic"})));
    let failed = socket.answer("panics");
    let is_error = failed["error"]["code"] == -32603 || failed["result"]["isError"] == true;
    assert!(is_error, "{failed}");
    socket.answer("other");
    socket.ask(&echo("next", "x"));
    socket.close(1000);
}

#[test]
fn notifications_and_strangers_answers_are_not_answered() {
    let server = Shared::usual();
    for dialect in eras() {
        let _case = case(dialect.revision.0);
        let mut socket = open(&server, &dialect);
        socket.send(&dialect.notification("notifications/no-such", json!({})));
        socket.send(&dialect.cancelled("unknown"));
        if !dialect.is_modern() {
            socket.send(&dialect.response(&json!("nobody asked"), &json!({"action": "decline"})));
        }
        // Nothing came before this.
        socket.ping(b"quiet");
        assert_eq!(socket.try_receive_now(), None::<Incoming>);
        socket.close(1000);
    }
}
