//! What every bridge should do, a test for each row; each has a front, a child and clients of its own.
//!
//! A peer is judged by the same rows: see `front`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::front::{Front, harmless, heard, names_of, told};
use super::sinner::act;
use crate::harness::{CHILDS_OWN, Conversation, HUGE, eventually, text_of};

/// A result that no parser may write anew: its own numbers, a member twice, members that nobody knows.
fn odd_result() -> String {
    format!(
        r#"{{"content":[{{"type":"text","text":"\u00e9"}}],"n":1.10,"n":-0.0,"huge":{HUGE},"digits":12345678901234567890123,"unknown":{{"a" : [1E2]}}}}"#
    )
}

fn is_member(object: &Value, name: &str) -> bool {
    object.get(name).is_some_and(Value::is_object)
}

#[test]
pub(super) fn row_01_capabilities_instructions_and_name_are_the_childs() {
    let front = Front::start();
    let introduction = front.connect(super::front::legacy()).initialize();
    assert_eq!(introduction["instructions"], "Tell me what to do.");
    assert_eq!(introduction["serverInfo"]["name"], "misbehave");
    assert_eq!(introduction["serverInfo"]["version"], "6.6.6");
    for name in ["tools", "prompts", "resources", "completions"] {
        assert!(is_member(&introduction["capabilities"], name), "{introduction}");
    }
}

#[test]
pub(super) fn row_02_all_pages_of_lists_are_there_and_each_item_once() {
    let front = Front::of(&["mcp:[pages:5]"], "max=1");
    for mut client in front.both() {
        let names = names_of(&mut client, "tools/list", "tools");
        assert_eq!(names, ["echo", "act", "page-2", "page-3", "page-4", "page-5"]);
        assert_eq!(names_of(&mut client, "prompts/list", "prompts"), ["greet"]);
        assert_eq!(names_of(&mut client, "resources/list", "resources"), ["one"]);
        let templates = names_of(&mut client, "resources/templates/list", "resourceTemplates");
        assert_eq!(templates, ["any"]);
    }
}

#[test]
pub(super) fn row_03_an_id_beyond_53_bits_comes_back() {
    let front = Front::start();
    for mut client in front.both() {
        let id = json!(9_007_199_254_740_993_u64);
        let echo = json!({"name": "echo", "arguments": {"message": "a"}});
        client.ask_as(&id, "tools/call", echo);
        assert!(
            client.text().contains(r#""id":9007199254740993"#),
            "{}",
            client.text()
        );
    }
}

#[test]
pub(super) fn row_04_equal_ids_of_two_sessions_are_two() {
    let front = Front::start();
    let mut clients = [front.legacy(), front.legacy(), front.modern(), front.modern()];
    // The first that asks is answered last.
    let id = json!("same");
    for (number, client) in clients.iter_mut().enumerate() {
        let delay = 400 - 100 * number;
        let result = json!({"content": [{"type": "text", "text": number.to_string()}]}).to_string();
        let params =
            json!({"name": "act", "arguments": act([json!(["sleep", delay]), json!(["answer", result])])});
        client.send_as(&id, "tools/call", params);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(text_of(&client.result(&id)), number.to_string());
    }
}

#[test]
pub(super) fn row_05_what_a_child_says_is_passed_on_byte_for_byte() {
    let front = Front::start();
    for mut client in front.both() {
        let result = odd_result();
        let id = client.call("act", act([json!(["answer", result])]));
        client.result(&id);
        let said = client.text();
        // Clients of the modern era get more members in front of the child's.
        assert!(said.contains(&result[1..result.len() - 1]), "{said}");
    }
}

#[test]
pub(super) fn row_06_progress_comes_on_its_call_with_the_clients_token() {
    let front = Front::start();
    progress(front.legacy());
}

fn progress(mut client: Conversation) {
    let meta = json!({"progressToken": "mine"});
    // Clients of the official kit lose what comes together with the answer.
    let steps = act([json!(["progress", 3]), json!(["sleep", 50])]);
    let id = client.call_with("act", steps, meta);
    for progress in 1..=3 {
        let report = client.notification("notifications/progress");
        assert_eq!(
            (&report["progressToken"], &report["progress"]),
            (&json!("mine"), &json!(progress))
        );
        assert_eq!(report["total"], 3);
    }
    assert_eq!(text_of(&client.result(&id)), "done");
    // The numbers of a progress token stay numbers.
    let meta = json!({"progressToken": 0});
    let steps = act([json!(["progress", 1]), json!(["sleep", 50])]);
    let id = client.call_with("act", steps, meta);
    let report = client.notification("notifications/progress");
    assert_eq!(report["progressToken"], 0);
    client.result(&id);
    client.finish();
}

#[test]
pub(super) fn row_07_a_cancellation_reaches_the_child() {
    let front = Front::start();
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
pub(super) fn row_08_an_error_keeps_its_code_and_data() {
    let front = Front::start();
    for mut client in front.both() {
        let error =
            format!(r#"{{"code":{CHILDS_OWN},"message":"no","data":{{"why":[1.10,"{CHILDS_OWN}"]}}}}"#);
        let id = client.call("act", act([json!(["error", error])]));
        client.error(&id, CHILDS_OWN);
        assert!(client.text().contains(&error), "{}", client.text());
    }
}

#[test]
pub(super) fn row_09_an_unknown_tool_is_an_error_of_the_protocol() {
    let front = Front::start();
    for mut client in front.both() {
        let id = client.call("nothing", json!({}));
        client.error(&id, -32602);
    }
}

#[test]
pub(super) fn row_10_a_resource_that_is_not_found_has_its_code() {
    let front = Front::start();
    let mut client = front.legacy();
    let read = client.ask("resources/read", json!({"uri": "child://one"}));
    assert_eq!(read["contents"][0]["text"], "one");
    let id = client.send("resources/read", json!({"uri": "child://two"}));
    assert_eq!(client.error(&id, -32002)["data"]["uri"], "child://two");
}

fn question() -> Value {
    let params =
        json!({"message": "who?", "requestedSchema": {"type": "object", "properties": {}}, "mode": "form"});
    json!(["ask", "elicitation/create", params])
}

/// A front that says whose call a child is busy with: it has one at a time.
fn interactive() -> Front {
    Front::of(&["mcp"], "interactive=on,max=1")
}

#[test]
pub(super) fn row_11_a_question_finds_its_caller() {
    let front = interactive();
    let mut client = front.legacy();
    let id = client.call("act", act([question()]));
    let asked = client.message();
    assert_eq!(asked["method"], "elicitation/create", "{asked}");
    client.respond(&asked["id"], &json!({"action": "decline"}));
    assert!(text_of(&client.result(&id)).contains("decline"));
}

#[test]
pub(super) fn row_12_a_log_message_finds_its_caller() {
    let front = interactive();
    let (mut caller, mut other) = (front.legacy(), front.legacy());
    let params = json!({"level": "error", "data": "secret"});
    let id = caller.call("act", act([json!(["notify", "notifications/message", params])]));
    assert_eq!(caller.notification("notifications/message")["data"], "secret");
    assert_eq!(text_of(&caller.result(&id)), "done");
    other.assert_quiet();
}

#[test]
pub(super) fn row_13_an_update_of_a_resource_finds_its_subscriber() {
    let front = Front::start();
    let (mut subscriber, mut other) = (front.legacy(), front.legacy());
    subscriber.ask("resources/subscribe", json!({"uri": "child://one"}));
    let mut third = front.legacy();
    eventually("the child is subscribed to", || {
        heard(&mut third)
            .iter()
            .any(|line| line.contains("resources/subscribe"))
    });
    let update = json!([
        "notify",
        "notifications/resources/updated",
        {"uri": "child://one"}
    ]);
    told(&mut third, act([update]));
    let updated = subscriber.notification("notifications/resources/updated");
    assert_eq!(updated["uri"], "child://one");
    other.assert_quiet();
}

#[test]
pub(super) fn row_14_clients_hear_that_a_list_has_changed() {
    let front = Front::start();
    let mut clients = [front.legacy(), front.legacy()];
    let id = clients[0].call("act", act([json!(["add", "new"])]));
    // The answer and the news come in any order.
    let came = [clients[0].message(), clients[0].message()];
    let is_news = |message: &Value| message["method"] == "notifications/tools/list_changed";
    assert!(came.iter().any(is_news), "{came:?}");
    assert!(came.iter().any(|message| message["id"] == id), "{came:?}");
    clients[1].notification("notifications/tools/list_changed");
    for client in &mut clients {
        let names = names_of(client, "tools/list", "tools");
        assert!(names.contains(&"new".to_owned()), "{names:?}");
        assert_eq!(client.text_of("new", json!({})), "new");
    }
    let names = names_of(&mut front.modern(), "tools/list", "tools");
    assert!(names.contains(&"new".to_owned()), "{names:?}");
}

#[test]
pub(super) fn row_15_lines_that_are_no_json_are_skipped() {
    harmless(&["hello\n", "\n\n\r\n", "{\"jsonrpc\":\n"]);
}

#[test]
pub(super) fn row_16_lines_that_are_no_utf_8_are_skipped() {
    harmless(&[
        "\u{ff}\u{fe}\n",
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/\u{c3}\"}\n",
    ]);
}

#[test]
pub(super) fn row_17_answers_to_nobody_are_dropped() {
    harmless(&[
        "{\"jsonrpc\":\"2.0\",\"id\":987654321,\"result\":{\"content\":[]}}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":\"nobody\",\"result\":{}}\n",
    ]);
}

#[test]
pub(super) fn row_18_ten_mebibytes_of_stderr_block_nothing() {
    let front = Front::start();
    for mut client in front.both() {
        assert_eq!(told(&mut client, act([json!(["stderr", 10_u32 << 20])])), "done");
        assert_eq!(client.text_of("echo", json!({"message": "then"})), "then");
    }
}

#[test]
pub(super) fn row_19_modern_clients_discover_the_child() {
    let front = Front::start();
    let discovered = front.modern().ask("server/discover", json!({}));
    let versions = discovered["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!("2026-07-28")), "{discovered}");
    assert_eq!(discovered["instructions"], "Tell me what to do.");
    let info = &discovered["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert_eq!(info["name"], "misbehave", "{discovered}");
    for name in ["tools", "prompts", "resources", "completions"] {
        assert!(is_member(&discovered["capabilities"], name), "{discovered}");
    }
}

#[test]
pub(super) fn row_20_modern_clients_call_a_legacy_child() {
    let front = Front::start();
    let mut client = front.modern();
    let result = client.ask(
        "tools/call",
        json!({"name": "echo", "arguments": {"message": "a"}}),
    );
    assert_eq!(result["resultType"], "complete", "{result}");
    assert_eq!(text_of(&result), "a");
    // The child has begun its own era, and hears nothing of the client's.
    let lines = heard(&mut client);
    assert!(lines.iter().any(|line| line.contains("\"initialize\"")));
    let line = told(&mut client, act(["line"]));
    assert!(!line.contains("io.modelcontextprotocol/"), "{line}");
}

#[test]
pub(super) fn row_21_a_modern_clients_child_asks_its_caller() {
    let front = interactive();
    let mut client = front.modern();
    let params = json!({"name": "act", "arguments": act([question()])});
    let mut asked = client.ask("tools/call", params.clone());
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let requests = asked["inputRequests"].as_object().unwrap();
    let answers = requests
        .keys()
        .map(|key| (key.clone(), json!({"action": "decline"})));
    let mut retry = params;
    retry["inputResponses"] = Value::Object(answers.collect());
    retry["requestState"] = asked["requestState"].take();
    let result = client.ask("tools/call", retry);
    assert!(text_of(&result).contains("decline"), "{result}");
}

#[test]
pub(super) fn row_22_modern_progress_comes_on_its_call() {
    let front = Front::start();
    progress(front.modern());
}

/// Far beyond what a noisy machine makes of the second in which it should come.
const AT_ONCE: Duration = Duration::from_secs(10);

#[test]
pub(super) fn row_23_a_call_whose_child_dies_gets_an_error_at_once() {
    let front = Front::start();
    for mut client in front.both() {
        let begun = Instant::now();
        let id = client.call("act", act([json!(["signal", 9])]));
        let answer = client.answer(&id);
        assert!(begun.elapsed() < AT_ONCE, "after {:?}", begun.elapsed());
        // A peer may say it in the result of the tool.
        let is_error = answer.get("error").is_some() || answer["result"]["isError"] == true;
        assert!(is_error, "{answer}");
    }
}

#[test]
pub(super) fn row_24_the_same_client_is_served_by_the_next_child() {
    let front = Front::start();
    for mut client in front.both() {
        let id = client.call("act", act([json!(["signal", 9])]));
        client.answer(&id);
        assert_eq!(client.text_of("echo", json!({"message": "again"})), "again");
    }
}

#[test]
pub(super) fn row_25_a_new_client_is_served_by_the_next_child() {
    let front = Front::start();
    let mut first = front.legacy();
    let id = first.call("act", act([json!(["signal", 9])]));
    first.answer(&id);
    for mut client in front.both() {
        assert_eq!(client.text_of("echo", json!({"message": "new"})), "new");
        client.finish();
    }
}
