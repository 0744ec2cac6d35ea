//! Under which names the listener may be called, so that no web page reads it through a name of its own (DNS
//! rebinding).
//!
//! Loopback names always pass, and so do names that the operator allows. A listener that other machines can reach also
//! passes every numeric address: probers and scrapers use them, and a number cannot be rebound. A request without a
//! host (HTTP/1.0) does not come from a browser. Invariant: names are compared after parsing, whole.

use std::net::{IpAddr, Ipv4Addr};

use crate::config::{AllowList, HostRule, HostRuleError};
use crate::wire::http1::{Authority, HostName};

/// A setting that is not a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("allow-host = {0:?} {reason}", reason = HostRuleError)]
pub struct HostRulesError(String);

/// The rules of one listener.
#[derive(Debug, Clone)]
pub struct HostRules {
    is_loopback_only: bool,
    allowed: Vec<HostRule>,
}

impl HostRules {
    /// Rules for a listener on this address.
    ///
    /// # Errors
    /// A setting that can never match.
    pub fn new(listens_on: IpAddr, allowed: &AllowList) -> Result<Self, HostRulesError> {
        let parse = |host: &String| HostRule::parse(host).map_err(|_| HostRulesError(host.clone()));
        let allowed = match allowed {
            AllowList::Any => vec![HostRule::Any],
            AllowList::Only(hosts) => hosts.iter().map(parse).collect::<Result<_, _>>()?,
        };
        Ok(Self {
            is_loopback_only: listens_on.is_loopback(),
            allowed,
        })
    }

    /// Whether a request addressed to `asked` is answered.
    pub(super) fn allows(&self, asked: Option<Authority<'_>>) -> bool {
        let Some(asked) = asked else {
            return true;
        };
        let address = numeric_address(asked.host);
        let is_own = match address {
            Some(address) => !self.is_loopback_only || address.is_loopback(),
            None => asked.host == HostName::Name("localhost"),
        };
        is_own || self.allowed.iter().any(|rule| rule.allows(Some(asked)))
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
    use super::*;

    fn rules(listens_on: &str, allowed: &[&str]) -> HostRules {
        let allowed = AllowList::Only(allowed.iter().map(|&host| host.to_owned()).collect());
        HostRules::new(listens_on.parse().unwrap(), &allowed).unwrap()
    }

    fn allows(rules: &HostRules, host: &str) -> bool {
        rules.allows(Some(Authority::parse(host.as_bytes()).unwrap()))
    }

    #[test]
    fn on_loopback_only_loopback_passes() {
        for listens_on in ["127.0.0.1", "::1"] {
            let rules = rules(listens_on, &[]);
            for host in [
                "localhost",
                "LOCALHOST:9464",
                "127.0.0.1:9464",
                "127.0.0.2",
                "[::1]:1",
                "[::ffff:127.0.0.1]",
            ] {
                assert!(allows(&rules, host), "{host}");
            }
            for host in [
                "evil.example",
                "localhost.evil.example",
                "127.0.0.1.evil.example",
                "10.0.0.1",
                "[fe80::1]",
            ] {
                assert!(!allows(&rules, host), "{host}");
            }
        }
    }

    #[test]
    fn elsewhere_any_number_passes_but_not_any_name() {
        let rules = rules("0.0.0.0", &[]);
        assert!(allows(&rules, "10.1.2.3:9464"));
        assert!(allows(&rules, "[2001:db8::1]:9464"));
        assert!(!allows(&rules, "evil.example:9464"));
        assert!(!allows(&rules, "0x7f.1"));
    }

    #[test]
    fn what_the_operator_allows_passes() {
        let some = rules("127.0.0.1", &["weir.example", "other.example:80"]);
        assert!(allows(&some, "Weir.Example:9464"));
        assert!(allows(&some, "other.example:80"));
        assert!(!allows(&some, "other.example:81"));
        let any = HostRules::new(Ipv4Addr::LOCALHOST.into(), &AllowList::Any).unwrap();
        assert!(allows(&any, "evil.example"));
        // Wildcards mean what they mean where MCP is served.
        assert!(allows(&rules("127.0.0.1", &["*"]), "evil.example"));
        assert!(allows(
            &rules("127.0.0.1", &["weir.example:*"]),
            "weir.example:81"
        ));
    }

    #[test]
    fn a_request_for_no_host_passes_and_a_bad_setting_does_not() {
        assert!(rules("127.0.0.1", &[]).allows(None));
        for bad in ["a b", "*.example", "weir.example:"] {
            let allowed = AllowList::Only(vec![bad.to_owned()]);
            let refused = HostRules::new(Ipv4Addr::LOCALHOST.into(), &allowed).unwrap_err();
            assert_eq!(refused, HostRulesError(bad.to_owned()));
        }
    }
}
