//! What was found out about a server, in words.

use std::time::Duration;

use serde_json::Value;

use super::talk::{Answer, Talk, is_own};
use crate::config::ChildServer;
use crate::launcher::{Behind, Exit, ExitStatus};
use crate::units::ByteSize;

/// Requests whose time is taken.
pub(super) const PINGS: usize = 20;
/// Lines of stderr that are shown.
const ERRORS_SHOWN: usize = 3;
/// Bytes of each.
const ERROR_BYTES_MAX: usize = 200;

/// What was found out.
#[derive(Debug)]
pub(super) struct Found {
    /// The results of `server/discover` and of `initialize`.
    pub(super) modern: Option<Value>,
    pub(super) legacy: Option<Value>,
    pub(super) lists: Lists,
    /// A method, and the time it took.
    pub(super) latency: Option<(&'static str, Duration)>,
    /// The very first start, which may have downloaded it.
    pub(super) first_start: Duration,
    pub(super) named: Start,
    pub(super) unwrapped: Option<Start>,
    pub(super) unwrapped_failed: Option<String>,
    pub(super) behind: Behind,
    pub(super) error_count: usize,
    pub(super) errors: Vec<String>,
    pub(super) ends: Ends,
}

/// A start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    /// Until the first answer.
    pub(super) took: Duration,
    /// Bytes and processes.
    pub(super) memory: Option<(u64, u32)>,
}

/// Items of each list.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lists {
    pub(super) tools: usize,
    pub(super) prompts: usize,
    pub(super) resources: usize,
    pub(super) templates: usize,
}

/// How its processes ended, each way; nothing if one stayed.
#[derive(Debug, Default)]
pub(super) struct Ends {
    pub(super) input_end: Option<(Duration, Exit)>,
    pub(super) terminate: Option<(Duration, Exit)>,
    /// With everybody that it started.
    pub(super) kill: Option<Duration>,
}

/// Why nothing could be found out.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) why: String,
    pub(super) errors: Vec<String>,
}

impl Failure {
    /// Of a process that was never started.
    pub(super) fn of_start(why: String) -> Failure {
        let errors = Vec::new();
        Failure { why, errors }
    }

    /// Of a process whose answer was of no use.
    pub(super) fn new(talk: &mut Talk<'_>, answer: &Answer) -> Failure {
        let why = match answer {
            Answer::Result(_) => "it gave an answer that is none".to_owned(),
            Answer::Error(code, message) => format!("it refuses `initialize` with {code}: {message}"),
            Answer::Silence => "it did not answer in time".to_owned(),
            Answer::End => match talk.exit(Duration::from_secs(1)).map(|exit| exit.status) {
                Some(ExitStatus::Code(code)) => format!("it exited with status {code}"),
                Some(ExitStatus::Signal(signal)) => format!("signal {signal} ended it"),
                Some(ExitStatus::Unknown) | None => "it closed its output".to_owned(),
            },
        };
        Failure {
            why,
            errors: talk.errors().1,
        }
    }
}

/// All of it, line by line, but the command that serves it.
pub(super) fn lines(found: &Found) -> Vec<String> {
    let mut lines = vec![
        row("server", &identity(found)),
        row("speaks", &eras(found)),
        row("offers", &offers(found)),
        row("start", &start(found)),
    ];
    if let Some((method, time)) = found.latency {
        lines.push(row(
            "latency",
            &format!("{} for `{method}`, the median of {}", millis(time), PINGS),
        ));
    }
    lines.push(row("ends", &ends(&found.ends)));
    if found.error_count > 0 {
        let count = found.error_count;
        let lines_of = if count == 1 { "line" } else { "lines" };
        lines.push(row("stderr", &format!("{count} {lines_of}")));
        lines.extend(last_errors(&found.errors));
    }
    for (at, mode) in modes(found).iter().enumerate() {
        lines.push(row(if at == 0 { "modes" } else { "" }, mode));
    }
    lines
}

/// Why it cannot be served.
pub(super) fn failure_lines(server: &ChildServer, failure: &Failure) -> Vec<String> {
    let why = format!("{} cannot be served: {}", server.name, failure.why);
    let mut lines = vec![row("server", &why)];
    lines.extend(last_errors(&failure.errors));
    lines
}

/// A line on a topic.
pub(super) fn row(topic: &str, text: &str) -> String {
    format!("{topic:<8} {text}")
}

fn last_errors(errors: &[String]) -> impl Iterator<Item = String> {
    let last = errors.len().saturating_sub(ERRORS_SHOWN);
    errors.get(last..).unwrap_or_default().iter().map(|line| {
        let end = line.floor_char_boundary(ERROR_BYTES_MAX);
        row("", &line[..end].escape_debug().to_string())
    })
}

fn identity(found: &Found) -> String {
    let legacy = found.legacy.as_ref().and_then(|result| result.get("serverInfo"));
    let modern = found.modern.as_ref().and_then(|result| {
        let meta = result.get("_meta")?;
        meta.get("io.modelcontextprotocol/serverInfo")
    });
    let Some(info) = legacy.or(modern) else {
        return "it does not say who it is".to_owned();
    };
    let text = |name: &str| {
        let text = info.get(name).and_then(Value::as_str).unwrap_or("?");
        text.escape_debug().to_string()
    };
    format!("{} {}", text("name"), text("version"))
}

fn eras(found: &Found) -> String {
    let legacy = found.legacy.as_ref().map(|result| {
        let version = result.get("protocolVersion").and_then(Value::as_str);
        format!("{} (by `initialize`)", version.unwrap_or("?").escape_debug())
    });
    let modern = found.modern.as_ref().map(|result| {
        let versions = result.get("supportedVersions").and_then(Value::as_array);
        let versions = versions.into_iter().flatten().filter_map(Value::as_str);
        let versions: Vec<String> = versions
            .map(|version| version.escape_debug().to_string())
            .collect();
        format!("{} (by `server/discover`)", versions.join(", "))
    });
    match (modern, legacy) {
        (Some(modern), Some(legacy)) => {
            format!("{modern} and {legacy}; a process speaks what it is asked in first")
        }
        (Some(modern), None) => format!("{modern} only"),
        (None, Some(legacy)) => format!("{legacy} only"),
        (None, None) => "nothing that is known here".to_owned(),
    }
}

fn offers(found: &Found) -> String {
    let result = found.legacy.as_ref().or(found.modern.as_ref());
    let capabilities = result.and_then(|result| result.get("capabilities"));
    let has = |name: &str| {
        capabilities
            .and_then(|all| all.get(name))
            .is_some_and(Value::is_object)
    };
    let tells = |name: &str| {
        capabilities.and_then(|all| all.get(name)?.get("listChanged")) == Some(&Value::Bool(true))
    };
    let listed = |name: &'static str, count: usize| {
        let items = if count == 1 {
            name.trim_end_matches('s')
        } else {
            name
        };
        let changes = if tells(name) { ", tells of changes" } else { "" };
        has(name).then(|| format!("{count} {items}{changes}"))
    };
    let templates = (found.lists.templates > 0).then(|| format!("{} templates", found.lists.templates));
    let subscribe =
        capabilities.and_then(|all| all.get("resources")?.get("subscribe")) == Some(&Value::Bool(true));
    let parts = [
        listed("tools", found.lists.tools),
        listed("prompts", found.lists.prompts),
        listed("resources", found.lists.resources),
        templates,
        subscribe.then(|| "subscriptions".to_owned()),
        has("completions").then(|| "completions".to_owned()),
        has("logging").then(|| "logging".to_owned()),
        has("tasks").then(|| "tasks".to_owned()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        "nothing".to_owned()
    } else {
        parts.join("; ")
    }
}

fn start(found: &Found) -> String {
    let told = |start: &Start| {
        let memory = start.memory.map(|(bytes, processes)| {
            let plural = if processes == 1 { "" } else { "es" };
            format!(", {} in {processes} process{plural}", ByteSize(bytes).rounded())
        });
        format!("{}{}", millis(start.took), memory.unwrap_or_default())
    };
    let first = if found.first_start > found.named.took * 2 {
        format!(" (the first time {})", millis(found.first_start))
    } else {
        String::new()
    };
    let without = match (&found.unwrapped, &found.unwrapped_failed) {
        (Some(start), _) => format!("; without its wrapper {}: later starts are so", told(start)),
        (None, Some(why)) => format!("; without its wrapper it does not start: {why}"),
        (None, None) => String::new(),
    };
    format!("{}{first}{without}", told(&found.named))
}

fn ends(ends: &Ends) -> String {
    let told = |what: &str, end: &Option<(Duration, Exit)>| match end {
        Some((took, exit)) if is_own(exit) && exit.status == ExitStatus::Code(0) => {
            format!("{what} after {}", millis(*took))
        }
        Some((took, exit)) => {
            let status = match exit.status {
                ExitStatus::Code(code) => format!("status {code}"),
                ExitStatus::Signal(signal) => format!("signal {signal}"),
                ExitStatus::Unknown => "an unknown status".to_owned(),
            };
            format!("{what} after {} with {status}", millis(*took))
        }
        None => format!("not {what}"),
    };
    let killed = match ends.kill {
        Some(took) => format!("everybody by SIGKILL after {}", millis(took)),
        None => "not everybody by SIGKILL".to_owned(),
    };
    let input_end = told("at the end of its input", &ends.input_end);
    format!("{input_end}; {}; {killed}", told("by SIGTERM", &ends.terminate))
}

/// What each mode of a pool would mean for it.
fn modes(found: &Found) -> [String; 3] {
    let start = found.unwrapped.unwrap_or(found.named);
    let memory = start.memory.map_or_else(String::new, |(bytes, _)| {
        format!(", {} each", ByteSize(bytes).rounded())
    });
    let heard = if found.modern.is_some() {
        "what it asks and logs reaches the client of the call"
    } else {
        "what it asks is refused, and what it logs reaches no client"
    };
    [
        format!("session, the default: a process for each client{memory}; always fits"),
        format!("shared: a few for all clients; fits if it keeps nothing of a client; {heard}"),
        format!(
            "call: one for each call, of which each costs a start of {}",
            millis(start.took)
        ),
    ]
}

fn millis(time: Duration) -> String {
    let micros = time.as_micros();
    if micros < 10_000 {
        format!("{:.2} ms", micros as f64 / 1000.0)
    } else {
        format!("{} ms", time.as_millis())
    }
}
