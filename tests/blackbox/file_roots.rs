//! The root of the `files` toolset while it is replaced, reached through links, or missing; and how long answers are.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{
    Dialect, Process, Request, Revision, Scratch, Server, WEIR, assert_updated, case, eras, eventually,
    listen_to, subscribe, tool, uri_of,
};

const GONE: &str = "the served directory is not there";
const LIST_CHANGED: &str = "notifications/resources/list_changed";

/// Two directories beside each other, each with the file `f.txt` that has the directory's name in it, and a link
/// `current` to the first one.
fn deployments(name: &str) -> Scratch {
    let folder = Scratch::new(name);
    for name in ["one", "two"] {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("f.txt"), name).unwrap();
    }
    symlink("one", folder.path().join("current")).unwrap();
    folder
}

fn deploy(folder: &Path, name: &str) {
    symlink(name, folder.join("next")).unwrap();
    std::fs::rename(folder.join("next"), folder.join("current")).unwrap();
}

fn serve(root: &Path, flags: &[&str]) -> Server {
    let root = root.to_str().unwrap();
    Server::start(&[&["--toolset", "files", "--root", root], flags].concat())
}

#[track_caller]
fn text_at(server: &Server, path: &str) -> String {
    let answer = server.ask(&tool(1, "read_file", json!({"path": path})));
    answer.tool_text().to_owned()
}

fn readiness(server: &Server) -> (u16, String) {
    let answer = server.ask_admin(&Request::new("GET", "/readyz"));
    (answer.status, answer.text().to_owned())
}

/// Every request about files is told that there are none.
#[track_caller]
fn assert_nothing_is_served(server: &Server) {
    for dialect in eras() {
        for (name, arguments) in [
            ("read_file", json!({"path": "f.txt"})),
            ("list_directory", json!({})),
            ("find_files", json!({"glob": "*"})),
            ("search", json!({"pattern": "o"})),
            ("file_info", json!({"path": "."})),
        ] {
            let answer = server.ask(&dialect.tool(1, name, arguments));
            assert!(answer.is_tool_error());
            assert!(answer.text().contains(GONE), "{}", answer.text());
        }
        let completing = json!({
            "ref": {"type": "ref/resource", "uri": "file:///{+path}"},
            "argument": {"name": "path", "value": "f"},
        });
        for (method, params) in [
            ("resources/read", json!({"uri": "file:///f.txt"})),
            ("resources/list", json!({})),
            ("completion/complete", completing),
            (
                "prompts/get",
                json!({"name": "explain-file", "arguments": {"path": "f.txt"}}),
            ),
            (
                "prompts/get",
                json!({"name": "find-in-files", "arguments": {"query": "o"}}),
            ),
        ] {
            let answer = server.ask(&dialect.request(1, method, params));
            let error = answer.assert_error(200, -32603, 1);
            assert!(
                error["message"].as_str().unwrap().contains(GONE),
                "{method}: {error}"
            );
        }
    }
}

#[test]
fn the_directory_that_has_the_roots_name_is_served() {
    let folder = deployments("root-replaced");
    let root = folder.path().join("one");
    let server = serve(&root, &["--health", "on"]);
    assert_eq!(text_at(&server, "f.txt"), "one");
    assert_eq!(readiness(&server), (200, "serving\n".to_owned()));
    // `rm -r R; mkdir R`
    std::fs::remove_dir_all(&root).unwrap();
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("f.txt"), "made anew").unwrap();
    assert_eq!(text_at(&server, "f.txt"), "made anew");
    // `mv R R.old; mkdir R`
    std::fs::rename(&root, folder.path().join("one.old")).unwrap();
    std::fs::create_dir(&root).unwrap();
    let listed = server.ask(&tool(1, "list_directory", json!({})));
    assert_eq!(listed.result()["structuredContent"]["entries"], json!([]));
    // There is no root at all.
    std::fs::remove_dir(&root).unwrap();
    eventually("nobody is sent here", || {
        readiness(&server) == (503, format!("{GONE}\n"))
    });
    let beside_mcp = server.ask(&Request::new("GET", "/readyz"));
    assert_eq!(
        (beside_mcp.status, beside_mcp.text().to_owned()),
        (503, format!("{GONE}\n"))
    );
    assert_nothing_is_served(&server);
    assert_eq!(server.ask_admin(&Request::new("GET", "/healthz")).status, 200);
    std::fs::rename(folder.path().join("one.old"), &root).unwrap();
    assert_eq!(text_at(&server, "f.txt"), "made anew");
    eventually("it is ready again", || readiness(&server).0 == 200);
    // There is one record per change, however many requests there were.
    eventually("it is logged", || {
        server.stderr().contains("the root is there again")
    });
    let log = server.stderr();
    let count = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!(count("the root is gone"), 1, "{log}");
    assert_eq!(count("the root is there again"), 1, "{log}");
    assert_eq!(count("another directory has the root's name"), 2, "{log}");
}

#[test]
fn subscribers_are_told_and_follow() {
    let folder = deployments("root-told");
    std::fs::write(folder.path().join("two/g.txt"), "").unwrap();
    let server = serve(&folder.path().join("current"), &["--shards", "2"]);
    let session = server.open_session(&Dialect::legacy(Revision::NEWEST_LEGACY));
    let mut client = server.connect();
    subscribe(&mut client, &session, "f.txt");
    let mut stream = server.open(&session.get_stream());
    let mut modern = listen_to(server.connect(), 1, &["f.txt"]);
    let mut hear = |what: &str| {
        let _case = case(what);
        // One of each comes, in any order.
        let mut heard = [stream.message(), stream.message()].map(|message| message["method"].clone());
        heard.sort_by_key(Value::to_string);
        assert_eq!(heard, [LIST_CHANGED, "notifications/resources/updated"]);
        assert_updated(&mut modern, "f.txt", None);
    };
    deploy(folder.path(), "two");
    hear("the link is switched");
    assert_eq!(text_at(&server, "f.txt"), "two");
    std::fs::remove_file(folder.path().join("current")).unwrap();
    hear("there is none");
    deploy(folder.path(), "one");
    hear("it is back");
    std::fs::remove_file(folder.path().join("one/f.txt")).unwrap();
    hear("a file of the new one is deleted");
}

#[test]
fn the_list_of_files_is_told_of_when_it_changes() {
    let folder = deployments("list-changed");
    let root = folder.path().join("one");
    std::fs::create_dir(root.join("sub")).unwrap();
    let server = serve(&root, &[]);
    let wanted = json!({"notifications": {"resourcesListChanged": true}});
    let listening = Dialect::modern().request("l", "subscriptions/listen", wanted);
    let mut streams = vec![server.open(&listening)];
    assert_eq!(
        streams[0].message()["params"]["notifications"],
        json!({"resourcesListChanged": true})
    );
    for revision in Revision::ALL_LEGACY {
        let session = server.open_session(&Dialect::legacy(revision));
        streams.push(server.open(&session.get_stream()));
    }
    let write = |path: &str| std::fs::write(root.join(path), "x").unwrap();
    let changes: [(&str, &dyn Fn()); 3] = [
        ("made", &|| write("g.txt")),
        ("renamed", &|| {
            std::fs::rename(root.join("g.txt"), root.join("h.txt")).unwrap()
        }),
        ("deleted", &|| std::fs::remove_file(root.join("h.txt")).unwrap()),
    ];
    for (what, change) in changes {
        let _case = case(what);
        // None of these lists anything anew.
        write("f.txt");
        write("sub/deeper.txt");
        change();
        for stream in &mut streams {
            assert_eq!(stream.message()["method"], LIST_CHANGED);
        }
    }
}

#[test]
fn the_operators_own_spelling_of_an_absolute_path_works() {
    let folder = deployments("root-linked");
    std::fs::create_dir(folder.path().join("one/src")).unwrap();
    std::fs::write(folder.path().join("one/src/m.rs"), "needle\n").unwrap();
    std::fs::write(folder.path().join("outside.txt"), "OUTSIDE").unwrap();
    let base = folder.path().canonicalize().unwrap();
    let typed = serve(&folder.path().join("current"), &[]);
    // A shell goes there like this: it has its own name of the current directory, with `--root .`.
    let mut command = Command::new(WEIR);
    command
        .args([
            "serve",
            "--admin",
            "off",
            "--listen",
            "127.0.0.1:0",
            "--shards",
            "1",
        ])
        .current_dir(folder.path().join("current"))
        .env("PWD", folder.path().join("current"));
    let by_shell = Server::over(Process::spawn(command));
    for server in [&typed, &by_shell] {
        for top in [folder.path().join("current"), base.join("one")] {
            let top = top.to_str().unwrap();
            assert_eq!(text_at(server, &format!("{top}/f.txt")), "one");
            let found = server.ask(&tool(1, "find_files", json!({"glob": format!("{top}/**/*.rs")})));
            assert_eq!(found.result()["structuredContent"]["paths"], json!(["src/m.rs"]));
            let arguments = json!({"pattern": "needle", "glob": format!("{top}/src/*")});
            let found = server.ask(&tool(1, "search", arguments));
            assert_eq!(
                found.result()["structuredContent"]["matches"][0]["path"],
                "src/m.rs"
            );
            let beyond = json!({"path": format!("{top}/../outside.txt")});
            let refused = server.ask(&tool(1, "read_file", beyond));
            assert!(refused.is_tool_error() && !refused.text().contains("OUTSIDE"));
        }
        deploy(folder.path(), "two");
        let current: PathBuf = folder.path().join("current/f.txt");
        assert_eq!(text_at(server, current.to_str().unwrap()), "two");
        assert_eq!(text_at(server, base.join("two/f.txt").to_str().unwrap()), "two");
        let old = base.join("one/f.txt");
        let refused = server.ask(&tool(1, "read_file", json!({"path": old})));
        assert!(
            refused.text().contains("outside the served directory"),
            "{}",
            refused.text()
        );
        deploy(folder.path(), "one");
    }
}

/// The size that a client with room for some 25,000 tokens can take, unless it asks for more.
#[test]
fn answers_are_as_long_as_their_readers_can_take() {
    let folder = Scratch::new("files-long");
    let lines: String = (0..5_000)
        .map(|line| format!("line {line:05} \"is quoted\" \\ and so on, to some length\n"))
        .collect();
    std::fs::write(folder.path().join("long.txt"), &lines).unwrap();
    for number in 0..1_200 {
        std::fs::write(
            folder
                .path()
                .join(format!("a file with a rather long name {number:04}")),
            "",
        )
        .unwrap();
    }
    let server = serve(folder.path(), &[]);
    let wide = serve(
        folder.path(),
        &["--files-read-max", "200KiB", "--files-search-max", "1KiB"],
    );
    let read = |server: &Server, arguments: Value| {
        let answer = server.ask(&tool(1, "read_file", arguments));
        let content = answer.result()["content"].as_array().unwrap().clone();
        (content, answer.body.len())
    };
    // The text is there once, and not once more.
    let (content, body_bytes) = read(&server, json!({"path": "long.txt"}));
    let text = content[0]["text"].as_str().unwrap();
    assert!(lines.starts_with(text) && text.len() <= 48 << 10 && text.len() > 47 << 10);
    assert!(body_bytes < 60 << 10, "{body_bytes}");
    let note = content[1]["text"].as_str().unwrap();
    let count = text.lines().count();
    assert_eq!(
        note,
        format!(
            "[lines 1 to {count}; the file has {} bytes; to go on, call with offset = {}]",
            lines.len(),
            count + 1
        )
    );
    // Following the note gives all of it.
    let mut together = text.to_owned();
    while together.len() < lines.len() {
        let offset = together.lines().count() + 1;
        let (content, _) = read(&server, json!({"path": "long.txt", "offset": offset}));
        together.push_str(content[0]["text"].as_str().unwrap());
    }
    assert!(together == lines);
    assert!(
        read(&wide, json!({"path": "long.txt"})).0[0]["text"]
            .as_str()
            .unwrap()
            .len()
            > 199 << 10
    );
    for (name, arguments, list) in [
        ("list_directory", json!({}), "entries"),
        ("find_files", json!({"glob": "*"}), "paths"),
        ("search", json!({"pattern": "line", "limit": 1000}), "matches"),
    ] {
        let _case = case(name);
        for (server, bytes_max) in [(&server, 49 << 10), (&wide, 2 << 10)] {
            let answer = server.ask(&tool(1, name, arguments.clone()));
            let shown = &answer.result()["structuredContent"];
            assert_eq!(shown["truncated"], true);
            assert!(!shown[list].as_array().unwrap().is_empty());
            assert!(shown.to_string().len() <= bytes_max);
            assert!(answer.tool_text().len() <= bytes_max);
        }
    }
}

#[test]
fn marks_and_utf16_through_the_wire() {
    let folder = Scratch::new("files-encodings");
    std::fs::write(folder.path().join("bom.txt"), "\u{feff}needle here\n").unwrap();
    let utf16: Vec<u8> = "\u{feff}needle ☃\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    std::fs::write(folder.path().join("wide.txt"), utf16).unwrap();
    let server = serve(folder.path(), &[]);
    assert_eq!(text_at(&server, "bom.txt"), "needle here\n");
    let found = server.ask(&tool(1, "search", json!({"pattern": "^needle"})));
    assert_eq!(
        found.result()["structuredContent"]["matches"],
        json!([
            {"path": "bom.txt", "line": 1, "start_byte": 3, "text": "needle here"},
            {"path": "wide.txt", "line": 1, "text": "needle ☃"},
        ])
    );
    let wide = server.ask(&tool(1, "read_file", json!({"path": "wide.txt"})));
    assert_eq!(wide.result()["content"][0]["text"], "needle ☃\n");
    assert_eq!(wide.result()["content"][1]["text"], "[decoded from UTF-16LE]");
    for (name, text) in [("bom.txt", "needle here\n"), ("wide.txt", "needle ☃\n")] {
        let request = Dialect::modern().request(1, "resources/read", json!({"uri": uri_of(name)}));
        let read = server.ask(&request);
        assert_eq!(read.result()["contents"][0]["text"], text);
    }
}
