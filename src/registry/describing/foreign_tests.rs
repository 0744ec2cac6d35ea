//! Entries of other programs beside ours.

use std::sync::Arc;

use crate::registry::{
    CallContext, CompletionRequest, ForeignFaultKind, ForeignFeatures, ForeignItem, ForeignKind,
    ForeignServer, NoArguments, Operation, Prompt, PromptArguments, Registry, RegistryError, Resource,
    ResourceTemplate, ServerIndex, ShardRegistry, Started, Tool, ToolError,
};

fn item(name: &str) -> ForeignItem {
    let text = format!("{{\"name\":{name:?}}}").into_bytes();
    ForeignItem {
        name: name.to_owned(),
        text: text.into(),
    }
}

fn items(names: &[&str]) -> Vec<ForeignItem> {
    names.iter().map(|name| item(name)).collect()
}

/// A server with one item of each kind, named after it.
fn server(index: u16, name: &str) -> ForeignServer {
    let named = |kind: &str| items(&[&format!("{name}:{kind}")]);
    ForeignServer {
        server: ServerIndex(index),
        name: name.to_owned(),
        server_info: Box::from(*b"{}"),
        instructions: None,
        is_modern: false,
        clients: None,
        features: ForeignFeatures {
            tools: true,
            prompts: true,
            resources: true,
            completions: true,
            logging: false,
            subscriptions: false,
        },
        tools: named("tool"),
        prompts: named("prompt"),
        resources: named("resource"),
        templates: named("{template}"),
    }
}

fn tool(name: &str) -> Tool {
    Tool::new(name).run(|_: CallContext, _: NoArguments| async { Ok("") })
}

fn resource(uri: &str) -> Resource {
    Resource::new(uri, "ours").read(|_: CallContext| async { Ok("") })
}

fn template(text: &str) -> ResourceTemplate {
    ResourceTemplate::new(text, "ours")
        .complete("x", |_: CallContext, _: CompletionRequest| async { Ok(vec![""]) })
        .read(|_: CallContext, _: PromptArguments| async { Ok("") })
}

fn prompt(name: &str) -> Prompt {
    Prompt::new(name).run(|_: CallContext, _: PromptArguments| async { Ok("") })
}

/// One item of ours of each kind.
fn own() -> Registry {
    let mut registry = Registry::builder();
    registry
        .add(tool("tool"))
        .and_then(|registry| registry.add(resource("own:resource")))
        .and_then(|registry| registry.add(template("own:template/{x}")))
        .and_then(|registry| registry.add(prompt("prompt")))
        .unwrap();
    registry.build()
}

fn with(registry: &Registry, servers: Vec<ForeignServer>) -> Registry {
    let mut builder = registry.edit();
    let faults = builder.replace_foreign(servers.into_iter().map(Arc::new).collect());
    assert_eq!(faults, []);
    builder.build()
}

/// Every operation of what one server has, and one of a resource that it does not list.
fn operations(registry: &Registry, name: &str) -> Vec<Operation> {
    let prompt = registry.find_prompt(&format!("{name}:prompt")).unwrap();
    let uri = format!("{name}:{{template}}");
    vec![
        Operation::Tool(registry.find(&format!("{name}:tool")).unwrap()),
        Operation::Prompt(prompt),
        Operation::Resource(
            registry
                .find_foreign_resource(&format!("{name}:resource"))
                .unwrap(),
        ),
        Operation::Template(registry.find_unlisted(&format!("{name}:else")).unwrap()),
        Operation::Completion(registry.prompt_completer(prompt, "any").unwrap().unwrap()),
        Operation::Completion(
            registry
                .template_completer(&uri, "any")
                .unwrap()
                .unwrap()
                .unwrap(),
        ),
    ]
}

#[test]
fn operations_lead_to_the_server_that_has_the_item() {
    for own in [Registry::default(), own()] {
        let registry = with(&own, vec![server(4, "a"), server(2, "b")]);
        for (name, index) in [("a", ServerIndex(4)), ("b", ServerIndex(2))] {
            for operation in operations(&registry, name) {
                assert_eq!(registry.server_of(operation), Some(index), "{operation:?}");
                assert!(operation.name(&registry).starts_with(name), "{operation:?}");
            }
            assert_eq!(registry.foreign_server(index).unwrap().name, name);
        }
        assert!(registry.foreign_server(ServerIndex(0)).is_none());
    }
}

#[test]
fn what_is_ours_leads_nowhere() {
    let own = own();
    let with_others = with(&own, vec![server(0, "a")]);
    for registry in [&own, &with_others] {
        let prompt = registry.find_prompt("prompt").unwrap();
        let template = registry.find_template("own:template/y").unwrap();
        let completer = registry.template_completer("own:template/{x}", "x").unwrap();
        for operation in [
            Operation::Tool(registry.find("tool").unwrap()),
            Operation::Prompt(prompt),
            Operation::Resource(registry.find_resource("own:resource").unwrap()),
            Operation::Template(template),
            Operation::Completion(completer.unwrap().unwrap()),
        ] {
            assert_eq!(registry.server_of(operation), None, "{operation:?}");
        }
        assert!(registry.prompt_completer(prompt, "any").is_err());
        assert!(
            registry
                .template_completer("own:resource", "any")
                .unwrap()
                .is_err()
        );
    }
    assert!(own.find("a:tool").is_none() && own.find_unlisted("x:y").is_none());
    assert_eq!(with_others.tools().len(), 1);
    let names: Vec<&str> = with_others.tool_names().collect();
    assert_eq!(names, ["tool", "a:tool"]);
}

#[test]
fn any_name_will_do() {
    let mut odd = server(0, "a");
    odd.tools = items(&["", "with spaces/é\n", &"x".repeat(1_000)]);
    let registry = with(&Registry::default(), vec![odd.clone()]);
    for item in &odd.tools {
        let found = Operation::Tool(registry.find(&item.name).unwrap());
        assert_eq!(registry.server_of(found), Some(ServerIndex(0)));
        assert_eq!(found.name(&registry), item.name);
    }
}

#[test]
fn items_whose_name_is_taken_are_left_out() {
    let mut first = server(0, "a");
    first.tools = items(&["tool", "x", "y", "x"]);
    first.prompts = items(&["prompt", "p"]);
    first.resources = items(&["own:resource", "r:r"]);
    first.templates = items(&["own:template/{x}", "t:{t}"]);
    let mut second = server(1, "b");
    second.tools = items(&["y", "z"]);
    second.prompts = items(&["p"]);
    second.resources = items(&["r:r"]);
    second.templates = items(&["t:{t}"]);
    let mut builder = own().edit();
    let faults = builder.replace_foreign(vec![Arc::new(first), Arc::new(second)]);
    let registry = builder.build();
    let left_out: Vec<_> = faults
        .iter()
        .map(|fault| (fault.server.0, fault.kind, fault.name.as_str()))
        .collect();
    assert_eq!(
        left_out,
        [
            (0, ForeignKind::Tool, "tool"),
            (0, ForeignKind::Tool, "x"),
            (0, ForeignKind::Prompt, "prompt"),
            (0, ForeignKind::Resource, "own:resource"),
            (0, ForeignKind::Template, "own:template/{x}"),
            (1, ForeignKind::Tool, "y"),
            (1, ForeignKind::Prompt, "p"),
            (1, ForeignKind::Resource, "r:r"),
            (1, ForeignKind::Template, "t:{t}"),
        ]
    );
    assert!(faults.iter().all(|fault| fault.what == ForeignFaultKind::Taken));
    assert_eq!(
        faults[1].to_string(),
        r#"tool "x" is left out: the name is taken"#
    );
    let names: Vec<&str> = registry.tool_names().collect();
    assert_eq!(names, ["tool", "x", "y", "z"]);
    // What lists are written from is what can be called.
    let listed = |kind| {
        let servers = registry.foreign_servers().iter();
        let items = servers.flat_map(move |server| server.items(kind));
        items.map(|item| item.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(listed(ForeignKind::Tool), ["x", "y", "z"]);
    assert_eq!(listed(ForeignKind::Prompt), ["p"]);
    assert_eq!(listed(ForeignKind::Resource), ["r:r"]);
    assert_eq!(listed(ForeignKind::Template), ["t:{t}"]);
    let server_of = |name: &str| registry.server_of(Operation::Tool(registry.find(name).unwrap()));
    assert_eq!(server_of("y"), Some(ServerIndex(0)));
    assert_eq!(server_of("z"), Some(ServerIndex(1)));
    assert_eq!(server_of("tool"), None);
}

#[test]
fn edits_of_ours_and_of_others_go_together() {
    let registry = with(&own(), vec![server(0, "a")]);
    // Ours change below the others.
    let mut builder = registry.edit();
    builder.add(tool("later")).unwrap();
    assert!(builder.remove_prompt("prompt"));
    assert!(!builder.remove_tool("a:tool"), "it is not ours to remove");
    for refused in [
        builder.add(tool("tool")).map(|_| ()),
        builder.add(resource("a:resource")).map(|_| ()),
        builder.add(prompt("a:prompt")).map(|_| ()),
    ] {
        assert!(refused.is_err(), "the name is taken");
    }
    let edited = builder.build();
    for operation in operations(&edited, "a") {
        assert_eq!(edited.server_of(operation), Some(ServerIndex(0)));
    }
    assert_eq!(
        edited.tool_names().collect::<Vec<_>>(),
        ["tool", "later", "a:tool"]
    );
    // The others change above ours.
    let replaced = with(&edited, vec![server(1, "b")]);
    assert!(replaced.find("a:tool").is_none() && replaced.find("later").is_some());
    for operation in operations(&replaced, "b") {
        assert_eq!(replaced.server_of(operation), Some(ServerIndex(1)));
    }
    let alone = with(&replaced, Vec::new());
    assert!(alone.find("b:tool").is_none() && alone.foreign_servers().is_empty());
    assert!(!alone.is_all_foreign() && alone.find_unlisted("b:else").is_none());
}

#[test]
fn unlisted_resources_are_read_by_the_server_that_may_have_them() {
    let reader = |registry: &Registry, uri: &str| {
        let found = registry.find_unlisted(uri)?;
        registry
            .server_of(Operation::Template(found))
            .map(|server| server.0)
    };
    let mut without = server(0, "a");
    without.features.resources = false;
    without.templates = Vec::new();
    assert_eq!(
        reader(&with(&Registry::default(), vec![without.clone()]), "x:y"),
        None
    );
    let mut second = server(1, "b");
    second.templates = items(&["file:///{path}"]);
    let two = with(&Registry::default(), vec![without.clone(), second.clone()]);
    assert_eq!(reader(&two, "anything"), Some(1));
    let mut third = server(2, "c");
    third.templates = items(&["file:///srv/{path}", "db://{table}"]);
    let three = with(&Registry::default(), vec![without, second, third]);
    for (uri, expected) in [
        ("file:///etc", 1),
        ("file:///srv/x", 2),
        ("db://x", 2),
        ("other://x", 1),
    ] {
        assert_eq!(reader(&three, uri), Some(expected), "{uri}");
    }
}

#[test]
fn completions_go_to_servers_that_complete() {
    let mut silent = server(0, "a");
    silent.features.completions = false;
    let registry = with(&Registry::default(), vec![silent, server(1, "b")]);
    let completer = |name: &str| registry.prompt_completer(registry.find_prompt(name).unwrap(), "any");
    assert_eq!(completer("a:prompt"), Ok(None));
    assert!(matches!(completer("b:prompt"), Ok(Some(_))));
    assert_eq!(registry.template_completer("a:{template}", "x"), Some(Ok(None)));
    assert!(matches!(
        registry.template_completer("b:{template}", "x"),
        Some(Ok(Some(_)))
    ));
    // The child knows what of a resource can be completed.
    assert!(matches!(
        registry.template_completer("b:resource", "x"),
        Some(Ok(Some(_)))
    ));
    assert_eq!(registry.template_completer("c:{x}", "x"), None);
}

#[test]
fn headers_are_read_from_a_tools_schema() {
    let mut with_schemas = server(0, "a");
    let schema = |name: &str, schema: &str| ForeignItem {
        name: name.to_owned(),
        text: format!(r#"{{"name":"{name}","inputSchema":{schema}}}"#)
            .into_bytes()
            .into(),
    };
    with_schemas.tools = vec![
        schema(
            "good",
            r#"{"properties":{"city":{"type":"string","x-mcp-header":"City"}}}"#,
        ),
        schema(
            "bad",
            r#"{"properties":{"city":{"type":"array","x-mcp-header":"City"}}}"#,
        ),
        schema(
            "number",
            r#"{"properties":{"city":{"type":"string","x-mcp-header":"City","maximum":1e400}}}"#,
        ),
        item("none"),
    ];
    let mut builder = Registry::builder();
    let faults = builder.replace_foreign(vec![Arc::new(with_schemas)]);
    let [fault] = faults.as_slice() else {
        panic!("{faults:?}")
    };
    assert_eq!(fault.name, "bad");
    assert!(
        fault.to_string().contains("its headers are not checked"),
        "{fault}"
    );
    let registry = builder.build();
    let headers = |name: &str| registry.tool(registry.find(name).unwrap()).param_headers().len();
    assert_eq!(["good", "bad", "number", "none"].map(headers), [1, 0, 0, 0]);
}

#[test]
fn nothing_of_others_runs_here() {
    let registry = with(&own(), vec![server(0, "a")]);
    let shard = ShardRegistry::new(registry.clone());
    for operation in operations(&registry, "a") {
        let context = CallContext::new();
        let started = match operation {
            Operation::Tool(tool) => {
                assert_eq!(shard.check_tool(tool, None), Ok(()));
                shard.start_tool(tool, None, context)
            }
            Operation::Prompt(prompt) => {
                assert_eq!(shard.check_prompt(prompt, None), Ok(()));
                shard.start_prompt(prompt, None, context)
            }
            Operation::Resource(resource) => shard.start_resource(resource, context),
            Operation::Template(template) => shard.start_template(template, "a:else", context),
            Operation::Completion(completer) => shard.start_completion(completer, "", None, context),
            Operation::ResourceList(_) => unreachable!(),
        };
        let Started::Future(call) = started.unwrap() else {
            panic!("{operation:?} blocks")
        };
        let waker = std::task::Waker::noop();
        let polled = Future::poll(std::pin::pin!(call), &mut std::task::Context::from_waker(waker));
        let failed = matches!(polled, std::task::Poll::Ready(Err(ToolError::Internal(_))));
        assert!(failed, "{operation:?}");
    }
}

#[test]
fn a_name_that_another_program_has_cannot_be_added() {
    let mut plain = server(0, "a");
    plain.tools = items(&["plain"]);
    let mut builder = with(&Registry::default(), vec![plain]).edit();
    assert!(matches!(
        builder.add(tool("plain")),
        Err(RegistryError::Duplicate(_))
    ));
    assert!(matches!(
        builder.add(resource("a:resource")),
        Err(RegistryError::DuplicateUri(_))
    ));
    assert!(builder.add(resource("b:resource")).is_ok());
}
