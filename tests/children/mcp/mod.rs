//! An MCP server on stdio that sins when it is told to: by its options for good, by a call once. It speaks the legacy
//! era, unless it is told otherwise.
//!
//! | option | |
//! |---|---|
//! | `silent` | `initialize` is never answered |
//! | `refuse` | `initialize` is answered by an error |
//! | `late:MS` | `initialize` is answered so late |
//! | `revision:NAME` | it answers in this revision, whatever was asked for |
//! | `instructions:TEXT` | its instructions |
//! | `bare` | it has tools and nothing else |
//! | `secretive` | it has tools and prompts, and tells nobody when they change |
//! | `pages:N` | the list of tools has so many pages, else two |
//! | `endless` | every page of the list of tools names another one |
//! | `repeat` | the second page of the list of tools names itself as the next one |
//! | `no-ping` | pings are never answered |
//! | `modern` | it speaks 2026-07-28 and nothing else |
//! | `dual` | it speaks both eras, and stays in the one that is spoken first |
//! | `picky` | before `initialize` everything is refused, with 7 KB of stderr |
//! | `deaf` | before `initialize` it answers nothing |
//! | `read-only` | `act` says that it changes nothing |
//! | `tasks:WORD` | `act` says this of tasks; `required` it means |
//! | `dies-of-discover` | `server/discover` is its end |
//!
//! It has the tools `echo` and `act` on the first page of the list, and `page-2` (and so on) on the others; the prompt
//! `greet`, the resource `child://one`, the template `child://{name}`, completions. `act` does its `steps` in a thread of
//! its own, or, if `inline` is true, in the one that reads, which reads nothing meanwhile. `steps` has the table.

mod answers;
mod modern;
mod steps;

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use modern::{Eras, Listen};
use steps::Act;

/// What is read of a line; the rest may be anything, such as numbers that are too large.
#[derive(Deserialize)]
struct Message {
    id: Option<Value>,
    method: Option<String>,
    #[serde(default)]
    params: Params,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Params {
    name: String,
    arguments: Arguments,
    #[serde(rename = "_meta")]
    meta: Meta,
    uri: String,
    cursor: Option<String>,
    protocol_version: String,
    request_id: Option<Value>,
    input_responses: Map<String, Value>,
    task: Option<Value>,
    task_id: String,
    notifications: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Arguments {
    message: String,
    steps: Vec<Value>,
    inline: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    progress_token: Option<Value>,
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<Value>,
    #[serde(rename = "io.modelcontextprotocol/clientCapabilities")]
    capabilities: Option<Value>,
}

#[derive(Default)]
struct Options {
    is_silent: bool,
    is_refusing: bool,
    late: Duration,
    revision: Option<String>,
    instructions: Option<String>,
    is_bare: bool,
    is_secretive: bool,
    pages: Option<usize>,
    is_endless: bool,
    is_repeating: bool,
    is_deaf_to_pings: bool,
    tasks: Option<String>,
    is_read_only: bool,
    eras: Eras,
    is_picky: bool,
    is_deaf: bool,
    dies_of_discover: bool,
}

impl Options {
    fn read(words: &[&str]) -> Options {
        let mut options = Options::default();
        for word in words.iter().filter(|word| !word.is_empty()) {
            let (name, value) = word.split_once(':').unwrap_or((word, ""));
            match name {
                "silent" => options.is_silent = true,
                "refuse" => options.is_refusing = true,
                "late" => options.late = Duration::from_millis(value.parse().unwrap()),
                "revision" => options.revision = Some(value.to_owned()),
                "instructions" => options.instructions = Some(value.to_owned()),
                "bare" => options.is_bare = true,
                "secretive" => options.is_secretive = true,
                "pages" => options.pages = Some(value.parse().unwrap()),
                "endless" => options.is_endless = true,
                "repeat" => options.is_repeating = true,
                "no-ping" => options.is_deaf_to_pings = true,
                "read-only" => options.is_read_only = true,
                "tasks" => options.tasks = Some(value.to_owned()),
                "modern" => options.eras = Eras::Modern,
                "dual" => options.eras = Eras::Dual,
                "picky" => options.is_picky = true,
                "deaf" => options.is_deaf = true,
                "dies-of-discover" => options.dies_of_discover = true,
                _ => panic!("no option {word}"),
            }
        }
        options
    }
}

/// What all threads share.
struct Server {
    mark: String,
    options: Options,
    output: Mutex<()>,
    /// It writes nothing any more.
    is_mute: AtomicBool,
    state: Mutex<State>,
    /// A call was cancelled.
    cancelled: Condvar,
    counted: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// Every line but tool calls, in order.
    heard: Vec<String>,
    /// Ids of cancelled requests.
    cancelled: HashSet<String>,
    /// Who waits for the answer to a question.
    questions: HashMap<String, Sender<String>>,
    /// Calls that are tasks, and the requests for their results.
    tasks: HashMap<String, (Params, String)>,
    results: HashMap<String, Value>,
    dropped: HashSet<String>,
    /// Names of tools that were added.
    added: Vec<String>,
    /// The era in which it is spoken to, once that is decided.
    is_modern: Option<bool>,
    /// What its client wants to hear of.
    listens: Vec<Listen>,
}

/// Serves until the input ends.
pub(crate) fn serve(mark: &str, options: Vec<&str>) {
    let server = Arc::new(Server {
        mark: mark.to_owned(),
        options: Options::read(&options),
        output: Mutex::default(),
        is_mute: AtomicBool::new(false),
        state: Mutex::default(),
        cancelled: Condvar::new(),
        counted: AtomicUsize::new(0),
    });
    let mut input = io::stdin().lock();
    let mut line = String::new();
    while input.read_line(&mut line).unwrap() > 0 {
        server.handle(line.trim_end());
        line.clear();
    }
}

impl Server {
    fn handle(self: &Arc<Self>, line: &str) {
        let message: Message = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let is_call = message.method.as_deref() == Some("tools/call");
        if !is_call {
            self.state.lock().unwrap().heard.push(line.to_owned());
        }
        match (message.method.as_deref(), message.id) {
            (Some("notifications/cancelled"), None) => {
                let id = message.params.request_id.unwrap_or_default();
                let mut state = self.state.lock().unwrap();
                state.listens.retain(|listen| listen.id != id);
                state.cancelled.insert(id.to_string());
                self.cancelled.notify_all();
            }
            (Some(method), Some(id)) if self.is_out_of_era(&id, method, &message.params) => {}
            (Some("tools/call"), Some(id)) if self.demands_task(&message.params) => {
                self.make_task(&id, message.params, line);
            }
            (Some("tools/call"), Some(id)) => self.call(id, message.params, line),
            (Some("tasks/result"), Some(id)) => self.do_task(id, &message.params.task_id),
            (Some("tasks/cancel"), Some(id)) => self.cancel_task(&id, &message.params.task_id),
            (Some(method), Some(id)) => self.answer(&id, method, &message.params),
            (None, Some(id)) => {
                let waiting = self.state.lock().unwrap().questions.remove(&id.to_string());
                waiting
                    .into_iter()
                    .for_each(|waiting| drop(waiting.send(line.to_owned())));
            }
            (_, None) => {}
        }
    }

    fn call(self: &Arc<Self>, id: Value, params: Params, line: &str) {
        match params.name.as_str() {
            "echo" => self.answer_text(&id, &params.arguments.message),
            "act" => {
                let mut act = Act::new(self, id, params.meta.progress_token, params.input_responses, line);
                let steps = params.arguments.steps;
                if params.arguments.inline {
                    act.run(&steps);
                } else {
                    thread::spawn(move || act.run(&steps));
                }
            }
            name if self.has_tool(name) => self.answer_text(&id, name),
            name => self.refuse(
                &id,
                &json!({"code": -32602, "message": format!("Unknown tool: {name}")}),
            ),
        }
    }

    fn demands_task(&self, params: &Params) -> bool {
        params.name == "act" && self.options.tasks.as_deref() == Some("required")
    }

    /// Answers a call with a task, whose work begins when it is asked for its result.
    fn make_task(&self, id: &Value, params: Params, line: &str) {
        if params.task.is_none() {
            return self.refuse(id, &json!({"code": -32601, "message": "act is a task"}));
        }
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let mut state = self.state.lock().unwrap();
        let name = format!("\u{e9}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        state.tasks.insert(name.clone(), (params, line.to_owned()));
        drop(state);
        let now = "2026-01-01T00:00:00Z";
        let task =
            json!({"taskId": name, "status": "working", "createdAt": now, "lastUpdatedAt": now, "ttl": null});
        self.succeed(id, &json!({"task": task}));
    }

    fn do_task(self: &Arc<Self>, id: Value, name: &str) {
        let mut state = self.state.lock().unwrap();
        let (params, line) = state.tasks.remove(name).unwrap();
        state.results.insert(name.to_owned(), id.clone());
        let is_dropped = state.dropped.contains(name);
        drop(state);
        if is_dropped {
            return self.refuse(&id, &json!({"code": -32602, "message": "it was cancelled"}));
        }
        self.call(id, params, &line);
    }

    fn cancel_task(&self, id: &Value, name: &str) {
        let mut state = self.state.lock().unwrap();
        if let Some(result) = state.results.get(name).map(Value::to_string) {
            state.cancelled.insert(result);
            self.cancelled.notify_all();
        } else {
            state.dropped.insert(name.to_owned());
        }
        drop(state);
        self.succeed(id, &json!({}));
    }

    /// Asks the client; the answer comes as a line.
    fn ask(&self, method: &str, params: &Value) -> Receiver<String> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let id = json!(format!("question-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        let (sender, receiver) = channel();
        self.state
            .lock()
            .unwrap()
            .questions
            .insert(id.to_string(), sender);
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        receiver
    }

    fn wait_until_cancelled(&self, id: &Value) {
        let id = id.to_string();
        let state = self.state.lock().unwrap();
        let waits = |state: &mut State| !state.cancelled.contains(&id);
        drop(self.cancelled.wait_while(state, waits).unwrap());
    }

    fn notify(&self, method: &str, params: &Value) {
        self.say(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    fn succeed(&self, id: &Value, result: &Value) {
        let result = self.result(result);
        self.say(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
    }

    fn answer_text(&self, id: &Value, text: &str) {
        self.succeed(id, &json!({"content": [{"type": "text", "text": text}]}));
    }

    fn refuse(&self, id: &Value, error: &Value) {
        self.say(&json!({"jsonrpc": "2.0", "id": id, "error": error}));
    }

    fn say(&self, message: &Value) {
        self.write(format!("{message}\n").as_bytes());
    }

    /// Writes all of it before anything else.
    fn write(&self, bytes: &[u8]) {
        let _turn = self.output.lock().unwrap();
        if self.is_mute.load(Ordering::Relaxed) {
            return;
        }
        let mut stdout = io::stdout().lock();
        // Whoever was to read it may be gone.
        let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
    }
}
