//! Several servers in one process: an endpoint for each, and one for all together.

use serde_json::{Value, json};

use super::front::{Front, legacy, names_of};
use super::sinner::act;
use crate::harness::{
    Conversation, Dialect, Process, Request, Server, TransportKind, WebSocket, case, example, text_of,
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
