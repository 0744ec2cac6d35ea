//! A child of many clients that sins in its calls: nothing of it reaches another call, and the next one is served.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::front::{Front, harmless, names_of, told};
use super::sinner::{act, act_inline};
use crate::harness::{Conversation, HUGE, eventually, text_of};

fn text_result(text: &str) -> String {
    json!({"content": [{"type": "text", "text": text}]}).to_string()
}

/// Any error of the protocol.
#[track_caller]
fn assert_fails(client: &mut Conversation, id: &Value) -> Value {
    let mut answer = client.answer(id);
    assert!(answer.get("error").is_some(), "{answer}");
    answer["error"].take()
}

#[track_caller]
fn assert_echoes(client: &mut Conversation) {
    assert_eq!(client.text_of("echo", json!({"message": "well"})), "well");
}

#[test]
fn an_answer_counts_once() {
    let front = Front::start();
    for mut client in front.both() {
        let answers = ["first", "second", "third"].map(|text| json!(["answer", text_result(text)]));
        assert_eq!(told(&mut client, act(answers)), "first");
        // Neither the place of the call nor its id is another's.
        for number in 0..100 {
            let number = number.to_string();
            assert_eq!(client.text_of("echo", json!({"message": number})), number);
        }
        client.finish();
    }
}

#[test]
fn progress_after_the_answer_is_nobodys() {
    let front = Front::start();
    for mut client in front.both() {
        let steps = act([json!(["answer", text_result("first")]), json!(["progress", 3])]);
        let id = client.call_with("act", steps, json!({"progressToken": "t"}));
        assert_eq!(text_of(&client.result(&id)), "first");
        assert_echoes(&mut client);
        client.finish();
    }
}

#[test]
fn broken_bytes_within_an_answer_cost_that_line_alone() {
    let front = Front::start();
    for mut client in front.both() {
        let broken = "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"\u{ff}\"}]}}\n";
        let steps = act([json!(["write", broken]), json!(["answer", text_result("whole")])]);
        assert_eq!(told(&mut client, steps), "whole");
        client.finish();
    }
}

#[test]
fn json_that_is_no_message_is_skipped() {
    harmless(&[
        "[]\n17\nnull\n\"text\"\n{}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":\n",
        "[{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}]\n",
        "{\"jsonrpc\":\"2.0\",\"method\":7}\n",
        "\u{0}\u{1}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"content\":[],\"\u{ed}\u{a0}\u{80}\":1}}\n",
    ]);
}

#[test]
fn messages_for_nobody_are_dropped() {
    let of = |members: &str| format!("{{\"jsonrpc\":\"2.0\",{members}}}\n");
    let messages = [
        of("\"id\":null,\"error\":{\"code\":1,\"message\":\"\"}"),
        of("\"id\":-1,\"result\":{}"),
        of("\"id\":1.5,\"result\":{}"),
        of("\"id\":18446744073709551616,\"result\":{}"),
        of("\"method\":\"notifications/progress\",\"params\":{\"progressToken\":\"whose\",\"progress\":1}"),
        of("\"method\":\"notifications/progress\",\"params\":{\"progressToken\":1,\"progress\":1}"),
        of("\"method\":\"notifications/nothing\""),
        of("\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}"),
    ];
    harmless(&messages.each_ref().map(String::as_str));
}

#[test]
fn an_answer_may_come_in_pieces() {
    let front = Front::start();
    let mut client = front.legacy();
    let pieces = [
        "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{\"content\":[{",
        "\"type\":\"text\",\"text\":\"\u{c3}",
        "\u{a9}\"}]}}",
        "\n",
    ];
    let steps = pieces.map(|piece| json!(["write", piece]));
    let steps = steps.into_iter().flat_map(|step| [step, json!(["sleep", 20])]);
    assert_eq!(told(&mut client, act(steps)), "é");
    client.finish();
}

#[test]
fn the_limit_of_a_message_is_exact() {
    let front = Front::of(&["mcp"], "max=1,message_max=64KiB");
    for mut client in front.both() {
        let id = client.call("act", act([json!(["bytes", 65_536])]));
        text_of(&client.result(&id));
        let id = client.call("act", act([json!(["bytes", 65_537])]));
        assert_fails(&mut client, &id);
        assert_echoes(&mut client);
        client.finish();
    }
}

#[test]
fn sixteen_mebibytes_pass_and_one_byte_more_does_not() {
    let front = Front::start();
    let mut client = front.legacy();
    let id = client.call("act", act([json!(["bytes", 16 << 20])]));
    let answer = client.result(&id);
    assert!(text_of(&answer).len() > (16 << 20) - 200);
    let id = client.call("act", act([json!(["bytes", (16 << 20) + 1])]));
    assert_fails(&mut client, &id);
    assert_echoes(&mut client);
    client.finish();
}

#[test]
fn a_mebibyte_goes_both_ways_while_all_pipes_are_full() {
    let front = Front::start();
    let mut clients: Vec<Conversation> = (0..8).map(|_| front.legacy()).collect();
    let text = |number: usize| char::from(b'a' + number as u8).to_string().repeat(1 << 20);
    let mut other = front.modern();
    let noise = other.call(
        "act",
        act([json!(["stderr", 4 << 20]), json!(["bytes", 4 << 20])]),
    );
    let ids: Vec<Value> = clients
        .iter_mut()
        .enumerate()
        .map(|(number, client)| client.call("echo", json!({"message": text(number)})))
        .collect();
    for (number, client) in clients.iter_mut().enumerate().rev() {
        assert!(text_of(&client.result(&ids[number])) == text(number), "{number}");
    }
    other.result(&noise);
}

#[test]
fn a_child_that_stops_reading_is_replaced() {
    let front = Front::with(&["mcp"], "max=1,stop_grace=100ms", &["--write-timeout", "1s"]);
    let mut first = front.legacy();
    let before = told(&mut first, act(["pid"]));
    let stuck = first.call("act", act_inline(["hang"]));
    let mut others: Vec<Conversation> = (0..3).map(|_| front.legacy()).collect();
    let large = json!({"message": "x".repeat(100_000)});
    let ids: Vec<Value> = others
        .iter_mut()
        .map(|client| client.call("echo", large.clone()))
        .collect();
    assert_fails(&mut first, &stuck);
    for (client, id) in others.iter_mut().zip(&ids) {
        // What was not written yet goes to the successor.
        client.answer(id);
    }
    assert_ne!(told(&mut first, act(["pid"])), before);
    assert_echoes(&mut others[0]);
}

#[test]
fn a_late_answer_to_a_cancelled_call_is_dropped() {
    let front = Front::of(&["mcp"], "max=1,cancel_grace=5s");
    let mut client = front.legacy();
    let steps = ["count", "await-cancel", "count"].map(Value::from).into_iter();
    let late = json!(["answer", text_result("late")]);
    let id = client.call("act", act(steps.chain([late])));
    front.wait_until_counted(1);
    client.cancel(&id);
    front.wait_until_counted(2);
    for _ in 0..20 {
        assert_echoes(&mut client);
    }
    client.finish();
}

#[test]
fn nobody_cancels_anothers_call() {
    let front = Front::start();
    let (mut owner, mut other) = (front.legacy(), front.legacy());
    let id = json!("shared id");
    let steps = act([json!("count"), json!(["sleep", 500])]);
    owner.send_as(&id, "tools/call", json!({"name": "act", "arguments": steps}));
    front.wait_until_counted(1);
    // Its own id is known to nobody else, and those that the child sees are ours.
    for guess in (0..20).map(Value::from).chain([id.clone()]) {
        other.cancel(&guess);
    }
    assert_eq!(text_of(&owner.result(&id)), "1");
    other.finish();
}

#[test]
fn what_a_client_says_reaches_the_child_byte_for_byte() {
    let front = Front::start();
    let mut client = front.legacy();
    let odd = r#""n" : 1.10,"n":2,"digits":12345678901234567890123,"unknown":{"é":[1E2, -0.0]}"#;
    let line = format!(
        r#"{{"jsonrpc":"2.0","id":"odd","method":"tools/call","params":{{"name":"act","arguments":{{"steps":["line"],{odd}}},"_meta":{{"foreign/key":1.10}}}}}}"#
    );
    client.send_raw(line);
    let heard = text_of(&client.result(&json!("odd"))).to_owned();
    assert!(heard.contains(odd), "{heard}");
    assert!(heard.contains(r#""_meta":{"foreign/key":1.10}"#), "{heard}");
    assert!(!heard.contains(r#""id":"odd""#), "{heard}");
    // A number that is infinite to our parser is refused or passed on, and never changed.
    let line = format!(
        r#"{{"jsonrpc":"2.0","id":"huge","method":"tools/call","params":{{"name":"act","arguments":{{"steps":["line"],"n":{HUGE}}}}}}}"#
    );
    client.send_raw(line);
    let answer = client.message();
    let heard = answer["result"]["content"][0]["text"].as_str();
    assert!(
        answer.get("error").is_some() || heard.is_some_and(|heard| heard.contains(HUGE)),
        "{answer}"
    );
}

#[test]
fn the_clients_progress_tokens_are_not_the_childs() {
    let front = Front::start();
    let (mut one, mut two) = (front.legacy(), front.modern());
    let steps = act([
        json!("count"),
        json!(["sleep", 300]),
        json!(["progress", 2]),
        json!("line"),
    ]);
    let token = json!({"progressToken": "same"});
    let ids = [
        one.call_with("act", steps.clone(), token.clone()),
        two.call_with("act", steps, token),
    ];
    for (client, id) in [&mut one, &mut two].into_iter().zip(&ids) {
        for _ in 0..2 {
            let report = client.notification("notifications/progress");
            assert_eq!(report["progressToken"], "same");
        }
        let heard = text_of(&client.result(id)).to_owned();
        assert!(
            heard.contains("progressToken") && !heard.contains("same"),
            "{heard}"
        );
    }
}

#[test]
fn lists_without_end_end() {
    for (option, limit) in [
        ("endless", "limit=64 pages"),
        ("repeat", "limit=a cursor that it has given before"),
    ] {
        let mut front = Front::of(&[&format!("mcp:[{option}]")], "max=1");
        let mut client = front.legacy();
        let names = names_of(&mut client, "tools/list", "tools");
        assert!((3..=65).contains(&names.len()), "{names:?}");
        assert_eq!(client.text_of("page-2", json!({})), "page-2");
        eventually("the log says so", || {
            let said = front.weir().stderr();
            let mut lines = said.lines();
            lines.any(|line| line.contains("is longer than what is read") && line.contains(limit))
        });
    }
}

#[test]
fn a_child_with_nothing_but_tools_has_nothing_else() {
    let front = Front::of(&["mcp:[bare]"], "max=1");
    let introduction = front.connect(super::front::legacy()).initialize();
    let capabilities = introduction["capabilities"].as_object().unwrap();
    assert!(capabilities.contains_key("tools"), "{introduction}");
    for name in ["prompts", "resources", "completions", "logging"] {
        assert!(!capabilities.contains_key(name), "{introduction}");
    }
}

/// A child that answers nothing any more, whoever calls, after this call.
fn silent(step: Value) {
    let pool = "max=1,max_in_flight=2,call_timeout=500ms,cancel_grace=100ms,stop_grace=100ms";
    let front = Front::of(&["mcp"], pool);
    for mut client in front.both() {
        let before = told(&mut client, act(["pid"]));
        let id = client.call("act", act([step.clone(), json!("forget")]));
        assert_fails(&mut client, &id);
        // Half of its places are lost: it is replaced.
        eventually("another child serves", || {
            let id = client.call("act", act(["pid"]));
            let answer = client.answer(&id);
            answer.get("error").is_none() && text_of(&answer["result"]) != before
        });
        assert_echoes(&mut client);
    }
}

#[test]
fn a_child_that_stops_writing_is_replaced() {
    silent(json!("mute"));
}

#[test]
fn a_child_that_is_stopped_by_a_signal_is_replaced() {
    silent(json!(["signal", Signal::STOP.as_raw()]));
}

#[test]
fn a_cancelled_call_that_is_never_answered_harms_nothing_later() {
    let front = Front::of(
        &["mcp"],
        "max=1,max_in_flight=4,cancel_grace=100ms,stop_grace=100ms",
    );
    let before = told(&mut front.legacy(), act(["pid"]));
    // One place is lost, and the child goes on.
    let mut client = front.legacy();
    let id = client.call("act", act(["count", "forget"]));
    front.wait_until_counted(1);
    client.cancel(&id);
    for _ in 0..20 {
        assert_echoes(&mut client);
    }
    client.assert_quiet();
    // With the second one half of them are.
    let mut client = front.modern();
    let id = client.call("act", act(["forget"]));
    client.cancel(&id);
    let mut other = front.legacy();
    eventually("another child serves", || {
        told(&mut other, act(["pid"])) != before
    });
    assert_echoes(&mut front.modern());
}
