use super::*;

const HEADER_MISMATCH: (u16, i64) = (400, -32020);

#[test]
fn discover() {
    let answer = Server::new().modern("server/discover", json!({}));
    let result = &answer.body["result"];
    assert_eq!(answer.status, 200);
    assert_eq!(result["supportedVersions"], json!([MODERN]));
    assert_eq!(result["capabilities"], json!({"tools": {}, "logging": {}}));
    assert_eq!(result["instructions"], "Call echo.");
    assert!(result.get("serverInfo").is_none());
    assert_eq!(answer.session, None);
}

#[test]
fn tools_are_listed_in_one_page() {
    let mut server = Server::new();
    let answer = server.modern("tools/list", json!({}));
    let names: Vec<&str> = answer.body["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["echo", "sum", "media", "fail"]);
    assert_eq!(
        server.modern("tools/list", json!({"cursor": ""})).body,
        answer.body
    );
    assert_eq!(
        server.modern("tools/list", json!({"cursor": "x"})).refusal(),
        (200, -32602)
    );
    assert_eq!(
        server.modern("tools/list", json!({"cursor": 1})).refusal(),
        (200, -32602)
    );
}

#[test]
fn calls() {
    let mut server = Server::new();
    let answer = server.modern(
        "tools/call",
        json!({"name": "echo", "arguments": {"message": "hi\n\"é\""}}),
    );
    assert_eq!((answer.status, answer.text()), (200, "hi\n\"é\""));
    assert_eq!(answer.body["result"]["resultType"], "complete");
    assert!(answer.body["result"].get("isError").is_none());
    let answer = server.modern(
        "tools/call",
        json!({"name": "sum", "arguments": {"terms": [1, 2]}}),
    );
    assert_eq!(answer.body["result"]["structuredContent"], json!({"sum": 3}));
    assert_eq!(answer.text(), "{\"sum\":3}");
    let answer = server.modern("tools/call", json!({"name": "media"}));
    assert_eq!(answer.body["result"]["content"][2]["type"], "resource_link");
}

#[test]
fn failing_calls() {
    let mut server = Server::new();
    let mut fail =
        |how: &str| server.modern("tools/call", json!({"name": "fail", "arguments": {"how": how}}));
    let answer = fail("error");
    assert_eq!((answer.status, answer.text()), (200, "it \"failed\""));
    assert_eq!(answer.body["result"]["isError"], true);
    assert_eq!(fail("late").body["result"]["isError"], true);
    for how in ["panic", "internal"] {
        let answer = fail(how);
        assert_eq!(answer.refusal(), (200, -32603));
        assert!(!answer.body.to_string().contains("secret"), "{answer:?}");
        assert_eq!(answer.body["id"], 1);
    }
}

#[test]
fn wrong_arguments_are_a_result_and_wrong_parameters_an_error() {
    let mut server = Server::new();
    for arguments in [json!({}), json!({"message": 1}), Value::Null] {
        let answer = server.modern("tools/call", json!({"name": "echo", "arguments": arguments}));
        assert_eq!(answer.body["result"]["isError"], true, "{answer:?}");
        assert!(answer.text().contains("message"), "{answer:?}");
    }
    let answer = server.modern("tools/call", json!({"name": "echo", "arguments": []}));
    assert_eq!(answer.refusal(), (200, -32602));
    assert_eq!(
        server.modern("tools/call", json!({"name": "nobody"})).refusal(),
        (200, -32602)
    );
    assert_eq!(server.modern("tools/call", json!({})).refusal(), (200, -32602));
    assert_eq!(
        server.modern("tools/call", json!({"name": 5})).refusal(),
        (200, -32602)
    );
}

#[test]
fn unknown_methods_and_those_of_the_other_era_are_404() {
    let mut server = Server::new();
    for method in [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/read",
        "prompts/list",
        "completion/complete",
        "resources/unsubscribe",
        "notifications/initialized",
        "unknown/method",
        "TOOLS/LIST",
        "",
        "é\u{2028}\n",
    ] {
        let answer = server.modern(method, json!({}));
        assert_eq!(answer.refusal(), (404, -32601), "{method}");
        assert_eq!(answer.body["id"], 1);
    }
    let mut empty = Server::with(Registry::builder().build(), Options::default());
    assert_eq!(empty.modern("tools/list", json!({})).refusal(), (404, -32601));
    assert_eq!(
        empty.modern("server/discover", json!({})).body["result"]["capabilities"],
        json!({"logging": {}})
    );
    let listen = json!({"notifications": {"toolsListChanged": true}});
    assert_eq!(
        empty.modern("subscriptions/listen", listen).refusal(),
        (404, -32601)
    );
}

#[test]
fn the_envelope_is_required() {
    let mut server = Server::new();
    let headers = modern_headers("server/discover", "");
    let without = |key: &str| {
        let mut meta = envelope();
        meta.as_object_mut().unwrap().remove(&format!("{META}{key}"));
        json!({"_meta": meta})
    };
    let with = |key: &str, value: Value| {
        let mut meta = envelope();
        meta[key] = value;
        json!({"_meta": meta})
    };
    let capabilities = format!("{META}clientCapabilities");
    let refused = [
        json!({}),
        json!({"_meta": {}}),
        json!({"_meta": 5}),
        without("protocolVersion"),
        without("clientCapabilities"),
        with(&format!("{META}protocolVersion"), json!(5)),
        with(&capabilities, json!([])),
        with(&capabilities, json!(null)),
        with(&format!("{META}clientInfo"), json!({"name": "t"})),
        with(&format!("{META}logLevel"), json!("loud")),
        with("progressToken", json!(1.5)),
    ];
    for params in refused {
        let body = json!({"jsonrpc": "2.0", "id": "e", "method": "server/discover", "params": params});
        let answer = server.post(Revision::V2026_07_28, &headers, body.to_string());
        assert_eq!(answer.refusal(), (400, -32602), "{body}");
        assert_eq!(answer.body["id"], "e");
    }
    let accepted = [
        without("clientInfo"),
        with(&format!("{META}logLevel"), json!("emergency")),
        with("progressToken", json!("p")),
        with("traceparent", json!("00-0-0-00")),
        with(&capabilities, json!({"elicitation": {}, "unheard": 1})),
    ];
    for params in accepted {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": params});
        assert_eq!(
            server
                .post(Revision::V2026_07_28, &headers, body.to_string())
                .status,
            200,
            "{body}"
        );
    }
    // A client's first try, without header and envelope, is told what is missing, not that there is no such method.
    let bare = json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover"}).to_string();
    assert_eq!(
        server.post(Revision::V2026_07_28, &[], bare).refusal(),
        (400, -32602)
    );
}

#[test]
fn headers_mirror_the_body() {
    let mut server = Server::new();
    let (headers, body) = modern_echo();
    let body = body.to_string();
    let mut with = |name: &'static str, values: &[&'static str]| {
        let mut sent = headers.clone();
        sent.retain(|(other, _)| *other != name);
        sent.extend(values.iter().map(|value| (name, *value)));
        server.post(Revision::V2026_07_28, &sent, &body)
    };
    for (name, values) in [
        ("mcp-method", &[][..]),
        ("mcp-method", &["tools/list"]),
        ("mcp-method", &["TOOLS/CALL"]),
        ("mcp-method", &["tools/call", "tools/call"]),
        ("mcp-name", &[]),
        ("mcp-name", &[""]),
        ("mcp-name", &["sleep"]),
        ("mcp-name", &["ECHO"]),
        ("mcp-name", &["echo", "echo"]),
        ("mcp-name", &["=?base64?ZWNobw?="]),
        ("mcp-name", &["=?base64?ZW%obw==?="]),
        ("mcp-name", &["=?base64?c2xlZXA=?="]),
        ("mcp-name", &["=?BASE64?ZWNobw==?="]),
        ("mcp-name", &["=?base64?ZWNobw=="]),
        ("mcp-name", &["écho"]),
        ("mcp-protocol-version", &[]),
        ("mcp-protocol-version", &["2025-11-25"]),
        ("mcp-protocol-version", &["v999"]),
        ("mcp-protocol-version", &[MODERN, MODERN]),
    ] {
        let answer = with(name, values);
        assert_eq!(answer.refusal(), HEADER_MISMATCH, "{name}: {values:?}");
        assert_eq!(answer.body["id"], 1);
    }
    assert_eq!(with("mcp-name", &["=?base64?ZWNobw==?="]).text(), "hi");
    assert_eq!(with("mcp-session-id", &["nobody", "knows"]).text(), "hi");
    assert_eq!(with("mcp-session-id", &["nobody"]).session, None);
}

#[test]
fn unsupported_versions_are_named() {
    let mut server = Server::new();
    for version in ["2099-01-01", "v999.0.0", "2025-11-25", ""] {
        let mut body: Value = serde_json::from_str(&modern_body("server/discover", json!({}))).unwrap();
        body["params"]["_meta"][format!("{META}protocolVersion")] = json!(version);
        let headers = [
            ("mcp-protocol-version", version),
            ("mcp-method", "server/discover"),
        ];
        let answer = server.post(Revision::V2026_07_28, &headers, body.to_string());
        assert_eq!(answer.refusal(), (400, -32022), "{version}");
        assert_eq!(
            answer.body["error"]["data"],
            json!({"supported": [MODERN], "requested": version})
        );
        assert_eq!(answer.body["id"], 1);
        // A header that contradicts the body is the graver fault.
        let headers = modern_headers("server/discover", "");
        let answer = server.post(Revision::V2026_07_28, &headers, body.to_string());
        assert_eq!(answer.refusal(), HEADER_MISMATCH);
    }
}

#[test]
fn notifications_are_accepted_and_responses_are_not() {
    let mut server = Server::new();
    let headers = [("mcp-protocol-version", MODERN)];
    let mut post = |body: Value| server.post(Revision::V2026_07_28, &headers, body.to_string());
    let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 99, "_meta": envelope()}});
    let answer = post(cancelled);
    assert_eq!((answer.status, answer.body), (202, Value::Null));
    let unknown = json!({"jsonrpc": "2.0", "method": "notifications/unheard"});
    assert_eq!(post(unknown).status, 202);
    // Without an id nothing runs, whatever the method.
    let call =
        json!({"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "echo", "_meta": envelope()}});
    assert_eq!(post(call).status, 202);
    // A response is refused, but gets no answer: that could go on for ever.
    for outcome in ["result", "error"] {
        let answer = post(json!({"jsonrpc": "2.0", "id": 1, outcome: {}}));
        assert_eq!((answer.status, answer.body), (400, Value::Null));
    }
    let mut other =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"_meta": envelope()}});
    other["params"]["_meta"][format!("{META}protocolVersion")] = json!("v999");
    let answer = post(other);
    assert_eq!((answer.status, answer.body), (400, Value::Null));
}

#[test]
fn bodies_that_are_no_message() {
    let mut server = Server::new();
    let (headers, body) = modern_echo();
    let whole = body.to_string();
    let mut post = |body: &str| server.post(Revision::V2026_07_28, &headers, body);
    for body in ["", " ", "{", "hello", &format!("{whole}{whole}"), "\u{feff}{}"] {
        let answer = post(body);
        assert_eq!(answer.refusal(), (400, -32700), "{body}");
        assert!(answer.body.get("id").is_none());
    }
    let answer = post(&whole[..whole.len() - 1]);
    assert_eq!((answer.refusal(), &answer.body["id"]), ((400, -32700), &json!(1)));
    for body in [
        "[]",
        "1",
        "null",
        "{}",
        &format!("[{whole}]"),
        &format!("[{whole},{whole}]"),
    ] {
        assert_eq!(post(body).refusal(), (400, -32600), "{body}");
    }
    let many = format!("[{}1]", "1,".repeat(crate::jsonrpc::VALUES_MAX));
    assert_eq!(post(&many).refusal(), (400, -32600));
}

#[test]
fn ids_are_echoed_exactly_or_refused() {
    let mut server = Server::new();
    let (headers, body) = modern_echo();
    let whole = body.to_string();
    let mut with = |id: &str| {
        let body = whole.replace("\"id\":1", &format!("\"id\":{id}"));
        server.post(Revision::V2026_07_28, &headers, body)
    };
    for id in [
        json!(9_007_199_254_740_993_i64),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(0),
        json!(-1),
        json!("1"),
        json!("é\u{2028}中\u{1f600}"),
        json!("q\"\\/\u{8}\n\t"),
        json!("\u{0}\u{1f}"),
        json!("x".repeat(200)),
        json!(""),
    ] {
        let answer = with(&id.to_string());
        assert_eq!((&answer.body["id"], answer.text()), (&id, "hi"));
    }
    for id in ["null", "1.5", "1e999", "true", "{}", "[1]"] {
        let answer = with(id);
        assert_eq!(answer.refusal(), (400, -32600), "{id}");
        assert!(answer.body.get("id").is_none());
    }
    for id in ["1.0", "-1e2", "18446744073709551616", "-100000000000000000000"] {
        let answer = with(id);
        let number: Value = serde_json::from_str(id).unwrap();
        assert_eq!((&answer.body["id"], answer.text()), (&number, "hi"));
    }
}

#[test]
fn duplicates_never_show_two_faces() {
    let mut server = Server::new();
    let (headers, body) = modern_echo();
    let whole = body.to_string();
    let mut post = |body: String| server.post(Revision::V2026_07_28, &headers, body);
    for member in [
        r#""method":"tools/list""#,
        r#""params":{}"#,
        r#""id":99"#,
        r#""jsonrpc":"2.0""#,
        r#""m\u0065thod":"tools/list""#,
    ] {
        assert_eq!(
            post(whole.replacen('{', &format!("{{{member},"), 1)).refusal(),
            (400, -32600),
            "{member}"
        );
        assert_eq!(
            post(format!("{},{member}}}", &whole[..whole.len() - 1])).refusal(),
            (400, -32600),
            "{member}"
        );
    }
    for member in [
        r#""name":"sum""#,
        r#""arguments":{"message":"other"}"#,
        r#""_meta":{}"#,
    ] {
        let twice = whole.replacen(r#""params":{"#, &format!(r#""params":{{{member},"#), 1);
        assert_eq!(post(twice).code(), -32602, "{member}");
    }
    let twice = whole.replacen(
        r#""_meta":{"#,
        &format!(r#""_meta":{{"{META}protocolVersion":"v9","#),
        1,
    );
    assert_eq!(post(twice).code(), -32602);
    let twice = whole.replacen(r#""arguments":{"#, r#""arguments":{"message":"other","#, 1);
    assert_eq!(post(twice).body["result"]["isError"], true);
    for member in [
        r#""method\u0000":"tools/list""#,
        r#""Method":"tools/list""#,
        r#""ｍethod":"tools/list""#,
    ] {
        assert_eq!(
            post(whole.replacen('{', &format!("{{{member},"), 1)).text(),
            "hi",
            "{member}"
        );
    }
}

#[test]
fn capabilities_are_read_per_request() {
    let server = Server::new();
    let capabilities = |declared: Value| {
        let (headers, mut body) = modern_echo();
        body["params"]["_meta"][format!("{META}clientCapabilities")] = declared;
        let mut scratch = Scratch::new();
        let body = body.to_string();
        match server.protocol.decode(
            &request_context(&headers),
            body.as_bytes(),
            &mut scratch,
            &server.state,
            &mut Vec::new(),
        ) {
            Step::Work(work) => work.capabilities(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(capabilities(json!({})), ClientCapabilities::NONE);
    assert_eq!(
        capabilities(json!({"elicitation": {}})),
        ClientCapabilities::ELICITATION_FORM
    );
    assert_eq!(
        capabilities(json!({"elicitation": {"url": {}}})),
        ClientCapabilities::ELICITATION_URL
    );
    let all = capabilities(
        json!({"roots": {}, "sampling": {"tools": {}, "context": {}}, "elicitation": {"url": {}, "form": {}}}),
    );
    assert_eq!(all.bits(), 0b11_1111);
    assert!(all.contains(ClientCapabilities::SAMPLING_TOOLS));
}

#[test]
fn overload_has_one_shape() {
    let server = Server::new();
    let overload = Overload {
        reason: OverloadReason::QueueTimeout,
        retry_after: std::time::Duration::from_millis(1200),
        queue_depth: 7,
    };
    let mut out = b"HEAD".to_vec();
    let reply = server
        .protocol
        .refuse(Some(crate::jsonrpc::Id::Text("a")), &overload, &mut out);
    let refused = answer(&reply, &out);
    spec::validate(Revision::V2026_07_28, b"", &refused.body);
    assert_eq!(
        (refused.refusal(), refused.retry_after_seconds),
        ((503, -31503), Some(2))
    );
    assert_eq!(refused.body["id"], "a");
    let data = json!({"retryAfterMs": 1200, "queueDepth": 7, "reason": "queue_timeout"});
    assert_eq!(refused.body["error"]["data"], data);
    let soon = Overload {
        retry_after: std::time::Duration::ZERO,
        ..overload
    };
    assert_eq!(soon.retry_after_seconds(), 1);
}
