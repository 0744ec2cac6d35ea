//! Reading of texts, with one function for each kind of value, and its bounds.
//!
//! Everything here is pure. Every refusal is the rest of a sentence that begins with the option and the value, and says
//! what to write.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::access::{HostRule, OriginRule};
use super::kind::Kind;
use super::values::Linger;
use crate::units::{ByteSize, display_duration, has_valid_escapes, parse_duration};

/// `localhost` is 127.0.0.1, and a missing host is every IPv4 address of the machine, as for most servers. Other names
/// are not looked up: their addresses may change, and an operator should know where the server listens.
pub(super) fn parse_address(text: &str) -> Result<SocketAddr, String> {
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
            Err(format!("has a name, and only `localhost` is looked up; {HINT}"))
        }
        _ => Err(format!("is not an address with a port; {HINT}")),
    }
}

/// What another module makes something of.
pub(super) fn parse_text(text: &str) -> Result<String, String> {
    match text {
        "" => Err("is empty".to_owned()),
        text if text.contains('\0') => Err("contains a NUL".to_owned()),
        text => Ok(text.to_owned()),
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
    // A number with more digits than 64 bits hold is above any limit.
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
    | Kind::DurationOrAuto { min_ms, max_ms }
    | Kind::TimeLimit { min_ms, max_ms }
    | Kind::TimeLimitOrNone { min_ms, max_ms }) = kind
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

/// The message about a text that is not one of the words.
pub(super) fn not_one_of(text: &str, words: &[&str]) -> String {
    format!("is not one of {}{}", words.join(", "), hint(text, words))
}

#[cfg(feature = "cli")]
fn hint(text: &str, words: &[&str]) -> String {
    let nearest = super::nearest::nearest(text, words.iter().copied());
    nearest.map_or_else(String::new, |word| format!("; did you mean `{word}`?"))
}

/// Programs choose values, not words.
#[cfg(not(feature = "cli"))]
fn hint(_: &str, _: &[&str]) -> String {
    String::new()
}

/// An origin as RFC 6454 serialises it: no path, no user, lower case.
pub(super) fn parse_origin(text: &str) -> Result<String, String> {
    let lower = text.to_ascii_lowercase();
    match OriginRule::parse(&lower) {
        Ok(_) => Ok(lower),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) fn parse_host(text: &str) -> Result<String, String> {
    let lower = text.to_ascii_lowercase();
    match HostRule::parse(&lower) {
        Ok(_) => Ok(lower),
        Err(error) => Err(error.to_string()),
    }
}

/// A path as requests carry it, undecoded, without its trailing slash.
pub(super) fn parse_url_path(text: &str) -> Result<String, String> {
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
