//! Subscriptions over a WebSocket, in both eras, beside calls on the same connection.

use serde_json::{Value, json};

use crate::harness::{Dialect, Incoming, Revision, Watched, WebSocket, case, echo, subscription_of, uri_of};

/// Skips further announcements of one write: more changes of the same file.
#[track_caller]
fn updated(socket: &mut WebSocket, name: &str, before: Option<&str>) -> Value {
    loop {
        let params = socket.notification("notifications/resources/updated");
        if params["uri"] == uri_of(name).as_str() {
            return params;
        }
        let before = before.map(uri_of);
        assert_eq!(params["uri"].as_str(), before.as_deref(), "{params}");
    }
}

#[test]
fn a_legacy_session_hears_what_it_subscribed_to() {
    let server = Watched::start(&[]);
    for revision in Revision::ALL_LEGACY {
        let _case = case(revision.0);
        let dialect = Dialect::legacy(revision);
        let mut socket = server.open_websocket();
        socket.open_session(&dialect);
        let subscribe = |name: &str| {
            let params = json!({"uri": uri_of(name)});
            dialect.request(name, "resources/subscribe", params)
        };
        for name in ["a.txt", "b.txt"] {
            assert_eq!(socket.ask(&subscribe(name))["result"], json!({}));
        }
        server.change("c.txt");
        server.change("a.txt");
        updated(&mut socket, "a.txt", None);
        server.change("b.txt");
        updated(&mut socket, "b.txt", Some("a.txt"));
        socket.reset();
    }
}

#[test]
fn modern_clients_listen_as_often_as_they_like_and_stop_by_cancelling() {
    let server = Watched::start(&[]);
    let dialect = Dialect::modern();
    let mut socket = server.open_websocket();
    let mut listen = |id: &str, name: &str| {
        let asked = json!({"resourceSubscriptions": [uri_of(name)]});
        let params = json!({"notifications": asked});
        socket.send(&dialect.request(id, "subscriptions/listen", params));
        let acknowledged = socket.notification("notifications/subscriptions/acknowledged");
        assert_eq!(subscription_of(&acknowledged), id);
        assert_eq!(acknowledged["notifications"], asked, "{acknowledged}");
    };
    listen("to a", "a.txt");
    listen("to b", "b.txt");
    server.change("a.txt");
    let told = updated(&mut socket, "a.txt", None);
    assert_eq!(subscription_of(&told), "to a");
    server.change("b.txt");
    let told = updated(&mut socket, "b.txt", Some("a.txt"));
    assert_eq!(subscription_of(&told), "to b");
    // Calls go on meanwhile.
    socket.send(&echo("meanwhile", "x"));
    until_answer(&mut socket, "meanwhile");
    // The cancelled subscription gets no more messages, except for some that were on their way.
    socket.send(&dialect.cancelled("to a"));
    socket.send(&echo("cancelled", "x"));
    until_answer(&mut socket, "cancelled");
    server.change("a.txt");
    server.change("b.txt");
    let told = updated(&mut socket, "b.txt", None);
    assert_eq!(subscription_of(&told), "to b");
    socket.reset();
}

/// Reads past notifications.
#[track_caller]
fn until_answer(socket: &mut WebSocket, id: &str) {
    loop {
        match socket.try_receive() {
            Ok(Incoming::Message(message)) if message["id"] == id => return,
            Ok(Incoming::Message(message)) => assert!(message.get("id").is_none(), "{message}"),
            other => panic!("no answer but {other:?}"),
        }
    }
}

#[test]
fn a_drain_ends_subscriptions_in_order_and_closes() {
    let server = Watched::start(&[]);
    let mut socket = server.open_websocket();
    let params = json!({"notifications": {"resourceSubscriptions": [uri_of("a.txt")]}});
    socket.send(&Dialect::modern().request("listen", "subscriptions/listen", params));
    socket.notification("notifications/subscriptions/acknowledged");
    server.signal(rustix::process::Signal::TERM);
    let ended = loop {
        let message = socket.message();
        if message.get("method").is_none() {
            break message;
        }
    };
    assert_eq!(ended["id"], "listen", "{ended}");
    assert_eq!(ended["result"]["resultType"], "complete", "{ended}");
    socket.assert_closed(1001);
    server.wait_for_end();
}
