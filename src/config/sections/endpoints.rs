//! The addresses, paths and transports of clients.

use std::net::{Ipv4Addr, SocketAddr};

use crate::config::kind::Kind::{Address, AddressOrOff, Choice, UrlPath};
use crate::config::section::section;
use crate::config::spec::{option, switch};
use crate::config::values::{AdminSettings, TransportKind, Words};

section! {
    /// The addresses, paths and transports of clients.
    pub struct EndpointSettings {
        /// The transport that clients use.
        pub transport: TransportKind = TransportKind::Http => option("transport", "http|stdio", Choice(TransportKind::WORDS),
            "Serve clients on a port, or the one that started this process, on stdin and stdout"),
        /// The address on which MCP is served over HTTP.
        pub listen: SocketAddr = (Ipv4Addr::LOCALHOST, 8080).into() => option("listen", "ADDR", Address,
            "Address to serve MCP on, over HTTP").for_listeners(),
        /// Whether the server may listen beside another process of this user. Its own shards always share the address.
        pub shares_port: bool = false => switch("reuse-port",
            "Whether to start beside another server of this user on the same address, and share its new connections").for_listeners(),
        /// The paths of MCP, undecoded, each without a trailing slash unless it is the root; there is at least one, and
        /// none is there twice.
        pub paths: Vec<String> = vec!["/mcp".to_owned()] => option("path", "PATH", UrlPath,
            "A path to serve MCP on, with and without a slash behind it").for_listeners().repeatable(),
        /// Whether `/healthz` and `/readyz` are served on this address too.
        pub has_health: bool = false => switch("health",
            "Whether /healthz and /readyz are served on the MCP address too, under any host name").for_listeners(),
        /// The separate listener for health and metrics.
        pub admin: AdminSettings = AdminSettings::DEFAULT => option("admin", "ADDR|off", AddressOrOff,
            "Address to serve /healthz, /readyz and /metrics on").derived("127.0.0.1:9464, off with stdio"),
    }
}
