//! Lists where each client has a child of its own: a client is served what its child has, and hears when that changes.

use serde_json::{Value, json};

use super::front::{Front, legacy, names_of, told};
use super::sinner::act;
use crate::harness::{Conversation, Dialect, TransportKind, eventually};

const CHANGED: &str = "notifications/tools/list_changed";

/// A server on two shards whose children belong to sessions.
fn sessions(actions: &[&str], flags: &[&str]) -> Front {
    let flags = [&["--shards", "2"], flags].concat();
    Front::with(actions, "mode=session,on_loss=restart", &flags)
}

/// A client's child has one more tool from now on.
fn add(client: &mut Conversation, name: &str) {
    told(client, act([json!(["add", name])]));
}

fn tools(client: &mut Conversation) -> Vec<String> {
    names_of(client, "tools/list", "tools")
}

/// The code of the error by which a call of this tool is refused, if it is.
fn refusal(client: &mut Conversation, name: &str) -> Option<i64> {
    let id = client.call(name, json!({}));
    client.answer(&id)["error"]["code"].as_i64()
}

#[test]
fn a_client_is_served_what_its_own_child_has() {
    for actions in [["mcp"], ["mcp:[modern]"]] {
        let front = sessions(&actions, &["--sse-legacy", "on"]);
        let mut plain = front.legacy();
        let before = tools(&mut plain);
        assert!(!before.contains(&"extra".to_owned()));
        for kind in [
            TransportKind::Http,
            TransportKind::WebSocket,
            TransportKind::HttpSse,
        ] {
            let mut client = front.connect_by(kind, legacy());
            client.initialize();
            let mut other = front.connect_by(kind, legacy());
            other.initialize();
            assert_eq!(tools(&mut client), before);
            told(&mut other, act(["count"]));
            add(&mut client, "extra");
            client.notification(CHANGED);
            assert!(tools(&mut client).contains(&"extra".to_owned()));
            assert_eq!(refusal(&mut client, "extra"), None);
            // Others have what they had, hear of nothing, and cannot call it.
            assert_eq!(tools(&mut other), before);
            assert_eq!(refusal(&mut other, "extra"), Some(-32602));
            other.assert_quiet();
            add(&mut other, "another");
            other.notification(CHANGED);
            assert!(!tools(&mut other).contains(&"extra".to_owned()));
            assert!(!tools(&mut client).contains(&"another".to_owned()));
            client.assert_quiet();
        }
        assert_eq!(tools(&mut plain), before);
        plain.assert_quiet();
    }
}

#[test]
fn a_child_that_tells_of_no_changes_is_asked_again() {
    for actions in [["mcp:[secretive]"], ["mcp:[secretive,modern]"]] {
        let pool = "mode=session,list_ttl=1s";
        let front = Front::with(&actions, pool, &["--shards", "2"]);
        let mut client = front.legacy();
        let mut other = front.legacy();
        let before = tools(&mut other);
        told(&mut other, act(["count"]));
        add(&mut client, "extra");
        client.notification(CHANGED);
        assert!(tools(&mut client).contains(&"extra".to_owned()));
        assert_eq!(tools(&mut other), before);
        other.assert_quiet();
    }
}

#[test]
fn what_a_client_has_goes_with_its_child() {
    let front = sessions(&["mcp"], &[]);
    let mut client = front.legacy();
    let before = tools(&mut client);
    add(&mut client, "extra");
    client.notification(CHANGED);
    let id = client.call("act", act([json!(["signal", 9])]));
    client.answer_among(&id);
    eventually("it is served what all are", || {
        let id = client.send("tools/list", json!({}));
        let page = client.answer_among(&id);
        !page.to_string().contains("extra")
    });
    let mut anew = front.legacy();
    assert_eq!(tools(&mut anew), before);
}

#[test]
fn modern_listeners_hear_of_their_own_child_only() {
    let front = sessions(&["mcp"], &[]);
    let mut session = front.legacy();
    let before = tools(&mut session);
    // On this machine those who cannot be told apart are one client.
    let mut stranger = front.modern();
    told(&mut stranger, act(["count"]));
    let mut listener = front.modern();
    let wanted = json!({"notifications": {"toolsListChanged": true}});
    listener.send("subscriptions/listen", wanted);
    listener.notification("notifications/subscriptions/acknowledged");
    add(&mut session, "of-session");
    session.notification(CHANGED);
    add(&mut stranger, "of-strangers");
    let heard = listener.notification(CHANGED);
    assert!(heard["_meta"].is_object(), "{heard}");
    let names = tools(&mut stranger);
    assert!(names.contains(&"of-strangers".to_owned()) && !names.contains(&"of-session".to_owned()));
    listener.assert_quiet();
    session.assert_quiet();
    let mut other = front.connect(Dialect::legacy(crate::harness::Revision::NEWEST_LEGACY));
    other.initialize();
    let names: Vec<Value> = tools(&mut other).into_iter().map(Value::from).collect();
    assert_eq!(json!(names), json!(before));
}
