//! The `files` toolset over the wire: it serves the files below its root, and never shows anything outside.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Dialect, Response, Scratch, Server, assert_conforms, case, eras, tool};

/// A text outside the root that must never be seen.
const SECRET: &str = "SECRET-7d1c2f";

/// A directory with a root in it, and a server of that root.
struct Served {
    folder: Scratch,
    server: Server,
}

impl Served {
    fn new(name: &str) -> Self {
        let folder = Scratch::new(name);
        let base = folder.path();
        let root = base.join("root");
        std::fs::create_dir_all(root.join("sub/deeper")).unwrap();
        std::fs::create_dir(base.join("root-sibling")).unwrap();
        let write = |path: &str, text: &str| std::fs::write(base.join(path), text).unwrap();
        write("root/hello.txt", "hello from inside\nsecond line\nthird line\n");
        write("root/sub/deep.rs", "fn deep() {}\n// needle here\n");
        write("root/sub/deeper/note.md", "a needle, too\n");
        write("root/.gitignore", "ignored.txt\n");
        write("root/ignored.txt", "needle\n");
        write("root/binary", "a\0b");
        write("root/empty", "");
        write("secret.txt", SECRET);
        write("root-sibling/secret.txt", SECRET);
        write("root/unreadable", "closed\n");
        symlink("hello.txt", root.join("inner-link")).unwrap();
        symlink(base.join("secret.txt"), root.join("link")).unwrap();
        symlink("../secret.txt", root.join("relative-link")).unwrap();
        symlink(base, root.join("linked-folder")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("/proc/self/environ", root.join("environ")).unwrap();
        assert!(
            Command::new("mkfifo")
                .arg(root.join("fifo"))
                .status()
                .unwrap()
                .success()
        );
        let server = Server::start(&["--toolset", "files", "--root", root.to_str().unwrap()]);
        Self { folder, server }
    }

    /// Calls a tool and returns its structured result, which its own schema must accept.
    #[track_caller]
    fn call(&self, name: &str, arguments: Value) -> Value {
        let listed = self
            .server
            .ask(&Dialect::modern().request(1, "tools/list", json!({})));
        let tools = listed.result()["tools"].as_array().unwrap().clone();
        let definition = tools.iter().find(|tool| tool["name"] == name).unwrap();
        let mut shown = Value::Null;
        for dialect in eras() {
            let response = self.server.ask(&dialect.tool(1, name, arguments.clone()));
            let text: Value = serde_json::from_str(response.tool_text()).unwrap();
            shown = response.result()["structuredContent"].clone();
            assert_eq!(text, shown);
            assert_conforms(&definition["outputSchema"], &shown);
        }
        shown
    }

    /// Reads a file and returns the text blocks of the answer, which are all of it.
    #[track_caller]
    fn read(&self, arguments: Value) -> Vec<String> {
        let mut texts = Vec::new();
        for dialect in eras() {
            let response = self.server.ask(&dialect.tool(1, "read_file", arguments.clone()));
            assert!(!response.is_tool_error(), "{}", response.text());
            let result = response.result();
            assert!(result.get("structuredContent").is_none());
            let blocks = result["content"].as_array().unwrap().iter();
            texts = blocks
                .map(|block| block["text"].as_str().unwrap().to_owned())
                .collect();
        }
        texts
    }
}

/// Whether a call was refused, and showed nothing.
#[track_caller]
fn assert_refused(response: &Response) {
    assert!(!String::from_utf8_lossy(&response.body).contains(SECRET));
    let is_refused = response.json().get("error").is_some() || response.is_tool_error();
    assert!(is_refused, "{}", response.text());
}

#[test]
fn null_is_no_argument_and_a_whole_float_an_integer() {
    let served = Served::new("files-null");
    for (name, with, without) in [
        ("list_directory", json!({"path": null, "after": null}), json!({})),
        (
            "find_files",
            json!({"glob": "*.txt", "ignore_case": null}),
            json!({"glob": "*.txt"}),
        ),
        (
            "search",
            json!({"pattern": "needle", "glob": null, "limit": null, "literal": null}),
            json!({"pattern": "needle"}),
        ),
        (
            "search",
            json!({"pattern": "needle", "limit": 1.0}),
            json!({"pattern": "needle", "limit": 1}),
        ),
    ] {
        let _case = case(format!("{name} {with}"));
        assert_eq!(served.call(name, with), served.call(name, without));
    }
    let piece = served.read(json!({"path": "hello.txt", "offset": 2.0, "limit": 1e0, "start_byte": null}));
    assert_eq!(
        piece,
        served.read(json!({"path": "hello.txt", "offset": 2, "limit": 1}))
    );
}

#[test]
fn each_tool_shows_what_is_there() {
    let served = Served::new("files-shown");
    let whole = ["hello from inside\nsecond line\nthird line\n"];
    let absolute = served.folder.path().join("root/hello.txt");
    for path in [
        "hello.txt",
        "inner-link",
        "sub/../hello.txt",
        absolute.to_str().unwrap(),
    ] {
        assert_eq!(served.read(json!({"path": path})), whole);
    }
    let piece = served.read(json!({"path": "hello.txt", "offset": 2, "limit": 1}));
    assert_eq!(piece[0], "second line\n");
    assert!(piece[1].ends_with("to go on, call with offset = 3]"), "{piece:?}");
    assert_eq!(served.read(json!({"path": "empty"})), ["", "[the file is empty]"]);

    let names = |value: &Value, list: &str, member: &str| -> Vec<String> {
        let entries = value[list].as_array().unwrap().iter();
        entries
            .map(|entry| entry[member].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let listed = served.call("list_directory", json!({"path": "sub"}));
    assert_eq!(names(&listed, "entries", "name"), ["deep.rs", "deeper"]);
    let found = served.call("find_files", json!({"glob": "**/*.{rs,md}"}));
    assert!(
        found.to_string().contains("sub/deep.rs") && found.to_string().contains("sub/deeper/note.md"),
        "{found}"
    );
    let matches = served.call("search", json!({"pattern": "need.e"}));
    assert_eq!(names(&matches, "matches", "path").len(), 2, "{matches}");
    assert!(!matches.to_string().contains("ignored.txt"));
    let limited = served.call("search", json!({"pattern": "needle", "glob": "*.rs", "limit": 1}));
    assert_eq!(names(&limited, "matches", "path"), ["sub/deep.rs"]);
    let info = served.call("file_info", json!({"path": "hello.txt"}));
    assert_eq!(info["size_bytes"], 41);
}

#[test]
fn no_spelling_of_a_path_leads_outside() {
    let served = Served::new("files-outside");
    let base = served.folder.path().to_str().unwrap().to_owned();
    let deep = "../".repeat(30);
    for path in [
        "..",
        "../",
        "../secret.txt",
        "../root-sibling/secret.txt",
        "sub/../../secret.txt",
        "./../secret.txt",
        "..//secret.txt",
        "sub/deeper/../../../secret.txt",
        "/etc/passwd",
        "//etc/passwd",
        "/../etc/passwd",
        "~/secret.txt",
        "%2e%2e/secret.txt",
        "..%2fsecret.txt",
        "..\\secret.txt",
        "\u{ff0e}\u{ff0e}/secret.txt",
        "..\u{2215}secret.txt",
        "file:///etc/passwd",
        "../secret.txt\0",
        "hello.txt\0",
        "..\0/secret.txt",
        "link",
        "relative-link",
        "linked-folder",
        "linked-folder/secret.txt",
        "linked-folder/root/hello.txt",
        "linked-folder/../secret.txt",
        "sub/../link",
        "environ",
        "loop",
        "loop/x",
        "fifo",
        "hello.txt/",
        "hello.txt/..",
        "hello.txt/../hello.txt",
        "",
        &format!("{deep}etc/passwd"),
        &format!("{base}/secret.txt"),
        &format!("{base}/root-sibling/secret.txt"),
        &"a/".repeat(5000),
        &"a".repeat(5000),
    ] {
        let _case = case(path.chars().take(60).collect::<String>());
        for dialect in eras() {
            assert_refused(
                &served
                    .server
                    .ask(&dialect.tool(1, "read_file", json!({"path": path}))),
            );
            let info = served
                .server
                .ask(&dialect.tool(1, "file_info", json!({"path": path})));
            assert!(!String::from_utf8_lossy(&info.body).contains(SECRET));
        }
    }
    for path in [
        "..",
        "linked-folder",
        "/",
        "/etc",
        &base,
        "sub/../..",
        "fifo",
        "hello.txt",
    ] {
        let _case = case(path);
        assert_refused(
            &served
                .server
                .ask(&tool(1, "list_directory", json!({"path": path}))),
        );
    }
    for glob in [
        "../*",
        "**/../*",
        "/etc/*",
        "linked-folder/**",
        "../root-sibling/*",
        &format!("{base}/**"),
    ] {
        let _case = case(glob);
        for request in [
            tool(1, "find_files", json!({"glob": glob})),
            tool(1, "search", json!({"pattern": "SECRET", "glob": glob})),
        ] {
            let text = String::from_utf8_lossy(&served.server.ask(&request).body).into_owned();
            assert!(
                !text.contains(SECRET) && !text.contains("secret.txt") && !text.contains("passwd"),
                "{text}"
            );
        }
    }
}

#[test]
fn what_cannot_be_shown_says_why_without_saying_where() {
    let served = Served::new("files-refused");
    let base = served.folder.path().to_str().unwrap().to_owned();
    for (name, arguments, word) in [
        ("read_file", json!({"path": "missing"}), "does not exist"),
        ("read_file", json!({"path": "sub"}), "not a regular file"),
        ("read_file", json!({"path": "fifo"}), "not a regular file"),
        ("read_file", json!({"path": "binary"}), "binary"),
        (
            "read_file",
            json!({"path": "hello.txt", "offset": 9}),
            "only 3 lines",
        ),
        (
            "read_file",
            json!({"path": "hello.txt", "start_byte": 99}),
            "only 41 bytes",
        ),
        (
            "read_file",
            json!({"path": "../secret.txt"}),
            "outside the served directory",
        ),
        ("list_directory", json!({"path": "hello.txt"}), "not a directory"),
        ("find_files", json!({"glob": "[z-a]"}), "not valid"),
        ("search", json!({"pattern": "("}), "not valid"),
    ] {
        let _case = case(format!("{name} {arguments}"));
        let refused = served.server.ask(&tool(1, name, arguments));
        assert!(refused.is_tool_error());
        let text = refused.result()["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(word) && !text.contains(&base), "{text}");
    }
}

/// A directory and a link out of the root take turns under one name while it is read.
#[test]
fn a_race_on_a_link_shows_nothing() {
    let served = Served::new("files-race");
    let root = served.folder.path().join("root");
    let (good, bad, turn) = (root.join("good"), root.join("bad"), root.join("turn"));
    std::fs::create_dir(&good).unwrap();
    std::fs::write(good.join("secret.txt"), "harmless\n").unwrap();
    symlink("..", &bad).unwrap();
    let swap = |from: &Path| {
        std::fs::rename(from, &turn).unwrap();
        std::thread::yield_now();
        std::fs::rename(&turn, from).unwrap();
    };
    let requests = 300;
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut client = served.server.connect();
            for id in 0..requests {
                let read = client.ask(&tool(id, "read_file", json!({"path": "turn/secret.txt"})));
                assert!(!String::from_utf8_lossy(&read.body).contains(SECRET));
            }
        });
        while !reader.is_finished() {
            swap(&good);
            swap(&bad);
        }
    });
}
