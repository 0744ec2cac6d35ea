//! `weir bench`: load on a server, and what it shows.
//!
//! The load is made in `load`; here flags become a plan, and figures words. A server that has answered nothing well is
//! the only one for which the exit status is 1: how good is good enough is for the reader to say.

mod arguments;
mod progress;
mod text;

use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{ArgMatches, Args, Command};
use serde_json::{Map, Value};

use super::terminal::{EXIT_USAGE, print_error, print_line};
use crate::load::{Measurement, run as run_load};
use arguments::{Arguments, Planned, Unplanned, planned};
use progress::Progress;

/// The name of the command.
pub(super) const BENCH: &str = "bench";

const EXAMPLES: &str = "\
Examples:
  weir bench http://127.0.0.1:8080/mcp
  weir bench http://127.0.0.1:8080/mcp --rate 500 --duration 30s
  weir bench unix:/run/weir.sock --tool search --args '{\"query\":\"{{random:8}}\"}' --clients 8
  weir bench --stdio 'my-server' --tool add --args '{\"a\":1,\"b\":2}' --expect 3 --clients 1

A closed loop shows what the server can do; its latencies are those of a client that waits. An open loop (--rate, \
--phase) shows what users see: a latency begins when the request was due.";

/// The command line.
pub(super) fn command() -> Command {
    Arguments::augment_args(Command::new(BENCH))
        .about("Put load on an MCP server and measure rate, latencies and errors")
        .long_about(None)
        .after_help(EXAMPLES)
}

/// Runs it.
pub(super) fn run(matches: &ArgMatches) -> ExitCode {
    raise_descriptors();
    let planned = match planned(matches) {
        Ok(planned) => planned,
        Err(Unplanned::Usage(error)) => {
            print_error(&error);
            return ExitCode::from(EXIT_USAGE);
        }
        Err(Unplanned::Server(error)) => {
            print_error(&error);
            return ExitCode::FAILURE;
        }
    };
    let is_json = planned.arguments.json;
    if !is_json {
        text::before(&planned).iter().for_each(|line| print_line(line));
    }
    let progress = Progress::new(&planned.plan);
    let measured = run_load(&planned.plan, |at, live| progress.show(at, live));
    progress.finish();
    let measurement = match measured {
        Ok(measurement) => measurement,
        Err(error) => {
            print_error(&format!("{}: {error}", planned.place));
            return ExitCode::FAILURE;
        }
    };
    let report = Value::Object(report(&planned, &measurement));
    if is_json {
        // It is JSON, which nothing needs to escape; it is fine if nobody reads.
        let _ = writeln!(io::stdout(), "{report}");
    } else {
        text::after(&planned, &measurement)
            .iter()
            .for_each(|line| print_line(line));
    }
    if let Some(file) = &planned.arguments.out
        && let Err(error) = fs::write(file, format!("{report}\n"))
    {
        print_error(&format!("{file} cannot be written: {error}"));
        return ExitCode::FAILURE;
    }
    if measurement.tally.answered() == 0 && !is_json {
        print_error("no request had a good answer");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// All figures, and what they are of.
fn report(planned: &Planned, measurement: &Measurement) -> Map<String, Value> {
    let Planned { plan, arguments, .. } = planned;
    let (phases, window) = plan
        .open()
        .map_or((&[][..], plan.warm_up), |open| (&open.phases[..], open.window));
    let mut report = Map::new();
    report.insert("label".to_owned(), arguments.label.clone().into());
    report.insert("url".to_owned(), planned.place.clone().into());
    report.insert("server".to_owned(), planned.server.clone().into());
    report.insert(
        "revision".to_owned(),
        plan.speaker.dialect.revision.as_str().into(),
    );
    report.insert("clients".to_owned(), plan.clients.into());
    report.insert(
        "requests_per_connection".to_owned(),
        plan.requests_per_connection.into(),
    );
    report.append(&mut measurement.report(phases, window));
    report
}

/// Many clients need many descriptors; the limit that is in force without this is meant for programs that use
/// `select`.
fn raise_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Those that are there may suffice.
    let _ = setrlimit(Resource::Nofile, limit);
}
