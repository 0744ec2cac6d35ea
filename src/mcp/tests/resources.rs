//! Resources and templates: what every revision reads and lists.

use std::time::Duration;

use super::*;
use crate::registry::{
    CacheScope, Caching, ContentAnnotations, Icon, IconTheme, ReadOutput, Resource, ResourceContents,
    ResourceTemplate, Role,
};

const HEADER_MISMATCH: (u16, i64) = (400, -32020);

#[derive(Deserialize)]
struct Greeting {
    name: String,
}

fn resources() -> Registry {
    let mut registry = Registry::builder();
    let about = Resource::new("test://static-text", "static-text")
        .title("About")
        .description("A text.")
        .mime_type("text/plain")
        .size_bytes(5)
        .icon(
            Icon::new("https://example.com/icon.png")
                .mime_type("image/png")
                .size("48x48")
                .theme(IconTheme::Dark),
        )
        .annotations(ContentAnnotations {
            audience: Some(vec![Role::User]),
            priority: Some(0.5),
            last_modified: Some("2026-01-01T00:00:00Z".to_owned()),
        })
        .caching(Caching::new(Duration::from_secs(60), CacheScope::Public))
        .read(|_: CallContext| async { Ok("hel\"lo") });
    let binary = Resource::new("test://static-binary", "static-binary")
        .mime_type("image/png")
        .read(|_: CallContext| async { Ok(vec![0, 159, 146, 150]) });
    let parts = Resource::new("test://parts", "parts").read(|_: CallContext| async {
        Ok(vec![
            ResourceContents::text("test://parts/1", None, "one"),
            ResourceContents::blob("test://parts/2", Some("x/y".to_owned()), b"two"),
        ])
    });
    let greeting = ResourceTemplate::new("test://greeting/{name}", "greeting")
        .title("Greeting")
        .icon(Icon::new("data:image/png;base64,AA=="))
        .mime_type("text/plain")
        .read(|_: CallContext, args: Greeting| async move {
            match args.name.as_str() {
                "nobody" => Err(ToolError::not_found("")),
                "gone" => Err(ToolError::not_found("they left")),
                "secret" => Err(ToolError::internal("/etc/secret")),
                "late" => Err(ToolError::TimedOut),
                "panic" => panic!("a secret in src/secret.rs:1"),
                "sorry" => Err(ToolError::message("it is closed")),
                "odd" => Err(ToolError::invalid("too odd")),
                name => Ok(ReadOutput::text(format!("Hello, {name}!")).mime_type("text/markdown")),
            }
        });
    let numbers = ResourceTemplate::new("test://numbers/{number}", "numbers")
        .read(|_: CallContext, args: Number| async move { Ok(args.number.to_string()) });
    for resource in [about, binary, parts] {
        registry.add(resource).unwrap();
    }
    registry.add(greeting).unwrap().add(numbers).unwrap();
    registry.build()
}

/// No string parses as this.
#[derive(Deserialize)]
struct Number {
    number: u64,
}

fn server() -> Server {
    Server::with(resources(), Options::default())
}

/// A resource that never changes promises nothing; one that is watched, or said to change, promises that clients hear
/// of it.
#[test]
fn lists_promise_what_they_keep() {
    use crate::registry::{ListUpdates, RegistryBuilder, ResourceLister, ResourcePage};
    let promised = |change: &dyn Fn(&mut RegistryBuilder)| {
        let mut registry = resources().edit();
        change(&mut registry);
        let mut server = Server::with(registry.build(), Options::default());
        let discovered = server.modern("server/discover", json!({}));
        discovered.body["result"]["capabilities"]["resources"].clone()
    };
    let lister = || ResourceLister::new("l", |_: CallContext, _| async { Ok(ResourcePage::default()) });
    let (still, moving) = (
        json!({"subscribe": true}),
        json!({"subscribe": true, "listChanged": true}),
    );
    assert_eq!(promised(&|_| ()), still);
    assert_eq!(
        promised(&|registry| {
            registry.add(lister()).unwrap();
        }),
        still
    );
    assert_eq!(
        promised(&|registry| {
            let watched = lister().watch(|_: ListUpdates| Ok(Box::new(())));
            registry.add(watched).unwrap();
        }),
        moving
    );
    assert_eq!(
        promised(&|registry| {
            registry.resources_list_changed();
        }),
        moving
    );
    let mut registry = resources().edit();
    registry.tools_list_changed().prompts_list_changed();
    let mut server = Server::with(registry.build(), Options::default());
    let discovered = server.modern("server/discover", json!({}));
    let capabilities = &discovered.body["result"]["capabilities"];
    assert_eq!(
        *capabilities,
        json!({"resources": still, "logging": {}}),
        "there are none"
    );
}

#[test]
fn only_what_is_registered_is_declared() {
    let mut server = server();
    let capabilities = json!({"resources": {"subscribe": true}, "logging": {}});
    let discovered = server.modern("server/discover", json!({}));
    assert_eq!(discovered.body["result"]["capabilities"], capabilities);
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let initialized = server.legacy(Revision::V2025_11_25, "initialize", params);
    assert_eq!(initialized.body["result"]["capabilities"], capabilities);
    for method in [
        "tools/list",
        "prompts/list",
        "prompts/get",
        "completion/complete",
        "resources/no-such",
    ] {
        assert_eq!(
            server.modern(method, json!({})).refusal(),
            (404, -32601),
            "{method}"
        );
        let answer = server.legacy(Revision::V2025_11_25, method, json!({}));
        assert_eq!(answer.refusal(), (200, -32601), "{method}");
    }
}

#[test]
fn lists_have_what_the_revision_knows() {
    let mut server = server();
    for revision in Revision::ALL {
        let answer = server.ask(revision, "resources/list", json!({}));
        let resources = &answer.body["result"]["resources"];
        assert_eq!(resources.as_array().unwrap().len(), 3);
        let about = &resources[0];
        assert_eq!(about["uri"], "test://static-text");
        assert_eq!(about["mimeType"], "text/plain");
        assert_eq!(about["size"], 5);
        assert_eq!(about["annotations"]["priority"], 0.5);
        assert_eq!(about.get("title").is_some(), revision >= Revision::V2025_06_18);
        assert_eq!(about.get("icons").is_some(), revision >= Revision::V2025_11_25);
        let modified = about["annotations"].get("lastModified");
        assert_eq!(modified.is_some(), revision >= Revision::V2025_06_18);
        let answer = server.ask(revision, "resources/templates/list", json!({}));
        let templates = &answer.body["result"]["resourceTemplates"];
        assert_eq!(templates[0]["uriTemplate"], "test://greeting/{name}");
        assert_eq!(
            templates[0].get("icons").is_some(),
            revision >= Revision::V2025_11_25
        );
        assert_eq!(templates.as_array().unwrap().len(), 2);
    }
}

#[test]
fn contents_come_under_the_uri_that_was_asked_for() {
    let mut server = server();
    for revision in Revision::ALL {
        let mut contents = |uri: &str| {
            let answer = server.ask(revision, "resources/read", json!({"uri": uri}));
            answer.body["result"]["contents"].clone()
        };
        assert_eq!(
            contents("test://static-text"),
            json!([{"uri": "test://static-text", "mimeType": "text/plain", "text": "hel\"lo"}])
        );
        assert_eq!(
            contents("test://static-binary"),
            json!([{"uri": "test://static-binary", "mimeType": "image/png", "blob": "AJ+Slg=="}])
        );
        assert_eq!(
            contents("test://parts"),
            json!([
                {"uri": "test://parts/1", "text": "one"},
                {"uri": "test://parts/2", "mimeType": "x/y", "blob": "dHdv"},
            ])
        );
        assert_eq!(
            contents("test://greeting/Ada%20L"),
            json!([{"uri": "test://greeting/Ada%20L", "mimeType": "text/markdown", "text": "Hello, Ada L!"}])
        );
    }
}

#[test]
fn modern_contents_say_how_long_they_may_be_kept() {
    let mut server = server();
    let mut caching = |method: &str, params: Value| {
        let answer = server.modern(method, params);
        let result = &answer.body["result"];
        assert_eq!(result["resultType"], "complete");
        (
            result["ttlMs"].as_u64().unwrap(),
            result["cacheScope"].as_str().unwrap().to_owned(),
        )
    };
    let read = |uri: &str| json!({"uri": uri});
    assert_eq!(
        caching("resources/read", read("test://static-text")),
        (60_000, "public".to_owned())
    );
    assert_eq!(
        caching("resources/read", read("test://parts")),
        (0, "private".to_owned())
    );
    assert_eq!(
        caching("resources/list", json!({})),
        (300_000, "public".to_owned())
    );
    assert_eq!(
        caching("resources/templates/list", json!({})),
        (300_000, "public".to_owned())
    );
}

#[test]
fn what_is_not_there_is_said_in_the_words_of_the_era() {
    let mut server = server();
    for uri in [
        "test://nothing",
        "test://greeting/nobody",
        "test://greeting/a/b",
        "test://greeting/%ff",
        "test://numbers/five",
        "file:///etc/passwd",
        "TEST://static-text",
        "",
    ] {
        for revision in Revision::ALL {
            let params = json!({"uri": uri});
            let answer = match (revision.era(), uri) {
                (Era::Modern, "") => {
                    let headers = [modern_headers("resources/read", ""), vec![("mcp-name", "")]].concat();
                    server.post(revision, &headers, modern_body("resources/read", params))
                }
                _ => server.ask(revision, "resources/read", params),
            };
            let code = if revision.era() == Era::Modern {
                -32602
            } else {
                -32002
            };
            assert_eq!(answer.refusal(), (200, code), "{uri} {answer:?}");
            assert_eq!(answer.body["error"]["data"], json!({"uri": uri}));
        }
    }
}

#[test]
fn what_an_author_says_of_a_resource_that_is_not_there_is_told() {
    let mut server = server();
    for revision in Revision::ALL {
        for (name, words) in [
            ("nobody", "resource not found"),
            ("gone", "resource not found: they left"),
        ] {
            let uri = format!("test://greeting/{name}");
            let answer = server.ask(revision, "resources/read", json!({"uri": uri}));
            assert_eq!(answer.body["error"]["message"], words, "{revision:?}");
            assert_eq!(answer.body["error"]["data"], json!({"uri": uri}));
        }
    }
}

#[test]
fn failures_are_errors_and_keep_their_secrets() {
    let mut server = server();
    for revision in [Revision::V2025_11_25, Revision::V2026_07_28] {
        for (name, code, words) in [
            ("secret", -32603, "internal error"),
            ("panic", -32603, "the server failed unexpectedly"),
            ("late", -32603, "the call timed out"),
            ("sorry", -32603, "it is closed"),
            ("odd", -32602, "too odd"),
        ] {
            let uri = format!("test://greeting/{name}");
            let answer = server.ask(revision, "resources/read", json!({"uri": uri}));
            assert_eq!(answer.refusal(), (200, code), "{name}");
            assert_eq!(answer.body["error"]["message"], words);
            assert!(!answer.body.to_string().contains("secret\""), "{answer:?}");
        }
    }
}

#[test]
fn parameters_are_checked() {
    let mut server = server();
    for params in [
        json!({}),
        json!({"uri": 5}),
        json!({"uri": null}),
        json!({"uri": "x".repeat(8_193)}),
    ] {
        for revision in [Revision::V2025_11_25, Revision::V2026_07_28] {
            let answer = server.ask(revision, "resources/read", params.clone());
            assert_eq!(answer.refusal(), (200, -32602), "{params}");
        }
    }
    let longest = format!("test://greeting/{}", "x".repeat(8_192 - 16));
    let answer = server.ask(Revision::V2025_11_25, "resources/read", json!({"uri": longest}));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["result"]["contents"][0]["uri"], longest);
    // A member that stands twice could be read differently twice.
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"test://parts","uri":"test://parts"}}"#;
    assert_eq!(
        server.post(Revision::V2025_11_25, &[], body).refusal(),
        (200, -32602)
    );
}

#[test]
fn headers_repeat_method_and_uri() {
    let mut server = server();
    let uri = "test://static-text";
    let body = modern_body("resources/read", json!({"uri": uri}));
    let mut ask = |method: &str, name: Option<&str>| {
        let mut headers = modern_headers(method, name.unwrap_or_default());
        if name.is_none() {
            headers.truncate(2);
        }
        server.post(Revision::V2026_07_28, &headers, &body)
    };
    assert_eq!(ask("resources/read", Some(uri)).status, 200);
    let wrapped = "=?base64?dGVzdDovL3N0YXRpYy10ZXh0?=";
    assert_eq!(ask("resources/read", Some(wrapped)).status, 200);
    for (method, name) in [
        ("resources/read", None),
        ("resources/read", Some("test://parts")),
        ("resources/read", Some("static-text")),
        ("resources/list", Some(uri)),
        ("Resources/Read", Some(uri)),
        ("", Some(uri)),
    ] {
        assert_eq!(ask(method, name).refusal(), HEADER_MISMATCH, "{method} {name:?}");
    }
    // The resource is looked up last: a client with a false header learns nothing.
    let body = modern_body("resources/read", json!({"uri": "test://nothing"}));
    let headers = modern_headers("resources/read", uri);
    assert_eq!(
        server.post(Revision::V2026_07_28, &headers, body).refusal(),
        HEADER_MISMATCH
    );
}

#[test]
fn reads_stand_in_batches() {
    let mut server = server();
    let read = |id: u32, uri: &str| json!({"jsonrpc": "2.0", "id": id, "method": "resources/read", "params": {"uri": uri}});
    let body = json!([
        read(1, "test://static-text"),
        read(2, "test://nothing"),
        {"jsonrpc": "2.0", "id": 3, "method": "resources/list"},
        read(4, "test://greeting/nobody"),
    ]);
    let revision = Revision::V2025_03_26;
    let answer = server.post(
        revision,
        &[("mcp-protocol-version", revision.as_str())],
        body.to_string(),
    );
    let answers = answer.body.as_array().unwrap();
    assert_eq!(answers.len(), 4);
    let of = |id: u32| answers.iter().find(|answer| answer["id"] == id).unwrap();
    assert_eq!(of(1)["result"]["contents"][0]["text"], "hel\"lo");
    assert_eq!(of(2)["error"]["code"], -32002);
    assert_eq!(of(3)["result"]["resources"][0]["name"], "static-text");
    assert_eq!(of(4)["error"]["data"]["uri"], "test://greeting/nobody");
}
