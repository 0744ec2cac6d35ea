//! Seeded mutations of valid requests: each gives exactly one step, and what it appends is valid.

use super::*;

const ROUNDS: u64 = 4000;

#[test]
fn mutated_requests_never_panic_and_always_end_in_one_answer() {
    let mut server = Server::new();
    let session = server.open_session(Revision::V2025_03_26);
    let seeds = seeds();
    let mut tallies = HashMap::new();
    for seed in 0..ROUNDS {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut body = seeds[rng.usize(..seeds.len())].clone();
        for _ in 0..rng.usize(0..3) {
            mutate(&mut rng, &mut body, &seeds);
        }
        let headers = headers(&mut rng, &session);
        let context = format!("seed {seed}: {headers:?} {}", body.escape_ascii());
        let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            server.post(revision_of(&headers, &body), &headers, &body).status
        }))
        .unwrap_or_else(|_| panic!("{context}"));
        assert!([200, 202, 400, 404].contains(&status), "{status} {context}");
        *tallies.entry(status).or_insert(0) += 1;
    }
    // The mutations must not be so wild that nothing but parse errors is tried.
    assert!(
        tallies.len() == 4 && tallies.values().all(|count| *count > 40),
        "{tallies:?}"
    );
}

/// The revision that the answer will have.
fn revision_of(headers: &[(&str, &str)], body: &[u8]) -> Revision {
    let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    let is_modern = parsed["params"]["_meta"]
        .get(format!("{META}protocolVersion"))
        .is_some()
        || parsed["method"] == "server/discover"
        || http_head(headers).protocol_version.value() == Some(MODERN.as_bytes())
            && parsed["method"] != "initialize";
    if is_modern {
        return Revision::V2026_07_28;
    }
    if parsed["method"] == "initialize" {
        let asked = parsed["params"]["protocolVersion"].as_str().unwrap_or_default();
        return Revision::parse(asked.as_bytes())
            .filter(|revision| revision.era() == Era::Legacy)
            .unwrap_or(Revision::NEWEST_LEGACY);
    }
    if http_head(headers).session_id.is_present() {
        return Revision::V2025_03_26;
    }
    let named = http_head(headers)
        .protocol_version
        .value()
        .and_then(Revision::parse);
    named.unwrap_or(Revision::ASSUMED)
}

fn headers<'a>(rng: &mut fastrand::Rng, session: &'a str) -> Vec<(&'static str, &'a str)> {
    let mut headers: Vec<(&str, &str)> = match rng.u8(0..8) {
        0 => Vec::new(),
        1 => vec![("mcp-session-id", session)],
        2 => modern_headers("tools/list", ""),
        3 => modern_headers("server/discover", ""),
        4 => vec![("mcp-protocol-version", "2025-03-26")],
        5 => modern_headers("subscriptions/listen", ""),
        6 => vec![("mcp-session-id", session)],
        _ => modern_headers("tools/call", "echo"),
    };
    if rng.u8(0..8) == 0 {
        let name = ["mcp-name", "mcp-method", "mcp-session-id", "mcp-protocol-version"];
        headers.push((
            name[rng.usize(..4)],
            ["", "é", "=?base64?", "2025-11-25"][rng.usize(..4)],
        ));
    }
    headers
}

fn seeds() -> Vec<Vec<u8>> {
    let (_, echo) = modern_echo();
    let echo = echo.to_string();
    let legacy = json!({"jsonrpc": "2.0", "id": "x", "method": "tools/call", "params": {"name": "sum", "arguments": {"terms": [1, 2]}}});
    let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18", "capabilities": {"roots": {}}}});
    [
        echo.clone(),
        echo,
        modern_body("tools/list", json!({"cursor": ""})),
        modern_body("server/discover", json!({})),
        modern_body("no/such", json!({})),
        legacy.to_string(),
        initialize.to_string(),
        json!([legacy, {"jsonrpc": "2.0", "method": "x"}, {"jsonrpc": "2.0", "id": 3, "method": "ping"}])
            .to_string(),
        notification("notifications/cancelled", json!({"requestId": 1})).to_string(),
        modern_body(
            "subscriptions/listen",
            json!({"notifications": {"toolsListChanged": true, "resourceSubscriptions": ["x:/a"]}}),
        ),
        modern_body(
            "tools/call",
            json!({"name": "echo", "inputResponses": {"a": {}}, "requestState": "s"}),
        ),
        request(4, "logging/setLevel", json!({"level": "info"})).to_string(),
        request(5, "resources/subscribe", json!({"uri": "x:/a", "_meta": {"progressToken": 1}})).to_string(),
        json!({"jsonrpc": "2.0", "id": "q", "result": {"action": "accept"}}).to_string(),
        json!([notification("notifications/cancelled", json!({"requestId": 1})), {"jsonrpc": "2.0", "id": "q", "error": {"code": 1}}])
            .to_string(),
    ]
    .map(String::into_bytes)
    .to_vec()
}

fn mutate(rng: &mut fastrand::Rng, body: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    if body.is_empty() {
        return;
    }
    let at = rng.usize(..body.len());
    match rng.u8(0..12) {
        0 => body[at] = rng.u8(..),
        1 => body[at] ^= 1 << rng.u8(0..8),
        2 => body.truncate(at),
        3 => body.insert(at, *rng.choice(b"{}[]\",:\\0-e \0\xff".iter()).unwrap()),
        4 => {
            let end = (at + rng.usize(0..20)).min(body.len());
            body.drain(at..end);
        }
        5 => {
            let other = &seeds[rng.usize(..seeds.len())];
            let from = rng.usize(..other.len());
            body.splice(
                at..at,
                other[from..(from + rng.usize(0..40)).min(other.len())]
                    .iter()
                    .copied(),
            );
        }
        _ => replace_value(rng, body),
    }
}

/// Keeps the text valid and puts another value where one was.
fn replace_value(rng: &mut fastrand::Rng, body: &mut Vec<u8>) {
    let Ok(mut value) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    let mut place = &mut value;
    for _ in 0..rng.u8(1..5) {
        let count = match &*place {
            Value::Object(members) => members.len(),
            Value::Array(elements) => elements.len(),
            _ => 0,
        };
        if count == 0 {
            break;
        }
        let at = rng.usize(..count);
        place = match place {
            Value::Object(members) => members.values_mut().nth(at).unwrap(),
            Value::Array(elements) => &mut elements[at],
            _ => unreachable!("only containers have a count"),
        };
    }
    *place = [
        json!(null),
        json!(5),
        json!(1.5),
        json!("ping"),
        json!([]),
        json!({}),
        json!("x".repeat(60)),
    ][rng.usize(..7)]
    .clone();
    *body = value.to_string().into_bytes();
}
