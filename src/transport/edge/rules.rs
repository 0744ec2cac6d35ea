//! Allowed hosts and origins: parsed once from settings, compared with what requests carry.

use std::net::Ipv6Addr;

use super::EdgePolicyError;
use crate::wire::http1::{Authority, HostName};

/// One allowed host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HostRule {
    Any,
    /// `None`: any port.
    Host(RuleHost, Option<u16>),
}

impl HostRule {
    pub(super) fn parse_setting(text: &str) -> Result<Self, EdgePolicyError> {
        if text == "*" {
            return Ok(HostRule::Any);
        }
        let authority = Authority::parse(text.as_bytes()).filter(|authority| !has_wildcard(authority.host));
        let authority = authority.ok_or_else(|| EdgePolicyError::Host(text.to_owned()))?;
        Ok(HostRule::Host(RuleHost::from(authority.host), authority.port))
    }

    pub(super) fn allows(&self, asked: Option<Authority<'_>>) -> bool {
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
pub(super) enum OriginRule {
    Any,
    Origin {
        scheme: String,
        host: RuleHost,
        port: OriginPort,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OriginPort {
    Any,
    /// `None`: the scheme has no default and none was given.
    Exactly(Option<u16>),
}

impl OriginRule {
    pub(super) fn parse_setting(text: &str) -> Result<Self, EdgePolicyError> {
        if text == "*" {
            return Ok(OriginRule::Any);
        }
        let (origin, is_any_port) = match text.strip_suffix(":*") {
            Some(origin) => (origin, true),
            None => (text, false),
        };
        let parsed = Origin::parse(origin.as_bytes()).filter(|parsed| !has_wildcard(parsed.host));
        let parsed = parsed.ok_or_else(|| EdgePolicyError::Origin(text.to_owned()))?;
        Ok(OriginRule::Origin {
            scheme: parsed.scheme.to_owned(),
            host: RuleHost::from(parsed.host),
            port: if is_any_port {
                OriginPort::Any
            } else {
                OriginPort::Exactly(parsed.port)
            },
        })
    }

    /// `None` stands for a value that is no origin: `null`, a path, garbage.
    pub(super) fn allows(&self, asked: Option<&Origin<'_>>) -> bool {
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

/// `scheme "://" host [ ":" port ]` (RFC 6454, section 7.1), the port filled in where the scheme has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin<'a> {
    scheme: &'a str,
    host: HostName<'a>,
    port: Option<u16>,
}

impl<'a> Origin<'a> {
    /// `None` for `null`, for several origins, and for anything with a path, a query or user information.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
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

/// `*.example.com` is a valid name in a URI, but whoever sets it means something that is not done here.
fn has_wildcard(host: HostName<'_>) -> bool {
    matches!(host, HostName::Name(name) if name.contains('*'))
}

/// A [`HostName`] that outlives the setting it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RuleHost {
    Name(String),
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
