//! The location and message of a panic, kept for the code that catches it.
//!
//! The panic hook knows where and why, and the code that catches the panic knows which call it was: the hook leaves its
//! knowledge on the thread. Only threads that ask for it keep it. It costs nothing until something panics.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Where and why code panicked. It is for the log: the text is the tool author's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PanicFacts {
    /// File, line and column.
    pub location: String,
    /// The message.
    pub reason: String,
}

impl PanicFacts {
    /// What the author of the tool should change, if the panic shows it.
    pub fn advice(&self) -> Option<&'static str> {
        // What tokio, and what is built on it, says on a thread that is none of its own.
        let needs_tokio = ["there is no reactor running", "context of a Tokio"];
        let is_known = needs_tokio.iter().any(|part| self.reason.contains(part));
        is_known
            .then_some("this function needs a tokio runtime: register it with `run_tokio` instead of `run`")
    }
}

/// What happens to the facts of a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// The code that catches the panic logs them.
    ForCatcher,
    /// Nobody else will log them.
    Nowhere,
}

thread_local! {
    static IS_CAUGHT_HERE: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<Option<PanicFacts>> = const { RefCell::new(None) };
}

/// From now on the panics of this thread's calls are caught; the code that catches them logs them, with
/// [`take_last_panic`].
pub fn note_panics_here() {
    IS_CAUGHT_HERE.set(true);
}

/// For a panic hook: keeps the facts of a panic where the code that catches it looks for them.
pub fn note_panic(location: &str, reason: &str) -> Noted {
    if !IS_CAUGHT_HERE.get() {
        return Noted::Nowhere;
    }
    let facts = PanicFacts {
        location: location.to_owned(),
        reason: reason.to_owned(),
    };
    LAST.with(|last| match last.try_borrow_mut() {
        Ok(mut last) => {
            *last = Some(facts);
            Noted::ForCatcher
        }
        Err(_) => Noted::Nowhere,
    })
}

/// Keeps the facts of a panic on another thread as if it had been on this one.
#[cfg(feature = "tokio")]
pub(super) fn keep_panic(facts: PanicFacts) {
    LAST.set(Some(facts));
}

/// Takes the facts of this thread's last panic, if the hook kept them.
pub fn take_last_panic() -> Option<PanicFacts> {
    LAST.take()
}

/// Logs the last panic of this thread, which belongs to no call.
pub fn log_caught_panic(what: &str) {
    match take_last_panic() {
        Some(PanicFacts { location, reason }) => tracing::error!(location, reason, "panic: {what}"),
        // The hook of an embedding program knows better where its panics are reported.
        None => tracing::error!("panic: {what}"),
    }
}

/// The code that was run panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Panicked;

/// Runs tool code. The panic's message is dropped: the panic hook has already logged it, and the client must not read
/// it.
pub(super) fn catch<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    // This is unwind safe: after a panic the call's state is dropped and never polled again. Tools have to protect what
    // they share across calls themselves, as with threads.
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        // The payload is tool code's too, and may panic once more when it is dropped.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
        Panicked
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_that_lacks_tokio_is_told_so() {
        let advice = |reason: &str| {
            let (location, reason) = (String::new(), reason.to_owned());
            PanicFacts { location, reason }.advice()
        };
        // It needs a runtime, and here is none.
        let panicked = std::panic::catch_unwind(|| tokio::time::sleep(std::time::Duration::ZERO));
        let said = *panicked.unwrap_err().downcast::<String>().unwrap();
        assert!(advice(&said).unwrap().contains("run_tokio"), "{said}");
        assert_eq!(advice("index out of bounds: the len is 0"), None);
    }

    #[test]
    fn only_a_thread_that_says_so_keeps_the_last_panic() {
        assert_eq!(note_panic("a.rs:1:1", "lost"), Noted::Nowhere);
        assert_eq!(take_last_panic(), None);
        let kept = std::thread::spawn(|| {
            note_panics_here();
            for reason in ["first", "second"] {
                assert_eq!(note_panic("a.rs:1:1", reason), Noted::ForCatcher);
            }
            (take_last_panic(), take_last_panic())
        });
        let (last, none) = kept.join().unwrap();
        assert_eq!(last.unwrap().reason, "second");
        assert_eq!(none, None);
    }
}
