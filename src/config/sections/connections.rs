//! How many connections there may be.

use crate::config::kind::CONNECTIONS_MAX;
use crate::config::kind::Kind::Count;
use crate::config::section::section;
use crate::config::spec::option;

section! {
    /// How many connections there may be, over all shards.
    pub struct ConnectionOptions {
        /// Of the whole process; `None`: as many as descriptors and memory allow.
        pub max: Option<u32> = None => option("connections-max", "N", Count { min: 1, max: CONNECTIONS_MAX },
            "Connections, over all shards").for_listeners().derived("descriptor limit less a reserve, less if memory asks"),
        /// From one address; `None`: no cap of its own.
        pub per_ip: Option<u32> = None => option("connections-per-ip", "N", Count { min: 1, max: CONNECTIONS_MAX },
            "Connections from one address, over all shards").for_listeners().derived("no cap"),
    }
}
