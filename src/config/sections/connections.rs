//! The number of connections.

use crate::config::kind::CONNECTIONS_MAX;
use crate::config::kind::Kind::Count;
use crate::config::section::section;
use crate::config::spec::option;

section! {
    /// The number of connections, over all shards.
    #[derive(Copy, Eq)]
    pub struct ConnectionOptions {
        /// Connections of the whole process; `None` means as many as descriptors and memory allow.
        pub max: Option<u32> = None => option("connections-max", "N", Count { min: 1, max: CONNECTIONS_MAX },
            "Connections, over all shards").for_listeners().derived("descriptor limit less a reserve, less if memory is short"),
        /// Connections from one address; `None` means that there is no separate limit.
        pub per_ip: Option<u32> = None => option("connections-per-ip", "N", Count { min: 1, max: CONNECTIONS_MAX },
            "Connections from one address, over all shards").for_listeners().derived("no cap"),
    }
}

impl ConnectionOptions {
    /// The most connections of the whole process, which the settled options always name.
    pub(crate) fn limit(&self) -> u32 {
        self.max.unwrap_or(CONNECTIONS_MAX as u32)
    }
}
