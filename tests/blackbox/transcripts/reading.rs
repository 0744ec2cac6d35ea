//! The contents of a server: lists, resources, prompts, completion.

use serde_json::{Value, json};

use super::Feature;
use crate::harness::Conversation;

const INVALID_PARAMS: i64 = -32602;
const RESOURCE_NOT_FOUND: i64 = -32002;

#[test]
fn lists_name_what_there_is() {
    Feature::Lists.run(|conversation| {
        let tools = ["echo", "sleep", "spin", "fail", "blob", "progress", "ask"];
        for (method, member, key, expected) in [
            ("tools/list", "tools", "name", &tools[..]),
            ("resources/list", "resources", "uri", &["demo://about"]),
            (
                "resources/templates/list",
                "resourceTemplates",
                "uriTemplate",
                &["demo://greeting/{name}", "demo://sleep/{ms}"],
            ),
            ("prompts/list", "prompts", "name", &["summarize"]),
        ] {
            let result = conversation.ask(method, json!({}));
            let items = result[member].as_array().unwrap().iter();
            let names: Vec<&str> = items.map(|item| item[key].as_str().unwrap()).collect();
            assert_eq!(names, expected, "{method}");
            for cursor in [json!("x"), json!("p1"), json!("l0:"), json!(0)] {
                let lost = conversation.send(method, json!({"cursor": cursor}));
                conversation.error(&lost, INVALID_PARAMS);
            }
        }
    });
}

#[test]
fn resources_are_read() {
    Feature::Resources.run(|conversation| {
        let read = |conversation: &mut Conversation, uri: &str| {
            let result = conversation.ask("resources/read", json!({"uri": uri}));
            assert_eq!(result["contents"].as_array().map(Vec::len), Some(1), "{result}");
            assert_eq!(result["contents"][0]["uri"], uri, "{result}");
            assert_eq!(result["contents"][0]["mimeType"], "text/plain", "{result}");
            result["contents"][0]["text"].as_str().unwrap().to_owned()
        };
        assert!(read(conversation, "demo://about").contains("demo"));
        assert_eq!(
            read(conversation, "demo://greeting/Ada%20%C3%A9"),
            "Hello, Ada é!"
        );
        // Takes its time.
        assert_eq!(read(conversation, "demo://sleep/5"), "slept 5 ms");
        let code = if conversation.is_modern() {
            INVALID_PARAMS
        } else {
            RESOURCE_NOT_FOUND
        };
        for uri in [
            "demo://nothing",
            "demo://greeting/",
            "demo://greeting/a/b",
            "demo://sleep/soon",
            "file:///etc/passwd",
        ] {
            let unknown = conversation.send("resources/read", json!({"uri": uri}));
            assert_eq!(conversation.error(&unknown, code)["data"], json!({"uri": uri}));
        }
    });
}

#[test]
fn prompts_are_filled_in() {
    Feature::Prompts.run(|conversation| {
        let get = |arguments: Value| json!({"name": "summarize", "arguments": arguments});
        let filled = json!({"text": "a \"b\"\nc", "style": "bullets"});
        let result = conversation.ask("prompts/get", get(filled));
        assert_eq!(result["messages"][0]["role"], "user");
        let text = result["messages"][0]["content"]["text"].as_str().unwrap();
        assert!(text.contains("bullets") && text.ends_with("a \"b\"\nc"), "{text}");
        for params in [
            get(json!({})),
            get(json!({"text": 1})),
            json!({"name": "no-such"}),
        ] {
            let wrong = conversation.send("prompts/get", params);
            conversation.error(&wrong, INVALID_PARAMS);
        }
    });
}

#[test]
fn what_is_typed_is_completed() {
    Feature::Completion.run(|conversation| {
        let greeting = json!({"type": "ref/resource", "uri": "demo://greeting/{name}"});
        let prompt = json!({"type": "ref/prompt", "name": "summarize"});
        for (reference, name, value, expected) in [
            (&greeting, "name", "a", json!(["Ada", "Alan"])),
            (&prompt, "style", "b", json!(["brief", "bullets"])),
            (&prompt, "style", "é", json!([])),
            (&prompt, "text", "x", json!([])),
        ] {
            let params = json!({"ref": reference, "argument": {"name": name, "value": value}});
            let result = conversation.ask("completion/complete", params);
            assert_eq!(result["completion"]["values"], expected);
        }
        for (reference, name) in [
            (prompt, "no-such"),
            (json!({"type": "ref/prompt", "name": "no-such"}), "style"),
            (
                json!({"type": "ref/resource", "uri": "demo://no-such/{name}"}),
                "name",
            ),
            (json!({"type": "ref/tool", "name": "echo"}), "message"),
        ] {
            let params = json!({"ref": reference, "argument": {"name": name, "value": ""}});
            let wrong = conversation.send("completion/complete", params);
            conversation.error(&wrong, INVALID_PARAMS);
        }
    });
}
