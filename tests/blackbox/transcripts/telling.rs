//! What a call sends while it runs: progress and log messages.

use serde_json::{Value, json};

use super::Feature;

const INVALID_PARAMS: i64 = -32602;

/// The level that the client asks for, and the more severe ones.
const WARNING: &str = "warning";
const GRAVE: [&str; 5] = [WARNING, "error", "critical", "alert", "emergency"];

#[test]
fn progress_is_told_before_the_answer() {
    Feature::Progress.run(|conversation| {
        let steps = json!({"steps": 3, "delay_ms": 1});
        for token in [json!("a \"token\""), json!(7), json!(-1)] {
            let meta = json!({"progressToken": token});
            let call = conversation.call_with("progress", steps.clone(), meta);
            let mut last = f64::NEG_INFINITY;
            for _ in 0..3 {
                let params = conversation.notification("notifications/progress");
                assert_eq!(params["progressToken"], token, "{params}");
                let progress = params["progress"].as_f64().unwrap();
                assert!(progress > last && params["total"] == 3, "{params}");
                last = progress;
            }
            conversation.result(&call);
        }
        // A client that does not ask for progress gets none.
        assert_eq!(conversation.text_of("progress", steps), "done 3 steps");
    });
}

#[test]
fn log_messages_are_told_to_who_wants_them() {
    Feature::Log.run(|conversation| {
        let key = "io.modelcontextprotocol/logLevel";
        let meta = if conversation.is_modern() {
            json!({key: WARNING})
        } else {
            assert_eq!(
                conversation.ask("logging/setLevel", json!({"level": WARNING})),
                json!({})
            );
            json!({})
        };
        let call = conversation.call_with("test_logging_tool", json!({}), meta);
        for level in GRAVE {
            let params = conversation.notification("notifications/message");
            assert_eq!(params["level"], level, "{params}");
            assert_eq!(params["logger"], "everything", "{params}");
        }
        conversation.result(&call);
        let unknown = if conversation.is_modern() {
            conversation.call_with("test_logging_tool", json!({}), json!({key: "loud"}))
        } else {
            conversation.send("logging/setLevel", json!({"level": "loud"}))
        };
        conversation.error(&unknown, INVALID_PARAMS);
        if conversation.is_modern() {
            // The level was for that call only.
            let call = conversation.call("test_logging_tool", Value::Object(Default::default()));
            conversation.result(&call);
        }
    });
}
