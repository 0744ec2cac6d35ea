//! Children that have one client at a time, and what they say to it besides answers: questions.

use serde_json::{Value, json};

use super::front::{Front, told};
use super::sinner::act;
use crate::harness::{Conversation, Dialect, Revision, text_of};

/// Fronts of one child each whose client is known: every kind of pool in which that is so.
fn fronts() -> [Front; 2] {
    [interactive(), Front::of(&["mcp"], "mode=call,max=2,min_idle=2")]
}

fn interactive() -> Front {
    Front::of(&["mcp"], "interactive=on,max=1")
}

/// A step that asks this of the client; the answer's line becomes the text of the call.
fn ask(method: &str, params: Value) -> Value {
    json!(["ask", method, params])
}

fn form() -> Value {
    let params = json!({"message": "who?", "requestedSchema": {"type": "object", "properties": {}}});
    ask("elicitation/create", params)
}

fn answer_to(method: &str, _: &Value) -> Value {
    match method {
        "elicitation/create" => json!({"action": "accept", "content": {"name": "Ada"}}),
        "sampling/createMessage" => {
            json!({"role": "assistant", "content": {"type": "text", "text": "hm"}, "model": "m"})
        }
        "roots/list" => json!({"roots": [{"uri": "file:///a"}]}),
        _ => panic!("{method}"),
    }
}

#[test]
fn legacy_clients_are_asked_everything_that_they_have_declared() {
    for front in fronts() {
        let mut client = front.legacy();
        let sampling = json!({"messages": [], "maxTokens": 1});
        for (step, said) in [
            (form(), "Ada"),
            (ask("sampling/createMessage", sampling), "hm"),
            (ask("roots/list", json!({})), "file:///a"),
        ] {
            let conversed = client.converse("act", act([step]), &[1], answer_to);
            let text = text_of(&conversed.result).to_owned();
            assert!(text.contains(said), "{text}");
        }
        client.finish();
    }
}

#[test]
fn questions_of_two_clients_at_once_are_each_its_own() {
    let front = Front::of(&["mcp"], "interactive=on,min_idle=2,max=2");
    let mut clients = [front.legacy(), front.legacy()];
    let calls = clients.each_mut().map(|client| client.call("act", act([form()])));
    let asked = clients.each_mut().map(Conversation::message);
    for (number, client) in clients.iter_mut().enumerate().rev() {
        let content = json!({"action": "accept", "content": {"number": number}});
        client.respond(&asked[number]["id"], &content);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let text = text_of(&client.result(&calls[number])).to_owned();
        assert!(text.contains(&format!("\"number\":{number}")), "{text}");
    }
}

#[test]
fn older_clients_are_asked_in_their_own_words() {
    for revision in Revision::ALL_LEGACY {
        let dialect = Dialect::legacy(revision).able(json!({"elicitation": {}, "sampling": {}}));
        let front = interactive();
        let mut client = front.connect(dialect);
        client.initialize();
        let messages = json!([{"role": "user", "content": {"type": "text", "text": "hi"}}]);
        let step = ask(
            "sampling/createMessage",
            json!({"messages": messages, "maxTokens": 1}),
        );
        let conversed = client.converse("act", act([step]), &[1], answer_to);
        assert!(text_of(&conversed.result).contains("hm"));
        let has_forms = revision.0 >= "2025-06-18";
        let id = client.call("act", act([form()]));
        if has_forms {
            let asked = client.message();
            assert_eq!(asked["method"], "elicitation/create", "{asked}");
            client.respond(&asked["id"], &json!({"action": "decline"}));
        }
        let text = text_of(&client.result(&id)).to_owned();
        assert_eq!(text.contains("-32601"), !has_forms, "{text}");
    }
}

#[test]
fn a_client_that_declares_nothing_is_asked_nothing() {
    for front in fronts() {
        let mut client = front.connect(Dialect::legacy(Revision::NEWEST_LEGACY));
        client.initialize();
        assert!(told(&mut client, act([form()])).contains("-32601"));
        client.finish();
    }
}
