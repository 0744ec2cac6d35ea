//! What children say to their clients besides answers: questions and log messages, where one client alone can be meant,
//! and updates of resources.

use serde_json::{Value, json};

use super::front::{Front, heard, told};
use super::sinner::act;
use crate::harness::{Conversation, Dialect, Revision, eventually, text_of};

/// Fronts of one child each whose client is known: every kind of pool in which that is so.
fn fronts() -> [Front; 3] {
    [
        interactive(),
        Front::of(&["mcp"], "mode=call,max=2,min_idle=2"),
        sessions(),
    ]
}

fn sessions() -> Front {
    Front::with(&["mcp"], "mode=session", &["--shards", "2"])
}

fn interactive() -> Front {
    Front::of(&["mcp"], "interactive=on,max=1")
}

/// A step that asks this of the client; the answer's line becomes the text of the call.
fn ask(method: &str, params: Value) -> Value {
    json!(["ask", method, params])
}

fn form() -> Value {
    let params = json!({"message": "who?", "requestedSchema": {"type": "object", "properties": {}}});
    ask("elicitation/create", params)
}

fn answer_to(method: &str, _: &Value) -> Value {
    match method {
        "elicitation/create" => json!({"action": "accept", "content": {"name": "Ada"}}),
        "sampling/createMessage" => {
            json!({"role": "assistant", "content": {"type": "text", "text": "hm"}, "model": "m"})
        }
        "roots/list" => json!({"roots": [{"uri": "file:///a"}]}),
        _ => panic!("{method}"),
    }
}

#[test]
pub(super) fn clients_are_asked_everything_that_they_have_declared() {
    for front in fronts() {
        ask_everything(front.legacy());
        ask_everything(front.modern());
    }
}

fn ask_everything(mut client: Conversation) {
    {
        let sampling = json!({"messages": [], "maxTokens": 1});
        for (step, said) in [
            (form(), "Ada"),
            (ask("sampling/createMessage", sampling), "hm"),
            (ask("roots/list", json!({})), "file:///a"),
        ] {
            let conversed = client.converse("act", act([step]), &[1], answer_to);
            let text = text_of(&conversed.result).to_owned();
            assert!(text.contains(said), "{text}");
        }
        client.finish();
    }
}

#[test]
pub(super) fn questions_of_two_clients_at_once_are_each_its_own() {
    questions_of_two_clients(&Front::of(&["mcp"], "interactive=on,min_idle=2,max=2"));
    questions_of_two_clients(&sessions());
}

fn questions_of_two_clients(front: &Front) {
    let mut clients = [front.legacy(), front.legacy()];
    let calls = clients.each_mut().map(|client| client.call("act", act([form()])));
    let asked = clients.each_mut().map(Conversation::message);
    for (number, client) in clients.iter_mut().enumerate().rev() {
        let content = json!({"action": "accept", "content": {"number": number}});
        client.respond(&asked[number]["id"], &content);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let text = text_of(&client.result(&calls[number])).to_owned();
        assert!(text.contains(&format!("\"number\":{number}")), "{text}");
    }
}

/// The process of a session cannot say for which of the session's calls it asks; whichever carries the question, the
/// answer gets there.
#[test]
pub(super) fn a_client_with_several_calls_is_asked_once_for_each() {
    let front = sessions();
    let mut client = front.legacy();
    let calls = [(); 3].map(|()| client.call("act", act([form()])));
    let mut asked: Vec<Value> = (0..3).map(|_| client.message()["id"].clone()).collect();
    asked.reverse();
    for (number, id) in asked.iter().enumerate() {
        let content = json!({"action": "accept", "content": {"number": number}});
        client.respond(id, &content);
    }
    // They come in any order.
    let mut answers: Vec<String> = calls
        .iter()
        .map(|_| text_of(&client.message()["result"]).to_owned())
        .collect();
    answers.sort_unstable_by_key(|text| text.find("\"number\":").map(|at| text[at..].to_owned()));
    for (number, text) in answers.iter().enumerate() {
        assert!(text.contains(&format!("\"number\":{number}")), "{answers:?}");
    }
}

#[test]
pub(super) fn older_clients_are_asked_in_their_own_words() {
    for revision in Revision::ALL_LEGACY {
        let dialect = Dialect::legacy(revision).able(json!({"elicitation": {}, "sampling": {}}));
        let front = interactive();
        let mut client = front.connect(dialect);
        client.initialize();
        let messages = json!([{"role": "user", "content": {"type": "text", "text": "hi"}}]);
        let step = ask(
            "sampling/createMessage",
            json!({"messages": messages, "maxTokens": 1}),
        );
        let conversed = client.converse("act", act([step]), &[1], answer_to);
        assert!(text_of(&conversed.result).contains("hm"));
        let has_forms = revision.0 >= "2025-06-18";
        let id = client.call("act", act([form()]));
        if has_forms {
            let asked = client.message();
            assert_eq!(asked["method"], "elicitation/create", "{asked}");
            client.respond(&asked["id"], &json!({"action": "decline"}));
        }
        let text = text_of(&client.result(&id)).to_owned();
        assert_eq!(text.contains("-32601"), !has_forms, "{text}");
    }
}

#[test]
pub(super) fn a_client_that_declares_nothing_is_asked_nothing() {
    for front in fronts() {
        let mut client = front.connect(Dialect::legacy(Revision::NEWEST_LEGACY));
        client.initialize();
        assert!(told(&mut client, act([form()])).contains("-32601"));
        client.finish();
    }
}

/// Two rounds, in the first of which two threads of the child ask at once.
#[test]
pub(super) fn modern_clients_answer_round_by_round() {
    let front = interactive();
    let mut client = front.modern();
    let asked = form()[2].clone();
    let both = json!(["ask-both", "elicitation/create", asked, "roots/list", {}]);
    let conversed = client.converse("act", act([both, form()]), &[2, 1], answer_to);
    assert!(text_of(&conversed.result).contains("Ada"));
    client.finish();
}

#[test]
fn what_a_modern_client_brings_back_is_good_once_and_for_its_own_call() {
    for front in [interactive(), Front::of(&["mcp"], "mode=call,max=2,min_idle=2")] {
        let mut client = front.modern();
        let params = json!({"name": "act", "arguments": act([form()])});
        let asked = client.ask("tools/call", params.clone());
        assert_eq!(asked["resultType"], "input_required", "{asked}");
        let key = asked["inputRequests"]
            .as_object()
            .unwrap()
            .keys()
            .next()
            .unwrap()
            .clone();
        let bring = |mut params: Value, state: &Value| {
            params["inputResponses"] = json!({key.clone(): {"action": "decline"}});
            params["requestState"] = state.clone();
            params
        };
        let state = &asked["requestState"];
        let other = json!({"name": "act", "arguments": act(["pid"])});
        let mut thief = front.modern();
        for (params, state) in [(other, state), (params.clone(), &json!("forged"))] {
            let id = thief.send("tools/call", bring(params, state));
            assert_eq!(thief.error(&id, -32602)["data"]["reason"], "unreadable");
        }
        let result = client.ask("tools/call", bring(params.clone(), state));
        assert!(text_of(&result).contains("decline"), "{result}");
        let id = client.send("tools/call", bring(params, state));
        assert_eq!(client.error(&id, -32602)["data"]["reason"], "used");
    }
}

#[test]
fn a_child_that_dies_takes_the_call_that_waits_at_it_along() {
    let front = Front::with(&["mcp"], "interactive=on,max=1", &["--shards", "2"]);
    let mut client = front.modern();
    let params = json!({"name": "act", "arguments": act([form()])});
    let asked = client.ask("tools/call", params.clone());
    for pid in front.processes() {
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap(),
            rustix::process::Signal::KILL,
        )
        .unwrap();
    }
    assert_eq!(front.modern().text_of("echo", json!({"message": "next"})), "next");
    let mut retry = params;
    retry["requestState"] = asked["requestState"].clone();
    let id = client.send("tools/call", retry);
    assert_eq!(client.error(&id, -32602)["data"]["reason"], "lost");
}

fn log(level: &str, data: &str) -> Value {
    json!(["notify", "notifications/message", {"level": level, "logger": "l", "data": data, "n": 1.10}])
}

/// A client hears what its own calls log, from the level that it has set, and nobody else does.
#[test]
pub(super) fn log_messages_reach_their_caller_by_its_level() {
    for front in fronts() {
        let mut client = front.connect(super::front::legacy());
        let introduction = client.initialize();
        assert_eq!(
            introduction["capabilities"]["logging"],
            json!({}),
            "{introduction}"
        );
        let mut other = front.legacy();
        let both = || act([log("debug", "low"), log("error", "high"), json!(["sleep", 50])]);
        let id = client.call("act", both());
        let heard = client.notification("notifications/message");
        assert_eq!(
            heard,
            json!({"level": "error", "logger": "l", "data": "high", "n": 1.1})
        );
        assert!(client.text().contains(r#""n":1.1"#));
        assert_eq!(text_of(&client.result(&id)), "done");
        client.ask("logging/setLevel", json!({"level": "debug"}));
        let id = client.call("act", both());
        for data in ["low", "high"] {
            assert_eq!(client.notification("notifications/message")["data"], data);
        }
        client.result(&id);
        let id = client.call("act", act(["heard"]));
        let lines = text_of(&client.result(&id)).to_owned();
        assert!(
            lines.contains("logging/setLevel") && lines.contains("debug"),
            "{lines}"
        );
        other.assert_quiet();
        // The next one has set nothing, and hears what it would hear from a child of its own.
        let id = other.call("act", both());
        assert_eq!(other.notification("notifications/message")["data"], "high");
        other.result(&id);
        client.finish();
        other.finish();
    }
}

#[test]
pub(super) fn modern_clients_hear_what_their_request_wants() {
    let front = interactive();
    let mut client = front.modern();
    let both = || act([log("debug", "low"), log("error", "high"), json!(["sleep", 50])]);
    let id = client.call("act", both());
    assert_eq!(text_of(&client.result(&id)), "done");
    for (level, wanted) in [("debug", vec!["low", "high"]), ("warning", vec!["high"])] {
        let id = client.call_with("act", both(), json!({"io.modelcontextprotocol/logLevel": level}));
        for data in wanted {
            assert_eq!(client.notification("notifications/message")["data"], data);
        }
        assert_eq!(text_of(&client.result(&id)), "done");
    }
}

/// A child that serves many clients at once cannot say whose question or message it has: it is told that there is
/// nobody, and no client is promised any.
#[test]
pub(super) fn children_of_many_clients_ask_nobody_and_tell_nobody() {
    let front = Front::start();
    for mut client in front.both() {
        let text = told(&mut client, act([log("error", "secret"), form()]));
        assert!(text.contains("-32601"), "{text}");
        client.assert_quiet();
    }
    let introduction = front.connect(super::front::legacy()).initialize();
    assert_eq!(
        introduction["capabilities"].get("logging"),
        None,
        "{introduction}"
    );
}

fn updated(uri: &str) -> Value {
    json!(["notify", "notifications/resources/updated", {"uri": uri}])
}

/// How often the child has heard of this method.
fn times(client: &mut Conversation, method: &str) -> usize {
    let lines = heard(client);
    lines.iter().filter(|line| line.contains(method)).count()
}

/// The first subscriber of a resource has the child subscribed, the last one unsubscribed; a successor is subscribed
/// again.
#[test]
pub(super) fn updates_reach_subscribers_and_nobody_else() {
    let front = Front::start();
    let (mut first, mut second, mut third) = (front.legacy(), front.legacy(), front.legacy());
    let one = json!({"uri": "child://one"});
    first.ask("resources/subscribe", one.clone());
    second.ask("resources/subscribe", one.clone());
    eventually("the child is subscribed to", || {
        times(&mut third, "resources/subscribe") == 1
    });
    told(&mut third, act([updated("child://one"), updated("child://two")]));
    for client in [&mut first, &mut second] {
        assert_eq!(client.notification("notifications/resources/updated"), one);
    }
    first.ask("resources/unsubscribe", one.clone());
    told(&mut third, act([updated("child://one")]));
    assert_eq!(second.notification("notifications/resources/updated"), one);
    assert_eq!(times(&mut third, "resources/unsubscribe"), 0);
    first.assert_quiet();
    // Its successor knows nothing of it, unless it is told.
    let id = third.call("act", act([json!(["signal", 9])]));
    third.answer(&id);
    eventually("the successor is subscribed to", || {
        times(&mut third, "resources/subscribe") == 1
    });
    told(&mut third, act([updated("child://one")]));
    assert_eq!(second.notification("notifications/resources/updated"), one);
    second.ask("resources/unsubscribe", one);
    eventually("nobody listens", || {
        times(&mut third, "resources/unsubscribe") == 1
    });
    told(&mut third, act([updated("child://one")]));
    for client in [&mut first, &mut second, &mut third] {
        client.assert_quiet();
    }
}

#[test]
pub(super) fn a_modern_subscriber_listens_to_resources_of_children() {
    let front = Front::start();
    let mut listener = front.modern();
    let wanted = json!({"notifications": {"resourceSubscriptions": ["child://one"]}});
    listener.send("subscriptions/listen", wanted);
    let acknowledged = listener.notification("notifications/subscriptions/acknowledged");
    assert!(acknowledged.to_string().contains("child://one"), "{acknowledged}");
    let mut other = front.legacy();
    eventually("the child is subscribed to", || {
        times(&mut other, "resources/subscribe") == 1
    });
    told(&mut other, act([updated("child://two"), updated("child://one")]));
    let updated = listener.notification("notifications/resources/updated");
    assert_eq!(updated["uri"], "child://one", "{updated}");
    other.assert_quiet();
}

#[test]
fn children_of_single_calls_have_no_subscribers() {
    let front = Front::of(&["mcp"], "mode=call,max=2,min_idle=1");
    let introduction = front.connect(super::front::legacy()).initialize();
    let resources = &introduction["capabilities"]["resources"];
    assert_ne!(resources["subscribe"], true, "{introduction}");
}

/// A child that wants URLs opened first: a modern client is asked, and calls again from the start.
#[test]
fn urls_that_are_to_be_opened_first() {
    let front = Front::start();
    let place =
        json!({"mode": "url", "elicitationId": "e", "url": "https://a.example/", "message": "Sign in."});
    let data = json!({"elicitations": [place]});
    let error = json!({"code": -32042, "message": "first", "data": data}).to_string();
    let params = json!({"name": "act", "arguments": act([json!(["error", error])])});
    let able = json!({"elicitation": {"form": {}, "url": {}}});
    let mut client = front.connect(Dialect::modern().able(able.clone()));
    let asked = client.ask("tools/call", params.clone());
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let request = &asked["inputRequests"]["url_1"];
    assert_eq!(
        request["params"],
        json!({"mode": "url", "url": "https://a.example/", "message": "Sign in."})
    );
    assert_eq!(asked.get("requestState"), None);
    let mut again = json!({"name": "act", "arguments": act(["line"])});
    again["inputResponses"] = json!({"url_1": {"action": "accept"}});
    let result = client.ask("tools/call", again);
    assert!(!text_of(&result).contains("inputResponses"), "{result}");
    // Others are told as far as their era can say.
    let mut unable = front.modern();
    let id = unable.send("tools/call", params.clone());
    unable.error(&id, -32021);
    let mut older = front.connect(Dialect::legacy(Revision::NEWEST_LEGACY).able(able));
    older.initialize();
    let id = older.send("tools/call", params);
    assert_eq!(older.error(&id, -32042)["data"], data);
}
