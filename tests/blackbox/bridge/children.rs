//! The children of these tests, without anything between: they speak the protocol where they should, and sin as told.

use std::io::{Read, Write};
use std::process::Command;
use std::thread;

use serde_json::{Value, json};

use super::sinner::{act, act_inline, misbehaving};
use crate::harness::{CHILDS_OWN, Conversation, Dialect, Process, Revision, Stdio, example, text_of};

const NEWEST: Revision = Revision::NEWEST_LEGACY;

/// A child in a conversation that has not begun.
fn child(command: Command, revision: Revision) -> Conversation {
    let dialect = Dialect::legacy(revision).able(json!({"elicitation": {}}));
    Conversation::new(Box::new(Stdio::start(command, revision)), dialect)
}

fn misbehave(options: &str) -> Conversation {
    child(misbehaving("direct", &[&format!("mcp:[{options}]")]), NEWEST)
}

/// Sends bytes to a child and returns all it wrote until its end.
fn whole_output(mut command: Command, input: &[u8]) -> Vec<u8> {
    let (mut process, mut stdin, mut stdout) = Process::spawn_piped({
        command.env_clear();
        command
    });
    let mut output = Vec::new();
    // Both ways at once: pipes hold little.
    thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        stdout.read_to_end(&mut output).unwrap();
    });
    process.wait();
    output
}

#[test]
fn the_echo_child_speaks_every_legacy_revision() {
    for revision in Revision::ALL_LEGACY {
        let mut echo = child(Command::new(example("echo_child")), revision);
        let introduction = echo.initialize();
        assert_eq!(introduction["serverInfo"]["name"], "echo-child");
        let tools = echo.ask("tools/list", json!({}));
        assert_eq!(tools["tools"].as_array().unwrap().len(), 3);
        let text = "with \"quotes\", a \n newline and an é";
        assert_eq!(echo.text_of("echo", json!({"message": text})), text);
        assert_eq!(echo.text_of("add", json!({"a": 1.5, "b": 2})), "3.5");
        let greeting = echo.ask(
            "prompts/get",
            json!({"name": "greet", "arguments": {"name": "Ada"}}),
        );
        assert_eq!(greeting["messages"][0]["content"]["text"], "Greet Ada.");
        let read = echo.ask("resources/read", json!({"uri": "memo://hello"}));
        assert_eq!(read["contents"][0]["text"], "Hello!");
        let id = echo.send("resources/read", json!({"uri": "memo://none"}));
        echo.error(&id, -32002);
        let id = echo.call("none", json!({}));
        echo.error(&id, -32602);
        let id = echo.call("echo", json!({"message": 1}));
        echo.error(&id, -32602);
        let id = echo.send("server/discover", json!({}));
        echo.error(&id, -32601);
        echo.finish();
    }
}

#[test]
fn the_echo_child_goes_on_while_a_call_sleeps() {
    let mut echo = child(Command::new(example("echo_child")), NEWEST);
    echo.initialize();
    let cancelled = echo.call("sleep", json!({"ms": 1}));
    echo.cancel(&cancelled);
    let slow = echo.call("sleep", json!({"ms": 300}));
    assert_eq!(echo.text_of("echo", json!({"message": "meanwhile"})), "meanwhile");
    assert_eq!(text_of(&echo.result(&slow)), "slept");
    echo.finish();
}

#[test]
fn the_echo_child_answers_many_lines_at_once() {
    let call = |id: usize| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "echo", "arguments": {"message": id.to_string()}}});
    let input: String = (0..5000).map(|id| format!("{}\n", call(id))).collect();
    let output = whole_output(Command::new(example("echo_child")), input.as_bytes());
    let lines: Vec<Value> = output
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 5000);
    for (id, line) in lines.iter().enumerate() {
        assert_eq!(text_of(&line["result"]), id.to_string());
        assert_eq!(line["id"], id);
    }
}

#[test]
fn the_sinner_keeps_the_protocol_if_it_is_told_nothing_else() {
    let mut sinner = misbehave("");
    let introduction = sinner.initialize();
    assert_eq!(introduction["instructions"], "Tell me what to do.");
    assert!(introduction["capabilities"]["completions"].is_object());
    assert_eq!(sinner.text_of("echo", json!({"message": "a"})), "a");
    assert_eq!(sinner.text_of("act", json!({})), "done");
    let first = sinner.ask("tools/list", json!({}));
    assert_eq!(first["nextCursor"], "2");
    let second = sinner.ask("tools/list", json!({"cursor": "2"}));
    assert!(sinner.text().contains(r#""n":1.10"#), "{}", sinner.text());
    assert_eq!(second["tools"][0]["name"], "page-2");
    assert_eq!(second.get("nextCursor"), None);
    assert_eq!(sinner.text_of("page-2", json!({})), "page-2");
    let id = sinner.call("page-3", json!({}));
    sinner.error(&id, -32602);
    let read = sinner.ask("resources/read", json!({"uri": "child://one"}));
    assert_eq!(read["contents"][0]["text"], "one");
    let id = sinner.send("resources/read", json!({"uri": "child://two"}));
    assert_eq!(sinner.error(&id, -32002)["data"]["uri"], "child://two");
    sinner.ask("prompts/get", json!({"name": "greet"}));
    sinner.ask("resources/subscribe", json!({"uri": "child://one"}));
    let heard: Vec<String> = serde_json::from_str(&sinner.text_of("act", act(["heard"]))).unwrap();
    assert!(heard[0].contains("\"initialize\""), "{heard:?}");
    assert!(heard.last().unwrap().contains("resources/subscribe"), "{heard:?}");
    sinner.finish();
}

#[test]
fn the_sinners_steps_do_what_their_table_says() {
    let mut sinner = misbehave("pages:1");
    sinner.initialize();
    let result = r#"{"content":[],"n":1.10,"n":12345678901234567890123}"#;
    let id = sinner.call("act", act([json!(["answer", result])]));
    sinner.result(&id);
    assert!(sinner.text().contains(result), "{}", sinner.text());
    let error = r#"{"code":-31999,"message":"no","data":[1.10]}"#;
    let id = sinner.call("act", act([json!(["error", error])]));
    sinner.error(&id, CHILDS_OWN);
    assert!(sinner.text().contains(error), "{}", sinner.text());
    let id = sinner.call("act", act([json!(["bytes", 1000])]));
    sinner.result(&id);
    assert_eq!(sinner.text().len(), 1000);
    let id = sinner.call_with(
        "act",
        act([json!(["progress", 2])]),
        json!({"progressToken": "t"}),
    );
    for progress in 1..=2 {
        let report = sinner.notification("notifications/progress");
        assert_eq!(
            report,
            json!({"progressToken": "t", "progress": progress, "total": 2})
        );
    }
    sinner.result(&id);
    for count in ["1", "2"] {
        assert_eq!(sinner.text_of("act", act(["count"])), count);
    }
    assert_eq!(sinner.text_of("act", act(["counted"])), "2");
    let id = sinner.call("act", act([json!(["add", "new"])]));
    sinner.notification("notifications/tools/list_changed");
    sinner.result(&id);
    assert_eq!(sinner.text_of("new", json!({})), "new");
    let line = sinner.text_of("act", json!({"steps": ["line"], "odd": "é"}));
    assert!(
        line.starts_with(r#"{"jsonrpc":"2.0","id":"#) && line.contains("é"),
        "{line}"
    );
    sinner.finish();
}

#[test]
fn the_sinner_asks_and_can_be_cancelled() {
    let mut sinner = misbehave("");
    sinner.initialize();
    let question =
        json!({"message": "who?", "requestedSchema": {"type": "object", "properties": {}}, "mode": "form"});
    let call = sinner.call("act", act([json!(["ask", "elicitation/create", question])]));
    let asked = sinner.message();
    assert_eq!(asked["method"], "elicitation/create");
    sinner.respond(&asked["id"], &json!({"action": "decline"}));
    assert!(text_of(&sinner.result(&call)).contains("decline"));
    let first = sinner.call("act", act(["await-cancel"]));
    let second = sinner.call("act", act(["await-cancel", "forget"]));
    sinner.cancel(&second);
    sinner.cancel(&first);
    assert_eq!(text_of(&sinner.result(&first)), "done");
    sinner.finish();
}

#[test]
fn the_sinner_writes_bytes_that_are_no_text() {
    // The end of its input ends the process, whatever its calls do: this one is done by the thread that reads.
    let steps = act_inline([json!(["write", "\u{ff}\n{\"id\":$ID}\n"])]);
    let params = json!({"name": "act", "arguments": steps});
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
    let command = misbehaving("direct", &["say:first", "mcp", "say:last"]);
    let output = whole_output(command, format!("{call}\n").as_bytes());
    assert_eq!(output, b"first\n\xff\n{\"id\":7}\nlast\n");
}

#[test]
fn the_sinner_sins_by_its_options() {
    let initialize = Dialect::legacy(NEWEST).initialize(1);
    let line = [&initialize.body[..], b"\n"].concat();
    let said = |action: &str| {
        let output = whole_output(misbehaving("direct", &[action]), &line);
        String::from_utf8(output).unwrap()
    };
    assert_eq!(said("mcp:silent"), "");
    assert!(said("mcp:refuse").contains("not today"));
    let odd = said("mcp:[bare,revision:1999-01-01,instructions:be good]");
    assert!(odd.contains("\"1999-01-01\"") && odd.contains("be good") && !odd.contains("prompts"));
    let mut endless = misbehave("endless");
    endless.initialize();
    assert_eq!(
        endless.ask("tools/list", json!({"cursor": "70"}))["nextCursor"],
        "71"
    );
    endless.finish();
    let mut repeating = misbehave("repeat");
    repeating.initialize();
    assert_eq!(
        repeating.ask("tools/list", json!({"cursor": "2"}))["nextCursor"],
        "2"
    );
    repeating.finish();
}
