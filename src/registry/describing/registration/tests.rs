//! Registration, edits and lookups.

use super::*;
use crate::registry::{
    CallContext, CompleterIndex, CompletionRequest, NoArguments, Operation, PromptArgument, PromptArguments,
    Registry, Structured, TaskSupport,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use std::time::Duration;

fn tool(name: &str) -> Tool {
    Tool::new(name).run(|_: CallContext, _: NoArguments| async { Ok("") })
}

#[test]
fn a_list_is_not_a_structured_result_and_the_error_says_what_to_do() {
    let list = async |_: CallContext, _: NoArguments| Ok(Structured(vec![1, 2, 3]));
    let refused = Registry::builder()
        .add(Tool::new("list").run(list))
        .err()
        .unwrap();
    assert_eq!(
        refused.to_string(),
        "output schema of tool \"list\": the root must be an object schema with \"type\": \"object\"; wrap a list, a number \
         or a text in a struct, such as `struct Found { items: Vec<Item> }`"
    );
}

#[test]
fn tasks_are_kept_for_a_second_at_least() {
    let tool = |millis| {
        let tool = Tool::new("a").task(TaskSupport::Optional);
        let tool = tool.task_ttl(Duration::from_millis(millis));
        tool.run(|_: CallContext, _: NoArguments| async { Ok("") })
    };
    let refused = Registry::builder().add(tool(999)).err().unwrap();
    let text = "task_ttl of tool \"a\" is 999ms; a task has to be kept for at least 1s";
    assert_eq!(refused.to_string(), text);
    assert!(Registry::builder().add(tool(1_000)).is_ok());
}

#[test]
fn tools_keep_their_order_and_are_found_by_name() {
    let mut tools = Registry::builder();
    let names: Vec<String> = (0..50).map(|at| format!("tool-{}", 97 * at % 50)).collect();
    for name in &names {
        tools.add(tool(name)).unwrap();
    }
    let registry = tools.build();
    assert!(registry.tools().map(|(_, tool)| tool.name()).eq(names.iter()));
    for (at, name) in names.iter().enumerate() {
        let index = registry.find(name).unwrap();
        assert_eq!(index.as_usize(), at);
        assert_eq!(registry.tool(index).name(), name);
    }
    assert_eq!(registry.find("tool-50"), None);
}

#[test]
fn a_tool_may_run_at_least_one_call() {
    let limited = |calls| {
        let tool = Tool::new("a").concurrency(calls).queue(0);
        tool.run(|_: CallContext, _: NoArguments| async { Ok("") })
    };
    let mut tools = Registry::builder();
    let refused = tools.add(limited(0)).err();
    assert!(matches!(refused, Some(RegistryError::Concurrency(name)) if name == "a"));
    tools.add(limited(1)).unwrap();
    let registry = tools.build();
    let (_, tool) = registry.tools().next().unwrap();
    assert_eq!((tool.concurrency(), tool.queue()), (Some(1), Some(0)));
}

#[test]
fn names_are_checked() {
    let mut tools = Registry::builder();
    for name in ["a", "A.b_c-9", &"x".repeat(128)] {
        assert!(tools.add(tool(name)).is_ok(), "{name}");
    }
    for name in ["", &"x".repeat(129), "a b", "a/b", "é", "a\0"] {
        let refused = tools.add(tool(name)).err();
        assert!(matches!(refused, Some(RegistryError::Name(_))), "{name}");
    }
    assert!(matches!(tools.add(tool("a")), Err(RegistryError::Duplicate(_))));
    assert_eq!(tools.build().tools().len(), 3);
}

/// What reads headers names them, and everything else reads none.
#[test]
fn headers_are_checked_and_known_by_what_reads_them() {
    let mut all = Registry::builder();
    let read = |name: &str| tool_that_reads(name, &["X-Tenant", name]);
    all.add(tool("none")).unwrap().add(read("x-a")).unwrap();
    let refused = all.add(tool_that_reads("b", &["x-tenant", "x tenant"])).err();
    assert_eq!(
        refused.map(|error| error.to_string()).as_deref(),
        Some("\"b\" cannot read the header \"x tenant\": names are tokens of RFC 9110, at most 16")
    );
    let prompt = Prompt::new("p")
        .argument(PromptArgument::optional("a"))
        .reads_header("x-p")
        .complete("a", |_: CallContext, _: CompletionRequest| async {
            Ok(vec!["1"])
        });
    all.add(prompt.run(|_: CallContext, _: PromptArguments| async { Ok("") }))
        .unwrap();
    let registry = all.build();
    let of = |operation| {
        let names = registry.headers_read_by(operation);
        names.map(|names| names.iter().map(str::to_owned).collect::<Vec<_>>())
    };
    assert_eq!(of(Operation::Tool(registry.find("none").unwrap())), None);
    let tenant = ["x-tenant".to_owned(), "x-a".to_owned()];
    assert_eq!(
        of(Operation::Tool(registry.find("x-a").unwrap())),
        Some(tenant.to_vec())
    );
    let prompt = registry.find_prompt("p").unwrap();
    assert_eq!(of(Operation::Prompt(prompt)), Some(vec!["x-p".to_owned()]));
    let completer = registry.prompt_completer(prompt, "a").unwrap().unwrap();
    assert_eq!(of(Operation::Completion(completer)), Some(vec!["x-p".to_owned()]));
    assert_eq!(
        registry.headers_read().collect::<Vec<_>>(),
        ["x-tenant", "x-a", "x-p"]
    );
}

fn tool_that_reads(name: &str, headers: &[&str]) -> Tool {
    let builder = headers
        .iter()
        .fold(Tool::new(name), |tool, header| tool.reads_header(header));
    builder.run(|_: CallContext, _: NoArguments| async { Ok("") })
}

#[test]
fn unusable_schemas_name_the_tool() {
    let mut tools = Registry::builder();
    let external = json!({"type": "object", "$ref": "https://example.com/arguments.json"});
    let untyped = Tool::new("outside")
        .input_schema(external)
        .run(|_: CallContext, _: serde_json::Value| async { Ok("") });
    let error = tools.add(untyped).unwrap_err();
    assert!(matches!(error, RegistryError::InputSchema { .. }));
    assert!(
        error
            .to_string()
            .starts_with("input schema of tool \"outside\": reference"),
        "{error}"
    );
    let list = Tool::new("list").run(|_: CallContext, _: NoArguments| async { Ok(Structured(vec![1])) });
    let error = tools.add(list).unwrap_err();
    assert!(matches!(error, RegistryError::OutputSchema { .. }), "{error}");
    // A refused tool is not registered.
    assert!(tools.add(tool("outside")).is_ok());
}

#[derive(Serialize, serde::Deserialize, JsonSchema)]
struct Sum {
    sum: i64,
}

#[test]
fn uris_templates_and_prompts_are_checked() {
    let mut registry = Registry::builder();
    let resource = |uri: &str| Resource::new(uri, "r").read(|_: CallContext| async { Ok("") });
    for uri in [
        "", "x", "x:", ":x", "1x:y", "x y:z", "x:y z", "x:é", "x:{y}", "x:\0",
    ] {
        assert!(
            matches!(registry.add(resource(uri)), Err(RegistryError::Uri(_))),
            "{uri}"
        );
    }
    registry.add(resource("x:y")).unwrap();
    assert!(matches!(
        registry.add(resource("x:y")),
        Err(RegistryError::DuplicateUri(_))
    ));
    let template =
        |text: &str| ResourceTemplate::new(text, "t").read(|_: CallContext, _: NoArguments| async { Ok("") });
    assert!(matches!(
        registry.add(template("x:{?q}")),
        Err(RegistryError::Template { .. })
    ));
    registry.add(template("x:/{a}")).unwrap();
    assert!(matches!(
        registry.add(template("x:/{a}")),
        Err(RegistryError::DuplicateTemplate(_))
    ));
    let prompt = |name: &str, arguments: &[&str], completes: &[&str]| {
        let mut prompt = Prompt::new(name);
        for argument in arguments {
            prompt = prompt.argument(PromptArgument::optional(*argument));
        }
        for argument in completes {
            prompt = prompt.complete(*argument, |_: CallContext, _: CompletionRequest| async {
                Ok(vec![""])
            });
        }
        prompt.run(|_: CallContext, _: NoArguments| async { Ok("") })
    };
    registry.add(prompt("p", &["a"], &["a"])).unwrap();
    let mut refused = |prompt| registry.add(prompt).unwrap_err();
    assert!(matches!(
        refused(prompt("p", &[], &[])),
        RegistryError::DuplicatePrompt(_)
    ));
    assert!(matches!(refused(prompt("p q", &[], &[])), RegistryError::Name(_)));
    assert!(matches!(
        refused(prompt("q", &["a", "a"], &[])),
        RegistryError::DuplicateArgument { .. }
    ));
    assert!(matches!(
        refused(prompt("q", &["a"], &["b"])),
        RegistryError::Completion { .. }
    ));
    assert!(matches!(
        refused(prompt("q", &["a"], &["a", "a"])),
        RegistryError::Completion { .. }
    ));
    let registry = registry.build();
    assert_eq!(
        (
            registry.resources().len(),
            registry.templates().len(),
            registry.prompts().len()
        ),
        (1, 1, 1)
    );
    // A registered URI takes precedence over a template that matches.
    assert!(registry.find_resource("x:y").is_some() && registry.find_template("x:y").is_none());
    assert!(registry.find_resource("x:/y").is_none() && registry.find_template("x:/y").is_some());
    assert_eq!(
        registry.prompt_completer(registry.find_prompt("p").unwrap(), "a"),
        Ok(Some(CompleterIndex::after(0)))
    );
}

#[test]
fn structured_results_bring_their_schema() {
    let mut tools = Registry::builder();
    let sum = Tool::new("sum").run(|_: CallContext, _: NoArguments| async { Ok(Structured(Sum { sum: 3 })) });
    tools.add(sum).unwrap();
    let registry = tools.build();
    let (_, info) = registry.tools().next().unwrap();
    assert_eq!(
        serde_json::to_value(info).unwrap(),
        json!({
            "name": "sum",
            "inputSchema": {"type": "object", "properties": {}},
            "outputSchema": {
                "type": "object",
                "properties": {"sum": {"type": "integer"}},
                "required": ["sum"],
            },
        })
    );
}

fn prompt(name: &str) -> Prompt {
    Prompt::new(name)
        .argument(PromptArgument::optional("a"))
        .complete("a", |_: CallContext, _: CompletionRequest| async { Ok(vec![""]) })
        .run(|_: CallContext, _: NoArguments| async { Ok("") })
}

fn template(text: &str) -> ResourceTemplate {
    ResourceTemplate::new(text, text)
        .complete("v", |_: CallContext, _: CompletionRequest| async { Ok(vec![""]) })
        .read(|_: CallContext, _: NoArguments| async { Ok("") })
}

fn resource(uri: &str) -> Resource {
    Resource::new(uri, uri).read(|_: CallContext| async { Ok("") })
}

/// A registry with A, B and C of every kind.
fn three_of_each() -> Registry {
    let mut registry = Registry::builder();
    for name in ["A", "B", "C"] {
        registry.add(tool(name)).unwrap();
        registry.add(resource(&format!("r:{name}"))).unwrap();
        registry.add(template(&format!("t:{name}/{{v}}"))).unwrap();
        registry.add(prompt(name)).unwrap();
    }
    registry.build()
}

/// Every name leads to its entry, on a shard too, and every completion to its owner.
fn assert_consistent(registry: &Registry, names: &[&str]) {
    let shard = registry.for_shard();
    assert_eq!(registry.tools().len(), names.len());
    for (at, name) in names.iter().enumerate() {
        let index = registry.find(name).unwrap();
        assert_eq!((index.as_usize(), registry.tool(index).name()), (at, *name));
        assert!(shard.start_tool(index, None, CallContext::new()).is_ok());

        let uri = format!("r:{name}");
        let index = registry.find_resource(&uri).unwrap();
        assert_eq!(
            (index.as_usize(), registry.resource(index).address()),
            (at, uri.as_str())
        );

        let text = format!("t:{name}/{{v}}");
        let index = registry.find_template(&format!("t:{name}/x")).unwrap();
        assert_eq!(
            (index.as_usize(), registry.template(index).address()),
            (at, text.as_str())
        );
        let completer = registry.template_completer(&text, "v").unwrap().unwrap().unwrap();
        assert_eq!(Operation::Completion(completer).name(registry), text);

        let index = registry.find_prompt(name).unwrap();
        assert_eq!((index.as_usize(), registry.prompt(index).name()), (at, *name));
        let completer = registry.prompt_completer(index, "a").unwrap().unwrap();
        assert_eq!(Operation::Completion(completer).name(registry), *name);
        assert!(
            shard
                .start_completion(completer, "", None, CallContext::new())
                .is_ok()
        );
    }
    assert_eq!(registry.inner().completers.len(), 2 * names.len());
}

#[test]
fn what_is_removed_is_gone_and_the_rest_moves_up() {
    for (gone, left) in [("A", ["B", "C"]), ("B", ["A", "C"]), ("C", ["A", "B"])] {
        let before = three_of_each();
        let shard_before = before.for_shard();
        let mut edit = before.edit();
        for _ in 0..2 {
            // The second time there is nothing left to remove.
            let is_first = edit.inner.tools.len() == 3;
            assert_eq!(edit.remove_tool(gone), is_first);
            assert_eq!(edit.remove_resource(&format!("r:{gone}")), is_first);
            assert_eq!(edit.remove_template(&format!("t:{gone}/{{v}}")), is_first);
            assert_eq!(edit.remove_prompt(gone), is_first);
        }
        let after = edit.build();
        assert_consistent(&after, &left);
        assert_eq!((after.find(gone), after.find_prompt(gone)), (None, None));
        assert!(after.find_resource(&format!("r:{gone}")).is_none());
        assert!(after.find_template(&format!("t:{gone}/x")).is_none());
        // The old registry lives on, and so does a shard of it.
        assert_consistent(&before, &["A", "B", "C"]);
        let index = before.find(gone).unwrap();
        assert!(shard_before.start_tool(index, None, CallContext::new()).is_ok());
    }
}

#[test]
fn edits_add_behind_what_is_there_and_again_what_was_removed() {
    let before = three_of_each();
    let mut edit = before.edit();
    assert!(matches!(edit.add(tool("A")), Err(RegistryError::Duplicate(_))));
    assert!(matches!(
        edit.add(prompt("A")),
        Err(RegistryError::DuplicatePrompt(_))
    ));
    assert!(edit.remove_tool("A") && edit.remove_resource("r:A"));
    assert!(edit.remove_template("t:A/{v}") && edit.remove_prompt("A"));
    for name in ["D", "A"] {
        edit.add(tool(name)).unwrap();
        edit.add(resource(&format!("r:{name}"))).unwrap();
        edit.add(template(&format!("t:{name}/{{v}}"))).unwrap();
        edit.add(prompt(name)).unwrap();
    }
    assert_consistent(&edit.build(), &["B", "C", "D", "A"]);
    assert_consistent(&before, &["A", "B", "C"]);
}

#[test]
fn entries_are_shared_with_what_is_made_from_them() {
    let before = three_of_each();
    let after = before.edit().build();
    for (old, new) in before.inner().tools.iter().zip(&after.inner().tools) {
        assert!(Arc::ptr_eq(old, new));
    }
    // A thousand rounds of additions and removals leave nothing behind.
    let mut registry = after;
    for _ in 0..1_000 {
        let mut edit = registry.edit();
        edit.add(prompt("D")).unwrap();
        registry = edit.build();
        let mut edit = registry.edit();
        assert!(edit.remove_prompt("D"));
        registry = edit.build();
    }
    assert_consistent(&registry, &["A", "B", "C"]);
}

#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "only its type matters")]
struct Of<T> {
    id: T,
}

#[test]
fn types_that_cannot_be_made_of_texts_are_refused() {
    fn template<T: serde::de::DeserializeOwned + 'static>() -> ResourceTemplate {
        ResourceTemplate::new("issue://{id}", "issue").read(|_: CallContext, _: Of<T>| async { Ok("") })
    }
    fn prompt<T: serde::de::DeserializeOwned + 'static>(argument: PromptArgument) -> Prompt {
        Prompt::new("p")
            .argument(argument)
            .run(|_: CallContext, _: Of<T>| async { Ok("") })
    }
    let mut registry = Registry::builder();
    let error = registry.add(template::<Vec<u8>>()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "resource template \"issue://{id}\": the type wants a list for \"id\"; text can become only a string, a \
         number, a boolean or an enum's name"
    );
    let other = ResourceTemplate::new("issue://{number}", "issue");
    let other = other.read(|_: CallContext, _: Of<u8>| async { Ok("") });
    let error = registry.add(other).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("the type wants \"id\", which is not among the names"),
        "{error}"
    );
    let error = registry
        .add(prompt::<Sum>(PromptArgument::required("id")))
        .unwrap_err();
    assert!(matches!(error, RegistryError::ArgumentType { .. }), "{error}");
    let error = registry
        .add(prompt::<u8>(PromptArgument::optional("id")))
        .unwrap_err();
    assert!(matches!(error, RegistryError::ArgumentType { .. }), "{error}");
    // A refused template is not registered.
    registry.add(template::<u8>()).unwrap();
    registry
        .add(prompt::<Option<u8>>(PromptArgument::optional("id")))
        .unwrap();
}

#[test]
fn a_header_may_belong_to_an_optional_argument() {
    #[derive(serde::Deserialize, JsonSchema)]
    struct Query {
        #[expect(dead_code, reason = "only its schema matters")]
        #[schemars(extend("x-mcp-header" = "Region"))]
        region: Option<String>,
    }
    let mut tools = Registry::builder();
    tools
        .add(Tool::new("query").run(|_: CallContext, _: Query| async { Ok("") }))
        .unwrap();
    let registry = tools.build();
    let (_, info) = registry.tools().next().unwrap();
    assert_eq!(info.param_headers().len(), 1);
}

#[test]
fn arguments_that_come_as_headers_are_read_when_a_tool_is_added() {
    #[derive(serde::Deserialize, JsonSchema)]
    struct Query {
        #[expect(dead_code, reason = "only its schema matters")]
        #[schemars(extend("x-mcp-header" = "Region"))]
        region: String,
    }
    let query = |name: &str| Tool::new(name).run(|_: CallContext, _: Query| async { Ok("") });
    let annotated = |header: &str| {
        let schema = json!({
            "type": "object",
            "properties": {"region": {"type": "string", "x-mcp-header": header}},
        });
        Tool::new("bad")
            .input_schema(schema)
            .run(|_: CallContext, _: serde_json::Value| async { Ok("") })
    };
    let mut tools = Registry::builder();
    tools.add(query("query")).unwrap();
    let error = tools.add(annotated("two words")).unwrap_err();
    assert!(matches!(error, RegistryError::ParamHeader { .. }));
    assert!(
        error
            .to_string()
            .starts_with("input schema of tool \"bad\": \"x-mcp-header\""),
        "{error}"
    );
    let registry = tools.build();
    let (_, info) = registry.tools().next().unwrap();
    let headers: Vec<_> = info
        .param_headers()
        .iter()
        .map(|one| (one.header(), one.path()))
        .collect();
    assert_eq!(headers, [("Region", &["region".to_owned()][..])]);
    // Clients read the annotation themselves.
    let listed = serde_json::to_value(info).unwrap();
    assert_eq!(
        listed["inputSchema"]["properties"]["region"]["x-mcp-header"],
        "Region"
    );
    assert!(registry.find("bad").is_none());
}
