//! `weir tune`: how much a server bears, and the flags that follow from it.
//!
//! The search is in `tune`; here flags become a goal, and what was found becomes words. A search that was ended early
//! says what it knows by then.

mod arguments;
mod page;
mod text;

use std::io::{self, IsTerminal, Write, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use clap::{ArgMatches, Args, Command};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::files::{try_files, write_page, write_whole};
use super::interrupt::{EXIT_INTERRUPTED, hear_interrupts};
use super::terminal::{EXIT_USAGE, print_error, print_line, terminal_columns};
use crate::config::raise_soft_limits;
use crate::tune::{Driver, Ended, Found, Search};
use arguments::{Arguments, planned};
use page::About;

/// The name of the command.
pub(super) const TUNE: &str = "tune";

const EXAMPLES: &str = "\
Examples:
  weir tune http://127.0.0.1:8080/mcp --tool search --args '{\"query\":\"{{random:8}}\"}' --p99 200ms
  weir tune http://10.0.0.7/mcp --admin http://10.0.0.7:9464 --tool sleep --args '{\"ms\":20}'

It puts real load on the server, up to as much as the server carries: use a server whose users do not mind. It takes up \
to two minutes. Of a server that is no Weir, or whose metrics cannot be read (--admin), it finds rates and no flags.";

/// The command line.
pub(super) fn command() -> Command {
    Arguments::augment_args(Command::new(TUNE))
        .about("Find how much a running server carries, and the pool, queue and rate that follow")
        .long_about(None)
        .after_help(EXAMPLES)
}

/// Runs it.
pub(super) fn run(matches: &ArgMatches) -> ExitCode {
    raise_soft_limits();
    let interrupt = Arc::new(AtomicBool::new(false));
    let planned = match planned(matches, &interrupt) {
        Ok(planned) => planned,
        Err(unasked) => return unasked.refuse(),
    };
    if let Err(error) = hear_interrupts(&interrupt) {
        print_error(&format!("signals cannot be heard: {error}"));
        return ExitCode::FAILURE;
    }
    let arguments = &planned.arguments;
    if let Err(error) = try_files(&[("--out", &arguments.out), ("--html", &arguments.html)]) {
        print_error(&error);
        return ExitCode::from(EXIT_USAGE);
    }
    let mut driver = Driver::new(planned.place);
    if !arguments.json {
        text::before(&planned.server, &planned.url, &planned.called)
            .iter()
            .for_each(|line| print_line(line));
    }
    match driver.metrics() {
        Ok(_) if arguments.json => {}
        Ok(Some(figures)) => print_line(&text::pool(&figures)),
        Ok(None) => {
            print_line("without metrics: a Unix socket or program needs --admin URL to say where they are")
        }
        Err(error) => print_error(&format!(
            "the metrics cannot be read, so only rates can be found and no flags: {error}; \
             `weir serve --admin 127.0.0.1:9464` has them, `--admin URL` says where they are"
        )),
    }
    let found = searched(&mut driver, planned.search, &interrupt, arguments.json);
    let when = httpdate::fmt_http_date(SystemTime::now());
    ended(
        &found,
        arguments,
        &About {
            server: &planned.server,
            url: &planned.url,
            called: &planned.called,
            command: &planned.command,
            when: &when,
        },
    )
}

/// Searches to the end, and says each step.
fn searched(driver: &mut Driver, mut search: Search, interrupt: &AtomicBool, is_silent: bool) -> Found {
    let bar = bar(is_silent);
    if !is_silent {
        print_line("");
        print_line(text::HEAD);
    }
    while let Some(step) = search.next() {
        bar.set_message(text::step(&step));
        let seen = driver.observe(step, |_, _| bar.tick());
        if interrupt.load(Ordering::Relaxed) {
            search.end(Ended::Interrupted);
            break;
        }
        match seen {
            Ok(seen) => {
                bar.suspend(|| {
                    if !is_silent {
                        print_line(&text::row(&seen));
                    }
                });
                search.tell(seen);
            }
            Err(error) => search.end(Ended::Failed(error)),
        }
    }
    bar.finish_and_clear();
    search.found()
}

/// What the search does now, where somebody looks.
fn bar(is_silent: bool) -> ProgressBar {
    let target = if stdout().is_terminal() && !is_silent {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(None, target);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4}  {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Says what was found, and writes it.
fn ended(found: &Found, arguments: &Arguments, about: &About<'_>) -> ExitCode {
    let report = report(found, about);
    if arguments.json {
        // It is JSON, which nothing needs to escape; it is fine if nobody reads.
        let _ = writeln!(io::stdout(), "{report}");
    } else {
        let drawn = text::curve(found, terminal_columns());
        drawn
            .iter()
            .chain(&text::after(found))
            .for_each(|line| print_line(line));
    }
    let is_empty = found.idle.is_none() && found.fills.is_empty() && found.steps.is_empty();
    if found.ended == Ended::Interrupted && is_empty {
        // What an earlier search wrote is worth more.
        for file in [&arguments.out, &arguments.html].into_iter().flatten() {
            print_error(&format!(
                "interrupted before anything was seen: {file} is left as it was"
            ));
        }
        return ExitCode::from(EXIT_INTERRUPTED);
    }
    if let Some(file) = &arguments.out
        && let Err(error) = write_whole(Path::new(file), format!("{report}\n"))
    {
        print_error(&format!("{file} cannot be written: {error}"));
        return ExitCode::FAILURE;
    }
    if let Some(file) = &arguments.html
        && let Err(error) = write_page(file, &page::page(found, about))
    {
        print_error(&error);
        return ExitCode::FAILURE;
    }
    match &found.ended {
        Ended::Interrupted => ExitCode::from(EXIT_INTERRUPTED),
        Ended::Failed(_) => ExitCode::FAILURE,
        Ended::Complete | Ended::TimeIsUp => ExitCode::SUCCESS,
    }
}

fn report(found: &Found, about: &About<'_>) -> Value {
    // Numbers and text can always be written as JSON.
    let mut report = serde_json::to_value(found).unwrap_or_default();
    report["url"] = json!(about.url);
    report["server"] = json!(about.server);
    report
}
