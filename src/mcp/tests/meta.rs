//! `_meta` of what is listed, of results and of contents, as each revision has it.

use super::*;
use crate::registry::{
    MetaKeyError, Prompt, PromptArguments, PromptMessage, PromptOutput, ReadOutput, RegistryError, Resource,
    ResourceContents, ResourceTemplate, Role, TaskSupport, ToolOutput,
};

const KEY: &str = "com.example/n";

/// Everything that can have `_meta`, with one.
fn server() -> Server {
    let mut registry = Registry::builder();
    let tool = Tool::new("tool")
        .meta(KEY, "tool")
        .task(TaskSupport::Optional)
        .run(|_: CallContext, _: NoArguments| async {
            let block = ContentBlock::text("text").meta(KEY, "block");
            Ok(ToolOutput::blocks(vec![block]).meta(KEY, "result"))
        });
    let plain = Tool::new("plain").run(|_: CallContext, _: NoArguments| async {
        Ok(ToolOutput::text("text")
            .meta(KEY, "result")
            .meta("other", json!({"n": [1]})))
    });
    let wrong = Tool::new("wrong").input_schema(json!({"type": "object"})).run(
        |_: CallContext, how: Value| async move {
            let key = how["key"].as_str().unwrap_or_default().to_owned();
            Ok(match how["in"].as_str() {
                Some("block") => ToolOutput::blocks(vec![ContentBlock::text("text").meta(key, 1)]),
                Some("contents") => {
                    let contents = ResourceContents::text("a:b", None, "").meta(key, 1);
                    ToolOutput::blocks(vec![ContentBlock::resource(contents)])
                }
                _ => ToolOutput::text("text").meta(key, 1),
            })
        },
    );
    let one = Resource::new("test://one", "one")
        .meta(KEY, "resource")
        .read(|_: CallContext| async {
            Ok(ReadOutput::text("text")
                .contents_meta(KEY, "contents")
                .meta(KEY, "result"))
        });
    let parts = Resource::new("test://parts", "parts").read(|_: CallContext| async {
        Ok(vec![
            ResourceContents::blob("test://part", None, b"x").meta(KEY, "part"),
        ])
    });
    let template = ResourceTemplate::new("test://of/{n}", "of")
        .meta(KEY, "template")
        .read(|_: CallContext, _: PromptArguments| async { Ok("text") });
    let prompt = Prompt::new("prompt")
        .meta(KEY, "prompt")
        .run(|_: CallContext, _: PromptArguments| async {
            let message = PromptMessage {
                role: Role::User,
                content: ContentBlock::text("text").meta(KEY, "block"),
            };
            Ok(PromptOutput {
                messages: vec![message],
                meta: crate::registry::Meta::NONE.with(KEY, "result"),
                ..PromptOutput::default()
            })
        });
    registry
        .add(tool)
        .unwrap()
        .add(plain)
        .unwrap()
        .add(wrong)
        .unwrap();
    registry
        .add(one)
        .unwrap()
        .add(parts)
        .unwrap()
        .add(template)
        .unwrap();
    registry.add(prompt).unwrap();
    Server::with(registry.build(), Options::default())
}

#[test]
fn what_is_listed_has_it_since_2025_06_18() {
    let mut server = server();
    for revision in Revision::ALL {
        for (method, member, expected) in [
            ("tools/list", "tools", "tool"),
            ("resources/list", "resources", "resource"),
            ("resources/templates/list", "resourceTemplates", "template"),
            ("prompts/list", "prompts", "prompt"),
        ] {
            let answer = server.ask(revision, method, json!({}));
            let first = &answer.body["result"][member][0];
            let expected = (revision >= Revision::V2025_06_18).then(|| json!({KEY: expected}));
            assert_eq!(first.get("_meta"), expected.as_ref(), "{revision:?} {method}");
        }
    }
}

#[test]
fn results_always_have_it_and_contents_since_2025_06_18() {
    let mut server = server();
    for revision in Revision::ALL {
        for (method, params, contents, expected) in [
            ("tools/call", json!({"name": "tool"}), "/content/0", Some("block")),
            (
                "resources/read",
                json!({"uri": "test://one"}),
                "/contents/0",
                Some("contents"),
            ),
            (
                "prompts/get",
                json!({"name": "prompt"}),
                "/messages/0/content",
                Some("block"),
            ),
            ("tools/call", json!({"name": "plain"}), "/content/0", None),
        ] {
            let answer = server.ask(revision, method, params);
            let result = &answer.body["result"];
            assert_eq!(result["_meta"][KEY], "result", "{revision:?} {result}");
            assert_eq!(result["_meta"]["other"].is_object(), expected.is_none());
            let contents = result.pointer(contents).unwrap();
            let expected = expected.filter(|_| revision >= Revision::V2025_06_18);
            assert_eq!(contents.get("_meta"), expected.map(|n| json!({KEY: n})).as_ref());
        }
        let read = server.ask(revision, "resources/read", json!({"uri": "test://parts"}));
        let part = &read.body["result"]["contents"][0];
        assert_eq!(part.get("_meta").is_some(), revision >= Revision::V2025_06_18);
    }
}

/// The member that names the task goes beside those of the tool.
#[test]
fn a_tasks_result_has_one_meta() {
    let mut server = server();
    let revision = Revision::V2025_11_25;
    let session = server.open_session(revision);
    let params = json!({"name": "tool", "arguments": {}, "task": {}});
    let created = server.in_session(revision, &session, request(1, "tools/call", params));
    let id = created.body["result"]["task"]["taskId"]
        .as_str()
        .unwrap()
        .to_owned();
    let end = tasks::result_of(&mut server, &session, &id);
    let related = json!({KEY: "result", format!("{META}related-task"): {"taskId": id}});
    assert_eq!(end["result"]["_meta"], related, "{end}");
}

#[test]
fn keys_are_checked() {
    let mut server = server();
    for place in ["result", "block", "contents"] {
        let call = |key: &str| json!({"name": "wrong", "arguments": {"in": place, "key": key}});
        let answer = server.modern("tools/call", call("a b"));
        assert_eq!(answer.code(), -32603, "{place}");
        assert_eq!(
            server.modern("tools/call", call("a-b")).text().is_empty(),
            place == "contents"
        );
    }
    let mut registry = Registry::builder();
    let key = "not a key";
    let tool = Tool::new("x")
        .meta(key, 1)
        .run(|_: CallContext, _: NoArguments| async { Ok("") });
    let prompt = Prompt::new("x")
        .meta(key, 1)
        .run(|_: CallContext, _: PromptArguments| async { Ok("") });
    let resource = Resource::new("x:y", "x")
        .meta(key, 1)
        .read(|_: CallContext| async { Ok("") });
    let template = ResourceTemplate::new("x:{y}", "x")
        .meta(key, 1)
        .read(|_: CallContext, _: PromptArguments| async { Ok("") });
    for (refused, named) in [
        (registry.add(tool).err(), "x"),
        (registry.add(prompt).err(), "x"),
        (registry.add(resource).err(), "x:y"),
        (registry.add(template).err(), "x:{y}"),
    ] {
        let Some(RegistryError::Meta { owner, source }) = refused else {
            panic!("{named}: {refused:?}");
        };
        assert_eq!(
            (owner.as_str(), source),
            (named, MetaKeyError::Name(key.to_owned()))
        );
    }
}
