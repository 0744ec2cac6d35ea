//! A server that knows who calls: notes for each tenant, and what it sees of its callers.
//!
//! `cargo run --example tenants [ADDRESS | stdio]`
//!
//! The proxy in front of it writes `X-Tenant` into every request, and lets no client do so. Clients on stdio are their
//! own tenants: whoever started the program may read what it knows.
#![allow(
    clippy::disallowed_types,
    reason = "the notes are locked on workers, not on shards"
)]

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Deserialize;
use weir::{
    BlockingContext, CallContext, Caller, FromClient, NoArguments, Registry, RegistryError, Server, Tool,
    ToolError, Transport,
};

const TENANT: &str = "x-tenant";

#[derive(Deserialize, JsonSchema)]
struct Note {
    /// The note.
    #[schemars(length(max = 1_000))]
    note: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".to_owned());
    let server = Server::builder("tenants", "1.0.0");
    let server = match address.as_str() {
        "stdio" => server.stdio(),
        address => server.listen(address.parse()?),
    };
    server.serve_until_signal(registry()?, |server| {
        if address != "stdio" {
            println!("serving on {}", server.url());
        }
    })?;
    Ok(())
}

fn registry() -> Result<Registry, RegistryError> {
    let mut tools = Registry::builder();
    let notes: Mutex<HashMap<String, Vec<String>>> = Mutex::default();
    tools.add(
        Tool::new("note")
            .description("Adds a note, and gives all notes of the tenant.")
            .reads_header(TENANT)
            .run_blocking(move |ctx: &BlockingContext, args: Note| {
                let tenant = tenant(ctx.caller())?;
                let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
                let own = notes.entry(tenant).or_default();
                own.push(args.note);
                Ok(own.join("\n"))
            }),
    )?;
    tools.add(
        Tool::new("who_am_i")
            .description("Says what the server knows of its caller.")
            .read_only()
            .run(|ctx: CallContext, _: NoArguments| async move {
                let caller = ctx.caller();
                let client = caller.client().map(|client| client.unverified().to_string());
                let peer = caller.peer().map(|peer| peer.to_string());
                Ok(format!(
                    "{}, which speaks {} over {:?} from {}",
                    client.unwrap_or("somebody".to_owned()),
                    caller.revision(),
                    caller.transport(),
                    peer.unwrap_or("its own process".to_owned())
                ))
            }),
    )?;
    Ok(tools.build())
}

/// The tenant, as the proxy says. A request that did not come through it is refused.
fn tenant(caller: Caller<'_>) -> Result<String, ToolError> {
    if caller.transport() == Transport::Stdio {
        return Ok("own".to_owned());
    }
    let tenant = caller.header(TENANT)?.map(FromClient::unverified);
    tenant
        .map(str::to_owned)
        .ok_or_else(|| ToolError::message("no tenant"))
}
