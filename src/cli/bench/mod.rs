//! `weir bench`: load on a server, and what it shows.
//!
//! The load is made in `load`; here flags become a plan, and figures words. A server that has answered nothing well is
//! the only one for which the exit status is 1: how good is good enough is for the reader to say.

mod arguments;
mod page;
mod plots;
mod progress;
mod text;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{ArgMatches, Args, Command};
use serde_json::{Map, Value};

use super::files::{try_files, write_page, write_whole};
use super::interrupt::{EXIT_INTERRUPTED, hear_interrupts};
use super::terminal::{EXIT_USAGE, print_error, print_line, terminal_columns};
use crate::config::raise_soft_limits;
use crate::load::{Change, Measurement, compare, run as run_load, write_histogram_log};
use arguments::{Arguments, Planned, planned};
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
    // Many clients need many descriptors.
    raise_soft_limits();
    let planned = match planned(matches) {
        Ok(planned) => planned,
        Err(unasked) => return unasked.refuse(),
    };
    let is_json = planned.arguments.json;
    if !is_json {
        text::before(&planned).iter().for_each(|line| print_line(line));
    }
    // A file that cannot be written or read is no reason to find out after a minute of load.
    let earlier = match planned.arguments.compare.as_deref().map(read_report).transpose() {
        Ok(earlier) => earlier,
        Err(error) => {
            print_error(&error);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let files = [
        ("--out", &planned.arguments.out),
        ("--hdr-log", &planned.arguments.hdr_log),
        ("--html", &planned.arguments.html),
    ];
    if let Err(error) = try_files(&files) {
        print_error(&error);
        return ExitCode::from(EXIT_USAGE);
    }
    let began = SystemTime::now() + planned.plan.warm_up;
    if let Err(error) = hear_interrupts(&planned.plan.interrupt) {
        print_error(&format!("signals cannot be heard: {error}"));
        return ExitCode::FAILURE;
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
    let mut report = Value::Object(report(&planned, &measurement));
    let changes = earlier.map_or_else(Vec::new, |earlier| compare(&earlier, &report));
    report["compared"] = changes.iter().map(Change::report).collect();
    say(&planned, &measurement, &report, &changes);
    if measurement.interrupted.is_some() && measurement.tally.answered() == 0 {
        leave(&files);
        return ExitCode::from(EXIT_INTERRUPTED);
    }
    let page = || page::page(&planned, &measurement, &changes, began);
    if let Err(error) = write_files(&planned, &report, &measurement, began, page) {
        print_error(&error);
        return ExitCode::FAILURE;
    }
    if measurement.interrupted.is_some() {
        return ExitCode::from(EXIT_INTERRUPTED);
    }
    if measurement.tally.answered() == 0 && !is_json {
        print_error("no request had a good answer");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Prints the figures.
fn say(planned: &Planned, measurement: &Measurement, report: &Value, changes: &[Change]) {
    if planned.arguments.json {
        // It is JSON, which nothing needs to escape; it is fine if nobody reads.
        let _ = writeln!(io::stdout(), "{report}");
    } else {
        text::after(planned, measurement)
            .iter()
            .chain(&text::compared(changes))
            .for_each(|line| print_line(line));
        if planned.arguments.plot {
            plots::plots(measurement, terminal_columns())
                .iter()
                .for_each(|line| print_line(line));
        }
    }
}

/// Says that files stay as they are: what an earlier run wrote is worth more than nothing.
fn leave(files: &[(&str, &Option<String>)]) {
    for (flag, file) in files {
        if let Some(file) = file {
            print_error(&format!(
                "interrupted before any good answer: {flag} {file} is left as it was"
            ));
        }
    }
}

/// What an earlier run wrote.
fn read_report(file: &str) -> Result<Value, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{file} cannot be read: {error}"))?;
    let report = serde_json::from_str::<Value>(&text).ok();
    report
        .filter(|report| report["requests_per_second"].is_number())
        .ok_or_else(|| format!("{file} is no report; `weir bench --out {file}` writes one"))
}

fn write_files(
    planned: &Planned,
    report: &Value,
    measurement: &Measurement,
    began: SystemTime,
    page: impl Fn() -> String,
) -> Result<(), String> {
    let failed = |file: &str, error: String| format!("{file} cannot be written: {error}");
    let write = |file: &String, content: &[u8]| {
        write_whole(Path::new(file), content).map_err(|error| failed(file, error.to_string()))
    };
    if let Some(file) = &planned.arguments.html {
        write_page(file, &page())?;
    }
    if let Some(file) = &planned.arguments.out {
        write(file, format!("{report}\n").as_bytes())?;
    }
    if let Some(file) = &planned.arguments.hdr_log {
        let mut log = Vec::new();
        write_histogram_log(&measurement.timeline, began, &mut log).map_err(|error| failed(file, error))?;
        write(file, &log)?;
    }
    Ok(())
}

/// All figures, and what they are of.
fn report(planned: &Planned, measurement: &Measurement) -> Map<String, Value> {
    let Planned { plan, arguments, .. } = planned;
    let phases = plan.phases(measurement.interrupted);
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
    report.append(&mut measurement.report(&phases));
    report
}
