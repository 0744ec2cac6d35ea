//! The smallest server: one tool, served until SIGTERM or Ctrl-C; and its test.
//!
//! `cargo run --example hello [ADDRESS]`

use schemars::JsonSchema;
use serde::Deserialize;
use weir::{CallContext, Registry, RegistryError, Server, Tool};

#[derive(Deserialize, JsonSchema)]
struct Hello {
    /// Who is greeted.
    name: String,
}

fn registry() -> Result<Registry, RegistryError> {
    let mut registry = Registry::builder();
    registry.add(
        Tool::new("hello")
            .description("Greets somebody.")
            .run(|_: CallContext, args: Hello| async move { Ok(format!("Hello, {}!", args.name)) }),
    )?;
    Ok(registry.build())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".to_owned());
    Server::builder("hello", "1.0.0")
        .listen(address.parse()?)
        .serve_until_signal(registry()?, |server| println!("serving on {}", server.url()))?;
    Ok(())
}

#[test]
fn greets() {
    let mut client = weir::testing::Client::new(registry().unwrap());
    let answer = client.call("hello", serde_json::json!({"name": "Ada"}));
    assert_eq!(answer.text(), "Hello, Ada!");
}
