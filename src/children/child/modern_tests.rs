//! A child of the modern era, or one that is asked whether it is.

use super::*;

const DISCOVERED: &str = r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}"#;

#[test]
fn a_modern_child_reads_the_envelope_and_is_never_initialized() {
    let mut rig = Rig::probing();
    rig.pass(1);
    assert_eq!(rig.read(), "", "it has time");
    rig.say(&format!("{{\"id\":1,\"result\":{DISCOVERED}}}\n"));
    assert_eq!(rig.told(), ["ready"]);
    rig.pass(10);
    assert_eq!(rig.read(), "");
    let text = br#"{"id":"theirs","method":"tools/call","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","progressToken":"t","x":1.10}}}"#;
    let message = Message::read(text).unwrap();
    let id = rig.child.submit(text, &message, "a", rig.now).unwrap().wire_id();
    assert_eq!(
        rig.read(),
        format!(
            "{{\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"_meta\":{{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\"progressToken\":{id},\"x\":1.10}}}}}}\n"
        )
    );
    rig.say(&format!(
        "{{\"id\":{id},\"result\":{{\"resultType\":\"complete\"}}}}\n"
    ));
    assert_eq!(
        rig.told(),
        [r#"a: {"id":"theirs","result":{"resultType":"complete"}}"#]
    );
    // It knows no pings.
    rig.pass(30);
    assert!(
        rig.read()
            .contains("\"method\":\"server/discover\",\"params\":{\"_meta\"")
    );
    rig.say(&format!("{{\"id\":2,\"result\":{DISCOVERED}}}\n"));
    rig.pass(29);
    rig.pass(2);
    assert!(rig.read().contains("\"id\":3,\"method\":\"server/discover\""));
    rig.pass(30);
    assert_eq!(rig.told(), ["failed: it does not answer"]);
}

#[test]
fn a_child_that_refuses_the_question_or_is_silent_is_greeted_as_older_ones() {
    let introduction = format!("{{\"id\":2,\"result\":{INTRODUCTION}}}\n");
    for answer in [
        "{\"id\":1,\"error\":{\"code\":-32601,\"message\":\"Method not found\"}}\n",
        "{\"id\":1,\"error\":{\"code\":-32602,\"message\":\"Invalid request parameters\"}}\n",
        "{\"id\":1,\"result\":{}}\n",
    ] {
        let mut rig = Rig::probing();
        let mut lines = 0;
        let stderr = "Failed to validate request: 1 validation error\n".repeat(150);
        rig.child
            .on_error_output(stderr.as_bytes(), rig.now, |_| lines += 1);
        assert_eq!(lines, 150);
        rig.say(&format!("no JSON\n{answer}"));
        assert!(
            rig.read().contains("\"id\":2,\"method\":\"initialize\""),
            "{answer}"
        );
        rig.say(&introduction);
        assert_eq!(rig.told(), ["rubbish (0, not JSON): no JSON", "ready"]);
        rig.call("a");
        assert!(!rig.read().contains("io.modelcontextprotocol"));
    }
    let mut rig = Rig::probing();
    rig.pass(2);
    assert!(rig.read().contains("\"id\":2,\"method\":\"initialize\""));
    rig.pass(2);
    assert_eq!(rig.read(), "");
    rig.say(&introduction);
    assert_eq!(rig.told(), ["ready"]);
}

#[test]
fn a_child_that_dies_of_the_question_has_failed() {
    let mut rig = Rig::probing();
    rig.child
        .on_output_end(rig.now, |event| rig.told.push(shown(event)));
    assert_eq!(rig.told(), ["failed: it closed its output"]);
    let mut rig = Rig::probing();
    rig.pass(2);
    rig.read();
    rig.pass(30);
    assert_eq!(rig.told(), ["failed: it was not ready in time"]);
}

#[test]
fn a_modern_child_is_listened_to_and_again_when_it_has_ended_that() {
    let mut rig = Rig::probing();
    let declared = DISCOVERED.replace(
        r#""tools":{}"#,
        r#""tools":{"listChanged":true},"resources":{"listChanged":true}"#,
    );
    rig.say(&format!("{{\"id\":1,\"result\":{declared}}}\n"));
    let asked = rig.read();
    assert!(
        asked.contains(r#""id":2,"method":"subscriptions/listen""#)
            && asked.contains(r#""notifications":{"toolsListChanged":true,"resourcesListChanged":true}}}"#),
        "{asked}"
    );
    rig.say("{\"method\":\"notifications/subscriptions/acknowledged\",\"params\":{}}\n");
    rig.say("{\"method\":\"notifications/tools/list_changed\",\"params\":{}}\n");
    assert_eq!(rig.told(), ["ready", "a list has changed"]);
    assert_eq!(rig.child.counters(), ChildCounters::default());
    // Its lists are read under other ids, and so are pings.
    rig.child.reread_lists(rig.now);
    assert!(rig.read().contains("\"id\":3,\"method\":\"tools/list\""));
    rig.say("{\"id\":2,\"result\":{\"resultType\":\"complete\"}}\n");
    for (id, list) in [(3, "tools"), (4, "resources"), (5, "resourceTemplates")] {
        rig.say(&format!("{{\"id\":{id},\"result\":{{\"{list}\":[]}}}}\n"));
    }
    assert_eq!(rig.told(), ["0 tools"]);
    rig.read();
    rig.pass(29);
    assert!(!rig.read().contains("listen"));
    rig.pass(1);
    let asked = rig.read();
    assert!(
        asked.contains(r#""method":"subscriptions/listen""#) && asked.contains("tools/list"),
        "{asked}"
    );
}

#[test]
fn a_modern_child_that_refuses_to_be_listened_to_is_left_alone() {
    let mut rig = Rig::probing();
    let declared = DISCOVERED.replace(r#""tools":{}"#, r#""tools":{"listChanged":true}"#);
    rig.say(&format!("{{\"id\":1,\"result\":{declared}}}\n"));
    assert!(rig.read().contains("subscriptions/listen"));
    rig.say("{\"id\":2,\"error\":{\"code\":-32601,\"message\":\"no\"}}\n");
    rig.pass(100);
    assert!(!rig.read().contains("subscriptions/listen"));
    assert_eq!(rig.told(), ["ready"]);
}

#[test]
fn a_modern_child_is_listened_to_anew_when_other_resources_are_of_interest() {
    let mut rig = Rig::probing();
    let declared = DISCOVERED.replace(r#""tools":{}"#, r#""tools":{"listChanged":true},"resources":{}"#);
    rig.say(&format!("{{\"id\":1,\"result\":{declared}}}\n"));
    rig.read();
    rig.child.subscribe("b", true, rig.now);
    rig.child.subscribe("a\"", true, rig.now);
    assert_eq!(rig.read(), "", "changes are gathered");
    rig.child.renew_listening(rig.now);
    let asked = rig.read();
    let [listen, cancel] = asked.lines().collect::<Vec<_>>()[..] else {
        panic!("{asked}");
    };
    assert!(
        listen.contains(r#""id":3,"method":"subscriptions/listen""#)
            && listen.ends_with(
                r#""notifications":{"toolsListChanged":true,"resourceSubscriptions":["a\"","b"]}}}"#
            ),
        "{listen}"
    );
    assert!(
        cancel.contains(r#""method":"notifications/cancelled","params":{"requestId":2,"#),
        "{cancel}"
    );
    rig.child.renew_listening(rig.now);
    rig.child.subscribe("b", true, rig.now);
    rig.child.renew_listening(rig.now);
    assert_eq!(rig.read(), "");
    // The end of the old one is no end.
    rig.say("{\"id\":2,\"result\":{\"resultType\":\"complete\"}}\n");
    rig.say("{\"method\":\"notifications/resources/updated\",\"params\":{\"uri\":\"b\"}}\n");
    assert_eq!(rig.told(), ["ready", "updated b"]);
    assert_eq!(rig.child.counters(), ChildCounters::default());
    rig.child.subscribe("b", false, rig.now);
    rig.child.renew_listening(rig.now);
    assert!(rig.read().contains(r#""resourceSubscriptions":["a\""]"#));
    // One that will not hear of resources still tells of lists, until it is asked for others.
    rig.say("{\"id\":4,\"error\":{\"code\":-32602,\"message\":\"no\"}}\n");
    rig.child.renew_listening(rig.now);
    let asked = rig.read();
    assert!(
        asked.contains(r#""id":5"#) && !asked.contains("resourceSubscriptions"),
        "{asked}"
    );
    rig.child.subscribe("c", true, rig.now);
    rig.child.renew_listening(rig.now);
    assert!(rig.read().contains(r#""resourceSubscriptions":["a\"","c"]"#));
}

#[test]
fn a_log_message_is_about_the_only_call_or_the_oldest_of_the_only_client() {
    const SAID: &str = "{\"method\":\"notifications/message\",\"params\":{\"level\":\"info\"}}\n";
    for ask_timeout in [None, Some(Duration::from_secs(60))] {
        let mut rig = Rig::probing();
        rig.child.limits.ask_timeout = ask_timeout;
        rig.say(&format!("{{\"id\":1,\"result\":{DISCOVERED}}}\n{SAID}"));
        assert_eq!(rig.told(), ["ready", "logged"]);
        let first = rig.call("a");
        rig.say(SAID);
        assert_eq!(rig.told(), ["logged for a"]);
        rig.call("b");
        rig.say(SAID);
        rig.child.cancel(first, "enough", rig.now);
        rig.say(SAID);
        // The child may still be busy with what was cancelled.
        let expected = match ask_timeout {
            None => ["logged", "logged"],
            Some(_) => ["logged for a", "logged for b"],
        };
        assert_eq!(rig.told(), expected);
    }
}
