//! The addresses, paths and transports of clients.

use std::net::{Ipv4Addr, SocketAddr};

use crate::config::kind::Kind::{AddressOrOff, Choice, Listen, Mode, Owner, UrlPath, Users};
use crate::config::listen::{ListenAddress, UnixMode, UnixOwner, UnixUsers};
use crate::config::section::section;
use crate::config::spec::{option, switch};
use crate::config::values::{AdminSettings, TransportKind, Words};

section! {
    /// The addresses, paths and transports of clients.
    pub struct EndpointSettings {
        /// The transport that clients use.
        pub transport: TransportKind = TransportKind::Http => option("transport", "http|stdio", Choice(TransportKind::WORDS),
            "Serve clients on a port, or the one that started this process, on stdin and stdout"),
        /// The addresses on which MCP is served over HTTP; there is at least one, and none is there twice.
        pub listen: Vec<ListenAddress> = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)).into()] => option("listen", "ADDR|unix:PATH", Listen,
            "Address to serve MCP on, over HTTP; `unix:@NAME` is a Unix socket without a file").for_listeners().repeatable(),
        /// The permissions of socket files.
        pub unix_mode: UnixMode = UnixMode::DEFAULT => option("unix-mode", "MODE", Mode,
            "Permissions of Unix sockets: who may write may connect").for_unix_sockets(),
        /// The owner of socket files; `None` means this process's user and group.
        pub unix_owner: Option<UnixOwner> = None => option("unix-owner", "USER[:GROUP]", Owner,
            "Owner of Unix sockets").for_unix_sockets().derived("this process's user and group"),
        /// The users whose processes may connect to Unix sockets; `None` means all whom the permissions let.
        pub unix_peers: Option<UnixUsers> = None => option("unix-peers", "USER,...", Users,
            "Users whose processes are served on Unix sockets").for_unix_sockets().derived("all whom the permissions let"),
        /// Whether the server may listen beside another process of this user, and take over a Unix socket from one. Its
        /// own shards always share the address.
        pub shares_port: bool = false => switch("reuse-port",
            "Whether to start beside another server of this user on the same address, and share its new connections; a Unix socket's all come here").for_listeners(),
        /// The paths of MCP, undecoded, each without a trailing slash unless it is the root; there is at least one, and
        /// none is there twice.
        pub paths: Vec<String> = vec!["/mcp".to_owned()] => option("path", "PATH", UrlPath,
            "A path to serve MCP on, with and without a slash behind it; each program that is served has /servers/NAME/mcp besides").for_listeners().repeatable(),
        /// Whether `/healthz` and `/readyz` are served on this address too.
        pub has_health: bool = false => switch("health",
            "Whether /healthz and /readyz are served on the MCP address too, under any host name").for_listeners(),
        /// The separate listener for health and metrics.
        pub admin: AdminSettings = AdminSettings::DEFAULT => option("admin", "ADDR|off", AddressOrOff,
            "Address to serve /healthz, /readyz and /metrics on").derived("127.0.0.1:9464, off with stdio"),
    }
}
