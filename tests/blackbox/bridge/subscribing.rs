//! Updates of resources where each client has a child of its own: that child is subscribed to, and what it tells is for
//! its client only.

use serde_json::{Value, json};

use super::front::{Front, legacy};
use super::sinner::act;
use crate::harness::{Conversation, Request, TransportKind, eventually};

const UPDATED: &str = "notifications/resources/updated";
const ONE: &str = "child://one";

/// A server on two shards whose children belong to sessions.
fn sessions(actions: &[&str], pool: &str) -> Front {
    Front::with(actions, &format!("mode=session,{pool}"), &["--shards", "2"])
}

fn updated(uri: &str) -> Value {
    json!(["notify", UPDATED, {"uri": uri}])
}

/// A client's own child tells of an update before it answers; what came before the answer.
fn tell(client: &mut Conversation, uris: &[&str]) {
    let steps: Vec<Value> = uris.iter().map(|uri| updated(uri)).collect();
    client.call("act", json!({ "steps": steps }));
}

/// The client hears of one update, and of the answer to what it called before.
#[track_caller]
fn hears(client: &mut Conversation, uri: &str) {
    let messages = [client.message(), client.message()];
    let updates = messages.iter().filter(|message| message["method"] == UPDATED);
    let uris: Vec<&Value> = updates.map(|message| &message["params"]["uri"]).collect();
    assert_eq!(uris, [uri], "{messages:?}");
    let is_answer = |message: &Value| message.get("result").is_some();
    assert_eq!(messages.iter().filter(|message| is_answer(message)).count(), 1);
}

/// The client hears of nothing but the answer to what it called before.
#[track_caller]
fn hears_nothing(client: &mut Conversation) {
    let message = client.message();
    assert!(message.get("result").is_some(), "{message}");
    client.assert_quiet();
}

/// What a client's own child was asked of subscriptions, in order, without the rest of the lines.
fn asked(client: &mut Conversation) -> Vec<String> {
    let lines: Vec<String> = serde_json::from_str(&client.text_of("act", act(["heard"]))).unwrap();
    let asked = lines.iter().filter_map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let method = line["method"].as_str()?.strip_prefix("resources/")?.to_owned();
        let uri = line["params"]["uri"].as_str()?;
        Some(format!("{method} {uri}"))
    });
    asked.filter(|asked| asked.contains("subscribe")).collect()
}

/// The resources of whose updates a client's own modern child is to tell: those of the last request.
fn listened(client: &mut Conversation) -> Value {
    let lines: Vec<String> = serde_json::from_str(&client.text_of("act", act(["heard"]))).unwrap();
    let mut listens = lines
        .iter()
        .filter(|line| line.contains("subscriptions/listen"))
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let last = listens.next_back().unwrap_or_default();
    last["params"]["notifications"]["resourceSubscriptions"].clone()
}

#[test]
fn updates_reach_the_session_whose_child_tells() {
    let front = sessions(&["mcp"], "");
    let (mut first, mut second, mut third) = (front.legacy(), front.legacy(), front.legacy());
    let one = json!({"uri": ONE});
    first.ask("resources/subscribe", one.clone());
    second.ask("resources/subscribe", one.clone());
    for client in [&mut first, &mut second] {
        eventually("its child is subscribed to", || {
            asked(client) == ["subscribe child://one"]
        });
    }
    assert!(asked(&mut third).is_empty());
    // Every child tells of everything; each client hears of what it asked for, and from its own child.
    for client in [&mut third, &mut first] {
        tell(client, &[ONE, "child://two"]);
    }
    hears(&mut first, ONE);
    hears_nothing(&mut third);
    first.assert_quiet();
    second.assert_quiet();
    tell(&mut second, &[ONE]);
    hears(&mut second, ONE);
    first.ask("resources/unsubscribe", one);
    eventually("its child is unsubscribed from", || {
        asked(&mut first)
            .last()
            .is_some_and(|last| last == "unsubscribe child://one")
    });
    tell(&mut first, &[ONE]);
    hears_nothing(&mut first);
    assert_eq!(asked(&mut second), ["subscribe child://one"]);
}

/// A client that only listens has a child that tells it, and is told by the next one when that dies.
#[test]
fn a_client_that_makes_no_calls_is_told_by_its_child_and_by_the_next() {
    for (actions, is_modern) in [(["mcp"], false), (["mcp:[modern]"], true)] {
        let front = sessions(&actions, "on_loss=restart");
        let mut client = front.legacy();
        client.ask("resources/subscribe", json!({"uri": ONE}));
        let is_subscribed = |client: &mut Conversation| {
            if is_modern {
                listened(client) == json!([ONE])
            } else {
                asked(client) == ["subscribe child://one"]
            }
        };
        eventually("its child is subscribed to", || is_subscribed(&mut client));
        let id = client.call("act", act([json!(["signal", 9])]));
        client.answer(&id);
        eventually("its successor is subscribed to", || is_subscribed(&mut client));
        tell(&mut client, &[ONE]);
        hears(&mut client, ONE);
        client.ask("resources/unsubscribe", json!({"uri": ONE}));
        eventually("it is unsubscribed from", || {
            if is_modern {
                listened(&mut client).is_null()
            } else {
                asked(&mut client).len() == 2
            }
        });
    }
}

#[test]
fn modern_listeners_hear_the_child_that_is_theirs() {
    for actions in [["mcp"], ["mcp:[modern]"]] {
        let front = sessions(&actions, "key_header=X-User");
        let mut session = front.legacy();
        session.ask("resources/subscribe", json!({"uri": ONE}));
        // Those who cannot be told apart are one client on this machine.
        let mut listener = front.modern();
        let wanted = json!({"notifications": {"resourceSubscriptions": [ONE]}});
        listener.send("subscriptions/listen", wanted);
        let granted = listener.notification("notifications/subscriptions/acknowledged");
        assert!(granted.to_string().contains(ONE), "{granted}");
        let mut same = front.modern();
        eventually("its child is subscribed to", || {
            listened(&mut same) == json!([ONE]) || asked(&mut same).len() == 1
        });
        tell(&mut session, &[ONE]);
        hears(&mut session, ONE);
        listener.assert_quiet();
        same.text_of("act", act([updated(ONE)]));
        assert_eq!(listener.notification(UPDATED)["uri"], ONE);
        session.assert_quiet();
        drop(listener);
        eventually("its child is unsubscribed from", || {
            asked(&mut same).len() == 2 || asked(&mut same).is_empty() && listened(&mut same).is_null()
        });
    }
}

#[test]
fn a_channel_hears_its_own_child_on_every_transport() {
    let front = Front::with(&["mcp"], "mode=session", &["--shards", "2", "--sse-legacy", "on"]);
    for kind in [TransportKind::WebSocket, TransportKind::HttpSse] {
        let mut clients = [(); 2].map(|()| {
            let mut client = front.connect_by(kind, legacy());
            client.initialize();
            client
        });
        for client in &mut clients {
            client.ask("resources/subscribe", json!({"uri": ONE}));
            eventually("its child is subscribed to", || asked(client).len() == 1);
        }
        tell(&mut clients[0], &[ONE]);
        hears(&mut clients[0], ONE);
        clients[1].assert_quiet();
    }
}

#[test]
fn a_session_that_ends_takes_its_child_and_what_that_told() {
    let mut front = sessions(&["mcp"], "min_idle=1");
    let session = front.weir().open_session(&legacy());
    let subscribe = session.request(1, "resources/subscribe", json!({"uri": ONE}));
    assert_eq!(*front.weir().ask(&subscribe).result(), json!({}));
    eventually("it has a child, and another is warm", || {
        front.processes().len() == 2
    });
    let id = session.session.as_deref().unwrap();
    let request = Request::new("DELETE", "/mcp").with("Mcp-Session-Id", id);
    assert!(front.weir().ask(&request).status < 300);
    eventually("its child ends, and none comes for it", || {
        front.processes().len() == 1
    });
}
