//! The flags of `weir bench`, and the plan that they make.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgMatches, Args, FromArgMatches};
use serde_json::Value;

use crate::load::{
    Arrivals, Call, Dialect, Discovered, Endpoint, Expectation, Framing, OpenLoop, Pace, Phase, Plan,
    Speaker, Template, Work, discover, program, target,
};
use crate::mcp::Revision;
use crate::units::parse_duration;

/// The tool that is called where none is named, and its arguments.
const ECHO: &str = "echo";
const ECHO_ARGUMENTS: &str = r#"{"message":"hello"}"#;
/// Most connections of an open loop that is not told.
const CLIENTS_MAX: usize = 8192;

/// Flags.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The server: http://HOST:PORT/mcp, ws://HOST:PORT/mcp, unix:PATH or unix:@NAME
    #[arg(value_name = "URL", conflicts_with = "stdio")]
    url: Option<String>,
    /// A server on stdio instead, one process for each client
    #[arg(long, value_name = "COMMAND")]
    stdio: Option<String>,
    /// The path of requests over a Unix socket [default: /mcp]
    #[arg(long)]
    path: Option<String>,
    /// A tool to call; several with weights (`--tool fast=9 --tool slow=1`) are called as often as those say. Without
    /// any it is `echo`
    #[arg(long, value_name = "NAME[=WEIGHT]")]
    tool: Vec<String>,
    /// The arguments of the --tool before it, a JSON object, in which {{counter}}, {{random:LENGTH}},
    /// {{number:LEAST..MOST}} and {{line:FILE}} are filled in anew for every call
    #[arg(long, value_name = "JSON")]
    args: Vec<String>,
    /// What results of the --tool before it must be: `error`, a JSON object that the result must contain, or the text
    /// of its first content
    #[arg(long, value_name = "TEXT|JSON")]
    expect: Vec<String>,
    /// Connections, each with one request at a time; in an open loop those that are there from the beginning
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// What is measured, and for how long
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    duration: Duration,
    /// The time before, of which nothing counts [default: 1s]
    #[arg(long, value_parser = parse_duration)]
    warm_up: Option<Duration>,
    /// Open loop: requests per second that are due, whether or not earlier ones were answered
    #[arg(long, conflicts_with = "phase")]
    rate: Option<f64>,
    /// Open loop: a step of so many requests per second for so many seconds, as in 800:10; one after the other when
    /// repeated, each reported by itself
    #[arg(long, value_name = "RATE:SECONDS")]
    phase: Vec<Phase>,
    /// Open loop: how arrivals are spread
    #[arg(long, default_value = "poisson")]
    arrivals: Arrivals,
    /// Open loop: most connections; when all wait for an answer, requests wait here [default: 8192]
    #[arg(long)]
    clients_max: Option<usize>,
    /// Open loop: how long after the end answers still count
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    patience: Duration,
    /// Open loop: the length of the windows in the JSON
    #[arg(long, default_value = "100ms", value_parser = parse_duration)]
    window: Duration,
    /// Closed loop: the time from an answer to the next request, on average
    #[arg(long, default_value = "0s", value_parser = parse_duration, conflicts_with_all = ["rate", "phase"])]
    think_time: Duration,
    /// A new connection after so many requests
    #[arg(long, value_name = "N")]
    requests_per_connection: Option<u64>,
    /// Instead of calls: the life of a legacy session, again and again: initialize, initialized, a call, DELETE
    #[arg(long)]
    life_cycle: bool,
    /// Connections beside the load that ask nothing
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    idle: usize,
    /// Open streams of events beside the load
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    streams: usize,
    /// The revision of MCP; without it the newest that the server speaks
    #[arg(long)]
    revision: Option<String>,
    /// A further header line, `name: value`
    #[arg(long)]
    header: Vec<String>,
    /// A bearer token
    #[arg(long)]
    token: Option<String>,
    /// A request without an answer is given up after this
    #[arg(long, default_value = "30s", value_parser = parse_duration)]
    timeout: Duration,
    /// Threads [default: one for each of --cpus, or one]
    #[arg(long)]
    threads: Option<usize>,
    /// CPUs to run on
    #[arg(long, value_delimiter = ',')]
    cpus: Vec<usize>,
    /// The server's process on this machine: its CPU time is measured, too
    #[arg(long)]
    pid: Option<u32>,
    /// Decides everything that is random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The body of every request, as it is in this file; nothing is asked before. An id of ten digits is counted
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tool", "args", "expect", "life_cycle", "revision"])]
    body: Option<String>,
    /// Ports of 127.0.0.1 that the first connections come from
    #[arg(long, value_delimiter = ',', value_name = "PORTS")]
    source_ports: Vec<u16>,
    /// Writes all figures into a file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<String>,
    /// Writes the latencies into a file, second by second, as HdrHistogram's tools read them
    #[arg(long, value_name = "FILE")]
    pub(super) hdr_log: Option<String>,
    /// Compares the figures with those that an earlier run wrote by --out
    #[arg(long, value_name = "FILE")]
    pub(super) compare: Option<String>,
    /// Prints them as JSON
    #[arg(long)]
    pub(super) json: bool,
    /// A word to carry into the JSON
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) label: String,
}

/// A plan, and what it is for.
pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) arguments: Arguments,
    /// Where the server is, as the user wrote it.
    pub(super) place: String,
    /// Its name and version, if it was asked.
    pub(super) server: Option<String>,
}

/// Why there is no plan.
pub(super) enum Unplanned {
    /// The flags say what cannot be.
    Usage(String),
    /// The server is not there, or not as the flags say.
    Server(String),
}

/// Reads the flags, and asks the server what they leave open.
pub(super) fn planned(matches: &ArgMatches) -> Result<Planned, Unplanned> {
    let arguments =
        Arguments::from_arg_matches(matches).map_err(|error| Unplanned::Usage(error.to_string()))?;
    let endpoint = endpoint(&arguments).map_err(Unplanned::Usage)?;
    let place = arguments
        .url
        .clone()
        .or_else(|| arguments.stdio.clone())
        .unwrap_or_default();
    let wanted = wanted(&arguments).map_err(Unplanned::Usage)?;
    let named = named_calls(matches, &arguments).map_err(Unplanned::Usage)?;
    let (speaker, server, work) = match &arguments.body {
        Some(file) => {
            let body = fs::read(file)
                .map_err(|error| Unplanned::Usage(format!("{file} cannot be read: {error}")))?;
            let revision = Revision::V2026_07_28;
            let dialect = Dialect { revision };
            (Speaker { endpoint, dialect }, None, Work::Given(body.into()))
        }
        None => {
            let found = discover(&endpoint, wanted)
                .map_err(|error| Unplanned::Server(format!("{place}: {error}")))?;
            let calls = calls(named, &found).map_err(Unplanned::Server)?;
            let work = if arguments.life_cycle {
                Work::LifeCycles(calls)
            } else {
                Work::Calls(calls)
            };
            (found.speaker, Some(found.server), work)
        }
    };
    let plan = plan(&arguments, speaker, work).map_err(Unplanned::Usage)?;
    Ok(Planned {
        plan,
        arguments,
        place,
        server,
    })
}

fn endpoint(arguments: &Arguments) -> Result<Endpoint, String> {
    if let Some(command) = &arguments.stdio {
        return program(command);
    }
    let Some(url) = &arguments.url else {
        return Err("a URL is needed, or a program: --stdio COMMAND; see --help".to_owned());
    };
    let mut headers = arguments.header.clone();
    if let Some(wrong) = headers
        .iter()
        .find(|header| !header.contains(':') || header.contains(['\r', '\n']))
    {
        return Err(format!(
            "--header {wrong:?} is no header line; write `name: value`"
        ));
    }
    headers.extend(
        arguments
            .token
            .iter()
            .map(|token| format!("authorization: Bearer {token}")),
    );
    target(url, arguments.path.as_deref(), headers)
}

fn wanted(arguments: &Arguments) -> Result<Option<Revision>, String> {
    if let Some(name) = &arguments.revision {
        let found = Revision::parse(name.as_bytes());
        let known = || Revision::ALL.map(Revision::as_str).join(", ");
        return found
            .map(Some)
            .ok_or_else(|| format!("--revision {name} is unknown; there are {}", known()));
    }
    // Only legacy sessions have a life.
    Ok(arguments.life_cycle.then_some(Revision::NEWEST_LEGACY))
}

/// The tools that were named, with the arguments and expectations behind each.
fn named_calls(matches: &ArgMatches, arguments: &Arguments) -> Result<Vec<Call>, String> {
    let places = |name: &str| matches.indices_of(name).into_iter().flatten().collect::<Vec<_>>();
    let tools = places("tool");
    // What stands before the first tool belongs to the one that is called without any.
    let mut calls = vec![call(ECHO, 1.0, ECHO_ARGUMENTS)?];
    for tool in &arguments.tool {
        let (name, weight) = weighted(tool)?;
        calls.push(call(name, weight, "{}")?);
    }
    let owner = |at: usize| tools.iter().filter(|tool| **tool < at).count();
    for (at, text) in places("args").into_iter().zip(&arguments.args) {
        calls[owner(at)].arguments = text.parse().map_err(|error| format!("--args {error}"))?;
    }
    for (at, text) in places("expect").into_iter().zip(&arguments.expect) {
        calls[owner(at)].expectation = expectation(text);
    }
    if tools.is_empty() {
        return Ok(calls);
    }
    let is_before = |name: &str| places(name).iter().any(|at| owner(*at) == 0);
    if is_before("args") || is_before("expect") {
        return Err("--args and --expect belong to the --tool before them".to_owned());
    }
    calls.remove(0);
    Ok(calls)
}

fn call(tool: &str, weight: f64, arguments: &str) -> Result<Call, String> {
    Ok(Call {
        tool: tool.to_owned(),
        weight,
        arguments: arguments.parse::<Template>()?,
        expectation: Expectation::Result,
    })
}

fn weighted(tool: &str) -> Result<(&str, f64), String> {
    let Some((name, weight)) = tool.rsplit_once('=') else {
        return Ok((tool, 1.0));
    };
    match weight.parse::<f64>() {
        Ok(weight) if weight.is_finite() && weight > 0.0 => Ok((name, weight)),
        _ => Err(format!(
            "--tool {tool}: {weight:?} is no weight, which is a number above 0"
        )),
    }
}

fn expectation(text: &str) -> Expectation {
    match serde_json::from_str::<Value>(text) {
        _ if text == "error" => Expectation::ToolError,
        Ok(value @ Value::Object(_)) => Expectation::Json(value),
        _ => Expectation::Text(text.to_owned()),
    }
}

/// The named calls, if the server has their tools.
fn calls(named: Vec<Call>, found: &Discovered) -> Result<Vec<Call>, String> {
    match named.iter().find(|call| !found.tools.contains(&call.tool)) {
        None => Ok(named),
        Some(call) => {
            let tools = match &found.tools[..] {
                [] => "it has none".to_owned(),
                tools => format!("it has {}", tools.join(", ")),
            };
            Err(format!(
                "{} has no tool `{}`; {tools}; say which to call: --tool NAME --args JSON",
                found.server, call.tool
            ))
        }
    }
}

fn plan(arguments: &Arguments, speaker: Speaker, work: Work) -> Result<Plan, String> {
    if arguments.clients == 0 && arguments.rate.is_none() && arguments.phase.is_empty() {
        return Err("--clients 0 asks nothing; it needs --rate".to_owned());
    }
    if arguments.duration.is_zero() {
        return Err("--duration 0s measures nothing".to_owned());
    }
    let mut warm_up = arguments.warm_up.unwrap_or(Duration::from_secs(1));
    let phases = match arguments.rate {
        Some(rate) if rate.is_finite() && rate > 0.0 => {
            let phase = |length| Phase { rate, length };
            let before = (!warm_up.is_zero()).then(|| phase(warm_up));
            before.into_iter().chain([phase(arguments.duration)]).collect()
        }
        Some(rate) => return Err(format!("--rate {rate} is no number of requests per second")),
        None => arguments.phase.clone(),
    };
    let pace = if phases.is_empty() {
        Pace::Closed {
            length: arguments.duration,
            think: arguments.think_time,
        }
    } else {
        if arguments.rate.is_none() {
            warm_up = Duration::ZERO;
        }
        Pace::Open(OpenLoop {
            phases,
            arrivals: arguments.arrivals,
            clients_max: arguments
                .clients_max
                .unwrap_or(CLIENTS_MAX)
                .max(arguments.clients),
            patience: arguments.patience,
            window: arguments.window.max(Duration::from_millis(1)),
        })
    };
    if arguments.streams > 0 && speaker.endpoint.framing != Framing::Http {
        return Err("--streams are of HTTP; a WebSocket or a process is a stream itself".to_owned());
    }
    let threads = arguments.threads.unwrap_or(arguments.cpus.len()).max(1);
    if threads > arguments.clients.max(1) {
        return Err(format!(
            "--threads {threads} are more than --clients {}",
            arguments.clients
        ));
    }
    Ok(Plan {
        speaker,
        work,
        pace,
        warm_up,
        clients: arguments.clients,
        source_ports: arguments.source_ports.clone(),
        requests_per_connection: arguments.requests_per_connection.map(|count| count.max(1)),
        timeout: arguments.timeout,
        seed: arguments.seed,
        threads,
        cpus: arguments.cpus.clone(),
        idle: arguments.idle,
        streams: arguments.streams,
        server: arguments.pid,
        interrupt: Arc::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(flags: &[&str]) -> (ArgMatches, Arguments) {
        let command = super::super::command();
        let line = ["bench", "http://127.0.0.1:1/mcp"]
            .into_iter()
            .chain(flags.iter().copied());
        let matches = command.try_get_matches_from(line).unwrap();
        let arguments = Arguments::from_arg_matches(&matches).unwrap();
        (matches, arguments)
    }

    fn named(flags: &[&str]) -> Result<Vec<Call>, String> {
        let (matches, arguments) = given(flags);
        named_calls(&matches, &arguments)
    }

    fn planned(flags: &[&str]) -> Result<Plan, String> {
        let (_, arguments) = given(flags);
        let endpoint = endpoint(&arguments)?;
        let revision = Revision::V2026_07_28;
        let dialect = Dialect { revision };
        plan(&arguments, Speaker { endpoint, dialect }, Work::Calls(Vec::new()))
    }

    #[test]
    fn arguments_and_expectations_belong_to_the_tool_before_them() {
        let flags = [
            "--tool",
            "a=3",
            "--args",
            r#"{"x":1}"#,
            "--tool",
            "b",
            "--tool",
            "c",
            "--expect",
            "hi",
            "--args",
            "{}",
        ];
        let calls = named(&flags).unwrap();
        let facts: Vec<_> = calls
            .iter()
            .map(|call| (call.tool.as_str(), call.weight))
            .collect();
        assert_eq!(facts, [("a", 3.0), ("b", 1.0), ("c", 1.0)]);
        assert_eq!(calls[0].arguments, r#"{"x":1}"#.parse().unwrap());
        assert_eq!(calls[1].arguments, "{}".parse().unwrap());
        assert_eq!(calls[2].expectation, Expectation::Text("hi".to_owned()));
        let echo = named(&["--args", r#"{"message":"x"}"#]).unwrap();
        assert_eq!((echo.len(), echo[0].tool.as_str()), (1, ECHO));
        assert_eq!(echo[0].arguments, r#"{"message":"x"}"#.parse().unwrap());
        assert!(named(&["--args", "{}", "--tool", "a"]).is_err());
        assert!(named(&["--tool", "a=x"]).is_err());
        assert!(named(&["--tool", "a", "--args", "[1]"]).is_err());
    }

    #[test]
    fn what_is_expected_is_read() {
        assert_eq!(expectation("error"), Expectation::ToolError);
        assert_eq!(
            expectation("{\"a\":1}"),
            Expectation::Json(serde_json::json!({"a": 1}))
        );
        assert_eq!(expectation("7"), Expectation::Text("7".to_owned()));
    }

    #[test]
    fn flags_make_a_plan() {
        let plan = planned(&["--clients", "3", "--duration", "2s", "--token", "t"]).unwrap();
        assert_eq!(plan.measured(), Duration::from_secs(1)..Duration::from_secs(3));
        assert_eq!(plan.speaker.endpoint.headers, ["authorization: Bearer t"]);
        let plan = planned(&["--rate", "100", "--duration", "2s", "--warm-up", "500ms"]).unwrap();
        assert_eq!(
            plan.measured(),
            Duration::from_millis(500)..Duration::from_millis(2500)
        );
        assert_eq!(plan.open().unwrap().phases.len(), 2);
        let plan = planned(&["--phase", "10:1", "--phase", "20:3"]).unwrap();
        assert_eq!(plan.measured(), Duration::ZERO..Duration::from_secs(4));
        assert_eq!(plan.looks(), [Duration::from_secs(1), Duration::from_secs(4)]);
        let plan = planned(&["--cpus", "0,1"]).unwrap();
        assert_eq!(plan.threads, 2);
        for wrong in [
            &["--clients", "0"][..],
            &["--rate", "0"],
            &["--header", "nonsense"],
            &["--clients", "1", "--threads", "2"],
        ] {
            assert!(planned(wrong).is_err(), "{wrong:?}");
        }
    }
}
