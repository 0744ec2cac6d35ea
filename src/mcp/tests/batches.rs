use super::*;

const BATCHES: Revision = Revision::V2025_03_26;
const HEADERS: [(&str, &str); 1] = [("mcp-protocol-version", "2025-03-26")];

fn request(id: u32, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn echo(id: u32, message: &str) -> Value {
    request(
        id,
        "tools/call",
        json!({"name": "echo", "arguments": {"message": message}}),
    )
}

#[test]
fn calls_and_control_are_answered_in_one_array() {
    let mut server = Server::new();
    let batch = json!([
        echo(1, "a, ]\"b"),
        request(2, "ping", json!({})),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        request(3, "no/such", json!({})),
        echo(4, "c"),
        {"jsonrpc": "2.0", "id": 77, "result": {}},
        request(5, "tools/call", json!({"name": "echo", "arguments": {}})),
    ]);
    let answer = server.post(BATCHES, &HEADERS, serde_json::to_string_pretty(&batch).unwrap());
    assert_eq!(answer.status, 200);
    let answers = answer.body.as_array().unwrap();
    assert_eq!(answers.len(), 5);
    let by_id = |id: u32| answers.iter().find(|answer| answer["id"] == id).unwrap();
    assert_eq!(by_id(1)["result"]["content"][0]["text"], "a, ]\"b");
    assert_eq!(by_id(2)["result"], json!({}));
    assert_eq!(by_id(3)["error"]["code"], -32601);
    assert_eq!(by_id(4)["result"]["content"][0]["text"], "c");
    assert_eq!(by_id(5)["error"]["code"], -32602);
    // A batch of nothing but control has nothing to run, and one with nothing to answer has no body.
    let control = json!([request(1, "ping", json!({})), request(2, "ping", json!({}))]);
    assert_eq!(
        server
            .post(BATCHES, &HEADERS, control.to_string())
            .body
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let silent = json!([{"jsonrpc": "2.0", "method": "x"}, {"jsonrpc": "2.0", "id": 1, "result": {}}]);
    let answer = server.post(BATCHES, &HEADERS, silent.to_string());
    assert_eq!((answer.status, answer.body), (202, Value::Null));
    let one = server.post(BATCHES, &HEADERS, json!([echo(1, "x")]).to_string());
    assert_eq!(one.body[0]["result"]["content"][0]["text"], "x");
}

#[test]
fn only_one_revision_has_them() {
    let mut server = Server::new();
    let batch = json!([echo(1, "x")]).to_string();
    for revision in Revision::ALL {
        let headers = [("mcp-protocol-version", revision.as_str())];
        let answer = server.post(revision, &headers, &batch);
        if revision == BATCHES {
            assert_eq!(answer.status, 200);
        } else {
            assert_eq!(answer.refusal(), (400, -32600), "{}", revision.as_str());
        }
        if revision.era() == Era::Legacy {
            let id = server.open_session(revision);
            let answer = server.post(revision, &[("mcp-session-id", &id)], &batch);
            assert_eq!(answer.status == 200, revision == BATCHES);
        }
    }
    assert_eq!(
        server
            .post(BATCHES, &[("mcp-session-id", "nobody")], &batch)
            .refusal(),
        (404, -32600)
    );
}

#[test]
fn what_cannot_be_in_a_batch_refuses_it_whole() {
    let mut server = Server::new();
    let modern: Value = serde_json::from_str(&modern_body("tools/list", json!({}))).unwrap();
    let initialize = request(1, "initialize", json!({"protocolVersion": "2025-03-26"}));
    for element in [
        json!(1),
        json!([]),
        json!({}),
        json!([echo(1, "x")]),
        modern,
        initialize,
    ] {
        let batch = json!([request(9, "ping", json!({})), element, echo(8, "x")]);
        let answer = server.post(BATCHES, &HEADERS, batch.to_string());
        assert_eq!(answer.refusal(), (400, -32600), "{batch}");
        assert_eq!(answer.session, None);
    }
    assert_eq!(server.post(BATCHES, &HEADERS, "[]").refusal(), (400, -32600));
    let many = |count: usize| Value::from(vec![request(1, "ping", json!({})); count]).to_string();
    assert_eq!(
        server.post(BATCHES, &HEADERS, many(BATCH_ELEMENTS_MAX)).status,
        200
    );
    assert_eq!(
        server
            .post(BATCHES, &HEADERS, many(BATCH_ELEMENTS_MAX + 1))
            .refusal(),
        (400, -32600)
    );
}

#[test]
fn overload_is_one_error_for_each_call() {
    let mut server = Server::new();
    let body = json!([echo(1, "a"), request(2, "ping", json!({})), echo(3, "b")]).to_string();
    let mut out = b"HEAD".to_vec();
    let batch = match server.protocol.decode(
        &request_context(&HEADERS),
        body.as_bytes(),
        &mut server.scratch,
        &server.state,
        &mut out,
    ) {
        Step::Batch(batch) => batch,
        other => panic!("{other:?}"),
    };
    let overload = Overload {
        reason: OverloadReason::Handlers,
        retry_after: std::time::Duration::from_secs(1),
        queue_depth: 3,
    };
    let reply = batch.refuse(
        &server.protocol,
        &overload,
        body.as_bytes(),
        &mut server.scratch,
        &mut out,
    );
    let answer = answer(&reply, &out);
    spec::validate(BATCHES, body.as_bytes(), &answer.body);
    assert_eq!((answer.status, answer.retry_after_seconds), (503, Some(1)));
    let codes: Vec<(i64, i64)> = answer
        .body
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| {
            (
                answer["id"].as_i64().unwrap(),
                answer["error"]["code"].as_i64().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(codes, [(2, 0), (1, -31503), (3, -31503)]);
}
