//! Files as resources: which are read, listed and completed, and that nothing outside the root is.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::registry::{
    ListUpdates, Outcome, Output, RegistryBuilder, RegistryEdit, ResourcePage, ServerHandle, ServerLink,
    Updates,
};

fn registry(root: &Root) -> Registry {
    let mut builder: RegistryBuilder = Registry::builder();
    builder.add(root.clone()).unwrap();
    builder.build()
}

fn run(started: Started) -> Outcome {
    match started {
        Started::Blocking(call) => call.run(&BlockingContext::new(Cancellation::new())),
        _ => panic!("it would run on the shard"),
    }
}

/// Reads as the server does, on this thread.
fn resource(root: &Root, uri: &str) -> Result<Value, ToolError> {
    let registry = registry(root);
    let Some(template) = registry.find_template(uri) else {
        return Err(ToolError::not_found(""));
    };
    let started = registry
        .for_shard()
        .start_template(template, uri, CallContext::new());
    let Output::Read(output) = run(started.unwrap())? else {
        panic!("no contents");
    };
    let mut written = Vec::new();
    output.write_contents(uri, None, true, &mut written);
    Ok(serde_json::from_slice(&written).unwrap())
}

/// What a toolset under a prefix is for.
#[test]
fn two_directories_are_served_under_prefixes() {
    let (one, other) = (Tree::new(), Tree::new());
    one.file("a", "one's");
    other.file("a", "other's").file("b", "");
    let mut builder = Registry::builder();
    builder
        .mount("one", one.root())
        .unwrap()
        .mount("other", other.root())
        .unwrap();
    let registry = builder.build();
    for tool in ["one__read_file", "other__search"] {
        assert!(registry.find(tool).is_some(), "{tool}");
    }
    for (uri, text) in [("one+file:///a", "one's"), ("other+file:///a", "other's")] {
        let template = registry.find_template(uri).unwrap();
        let started = registry
            .for_shard()
            .start_template(template, uri, CallContext::new());
        let Output::Read(output) = run(started.unwrap()).unwrap() else {
            panic!("no contents");
        };
        let mut written = Vec::new();
        output.write_contents(uri, None, true, &mut written);
        let written: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(
            (&written[0]["uri"], &written[0]["text"]),
            (&json!(uri), &json!(text))
        );
    }
    let lister = registry.listers().last().unwrap();
    let started = registry
        .for_shard()
        .start_lister(lister, None, CallContext::new());
    let Output::Resources(page) = run(started.unwrap()).unwrap() else {
        panic!("no page");
    };
    let uris: Vec<_> = page.resources.iter().map(|resource| resource.address()).collect();
    assert_eq!(uris, ["other+file:///a", "other+file:///b"]);
}

fn page(root: &Root, after: Option<&str>) -> ResourcePage {
    let registry = registry(root);
    let lister = registry.listers().next().unwrap();
    let started = registry
        .for_shard()
        .start_lister(lister, after, CallContext::new());
    match run(started.unwrap()) {
        Ok(Output::Resources(page)) => page,
        other => panic!("{other:?}"),
    }
}

fn completed(root: &Root, typed: &str) -> (Vec<String>, bool) {
    let registry = registry(root);
    let found = registry.template_completer("file:///{+path}", "path");
    let completer = found.unwrap().unwrap().unwrap();
    let shard = registry.for_shard();
    let started = shard.start_completion(completer, typed, None, CallContext::new());
    match run(started.unwrap()) {
        Ok(Output::Completion(completion)) => (completion.values().to_vec(), completion.has_more()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn text_is_read_as_text_and_all_else_as_bytes() {
    let tree = Tree::new();
    tree.file("a.rs", "fn a() {}\n")
        .file("sub/b c.txt", "é")
        .file("empty", "")
        .file("100%.md", "whole")
        .file("nul", b"a\0b")
        .file("latin1.txt", b"\xe9")
        .link("sub/b c.txt", "inner");
    let root = tree.root();
    for (uri, mime_type, text) in [
        ("file:///a.rs", "text/x-rust", "fn a() {}\n"),
        ("file:///sub/b%20c.txt", "text/plain", "é"),
        ("file:///sub/../a.rs", "text/x-rust", "fn a() {}\n"),
        ("file:///sub%2Fb c.txt", "text/plain", "é"),
        ("file:///empty", "text/plain", ""),
        ("file:///100%25.md", "text/markdown", "whole"),
        ("file:///inner", "text/plain", "é"),
    ] {
        let contents = resource(&root, uri).unwrap();
        assert_eq!(
            contents,
            json!([{"uri": uri, "mimeType": mime_type, "text": text}])
        );
    }
    for (uri, mime_type, bytes) in [
        ("file:///nul", "application/octet-stream", &b"a\0b"[..]),
        ("file:///latin1.txt", "text/plain", b"\xe9"),
    ] {
        let contents = resource(&root, uri).unwrap();
        let blob = STANDARD.encode(bytes);
        assert_eq!(
            contents,
            json!([{"uri": uri, "mimeType": mime_type, "blob": blob}])
        );
    }
}

#[test]
fn what_is_outside_is_not_there_by_any_spelling() {
    let tree = Tree::new();
    tree.file("sub/file", "inside")
        .link("../secret", "link")
        .link(tree.base.join("secret"), "absolute-link")
        .link(&tree.base, "linked-folder")
        .link("/proc/self/environ", "environ")
        .link("loop", "loop");
    let root = tree.root();
    let base = tree.base.to_str().unwrap();
    let inside = tree.path("sub/file");
    for path in [
        "../secret",
        "sub/../../secret",
        "..%2fsecret",
        "%2e%2e/secret",
        "%2e%2e%2fsecret",
        "%252e%252e/secret",
        "..%5csecret",
        "link",
        "absolute-link",
        "linked-folder/secret",
        "environ",
        "loop",
        "sub",
        "sub/",
        ".",
        "..",
        "/",
        "//",
        "%2f",
        "missing",
        "sub/file/",
        "sub/file/..%2f..%2f..%2fsecret",
        "sub/file%00",
        "%00",
        "../root",
        "../root/sub/file",
        "etc/passwd",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        &format!("{base}/secret"),
        &format!("/{base}/secret"),
        inside.to_str().unwrap(),
        &"a/".repeat(4_000),
        &"a".repeat(300),
        "%ff",
        "~",
        "...",
        "sub\\file",
        "\u{ff0e}\u{ff0e}/secret",
    ] {
        let read = resource(&root, &format!("file:///{path}"));
        assert_eq!(read, Err(ToolError::not_found("")), "{path}");
    }
    for uri in [
        "file://localhost/sub/file",
        "file:/sub/file",
        "file:sub/file",
        "FILE:///sub/file",
        "sub/file",
        "file:///",
    ] {
        assert_eq!(resource(&root, uri), Err(ToolError::not_found("")), "{uri}");
    }
    assert!(resource(&root, "file:///sub/file").is_ok());
}

#[test]
fn files_too_large_to_be_read_at_once_say_so() {
    let tree = Tree::new();
    tree.file("four", "1234").file("five", "12345");
    let root = tree.root_with(|limits| limits.resource_bytes_max = 4);
    assert!(resource(&root, "file:///four").is_ok());
    let Err(ToolError::Message(text)) = resource(&root, "file:///five") else {
        panic!("it was read");
    };
    assert!(text.contains("5 bytes") && text.contains("read_file"), "{text}");
}

#[test]
fn the_top_level_is_listed_by_name_a_page_at_a_time() {
    let tree = Tree::new();
    tree.file("a b.txt", "12")
        .file("sub/deep", "")
        .file("c", "")
        .file("é.png", "")
        .file("100%", "")
        .link("c", "link");
    fs::write(tree.path(OsStr::from_bytes(b"bad\xff")), "").unwrap();
    let root = tree.root_with(|limits| limits.list_entries_max = 2);
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = page(&root, after.as_deref());
        listed.extend(page.resources);
        assert!(listed.len() <= 4, "{listed:?}");
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(
        serde_json::to_value(&listed).unwrap(),
        json!([
            {"uri": "file:///100%25", "name": "100%", "size": 0},
            {"uri": "file:///a%20b.txt", "name": "a b.txt", "mimeType": "text/plain", "size": 2},
            {"uri": "file:///c", "name": "c", "size": 0},
            {"uri": "file:///%C3%A9.png", "name": "é.png", "mimeType": "image/png", "size": 0},
        ])
    );
    for listed in &listed {
        assert!(resource(&root, listed.address()).is_ok(), "{}", listed.address());
    }
}

#[test]
fn paths_are_completed_within_the_root() {
    let tree = Tree::new();
    tree.file("src/main.rs", "")
        .file("src/match.rs", "")
        .file("src/inner/x", "")
        .file("setup", "")
        .link("../outside", "linked");
    let root = tree.root();
    let values = |typed: &str| completed(&root, typed).0;
    assert_eq!(values("s"), ["setup", "src/"]);
    assert_eq!(values("src/ma"), ["src/main.rs", "src/match.rs"]);
    assert_eq!(values("src/"), ["src/inner/", "src/main.rs", "src/match.rs"]);
    assert_eq!(
        values(""),
        ["setup", "src/"],
        "what cannot be read is not proposed"
    );
    tree.link("src", "inside")
        .link("setup", "src/up")
        .link("../setup", "src/setup-link");
    assert_eq!(values("i"), ["inside/"]);
    assert_eq!(values("src/s"), ["src/setup-link"]);
    assert_eq!(values("inside/ma"), ["inside/main.rs", "inside/match.rs"]);
    let base = tree.base.to_str().unwrap();
    for typed in [
        "../",
        "../s",
        "src/../../",
        "linked/",
        "/",
        "/e",
        &format!("{base}/"),
        "missing/",
        "setup/",
        "\0",
        "\0/",
    ] {
        assert_eq!(completed(&root, typed), (Vec::new(), false), "{typed}");
    }
    for at in 0..120 {
        tree.file(&format!("many/{at:03}"), "");
    }
    let (values, has_more) = completed(&root, "many/");
    assert_eq!(
        (values.len(), values[99].as_str(), has_more),
        (100, "many/099", true)
    );
}

#[test]
fn hidden_and_excluded_paths_are_completed_last() {
    let tree = Tree::new();
    tree.file(".gitignore", "*.log\n/target\n")
        .file("sub/.gitignore", "!keep.log\n");
    for path in [
        "a.log",
        "a.txt",
        "target/debug/x",
        ".github/f",
        ".git/config",
        "sub/keep.log",
        "sub/other.log",
        "only/.hidden",
    ] {
        tree.file(path, "");
    }
    let root = tree.root();
    let values = |typed: &str| completed(&root, typed).0;
    assert_eq!(values(""), ["a.txt", "only/", "sub/"]);
    assert_eq!(values("a."), ["a.txt"]);
    assert_eq!(values("a.l"), ["a.log"], "nothing else begins so");
    assert_eq!(values("t"), ["target/"]);
    assert_eq!(values("target/"), ["target/debug/"]);
    assert_eq!(values("."), [".github/", ".gitignore"]);
    assert_eq!(values(".git/"), [".git/config"]);
    assert_eq!(values("sub/"), ["sub/keep.log"]);
    assert_eq!(values("only/"), ["only/.hidden"]);
}

#[test]
fn large_directories_are_completed_in_bounds() {
    let tree = Tree::new();
    for at in 0..1_000 {
        tree.file(&format!("many/{at:03}"), "");
    }
    let (values, has_more) = completed(&tree.root(), "many/9");
    assert_eq!(
        (values.len(), values[0].as_str(), has_more),
        (100, "many/900", false)
    );
    let (values, has_more) = completed(&tree.root(), "many/");
    assert_eq!(
        (values.len(), values[99].as_str(), has_more),
        (100, "many/099", true)
    );
    let root = tree.root_with(|limits| limits.directory_entries_max = 10);
    let (values, has_more) = completed(&root, "many/");
    assert_eq!((values.len(), has_more), (10, true));
}

/// A server that passes announcements on.
struct Heard(std::sync::mpsc::Sender<String>);

impl ServerLink for Heard {
    fn resource_updated(&self, uri: &str) {
        let _ = self.0.send(uri.to_owned());
    }

    fn resources_changed(&self) {
        let _ = self.0.send("list".to_owned());
    }

    fn edit_registry(&self, _: RegistryEdit<'_>) {}
}

#[test]
fn subscribers_hear_of_changes_under_the_uri_they_gave() {
    let tree = Tree::new();
    tree.file("a b", "1");
    let registry = registry(&tree.root());
    let (tell, told) = std::sync::mpsc::channel();
    let server = ServerHandle::new(Arc::new(Heard(tell)));
    let watch = |uri: &str| {
        let watch = registry.watcher(uri).unwrap();
        watch.watch(uri, Updates::new(uri, server.clone()))
    };
    let patience = std::time::Duration::from_secs(60);
    for uri in ["file:///a%20b", "file:///./a%20b", "file:///c"] {
        let watched = watch(uri).unwrap();
        tree.file("a b", "2").file("c", "2");
        assert_eq!(told.recv_timeout(patience).unwrap(), uri);
        drop(watched);
    }
    for uri in ["file:////etc/passwd", "file:///..%2fsecret", "file:///."] {
        assert!(matches!(watch(uri), Err(ToolError::NotFound(_))), "{uri}");
    }
}

/// A change that leaves the list the same is followed by one that does not: had the first been announced, its
/// notification would have come first.
#[test]
fn the_list_is_told_of_when_it_is_another_one() {
    let tree = Tree::new();
    tree.file("a", "1").file("d/b", "1");
    let root = tree.root();
    let registry = registry(&root);
    let (tell, told) = std::sync::mpsc::channel();
    let server = ServerHandle::new(Arc::new(Heard(tell)));
    let patience = std::time::Duration::from_secs(60);
    let watchers: Vec<_> = registry.list_watchers().collect();
    assert_eq!(watchers.len(), 1);
    let watched = watchers[0].watch(ListUpdates::new(server.clone())).unwrap();
    let next = || told.recv_timeout(patience).unwrap();
    tree.file("b", "1");
    assert_eq!(next(), "list");
    fs::remove_file(tree.path("b")).unwrap();
    assert_eq!(next(), "list");
    // Another directory with files of the same names has the same list; one with others has not.
    fs::rename(tree.path(""), tree.base.join("old")).unwrap();
    tree.file("a", "2").file("c", "2");
    assert_eq!(next(), "list");
    drop(watched);
    tree.file("e", "2");
    let again = watchers[0].watch(ListUpdates::new(server)).unwrap();
    fs::remove_dir_all(tree.path("")).unwrap();
    assert_eq!(next(), "list");
    assert!(told.try_recv().is_err());
    drop(again);
}
