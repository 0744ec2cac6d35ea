//! Several programs served together: what they have is told apart, and calls find their way back.

use super::*;
use crate::registry::ForeignKind;

/// Two programs that have the same things.
fn alike() -> Vec<ForeignServer> {
    let with_interface =
        r#"{"name":"card","inputSchema":{"type":"object"},"_meta":{"ui":{"resourceUri":"ui://card"}}}"#;
    // A number that no parser here can hold would be in the way.
    let odd = TOOL.replace("1e400,", "");
    let mut programs = vec![program(0, "first one"), program(1, "second")];
    for program in &mut programs {
        program.tools = items(
            "name",
            &[
                r#"{"name":"read","n":1.10,"inputSchema":{"type":"object"}}"#,
                &odd,
                with_interface,
            ],
        );
        program.resources = items(
            "uri",
            &[
                r#"{"uri":"x:listed","name":"r"}"#,
                r#"{"uri":"ui://card","name":"c"}"#,
            ],
        );
    }
    programs
}

fn merged(own: &Registry, programs: Vec<ForeignServer>) -> Server {
    let mut builder = own.edit();
    let faults = builder.merge_foreign(programs.into_iter().map(Arc::new).collect());
    assert_eq!(faults, []);
    Server::with(builder.build(), Options::default())
}

#[test]
fn nothing_of_one_is_in_anothers_way() {
    let mut server = merged(&tools(), alike());
    for revision in Revision::ALL {
        let listed = |server: &mut Server, method: &str, member: &str, key: &str| -> Vec<String> {
            let answer = server.ask(revision, method, json!({}));
            let items = answer.body["result"][member].as_array().unwrap().iter();
            let names = items.map(|item| item[key].as_str().unwrap().to_owned());
            names
                .filter(|name| name.contains("__") || name.contains('+') || name.contains("ui:"))
                .collect()
        };
        let names = listed(&mut server, "tools/list", "tools", "name");
        assert_eq!((&*names[0], &*names[2]), ("first_one__read", "first_one__card"));
        assert_eq!((&*names[3], &*names[5]), ("second__read", "second__card"));
        assert!(names[1].starts_with("first_one__any_name___"), "{names:?}");
        assert_ne!(names[1], names[4]);
        assert_eq!(
            listed(&mut server, "prompts/list", "prompts", "name"),
            ["first_one__p", "second__p"]
        );
        assert_eq!(
            listed(&mut server, "resources/list", "resources", "uri"),
            [
                "first-one+x:listed",
                "ui://first-one/card",
                "second+x:listed",
                "ui://second/card"
            ]
        );
        assert_eq!(
            listed(
                &mut server,
                "resources/templates/list",
                "resourceTemplates",
                "uriTemplate"
            ),
            ["first-one+x:{id}", "second+x:{id}"]
        );
    }
    let text = server.bytes(Revision::V2025_11_25, "tools/list", json!({}));
    for part in [
        r#"{"name":"second__read","n":1.10,"inputSchema":{"type":"object"},"execution":{"taskSupport":"optional"}}"#,
        r#""resourceUri":"ui://second/card""#,
        "12345678901234567890",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn calls_find_their_way_back() {
    let mut server = merged(&tools(), alike());
    let hashed = {
        let text = server.bytes(Revision::V2025_11_25, "tools/list", json!({}));
        let start = text.find("second__any_name").unwrap();
        text[start..].split('"').next().unwrap().to_owned()
    };
    for revision in Revision::ALL {
        for (method, params, kind, served, own, place) in [
            (
                "tools/call",
                json!({"name": "first_one__read"}),
                ForeignKind::Tool,
                "first_one__read",
                "read",
                0,
            ),
            (
                "tools/call",
                json!({"name": hashed}),
                ForeignKind::Tool,
                hashed.as_str(),
                "any name/é",
                1,
            ),
            (
                "prompts/get",
                json!({"name": "second__p"}),
                ForeignKind::Prompt,
                "second__p",
                "p",
                1,
            ),
            (
                "resources/read",
                json!({"uri": "second+x:listed"}),
                ForeignKind::Resource,
                "second+x:listed",
                "x:listed",
                1,
            ),
            (
                "resources/read",
                json!({"uri": "first-one+x:un+listed"}),
                ForeignKind::Resource,
                "first-one+x:un+listed",
                "x:un+listed",
                0,
            ),
            (
                "resources/read",
                json!({"uri": "ui://second/other"}),
                ForeignKind::Resource,
                "ui://second/other",
                "ui://other",
                1,
            ),
            (
                "completion/complete",
                json!({"ref": {"type": "ref/prompt", "name": "second__p"}, "argument": {"name": "a", "value": ""}}),
                ForeignKind::Prompt,
                "second__p",
                "p",
                1,
            ),
            (
                "completion/complete",
                json!({"ref": {"type": "ref/resource", "uri": "first-one+x:{id}"}, "argument": {"name": "id", "value": ""}}),
                ForeignKind::Template,
                "first-one+x:{id}",
                "x:{id}",
                0,
            ),
        ] {
            let shown = format!("{revision:?} {params}");
            let registry = server.protocol.registry();
            assert_eq!(registry.own_name(kind, served).as_deref(), Some(own), "{shown}");
            assert_eq!(
                server.goes_to(revision, method, params),
                Some(ServerIndex(place)),
                "{shown}"
            );
        }
        // Neither a program's own names nor those of nobody lead anywhere.
        for (method, params) in [
            ("tools/call", json!({"name": "read"})),
            ("tools/call", json!({"name": "first one__read"})),
            ("tools/call", json!({"name": "second__unknown"})),
            ("prompts/get", json!({"name": "p"})),
            ("resources/read", json!({"uri": "x:listed"})),
            ("resources/read", json!({"uri": "third+x:listed"})),
            ("resources/read", json!({"uri": "ui://card"})),
            (
                "completion/complete",
                json!({"ref": {"type": "ref/resource", "uri": "x:{id}"}, "argument": {"name": "id", "value": ""}}),
            ),
        ] {
            let error = server.operation(revision, method, params.clone()).unwrap_err();
            assert!(error.get("error").is_some(), "{revision:?} {params}: {error}");
        }
    }
}

#[test]
fn who_serves_them_together_is_no_single_one_of_them() {
    let mut server = merged(&Registry::default(), alike());
    let answer = server.ask(
        Revision::V2025_11_25,
        "initialize",
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}),
    );
    let result = &answer.body["result"];
    assert_eq!(result["serverInfo"]["name"], "weir");
    assert_eq!(
        result["instructions"],
        "Call echo.\n\n## first one\n\nUse it.\n\n## second\n\nUse it."
    );
}

#[test]
fn lists_of_thousands_come_in_pages_over_all_servers() {
    let many = |index: u16, name: &str| {
        let texts: Vec<String> = (0..1_500)
            .map(|at| format!(r#"{{"name":"t{at}","inputSchema":{{"type":"object"}}}}"#))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        ForeignServer {
            tools: items("name", &texts),
            ..program(index, name)
        }
    };
    let mut server = merged(&Registry::default(), vec![many(0, "a"), many(1, "b")]);
    let pages = pages(&mut server, "tools/list", "tools");
    assert_eq!(
        pages.iter().map(Vec::len).collect::<Vec<_>>(),
        [1_000, 1_000, 1_000]
    );
    let expected = ["a", "b"]
        .into_iter()
        .flat_map(|name| (0..1_500).map(move |at| format!("{name}__t{at}")));
    assert_eq!(pages.concat(), expected.collect::<Vec<_>>());
}

#[test]
fn what_a_toolset_has_stays_as_it_is_and_comes_first() {
    let mut own = tools().edit();
    own.add(Resource::new("second+x:listed", "ours").read(|_: CallContext| async { Ok("") }))
        .unwrap();
    let own = own.build();
    let mut builder = own.edit();
    let faults = builder.merge_foreign(alike().into_iter().map(Arc::new).collect());
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].name, "second+x:listed");
    let mut server = Server::with(builder.build(), Options::default());
    for revision in Revision::ALL {
        let read = json!({"uri": "second+x:listed"});
        assert_eq!(server.goes_to(revision, "resources/read", read), None);
        let echo = json!({"name": "echo", "arguments": {"message": ""}});
        assert_eq!(server.goes_to(revision, "tools/call", echo), None);
    }
}
