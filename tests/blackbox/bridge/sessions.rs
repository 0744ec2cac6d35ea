//! Children that belong to clients: who gets which, for how long, and what becomes of a client whose child is lost.

use serde_json::{Value, json};

use super::front::{Front, legacy};
use super::lives::kill;
use super::sinner::act;
use crate::harness::{
    Dialect, Process, Request, Revision, Scratch, Server, WebSocket, case, eventually, text_of,
};

/// A server on two shards whose children belong to sessions.
fn sessions(pool: &str) -> Front {
    Front::with(&["mcp"], &format!("mode=session,{pool}"), &["--shards", "2"])
}

/// The answer of `act` to this client, on a connection of its own.
#[track_caller]
fn told(server: &Server, dialect: &Dialect, step: &str) -> String {
    let answer = server.ask(&dialect.tool(1, "act", act([step])));
    answer.tool_text().to_owned()
}

/// The child of this client, whatever connections and shards its calls come by.
#[track_caller]
fn child_of(server: &Server, dialect: &Dialect) -> String {
    let pid = told(server, dialect, "pid");
    for _ in 0..6 {
        assert_eq!(told(server, dialect, "pid"), pid);
    }
    pid
}

fn delete(server: &Server, session: &Dialect) {
    let id = session.session.as_deref().unwrap();
    let request = Request::new("DELETE", "/mcp").with("Mcp-Session-Id", id);
    let request = request.with("MCP-Protocol-Version", session.revision.0);
    let answer = server.ask(&request);
    assert!(answer.status < 300, "{}", answer.status);
}

#[test]
fn each_session_has_a_child_and_what_it_remembers_to_itself() {
    let mut front = sessions("");
    let server = front.weir();
    let clients = [(); 4].map(|()| server.open_session(&legacy()));
    let mut children = clients.each_ref().map(|client| child_of(server, client));
    for round in 1..=3 {
        for client in &clients {
            assert_eq!(told(server, client, "count"), round.to_string());
        }
    }
    for (client, child) in clients.iter().zip(&children) {
        assert_eq!(child_of(server, client), *child);
    }
    children.sort_unstable();
    assert!(children.windows(2).all(|pair| pair[0] != pair[1]), "{children:?}");
}

#[test]
fn a_child_hears_what_its_client_can_and_which_revision_it_speaks() {
    let mut front = sessions("");
    let server = front.weir();
    let asked = |dialect: &Dialect| {
        let heard: Vec<String> = serde_json::from_str(&told(server, dialect, "heard")).unwrap();
        let hello = heard.iter().find(|line| line.contains("\"initialize\"")).unwrap();
        let hello: Value = serde_json::from_str(hello).unwrap();
        hello["params"].clone()
    };
    for (revision, able) in [
        ("2025-11-25", json!({"roots": {}})),
        ("2025-06-18", json!({"elicitation": {"form": {}}})),
        ("2025-11-25", json!({})),
        ("2025-11-25", json!({"roots": {}})),
    ] {
        let _case = case(revision);
        let dialect = Dialect::legacy(crate::harness::Revision::parse(revision).unwrap()).able(able.clone());
        let told = asked(&server.open_session(&dialect));
        assert_eq!(told["protocolVersion"], revision);
        let names = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&told["capabilities"]), names(&able));
        assert_eq!(told["clientInfo"]["name"], "weir");
    }
}

#[test]
fn the_child_of_a_session_ends_with_it() {
    let mut front = sessions("");
    let client = front.weir().open_session(&legacy());
    let child = child_of(front.weir(), &client);
    delete(front.weir(), &client);
    let gone = front.weir().ask(&client.tool(2, "act", act(["pid"])));
    assert_eq!(gone.status, 404);
    let pid: u32 = child.parse().unwrap();
    eventually("its child ends", || !front.processes().contains(&pid));
}

#[test]
fn a_session_whose_child_dies_is_over_and_others_go_on() {
    let mut front = sessions("");
    let server = front.weir();
    let [client, other] = [(); 2].map(|()| server.open_session(&legacy()));
    let (child, others) = (child_of(server, &client), child_of(server, &other));
    assert_ne!(child, others);
    kill(&child);
    eventually("its session is over", || {
        server.ask(&client.tool(3, "act", act(["pid"]))).status == 404
    });
    assert_eq!(child_of(server, &other), others);
    let anew = server.open_session(&legacy());
    let another = child_of(server, &anew);
    assert!(another != child && another != others);
}

#[test]
fn a_call_whose_child_dies_is_told_why() {
    let mut front = sessions("");
    let server = front.weir();
    let client = server.open_session(&legacy());
    let answer = server.ask(&client.tool(7, "act", act([json!(["exit", 3])])));
    let error = &answer.json()["error"];
    assert_eq!(error["code"], -32603, "{error}");
    assert_eq!(error["data"]["server"], "misbehave", "{error}");
}

#[test]
fn a_session_may_go_on_with_another_child() {
    let mut front = sessions("on_loss=restart");
    let server = front.weir();
    let client = server.open_session(&legacy());
    let child = child_of(server, &client);
    kill(&child);
    eventually("another child serves it", || {
        let answer = server.ask(&client.tool(3, "act", act(["pid"])));
        assert_eq!(answer.status, 200);
        answer.json().get("error").is_none() && answer.tool_text() != child
    });
    child_of(server, &client);
}

#[test]
fn clients_that_cannot_be_told_apart_are_one_on_loopback() {
    let mut front = sessions("");
    let server = front.weir();
    let modern = Dialect::modern();
    let child = child_of(server, &modern);
    let unnamed = Dialect::legacy(crate::harness::Revision::NEWEST_LEGACY);
    assert_eq!(child_of(server, &unnamed), child, "it never echoes its session");
    assert_ne!(child_of(server, &server.open_session(&legacy())), child);
    assert!(server.stderr().contains("share one child"));
}

#[test]
fn whoever_of_them_can_be_asked_is_asked() {
    let mut front = sessions("");
    let server = front.weir();
    let question = json!([
        "ask",
        "elicitation/create",
        {"message": "Which?", "requestedSchema": {"type": "object", "properties": {}}}
    ]);
    // The first one cannot be asked.
    let first = Dialect::modern();
    let refused = server.ask(&first.tool(1, "act", act([question.clone()])));
    assert!(refused.tool_text().contains("-32601"), "{}", refused.text());
    let able = Dialect::modern().able(json!({"elicitation": {"form": {}}}));
    let asked = server.ask(&able.tool(2, "act", act([question.clone()])));
    assert_eq!(asked.result()["resultType"], "input_required", "{}", asked.text());
    // Nobody comes back to that call, and the next one is asked all the same.
    let asked = server.ask(&able.tool(3, "act", act([question])));
    assert_eq!(asked.result()["resultType"], "input_required", "{}", asked.text());
}

#[test]
fn each_call_of_those_may_have_a_child_of_its_own() {
    let mut front = sessions("anonymous=call");
    let server = front.weir();
    let modern = Dialect::modern();
    let children: Vec<String> = (0..4).map(|_| told(server, &modern, "pid")).collect();
    let mut known = children.clone();
    known.sort_unstable();
    known.dedup();
    assert_eq!(known.len(), 4, "{children:?}");
    assert_eq!(told(server, &modern, "count"), "1");
    assert_eq!(told(server, &modern, "count"), "1");
    let session = server.open_session(&legacy());
    child_of(server, &session);
}

#[test]
fn a_header_may_tell_clients_apart() {
    let mut front = sessions("key_header=X-User");
    let server = front.weir();
    let modern = Dialect::modern();
    let pid_of = |user: &str| {
        let request = modern.tool(1, "act", act(["pid"])).plus("X-User", user);
        server.ask(&request).tool_text().to_owned()
    };
    let (ada, bob) = (pid_of("ada"), pid_of("bob"));
    assert_ne!(ada, bob);
    assert_ne!(child_of(server, &modern), ada);
    for _ in 0..4 {
        assert_eq!((pid_of("ada"), pid_of("bob")), (ada.clone(), bob.clone()));
    }
}

/// The texts of a batch of calls of `act` that comes with this field.
fn batched(server: &Server, steps: &[Value], field: (&str, &str)) -> Vec<String> {
    let calls = (0..).zip(steps).map(|(id, step)| {
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": "act", "arguments": act([step.clone()])}})
    });
    let batch = Dialect::legacy(Revision::BATCHING).post(&calls.collect());
    let answer = server.ask(&batch.plus(field.0, field.1));
    let answers = answer.json().as_array().unwrap();
    answers
        .iter()
        .map(|answer| text_of(&answer["result"]).to_owned())
        .collect()
}

#[test]
fn a_header_tells_the_clients_of_batches_apart_too() {
    let mut front = sessions("key_header=X-User");
    let server = front.weir();
    let pids = [json!("pid"), json!("pid"), json!("pid")];
    let pids_of = |user| {
        let mut pids = batched(server, &pids, ("X-User", user));
        pids.dedup();
        pids
    };
    let (ada, bob) = (pids_of("ada"), pids_of("bob"));
    assert_eq!((ada.len(), bob.len()), (1, 1), "{ada:?} {bob:?}");
    assert_ne!(ada, bob);
    assert_eq!(pids_of("ada"), ada);
    let alone = Dialect::modern()
        .tool(1, "act", act(["pid"]))
        .plus("X-User", "bob");
    assert_eq!(server.ask(&alone).tool_text(), bob[0]);
}

#[test]
fn each_websocket_has_a_child_as_long_as_it_is_open() {
    let mut front = sessions("");
    let ask = |socket: &mut WebSocket, dialect: &Dialect| {
        let answer = socket.ask(&dialect.tool(1, "act", act(["pid"])));
        let text = &answer["result"]["content"][0]["text"];
        text.as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    };
    let modern = Dialect::modern();
    let mut sockets = [(); 3].map(|()| front.weir().open_websocket());
    sockets[2].open_session(&legacy());
    let dialects = [modern.clone(), modern, legacy()];
    let mut children = Vec::new();
    for (socket, dialect) in sockets.iter_mut().zip(&dialects) {
        let child = ask(socket, dialect);
        assert_eq!(ask(socket, dialect), child);
        assert!(!children.contains(&child));
        children.push(child);
    }
    for socket in sockets {
        socket.close(1000);
    }
    eventually("their children end", || {
        let running = front.processes();
        children
            .iter()
            .all(|child| !running.contains(&child.parse().unwrap()))
    });
}

#[test]
fn a_session_waits_for_a_place_and_is_refused_in_the_end() {
    let mut front = sessions("max=2,min_idle=0,queue_timeout=1s");
    let server = front.weir();
    let clients = [(); 3].map(|()| server.open_session(&legacy()));
    let children = [child_of(server, &clients[0]), child_of(server, &clients[1])];
    let refused = server.ask(&clients[2].tool(1, "act", act(["pid"])));
    assert_eq!(refused.status, 503);
    let error = &refused.json()["error"];
    assert_eq!(
        (&error["code"], &error["data"]["reason"]),
        (&json!(-31503), &json!("children"))
    );
    // One leaves, and its place is free.
    delete(server, &clients[0]);
    eventually("the place is the third one's", || {
        let answer = server.ask(&clients[2].tool(1, "act", act(["pid"])));
        answer.status == 200 && !children.contains(&answer.tool_text().to_owned())
    });
    assert_eq!(child_of(server, &clients[1]), children[1]);
}

#[test]
fn a_session_that_was_silent_for_too_long_is_over() {
    let mut front = sessions("idle_timeout=6s");
    let server = front.weir();
    let [client, busy] = [(); 2].map(|()| server.open_session(&legacy()));
    child_of(server, &client);
    let child = child_of(server, &busy);
    let opened = std::time::Instant::now();
    eventually("the silent one is over", || {
        assert_eq!(told(server, &busy, "pid"), child);
        // Asking would be no silence.
        opened.elapsed().as_secs() >= 13 && server.ask(&client.tool(9, "act", act(["pid"]))).status == 404
    });
}

#[test]
fn many_sessions_at_once_are_kept_apart() {
    let mut front = sessions("max=32");
    let server = &*front.weir();
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                let client = server.open_session(&legacy());
                for round in 1..=10 {
                    assert_eq!(told(server, &client, "count"), round.to_string());
                }
                delete(server, &client);
            });
        }
    });
    eventually("their children end", || front.processes().len() <= 2);
}

#[test]
fn a_drain_leaves_no_child_of_a_session() {
    let mut front = sessions("min_idle=2");
    for _ in 0..3 {
        let client = front.weir().open_session(&legacy());
        child_of(front.weir(), &client);
    }
    front.weir().signal(rustix::process::Signal::TERM);
    assert!(front.weir().wait().success());
    assert!(front.processes().is_empty());
}

#[test]
fn values_of_a_clients_requests_are_for_its_child_alone() {
    let scratch = Scratch::new("env-from");
    let child = crate::harness::example("misbehave");
    let mark = format!("env-from-{}", std::process::id());
    let servers = json!({"mcpServers": {"vault": {
        "command": child,
        "args": [mark, "mcp"],
        "pool": {"env_from": {"SECRET": "header:X-Secret"}},
    }}});
    let file = scratch.path().join("servers.json");
    std::fs::write(&file, servers.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let flags = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--shards",
        "2",
    ];
    let arguments: Vec<&str> = flags.into_iter().chain(["--mcp-json", file]).collect();
    let server = Server::over(Process::start(&arguments));
    let session = server.open_session(&legacy());
    let secret = || act([json!(["variable", "SECRET"])]);
    let ask = |client: &Dialect, value: Option<&str>, what: Value| {
        let request = client.tool(1, "act", what);
        let request = match value {
            Some(value) => request.plus("X-Secret", value),
            None => request,
        };
        server.ask(&request).tool_text().to_owned()
    };
    let modern = Dialect::modern();
    let mut children = Vec::new();
    for client in [&session, &modern] {
        for value in [Some("ada-7f3"), Some("bob-9c1"), None] {
            let _case = case(format!("{value:?}"));
            for _ in 0..4 {
                assert_eq!(ask(client, value, secret()), value.unwrap_or("unset"));
            }
            let child = ask(client, value, act(["pid"]));
            assert!(!children.contains(&child));
            assert_eq!(ask(client, value, act(["pid"])), child);
            children.push(child);
        }
    }
    // Each call of a batch is its client's, too.
    for value in ["ada-7f3", "bob-9c1"] {
        let steps = [json!(["variable", "SECRET"]), json!(["variable", "SECRET"])];
        assert_eq!(batched(&server, &steps, ("X-Secret", value)), [value, value]);
    }
    let told = server.stderr()
        + &String::from_utf8(server.ask_admin(&Request::new("GET", "/metrics")).body).unwrap();
    assert!(!told.contains("ada-7f3") && !told.contains("bob-9c1"));
    // All children of the session end with it.
    delete(&server, &session);
    let is_there = |child: &String| std::path::Path::new(&format!("/proc/{child}")).exists();
    eventually("they end", || !children[..3].iter().any(is_there));
    assert!(children[3..].iter().all(is_there));
}
