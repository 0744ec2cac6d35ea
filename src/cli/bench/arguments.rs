//! The flags of `weir bench`, and the plan that they make.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgMatches, Args, FromArgMatches};

use super::super::asked::{Asked, Unasked, calls};
use super::super::terminal::print_error;
use crate::load::{Arrivals, Dialect, Framing, OpenLoop, Pace, Phase, Plan, Speaker, Work, discover_within};
use crate::mcp::Revision;
use crate::units::parse_duration;

/// Most connections of an open loop that is not told.
const CLIENTS_MAX: usize = 8192;

/// Flags.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    asked: Asked,
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
    /// Open loop: the length of the windows in the JSON; they are longer where there would be more than 2,000
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
    /// The server's process on this machine: its CPU time is measured, too
    #[arg(long)]
    pid: Option<u32>,
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
    /// Writes a page about it, for a browser
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<String>,
    /// Plots latencies and rate as text, too
    #[arg(long, conflicts_with = "json")]
    pub(super) plot: bool,
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

/// Reads the flags, and asks the server what they leave open.
pub(super) fn planned(matches: &ArgMatches) -> Result<Planned, Unasked> {
    let arguments =
        Arguments::from_arg_matches(matches).map_err(|error| Unasked::Usage(error.to_string()))?;
    let asked = &arguments.asked;
    let endpoint = asked.endpoint().map_err(Unasked::Usage)?;
    let place = asked.place();
    let revision = asked.revision().map_err(Unasked::Usage)?;
    // Only legacy sessions have a life.
    let wanted = revision.or(arguments.life_cycle.then_some(Revision::NEWEST_LEGACY));
    let named = asked.named_calls(matches).map_err(Unasked::Usage)?;
    let (speaker, server, work) = match &arguments.body {
        Some(file) => {
            let body =
                fs::read(file).map_err(|error| Unasked::Usage(format!("{file} cannot be read: {error}")))?;
            let revision = Revision::V2026_07_28;
            let dialect = Dialect { revision };
            (Speaker { endpoint, dialect }, None, Work::Given(body.into()))
        }
        None => {
            let found = discover_within(&endpoint, wanted, asked.timeout, print_error)
                .map_err(|error| Unasked::Server(format!("{place}: {error}")))?;
            let calls = calls(named, &found, !asked.no_schema, print_error).map_err(Unasked::Server)?;
            let work = if arguments.life_cycle {
                Work::LifeCycles(calls)
            } else {
                Work::Calls(calls)
            };
            (found.speaker, Some(found.server), work)
        }
    };
    let plan = plan(&arguments, speaker, work).map_err(Unasked::Usage)?;
    Ok(Planned {
        plan,
        arguments,
        place,
        server,
    })
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
    let threads = arguments
        .asked
        .threads
        .unwrap_or(arguments.asked.cpus.len())
        .max(1);
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
        timeout: arguments.asked.timeout,
        seed: arguments.asked.seed,
        threads,
        cpus: arguments.asked.cpus.clone(),
        idle: arguments.idle,
        streams: arguments.streams,
        server: arguments.pid,
        interrupt: Arc::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(flags: &[&str]) -> Arguments {
        let command = super::super::command();
        let line = ["bench", "http://127.0.0.1:1/mcp"]
            .into_iter()
            .chain(flags.iter().copied());
        let matches = command.try_get_matches_from(line).unwrap();
        Arguments::from_arg_matches(&matches).unwrap()
    }

    fn planned(flags: &[&str]) -> Result<Plan, String> {
        let arguments = given(flags);
        let endpoint = arguments.asked.endpoint()?;
        let revision = Revision::V2026_07_28;
        let dialect = Dialect { revision };
        plan(&arguments, Speaker { endpoint, dialect }, Work::Calls(Vec::new()))
    }

    #[test]
    fn flags_make_a_plan() {
        let plan = planned(&["--clients", "3", "--duration", "2s", "--token", "t"]).unwrap();
        assert_eq!(plan.measured(), Duration::from_secs(1)..Duration::from_secs(3));
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
            &["--clients", "1", "--threads", "2"],
        ] {
            assert!(planned(wrong).is_err(), "{wrong:?}");
        }
    }
}
