//! WebSockets that echo every message, for test suites that judge the framing. `scripts/websocket_suite.sh` runs one.
//!
//! `cargo run --example websocket_echo [ADDRESS]`
//!
//! The WebSockets do not carry MCP, which is only on HTTP here; everything below a message is the same as in `weir
//! serve`.

use weir::{Registry, Server};

/// The largest message of the suites.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".to_owned());
    Server::builder("websocket-echo", "1.0.0")
        .listen(address.parse()?)
        .shards(1)
        .configure(|options| options.http.body_bytes_max = MESSAGE_BYTES_MAX)
        .websocket_echo()
        .serve_until_signal(Registry::builder().build(), |server| {
            println!("serving on {}", server.url())
        })?;
    Ok(())
}
