//! A server inside a program that has work of its own: a notebook on the terminal, which models can read too.
//!
//! `cargo run --example embed [ADDRESS]`
//!
//! Every line that is typed becomes a note, and clients that subscribed to the notes are notified. `/writable` lets
//! clients add notes as well, `/metrics` shows what the server did so far, and the end of the input (Ctrl-D) ends the
//! program.
#![allow(
    clippy::disallowed_types,
    reason = "the notes are locked on the program's thread and on workers, not on shards"
)]

use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use weir::{BlockingContext, Registry, RegistryError, Resource, Server, ServerHandle, Tool};

const NOTES: &str = "notebook://notes";
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The program's own data; it would be there without a server.
#[derive(Default)]
struct Notebook(Mutex<Vec<String>>);

impl Notebook {
    fn add(&self, note: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }

    /// All notes that contain the text, one a line.
    fn search(&self, text: &str) -> String {
        let notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found: Vec<&str> = notes
            .iter()
            .map(String::as_str)
            .filter(|note| note.contains(text))
            .collect();
        found.join("\n")
    }
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    /// The text that the notes must contain.
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct Add {
    /// The note.
    #[schemars(length(max = 1_000))]
    note: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".to_owned());
    let notebook = Arc::new(Notebook::default());
    let server = Server::builder("notebook", "1.0.0")
        .title("Notebook")
        .instructions("The notes of whoever sits at the terminal.")
        .listen(address.parse()?)
        // The program needs the machine for itself: one core, eight calls at a time.
        .shards(1)
        .pool_size(8)
        .configure(|options| options.workers.threads = Some(1))
        .start(registry(&notebook)?)?;
    println!("serving on {}", server.url());
    for line in io::stdin().lines() {
        match line?.as_str() {
            "/writable" => allow_adding(server.handle(), &notebook)?,
            "/metrics" => show_operations(&server),
            note => {
                notebook.add(note.to_owned());
                server.handle().resource_updated(NOTES);
            }
        }
    }
    let drained = server.drain(DRAIN_TIMEOUT, |_| false);
    println!("{}", drained.report.to_text());
    if drained.is_clean {
        Ok(())
    } else {
        Err("some calls did not end in time".into())
    }
}

/// The tools of clients at the beginning.
fn registry(notebook: &Arc<Notebook>) -> Result<Registry, RegistryError> {
    let mut registry = Registry::builder();
    // A tool is added later: see `allow_adding`.
    registry.tools_list_changed();
    let notes = Arc::clone(notebook);
    registry.add(
        Tool::new("search_notes")
            .description("Finds notes by a text in them.")
            .read_only()
            .run_blocking(move |_: &BlockingContext, args: Search| Ok(notes.search(&args.text))),
    )?;
    let notes = Arc::clone(notebook);
    registry.add(
        Resource::new(NOTES, "notes")
            .description("All notes, one a line.")
            .mime_type("text/plain")
            .read_blocking(move |_: &BlockingContext| Ok(notes.search(""))),
    )?;
    Ok(registry.build())
}

/// Adds a tool while the server runs. Clients are told that the list of tools has changed.
fn allow_adding(server: &ServerHandle, notebook: &Arc<Notebook>) -> Result<(), RegistryError> {
    let notes = Arc::clone(notebook);
    let tool = Tool::new("add_note").description("Adds a note.").run_blocking(
        move |ctx: &BlockingContext, args: Add| {
            notes.add(args.note);
            ctx.server().resource_updated(NOTES);
            Ok("Added.")
        },
    );
    server.edit_registry(|registry| {
        registry.remove_tool("add_note");
        registry.add(tool)?;
        Ok(())
    })?;
    println!("clients may add notes");
    Ok(())
}

/// The same text that a Prometheus server would fetch, read in place.
fn show_operations(server: &Server) {
    let metrics = server.metrics();
    for line in metrics
        .lines()
        .filter(|line| line.starts_with("weir_operations_total"))
    {
        println!("{line}");
    }
}
