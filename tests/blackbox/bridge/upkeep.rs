//! What is done to children besides giving them calls: they are made warm, let go, and remembered.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::json;

use super::front::{Front, command_line};
use super::sinner::{act, misbehaving};
use crate::harness::{Scratch, WEIR, eventually};

#[test]
fn a_child_answers_the_call_for_warmth_before_it_takes_others() {
    let front = Front::of(&["mcp"], "max=1,warmup=page-2");
    let mut client = front.legacy();
    assert_eq!(client.text_of("page-2", json!({})), "page-2");
    let mut failing = Front::with(&["mcp"], "max=1,warmup=none", &["--toolset", "demo"]);
    eventually("its start has failed", || {
        failing.weir().stderr().contains("it refused `tools/call`")
    });
}

/// Calls that take much longer than others, since their clients are asked, keep nobody waiting while more may start.
#[test]
fn a_place_that_is_not_given_back_is_made_up_for() {
    let front = Front::of(&["mcp"], "interactive=on,min_idle=1,max=2");
    let mut asked = front.legacy();
    assert_eq!(asked.text_of("echo", json!({"message": "short"})), "short");
    let form = json!({"message": "who?", "requestedSchema": {"type": "object", "properties": {}}});
    let id = asked.call("act", act([json!(["ask", "elicitation/create", form])]));
    let question = asked.message();
    assert_eq!(front.modern().text_of("echo", json!({"message": "next"})), "next");
    asked.respond(&question["id"], &json!({"action": "decline"}));
    asked.result(&id);
}

#[test]
fn children_that_are_not_needed_end() {
    let mut front = Front::of(&["mcp"], "max=3,min_idle=1,max_in_flight=1,idle_timeout=1s");
    let mut clients: Vec<_> = (0..12).map(|_| front.modern()).collect();
    let mut ids = Vec::new();
    for client in &mut clients {
        ids.push(client.call("act", act([json!(["sleep", 700])])));
    }
    for (client, id) in clients.iter_mut().zip(&ids) {
        client.result(id);
    }
    assert!(
        front.weir().stderr().matches("a child is ready").count() > 1,
        "{}",
        front.weir().stderr()
    );
    eventually("one is left", || front.processes().len() == 1);
    assert_eq!(clients[0].text_of("echo", json!({"message": "well"})), "well");
    assert!(!front.weir().stderr().contains("has died"));
}

#[test]
fn the_last_words_of_a_child_that_died_are_kept_and_those_of_others_are_not() {
    let scratch = Scratch::new("bridge-flights");
    let place = scratch.path().join("flights");
    let mut front = Front::with(&["mcp"], "max=1", &["--flight-recorder", place.to_str().unwrap()]);
    let mut client = front.modern();
    let id = client.call("act", act([json!(["write", "last words"]), json!(["exit", 3])]));
    assert!(client.answer(&id).get("error").is_some());
    let mut files = Vec::new();
    eventually("they are kept", || {
        let entries = fs::read_dir(&place).into_iter().flatten().flatten();
        files = entries.map(|entry| entry.path()).collect();
        files.len() == 1 && fs::read(&files[0]).unwrap().ends_with(b"last words\n")
    });
    assert_eq!(
        fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let text = fs::read_to_string(&files[0]).unwrap();
    for part in [
        "server: misbehave\n",
        "it exited with status 3",
        "calls it took along: 1\n",
        "\"method\":\"tools/call\"",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // One that ends with the server has not died.
    front.weir().signal(rustix::process::Signal::TERM);
    front.weir().wait();
    assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
}

#[test]
fn a_child_that_may_do_little_is_served() {
    let mut front = Front::of(&["mcp"], "max=1,read=/usr,write=/tmp,tcp=443");
    let mut client = front.legacy();
    assert_eq!(client.text_of("echo", json!({"message": "well"})), "well");
    assert!(!front.weir().stderr().contains("has died"));
    let line = command_line(&misbehaving("bounded", &["mcp"]));
    let refused = Command::new(WEIR)
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "off",
            "--stdio",
            &line,
        ])
        .args(["--pool", "mode=shared,read=/nonexistent"])
        .output()
        .unwrap();
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && why.contains("/nonexistent"), "{why}");
}
