//! Cancelled calls: clients cancel by `notifications/cancelled` in the legacy era and by leaving in the modern one, and
//! nobody else can.

use serde_json::json;

use crate::harness::{
    Dialect, EventStream, Revision, Server, Shared, case, connect_to, echo, eventually, tool,
};

/// A way for a client to go.
type Leave = (&'static str, fn(EventStream));

const LEAVES: [Leave; 2] = [("close", EventStream::leave), ("reset", EventStream::reset)];

fn newest() -> Dialect {
    Dialect::legacy(Revision::NEWEST_LEGACY)
}

#[track_caller]
fn outcomes(server: &Server, outcome: &str) -> u64 {
    server.metric("weir_operations_total", &[("outcome", outcome)])
}

/// Everything that a cancelled call held is given back.
#[track_caller]
fn assert_over(server: &Server) {
    eventually("the handler is free", || server.busy_handlers() == 0);
    eventually("the worker is free", || {
        server.metric("weir_worker_busy", &[]) == 0
    });
    eventually("nothing is in flight", || {
        server.metric("weir_requests_in_flight", &[]) == 0
    });
}

#[test]
fn a_legacy_call_is_cancelled_from_any_connection_and_shard() {
    let server = Server::start(&["--shards", "2", "--pool-size", "2", "--workers", "1"]);
    for revision in Revision::ALL_LEGACY {
        for name in ["sleep", "spin"] {
            for (calls, cancels) in [(0, 0), (0, 1), (1, 0)] {
                let _case = case(format!(
                    "{} {name}: called on {calls}, cancelled on {cancels}",
                    revision.0
                ));
                let session = server.open_session(&Dialect::legacy(revision));
                let mut caller = connect_to(&server, calls);
                caller.send(&session.tool("call", name, json!({"ms": 60_000})));
                eventually("it runs", || server.busy_handlers() == 1);
                connect_to(&server, cancels)
                    .ask(&session.cancelled("call"))
                    .assert_status(202);
                assert_over(&server);
            }
        }
    }
    let cancelled = outcomes(&server, "cancelled");
    assert_eq!(cancelled, 4 * 2 * 3);
    server.ask(&echo(1, "x")).assert_echo(1, "x");
}

#[test]
fn a_cancelled_stream_ends_without_an_answer() {
    let server = Server::start(&["--shards", "2", "--pool-size", "1"]);
    for revision in Revision::ALL_LEGACY {
        for shard in 0..2 {
            let _case = case(format!("{}: cancelled on shard {shard}", revision.0));
            let session = server.open_session(&Dialect::legacy(revision));
            let mut stream = connect_to(&server, 0).open(&session.progress("call", 5_000, 10));
            stream.notification("notifications/progress");
            connect_to(&server, shard)
                .ask(&session.cancelled("call"))
                .assert_status(202);
            let rest = stream.rest();
            assert!(rest.iter().all(|message| message.get("id").is_none()), "{rest:?}");
            assert_over(&server);
            let mut client = stream.into_client();
            client.ask(&session.echo(1, "on")).assert_echo(1, "on");
        }
    }
}

#[test]
fn a_cancelled_question_is_over() {
    let server = Server::start(&["--shards", "2", "--pool-size", "1"]);
    let session = server.open_session(&newest().able(json!({"elicitation": {}})));
    for shard in 0..2 {
        let _case = case(format!("cancelled on shard {shard}"));
        let mut stream =
            connect_to(&server, 0).open(&session.tool("call", "ask", json!({"question": "Well?"})));
        let (question, _) = stream.question("elicitation/create");
        connect_to(&server, shard)
            .ask(&session.cancelled("call"))
            .assert_status(202);
        for message in stream.rest() {
            // The server may withdraw the question.
            assert_eq!(message["method"], "notifications/cancelled", "{message}");
            assert_eq!(message["params"]["requestId"], question, "{message}");
        }
        let late = json!({"action": "decline"});
        server.ask(&session.response(&question, &late)).assert_status(202);
        assert_over(&server);
    }
}

#[test]
fn what_is_done_or_unknown_cannot_be_cancelled() {
    let server = Shared::usual();
    for revision in Revision::ALL_LEGACY {
        let _case = case(revision.0);
        let session = server.open_session(&Dialect::legacy(revision));
        let mut client = server.connect();
        client.ask(&session.echo("done", "x")).assert_echo("done", "x");
        for id in [json!("done"), json!("unknown"), json!(0), json!(-7), json!("")] {
            client.ask(&session.cancelled(id)).assert_status(202);
        }
        // The id can be used again: later requests are new ones.
        client.ask(&session.echo("done", "y")).assert_echo("done", "y");
        client
            .ask(&session.tool("unknown", "sleep", json!({"ms": 20})))
            .tool_text();
        for params in [
            json!({}),
            json!({"requestId": null}),
            json!({"requestId": {"a": 1}}),
        ] {
            let status = client
                .ask(&session.notification("notifications/cancelled", params.clone()))
                .status;
            assert!([202, 400].contains(&status), "{params}: {status}");
        }
    }
}

#[test]
fn ids_are_of_one_type() {
    let server = Shared::usual();
    let session = server.open_session(&newest());
    for (id, other) in [(json!(1), json!("1")), (json!("1"), json!(1))] {
        let _case = case(id.to_string());
        let mut stream = server.open(&session.progress(id.clone(), 20, 10));
        stream.notification("notifications/progress");
        server.ask(&session.cancelled(other)).assert_status(202);
        assert_eq!(stream.rest().last().unwrap()["id"], id);
    }
}

#[test]
fn strangers_cancel_nothing() {
    let server = Server::start(&["--shards", "2"]);
    let session = server.open_session(&newest());
    let stranger = server.open_session(&newest());
    for (name, canceller) in [
        ("another session", stranger),
        ("nobody", newest()),
        ("the modern era", Dialect::modern()),
    ] {
        let _case = case(name);
        let mut stream = server.open(&session.progress("call", 20, 10));
        stream.notification("notifications/progress");
        for shard in 0..2 {
            connect_to(&server, shard)
                .ask(&canceller.cancelled("call"))
                .assert_status(202);
        }
        let rest = stream.rest();
        assert_eq!(rest.last().unwrap()["id"], "call", "{rest:?}");
        assert_eq!(rest.len(), 20);
    }
    // A modern client cannot cancel another's call, or its own, by a notification either.
    let mut stream = server.open(&Dialect::modern().progress("call", 20, 10));
    stream.notification("notifications/progress");
    server
        .ask(&Dialect::modern().cancelled("call"))
        .assert_status(202);
    assert_eq!(stream.rest().last().unwrap()["id"], "call");
    assert_eq!(outcomes(&server, "cancelled"), 0);
}

#[test]
fn a_request_that_waits_for_a_handler_can_be_cancelled() {
    let server = Server::start(&["--pool-size", "1"]);
    let session = server.open_session(&newest());
    let holder = crate::harness::hold(&server);
    let mut waiter = server.connect();
    waiter.send(&session.tool("waits", "sleep", json!({"ms": 60_000})));
    eventually("it waits", || crate::harness::waiting(&server) == 1);
    server.ask(&session.cancelled("waits")).assert_status(202);
    drop(holder);
    assert_over(&server);
}

#[test]
fn a_modern_client_that_leaves_its_stream_cancels_its_call() {
    let server = Server::start(&["--pool-size", "1"]);
    for (turn, (how, leave)) in LEAVES.into_iter().enumerate() {
        let _case = case(how);
        let mut stream = server.open(&Dialect::modern().progress(1, 5_000, 10));
        stream.notification("notifications/progress");
        leave(stream);
        // The only handler serves someone else.
        server.ask(&echo(2, "next")).assert_echo(2, "next");
        assert_over(&server);
        assert_eq!(outcomes(&server, "cancelled"), turn as u64 + 1);
    }
}

#[test]
fn a_legacy_client_that_loses_its_stream_cancels_nothing() {
    let server = Server::start(&["--shards", "2", "--pool-size", "2"]);
    for session in [newest(), server.open_session(&newest())] {
        for (how, leave) in LEAVES {
            let _case = case(how);
            let before = outcomes(&server, "ok");
            let mut stream = server.open(&session.progress(1, 20, 10));
            stream.notification("notifications/progress");
            leave(stream);
            eventually("the call has finished", || outcomes(&server, "ok") == before + 1);
        }
    }
    assert_eq!(outcomes(&server, "cancelled"), 0);
    assert_over(&server);
}

/// A call is cancelled and ends at the same time, over and over: it ends once, and nobody else is hit.
#[test]
fn cancelling_races_with_ending_and_harms_nobody() {
    let server = Server::start(&["--shards", "2", "--pool-size", "4"]);
    let session = server.open_session(&newest());
    let mut canceller = server.connect();
    let mut bystander = server.open(&session.progress("bystander", 200, 5));
    for turn in 0..60 {
        let mut caller = server.connect();
        caller.send(&session.tool(turn, "sleep", json!({"ms": turn % 4})));
        canceller.ask(&session.cancelled(turn)).assert_status(202);
        canceller
            .ask(&session.echo("between", "x"))
            .assert_echo("between", "x");
    }
    assert_eq!(bystander.rest().last().unwrap()["id"], "bystander");
    assert_over(&server);
    server.ask(&tool(1, "sleep", json!({"ms": 1}))).tool_text();
}
