//! What children of the legacy era ask modern clients that have not declared it: the child is refused, and a call that
//! fails for it says what its client would have to declare.

use serde_json::{Value, json};

use super::front::Front;
use super::sinner::act;
use crate::harness::{Conversation, Dialect, text_of};

const FAILURE: &str = r#"{"code":-32603,"message":"I cannot go on"}"#;

/// Children whose client is known, which is asked from both shards.
fn fronts() -> [Front; 2] {
    ["interactive=on,max=1", "mode=session"].map(|pool| Front::with(&["mcp"], pool, &["--shards", "2"]))
}

fn able(front: &Front, abilities: Value) -> Conversation {
    front.connect(Dialect::modern().able(abilities))
}

fn form() -> Value {
    let params = json!({"message": "who?", "requestedSchema": {"type": "object", "properties": {}}});
    json!(["ask", "elicitation/create", params])
}

/// Both at once: something that `abilities` below allow, and something that they do not.
fn roots_and_form() -> Value {
    json!(["ask-both", "roots/list", {}, "elicitation/create", form()[2]])
}

fn call(steps: impl IntoIterator<Item = Value>) -> Value {
    json!({"name": "act", "arguments": act(steps)})
}

/// As a child fails that does not go on without an answer: by an error, or by a result.
fn failures() -> [Value; 2] {
    let result = json!({"content": [{"type": "text", "text": "no"}], "isError": true});
    [json!(["error", FAILURE]), json!(["answer", result])]
}

#[test]
fn a_call_that_fails_for_lack_of_a_capability_says_which() {
    for front in fronts() {
        // More clients than shards, so that some are elsewhere than the child.
        for abilities in [json!({}), json!({"roots": {}})].iter().cycle().take(4) {
            let mut client = able(&front, abilities.clone());
            for failure in failures() {
                let id = client.send("tools/call", call([form(), failure]));
                let error = client.error(&id, -32021);
                let needed = json!({"requiredCapabilities": {"elicitation": {"form": {}}}});
                assert_eq!(error["data"], needed, "{error}");
            }
            let sampling = json!({"messages": [], "maxTokens": 1});
            let asked = [form(), json!(["ask", "sampling/createMessage", sampling])];
            let id = client.send("tools/call", call(asked.into_iter().chain(failures())));
            let error = client.error(&id, -32021);
            let needed = json!({"elicitation": {"form": {}}, "sampling": {}});
            assert_eq!(error["data"]["requiredCapabilities"], needed, "{error}");
            client.finish();
        }
    }
}

/// A child that goes on without the answer is not meddled with, and a failure that has no such cause stays what it is.
#[test]
fn other_calls_end_as_their_child_says() {
    for front in fronts() {
        let mut client = able(&front, json!({"roots": {}}));
        let result = client.ask("tools/call", call([form()]));
        assert!(text_of(&result).contains("-32601"), "{result}");
        let id = client.send("tools/call", call([json!(["error", FAILURE])]));
        assert_eq!(client.error(&id, -32603)["message"], "I cannot go on");
        client.finish();
        let mut legacy = front.connect(Dialect::legacy(crate::harness::Revision::NEWEST_LEGACY));
        legacy.initialize();
        let id = legacy.send("tools/call", call([form(), json!(["error", FAILURE])]));
        legacy.error(&id, -32603);
        legacy.finish();
    }
}

/// Children of many clients at once ask nobody, whatever a client has declared.
#[test]
fn a_shared_child_fails_in_its_own_words() {
    let front = Front::start();
    let mut client = front.modern();
    let id = client.send("tools/call", call([form(), json!(["error", FAILURE])]));
    client.error(&id, -32603);
}

/// What the client can answer is asked, though the child asks beside it what it cannot. The child hears of that when
/// its client comes back.
#[test]
fn what_is_declared_is_asked_beside_what_is_not() {
    for front in fronts() {
        let mut client = able(&front, json!({"roots": {}}));
        for (ending, is_failure) in [(json!("count"), false), (json!(["error", FAILURE]), true)] {
            let mut params = call([roots_and_form(), ending]);
            let asked = client.ask("tools/call", params.clone());
            let requests = asked["inputRequests"].as_object().unwrap();
            assert_eq!(requests.len(), 1, "{asked}");
            let (key, request) = requests.iter().next().unwrap();
            assert_eq!(request["method"], "roots/list", "{asked}");
            params["inputResponses"] = json!({key: {"roots": []}});
            params["requestState"] = asked["requestState"].clone();
            let id = client.send("tools/call", params);
            if is_failure {
                let error = client.error(&id, -32021);
                let needed = json!({"elicitation": {"form": {}}});
                assert_eq!(error["data"]["requiredCapabilities"], needed, "{error}");
            } else {
                client.result(&id);
            }
        }
        client.finish();
    }
}

/// A call that its client does not come back to keeps nothing of what the next one asks.
#[test]
fn several_questions_of_a_call_stay_together() {
    let front = Front::with(&["mcp"], "mode=session", &["--shards", "2"]);
    let mut client = able(&front, json!({"roots": {}, "elicitation": {}}));
    client.ask("tools/call", call([form()]));
    for _ in 0..3 {
        let asked = client.ask("tools/call", call([roots_and_form()]));
        assert_eq!(asked["inputRequests"].as_object().unwrap().len(), 2, "{asked}");
    }
}
