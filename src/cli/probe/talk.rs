//! One process of the server that is probed: started by the launcher, spoken to over its pipes, and ended.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::launcher::{
    Behind, ChildEvents, ChildId, ChildSpec, Exit, ExitReason, Launcher, Pid, PipeNumbers, TreeUsage, behind,
};

/// Bytes of a line.
const LINE_BYTES_MAX: usize = 16 << 20;
/// Lines of stderr that are kept.
const ERRORS_MAX: usize = 64;
/// For the launcher's own answers.
const LAUNCHER_PATIENCE: Duration = Duration::from_secs(10);
/// For the end of a process after each step.
const END_PATIENCE: Duration = Duration::from_secs(5);
/// JSON-RPC: the method does not exist.
const METHOD_NOT_FOUND: i64 = -32601;

/// What the launcher says.
#[derive(Debug)]
pub(super) enum Heard {
    Spawned(ChildId, io::Result<Pid>),
    Exited(ChildId, Exit),
    Usage(ChildId, TreeUsage),
}

/// Passes on what the launcher says.
pub(super) struct Listener(pub(super) Sender<Heard>);

impl ChildEvents for Listener {
    fn spawned(&self, child: ChildId, result: io::Result<Pid>) {
        let _ = self.0.send(Heard::Spawned(child, result));
    }

    fn exited(&self, child: ChildId, exit: Exit) {
        let _ = self.0.send(Heard::Exited(child, exit));
    }

    fn usage(&self, child: ChildId, usage: TreeUsage) {
        let _ = self.0.send(Heard::Usage(child, usage));
    }
}

/// What became of a request.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Result(Value),
    /// Code and message.
    Error(i64, String),
    Silence,
    /// It says nothing any more.
    End,
}

/// How a process is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    InputEnd,
    Terminate,
    Kill,
}

/// A process that runs.
pub(super) struct Talk<'l> {
    launcher: &'l Launcher,
    heard: &'l Receiver<Heard>,
    child: ChildId,
    leader: Pid,
    pipes: PipeNumbers,
    spec: ChildSpec,
    input: Option<File>,
    lines: Receiver<Value>,
    errors: Receiver<String>,
    exit: Option<Exit>,
    began: Instant,
    last_id: u64,
}

impl<'l> Talk<'l> {
    /// Starts a process.
    pub(super) fn start(
        launcher: &'l Launcher,
        heard: &'l Receiver<Heard>,
        spec: &ChildSpec,
    ) -> io::Result<Talk<'l>> {
        let began = Instant::now();
        let (child, pipes) = launcher.spawn(spec)?;
        let numbers = pipes.numbers()?;
        let (output, lines) = channel();
        let (complaints, errors) = channel();
        let (stdout, stderr) = (File::from(pipes.stdout), File::from(pipes.stderr));
        thread::spawn(move || {
            each_line(stdout, |line| {
                serde_json::from_slice(line).map_or(true, |message| output.send(message).is_ok())
            });
        });
        thread::spawn(move || {
            each_line(stderr, |line| {
                complaints
                    .send(String::from_utf8_lossy(line).into_owned())
                    .is_ok()
            });
        });
        let leader = spawned(heard, child)?;
        Ok(Talk {
            launcher,
            heard,
            child,
            leader,
            pipes: numbers,
            spec: spec.clone(),
            input: Some(File::from(pipes.stdin)),
            lines,
            errors,
            exit: None,
            began,
            last_id: 0,
        })
    }

    /// The time since its start.
    pub(super) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Sends a request, and gives its id.
    pub(super) fn send(&mut self, method: &str, params: &Value) -> u64 {
        self.last_id += 1;
        self.write(&json!({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params}));
        self.last_id
    }

    pub(super) fn notify(&mut self, method: &str) {
        self.write(&json!({"jsonrpc": "2.0", "method": method}));
    }

    /// Asks, and waits for the answer.
    pub(super) fn ask(&mut self, method: &str, params: &Value, patience: Duration) -> Answer {
        let id = self.send(method, params);
        self.answer(&[id], patience).1
    }

    /// The first answer to one of these requests.
    pub(super) fn answer(&mut self, ids: &[u64], patience: Duration) -> (u64, Answer) {
        let until = Instant::now() + patience;
        loop {
            match self
                .lines
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(message) => {
                    let id = message.get("id").and_then(Value::as_u64);
                    let is_request = message.get("method").is_some();
                    match id.filter(|id| ids.contains(id) && !is_request) {
                        Some(id) => return (id, outcome(message)),
                        None if is_request => self.refuse(&message),
                        None => {}
                    }
                }
                Err(RecvTimeoutError::Timeout) => return (0, Answer::Silence),
                Err(RecvTimeoutError::Disconnected) => return (0, Answer::End),
            }
        }
    }

    /// What it uses with all that it started.
    pub(super) fn usage(&mut self) -> Option<TreeUsage> {
        self.launcher.usage(self.child);
        let child = self.child;
        self.wait(LAUNCHER_PATIENCE, |heard| match heard {
            Heard::Usage(of, usage) if *of == child => Some(usage.clone()),
            _ => None,
        })
    }

    /// Who holds its pipes.
    pub(super) fn behind(&self) -> Behind {
        behind(self.leader, self.pipes, &self.spec)
    }

    /// The last lines of stderr that have come, and how many there were.
    pub(super) fn errors(&self) -> (usize, Vec<String>) {
        let mut lines: Vec<String> = self.errors.try_iter().collect();
        let count = lines.len();
        lines.drain(..count.saturating_sub(ERRORS_MAX));
        (count, lines)
    }

    /// Has it end, and gives how long that took, or that it stayed. It is killed then.
    pub(super) fn end(&mut self, way: Way) -> Option<(Duration, Exit)> {
        let begun = Instant::now();
        match way {
            Way::InputEnd => self.input = None,
            Way::Terminate => self.launcher.terminate(self.child),
            Way::Kill => self.launcher.kill(self.child),
        }
        let exit = self.exit(END_PATIENCE);
        let took = begun.elapsed();
        self.launcher.kill(self.child);
        self.exit(END_PATIENCE);
        exit.map(|exit| (took, exit))
    }

    /// How it ended, if it does in this time.
    pub(super) fn exit(&mut self, patience: Duration) -> Option<Exit> {
        if self.exit.is_none() {
            let child = self.child;
            self.exit = self.wait(patience, |heard| match heard {
                Heard::Exited(of, exit) if *of == child => Some(exit.clone()),
                _ => None,
            });
        }
        self.exit.clone()
    }

    fn wait<T>(&mut self, patience: Duration, pick: impl Fn(&Heard) -> Option<T>) -> Option<T> {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let heard = self.heard.recv_timeout(left).ok()?;
            if let Heard::Exited(of, exit) = &heard
                && *of == self.child
            {
                self.exit = Some(exit.clone());
            }
            if let Some(picked) = pick(&heard) {
                return Some(picked);
            }
            if self.exit.is_some() {
                return None;
            }
        }
    }

    /// Nobody is asked here but it.
    fn refuse(&mut self, request: &Value) {
        let answer = if request.get("method") == Some(&json!("ping")) {
            json!({"jsonrpc": "2.0", "id": request.get("id"), "result": {}})
        } else {
            let error = json!({"code": METHOD_NOT_FOUND, "message": "there is no client to ask"});
            json!({"jsonrpc": "2.0", "id": request.get("id"), "error": error})
        };
        if request.get("id").is_some() {
            self.write(&answer);
        }
    }

    fn write(&mut self, message: &Value) {
        if let Some(input) = &mut self.input {
            // Whether it has ended is seen by its answers.
            let _ = input.write_all(format!("{message}\n").as_bytes());
        }
    }
}

impl Drop for Talk<'_> {
    fn drop(&mut self) {
        self.launcher.kill(self.child);
    }
}

/// Whether an exit was the process's own doing.
pub(super) fn is_own(exit: &Exit) -> bool {
    exit.reason == ExitReason::Itself
}

fn spawned(heard: &Receiver<Heard>, child: ChildId) -> io::Result<Pid> {
    loop {
        match heard.recv_timeout(LAUNCHER_PATIENCE) {
            Ok(Heard::Spawned(of, result)) if of == child => return result,
            Ok(_) => {}
            Err(_) => return Err(io::Error::other("the launcher does not answer")),
        }
    }
}

fn outcome(message: Value) -> Answer {
    if let Some(error) = message.get("error") {
        let code = error.get("code").and_then(Value::as_i64).unwrap_or(0);
        let text = error.get("message").and_then(Value::as_str).unwrap_or_default();
        return Answer::Error(code, text.to_owned());
    }
    let Value::Object(mut members) = message else {
        return Answer::Silence;
    };
    Answer::Result(members.remove("result").unwrap_or_default())
}

/// Hands out lines until they end, one is too long, or nobody wants more.
fn each_line(mut from: File, mut take: impl FnMut(&[u8]) -> bool) {
    let (mut held, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
    while let Ok(count @ 1..) = from.read(&mut chunk) {
        held.extend_from_slice(chunk.get(..count).unwrap_or_default());
        let Some(last) = held.iter().rposition(|byte| *byte == b'\n') else {
            if held.len() > LINE_BYTES_MAX {
                return;
            }
            continue;
        };
        for line in held.get(..last).unwrap_or_default().split(|byte| *byte == b'\n') {
            if !take(line) {
                return;
            }
        }
        held.drain(..=last);
    }
}
