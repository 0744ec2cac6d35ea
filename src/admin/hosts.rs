//! Under which names the admin listener may be called.
//!
//! Loopback names always pass, and so do the hosts that the operator allows. A listener that other machines can reach
//! also passes every numeric address, because probers and scrapers use them. So does a request that names no host:
//! HTTP/1.0 lets probers leave it out.

use std::net::IpAddr;

use crate::config::AllowList;
use crate::transport::http::admission::{HostRules, HostRulesError, UnlistedAddresses};

/// The one name of this machine's own that is no number.
const LOOPBACK_NAME: &str = "localhost";

/// The rules for an admin listener on this address.
///
/// # Errors
/// A setting that can never match.
pub(super) fn host_rules(listens_on: IpAddr, allowed: &AllowList) -> Result<HostRules, HostRulesError> {
    let allowed: Vec<&str> = match allowed {
        AllowList::Any => vec!["*"],
        AllowList::Only(hosts) => hosts.iter().map(String::as_str).collect(),
    };
    let rules = HostRules::new([LOOPBACK_NAME].into_iter().chain(allowed))?;
    let addresses = if listens_on.is_loopback() {
        UnlistedAddresses::Loopback
    } else {
        UnlistedAddresses::Any
    };
    Ok(rules.with_addresses(addresses).with_absent(true))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::wire::http1::Authority;

    fn rules(listens_on: &str, allowed: &[&str]) -> HostRules {
        let allowed = AllowList::Only(allowed.iter().map(|&host| host.to_owned()).collect());
        host_rules(listens_on.parse().unwrap(), &allowed).unwrap()
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
        let any = host_rules(Ipv4Addr::LOCALHOST.into(), &AllowList::Any).unwrap();
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
            let refused = host_rules(Ipv4Addr::LOCALHOST.into(), &allowed).unwrap_err();
            assert_eq!(refused, HostRulesError(bad.to_owned()));
        }
    }
}
