//! What children ask while their calls run as tasks: questions of the tasks.

use serde_json::{Value, json};

use super::front::Front;
use super::sinner::act;
use crate::harness::{Dialect, Server, case, connect_to, eventually};
use crate::tasks::{about, begin, look, modern, open_legacy, status, wait_until};

const RELATED: &str = "io.modelcontextprotocol/related-task";

fn front(pool: &str) -> Front {
    Front::with(&["mcp:[tasks:optional]"], pool, &["--shards", "2"])
}

/// A step that asks for a form; the answer's line becomes the text of the call.
fn form() -> Value {
    let params = json!({"message": "who?", "requestedSchema": {"type": "object", "properties": {}}});
    json!(["ask", "elicitation/create", params])
}

fn accepted() -> Value {
    json!({"action": "accept", "content": {"name": "Ada"}})
}

/// The text that a call of a task came to, which `found` shows.
fn text_in(found: &Value) -> &str {
    found["result"]["content"][0]["text"].as_str().unwrap()
}

fn update(server: &Server, dialect: &Dialect, task: &str, responses: Value) {
    let params = json!({"taskId": task, "inputResponses": responses});
    server
        .ask(&dialect.request("update", "tasks/update", params))
        .result();
}

#[test]
fn a_modern_client_answers_by_the_task() {
    for pool in ["mode=session", "interactive=on,max=1", "mode=call,max=2"] {
        let _case = case(pool);
        let mut front = front(pool);
        let server = front.weir();
        let dialect = modern();
        for shard in [0, 1] {
            let mut client = connect_to(server, shard);
            let task = begin(&mut client, &dialect, "act", act([form(), form()]));
            for _ in 0..2 {
                let asked = wait_until(&mut client, &dialect, &task, "input_required");
                let requests = asked["inputRequests"].as_object().unwrap();
                let (key, request) = requests.iter().next().unwrap();
                assert_eq!(
                    (requests.len(), &request["method"]),
                    (1, &json!("elicitation/create"))
                );
                assert_eq!(request["params"]["message"], "who?");
                update(server, &dialect, &task, json!({key: accepted()}));
            }
            let found = wait_until(&mut client, &dialect, &task, "completed");
            assert!(text_in(&found).contains(r#""name":"Ada""#), "{found}");
        }
    }
}

#[test]
fn a_legacy_client_answers_who_waits_for_the_task() {
    for pool in ["mode=session", "interactive=on,max=1"] {
        let _case = case(pool);
        let mut front = front(pool);
        let server = front.weir();
        let dialect = open_legacy(server);
        for shard in [0, 1] {
            let mut client = connect_to(server, shard);
            let task = begin(&mut client, &dialect, "act", act([form()]));
            wait_until(&mut client, &dialect, &task, "input_required");
            let mut stream = connect_to(server, 1 - shard).open(&about(&dialect, "tasks/result", &task));
            let (id, params) = stream.question("elicitation/create");
            assert_eq!(params["_meta"][RELATED]["taskId"], *task);
            client.ask(&dialect.response(&id, &accepted())).assert_status(202);
            let answer = stream.answer("tasks/result");
            assert!(text_in(&answer).contains(r#""name":"Ada""#), "{answer}");
            assert_eq!(status(&mut client, &dialect, &task), "completed");
        }
    }
}

/// A child of 2026-07-28 asks by its answer, and is called again with what the client answers.
#[test]
fn a_child_that_asks_by_its_answer_is_called_again() {
    let requests = json!({
        "who": {"method": "elicitation/create", "params": form()[2]},
        "else": {"method": "elicitation/create", "params": form()[2]},
    });
    let steps = act([json!(["round", requests, "kept"]), json!("line")]);
    for pool in ["mode=shared,max=1", "mode=session", "mode=call,max=2"] {
        let _case = case(pool);
        let mut front = Front::with(&["mcp:[modern,tasks:optional]"], pool, &["--shards", "2"]);
        let server = front.weir();
        let mut client = connect_to(server, 0);
        let dialect = modern();
        let task = begin(&mut client, &dialect, "act", steps.clone());
        let asked = wait_until(&mut client, &dialect, &task, "input_required");
        let requests = asked["inputRequests"].as_object().unwrap();
        assert_eq!(requests.len(), 2, "{asked}");
        for key in requests.keys() {
            update(server, &dialect, &task, json!({key: accepted()}));
        }
        let found = wait_until(&mut client, &dialect, &task, "completed");
        assert_is_second(text_in(&found));

        let dialect = open_legacy(server);
        let task = begin(&mut client, &dialect, "act", steps.clone());
        let mut stream = connect_to(server, 1).open(&about(&dialect, "tasks/result", &task));
        for _ in 0..2 {
            let (id, params) = stream.question("elicitation/create");
            assert_eq!(params["_meta"][RELATED]["taskId"], *task);
            client.ask(&dialect.response(&id, &accepted())).assert_status(202);
        }
        assert_is_second(text_in(&stream.answer("tasks/result")));
        assert_eq!(status(&mut client, &dialect, &task), "completed");
    }
}

/// A call as its child heard it, with both answers.
fn assert_is_second(line: &str) {
    let line: Value = serde_json::from_str(line).unwrap();
    let params = &line["params"];
    for key in ["who", "else"] {
        assert_eq!(params["inputResponses"][key], accepted(), "{line}");
    }
    assert_eq!(params["requestState"], "kept", "{line}");
}

/// What nobody answers in time is a question no longer, and the task goes on.
#[test]
fn a_question_of_a_task_has_its_time() {
    let flags = ["--shards", "2", "--ask-timeout", "300ms"];
    let mut front = Front::with(&["mcp:[tasks:optional]"], "mode=session", &flags);
    let server = front.weir();
    for dialect in [open_legacy(server), modern()] {
        let mut client = connect_to(server, 0);
        let task = begin(&mut client, &dialect, "act", act([form(), json!("await-cancel")]));
        wait_until(&mut client, &dialect, &task, "input_required");
        wait_until(&mut client, &dialect, &task, "working");
        client.ask(&about(&dialect, "tasks/cancel", &task)).result();
    }
}

#[test]
fn what_a_client_has_not_declared_is_refused_to_the_child() {
    let mut front = front("mode=session");
    let server = front.weir();
    let dialect = modern();
    let mut client = connect_to(server, 0);
    let sampling = json!(["ask", "sampling/createMessage", {"messages": [], "maxTokens": 1}]);
    let task = begin(&mut client, &dialect, "act", act([sampling]));
    let found = wait_until(&mut client, &dialect, &task, "completed");
    assert!(text_in(&found).contains("-32601"), "{found}");
}

/// Nobody is told that a task was made of a call for which there is no room.
#[test]
fn a_call_that_is_refused_makes_no_task() {
    let mut front = front("max=1,max_in_flight=1,queue_depth=1");
    let server = front.weir();
    let dialect = open_legacy(server);
    let hold = act(["count", "await-cancel"]);
    let mut client = connect_to(server, 0);
    let tasks = [(); 2].map(|()| begin(&mut client, &dialect, "act", hold.clone()));
    let refused = || {
        let mut client = connect_to(server, 0);
        let answer = client.ask(&crate::tasks::task_call(&dialect, "act", hold.clone(), None));
        (answer.status, answer.json()["error"]["data"]["reason"].clone())
    };
    eventually("its queue is full", || refused() == (503, json!("children")));
    let listed = server.ask(&dialect.request(1, "tasks/list", json!({})));
    let count = listed.result()["tasks"].as_array().unwrap().len();
    assert!(
        count <= 4,
        "no more than there was room for on two shards: {count}"
    );
    for task in tasks {
        client.ask(&about(&dialect, "tasks/cancel", &task)).result();
        assert!(look(&mut client, &dialect, &task).is_some());
    }
}
