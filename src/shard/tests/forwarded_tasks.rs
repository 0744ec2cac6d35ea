//! Calls of children that go on as tasks: looked after on any shard, ended by everything that ends such a call.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{events, post};
use super::nursery::{self, Nursery};
use super::rig::{Rig, Sizes};

const TWO_SHARDS: Sizes = Sizes {
    shards: 2,
    handlers: 1,
    ..Sizes::DEFAULT
};
const RELATED: &str = "io.modelcontextprotocol/related-task";

/// Who asks for tasks.
enum Owner {
    /// A session of 2025-11-25.
    Session(String),
    /// A client of 2026-07-28 that knows tasks.
    Modern,
}

/// A rig whose one child is on this shard.
fn rig(shard: usize) -> (Rig, Nursery) {
    let (mut rig, mut nursery) = nursery::rig(1, TWO_SHARDS, 4, 4);
    nursery.start(&mut rig, 1, shard);
    (rig, nursery)
}

/// One client of each era.
fn owners(rig: &mut Rig, nursery: &mut Nursery) -> [Owner; 2] {
    let params = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {"elicitation": {}},
        "clientInfo": {"name": "peer", "version": "1"},
    });
    let message = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
    let answer = exchange(rig, nursery, 0, &post("", message.to_string().as_bytes()));
    let mut fields = answer.lines();
    let session = fields.find_map(|line| line.strip_prefix("Mcp-Session-Id: "));
    [
        Owner::Session(session.expect("a session").to_owned()),
        Owner::Modern,
    ]
}

/// The answer to a request on a connection of its own.
fn exchange(rig: &mut Rig, nursery: &mut Nursery, shard: usize, request: &[u8]) -> String {
    let peer = rig.connect_to(shard);
    peer.write(request);
    nursery.live(rig);
    let answer = String::from_utf8(peer.read()).unwrap();
    peer.finish();
    nursery.live(rig);
    answer
}

impl Owner {
    fn request(&self, method: &str, mut params: Value) -> Vec<u8> {
        let fields = match self {
            Owner::Session(session) => format!("Mcp-Session-Id: {session}\r\n"),
            Owner::Modern => {
                params["_meta"] = json!({
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientCapabilities":
                        {"elicitation": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}},
                });
                let name = params["name"].as_str().or(params["taskId"].as_str());
                let name = name.unwrap_or_default();
                format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\nMcp-Name: {name}\r\n")
            }
        };
        let message = json!({"jsonrpc": "2.0", "id": 9, "method": method, "params": params});
        post(&fields, message.to_string().as_bytes())
    }

    /// The answer to a request that is not kept waiting.
    fn ask(&self, rig: &mut Rig, nursery: &mut Nursery, shard: usize, method: &str, params: Value) -> Value {
        let answer = exchange(rig, nursery, shard, &self.request(method, params));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        if head.contains("text/event-stream") {
            return events(answer.as_bytes()).pop().unwrap_or_default();
        }
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
    }

    /// The id of a task for a call, which the child has after that.
    fn begin(&self, rig: &mut Rig, nursery: &mut Nursery, secret: &str) -> String {
        let mut params = json!({"name": "slow", "arguments": {"secret": secret}});
        if matches!(self, Owner::Session(_)) {
            params["task"] = json!({"ttl": 60_000});
            params["_meta"] = json!({"progressToken": "mine"});
        }
        let made = self.ask(rig, nursery, 0, "tools/call", params);
        let result = &made["result"];
        let task = result.get("task").unwrap_or(result);
        assert_eq!(task["status"], "working", "{made}");
        task["taskId"].as_str().unwrap().to_owned()
    }

    fn look(&self, rig: &mut Rig, nursery: &mut Nursery, task: &str) -> Value {
        let mut found = self.ask(rig, nursery, 1, "tasks/get", json!({"taskId": task}));
        found["result"].take()
    }

    /// What the call of a task that is over came to: its answer.
    fn outcome(&self, rig: &mut Rig, nursery: &mut Nursery, task: &str) -> Value {
        match self {
            Owner::Session(_) => self.ask(rig, nursery, 1, "tasks/result", json!({"taskId": task})),
            Owner::Modern => self.look(rig, nursery, task),
        }
    }

    fn is_modern(&self) -> bool {
        matches!(self, Owner::Modern)
    }
}

fn leave(rig: Rig, nursery: Nursery) {
    nursery::leave(rig, nursery, []);
}

#[test]
fn a_call_goes_on_as_a_task_and_any_shard_has_its_result() {
    for shard in [0, 1] {
        let (mut rig, mut nursery) = rig(shard);
        for owner in owners(&mut rig, &mut nursery) {
            let task = owner.begin(&mut rig, &mut nursery, "s1.");
            let question: Value = serde_json::from_str(&nursery.questions(1)[0]).unwrap();
            assert_eq!(question["params"].get("task"), None, "the child knows of no task");
            assert_eq!(owner.look(&mut rig, &mut nursery, &task)["status"], "working");
            nursery.answer(1, 0);
            nursery.live(&mut rig);
            let found = owner.look(&mut rig, &mut nursery, &task);
            assert_eq!(found["status"], "completed", "{found}");
            for _ in 0..2 {
                let outcome = owner.outcome(&mut rig, &mut nursery, &task);
                let result = &outcome["result"];
                assert_eq!(result["content"][0]["text"], "s1.", "{outcome}");
                let related = (!owner.is_modern()).then_some(&*task);
                assert_eq!(result["_meta"][RELATED]["taskId"].as_str(), related);
                assert_eq!(result.get("resultType").is_some(), owner.is_modern());
            }
        }
        leave(rig, nursery);
    }
}

#[test]
fn a_task_that_is_cancelled_is_taken_from_its_child() {
    for shard in [0, 1] {
        let (mut rig, mut nursery) = rig(shard);
        for owner in owners(&mut rig, &mut nursery) {
            let task = owner.begin(&mut rig, &mut nursery, "s1.");
            let about = json!({"taskId": task});
            let cancelled = owner.ask(&mut rig, &mut nursery, 1, "tasks/cancel", about);
            assert!(cancelled.get("result").is_some(), "{cancelled}");
            nursery.live(&mut rig);
            let question: Value = serde_json::from_str(&nursery.questions(1)[0]).unwrap();
            let told = format!(r#""requestId":{}"#, question["id"]);
            let seen = nursery.seen(1);
            assert!(
                seen.contains("notifications/cancelled") && seen.contains(&told),
                "{seen}"
            );
            // Too late to be anybody's.
            nursery.answer(1, 0);
            nursery.live(&mut rig);
            let found = owner.look(&mut rig, &mut nursery, &task);
            assert_eq!(found["status"], "cancelled");
            assert!(!found.to_string().contains("s1."), "{found}");
        }
        leave(rig, nursery);
    }
}

#[test]
fn a_child_that_dies_or_takes_too_long_fails_its_tasks() {
    for shard in [0, 1] {
        for dies in [true, false] {
            let (mut rig, mut nursery) = nursery::rig(1, TWO_SHARDS, 4, 4);
            nursery.limit_calls(Duration::from_secs(3));
            nursery.start(&mut rig, 1, shard);
            let owners = owners(&mut rig, &mut nursery);
            let tasks = owners
                .each_ref()
                .map(|owner| owner.begin(&mut rig, &mut nursery, "s1."));
            if dies {
                nursery.kill(&rig, 1);
            } else {
                rig.pass(Duration::from_secs(4));
            }
            nursery.live(&mut rig);
            for (owner, task) in owners.iter().zip(&tasks) {
                let found = owner.look(&mut rig, &mut nursery, task);
                assert_eq!(found["status"], "failed", "{found}");
                let outcome = owner.outcome(&mut rig, &mut nursery, task);
                let error = &outcome["error"];
                assert_eq!(error["code"], -32603, "{outcome}");
                assert_eq!(error["data"]["server"], "played");
                assert_eq!(
                    error["message"], found["statusMessage"],
                    "what is wrong is said where it is looked for"
                );
            }
            leave(rig, nursery);
        }
    }
}

#[test]
fn a_task_whose_call_no_child_takes_fails() {
    let (mut rig, mut nursery) = nursery::rig(1, TWO_SHARDS, 1, 0);
    nursery.start(&mut rig, 1, 0);
    for owner in owners(&mut rig, &mut nursery) {
        let first = owner.begin(&mut rig, &mut nursery, "s1.");
        let second = owner.begin(&mut rig, &mut nursery, "s2.");
        let found = owner.look(&mut rig, &mut nursery, &second);
        assert_eq!(found["status"], "failed", "{found}");
        let outcome = owner.outcome(&mut rig, &mut nursery, &second);
        assert_eq!(outcome["error"]["data"]["reason"], "children", "{outcome}");
        nursery.answer(1, 0);
        nursery.live(&mut rig);
        assert_eq!(owner.look(&mut rig, &mut nursery, &first)["status"], "completed");
    }
    leave(rig, nursery);
}

/// Whose progress is told to whoever waits for the task, and under which token.
#[test]
fn progress_of_a_task_names_it() {
    for shard in [0, 1] {
        let (mut rig, mut nursery) = rig(shard);
        let [owner, _] = owners(&mut rig, &mut nursery);
        let task = owner.begin(&mut rig, &mut nursery, "s1.");
        let waiting = rig.connect_to(1);
        waiting.write(&owner.request("tasks/result", json!({"taskId": task})));
        nursery.live(&mut rig);
        nursery.progress(1, 0);
        nursery.live(&mut rig);
        nursery.answer(1, 0);
        nursery.live(&mut rig);
        let told = events(&waiting.read());
        assert_eq!(told.len(), 2, "{told:?}");
        let params = &told[0]["params"];
        assert_eq!(params["progressToken"], "mine");
        assert_eq!(params["_meta"][RELATED]["taskId"], json!(task));
        assert_eq!(told[1]["result"]["content"][0]["text"], "s1.");
        waiting.finish();
        leave(rig, nursery);
    }
}

#[test]
fn a_child_of_a_session_stays_with_it_until_its_task_is_over() {
    use super::nursery::owned;
    use crate::children::{ClientKey, ClientRules};

    let rules = ClientRules {
        is_by_call: true,
        are_strangers_one: false,
        key_header: None,
        env_from: Vec::new(),
    };
    let (mut rig, mut nursery) = owned(1, TWO_SHARDS, 1, 4, rules);
    nursery.start(&mut rig, 1, 1);
    let [_, owner] = owners(&mut rig, &mut nursery);
    let task = owner.begin(&mut rig, &mut nursery, "s1.");
    let (client, _) = *nursery.wanted.first().expect("a child is wanted");
    assert!(matches!(client.key, ClientKey::Call { .. }), "{client:?}");
    nursery.give(&rig, 1, client.key);
    nursery.live(&mut rig);
    rig.pass(Duration::from_secs(2));
    nursery.live(&mut rig);
    assert_eq!((nursery.questions(1).len(), nursery.left.len()), (1, 0));
    nursery.answer(1, 0);
    nursery.live(&mut rig);
    assert_eq!(owner.look(&mut rig, &mut nursery, &task)["status"], "completed");
    leave(rig, nursery);
}

#[test]
fn tasks_that_still_run_when_the_server_ends_fail() {
    let (mut rig, mut nursery) = rig(1);
    let [owner, _] = owners(&mut rig, &mut nursery);
    owner.begin(&mut rig, &mut nursery, "s1.");
    rig.drain_within(Duration::from_secs(5));
    let mut seen = String::new();
    for _ in 0..80 {
        rig.pass(Duration::from_millis(100));
        nursery.live(&mut rig);
        if nursery.wards.contains_key(&1) {
            seen = nursery.seen(1);
        }
    }
    assert!(rig.is_finished(), "a task holds the server up");
    assert!(seen.contains("notifications/cancelled"), "{seen}");
    rig.assert_nothing_left();
}
