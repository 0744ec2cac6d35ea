//! Messages that the server sends without being asked: changes of resources, and of lists.

use serde_json::{Value, json};

use super::Feature;
use crate::harness::{Conversation, subscription_of};

const WATCHED: &str = "test://watched-resource";
const UPDATED: &str = "notifications/resources/updated";

/// A subscription of the modern era, once it is acknowledged.
fn listen(conversation: &mut Conversation, asked: &Value) -> Value {
    let id = conversation.send("subscriptions/listen", json!({"notifications": asked}));
    let acknowledged = conversation.notification("notifications/subscriptions/acknowledged");
    assert_eq!(acknowledged["notifications"], *asked, "{acknowledged}");
    assert_eq!(*subscription_of(&acknowledged), id);
    id
}

/// Calls a tool and waits for its answer and for `count` notifications, which may come before it or behind it.
fn call_and_hear(conversation: &mut Conversation, tool: &str, count: usize) -> Vec<Value> {
    let call = conversation.call(tool, json!({}));
    let mut heard = Vec::new();
    let mut is_answered = false;
    while !is_answered || heard.len() < count {
        let message = conversation.message();
        if message["id"] == call {
            assert!(message.get("result").is_some(), "{message}");
            is_answered = true;
        } else {
            assert!(message.get("id").is_none(), "{message}");
            heard.push(message);
        }
    }
    heard
}

/// A request and its result; updates that were on their way are skipped.
fn ask_past_updates(conversation: &mut Conversation, method: &str, params: Value) -> Value {
    let id = conversation.send(method, params);
    loop {
        let message = conversation.message();
        if message["id"] == id {
            return message["result"].clone();
        }
        assert_eq!(message["method"], UPDATED, "{message}");
    }
}

#[test]
fn changes_are_told_to_who_subscribed() {
    Feature::Subscription.run(|conversation| {
        let trigger = "test_trigger_resource_update";
        // Not yet.
        let call = conversation.call(trigger, json!({}));
        conversation.result(&call);
        let listening = conversation
            .is_modern()
            .then(|| listen(conversation, &json!({"resourceSubscriptions": [WATCHED]})));
        if listening.is_none() {
            let subscribed = conversation.ask("resources/subscribe", json!({"uri": WATCHED}));
            assert_eq!(subscribed, json!({}));
        }
        for _ in 0..2 {
            for message in call_and_hear(conversation, trigger, 1) {
                assert_eq!(message["method"], UPDATED, "{message}");
                assert_eq!(message["params"]["uri"], WATCHED, "{message}");
                let tag = subscription_of(&message["params"]);
                assert_eq!(*tag, listening.clone().unwrap_or_default(), "{message}");
            }
        }
        match &listening {
            Some(id) => conversation.cancel(id),
            None => {
                let unsubscribe = json!({"uri": WATCHED});
                let unsubscribed = ask_past_updates(conversation, "resources/unsubscribe", unsubscribe);
                assert_eq!(unsubscribed, json!({}));
            }
        }
        // Nothing more comes. Messages that were on their way when the subscription ended have passed.
        ask_past_updates(conversation, "tools/list", json!({}));
        let call = conversation.call(trigger, json!({}));
        conversation.result(&call);
    });
}

#[test]
fn changes_of_lists_are_told() {
    Feature::ListChanged.run(|conversation| {
        let tools = json!({"toolsListChanged": true});
        let listening = conversation.is_modern().then(|| listen(conversation, &tools));
        let names = |conversation: &mut Conversation| {
            let list = conversation.ask("tools/list", json!({}));
            list["tools"].as_array().unwrap().len()
        };
        let before = names(conversation);
        // It is added, and removed.
        for count in [before + 1, before] {
            let heard = call_and_hear(conversation, "test_trigger_tool_change", 1);
            assert_eq!(
                heard[0]["method"], "notifications/tools/list_changed",
                "{heard:?}"
            );
            assert_eq!(names(conversation), count);
            // Nobody asked for this one in the modern era.
            let expected = usize::from(listening.is_none());
            let heard = call_and_hear(conversation, "test_trigger_prompt_change", expected);
            assert_eq!(heard.len(), expected, "{heard:?}");
            for message in heard {
                assert_eq!(
                    message["method"], "notifications/prompts/list_changed",
                    "{message}"
                );
            }
        }
        if let Some(id) = listening {
            conversation.cancel(&id);
        }
    });
}
