//! Prompts and the contents that come with them.

use serde_json::{Value, json};

use super::*;
use crate::registry::Output;

/// Gets a prompt as the server does, on this thread.
fn prompt(root: &Root, name: &str, arguments: &Value) -> Result<Value, ToolError> {
    let mut builder = Registry::builder();
    builder.add(root.clone()).unwrap();
    let registry = builder.build();
    let index = registry.find_prompt(name).unwrap();
    let mut bytes = arguments.to_string().into_bytes();
    let tape = simd_json::to_tape(&mut bytes).unwrap();
    let started = registry.for_shard().start_prompt(
        index,
        Some(crate::jsonrpc::Value::of_tape(&tape)),
        CallContext::new(),
    );
    let Ok(Started::Blocking(call)) = started else {
        panic!("it would run on the shard");
    };
    match call.run(&BlockingContext::new(Cancellation::new()))? {
        Output::Prompt(output) => Ok(serde_json::to_value(&output.messages).unwrap()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_comes_with_the_request_to_explain_it() {
    let tree = Tree::new();
    tree.file("src/a b.rs", "fn main() {}\n").file("bin", b"\0");
    let root = tree.root();
    let absolute = tree.path("src/a b.rs").canonicalize().unwrap();
    for path in ["src/a b.rs", "./src/a b.rs", absolute.to_str().unwrap()] {
        let messages = prompt(&root, "explain-file", &json!({"path": path})).unwrap();
        assert!(
            messages[0]["content"]["text"]
                .as_str()
                .unwrap()
                .contains("a b.rs")
        );
        assert_eq!(
            messages[1],
            json!({"role": "user", "content": {"type": "resource", "resource":
                {"uri": "file:///src/a%20b.rs", "mimeType": "text/x-rust", "text": "fn main() {}\n"}}})
        );
    }
    let root = tree.root_with(|limits| limits.read_bytes_max = 6);
    tree.file("long", "one\ntwo\n");
    let messages = prompt(&root, "explain-file", &json!({"path": "long"})).unwrap();
    let request = messages[0]["content"]["text"].as_str().unwrap();
    assert!(request.ends_with("to go on, call with offset = 2."), "{request}");
    assert_eq!(messages[1]["content"]["resource"]["text"], "one\n");
    let root = tree.root();
    for path in ["../secret", "missing", "bin", "src", ""] {
        let refused = prompt(&root, "explain-file", &json!({"path": path}));
        assert!(matches!(refused, Err(ToolError::Message(_))), "{path}");
    }
}

#[test]
fn lines_come_with_the_request_to_tell_of_them() {
    let tree = Tree::new();
    tree.file("a", "x\na.b (c\n")
        .file("d/e{f}/g", "a.b (c\n")
        .file("d/h", "axb (c\n");
    tree.link("../outside", "out").link("d", "link");
    let root = tree.root();
    let found = |arguments: Value| {
        let messages = prompt(&root, "find-in-files", &arguments).unwrap();
        messages[1]["content"]["text"].as_str().map(str::to_owned)
    };
    let all = "a:2: a.b (c\nd/e{f}/g:1: a.b (c\n";
    assert_eq!(found(json!({"query": "a.b (c"})).as_deref(), Some(all));
    for everywhere in ["", ".", "./"] {
        assert_eq!(
            found(json!({"query": "a.b (c", "path": everywhere})).as_deref(),
            Some(all)
        );
    }
    for path in ["d", "d/", "./d/e{f}", "d/e{f}/g", "link", "d/../d"] {
        let lines = found(json!({"query": "a.b (c", "path": path}));
        assert_eq!(lines.as_deref(), Some("d/e{f}/g:1: a.b (c\n"), "{path}");
    }
    assert_eq!(found(json!({"query": "nowhere"})), None);
    for (query, path) in [
        ("x", "../secret"),
        ("x", "out"),
        ("x", "missing"),
        ("", "."),
        ("a\nb", "."),
    ] {
        let refused = prompt(&root, "find-in-files", &json!({"query": query, "path": path}));
        assert!(
            matches!(refused, Err(ToolError::Message(_))),
            "{query} {path}: {refused:?}"
        );
    }
}
