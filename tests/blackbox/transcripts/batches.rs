//! Several messages in one body, which only one revision allows.

use serde_json::{Value, json};

use super::Feature;

const INVALID_REQUEST: i64 = -32600;

fn request(id: Value, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

#[test]
fn batches_are_answered_as_one() {
    Feature::Batch.run(|conversation| {
        let batch = json!([
            request(json!(101), "ping", json!({})),
            request(json!("call"), "tools/call", json!({"name": "echo", "arguments": {"message": "x"}})),
            {"jsonrpc": "2.0", "method": "notifications/no-such"},
            request(json!(103), "no/such", json!({})),
            request(json!(104), "tools/call", json!({"name": "sleep", "arguments": {"ms": 5}})),
        ]);
        conversation.send_raw(batch.to_string());
        let answered = conversation.message();
        let answers = answered
            .as_array()
            .unwrap_or_else(|| panic!("no batch: {answered}"));
        assert_eq!(answers.len(), 4, "{answered}");
        let of = |id: Value| answers.iter().find(|answer| answer["id"] == id).unwrap();
        assert_eq!(of(json!(101))["result"], json!({}));
        assert_eq!(of(json!("call"))["result"]["content"][0]["text"], "x");
        assert_eq!(of(json!(103))["error"]["code"], -32601);
        assert_eq!(of(json!(104))["result"]["content"][0]["text"], "slept 5 ms");
        // There is nothing to answer.
        conversation.send_raw(json!([{"jsonrpc": "2.0", "method": "notifications/no-such"}]).to_string());
        conversation.send_raw("[]");
        let refused = conversation.message();
        assert_eq!(refused["error"]["code"], INVALID_REQUEST, "{refused}");
    });
}
