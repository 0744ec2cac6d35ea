//! What the server of a test logs, on stderr, which a failing test shows: why a client read "internal error", say.
//!
//! Only warnings and errors, and only where the program has no subscriber of its own. The hook for panics that the
//! program has stays; behind it, the facts are kept for the record of the call.

use std::fmt::{self, Debug, Write};
use std::panic;
use std::sync::Once;

use tracing::dispatcher::{self, DefaultGuard};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use crate::registry::note_panic;

/// Shows what this thread logs until the guard is dropped.
pub(super) fn show() -> Option<DefaultGuard> {
    static HOOK: Once = Once::new();
    HOOK.call_once(keep_facts_of_panics);
    let is_free = dispatcher::get_default(Dispatch::is::<NoSubscriber>);
    is_free.then(|| dispatcher::set_default(&Dispatch::new(Shown)))
}

/// Lets records of panics say where and why, and what to change.
fn keep_facts_of_panics() {
    let others = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        others(info);
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        let reason = info.payload_as_str().unwrap_or("no text");
        // Nobody else has to log it: the hook from before has said it all.
        let _ = note_panic(&location, reason);
    }));
}

struct Shown;

impl Subscriber for Shown {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        eprintln!("{}", line.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// An event as text: its level, its message and its fields.
struct Line(String);

impl Line {
    fn push(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let written = match field.name() {
            "message" => write!(self.0, " {value}"),
            name => write!(self.0, " {name}={value}"),
        };
        debug_assert!(written.is_ok(), "a value of {field} cannot be written");
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.push(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{note_panics_here, take_last_panic};

    #[test]
    fn a_panic_is_kept_for_the_record_of_its_call() {
        let panicking = || {
            let _guard = show();
            note_panics_here();
            let caught = panic::catch_unwind(|| panic!("lost {}", 7));
            assert!(caught.is_err());
            take_last_panic()
        };
        let facts = std::thread::spawn(panicking).join().unwrap().unwrap();
        assert_eq!(facts.reason, "lost 7");
        assert!(
            facts.location.contains("src/server/stepped/log.rs:"),
            "{}",
            facts.location
        );
    }

    #[test]
    fn a_thread_shows_warnings_until_it_is_done() {
        let guard = show();
        assert!(
            guard.is_some(),
            "another test has set a subscriber for all threads"
        );
        assert!(tracing::enabled!(Level::WARN));
        assert!(!tracing::enabled!(Level::INFO));
        assert!(show().is_none(), "this thread has a subscriber");
        drop(guard);
        assert!(!tracing::enabled!(Level::WARN));
    }
}
