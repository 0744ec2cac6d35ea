//! Prompts and completion in every revision.

use super::*;
use crate::registry::{
    Completion, CompletionRequest, Icon, Prompt, PromptArgument, PromptArguments, PromptMessage,
    PromptOutput, Resource, ResourceContents, ResourceTemplate, Role,
};

const HEADER_MISMATCH: (u16, i64) = (400, -32020);

#[derive(Deserialize)]
struct Review {
    code: String,
    language: Option<String>,
}

fn prompts() -> Registry {
    let mut registry = Registry::builder();
    let review = Prompt::new("review")
        .title("Review")
        .description("Reviews code.")
        .icon(Icon::new("https://example.com/icon.png"))
        .argument(
            PromptArgument::required("code")
                .title("Code")
                .description("What to review."),
        )
        .argument(PromptArgument::optional("language"))
        .complete(
            "language",
            |_: CallContext, request: CompletionRequest| async move {
                let known = ["rust", "ruby", "go"];
                let matching = known.into_iter().filter(|name| name.starts_with(request.value()));
                Ok(matching.collect::<Vec<_>>())
            },
        )
        .complete("code", |_: CallContext, request: CompletionRequest| async move {
            match request.argument("language") {
                Some("rust") => Ok(Completion::some(vec!["fn main() {}".to_owned()])),
                Some(_) => Ok(Completion::all((0..150).map(|at| at.to_string()).collect())),
                None => Err(ToolError::internal("/etc/secret")),
            }
        })
        .run(|_: CallContext, args: Review| async move {
            Ok(format!(
                "{}: {}",
                args.language.unwrap_or_else(|| "code".to_owned()),
                args.code
            ))
        });
    let every = Prompt::new("every").run(|_: CallContext, _: PromptArguments| async {
        let blocks = [
            ContentBlock::text("text"),
            ContentBlock::image(b"picture", "image/png"),
            ContentBlock::resource(ResourceContents::text("test://a", None, "a")),
            ContentBlock::audio(b"la", "audio/wav"),
            ContentBlock::resource_link("test://b", "b"),
        ];
        let message = |content| PromptMessage {
            role: Role::Assistant,
            content,
        };
        Ok(PromptOutput {
            description: Some("All of it.".to_owned()),
            messages: blocks.into_iter().map(message).collect(),
            ..PromptOutput::default()
        })
    });
    let fail = Prompt::new("fail").argument(PromptArgument::required("how")).run(
        |_: CallContext, args: PromptArguments| async move {
            match args.get("how").unwrap_or_default() {
                "invalid" => Err::<String, _>(ToolError::invalid("no such way")),
                "panic" => panic!("a secret"),
                _ => Err(ToolError::message("it failed")),
            }
        },
    );
    let greeting = ResourceTemplate::new("test://greeting/{name}/{+rest}", "greeting")
        .complete("name", |_: CallContext, _: CompletionRequest| async {
            Ok(vec!["Ada", "Grace"])
        })
        .read(|_: CallContext, _: PromptArguments| async { Ok("") });
    let fixed = Resource::new("test://fixed", "fixed").read(|_: CallContext| async { Ok("") });
    for prompt in [review, every, fail] {
        registry.add(prompt).unwrap();
    }
    registry.add(greeting).unwrap().add(fixed).unwrap();
    registry.build()
}

fn server() -> Server {
    Server::with(prompts(), Options::default())
}

#[test]
fn completion_is_declared_where_the_revision_has_a_word_for_it() {
    let mut server = server();
    for revision in Revision::ALL {
        let params = json!({"protocolVersion": revision.as_str(), "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let answer = match revision.era() {
            Era::Modern => server.modern("server/discover", json!({})),
            Era::Legacy => {
                let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
                server.post(revision, &[], body.to_string())
            }
        };
        let mut expected = json!({
            "resources": {"subscribe": true},
            "prompts": {},
            "logging": {},
        });
        if revision > Revision::V2024_11_05 {
            expected["completions"] = json!({});
        }
        assert_eq!(answer.body["result"]["capabilities"], expected, "{revision:?}");
    }
}

#[test]
fn lists_have_what_the_revision_knows() {
    let mut server = server();
    for revision in Revision::ALL {
        let answer = server.ask(revision, "prompts/list", json!({}));
        let prompts = &answer.body["result"]["prompts"];
        let names: Vec<_> = prompts
            .as_array()
            .unwrap()
            .iter()
            .map(|prompt| prompt["name"].clone())
            .collect();
        assert_eq!(names, ["review", "every", "fail"]);
        let has_titles = revision >= Revision::V2025_06_18;
        let mut code =
            json!({"name": "code", "title": "Code", "description": "What to review.", "required": true});
        if !has_titles {
            code.as_object_mut().unwrap().shift_remove("title");
        }
        assert_eq!(prompts[0]["arguments"][0], code);
        assert_eq!(
            prompts[0]["arguments"][1],
            json!({"name": "language", "required": false})
        );
        assert_eq!(prompts[0].get("title").is_some(), has_titles);
        assert_eq!(
            prompts[0].get("icons").is_some(),
            revision >= Revision::V2025_11_25
        );
    }
}

#[test]
fn prompts_give_messages() {
    let mut server = server();
    for revision in Revision::ALL {
        let mut get = |arguments: Value| {
            let answer = server.ask(
                revision,
                "prompts/get",
                json!({"name": "review", "arguments": arguments}),
            );
            assert_eq!(answer.body["result"]["description"], "Reviews code.");
            answer.body["result"]["messages"].clone()
        };
        let message = |text: &str| json!([{"role": "user", "content": {"type": "text", "text": text}}]);
        assert_eq!(
            get(json!({"code": "x\"y", "language": "rust"})),
            message("rust: x\"y")
        );
        assert_eq!(
            get(json!({"code": "x", "unknown": "ignored"})),
            message("code: x")
        );
        let every = server.ask(revision, "prompts/get", json!({"name": "every"})).body;
        assert_eq!(every["result"]["description"], "All of it.");
        let kinds: Vec<_> = every["result"]["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["content"]["type"].as_str().unwrap())
            .collect();
        let (audio, link) = match revision {
            Revision::V2024_11_05 => ("text", "text"),
            Revision::V2025_03_26 => ("audio", "text"),
            _ => ("audio", "resource_link"),
        };
        assert_eq!(kinds, ["text", "image", "resource", audio, link]);
    }
}

#[test]
fn arguments_are_checked_before_the_prompt_runs() {
    let mut server = server();
    for revision in [
        Revision::V2024_11_05,
        Revision::V2025_11_25,
        Revision::V2026_07_28,
    ] {
        for arguments in [
            json!({}),
            Value::Null,
            json!({"code": 1}),
            json!({"code": "x", "other": []}),
            json!([]),
            json!("x"),
        ] {
            let params = json!({"name": "review", "arguments": arguments});
            let answer = server.ask(revision, "prompts/get", params);
            assert_eq!(answer.refusal(), (200, -32602), "{arguments}");
        }
        for (params, code) in [
            (json!({"name": "nobody"}), -32602),
            (json!({"name": 1}), -32602),
            (json!({}), -32602),
            (json!({"name": "fail", "arguments": {"how": "invalid"}}), -32602),
            (json!({"name": "fail", "arguments": {"how": "panic"}}), -32603),
            (json!({"name": "fail", "arguments": {"how": "error"}}), -32603),
        ] {
            let answer = server.ask(revision, "prompts/get", params.clone());
            assert_eq!(answer.refusal(), (200, code), "{params}");
            assert!(!answer.body.to_string().contains("secret"));
        }
    }
    let twice = r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"review","arguments":{"code":"a","code":"b"}}}"#;
    assert_eq!(
        server.post(Revision::V2025_11_25, &[], twice).refusal(),
        (200, -32602)
    );
}

#[test]
fn headers_repeat_the_prompts_name() {
    let mut server = server();
    let body = modern_body("prompts/get", json!({"name": "every"}));
    for (method, name, is_right) in [
        ("prompts/get", "every", true),
        ("prompts/get", "=?base64?ZXZlcnk=?=", true),
        ("prompts/get", "", false),
        ("prompts/get", "review", false),
        ("prompts/list", "every", false),
    ] {
        let answer = server.post(Revision::V2026_07_28, &modern_headers(method, name), &body);
        if is_right {
            assert!(answer.body.get("result").is_some(), "{method} {name}")
        } else {
            assert_eq!(answer.refusal(), HEADER_MISMATCH, "{method} {name}")
        }
    }
}

fn completing(reference: Value, name: &str, value: &str) -> Value {
    json!({"ref": reference, "argument": {"name": name, "value": value}})
}

fn review() -> Value {
    json!({"type": "ref/prompt", "name": "review", "title": "Review"})
}

fn greeting() -> Value {
    json!({"type": "ref/resource", "uri": "test://greeting/{name}/{+rest}"})
}

#[test]
fn arguments_and_variables_are_completed() {
    let mut server = server();
    for revision in Revision::ALL {
        let mut complete = |params: Value| {
            let answer = server.ask(revision, "completion/complete", params);
            answer.body["result"]["completion"].clone()
        };
        assert_eq!(
            complete(completing(review(), "language", "ru")),
            json!({"values": ["rust", "ruby"], "total": 2, "hasMore": false})
        );
        assert_eq!(
            complete(completing(greeting(), "name", ""))["values"],
            json!(["Ada", "Grace"])
        );
        let mut with_context = completing(review(), "code", "");
        with_context["context"] = json!({"arguments": {"language": "go"}});
        let many = complete(with_context.clone());
        assert_eq!(many["values"].as_array().unwrap().len(), 100);
        assert_eq!((&many["total"], &many["hasMore"]), (&json!(150), &json!(true)));
        with_context["context"] = json!({"arguments": {"language": "rust"}});
        assert_eq!(
            complete(with_context),
            json!({"values": ["fn main() {}"], "hasMore": true})
        );
        // The variable exists, and nothing completes it.
        assert_eq!(
            complete(completing(greeting(), "rest", "x")),
            json!({"values": [], "total": 0, "hasMore": false})
        );
    }
}

#[test]
fn what_cannot_be_completed_is_refused() {
    let mut server = server();
    let mut bad_context = completing(review(), "language", "");
    bad_context["context"] = json!([]);
    let mut bad_settled = bad_context.clone();
    bad_settled["context"] = json!({"arguments": "x"});
    let mut bad_value = bad_context.clone();
    bad_value["context"] = json!({"arguments": {"code": 1}});
    for params in [
        json!({}),
        completing(json!({"type": "ref/prompt", "name": "nobody"}), "language", ""),
        completing(json!({"type": "ref/prompt"}), "language", ""),
        completing(json!({"type": "ref/tool", "name": "review"}), "language", ""),
        completing(json!({"type": "ref/resource", "name": "review"}), "language", ""),
        completing(
            json!({"type": "ref/resource", "uri": "test://nothing"}),
            "name",
            "",
        ),
        completing(json!({"type": "ref/resource", "uri": "test://fixed"}), "name", ""),
        completing(json!("review"), "language", ""),
        completing(review(), "colour", ""),
        json!({"ref": review(), "argument": {"name": "language"}}),
        json!({"ref": review(), "argument": {"name": "language", "value": 1}}),
        json!({"ref": review(), "argument": "language"}),
        bad_context,
        bad_settled,
        bad_value,
    ] {
        for revision in [Revision::V2025_11_25, Revision::V2026_07_28] {
            let answer = server.ask(revision, "completion/complete", params.clone());
            assert_eq!(answer.refusal(), (200, -32602), "{params} {answer:?}");
        }
    }
    let failed = server.modern("completion/complete", completing(review(), "code", ""));
    assert_eq!(failed.refusal(), (200, -32603));
    assert!(!failed.body.to_string().contains("secret"));
}
