//! The origins of browser pages and the host names that are admitted.

use crate::config::kind::Kind::{Host, Origin};
use crate::config::section::section;
use crate::config::spec::option;
use crate::config::values::AllowList;

section! {
    /// The `Origin` and `Host` values that are served. Loopback names and addresses always are.
    #[derive(Eq)]
    pub struct AccessSettings {
        /// Origins served besides loopback ones, as `scheme://host[:port]` in lower case.
        pub origins: AllowList = AllowList::default() => option("allow-origin", "ORIGIN|*", Origin,
            "Origin to serve besides loopback ones").for_listeners().repeatable().derived("loopback"),
        /// Authorities served besides loopback ones, as `host` (any port) or `host:port` in lower case.
        pub hosts: AllowList = AllowList::default() => option("allow-host", "HOST|*", Host,
            "Host to serve besides loopback ones").repeatable().derived("loopback"),
    }
}
