//! `subscriptions/listen`: it is acknowledged first, carries only what the client asked for, tags every message, and
//! ends in order.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{
    Dialect, EventStream, Request, Server, Shared, Watched, assert_updated, case, connect_to, echo,
    eventually, listen_to, subscription_of, uri_of,
};

const INVALID_PARAMS: i64 = -32602;
const MISSING_CAPABILITY: i64 = -32021;

fn listen(id: impl Into<Value>, asked: Value) -> Request {
    Dialect::modern().request(id, "subscriptions/listen", json!({"notifications": asked}))
}

/// Opens one and returns what was acknowledged.
#[track_caller]
fn open(server: &Server, id: impl Into<Value>, asked: Value) -> (EventStream, Value) {
    let id = id.into();
    let mut stream = server.open(&listen(id.clone(), asked));
    let mut params = stream.notification("notifications/subscriptions/acknowledged");
    assert_eq!(subscription_of(&params), &id);
    (stream, params["notifications"].take())
}

/// The last message of a subscription that the server ends.
#[track_caller]
fn assert_ended(stream: &mut EventStream, id: impl Into<Value>) {
    let id = id.into();
    let answer = stream.answer(id.clone());
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
    assert_eq!(subscription_of(&answer["result"]), &id);
}

#[test]
fn what_is_accepted_is_acknowledged_first() {
    let server = Shared::usual();
    let uri = "demo://about";
    for (asked, accepted) in [
        (json!({}), json!({})),
        (
            json!({"toolsListChanged": true}),
            json!({"toolsListChanged": true}),
        ),
        (
            json!({"promptsListChanged": true, "resourcesListChanged": true}),
            json!({"promptsListChanged": true, "resourcesListChanged": true}),
        ),
        (
            json!({"resourceSubscriptions": [uri]}),
            json!({"resourceSubscriptions": [uri]}),
        ),
        (
            json!({"toolsListChanged": true, "somethingNew": true, "others": ["x"]}),
            json!({"toolsListChanged": true}),
        ),
    ] {
        let _case = case(asked.to_string());
        let (_stream, acknowledged) = open(&server, "s", asked);
        assert_eq!(acknowledged, accepted);
    }
    // A client need not name what it does not want.
    let (_stream, acknowledged) = open(
        &server,
        "s",
        json!({"toolsListChanged": false, "promptsListChanged": true}),
    );
    assert_eq!(acknowledged["promptsListChanged"], true);
    assert_ne!(acknowledged["toolsListChanged"], true);
}

#[test]
fn tasks_are_told_of_to_who_knows_tasks() {
    let server = Shared::usual();
    let refused = server.ask(&listen(1, json!({"taskIds": ["x"]})));
    let error = refused.assert_error(400, MISSING_CAPABILITY, 1);
    let required = &error["data"]["requiredCapabilities"]["extensions"];
    assert!(required["io.modelcontextprotocol/tasks"].is_object(), "{error}");
}

#[test]
fn ids_keep_their_type() {
    let server = Shared::usual();
    for id in [
        json!("1"),
        json!(1),
        json!(-5),
        json!(0),
        json!(9_007_199_254_740_993_i64),
        json!("a \"quoted\" ☃"),
    ] {
        let _case = case(id.to_string());
        open(&server, id, json!({"toolsListChanged": true}));
    }
}

#[test]
fn what_is_no_filter_is_refused() {
    let server = Shared::usual();
    for asked in [
        json!(null),
        json!([]),
        json!("tools"),
        json!({"toolsListChanged": "yes"}),
        json!({"resourceSubscriptions": "demo://about"}),
        json!({"resourceSubscriptions": [1]}),
        json!({"resourceSubscriptions": {"uri": "demo://about"}}),
    ] {
        let _case = case(asked.to_string());
        server.ask(&listen(1, asked)).assert_error(200, INVALID_PARAMS, 1);
    }
    let bare = Dialect::modern().request(2, "subscriptions/listen", json!({}));
    server.ask(&bare).assert_error(200, INVALID_PARAMS, 2);
}

#[test]
fn only_streams_can_carry_it() {
    let server = Shared::usual();
    let request = listen(1, json!({"toolsListChanged": true}));
    let refused = server.ask(&request.clone().with("Accept", "application/json"));
    assert_eq!(refused.status, 406, "{}", refused.text());
    let mut only = server.open(&request.clone().with("Accept", "text/event-stream"));
    only.notification("notifications/subscriptions/acknowledged");
    let mut old = server.open(&request.with_version("HTTP/1.0"));
    assert!(!old.is_chunked());
    old.notification("notifications/subscriptions/acknowledged");
}

#[test]
fn each_hears_what_it_asked_for_on_every_shard() {
    let server = Watched::start(&[]);
    let mut streams: Vec<(usize, EventStream)> = [0, 1, 0, 1]
        .into_iter()
        .enumerate()
        .map(|(number, shard)| {
            let name = ["a.txt", "b.txt"][number / 2];
            (number, listen_to(connect_to(&server, shard), number, &[name]))
        })
        .collect();
    let (mut deaf, _) = open(&server, "deaf", json!({"toolsListChanged": true}));
    server.change("b.txt");
    for (number, stream) in &mut streams[2..] {
        let _case = case(format!("stream {number}"));
        let params = assert_updated(stream, "b.txt", None);
        assert_eq!(subscription_of(&params), &json!(*number));
    }
    server.change("a.txt");
    for (number, stream) in &mut streams[..2] {
        let _case = case(format!("stream {number}"));
        // This is its first message: nothing was sent about the other file.
        let params = assert_updated(stream, "a.txt", None);
        assert_eq!(subscription_of(&params), &json!(*number));
    }
    server.signal(Signal::TERM);
    assert_ended(&mut deaf, "deaf");
    server.wait_for_end();
}

#[test]
fn several_on_one_id_are_several() {
    let server = Watched::start(&[]);
    let mut first = listen_to(server.connect(), "same", &["a.txt"]);
    let mut second = listen_to(server.connect(), "same", &["a.txt", "b.txt"]);
    server.change("a.txt");
    for stream in [&mut first, &mut second] {
        assert_updated(stream, "a.txt", None);
    }
    first.leave();
    server.change("b.txt");
    assert_updated(&mut second, "b.txt", Some("a.txt"));
    server.change("a.txt");
    assert_updated(&mut second, "a.txt", Some("b.txt"));
}

#[test]
fn a_file_named_twice_is_told_once() {
    let server = Watched::start(&[]);
    let asked = json!({"resourceSubscriptions": [uri_of("a.txt"), uri_of("a.txt"), uri_of("c.txt")]});
    let (mut stream, _) = open(&server, 1, asked);
    // A deletion is one event to the kernel.
    std::fs::remove_file(server.path("a.txt")).unwrap();
    assert_updated(&mut stream, "a.txt", None);
    std::fs::remove_file(server.path("c.txt")).unwrap();
    let next = stream.notification("notifications/resources/updated");
    assert_eq!(next["uri"], uri_of("c.txt").as_str(), "{next}");
}

#[test]
fn subscriptions_hold_no_handler_and_go_with_their_clients() {
    let server = Server::start(&["--pool-size", "1"]);
    let streams: Vec<EventStream> = (0..20)
        .map(|number| open(&server, number, json!({"toolsListChanged": true})).0)
        .collect();
    assert_eq!(server.busy_handlers(), 0);
    server.ask(&echo(1, "x")).assert_echo(1, "x");
    eventually("only they are left", || {
        server.metric("weir_connections", &[]) == 20
    });
    for (number, stream) in streams.into_iter().enumerate() {
        if number % 2 == 0 {
            stream.leave();
        } else {
            stream.reset();
        }
    }
    eventually("all are gone", || server.metric("weir_connections", &[]) == 0);
}

#[test]
fn a_drain_ends_subscriptions_with_their_results() {
    let mut server = Server::start(&["--shards", "2"]);
    let mut streams: Vec<EventStream> = (0..10)
        .map(|number| open(&server, number, json!({"toolsListChanged": true})).0)
        .collect();
    let mut old = server.open(&listen("old", json!({})).with_version("HTTP/1.0"));
    old.notification("notifications/subscriptions/acknowledged");
    server.signal(Signal::TERM);
    for (number, mut stream) in streams.drain(..).enumerate() {
        let _case = case(format!("stream {number}"));
        assert_ended(&mut stream, number);
        stream.into_client().assert_closed();
    }
    assert_ended(&mut old, "old");
    assert_eq!(server.wait().code(), Some(0));
}

/// What is sent behind a subscription waits for its end, which the drain brings.
#[test]
fn a_request_behind_a_subscription_is_not_answered_before_its_end() {
    let server = Shared::usual();
    let (mut stream, _) = open(&server, 1, json!({"toolsListChanged": true}));
    stream.client().send(&echo(2, "behind"));
    // Another client's request is answered meanwhile, and nothing has come here.
    server.ask(&echo(3, "x")).assert_echo(3, "x");
    assert!(stream.client().is_silent());
}
