//! Calls of children that go on as tasks: the tasks are the server's own, whatever the children know of tasks.

use serde_json::{Value, json};

use super::front::Front;
use super::several::Several;
use super::sinner::act;
use crate::harness::{Dialect, Revision, Server, case, connect_to, eventually};
use crate::tasks::{
    about, assert_refused, begin, look, modern, open_legacy, result_of, status, wait_for, wait_until,
};

const RELATED: &str = "io.modelcontextprotocol/related-task";
const TWO_SHARDS: [&str; 2] = ["--shards", "2"];

/// A front whose child says that calls of `act` may be tasks.
fn front(pool: &str) -> Front {
    Front::with(&["mcp:[tasks:optional]"], pool, &TWO_SHARDS)
}

/// One client of each era.
fn both(server: &Server) -> [Dialect; 2] {
    [open_legacy(server), modern()]
}

/// Waits until a task is over; how it ended, and the answer to its call.
#[track_caller]
fn end_of(server: &Server, dialect: &Dialect, task: &str) -> (String, Value) {
    let mut client = connect_to(server, 1);
    eventually("the task is over", || {
        !["working", "input_required"].contains(&&*status(&mut client, dialect, task))
    });
    let found = look(&mut client, dialect, task).unwrap();
    let status = found["status"].as_str().unwrap().to_owned();
    let answer = if dialect.is_modern() {
        found
    } else {
        result_of(wait_for(connect_to(server, 0), dialect, task))
    };
    (status, answer)
}

#[test]
fn tools_are_offered_as_tasks_to_clients_who_ask_for_them() {
    for (child, support) in [
        (&["mcp"][..], "optional"),
        (&["mcp:[tasks:optional]"], "optional"),
        (&["mcp:[tasks:forbidden]"], "forbidden"),
        (&["mcp:[modern]"], "optional"),
    ] {
        let mut front = Front::of(child, "max=1");
        let server = front.weir();
        for revision in Revision::ALL_LEGACY {
            let dialect = server.open_session(&Dialect::legacy(revision));
            let listed = server.ask(&dialect.request(1, "tools/list", json!({})));
            let tools = listed.result()["tools"].as_array().unwrap().clone();
            let act = tools.iter().find(|tool| tool["name"] == "act").unwrap();
            let expected = if revision == Revision::NEWEST_LEGACY {
                json!({"taskSupport": support})
            } else {
                Value::Null
            };
            assert_eq!(act["execution"], expected, "{revision:?} {child:?}");
        }
        let listed = server.ask(&Dialect::modern().request(1, "tools/list", json!({})));
        assert!(!listed.text().contains("taskSupport"), "{}", listed.text());
    }
}

#[test]
fn a_result_is_fetched_on_another_connection_and_shard() {
    for pool in ["mode=shared,max=1", "mode=session", "mode=call,max=2"] {
        let _case = case(pool);
        let mut front = front(pool);
        let server = front.weir();
        for dialect in both(server) {
            let mut client = connect_to(server, 0);
            let steps = [json!(["progress", 2]), json!("line")];
            let task = begin(&mut client, &dialect, "act", act(steps));
            drop(client);
            let (status, answer) = end_of(server, &dialect, &task);
            assert_eq!(status, "completed", "{answer}");
            let result = &answer["result"];
            let line = result["content"][0]["text"].as_str().unwrap();
            assert!(
                line.contains("tools/call") && !line.contains("\"task\""),
                "{line}"
            );
            let related = (!dialect.is_modern()).then_some(&*task);
            assert_eq!(result["_meta"][RELATED]["taskId"].as_str(), related);
        }
    }
}

#[test]
fn results_that_are_no_json_to_most_parsers_come_as_they_are() {
    let mut front = front("max=1");
    let server = front.weir();
    let odd = r#"{"content":[],"n":1.10,"huge":12345678901234567890123,"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"theirs"},"e":1e400}}"#;
    let dialect = open_legacy(server);
    let mut client = connect_to(server, 0);
    let task = begin(&mut client, &dialect, "act", act([json!(["answer", odd])]));
    wait_until(&mut client, &dialect, &task, "completed");
    client.send(&about(&dialect, "tasks/result", &task));
    let text = client.receive().text().to_owned();
    let expected = format!(
        r#""result":{{"content":[],"n":1.10,"huge":12345678901234567890123,"_meta":{{"e":1e400,"{RELATED}":{{"taskId":"{task}"}}}}}}"#
    );
    assert!(text.contains(&expected), "{text}");
}

#[test]
fn errors_of_a_child_end_its_task_as_each_era_has_it() {
    let mut front = front("max=1");
    let server = front.weir();
    let refused = r#"{"code":-32001,"message":"not today","data":{"n":1.10}}"#;
    let wrong = r#"{"content":[{"type":"text","text":"no"}],"isError":true}"#;
    for dialect in both(server) {
        let mut client = connect_to(server, 0);
        let task = begin(&mut client, &dialect, "act", act([json!(["error", refused])]));
        let (status, answer) = end_of(server, &dialect, &task);
        assert_eq!(status, "failed");
        assert_eq!(
            (&answer["error"]["code"], &answer["error"]["data"]["n"]),
            (&json!(-32001), &json!(1.1))
        );
        let found = look(&mut client, &dialect, &task).unwrap();
        assert_eq!(found["statusMessage"], "not today");
        let task = begin(&mut client, &dialect, "act", act([json!(["answer", wrong])]));
        let (status, answer) = end_of(server, &dialect, &task);
        // A tool's own error is a failure in one era and a result in the other.
        assert_eq!(
            status,
            if dialect.is_modern() {
                "completed"
            } else {
                "failed"
            }
        );
        assert_eq!(answer["result"]["isError"], true);
    }
}

#[test]
fn a_cancelled_task_is_cancelled_at_its_child() {
    for pool in ["mode=shared,max=1", "mode=session"] {
        let _case = case(pool);
        let mut front = front(pool);
        let server = front.weir();
        for dialect in both(server) {
            let mut client = connect_to(server, 0);
            let task = begin(
                &mut client,
                &dialect,
                "act",
                act(["count", "await-cancel", "count"]),
            );
            let counted = |server: &Server| {
                let answer = server.ask(&dialect.tool(1, "act", act(["counted"])));
                answer.tool_text().to_owned()
            };
            if dialect.is_modern() {
                // Its calls are all tasks.
                let mut other = connect_to(server, 1);
                let cancelled = other.ask(&about(&dialect, "tasks/cancel", &task));
                assert!(cancelled.json().get("result").is_some(), "{}", cancelled.text());
            } else {
                eventually("the child has it", || counted(server) == "1");
                let mut other = connect_to(server, 1);
                let cancelled = other.ask(&about(&dialect, "tasks/cancel", &task));
                assert_eq!(cancelled.result()["status"], "cancelled");
                eventually("the child goes on", || counted(server) == "2");
            }
            assert_eq!(status(&mut client, &dialect, &task), "cancelled");
        }
    }
}

#[test]
fn a_child_that_dies_fails_its_tasks_and_the_next_one_works() {
    for pool in ["mode=shared,max=1", "mode=session,on_loss=restart"] {
        let _case = case(pool);
        let mut front = front(pool);
        for is_modern in [false, true] {
            let server = front.weir();
            let dialect = if is_modern { modern() } else { open_legacy(server) };
            let mut client = connect_to(server, 0);
            let task = begin(
                &mut client,
                &dialect,
                "act",
                act([json!(["progress", 1]), json!(["exit", 3])]),
            );
            let (status, answer) = end_of(server, &dialect, &task);
            assert_eq!(
                (&*status, &answer["error"]["code"]),
                ("failed", &json!(-32603)),
                "{answer}"
            );
            let task = begin(&mut client, &dialect, "act", act(["count"]));
            assert_eq!(end_of(server, &dialect, &task).0, "completed");
        }
    }
}

#[test]
fn a_task_takes_no_longer_than_a_call_of_its_child_may() {
    let mut front = front("max=1,call_timeout=300ms,cancel_grace=200ms");
    let server = front.weir();
    for dialect in both(server) {
        let mut client = connect_to(server, 0);
        let task = begin(&mut client, &dialect, "act", act(["await-cancel", "forget"]));
        let (status, answer) = end_of(server, &dialect, &task);
        assert_eq!(status, "failed");
        assert_eq!(answer["error"]["data"]["reason"], "it took too long", "{answer}");
    }
}

#[test]
fn nobody_else_sees_a_task_or_what_it_came_to() {
    let mut front = front("mode=session");
    let server = front.weir();
    let (one, other) = (open_legacy(server), open_legacy(server));
    let mut client = connect_to(server, 0);
    let task = begin(&mut client, &one, "act", act(["pid"]));
    let (_, answer) = end_of(server, &one, &task);
    let own = answer["result"]["content"][0]["text"].clone();
    let pid = server.ask(&one.tool(1, "act", act(["pid"])));
    assert_eq!(own, pid.tool_text(), "its session's child has it");
    let listed = |dialect: &Dialect| {
        let listed = server.ask(&dialect.request(1, "tasks/list", json!({})));
        listed.result()["tasks"].as_array().unwrap().len()
    };
    assert_eq!((listed(&one), listed(&other)), (1, 0));
    for method in ["tasks/get", "tasks/cancel"] {
        assert_refused(&client.ask(&about(&modern(), method, &task)), -32602);
    }
}

#[test]
fn a_tool_that_says_nothing_of_tasks_answers_modern_clients_at_once() {
    let mut front = Front::with(&["mcp"], "max=1", &TWO_SHARDS);
    let server = front.weir();
    let answer = server.ask(&modern().tool(1, "act", act(["count"])));
    assert_eq!(answer.tool_text(), "1");
    let legacy = open_legacy(server);
    let mut client = connect_to(server, 0);
    let task = begin(&mut client, &legacy, "act", act(["count"]));
    assert_eq!(
        end_of(server, &legacy, &task).1["result"]["content"][0]["text"],
        "2"
    );
}

#[test]
fn tasks_of_servers_that_are_served_together_find_their_server() {
    let servers: [(&str, &[&str]); 2] = [
        ("alpha", &["mcp:[tasks:optional]"]),
        ("beta", &["mcp:[tasks:optional]"]),
    ];
    let several = Several::start("tasks", &servers, &[]);
    let server = &several.server;
    for dialect in both(server) {
        let mut client = connect_to(server, 0);
        for name in ["alpha__act", "beta__act"] {
            let task = begin(&mut client, &dialect, name, act(["line"]));
            let (status, answer) = end_of(server, &dialect, &task);
            assert_eq!(status, "completed", "{answer}");
            let line = answer["result"]["content"][0]["text"].as_str().unwrap();
            assert!(line.contains(r#""name":"act""#), "{line}");
        }
    }
}

/// Such a tool is called by a task of its child's, whoever calls it and as what.
#[test]
fn a_tool_that_is_a_task_or_nothing_serves_every_client() {
    for pool in ["mode=shared,max=1", "mode=session", "mode=call,max=2"] {
        let _case = case(pool);
        let mut front = Front::with(&["mcp:[tasks:required]"], pool, &TWO_SHARDS);
        let server = front.weir();
        for dialect in both(server) {
            let task = begin(&mut connect_to(server, 0), &dialect, "act", act(["line"]));
            let (status, answer) = end_of(server, &dialect, &task);
            assert_eq!(status, "completed", "{answer}");
            let line = answer["result"]["content"][0]["text"].as_str().unwrap();
            assert!(line.contains("\"task\":{},"), "{line}");
            assert!(
                !answer.to_string().contains('\u{e9}'),
                "the child's name for it: {answer}"
            );
        }
        // Who knows no tasks waits.
        for revision in Revision::ALL_LEGACY {
            let dialect = server.open_session(&Dialect::legacy(revision));
            let call = dialect.tool(
                1,
                "act",
                act(["progress", "line"].map(|step| match step {
                    "progress" => json!(["progress", 1]),
                    step => json!(step),
                })),
            );
            let answer = server.ask(&call);
            if revision == Revision::NEWEST_LEGACY {
                assert_refused(&answer, -32601);
            } else {
                assert!(answer.tool_text().contains("\"task\":{},"), "{}", answer.text());
            }
        }
        let answer = server.ask(&Dialect::modern().tool(1, "act", act(["line"])));
        assert!(answer.tool_text().contains("\"task\":{},"), "{}", answer.text());
    }
}

#[test]
fn the_task_of_a_child_is_cancelled_as_one() {
    let pool = "max=1,max_in_flight=1,call_timeout=500ms,cancel_grace=30s";
    let mut front = Front::with(&["mcp:[tasks:required]"], pool, &TWO_SHARDS);
    let server = front.weir();
    let dialect = modern();
    let mut client = connect_to(server, 0);
    // The one place is free again as soon as the child has heard of it.
    for is_cancelled in [true, false, true] {
        let task = begin(&mut client, &dialect, "act", act(["await-cancel"]));
        if is_cancelled {
            client.ask(&about(&dialect, "tasks/cancel", &task)).result();
        }
        let (status, _) = end_of(server, &dialect, &task);
        assert_eq!(status, if is_cancelled { "cancelled" } else { "failed" });
    }
    let answer = server.ask(&Dialect::modern().tool(1, "act", act(["heard"])));
    let heard = answer.tool_text();
    // One that still waited for the place was never told of.
    assert!(heard.matches("tasks/cancel").count() >= 2, "{heard}");
    assert!(!heard.contains("notifications/cancelled"), "{heard}");
}
