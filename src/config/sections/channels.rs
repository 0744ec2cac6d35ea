//! Connections that carry messages both ways.

use std::time::Duration;

use crate::config::kind::Kind::Count;
use crate::config::kind::{DEADLINE, HANDLERS_MAX};
use crate::config::section::section;
use crate::config::spec::{option, switch};

section! {
    /// Connections that carry messages both ways: WebSockets, stdin and stdout, event streams of HTTP+SSE (2024-11-05).
    #[derive(Copy, Eq)]
    pub struct ChannelSettings {
        /// Whether WebSockets are served.
        pub websocket: bool = true => switch("websocket",
            "Whether a GET of an MCP path may become a WebSocket").for_listeners(),
        /// Silence after which a WebSocket is closed; a ping goes out at half of it.
        pub websocket_timeout: Duration = Duration::from_secs(60) => option("websocket-timeout", "TIME", DEADLINE,
            "Silence after which a WebSocket is closed; a ping goes out at half of it").for_listeners(),
        /// Messages of one connection that are not answered yet, subscriptions included.
        pub in_flight_max: u32 = 64 => option("in-flight-per-connection", "N", Count { min: 1, max: HANDLERS_MAX },
            "Calls at once, waiting ones included, of a WebSocket or of stdin"),
        /// Whether HTTP+SSE is served.
        pub sse_legacy: bool = false => switch("sse-legacy",
            "Whether clients of HTTP+SSE (2024-11-05) are served, on /sse and /messages").for_listeners(),
    }
}
