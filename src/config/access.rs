//! Allowed hosts and origins: how they are written, and which requests they admit.
//!
//! This is the one reading of `--allow-host` and `--allow-origin`, for the check of settings and for both listeners.
//! The wildcards are `*` alone, which allows everybody, and `:*` behind a host, which allows any port. A name is
//! compared after parsing, whole, never by prefix or suffix, so that `*.example.com` is refused and not taken for a
//! name.

use std::net::Ipv6Addr;

use crate::units::{Authority, HostName};

/// The text is not a host that can be allowed. The message completes a sentence that begins with the option and the
/// value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a host; write `example.com`, `example.com:8443`, `[::1]` or `*`")]
pub struct HostRuleError;

/// The text is not an origin that can be allowed. The message completes a sentence that begins with the option and the
/// value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not an origin; write `https://example.com`, `https://example.com:8443`, `https://example.com:*` for any port, \
     or `*`"
)]
pub struct OriginRuleError;

/// One allowed host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostRule {
    /// Any host is allowed, and a request without one.
    Any,
    /// This host is allowed; `None` means on any port.
    Host(RuleHost, Option<u16>),
}

impl HostRule {
    /// Reads `host`, `host:port`, `host:*` (the same as `host`) or `*`.
    ///
    /// # Errors
    /// Fails for a text that could never match the host of a request.
    pub fn parse(text: &str) -> Result<Self, HostRuleError> {
        if text == "*" {
            return Ok(HostRule::Any);
        }
        let (host, is_any_port) = split_any_port(text);
        // The grammar allows an empty port, but the author of the setting has forgotten the number.
        let authority = Authority::parse(host.as_bytes())
            .filter(|authority| !host.ends_with(':') && !has_wildcard(authority.host));
        let authority = authority.ok_or(HostRuleError)?;
        if is_any_port && authority.port.is_some() {
            return Err(HostRuleError);
        }
        Ok(HostRule::Host(RuleHost::from(authority.host), authority.port))
    }

    /// Whether a request for this host is admitted. `None` stands for a request without a host (HTTP/1.0).
    pub fn allows(&self, asked: Option<Authority<'_>>) -> bool {
        match (self, asked) {
            (HostRule::Any, _) => true,
            (HostRule::Host(host, port), Some(asked)) => {
                host.name() == asked.host && (port.is_none() || *port == asked.port)
            }
            (HostRule::Host(..), None) => false,
        }
    }
}

/// One allowed origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginRule {
    /// Any value is allowed, including `null` and values that are not origins.
    Any,
    /// This origin is allowed.
    Origin {
        /// The scheme, in lower case.
        scheme: String,
        /// The host without its port.
        host: RuleHost,
        /// The allowed ports.
        port: OriginPort,
    },
}

/// The ports of an allowed origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginPort {
    /// All ports are allowed.
    Any,
    /// This port is allowed; `None` if the scheme has no default and none was given.
    Exactly(Option<u16>),
}

impl OriginRule {
    /// Reads `scheme://host`, which means the scheme's own port, `scheme://host:port`, `scheme://host:*` or `*`.
    ///
    /// # Errors
    /// Fails for a text that could never match what a browser sends.
    pub fn parse(text: &str) -> Result<Self, OriginRuleError> {
        if text == "*" {
            return Ok(OriginRule::Any);
        }
        let (origin, is_any_port) = split_any_port(text);
        let parsed = Origin::parse(origin.as_bytes())
            .filter(|parsed| !origin.ends_with(':') && !has_wildcard(parsed.host));
        let parsed = parsed.ok_or(OriginRuleError)?;
        if is_any_port && parsed.has_port {
            return Err(OriginRuleError);
        }
        Ok(OriginRule::Origin {
            scheme: parsed.scheme.to_ascii_lowercase(),
            host: RuleHost::from(parsed.host),
            port: if is_any_port {
                OriginPort::Any
            } else {
                OriginPort::Exactly(parsed.port)
            },
        })
    }

    /// Whether a request from this origin is admitted. `None` stands for a value that is not an origin: `null`, a path,
    /// garbage.
    pub fn allows(&self, asked: Option<&Origin<'_>>) -> bool {
        match (self, asked) {
            (OriginRule::Any, _) => true,
            (OriginRule::Origin { scheme, host, port }, Some(asked)) => {
                scheme.eq_ignore_ascii_case(asked.scheme)
                    && host.name() == asked.host
                    && (*port == OriginPort::Any || *port == OriginPort::Exactly(asked.port))
            }
            (OriginRule::Origin { .. }, None) => false,
        }
    }
}

/// `scheme "://" host [ ":" port ]` (RFC 6454, section 7.1), with the scheme's default port filled in.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    scheme: &'a str,
    host: HostName<'a>,
    port: Option<u16>,
    has_port: bool,
}

impl<'a> Origin<'a> {
    /// Parses one origin. `None` for `null`, for several origins, and for anything with a path, a query or user
    /// information.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let (scheme, rest) = std::str::from_utf8(text).ok()?.split_once("://")?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
        let authority = is_scheme.then(|| Authority::parse(rest.as_bytes()))??;
        Some(Self {
            scheme,
            host: authority.host,
            port: authority.port.or_else(|| default_port(scheme)),
            has_port: authority.port.is_some(),
        })
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        scheme if scheme.eq_ignore_ascii_case("http") => Some(80),
        scheme if scheme.eq_ignore_ascii_case("https") => Some(443),
        _ => None,
    }
}

/// Splits `:*` off: `example.com:*` is `example.com` on any port.
fn split_any_port(text: &str) -> (&str, bool) {
    match text.strip_suffix(":*") {
        Some(rest) => (rest, true),
        None => (text, false),
    }
}

/// `*.example.com` is a valid name in a URI, but its author means a wildcard, which is not supported.
fn has_wildcard(host: HostName<'_>) -> bool {
    matches!(host, HostName::Name(name) if name.contains('*'))
}

/// A [`HostName`] that outlives the setting it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleHost {
    /// A name, or an IPv4 address.
    Name(String),
    /// An IPv6 address.
    V6(Ipv6Addr),
}

impl RuleHost {
    fn name(&self) -> HostName<'_> {
        match self {
            RuleHost::Name(name) => HostName::Name(name),
            RuleHost::V6(address) => HostName::V6(*address),
        }
    }
}

impl From<HostName<'_>> for RuleHost {
    fn from(host: HostName<'_>) -> Self {
        match host {
            HostName::Name(name) => RuleHost::Name(name.to_owned()),
            HostName::V6(address) => RuleHost::V6(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_allows(rule: &str, asked: &str) -> bool {
        HostRule::parse(rule)
            .unwrap()
            .allows(Some(Authority::parse(asked.as_bytes()).unwrap()))
    }

    fn origin_allows(rule: &str, asked: &str) -> bool {
        OriginRule::parse(rule)
            .unwrap()
            .allows(Origin::parse(asked.as_bytes()).as_ref())
    }

    #[test]
    fn a_host_without_a_port_is_the_host_on_any_port() {
        for rule in ["mcp.example", "MCP.example", "mcp.example:*"] {
            assert!(
                host_allows(rule, "mcp.example") && host_allows(rule, "mcp.example:81"),
                "{rule}"
            );
            assert!(
                !host_allows(rule, "evil.mcp.example") && !host_allows(rule, "mcp.example.evil"),
                "{rule}"
            );
        }
        assert!(host_allows("mcp.example:81", "mcp.example:81"));
        assert!(!host_allows("mcp.example:81", "mcp.example"));
        assert!(host_allows("[::1]:*", "[0:0:0:0:0:0:0:1]:5"));
        assert!(host_allows("*", "any.example:1"));
        assert!(HostRule::Any.allows(None));
        assert!(!HostRule::parse("mcp.example").unwrap().allows(None));
    }

    #[test]
    fn an_origin_without_a_port_is_on_its_schemes_own() {
        assert!(origin_allows("https://app.example", "https://app.example"));
        assert!(origin_allows("HTTPS://APP.example", "https://app.example:443"));
        assert!(!origin_allows("https://app.example", "https://app.example:8443"));
        assert!(origin_allows("https://app.example:*", "https://app.example:8443"));
        assert!(!origin_allows("https://app.example:*", "http://app.example:8443"));
        assert!(origin_allows("*", "null"));
    }

    #[test]
    fn what_could_never_match_is_refused() {
        for text in [
            "",
            "a b",
            "http://a",
            "*.example.com",
            "*:80",
            "**",
            "[::1",
            "a:99999",
            "a:+1",
            "a:*:*",
            ":*",
            "a::*",
            "a:",
            "a:1:*",
        ] {
            assert_eq!(HostRule::parse(text), Err(HostRuleError), "{text}");
        }
        for text in [
            "",
            "null",
            "localhost",
            "http://",
            "http://a/",
            "http://*.a",
            "http://a:*:*",
            "*://a",
            "http://a::*",
            "http://a b",
            "1http://a",
            "http://a:",
            "http://a:1:*",
        ] {
            assert_eq!(OriginRule::parse(text), Err(OriginRuleError), "{text}");
        }
    }
}
