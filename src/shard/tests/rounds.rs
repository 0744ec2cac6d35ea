//! Calls that are answered with questions, whose state is bound to the request that they came with, and calls that
//! speak early.

use serde_json::{Value, json};

use super::client::{Client, post};
use super::rig::{Rig, Sizes};

fn ask(rig: &mut Rig, client: &Client, params: Value) -> Value {
    let answer = answer(rig, client, params);
    let (_, body) = answer.split_once("\r\n\r\n").expect("it is answered at once");
    serde_json::from_str(body).unwrap()
}

fn answer(rig: &mut Rig, client: &Client, params: Value) -> String {
    let tool = params["name"].as_str().unwrap().to_owned();
    let mut message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    message["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
        "io.modelcontextprotocol/logLevel": "debug",
    });
    let fields =
        format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n");
    client.peer.write(&post(&fields, message.to_string().as_bytes()));
    rig.run();
    String::from_utf8(client.peer.read()).unwrap()
}

fn call(secret: &str) -> Value {
    json!({"name": "ask", "arguments": {"secret": secret}})
}

fn accepting(mut params: Value, state: &Value) -> Value {
    params["inputResponses"] = json!({"ok": {"action": "accept", "content": {}}});
    params["requestState"] = state.clone();
    params
}

#[test]
fn a_state_is_bound_to_its_request_however_large() {
    let mut rig = Rig::new(1, Sizes::default());
    let client = Client::new(rig.connect());
    let buffer_bytes = Sizes::DEFAULT.handler_buffer_bytes;
    // The message is kept with the handler if it fits its buffer.
    for secret in ["a".to_owned(), "b".repeat(buffer_bytes)] {
        let asked = ask(&mut rig, &client, call(&secret));
        let state = &asked["result"]["requestState"];
        assert!(state.is_string(), "{asked}");

        let other = format!("{secret}c");
        let params = accepting(call(&other), state);
        let refused = ask(&mut rig, &client, params);
        assert_eq!(refused["error"]["code"], -32602, "{refused}");

        let params = accepting(call(&secret), state);
        let done = ask(&mut rig, &client, params);
        assert_eq!(done["result"]["content"][0]["text"], secret.as_str(), "{done}");
    }
    rig.leave(&[client]);
}

#[test]
fn a_message_that_was_kept_is_never_another_calls() {
    let mut rig = Rig::new(
        1,
        Sizes {
            handlers: 1,
            ..Sizes::DEFAULT
        },
    );
    let client = Client::new(rig.connect());
    let mut states = Vec::new();
    for secret in ["longer than the next", "short", "middling"] {
        let asked = ask(&mut rig, &client, call(secret));
        states.push((secret, asked["result"]["requestState"].clone()));
    }
    for (secret, state) in &states {
        for (other, _) in &states {
            let params = accepting(call(other), state);
            let answer = ask(&mut rig, &client, params);
            assert_eq!(answer["result"].is_object(), secret == other, "{answer}");
        }
    }
    rig.leave(&[client]);
}

#[test]
fn a_call_is_heard_that_speaks_before_it_has_a_future() {
    let mut rig = Rig::new(1, Sizes::default());
    let client = Client::new(rig.connect());
    let params = json!({"name": "foresee", "arguments": {"secret": "a"}});
    let asked = ask(&mut rig, &client, params.clone());
    let state = &asked["result"]["requestState"];
    assert!(state.is_string(), "{asked}");
    let done = ask(&mut rig, &client, accepting(params, state));
    assert_eq!(done["result"]["content"][0]["text"], "a", "{done}");

    let params = json!({"name": "greet", "arguments": {"secret": "b"}});
    let answer = answer(&mut rig, &client, params);
    assert!(answer.contains("b is here"), "{answer}");
    rig.leave(&[client]);
}
