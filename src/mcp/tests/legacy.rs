use super::*;

const LEGACY: Revision = Revision::V2025_11_25;

fn ping() -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string()
}

#[test]
fn a_conversation() {
    let mut server = Server::new();
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {"sampling": {}}, "clientInfo": {"name": "t", "version": "1"}});
    let opened = server.legacy(LEGACY, "initialize", params);
    assert_eq!(opened.body["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(opened.body["result"]["serverInfo"]["name"], "weir");
    assert_eq!(opened.body["result"]["instructions"], "Call echo.");
    let id = opened.session.unwrap();
    let headers = [
        ("mcp-session-id", id.as_str()),
        ("mcp-protocol-version", "2025-11-25"),
    ];
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    let answer = server.post(LEGACY, &headers, initialized);
    assert_eq!(
        (answer.status, answer.body, answer.session),
        (202, Value::Null, None)
    );
    assert_eq!(server.post(LEGACY, &headers, ping()).body["result"], json!({}));
    let call = json!({"jsonrpc": "2.0", "id": "c", "method": "tools/call", "params": {"name": "echo", "arguments": {"message": "hi"}, "task": {"ttl": 1}}});
    let answer = server.post(LEGACY, &headers, call.to_string());
    assert_eq!((answer.text(), &answer.body["id"]), ("hi", &json!("c")));
    assert!(answer.body["result"].get("resultType").is_none());
    for body in [
        json!({"jsonrpc": "2.0", "id": 5, "result": {}}),
        json!({"jsonrpc": "2.0", "error": {"code": 1, "message": ""}}),
    ] {
        let answer = server.post(LEGACY, &headers, body.to_string());
        assert_eq!((answer.status, answer.body), (202, Value::Null));
    }
}

#[test]
fn versions_are_negotiated() {
    let mut server = Server::new();
    for (asked, given) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
        ("", "2025-11-25"),
    ] {
        let revision = Revision::parse(given.as_bytes()).unwrap();
        let body =
            json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": asked}});
        let answer = server.post(revision, &[], body.to_string());
        assert_eq!(answer.body["result"]["protocolVersion"], given, "{asked}");
        assert!(answer.session.is_some());
    }
    for params in [
        json!({}),
        json!({"protocolVersion": 5}),
        json!({"protocolVersion": "2025-11-25", "capabilities": []}),
        json!({"protocolVersion": "2025-11-25", "clientInfo": "me"}),
    ] {
        let answer = server.legacy(LEGACY, "initialize", params);
        assert_eq!((answer.refusal(), answer.session), ((200, -32602), None));
    }
}

#[test]
fn errors_are_200() {
    let mut server = Server::new();
    for method in [
        "no/such",
        "subscriptions/listen",
        "resources/read",
        "prompts/list",
        "notifications/initialized",
        "",
    ] {
        let answer = server.legacy(LEGACY, method, json!({}));
        assert_eq!(answer.refusal(), (200, -32601), "{method}");
        assert_eq!(answer.body["id"], 1);
    }
    assert_eq!(
        server
            .legacy(LEGACY, "tools/call", json!({"name": "nobody"}))
            .refusal(),
        (200, -32602)
    );
    assert_eq!(
        server
            .legacy(LEGACY, "tools/list", json!({"cursor": "x"}))
            .refusal(),
        (200, -32602)
    );
    assert_eq!(server.post(LEGACY, &[], "{").refusal(), (400, -32700));
    assert_eq!(server.post(LEGACY, &[], "{}").refusal(), (400, -32600));
}

#[test]
fn a_session_is_known_or_404() {
    let mut server = Server::new();
    let id = server.open_session(LEGACY);
    for (headers, refusal) in [
        (vec![("mcp-session-id", "no-such-session")], (404, -32600)),
        (vec![("mcp-session-id", "")], (404, -32600)),
        (
            vec![("mcp-session-id", id.as_str()), ("mcp-session-id", id.as_str())],
            (400, -32600),
        ),
        (
            vec![("mcp-session-id", id.as_str()), ("mcp-protocol-version", "v999")],
            (400, -32600),
        ),
        (vec![("mcp-protocol-version", "v999")], (400, -32600)),
        (
            vec![
                ("mcp-protocol-version", "2025-11-25"),
                ("mcp-protocol-version", "2025-11-25"),
            ],
            (400, -32600),
        ),
        // The header of the other era comes without its envelope.
        (vec![("mcp-protocol-version", MODERN)], (400, -32602)),
    ] {
        let answer = server.post(LEGACY, &headers, ping());
        assert_eq!(answer.refusal(), refusal, "{headers:?}");
        assert_eq!(answer.body["id"], 1);
    }
    let notification = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    let answer = server.post(LEGACY, &[("mcp-session-id", "no-such-session")], notification);
    assert_eq!((answer.status, answer.body), (404, Value::Null));
    assert_eq!(
        server.post(LEGACY, &[("mcp-session-id", &id)], ping()).status,
        200
    );
    // A stale id does not stop a client from starting anew.
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}});
    let answer = server.post(LEGACY, &[("mcp-session-id", "no-such-session")], body.to_string());
    assert!(answer.session.is_some_and(|session| session != id));
}

#[test]
fn a_session_outweighs_another_supported_version_in_the_head() {
    let mut server = Server::new();
    // Batches are answered in 2025-03-26 and refused after it.
    let batch = json!([{"jsonrpc": "2.0", "id": 1, "method": "ping"}]).to_string();
    for (negotiated, sent, status) in [
        (Revision::V2025_03_26, LEGACY, 200),
        (LEGACY, Revision::V2025_03_26, 400),
    ] {
        let id = server.open_session(negotiated);
        let headers = [
            ("mcp-session-id", id.as_str()),
            ("mcp-protocol-version", sent.as_str()),
        ];
        assert_eq!(
            server.post(negotiated, &headers, ping()).status,
            200,
            "{negotiated:?}"
        );
        assert_eq!(
            server.post(negotiated, &headers, &*batch).status,
            status,
            "{negotiated:?}"
        );
    }
}

#[test]
fn sessions_are_optional_unless_required() {
    let mut server = Server::new();
    let answer = server.post(LEGACY, &[], ping());
    assert_eq!((answer.status, answer.session), (200, None));
    let mut strict = Server::with(
        tools(),
        Options {
            require_session: true,
        },
    );
    assert_eq!(strict.post(LEGACY, &[], ping()).refusal(), (400, -32600));
    let id = strict.open_session(LEGACY);
    assert_eq!(
        strict.post(LEGACY, &[("mcp-session-id", &id)], ping()).status,
        200
    );
    assert_eq!(strict.post(LEGACY, &[], ping()).refusal(), (400, -32600));
    assert_eq!(strict.modern("tools/list", json!({})).status, 200);
}

#[test]
fn a_session_belongs_to_its_principal() {
    let mut server = Server::new();
    let id = server.open_session(LEGACY);
    let stranger = RequestContext {
        principal: Principal([1; 16]),
        ..request_context(&[("mcp-session-id", &id)])
    };
    let mut out = Vec::new();
    match server.protocol.decode(
        &stranger,
        ping().as_bytes(),
        &mut server.scratch,
        &server.state,
        &mut out,
    ) {
        Step::Reply(reply) => assert_eq!(reply.kind, ReplyKind::Gone),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        server.protocol.delete(&stranger, &server.state, &mut out).kind,
        ReplyKind::Gone
    );
    assert_eq!(
        server.post(LEGACY, &[("mcp-session-id", &id)], ping()).status,
        200
    );
}

#[test]
fn deletes() {
    let mut server = Server::new();
    let id = server.open_session(LEGACY);
    let delete = |server: &Server, headers: &[(&str, &str)]| {
        let mut out = b"HEAD".to_vec();
        let reply = server
            .protocol
            .delete(&request_context(headers), &server.state, &mut out);
        let answer = answer(&reply, &out);
        spec::validate(LEGACY, b"", &answer.body);
        answer
    };
    let named = [("mcp-session-id", id.as_str())];
    assert_eq!(delete(&server, &[]).refusal(), (400, -32600));
    assert_eq!(
        delete(&server, &[("mcp-session-id", "nobody")]).refusal(),
        (404, -32600)
    );
    assert_eq!(delete(&server, &[named[0], named[0]]).refusal(), (400, -32600));
    assert_eq!(
        delete(&server, &[named[0], ("mcp-protocol-version", "v999")]).refusal(),
        (400, -32600)
    );
    assert_eq!(
        delete(&server, &[named[0], ("mcp-protocol-version", MODERN)]).refusal(),
        (405, -32600)
    );
    assert_eq!(
        delete(&server, &[("mcp-protocol-version", MODERN)]).refusal(),
        (405, -32600)
    );
    let answer = delete(&server, &named);
    assert_eq!((answer.status, answer.body), (200, Value::Null));
    assert_eq!(delete(&server, &named).refusal(), (404, -32600));
    assert_eq!(server.post(LEGACY, &named, ping()).refusal(), (404, -32600));
}

#[test]
fn wrong_arguments_answer_in_the_form_of_the_revision() {
    let mut server = Server::new();
    for revision in Revision::ALL
        .into_iter()
        .filter(|revision| revision.era() == Era::Legacy)
    {
        let answer = server.legacy(
            revision,
            "tools/call",
            json!({"name": "echo", "arguments": {"message": 5}}),
        );
        assert_eq!(answer.status, 200);
        if revision >= Revision::V2025_11_25 {
            assert_eq!(answer.body["result"]["isError"], true);
            assert!(answer.text().contains("/message"), "{answer:?}");
        } else {
            assert_eq!(answer.code(), -32602);
            assert_eq!(answer.body["error"]["data"]["violations"][0]["path"], "/message");
            assert!(
                answer.body["error"]["message"]
                    .as_str()
                    .unwrap()
                    .contains("/message")
            );
        }
    }
}

/// `initialize` never depends on what `clientInfo` says, as long as it is an object.
#[test]
fn a_session_is_told_what_its_client_says_it_is() {
    use crate::registry::ClientText;
    let mut server = Server::new();
    for (client_info, expected) in [
        (
            json!({"name": "probe", "version": "1.0"}),
            ClientText::of("probe", Some("1.0")),
        ),
        (json!({"name": "probe"}), ClientText::of("probe", None)),
        (
            json!({"name": "probe", "version": 1}),
            ClientText::of("probe", None),
        ),
        (json!({"version": "1.0"}), ClientText::NONE),
        (json!({"name": null}), ClientText::NONE),
        (json!({"name": ["probe"], "title": "Probe"}), ClientText::NONE),
        (Value::Null, ClientText::NONE),
    ] {
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client_info});
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        let answer = server.post(Revision::V2025_06_18, &[], body.to_string());
        assert!(answer.session.is_some());
        assert_eq!(server.state.client.take(), Some(expected), "{client_info}");
    }
}
