//! Tasks over sockets: which client owns them, how long they live, how races end, and what is left of them.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{
    Client, Dialect, Request, Response, Revision, Server, Shared, assert_at_rest, assert_overloaded, case,
    connect_to, eventually, eventually_some, subscription_of,
};

const INVALID_PARAMS: i64 = -32602;
const INTERNAL_ERROR: i64 = -32603;
const OVERLOADED: i64 = -31503;

/// A client of 2026-07-28 that knows tasks, and can be asked.
pub(crate) fn modern() -> Dialect {
    Dialect::modern().able(json!({"extensions": {"io.modelcontextprotocol/tasks": {}}, "elicitation": {}}))
}

/// A session of 2025-11-25, which can be asked.
#[track_caller]
pub(crate) fn open_legacy(server: &Server) -> Dialect {
    server.open_session(&Dialect::legacy(Revision::NEWEST_LEGACY).able(json!({"elicitation": {}})))
}

/// A call that is to become a task.
pub(crate) fn task_call(dialect: &Dialect, tool: &str, arguments: Value, ttl_ms: Option<u64>) -> Request {
    let mut params = json!({"name": tool, "arguments": arguments});
    if !dialect.is_modern() {
        params["task"] = ttl_ms.map_or(json!({}), |ttl| json!({"ttl": ttl}));
    }
    dialect.request("begin", "tools/call", params)
}

/// The task that a call became.
#[track_caller]
pub(crate) fn created(dialect: &Dialect, response: &Response) -> Value {
    if dialect.is_modern() {
        response.result().clone()
    } else {
        response.result()["task"].clone()
    }
}

/// Makes a task; returns its id.
#[track_caller]
pub(crate) fn begin(client: &mut Client, dialect: &Dialect, tool: &str, arguments: Value) -> String {
    let response = client.ask(&task_call(dialect, tool, arguments, None));
    let task = created(dialect, &response);
    task["taskId"].as_str().unwrap().to_owned()
}

/// A task that runs until it is cancelled, or for a minute.
#[track_caller]
fn begin_long(client: &mut Client, dialect: &Dialect) -> String {
    begin(client, dialect, "sleep", json!({"ms": 60_000}))
}

pub(crate) fn about(dialect: &Dialect, method: &str, task: &str) -> Request {
    dialect.request(method, method, json!({"taskId": task}))
}

/// The present state of a task; `None` if it is unknown.
#[track_caller]
pub(crate) fn look(client: &mut Client, dialect: &Dialect, task: &str) -> Option<Value> {
    let response = client.ask(&about(dialect, "tasks/get", task));
    match response.json().get("result") {
        Some(found) => Some(found.clone()),
        None => {
            assert_refused(&response, INVALID_PARAMS);
            None
        }
    }
}

#[track_caller]
pub(crate) fn status(client: &mut Client, dialect: &Dialect, task: &str) -> String {
    let task = look(client, dialect, task).expect("the task is known");
    task["status"].as_str().unwrap().to_owned()
}

#[track_caller]
pub(crate) fn wait_until(client: &mut Client, dialect: &Dialect, task: &str, wanted: &str) -> Value {
    eventually_some(&format!("the task is {wanted}"), || {
        look(client, dialect, task).filter(|task| task["status"] == wanted)
    })
}

/// Sends `tasks/result`.
pub(crate) fn wait_for(mut client: Client, dialect: &Dialect, task: &str) -> Client {
    client.send(&about(dialect, "tasks/result", task));
    client
}

/// The answer to `tasks/result`, which comes at once if the task was over, or on a stream.
#[track_caller]
pub(crate) fn result_of(mut client: Client) -> Value {
    if client.is_stream_next() {
        client.receive_stream().answer("tasks/result")
    } else {
        client.receive().json().clone()
    }
}

#[track_caller]
pub(crate) fn assert_refused(response: &Response, code: i64) {
    assert_eq!(response.json()["error"]["code"], code, "{}", response.text());
}

/// Waits until nothing is left: neither tasks nor their bytes, nor handlers.
#[track_caller]
fn assert_no_tasks(server: &Server) {
    eventually("all tasks are forgotten", || {
        server.metric("weir_tasks", &[]) == 0
    });
    assert_eq!(server.metric("weir_tasks_bytes", &[]), 0);
    assert_at_rest(server);
}

#[test]
fn a_task_is_not_to_be_found_by_others() {
    let server = Shared::usual();
    let mut client = server.connect();
    for (own, foreign) in [(modern(), open_legacy(&server)), (open_legacy(&server), modern())] {
        let _case = case(own.revision.0);
        let task = begin_long(&mut client, &own);
        assert!(
            task.len() >= 22 && task.bytes().all(|byte| byte.is_ascii_graphic()),
            "{task}"
        );
        let strange = if foreign.is_modern() {
            "tasks/update"
        } else {
            "tasks/result"
        };
        for method in ["tasks/get", "tasks/cancel", strange] {
            let mut params = json!({"taskId": task});
            if method == "tasks/update" {
                params["inputResponses"] = json!({});
            }
            let response = client.ask(&foreign.request(1, method, params));
            assert_refused(&response, INVALID_PARAMS);
        }
        for at in 0..task.len() {
            let mut guess = task.clone().into_bytes();
            guess[at] = if guess[at] == b'a' { b'b' } else { b'a' };
            let guess = String::from_utf8(guess).unwrap();
            assert_refused(&client.ask(&about(&own, "tasks/cancel", &guess)), INVALID_PARAMS);
        }
        assert_eq!(status(&mut client, &own, &task), "working");
        client.ask(&about(&own, "tasks/cancel", &task)).result();
    }
    // A session lists its own tasks.
    let (one, other) = (open_legacy(&server), open_legacy(&server));
    let task = begin(&mut client, &one, "sleep", json!({"ms": 0}));
    let mut list = |session: &Dialect| {
        let response = client.ask(&session.request("list", "tasks/list", json!({})));
        let tasks = response.result()["tasks"].as_array().unwrap().clone();
        tasks
            .iter()
            .map(|task| task["taskId"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!((list(&one), list(&other)), (vec![json!(task)], vec![]));
}

#[test]
fn a_task_is_forgotten_when_its_time_is_over_and_stops() {
    let server = Server::start(&["--task-ttl", "1s", "--task-ttl-max", "2s"]);
    let mut client = server.connect();
    let legacy = open_legacy(&server);
    let greedy = client.ask(&task_call(&legacy, "sleep", json!({"ms": 0}), Some(36_000_000)));
    assert_eq!(created(&legacy, &greedy)["ttl"], 2_000);
    let own = client.ask(&task_call(&modern(), "sleep", json!({"ms": 60_000}), None));
    assert_eq!(created(&modern(), &own)["ttlMs"], 1_000);
    let own = created(&modern(), &own)["taskId"].as_str().unwrap().to_owned();
    let short = client.ask(&task_call(&legacy, "sleep", json!({"ms": 60_000}), Some(50)));
    assert_eq!(created(&legacy, &short)["ttl"], 50);
    let short = created(&legacy, &short)["taskId"].as_str().unwrap().to_owned();
    // A client that waits for a task learns in some way that nothing comes; a task that is gone is unknown.
    let answer = result_of(wait_for(server.connect(), &legacy, &short));
    let code = answer["error"]["code"].as_i64();
    let is_told = code.is_some_and(|code| [INTERNAL_ERROR, INVALID_PARAMS].contains(&code));
    assert!(is_told || answer["result"]["isError"] == true, "{answer}");
    eventually("it is unknown", || look(&mut client, &modern(), &own).is_none());
    assert_eq!(look(&mut client, &legacy, &short), None);
    assert_refused(
        &client.ask(&about(&modern(), "tasks/cancel", &own)),
        INVALID_PARAMS,
    );
    assert_no_tasks(&server);
    assert_eq!(server.metric("weir_tasks_created_total", &[]), 3);
    assert_eq!(server.metric("weir_tasks_expired_total", &[]), 3);
}

#[test]
fn a_cancellation_and_an_end_agree_on_who_was_first() {
    let server = Shared::usual();
    let legacy = open_legacy(&server);
    let mut random = fastrand::Rng::with_seed(5);
    let (mut one, mut other) = (connect_to(&server, 0), connect_to(&server, 1));
    for turn in 0..100 {
        let _case = case(format!("turn {turn}"));
        // Some may have ended first.
        let is_long = turn % 10 == 0;
        let arguments = json!({"ms": if is_long { 60_000 } else { random.u64(0..4) }});
        let task = begin(&mut one, &legacy, "sleep", arguments.clone());
        let response = other.ask(&about(&legacy, "tasks/cancel", &task));
        let expected = match response.json().get("result") {
            Some(task) => {
                assert_eq!(task["status"], "cancelled", "{task}");
                "cancelled"
            }
            None => {
                assert_refused(&response, INVALID_PARAMS);
                "completed"
            }
        };
        assert_eq!(status(&mut one, &legacy, &task), expected);
        assert!(!is_long || expected == "cancelled");
        let answer = one.ask(&about(&legacy, "tasks/result", &task));
        assert_eq!(
            answer.json().get("result").is_some(),
            expected == "completed",
            "{}",
            answer.text()
        );

        let task = begin(&mut one, &modern(), "sleep", arguments);
        for client in [&mut other, &mut one] {
            client.ask(&about(&modern(), "tasks/cancel", &task)).result();
        }
        let ended = look(&mut one, &modern(), &task).unwrap();
        assert!(
            ["cancelled", "completed"].contains(&ended["status"].as_str().unwrap()),
            "{ended}"
        );
        assert_eq!(look(&mut other, &modern(), &task), Some(ended));
    }
}

#[test]
fn what_a_task_came_to_can_be_fetched_by_all_and_again() {
    let server = Server::start(&["--shards", "2"]);
    let legacy = open_legacy(&server);
    let task = begin(&mut server.connect(), &legacy, "sleep", json!({"ms": 700}));
    let waiting = [0, 1, 0].map(|shard| wait_for(connect_to(&server, shard), &legacy, &task));
    let waiting = waiting.map(result_of);
    let later = [1, 0].map(|shard| result_of(wait_for(connect_to(&server, shard), &legacy, &task)));
    let expected = &waiting[0];
    assert_eq!(
        expected["result"]["content"][0]["text"], "slept 700 ms",
        "{expected}"
    );
    for answer in waiting.iter().chain(&later) {
        assert_eq!(answer, expected);
    }
    let mut client = server.connect();
    let task = begin(&mut client, &modern(), "fail", json!({"how": "error"}));
    let first = wait_until(&mut client, &modern(), &task, "completed");
    assert_eq!(first["result"]["isError"], true, "{first}");
    assert_eq!(look(&mut client, &modern(), &task), Some(first));
    assert_at_rest(&server);
}

#[test]
fn a_task_outlives_its_connection_and_is_found_on_every_shard() {
    let server = Server::start(&["--shards", "2"]);
    for dialect in [modern(), open_legacy(&server)] {
        for (begins, looks) in [(0, 1), (1, 0), (1, 1)] {
            let _case = case(format!(
                "{}: on {begins}, looked at from {looks}",
                dialect.revision.0
            ));
            let mut client = connect_to(&server, begins);
            let open = server.metric("weir_connections", &[]);
            let [finishing, cancelled] =
                [300, 60_000].map(|ms| begin(&mut client, &dialect, "sleep", json!({"ms": ms})));
            client.reset();
            eventually("the connection is gone", || {
                server.metric("weir_connections", &[]) < open
            });
            let mut client = connect_to(&server, looks);
            assert_eq!(status(&mut client, &dialect, &cancelled), "working");
            client.ask(&about(&dialect, "tasks/cancel", &cancelled)).result();
            assert_eq!(status(&mut client, &dialect, &cancelled), "cancelled");
            wait_until(&mut client, &dialect, &finishing, "completed");
        }
    }
    assert_at_rest(&server);
}

#[test]
fn a_question_is_answered_from_another_shard_and_by_nobody_else() {
    let server = Server::start(&["--shards", "2"]);
    let question = json!({"question": "Which colour?"});
    let green = json!({"action": "accept", "content": {"answer": "green"}});
    let (mut one, mut other) = (connect_to(&server, 0), connect_to(&server, 1));

    let task = begin(&mut one, &modern(), "ask", question.clone());
    let asked = wait_until(&mut other, &modern(), &task, "input_required");
    assert_eq!(
        server.busy_handlers(),
        0,
        "a task that waits for its client holds no handler"
    );
    let requests = asked["inputRequests"].as_object().unwrap();
    let (key, request) = requests.iter().next().unwrap();
    assert_eq!(
        (requests.len(), &request["method"]),
        (1, &json!("elicitation/create"))
    );
    let update = |dialect: &Dialect, key: &str| {
        let params = json!({"taskId": task, "inputResponses": {key: green}});
        dialect.request("update", "tasks/update", params)
    };
    other.ask(&update(&modern(), "no such key")).result();
    assert_eq!(status(&mut one, &modern(), &task), "input_required");
    for _ in 0..2 {
        other.ask(&update(&modern(), key)).result();
    }
    let ended = wait_until(&mut one, &modern(), &task, "completed");
    assert_eq!(ended["result"]["content"][0]["text"], "the user said: green");

    let legacy = open_legacy(&server);
    let task = begin(&mut one, &legacy, "ask", question);
    wait_until(&mut other, &legacy, &task, "input_required");
    let mut stream = connect_to(&server, 1).open(&about(&legacy, "tasks/result", &task));
    let (id, _) = stream.question("elicitation/create");
    other.ask(&open_legacy(&server).response(&id, &json!({"action": "cancel"})));
    other.ask(&legacy.response(&id, &green)).assert_status(202);
    let answer = stream.answer("tasks/result");
    assert_eq!(
        answer["result"]["content"][0]["text"], "the user said: green",
        "{answer}"
    );
    assert_at_rest(&server);
}

#[test]
fn changes_are_told_on_every_shard() {
    let server = Server::start(&["--shards", "2"]);
    let mut client = connect_to(&server, 0);
    let legacy = open_legacy(&server);
    let mut get_stream = connect_to(&server, 1).open(&legacy.get_stream());
    let task = begin_long(&mut client, &legacy);
    client.ask(&about(&legacy, "tasks/cancel", &task)).result();
    let told = get_stream.notification("notifications/tasks/status");
    assert_eq!(
        (&told["taskId"], &told["status"]),
        (&json!(task), &json!("cancelled"))
    );

    let [task, foreign] = [(); 2].map(|()| begin_long(&mut client, &modern()));
    let asked = json!({"notifications": {"taskIds": [task]}});
    let mut stream = connect_to(&server, 1).open(&modern().request(7, "subscriptions/listen", asked));
    stream.notification("notifications/subscriptions/acknowledged");
    for task in [&foreign, &task] {
        client.ask(&about(&modern(), "tasks/cancel", task)).result();
    }
    let told = stream.notification("notifications/tasks");
    assert_eq!(
        (&told["taskId"], &told["status"]),
        (&json!(task), &json!("cancelled"))
    );
    assert_eq!(subscription_of(&told), &json!(7));
}

#[test]
fn thousands_made_and_abandoned_leave_nothing() {
    // This leaves room for all that run at once, wherever the kernel puts their clients, so that nearly all are made.
    let flags = ["--task-ttl", "1s", "--task-ttl-max", "1s", "--tasks-max", "2000"];
    let server = Server::start(
        &[
            &flags[..],
            &["--shards", "2", "--pool-size", "400", "--prefault", "on"],
        ]
        .concat(),
    );
    let legacy = open_legacy(&server);
    let mut after_kib = Vec::new();
    for round in 0..3 {
        for _ in 0..20 {
            let mut client = server.connect();
            for turn in 0..50 {
                let dialect = if turn % 2 == 0 { &legacy } else { &modern() };
                let (tool, arguments) = match turn % 5 {
                    0 => ("ask", json!({"question": "Anybody?"})),
                    1 => ("fail", json!({"how": "error"})),
                    2 if round % 2 == 0 => ("sleep", json!({"ms": 60_000})),
                    _ => ("sleep", json!({"ms": 0})),
                };
                let response = client.ask(&task_call(dialect, tool, arguments, None));
                // Tasks that nobody looks at may fill a shard's pool before their time is over.
                assert!([200, 503].contains(&response.status), "{}", response.text());
            }
            client.reset();
        }
        assert_no_tasks(&server);
        after_kib.push(server.resident_kib());
    }
    assert!(server.metric("weir_tasks_created_total", &[]) > 1_000);
    let grown_kib = after_kib[2].saturating_sub(after_kib[0]);
    assert!(grown_kib < 2 << 10, "{after_kib:?}");
}

#[test]
fn a_client_and_the_process_have_so_many_and_what_is_over_makes_room() {
    let server = Server::start(&["--tasks-max", "3", "--tasks-per-client-max", "2"]);
    let mut client = server.connect();
    let (one, other) = (open_legacy(&server), open_legacy(&server));
    let [first, second] = [(); 2].map(|()| begin_long(&mut client, &one));
    let long = json!({"ms": 60_000});
    let refused = client.ask(&task_call(&one, "sleep", long.clone(), None));
    assert_overloaded(&refused, "tasks", "begin");
    begin_long(&mut client, &other);
    let refused = client.ask(&task_call(&modern(), "sleep", long, None));
    assert_overloaded(&refused, "tasks", "begin");
    assert_eq!(server.metric("weir_tasks_refused_total", &[]), 2);
    assert_eq!(server.metric("weir_refusals_total", &[("reason", "tasks")]), 2);
    assert_eq!(server.metric("weir_refusals_total", &[("reason", "memory")]), 0);
    client.ask(&about(&one, "tasks/cancel", &first)).result();
    let third = begin_long(&mut client, &one);
    assert_eq!(look(&mut client, &one, &first), None);
    for task in [&second, &third] {
        assert_eq!(status(&mut client, &one, task), "working");
    }
    assert_eq!(server.metric("weir_tasks", &[("status", "working")]), 3);
    assert_eq!(server.metric("weir_tasks_evicted_total", &[]), 1);
}

#[test]
fn a_drain_finishes_tasks_or_says_that_they_failed() {
    let mut server = Server::start(&["--drain-timeout", "2s", "--shards", "2"]);
    let legacy = open_legacy(&server);
    let mut client = server.connect();
    let [short, long] = [500, 60_000].map(|ms| begin(&mut client, &legacy, "sleep", json!({"ms": ms})));
    begin_long(&mut client, &modern());
    let mut waiting = [&short, &long].map(|task| wait_for(connect_to(&server, 1), &legacy, task));
    assert!(waiting[1].is_stream_next());
    server.signal(Signal::TERM);
    let [finished, failed] = waiting.map(result_of);
    assert_eq!(
        finished["result"]["content"][0]["text"], "slept 500 ms",
        "{finished}"
    );
    assert_eq!(failed["error"]["code"], OVERLOADED, "{failed}");
    assert_eq!(failed["error"]["data"]["reason"], "draining", "{failed}");
    assert_eq!(server.wait().code(), Some(0), "{}", server.stderr());
}
