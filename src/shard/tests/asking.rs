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

fn leave(rig: Rig, nursery: Nursery, callers: &[&Caller]) {
    nursery::leave(rig, nursery, callers.iter().map(|caller| &caller.peer));
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

/// A modern client that shows forms, on a connection to a shard.
struct Modern(SimulatedPeer);

impl Modern {
    fn new(rig: &Rig, shard: usize) -> Modern {
        Modern(rig.connect_to(shard))
    }

    /// Sends a call, with what the client has brought back.
    fn call(&self, id: u64, secret: &str, more: &Value) {
        let mut params = json!({"name": "child", "arguments": {"secret": secret}});
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
        });
        for (name, value) in more.as_object().unwrap() {
            params[name] = value.clone();
        }
        let message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        let fields = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: child\r\n";
        self.0.write(&post(fields, message.to_string().as_bytes()));
    }

    /// The answer that has come.
    fn answer(&self) -> Value {
        let answer = String::from_utf8(self.0.read()).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer");
        serde_json::from_str(body).unwrap()
    }
}

/// A little time, in which what is asked goes out, and mail arrives.
fn tick(rig: &mut Rig, nursery: &mut Nursery) {
    for _ in 0..3 {
        nursery.live(rig);
        rig.pass(Duration::from_millis(10));
        nursery.live(rig);
    }
}

/// A modern client on the first shard, whose call asks this; what it was answered.
fn asked(rig: &mut Rig, nursery: &mut Nursery, questions: &[&str]) -> (Modern, Value) {
    let client = Modern::new(rig, 0);
    client.call(1, "a", &json!({}));
    nursery.live(rig);
    questions.iter().for_each(|question| nursery.say(1, question));
    tick(rig, nursery);
    let answer = client.answer();
    assert_eq!(answer["result"]["resultType"], "input_required", "{answer}");
    (client, answer["result"].clone())
}

/// What a client brings back: the answers under these keys.
fn back(asked: &Value, keys: &[&str]) -> Value {
    let mut responses = json!({});
    for key in keys {
        responses[*key] = json!({"action": "accept", "content": {"n": 1}});
    }
    json!({"inputResponses": responses, "requestState": asked["requestState"]})
}

fn reason(answer: &Value) -> &str {
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    answer["error"]["data"]["reason"].as_str().unwrap()
}

fn keys(asked: &Value) -> Vec<&str> {
    let requests = asked["inputRequests"].as_object().unwrap();
    requests.keys().map(String::as_str).collect()
}

#[test]
fn a_modern_clients_call_stays_with_its_child_until_it_comes_back() {
    for shard in [0, 1] {
        for from in [0, 1] {
            let (mut rig, mut nursery) = rig(shard);
            let (first, round) = asked(&mut rig, &mut nursery, &[&question("5"), &question("\"six\"")]);
            assert_eq!(keys(&round), ["elicitation_1", "elicitation_2"]);
            let request = &round["inputRequests"]["elicitation_1"];
            assert_eq!(
                (&request["method"], &request["params"]["message"]),
                (&json!("elicitation/create"), &json!("who?"))
            );
            assert!(
                !nursery.seen(1).contains("notifications/cancelled"),
                "it is still there"
            );
            let second = Modern::new(&rig, from);
            let more = back(&round, &keys(&round));
            second.call(2, "a", &more);
            tick(&mut rig, &mut nursery);
            let seen = nursery.seen(1);
            for id in ["5", "\"six\""] {
                let given = format!(r#""id":{id},"result":{{"action":"accept","content":{{"n":1}}}}"#);
                assert!(seen.contains(&given), "{seen}");
            }
            assert_eq!(seen.matches("tools/call").count(), 1, "it was asked once");
            nursery.answer_all(&mut rig);
            let answer = second.answer();
            assert_eq!(
                (&answer["id"], &answer["result"]["content"][0]["text"]),
                (&json!(2), &json!("a"))
            );
            // The same once more, and for another request.
            second.call(3, "a", &more);
            tick(&mut rig, &mut nursery);
            assert_eq!(reason(&second.answer()), "used");
            second.call(4, "b", &more);
            tick(&mut rig, &mut nursery);
            assert_eq!(reason(&second.answer()), "unreadable");
            second.call(5, "a", &json!({"requestState": "forged", "inputResponses": {}}));
            tick(&mut rig, &mut nursery);
            assert_eq!(reason(&second.answer()), "unreadable");
            first.0.finish();
            second.0.finish();
            leave(rig, nursery, &[]);
        }
    }
}

#[test]
fn a_client_that_answers_not_all_is_asked_again() {
    for shard in [0, 1] {
        let (mut rig, mut nursery) = rig(shard);
        let (client, round) = asked(&mut rig, &mut nursery, &[&question("5"), &question("6")]);
        let mut more = back(&round, &["elicitation_1", "another"]);
        more["inputResponses"]["elicitation_2"] = json!("no object");
        client.call(2, "a", &more);
        tick(&mut rig, &mut nursery);
        let again = client.answer()["result"].clone();
        assert_eq!(keys(&again), ["elicitation_2"]);
        assert_ne!(again["requestState"], round["requestState"]);
        assert!(nursery.seen(1).contains("\"id\":5,\"result\""));
        // The child asks once more meanwhile.
        nursery.say(1, &question("7"));
        tick(&mut rig, &mut nursery);
        client.call(3, "a", &back(&again, &["elicitation_2"]));
        tick(&mut rig, &mut nursery);
        let third = client.answer()["result"].clone();
        assert_eq!(keys(&third), ["elicitation_3"]);
        client.call(4, "a", &back(&third, &["elicitation_3"]));
        tick(&mut rig, &mut nursery);
        assert!(nursery.seen(1).contains("\"id\":7,\"result\""));
        nursery.answer_all(&mut rig);
        assert_eq!(client.answer()["result"]["content"][0]["text"], "a");
        client.0.finish();
        leave(rig, nursery, &[]);
    }
}

#[test]
fn a_client_that_comes_back_too_late_is_told_so_and_the_child_serves_the_next() {
    for shard in [0, 1] {
        let (mut rig, mut nursery) = rig(shard);
        let (client, round) = asked(&mut rig, &mut nursery, &[&question("5")]);
        for _ in 0..=TIMEOUTS.ask.as_secs() {
            rig.pass(Duration::from_secs(1));
            nursery.live(&mut rig);
        }
        let seen = nursery.seen(1);
        assert!(
            seen.contains("\"id\":5,\"error\"") && seen.contains("notifications/cancelled"),
            "{seen}"
        );
        client.call(2, "a", &back(&round, &["elicitation_1"]));
        tick(&mut rig, &mut nursery);
        assert_eq!(reason(&client.answer()), "expired");
        // The cancelled call gives its place back.
        nursery.answer_all(&mut rig);
        client.call(3, "next", &json!({}));
        nursery.answer_all(&mut rig);
        assert_eq!(client.answer()["result"]["content"][0]["text"], "next");
        client.0.finish();
        leave(rig, nursery, &[]);
    }
}

#[test]
fn a_call_that_waits_ends_with_its_child_or_is_answered_by_it() {
    for shard in [0, 1] {
        for dies in [false, true] {
            let (mut rig, mut nursery) = rig(shard);
            let (client, round) = asked(&mut rig, &mut nursery, &[&question("5")]);
            if dies {
                nursery.kill(&rig, 1);
                rig.pass(Duration::from_millis(600));
            } else {
                nursery.answer(1, 0);
            }
            tick(&mut rig, &mut nursery);
            client.call(2, "a", &back(&round, &["elicitation_1"]));
            tick(&mut rig, &mut nursery);
            let answer = client.answer();
            if dies {
                assert_eq!(reason(&answer), "lost");
            } else {
                assert_eq!(answer["result"]["content"][0]["text"], "a", "{answer}");
            }
            client.0.finish();
            leave(rig, nursery, &[]);
        }
    }
}

#[test]
fn a_drain_and_an_abort_give_up_calls_that_wait_for_their_clients() {
    for shard in [0, 1] {
        for aborts in [false, true] {
            let (mut rig, mut nursery) = rig(shard);
            let (client, _) = asked(&mut rig, &mut nursery, &[&question("5")]);
            client.0.finish();
            if aborts {
                rig.abort();
            } else {
                rig.drain();
                nursery.live(&mut rig);
                assert!(nursery.seen(1).contains("notifications/cancelled"));
            }
            nursery.answer_all(&mut rig);
            for _ in 0..40 {
                rig.pass(Duration::from_millis(100));
                nursery.live(&mut rig);
            }
            assert!(rig.is_finished(), "the drain is not over");
            rig.assert_nothing_left();
        }
    }
}

#[test]
fn a_modern_client_that_leaves_while_it_is_asked_cancels_its_call() {
    for shard in [0, 1] {
        let (mut rig, mut nursery) = rig(shard);
        let client = Modern::new(&rig, 0);
        client.call(1, "a", &json!({}));
        nursery.live(&mut rig);
        nursery.say(1, &question("5"));
        nursery.live(&mut rig);
        client.0.reset();
        tick(&mut rig, &mut nursery);
        let seen = nursery.seen(1);
        assert!(
            seen.contains("\"id\":5,\"error\"") && seen.contains("notifications/cancelled"),
            "{seen}"
        );
        nursery.answer_all(&mut rig);
        leave(rig, nursery, &[]);
    }
}

fn log(level: &str, data: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"{level}","data":"{data}","n":1.10}}}}"#
    )
}

#[test]
fn what_a_child_logs_reaches_its_caller_and_nobody_else() {
    for shard in [0, 1] {
        let (mut rig, mut nursery) = rig(shard);
        let (mut first, mut second) = (Caller::new(&mut rig), Caller::new(&mut rig));
        nursery.say(1, &log("error", "before"));
        first.call(1, "a");
        nursery.live(&mut rig);
        second.call(1, "b");
        nursery.live(&mut rig);
        nursery.say(1, &log("debug", "low"));
        nursery.say(1, &log("error", "high"));
        nursery.live(&mut rig);
        nursery.answer_all(&mut rig);
        first.events();
        second.events();
        assert!(
            first.heard.contains(r#""data":"high","n":1.10"#),
            "{}",
            first.heard
        );
        assert!(
            !first.heard.contains("low") && !first.heard.contains("before"),
            "{}",
            first.heard
        );
        assert!(
            !second.heard.contains("notifications/message"),
            "{}",
            second.heard
        );
        leave(rig, nursery, &[&first, &second]);
    }
}
