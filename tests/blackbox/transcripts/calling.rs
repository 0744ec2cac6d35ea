//! Calls, how they fail, and how they are refused when there is no room for them.

use serde_json::{Value, json};

use super::Feature;
use crate::harness::{Conversation, Revision, eventually_some, text_of};

const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;
const OVERLOADED: i64 = -31503;

#[test]
fn calls_are_answered() {
    Feature::Call.run(|conversation| {
        for message in [
            "x",
            "",
            "a \"quoted\" ☃\n\r\n\t\u{0}\u{2028}",
            &"long ".repeat(20_000),
        ] {
            assert_eq!(conversation.text_of("echo", json!({"message": message})), message);
        }
        assert_eq!(conversation.text_of("sleep", json!({"ms": 5})), "slept 5 ms");
        assert_eq!(conversation.text_of("spin", json!({"ms": 1})), "spun 1 ms");
        assert_eq!(
            conversation.text_of("blob", json!({"bytes": 200_000})).len(),
            200_000
        );
    });
}

/// A long call keeps no other waiting.
#[test]
fn calls_run_side_by_side() {
    Feature::CallsSideBySide.run(|conversation| {
        let steps = json!({"steps": 100_000, "delay_ms": 10});
        let long = conversation.call_with("progress", steps, json!({"progressToken": "long"}));
        // Its progress shows that it runs: over HTTP, a message that is sent later may be read earlier.
        conversation.notification("notifications/progress");
        for arguments in [json!({"message": "beside"}), json!({"message": "it"})] {
            let quick = conversation.call("echo", arguments.clone());
            let result = result_past_progress(conversation, &quick);
            assert_eq!(text_of(&result), arguments["message"]);
        }
        conversation.cancel(&long);
        // Progress from before the cancellation may have been on its way.
        let list = conversation.send("tools/list", json!({}));
        result_past_progress(conversation, &list);
    });
}

/// The result of a request; progress of other calls is skipped.
fn result_past_progress(conversation: &mut Conversation, id: &Value) -> Value {
    loop {
        let mut message = conversation.message();
        if message["id"] == *id {
            return message["result"].take();
        }
        assert_eq!(message["method"], "notifications/progress", "{message}");
    }
}

/// These are as many as may be under way at once.
#[test]
fn many_calls_are_each_answered_once() {
    Feature::CallsSideBySide.run(|conversation| {
        let mut calls: Vec<(Value, String)> = (0..60)
            .map(|number| {
                let message = format!("message {number}");
                let naps = number % 3 == 0;
                let id = if naps {
                    conversation.call("sleep", json!({"ms": number % 7}))
                } else {
                    conversation.call("echo", json!({"message": message}))
                };
                let said = if naps {
                    format!("slept {} ms", number % 7)
                } else {
                    message
                };
                (id, said)
            })
            .collect();
        while !calls.is_empty() {
            let answer = conversation.message();
            let position = calls.iter().position(|(id, _)| answer["id"] == *id);
            let (_, said) = calls.swap_remove(position.unwrap_or_else(|| panic!("{answer}")));
            assert_eq!(text_of(&answer["result"]), said);
        }
    });
}

#[test]
fn tools_fail_in_words() {
    Feature::ToolError.run(|conversation| {
        let failing = conversation.call("fail", json!({"how": "error"}));
        let result = conversation.result(&failing);
        assert_eq!(result["isError"], true);
        assert_eq!(result["content"][0]["text"], "failed as asked");
        // Arguments that break the tool's schema give a text for the model since 2025-11-25.
        for arguments in [json!({}), json!({"message": 1})] {
            let wrong = conversation.call("echo", arguments);
            if conversation.dialect.revision >= Revision::NEWEST_LEGACY {
                assert_eq!(conversation.result(&wrong)["isError"], true);
            } else {
                conversation.error(&wrong, INVALID_PARAMS);
            }
        }
    });
}

#[test]
fn what_is_wrong_is_told_and_the_conversation_goes_on() {
    Feature::ProtocolError.run(|conversation| {
        let unknown = conversation.call("no-such-tool", json!({}));
        conversation.error(&unknown, INVALID_PARAMS);
        let unknown = conversation.send("no/such/method", json!({}));
        conversation.error(&unknown, METHOD_NOT_FOUND);
        conversation.send_raw("{\"jsonrpc\":\"2.0\",\"id\":1,");
        conversation.error(&json!(1), PARSE_ERROR);
        conversation.send_raw("nonsense");
        conversation.error(&Value::Null, PARSE_ERROR);
        conversation.send_raw("{\"jsonrpc\":\"1.0\",\"id\":77,\"method\":\"tools/list\"}");
        let refused = conversation.message();
        assert_eq!(refused["error"]["code"], INVALID_REQUEST, "{refused}");
        assert_eq!(refused["id"], 77, "{refused}");
        assert_eq!(conversation.text_of("echo", json!({"message": "on"})), "on");
        // An unknown notification is no error.
        conversation.notify("notifications/no-such", json!({}));
        assert_eq!(conversation.text_of("echo", json!({"message": "on"})), "on");
    });
}

#[test]
fn who_finds_no_handler_is_told_not_now() {
    Feature::Overload.run(|conversation| {
        let holder = conversation.call("sleep", json!({"ms": 60_000}));
        let error = eventually_some("the handler is held", || {
            let call = conversation.call("echo", json!({"message": "x"}));
            answer_or_overload(conversation, &call).err()
        });
        assert_eq!(error["data"]["reason"], "handlers", "{error}");
        // A request that needs no handler is answered.
        conversation.ask("tools/list", json!({}));
        conversation.assert_quiet();
        conversation.cancel(&holder);
        eventually_some("the handler is there for others", || {
            let call = conversation.call("echo", json!({"message": "x"}));
            answer_or_overload(conversation, &call).ok()
        });
    });
}

/// The result of a call, or the error that it found no room.
fn answer_or_overload(conversation: &mut Conversation, call: &Value) -> Result<Value, Value> {
    let answer = conversation.answer(call);
    if answer.get("result").is_some() {
        return Ok(answer["result"].clone());
    }
    assert_eq!(answer["error"]["code"], OVERLOADED, "{answer}");
    Err(answer["error"].clone())
}
