//! Resources: text, bytes, a template, and one that changes while somebody watches it.

use std::io::{self, Read};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use weir::{
    CacheScope, Caching, CallContext, CompletionRequest, ReadOutput, RegistryBuilder, RegistryError,
    Resource, ResourceTemplate, StreamedBytes, ToolError, Updates,
};

use crate::media::PNG;
use crate::schemas::State;

/// A resource that changes every three seconds while it has a subscriber.
pub(crate) const WATCHED: &str = "test://watched-resource";
const CHANGE_INTERVAL: Duration = Duration::from_secs(3);

/// Variables of `test://issues/{state}/{number}`, made of texts.
#[derive(Deserialize)]
struct Issue {
    state: State,
    number: u32,
}

/// Variables of `test://template/{id}/data`.
#[derive(Deserialize)]
struct Data {
    id: String,
}

pub(crate) fn register(registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
    registry.add(
        Resource::new("test://static-text", "static-text")
            .title("Static text")
            .description("A text that never changes.")
            .mime_type("text/plain")
            .caching(Caching::new(Duration::from_secs(300), CacheScope::Public))
            .read(|_: CallContext| async { Ok("This is the content of the static text resource.") }),
    )?;
    registry.add(
        Resource::new("test://static-binary", "static-binary")
            .title("Static picture")
            .description("A picture that never changes.")
            .mime_type("image/png")
            .size_bytes(PNG.len() as u64)
            .read(|_: CallContext| async { Ok(ReadOutput::blob(PNG)) }),
    )?;
    registry.add(
        Resource::new("test://streamed-binary", "streamed-binary")
            .title("Streamed bytes")
            .description("A million zeros, which are read while they are sent.")
            .mime_type("application/octet-stream")
            .read(|_: CallContext| async { Ok(StreamedBytes::from_reader(io::repeat(0).take(1_000_000))) }),
    )?;
    registry.add(
        Resource::new(WATCHED, "watched-resource")
            .title("Watched resource")
            .description("Changes every three seconds while it is watched.")
            .mime_type("text/plain")
            .watch(|_, updates| Ok(Box::new(Clockwork::start(updates)?)))
            .read(|_: CallContext| async { Ok("Subscribe to this resource to hear of its changes.") }),
    )?;
    registry.add(
        ResourceTemplate::new("test://issues/{state}/{number}", "issue")
            .title("An issue")
            .description("An issue by its state, `open` or `closed`, and its number.")
            .mime_type("text/plain")
            .read(|_: CallContext, args: Issue| async move {
                let kind = if args.state == State::Open {
                    "open"
                } else {
                    "closed"
                };
                Ok(format!(
                    "The {kind} issue {}, before {}",
                    args.number,
                    args.number + 1
                ))
            }),
    )?;
    registry.add(
        ResourceTemplate::new("test://template/{id}/data", "template-data")
            .title("Data by number")
            .description("Data for any id.")
            .mime_type("application/json")
            .complete("id", |_: CallContext, _: CompletionRequest| async {
                Ok(vec!["1", "2", "123"])
            })
            .read(|_: CallContext, args: Data| async move {
                let data =
                    json!({"id": args.id, "templateTest": true, "data": format!("Data for ID: {}", args.id)});
                Ok(data.to_string())
            }),
    )?;
    Ok(())
}

/// A thread that announces every now and then that a resource has changed, until it is dropped.
struct Clockwork {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Clockwork {
    fn start(updates: Updates) -> Result<Clockwork, ToolError> {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new().spawn(move || {
            while stopped.recv_timeout(CHANGE_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                updates.updated();
            }
        });
        Ok(Clockwork {
            stop: Some(stop),
            thread: Some(thread.map_err(ToolError::internal)?),
        })
    }
}

impl Drop for Clockwork {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // It cannot panic, and if it did there would be nobody to tell.
            let _ = thread.join();
        }
    }
}
