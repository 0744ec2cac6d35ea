//! What the server of a test logs, on stderr, which a failing test shows: why a client read "internal error", say.
//!
//! Only warnings and errors, and only where the program has no subscriber of its own.

use std::fmt::{self, Debug, Write};

use tracing::dispatcher::{self, DefaultGuard};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

/// Shows what this thread logs until the guard is dropped.
pub(super) fn show() -> Option<DefaultGuard> {
    let is_free = dispatcher::get_default(Dispatch::is::<NoSubscriber>);
    is_free.then(|| dispatcher::set_default(&Dispatch::new(Shown)))
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
