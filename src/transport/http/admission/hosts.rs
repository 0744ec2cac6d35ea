//! The hosts that a listener answers for, so that no web page reaches it through a name of its own (DNS rebinding).
//!
//! Both listeners have this rule: a list of hosts, and two exceptions that a listener may add. The MCP listener has
//! none. The admin listener also answers to addresses and to requests without a host, because probers and scrapers send
//! them, and no rebound name can: a number is not looked up, and browsers always send `Host`. Invariant: a name is
//! compared after parsing, whole, never by prefix or suffix.

use std::net::{IpAddr, Ipv4Addr};

use crate::config::{HostRule, HostRuleError};
use crate::wire::http1::{Authority, HostName};

/// A setting that is not a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("allow-host = {0:?} {reason}", reason = HostRuleError)]
pub struct HostRulesError(pub String);

/// The numeric addresses that pass although the list does not name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnlistedAddresses {
    /// No address passes.
    Refused,
    /// The addresses of this machine pass: `127.0.0.0/8` and `::1`.
    Loopback,
    /// All addresses pass.
    Any,
}

/// The rule of one listener, made once at start.
#[derive(Clone, Debug)]
pub struct HostRules {
    listed: Vec<HostRule>,
    unlisted_addresses: UnlistedAddresses,
    allows_absent: bool,
}

impl HostRules {
    /// Admits requests for these hosts, and for no others. A host without a port allows any port, and `*` alone allows
    /// every request, also one that names no host.
    ///
    /// # Errors
    /// Fails for a setting that can never match.
    pub fn new<S: AsRef<str>>(hosts: impl IntoIterator<Item = S>) -> Result<Self, HostRulesError> {
        let parse = |text: S| {
            let text = text.as_ref();
            HostRule::parse(text).map_err(|_| HostRulesError(text.to_owned()))
        };
        Ok(Self {
            listed: hosts.into_iter().map(parse).collect::<Result<_, _>>()?,
            unlisted_addresses: UnlistedAddresses::Refused,
            allows_absent: false,
        })
    }

    /// Admits requests for these addresses as well.
    #[must_use]
    pub fn with_addresses(mut self, addresses: UnlistedAddresses) -> Self {
        self.unlisted_addresses = addresses;
        self
    }

    /// Sets whether a request that names no host (HTTP/1.0) is admitted.
    #[must_use]
    pub fn with_absent(mut self, allows_absent: bool) -> Self {
        self.allows_absent = allows_absent;
        self
    }

    /// Whether a request for this host is admitted; `None` stands for a request that names none. Allocates nothing.
    pub fn allows(&self, asked: Option<Authority<'_>>) -> bool {
        self.listed.iter().any(|rule| rule.allows(asked)) || self.allows_unlisted(asked)
    }

    #[cold]
    fn allows_unlisted(&self, asked: Option<Authority<'_>>) -> bool {
        let Some(asked) = asked else {
            return self.allows_absent;
        };
        numeric_address(asked.host).is_some_and(|address| match self.unlisted_addresses {
            UnlistedAddresses::Refused => false,
            UnlistedAddresses::Loopback => address.is_loopback(),
            UnlistedAddresses::Any => true,
        })
    }
}

fn numeric_address(host: HostName<'_>) -> Option<IpAddr> {
    match host {
        // `::ffff:127.0.0.1` is 127.0.0.1.
        HostName::V6(address) => Some(address.to_canonical()),
        HostName::Name(name) => name.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

#[cfg(test)]
mod tests {
    use super::UnlistedAddresses::{Any, Loopback, Refused};
    use super::*;

    fn rules(listed: &[&str], addresses: UnlistedAddresses, allows_absent: bool) -> HostRules {
        let rules = HostRules::new(listed).unwrap();
        rules.with_addresses(addresses).with_absent(allows_absent)
    }

    #[test]
    fn the_list_and_each_leniency_let_in_their_own() {
        let listed = &["localhost", "127.0.0.1", "weir.example:80"][..];
        // Each host with the verdicts of a strict rule, of one with loopback addresses, and of one with all addresses.
        for (host, expected) in [
            ("localhost:9464", [true, true, true]),
            ("LOCALHOST", [true, true, true]),
            ("127.0.0.1:1", [true, true, true]),
            ("weir.example:80", [true, true, true]),
            ("weir.example:81", [false, false, false]),
            ("weir.example", [false, false, false]),
            ("127.0.0.2", [false, true, true]),
            ("[::1]:9464", [false, true, true]),
            ("[::ffff:127.0.0.1]", [false, true, true]),
            ("10.1.2.3:9464", [false, false, true]),
            ("[2001:db8::1]", [false, false, true]),
            ("[fe80::1]", [false, false, true]),
            ("evil.example", [false, false, false]),
            ("localhost.evil.example", [false, false, false]),
            ("127.0.0.1.evil.example", [false, false, false]),
            // Only four decimal numbers are an address.
            ("0x7f.1", [false, false, false]),
            ("2130706433", [false, false, false]),
        ] {
            let asked = Some(Authority::parse(host.as_bytes()).unwrap());
            let told = [Refused, Loopback, Any].map(|addresses| {
                let [strict, lenient] =
                    [false, true].map(|absent| rules(listed, addresses, absent).allows(asked));
                assert_eq!(strict, lenient, "{host}: an absent host is another matter");
                strict
            });
            assert_eq!(told, expected, "{host}");
        }
    }

    #[test]
    fn a_request_for_no_host_needs_its_leniency_or_a_star() {
        for addresses in [Refused, Loopback, Any] {
            for (listed, allows_absent, expected) in [
                (&["localhost"][..], false, false),
                (&["localhost"], true, true),
                (&[], false, false),
                (&[], true, true),
                (&["*"], false, true),
                (&["*"], true, true),
            ] {
                let rules = rules(listed, addresses, allows_absent);
                assert_eq!(rules.allows(None), expected, "{rules:?}");
            }
        }
    }

    #[test]
    fn a_setting_that_is_no_host_is_named() {
        for bad in [
            "",
            "a b",
            "http://a",
            "*.example",
            "[::1",
            "a:99999",
            "weir.example:",
        ] {
            let refused = HostRules::new(["localhost", bad]).unwrap_err();
            assert_eq!(refused, HostRulesError(bad.to_owned()));
        }
        let text = HostRules::new(["a b"]).unwrap_err().to_string();
        assert!(text.starts_with("allow-host = \"a b\" is not a host; "), "{text}");
    }
}
