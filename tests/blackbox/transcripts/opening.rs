//! The beginning of conversations, and the answers that the server gives from memory.

use serde_json::json;

use super::Feature;
use crate::harness::{Dialect, Revision};

#[test]
fn conversations_open() {
    Feature::Opening.run_unbegun(|conversation| {
        let revision = conversation.dialect.revision;
        let result = if conversation.is_modern() {
            conversation.ask("server/discover", json!({}))
        } else {
            conversation.initialize()
        };
        let mut expected = json!({
            "tools": {},
            "resources": {"subscribe": true},
            "prompts": {},
            "completions": {},
            "logging": {},
        });
        if revision == Revision("2024-11-05") {
            expected.as_object_mut().unwrap().shift_remove("completions");
        }
        match revision {
            Revision::NEWEST_LEGACY => {
                expected["tasks"] = json!({"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}});
            }
            Revision::MODERN => expected["extensions"] = json!({"io.modelcontextprotocol/tasks": {}}),
            _ => {}
        }
        assert_eq!(result["capabilities"], expected);
        let info = if conversation.is_modern() {
            &result["_meta"]["io.modelcontextprotocol/serverInfo"]
        } else {
            &result["serverInfo"]
        };
        assert_eq!(info["name"], "weir", "{result}");
    });
}

/// A client of both eras probes with the newer one, and may go on in either, or in both.
#[test]
fn both_eras_share_a_way() {
    Feature::Eras.run_unbegun(|conversation| {
        let legacy = conversation.dialect.clone();
        conversation.dialect = Dialect::modern();
        let discovered = conversation.ask("server/discover", json!({}));
        assert_eq!(discovered["supportedVersions"], json!([Revision::MODERN.0]));
        conversation.dialect = legacy.clone();
        conversation.initialize();
        conversation.ask("ping", json!({}));
        assert_eq!(
            conversation.text_of("echo", json!({"message": "legacy"})),
            "legacy"
        );
        conversation.dialect = Dialect::modern();
        let call = conversation.call("echo", json!({"message": "modern"}));
        assert_eq!(conversation.result(&call)["resultType"], "complete");
        // The session makes no difference.
        let gone = conversation.send("ping", json!({}));
        conversation.error(&gone, -32601);
        conversation.dialect = legacy;
    });
}

#[test]
fn pings_are_answered() {
    Feature::Ping.run_unbegun(|conversation| {
        // This works before anything else, too.
        assert_eq!(conversation.ask("ping", json!({})), json!({}));
        conversation.initialize();
        for _ in 0..3 {
            assert_eq!(conversation.ask("ping", json!({})), json!({}));
        }
    });
}
