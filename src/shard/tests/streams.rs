//! Answers in events, listeners, questions and cancellations, on one shard and on several.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Client, Era, call, events, post};
use super::rig::{Rig, Sizes, TIMEOUTS};
use crate::mcp::Announcement;
use crate::metrics::Eviction;
use crate::registry::Elicit;
use crate::ring::simulated::{PeerView, SimulatedPeer};

const MODERN: &str = "MCP-Protocol-Version: 2026-07-28\r\n";
const NO_HANDLER_BUT_ONE: Sizes = Sizes {
    handlers: 1,
    queue_depth_max: 4,
    ..Sizes::DEFAULT
};

const TWO_SHARDS: Sizes = Sizes {
    shards: 2,
    ..Sizes::DEFAULT
};
const ONE_HANDLER_EACH: Sizes = Sizes {
    shards: 2,
    ..NO_HANDLER_BUT_ONE
};

/// A peer that reads a stream as it comes.
struct Listener {
    peer: SimulatedPeer,
    heard: String,
}

impl Listener {
    fn new(peer: SimulatedPeer, request: &[u8]) -> Listener {
        peer.write(request);
        Listener {
            peer,
            heard: String::new(),
        }
    }

    /// Everything so far, chunk heads and all.
    fn text(&mut self) -> &str {
        self.heard += std::str::from_utf8(&self.peer.read()).unwrap();
        &self.heard
    }

    fn events(&mut self) -> Vec<Value> {
        events(self.text().as_bytes())
    }

    fn methods(&mut self) -> Vec<String> {
        let events = self.events();
        let method = |event: &Value| event["method"].as_str().map(str::to_owned);
        events.iter().filter_map(method).collect()
    }

    fn count_of(&mut self, what: &str) -> usize {
        self.text().matches(what).count()
    }

    fn is_over(&mut self) -> bool {
        self.text().ends_with("\r\n0\r\n\r\n")
    }

    /// The id of the last event that has one.
    fn last_event_id(&mut self) -> String {
        let mut ids = self.text().lines().filter_map(|line| line.strip_prefix("id: "));
        ids.next_back().expect("an event with an id").to_owned()
    }
}

fn legacy(session: &str, message: &Value) -> Vec<u8> {
    let fields = format!("Mcp-Session-Id: {session}\r\n");
    post(&fields, message.to_string().as_bytes())
}

pub(super) fn legacy_call(session: &str, tool: &str, id: u64, secret: &str) -> Vec<u8> {
    let arguments = json!({"secret": secret, "lines": 2, "bytes": 0});
    let params = json!({"name": tool, "arguments": arguments});
    legacy(
        session,
        &json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}),
    )
}

fn modern(method: &str, params: Value, name: Option<&str>) -> Vec<u8> {
    let mut message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    message["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/logLevel": "debug",
    });
    let name = name.map_or(String::new(), |name| format!("Mcp-Name: {name}\r\n"));
    post(
        &format!("{MODERN}Mcp-Method: {method}\r\n{name}"),
        message.to_string().as_bytes(),
    )
}

fn modern_speak(secret: &str, lines: usize, bytes: usize) -> Vec<u8> {
    let arguments = json!({"secret": secret, "lines": lines, "bytes": bytes});
    modern(
        "tools/call",
        json!({"name": "speak", "arguments": arguments}),
        Some("speak"),
    )
}

fn listen(wanted: Value) -> Vec<u8> {
    modern("subscriptions/listen", json!({"notifications": wanted}), None)
}

fn get(session: &str, after: Option<&str>) -> Vec<u8> {
    let after = after.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
    let accept = "Host: localhost\r\nAccept: text/event-stream\r\n";
    format!("GET /mcp HTTP/1.1\r\n{accept}Mcp-Session-Id: {session}\r\n{after}\r\n").into_bytes()
}

/// Opens a session of a client that shows forms; its id.
pub(super) fn open_session(rig: &mut Rig) -> String {
    let params = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {"elicitation": {}},
        "clientInfo": {"name": "peer", "version": "1"},
    });
    let message = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
    let peer = rig.connect();
    peer.write(&post("", message.to_string().as_bytes()));
    rig.run();
    let answer = String::from_utf8(peer.read()).unwrap();
    peer.finish();
    let id = answer
        .lines()
        .find_map(|line| line.strip_prefix("Mcp-Session-Id: "));
    id.expect("a session").to_owned()
}

fn leave(rig: &mut Rig, listeners: &[Listener]) {
    listeners.iter().for_each(|listener| listener.peer.finish());
    rig.leave(&[]);
}

#[test]
fn a_call_that_speaks_is_answered_by_a_stream_and_the_connection_goes_on() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = Listener::new(rig.connect(), &modern_speak("s", 2, 0));
    // Pipelined behind the call: answered behind its stream.
    client.peer.write(&call(Era::Legacy, "echo", 8, "next").bytes);
    rig.run();
    assert_eq!(client.methods(), ["notifications/message"; 2]);
    assert!(
        client.text().contains("x-accel-buffering: no") || client.text().contains("X-Accel-Buffering: no")
    );
    assert!(!client.text().contains("id: "), "modern events have no ids");
    rig.release("s");
    rig.run();
    let events = client.events();
    assert_eq!(events[2]["result"]["content"][0]["text"], "s");
    assert_eq!(client.count_of("0\r\n\r\n"), 1);
    assert!(client.text().contains(r#""text":"next""#));
    leave(&mut rig, &[client]);
}

#[test]
fn what_a_worker_says_comes_before_its_answer() {
    let mut rig = Rig::new(1, Sizes::default());
    let arguments = json!({"name": "shout", "arguments": {"secret": "s"}});
    let mut client = Listener::new(rig.connect(), &modern("tools/call", arguments, Some("shout")));
    for _ in 0..4 {
        rig.run();
        rig.await_workers();
    }
    let events = client.events();
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[0]["params"]["data"], "s");
    assert_eq!(events[1]["result"]["content"][0]["text"], "s");
    leave(&mut rig, &[client]);
}

#[test]
fn a_long_silent_call_gets_a_stream_with_signs_of_life() {
    let timeouts = crate::config::Timeouts {
        call: Duration::from_secs(100),
        ..TIMEOUTS
    };
    let mut rig = Rig::with_timeouts(1, Sizes::default(), timeouts);
    let mut client = Client::new(rig.connect());
    client.request(call(Era::Modern, "hold", 1, "s"));
    rig.live(timeouts.stream_after + Duration::from_secs(1));
    let begun = String::from_utf8(client.peer.read()).unwrap();
    assert!(begun.contains("text/event-stream"), "{begun:?}");
    rig.live(2 * timeouts.keep_alive);
    let signs = String::from_utf8(client.peer.read()).unwrap();
    assert_eq!(signs, "3\r\n:\n\n\r\n".repeat(2));
    rig.release("s");
    rig.run();
    let rest = client.peer.read();
    let answer = &events(&rest)[0];
    assert_eq!(answer["result"]["content"][0]["text"], "s");
    rig.leave(&[client]);
}

#[test]
fn who_leaves_a_modern_stream_cancels_its_call() {
    let mut rig = Rig::new(1, NO_HANDLER_BUT_ONE);
    let mut client = Listener::new(rig.connect(), &modern_speak("s", 1, 0));
    rig.run();
    assert_eq!(client.events().len(), 1);
    client.peer.close();
    rig.run();
    assert_eq!(rig.shard.calls.idle(), 1, "the handler is free");
    leave(&mut rig, &[client]);
}

#[test]
fn a_reader_that_does_not_read_is_cut_off_and_nobody_else() {
    let mut rig = Rig::new(1, Sizes::default());
    let deaf = Listener::new(rig.connect(), &modern_speak("deaf", 60, 16 << 10));
    deaf.peer.set_window(4096);
    let mut other = Listener::new(rig.connect(), &modern_speak("other", 2, 0));
    rig.release("other");
    rig.run();
    assert!(other.is_over());
    // At once, not when the write deadline has passed.
    assert_ne!(deaf.peer.view(), PeerView::Open);
    assert_eq!(rig.metrics.evictions.of(Eviction::SlowReader).value(), 1);
    leave(&mut rig, &[deaf, other]);
}

#[test]
fn listeners_hear_what_they_asked_for_on_any_shard() {
    let mut rig = Rig::new(1, TWO_SHARDS);
    let mut tools = Listener::new(rig.connect_to(0), &listen(json!({"toolsListChanged": true})));
    let mut nothing = Listener::new(rig.connect_to(1), &listen(json!({})));
    rig.run();
    for listener in [&mut tools, &mut nothing] {
        assert_eq!(listener.methods(), ["notifications/subscriptions/acknowledged"]);
    }
    rig.announce(Announcement::ToolsChanged);
    rig.announce(Announcement::PromptsChanged);
    rig.run();
    assert_eq!(tools.methods()[1..], ["notifications/tools/list_changed"]);
    assert_eq!(nothing.methods().len(), 1);
    let id = &tools.events()[1]["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
    assert_eq!(*id, 7);
    rig.live(TIMEOUTS.keep_alive + Duration::from_secs(1));
    assert_eq!(nothing.count_of("3\r\n:\n\n\r\n"), 1);
    leave(&mut rig, &[tools, nothing]);
}

#[test]
fn a_drain_ends_listening_with_a_result() {
    let mut rig = Rig::new(1, Sizes::default());
    let session = open_session(&mut rig);
    let mut modern = Listener::new(rig.connect(), &listen(json!({"toolsListChanged": true})));
    let mut get_stream = Listener::new(rig.connect(), &get(&session, None));
    rig.run();
    rig.drain();
    rig.run();
    assert_eq!(modern.events()[1]["result"]["resultType"], "complete");
    for listener in [&mut modern, &mut get_stream] {
        assert!(listener.is_over());
        assert_ne!(listener.peer.view(), PeerView::Open);
    }
    leave(&mut rig, &[modern, get_stream]);
    assert!(rig.is_finished());
}

#[test]
fn a_broken_stream_goes_on_elsewhere_where_it_broke() {
    let mut rig = Rig::new(1, TWO_SHARDS);
    let session = open_session(&mut rig);
    let mut client = Listener::new(rig.connect_to(0), &legacy_call(&session, "speak", 3, "s"));
    rig.run();
    assert!(client.text().contains("retry: "), "a priming event comes first");
    assert_eq!(client.methods(), ["notifications/message"; 2]);
    let last = client.last_event_id();
    client.peer.reset();
    rig.run();
    rig.release("s");
    rig.run();
    let mut again = Listener::new(rig.connect_to(1), &get(&session, Some(&last)));
    rig.run();
    let events = again.events();
    assert_eq!(
        events.len(),
        1,
        "only what came behind the last event: {events:?}"
    );
    assert_eq!(events[0]["id"], 3);
    assert!(again.is_over());
    // From the beginning, another time.
    let first = last.rsplit_once('-').unwrap().0.to_owned() + "-0";
    let mut whole = Listener::new(rig.connect_to(0), &get(&session, Some(&first)));
    rig.run();
    assert_eq!(whole.events().len(), 3);
    // Another session's is nobody's.
    let foreign = open_session(&mut rig);
    let mut thief = Listener::new(rig.connect_to(0), &get(&foreign, Some(&first)));
    rig.run();
    assert!(thief.events().is_empty(), "{}", thief.text());
    leave(&mut rig, &[client, again, whole, thief]);
}

#[test]
fn a_client_that_was_sent_away_comes_back_for_its_answer() {
    let mut rig = Rig::new(1, Sizes::default());
    let session = open_session(&mut rig);
    let mut client = Listener::new(rig.connect(), &legacy_call(&session, "part", 3, "s"));
    rig.run();
    // Told where to go on and when, though the call had said nothing; then the response is over, the connection not.
    let place = client.last_event_id();
    let text = client.text();
    assert!(
        text.contains("data:\n\n") && text.contains("retry: 250\n\n"),
        "{text}"
    );
    assert!(client.is_over());
    assert_eq!(client.peer.view(), PeerView::Open);
    let mut early = Listener::new(rig.connect(), &get(&session, Some(&place)));
    rig.run();
    assert!(early.events().is_empty());
    rig.release("s");
    rig.run();
    assert_eq!(early.events()[0]["id"], 3);
    assert!(early.is_over());
    leave(&mut rig, &[client, early]);
}

#[test]
fn a_client_that_could_not_come_back_is_not_sent_away() {
    let mut rig = Rig::new(1, Sizes::default());
    let arguments = json!({"name": "part", "arguments": {"secret": "s"}});
    let mut modern = Listener::new(rig.connect(), &modern("tools/call", arguments, Some("part")));
    let mut stateless = Client::new(rig.connect());
    stateless.request(call(Era::Legacy, "part", 9, "s"));
    rig.run();
    assert_eq!(modern.text(), "");
    rig.release("s");
    rig.run();
    assert!(modern.text().starts_with("HTTP/1.1 200"));
    assert!(modern.text().contains("\"id\":7"), "{}", modern.text());
    assert_eq!(stateless.heard_results(), ["s"]);
    stateless.peer.finish();
    leave(&mut rig, &[modern]);
}

#[test]
fn a_drain_waits_for_the_answer_on_a_stream_that_was_taken_up_again() {
    let mut rig = Rig::new(1, TWO_SHARDS);
    let session = open_session(&mut rig);
    let mut client = Listener::new(rig.connect_to(0), &legacy_call(&session, "speak", 3, "s"));
    rig.run();
    let last = client.last_event_id();
    client.peer.reset();
    rig.run();
    let mut again = Listener::new(rig.connect_to(1), &get(&session, Some(&last)));
    rig.run();
    rig.drain();
    rig.run();
    assert!(!again.is_over(), "{}", again.text());
    rig.release("s");
    rig.live(Duration::from_secs(1));
    assert_eq!(again.events()[0]["id"], 3);
    assert!(again.is_over());
    leave(&mut rig, &[client, again]);
    assert!(rig.is_finished());
}

#[test]
fn who_only_finished_sending_still_hears_the_answer_to_come() {
    let mut rig = Rig::new(1, NO_HANDLER_BUT_ONE);
    let session = open_session(&mut rig);
    let mut asker = Listener::new(rig.connect(), &legacy_call(&session, "ask", 3, "s"));
    rig.run();
    asker.peer.finish();
    rig.run();
    let question = asker.events()[0]["id"].clone();
    let answer = json!({"jsonrpc": "2.0", "id": question, "result": {"action": "accept", "content": {}}});
    let answerer = Listener::new(rig.connect(), &legacy(&session, &answer));
    rig.run();
    assert_eq!(asker.events()[1]["result"]["content"][0]["text"], "s");
    assert!(asker.is_over());
    leave(&mut rig, &[asker, answerer]);
}

/// A call that asks its client, whose progress its client wants to know.
fn legacy_share(session: &str, secret: &str) -> Vec<u8> {
    let params = json!({"name": "share", "arguments": {"secret": secret}, "_meta": {"progressToken": "p"}});
    let message = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": params});
    legacy(session, &message)
}

fn accept(session: &str, question: &Value) -> Vec<u8> {
    let answer =
        json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {}}});
    legacy(session, &answer)
}

#[test]
fn what_is_said_for_a_call_that_waits_for_its_client_is_passed_on_at_once() {
    let mut rig = Rig::new(1, ONE_HANDLER_EACH);
    let session = open_session(&mut rig);
    let mut asker = Listener::new(rig.connect_to(0), &legacy_share(&session, "s"));
    rig.run();
    let context = rig.take_context();
    // Somebody else's call has the one handler: there is none to return to.
    let mut other = Client::new(rig.connect_to(0));
    other.request(call(Era::Legacy, "hold", 9, "other"));
    rig.run();
    for step in 1..=3 {
        context.progress(step);
        rig.run();
        let told = asker.events().len() - 1;
        assert_eq!(told, step as usize, "{:?}", asker.methods());
    }
    assert_eq!(asker.methods()[3], "notifications/progress");
    rig.release("other");
    rig.run();
    let question = asker.events()[0].clone();
    let answerer = Listener::new(rig.connect_to(1), &accept(&session, &question));
    rig.run();
    assert_eq!(asker.events()[4]["result"]["content"][0]["text"], "s");
    assert!(asker.is_over());
    assert_eq!(other.heard_results(), ["other"]);
    other.peer.finish();
    drop(context);
    leave(&mut rig, &[asker, answerer]);
}

#[test]
fn a_question_put_for_a_call_that_waits_for_its_client_brings_it_back_to_ask() {
    let mut rig = Rig::new(1, ONE_HANDLER_EACH);
    let session = open_session(&mut rig);
    let mut asker = Listener::new(rig.connect_to(0), &legacy_share(&session, "s"));
    rig.run();
    assert_eq!(rig.shard.calls.idle(), 1);
    let context = rig.take_context();
    let second = context.ask("second", Elicit::form("and?"));
    rig.run();
    assert_eq!(asker.methods(), ["elicitation/create"; 2]);
    assert_eq!(rig.shard.calls.idle(), 1, "it waits again");
    let questions = asker.events();
    let mut answerers = Vec::new();
    for question in questions.iter().rev() {
        assert!(!asker.is_over());
        answerers.push(Listener::new(rig.connect_to(1), &accept(&session, question)));
        rig.run();
    }
    assert_eq!(asker.events()[2]["result"]["content"][0]["text"], "s");
    drop((second, context));
    answerers.push(asker);
    leave(&mut rig, &answerers);
}

#[test]
fn a_call_that_asks_has_no_handler_meanwhile() {
    let mut rig = Rig::new(1, ONE_HANDLER_EACH);
    let session = open_session(&mut rig);
    let mut asker = Listener::new(rig.connect_to(0), &legacy_call(&session, "ask", 3, "s"));
    rig.run();
    assert_eq!(asker.methods(), ["elicitation/create"]);
    assert_eq!(rig.shard.calls.idle(), 1);
    // Somebody else's call takes the one handler for a while.
    let mut other = Client::new(rig.connect_to(0));
    other.request(call(Era::Legacy, "hold", 9, "other"));
    rig.run();
    let question = asker.events()[0]["id"].clone();
    let answer = json!({"jsonrpc": "2.0", "id": question, "result": {"action": "accept", "content": {}}});
    let mut answerer = Listener::new(rig.connect_to(1), &legacy(&session, &answer));
    rig.run();
    assert!(answerer.text().starts_with("HTTP/1.1 202"));
    assert!(!asker.is_over(), "it waits for a handler now");
    rig.release("other");
    rig.run();
    assert_eq!(other.heard_results(), ["other"]);
    assert!(asker.is_over());
    assert_eq!(asker.events()[1]["result"]["content"][0]["text"], "s");
    other.peer.finish();
    leave(&mut rig, &[asker, answerer]);
}

#[test]
fn a_question_nobody_answers_times_out_and_a_late_answer_is_nobodys() {
    let mut rig = Rig::new(1, NO_HANDLER_BUT_ONE);
    let session = open_session(&mut rig);
    let mut asker = Listener::new(rig.connect(), &legacy_call(&session, "ask", 3, "s"));
    rig.run();
    let question = asker.events()[0]["id"].clone();
    rig.live(TIMEOUTS.ask + Duration::from_secs(1));
    assert!(asker.is_over());
    let events = asker.events();
    assert!(events[1].get("error").is_some() || events[1]["result"]["isError"] == true);
    let answer = json!({"jsonrpc": "2.0", "id": question, "result": {"action": "accept", "content": {}}});
    let mut late = Listener::new(rig.connect(), &legacy(&session, &answer));
    rig.run();
    assert!(late.text().starts_with("HTTP/1.1 202"));
    leave(&mut rig, &[asker, late]);
}

#[test]
fn a_drain_leaves_no_call_waiting_for_its_client() {
    let mut rig = Rig::new(1, NO_HANDLER_BUT_ONE);
    let session = open_session(&mut rig);
    let mut asker = Listener::new(rig.connect(), &legacy_call(&session, "ask", 3, "s"));
    rig.run();
    rig.drain();
    rig.run();
    assert!(asker.is_over());
    leave(&mut rig, &[asker]);
    assert!(rig.is_finished());
}

#[test]
fn a_cancelled_request_has_a_stream_that_ends_without_an_answer() {
    let mut rig = Rig::new(1, ONE_HANDLER_EACH);
    let session = open_session(&mut rig);
    let foreign = open_session(&mut rig);
    for tool in ["hold", "ask", "speak"] {
        let mut client = Listener::new(rig.connect_to(0), &legacy_call(&session, tool, 3, "s"));
        rig.run();
        let cancel = json!({
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": {"requestId": 3, "reason": "enough"},
        });
        let mut thief = Listener::new(rig.connect_to(1), &legacy(&foreign, &cancel));
        rig.run();
        assert!(
            !client.is_over(),
            "another session's request of the same id goes on"
        );
        let mut canceller = Listener::new(rig.connect_to(1), &legacy(&session, &cancel));
        rig.run();
        for peer in [&mut thief, &mut canceller] {
            assert!(peer.text().starts_with("HTTP/1.1 202"));
        }
        assert!(client.is_over(), "{tool}: {:?}", client.text());
        assert!(
            client.events().iter().all(|event| event.get("result").is_none()),
            "{tool}"
        );
        assert_eq!(rig.shard.calls.idle(), 1, "{tool}");
        // The connection goes on.
        client.peer.write(&legacy_call(&session, "echo", 4, "next"));
        rig.run();
        assert!(client.text().contains(r#""text":"next""#), "{tool}");
        for peer in [&client, &thief, &canceller] {
            peer.peer.finish();
        }
        rig.run();
    }
    leave(&mut rig, &[]);
}

/// Everything is said and answered in one go, before any of it could be sent: the answer counts against no bound.
#[test]
fn an_answer_is_not_too_much_for_a_stream_that_is_read() {
    let mut rig = Rig::new(1, Sizes::default());
    let secret = "s".repeat(20 << 10);
    rig.release(&secret);
    let mut client = Listener::new(rig.connect(), &modern_speak(&secret, 7, 16_000));
    for _ in 0..20 {
        rig.run();
        client.text();
    }
    assert!(client.is_over());
    let events = client.events();
    assert_eq!(events.len(), 8);
    assert_eq!(events[7]["result"]["content"][0]["text"], secret.as_str());
    assert_eq!(rig.metrics.evictions.of(Eviction::SlowReader).value(), 0);
    leave(&mut rig, &[client]);
}
