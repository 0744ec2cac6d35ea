//! Calls that go on as tasks: what holds a handler, what a client's leaving means, and what is left at the end.

use std::time::Duration;

use serde_json::{Value, json};

use super::rig::{Rig, Sizes};
use super::websocket::WebSocket;

const HANDLERS: Sizes = Sizes {
    handlers: 4,
    ..Sizes::DEFAULT
};

/// A client that gets tasks for calls, and what it has asked so far.
struct Client {
    socket: WebSocket,
    next_id: u64,
}

impl Client {
    fn new(rig: &mut Rig) -> Client {
        Client::on(rig, 0)
    }

    fn on(rig: &mut Rig, shard: usize) -> Client {
        let mut socket = WebSocket::new(rig.connect_to(shard));
        socket.send(usize::MAX);
        rig.run();
        socket.read();
        Client { socket, next_id: 1 }
    }

    /// The answer to a request; null if none comes.
    fn ask(&mut self, rig: &mut Rig, method: &str, mut params: Value) -> Value {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities":
                {"elicitation": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}},
            "io.modelcontextprotocol/logLevel": "debug",
        });
        let id = self.next_id;
        self.next_id += 1;
        self.socket
            .say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        let secret = params["arguments"]["secret"].as_str().unwrap_or_default();
        self.socket.expect(id, secret);
        self.socket.send(usize::MAX);
        rig.run();
        self.socket.read();
        self.socket.answers.remove(&id).unwrap_or_default()
    }

    /// The id of a task for a call.
    fn begin(&mut self, rig: &mut Rig, tool: &str, secret: &str) -> String {
        let arguments = json!({"secret": secret, "lines": 2, "bytes": 10});
        let made = self.ask(rig, "tools/call", json!({"name": tool, "arguments": arguments}));
        let id = made["result"]["taskId"].as_str();
        id.unwrap_or_else(|| panic!("no task but {made}")).to_owned()
    }

    fn get(&mut self, rig: &mut Rig, task: &str) -> Value {
        self.ask(rig, "tasks/get", json!({"taskId": task}))["result"].clone()
    }

    fn text(&mut self, rig: &mut Rig, task: &str) -> String {
        let task = self.get(rig, task);
        let text = task["result"]["content"][0]["text"].as_str();
        text.unwrap_or_else(|| panic!("no result: {task}")).to_owned()
    }

    fn leave(self, rig: &mut Rig) {
        self.socket.peer.finish();
        rig.run();
    }
}

fn end(mut rig: Rig) {
    rig.live(Duration::from_secs(10));
    rig.assert_nothing_left();
}

#[test]
fn a_task_outlives_the_connection_that_asked_for_it() {
    let mut rig = Rig::new(
        1,
        Sizes {
            shards: 2,
            ..HANDLERS
        },
    );
    let mut client = Client::new(&mut rig);
    let task = client.begin(&mut rig, "hold", "s1.");
    assert_eq!(rig.shard.calls.busy(), 1);
    client.leave(&mut rig);
    assert_eq!(rig.shard.calls.busy(), 1);
    let mut client = Client::on(&mut rig, 1);
    assert_eq!(client.get(&mut rig, &task)["status"], "working");
    rig.release("s1.");
    rig.run();
    assert_eq!(
        (client.text(&mut rig, &task), rig.shard.calls.busy()),
        ("s1.".to_owned(), 0)
    );
    assert_eq!(client.text(&mut rig, &task), "s1.");
    client.leave(&mut rig);
    end(rig);
}

#[test]
fn a_drain_leaves_a_channel_its_tasks_and_time_to_fetch_their_results() {
    let mut rig = Rig::new(1, HANDLERS);
    let [mut idle, mut client] = [(); 2].map(|()| Client::new(&mut rig));
    let task = client.begin(&mut rig, "hold", "s1.");
    rig.drain_within(Duration::from_secs(25));
    rig.live(Duration::from_secs(5));
    idle.socket.read();
    assert_eq!(idle.socket.closed, Some(1001));
    assert_eq!(client.get(&mut rig, &task)["status"], "working");
    rig.release("s1.");
    rig.run();
    // It looks once a second.
    rig.live(Duration::from_secs(1));
    assert_eq!(client.text(&mut rig, &task), "s1.");
    assert_eq!(client.socket.closed, None);
    rig.live(Duration::from_secs(1));
    client.socket.read();
    assert_eq!(client.socket.closed, Some(1001));
    idle.leave(&mut rig);
    client.leave(&mut rig);
    rig.live(Duration::from_secs(1));
    assert!(rig.is_finished());
    rig.assert_nothing_left();
}

/// A channel stays for a task that another shard runs, as it does for one of its own.
#[test]
fn a_drain_leaves_a_channel_a_task_that_runs_elsewhere() {
    let sizes = Sizes {
        shards: 2,
        queue_depth_max: 4,
        ..HANDLERS
    };
    let mut rig = Rig::new(1, sizes);
    let mut client = Client::new(&mut rig);
    let mut holder = WebSocket::new(rig.connect_to(0));
    (1..5).for_each(|id| holder.ask(true, "hold", id, "sh."));
    holder.send(usize::MAX);
    rig.run();
    let made = client.ask(
        &mut rig,
        "tools/call",
        json!({"name": "hold", "arguments": {"secret": "s1."}}),
    );
    assert_eq!(made, Value::Null, "it waits");
    rig.offer(Duration::from_millis(1));
    rig.run();
    client.socket.read();
    let made = client.socket.answers.remove(&1).unwrap();
    let task = made["result"]["taskId"].as_str().unwrap().to_owned();
    let busy = |rig: &Rig| [0, 1].map(|shard: usize| rig.drivers[shard].shard.calls.busy());
    assert_eq!(busy(&rig), [4, 1]);
    rig.drain_within(Duration::from_secs(25));
    rig.release("sh.");
    rig.live(Duration::from_secs(5));
    holder.read();
    assert_eq!(holder.closed, Some(1001));
    assert_eq!(client.get(&mut rig, &task)["status"], "working");
    rig.release("s1.");
    rig.run();
    rig.live(Duration::from_secs(1));
    assert_eq!(client.text(&mut rig, &task), "s1.");
    rig.live(Duration::from_secs(1));
    client.socket.read();
    assert_eq!(client.socket.closed, Some(1001));
    holder.peer.finish();
    client.leave(&mut rig);
    rig.live(Duration::from_secs(1));
    assert!(rig.is_finished());
    rig.assert_nothing_left();
}

#[test]
fn a_channel_hears_that_its_task_failed_before_a_drain_is_over() {
    let mut rig = Rig::new(1, HANDLERS);
    let mut client = Client::new(&mut rig);
    let task = client.begin(&mut rig, "hold", "s1.");
    rig.drain_within(Duration::from_secs(4));
    rig.run();
    rig.live(Duration::from_millis(3500));
    assert_eq!(client.get(&mut rig, &task)["status"], "failed");
    rig.live(Duration::from_millis(500));
    client.socket.read();
    assert_eq!(client.socket.closed, Some(1001));
    client.leave(&mut rig);
    rig.live(Duration::from_secs(1));
    assert!(rig.is_finished());
    rig.assert_nothing_left();
}

#[test]
fn a_task_that_is_cancelled_gives_its_handler_back() {
    let mut rig = Rig::new(1, HANDLERS);
    let mut client = Client::new(&mut rig);
    for tool in ["hold", "ask", "wait"] {
        let task = client.begin(&mut rig, tool, "s1.");
        assert_eq!(rig.shard.tasks.running(), 1);
        client.ask(&mut rig, "tasks/cancel", json!({"taskId": task}));
        rig.run();
        assert_eq!(
            (rig.shard.calls.busy(), rig.shard.tasks.running()),
            (0, 0),
            "{tool}"
        );
        assert_eq!(client.get(&mut rig, &task)["status"], "cancelled");
    }
    client.leave(&mut rig);
    end(rig);
}

#[test]
fn a_task_is_not_cancelled_as_a_request() {
    let mut rig = Rig::new(1, HANDLERS);
    let mut client = Client::new(&mut rig);
    let task = client.begin(&mut rig, "hold", "s1.");
    client.socket.say(
        &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": client.next_id - 1}}),
    );
    assert_eq!(client.get(&mut rig, &task)["status"], "working");
    rig.release("s1.");
    rig.run();
    client.leave(&mut rig);
    end(rig);
}

#[test]
fn tasks_leave_handlers_to_those_who_wait() {
    let mut rig = Rig::new(1, HANDLERS);
    let mut client = Client::new(&mut rig);
    for number in 0..3 {
        client.begin(&mut rig, "hold", &format!("s{number}."));
    }
    let arguments = json!({"secret": "s3."});
    let refused = client.ask(
        &mut rig,
        "tools/call",
        json!({"name": "hold", "arguments": arguments}),
    );
    assert_eq!(refused["error"]["data"]["reason"], "handlers", "{refused}");
    let echoed = client.ask(
        &mut rig,
        "tools/call",
        json!({"name": "echo", "arguments": arguments}),
    );
    assert_eq!(echoed["result"]["content"][0]["text"], "s3.");
    for number in 0..3 {
        rig.release(&format!("s{number}."));
    }
    rig.run();
    assert_eq!(rig.shard.tasks.running(), 0);
    client.leave(&mut rig);
    end(rig);
}

#[test]
fn a_task_that_asks_has_no_handler_until_it_is_answered() {
    let mut rig = Rig::new(1, HANDLERS);
    let mut client = Client::new(&mut rig);
    let task = client.begin(&mut rig, "ask", "s1.");
    rig.run();
    assert_eq!((rig.shard.calls.busy(), rig.shard.tasks.running()), (0, 1));
    let asked = client.get(&mut rig, &task);
    assert_eq!(
        (&asked["status"], &asked["inputRequests"]["ok"]["method"]),
        (&json!("input_required"), &json!("elicitation/create"))
    );
    let answers = json!({"ok": {"action": "accept", "content": {}}, "other": {}});
    let params = json!({"taskId": task, "inputResponses": answers});
    let updated = client.ask(&mut rig, "tasks/update", params);
    assert_eq!(updated["result"]["resultType"], "complete", "{updated}");
    rig.run();
    assert_eq!(
        (client.text(&mut rig, &task), rig.shard.tasks.running()),
        ("s1.".to_owned(), 0)
    );
    client.leave(&mut rig);
    end(rig);
}

#[test]
fn a_call_that_takes_longer_than_calls_may_is_no_matter_for_a_task() {
    let mut rig = Rig::new(1, HANDLERS);
    let mut client = Client::new(&mut rig);
    let task = client.begin(&mut rig, "hold", "s1.");
    client.leave(&mut rig);
    rig.live(Duration::from_secs(60));
    rig.release("s1.");
    rig.run();
    let mut client = Client::new(&mut rig);
    assert_eq!(client.text(&mut rig, &task), "s1.");
    client.leave(&mut rig);
    end(rig);
}

#[test]
fn a_drain_lets_tasks_finish_and_fails_those_that_do_not() {
    let mut rig = Rig::new(1, HANDLERS);
    let mut client = Client::new(&mut rig);
    client.begin(&mut rig, "hold", "s1.");
    client.begin(&mut rig, "hold", "s2.");
    client.begin(&mut rig, "ask", "s3.");
    client.leave(&mut rig);
    rig.drain();
    rig.run();
    rig.release("s1.");
    rig.run();
    assert_eq!(
        rig.shard.tasks.running(),
        1,
        "what asks can have no answer any more"
    );
    assert!(!rig.is_finished());
    rig.live(Duration::from_secs(1001));
    assert_eq!(rig.shard.tasks.running(), 0);
    assert!(rig.is_finished());
    assert_eq!(rig.shard.service.main().store.tasks().figures().running, 0);
    rig.assert_nothing_left();
}
