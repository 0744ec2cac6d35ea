//! Names that lead back, whatever they are.

use std::collections::HashMap;

use super::*;
use crate::config::{is_of_names, uri_prefix};
use crate::registry::info::index::ServerIndex;
use crate::registry::prefixes::{HASH_CHARS, NAME_BYTES_MAX};

fn names(servers: &[&str]) -> MergedNames {
    MergedNames::new(servers.iter().copied())
}

#[test]
fn a_name_stays_as_it_is_where_it_can() {
    let names = names(&["files", "My Server"]);
    assert_eq!(names.name(0, "read"), "files__read");
    assert_eq!(names.name(0, "a__b"), "files__a__b");
    assert_eq!(names.name(1, "read-all_2"), "My_Server__read-all_2");
    let longest = "x".repeat(NAME_BYTES_MAX - "files__".len());
    assert_eq!(names.name(0, &longest), format!("files__{longest}"));
}

#[test]
fn a_name_that_clients_would_not_take_is_cut_and_told_apart_by_a_hash() {
    let names = names(&["files", &"s".repeat(64)]);
    let long = "x".repeat(NAME_BYTES_MAX);
    for (server, own) in [
        (0, long.as_str()),
        (0, "read.all"),
        (0, "größe"),
        (0, "a b"),
        (0, "\u{1f600}"),
        (0, "quo\"te\\"),
        (1, "read"),
        (1, ""),
    ] {
        let served = names.name(server, own);
        assert!(
            served.len() <= NAME_BYTES_MAX && served.chars().all(is_of_names),
            "{served}"
        );
        let hash = served.rsplit('_').next().unwrap();
        assert_eq!(hash.len(), HASH_CHARS, "{served}");
    }
    // Clients remember them, so they are the same for ever.
    assert_eq!(names.name(0, "read.all"), "files__read_all_orceqofq");
    assert_ne!(names.name(0, "read.all"), names.name(0, "read all"));
}

#[test]
fn a_name_that_could_be_another_servers_is_not() {
    let names = names(&["a", "a__b", "a_"]);
    let served = [
        names.name(0, "b__c"),
        names.name(1, "c"),
        names.name(0, "_x"),
        names.name(2, "x"),
    ];
    assert_eq!((&*served[1], &*served[3]), ("a__b__c", "a___x"));
    assert!(
        served[0].starts_with("a__b__c_") && served[2].starts_with("a___x_"),
        "{served:?}"
    );
}

#[test]
fn a_uri_leads_back() {
    let names = names(&["files", "My_Server"]);
    for (server, own, served) in [
        (0, "file:///a+b", "files+file:///a+b"),
        (1, "x:", "my-server+x:"),
        (1, "", "my-server+"),
        (0, "ui://card/x", "ui://files/card/x"),
        (1, "ui://", "ui://my-server/"),
        (0, "ui:card", "files+ui:card"),
        (0, "files+x:y", "files+files+x:y"),
        (0, "file:///{path}", "files+file:///{path}"),
    ] {
        assert_eq!(names.uri(server, own), served);
        assert_eq!(names.own_uri(served), Some((server, own.to_owned())));
    }
    for stranger in [
        "file:///a",
        "other+x:y",
        "ui://other/x",
        "ui://files",
        "FILES+x:",
        "",
        "+",
    ] {
        assert_eq!(names.own_uri(stranger), None, "{stranger}");
    }
}

/// Seeded: whatever servers call their things, each served name is one that clients take, and leads to one server and
/// to one of its own names.
#[test]
fn every_served_name_leads_back_to_one() {
    const SERVERS: [&str; 9] = ["a", "a_", "a__", "a__b", "b", "_", "__", "a__b__c", "x.y"];
    const PIECES: [&str; 10] = ["a", "b", "_", "__", "c", "-", ".", "é", "x", "___"];
    let seed = fastrand::u64(..);
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..200 {
        let mut servers = SERVERS.to_vec();
        rng.shuffle(&mut servers);
        servers.truncate(rng.usize(1..5));
        // What the configuration refuses.
        let mut prefixes: Vec<String> = servers.iter().map(|server| uri_prefix(server)).collect();
        prefixes.sort();
        prefixes.dedup();
        if prefixes.len() < servers.len() {
            continue;
        }
        let names = names(&servers);
        let mut known: HashMap<String, (usize, String)> = HashMap::new();
        for _ in 0..300 {
            let server = rng.usize(..servers.len());
            let length = if rng.u8(..10) == 0 { 80 } else { rng.usize(..8) };
            let own: String = (0..length).map(|_| PIECES[rng.usize(..PIECES.len())]).collect();
            let served = names.name(server, &own);
            let shown = format!("seed {seed}: {servers:?} {server} {own:?} {served:?}");
            assert!(
                served.len() <= NAME_BYTES_MAX && served.chars().all(is_of_names),
                "{shown}"
            );
            let before = known.entry(served).or_insert_with(|| (server, own.clone()));
            assert_eq!(*before, (server, own.clone()), "{shown}");
            assert_eq!(
                names.own_uri(&names.uri(server, &own)),
                Some((server, own)),
                "{shown}"
            );
        }
    }
}

#[test]
fn an_items_text_changes_in_its_names_alone() {
    let names = names(&["files", "b"]);
    let item = |name: &str, text: &str| ForeignItem {
        name: name.to_owned(),
        text: text.as_bytes().into(),
    };
    let own = ForeignServer {
        tools: vec![
            item(
                "b",
                r#"{"n":1.10, "name" : "a","name":"\u0062","title":"b","_meta":{"ui":{"resourceUri":"ui://x","n":1e400},"ui/resourceUri":"ui://y"},"inputSchema":{"name":"b"}}"#,
            ),
            item("c", r#"{"name":"c","_meta":7}"#),
        ],
        prompts: vec![item("p", r#"{"name":"p","arguments":[{"name":"p"}]}"#)],
        resources: vec![item("x:y", r#"{"uri":"x:y","name":"x:y"}"#)],
        templates: vec![item("x:{y}", r#"{"uriTemplate":"x:{y}"}"#)],
        ..ForeignServer::unknown(ServerIndex(0), "files")
    };
    let merged = names.renamed(0, &own);
    let shown = |kind: ForeignKind| -> Vec<(String, String)> {
        let items = merged.items(kind).iter();
        let text = |item: &ForeignItem| String::from_utf8(item.text.to_vec()).unwrap();
        items.map(|item| (item.name.clone(), text(item))).collect()
    };
    let expected = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    assert_eq!(
        shown(ForeignKind::Tool),
        [
            expected(
                "files__b",
                r#"{"n":1.10, "name" : "files__b","name":"files__b","title":"b","_meta":{"ui":{"resourceUri":"ui://files/x","n":1e400},"ui/resourceUri":"ui://files/y"},"inputSchema":{"name":"b"}}"#
            ),
            expected("files__c", r#"{"name":"files__c","_meta":7}"#),
        ]
    );
    assert_eq!(
        shown(ForeignKind::Prompt),
        [expected(
            "files__p",
            r#"{"name":"files__p","arguments":[{"name":"p"}]}"#
        )]
    );
    assert_eq!(
        shown(ForeignKind::Resource),
        [expected("files+x:y", r#"{"uri":"files+x:y","name":"x:y"}"#)]
    );
    assert_eq!(
        shown(ForeignKind::Template),
        [expected("files+x:{y}", r#"{"uriTemplate":"files+x:{y}"}"#)]
    );
}
