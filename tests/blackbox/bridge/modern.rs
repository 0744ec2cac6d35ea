//! Children that speak 2026-07-28, alone or beside the older era, and how it is found out what a child speaks.

use serde_json::{Value, json};

use super::front::{Front, heard, names_of, told};
use super::sinner::act;
use crate::harness::{Conversation, case, eventually, text_of};

/// A front of one child of the modern era.
fn modern() -> Front {
    Front::of(&["mcp:[modern]"], "max=1")
}

/// The parameters of a call of `act` as its child got them.
#[track_caller]
fn params_heard(client: &mut Conversation) -> Value {
    let line: Value = serde_json::from_str(&told(client, act(["line"]))).unwrap();
    line["params"].clone()
}

fn meta(params: &Value, name: &str) -> Value {
    params["_meta"][format!("io.modelcontextprotocol/{name}")].clone()
}

#[test]
fn a_child_is_spoken_to_in_the_era_that_it_knows() {
    for (options, is_modern) in [
        ("modern", true),
        ("dual", true),
        ("", false),
        ("picky", false),
        ("deaf", false),
        ("dies-of-discover", false),
    ] {
        let _case = case(options.to_owned());
        let mut front = Front::of(&[&format!("mcp:[{options}]")], "max=1");
        for mut client in front.both() {
            assert_eq!(client.text_of("echo", json!({"message": "well"})), "well");
            assert_eq!(names_of(&mut client, "tools/list", "tools").len(), 3);
            let is_told = !meta(&params_heard(&mut client), "protocolVersion").is_null();
            assert_eq!(is_told, is_modern);
            let lines = heard(&mut client);
            let is_initialized = lines.iter().any(|line| line.contains("\"initialize\""));
            assert_eq!(is_initialized, !is_modern, "{lines:?}");
        }
        front.weir().assert_well();
    }
}

#[test]
fn what_a_server_speaks_is_asked_once() {
    let front = Front::of(&["mcp"], "min_idle=2,max=2,max_in_flight=1");
    let mut clients = [front.legacy(), front.legacy()];
    let hold = act([json!(["sleep", 300]), json!("heard")]);
    eventually("both children serve", || {
        let ids = clients.each_mut().map(|client| client.call("act", hold.clone()));
        let told = [0, 1].map(|at| text_of(&clients[at].result(&ids[at])).to_owned());
        let asked = told.iter().filter(|lines| lines.contains("server/discover"));
        told[0] != told[1] && asked.count() == 1
    });
}

#[test]
fn an_era_that_is_configured_is_not_asked_for() {
    let front = Front::of(&["mcp:[dual]"], "max=1,era=legacy");
    for mut client in front.both() {
        let lines = heard(&mut client);
        assert!(lines[0].contains("\"initialize\""), "{lines:?}");
    }
    let front = Front::of(&["mcp:[dual]"], "max=1,era=modern");
    let lines = heard(&mut front.modern());
    assert!(lines[0].contains("server/discover"), "{lines:?}");
}

#[test]
fn the_introduction_of_a_modern_child_reaches_clients_of_both_eras() {
    let front = modern();
    let introduction = front.connect(super::front::legacy()).initialize();
    assert_eq!(introduction["protocolVersion"], "2025-11-25");
    let discovered = front.modern().ask("server/discover", json!({}));
    let info = &discovered["_meta"]["io.modelcontextprotocol/serverInfo"];
    for (said, info) in [(&introduction, &introduction["serverInfo"]), (&discovered, info)] {
        assert_eq!(info["name"], "misbehave", "{said}");
        assert_eq!(said["instructions"], "Tell me what to do.");
        for name in ["tools", "prompts", "resources", "completions"] {
            assert!(said["capabilities"][name].is_object(), "{said}");
        }
    }
}

#[test]
fn everything_that_a_modern_child_has_is_served_to_both_eras() {
    let front = modern();
    for mut client in front.both() {
        let tools = names_of(&mut client, "tools/list", "tools");
        assert_eq!(tools, ["echo", "act", "page-2"]);
        assert_eq!(names_of(&mut client, "prompts/list", "prompts"), ["greet"]);
        assert_eq!(names_of(&mut client, "resources/list", "resources"), ["one"]);
        let read = client.ask("resources/read", json!({"uri": "child://one"}));
        assert_eq!(read["contents"][0]["text"], "one");
        client.ask("prompts/get", json!({"name": "greet"}));
        let reference = json!({"type": "ref/prompt", "name": "greet"});
        let argument = json!({"name": "name", "value": "a"});
        let params = json!({"ref": reference, "argument": argument});
        let completed = client.ask("completion/complete", params);
        assert_eq!(completed["completion"]["values"], json!(["ada", "alan"]));
    }
}

#[test]
fn a_modern_answer_reaches_a_modern_client_as_it_was_written() {
    let front = modern();
    let mut client = front.modern();
    let info = r#""io.modelcontextprotocol/serverInfo":{"name":"x" , "version":"1"}"#;
    let result = format!(
        r#"{{"resultType":"complete","content":[],"_meta":{{{info}}},"n":1.10,"unknown":{{"a" : [1E2]}}}}"#
    );
    let id = client.call("act", act([json!(["answer", result])]));
    client.result(&id);
    assert!(
        client.text().contains(&format!(r#""result":{result}}}"#)),
        "{}",
        client.text()
    );
}

#[test]
fn the_envelope_of_a_modern_client_reaches_the_child_without_its_tasks() {
    let front = modern();
    let mut client = front.modern();
    let tasks = json!({"elicitation": {}, "extensions": {"io.modelcontextprotocol/tasks": {}, "a/b": {}}});
    let meta_sent = json!({
        "io.modelcontextprotocol/clientCapabilities": tasks,
        "traceparent": "00-1-2-03",
        "foreign/key": 7,
    });
    let id = client.call_with("act", act(["line"]), meta_sent);
    let line: Value = serde_json::from_str(text_of(&client.result(&id))).unwrap();
    let params = &line["params"];
    assert_eq!(params["_meta"]["traceparent"], "00-1-2-03");
    assert_eq!(params["_meta"]["foreign/key"], 7);
    assert_eq!(
        meta(params, "clientCapabilities"),
        json!({"elicitation": {}, "extensions": {"a/b": {}}})
    );
}

#[test]
fn progress_of_a_modern_child_comes_on_its_call() {
    let front = modern();
    for mut client in front.both() {
        let steps = act([json!(["progress", 2]), json!(["sleep", 50])]);
        let id = client.call_with("act", steps, json!({"progressToken": "mine"}));
        for progress in 1..=2 {
            let report = client.notification("notifications/progress");
            assert_eq!(
                (&report["progressToken"], &report["progress"]),
                (&json!("mine"), &json!(progress))
            );
        }
        assert_eq!(text_of(&client.result(&id)), "done");
        client.finish();
    }
}

#[test]
fn a_cancellation_reaches_a_modern_child() {
    let front = modern();
    for (number, mut client) in front.both().into_iter().enumerate() {
        let id = client.call("act", act(["count", "await-cancel", "forget"]));
        front.wait_until_counted(number + 1);
        client.cancel(&id);
        let mut other = front.legacy();
        eventually("the child hears of it", || {
            let lines = heard(&mut other);
            let cancellations = lines
                .iter()
                .filter(|line| line.contains("notifications/cancelled"));
            cancellations.count() > number
        });
    }
}

#[test]
fn a_modern_child_that_dies_is_replaced_and_asked_in_its_era() {
    let front = modern();
    for mut client in front.both() {
        let id = client.call("act", act([json!(["signal", 9])]));
        let answer = client.answer(&id);
        assert!(answer.get("error").is_some(), "{answer}");
        assert_eq!(client.text_of("echo", json!({"message": "again"})), "again");
    }
}
