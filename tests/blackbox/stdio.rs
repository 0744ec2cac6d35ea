//! A server of the client's own, on stdin and stdout: what ends it, what it never prints, and how it treats lines that
//! no client should send. The regular conversations are in `transcripts`.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Dialect, Process, Request, Revision, Scratch, WEIR, eras, eventually};

/// Longer than anything here takes on a busy machine; only a failing test waits so long.
const PATIENCE: Timespec = Timespec {
    tv_sec: 20,
    tv_nsec: 0,
};
const OVERLOADED: i64 = -31503;
/// A time that no test waits for.
const FOREVER_MS: u64 = 60_000;

/// A server and its client's ends of the pipes.
struct Client {
    process: Process,
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
    /// The bytes that came and were not looked at.
    came: Vec<u8>,
}

fn command(flags: &[&str]) -> Command {
    let mut command = Command::new(WEIR);
    command.args(["stdio", "--toolset", "demo"]).args(flags);
    command
}

impl Client {
    fn start(flags: &[&str]) -> Self {
        let (process, input, output) = Process::spawn_piped(command(flags));
        Self {
            process,
            input: Some(input),
            output: Some(output),
            came: Vec::new(),
        }
    }

    /// A server that was started, and is known to serve.
    fn ready(flags: &[&str]) -> Self {
        let mut client = Self::start(flags);
        client.say(&ping("ready"));
        assert_eq!(client.next()["id"], "ready");
        client
    }

    fn say(&mut self, message: &Request) {
        self.say_bytes(&message.body);
        self.say_bytes(b"\n");
    }

    fn say_bytes(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// The next line, which must be a message.
    #[track_caller]
    fn next(&mut self) -> Value {
        loop {
            if let Some(end) = self.came.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.came.drain(..=end).collect();
                return message(&line);
            }
            assert!(self.read_some(), "the output ended: {}", self.process.stderr());
        }
    }

    /// The next `count` lines by their ids, in any order.
    #[track_caller]
    fn next_by_id(&mut self, count: usize) -> std::collections::HashMap<String, Value> {
        let answers = (0..count).map(|_| self.next());
        answers.map(|answer| (answer["id"].to_string(), answer)).collect()
    }

    /// Reads what is there, after waiting for it; returns false at the end.
    fn read_some(&mut self) -> bool {
        let output = self.output.as_mut().unwrap();
        let ready = poll(&mut [PollFd::new(output, PollFlags::IN)], Some(&PATIENCE)).unwrap();
        assert_ne!(ready, 0, "nothing came");
        let mut buffer = [0; 16 << 10];
        let count = output.read(&mut buffer).unwrap();
        self.came.extend_from_slice(&buffer[..count]);
        count > 0
    }

    /// Closes the input; returns every message that still comes, once the process ended well.
    #[track_caller]
    fn leave(mut self) -> Vec<Value> {
        self.input = None;
        self.rest()
    }

    /// Every message that still comes until the process has ended well.
    #[track_caller]
    fn rest(&mut self) -> Vec<Value> {
        while self.read_some() {}
        self.assert_ended_well();
        self.came
            .split_inclusive(|byte| *byte == b'\n')
            .map(message)
            .collect()
    }

    #[track_caller]
    fn assert_ended_well(&mut self) {
        assert_eq!(self.process.wait().code(), Some(0), "{}", self.process.stderr());
        let said = self.process.stderr();
        let is_trouble = ["ERROR", "panicked at"].iter().any(|word| said.contains(word));
        assert!(!is_trouble, "{said}");
    }
}

/// A line must be one JSON-RPC message and end as a line does.
#[track_caller]
fn message(line: &[u8]) -> Value {
    let text = std::str::from_utf8(line).unwrap();
    let message: Value = serde_json::from_str(text.strip_suffix('\n').unwrap()).unwrap();
    assert_eq!(message["jsonrpc"], "2.0", "{message}");
    message
}

fn legacy() -> Dialect {
    Dialect::legacy(Revision::NEWEST_LEGACY)
}

fn ping(id: &str) -> Request {
    legacy().request(id, "ping", json!({}))
}

fn sleep(dialect: &Dialect, id: impl Into<Value>, ms: u64) -> Request {
    dialect.tool(id, "sleep", json!({ "ms": ms }))
}

fn text_of(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn the_end_of_input_ends_the_process_within_the_second() {
    let took = (0..5).map(|_| {
        let client = Client::ready(&[]);
        let begin = Instant::now();
        assert_eq!(client.leave(), [] as [Value; 0]);
        begin.elapsed()
    });
    let quickest = took.min().unwrap();
    assert!(quickest <= Duration::from_secs(1), "{quickest:?}");
}

#[test]
fn a_client_that_says_nothing_is_left_as_well() {
    assert_eq!(Client::start(&[]).leave(), [] as [Value; 0]);
}

#[test]
fn input_may_be_nothing_or_a_file() {
    let scratch = Scratch::new("stdio");
    let asked = scratch.text("asked");
    let ids = ["a", "b", "c"];
    let lines: Vec<Vec<u8>> = ids.iter().map(|id| ping(id).body).collect();
    // The last line lacks its line feed.
    std::fs::write(&asked, lines.join(&b'\n')).unwrap();
    for (input, answered) in [("/dev/null", &[][..]), (asked.as_str(), &ids)] {
        let output = scratch.text("answered");
        let mut command = command(&[]);
        command
            .stdin(File::open(input).unwrap())
            .stdout(File::create(&output).unwrap())
            .stderr(Stdio::null());
        assert_eq!(command.status().unwrap().code(), Some(0), "{input}");
        let answers = std::fs::read(&output).unwrap();
        let answers: Vec<Value> = answers
            .split_inclusive(|byte| *byte == b'\n')
            .map(message)
            .collect();
        let answered: Vec<Value> = answered.iter().map(|id| json!(id)).collect();
        assert_eq!(
            answers
                .iter()
                .map(|answer| answer["id"].clone())
                .collect::<Vec<_>>(),
            answered
        );
    }
}

#[test]
fn a_last_line_without_its_end_is_answered() {
    let mut client = Client::ready(&[]);
    client.say_bytes(&legacy().echo(1, "last words").body);
    let answers = client.leave();
    assert_eq!(answers.len(), 1);
    assert_eq!(text_of(&answers[0]), "last words");
    let mut client = Client::ready(&[]);
    client.say_bytes(br#"{"jsonrpc":"2.0","id":1,"me"#);
    let answers = client.leave();
    assert_eq!((answers.len(), &answers[0]["error"]["code"]), (1, &json!(-32700)));
}

#[test]
fn calls_in_flight_at_the_end_of_input_have_a_moment() {
    for dialect in eras() {
        let mut client = Client::ready(&[]);
        client.say(&sleep(&dialect, "short", 20));
        client.say(&sleep(&dialect, "long", FOREVER_MS));
        let answers = client.leave();
        let ids: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
        assert_eq!(ids.first(), Some(&&json!("short")), "{answers:?}");
        assert_eq!(text_of(&answers[0]), "slept 20 ms");
        assert!(
            answers
                .iter()
                .all(|answer| answer["id"] == "short" || answer.get("error").is_some())
        );
    }
}

/// A client that closes its input may stay to read; legacy calls have the better part of the second.
#[test]
fn legacy_calls_finish_after_the_end_of_input() {
    let mut client = Client::ready(&[]);
    client.say(&sleep(&legacy(), 1, 400));
    let answers = client.leave();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(text_of(&answers[0]), "slept 400 ms");
}

#[test]
fn work_on_threads_does_not_hold_up_the_end() {
    for dialect in eras() {
        let mut client = Client::ready(&[]);
        client.say(&dialect.tool(1, "spin", json!({"ms": 10_000})));
        client.say(&ping("behind"));
        assert_eq!(client.next()["id"], "behind");
        let begin = Instant::now();
        client.leave();
        assert!(
            begin.elapsed() < Duration::from_secs(8),
            "the call was waited for"
        );
    }
}

#[test]
fn a_client_that_is_gone_is_no_error() {
    let mut client = Client::ready(&[]);
    client.output = None;
    client.say(&ping("unheard"));
    client.assert_ended_well();
    assert!(client.input.is_some(), "its input was open to the last");
    // Nobody is left to get the answers of calls in flight.
    let mut client = Client::ready(&[]);
    client.say(&sleep(&legacy(), 1, FOREVER_MS));
    client.output = None;
    client.say(&ping("unheard"));
    client.assert_ended_well();
}

#[test]
fn nothing_but_messages_is_on_stdout() {
    let mut client = Client::ready(&["--log-level", "trace", "--report", "text"]);
    client.process.signal(Signal::USR1);
    let process = &client.process;
    eventually("the report", || process.stderr().contains("Latency by stage"));
    client.say(&legacy().tool("panic", "fail", json!({"how": "panic"})));
    assert_eq!(client.next()["id"], "panic");
    client.say(&legacy().echo("echo", "still here"));
    assert_eq!(text_of(&client.next()), "still here");
    client.input = None;
    while client.read_some() {}
    assert_eq!(client.came, b"");
    assert_eq!(client.process.wait().code(), Some(0));
    assert_eq!(
        client.process.stderr().matches("weir report").count(),
        2,
        "on demand and at exit"
    );
}

#[test]
fn signals_drain() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut idle = Client::ready(&[]);
        idle.process.signal(signal);
        assert_eq!(idle.rest(), [] as [Value; 0]);

        let mut busy = Client::ready(&[]);
        busy.say(&sleep(&legacy(), 1, 300));
        busy.say(&ping("behind"));
        assert_eq!(busy.next()["id"], "behind");
        busy.process.signal(signal);
        let answers = busy.rest();
        assert_eq!(answers.len(), 1);
        assert_eq!(text_of(&answers[0]), "slept 300 ms");
    }
}

#[test]
fn who_goes_on_calling_does_not_put_off_the_end_of_a_drain() {
    for dialect in eras() {
        let mut client = Client::ready(&[]);
        client.say(&sleep(&dialect, 1, 1_000));
        client.process.signal(Signal::TERM);
        let mut id = 1;
        // The signal takes a moment.
        let refused = loop {
            id += 1;
            client.say(&dialect.echo(id, "one more"));
            let answer = client.next();
            assert_eq!(answer["id"], id);
            if answer["error"].is_object() {
                break answer;
            }
        };
        assert_eq!(refused["error"]["data"]["reason"], "draining");
        let answers = client.rest();
        assert_eq!(answers.len(), 1);
        assert_eq!(text_of(&answers[0]), "slept 1000 ms");
    }
}

#[test]
fn lines_that_are_no_messages_are_answered_and_done_with() {
    let mut client = Client::ready(&[]);
    let cases: [(&[u8], Option<i64>); 12] = [
        (b"garbage", Some(-32700)),
        (b"{", Some(-32700)),
        (b"\xff\xfe", Some(-32700)),
        (
            br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"\xff"}}"#,
            Some(-32700),
        ),
        (b"\0", Some(-32700)),
        (b"null", Some(-32600)),
        (b"42", Some(-32600)),
        (b"{}", Some(-32600)),
        (b"[]", Some(-32600)),
        (b"", None),
        (b"\r", None),
        (b"  \t ", None),
    ];
    for (line, code) in cases {
        client.say_bytes(line);
        client.say_bytes(b"\n");
        if let Some(code) = code {
            let answer = client.next();
            assert_eq!(answer["error"]["code"], code, "{}: {answer}", line.escape_ascii());
            let has_id = line.starts_with(br#"{"jsonrpc":"2.0","id":1,"#);
            assert_eq!(answer["id"], if has_id { json!(1) } else { Value::Null });
        }
        client.say_bytes(&ping("next").body);
        client.say_bytes(b"\r\n");
        assert_eq!(client.next()["id"], "next", "after {}", line.escape_ascii());
    }
    assert_eq!(client.leave(), [] as [Value; 0]);
}

#[test]
fn a_line_beyond_the_limit_is_answered_once_and_skipped() {
    const LIMIT: usize = 8 << 10;
    let mut client = Client::ready(&["--body-max", "8KiB"]);
    let fits = legacy().echo("fits", &"x".repeat(LIMIT - 200));
    assert!((LIMIT - 200..=LIMIT).contains(&fits.body.len()));
    let of_length = |bytes: usize| {
        let frame = legacy().echo("long", "").body.len();
        legacy().echo("long", &"x".repeat(bytes - frame))
    };
    client.say(&fits);
    assert_eq!(client.next()["id"], "fits");
    client.say(&of_length(LIMIT));
    assert_eq!(client.next()["id"], "long", "as long as it may be");
    for bytes in [LIMIT + 1, LIMIT + 5_000, 10 << 20] {
        client.say(&of_length(bytes));
        client.say(&ping("next"));
        let refusal = client.next();
        assert_eq!(
            (&refusal["error"]["code"], &refusal["id"]),
            (&json!(-32600), &json!("long")),
            "{refusal}"
        );
        assert_eq!(client.next()["id"], "next", "behind {bytes} bytes");
    }
    // The id may stand anywhere at the top level, but not deeper.
    let filler = "x".repeat(LIMIT);
    for (line, id) in [
        (
            format!(
                r#"{{"method":"ping","params":{{"id":1,"x":["{filler}"]}},"jsonrpc":"2.0","id":"last"}}"#
            ),
            json!("last"),
        ),
        (
            format!(r#"{{"id":12,"x":"{filler}","method":"ping"}}"#),
            json!(12),
        ),
        (
            format!(r#"{{"id":1.0,"x":"{filler}\","method":"ping"}}"#),
            json!(1.0),
        ),
        (
            format!(r#"{{"x":"{filler}","method":"ping","id":5,"id":6}}"#),
            Value::Null,
        ),
        (format!("\"{filler}\""), Value::Null),
    ] {
        client.say_bytes(line.as_bytes());
        client.say_bytes(b"\n");
        let refusal = client.next();
        assert_eq!((&refusal["error"]["code"], &refusal["id"]), (&json!(-32600), &id));
    }
    // A message that wants no answer gets none, however long it is.
    for line in [
        format!(r#"{{"jsonrpc":"2.0","method":"notifications/x","params":{{"x":"{filler}"}}}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":"nobody asked","result":{{"x":"{filler}"}}}}"#),
    ] {
        client.say_bytes(line.as_bytes());
        client.say_bytes(b"\n");
    }
    client.say(&ping("on"));
    assert_eq!(client.next()["id"], "on");
    // The same holds at the end of the input.
    client.say_bytes(format!(r#"{{"id":"cut off","x":"{filler}"#).as_bytes());
    let rest = client.leave();
    assert_eq!((rest.len(), &rest[0]["id"]), (1, &json!("cut off")));
}

/// A call does not wait for an answer that is too long to be read.
#[test]
fn an_answer_beyond_the_limit_ends_the_call_that_waits_for_it() {
    let mut client = Client::ready(&["--body-max", "8KiB"]);
    let able = legacy().able(json!({"elicitation": {}}));
    client.say(&able.initialize("init"));
    assert_eq!(client.next()["id"], "init");
    client.say(&able.tool("call", "ask", json!({"question": "Which?"})));
    let question = client.next();
    assert_eq!(question["method"], "elicitation/create");
    let content = json!({"action": "accept", "content": {"answer": "x".repeat(16 << 10)}});
    client.say(&able.response(&question["id"], &content));
    let answer = client.next();
    assert_eq!(
        (&answer["id"], &answer["result"]["isError"]),
        (&json!("call"), &json!(true)),
        "{answer}"
    );
    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("larger than this server reads"), "{text}");
    client.leave();
}

#[test]
fn what_the_pool_cannot_take_is_refused_by_name() {
    for dialect in eras() {
        let mut client = Client::ready(&["--pool-size", "2", "--queue-depth", "1"]);
        for id in ["1", "2", "3", "4", "5"] {
            client.say(&sleep(&dialect, id, 300));
        }
        let answers = client.next_by_id(5);
        let refused = answers
            .values()
            .filter(|answer| answer["error"]["code"] == OVERLOADED);
        let reasons: Vec<&Value> = refused.map(|answer| &answer["error"]["data"]["reason"]).collect();
        assert_eq!(reasons, ["handlers", "handlers"]);
        let slept = answers
            .values()
            .filter(|answer| answer.get("result").is_some())
            .count();
        assert_eq!(slept, 3);
        assert_eq!(client.leave(), [] as [Value; 0]);
    }
}

#[test]
fn one_client_has_only_so_many_calls_in_flight() {
    let mut client = Client::ready(&["--in-flight-per-connection", "3"]);
    for id in 1..=4 {
        client.say(&sleep(&legacy(), id, 300));
    }
    // A request that needs no handler is not refused.
    client.say(&ping("control"));
    let answers = client.next_by_id(5);
    assert_eq!(answers["4"]["error"]["code"], OVERLOADED, "{answers:?}");
    assert!(answers["\"control\""].get("result").is_some());
    assert_eq!(
        answers
            .values()
            .filter(|answer| answer.get("result").is_some())
            .count(),
        4
    );
}

#[test]
fn a_cancelled_call_is_not_answered_and_frees_its_handler() {
    for dialect in eras() {
        let mut client = Client::ready(&["--pool-size", "1", "--queue-depth", "4"]);
        for id in ["running", "waiting"] {
            client.say(&sleep(&dialect, id, FOREVER_MS));
        }
        client.say(&dialect.cancelled("waiting"));
        client.say(&dialect.cancelled("running"));
        client.say(&dialect.echo("after", "free"));
        let answer = client.next();
        assert_eq!((text_of(&answer), &answer["id"]), ("free", &json!("after")));
        assert_eq!(client.leave(), [] as [Value; 0]);
    }
}

#[test]
fn a_question_goes_out_and_its_answer_comes_in() {
    let able = json!({"elicitation": {"form": {}}});
    let mut client = Client::ready(&[]);
    let dialect = legacy().able(able.clone());
    client.say(&dialect.initialize("open"));
    assert_eq!(client.next()["result"]["protocolVersion"], dialect.revision.0);
    client.say(&dialect.notification("notifications/initialized", json!({})));
    client.say(&dialect.tool("call", "ask", json!({"question": "Who?"})));
    let question = client.next();
    assert_eq!(question["method"], "elicitation/create");
    // Others are served meanwhile.
    client.say(&ping("meanwhile"));
    assert_eq!(client.next()["id"], "meanwhile");
    client.say(&dialect.response(
        &question["id"],
        &json!({"action": "accept", "content": {"answer": "me"}}),
    ));
    let answer = client.next();
    assert!(
        text_of(&answer).contains("me") && answer["id"] == "call",
        "{answer}"
    );

    let dialect = Dialect::modern().able(able);
    client.say(&dialect.tool("modern", "ask", json!({"question": "Who?"})));
    assert_eq!(client.next()["result"]["resultType"], "input_required");
    // A question that stays open does not hold up the end.
    client.say(&legacy().tool("open", "ask", json!({"question": "And who else?"})));
    assert_eq!(client.next()["method"], "elicitation/create");
    client.leave();
}

#[test]
fn a_changed_file_is_told_to_who_subscribed() {
    let scratch = Scratch::new("stdio-watched");
    let file = scratch.path().join("note.txt");
    std::fs::write(&file, "one").unwrap();
    let uri = "file:///note.txt";
    for dialect in eras() {
        let mut client = Client::ready(&["--toolset", "files", "--root", scratch.path().to_str().unwrap()]);
        if dialect.is_modern() {
            let wanted = json!({"notifications": {"resourceSubscriptions": [uri]}});
            client.say(&dialect.request("listen", "subscriptions/listen", wanted));
            assert_eq!(
                client.next()["method"],
                "notifications/subscriptions/acknowledged"
            );
        } else {
            client.say(&dialect.initialize("open"));
            assert_eq!(client.next()["id"], "open");
            client.say(&dialect.notification("notifications/initialized", json!({})));
            client.say(&dialect.request("subscribe", "resources/subscribe", json!({ "uri": uri })));
            assert!(client.next().get("result").is_some());
        }
        std::fs::write(&file, format!("two, {}", dialect.revision.0)).unwrap();
        let told = client.next();
        assert_eq!(told["method"], "notifications/resources/updated");
        assert_eq!(told["params"]["uri"], uri);
        // A subscription does not hold up the end.
        client.leave();
    }
}

/// The server reads no more once so much is unread, and holds no more than that.
#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    const BLOB_BYTES: usize = 32 << 10;
    const CALLS_MAX: usize = 20_000;
    let mut client = Client::ready(&[]);
    let before = client.process.resident_kib();
    let call = legacy().tool(1, "blob", json!({ "bytes": BLOB_BYTES }));
    let line = [call.body.as_slice(), b"\n"].concat();
    let mut calls = 0;
    // A pipe that takes nothing for a second is not being read.
    let stuck = Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    loop {
        let input = client.input.as_ref().unwrap();
        if poll(&mut [PollFd::new(input, PollFlags::OUT)], Some(&stuck)).unwrap() == 0 {
            break;
        }
        client.say_bytes(&line);
        calls += 1;
        assert!(
            calls < CALLS_MAX,
            "it read {calls} calls whose answers nobody took"
        );
    }
    let grown = client.process.resident_kib().saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB more after {calls} calls");
    // Nothing is lost: every request is answered, or refused by name, once the client reads.
    for _ in 0..calls {
        let answer = client.next();
        let length = answer["result"]["content"][0]["text"].as_str().map(str::len);
        assert!(length == Some(BLOB_BYTES) || answer["error"]["code"] == OVERLOADED);
    }
    assert_eq!(client.leave(), [] as [Value; 0]);
}

#[test]
fn large_answers_come_whole_beside_others() {
    let mut client = Client::ready(&[]);
    client.say(&legacy().tool(3_000_001, "blob", json!({"bytes": 3_000_001})));
    client.say(&legacy().echo(1, "a"));
    for _ in 0..2 {
        let answer = client.next();
        let bytes = answer["id"].as_u64().unwrap() as usize;
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.bytes().eq((b'a'..=b'z').cycle().take(bytes)), "{bytes}");
    }
}

#[test]
fn a_client_that_does_not_read_does_not_hold_up_the_end() {
    let mut client = Client::ready(&[]);
    for id in 0..8 {
        client.say(&legacy().tool(id, "blob", json!({"bytes": 256 << 10})));
    }
    client.input = None;
    client.assert_ended_well();
}

#[test]
fn a_client_that_does_not_read_may_leave_what_it_sent_unread() {
    let mut client = Client::ready(&[]);
    for id in 0..8 {
        client.say(&legacy().tool(id, "blob", json!({"bytes": 256 << 10})));
    }
    let mut input = client.input.take().unwrap();
    let flags = rustix::fs::fcntl_getfl(&input).unwrap();
    rustix::fs::fcntl_setfl(&input, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    let line = [ping("one of many").body.as_slice(), b"\n"].concat();
    let mut in_vain = 0;
    eventually("nothing more is read", || {
        match input.write(&line.repeat(100)) {
            Ok(_) => in_vain = 0,
            Err(_) => in_vain += 1,
        }
        in_vain > 20
    });
    drop(input);
    client.assert_ended_well();
}

#[test]
fn ten_megabytes_at_once_are_answered() {
    const BYTES: usize = 10 << 20;
    let mut client = Client::ready(&[]);
    let line = [ping("one of many").body.as_slice(), b"\n"].concat();
    let count = BYTES / line.len();
    let mut input = client.input.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(&line.repeat(count)).map(|()| input));
    for _ in 0..count {
        assert_eq!(client.next()["id"], "one of many");
    }
    client.input = Some(writer.join().unwrap().unwrap());
    assert_eq!(client.leave(), [] as [Value; 0]);
}

#[test]
fn many_run_side_by_side_and_none_listens() {
    // The usual address is taken, which does not matter to them.
    let _taken = TcpListener::bind("127.0.0.1:8080");
    let mut clients: Vec<Client> = (0..16).map(|_| Client::start(&[])).collect();
    for client in &mut clients {
        client.say(&legacy().echo(1, "one of many"));
    }
    for client in &mut clients {
        assert_eq!(text_of(&client.next()), "one of many");
        assert_eq!(listening(client.process.pid()), 0);
    }
    for client in clients {
        assert_eq!(client.leave(), [] as [Value; 0]);
    }
}

/// How many sockets a process listens on.
fn listening(pid: u32) -> usize {
    const LISTEN: &str = "0A";
    let tables = ["tcp", "tcp6"]
        .map(|name| std::fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default());
    let inodes: Vec<String> = tables
        .iter()
        .flat_map(|table| table.lines().skip(1))
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields[3] == LISTEN)
        .map(|fields| format!("socket:[{}]", fields[9]))
        .collect();
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    descriptors
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| inodes.iter().any(|inode| target.as_os_str() == inode.as_str()))
        .count()
}

/// Everything the server prints goes through the log: there is no report unless somebody asks for it.
#[test]
fn no_report_is_printed_unless_it_is_asked_for() {
    for (flags, reports) in [
        (["--log-level", "info"].as_slice(), 0),
        (&["--report", "none"], 0),
        (&["--report", "text"], 1),
    ] {
        let mut client = Client::ready(flags);
        client.input = None;
        assert_eq!(client.rest(), [] as [Value; 0]);
        let said = client.process.stderr();
        assert_eq!(said.matches("weir report").count(), reports, "{flags:?}: {said}");
    }
}

#[test]
fn the_old_spelling_and_the_environment_mean_the_same() {
    let spellings: [(&[&str], &str); 3] = [
        (&["serve", "--transport", "stdio", "--toolset", "demo"], ""),
        (&["serve", "--toolset", "demo"], "stdio"),
        // A flag outranks the environment.
        (&["stdio", "--toolset", "demo"], "http"),
    ];
    for (arguments, variable) in spellings {
        // Our variables are removed from the environment of everything the tests start.
        let mut command = Command::new("env");
        command
            .arg(format!("WEIR_TRANSPORT={variable}"))
            .arg(WEIR)
            .args(arguments);
        let (process, input, output) = Process::spawn_piped(command);
        let mut client = Client {
            process,
            input: Some(input),
            output: Some(output),
            came: Vec::new(),
        };
        client.say(&ping("here"));
        assert_eq!(client.next()["id"], "here", "{arguments:?}");
        client.leave();
    }
}

#[test]
fn options_without_a_use_are_named() {
    let client = Client::ready(&["--listen", "127.0.0.1:1"]);
    let expected = "listen is given, but transport = stdio has no use for it";
    eventually("it is logged", || client.process.stderr().contains(expected));
    client.leave();

    let mut refused = Client::start(&["--shards", "2"]);
    assert_eq!(refused.process.wait().code(), Some(2));
    let said = refused.process.stderr();
    assert!(
        said.contains("shards = 2, but transport = stdio has one client"),
        "{said}"
    );
}

/// Health and metrics are there on request, and sessions know their key.
#[test]
fn admin_and_session_keys_go_with_stdio() {
    let scratch = Scratch::new("stdio-key");
    let key = scratch.path().join("key");
    std::fs::write(&key, (0..32).collect::<Vec<u8>>()).unwrap();
    let flags = [
        "--admin",
        "127.0.0.1:0",
        "--session-key-file",
        key.to_str().unwrap(),
    ];
    let mut client = Client::ready(&flags);
    assert_eq!(listening(client.process.pid()), 1);
    client.say(&legacy().initialize(1));
    assert_eq!(
        client.next()["result"]["protocolVersion"],
        Revision::NEWEST_LEGACY.0
    );
    client.leave();
}
