//! What the texts mean: one typed reading per kind of option, with its bounds.
//!
//! Reads no option twice and decides nothing that involves two options (see `resolve`). Errors are collected, so that
//! an operator sees all of them at once; a value that could not be read is replaced by the option's default, or by
//! nothing, and the settings that come of it are never used.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::ConfigError;
use super::access::{HostRule, OriginRule};
use super::inputs::{Inputs, Source};
use super::options::{Fallback, Key, Kind, ON_OFF, OptionSpec, nearest};
use super::placement::parse_cpu_list;
use super::settings::Linger;
use crate::units::{ByteSize, CpuId, Patience, display_duration, has_valid_escapes, parse_duration};

/// Typed access to the inputs; remembers what was asked for and what was wrong.
#[derive(Debug)]
pub(super) struct Values<'a> {
    inputs: &'a Inputs,
    errors: RefCell<Vec<ConfigError>>,
    asked: RefCell<BTreeSet<Key>>,
}

impl<'a> Values<'a> {
    pub(super) fn new(inputs: &'a Inputs) -> Self {
        Self {
            inputs,
            errors: RefCell::default(),
            asked: RefCell::default(),
        }
    }

    /// The errors met so far, and which options were read.
    pub(super) fn into_parts(self) -> (Vec<ConfigError>, BTreeSet<Key>) {
        (self.errors.into_inner(), self.asked.into_inner())
    }

    pub(super) fn source(&self, key: Key) -> Source {
        self.inputs
            .given(key)
            .map_or(Source::Default, |given| given.source)
    }

    pub(super) fn reject(&self, error: ConfigError) {
        self.errors.borrow_mut().push(error);
    }

    pub(super) fn address(&self, key: Key) -> Option<SocketAddr> {
        self.one(key, parse_address)
    }

    /// `None`: not given; `Some(None)` is `off`.
    pub(super) fn address_or_off(&self, key: Key) -> Option<Option<SocketAddr>> {
        self.one(key, |text, kind| match text {
            "off" | "false" => Ok(None),
            text => parse_address(text, kind).map(Some),
        })
    }

    /// `None`: not given.
    pub(super) fn count(&self, key: Key) -> Option<u32> {
        self.one(key, parse_count)
    }

    /// `None`: `auto`.
    pub(super) fn count_or_auto(&self, key: Key) -> Option<u32> {
        self.one(key, |text, kind| match text {
            "auto" => Ok(None),
            text => parse_count(text, kind).map(Some),
        })
        .flatten()
    }

    pub(super) fn cpus(&self, key: Key) -> Option<Vec<CpuId>> {
        self.one(key, |text, _| parse_cpu_list(text))
    }

    pub(super) fn size_bytes(&self, key: Key) -> Option<u64> {
        self.one(key, parse_size)
    }

    /// A size something in memory has.
    pub(super) fn length(&self, key: Key) -> usize {
        self.size_bytes(key)
            .and_then(|bytes| usize::try_from(bytes).ok())
            .unwrap_or_default()
    }

    pub(super) fn duration(&self, key: Key) -> Duration {
        self.given_duration(key).unwrap_or_default()
    }

    /// `None`: not given.
    pub(super) fn given_duration(&self, key: Key) -> Option<Duration> {
        self.one(key, parse_bounded_duration)
    }

    pub(super) fn patience(&self, key: Key) -> Patience {
        self.one(key, |text, kind| match text {
            "forever" => Ok(Patience::Forever),
            text => parse_bounded_duration(text, kind).map(Patience::For),
        })
        .unwrap_or(Patience::Forever)
    }

    pub(super) fn linger(&self, key: Key) -> Linger {
        self.one(key, parse_linger).unwrap_or(Linger::None)
    }

    pub(super) fn path(&self, key: Key) -> Option<PathBuf> {
        self.one(key, |text, _| match text {
            "" => Err("is empty; name a path".to_owned()),
            text if text.contains('\0') => Err("contains a NUL; name a path".to_owned()),
            text => Ok(PathBuf::from(text)),
        })
    }

    pub(super) fn is_on(&self, key: Key) -> bool {
        self.one(key, |text, _| match text {
            "true" | "on" => Ok(true),
            "false" | "off" => Ok(false),
            _ => Err("is neither `true` nor `false`".to_owned()),
        })
        .unwrap_or_default()
    }

    pub(super) fn choice(&self, key: Key) -> &'static str {
        self.given_choice(key).unwrap_or_default()
    }

    /// `None`: not given.
    pub(super) fn given_choice(&self, key: Key) -> Option<&'static str> {
        self.one(key, parse_choice)
    }

    /// Each at most once.
    pub(super) fn choices(&self, key: Key) -> Vec<&'static str> {
        self.all_different(key, parse_choice)
    }

    pub(super) fn origins(&self, key: Key) -> Vec<String> {
        self.all_different(key, |text, _| parse_origin(text))
    }

    pub(super) fn hosts(&self, key: Key) -> Vec<String> {
        self.all_different(key, |text, _| parse_host(text))
    }

    pub(super) fn url_paths(&self, key: Key) -> Vec<String> {
        self.all_different(key, |text, _| parse_url_path(text))
    }

    fn one<T>(&self, key: Key, parse: impl Fn(&str, Kind) -> Result<T, String>) -> Option<T> {
        let spec = key.spec();
        let texts = self.texts(spec);
        if let [_, second, ..] = texts.as_slice() {
            self.reject_value(spec, second, "is a second value; give one");
        }
        self.parsed(spec, texts.first()?, &parse)
    }

    fn all_different<T: PartialEq>(
        &self,
        key: Key,
        parse: impl Fn(&str, Kind) -> Result<T, String>,
    ) -> Vec<T> {
        let spec = key.spec();
        let mut all = Vec::new();
        for text in self.texts(spec) {
            match self.parsed(spec, &text, &parse) {
                Some(value) if all.contains(&value) => {
                    self.reject_value(spec, &text, "is given twice; give it once");
                }
                Some(value) => all.push(value),
                None => {}
            }
        }
        all
    }

    fn texts(&self, spec: &OptionSpec) -> Vec<String> {
        self.asked.borrow_mut().insert(spec.key);
        match (self.inputs.given(spec.key), spec.fallback) {
            (Some(given), _) => given.texts.clone(),
            (None, Fallback::Value(text)) => vec![text.to_owned()],
            (None, Fallback::Derived(_)) => Vec::new(),
        }
    }

    fn parsed<T>(
        &self,
        spec: &OptionSpec,
        text: &str,
        parse: impl Fn(&str, Kind) -> Result<T, String>,
    ) -> Option<T> {
        match parse(text.trim(), spec.kind) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.reject_value(spec, text, &reason);
                None
            }
        }
    }

    fn reject_value(&self, spec: &OptionSpec, text: &str, reason: &str) {
        let error = ConfigError::BadValue {
            name: spec.name,
            value: text.escape_debug().to_string(),
            place: self.source(spec.key).place(spec),
            reason: reason.to_owned(),
        };
        let place = self.inputs.given(spec.key).and_then(|given| given.place.clone());
        self.reject(match place {
            Some(place) => error.at(place),
            None => error,
        });
    }
}

/// `localhost` is 127.0.0.1, and no host at all is every IPv4 address of the machine, as for most servers. Other names
/// are not looked up: what they mean may change, and an operator should know what is listened on.
fn parse_address(text: &str, _kind: Kind) -> Result<SocketAddr, String> {
    const HINT: &str = "write for example `127.0.0.1:8080`, `localhost:8080`, `[::1]:8080`, or `:8080` for every IPv4 address";
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let host_and_port = text.rsplit_once(':').map(|(host, port)| (host, parse_port(port)));
    match host_and_port {
        Some(("", Some(port))) => Ok((Ipv4Addr::UNSPECIFIED, port).into()),
        Some((host, Some(port))) if host.eq_ignore_ascii_case("localhost") => {
            Ok((Ipv4Addr::LOCALHOST, port).into())
        }
        Some((host, Some(_))) if !host.contains(':') && !host.starts_with(|c: char| c.is_ascii_digit()) => {
            Err(format!(
                "has a name, and none but `localhost` is looked up; {HINT}"
            ))
        }
        _ => Err(format!("is not an address with a port; {HINT}")),
    }
}

fn parse_port(text: &str) -> Option<u16> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits.then(|| text.parse().ok()).flatten()
}

pub(super) fn parse_count(text: &str, kind: Kind) -> Result<u32, String> {
    let (Kind::Count { min, max } | Kind::CountOrAuto { min, max }) = kind else {
        return Err("is not counted".to_owned());
    };
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits {
        return Err(format!("is not a whole number; write one from {min} to {max}"));
    }
    // More digits than 64 bits hold are more than any limit.
    let count = within(text.parse().unwrap_or(u64::MAX), min, max, u64::to_string)?;
    u32::try_from(count).map_err(|_| "is too large".to_owned())
}

pub(super) fn parse_size(text: &str, kind: Kind) -> Result<u64, String> {
    let Kind::Size { min_bytes, max_bytes } = kind else {
        return Err("is not a size".to_owned());
    };
    let size: ByteSize = text.parse().map_err(|error| format!("{error}"))?;
    within(size.0, min_bytes, max_bytes, |bytes| ByteSize(*bytes).to_string())
}

pub(super) fn parse_bounded_duration(text: &str, kind: Kind) -> Result<Duration, String> {
    let (Kind::Duration { min_ms, max_ms }
    | Kind::Patience { min_ms, max_ms }
    | Kind::PatienceOrNone { min_ms, max_ms }) = kind
    else {
        return Err("is not a duration".to_owned());
    };
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    let (min, max) = (Duration::from_millis(min_ms), Duration::from_millis(max_ms));
    within(duration, min, max, |duration| {
        display_duration(*duration).to_string()
    })
}

pub(super) fn parse_linger(text: &str, kind: Kind) -> Result<Linger, String> {
    match text {
        "forever" => Ok(Linger::Forever),
        text if parse_duration(text) == Ok(Duration::ZERO) => Ok(Linger::None),
        text => parse_bounded_duration(text, kind).map(Linger::For),
    }
}

fn within<T: PartialOrd>(value: T, min: T, max: T, show: impl Fn(&T) -> String) -> Result<T, String> {
    if value < min {
        Err(format!("is too small; the least is {}", show(&min)))
    } else if value > max {
        Err(format!("is too large; the most is {}", show(&max)))
    } else {
        Ok(value)
    }
}

fn parse_choice(text: &str, kind: Kind) -> Result<&'static str, String> {
    let Kind::Choice(words) = kind else {
        return Err("is no choice".to_owned());
    };
    let text = match text {
        "true" if words == ON_OFF => "on",
        "false" if words == ON_OFF => "off",
        text => text,
    };
    words.iter().find(|word| **word == text).copied().ok_or_else(|| {
        let hint = nearest(text, words.iter().copied()).map(|word| format!("; did you mean `{word}`?"));
        format!("is not one of {}{}", words.join(", "), hint.unwrap_or_default())
    })
}

/// An origin as RFC 6454 serialises it: no path, no user, lower case.
fn parse_origin(text: &str) -> Result<String, String> {
    let lower = text.to_ascii_lowercase();
    match OriginRule::parse(&lower) {
        Ok(_) => Ok(lower),
        Err(error) => Err(error.to_string()),
    }
}

fn parse_host(text: &str) -> Result<String, String> {
    let lower = text.to_ascii_lowercase();
    match HostRule::parse(&lower) {
        Ok(_) => Ok(lower),
        Err(error) => Err(error.to_string()),
    }
}

/// A path as requests carry it, undecoded, without the one slash that may be behind it.
fn parse_url_path(text: &str) -> Result<String, String> {
    const HINT: &str = "is not a path; write for example `/mcp`, or `/` for the root";
    let is_mark = |byte: u8| matches!(byte, b'"' | b'#' | b'<' | b'>' | b'?');
    let is_path = text.starts_with('/')
        && !text.contains("//")
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !is_mark(byte))
        && has_valid_escapes(text.as_bytes());
    if !is_path {
        return Err(HINT.to_owned());
    }
    Ok(match text.strip_suffix('/') {
        Some(rest) if !rest.is_empty() => rest.to_owned(),
        _ => text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options::OPTIONS;

    fn inputs(key: Key, texts: &[&str]) -> Inputs {
        let mut inputs = Inputs::new();
        inputs.insert(
            key,
            texts.iter().map(|text| (*text).to_owned()).collect(),
            Source::Flag,
        );
        inputs
    }

    /// What is wrong with a value, as an operator reads it; `None` if nothing is.
    fn complaint(key: Key, text: &str) -> Option<String> {
        let inputs = inputs(key, &[text]);
        let values = Values::new(&inputs);
        read(&values, key);
        let (errors, _) = values.into_parts();
        errors.first().map(ToString::to_string)
    }

    fn read(values: &Values<'_>, key: Key) {
        match key.spec().kind {
            Kind::Address => drop(values.address(key)),
            Kind::AddressOrOff => drop(values.address_or_off(key)),
            Kind::Count { .. } => drop(values.count(key)),
            Kind::CountOrAuto { .. } => drop(values.count_or_auto(key)),
            Kind::Cpus => drop(values.cpus(key)),
            Kind::Size { .. } => drop(values.size_bytes(key)),
            Kind::Duration { .. } => drop(values.duration(key)),
            Kind::Patience { .. } => drop(values.patience(key)),
            Kind::PatienceOrNone { .. } => drop(values.linger(key)),
            Kind::Path => drop(values.path(key)),
            Kind::Choice(_) => drop(values.choice(key)),
            Kind::Origin => drop(values.origins(key)),
            Kind::Host => drop(values.hosts(key)),
            Kind::UrlPath => drop(values.url_paths(key)),
            Kind::Switch => drop(values.is_on(key)),
        }
    }

    #[test]
    fn every_default_is_a_possible_value() {
        for spec in &OPTIONS {
            if let Fallback::Value(text) = spec.fallback {
                assert_eq!(complaint(spec.key, text), None, "{}", spec.name);
            }
        }
    }

    #[test]
    fn every_bound_holds_at_the_limit_and_not_one_past_it() {
        for spec in &OPTIONS {
            let (least, most, unit) = match spec.kind {
                Kind::Count { min, max } | Kind::CountOrAuto { min, max } => (min, max, ""),
                Kind::Size { min_bytes, max_bytes } => (min_bytes, max_bytes, "B"),
                Kind::Duration { min_ms, max_ms }
                | Kind::Patience { min_ms, max_ms }
                | Kind::PatienceOrNone { min_ms, max_ms } => (min_ms, max_ms, "ms"),
                _ => continue,
            };
            let says = |number: u64| complaint(spec.key, &format!("{number}{unit}"));
            assert_eq!(says(least), None, "{}", spec.name);
            assert_eq!(says(most), None, "{}", spec.name);
            let above = says(most + 1).unwrap();
            assert!(above.contains("too large; the most is"), "{above}");
            if least > 0 {
                let below = says(least - 1).unwrap();
                assert!(below.contains("too small; the least is"), "{below}");
            }
        }
    }

    #[test]
    fn refusals_give_fact_value_limit_and_next_step() {
        let cases = [
            (
                Key::PoolSize,
                "0",
                "pool-size = 0 (from --pool-size) is too small; the least is 1",
            ),
            (
                Key::PoolSize,
                "99999999999999999999999",
                "pool-size = 99999999999999999999999 (from --pool-size) is too large; the most is 65535",
            ),
            (
                Key::PoolSize,
                "-1",
                "pool-size = -1 (from --pool-size) is not a whole number; write one from 1 to 65535",
            ),
            (
                Key::HeadTimeout,
                "10",
                "head-timeout = 10 (from --head-timeout) has no unit; write for example `30s`",
            ),
            (
                Key::HeadTimeout,
                "forever",
                "head-timeout = forever (from --head-timeout) does not start with a number; write for example `30s`",
            ),
            (
                Key::BodyMax,
                "2TiB",
                "body-max = 2TiB (from --body-max) is too large; the most is 1GiB",
            ),
            (
                Key::Report,
                "jsn",
                "report = jsn (from --report) is not one of text, json, none; did you mean `json`?",
            ),
            (
                Key::Listen,
                "8080",
                "listen = 8080 (from --listen) is not an address with a port; write for example \
                 `127.0.0.1:8080`, `localhost:8080`, `[::1]:8080`, or `:8080` for every IPv4 address",
            ),
            (
                Key::RequireSession,
                "maybe",
                "require-session = maybe (from --require-session) is neither `true` nor `false`",
            ),
            (Key::Root, "", "root =  (from --root) is empty; name a path"),
        ];
        for (key, text, message) in cases {
            assert_eq!(complaint(key, text).as_deref(), Some(message));
        }
    }

    #[test]
    fn a_value_cannot_break_the_line_it_is_reported_on() {
        let message = complaint(Key::Report, "a\nb\u{1b}[31m").unwrap();
        assert!(message.starts_with("report = a\\nb\\u{1b}[31m ("), "{message}");
    }

    #[test]
    fn off_auto_and_forever_are_values() {
        for (key, text) in [
            (Key::Admin, "off"),
            (Key::Shards, "auto"),
            (Key::IdleTimeout, "forever"),
            (Key::Linger, "forever"),
            (Key::Linger, "0s"),
            (Key::Linger, "0ms"),
        ] {
            assert_eq!(complaint(key, text), None);
        }
        assert!(complaint(Key::Listen, "off").is_some());
        assert!(complaint(Key::Workers, "auto").is_some());
    }

    #[test]
    fn truth_is_taken_wherever_on_and_off_are() {
        for spec in &OPTIONS {
            let is_switched = spec.kind == Kind::Choice(ON_OFF) || spec.kind == Kind::Switch;
            for text in ["true", "false", "on", "off"] {
                assert!(
                    !is_switched || complaint(spec.key, text).is_none(),
                    "{} = {text}",
                    spec.name
                );
            }
        }
        let steal = |text: &str| {
            let inputs = inputs(Key::Steal, &[text]);
            Values::new(&inputs).choice(Key::Steal)
        };
        assert_eq!(
            ["true", "on", "false", "off"].map(steal),
            ["on", "on", "off", "off"]
        );
        let admin = inputs(Key::Admin, &["false"]);
        assert_eq!(Values::new(&admin).address_or_off(Key::Admin), Some(None));
        assert_eq!(
            complaint(Key::Steal, "1").as_deref(),
            Some("steal = 1 (from --steal) is not one of on, off")
        );
        let admin = complaint(Key::Admin, "true").unwrap();
        assert!(admin.contains("is not an address with a port"), "{admin}");
        // Words that are no switch stay words.
        assert!(complaint(Key::LogLevel, "false").is_some());
    }

    #[test]
    fn addresses_may_leave_out_the_host_or_say_localhost() {
        let cases = [
            ("localhost:8080", Some("127.0.0.1:8080")),
            ("LocalHost:0", Some("127.0.0.1:0")),
            (":8080", Some("0.0.0.0:8080")),
            (" :8080 ", Some("0.0.0.0:8080")),
            ("[::]:8080", Some("[::]:8080")),
            ("0.0.0.0:8080", Some("0.0.0.0:8080")),
            ("localhost", None),
            ("localhost:", None),
            ("localhost:65536", None),
            ("localhost:+80", None),
            ("localhost:http", None),
            ("localhost.:8080", None),
            ("example.com:8080", None),
            ("::8080", None),
            (":", None),
            ("", None),
            ("127.0.0.1", None),
            ("256.0.0.1:80", None),
        ];
        for (text, address) in cases {
            for key in [Key::Listen, Key::Admin] {
                let inputs = inputs(key, &[text]);
                let values = Values::new(&inputs);
                let read = match key {
                    Key::Listen => values.address(key),
                    _ => values.address_or_off(key).flatten(),
                };
                assert_eq!(read.map(|read| read.to_string()).as_deref(), address, "{text}");
                assert_eq!(values.into_parts().0.is_empty(), address.is_some(), "{text}");
            }
        }
        let named = complaint(Key::Listen, "example.com:8080").unwrap();
        assert!(named.contains("none but `localhost` is looked up"), "{named}");
    }

    #[test]
    fn a_second_value_is_refused_unless_repeatable() {
        let several = inputs(Key::PoolSize, &["1", "2"]);
        let values = Values::new(&several);
        values.count(Key::PoolSize);
        assert_eq!(values.into_parts().0.len(), 1);

        let several = inputs(Key::Toolset, &["demo", "files"]);
        let values = Values::new(&several);
        assert_eq!(values.choices(Key::Toolset), ["demo", "files"]);
        assert!(values.into_parts().0.is_empty());

        let twice = inputs(Key::Toolset, &["demo", "demo"]);
        let values = Values::new(&twice);
        assert_eq!(values.choices(Key::Toolset), ["demo"]);
        let message = values.into_parts().0[0].to_string();
        assert_eq!(
            message,
            "toolset = demo (from --toolset) is given twice; give it once"
        );
    }

    #[test]
    fn origins_and_hosts_are_whole_and_lower_case() {
        let origins = [
            ("https://App.Example", Some("https://app.example")),
            ("http://localhost:3000", Some("http://localhost:3000")),
            ("http://Localhost:*", Some("http://localhost:*")),
            ("http://[::1]:3000", Some("http://[::1]:3000")),
            ("vscode-webview://abc", Some("vscode-webview://abc")),
            ("*", Some("*")),
            ("app.example", None),
            ("https://app.example/", None),
            ("https://", None),
            ("https://user@app.example", None),
            ("https://app.example:70000", None),
            ("https://app.example:+1", None),
            ("null", None),
            ("", None),
        ];
        for (text, read) in origins {
            assert_eq!(parse_origin(text).ok().as_deref(), read, "{text}");
        }
        let hosts = [
            ("MCP.example", Some("mcp.example")),
            ("mcp.example:8080", Some("mcp.example:8080")),
            ("mcp.example:*", Some("mcp.example:*")),
            ("[::1]", Some("[::1]")),
            ("*", Some("*")),
            ("*.example", None),
            ("::1", None),
            ("[::1", None),
            ("mcp.example:", None),
            ("a/b", None),
            ("", None),
        ];
        for (text, read) in hosts {
            assert_eq!(parse_host(text).ok().as_deref(), read, "{text}");
        }
    }
    #[test]
    fn paths_are_those_that_requests_can_ask_for() {
        let paths = [
            ("/mcp", Some("/mcp")),
            ("/mcp/", Some("/mcp")),
            ("/", Some("/")),
            ("/a/b-c_d.e~f/%6dcp", Some("/a/b-c_d.e~f/%6dcp")),
            ("//", None),
            ("/a//b", None),
            ("", None),
            ("mcp", None),
            ("/a b", None),
            ("/a?b", None),
            ("/a#b", None),
            ("/a\"b", None),
            ("/<a>", None),
            ("/%zz", None),
            ("/\u{e4}", None),
            ("http://localhost/mcp", None),
        ];
        for (text, read) in paths {
            assert_eq!(parse_url_path(text).ok().as_deref(), read, "{text}");
        }
    }
}
