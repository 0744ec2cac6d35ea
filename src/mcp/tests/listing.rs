//! Pages of lists, and listers.

use super::*;
use crate::mcp::lists::prepared::PAGE_ITEMS_MAX;
use crate::registry::{ListRequest, Resource, ResourceLister, ResourcePage};

fn resource(at: usize) -> Resource {
    Resource::new(format!("test://{at}"), format!("number {at}")).read(|_: CallContext| async { Ok("") })
}

/// Lists numbers, three on a page.
async fn numbers(request: ListRequest) -> Result<ResourcePage, ToolError> {
    let first = match request.after.as_deref().map(str::parse) {
        None => 0,
        Some(Ok(after)) => after,
        Some(Err(_)) => return Err(ToolError::invalid("no such place")),
    };
    let listed = |at: usize| {
        Resource::new(format!("test://listed/{at}"), "listed")
            .title("Listed")
            .listed()
    };
    Ok(ResourcePage {
        resources: (first..first + 3).map(listed).collect(),
        next: (first < 3).then(|| (first + 3).to_string()),
    })
}

fn server(resources: usize, listers: usize) -> Server {
    let mut registry = Registry::builder();
    for at in 0..resources {
        registry.add(resource(at)).unwrap();
    }
    for at in 0..listers {
        let lister = ResourceLister::new(format!("lister {at}"), |_: CallContext, from| numbers(from));
        registry.add(lister).unwrap();
    }
    Server::with(registry.build(), Options::default())
}

/// All URIs, page by page.
fn pages(server: &mut Server, revision: Revision) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut params = json!({});
    loop {
        let answer = server.ask(revision, "resources/list", params);
        let result = &answer.body["result"];
        let resources = result["resources"].as_array().unwrap();
        pages.push(
            resources
                .iter()
                .map(|resource| resource["uri"].as_str().unwrap().to_owned())
                .collect(),
        );
        match result.get("nextCursor") {
            Some(cursor) => params = json!({"cursor": cursor}),
            None => return pages,
        }
        assert!(pages.len() < 20, "it never ends");
    }
}

#[test]
fn long_lists_come_in_pages() {
    let count = 2 * PAGE_ITEMS_MAX + 1;
    let mut server = server(count, 0);
    for revision in [Revision::V2024_11_05, Revision::V2026_07_28] {
        let pages = pages(&mut server, revision);
        assert_eq!(
            pages.iter().map(Vec::len).collect::<Vec<_>>(),
            [PAGE_ITEMS_MAX, PAGE_ITEMS_MAX, 1]
        );
        let all = pages.into_iter().flatten();
        assert!(all.eq((0..count).map(|at| format!("test://{at}"))));
    }
}

#[test]
fn what_listers_find_stands_behind_what_is_registered() {
    let listed = |from: usize| {
        (from..from + 3)
            .map(|at| format!("test://listed/{at}"))
            .collect::<Vec<_>>()
    };
    for revision in Revision::ALL {
        let registered = |count: usize| (0..count).map(|at| format!("test://{at}")).collect::<Vec<_>>();
        assert_eq!(
            pages(&mut server(1, 2), revision),
            // All are on one page, for clients that know no other.
            [
                [registered(1), listed(0)].concat(),
                listed(3),
                listed(0),
                listed(3)
            ]
        );
        let all = pages(&mut server(PAGE_ITEMS_MAX + 2, 1), revision);
        assert_eq!(
            all.iter().map(Vec::len).collect::<Vec<_>>(),
            [PAGE_ITEMS_MAX, 5, 3]
        );
        assert_eq!(all.concat()[..PAGE_ITEMS_MAX + 2], registered(PAGE_ITEMS_MAX + 2));
        assert_eq!(pages(&mut server(0, 1), revision), [listed(0), listed(3)]);
        assert_eq!(pages(&mut server(1, 0), revision), [registered(1)]);
    }
}

#[test]
fn listed_resources_have_what_the_revision_knows() {
    for revision in Revision::ALL {
        let answer = server(0, 1).ask(revision, "resources/list", json!({}));
        let first = &answer.body["result"]["resources"][0];
        assert_eq!(first.get("title").is_some(), revision >= Revision::V2025_06_18);
        if revision.era() == Era::Modern {
            let result = &answer.body["result"];
            assert_eq!(
                (&result["ttlMs"], &result["cacheScope"]),
                (&json!(0), &json!("private"))
            );
        }
    }
    let mixed = server(1, 1).modern("resources/list", json!({})).body;
    assert_eq!(mixed["result"]["cacheScope"], "private", "the same on all pages");
}

#[test]
fn foreign_cursors_are_refused() {
    let mut server = server(1, 1);
    for revision in [Revision::V2025_11_25, Revision::V2026_07_28] {
        for cursor in [
            json!("p1"),
            json!("p01"),
            json!("p-1"),
            json!("l1:"),
            json!("l0"),
            json!("l0:"),
            json!("l0:x"),
            json!("x"),
            json!(" "),
            json!(1),
            json!([]),
            json!("p18446744073709551616"),
        ] {
            let answer = server.ask(revision, "resources/list", json!({"cursor": cursor}));
            assert_eq!(answer.refusal(), (200, -32602), "{cursor}");
        }
        let answer = server.ask(revision, "resources/templates/list", json!({"cursor": "l0:"}));
        assert_eq!(answer.refusal(), (200, -32602));
        for nothing in [json!(""), Value::Null] {
            let first = server.ask(revision, "resources/list", json!({"cursor": nothing}));
            assert_eq!(first.body["result"]["resources"][0]["uri"], "test://0");
        }
    }
}
