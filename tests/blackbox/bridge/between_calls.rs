//! What the own child of a client says while it has no call: it goes to that client, by the stream of its session.

use serde_json::{Value, json};

use super::front::{Front, heard, legacy, over, told};
use super::sinner::act;
use crate::harness::{Conversation, TransportKind, case, eventually};

fn sessions() -> Front {
    let flags = ["--shards", "2", "--sse-legacy", "on"];
    Front::with(&["mcp"], "mode=session,on_loss=restart", &flags)
}

/// Has the client's child answer a call, and take these steps when nobody waits for it any more.
fn afterwards(client: &mut Conversation, steps: &[Value]) {
    let answer = json!(["answer", json!({"content": []}).to_string()]);
    let first = [answer, json!(["sleep", 100])];
    let id = client.call("act", act(first.iter().chain(steps).cloned()));
    client.result(&id);
}

fn log(level: &str) -> Value {
    json!(["notify", "notifications/message", {"level": level, "data": level, "n": 7}])
}

fn done() -> Value {
    json!(["notify", "notifications/elicitation/complete", {"elicitationId": "e"}])
}

fn form() -> Value {
    let params = json!({"message": "who?", "requestedSchema": {"type": "object", "properties": {}}});
    json!(["ask", "elicitation/create", params])
}

/// What the client's child has heard that has this in it.
fn heard_with(client: &mut Conversation, part: &str) -> usize {
    heard(client).iter().filter(|line| line.contains(part)).count()
}

fn hears_and_answers(mut client: Conversation, other: Option<Conversation>) {
    let mut other = other;
    if let Some(other) = &mut other {
        told(other, act(["count"]));
    }
    afterwards(&mut client, &[log("debug"), log("warning"), done(), form()]);
    let said = client.notification("notifications/message");
    assert_eq!((&said["data"], &said["n"]), (&json!("warning"), &json!(7)));
    let said = client.notification("notifications/elicitation/complete");
    assert_eq!(said["elicitationId"], "e");
    let asked = client.message();
    assert_eq!(asked["method"], "elicitation/create", "{asked}");
    assert_eq!(asked["params"]["message"], "who?");
    client.respond(&asked["id"], &json!({"action": "accept", "content": {"n": 1}}));
    eventually("its child hears the answer", || {
        heard_with(&mut client, r#""action":"accept""#) == 1
    });
    // What the session wants to hear counts.
    client.ask("logging/setLevel", json!({"level": "error"}));
    afterwards(&mut client, &[log("warning"), log("error")]);
    assert_eq!(client.notification("notifications/message")["data"], "error");
    client.assert_quiet();
    if let Some(mut other) = other {
        other.assert_quiet();
    }
}

#[test]
fn the_client_hears_it_and_is_asked() {
    for kind in [
        TransportKind::Http,
        TransportKind::WebSocket,
        TransportKind::HttpSse,
    ] {
        let _case = case(format!("{kind:?}"));
        let front = sessions();
        let connect = || {
            let mut client = front.connect_by(kind, legacy());
            client.initialize();
            client
        };
        hears_and_answers(connect(), Some(connect()));
    }
}

#[test]
fn the_client_that_started_the_server_hears_it_and_is_asked() {
    over(TransportKind::Stdio, || {
        let front = Front::of(&["mcp"], "mode=session");
        hears_and_answers(front.legacy(), None);
    });
}

/// Tells whoever listens that the steps before it are over.
fn over_with() -> Value {
    json!(["add", "over"])
}

/// Who has not declared that it answers, or has no stream, is not asked: the child hears so at once.
#[test]
fn a_client_that_cannot_be_asked_is_not() {
    let mut front = sessions();
    let mut client = front.connect(legacy().able(json!({"roots": {}})));
    client.initialize();
    afterwards(&mut client, &[form(), over_with()]);
    client.notification("notifications/tools/list_changed");
    assert_eq!(heard_with(&mut client, "-32601"), 1);
    let server = front.weir();
    let session = server.open_session(&legacy());
    let answer = json!(["answer", json!({"content": []}).to_string()]);
    let steps = [answer, json!(["sleep", 100]), form(), over_with()];
    server.ask(&session.tool(1, "act", act(steps)));
    eventually("its child goes on", || {
        let listed = server.ask(&session.request(2, "tools/list", json!({})));
        listed.json().to_string().contains("\"over\"")
    });
    let heard = server.ask(&session.tool(3, "act", act(["heard"])));
    assert!(heard.json().to_string().contains("-32601"));
}

/// Whoever shares a child hears nothing that is not about its call.
#[test]
fn what_a_shared_child_says_between_calls_is_nobodys() {
    for pool in ["interactive=on,max=1", "mode=shared,max=1"] {
        let front = Front::of(&["mcp"], pool);
        let mut client = front.legacy();
        afterwards(&mut client, &[log("error"), done(), form(), over_with()]);
        client.notification("notifications/tools/list_changed");
        assert_eq!(heard_with(&mut client, "-32601"), 1);
    }
}
