//! Where and how clients come.

use std::net::{Ipv4Addr, SocketAddr};

use crate::config::kind::Kind::{Address, AddressOrOff, Choice, UrlPath};
use crate::config::section::section;
use crate::config::spec::{option, switch};
use crate::config::values::{AdminSettings, TransportKind, Words};

section! {
    /// Where and how clients come.
    pub struct EndpointSettings {
        /// How clients come.
        pub transport: TransportKind = TransportKind::Http => option("transport", "http|stdio", Choice(TransportKind::WORDS),
            "Serve clients on a port, or the one that started this process, on stdin and stdout"),
        /// Where MCP is served over HTTP.
        pub listen: SocketAddr = (Ipv4Addr::LOCALHOST, 8080).into() => option("listen", "ADDR", Address,
            "Where to serve MCP, over HTTP").for_listeners(),
        /// Whether it may listen beside another process of this user. Its own shards always share the address.
        pub shares_port: bool = false => switch("reuse-port",
            "Whether to start beside another server of this user on the same address, and share its new connections").for_listeners(),
        /// The paths of MCP, undecoded, each without a slash behind it unless it is the root; never empty, nothing
        /// twice.
        pub paths: Vec<String> = vec!["/mcp".to_owned()] => option("path", "PATH", UrlPath,
            "A path to serve MCP on, with and without a slash behind it").for_listeners().repeatable(),
        /// Whether `/healthz` and `/readyz` are there too.
        pub has_health: bool = false => switch("health",
            "Whether /healthz and /readyz are served where MCP is, too, whatever name a probe calls").for_listeners(),
        /// Health and metrics on a listener of their own.
        pub admin: AdminSettings = AdminSettings::DEFAULT => option("admin", "ADDR|off", AddressOrOff,
            "Where to serve /healthz, /readyz and /metrics").derived("127.0.0.1:9464, off with stdio"),
    }
}
