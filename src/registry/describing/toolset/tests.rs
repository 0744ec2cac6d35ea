//! Toolsets under prefixes, and without.
#![allow(clippy::disallowed_types, reason = "a server of a test")]

use std::sync::Mutex;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::super::called::Called;
use super::*;
use crate::registry::{
    BlockingContext, CallContext, CompletionRequest, ContentBlock, ListRequest, NoArguments, Prompt,
    PromptMessage, Registry, RegistryEdit, Resource, ResourceContents, ResourceLister, ResourcePage,
    ResourceTemplate, Role, ServerHandle, ServerLink, Tool, ToolError, Updates,
};

struct Tracker {
    team: &'static str,
}

#[derive(Deserialize, JsonSchema)]
struct Issue {
    id: u32,
}

fn uri(id: u32) -> String {
    format!("tracker://issue/{id}")
}

impl Tracker {
    async fn find(&self, _: CallContext, issue: Issue) -> Result<Vec<ContentBlock>, ToolError> {
        Ok(vec![
            ContentBlock::text(format!("{} has {}", self.team, uri(issue.id))),
            ContentBlock::resource_link(uri(issue.id), "issue"),
            ContentBlock::resource(ResourceContents::text(uri(issue.id), None, "text")),
        ])
    }

    async fn close(&self, ctx: CallContext, issue: Issue) -> Result<String, ToolError> {
        ctx.resource_updated(&uri(issue.id));
        Ok(ctx.served_uri(&uri(issue.id)))
    }

    fn reopen(&self, ctx: &BlockingContext, issue: Issue) -> Result<String, ToolError> {
        ctx.resource_updated(&uri(issue.id));
        Ok(ctx.served_uri(&uri(issue.id)))
    }

    async fn read(&self, _: CallContext, issue: Issue) -> Result<Vec<ResourceContents>, ToolError> {
        let text = format!("{} {}", self.team, issue.id);
        Ok(vec![ResourceContents::text(uri(issue.id), None, text)])
    }

    fn list(&self, _: &BlockingContext, _: ListRequest) -> Result<ResourcePage, ToolError> {
        let resources = vec![Resource::new(uri(1), "first").listed()];
        Ok(ResourcePage {
            resources,
            next: None,
        })
    }
}

impl Toolset for Tracker {
    fn register(&self, registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
        registry.add(Tool::new("find").run(Tracker::find))?;
        registry.add(Tool::new("close").run(Tracker::close))?;
        registry.add(Tool::new("reopen").app("ui://card").run_blocking(Tracker::reopen))?;
        registry
            .add(Resource::app("ui://card", "card").read(async |_: &Tracker, _: CallContext| Ok("page")))?;
        registry.add(
            ResourceTemplate::new("tracker://issue/{id}", "issue")
                .complete(
                    "id",
                    async |tracker: &Tracker, _: CallContext, _: CompletionRequest| Ok(vec![tracker.team]),
                )
                .watch(|uri, updates: Updates| {
                    assert_eq!((uri, updates.uri()), ("tracker://issue/7", "tracker://issue/7"));
                    updates.updated();
                    Ok(Box::new(()))
                })
                .read(Tracker::read),
        )?;
        let about = Resource::new("tracker://about", "about");
        registry.add(about.read(async |tracker: &Tracker, _: CallContext| Ok(tracker.team)))?;
        registry.add(ResourceLister::blocking("issues", Tracker::list))?;
        registry.add(
            Prompt::new("review").run(async |tracker: &Tracker, _: CallContext| {
                let content = ContentBlock::resource_link(uri(1), tracker.team);
                Ok(PromptMessage {
                    role: Role::User,
                    content,
                })
            }),
        )?;
        Ok(())
    }
}

/// A server that keeps what it was told.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl ServerLink for Told {
    fn resource_updated(&self, uri: &str) {
        self.0.lock().unwrap().push(uri.to_owned());
    }

    fn resources_changed(&self) {}

    fn edit_registry(&self, _: RegistryEdit<'_>) {}
}

fn two_teams() -> Registry {
    let mut registry = Registry::builder();
    registry
        .mount("team_a", Tracker { team: "A" })
        .unwrap()
        .mount("Team-B", Tracker { team: "B" })
        .unwrap();
    registry.build()
}

#[test]
fn a_toolset_mounted_twice_has_two_of_everything() {
    let called = Called::new(two_teams());
    let tools: Vec<&str> = called.registry.tools().map(|(_, tool)| tool.name()).collect();
    let expected = ["find", "close", "reopen"];
    let expected = ["team_a", "Team-B"].map(|team| expected.map(|name| format!("{team}__{name}")));
    assert_eq!(tools, expected.concat());
    assert_eq!(called.read("team-a+tracker://about")[0]["text"], "A");
    assert_eq!(called.read("team-b+tracker://about")[0]["text"], "B");
    assert_eq!(called.completed("team-b+tracker://issue/{id}", "id", ""), ["B"]);
    assert_eq!(
        called.listed(),
        ["team-a+tracker://issue/1", "team-b+tracker://issue/1"]
    );
    let (_, reopen) = called.registry.tools().last().unwrap();
    let meta = json!({"ui": {"resourceUri": "ui://team-b/card"}, "ui/resourceUri": "ui://team-b/card"});
    assert_eq!(serde_json::to_value(reopen).unwrap()["_meta"], meta);
    assert_eq!(called.read("ui://team-b/card")[0]["text"], "page");
    assert!(called.registry.find_resource("tracker://about").is_none());
    assert!(called.registry.find_template("tracker://issue/1").is_none());
}

#[test]
fn clients_get_the_uris_that_they_can_read() {
    let called = Called::new(two_teams());
    let served = "team-b+tracker://issue/7";
    let found = called.tool("Team-B__find", json!({"id": 7}));
    assert_eq!(found[0]["text"], "B has tracker://issue/7");
    assert_eq!(
        (&found[1]["uri"], &found[2]["resource"]["uri"]),
        (&json!(served), &json!(served))
    );
    let contents = called.read(served);
    assert_eq!(
        (&contents[0]["uri"], &contents[0]["text"]),
        (&json!(served), &json!("B 7"))
    );
    let message = &called.prompt("team_a__review")[0];
    assert_eq!(message["content"]["uri"], "team-a+tracker://issue/1");
}

#[test]
fn subscribers_are_told_by_the_uri_they_subscribed_to() {
    let told = Arc::new(Told::default());
    let called = Called::with_server(two_teams(), Arc::clone(&told) as Arc<dyn ServerLink>);
    for tool in ["team_a__close", "Team-B__reopen"] {
        let uri = called.text(tool, json!({"id": 7}));
        assert_eq!(std::mem::take(&mut *told.0.lock().unwrap()), [uri]);
    }
    let uri = "team-a+tracker://issue/7";
    let updates = Updates::new(uri, ServerHandle::new(Arc::clone(&told) as Arc<dyn ServerLink>));
    called.registry.watcher(uri).unwrap().watch(uri, updates).unwrap();
    assert_eq!(*told.0.lock().unwrap(), [uri]);
}

#[test]
fn without_a_prefix_nothing_is_renamed() {
    let mut registry = Registry::builder();
    registry.add(Tracker { team: "A" }).unwrap();
    let called = Called::new(registry.build());
    assert_eq!(
        called.tool("find", json!({"id": 7}))[1]["uri"],
        "tracker://issue/7"
    );
    assert_eq!(called.text("close", json!({"id": 7})), "tracker://issue/7");
    assert_eq!(called.read("tracker://issue/7")[0]["uri"], "tracker://issue/7");
    assert_eq!(called.listed(), ["tracker://issue/1"]);
}

/// Links elsewhere, and the page of another part of the server, which is registered outside of it.
struct Linking;

impl Linking {
    async fn link(&self, ctx: CallContext, _: NoArguments) -> Result<Vec<ContentBlock>, ToolError> {
        let links = ["https://example.com/a", "own:a", "own:b", "tracker://about"];
        assert_eq!(ctx.served_uri("https://example.com/a"), "https://example.com/a");
        assert_eq!(ctx.served_uri("own:a"), "team-a+own:a");
        Ok(links.map(|uri| ContentBlock::resource_link(uri, "x")).into())
    }

    async fn read(&self, _: CallContext) -> Result<Vec<ResourceContents>, ToolError> {
        let parts = ["own:a", "https://example.com/part"];
        Ok(parts.map(|uri| ResourceContents::text(uri, None, "")).into())
    }

    fn list(&self, _: &BlockingContext, _: ListRequest) -> Result<ResourcePage, ToolError> {
        let resources = vec![Resource::new("https://example.com/listed", "x").listed()];
        Ok(ResourcePage {
            resources,
            next: None,
        })
    }
}

impl Toolset for Linking {
    fn register(&self, registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
        let link = Tool::new("link").app("ui://shared/page");
        registry.add(link.run(Linking::link))?;
        registry.add(Resource::new("own:a", "a").read(Linking::read))?;
        registry.add(ResourceLister::blocking("listed", Linking::list))?;
        Ok(())
    }
}

#[test]
fn what_a_toolset_does_not_serve_keeps_its_uri() {
    let mut registry = Registry::builder();
    registry.mount("team_a", Linking).unwrap();
    let called = Called::new(registry.build());
    let links = called.tool("team_a__link", json!({}));
    let links: Vec<_> = links
        .as_array()
        .unwrap()
        .iter()
        .map(|link| &link["uri"])
        .collect();
    assert_eq!(
        links,
        [
            "https://example.com/a",
            "team-a+own:a",
            "own:b",
            "tracker://about"
        ]
    );
    let parts = called.read("team-a+own:a");
    assert_eq!(
        (&parts[0]["uri"], &parts[1]["uri"]),
        (&json!("team-a+own:a"), &json!("https://example.com/part"))
    );
    assert_eq!(called.listed(), ["https://example.com/listed"]);
    let (_, tool) = called.registry.tools().next().unwrap();
    assert_eq!(
        serde_json::to_value(tool).unwrap()["_meta"]["ui"]["resourceUri"],
        "ui://shared/page"
    );
}

#[test]
fn prefixes_that_begin_the_same_uris_are_refused() {
    let mut registry = Registry::builder();
    registry.mount("team_a", Linking).unwrap();
    for prefix in ["Team_A", "team-a"] {
        let refused = registry.mount(prefix, Tracker { team: "A" }).err().unwrap();
        let expected = format!(
            "prefix {prefix:?} begins the same URIs as \"team_a\", which is taken; take one that differs in more than case, \
             `_` and `-`"
        );
        assert_eq!(refused.to_string(), expected);
    }
    registry.mount("team_a", Tracker { team: "A" }).unwrap();
    registry.mount("team_b", Tracker { team: "B" }).unwrap();
    assert_eq!(registry.build().tools().len(), 7);
}

#[test]
fn prefixes_are_checked() {
    let mut registry = Registry::builder();
    for prefix in ["", "7a", "_a", "a b", "a.b", "größe", &"a".repeat(33)] {
        let refused = registry.mount(prefix, Tracker { team: "A" }).err();
        assert!(matches!(refused, Some(RegistryError::Prefix(_))), "{prefix}");
    }
    assert_eq!(registry.build().tools().len(), 0);
}

/// A toolset with a tool of its own, a tracker within, and a last tool that may be one too many.
struct Office {
    last: &'static str,
}

impl Toolset for Office {
    fn register(&self, registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
        let last = async |office: &Office, _: CallContext| Ok(office.last);
        registry.add(Tool::new("first").run(last))?;
        registry.mount("tracker", Tracker { team: "inner" })?;
        // The inner toolset was the state of its own functions alone; what the registry has is there.
        let borrows_inner = Tool::new("inner").run(async |inner: &Tracker, _: CallContext| Ok(inner.team));
        assert!(matches!(
            registry.add(borrows_inner),
            Err(RegistryError::State { .. })
        ));
        registry.add(Tool::new("number").run(async |number: &u8, _: CallContext| Ok(number.to_string())))?;
        registry.add(Tool::new(self.last).run(last))?;
        Ok(())
    }
}

#[test]
fn toolsets_may_have_others_within() {
    let mut registry = Registry::builder().state(Arc::new(17_u8));
    registry.mount("office", Office { last: "last" }).unwrap();
    let called = Called::new(registry.build());
    assert_eq!(called.text("office__last", json!({})), "last");
    assert_eq!(called.text("office__number", json!({})), "17");
    let found = called.tool("office__tracker__find", json!({"id": 7}));
    assert_eq!(found[1]["uri"], "office+tracker+tracker://issue/7");
    assert_eq!(
        called.read("office+tracker+tracker://issue/7")[0]["text"],
        "inner 7"
    );
}

#[test]
fn a_toolset_that_fails_is_not_added_at_all() {
    let mut registry = Registry::builder().state(Arc::new(17_u8));
    registry
        .add(Tool::new("own").run(|_: CallContext, _: NoArguments| async { Ok("own") }))
        .unwrap();
    let refused = registry.mount("office", Office { last: "first" }).unwrap_err();
    assert!(matches!(refused, RegistryError::Duplicate(name) if name == "office__first"));
    // What is added next has neither its prefix nor its state.
    let borrows = Tool::new("borrows").run(async |office: &Office, _: CallContext| Ok(office.last));
    assert!(matches!(registry.add(borrows), Err(RegistryError::State { .. })));
    registry
        .add(Tool::new("next").run(|_: CallContext| async { Ok("next") }))
        .unwrap();
    let registry = registry.build();
    let names: Vec<&str> = registry.tools().map(|(_, tool)| tool.name()).collect();
    assert_eq!(names, ["own", "next"]);
    assert!(
        registry.resources().len() == 0 && registry.templates().len() == 0 && registry.listers().len() == 0
    );
}

/// A toolset removes what it has by its own names.
struct Shrinks;

impl Toolset for Shrinks {
    fn register(&self, registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
        registry.add(Tracker { team: "A" })?;
        assert!(registry.remove_tool("find") && !registry.remove_tool("find"));
        assert!(registry.remove_resource("tracker://about") && registry.remove_resource("ui://card"));
        assert!(registry.remove_template("tracker://issue/{id}"));
        assert!(registry.remove_prompt("review"));
        Ok(())
    }
}

#[test]
fn a_toolset_removes_by_its_own_names() {
    let mut registry = Registry::builder();
    registry.mount("a", Shrinks).unwrap();
    let registry = registry.build();
    let names: Vec<&str> = registry.tools().map(|(_, tool)| tool.name()).collect();
    assert_eq!(names, ["a__close", "a__reopen"]);
    assert_eq!(
        registry.resources().len() + registry.templates().len() + registry.prompts().len(),
        0
    );
}
