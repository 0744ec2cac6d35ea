//! Several servers in one process: an endpoint for each, and one for all together.

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::front::{Front, legacy, names_of};
use super::sinner::act;
use crate::harness::{
    Conversation, Dialect, Process, Request, Scratch, Server, Stdio, TransportKind, WEIR, WebSocket, case,
    eventually, example, text_of,
};

/// A client of the endpoint at this path, whose conversation has not begun.
fn at(server: &Server, path: &str, dialect: Dialect) -> Conversation {
    Conversation::new(TransportKind::connect_at(server.address, path), dialect)
}

/// One of each era, in a conversation that has begun.
fn both(server: &Server, path: &str) -> [Conversation; 2] {
    let mut old = at(server, path, legacy());
    old.initialize();
    [old, at(server, path, Dialect::modern())]
}

const OWN: &str = "/servers/misbehave/mcp";

#[test]
fn a_server_beside_a_toolset_has_an_endpoint_of_its_own() {
    let mut front = Front::with(&["mcp"], "max=1", &["--toolset", "demo"]);
    let server = front.weir();
    let introduction = at(server, OWN, legacy()).initialize();
    assert_eq!(introduction["serverInfo"]["name"], "misbehave");
    assert_eq!(introduction["instructions"], "Tell me what to do.");
    let introduction = at(server, "/mcp", legacy()).initialize();
    assert_eq!(introduction["serverInfo"]["name"], "weir");
    for path in [OWN, "/servers/misbehave/mcp/"] {
        for mut client in both(server, path) {
            let _case = case(path);
            assert_eq!(
                names_of(&mut client, "tools/list", "tools"),
                ["echo", "act", "page-2"]
            );
            let id = client.call("act", act(["pid"]));
            text_of(&client.result(&id)).parse::<u32>().unwrap();
            client.finish();
        }
    }
    for mut client in both(server, "/mcp") {
        let names = names_of(&mut client, "tools/list", "tools");
        assert!(names.iter().any(|name| name == "act"), "{names:?}");
        assert!(names.iter().any(|name| name == "sleep"), "{names:?}");
    }
    for path in [
        "/servers/misbehave",
        "/servers/misbehave/",
        "/servers/misbehave/x",
        "/servers/misbehave/sse",
        "/servers/other/mcp",
        "/servers//mcp",
        "/servers/misbehavemcp",
        "/servers/MISBEHAVE/mcp",
    ] {
        let _case = case(path);
        let request = legacy().initialize(0).with_target(path);
        server.ask(&request).assert_status(404);
    }
}

/// What is agreed at one endpoint is worth nothing at another.
#[test]
fn a_session_of_one_endpoint_is_unknown_at_another() {
    let mut front = Front::with(&["mcp"], "max=1", &["--toolset", "demo"]);
    let server = front.weir();
    for (home, abroad) in [(OWN, "/mcp"), ("/mcp", OWN)] {
        let opened = server.ask(&legacy().initialize(0).with_target(home));
        let session = opened.field("mcp-session-id").unwrap().to_owned();
        let session = Dialect {
            session: Some(session),
            ..legacy()
        };
        let list = || session.request(1, "tools/list", json!({}));
        server.ask(&list().with_target(home)).assert_status(200);
        server.ask(&list().with_target(abroad)).assert_status(404);
        let delete = |path: &str| {
            let id = session.session.as_deref().unwrap();
            Request::new("DELETE", path).plus("Mcp-Session-Id", id)
        };
        server
            .ask(&session.get_stream().with_target(abroad))
            .assert_status(404);
        server.ask(&delete(abroad)).assert_status(404);
        server.ask(&list().with_target(home)).assert_status(200);
        server.ask(&delete(home)).assert_status(200);
        server.ask(&list().with_target(home)).assert_status(404);
    }
}

/// With nothing else there is, both endpoints are one, and what is agreed at one holds at the other.
#[test]
fn one_server_alone_is_the_same_at_both_endpoints() {
    let mut front = Front::start();
    let server = front.weir();
    let said = |path: &str| {
        let opened = server.ask(&legacy().initialize(0).with_target(path));
        opened.result()["serverInfo"].clone()
    };
    assert_eq!(said("/mcp"), said(OWN));
    let opened = server.ask(&legacy().initialize(0).with_target(OWN));
    let session = Dialect {
        session: opened.field("mcp-session-id").map(str::to_owned),
        ..legacy()
    };
    let list = session.request(1, "tools/list", json!({}));
    let lists = ["/mcp", OWN].map(|path| server.ask(&list.clone().with_target(path)).body);
    assert_eq!(lists[0], lists[1]);
}

/// WebSockets and HTTP+SSE have an endpoint for each server, too.
#[test]
fn channels_have_the_endpoint_that_they_were_opened_at() {
    let mut front = Front::with(&["mcp"], "max=1", &["--toolset", "demo", "--sse-legacy", "on"]);
    let server = front.weir();
    for (path, name) in [(OWN, "misbehave"), ("/mcp", "weir")] {
        let _case = case(path);
        let mut client = server.connect();
        client.send(&WebSocket::handshake().with_target(path));
        let mut socket = WebSocket::accepted(client);
        socket.send(&legacy().initialize(7));
        assert_eq!(socket.answer(7)["result"]["serverInfo"]["name"], name);
        socket.send(&legacy().request(8, "prompts/list", json!({})));
        assert!(socket.answer(8).get("result").is_some());
    }
    let get = |path: &str| Request::new("GET", path).plus("Accept", "text/event-stream");
    let mut own = server.open(&get("/servers/misbehave/sse"));
    let reference = own.reference();
    let endpoint = format!("/servers/misbehave/{reference}");
    assert!(reference.starts_with("messages?"), "{reference}");
    let posted = server.ask(&legacy().initialize(1).with_target(&endpoint));
    assert_eq!(posted.status, 202);
    let answer: Value = own.message();
    assert_eq!(answer["result"]["serverInfo"]["name"], "misbehave");
    // Its name is known at its own endpoint alone.
    let elsewhere = endpoint.replace("/servers/misbehave/", "/");
    let posted = server.ask(&legacy().initialize(2).with_target(&elsewhere));
    assert_eq!(posted.status, 404);
}

#[test]
fn the_path_of_a_server_is_nobody_elses() {
    for path in [OWN, "/servers/misbehave/x"] {
        let child = example("misbehave");
        let child = child.to_str().unwrap();
        let listening = ["serve", "--listen", "127.0.0.1:0", "--admin", "off"];
        let named = ["--stdio", child, "--pool", "mode=shared", "--path", path];
        let mut process = Process::start(&[&listening[..], &named].concat());
        assert_eq!(process.wait().code(), Some(2));
        let said = process.stderr();
        assert!(said.contains("but server `misbehave` is served there"), "{said}");
    }
}

/// `weir serve` with these servers, each one `misbehave` with its actions, and these flags besides.
pub(super) struct Several {
    pub(super) server: Server,
    _scratch: Scratch,
}

impl Several {
    pub(super) fn start(name: &str, servers: &[(&str, &[&str])], flags: &[&str]) -> Several {
        let scratch = Scratch::new(&format!("bridge-several-{name}"));
        std::fs::write(scratch.path().join("mcp.json"), file_of(servers)).unwrap();
        let file = scratch.text("mcp.json");
        let mut arguments = vec![
            "serve",
            "--admin",
            "127.0.0.1:0",
            "--report",
            "json",
            "--shards",
            "2",
        ];
        arguments.extend(["--listen", "127.0.0.1:0", "--mcp-json", &file]);
        if !flags.contains(&"--pool") {
            arguments.extend(["--pool", "mode=shared,max=1"]);
        }
        arguments.extend(flags);
        Several {
            server: Server::over(Process::start(&arguments)),
            _scratch: scratch,
        }
    }
}

/// A file of such servers, in this order.
fn file_of(servers: &[(&str, &[&str])]) -> String {
    let child = example("misbehave");
    let entries = servers.iter().map(|(name, actions)| {
        let arguments: Vec<&str> = [&[*name][..], actions].concat();
        let entry = json!({"command": child.to_str().unwrap(), "args": arguments});
        format!("{}: {entry}", json!(name))
    });
    let entries: Vec<String> = entries.collect();
    format!("{{\"mcpServers\": {{{}}}}}", entries.join(", "))
}

const TWO: [(&str, &[&str]); 2] = [
    ("alpha", &["mcp:[instructions:Ask alpha.]"]),
    ("beta", &["mcp:[instructions:Ask beta.]"]),
];

fn pid(client: &mut Conversation, name: &str) -> String {
    let id = client.call(name, act(["pid"]));
    text_of(&client.result(&id)).to_owned()
}

#[test]
fn each_server_has_its_endpoint_and_all_have_one_together() {
    let several = Several::start("endpoints", &TWO, &[]);
    let server = &several.server;
    let mut pids = Vec::new();
    for name in ["alpha", "beta"] {
        let own = format!("/servers/{name}/mcp");
        let introduction = at(server, &own, legacy()).initialize();
        assert_eq!(introduction["serverInfo"]["name"], "misbehave");
        assert_eq!(introduction["instructions"], format!("Ask {name}."));
        for mut client in both(server, &own) {
            let _case = case(&own);
            assert_eq!(
                names_of(&mut client, "tools/list", "tools"),
                ["echo", "act", "page-2"]
            );
            assert_eq!(names_of(&mut client, "prompts/list", "prompts"), ["greet"]);
            let read = client.ask("resources/read", json!({"uri": "child://one"}));
            assert_eq!(read["contents"][0]["uri"], "child://one");
            pids.push(pid(&mut client, "act"));
            client.finish();
        }
    }
    assert!(
        pids[0] == pids[1] && pids[2] == pids[3] && pids[0] != pids[2],
        "{pids:?}"
    );
    let introduction = at(server, "/mcp", legacy()).initialize();
    assert_eq!(introduction["serverInfo"]["name"], "weir");
    let instructions = "## alpha\n\nAsk alpha.\n\n## beta\n\nAsk beta.";
    assert_eq!(introduction["instructions"], instructions);
    for mut client in both(server, "/mcp") {
        let names = ["echo", "act", "page-2"];
        let expected = ["alpha", "beta"].map(|server| names.map(|name| format!("{server}__{name}")));
        assert_eq!(names_of(&mut client, "tools/list", "tools"), expected.concat());
        assert_eq!(
            names_of(&mut client, "prompts/list", "prompts"),
            ["alpha__greet", "beta__greet"]
        );
        assert_eq!(pid(&mut client, "alpha__act"), pids[0]);
        assert_eq!(pid(&mut client, "beta__act"), pids[2]);
        client.finish();
    }
}

#[test]
fn a_request_and_its_answer_have_the_names_of_their_sides() {
    let several = Several::start("names", &TWO, &[]);
    for mut client in both(&several.server, "/mcp") {
        let resources = client.ask("resources/list", json!({}));
        let uris = [0, 1].map(|at| resources["resources"][at]["uri"].clone());
        assert_eq!(uris, ["alpha+child://one", "beta+child://one"]);
        let templates = client.ask("resources/templates/list", json!({}));
        assert_eq!(
            templates["resourceTemplates"][1]["uriTemplate"],
            "beta+child://{name}"
        );
        let read = client.ask("resources/read", json!({"uri": "beta+child://one"}));
        assert_eq!(read["contents"][0]["uri"], "beta+child://one");
        assert_eq!(read["contents"][0]["text"], "one");
        let id = client.send("resources/read", json!({"uri": "beta+child://two"}));
        let error = client.answer(&id)["error"].clone();
        assert_eq!(error["data"]["uri"], "beta+child://two", "{error}");
        let prompt = client.ask("prompts/get", json!({"name": "alpha__greet"}));
        assert_eq!(prompt["messages"][0]["content"]["text"], "Greet everybody.");
        let argument = json!({"name": "name", "value": "a"});
        for reference in [
            json!({"type": "ref/prompt", "name": "alpha__greet"}),
            json!({"type": "ref/resource", "uri": "beta+child://{name}"}),
        ] {
            let asked = json!({"ref": reference, "argument": argument});
            let completed = client.ask("completion/complete", asked);
            assert_eq!(completed["completion"]["values"], json!(["ada", "alan"]));
        }
        // The child reads the client's bytes, but for its own name.
        let arguments = json!({"steps": ["line"], "n": 1.5, "name": "alpha__act"});
        let id = client.call("alpha__act", arguments);
        let line = text_of(&client.result(&id)).to_owned();
        assert!(
            line.contains(r#""name":"act""#) && line.contains(r#""name":"alpha__act""#),
            "{line}"
        );
        // Its answer is the bytes that it wrote, but for URIs.
        let result = r#"{"n":1.10,"content":[{"type":"resource_link","uri":"x:y","name":"x:y"},{"resource":{"uri":"ui://z","text":"x:y"},"type":"resource"}],"huge":12345678901234567890123}"#;
        let id = client.call("beta__act", act([json!(["answer", result])]));
        client.result(&id);
        let expected = result
            .replace(r#""uri":"x:y""#, r#""uri":"beta+x:y""#)
            .replace("ui://z", "ui://beta/z");
        let said = client.text();
        assert!(said.contains(&expected[1..expected.len() - 1]), "{said}");
        for (name, code) in [
            ("act", -32602),
            ("alpha__unknown", -32602),
            ("gamma__act", -32602),
        ] {
            let id = client.call(name, json!({}));
            client.error(&id, code);
        }
        client.finish();
    }
}

/// A second member of the same name is no way around a name.
#[test]
fn a_name_that_stands_twice_is_refused() {
    let several = Several::start("twice", &TWO, &[]);
    for (method, params) in [
        ("tools/call", r#"{"name":"alpha__echo","name":"act"}"#),
        ("tools/call", r#"{"name":"alpha__echo","n\u0061me":"beta__act"}"#),
        ("prompts/get", r#"{"name":"greet","name":"alpha__greet"}"#),
        (
            "resources/read",
            r#"{"uri":"alpha+child://one","uri":"child://two"}"#,
        ),
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        let answer = several.server.ask(&Request::post(body));
        assert_eq!(answer.json()["error"]["code"], -32602, "{params}");
    }
}

/// Lists that change at one server are announced to its clients, and to those of all together, and to nobody else.
#[test]
fn what_one_server_says_is_never_heard_at_anothers_endpoint() {
    let several = Several::start("isolation", &TWO, &[]);
    let server = &several.server;
    let mut alpha = both(server, "/servers/alpha/mcp");
    let mut beta = both(server, "/servers/beta/mcp");
    let mut all = both(server, "/mcp");
    let listen = json!({"notifications": {"toolsListChanged": true}});
    for clients in [&mut alpha, &mut beta, &mut all] {
        clients[1].send("subscriptions/listen", listen.clone());
        clients[1].notification("notifications/subscriptions/acknowledged");
        // Its GET stream is open once a later request is answered.
        clients[0].ask("ping", json!({}));
    }
    let mut other = both(server, "/servers/alpha/mcp").into_iter().next().unwrap();
    let id = other.call("act", act([json!(["add", "secret"])]));
    other.result(&id);
    for client in alpha.iter_mut().chain(&mut all) {
        client.notification("notifications/tools/list_changed");
    }
    for mut client in both(server, "/servers/beta/mcp") {
        let names = names_of(&mut client, "tools/list", "tools");
        assert!(!names.iter().any(|name| name.contains("secret")), "{names:?}");
    }
    // What would have come by now would have come before this.
    let id = beta[0].call("act", act(["pid"]));
    beta[0].result(&id);
    beta[0].assert_quiet();
    for mut client in both(server, "/mcp") {
        let names = names_of(&mut client, "tools/list", "tools");
        assert!(names.contains(&"alpha__secret".to_owned()), "{names:?}");
    }
}

#[test]
fn a_server_that_fails_takes_nothing_else_down() {
    let servers: [(&str, &[&str]); 3] = [("alpha", &["mcp"]), ("broken", &["exit:3"]), ("gone", &["mcp"])];
    let several = Several::start("failing", &servers, &[]);
    let server = &several.server;
    for mut client in both(server, "/mcp") {
        let names = names_of(&mut client, "tools/list", "tools");
        assert_eq!(names.len(), 6, "{names:?}");
        assert!(!names.iter().any(|name| name.starts_with("broken")), "{names:?}");
        let gone = pid(&mut client, "gone__act");
        kill_process(Pid::from_raw(gone.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
        assert_eq!(client.text_of("alpha__echo", json!({"message": "well"})), "well");
        eventually("the other is replaced", || {
            let id = client.call("gone__echo", json!({"message": "back"}));
            client.answer_among(&id).get("error").is_none()
        });
    }
    // One that never started has an endpoint, and nothing there.
    let mut client = at(server, "/servers/broken/mcp", legacy());
    client.initialize();
    assert!(names_of(&mut client, "tools/list", "tools").is_empty());
    eventually("it is said why", || {
        let ready = server.ask_admin(&Request::new("GET", "/readyz"));
        let said = String::from_utf8_lossy(&ready.body).into_owned();
        ready.status == 503 && said.contains("broken") && !said.contains("alpha")
    });
}

/// The file of each client, as it writes it.
#[test]
fn files_of_all_clients_are_served() {
    let child = example("misbehave");
    let child = child.to_str().unwrap();
    let desktop = json!({
        "globalShortcut": "Ctrl+Space",
        "mcpServers": {
            "filesystem": {"command": child, "args": ["a", "mcp"]},
            "weather": {"command": child, "args": ["b", "mcp"], "env": {"API_KEY": "x"}},
        },
    });
    let code = json!({
        "mcpServers": {
            "filesystem": {"type": "stdio", "command": "${CHILD}", "args": ["a", "${WHAT:-mcp}"], "env": {}},
            "weather": {"command": "${CHILD}", "args": ["b", "mcp"]},
            "remote": {"type": "http", "url": "https://example.com/mcp", "pool": {"skip": true}},
        },
    });
    let cursor = json!({
        "mcpServers": {
            "filesystem": {"command": "${env:CHILD}", "args": ["a", "mcp"], "envFile": "${workspaceFolder}/.env"},
            "weather": {"type": "stdio", "command": "${env:CHILD}", "args": ["b", "mcp"]},
        },
    });
    let vscode = format!(
        "{{\n  // Comments are allowed.\n  \"inputs\": [],\n  \"servers\": {{\n    \"filesystem\": {{\"type\": \"stdio\", \"command\": \
         \"{child}\", \"args\": [\"a\", \"mcp\"], \"cwd\": \"${{workspaceFolder}}\"}},\n    \"weather\": {{\"command\": \
         \"${{env:CHILD}}\", \"args\": [\"b\", \"mcp\",],}},\n  }},\n}}\n"
    );
    for (client, place, text) in [
        (
            "Claude Desktop",
            "claude_desktop_config.json",
            desktop.to_string(),
        ),
        ("Claude Code", ".mcp.json", code.to_string()),
        ("Cursor", ".cursor/mcp.json", cursor.to_string()),
        ("VS Code", ".vscode/mcp.json", vscode),
    ] {
        let _case = case(client);
        let scratch = Scratch::new(&format!("bridge-files-{}", client.replace(' ', "-")));
        let file = scratch.path().join(place);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        std::fs::write(scratch.path().join(".env"), "API_KEY=x\n").unwrap();
        let mut command = Command::new(WEIR);
        command.args([
            "serve",
            "--admin",
            "127.0.0.1:0",
            "--report",
            "json",
            "--shards",
            "1",
        ]);
        command.args([
            "--listen",
            "127.0.0.1:0",
            "--pool",
            "mode=shared,max=1",
            "--mcp-json",
        ]);
        command.arg(&file).env("CHILD", child);
        let server = Server::over(Process::spawn(command));
        for mut client in both(&server, "/mcp") {
            for name in ["filesystem__echo", "weather__echo"] {
                assert_eq!(client.text_of(name, json!({"message": "x"})), "x");
            }
            client.finish();
        }
        for path in ["/servers/filesystem/mcp", "/servers/weather/mcp"] {
            for mut client in both(&server, path) {
                assert_eq!(client.text_of("echo", json!({"message": "x"})), "x");
                client.finish();
            }
        }
        server.stop();
    }
}

#[test]
fn what_several_servers_would_be_is_told_before_they_start() {
    let scratch = Scratch::new("bridge-several-check");
    std::fs::write(
        scratch.path().join("mcp.json"),
        file_of(&[("alpha", &["mcp"]), ("my server", &["mcp"])]),
    )
    .unwrap();
    let file = scratch.text("mcp.json");
    let mut check = Process::start(&["check", &file, "--pool", "mode=shared"]);
    assert_eq!(check.wait().code(), Some(0), "{}", check.stderr());
    let said = check.stdout();
    for line in [
        "server alpha alone: /servers/alpha/mcp",
        "server my server alone: /servers/my%20server/mcp",
        "server alpha among others: tools and prompts alpha__NAME, resources alpha+URI",
        "server my server among others: tools and prompts my_server__NAME, resources my-server+URI",
        "names of more than 64 characters",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    std::fs::write(
        scratch.path().join("mcp.json"),
        file_of(&[("my_server", &["mcp"]), ("my server", &["mcp"])]),
    )
    .unwrap();
    let mut check = Process::start(&["check", &file, "--pool", "mode=shared"]);
    assert_ne!(check.wait().code(), Some(0));
    let said = check.stderr();
    let expected = "servers `my_server` and `my server` cannot be told apart";
    assert!(said.contains(expected), "{said}");
}

/// A name that a path cannot have as it is has an endpoint all the same.
#[test]
fn names_are_escaped_in_paths() {
    let servers: [(&str, &[&str]); 2] = [("größe 1", &["mcp"]), ("x+y", &["mcp"])];
    let several = Several::start("escapes", &servers, &[]);
    for (path, prefix) in [
        ("/servers/gr%C3%B6%C3%9Fe%201/mcp", "gr__e_1"),
        ("/servers/x+y/mcp", "x_y"),
    ] {
        let [mut own, _] = both(&several.server, path);
        let [mut all, _] = both(&several.server, "/mcp");
        assert_eq!(pid(&mut own, "act"), pid(&mut all, &format!("{prefix}__act")));
    }
}

/// The one client of a process has them all together.
#[test]
fn a_client_of_its_own_process_has_all_of_them() {
    let scratch = Scratch::new("bridge-several-stdio");
    std::fs::write(scratch.path().join("mcp.json"), file_of(&TWO)).unwrap();
    let file = scratch.text("mcp.json");
    let mut command = Command::new(WEIR);
    command.args(["stdio", "--mcp-json", &file, "--pool", "mode=shared,max=1"]);
    let stdio = Stdio::start(command, legacy().revision);
    let mut client = Conversation::new(Box::new(stdio), legacy());
    client.initialize();
    assert_ne!(pid(&mut client, "alpha__act"), pid(&mut client, "beta__act"));
    client.finish();
}

/// The log says which server had a call, whatever the tool is called where it was called.
#[test]
fn the_log_names_the_server_of_a_call() {
    let several = Several::start("log", &TWO, &["--access-log", "all", "--log-format", "json"]);
    let server = &several.server;
    for (path, tool) in [("/mcp", "alpha__echo"), ("/servers/beta/mcp", "echo")] {
        let [_, mut client] = both(server, path);
        client.text_of(tool, json!({"message": "x"}));
    }
    eventually("both calls are in the log", || {
        let said = server.stderr();
        let records = said
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let of_calls = records.filter(|record| record["method"] == "tools/call");
        let named: Vec<_> = of_calls
            .map(|record| (record["tool"].clone(), record["server"].clone()))
            .collect();
        named
            == [
                (json!("alpha__echo"), json!("alpha")),
                (json!("echo"), json!("beta")),
            ]
    });
}

/// With a child for each client, a client of all servers has one of each, and nobody has another's.
#[test]
fn each_client_has_a_child_of_each_server() {
    let several = Several::start("clients", &TWO, &["--pool", "mode=session,max=8"]);
    let server = &several.server;
    let mut pids = Vec::new();
    for path in ["/mcp", "/mcp", "/servers/alpha/mcp"] {
        let mut client = at(server, path, legacy());
        client.initialize();
        let names: &[&str] = if path == "/mcp" {
            &["alpha__act", "beta__act"]
        } else {
            &["act"]
        };
        for name in names {
            let first = pid(&mut client, name);
            assert_eq!(pid(&mut client, name), first);
            pids.push(first);
        }
    }
    let all = pids.len();
    pids.sort();
    pids.dedup();
    assert_eq!((pids.len(), all), (5, 5), "{pids:?}");
}

/// A child of each era under one endpoint: what one asks there by its result comes back under its own name.
#[test]
fn servers_of_both_eras_are_served_together() {
    let servers: [(&str, &[&str]); 2] = [("alpha", &["mcp"]), ("beta", &["mcp:[modern]"])];
    let several = Several::start("eras", &servers, &[]);
    let server = &several.server;
    let able = json!({"elicitation": {}, "roots": {}});
    let mut old = at(server, "/mcp", legacy());
    old.initialize();
    let modern = at(server, "/mcp", Dialect::modern().able(able));
    for client in [&mut old, &mut { modern }] {
        for name in ["alpha", "beta"] {
            assert_eq!(
                client.text_of(&format!("{name}__echo"), json!({"message": "x"})),
                "x"
            );
            let uri = format!("{name}+child://one");
            let read = client.ask("resources/read", json!({"uri": uri}));
            assert_eq!(read["contents"][0]["uri"], uri);
        }
    }
    let roots = json!({"r": {"method": "roots/list"}});
    let steps = act([json!(["round", roots, "the child's own"])]);
    let id = old.call("beta__act", steps);
    let asked = old.message();
    assert_eq!(asked["method"], "roots/list", "{asked}");
    old.respond(&asked["id"], &json!({"roots": []}));
    let again: Value = serde_json::from_str(text_of(&old.result(&id))).unwrap();
    assert_eq!(again["params"]["name"], "act", "{again}");
    assert_eq!(again["params"]["requestState"], "the child's own");
}
