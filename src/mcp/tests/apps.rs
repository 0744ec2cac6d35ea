//! User interfaces beside results (MCP Apps, 2026-01-26): what a server declares, lists and tells its tools.

use super::*;
use crate::registry::{
    APP_MIME_TYPE, AppSettings, ClientCapabilities, ListRequest, ReadOutput, RegistryError, Resource,
    ResourceContents, ResourceLister, ResourcePage, ResourceTemplate, ToolVisibility,
};

const EXTENSION: &str = "io.modelcontextprotocol/ui";
const PAGE: &str = "ui://sales/chart";

fn host() -> Value {
    json!({"extensions": {EXTENSION: {"mimeTypes": [APP_MIME_TYPE]}}})
}

fn server() -> Server {
    let mut registry = Registry::builder();
    let chart = Tool::new("chart")
        .app(PAGE)
        .run(|ctx: CallContext, _: NoArguments| async move {
            let shows_apps = ctx.client().contains(ClientCapabilities::APPS);
            Ok(if shows_apps { "shown" } else { "a table" })
        });
    let refresh = Tool::new("refresh")
        .visibility(ToolVisibility::App)
        .run(|_: CallContext, _: NoArguments| async { Ok("") });
    let page = Resource::app(PAGE, "chart")
        .app_settings(AppSettings::new().connect("https://api.example.com").border(true))
        .read(|_: CallContext| async { Ok("<html>") });
    let own = Resource::app("ui://own", "own")
        .app_settings(AppSettings::new().border(true))
        .read(|_: CallContext| async {
            Ok(ReadOutput::text("<html>").contents_meta("ui", json!({"prefersBorder": false})))
        });
    registry
        .add(chart)
        .unwrap()
        .add(refresh)
        .unwrap()
        .add(page)
        .unwrap()
        .add(own)
        .unwrap();
    Server::with(registry.build(), Options::default())
}

/// A request in any revision, of a client with these capabilities.
fn ask(server: &mut Server, revision: Revision, capabilities: &Value, method: &str, params: Value) -> Value {
    let mut answer = match revision.era() {
        Era::Modern => server.modern_of(capabilities, method, params),
        Era::Legacy => {
            let session = server.open_session_of(revision, capabilities.clone());
            server.in_session(revision, &session, request(1, method, params))
        }
    };
    answer.body["result"].take()
}

#[test]
fn tools_name_their_pages_and_pages_what_they_need() {
    let mut server = server();
    let about = json!({"csp": {"connectDomains": ["https://api.example.com"]}, "prefersBorder": true});
    for revision in Revision::ALL
        .into_iter()
        .filter(|revision| revision.has_item_meta())
    {
        let tools = ask(&mut server, revision, &host(), "tools/list", json!({}));
        let expected = json!({"ui": {"resourceUri": PAGE}, "ui/resourceUri": PAGE});
        assert_eq!(tools["tools"][0]["_meta"], expected, "{revision:?}");
        let pages = ask(&mut server, revision, &host(), "resources/list", json!({}));
        let page = &pages["resources"][0];
        assert_eq!(page["mimeType"], "text/html;profile=mcp-app");
        assert_eq!(page["_meta"], json!({"ui": about}), "{revision:?}");
        // Hosts prefer what is said here.
        for (uri, expected) in [(PAGE, &about), ("ui://own", &json!({"prefersBorder": false}))] {
            let read = ask(
                &mut server,
                revision,
                &host(),
                "resources/read",
                json!({"uri": uri}),
            );
            let contents = &read["contents"][0];
            assert_eq!(contents["mimeType"], "text/html;profile=mcp-app");
            assert_eq!(contents["_meta"], json!({"ui": expected}), "{revision:?} {uri}");
        }
    }
    let discovered = server.modern("server/discover", json!({}));
    assert_eq!(
        discovered.body["result"]["capabilities"]["extensions"],
        json!({EXTENSION: {}})
    );
    let discovered = Server::new().modern("server/discover", json!({}));
    assert_eq!(discovered.body["result"]["capabilities"].get("extensions"), None);
}

#[test]
fn a_tool_knows_whether_its_page_is_shown() {
    let mut server = server();
    for revision in Revision::ALL {
        for (capabilities, expected) in [
            (host(), "shown"),
            (
                json!({"extensions": {EXTENSION: {"mimeTypes": ["text/plain"]}}}),
                "a table",
            ),
            (json!({}), "a table"),
        ] {
            let result = ask(
                &mut server,
                revision,
                &capabilities,
                "tools/call",
                json!({"name": "chart"}),
            );
            assert_eq!(
                result["content"][0]["text"], expected,
                "{revision:?} {capabilities}"
            );
        }
    }
}

/// Without an app that calls it, such a tool would be in the model's way.
#[test]
fn tools_for_apps_alone_are_listed_to_hosts_alone() {
    let mut server = server();
    for revision in Revision::ALL {
        for (capabilities, expected) in [(host(), &["chart", "refresh"][..]), (json!({}), &["chart"])] {
            let listed = ask(&mut server, revision, &capabilities, "tools/list", json!({}));
            let names = listed["tools"]
                .as_array()
                .unwrap()
                .iter()
                .map(|tool| tool["name"].as_str().unwrap());
            assert_eq!(names.collect::<Vec<_>>(), expected, "{revision:?} {capabilities}");
            if revision.era() == Era::Modern {
                assert_eq!(listed["cacheScope"], "private");
            }
        }
    }
    let listed = Server::new().modern("tools/list", json!({}));
    assert_eq!(listed.body["result"]["cacheScope"], "public");
}

/// What a function says when it is called is checked as what is registered.
#[test]
fn contents_and_pages_of_lists_that_no_host_can_show_are_internal_errors() {
    let mut registry = Registry::builder();
    let own = json!({"csp": {"connectDomains": "javascript://a"}});
    let (of_text, of_part) = (own.clone(), own);
    registry
        .add(Resource::app("ui://text", "text").read(move |_: CallContext| {
            let about = of_text.clone();
            async { Ok(ReadOutput::text("").contents_meta("ui", about)) }
        }))
        .unwrap()
        .add(Resource::app("ui://part", "part").read(move |_: CallContext| {
            let about = of_part.clone();
            async {
                Ok(vec![
                    ResourceContents::text("ui://part", None, "").meta("ui", about),
                ])
            }
        }))
        .unwrap();
    let mut server = Server::with(registry.build(), Options::default());
    for uri in ["ui://text", "ui://part"] {
        let read = server.modern("resources/read", json!({"uri": uri}));
        assert_eq!(read.body["error"]["code"], -32603, "{uri}: {}", read.body);
    }
    let mut registry = Registry::builder();
    let listed = async |_: CallContext, _: ListRequest| {
        let wrong = Resource::app("https://example.com", "x").listed();
        Ok(ResourcePage {
            resources: vec![wrong],
            next: None,
        })
    };
    registry.add(ResourceLister::new("pages", listed)).unwrap();
    let mut server = Server::with(registry.build(), Options::default());
    let listed = server.modern("resources/list", json!({}));
    assert_eq!(listed.body["error"]["code"], -32603, "{}", listed.body);
}

#[test]
fn what_no_host_can_show_is_refused() {
    let mut registry = Registry::builder();
    let page = |uri: &str| Resource::app(uri, "x").read(|_: CallContext| async { Ok("") });
    let elsewhere = Tool::new("x")
        .app("https://example.com")
        .run(|_: CallContext, _: NoArguments| async { Ok("") });
    let origin = Resource::app("ui://x", "x")
        .app_settings(AppSettings::new().load("https://a; script-src *"))
        .read(|_: CallContext| async { Ok("") });
    let template = ResourceTemplate::new("x:{y}", "x")
        .app_settings(AppSettings::new())
        .read(|_: CallContext, _: NoArguments| async { Ok("") });
    let by_hand = |key: &str, value: Value| {
        let tool = Tool::new("x").meta(key, value);
        tool.run(|_: CallContext, _: NoArguments| async { Ok("") })
    };
    let domain = Resource::app("ui://x", "x")
        .app_settings(AppSettings::new().domain("a; b"))
        .read(|_: CallContext| async { Ok("") });
    for refused in [
        registry.add(page("https://example.com/")).err(),
        registry.add(elsewhere).err(),
        registry.add(origin).err(),
        registry.add(template).err(),
        registry.add(by_hand("ui", json!({"visibility": "app"}))).err(),
        registry.add(by_hand("ui/resourceUri", json!("ui://a\0"))).err(),
        registry.add(domain).err(),
    ] {
        assert!(matches!(refused, Some(RegistryError::App { .. })), "{refused:?}");
    }
    assert!(registry.add(page("ui://x")).is_ok());
}
