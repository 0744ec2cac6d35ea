//! The smallest server: one tool, served until SIGTERM or Ctrl-C.
//!
//! `cargo run --example hello [ADDRESS]`

use schemars::JsonSchema;
use serde::Deserialize;
use weir::{CallContext, Registry, Server, Tool};

#[derive(Deserialize, JsonSchema)]
struct Hello {
    /// Who is greeted.
    name: String,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".to_owned());
    let mut registry = Registry::builder();
    registry.add(
        Tool::new("hello")
            .description("Greets somebody.")
            .run(|_: CallContext, args: Hello| async move { Ok(format!("Hello, {}!", args.name)) }),
    )?;
    Server::builder("hello", "1.0.0")
        .listen(address.parse()?)
        .serve_until_signal(registry.build(), |server| println!("serving on {}", server.url()))?;
    Ok(())
}
