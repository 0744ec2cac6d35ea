//! `weir probe`: what a program is like as a server on stdio, found out by starting it three times.
//!
//! ```text
//! first:  asked in both eras, lists read, memory and latency measured ─ end of input
//! second: the first request is `initialize`, as of a warm start        ─ SIGTERM
//! third:  without its wrapper, if it has one                           ─ SIGKILL
//! ```
//!
//! `talk` has a process, `found` what was found out and its words, `paste` the command that serves it.

mod found;
mod paste;
mod talk;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::command;
use super::given::{insert_flags, resolved};
use super::terminal::{print_error, print_line};
use crate::config::{ChildServer, Inputs};
use crate::launcher::{Behind, ChildEvents, ChildSpec, Launcher, TreeUsage};
use crate::server::user_of;
use found::{Ends, Failure, Found, Lists, PINGS, Start};
use paste::{Named, paste};
use talk::{Answer, Heard, Listener, Talk, Way};

/// Silence after which `initialize` is sent behind `server/discover`.
const DISCOVER_PATIENCE: Duration = Duration::from_secs(2);
/// For an answer of a server that has answered before.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pages of a list that are read.
const PAGES_MAX: usize = 64;
/// For a tree to be gone that was killed.
const GONE_PATIENCE: Duration = Duration::from_secs(2);

/// Probes the programs that the options name.
pub(super) fn run(given: &clap::ArgMatches) -> ExitCode {
    let mut inputs = Inputs::new();
    insert_flags(&mut inputs, given);
    let servers = match resolved(&inputs) {
        Ok(resolved) => resolved.settings.children.servers,
        Err(status) => return status,
    };
    let (to, heard) = channel();
    let listener: Arc<dyn ChildEvents> = Arc::new(Listener(to));
    let launcher = match Launcher::start(listener) {
        Ok(launcher) => launcher,
        Err(error) => {
            print_error(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let mut is_well = true;
    for (at, server) in servers.iter().enumerate() {
        match probe(server, &launcher, &heard) {
            Ok(found) => {
                let named = Named::of(&command::flags(given), at);
                let command = found::row("try", &paste(server, &named, &found));
                let lines = found::lines(&found).into_iter().chain([command]);
                lines.for_each(|line| print_line(&line));
            }
            Err(failure) => {
                is_well = false;
                found::failure_lines(server, &failure)
                    .iter()
                    .for_each(|line| print_line(line));
            }
        }
    }
    if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn probe(server: &ChildServer, launcher: &Launcher, heard: &Receiver<Heard>) -> Result<Found, Failure> {
    let user = user_of(server).map_err(|error| Failure::of_start(error.to_string()))?;
    let spec = server.spec(std::env::vars_os(), user);
    let mut found = first(server, &spec, launcher, heard)?;
    second(server, &spec, launcher, heard, &mut found)?;
    third(server, &spec, launcher, heard, &mut found)?;
    Ok(found)
}

/// Starts it as named, and finds out what it speaks and has.
fn first(
    server: &ChildServer,
    spec: &ChildSpec,
    launcher: &Launcher,
    heard: &Receiver<Heard>,
) -> Result<Found, Failure> {
    let patience = server.pool.first_start_timeout;
    let mut talk = begin(launcher, heard, spec)?;
    let modern = match discovered(&mut talk, patience) {
        Answer::Result(result) => Some(result),
        _ => None,
    };
    let mut start = talk.age();
    let mut legacy = None;
    if modern.is_none() {
        if talk.exit(Duration::ZERO).is_some() {
            // It cannot stand the question.
            talk = begin(launcher, heard, spec)?;
        }
        legacy = Some(initialized(&mut talk, patience)?);
        start = start.min(talk.age());
    }
    let is_modern = modern.is_some();
    let lists = lists(&mut talk, is_modern);
    let latency = latency(&mut talk, is_modern);
    let usage = memory(talk.usage());
    let behind = talk.behind();
    let (error_count, errors) = talk.errors();
    let input_end = talk.end(Way::InputEnd);
    Ok(Found {
        modern,
        legacy,
        lists,
        latency,
        first_start: start,
        named: Start {
            took: start,
            memory: usage,
        },
        unwrapped: None,
        unwrapped_failed: None,
        behind,
        error_count,
        errors,
        ends: Ends {
            input_end,
            ..Ends::default()
        },
    })
}

/// Starts it once more, which takes as long as later starts do, and hears whether it takes `initialize` first.
fn second(
    server: &ChildServer,
    spec: &ChildSpec,
    launcher: &Launcher,
    heard: &Receiver<Heard>,
    found: &mut Found,
) -> Result<(), Failure> {
    let mut talk = begin(launcher, heard, spec)?;
    let answer = talk.ask("initialize", &initialize(), server.pool.first_start_timeout);
    match answer {
        Answer::Result(result) => {
            talk.notify("notifications/initialized");
            found.legacy.get_or_insert(result);
        }
        Answer::Error(..) if found.modern.is_some() => {}
        answer => return Err(Failure::new(&mut talk, &answer)),
    }
    found.named.took = talk.age();
    found.ends.terminate = talk.end(Way::Terminate);
    Ok(())
}

/// Starts it without its wrapper, and kills it.
fn third(
    server: &ChildServer,
    spec: &ChildSpec,
    launcher: &Launcher,
    heard: &Receiver<Heard>,
    found: &mut Found,
) -> Result<(), Failure> {
    let bare = match &found.behind {
        Behind::Wrapper(bare) => Some((**bare).clone()),
        Behind::Itself | Behind::Unknown => None,
    };
    if let Some(bare) = bare {
        match greeted(&bare, server, launcher, heard, found.legacy.is_some()) {
            Ok(mut talk) => {
                let took = talk.age();
                let memory = memory(talk.usage());
                found.unwrapped = Some(Start { took, memory });
                found.ends.kill = killed(&mut talk);
                return Ok(());
            }
            Err(failure) => found.unwrapped_failed = Some(failure.why),
        }
    }
    let mut talk = greeted(spec, server, launcher, heard, found.legacy.is_some())?;
    found.ends.kill = killed(&mut talk);
    Ok(())
}

fn begin<'l>(
    launcher: &'l Launcher,
    heard: &'l Receiver<Heard>,
    spec: &ChildSpec,
) -> Result<Talk<'l>, Failure> {
    Talk::start(launcher, heard, spec).map_err(|error| Failure::of_start(error.to_string()))
}

/// A process that has answered its first request.
fn greeted<'l>(
    spec: &ChildSpec,
    server: &ChildServer,
    launcher: &'l Launcher,
    heard: &'l Receiver<Heard>,
    is_legacy: bool,
) -> Result<Talk<'l>, Failure> {
    let mut talk = begin(launcher, heard, spec)?;
    if is_legacy {
        initialized(&mut talk, server.pool.first_start_timeout)?;
        return Ok(talk);
    }
    match talk.ask(
        "server/discover",
        &json!({"_meta": envelope()}),
        server.pool.start_timeout,
    ) {
        Answer::Result(_) => Ok(talk),
        answer => Err(Failure::new(&mut talk, &answer)),
    }
}

/// The answer to `server/discover`. Silence is not proof of anything while it may still be downloaded, so `initialize`
/// follows, whose answer ends the wait.
fn discovered(talk: &mut Talk<'_>, patience: Duration) -> Answer {
    let discover = talk.send("server/discover", &json!({"_meta": envelope()}));
    let (_, answer) = talk.answer(&[discover], DISCOVER_PATIENCE);
    if answer != Answer::Silence {
        return is_discovery(answer);
    }
    let ping = talk.send("ping", &json!({}));
    match talk.answer(&[discover, ping], patience) {
        (id, answer) if id == discover => is_discovery(answer),
        // It answers one and not the other.
        _ => Answer::Silence,
    }
}

fn is_discovery(answer: Answer) -> Answer {
    match answer {
        Answer::Result(result) if result.get("supportedVersions").is_some_and(Value::is_array) => {
            Answer::Result(result)
        }
        Answer::Result(_) => Answer::Silence,
        other => other,
    }
}

fn initialized(talk: &mut Talk<'_>, patience: Duration) -> Result<Value, Failure> {
    match talk.ask("initialize", &initialize(), patience) {
        Answer::Result(result) => {
            talk.notify("notifications/initialized");
            Ok(result)
        }
        answer => Err(Failure::new(talk, &answer)),
    }
}

fn client() -> Value {
    json!({"name": "weir-probe", "version": env!("CARGO_PKG_VERSION")})
}

fn initialize() -> Value {
    json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client()})
}

/// What every modern request has.
fn envelope() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": client(),
    })
}

/// How many items each list has.
fn lists(talk: &mut Talk<'_>, is_modern: bool) -> Lists {
    let mut count = |method: &str, member: &str| {
        let mut items = 0;
        let mut params = params(is_modern);
        for _ in 0..PAGES_MAX {
            let Answer::Result(page) = talk.ask(method, &params, PATIENCE) else {
                break;
            };
            items += page.get(member).and_then(Value::as_array).map_or(0, Vec::len);
            match page.get("nextCursor").filter(|cursor| cursor.is_string()) {
                Some(cursor) => params["cursor"] = cursor.clone(),
                None => break,
            }
        }
        items
    };
    Lists {
        tools: count("tools/list", "tools"),
        prompts: count("prompts/list", "prompts"),
        resources: count("resources/list", "resources"),
        templates: count("resources/templates/list", "resourceTemplates"),
    }
}

fn params(is_modern: bool) -> Value {
    if is_modern {
        json!({"_meta": envelope()})
    } else {
        json!({})
    }
}

/// The median time of a small request, and its name.
fn latency(talk: &mut Talk<'_>, is_modern: bool) -> Option<(&'static str, Duration)> {
    let method = if is_modern { "tools/list" } else { "ping" };
    let mut times = Vec::new();
    for _ in 0..PINGS {
        let begun = Instant::now();
        match talk.ask(method, &params(is_modern), PATIENCE) {
            // An error is an answer, too.
            Answer::Result(_) | Answer::Error(..) => times.push(begun.elapsed()),
            Answer::Silence | Answer::End => break,
        }
    }
    times.sort_unstable();
    times.get(times.len() / 2).map(|median| (method, *median))
}

/// Bytes that only the tree has, with its share of what others have as well; and its processes.
fn memory(usage: Option<TreeUsage>) -> Option<(u64, u32)> {
    let usage = usage?;
    let share = |pid: i32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.split_whitespace()
            .next()?
            .parse::<u64>()
            .ok()
            .map(|kib| kib << 10)
    };
    let shares: Option<Vec<u64>> = usage.processes.iter().map(|process| share(process.pid)).collect();
    let bytes = shares.map_or(usage.resident_bytes, |shares| shares.iter().sum());
    Some((bytes, usage.processes_total))
}

/// Kills it; whether nobody of its tree is left then, and after how long.
fn killed(talk: &mut Talk<'_>) -> Option<Duration> {
    let processes = talk.usage()?.processes;
    let begun = Instant::now();
    talk.end(Way::Kill)?;
    let is_left = |pid: i32| std::path::Path::new(&format!("/proc/{pid}")).exists();
    while processes.iter().any(|process| is_left(process.pid)) {
        if begun.elapsed() > GONE_PATIENCE {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Some(begun.elapsed())
}
