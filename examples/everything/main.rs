//! A server with one of everything: the official conformance suite asks for its fixtures, and clients can be tried with
//! it.
//!
//! `cargo run --example everything -- --listen 127.0.0.1:8080`, or for one client that starts it
//! `everything --option transport=stdio`
//!
//! Each file is one feature; the suite prescribes the fixtures and their texts. `scripts/conformance.sh` runs the
//! suite.

mod asking;
mod changes;
mod content;
mod media;
mod prompts;
mod resources;
mod rounds;
mod schemas;
mod tasks;
mod telling;

use std::net::SocketAddr;

use clap::Parser;
use weir::{Registry, RegistryError, Server};

/// A server with one of everything.
#[derive(Parser)]
struct Arguments {
    /// Where to listen, 127.0.0.1:8080 if not given; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Any option of `weir serve`, such as `pool-size=8`. Repeatable.
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = split_option)]
    options: Vec<(String, String)>,
}

/// Name and value on either side of the first `=`.
fn split_option(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is wanted")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let mut builder = Server::builder("everything", env!("CARGO_PKG_VERSION"))
        .title("One of everything")
        .instructions(
            "Every tool, resource and prompt here is for trying clients; none touches the world outside.",
        );
    if let Some(address) = arguments.listen {
        builder = builder.listen(address);
    }
    for (name, value) in arguments.options {
        let mut set = Ok(());
        builder = builder.configure(|options| set = options.set_text(&name, &value));
        set?;
    }
    builder.serve_until_signal(registry()?, |server| {
        // A client that started it for stdio knows already.
        if server.url().starts_with("http") {
            println!("serving on {}", server.url());
        }
    })?;
    Ok(())
}

fn registry() -> Result<Registry, RegistryError> {
    let mut registry = Registry::builder();
    // The suite calls the tool that is listed first without arguments, which this one accepts.
    content::register(&mut registry)?;
    telling::register(&mut registry)?;
    asking::register(&mut registry)?;
    rounds::register(&mut registry)?;
    tasks::register(&mut registry)?;
    schemas::register(&mut registry)?;
    changes::register(&mut registry)?;
    resources::register(&mut registry)?;
    prompts::register(&mut registry)?;
    Ok(registry.build())
}
