//! The flags of `weir tune`, and the search that they make.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::{ArgMatches, Args, FromArgMatches};

use super::super::asked::{Asked, Unasked, calls};
use super::super::terminal::print_error;
use super::super::typed::typed;
use crate::load::{Address, Work, discover};
use crate::scrape::AdminAddress;
use crate::tune::{Goal, Place, Search};
use crate::units::parse_duration;

/// A shorter search would find nothing.
const TIME_MIN: Duration = Duration::from_secs(20);

/// Flags.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    asked: Asked,
    /// Where the server's metrics are [default: port 9464 of the same host]
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Within which 99 of 100 answers are to come [default: twice as long as they take while nothing waits]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    p99: Option<Duration>,
    /// For how long to look, 20s at least
    #[arg(long, value_name = "DURATION", default_value = "115s", value_parser = parse_duration)]
    max_time: Duration,
    /// Sends no more requests per second than these
    #[arg(long, value_name = "RATE")]
    rate_max: Option<f64>,
    /// Opens no more connections than these
    #[arg(long, value_name = "N", default_value_t = 4096)]
    clients_max: usize,
    /// Writes everything that was found into a file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<String>,
    /// Writes a page about it, for a browser
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<String>,
    /// Prints it as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// A search, and where it is made.
pub(super) struct Planned {
    pub(super) arguments: Arguments,
    pub(super) search: Search,
    pub(super) place: Place,
    pub(super) url: String,
    pub(super) server: String,
    /// The tools that are called.
    pub(super) called: String,
    /// The flags that say so, to be typed again.
    pub(super) command: String,
}

/// Reads the flags, and asks the server what they leave open.
pub(super) fn planned(matches: &ArgMatches, interrupt: &Arc<AtomicBool>) -> Result<Planned, Unasked> {
    let arguments =
        Arguments::from_arg_matches(matches).map_err(|error| Unasked::Usage(error.to_string()))?;
    let asked = &arguments.asked;
    let goal = goal(&arguments).map_err(Unasked::Usage)?;
    let endpoint = asked.endpoint().map_err(Unasked::Usage)?;
    let admin = admin(&arguments, &endpoint.address).map_err(Unasked::Usage)?;
    let revision = asked.revision().map_err(Unasked::Usage)?;
    let named = asked.named_calls(matches).map_err(Unasked::Usage)?;
    let url = asked.place();
    let found = discover(&endpoint, revision).map_err(|error| Unasked::Server(format!("{url}: {error}")))?;
    let calls = calls(named, &found, !asked.no_schema, print_error).map_err(Unasked::Server)?;
    let names: Vec<&str> = calls.iter().map(|call| call.tool.as_str()).collect();
    Ok(Planned {
        called: names.join(", "),
        command: typed(),
        search: Search::new(goal),
        place: Place {
            speaker: found.speaker,
            work: Work::Calls(calls),
            admin,
            clients_max: arguments.clients_max,
            timeout: asked.timeout,
            threads: asked.threads.unwrap_or(asked.cpus.len()).max(1),
            cpus: asked.cpus.clone(),
            seed: asked.seed,
            interrupt: Arc::clone(interrupt),
        },
        url,
        server: found.server,
        arguments,
    })
}

fn goal(arguments: &Arguments) -> Result<Goal, String> {
    if arguments.max_time < TIME_MIN {
        return Err(format!(
            "--max-time is less than {} s, in which nothing can be found",
            TIME_MIN.as_secs()
        ));
    }
    if arguments.p99.is_some_and(|p99| p99.is_zero()) {
        return Err("--p99 0s holds nowhere".to_owned());
    }
    if let Some(rate) = arguments.rate_max
        && !(rate.is_finite() && rate > 0.0)
    {
        return Err(format!("--rate-max {rate} is no number of requests per second"));
    }
    if arguments.clients_max == 0 {
        return Err("--clients-max 0 asks nothing".to_owned());
    }
    Ok(Goal {
        p99: arguments.p99.map(|p99| p99.as_secs_f64()),
        budget: arguments.max_time.as_secs_f64(),
        rate_max: arguments.rate_max,
        clients_max: arguments.clients_max,
    })
}

/// Where the metrics are: as was said, or else on the usual port of a server that has a host.
fn admin(arguments: &Arguments, address: &Address) -> Result<Option<AdminAddress>, String> {
    if let Some(text) = &arguments.admin {
        return text
            .parse()
            .map(Some)
            .map_err(|error| format!("--admin: {error}"));
    }
    let host = match address {
        Address::Internet(SocketAddr::V4(address)) => address.ip().to_string(),
        Address::Internet(SocketAddr::V6(address)) => format!("[{}]", address.ip()),
        _ => return Ok(None),
    };
    host.parse().map(Some).map_err(|error| format!("{host}: {error}"))
}
