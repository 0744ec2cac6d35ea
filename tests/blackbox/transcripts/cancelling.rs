//! Cancelled calls: the server sends nothing more about them, and everything they held is free for others.

use serde_json::{Value, json};

use super::Feature;
use crate::harness::Conversation;

/// A call whose answer must be the next message, for which the only handler is needed.
fn assert_handler_is_free(conversation: &mut Conversation) {
    assert_eq!(conversation.text_of("echo", json!({"message": "next"})), "next");
}

/// The same; the messages in `may_come` are allowed before it.
fn assert_handler_is_free_after(conversation: &mut Conversation, may_come: impl Fn(&Value) -> bool) {
    let echo = conversation.call("echo", json!({"message": "next"}));
    loop {
        let message = conversation.message();
        if message["id"] == echo {
            return;
        }
        assert!(may_come(&message), "{message}");
    }
}

#[test]
fn calls_are_given_up() {
    Feature::Cancel.run(|conversation| {
        let running = conversation.call("sleep", json!({"ms": 60_000}));
        conversation.cancel(&running);
        assert_handler_is_free(conversation);
        let blocking = conversation.call("spin", json!({"ms": 60_000}));
        conversation.cancel(&blocking);
        assert_handler_is_free(conversation);
        let reading = conversation.send("resources/read", json!({"uri": "demo://sleep/60000"}));
        conversation.cancel(&reading);
        assert_handler_is_free(conversation);
    });
}

#[test]
fn a_call_that_tells_is_given_up() {
    Feature::Cancel.run(|conversation| {
        let steps = json!({"steps": 100_000, "delay_ms": 1});
        let telling = conversation.call_with("progress", steps, json!({"progressToken": "t"}));
        for _ in 0..2 {
            conversation.notification("notifications/progress");
        }
        conversation.cancel(&telling);
        let is_progress = |message: &Value| message["method"] == "notifications/progress";
        assert_handler_is_free_after(conversation, is_progress);
        assert_handler_is_free(conversation);
    });
}

#[test]
fn a_call_that_waits_is_given_up() {
    Feature::Cancel.run(|conversation| {
        let [running, waiting] = [(); 2].map(|()| conversation.call("sleep", json!({"ms": 60_000})));
        conversation.cancel(&waiting);
        conversation.cancel(&running);
        assert_handler_is_free(conversation);
    });
}

#[test]
fn what_is_over_or_unknown_cannot_be_given_up() {
    Feature::Cancel.run(|conversation| {
        let over = conversation.call("echo", json!({"message": "x"}));
        conversation.result(&over);
        conversation.cancel(&over);
        conversation.cancel(&json!("unknown"));
        conversation.cancel(&json!(0));
        assert_handler_is_free(conversation);
    });
}

#[test]
fn a_call_that_asks_is_given_up() {
    Feature::CancelledQuestion.run(|conversation| {
        let asking = conversation.call("ask", json!({"question": "Well?"}));
        let question = conversation.message();
        assert_eq!(question["method"], "elicitation/create", "{question}");
        conversation.cancel(&asking);
        let is_taken_back = |message: &Value| {
            message["method"] == "notifications/cancelled" && message["params"]["requestId"] == question["id"]
        };
        assert_handler_is_free_after(conversation, is_taken_back);
        // This comes too late, and is no error.
        conversation.respond(&question["id"], &json!({"action": "decline"}));
        assert_handler_is_free(conversation);
    });
}
