//! Every method in every revision, the wrong era included, from the table in `era_matrix`.

use serde_json::{Value, json};

use super::Feature;
use crate::era_matrix::{Expected, table};
use crate::harness::{Conversation, case};

const INVALID_REQUEST: i64 = -32600;

/// Goes through the table.
fn meet_every_method(conversation: &mut Conversation) {
    for (method, params, legacy, modern) in table("demo://about") {
        let _case = case(format!("{method:?}"));
        // No header can name what is empty, and this conversation was begun before.
        let is_left_out = if conversation.is_modern() {
            method.is_empty()
        } else {
            method == "initialize"
        };
        if is_left_out {
            continue;
        }
        let expected = if conversation.is_modern() { modern } else { legacy };
        let id = conversation.send(method, params);
        match expected {
            Expected::Result => drop(conversation.result(&id)),
            Expected::Error(_, code) => drop(conversation.error(&id, code)),
            Expected::Stream => {
                conversation.notification("notifications/subscriptions/acknowledged");
                conversation.cancel(&id);
            }
        }
    }
}

#[test]
fn every_method_in_every_revision() {
    Feature::Methods.run(meet_every_method);
}

/// Notifications are never answered, whatever their name.
#[test]
fn notifications_of_any_name_are_taken_in_silence() {
    Feature::Methods.run(|conversation| {
        for (method, params, ..) in table("demo://about") {
            let _case = case(format!("{method:?}"));
            if !method.is_empty() {
                conversation.notify(method, params);
            }
        }
        conversation.assert_quiet();
    });
}

/// An id may be used again once it was answered, whatever it was used for.
#[test]
fn ids_are_used_again() {
    Feature::Methods.run(|conversation| {
        for id in [json!(900), json!("900"), json!(0), json!(-1), json!("")] {
            for message in ["x", "y"] {
                let said = conversation.ask_as(&id, "tools/call", echo(message));
                assert_eq!(said["content"][0]["text"], message);
            }
        }
    });
}

/// Where there is one conversation per connection, it begins once; where there may be several, this begins another.
#[test]
fn a_conversation_goes_on_whatever_is_begun_in_it() {
    Feature::Eras.run(|conversation| {
        let subscribe = json!({"uri": "demo://about"});
        conversation.ask("resources/subscribe", subscribe.clone());
        let again = json!({
            "protocolVersion": conversation.dialect.revision.0,
            "capabilities": {},
            "clientInfo": {"name": "blackbox", "version": "2"},
        });
        let id = conversation.send("initialize", again);
        let answer = conversation.answer(&id);
        let is_refused = answer["error"]["code"] == INVALID_REQUEST;
        assert!(is_refused || answer.get("result").is_some(), "{answer}");
        conversation.ask("resources/unsubscribe", subscribe);
        let said = conversation.ask("tools/call", echo("on"));
        assert_eq!(said["content"][0]["text"], "on");
    });
}

fn echo(message: &str) -> Value {
    json!({"name": "echo", "arguments": {"message": message}})
}
