use super::*;

fn legacy_revisions() -> impl Iterator<Item = Revision> {
    Revision::ALL
        .into_iter()
        .filter(|revision| revision.era() == Era::Legacy)
}

#[test]
fn each_revision_lists_what_it_knows() {
    let mut server = Server::new();
    for revision in legacy_revisions() {
        let answer = server.legacy(revision, "tools/list", json!({}));
        let tools = &answer.body["result"]["tools"];
        let (echo, sum) = (&tools[0], &tools[1]);
        assert_eq!(echo.get("title").is_some(), revision >= Revision::V2025_06_18);
        assert_eq!(
            echo.get("annotations").is_some(),
            revision >= Revision::V2025_03_26
        );
        let title = &echo["annotations"]["title"];
        assert_eq!(title == "Echo", revision == Revision::V2025_03_26, "{echo}");
        assert_eq!(
            sum.get("outputSchema").is_some(),
            revision >= Revision::V2025_06_18
        );
        assert!(sum["inputSchema"]["properties"]["note"].is_object());
        let result = answer.body["result"].as_object().unwrap();
        assert_eq!(result.keys().collect::<Vec<_>>(), ["tools"]);
    }
    let modern = server.modern("tools/list", json!({}));
    assert!(modern.body["result"]["tools"][1].get("outputSchema").is_some());
}

#[test]
fn each_revision_gets_content_it_knows() {
    let mut server = Server::new();
    for revision in legacy_revisions() {
        let answer = server.legacy(revision, "tools/call", json!({"name": "media"}));
        let kinds: Vec<&str> = answer.body["result"]["content"]
            .as_array()
            .unwrap()
            .iter()
            .map(|block| block["type"].as_str().unwrap())
            .collect();
        let expected = match revision {
            Revision::V2024_11_05 => ["text", "text", "text"],
            Revision::V2025_03_26 => ["text", "audio", "text"],
            _ => ["text", "audio", "resource_link"],
        };
        assert_eq!(kinds, expected);
        if revision == Revision::V2024_11_05 {
            assert_eq!(answer.body["result"]["content"][1]["text"], "[audio, audio/wav]");
            assert_eq!(answer.body["result"]["content"][2]["text"], "x: file:///x");
        }
    }
}

#[test]
fn each_revision_gets_structured_results_if_it_has_them() {
    let mut server = Server::new();
    for revision in legacy_revisions() {
        let answer = server.legacy(
            revision,
            "tools/call",
            json!({"name": "sum", "arguments": {"terms": [2, 3]}}),
        );
        let has_structure = answer.body["result"]["structuredContent"] == json!({"sum": 5});
        assert_eq!(has_structure, revision >= Revision::V2025_06_18);
        assert_eq!(answer.text(), "{\"sum\":5}");
    }
}

#[test]
fn each_revision_introduces_the_server() {
    let mut server = Server::new();
    for revision in legacy_revisions() {
        let params = json!({"protocolVersion": revision.as_str(), "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let answer = server.legacy(revision, "initialize", params);
        let info = &answer.body["result"]["serverInfo"];
        assert_eq!(info.get("title").is_some(), revision >= Revision::V2025_06_18);
        assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
    }
}

#[test]
fn a_sessions_revision_decides_without_a_header() {
    let mut server = Server::new();
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    for revision in legacy_revisions() {
        let id = server.open_session(revision);
        let answer = server.post(revision, &[("mcp-session-id", &id)], &list);
        let has_title = answer.body["result"]["tools"][0].get("title").is_some();
        assert_eq!(has_title, revision >= Revision::V2025_06_18);
    }
    let assumed = server.post(Revision::V2025_03_26, &[], list);
    assert_eq!(assumed.body["result"]["tools"][0]["annotations"]["title"], "Echo");
}
