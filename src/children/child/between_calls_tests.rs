//! What a child says and asks while it has no call.

use super::*;

const DONE: &str =
    "{\"method\":\"notifications/elicitation/complete\",\"params\":{\"elicitationId\":\"e\"}}\n";

/// The child of one client, which may ask.
fn own() -> Rig {
    let mut rig = Rig::ready(asking());
    rig.child.hear_between_calls();
    rig
}

#[test]
fn the_client_whose_child_it_is_is_asked() {
    let mut rig = own();
    rig.say(QUESTION);
    assert_eq!(rig.told(), ["its client is asked 1"]);
    let given = QuestionAnswer::Given {
        kind: Kind::Result,
        outcome: b"{}",
    };
    // It goes on when a call comes and ends.
    let id = rig.call("a").wire_id();
    rig.say(&format!("{{\"id\":{id},\"result\":1}}\n"));
    rig.told();
    rig.read();
    assert!(rig.child.answer_question(1, given, rig.now));
    assert_eq!(rig.read(), "{\"jsonrpc\":\"2.0\",\"id\":\"q\",\"result\":{}}\n");
    rig.say(QUESTION);
    assert_eq!(rig.told(), ["its client is asked 2"]);
    rig.pass(301);
    assert!(rig.told().is_empty(), "no call hears that it was too late");
    assert!(rig.read().contains("-32603"));
}

#[test]
fn a_call_that_comes_is_asked_what_comes_then() {
    let mut rig = own();
    rig.say(QUESTION);
    rig.call("a");
    rig.say(&QUESTION.replace("\"q\"", "\"r\""));
    assert_eq!(rig.told(), ["its client is asked 1", "a is asked 2"]);
    // All of them are asked already: the call is asked once more.
    rig.say(&QUESTION.replace("\"q\"", "\"s\""));
    assert_eq!(rig.told(), ["a is asked 3"]);
}

#[test]
fn a_child_without_a_client_asks_nobody() {
    let mut rig = Rig::ready(asking());
    rig.say(QUESTION);
    assert!(rig.told().is_empty());
    assert!(rig.read().contains("-32601"));
}

#[test]
fn what_a_url_was_opened_for_is_told_to_the_call_or_to_the_client() {
    let mut rig = own();
    rig.say(DONE);
    assert_eq!(rig.told(), ["logged"]);
    rig.call("a");
    rig.say(DONE);
    assert_eq!(rig.told(), ["logged for a"]);
    // Where nobody can say whose it is, nobody hears of it.
    let mut rig = Rig::ready(limits_by_default());
    rig.call("a");
    rig.say(DONE);
    assert!(rig.told().is_empty());
}
