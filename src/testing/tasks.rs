//! Calls that go on as tasks, in the two revisions that have them.

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::client::Client;
use super::question::{Question, Said};
use super::schemas;
use crate::mcp::Era;

/// A call that goes on as a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    id: String,
    tool: String,
    /// The token of the call's progress.
    token: u64,
}

impl Task {
    /// The id under which the server knows it.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Client {
    /// Calls a tool as a client that knows tasks: in 2025-11-25 it asks for one, since then it says that it takes one.
    ///
    /// # Panics
    /// If the call does not become a task.
    #[track_caller]
    pub fn begin_task(&mut self, tool: &str, arguments: Value) -> Task {
        let mut params = json!({"name": tool, "arguments": arguments});
        let is_legacy = self.profile.revision.era() == Era::Legacy;
        if is_legacy {
            params["task"] = json!({});
        }
        let (answer, token) = self.knowing_tasks(|client| {
            let call = client.send("tools/call", params);
            let token = call.first_id;
            (client.answer_to(call), token)
        });
        let result = answer.result();
        let made = if is_legacy { &result["task"] } else { result };
        match made["taskId"].as_str() {
            Some(id) => Task {
                id: id.to_owned(),
                tool: tool.to_owned(),
                token,
            },
            None => panic!("{tool} does not become a task: {result}"),
        }
    }

    /// A task as it stands (`tasks/get`); its status is `result()["status"]`.
    #[track_caller]
    pub fn task(&mut self, task: &Task) -> Answer {
        self.task_request("tasks/get", task)
    }

    /// Cancels a task.
    #[track_caller]
    pub fn cancel_task(&mut self, task: &Task) -> Answer {
        self.task_request("tasks/cancel", task)
    }

    /// Waits for the end of a task, answers what it asks, and gives its result. Of one that is cancelled that is an
    /// error.
    #[track_caller]
    pub fn finish_task(&mut self, task: &Task) -> Answer {
        let answer = match self.profile.revision.era() {
            Era::Legacy => {
                let mut call = self.send("tasks/result", json!({"taskId": task.id}));
                call.first_id = task.token;
                self.answer_to(call)
            }
            Era::Modern => self.watch_task(task),
        };
        self.check_output(&task.tool, &answer);
        answer
    }

    /// Looks at a task again whenever it has changed.
    #[track_caller]
    fn watch_task(&mut self, task: &Task) -> Answer {
        let wanted = json!({"notifications": {"taskIds": [task.id]}});
        let mut changes = self.knowing_tasks(|client| client.send("subscriptions/listen", wanted));
        loop {
            let told = match changes.exchange.message() {
                Ok(Some(mut message)) if message.get("method").is_some() => {
                    self.check(schemas::check_said(self.profile.revision, &message));
                    message["params"].take()
                }
                other => panic!("subscriptions/listen: {other:?}"),
            };
            let mut answer = self.task(task);
            // A task whose time is over is forgotten then, and only this message says how it has ended.
            let result = match told["status"].as_str() {
                Some(_) if answer.outcome.is_err() => told,
                _ => answer.result().clone(),
            };
            answer.outcome = match result["status"].as_str() {
                Some("completed") => Ok(result["result"].clone()),
                Some("failed") => Err(result["error"].clone()),
                Some("cancelled") => Err(json!({"message": "the task was cancelled"})),
                Some("input_required") => {
                    self.update_task(task, &result["inputRequests"]);
                    continue;
                }
                _ => continue,
            };
            return answer;
        }
    }

    #[track_caller]
    fn update_task(&mut self, task: &Task, asked: &Value) {
        let mut answers = Map::new();
        for (key, asked) in asked.as_object().into_iter().flatten() {
            let method = asked["method"].as_str().unwrap_or_default();
            if let Said::Result(result) = self.reply(&Question::new(method, &asked["params"], Some(key))).0 {
                answers.insert(key.clone(), result);
            }
        }
        if !answers.is_empty() {
            let params = json!({"taskId": task.id, "inputResponses": answers});
            let answer = self.knowing_tasks(|client| client.request("tasks/update", params));
            answer.result();
        }
    }

    #[track_caller]
    fn task_request(&mut self, method: &str, task: &Task) -> Answer {
        let params = json!({"taskId": task.id});
        self.knowing_tasks(|client| client.request(method, params))
    }

    /// Sends something as a client that knows tasks; since 2026-07-28 every request says so.
    fn knowing_tasks<T>(&mut self, send: impl FnOnce(&mut Client) -> T) -> T {
        self.knows_tasks = true;
        let sent = send(self);
        self.knows_tasks = false;
        sent
    }
}
