//! Messages of calls while they run, as each revision has them; legacy questions are among them.

use std::time::Duration;

use super::*;
use crate::registry::{
    AnswerError, Elicit, ElicitAnswer, ListRoots, LogLevel, Progress, Property, Role, Sample, SampleContent,
};

const LEGACY: [Revision; 4] = [
    Revision::V2024_11_05,
    Revision::V2025_03_26,
    Revision::V2025_06_18,
    Revision::V2025_11_25,
];

fn everything() -> Value {
    json!({
        "roots": {"listChanged": true},
        "sampling": {"tools": {}, "context": {}},
        "elicitation": {"form": {}, "url": {}},
    })
}

fn form() -> Elicit {
    Elicit::form("Who are you?")
        .property("name", Property::string().default("John").min_length(1))
        .property("age", Property::integer().minimum(0).default(30).optional())
        .property("subscribed", Property::boolean().default(true).optional())
        .property(
            "size",
            Property::titled_choice([("s", "Small"), ("l", "Large")])
                .default("s")
                .optional(),
        )
        .property("colours", Property::choices(["red", "blue"]).optional())
}

fn registry() -> Registry {
    let mut tools = Registry::builder();
    tools
        .add(
            Tool::new("work").run(|context: CallContext, _: NoArguments| async move {
                context.progress(Progress::new(1.0).total(4.0).message("one \"quarter\""));
                context.progress(0.5);
                context.progress(2.5);
                context.log(LogLevel::Debug, "details");
                context.log_as("db", LogLevel::Error, json!({"rows": null}));
                context.close_stream(Duration::from_millis(10));
                context.elicitation_complete("e-1");
                Ok("done")
            }),
        )
        .unwrap()
        .add(
            Tool::new("form").run(|context: CallContext, _: NoArguments| async move {
                match context.ask("who", form()).await? {
                    ElicitAnswer::Accept(content) => Ok(content.to_string()),
                    ElicitAnswer::Decline | ElicitAnswer::Cancel => Ok("nobody".to_owned()),
                }
            }),
        )
        .unwrap()
        .add(
            Tool::new("url").run(|context: CallContext, _: NoArguments| async move {
                let asked = context
                    .ask("go", Elicit::url("Sign in", "https://example.com/x"))
                    .await?;
                Ok(format!("{asked:?}"))
            }),
        )
        .unwrap()
        .add(
            Tool::new("model").run(|context: CallContext, _: NoArguments| async move {
                let blocks = vec![
                    SampleContent::text("listen"),
                    SampleContent::Audio {
                        data: "AA==".to_owned(),
                        mime_type: "audio/wav".to_owned(),
                    },
                ];
                let sample = Sample::new(100)
                    .message(Role::User, "hi")
                    .messages_of(Role::User, blocks);
                Ok(context.ask("model", sample).await?.text())
            }),
        )
        .unwrap()
        .add(
            Tool::new("roots").run(|context: CallContext, _: NoArguments| async move {
                let roots = context.ask("roots", ListRoots).await?;
                Ok(roots
                    .into_iter()
                    .map(|root| root.uri)
                    .collect::<Vec<_>>()
                    .join(","))
            }),
        )
        .unwrap()
        .add(
            Tool::new("demand").run(|_: CallContext, _: NoArguments| async move {
                let place = Elicit::url("Sign in", "https://example.com/x");
                Err::<String, _>(ToolError::url_elicitation_required([place]))
            }),
        )
        .unwrap()
        .add(
            Tool::new("lost").run(|_: CallContext, _: NoArguments| async move {
                Err::<String, _>(ToolError::InputRequired)
            }),
        )
        .unwrap();
    tools.build()
}

fn server() -> Server {
    Server::with(registry(), Options::default())
}

fn call(name: &str, token: Value) -> Value {
    let mut params = json!({"name": name});
    if !token.is_null() {
        params["_meta"] = json!({"progressToken": token});
    }
    request(1, "tools/call", params)
}

fn said(server: &mut Server, method: &str) -> Vec<Value> {
    let said = std::mem::take(&mut server.stream.said);
    said.into_iter()
        .filter(|message| message["method"] == method)
        .map(|message| message["params"].clone())
        .collect()
}

#[test]
fn progress_is_told_to_whoever_asked() {
    for revision in LEGACY {
        let mut server = server();
        let session = server.open_session(revision);
        for token in [json!(7), json!("t \""), json!(u64::MAX), json!(0)] {
            assert_eq!(
                server
                    .in_session(revision, &session, call("work", token.clone()))
                    .text(),
                "done"
            );
            let mut first = json!({"progressToken": token, "progress": 1, "total": 4});
            if revision > Revision::V2024_11_05 {
                first["message"] = json!("one \"quarter\"");
            }
            let second = json!({"progressToken": token, "progress": 2.5});
            assert_eq!(said(&mut server, "notifications/progress"), [first, second]);
        }
        server.in_session(revision, &session, call("work", Value::Null));
        assert_eq!(said(&mut server, "notifications/progress"), [Value::Null; 0]);
        for token in [json!(1.5), json!({}), json!(true)] {
            let refused = server.in_session(revision, &session, call("work", token));
            assert_eq!(refused.refusal(), (200, -32602));
        }
    }
    let mut server = server();
    let mut body: Value = serde_json::from_str(&modern_body("tools/call", json!({"name": "work"}))).unwrap();
    body["params"]["_meta"]["progressToken"] = json!("m");
    server.post(
        Revision::V2026_07_28,
        &modern_headers("tools/call", "work"),
        body.to_string(),
    );
    let progress = said(&mut server, "notifications/progress");
    assert_eq!(
        progress[0],
        json!({"progressToken": "m", "progress": 1, "total": 4, "message": "one \"quarter\""})
    );
    assert_eq!(progress.len(), 2);
}

#[test]
fn logs_follow_the_sessions_level() {
    for revision in LEGACY {
        let mut server = server();
        let session = server.open_session(revision);
        let levels = |server: &mut Server| -> Vec<Value> {
            server.in_session(revision, &session, call("work", Value::Null));
            let logs = said(server, "notifications/message");
            logs.iter().map(|log| log["level"].clone()).collect()
        };
        assert_eq!(levels(&mut server), ["error"], "nobody set a level");
        for (level, expected) in [("debug", 2), ("error", 1), ("critical", 0)] {
            let set = request(1, "logging/setLevel", json!({"level": level}));
            server.in_session(revision, &session, set);
            assert_eq!(levels(&mut server).len(), expected, "{level}");
        }
    }
    let mut server = server();
    server.legacy(Revision::V2025_11_25, "tools/call", json!({"name": "work"}));
    let logs = said(&mut server, "notifications/message");
    assert_eq!(
        logs,
        [json!({"level": "error", "logger": "db", "data": {"rows": null}})]
    );
}

#[test]
fn modern_logs_follow_the_request() {
    let mut server = server();
    for (level, expected) in [
        (None, 0),
        (Some("debug"), 2),
        (Some("warning"), 1),
        (Some("alert"), 0),
    ] {
        let mut body: Value =
            serde_json::from_str(&modern_body("tools/call", json!({"name": "work"}))).unwrap();
        if let Some(level) = level {
            body["params"]["_meta"][format!("{META}logLevel")] = json!(level);
        }
        server.post(
            Revision::V2026_07_28,
            &modern_headers("tools/call", "work"),
            body.to_string(),
        );
        assert_eq!(
            said(&mut server, "notifications/message").len(),
            expected,
            "{level:?}"
        );
    }
}

#[test]
fn only_one_revision_hears_of_finished_urls() {
    for revision in Revision::ALL {
        let mut server = server();
        server.ask(revision, "tools/call", json!({"name": "work"}));
        let heard = said(&mut server, "notifications/elicitation/complete");
        assert_eq!(
            heard.len(),
            usize::from(revision == Revision::V2025_11_25),
            "{revision:?}"
        );
    }
}

#[test]
fn a_batch_has_no_stream() {
    let revision = Revision::V2025_03_26;
    let mut server = server();
    let session = server.open_session_of(revision, everything());
    let batch = json!([call("work", json!(1)), call("roots", Value::Null)]);
    let answer = server.in_session(revision, &session, batch);
    assert_eq!(answer.body[0]["result"]["content"][0]["text"], "done");
    assert_eq!(answer.body[1]["result"]["isError"], true);
    assert!(server.stream.said.is_empty(), "{:?}", server.stream.said);
}

#[test]
fn forms_are_what_the_revision_can_show() {
    for revision in [Revision::V2025_06_18, Revision::V2025_11_25] {
        let mut server = server();
        let session = server.open_session_of(revision, json!({"elicitation": {}}));
        let content = json!({"name": "Ann", "age": 7});
        server
            .stream
            .answers
            .push_back(Ok(json!({"action": "accept", "content": content})));
        let answer = server.in_session(revision, &session, call("form", Value::Null));
        assert_eq!(serde_json::from_str::<Value>(answer.text()).unwrap(), content);
        let asked = said(&mut server, "elicitation/create").remove(0);
        let properties = &asked["requestedSchema"]["properties"];
        assert_eq!(asked["requestedSchema"]["required"], json!(["name"]));
        assert_eq!(properties["subscribed"]["default"], true);
        if revision == Revision::V2025_06_18 {
            assert!(asked.get("mode").is_none() && properties.get("colours").is_none());
            assert_eq!(properties["size"]["enum"], json!(["s", "l"]));
            assert_eq!(properties["size"]["enumNames"], json!(["Small", "Large"]));
            assert!(properties["name"].get("default").is_none() && properties["size"].get("oneOf").is_none());
        } else {
            assert_eq!(asked["mode"], "form");
            assert_eq!(
                properties["size"]["oneOf"][1],
                json!({"const": "l", "title": "Large"})
            );
            assert_eq!(properties["colours"]["type"], "array");
            assert_eq!(properties["name"]["default"], "John");
        }
        for (given, expected) in [
            (Ok(json!({"action": "decline"})), "nobody"),
            (Ok(json!({"action": "cancel"})), "nobody"),
        ] {
            server.stream.answers.push_back(given);
            assert_eq!(
                server
                    .in_session(revision, &session, call("form", Value::Null))
                    .text(),
                expected
            );
        }
        for given in [
            Ok(json!({"action": "shrug"})),
            Ok(json!(7)),
            Err(AnswerError::Refused {
                code: -1,
                message: "no".to_owned(),
            }),
            Err(AnswerError::Cancelled),
            Err(AnswerError::TimedOut),
        ] {
            server.stream.answers.push_back(given);
            let answer = server.in_session(revision, &session, call("form", Value::Null));
            assert_eq!(answer.body["result"]["isError"], true, "{answer:?}");
        }
    }
}

#[test]
fn models_get_messages_their_revision_knows() {
    for revision in LEGACY {
        let mut server = server();
        let session = server.open_session_of(revision, everything());
        let spoken = json!({"role": "assistant", "content": {"type": "text", "text": "yes"}, "model": "m"});
        server.stream.answers.push_back(Ok(spoken));
        assert_eq!(
            server
                .in_session(revision, &session, call("model", Value::Null))
                .text(),
            "yes"
        );
        let asked = said(&mut server, "sampling/createMessage").remove(0);
        let messages = asked["messages"].as_array().unwrap();
        assert_eq!(messages[0]["content"], json!({"type": "text", "text": "hi"}));
        match revision {
            Revision::V2025_11_25 => assert_eq!(messages[1]["content"].as_array().unwrap().len(), 2),
            Revision::V2024_11_05 => {
                assert_eq!(
                    messages[2]["content"],
                    json!({"type": "text", "text": "[audio, audio/wav]"})
                );
            }
            _ => assert_eq!(messages[2]["content"]["type"], "audio"),
        }
    }
}

#[test]
fn roots_are_asked_for() {
    for revision in LEGACY {
        let mut server = server();
        let session = server.open_session_of(revision, json!({"roots": {}}));
        server
            .stream
            .answers
            .push_back(Ok(json!({"roots": [{"uri": "file:///a"}]})));
        assert_eq!(
            server
                .in_session(revision, &session, call("roots", Value::Null))
                .text(),
            "file:///a"
        );
        assert_eq!(server.stream.said[0]["id"], "q-0");
    }
}

#[test]
fn nobody_is_asked_what_it_cannot_answer() {
    // A revision ignores capabilities that it does not have, whatever a client declares.
    for (revision, capabilities, names) in [
        (Revision::V2024_11_05, everything(), vec!["form", "url"]),
        (Revision::V2025_03_26, everything(), vec!["form", "url"]),
        (Revision::V2025_06_18, everything(), vec!["url"]),
        (
            Revision::V2025_11_25,
            json!({"elicitation": {}}),
            vec!["url", "model", "roots"],
        ),
        (
            Revision::V2025_11_25,
            json!({}),
            vec!["form", "url", "model", "roots"],
        ),
    ] {
        let mut server = server();
        let session = server.open_session_of(revision, capabilities);
        for name in names {
            let answer = server.in_session(revision, &session, call(name, Value::Null));
            assert_eq!(answer.body["result"]["isError"], true, "{revision:?} {name}");
            assert!(server.stream.said.is_empty());
        }
    }
    // Before there were modes, any declaration meant forms.
    let mut server = server();
    let session = server.open_session_of(Revision::V2025_06_18, json!({"elicitation": {"url": {}}}));
    server.stream.answers.push_back(Ok(json!({"action": "decline"})));
    let answer = server.in_session(Revision::V2025_06_18, &session, call("form", Value::Null));
    assert_eq!(answer.text(), "nobody");
    // Without a session there is nobody who could answer.
    let answer = server.legacy(Revision::V2025_11_25, "tools/call", json!({"name": "roots"}));
    assert_eq!(answer.body["result"]["isError"], true);
}

#[test]
fn urls_are_opened() {
    let mut server = server();
    let revision = Revision::V2025_11_25;
    let session = server.open_session_of(revision, json!({"elicitation": {"url": {}}}));
    server.stream.answers.push_back(Ok(json!({"action": "accept"})));
    let answer = server.in_session(revision, &session, call("url", Value::Null));
    assert_eq!(answer.text(), "Accept(())");
    let asked = said(&mut server, "elicitation/create").remove(0);
    assert_eq!(asked["url"], "https://example.com/x");
    assert!(!asked["elicitationId"].as_str().unwrap().is_empty());
}

#[test]
fn a_url_that_has_to_be_opened_first() {
    let declared = json!({"elicitation": {"url": {}}});
    for revision in LEGACY {
        let mut server = server();
        let session = server.open_session_of(revision, declared.clone());
        let answer = server.in_session(revision, &session, call("demand", Value::Null));
        if revision == Revision::V2025_11_25 {
            assert_eq!(answer.refusal(), (200, -32042));
            let place = &answer.body["error"]["data"]["elicitations"][0];
            assert_eq!(place["url"], "https://example.com/x");
        } else {
            assert_eq!(answer.text(), "Sign in: https://example.com/x");
            assert_eq!(answer.body["result"]["isError"], true);
        }
    }
    let mut server = server();
    let session = server.open_session(Revision::V2025_11_25);
    let answer = server.in_session(Revision::V2025_11_25, &session, call("demand", Value::Null));
    assert_eq!(answer.text(), "Sign in: https://example.com/x");
    let answer = server.modern_of(&declared, "tools/call", json!({"name": "demand"}));
    let asked = &answer.body["result"]["inputRequests"]["url_1"];
    assert_eq!(asked["params"]["url"], "https://example.com/x");
    assert!(asked["params"].get("elicitationId").is_none());
    let answer = server.modern_of(&json!({}), "tools/call", json!({"name": "demand"}));
    assert_eq!(answer.refusal(), (400, -32021));
    let required = &answer.body["error"]["data"]["requiredCapabilities"];
    assert_eq!(*required, json!({"elicitation": {"url": {}}}));
}

#[test]
fn to_need_input_and_ask_for_none_is_the_tools_fault() {
    for revision in [Revision::V2025_11_25, Revision::V2026_07_28] {
        let answer = server().ask(revision, "tools/call", json!({"name": "lost"}));
        assert_eq!(answer.refusal(), (200, -32603), "{revision:?}");
    }
}
