//! The toolset as the registry sees it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::registry::{
    CallLink, ClientFacts, Emission, LinkListener, ServerHandle, unportable_input, unportable_output,
};

fn registry(root: &Root) -> Registry {
    let mut tools = Registry::builder();
    tools.add(root.clone()).unwrap();
    tools.build()
}

/// Calls a tool as the server does, on this thread.
fn call(registry: &Registry, tool: &str, arguments: &str) -> Result<ToolOutput, ToolError> {
    let tools = registry.for_shard();
    let mut bytes = arguments.as_bytes().to_vec();
    let tape = simd_json::to_tape(&mut bytes).unwrap();
    let index = registry.find(tool).unwrap();
    let started = tools
        .start_tool(
            index,
            Some(crate::jsonrpc::Value::of_tape(&tape)),
            CallContext::new(),
        )
        .unwrap();
    let begun = match started {
        Started::Readied(call) => call.begin().map_or_else(Started::Blocking, Started::Future),
        started => started,
    };
    match begun {
        Started::Blocking(call) => call
            .run(&BlockingContext::new(Cancellation::new()))
            .map(|output| output.into_tool().unwrap()),
        Started::Future(mut call) if tool == "read_file" => {
            let polled = Pin::new(&mut call).poll(&mut Context::from_waker(Waker::noop()));
            let Poll::Ready(outcome) = polled else {
                panic!("it waits on the shard");
            };
            outcome.map(|output| output.into_tool().unwrap())
        }
        _ => panic!("{tool} would run on the shard"),
    }
}

#[test]
fn all_are_read_only_and_blocking_with_both_schemas() {
    let tree = Tree::new();
    let registry = registry(&tree.root());
    let names: Vec<_> = registry.tools().map(|(_, tool)| tool.name()).collect();
    assert_eq!(
        names,
        ["read_file", "list_directory", "find_files", "search", "file_info"]
    );
    for (_, tool) in registry.tools() {
        assert_eq!(tool.execution(), Execution::Worker);
        assert_eq!(tool.annotations().read_only_hint, Some(true));
        assert!(tool.title().is_some() && tool.description().is_some());
        assert_eq!(unportable_input(tool.input_schema()), []);
        // A file's text comes only as text.
        assert_eq!(tool.output_schema().is_none(), tool.name() == "read_file");
        if let Some(schema) = tool.output_schema() {
            assert_eq!(unportable_output(schema), []);
        }
        // Each argument and each member of a result has a description.
        for schema in [Some(tool.input_schema()), tool.output_schema()]
            .into_iter()
            .flatten()
        {
            for (name, member) in schema["properties"].as_object().unwrap() {
                assert!(
                    member.get("description").is_some(),
                    "{}.{name}: {member}",
                    tool.name()
                );
            }
        }
    }
    let required =
        |tool: &str| registry.tool(registry.find(tool).unwrap()).input_schema()["required"].clone();
    assert_eq!(required("read_file"), serde_json::json!(["path"]));
    assert_eq!(required("list_directory"), serde_json::Value::Null);
    assert_eq!(required("search"), serde_json::json!(["pattern"]));
}

/// `call` fails if a result breaks its tool's output schema: here each shape of result goes through it.
#[test]
fn results_match_their_schemas() {
    let tree = Tree::new();
    tree.file("a.txt", "one\ntwo\n")
        .file("bin", b"needle\0")
        .link("a.txt", "in")
        .link("../secret", "out");
    fs::write(tree.path(OsStr::from_bytes(b"\xe9")), "").unwrap();
    let registry = registry(&tree.root());
    let structured = |tool: &str, arguments: &str| {
        let output = call(&registry, tool, arguments).unwrap();
        output.structured_content().unwrap().clone()
    };
    let listing = structured("list_directory", "{}");
    assert_eq!(
        listing["entries"][0],
        serde_json::json!({"name": "\\xe9", "kind": "file", "size_bytes": 0, "name_is_utf8": false})
    );
    assert_eq!(
        structured("find_files", r#"{"glob":"*.txt"}"#),
        serde_json::json!({"paths": ["a.txt"], "truncated": false, "omitted": {"names_not_utf8": 1}})
    );
    assert_eq!(
        structured("search", r#"{"pattern":"needle|w"}"#),
        serde_json::json!({"matches": [{"path": "a.txt", "line": 2, "start_byte": 4, "text": "two"}],
            "truncated": false, "omitted": {"names_not_utf8": 1, "binary_files": 1}})
    );
    for path in ["a.txt", ".", "in", "out"] {
        let info = structured("file_info", &format!(r#"{{"path":"{path}"}}"#));
        assert!(info["modified"].as_str().unwrap().ends_with('Z'));
    }
}

/// The text blocks of a result.
fn texts(output: &ToolOutput) -> Vec<String> {
    let mut written = Vec::new();
    output.write_content(&mut written);
    let blocks: serde_json::Value = serde_json::from_slice(&written).unwrap();
    let blocks = blocks.as_array().unwrap().iter();
    blocks
        .map(|block| block["text"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_file_comes_as_its_text_and_how_to_get_the_rest_as_another() {
    let tree = Tree::new();
    tree.file("a.txt", "one\ntwo \"quoted\"\nthree\n")
        .file("empty", "")
        .file("line", "x".repeat(100))
        .file("bad", b"\xe9\n");
    let root = tree.root_with(|limits| limits.read_bytes_max = 40);
    let registry = registry(&root);
    let blocks = |arguments: &str| {
        let output = call(&registry, "read_file", arguments).unwrap();
        assert_eq!(output.structured_content(), None);
        texts(&output)
    };
    assert_eq!(blocks(r#"{"path":"a.txt"}"#), ["one\ntwo \"quoted\"\nthree\n"]);
    assert_eq!(
        blocks(r#"{"path":"a.txt","limit":2}"#),
        [
            "one\ntwo \"quoted\"\n",
            "[lines 1 to 2; the file has 23 bytes; to go on, call with offset = 3]"
        ]
    );
    assert_eq!(
        blocks(r#"{"path":"a.txt","offset":2,"limit":1}"#)[1],
        "[line 2; the file has 23 bytes; to go on, call with offset = 3]"
    );
    assert_eq!(
        blocks(r#"{"path":"line"}"#),
        [
            "x".repeat(40),
            "[line 1; the file has 100 bytes; to go on, call with start_byte = 40]".into()
        ]
    );
    assert_eq!(
        blocks(r#"{"path":"line","start_byte":50}"#)[1],
        "[from byte 50; the file has 100 bytes; to go on, call with start_byte = 90]"
    );
    assert_eq!(blocks(r#"{"path":"line","start_byte":90}"#), ["x".repeat(10)]);
    assert_eq!(blocks(r#"{"path":"empty"}"#), ["", "[the file is empty]"]);
    assert_eq!(
        blocks(r#"{"path":"a.txt","offset":4}"#),
        ["", "[nothing follows; the file has 23 bytes]"]
    );
    assert_eq!(
        blocks(r#"{"path":"bad"}"#),
        [
            "\u{fffd}\n",
            "[bytes that are no characters were replaced by U+FFFD]"
        ]
    );
}

/// No answer is longer than its limit, as either part.
#[test]
fn answers_fit_their_readers() {
    let tree = Tree::new();
    for number in 0..900 {
        tree.file(
            &format!("a \"file\" with a long name, such as people give them, number {number}"),
            "\"\\\"\n".repeat(20),
        );
    }
    let limit = FilesLimits::default().answer_bytes_max;
    let registry = registry(&tree.root());
    for (tool, arguments) in [
        ("list_directory", "{}"),
        ("find_files", r#"{"glob":"*"}"#),
        ("search", r#"{"pattern":"x*","limit":1000}"#),
    ] {
        let output = call(&registry, tool, arguments).unwrap();
        let structured = output.structured_content().unwrap();
        assert_eq!(structured["truncated"], true, "{tool}");
        let json = structured.to_string().len();
        assert!((limit - 1_000..limit + 200).contains(&json), "{tool}: {json}");
        assert_eq!(texts(&output).concat().len(), json, "{tool}");
    }
    let root = tree.root_with(|limits| limits.answer_bytes_max = 1);
    let listing = list(&root, "").unwrap();
    assert_eq!(
        (listing.entries.len(), listing.truncated),
        (1, true),
        "one at least, to go on from"
    );
}

#[test]
fn failures_are_messages_that_say_nothing_of_the_root() {
    let tree = Tree::new();
    tree.link("../secret", "out");
    let registry = registry(&tree.root());
    let base = tree.base.to_str().unwrap();
    for path in ["../secret", "out", "/etc/passwd", "none", "."] {
        let error = call(&registry, "read_file", &format!(r#"{{"path":"{path}"}}"#)).unwrap_err();
        let ToolError::Message(text) = error else {
            panic!("{path}: {error:?}")
        };
        assert!(!text.contains(base) && !text.contains("os error"), "{text}");
    }
    let cancelled = FileError::Cancelled.told();
    assert_eq!(cancelled, ToolError::Cancelled);
    let system = FileError::from_io("f", std::io::Error::from_raw_os_error(libc::EIO));
    assert!(matches!(system.told(), ToolError::Internal(_)));
}

/// A listener that wakes nobody.
struct NullListener;

impl LinkListener for NullListener {
    fn on_emission(&self, _: u64) {}
}

#[test]
fn progress_reaches_the_client_that_wants_it() {
    let tree = Tree::new();
    tree.file("a", "needle\n")
        .file("b", "x\n")
        .file("c/d", "needle\n");
    let registry = registry(&tree.root());
    let said = |tool: &str, arguments: &str, wants_progress: bool| {
        let mut link = CallLink::new(Arc::new(NullListener), ServerHandle::NOWHERE);
        let facts = ClientFacts {
            wants_progress,
            ..ClientFacts::default()
        };
        Arc::get_mut(&mut link).unwrap().begin(facts);
        let mut bytes = arguments.as_bytes().to_vec();
        let tape = simd_json::to_tape(&mut bytes).unwrap();
        let index = registry.find(tool).unwrap();
        let shard = registry.for_shard();
        let started = shard.start_tool(
            index,
            Some(crate::jsonrpc::Value::of_tape(&tape)),
            CallContext::new(),
        );
        let Ok(Started::Blocking(call)) = started else {
            panic!("it would run on the shard");
        };
        let context = BlockingContext::new(Cancellation::new()).with_link(Arc::clone(&link));
        call.run(&context).unwrap();
        let mut emissions = Vec::new();
        link.take_emissions(&mut emissions);
        emissions
    };
    for (tool, arguments) in [
        ("search", r#"{"pattern":"needle"}"#),
        ("find_files", r#"{"glob":"[ad]"}"#),
    ] {
        let emissions = said(tool, arguments, true);
        let Some(Emission::Progress {
            progress,
            total,
            message,
        }) = emissions.last()
        else {
            panic!("{tool}: {emissions:?}");
        };
        assert_eq!(
            (*progress, *total, message.as_deref()),
            (3.0, Some(3.0), Some("3 files, 2 found"))
        );
        assert!(said(tool, arguments, false).is_empty());
    }
    assert!(said("file_info", r#"{"path":"a"}"#, true).is_empty());
}
