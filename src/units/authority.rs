//! `host [":" port]`, as `Host`, absolute targets and origins carry it (RFC 3986, section 3.2; RFC 9110, 4.2).
//!
//! Hosts are compared after parsing: names without regard to case, IPv6 addresses as numbers. User information is
//! refused (RFC 9110, section 4.2.4), as are IPvFuture and zone identifiers, which no browser or client sends.

use std::net::Ipv6Addr;

/// A host, ready to be compared.
#[derive(Clone, Copy, Debug)]
pub enum HostName<'a> {
    /// A registered name or an IPv4 address, as written.
    Name(&'a str),
    /// A bracketed IPv6 address.
    V6(Ipv6Addr),
}

impl PartialEq for HostName<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (HostName::Name(own), HostName::Name(theirs)) => own.eq_ignore_ascii_case(theirs),
            (HostName::V6(own), HostName::V6(theirs)) => own == theirs,
            _ => false,
        }
    }
}

impl Eq for HostName<'_> {}

/// A host and, if it was given, a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// The host, never empty.
    pub host: HostName<'a>,
    /// `None` also for the empty port that the grammar allows (`localhost:`).
    pub port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Parses an authority; `None` unless all of `text` is one with a non-empty host.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (host, port) = match text.strip_prefix('[') {
            Some(bracketed) => {
                let (address, port) = bracketed.split_once(']')?;
                (HostName::V6(address.parse().ok()?), port)
            }
            None => {
                let (name, port) =
                    text.split_at(text.bytes().position(|byte| byte == b':').unwrap_or(text.len()));
                is_registered_name(name.as_bytes()).then_some((HostName::Name(name), port))?
            }
        };
        Some(Self {
            host,
            port: parse_port(port)?,
        })
    }
}

/// The part behind the host: nothing, or a colon and digits up to 65535. The outer `None` means malformed.
#[allow(clippy::option_option, reason = "malformed and absent are different answers")]
fn parse_port(text: &str) -> Option<Option<u16>> {
    let Some(digits) = text.strip_prefix(':') else {
        return text.is_empty().then_some(None);
    };
    if digits.is_empty() {
        return Some(None);
    }
    // `u16::from_str` takes a plus sign, the grammar does not.
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten().map(Some)
}

/// `1*( unreserved / pct-encoded / sub-delims )`; IPv4 addresses are of this form too.
fn is_registered_name(name: &[u8]) -> bool {
    !name.is_empty()
        && has_valid_escapes(name)
        && name.iter().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')'
                )
                || matches!(byte, b'*' | b'+' | b',' | b';' | b'=')
        })
}

/// Whether every `%` is followed by two hexadecimal digits (RFC 3986, section 2.1).
pub fn has_valid_escapes(text: &[u8]) -> bool {
    memchr::memchr_iter(b'%', text).all(|at| {
        text.get(at + 1..at + 3)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str, port: Option<u16>) -> Option<Authority<'_>> {
        Some(Authority {
            host: HostName::Name(text),
            port,
        })
    }

    #[test]
    fn names_addresses_and_ports() {
        assert_eq!(Authority::parse(b"localhost"), name("localhost", None));
        assert_eq!(Authority::parse(b"LOCALHOST:80"), name("localhost", Some(80)));
        assert_eq!(
            Authority::parse(b"127.0.0.1:65535"),
            name("127.0.0.1", Some(65535))
        );
        assert_eq!(Authority::parse(b"a:"), name("a", None));
        assert_eq!(Authority::parse(b"a%2fb"), name("a%2Fb", None));
        assert_eq!(Authority::parse(b"a:00080"), name("a", Some(80)));
        let loopback = HostName::V6(Ipv6Addr::LOCALHOST);
        for text in ["[::1]:8080", "[0:0:0:0:0:0:0:1]:8080"] {
            let parsed = Authority::parse(text.as_bytes());
            assert_eq!(
                parsed,
                Some(Authority {
                    host: loopback,
                    port: Some(8080)
                })
            );
        }
        assert_ne!(loopback, HostName::Name("::1"));
    }

    #[test]
    fn malformed_authorities() {
        let malformed: [&[u8]; 27] = [
            b"",
            b":80",
            b"a b",
            b"exa\tmple",
            b"[::1",
            b"[::1]x",
            b"[::1]80",
            b"::1",
            b"a:12:34",
            b"a:port",
            b"a:+1",
            b"a:65536",
            b"a:-1",
            b"ex%zzample",
            b"a%2",
            b"a%",
            b"user@host",
            b"u:p@host",
            b"a/b",
            b"a?b",
            b"a#b",
            b"[v1.x]",
            b"[fe80::1%25eth0]",
            b"[]",
            b"\xc3\xa4",
            b"a\x7f",
            b"a,b:1,2",
        ];
        for text in malformed {
            assert_eq!(Authority::parse(text), None, "{}", text.escape_ascii());
        }
    }
}
