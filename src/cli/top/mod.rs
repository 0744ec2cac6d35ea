//! `weir top`: running servers, as their metrics show them, on a terminal or once as text.
//!
//! `scrape` reads the metrics and has the numbers; here they become tables and a screen with keys. Nothing is written
//! to a server. What a number means and from where on it is bad is said in `tuning.md`; the tones follow that.
//!
//! ```text
//! readers ──readings──►┐
//! terminal ──keys─────►├─ live ──► view ──► page ──► screen
//! signals ──end───────►┘
//! ```

mod live;
mod numbers;
mod once;
mod one_server;
mod one_shard;
mod overview;
mod page;
mod readers;
mod screen;
mod servers;
mod table;
#[cfg(test)]
mod tests;
mod view;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::terminal::{EXIT_USAGE, print_error};
use crate::scrape::AdminAddress;
use crate::units::parse_duration;

/// The name of the command.
pub(super) const TOP: &str = "top";

const ADDRESS: &str = "url";
const INTERVAL: &str = "interval";
const ONCE: &str = "once";

/// A shorter interval would measure the asking.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_secs(3600);

/// What `weir top` takes.
pub(super) fn command() -> Command {
    Command::new(TOP)
        .about("Watch running servers: shards, queues, tools and children, from their metrics")
        .arg(
            Arg::new(ADDRESS)
                .value_name("URL")
                .num_args(0..)
                .default_value("127.0.0.1:9464")
                .value_parser(|text: &str| text.parse::<AdminAddress>().map_err(|error| error.to_string()))
                .help("Admin listeners (--admin) of the servers: 127.0.0.1:9464, http://host:9464"),
        )
        .arg(
            Arg::new(INTERVAL)
                .long(INTERVAL)
                .value_name("DURATION")
                .default_value("1s")
                .value_parser(interval)
                .help("How often to ask, 100ms at least"),
        )
        .arg(
            Arg::new(ONCE)
                .long(ONCE)
                .action(ArgAction::SetTrue)
                .help("Print it once as text, with rates of one interval; as without a terminal"),
        )
        .after_help(
            "Keys: q quits, p pauses, s sorts, up, down and Enter open a server or shard, ? tells the rest. Colours are left \
             out where NO_COLOR is set. Exit status 1 says that a server did not answer, with --once.",
        )
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text).map_err(|error| error.to_string())?;
    if (INTERVAL_MIN..=INTERVAL_MAX).contains(&interval) {
        Ok(interval)
    } else {
        Err("is not between 100ms and 1h".to_owned())
    }
}

/// Shows the servers.
pub(super) fn run(given: &ArgMatches) -> ExitCode {
    let addresses = given.get_many::<AdminAddress>(ADDRESS).unwrap_or_default();
    let addresses: Vec<AdminAddress> = addresses.cloned().collect();
    let Some(interval) = given.get_one::<Duration>(INTERVAL).copied() else {
        return ExitCode::from(EXIT_USAGE);
    };
    if given.get_flag(ONCE) || !io::stdout().is_terminal() {
        return if once::run(addresses, interval) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    match live::run(addresses, interval) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&format!(
                "the terminal cannot be used: {error}; --once prints the figures once"
            ));
            ExitCode::FAILURE
        }
    }
}
