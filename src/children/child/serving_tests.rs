//! A child, from what it says and when.

#[path = "between_calls_tests.rs"]
mod between_calls;
#[path = "lists_tests.rs"]
mod lists;
#[path = "modern_tests.rs"]
mod modern;

use std::time::Duration;

use super::*;
use crate::children::child::log_state::LogWish;
use crate::children::child::{Answer, ListName};
use crate::children::line::Kind;
use crate::children::played_process::limits_by_default;
use crate::jsonrpc::Id;
use crate::registry::LogLevel;

const INTRODUCTION: &str =
    r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"n"}}"#;

/// A child with what was told of it, under a clock that stands still until it is moved.
struct Rig {
    child: Child<&'static str>,
    now: Instant,
    told: Vec<String>,
}

impl Rig {
    fn new(limits: ChildLimits) -> Rig {
        let now = Instant::now();
        Rig {
            child: Child::new(limits, Some(&ChildProfile::shared()), false, now),
            now,
            told: Vec::new(),
        }
    }

    /// One that is asked for its era.
    fn probing() -> Rig {
        let now = Instant::now();
        let profile = ChildProfile::shared().speaking(None);
        let mut rig = Rig {
            child: Child::new(limits_by_default(), Some(&profile), false, now),
            now,
            told: Vec::new(),
        };
        assert!(rig.read().contains("server/discover"));
        rig
    }

    /// One that takes calls.
    fn ready(limits: ChildLimits) -> Rig {
        let mut rig = Rig::new(limits);
        assert!(rig.read().contains("initialize"));
        rig.say(&format!("{{\"id\":1,\"result\":{INTRODUCTION}}}\n"));
        assert_eq!(rig.told(), ["ready"]);
        assert!(rig.read().contains("notifications/initialized"));
        rig
    }

    fn say(&mut self, text: &str) {
        let told = &mut self.told;
        self.child
            .on_output(text.as_bytes(), self.now, |event| told.push(shown(event)));
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        let told = &mut self.told;
        self.child.on_time(self.now, |event| told.push(shown(event)));
    }

    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }

    /// What the child reads of what was written so far.
    fn read(&mut self) -> String {
        let mut read = String::new();
        while let Some(write) = self.child.next_write() {
            read.push_str(std::str::from_utf8(&write.buffer[write.range.clone()]).unwrap());
            let bytes = write.range.len();
            self.written(write, Ok(bytes));
        }
        read
    }

    fn written(&mut self, write: PipeWrite, result: io::Result<usize>) {
        let told = &mut self.told;
        self.child
            .on_written(write.buffer, result, self.now, |event| told.push(shown(event)));
    }

    fn call(&mut self, caller: &'static str) -> CallKey {
        let text =
            br#"{"id":"theirs","method":"tools/call","params":{"_meta":{"progressToken":"t"},"x":1.10}}"#;
        let message = Message::read(text).unwrap();
        self.child.submit(text, &message, caller, self.now).unwrap()
    }
}

fn shown(event: ChildEvent<'_, &'static str>) -> String {
    let written = |answer: Answer<'_>| {
        let mut out = Vec::new();
        answer.write(&mut out, Id::Text("theirs"));
        String::from_utf8(out).unwrap()
    };
    match event {
        ChildEvent::Ready { .. } => "ready".to_owned(),
        ChildEvent::Answered { caller, answer, .. } => format!("{caller}: {}", written(answer)),
        ChildEvent::Progress { caller, progress } => {
            let mut out = Vec::new();
            progress.write_progress(&mut out, Id::Text("t"));
            format!("{caller} goes on: {}", String::from_utf8(out).unwrap())
        }
        ChildEvent::AnsweredTooLong { caller } => format!("{caller}: too long"),
        ChildEvent::TimedOut { caller } => format!("{caller}: timed out"),
        ChildEvent::Asked { caller, asked } => {
            format!("{} is asked {}", caller.unwrap_or(&"its client"), asked.number)
        }
        ChildEvent::Unanswered { caller, .. } => format!("{caller} has not answered"),
        ChildEvent::Updated(uri) => format!("updated {uri}"),
        ChildEvent::Changed => "a list has changed".to_owned(),
        ChildEvent::Listed { lists, .. } => format!("{} tools", lists.list(ListName::Tools).len()),
        ChildEvent::Told { caller: None, .. } => "logged".to_owned(),
        ChildEvent::Told {
            caller: Some(caller), ..
        } => format!("logged for {caller}"),
        ChildEvent::Rubbish { text, left_out, why } => {
            format!("rubbish ({left_out}, {why}): {}", text.escape_ascii())
        }
        ChildEvent::Failed(failure) => format!("failed: {failure}"),
    }
}

#[test]
fn a_call_goes_there_and_back_with_only_its_id_and_token_changed() {
    let mut rig = Rig::ready(limits_by_default());
    let key = rig.call("a");
    let id = key.wire_id();
    assert_eq!(
        rig.read(),
        format!(
            "{{\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"_meta\":{{\"progressToken\":{id}}},\"x\":1.10}}}}\n"
        )
    );
    rig.say(&format!(
        "{{\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":{id},\"progress\":0.50}}}}\n{{\"result\":{{\"y\":1e400}},\"id\":{id}}}\n"
    ));
    assert_eq!(
        rig.told(),
        [
            r#"a goes on: {"method":"notifications/progress","params":{"progressToken":"t","progress":0.50}}"#,
            r#"a: {"result":{"y":1e400},"id":"theirs"}"#
        ]
    );
    // Twice, and about a call that is over.
    rig.say(&format!(
        "{{\"id\":{id},\"result\":{{}}}}\n{{\"id\":\"{id}\",\"result\":{{}}}}\n{{\"error\":{{}}}}\n"
    ));
    rig.say(&format!(
        "{{\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":{id}}}}}\n"
    ));
    assert_eq!(rig.told(), [""; 0]);
    assert_eq!(rig.child.counters().stray_answers, 3);
    assert_eq!(rig.child.counters().ignored_notifications, 1);
}

#[test]
fn answers_find_their_calls_in_any_order_and_any_pieces() {
    let mut rig = Rig::ready(limits_by_default());
    let ids = ["a", "b", "c"].map(|caller| rig.call(caller).wire_id());
    assert_eq!(rig.read().lines().count(), 3);
    let answers: String = [2, 0, 1]
        .map(|at| format!("{{\"id\":{},\"result\":{at}}}\n", ids[at]))
        .concat();
    for piece in answers.as_bytes().chunks(7) {
        rig.say(std::str::from_utf8(piece).unwrap());
    }
    assert_eq!(
        rig.told(),
        [
            r#"c: {"id":"theirs","result":2}"#,
            r#"a: {"id":"theirs","result":0}"#,
            r#"b: {"id":"theirs","result":1}"#
        ]
    );
    assert!(rig.child.is_idle());
}

#[test]
fn there_is_room_for_so_many_and_none_before_it_is_ready() {
    let limits = ChildLimits {
        in_flight_max: 2,
        ..limits_by_default()
    };
    let mut rig = Rig::new(limits);
    assert_eq!(rig.child.room(), 0);
    let text = br#"{"id":1,"method":"m"}"#;
    let message = Message::read(text).unwrap();
    assert_eq!(rig.child.submit(text, &message, "early", rig.now), Err("early"));
    let mut rig = Rig::ready(limits);
    rig.call("a");
    let second = rig.call("b");
    assert_eq!(rig.child.submit(text, &message, "c", rig.now), Err("c"));
    rig.say(&format!("{{\"id\":{},\"result\":{{}}}}\n", second.wire_id()));
    assert_eq!(rig.child.room(), 1);
    rig.child.retire();
    assert_eq!(rig.child.room(), 0);
    assert!(!rig.child.is_idle());
}

#[test]
fn a_cancellation_reaches_the_child_and_a_late_answer_harms_nobody() {
    let mut rig = Rig::ready(ChildLimits {
        in_flight_max: 2,
        ..limits_by_default()
    });
    let key = rig.call("a");
    rig.read();
    assert_eq!(rig.child.cancel(key, "it left", rig.now), Some("a"));
    assert_eq!(rig.child.cancel(key, "it left", rig.now), None);
    assert!(
        rig.read()
            .contains(&format!("\"requestId\":{},\"reason\":\"it left\"", key.wire_id()))
    );
    rig.pass(5);
    assert_eq!((rig.child.in_flight().lost(), rig.child.room()), (1, 1));
    assert!(rig.child.in_flight().has_lost_half());
    let lost = |rig: &Rig| (rig.child.tally().places_lost, rig.child.tally().places_lost_total);
    assert_eq!(lost(&rig), (1, 1));
    let other = rig.call("b");
    rig.say(&format!("{{\"id\":{},\"result\":{{}}}}\n", key.wire_id()));
    assert_eq!(rig.told(), [""; 0]);
    rig.say(&format!("{{\"id\":{},\"result\":{{}}}}\n", other.wire_id()));
    assert_eq!(rig.told(), [r#"b: {"id":"theirs","result":{}}"#]);
    assert_eq!((rig.child.room(), lost(&rig)), (2, (0, 1)));
}

#[test]
fn a_call_that_takes_too_long_is_cancelled() {
    let mut rig = Rig::ready(limits_by_default());
    let key = rig.call("a");
    rig.read();
    rig.pass(299);
    assert_eq!(rig.told(), [""; 0]);
    rig.pass(1);
    assert_eq!(rig.told(), ["a: timed out"]);
    assert!(rig.read().contains(&format!("\"requestId\":{}", key.wire_id())));
}

#[test]
fn rubbish_is_told_in_part_and_changes_nothing() {
    let mut rig = Rig::ready(limits_by_default());
    let id = rig.call("a").wire_id();
    rig.say("Server running on stdio\n[]\n\n{\"id\":");
    rig.child
        .on_output(b"\xff\n", rig.now, |event| rig.told.push(shown(event)));
    rig.say(&format!(
        "{}\n{{\"id\":{id},\"result\":{{}}}}\n",
        "x".repeat(1000)
    ));
    let told = rig.told();
    assert_eq!(told[0], "rubbish (0, not JSON): Server running on stdio");
    assert_eq!(told[1], "rubbish (0, no message of JSON-RPC): []");
    assert_eq!(told[2], r#"rubbish (0, not JSON): {\"id\":\xff"#);
    assert_eq!(told[3], format!("rubbish (0, not JSON): {}", "x".repeat(200)));
    assert_eq!(told[4], r#"a: {"id":"theirs","result":{}}"#);
    rig.say(&"no\n".repeat(1000));
    assert_eq!(rig.told().len(), 16);
    rig.pass(1);
    rig.say("no\n");
    assert_eq!(rig.told(), ["rubbish (984, not JSON): no"]);
    assert_eq!(rig.child.counters().rubbish_lines, 1005);
}

#[test]
fn an_answer_that_is_too_long_ends_its_call() {
    let mut rig = Rig::ready(ChildLimits {
        message_bytes_max: 300,
        ..limits_by_default()
    });
    let ids = ["a", "b"].map(|caller| rig.call(caller).wire_id());
    rig.say(&format!("{{\"result\":\"{}\",", "x".repeat(400)));
    rig.say(&format!(
        "\"id\":{}}}\n{{\"id\":{},\"result\":{{}}}}\n",
        ids[0], ids[1]
    ));
    assert_eq!(rig.told(), ["a: too long", r#"b: {"id":"theirs","result":{}}"#]);
}

#[test]
fn its_own_requests_are_answered() {
    let mut rig = Rig::ready(limits_by_default());
    rig.say("{\"id\":\"p\\n\",\"method\":\"ping\"}\n{\"id\":9007199254740993,\"method\":\"elicitation/create\",\"params\":{}}\n");
    assert_eq!(
        rig.read(),
        "{\"jsonrpc\":\"2.0\",\"id\":\"p\\n\",\"result\":{}}\n{\"jsonrpc\":\"2.0\",\"id\":9007199254740993,\"error\":{\"code\":-32601,\"message\":\"there is no client to ask\"}}\n"
    );
    assert_eq!(rig.child.counters().refused_questions, 1);
    // One that asks and does not read is not answered for ever.
    for _ in 0..100_000 {
        rig.say("{\"id\":1,\"method\":\"ping\"}\n");
    }
    assert!(rig.child.held_bytes() < 4 << 20, "{}", rig.child.held_bytes());
    rig.say(&format!(
        "{{\"id\":\"{}\",\"method\":\"ping\"}}\n",
        "x".repeat(5000)
    ));
}

#[test]
fn notifications_lead_where_they_belong() {
    let mut rig = Rig::ready(limits_by_default());
    for method in [
        "tools/list_changed",
        "prompts/list_changed",
        "resources/list_changed",
        "message",
        "unknown",
    ] {
        rig.say(&format!("{{\"method\":\"notifications/{method}\"}}\n"));
    }
    assert_eq!(
        rig.told(),
        [
            "a list has changed",
            "a list has changed",
            "a list has changed",
            "logged"
        ]
    );
}

#[test]
fn the_handshake_fails_in_every_way_it_can() {
    let mut rig = Rig::new(limits_by_default());
    rig.say("{\"id\":1,\"error\":{\"code\":-1,\"message\":\"go away\"}}\n");
    assert_eq!(rig.told(), ["failed: it refused `initialize`: go away"]);
    let mut rig = Rig::new(limits_by_default());
    rig.read();
    rig.pass(29);
    assert_eq!(rig.told(), [""; 0]);
    rig.pass(1);
    rig.pass(1);
    assert_eq!(rig.told(), ["failed: it was not ready in time"], "once");
    let mut rig = Rig::new(limits_by_default());
    rig.child
        .on_output_end(rig.now, |event| rig.told.push(shown(event)));
    assert_eq!(rig.told(), ["failed: it closed its output"]);
    assert_eq!(rig.child.room(), 0);
}

#[test]
fn an_idle_child_is_pinged_and_has_to_answer() {
    let mut rig = Rig::ready(limits_by_default());
    rig.pass(30);
    assert_eq!(rig.read(), "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}\n");
    rig.say("{\"id\":2,\"error\":{\"code\":-32601,\"message\":\"no\"}}\n");
    rig.pass(29);
    assert_eq!(rig.read(), "");
    rig.pass(1);
    assert!(rig.read().contains("\"id\":3,\"method\":\"ping\""));
    let id = rig.call("a").wire_id();
    rig.read();
    rig.pass(100);
    assert_eq!(rig.told(), [""; 0], "a busy child need not answer pings");
    rig.say(&format!("{{\"id\":{id},\"result\":{{}}}}\n"));
    rig.told();
    rig.pass(30);
    assert!(rig.read().contains("\"id\":4,\"method\":\"ping\""));
    rig.pass(30);
    assert_eq!(rig.told(), ["failed: it does not answer"]);
}

#[test]
fn a_child_that_does_not_read_is_noticed_and_its_calls_move() {
    let mut rig = Rig::ready(limits_by_default());
    rig.call("sent");
    let write = rig.child.next_write().unwrap();
    rig.call("waits");
    rig.written(write, Ok(5));
    let write = rig.child.next_write().unwrap();
    rig.pass(29);
    assert_eq!(rig.told(), [""; 0]);
    rig.pass(1);
    assert_eq!(rig.told(), ["failed: it does not read its input"]);
    rig.child.begin_ending(rig.now);
    assert_eq!(rig.child.ending_step(rig.now), Some(EndingStep::CloseInput));
    rig.written(write, Err(io::Error::from_raw_os_error(libc::ECANCELED)));
    let abandoned = rig.child.abandon();
    let [
        Abandoned::Sent { caller: "sent" },
        Abandoned::Unsent {
            caller: "waits",
            line,
        },
    ] = &abandoned[..]
    else {
        panic!("{abandoned:?}")
    };
    // Another child takes it from there.
    let mut other = Rig::ready(limits_by_default());
    let message = Message::read(line).unwrap();
    let key = other.child.submit(line, &message, "waits", other.now).unwrap();
    assert_eq!(
        other.read(),
        format!(
            "{{\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"_meta\":{{\"progressToken\":{id}}},\"x\":1.10}}}}\n",
            id = key.wire_id()
        )
    );
}

#[test]
fn a_child_that_reads_no_more_fails_and_is_ended_step_by_step() {
    let mut rig = Rig::ready(limits_by_default());
    rig.call("a");
    let write = rig.child.next_write().unwrap();
    rig.written(write, Err(io::ErrorKind::BrokenPipe.into()));
    assert_eq!(rig.told(), ["failed: it closed its input"]);
    assert_eq!(rig.child.room(), 0);
    rig.child.begin_ending(rig.now);
    rig.child
        .on_output_end(rig.now, |event| rig.told.push(shown(event)));
    assert_eq!(rig.told(), [""; 0], "that is no news");
    let steps: Vec<_> = [0, 2, 2, 2]
        .into_iter()
        .map(|seconds| {
            rig.now += Duration::from_secs(seconds);
            rig.child.ending_step(rig.now)
        })
        .collect();
    let expected = [
        Some(EndingStep::CloseInput),
        Some(EndingStep::Terminate),
        Some(EndingStep::Kill),
        None,
    ];
    assert_eq!(steps, expected);
    assert!(matches!(
        &rig.child.abandon()[..],
        [Abandoned::Unsent { caller: "a", .. }]
    ));
}

/// Seeded: whatever a child says, in whatever pieces, each call ends at most once and nothing grows.
#[test]
fn nothing_that_a_child_says_confuses_the_calls() {
    for seed in 0..200 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut rig = Rig::ready(ChildLimits {
            in_flight_max: 4,
            message_bytes_max: 300,
            ..limits_by_default()
        });
        let (mut submitted, mut ended) = (0, 0);
        let mut ids = vec![1, 2];
        for _ in 0..200 {
            if rig.child.room() > 0 && rng.bool() {
                ids.push(rig.call("x").wire_id());
                submitted += 1;
            }
            let id = *rng.choice(&ids).unwrap();
            let mut text = match rng.u8(..8) {
                0 | 1 => format!("{{\"id\":{id},\"result\":{{}}}}\n"),
                2 => format!("{{\"id\":{id},\"error\":{{\"code\":1}}}}\r\n"),
                3 => format!(
                    "{{\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":{id}}}}}\n"
                ),
                4 => format!(
                    "{{\"id\":{id},\"result\":\"{}\"}}\n",
                    "y".repeat(rng.usize(..600))
                ),
                5 => format!("{{\"id\":{id},\"method\":\"ping\"}}\n"),
                6 => format!("{{\"id\":{id},\"id\":{id},\"result\":{{}}}}\n"),
                _ => "\n".repeat(rng.usize(..3)),
            };
            if rng.u8(..10) == 0 && !text.is_empty() {
                text.truncate(rng.usize(..text.len()));
            }
            rig.say(&text);
            if rng.u8(..20) == 0 {
                rig.pass(rng.u64(..200));
            }
            rig.read();
            let told = rig.told();
            ended += told.iter().filter(|event| event.starts_with("x:")).count();
            if told.iter().any(|event| event.starts_with("failed")) {
                break;
            }
            assert_eq!(
                submitted - ended,
                rig.child.in_flight().running() as usize,
                "seed {seed}"
            );
        }
        assert_eq!(submitted - ended, rig.child.abandon().len(), "seed {seed}");
    }
}

/// Children that may ask.
fn asking() -> ChildLimits {
    ChildLimits {
        ask_timeout: Some(Duration::from_secs(300)),
        ..limits_by_default()
    }
}

const QUESTION: &str = "{\"id\":\"q\",\"method\":\"roots/list\"}\n";

#[test]
fn a_question_is_about_the_oldest_call_and_then_about_the_next() {
    let mut rig = Rig::ready(asking());
    let (first, second) = (rig.call("a"), rig.call("b"));
    rig.read();
    rig.say(QUESTION);
    assert_eq!(rig.told(), ["a is asked 1"]);
    rig.say(&format!("{{\"id\":{},\"result\":1}}\n", first.wire_id()));
    rig.told();
    assert!(rig.child.has_question(1), "it may be the other's");
    let given = QuestionAnswer::Given {
        kind: Kind::Result,
        outcome: b"{\"roots\":[]}",
    };
    assert!(rig.child.answer_question(1, given, rig.now));
    assert!(!rig.child.answer_question(1, given, rig.now), "once");
    assert_eq!(
        rig.read(),
        "{\"jsonrpc\":\"2.0\",\"id\":\"q\",\"result\":{\"roots\":[]}}\n"
    );
    rig.say(QUESTION);
    assert_eq!(rig.told(), ["b is asked 2"]);
    rig.child.cancel(second, "enough", rig.now);
    let read = rig.read();
    assert!(
        read.contains("\"id\":\"q\",\"error\"") && read.contains("notifications/cancelled"),
        "{read}"
    );
    rig.say(QUESTION);
    assert!(rig.told().is_empty(), "no call is left");
    assert!(rig.read().contains("-32601"));
}

#[test]
fn a_call_that_asks_stands_still_until_it_is_answered() {
    let limits = ChildLimits {
        call_timeout: Duration::from_secs(10),
        ask_timeout: Some(Duration::from_secs(100)),
        ..limits_by_default()
    };
    let mut rig = Rig::ready(limits);
    rig.call("a");
    rig.read();
    rig.pass(9);
    rig.say(QUESTION);
    rig.told();
    rig.pass(99);
    assert!(rig.told().is_empty());
    rig.pass(1);
    assert_eq!(rig.told(), ["a has not answered"]);
    assert!(rig.read().contains("-32603"));
    assert!(rig.told().is_empty());
    rig.pass(1);
    assert_eq!(rig.told(), ["a: timed out"]);
}

#[test]
fn a_call_that_ends_takes_its_questions_with_it() {
    let mut rig = Rig::ready(asking());
    let key = rig.call("a");
    rig.read();
    rig.say(QUESTION);
    rig.say(&format!("{{\"id\":{},\"result\":1}}\n", key.wire_id()));
    assert!(!rig.child.has_question(1));
    assert!(rig.read().contains("\"id\":\"q\",\"error\""));
}

/// A child whose handshake is over, and which is to be made warm.
fn to_be_warmed() -> Rig {
    let warmup = crate::config::Warmup {
        tool: "prime".to_owned(),
        arguments: serde_json::Map::new(),
    };
    let mut rig = Rig::new(limits_by_default());
    let child = Child::new(limits_by_default(), Some(&ChildProfile::shared()), false, rig.now);
    rig.child = child.with_warmup(Some(Arc::new(WarmupCall::new(&warmup))));
    rig.read();
    rig.say(&format!("{{\"id\":1,\"result\":{INTRODUCTION}}}\n"));
    assert!(rig.told().is_empty());
    assert!(rig.read().ends_with(
        "\n{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"prime\",\"arguments\":{}}}\n"
    ));
    assert_eq!(rig.child.room(), 0);
    rig
}

#[test]
fn a_child_is_ready_when_its_call_for_warmth_is_answered() {
    let mut rig = to_be_warmed();
    // Answers to others change nothing.
    rig.say("{\"id\":1,\"result\":{}}\n{\"id\":99,\"error\":{\"code\":1,\"message\":\"\"}}\n");
    assert!(rig.told().is_empty());
    rig.say("{\"id\":2,\"result\":{\"content\":[]}}\n");
    assert_eq!(rig.told(), ["ready"]);
    assert!(rig.child.room() > 0);
    for answer in [
        "\"error\":{\"code\":-32602,\"message\":\"no such tool\"}",
        "\"result\":{\"content\":[],\"isError\":true}",
    ] {
        let mut rig = to_be_warmed();
        rig.say(&format!("{{\"id\":2,{answer}}}\n"));
        let told = rig.told();
        assert!(told.len() == 1 && told[0].starts_with("failed: "), "{told:?}");
    }
    let mut rig = to_be_warmed();
    rig.pass(30);
    assert_eq!(rig.told(), ["failed: it was not ready in time"]);
}

#[test]
fn what_went_each_way_is_recorded_if_that_is_asked_for() {
    let mut rig = Rig::ready(ChildLimits {
        is_recorded: true,
        ..limits_by_default()
    });
    let id = rig.call("a").wire_id();
    rig.read();
    // What the pipe has not taken has not gone.
    rig.call("b");
    let write = rig.child.next_write().unwrap();
    rig.written(write, Ok(5));
    rig.say(&format!("{{\"id\":{id},\"result\":{{}}}}\nno message"));
    let recording = rig.child.take_recording().unwrap();
    let text = |tape: &crate::children::child::Tape| String::from_utf8(tape.pieces().concat()).unwrap();
    let to_child = text(&recording.to_child);
    assert!(to_child.starts_with("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\""));
    assert!(to_child.ends_with("}\n{\"id\""), "{to_child}");
    assert!(text(&recording.from_child).ends_with("\"result\":{}}\nno message"));
    assert!(Rig::ready(limits_by_default()).child.take_recording().is_none());
}

#[test]
fn what_a_child_logs_is_about_its_oldest_call_and_it_is_told_how_much_is_wanted() {
    let mut rig = Rig::new(asking());
    rig.read();
    let introduction = INTRODUCTION.replace("\"tools\":{}", "\"tools\":{},\"logging\":{}");
    rig.say(&format!("{{\"id\":1,\"result\":{introduction}}}\n"));
    rig.told();
    rig.read();
    rig.child.heed_wishes(|caller| match *caller {
        "quiet" => LogWish::OfSession(None),
        "loud" => LogWish::FromRequest(LogLevel::Debug),
        _ => LogWish::None,
    });
    let logged = "{\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":1}}\n";
    rig.say(logged);
    assert_eq!(rig.told(), ["logged"]);
    let mut levels = Vec::new();
    for caller in ["quiet", "loud", "loud", "quiet", "none"] {
        let key = rig.call(caller);
        rig.say(logged);
        rig.say(&format!("{{\"id\":{},\"result\":1}}\n", key.wire_id()));
        assert_eq!(rig.told()[0], format!("logged for {caller}"));
        let read = rig.read();
        levels.extend(
            read.lines()
                .filter(|line| line.contains("setLevel"))
                .map(str::to_owned),
        );
    }
    assert_eq!(levels.len(), 2, "{levels:?}");
    assert!(levels[0].contains("\"id\":\"weir-1\"") && levels[0].contains("\"debug\""));
    assert!(levels[1].contains("\"info\""));
    rig.say("{\"id\":\"weir-1\",\"result\":{}}\n");
    assert_eq!(rig.child.counters().stray_answers, 0);
}

/// A call that its child answers with a task is over when the task is.
#[test]
fn a_call_that_needs_a_task_is_answered_by_the_result_of_that() {
    let mut rig = Rig::ready(limits_by_default());
    rig.child.heed_terms(|caller| CallTerms {
        needs_task: caller.starts_with("task"),
        began: None,
    });
    let text = br#"{"id":7,"method":"tools/call","params":{"name":"a","task":{"ttl":5}}}"#;
    let message = Message::read(text).unwrap();
    let mut ids = Vec::new();
    for caller in ["task one", "task two", "task three", "plain"] {
        let key = rig.child.submit(text, &message, caller, rig.now).unwrap();
        ids.push(key.wire_id());
    }
    let read = rig.read();
    assert_eq!(
        read.matches(r#""params":{"task":{},"name":"a"}"#).count(),
        3,
        "{read}"
    );
    assert!(!read.contains("ttl"), "{read}");
    let task =
        |name: &str, id: u64| format!("{{\"id\":{id},\"result\":{{\"task\":{{\"taskId\":\"{name}\"}}}}}}\n");
    for (name, id) in ["x", "y", "z", "w"].into_iter().zip(&ids) {
        rig.say(&task(name, *id));
    }
    assert_eq!(rig.told().len(), 1);
    let read = rig.read();
    assert_eq!(read.matches("tasks/result").count(), 3, "{read}");
    assert!(read.contains(&format!(
        r#""id":"weir-task-{}","method":"tasks/result","params":{{"taskId":"x"}}"#,
        ids[0]
    )));
    rig.say(&format!(
        "{{\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":{},\"progress\":1}}}}\n",
        ids[0]
    ));
    assert_eq!(rig.told().len(), 1, "it is the same call still");
    rig.say(&format!(
        "{{\"id\":\"weir-task-{}\",\"error\":{{\"code\":1,\"message\":\"\"}}}}\n",
        ids[0]
    ));
    rig.say(&format!("{{\"id\":\"weir-task-{}\",\"result\":{{}}}}\n", ids[0]));
    assert_eq!(rig.told().len(), 1, "once");
    let key = CallKey::from_wire(ids[1]).unwrap();
    assert_eq!(rig.child.cancel(key, "left", rig.now), Some("task two"));
    let read = rig.read();
    assert!(
        read.contains(r#""method":"tasks/cancel","params":{"taskId":"y"}"#),
        "{read}"
    );
    assert!(!read.contains("notifications/cancelled"), "{read}");
    assert_eq!(rig.child.in_flight().taken(), 2);
    rig.say(&format!(
        "{{\"id\":\"weir-task-{}\",\"error\":{{\"code\":1,\"message\":\"\"}}}}\n",
        ids[1]
    ));
    assert_eq!(rig.child.in_flight().taken(), 1, "its place is free");
    assert!(rig.told().is_empty());
}

#[test]
fn a_call_that_is_cancelled_before_it_is_a_task_is_cancelled_when_it_is_one() {
    let mut rig = Rig::ready(limits_by_default());
    rig.child.heed_terms(|_| CallTerms {
        needs_task: true,
        began: None,
    });
    let text = br#"{"id":7,"method":"tools/call","params":{"name":"a"}}"#;
    let message = Message::read(text).unwrap();
    let key = rig.child.submit(text, &message, "one", rig.now).unwrap();
    assert!(rig.child.cancel(key, "left", rig.now).is_some());
    assert!(!rig.read().contains("cancel"));
    let id = key.wire_id();
    rig.say(&format!(
        "{{\"id\":{id},\"result\":{{\"task\":{{\"taskId\":\"x\"}}}}}}\n"
    ));
    assert!(
        rig.read()
            .contains(r#""method":"tasks/cancel","params":{"taskId":"x"}"#)
    );
    rig.say(&format!("{{\"id\":\"weir-task-{id}\",\"error\":{{}}}}\n"));
    assert_eq!(rig.child.in_flight().taken(), 0);
    // One that is answered otherwise is over as all calls are.
    let key = rig.child.submit(text, &message, "two", rig.now).unwrap();
    rig.say(&format!(
        "{{\"id\":{},\"error\":{{\"code\":-32601,\"message\":\"\"}}}}\n",
        key.wire_id()
    ));
    assert_eq!((rig.told().len(), rig.child.in_flight().taken()), (1, 0));
}
