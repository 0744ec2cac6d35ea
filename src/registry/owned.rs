//! Values that are an author's: what functions captured, the states that they borrow, the sources of results.
//!
//! Dropping one is the author's code, which may panic or block, and it happens wherever the last reference goes: when
//! a registry is replaced that is on a shard. A panic there ends nothing else; and a thread that serves others hands
//! the value over to one that does not, as it said when it began.

use std::cell::RefCell;
use std::fmt;
use std::mem::needs_drop;
use std::ops::{Deref, DerefMut};

use super::panics::{catch, log_caught_panic};

/// A value of an author's.
pub(in crate::registry) struct Owned<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Owned<T> {
    pub(in crate::registry) fn new(value: T) -> Self {
        Self(Some(value))
    }
}

impl<T: Send + 'static> Deref for Owned<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match &self.0 {
            Some(value) => value,
            None => unreachable!("only its drop takes it"),
        }
    }
}

impl<T: Send + 'static> DerefMut for Owned<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.0 {
            Some(value) => value,
            None => unreachable!("only its drop takes it"),
        }
    }
}

impl<T: Send + 'static> Drop for Owned<T> {
    fn drop(&mut self) {
        if needs_drop::<T>() {
            discard(self.0.take());
        }
    }
}

/// A value that nobody refers to any more. Dropping this drops it, and catches what panics.
pub struct Discarded(Option<Box<dyn Send>>);

impl Drop for Discarded {
    fn drop(&mut self) {
        let value = self.0.take();
        if catch(|| drop(value)).is_err() {
            log_caught_panic("what a removed function owned, or the source of a result, as it was dropped");
        }
    }
}

impl fmt::Debug for Discarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discarded").finish_non_exhaustive()
    }
}

type HandOver = dyn Fn(Discarded);

thread_local! {
    static HAND_OVER: RefCell<Option<Box<HandOver>>> = const { RefCell::new(None) };
}

/// From now on this thread drops nothing of an author's, but gives it to `hand_over`, which must neither block nor
/// unwind. Other threads drop it where they are.
pub fn discard_by(hand_over: impl Fn(Discarded) + 'static) {
    HAND_OVER.set(Some(Box::new(hand_over)));
}

#[cold]
fn discard<T: Send + 'static>(value: T) {
    let discarded = Discarded(Some(Box::new(value)));
    // At the end of the thread nobody waits for it any more.
    let _ = HAND_OVER.try_with(|hand_over| {
        // It is not borrowed anywhere else: handing over drops nothing of an author's.
        match hand_over.try_borrow().as_deref() {
            Ok(Some(hand_over)) => hand_over(discarded),
            _ => drop(discarded),
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    /// Tells on which thread it is dropped, and panics.
    struct Falling(std::sync::mpsc::Sender<thread::ThreadId>);

    impl Drop for Falling {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().id());
            panic!("a value that is dropped badly");
        }
    }

    #[test]
    fn a_value_that_panics_as_it_is_dropped_ends_nothing_else() {
        let (dropped, seen) = channel();
        drop(Owned::new(Falling(dropped)));
        assert_eq!(seen.recv(), Ok(thread::current().id()));
    }

    #[test]
    fn a_thread_that_hands_over_drops_nothing_itself() {
        let (dropped, seen) = channel();
        let (hand, handed) = channel();
        let serving = thread::spawn(move || {
            discard_by(move |discarded| hand.send(discarded).unwrap());
            drop(Owned::new(Falling(dropped)));
            // What needs no drop is not handed over.
            drop(Owned::new(1));
        });
        serving.join().unwrap();
        assert_eq!(handed.try_iter().count(), 1);
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), [thread::current().id()]);
    }
}
