//! Children that ask the clients of their calls, here and on another shard.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{events, post};
use super::nursery::{self, Nursery};
use super::rig::{Rig, Sizes, TIMEOUTS};
use crate::ring::simulated::SimulatedPeer;

const TWO_SHARDS: Sizes = Sizes {
    shards: 2,
    handlers: 1,
    ..Sizes::DEFAULT
};

/// A rig whose one child is on this shard; clients' connections are on the first.
fn rig(shard: usize) -> (Rig, Nursery) {
    let (mut rig, mut nursery) = nursery::attributed(1, TWO_SHARDS, 4);
    nursery.start(&mut rig, 1, shard);
    (rig, nursery)
}

/// A client, and what it has heard on the stream of its call.
struct Caller {
    peer: SimulatedPeer,
    session: String,
    heard: String,
}

impl Caller {
    /// One that has declared these capabilities.
    fn able(rig: &mut Rig, capabilities: Value) -> Caller {
        let params = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": capabilities,
            "clientInfo": {"name": "peer", "version": "1"},
        });
        let message = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        let peer = rig.connect_to(0);
        peer.write(&post("", message.to_string().as_bytes()));
        rig.run();
        let answer = String::from_utf8(peer.read()).unwrap();
        let mut fields = answer.lines();
        let session = fields.find_map(|line| line.strip_prefix("Mcp-Session-Id: "));
        Caller {
            peer,
            session: session.expect("a session").to_owned(),
            heard: String::new(),
        }
    }

    fn new(rig: &mut Rig) -> Caller {
        Caller::able(rig, json!({"elicitation": {}}))
    }

    fn post(&self, peer: &SimulatedPeer, message: &str) {
        let fields = format!("Mcp-Session-Id: {}\r\n", self.session);
        peer.write(&post(&fields, message.as_bytes()));
    }

    fn call(&self, id: u64, secret: &str) {
        let params = json!({"name": "child", "arguments": {"secret": secret}});
        let message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        self.post(&self.peer, &message.to_string());
    }

    /// Sends a message on a connection of its own to a shard, which is accepted.
    fn say(&self, rig: &mut Rig, shard: usize, message: &str) {
        let peer = rig.connect_to(shard);
        self.post(&peer, message);
        rig.run();
        let answer = String::from_utf8(peer.read()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
        peer.finish();
    }

    /// Everything on the stream so far.
    fn events(&mut self) -> Vec<Value> {
        self.heard += std::str::from_utf8(&self.peer.read()).unwrap();
        events(self.heard.as_bytes())
    }

    /// The ids of the questions so far.
    fn asked(&mut self) -> Vec<String> {
        let events = self.events();
        let questions = events.iter().filter(|event| event.get("method").is_some());
        questions
            .map(|event| event["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The one question.
    fn question(&mut self) -> String {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked[0].clone()
    }
}

/// What the child asks, under this id.
fn question(id: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"elicitation/create","params":{{"message":"who?","n":1.10,"requestedSchema":{{"type":"object","properties":{{}}}}}}}}"#
    )
}

fn accept(id: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":"{id}","result":{{"action":"accept","content":{{"n":12345678901234567890123}}}}}}"#
    )
}

fn leave(mut rig: Rig, mut nursery: Nursery, callers: &[&Caller]) {
    callers.iter().for_each(|caller| caller.peer.finish());
    rig.live(Duration::from_secs(80));
    nursery.answer_all(&mut rig);
    rig.drain();
    for _ in 0..40 {
        rig.pass(Duration::from_millis(100));
        nursery.live(&mut rig);
    }
    assert!(rig.is_finished(), "the drain is not over");
    rig.assert_nothing_left();
}

#[test]
fn a_question_reaches_its_caller_and_the_answer_comes_back_as_it_was_written() {
    for shard in [0, 1] {
        for id in ["\"mine\"", "7.50", "9007199254740993"] {
            let (mut rig, mut nursery) = rig(shard);
            let (mut first, mut second) = (Caller::new(&mut rig), Caller::new(&mut rig));
            first.call(1, "a");
            nursery.live(&mut rig);
            second.call(1, "b");
            nursery.live(&mut rig);
            nursery.say(1, &question(id));
            nursery.live(&mut rig);
            let ours = first.question();
            assert!(
                first.heard.contains(r#""message":"who?","n":1.10"#),
                "{}",
                first.heard
            );
            assert!(second.events().is_empty(), "it is another's question");
            // Only the client that was asked can answer.
            second.say(&mut rig, 0, &accept(&ours));
            nursery.live(&mut rig);
            assert!(!nursery.seen(1).contains("12345678901234567890123"));
            first.say(&mut rig, 1, &accept(&ours));
            nursery.live(&mut rig);
            let given = format!(
                r#""id":{id},"result":{{"action":"accept","content":{{"n":12345678901234567890123}}}}"#
            );
            assert_eq!(nursery.seen(1).matches(&given).count(), 1, "{}", nursery.seen(1));
            // It is answered once.
            first.say(&mut rig, 0, &accept(&ours));
            nursery.live(&mut rig);
            assert_eq!(nursery.seen(1).matches("12345678901234567890123").count(), 1);
            nursery.answer_all(&mut rig);
            let last = first.events().pop().unwrap();
            assert_eq!(last["result"]["content"][0]["text"], "a", "{last}");
            leave(rig, nursery, &[&first, &second]);
        }
    }
}

#[test]
fn an_error_of_the_client_is_passed_on_too() {
    let (mut rig, mut nursery) = rig(1);
    let mut caller = Caller::new(&mut rig);
    caller.call(1, "a");
    nursery.live(&mut rig);
    nursery.say(1, &question("1"));
    nursery.live(&mut rig);
    let ours = caller.question();
    let error = r#"{"code":-1,"message":"no","data":[1.10]}"#;
    caller.say(
        &mut rig,
        0,
        &format!(r#"{{"jsonrpc":"2.0","error":{error},"id":"{ours}"}}"#),
    );
    nursery.live(&mut rig);
    assert!(
        nursery.seen(1).contains(&format!(r#""id":1,"error":{error}"#)),
        "{}",
        nursery.seen(1)
    );
    nursery.answer_all(&mut rig);
    leave(rig, nursery, &[&caller]);
}

#[test]
fn who_has_not_declared_it_is_not_asked() {
    let sampling = r#"{"id":5,"method":"sampling/createMessage","params":{"messages":[]}}"#;
    let url = r#"{"id":5,"method":"elicitation/create","params":{"mode":"url","url":"https://a"}}"#;
    let unknown = r#"{"id":5,"method":"tasks/list"}"#;
    for asked in [sampling, url, unknown] {
        let (mut rig, mut nursery) = rig(1);
        let mut caller = Caller::new(&mut rig);
        caller.call(1, "a");
        nursery.live(&mut rig);
        nursery.say(1, asked);
        nursery.live(&mut rig);
        assert!(caller.events().is_empty());
        let seen = nursery.seen(1);
        assert!(seen.contains(r#""id":5,"error":{"code":-32601"#), "{seen}");
        nursery.answer_all(&mut rig);
        leave(rig, nursery, &[&caller]);
    }
}

#[test]
fn nobody_is_asked_by_a_child_without_a_call() {
    let (mut rig, mut nursery) = rig(0);
    nursery.say(1, &question("5"));
    nursery.live(&mut rig);
    assert!(nursery.seen(1).contains(r#""id":5,"error":{"code":-32601"#));
    leave(rig, nursery, &[]);
}

#[test]
fn a_client_that_cancels_or_ends_its_session_answers_no_more() {
    for shard in [0, 1] {
        for ends in [false, true] {
            let (mut rig, mut nursery) = rig(shard);
            let mut caller = Caller::new(&mut rig);
            caller.call(1, "a");
            nursery.live(&mut rig);
            nursery.say(1, &question("5"));
            nursery.live(&mut rig);
            let ours = caller.question();
            if ends {
                let peer = rig.connect_to(1);
                let fields = format!("Host: localhost\r\nMcp-Session-Id: {}\r\n", caller.session);
                peer.write(format!("DELETE /mcp HTTP/1.1\r\n{fields}\r\n").as_bytes());
                nursery.live(&mut rig);
            } else {
                let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
                caller.say(&mut rig, 1, &cancelled.to_string());
                nursery.live(&mut rig);
                assert!(nursery.seen(1).contains("notifications/cancelled"));
                caller.say(&mut rig, 0, &accept(&ours));
            }
            nursery.live(&mut rig);
            let seen = nursery.seen(1);
            assert!(seen.contains(r#""id":5,"error":{"code":-32603"#), "{seen}");
            assert!(!seen.contains("12345678901234567890123"), "{seen}");
            nursery.answer_all(&mut rig);
            // The next one is served as if nothing had been.
            let mut next = Caller::new(&mut rig);
            next.call(1, "next");
            nursery.answer_all(&mut rig);
            next.events();
            assert!(next.heard.contains("next"), "{}", next.heard);
            leave(rig, nursery, &[&caller, &next]);
        }
    }
}

#[test]
fn a_client_that_left_before_it_was_asked_is_told_of_to_the_child() {
    for shard in [0, 1] {
        let (mut rig, mut nursery) = rig(shard);
        let caller = Caller::new(&mut rig);
        caller.call(1, "a");
        nursery.live(&mut rig);
        caller.peer.reset();
        nursery.live(&mut rig);
        nursery.say(1, &question("5"));
        nursery.live(&mut rig);
        nursery.live(&mut rig);
        let seen = nursery.seen(1);
        assert!(seen.contains(r#""id":5,"error":{"code":-32603"#), "{seen}");
        nursery.answer_all(&mut rig);
        leave(rig, nursery, &[]);
    }
}

#[test]
fn a_child_that_dies_while_it_asks_ends_its_call_and_no_other() {
    for shard in [0, 1] {
        let (mut rig, mut nursery) = rig(shard);
        let mut caller = Caller::new(&mut rig);
        caller.call(1, "a");
        nursery.live(&mut rig);
        nursery.say(1, &question("5"));
        nursery.live(&mut rig);
        let ours = caller.question();
        nursery.kill(&rig, 1);
        rig.pass(Duration::from_millis(600));
        nursery.live(&mut rig);
        nursery.start(&mut rig, 2, shard);
        let last = caller.events().pop().unwrap();
        assert_eq!(last["error"]["code"], -32603, "{last}");
        // The answer is nobody's, least of all the next child's.
        caller.say(&mut rig, 1, &accept(&ours));
        caller.call(2, "b");
        nursery.live(&mut rig);
        assert!(!nursery.seen(2).contains("12345678901234567890123"));
        nursery.answer_all(&mut rig);
        leave(rig, nursery, &[&caller]);
    }
}

#[test]
fn the_time_of_asking_is_not_the_calls_own_and_has_an_end() {
    let (mut rig, mut nursery) = rig(1);
    nursery.limit_calls(Duration::from_secs(20));
    nursery.start(&mut rig, 2, 1);
    nursery.kill(&rig, 1);
    nursery.live(&mut rig);
    let mut caller = Caller::new(&mut rig);
    caller.call(1, "a");
    nursery.live(&mut rig);
    nursery.say(2, &question("5"));
    nursery.live(&mut rig);
    let ours = caller.question();
    let mut pass = |seconds: u64, nursery: &mut Nursery| {
        for _ in 0..seconds {
            rig.pass(Duration::from_secs(1));
            nursery.live(&mut rig);
        }
    };
    pass(TIMEOUTS.ask.as_secs() - 2, &mut nursery);
    assert!(!nursery.seen(2).contains(r#""id":5"#), "it is still asked");
    assert!(!nursery.seen(2).contains("notifications/cancelled"));
    pass(4, &mut nursery);
    assert!(nursery.seen(2).contains(r#""id":5,"error":{"code":-32603"#));
    assert!(
        !nursery.seen(2).contains("notifications/cancelled"),
        "the call goes on"
    );
    pass(25, &mut nursery);
    assert!(
        nursery.seen(2).contains("notifications/cancelled"),
        "its own time is over"
    );
    caller.say(&mut rig, 0, &accept(&ours));
    nursery.answer_all(&mut rig);
    assert!(!nursery.seen(2).contains("12345678901234567890123"));
    leave(rig, nursery, &[&caller]);
}

#[test]
fn a_drain_answers_what_nobody_can_answer_any_more() {
    for shard in [0, 1] {
        let (mut rig, mut nursery) = rig(shard);
        let mut caller = Caller::new(&mut rig);
        caller.call(1, "a");
        nursery.live(&mut rig);
        nursery.say(1, &question("5"));
        nursery.live(&mut rig);
        caller.question();
        rig.drain();
        nursery.live(&mut rig);
        assert!(nursery.seen(1).contains(r#""id":5,"error":{"code":-32603"#));
        nursery.say(1, &question("6"));
        nursery.live(&mut rig);
        assert!(nursery.seen(1).contains(r#""id":6,"error":{"code":-32603"#));
        nursery.answer_all(&mut rig);
        let last = caller.events().pop().unwrap();
        assert_eq!(last["result"]["content"][0]["text"], "a", "{last}");
        leave(rig, nursery, &[&caller]);
    }
}

#[test]
fn a_child_that_asks_and_asks_has_so_many_questions_open_and_no_more() {
    let (mut rig, mut nursery) = rig(1);
    let mut caller = Caller::new(&mut rig);
    caller.call(1, "a");
    nursery.live(&mut rig);
    for id in 100..140 {
        nursery.say(1, &question(&id.to_string()));
    }
    nursery.live(&mut rig);
    nursery.live(&mut rig);
    assert_eq!(caller.asked().len(), 32);
    assert_eq!(nursery.seen(1).matches("too many questions").count(), 8);
    let asked = caller.asked();
    for ours in &asked {
        caller.say(&mut rig, 0, &accept(ours));
    }
    nursery.live(&mut rig);
    assert_eq!(nursery.seen(1).matches("12345678901234567890123").count(), 32);
    nursery.answer_all(&mut rig);
    leave(rig, nursery, &[&caller]);
}
