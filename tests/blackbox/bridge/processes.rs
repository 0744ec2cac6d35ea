//! The server as a process among others: how it ends with the one client that started it, and what children write into
//! its log, its output and its memory.

use std::process::Command;

use serde_json::{Value, json};

use super::front::{Front, command_line, legacy};
use super::sinner::{act, act_inline, misbehaving};
use crate::harness::{
    Conversation, Dialect, Process, Request, Revision, Scratch, Server, Stdio, WEIR, case, eventually,
    eventually_some, text_of,
};
use crate::logs::assert_is_clean;

/// `weir stdio` with children that do these actions.
fn stdio(mark: &str, actions: &[&str], pool: &str) -> Command {
    let mut command = Command::new(WEIR);
    let child = command_line(&misbehaving(mark, actions));
    command.args(["stdio", "--log-level", "trace", "--stdio", &child, "--pool", pool]);
    command
}

/// Processes with this word among their arguments.
fn marked(mark: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let arguments = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let has_mark = |arguments: &Vec<u8>| {
        arguments
            .split(|byte| *byte == 0)
            .any(|argument| argument == mark.as_bytes())
    };
    arguments.filter(has_mark).count()
}

fn mark(name: &str) -> String {
    format!("processes-{}-{name}", std::process::id())
}

/// The end of input ends the server with 0 and every child of it, those too that do not want to.
#[test]
fn a_client_that_leaves_leaves_nobody_behind() {
    for (actions, pool) in [
        (vec!["mcp"], "mode=session"),
        (vec!["mcp"], "mode=shared,min_idle=2,max=2"),
        (
            vec!["ignore-term", "mcp", "hang"],
            "mode=session,stop_grace=100ms",
        ),
        (
            vec!["child:[setsid,ignore-term,hang]", "mcp"],
            "mode=session,stop_grace=100ms",
        ),
    ] {
        let _case = case(format!("{actions:?} {pool}"));
        let mark = mark("left");
        let command = stdio(&mark, &actions, pool);
        let mut client = Conversation::new(Box::new(Stdio::start(command, legacy().revision)), legacy());
        client.initialize();
        assert_eq!(client.text_of("echo", json!({"message": "here"})), "here");
        // It checks that the output ends, with nothing more on it, and the status.
        client.finish();
        eventually("nobody is left", || marked(&mark) == 0);
    }
}

/// A client that is gone is no error, though a child has a call of its, and an answer for it.
#[test]
fn a_client_whose_output_is_closed_ends_it_quietly() {
    let mark = mark("unheard");
    let command = stdio(&mark, &["mcp"], "mode=session,stop_grace=100ms");
    let (mut process, mut input, output) = Process::spawn_piped(command);
    let mut say = |request: Request| {
        let mut line = request.body;
        line.push(b'\n');
        std::io::Write::write_all(&mut input, &line).unwrap();
    };
    say(legacy().initialize(1));
    say(legacy().tool(2, "act", act([json!(["sleep", 60_000])])));
    eventually("a child has the call", || {
        process.stderr().contains("a child is ready")
    });
    drop(output);
    say(legacy().tool(3, "echo", json!({"message": "unheard"})));
    assert_eq!(process.wait().code(), Some(0), "{}", process.stderr());
    let said = process.stderr();
    let is_trouble = |line: &str| line.contains("ERROR") || line.contains("panicked at");
    assert!(!said.lines().any(is_trouble), "{said}");
    eventually("nobody is left", || marked(&mark) == 0);
}

/// Whatever a child writes to its own output and to stderr, the client's lines are messages. `Stdio` judges each.
#[test]
fn nothing_but_messages_reaches_the_client() {
    for dialect in [legacy(), Dialect::modern()] {
        let mark = mark("rubbish");
        let command = stdio(&mark, &["mcp"], "mode=shared,max=1");
        let mut client = Conversation::new(Box::new(Stdio::start(command, dialect.revision)), dialect);
        if !client.is_modern() {
            client.initialize();
        }
        for rubbish in [
            "hello\n",
            "\r\n\r\n",
            "\u{ff}\u{0}\n",
            "[{\"jsonrpc\":\"2.0\"}]\n",
            "\"\\u000a\"\n",
        ] {
            let steps = act([
                json!(["write", rubbish]),
                json!(["mutter", rubbish]),
                json!(["stderr", 5000]),
            ]);
            let id = client.call("act", steps);
            assert_eq!(text_of(&client.result(&id)), "done");
        }
        client.finish();
    }
}

/// What stands between words, where one record must not become two, and a terminal must not be told anything. A child
/// can write all of it but ends of lines, which make two lines of its own.
const BETWEEN: [&str; 8] = [
    "\r",
    "\u{1b}[31m",
    "\u{2028}",
    "\u{85}",
    "\0",
    "\u{202e}",
    "\u{9b}31m",
    "\u{2066}",
];

/// The bytes of a text as the characters that the sinner writes a byte each for.
fn as_bytes(text: &str) -> String {
    text.bytes().map(char::from).collect()
}

#[test]
fn nothing_from_a_child_reaches_the_log_raw() {
    let (forged, token) = ("FORGED-7c2d", "tok-51aa90be");
    for format in ["text", "json"] {
        let _case = case(format);
        let flags = ["--log-level", "trace", "--log-format", format];
        let mut front = Front::with(&["mcp"], "max=1", &flags);
        let server = front.weir();
        let session = server.open_session(&legacy());
        for between in BETWEEN.into_iter().chain(["\n", "\r\n"]) {
            let hostile = format!("a{between}{forged}");
            let error = json!({"code": -32603, "message": hostile, "data": {"why": hostile}}).to_string();
            let log = json!({"level": "error", "logger": hostile, "data": hostile});
            for dialect in [&session, &Dialect::modern()] {
                for request in [
                    dialect.tool(1, "act", act([json!(["mutter", as_bytes(&hostile)])])),
                    dialect.tool(
                        1,
                        "act",
                        act([json!(["write", as_bytes(&format!("{hostile}\n"))])]),
                    ),
                    dialect.tool(1, "act", act([json!(["notify", "notifications/message", log])])),
                    dialect.tool(1, "act", act([json!(["notify", hostile, {}])])),
                    dialect.tool(1, "act", act([json!(["error", error])])),
                    dialect.tool(1, "act", act([json!(["ask", hostile, {}])])),
                    dialect.tool(1, &hostile, json!({})).with("Mcp-Name", "x"),
                ] {
                    let answered = server.ask(&request.plus("Authorization", format!("Bearer {token}")));
                    assert!(answered.status < 500, "{answered:?}");
                }
            }
        }
        // Its last words are the reason of its death.
        let last = as_bytes(&format!("last\u{1b}[31m\u{2028}{forged}"));
        server.ask(&Dialect::modern().tool(1, "act", act([json!(["mutter", last]), json!(["exit", 3])])));
        eventually("its death is logged", || server.stderr().contains("status 3"));
        let heard = server.ask(&Dialect::modern().tool(1, "act", act(["heard"])));
        assert!(!heard.text().contains(token), "a child has heard a token");
        let said = server.stderr() + &server.stdout();
        assert!(
            said.contains(forged) && !said.contains(token),
            "a token was logged"
        );
        assert_is_clean(&said, format, forged);
    }
}

/// The words of a file are logged and shown, too: its program with its arguments, and a server's name, which may not be
/// everything.
#[test]
fn nothing_from_a_file_of_servers_reaches_the_log_raw() {
    let forged = "FORGED-19fe";
    let scratch = Scratch::new("bridge-forged-file");
    let servers: serde_json::Map<String, Value> = BETWEEN
        .iter()
        .enumerate()
        .filter(|(_, between)| **between != "\0")
        .map(|(number, between)| {
            let is_control = between.starts_with(char::is_control);
            let name = format!("s{number}{}{forged}", if is_control { "" } else { between });
            let argument = format!("a{between}{forged}");
            (name, json!({"command": "false", "args": [argument]}))
        })
        .collect();
    std::fs::write(
        scratch.path().join("servers.json"),
        json!({"mcpServers": servers}).to_string(),
    )
    .unwrap();
    let file = scratch.text("servers.json");
    let arguments = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--mcp-json",
        &file,
    ];
    let server = Server::over(Process::start(&arguments));
    eventually("programs fail", || server.stderr().contains("has died"));
    let said = server.stderr() + &server.stdout();
    assert!(said.contains(forged), "{said}");
    assert_is_clean(&said, "text", forged);
}

/// A line of a child's that is no message is skipped, and logged as far as it says what it is.
#[test]
fn a_line_that_is_no_message_is_logged_in_its_beginning() {
    let mut front = Front::start();
    let long = format!("Starting… {}\n", "x".repeat(5000));
    let steps = act([json!(["write", as_bytes(&long)])]);
    assert_eq!(front.modern().text_of("act", steps), "done");
    let record = eventually_some("it is logged", || {
        let said = front.weir().stderr();
        let mut lines = said.lines().map(str::to_owned);
        lines.find(|line| line.contains("what is no message"))
    });
    assert!(
        record.contains("Starting… xxx") && record.len() < 1000,
        "{record}"
    );
}

/// A child that reads nothing while a mebibyte waits for it holds nobody up but its own clients, and what waits is
/// bounded.
#[test]
fn others_are_served_beside_a_child_that_does_not_read() {
    const WAITING: usize = 24;
    let mut front = Front::with(&["mcp"], "max=2,min_idle=2,max_in_flight=4", &["--shards", "2"]);
    eventually("both run", || front.processes().len() == 2);
    let before = front.weir().resident_kib();
    let mut stuck = front.modern();
    let id = stuck.call("act", act_inline([json!(["sleep", 2000])]));
    let large = json!({"message": "x".repeat(1 << 20)});
    let mut senders: Vec<(Conversation, Value)> = (0..WAITING)
        .map(|_| {
            let mut client = front.modern();
            let id = client.call("echo", large.clone());
            (client, id)
        })
        .collect();
    // Some of them are at the one that reads.
    for _ in 0..20 {
        assert_eq!(
            front.modern().text_of("echo", json!({"message": "small"})),
            "small"
        );
    }
    let grown_kib = front.weir().resident_kib().saturating_sub(before);
    assert!(grown_kib < 4 * (WAITING as u64 + 1) * 1024, "{grown_kib} KiB");
    for (client, id) in &mut senders {
        assert_eq!(text_of(&client.result(id)).len(), 1 << 20);
    }
    stuck.result(&id);
    front.weir().assert_well();
}

/// An old revision keeps the rule, too: what a child says to nobody is not put on a client's lines.
#[test]
fn a_client_of_the_first_revision_has_clean_lines() {
    let dialect = Dialect::legacy(Revision::ALL_LEGACY[0]);
    let command = stdio(&mark("first"), &["mcp"], "mode=session");
    let mut client = Conversation::new(Box::new(Stdio::start(command, dialect.revision)), dialect);
    client.initialize();
    let id = client.call("act", act([json!(["write", "hello\n"])]));
    assert_eq!(text_of(&client.result(&id)), "done");
    client.finish();
}
