//! The request to `weir size`: its options, and the assumptions where they are not given.
//!
//! Texts are read with the bounds and words of the options of `serve`. The arithmetic is in `sizing`.

use std::time::Duration;

use super::demand::default_budget_bytes;
use super::error::ConfigError;
use super::host::Host;
use super::kind::{self, CONNECTIONS_MAX, DAY_MS, HANDLERS_MAX, Kind, SHARDS_MAX};
use super::options::Options;
use super::text::{parse_bounded_duration, parse_count, parse_linger, parse_size};
use super::values::Linger;

/// The assumed time of a call to a tool that waits for a disk or a network.
const SERVICE_TIME_ASSUMED: Duration = Duration::from_millis(100);

/// More than any machine serves.
const RATE_MAX: u64 = 1_000_000_000;

/// One option of `weir size`.
#[derive(Debug)]
pub struct SizeOption {
    /// The name as a flag, with two dashes.
    pub name: &'static str,
    /// The placeholder for the value in the help text.
    pub value_name: &'static str,
    /// One sentence for the help text.
    pub help: &'static str,
    /// The default, for the help text; `None` means that the option must be given.
    pub fallback: Option<&'static str>,
    kind: Kind,
}

const PEAK_CLIENTS: &str = "peak-clients";
const CORES: &str = "cores";
const LINGER: &str = "linger";
const MEMORY: &str = "memory";
const RATE: &str = "rate";
const SERVICE_TIME: &str = "service-time";
const SERVICE_CV: &str = "service-cv";
const POOL_SIZE: &str = "pool-size";
const PROGRAMS: &str = "programs";

/// More is no average any more.
const CV_MAX: f64 = 100.0;
/// As of calls that have nothing in common.
const SERVICE_CV_ASSUMED: f64 = 1.0;

/// All options of `weir size`.
#[rustfmt::skip] // One row, one option, as in the table of `serve`.
pub static SIZE_OPTIONS: [SizeOption; 9] = [
    SizeOption { name: PEAK_CLIENTS, value_name: "N", help: "Clients connected at the busiest moment", fallback: None, kind: Kind::Count { min: 1, max: CONNECTIONS_MAX } },
    SizeOption { name: CORES, value_name: "N", help: "Cores that serve", fallback: Some("all this process may use"), kind: Kind::Count { min: 1, max: SHARDS_MAX } },
    SizeOption { name: LINGER, value_name: "TIME|forever", help: "How long a connection keeps its handler after an answer", fallback: Some("0s"), kind: kind::LINGER },
    SizeOption { name: MEMORY, value_name: "SIZE", help: "Memory that everything must fit into", fallback: Some("half of the cgroup's or machine's"), kind: kind::MEMORY },
    SizeOption { name: RATE, value_name: "N", help: "Requests per second, over all clients", fallback: Some("one per client"), kind: Kind::Count { min: 1, max: RATE_MAX } },
    SizeOption { name: SERVICE_TIME, value_name: "TIME", help: "From a call to its answer, on average", fallback: Some("100ms"), kind: Kind::Duration { min_ms: 0, max_ms: DAY_MS } },
    SizeOption { name: SERVICE_CV, value_name: "NUMBER", help: "How that time varies: its standard deviation by its average; 0 is constant, 1 exponential", fallback: Some("1"), kind: Kind::Text },
    SizeOption { name: POOL_SIZE, value_name: "N", help: "Handlers per core, to ask about a pool that is there", fallback: Some("enough for the load"), kind: Kind::Count { min: 1, max: HANDLERS_MAX } },
    SizeOption { name: PROGRAMS, value_name: "N", help: "Other programs that are served, each with 64 processes at most; their own memory is not counted", fallback: Some("0"), kind: Kind::Count { min: 0, max: 1024 } },
];

/// The load that a pool is to be sized for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeRequest {
    /// Clients connected at the busiest moment; at least 1.
    pub peak_clients: u32,
    /// Cores, each with one shard; at least 1.
    pub cores: u32,
    /// How long a connection keeps its handler after an answer.
    pub linger: Linger,
    /// The memory that everything must fit into.
    pub budget_bytes: u64,
    /// Requests per second over all clients, if given.
    pub rate_given: Option<u32>,
    /// The time of a call, if given; not 0.
    pub service_time_given: Option<Duration>,
    /// The coefficient of variation of that time in thousandths, if given.
    pub service_cv_thousandths: Option<u32>,
    /// Handlers of each core, if they are not to be computed.
    pub pool_size_given: Option<u32>,
    /// Other programs that are served.
    pub programs: u32,
    /// The default `--buffer-size` of `serve`.
    pub buffer_bytes: u64,
    /// The default `--body-max` of `serve`: each shard should be able to hold one such body.
    pub body_bytes_max: u64,
}

impl SizeRequest {
    /// Reads the given values by the options' names.
    ///
    /// # Errors
    /// Returns all faults, in the order of the table.
    pub fn read(given: impl Fn(&str) -> Option<String>, host: &Host) -> Result<Self, Vec<ConfigError>> {
        let mut reader = Reader {
            given,
            errors: Vec::new(),
        };
        let serve = Options::default();
        let request = Self {
            peak_clients: reader.one(PEAK_CLIENTS, parse_count).unwrap_or(1),
            cores: reader.one(CORES, parse_count).unwrap_or_else(|| all_cores(host)),
            linger: reader.one(LINGER, parse_linger).unwrap_or(Linger::None),
            budget_bytes: reader
                .one(MEMORY, parse_size)
                .unwrap_or_else(|| default_budget_bytes(host)),
            rate_given: reader.one(RATE, parse_count),
            service_time_given: reader.one(SERVICE_TIME, parse_service_time),
            service_cv_thousandths: reader.one(SERVICE_CV, parse_cv),
            pool_size_given: reader.one(POOL_SIZE, parse_count),
            programs: reader.one(PROGRAMS, parse_count).unwrap_or(0),
            buffer_bytes: serve.machine.buffer_bytes,
            body_bytes_max: serve.http.body_bytes_max as u64,
        };
        if reader.errors.is_empty() {
            Ok(request)
        } else {
            Err(reader.errors)
        }
    }

    /// The given rate, or one request per client and second.
    pub fn rate_per_second(&self) -> u32 {
        self.rate_given.unwrap_or(self.peak_clients)
    }

    /// The given time, or the assumed one.
    pub fn service_time(&self) -> Duration {
        self.service_time_given.unwrap_or(SERVICE_TIME_ASSUMED)
    }

    /// The given coefficient of variation of that time, or the assumed one.
    pub fn service_cv(&self) -> f64 {
        self.service_cv_thousandths
            .map_or(SERVICE_CV_ASSUMED, |cv| f64::from(cv) / 1e3)
    }

    /// The same request for fewer clients, each of them as busy.
    pub(super) fn with_clients(&self, peak_clients: u32) -> Self {
        let scaled = |rate: u32| {
            let rate = u64::from(rate) * u64::from(peak_clients) / u64::from(self.peak_clients.max(1));
            u32::try_from(rate).unwrap_or(u32::MAX).max(1)
        };
        Self {
            peak_clients,
            rate_given: self.rate_given.map(scaled),
            ..*self
        }
    }
}

/// Reads one option after the other and keeps the faults.
struct Reader<G> {
    given: G,
    errors: Vec<ConfigError>,
}

impl<G: Fn(&str) -> Option<String>> Reader<G> {
    /// Reads one option; `None` if it was not given, or is wrong.
    fn one<T>(&mut self, name: &'static str, parse: fn(&str, Kind) -> Result<T, String>) -> Option<T> {
        let option = SIZE_OPTIONS.iter().find(|option| option.name == name)?;
        let text = (self.given)(name)?;
        match parse(text.trim(), option.kind) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.errors.push(ConfigError::BadValue {
                    name,
                    value: text.escape_debug().to_string(),
                    place: format!("from --{name}"),
                    reason,
                });
                None
            }
        }
    }
}

fn parse_service_time(text: &str, kind: Kind) -> Result<Duration, String> {
    match parse_bounded_duration(text, kind)? {
        Duration::ZERO => Err("is too small; every call takes some time".to_owned()),
        time => Ok(time),
    }
}

/// In thousandths, so that requests can be compared.
fn parse_cv(text: &str, _: Kind) -> Result<u32, String> {
    match text.parse::<f64>() {
        Ok(cv) if (0.0..=CV_MAX).contains(&cv) => Ok((cv * 1e3).round() as u32),
        _ => Err(format!("is no number from 0 to {CV_MAX}")),
    }
}

fn all_cores(host: &Host) -> u32 {
    let cores = (host.usable_cpus() as u64).clamp(1, SHARDS_MAX);
    u32::try_from(cores).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{CpuId, display_duration};

    fn host(cpus: usize) -> Host {
        Host {
            cpus: (0..cpus).map(CpuId).collect(),
            cpu_quota: None,
            memory_bytes: 4 << 30,
            cgroup_memory_bytes: Some(1 << 30),
            descriptors_max: Some(1024),
            memlock_bytes_max: None,
            is_memlock_exempt: true,
            kernel_release: "6.18.44".to_owned(),
            io_uring_disabled: 0,
        }
    }

    fn read(flags: &[(&str, &str)]) -> Result<SizeRequest, Vec<String>> {
        let given = |name: &str| {
            let found = flags.iter().find(|(flag, _)| *flag == name);
            found.map(|(_, text)| (*text).to_owned())
        };
        SizeRequest::read(given, &host(2)).map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_not_said_is_as_the_help_text_says() {
        let request = read(&[("peak-clients", "750")]).unwrap();
        assert_eq!((request.peak_clients, request.cores), (750, 2));
        assert_eq!(request.linger, Linger::None);
        assert_eq!(request.budget_bytes, 1 << 29);
        assert_eq!(request.rate_per_second(), 750);
        assert_eq!(request.service_time(), Duration::from_millis(100));
        assert_eq!(
            (request.buffer_bytes, request.body_bytes_max),
            (16 << 10, 4 << 20)
        );
        let service_time = SIZE_OPTIONS
            .iter()
            .find(|option| option.name == SERVICE_TIME)
            .unwrap();
        let assumed = display_duration(SERVICE_TIME_ASSUMED).to_string();
        assert_eq!(service_time.fallback, Some(assumed.as_str()));
        let many = SizeRequest::read(|_| None, &host(3000)).unwrap();
        assert_eq!(many.cores, 1024);
    }

    #[test]
    fn what_is_said_holds() {
        let request = read(&[
            ("peak-clients", "16000000"),
            ("cores", "1024"),
            ("linger", "forever"),
            ("memory", "1GiB"),
            ("rate", "1000000000"),
            ("service-time", "1ns"),
            ("programs", "2"),
            ("service-cv", "2.5"),
            ("pool-size", "7"),
        ])
        .unwrap();
        assert_eq!(request.programs, 2);
        assert_eq!((request.service_cv(), request.pool_size_given), (2.5, Some(7)));
        assert_eq!((request.peak_clients, request.cores), (16_000_000, 1024));
        assert_eq!(request.linger, Linger::Forever);
        assert_eq!(request.budget_bytes, 1 << 30);
        assert_eq!(request.rate_per_second(), 1_000_000_000);
        assert_eq!(request.service_time(), Duration::from_nanos(1));
    }

    #[test]
    fn everything_that_is_wrong_is_said_in_order() {
        let refused = read(&[
            ("service-time", "0s"),
            ("rate", "0"),
            ("memory", "7MiB"),
            ("linger", "1ms"),
            ("cores", "1025"),
            ("peak-clients", "16000001"),
        ])
        .unwrap_err();
        assert_eq!(
            refused,
            [
                "peak-clients = 16000001 (from --peak-clients) is too large; the most is 16000000",
                "cores = 1025 (from --cores) is too large; the most is 1024",
                "linger = 1ms (from --linger) is too small; the least is 10ms",
                "memory = 7MiB (from --memory) is too small; the least is 8MiB",
                "rate = 0 (from --rate) is too small; the least is 1",
                "service-time = 0s (from --service-time) is too small; every call takes some time",
            ]
        );
        let refused = read(&[("peak-clients", "-1\n")]).unwrap_err();
        assert_eq!(
            refused,
            [
                "peak-clients = -1\\n (from --peak-clients) is not a whole number; write one from 1 to 16000000"
            ]
        );
    }

    #[test]
    fn fewer_clients_are_as_busy_each() {
        let request = read(&[("peak-clients", "1000"), ("rate", "3000")]).unwrap();
        assert_eq!(request.with_clients(500).rate_per_second(), 1500);
        assert_eq!(request.with_clients(1).rate_per_second(), 3);
        let slow = read(&[("peak-clients", "1000"), ("rate", "1")]).unwrap();
        assert_eq!(slow.with_clients(1).rate_per_second(), 1);
        let assumed = read(&[("peak-clients", "1000")]).unwrap();
        assert_eq!(assumed.with_clients(10).rate_per_second(), 10);
    }
}
