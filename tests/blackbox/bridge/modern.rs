//! Children that speak 2026-07-28, alone or beside the older era, and how it is found out what a child speaks.

use serde_json::{Value, json};

use super::front::{Front, heard, names_of, told};
use super::sinner::act;
use crate::harness::{Conversation, Dialect, Revision, case, eventually, text_of};

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

#[test]
fn errors_of_a_modern_child_have_the_codes_of_the_clients_era() {
    let front = modern();
    let [mut legacy, mut modern] = front.both();
    for (client, code) in [(&mut legacy, -32002), (&mut modern, -32602)] {
        let id = client.send("resources/read", json!({"uri": "child://two"}));
        assert_eq!(client.error(&id, code)["data"]["uri"], "child://two");
    }
    let error =
        |code: i64| json!({"code": code, "message": "no", "data": {"requiredCapabilities": {"roots": {}}}});
    for code in [-32020, -32021, -32022] {
        let steps = act([json!(["error", error(code).to_string()])]);
        let id = legacy.call("act", steps.clone());
        assert_eq!(legacy.error(&id, -32603)["message"], "no");
        if code == -32021 {
            let id = modern.call("act", steps);
            modern.error(&id, code);
        }
    }
    let steps = act([json!([
        "error",
        json!({"code": -32602, "message": "no"}).to_string()
    ])]);
    for mut client in [legacy, modern] {
        let id = client.call("act", steps.clone());
        client.error(&id, -32602);
    }
}

#[test]
fn legacy_clients_of_every_revision_are_served_by_a_modern_child() {
    let front = modern();
    let rich = r#"{"resultType":"complete","content":[{"type":"audio","data":"QQ==","mimeType":"audio/wav"},{"type":"resource_link","uri":"a:b","name":"n"}],"structuredContent":[1.10],"n":1.10,"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"n","version":"1"}}}"#;
    for revision in Revision::ALL_LEGACY {
        let _case = case(revision.0.to_owned());
        let mut client = front.connect(Dialect::legacy(revision));
        assert_eq!(client.initialize()["protocolVersion"], revision.0);
        assert_eq!(client.text_of("echo", json!({"message": "well"})), "well");
        let id = client.call("act", act([json!(["answer", rich])]));
        let result = client.result(&id);
        assert!(client.text().contains(r#""n":1.10"#), "{}", client.text());
        for name in ["resultType", "structuredContent", "_meta"] {
            assert_eq!(result.get(name), None, "{result}");
        }
        let read = client.ask("resources/read", json!({"uri": "child://one"}));
        for name in ["resultType", "ttlMs", "cacheScope", "_meta"] {
            assert_eq!(read.get(name), None, "{read}");
        }
        let kinds: Vec<&Value> = ["0", "1"]
            .map(|at| result.pointer(&format!("/content/{at}/type")).unwrap())
            .into();
        let expected = match revision.0 {
            "2024-11-05" => ["resource", "text"],
            "2025-03-26" => ["audio", "text"],
            _ => ["audio", "resource_link"],
        };
        assert_eq!(kinds, expected);
    }
}

fn log(level: &str) -> Value {
    let meta = json!({"io.modelcontextprotocol/serverInfo": {"name": "x", "version": "1"}, "a": 1});
    json!(["notify", "notifications/message", {"level": level, "data": level, "n": 7, "_meta": meta}])
}

#[test]
fn log_messages_of_a_modern_child_reach_the_call_that_asked_for_them() {
    let front = modern();
    let [mut legacy, mut modern] = front.both();
    let steps = act([log("debug"), log("warning"), log("error"), json!(["sleep", 50])]);
    legacy.ask("logging/setLevel", json!({"level": "error"}));
    let level = meta(&params_heard(&mut legacy), "logLevel");
    assert_eq!(level, "error", "the child is told what is wanted");
    let id = legacy.call("act", steps.clone());
    let said = legacy.notification("notifications/message");
    assert_eq!(
        (&said["data"], &said["_meta"]),
        (&json!("error"), &json!({"a": 1}))
    );
    assert_eq!(text_of(&legacy.result(&id)), "done");
    let meta = json!({"io.modelcontextprotocol/logLevel": "warning"});
    let id = modern.call_with("act", steps.clone(), meta);
    for level in ["warning", "error"] {
        let said = modern.notification("notifications/message");
        assert_eq!((&said["data"], &said["n"]), (&json!(level), &json!(7)));
        assert_eq!(said["_meta"].as_object().unwrap().len(), 2);
    }
    assert_eq!(text_of(&modern.result(&id)), "done");
    // Who asks for none gets none, whatever the child says.
    let id = modern.call("act", steps);
    assert_eq!(text_of(&modern.result(&id)), "done");
    modern.finish();
    legacy.finish();
    let introduction = front.connect(super::front::legacy()).initialize();
    assert!(introduction["capabilities"]["logging"].is_object());
}

/// Nothing in such a message says whose call it is about.
#[test]
fn a_log_message_that_may_be_about_two_calls_reaches_neither() {
    let front = modern();
    let (mut waiting, mut caller) = (front.legacy(), front.legacy());
    let id = waiting.call("act", act(["count", "await-cancel", "forget"]));
    front.wait_until_counted(1);
    assert_eq!(
        told(&mut caller, act([log("error"), json!(["sleep", 50])])),
        "done"
    );
    caller.finish();
    waiting.cancel(&id);
    waiting.assert_quiet();
}

#[test]
fn clients_hear_that_a_list_of_a_modern_child_has_changed() {
    let front = modern();
    let mut clients = [front.legacy(), front.legacy()];
    let id = clients[0].call("act", act([json!(["add", "new"])]));
    // The answer and the news come in any order.
    let came = [clients[0].message(), clients[0].message()];
    let is_news = |message: &Value| message["method"] == "notifications/tools/list_changed";
    assert!(came.iter().any(is_news), "{came:?}");
    assert!(came.iter().any(|message| message["id"] == id), "{came:?}");
    clients[1].notification("notifications/tools/list_changed");
    for mut client in clients.into_iter().chain([front.modern()]) {
        let names = names_of(&mut client, "tools/list", "tools");
        assert!(names.contains(&"new".to_owned()), "{names:?}");
        assert_eq!(client.text_of("new", json!({})), "new");
    }
}

fn elicitation() -> Value {
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
    json!({"method": "elicitation/create", "params": {"mode": "form", "message": "who?", "requestedSchema": schema}})
}

/// Steps that ask by their result, with a state that the child wants back.
fn asking(requests: Value) -> Value {
    act([json!(["round", requests, "the child's own"])])
}

#[test]
fn a_legacy_client_answers_what_a_modern_child_asks_by_its_result() {
    let front = modern();
    let mut client = front.legacy();
    let requests = json!({"a\"b": elicitation(), "roots": {"method": "roots/list"}});
    let id = client.call("act", asking(requests));
    let (roots, name) = (
        json!({"roots": []}),
        json!({"action": "accept", "content": {"name": "Ada"}}),
    );
    for _ in 0..2 {
        let asked = client.message();
        let answer = match asked["method"].as_str() {
            Some("elicitation/create") => &name,
            Some("roots/list") => &roots,
            _ => panic!("{asked}"),
        };
        client.respond(&asked["id"], answer);
    }
    let again: Value = serde_json::from_str(text_of(&client.result(&id))).unwrap();
    let params = &again["params"];
    assert_eq!(params["inputResponses"], json!({"a\"b": name, "roots": roots}));
    assert_eq!(params["requestState"], "the child's own");
    assert_eq!(params["name"], "act");
    let capabilities = meta(params, "clientCapabilities");
    assert!(capabilities["elicitation"].is_object(), "{capabilities}");
    client.finish();
}

#[test]
fn a_legacy_client_that_cannot_be_asked_is_told_what_it_lacks() {
    let front = modern();
    let dialect = Dialect::legacy(Revision::NEWEST_LEGACY).able(json!({"roots": {}}));
    let mut client = front.connect(dialect);
    client.initialize();
    let id = client.call("act", asking(json!({"name": elicitation()})));
    let error = client.error(&id, -32603);
    assert!(
        error["message"].as_str().unwrap().contains("elicitation"),
        "{error}"
    );
    // It refuses.
    let id = client.call("act", asking(json!({"roots": {"method": "roots/list"}})));
    let asked = client.message();
    let refusal = json!({"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -1, "message": "no"}});
    client.send_unanswered(refusal.to_string());
    client.error(&id, -32603);
    client.finish();
}

#[test]
fn a_child_that_asks_without_end_is_stopped() {
    let front = modern();
    let mut client = front.legacy();
    let result = json!({"resultType": "input_required", "requestState": "s"}).to_string();
    let id = client.call("act", act([json!(["answer", result])]));
    client.error(&id, -32603);
    client.finish();
}

#[test]
fn the_state_of_a_modern_child_is_sealed_for_its_modern_client() {
    let front = modern();
    let mut client = front.modern();
    let arguments = asking(json!({"name": elicitation()}));
    let call = json!({"name": "act", "arguments": arguments});
    let asked = client.ask("tools/call", call.clone());
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    assert_eq!(asked["inputRequests"], json!({"name": elicitation()}));
    let sealed = asked["requestState"].as_str().unwrap().to_owned();
    assert_ne!(sealed, "the child's own");
    let with = |state: &str, call: &Value| {
        let mut call = call.clone();
        call["inputResponses"] = json!({"name": {"action": "accept", "content": {"name": "Ada"}}});
        call["requestState"] = json!(state);
        call
    };
    let result = client.ask("tools/call", with(&sealed, &call));
    let again: Value = serde_json::from_str(text_of(&result)).unwrap();
    assert_eq!(again["params"]["requestState"], "the child's own");
    let answered = &again["params"]["inputResponses"]["name"];
    assert_eq!(answered["content"]["name"], "Ada");
    // It is of this call alone, and nobody else's word counts.
    let other = json!({"name": "act", "arguments": {"steps": []}});
    for call in [
        with("the child's own", &call),
        with(&sealed, &other),
        with("", &call),
    ] {
        let id = client.send("tools/call", call);
        client.error(&id, -32602);
    }
}
