//! Servers that are other programs: what clients of each revision are told of them, and where their calls go.

use std::sync::Arc;

use super::*;
use crate::mcp::lists::prepared::PAGE_BYTES_MAX;
use crate::registry::{
    ClientRules, ForeignFeatures, ForeignItem, ForeignServer, Operation, Resource, ResourceLister,
    ResourcePage, ServerIndex,
};

const EVERYTHING: ForeignFeatures = ForeignFeatures {
    tools: true,
    prompts: true,
    resources: true,
    completions: true,
    logging: false,
    subscriptions: false,
};

fn items(key: &str, texts: &[&str]) -> Vec<ForeignItem> {
    let item = |text: &&str| {
        let value: Value = serde_json::from_str(&text.replace("1e400", "1")).unwrap();
        ForeignItem {
            name: value[key].as_str().unwrap().to_owned(),
            text: text.as_bytes().into(),
        }
    };
    texts.iter().map(item).collect()
}

/// The name by which the other program calls itself.
pub(super) const THEIR_NAME: &str = "théirs";

const TOOL: &str = r#"{"name":"any name/é","title":"T","inputSchema":{"type":"object","x":[1.10,1e400,12345678901234567890]},"annotations":{"readOnlyHint":true},"execution":{"taskSupport":"optional"},"unknown" : {}}"#;

fn program(index: u16, name: &str) -> ForeignServer {
    ForeignServer {
        server: ServerIndex(index),
        name: name.to_owned(),
        server_info: r#"{"name":"théirs", "version":"1.10","title":"Theirs","websiteUrl":"https://example.com","x":1.0}"#
            .as_bytes()
            .into(),
        instructions: Some(Box::from(*br#""Use \u0069t.""#)),
        is_modern: false,
        clients: None,
        features: EVERYTHING,
        tools: items("name", &[TOOL]),
        prompts: items("name", &[r#"{"name":"p","arguments":[{"name":"a","title":"A"}]}"#]),
        resources: items("uri", &[r#"{"uri":"x:listed","name":"r"}"#]),
        templates: items("uriTemplate", &[r#"{"uriTemplate":"x:{id}","name":"t"}"#]),
    }
}

fn registry(own: &Registry, programs: Vec<ForeignServer>) -> Registry {
    let mut builder = own.edit();
    let faults = builder.replace_foreign(programs.into_iter().map(Arc::new).collect());
    assert_eq!(faults, []);
    builder.build()
}

fn server(own: &Registry, programs: Vec<ForeignServer>) -> Server {
    Server::with(registry(own, programs), Options::default())
}

fn only(program: ForeignServer) -> Server {
    server(&Registry::default(), vec![program])
}

impl Server {
    /// The bytes of the answer to a request without parameters of its own.
    fn bytes(&mut self, revision: Revision, method: &str, params: Value) -> String {
        let (headers, body) = match revision.era() {
            Era::Modern => (modern_headers(method, ""), modern_body(method, params)),
            Era::Legacy => (
                vec![("mcp-protocol-version", revision.as_str())],
                request(1, method, params).to_string(),
            ),
        };
        let mut out = Vec::new();
        let step = self.protocol.decode(
            &request_context(&headers),
            body.as_bytes(),
            &mut self.scratch,
            &self.state,
            &mut out,
        );
        assert!(matches!(step, Step::Reply(_)), "{step:?}");
        String::from_utf8(out).unwrap()
    }

    /// The operation that a request asks for.
    fn operation(&mut self, revision: Revision, method: &str, params: Value) -> Result<Operation, Value> {
        let name = params["name"]
            .as_str()
            .or(params["uri"].as_str())
            .unwrap_or_default()
            .to_owned();
        let name = format!("=?base64?{}?=", base64(&name));
        let (headers, body) = match revision.era() {
            Era::Modern => (modern_headers(method, &name), modern_body(method, params)),
            Era::Legacy => (
                vec![("mcp-protocol-version", revision.as_str())],
                request(1, method, params).to_string(),
            ),
        };
        let headers: Vec<_> = headers
            .iter()
            .filter(|(field, _)| *field != "mcp-name" || method != "completion/complete")
            .copied()
            .collect();
        let mut out = Vec::new();
        let step = self.protocol.decode(
            &request_context(&headers),
            body.as_bytes(),
            &mut self.scratch,
            &self.state,
            &mut out,
        );
        match step {
            Step::Work(work) => {
                assert_eq!(work.check(&self.tools), Ok(()));
                assert_eq!(work.task(), None);
                Ok(work.operation())
            }
            Step::Reply(_) => Err(serde_json::from_slice(&out).unwrap()),
            step => panic!("{step:?}"),
        }
    }

    fn goes_to(&mut self, revision: Revision, method: &str, params: Value) -> Option<ServerIndex> {
        let operation = self.operation(revision, method, params).unwrap();
        self.protocol.registry().server_of(operation)
    }
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn items_are_listed_as_they_were_written() {
    let mut server = only(program(0, "a"));
    let oldest = TOOL
        .replace(r#""title":"T","#, "")
        .replace(r#""annotations":{"readOnlyHint":true},"#, "")
        .replace(r#""execution":{"taskSupport":"optional"},"#, "");
    let list = |server: &mut Server, revision| server.bytes(revision, "tools/list", json!({}));
    assert_eq!(
        list(&mut server, Revision::V2024_11_05),
        format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{oldest}]}}}}"#)
    );
    let newest = TOOL.replace(r#""execution":{"taskSupport":"optional"},"#, "");
    for (revision, tool) in [(Revision::V2025_06_18, &*newest), (Revision::V2025_11_25, TOOL)] {
        assert_eq!(
            list(&mut server, revision),
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{tool}]}}}}"#)
        );
    }
    assert_eq!(
        list(&mut server, Revision::V2026_07_28),
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{newest}],"resultType":"complete","ttlMs":60000,"cacheScope":"public","_meta":{{"io.modelcontextprotocol/serverInfo":{{"name":"théirs", "version":"1.10","title":"Theirs","websiteUrl":"https://example.com","x":1.0}}}}}}}}"#
        )
    );
}

#[test]
fn every_list_is_valid_in_every_revision() {
    let mut sane = program(0, "a");
    sane.tools = items("name", &[&TOOL.replace("1e400,", "")]);
    let mut server = only(sane);
    for revision in Revision::ALL {
        for (method, member) in [
            ("tools/list", "tools"),
            ("prompts/list", "prompts"),
            ("resources/list", "resources"),
            ("resources/templates/list", "resourceTemplates"),
        ] {
            let answer = server.ask(revision, method, json!({}));
            let listed = answer.body["result"][member].as_array().map(Vec::len);
            assert_eq!(listed, Some(1), "{revision:?} {method}");
        }
    }
}

#[test]
fn one_program_alone_introduces_itself() {
    let mut server = only(program(0, "a"));
    for (revision, info) in [
        (
            Revision::V2024_11_05,
            r#"{"name":"théirs", "version":"1.10","x":1.0}"#,
        ),
        (
            Revision::V2025_06_18,
            r#"{"name":"théirs", "version":"1.10","title":"Theirs","x":1.0}"#,
        ),
        (
            Revision::V2025_11_25,
            r#"{"name":"théirs", "version":"1.10","title":"Theirs","websiteUrl":"https://example.com","x":1.0}"#,
        ),
    ] {
        let params = json!({"protocolVersion": revision.as_str(), "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let told = server.bytes(revision, "initialize", params);
        let expected = format!(r#""serverInfo":{info},"instructions":"Use \u0069t."}}}}"#);
        assert!(told.ends_with(&expected), "{told}");
    }
    let told = server.bytes(Revision::V2026_07_28, "server/discover", json!({}));
    assert!(
        told.contains(r#","instructions":"Use \u0069t.","ttlMs":60000,"#),
        "{told}"
    );
    assert!(told.contains(r#"{"name":"théirs", "version":"1.10","#), "{told}");
    let validated = server.modern("server/discover", json!({}));
    assert_eq!(validated.status, 200);
}

#[test]
fn several_programs_are_introduced_under_their_names() {
    let mut second = program(1, "b");
    second.tools = Vec::new();
    second.prompts = Vec::new();
    second.resources = Vec::new();
    second.templates = Vec::new();
    let mut silent = second.clone();
    (silent.server, silent.name, silent.instructions) = (ServerIndex(2), "c".to_owned(), None);
    let mut server = server(&Registry::default(), vec![program(0, "a"), second, silent]);
    let told = server.modern("server/discover", json!({})).body;
    assert_eq!(
        told["result"]["instructions"],
        "Call echo.\n\n## a\n\nUse it.\n\n## b\n\nUse it."
    );
    assert_eq!(
        told["result"]["_meta"][format!("{META}serverInfo")]["name"],
        "weir"
    );
    // Ours beside one of theirs is no longer theirs alone.
    let mut server = self::server(&tools(), vec![program(0, "a")]);
    let told = server.modern("server/discover", json!({})).body;
    assert_eq!(told["result"]["instructions"], "Call echo.\n\n## a\n\nUse it.");
    assert_eq!(
        told["result"]["_meta"][format!("{META}serverInfo")]["name"],
        "weir"
    );
}

#[test]
fn instructions_of_many_are_cut() {
    let mut long = program(0, "a");
    long.instructions = Some(format!("\"{}\"", "é".repeat(8_000)).into_bytes().into());
    let mut server = server(&tools(), vec![long]);
    let told = server.modern("server/discover", json!({})).body;
    let length = told["result"]["instructions"].as_str().unwrap().len();
    assert!((8_000..=8_192 + 10).contains(&length), "{length}");
}

fn capabilities(server: &mut Server, revision: Revision) -> Value {
    match revision.era() {
        Era::Modern => server.modern("server/discover", json!({})).body["result"]["capabilities"].clone(),
        Era::Legacy => {
            let params = json!({"protocolVersion": revision.as_str(), "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
            let body = request(0, "initialize", params).to_string();
            server.post(revision, &[], body).body["result"]["capabilities"].clone()
        }
    }
}

/// What is declared of tasks where a tool speaks of them.
fn with_tasks(mut capabilities: Value, revision: Revision) -> Value {
    match revision {
        Revision::V2025_11_25 => {
            capabilities["tasks"] = json!({"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}});
        }
        Revision::V2026_07_28 => {
            capabilities["extensions"] = json!({"io.modelcontextprotocol/tasks": {}});
        }
        _ => {}
    }
    capabilities
}

#[test]
fn only_what_works_is_declared() {
    let mut server = only(program(0, "a"));
    let changing = json!({"listChanged": true});
    let modern = Revision::V2026_07_28;
    let everything =
        json!({"tools": changing, "resources": changing, "prompts": changing, "completions": {}});
    for revision in [
        Revision::V2025_03_26,
        Revision::V2025_11_25,
        Revision::V2026_07_28,
    ] {
        let expected = with_tasks(everything.clone(), revision);
        assert_eq!(capabilities(&mut server, revision), expected, "{revision:?}");
    }
    let mut few = program(0, "a");
    few.features = ForeignFeatures {
        tools: true,
        ..ForeignFeatures::default()
    };
    let mut server = only(few);
    assert_eq!(
        capabilities(&mut server, modern),
        with_tasks(json!({"tools": changing}), modern)
    );
    for method in [
        "prompts/list",
        "resources/list",
        "resources/read",
        "completion/complete",
    ] {
        assert_eq!(
            server.modern(method, json!({})).refusal(),
            (404, -32601),
            "{method}"
        );
    }
    // Beside ours, each has what either has.
    let mut own = tools().edit();
    own.add(Resource::new("own:r", "r").read(|_: CallContext| async { Ok("") }))
        .unwrap();
    let mut server = self::server(&own.build(), vec![program(0, "a")]);
    assert_eq!(
        capabilities(&mut server, modern),
        with_tasks(
            json!({
                "tools": changing, "resources": {"subscribe": true, "listChanged": true},
                "prompts": changing, "completions": {}, "logging": {},
            }),
            modern
        )
    );
}

#[test]
fn a_program_that_has_said_nothing_yet_is_promised() {
    let mut server = only(ForeignServer::unknown(ServerIndex(3), "a"));
    let changing = json!({"listChanged": true});
    let promised = json!({"tools": changing, "resources": changing, "prompts": changing});
    // Nobody knows yet whether one of its tools speaks of tasks, but calls may be tasks if their clients ask for that.
    let asking = Revision::V2025_11_25;
    assert_eq!(
        capabilities(&mut server, asking),
        with_tasks(promised.clone(), asking)
    );
    assert_eq!(capabilities(&mut server, Revision::V2026_07_28), promised);
    let tools = server.modern("tools/list", json!({})).body;
    assert_eq!(tools["result"]["tools"], json!([]));
    let name = &tools["result"]["_meta"][format!("{META}serverInfo")]["name"];
    assert_eq!(name, "weir");
    let read = json!({"uri": "x:y"});
    let goes_to = server.goes_to(Revision::V2025_11_25, "resources/read", read);
    assert_eq!(goes_to, Some(ServerIndex(3)), "who can say why it is not there");
    let called = server.modern("tools/call", json!({"name": "any"}));
    assert_eq!(called.code(), -32602);
}

#[test]
fn a_declared_feature_without_items_has_empty_lists() {
    let mut empty = program(0, "a");
    (empty.tools, empty.prompts, empty.resources, empty.templates) = Default::default();
    let mut server = only(empty);
    for revision in Revision::ALL {
        let tools = server.ask(revision, "tools/list", json!({}));
        assert_eq!(tools.body["result"]["tools"], json!([]));
    }
}

#[test]
fn nobody_logs_and_nothing_is_watched_where_all_is_foreign() {
    let mut server = only(program(0, "a"));
    let revision = Revision::V2025_11_25;
    let session = server.open_session(revision);
    for (method, params) in [
        ("logging/setLevel", json!({"level": "info"})),
        ("resources/subscribe", json!({"uri": "x:listed"})),
        ("resources/unsubscribe", json!({"uri": "x:listed"})),
    ] {
        let answer = server.in_session(revision, &session, request(1, method, params));
        assert_eq!(answer.code(), -32601, "{method}");
    }
    // Beside watched resources of ours, the error says what is the matter.
    let mut own = Registry::builder();
    own.add(Resource::new("own:r", "r").read(|_: CallContext| async { Ok("") }))
        .unwrap();
    let mut server = self::server(&own.build(), vec![program(0, "a")]);
    let session = server.open_session(revision);
    let mut subscribe = |uri: &str| {
        let asked = request(1, "resources/subscribe", json!({"uri": uri}));
        server.in_session(revision, &session, asked).body
    };
    assert_eq!(subscribe("own:r")["result"], json!({}));
    for uri in ["x:listed", "x:other", "anything"] {
        let error = &subscribe(uri)["error"];
        assert_eq!(error["code"], -32602, "{uri}");
        assert!(error["message"].as_str().unwrap().contains("not watched"));
    }
    let wanted = json!({"notifications": {"toolsListChanged": true, "resourceSubscriptions": ["own:r", "x:listed", "x:y"]}});
    let told = server.modern("subscriptions/listen", wanted).body;
    assert_eq!(
        told["params"]["notifications"],
        json!({"toolsListChanged": true, "resourceSubscriptions": ["own:r"]})
    );
}

#[test]
fn a_resource_that_a_clients_own_child_has_is_watched_for_that_client() {
    let rules = |is_by_call, are_strangers_one| ClientRules {
        is_by_call,
        are_strangers_one,
        key_header: None,
        env_from: Vec::new(),
    };
    for (rules, is_stranger_granted) in [(rules(false, true), true), (rules(false, false), false)] {
        let mut program = program(0, "a");
        program.features.subscriptions = true;
        program.clients = Some(Arc::new(rules));
        let mut server = only(program);
        let revision = Revision::V2025_11_25;
        assert_eq!(
            capabilities(&mut server, revision)["resources"]["subscribe"],
            true
        );
        let session = server.open_session(revision);
        let asked = request(1, "resources/subscribe", json!({"uri": "x:listed"}));
        let answer = server.in_session(revision, &session, asked);
        assert_eq!(answer.body["result"], json!({}), "{:?}", answer.body);
        let owners = server.state.owners.borrow_mut().split_off(0);
        let [Some(owner)] = &owners[..] else {
            panic!("{owners:?}");
        };
        assert!(matches!(owner.client.key, ClientKey::Session(_)));
        // Whoever cannot be told apart is one client, or has no child that lasts.
        let wanted = json!({"notifications": {"resourceSubscriptions": ["x:listed"]}});
        let told = server.modern("subscriptions/listen", wanted).body;
        let granted = &told["params"]["notifications"]["resourceSubscriptions"];
        let expected = if is_stranger_granted {
            json!(["x:listed"])
        } else {
            json!([])
        };
        assert_eq!(*granted, expected);
    }
    let mut program = program(0, "a");
    program.features.subscriptions = true;
    program.clients = Some(Arc::new(rules(true, true)));
    let mut server = only(program);
    let revision = Revision::V2025_11_25;
    let session = server.open_session(revision);
    let asked = request(1, "resources/subscribe", json!({"uri": "x:listed"}));
    let answer = server.in_session(revision, &session, asked);
    assert_eq!(answer.code(), -32602, "its child is gone with the call");
}

#[test]
fn calls_go_where_the_item_is() {
    let mut own = tools().edit();
    own.add(Resource::new("own:r", "r").read(|_: CallContext| async { Ok("") }))
        .unwrap();
    let mut server = server(&own.build(), vec![program(7, "a")]);
    let theirs = Some(ServerIndex(7));
    for revision in Revision::ALL {
        for (method, params, expected) in [
            (
                "tools/call",
                json!({"name": "any name/é", "arguments": {"x": "unchecked"}}),
                theirs,
            ),
            (
                "tools/call",
                json!({"name": "echo", "arguments": {"message": ""}}),
                None,
            ),
            ("prompts/get", json!({"name": "p"}), theirs),
            ("resources/read", json!({"uri": "own:r"}), None),
            ("resources/read", json!({"uri": "x:listed"}), theirs),
            ("resources/read", json!({"uri": "x:unlisted"}), theirs),
            ("resources/read", json!({"uri": "no scheme at all"}), theirs),
            (
                "completion/complete",
                json!({"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "any", "value": ""}}),
                theirs,
            ),
            (
                "completion/complete",
                json!({"ref": {"type": "ref/resource", "uri": "x:{id}"}, "argument": {"name": "id", "value": "1"}}),
                theirs,
            ),
        ] {
            let shown = format!("{revision:?} {params}");
            assert_eq!(server.goes_to(revision, method, params), expected, "{shown}");
        }
        for (method, params) in [
            ("tools/call", json!({"name": "unknown"})),
            ("prompts/get", json!({"name": "unknown"})),
            (
                "completion/complete",
                json!({"ref": {"type": "ref/resource", "uri": "y:{id}"}, "argument": {"name": "id", "value": "1"}}),
            ),
        ] {
            let error = server.operation(revision, method, params).unwrap_err();
            assert_eq!(error["error"]["code"], -32602, "{revision:?} {method}: {error}");
        }
    }
}

#[test]
fn who_completes_nothing_gives_the_empty_completion() {
    let mut silent = program(0, "a");
    silent.features.completions = false;
    let mut other = program(1, "b");
    (other.tools, other.prompts, other.resources, other.templates) = Default::default();
    let mut server = server(&Registry::default(), vec![silent, other]);
    let asked = json!({"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "a", "value": ""}});
    for revision in Revision::ALL {
        let answer = server.ask(revision, "completion/complete", asked.clone());
        assert_eq!(answer.body["result"]["completion"]["values"], json!([]));
    }
}

#[test]
fn what_goes_nowhere_is_an_internal_error() {
    let mut server = only(program(0, "a"));
    let answer = server.legacy(Revision::V2025_11_25, "tools/call", json!({"name": "any name/é"}));
    assert_eq!(answer.code(), -32603);
}

#[test]
fn headers_of_their_tools_are_checked() {
    let mut with_header = program(0, "a");
    let tool = r#"{"name":"route","inputSchema":{"type":"object","properties":{"city":{"type":"string","x-mcp-header":"City"}}}}"#;
    with_header.tools = items("name", &[tool]);
    let mut server = only(with_header);
    let body = modern_body(
        "tools/call",
        json!({"name": "route", "arguments": {"city": "Oslo"}}),
    );
    let mut headers = modern_headers("tools/call", "route");
    headers.push(("Mcp-Param-City", "Bergen"));
    let refused = server.post(Revision::V2026_07_28, &headers, &body);
    assert_eq!(refused.refusal(), (400, -32020));
    headers.pop();
    headers.push(("Mcp-Param-City", "Oslo"));
    let passed = server.post(Revision::V2026_07_28, &headers, &body);
    assert_eq!(passed.code(), -32603, "it went on");
}

/// The names on each page.
fn pages(server: &mut Server, method: &str, member: &str) -> Vec<Vec<String>> {
    let (mut pages, mut params) = (Vec::new(), json!({}));
    loop {
        let answer = server.legacy(Revision::V2025_11_25, method, params);
        let result = &answer.body["result"];
        let names = result[member].as_array().unwrap().iter();
        pages.push(
            names
                .map(|item| item["name"].as_str().unwrap().to_owned())
                .collect(),
        );
        match result.get("nextCursor") {
            Some(cursor) => params = json!({"cursor": cursor}),
            None => return pages,
        }
    }
}

#[test]
fn pages_are_cut_by_number_and_by_bytes() {
    let tool = |name: usize, bytes: usize| {
        format!(
            r#"{{"name":"t{name}","inputSchema":{{"type":"object"}},"x":"{}"}}"#,
            "x".repeat(bytes)
        )
    };
    let lengths = |sizes: &[usize]| {
        let texts: Vec<String> = sizes
            .iter()
            .enumerate()
            .map(|(at, bytes)| tool(at, *bytes))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut many = program(0, "a");
        many.tools = items("name", &texts);
        let mut server = only(many);
        let pages = pages(&mut server, "tools/list", "tools");
        let names: Vec<String> = pages.concat();
        let expected: Vec<String> = (0..sizes.len()).map(|at| format!("t{at}")).collect();
        assert_eq!(names, expected, "each once and in order");
        pages.iter().map(Vec::len).collect::<Vec<_>>()
    };
    assert_eq!(lengths(&[0; 2_001]), [1_000, 1_000, 1]);
    let third = PAGE_BYTES_MAX / 3;
    assert_eq!(lengths(&[third; 5]), [2, 2, 1]);
    assert_eq!(lengths(&[10, 3 * PAGE_BYTES_MAX, 10, 10]), [1, 1, 2]);
}

#[test]
fn ours_come_first_then_theirs_then_what_listers_find() {
    let mut own = Registry::builder();
    own.add(Resource::new("own:r", "ours").read(|_: CallContext| async { Ok("") }))
        .unwrap()
        .add(ResourceLister::new("lister", |_: CallContext, _| async {
            let found = Resource::new("own:found", "found").listed();
            Ok(ResourcePage {
                resources: vec![found],
                next: None,
            })
        }))
        .unwrap();
    let mut second = program(1, "b");
    (second.tools, second.prompts, second.templates) = Default::default();
    second.resources = items("uri", &[r#"{"uri":"y:listed","name":"second"}"#]);
    let mut server = server(&own.build(), vec![program(0, "a"), second]);
    let pages = pages(&mut server, "resources/list", "resources");
    assert_eq!(pages.concat(), ["ours", "r", "second", "found"]);
}

#[test]
fn changes_of_theirs_are_announced() {
    let before = only(program(0, "a")).protocol;
    let mut changed = program(0, "a");
    changed.tools[0].text = TOOL.replace("1.10", "1.1").into_bytes().into();
    let same = before.with_registry(registry(&Registry::default(), vec![program(0, "a")]));
    assert_eq!(same.changes_since(&before), []);
    let after = before.with_registry(registry(&Registry::default(), vec![changed]));
    assert_eq!(after.changes_since(&before), [Announcement::ToolsChanged]);
}

/// The ticket of a read in this revision.
fn ticket(server: &mut Server, revision: Revision) -> Ticket {
    let body = match revision.era() {
        Era::Modern => modern_body("resources/read", json!({"uri": "x:unlisted"})),
        Era::Legacy => request(1, "resources/read", json!({"uri": "x:unlisted"})).to_string(),
    };
    let headers = match revision.era() {
        Era::Modern => modern_headers("resources/read", "x:unlisted"),
        Era::Legacy => vec![("mcp-protocol-version", revision.as_str())],
    };
    let mut out = Vec::new();
    match server.protocol.decode(
        &request_context(&headers),
        body.as_bytes(),
        &mut server.scratch,
        &server.state,
        &mut out,
    ) {
        Step::Work(work) => work.ticket(),
        step => panic!("{step:?}"),
    }
}

#[test]
fn answers_that_never_came_name_the_server_and_the_reason() {
    let mut server = only(program(0, "a"));
    for revision in Revision::ALL {
        let ticket = ticket(&mut server, revision);
        assert_eq!(server.protocol.uri_read(&ticket), Some("x:unlisted"));
        for (fault, reason, outcome) in [
            (
                ServerFault::Lost {
                    why: "its process ended",
                },
                "its process ended",
                crate::metrics::Outcome::InternalError,
            ),
            (
                ServerFault::AnswerTooLong,
                "its answer is too long",
                crate::metrics::Outcome::InternalError,
            ),
            (
                ServerFault::TimedOut,
                "it took too long",
                crate::metrics::Outcome::Timeout,
            ),
        ] {
            let mut out = b"HEAD".to_vec();
            let reply = server.protocol.answer_server_fault(&ticket, "a", fault, &mut out);
            let answer = answer(&reply, &out);
            assert_eq!(answer.refusal(), (200, -32603));
            assert_eq!(
                answer.body["error"]["data"],
                json!({"server": "a", "reason": reason})
            );
            assert_eq!(reply.labels.outcome, outcome);
        }
        let overload = Overload {
            reason: OverloadReason::Children,
            retry_after: std::time::Duration::from_millis(1_500),
            queue_depth: 3,
        };
        let mut out = b"HEAD".to_vec();
        let why = ("a", "its children fail too often");
        let reply = server
            .protocol
            .answer_server_overload(&ticket, &overload, why, &mut out);
        let answer = answer(&reply, &out);
        assert_eq!(answer.refusal(), (503, -31503));
        assert_eq!(answer.retry_after_seconds, Some(2));
        assert_eq!(
            answer.body["error"]["data"],
            json!({
                "retryAfterMs": 1_500, "queueDepth": 3, "reason": "children",
                "server": "a", "why": "its children fail too often",
            })
        );
    }
}

mod merged;
mod tasks;
