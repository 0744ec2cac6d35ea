//! What tools own that are removed, and sources that nobody reads on: dropping them is the author's code, and may panic
//! or take as long as it likes. No shard waits for it.

use std::io::Read;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::test_client::{Caller, PATIENCE, read_until};
use super::*;
use crate::registry::{
    BlockingContext, CallContext, NoArguments, Registry, RegistryBuilder, RegistryError, Resource,
    ServerHandle, StreamedText, Tool, ToolError, Toolset,
};

/// Says on which thread it is dropped, and waits there until nobody holds the other end any more; then it may panic.
struct Held {
    begun: Sender<String>,
    hold: Receiver<()>,
    panics: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        let name = thread::current().name().unwrap_or_default().to_owned();
        let _ = self.begun.send(name);
        let _ = self.hold.recv_timeout(PATIENCE);
        // What is dropped while another panic unwinds must not panic.
        assert!(
            !self.panics || thread::panicking(),
            "a value that is dropped badly"
        );
    }
}

/// The test's end of what is dropped.
struct Seen {
    begun: Receiver<String>,
    hold: Sender<()>,
}

impl Seen {
    /// The thread on which it is dropped, as soon as that has begun.
    fn thread(&self) -> String {
        self.begun.recv_timeout(PATIENCE).expect("it is dropped")
    }
}

fn held(panics: bool) -> (Held, Seen) {
    let (begun, seen) = channel();
    let (keep, hold) = channel();
    let held = Held { begun, hold, panics };
    let seen = Seen {
        begun: seen,
        hold: keep,
    };
    (held, seen)
}

/// A value that functions of all threads can own: only its drop matters.
#[allow(clippy::disallowed_types, reason = "a receiver is not `Sync`")]
struct Owned(std::sync::Mutex<Held>);

impl Owned {
    fn new(panics: bool) -> (Owned, Seen) {
        let (held, seen) = held(panics);
        (Owned(held.into()), seen)
    }

    fn touch(&self) -> &'static str {
        let _ = &self.0;
        "owned"
    }
}

impl Owned {
    async fn borrows(&self, _: CallContext) -> Result<&'static str, ToolError> {
        Ok(self.touch())
    }
}

impl Toolset for Owned {
    fn register(&self, registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
        registry.add(Tool::new("borrows").run(Owned::borrows))?;
        Ok(())
    }
}

fn start(registry: Registry) -> Server {
    Server::builder("test", "1")
        .listen(([127, 0, 0, 1], 0).into())
        .shards(1)
        .configure(|options| {
            options.machine.pool_size = Some(8);
            // A drop that waits has one of them to itself.
            options.workers.threads = Some(8);
        })
        .start(registry)
        .unwrap()
}

/// A registry with one tool that stays.
fn registry() -> RegistryBuilder {
    let mut registry = Registry::builder();
    let stay = Tool::new("stay").run(|_: CallContext, _: NoArguments| async { Ok("it serves") });
    registry.add(stay).unwrap();
    registry
}

/// Removes a tool, and lets the only shard notice. It answers whatever the drop does.
fn remove(server: &Server, name: &str) {
    let mut caller = Caller::new(server);
    caller.answer("stay", "it serves");
    assert!(edit_out(server.handle(), name));
    for _ in 0..3 {
        caller.answer("stay", "it serves");
    }
    assert!(!server.is_broken(), "{name}");
}

fn edit_out(handle: &ServerHandle, name: &str) -> bool {
    let mut is_removed = false;
    let edited = handle.edit_registry(|registry| {
        is_removed = registry.remove_tool(name) || registry.remove_resource(name);
        Ok(())
    });
    edited.unwrap();
    is_removed
}

/// Removes what owns a value from a server that serves it, for a value that only takes its time, and one that panics.
fn check(name: &str, add: impl Fn(&mut RegistryBuilder, Owned)) {
    for panics in [false, true] {
        let (owned, seen) = Owned::new(panics);
        let mut registry = registry();
        add(&mut registry, owned);
        let server = start(registry.build());
        if !name.contains(':') {
            Caller::new(&server).answer(name, "owned");
        }
        remove(&server, name);
        let thread = seen.thread();
        assert!(thread.starts_with("weir-worker"), "{name}: {thread}");
        // It is still being dropped.
        Caller::new(&server).answer("stay", "it serves");
        drop(seen.hold);
        let drained = server.drain(PATIENCE, |_| false);
        assert!(drained.is_clean, "{name}");
    }
}

#[test]
fn no_shard_drops_what_a_removed_function_owns() {
    check("on_shard", |registry, owned| {
        let tool = Tool::new("on_shard");
        let tool = tool.run(move |_: CallContext, _: NoArguments| {
            let said = owned.touch();
            async move { Ok(said) }
        });
        registry.add(tool).unwrap();
    });
    check("blocking", |registry, owned| {
        let tool = Tool::new("blocking");
        let tool = tool.run_blocking(move |_: &BlockingContext, _: NoArguments| Ok(owned.touch()));
        registry.add(tool).unwrap();
    });
    check("test://read", |registry, owned| {
        let resource = Resource::new("test://read", "read");
        let resource = resource.read(move |_: CallContext| {
            let said = owned.touch();
            async move { Ok(said) }
        });
        registry.add(resource).unwrap();
    });
    check("test://watched", |registry, owned| {
        let resource = Resource::new("test://watched", "watched");
        let resource = resource.watch(move |_, _| Ok(Box::new(owned.touch())));
        let resource = resource.read(|_: CallContext| async { Ok("") });
        registry.add(resource).unwrap();
    });
}

#[cfg(feature = "tokio")]
#[test]
fn no_shard_drops_what_a_removed_function_owns_that_tokio_ran() {
    check("on_tokio", |registry, owned| {
        let tool = Tool::new("on_tokio");
        let tool = tool.run_tokio(move |_: CallContext, _: NoArguments| {
            let said = owned.touch();
            async move { Ok(said) }
        });
        registry.add(tool).unwrap();
    });
}

#[test]
fn no_shard_drops_the_state_that_a_removed_function_borrowed() {
    check("borrows", |registry, owned| {
        registry.add(owned).unwrap();
    });
}

/// An endless source that is dropped like this.
struct Endless(Held);

impl Read for Endless {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let _ = &self.0;
        into.fill(b'x');
        Ok(into.len())
    }
}

#[test]
fn no_shard_drops_the_source_of_an_answer_that_nobody_reads() {
    for panics in [false, true] {
        let (held, seen) = held(panics);
        #[allow(clippy::disallowed_types, reason = "the one call takes the one source")]
        let source = std::sync::Mutex::new(Some(held));
        let mut registry = registry();
        let endless = Tool::new("endless").run(move |_: CallContext, _: NoArguments| {
            let held = source.lock().unwrap().take();
            async move {
                let held = held.ok_or_else(|| ToolError::message("it is asked once"))?;
                Ok(StreamedText::from_reader(Endless(held)))
            }
        });
        registry.add(endless).unwrap();
        let server = start(registry.build());
        let mut reader = Caller::new(&server);
        reader.begin("endless");
        read_until(&mut reader.0, "", "xxxx");
        // Until the sockets are full, workers have the source again and again; then only the shard holds it.
        let mut before = String::new();
        loop {
            thread::sleep(std::time::Duration::from_millis(50));
            let now = sent_bytes(&server.metrics());
            if now == before {
                break;
            }
            before = now;
        }
        drop(reader);
        let thread = seen.thread();
        assert!(thread.starts_with("weir-worker"), "{thread}");
        Caller::new(&server).answer("stay", "it serves");
        drop(seen.hold);
        assert!(server.drain(PATIENCE, |_| false).is_clean);
    }
}

/// What the metrics say was sent.
fn sent_bytes(metrics: &str) -> String {
    let lines = metrics.lines().filter(|line| line.contains("sent_bytes"));
    lines.collect::<Vec<_>>().join("\n")
}
