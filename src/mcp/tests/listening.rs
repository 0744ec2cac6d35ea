//! `subscriptions/listen`, and the announcements to clients that listen.

use super::*;
use crate::jsonrpc::{Id, RequestId};
use crate::registry::{Resource, ResourceTemplate};

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

fn registry() -> Registry {
    let mut registry = Registry::builder();
    registry
        .add(Tool::new("t").run(|_: CallContext, _: NoArguments| async { Ok("t") }))
        .unwrap()
        .add(Resource::new("demo://a", "a").read(|_: CallContext| async { Ok("a") }))
        .unwrap()
        .add(
            ResourceTemplate::new("demo://t/{x}", "t")
                .read(|_: CallContext, _: NoArguments| async { Ok("") }),
        )
        .unwrap();
    registry.build()
}

/// What was granted, and the acknowledgement of it.
fn listen(server: &mut Server, id: Value, wanted: Value) -> Result<(Listen, Value), Answer> {
    let mut body: Value = serde_json::from_str(&modern_body(
        "subscriptions/listen",
        json!({"notifications": wanted}),
    ))
    .unwrap();
    body["id"] = id;
    let headers = modern_headers("subscriptions/listen", "");
    let mut out = b"HEAD".to_vec();
    let text = body.to_string();
    let step = server.protocol.decode(
        &request_context(&headers),
        text.as_bytes(),
        &mut server.scratch,
        &server.state,
        &mut out,
    );
    match step {
        Step::Listen(listen) => {
            let acknowledged = serde_json::from_slice(&out[4..]).unwrap();
            spec::validate_said(Revision::V2026_07_28, &acknowledged);
            Ok((*listen, acknowledged))
        }
        Step::Reply(reply) => {
            let answer = answer(&reply, &out);
            spec::validate(Revision::V2026_07_28, body.to_string().as_bytes(), &answer.body);
            Err(answer)
        }
        step => panic!("{step:?}"),
    }
}

#[test]
fn what_there_is_is_granted() {
    let mut server = Server::with(registry(), Options::default());
    let wanted = json!({
        "toolsListChanged": true,
        "promptsListChanged": true,
        "resourcesListChanged": false,
        "resourceSubscriptions": ["demo://a", "demo://nowhere", "demo://t/1", "demo://a"],
        "x": 1,
    });
    for id in [json!("l-1"), json!(1), json!(0), json!(u64::MAX)] {
        let (listen, acknowledged) = listen(&mut server, id.clone(), wanted.clone()).unwrap();
        let expected = Interest {
            tools: true,
            prompts: false,
            resources: false,
            uris: vec!["demo://a".into(), "demo://t/1".into()],
            own_uris: Vec::new(),
            tasks: Vec::new(),
        };
        assert_eq!(listen.interest, expected);
        assert_eq!(listen.labels.method, crate::metrics::Method::SubscriptionsListen);
        let params = &acknowledged["params"];
        assert_eq!(params["_meta"], json!({SUBSCRIPTION: id}));
        let granted = json!({"toolsListChanged": true, "resourceSubscriptions": ["demo://a", "demo://t/1"]});
        assert_eq!(params["notifications"], granted);
        let mut out = Vec::new();
        server.protocol.write_listen_end(&listen.id, &mut out);
        let end: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&end["id"], &end["result"]["_meta"][SUBSCRIPTION]), (&id, &id));
        spec::validate(
            Revision::V2026_07_28,
            br#"{"method":"subscriptions/listen"}"#,
            &end,
        );
    }
    let (nothing, acknowledged) = listen(&mut server, json!(1), json!({})).unwrap();
    assert_eq!(nothing.interest, Interest::default());
    assert_eq!(acknowledged["params"]["notifications"], json!({}));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let mut server = Server::with(registry(), Options::default());
    let many = vec!["demo://a"; LISTEN_URIS_MAX + 1];
    let bytes = vec!["a".repeat(8_000); 9];
    for wanted in [
        json!(null),
        json!([]),
        json!({"toolsListChanged": 1}),
        json!({"resourceSubscriptions": "demo://a"}),
        json!({"resourceSubscriptions": [1]}),
        json!({"resourceSubscriptions": many}),
        json!({"resourceSubscriptions": bytes}),
        json!({"resourceSubscriptions": ["a".repeat(8_193)]}),
    ] {
        let refused = listen(&mut server, json!("l"), wanted.clone()).unwrap_err();
        assert_eq!(refused.refusal(), (200, -32602), "{wanted}");
        assert_eq!(refused.body["id"], "l");
    }
    let most = vec!["demo://a"; LISTEN_URIS_MAX];
    let (granted, _) = listen(&mut server, json!(1), json!({"resourceSubscriptions": most})).unwrap();
    assert_eq!(granted.interest.uris.len(), 1);
}

#[test]
fn its_headers_are_checked_too() {
    let mut server = Server::with(registry(), Options::default());
    let body = modern_body("subscriptions/listen", json!({"notifications": {}}));
    for headers in [
        vec![("mcp-protocol-version", MODERN)],
        vec![("mcp-protocol-version", MODERN), ("mcp-method", "tools/list")],
        vec![("mcp-method", "subscriptions/listen")],
    ] {
        let refused = server.post(Revision::V2026_07_28, &headers, &body);
        assert_eq!(refused.refusal(), (400, -32020), "{headers:?}");
    }
}

#[test]
fn announcements_are_valid_for_every_listener() {
    for announcement in [
        Announcement::ToolsChanged,
        Announcement::PromptsChanged,
        Announcement::ResourcesChanged,
        Announcement::ResourceUpdated("demo://a?b=%22".into()),
    ] {
        let mut out = b"before".to_vec();
        let announced = write_announcement(&announcement, &mut out);
        let message = &out[6..];
        let mut plain = Vec::new();
        announced.write(message, None, &mut plain);
        assert_eq!(plain, message);
        let legacy: Value = serde_json::from_slice(&plain).unwrap();
        assert_eq!(legacy["method"], announcement.method());
        for revision in Revision::ALL {
            spec::validate_said(revision, &legacy);
        }
        for id in [Id::Signed(3), Id::Text("3\"")] {
            let mut tagged = b"behind".to_vec();
            announced.write(message, Some(&RequestId::from(id)), &mut tagged);
            let mut tagged: Value = serde_json::from_slice(&tagged[6..]).unwrap();
            spec::validate_said(Revision::V2026_07_28, &tagged);
            let meta = tagged["params"]
                .as_object_mut()
                .unwrap()
                .shift_remove("_meta")
                .unwrap();
            let mut written = Vec::new();
            id.write(&mut written);
            assert_eq!(
                meta[SUBSCRIPTION],
                serde_json::from_slice::<Value>(&written).unwrap()
            );
            assert_eq!(tagged, legacy);
        }
    }
}
