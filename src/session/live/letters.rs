//! What other threads leave for a shard: readiness of its streams, answers to its calls' questions, cancellations.
//!
//! Leaving a letter never blocks beyond a push under a lock, and wakes the shard only if there was none. The pile
//! is bounded by what there is to tell: one `Ready` per stream until the shard has looked, one `Answer` per
//! question asked, one `Displaced` per reconnection, as many `Message`s as their channels may have waiting, and
//! cancellations, which are best effort, up to a cap.
//!
//! Invariant: a pile that has letters was announced by [`Ears::wake`] since the shard last emptied it.
#![allow(
    clippy::disallowed_types,
    reason = "any thread leaves letters; the lock is held for a push or a swap"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::Value;

use super::postboxes::Delivery;
use super::stream::StreamPlace;
use crate::jsonrpc::RequestId;
use crate::mcp::SessionToken;
use crate::registry::AnswerError;
use crate::ring::ConnectionKey;

/// Cancellations a shard may leave unread; further ones are dropped, as `notifications/cancelled` is a hint.
const CANCELS_MAX: usize = 1024;
/// Letters a pile keeps room for; a broadcast needs more for a moment.
const KEPT_LETTERS_MAX: usize = 1024;

/// What another thread tells a shard.
#[derive(Debug)]
pub enum Letter {
    /// The stream attached to this connection has something to take.
    Ready(ConnectionKey),
    /// The stream attached to this connection was attached to another one; this one is to be closed.
    Displaced(ConnectionKey),
    /// A client cancels a request of its own; told to every shard.
    Cancel {
        /// The client's session.
        session: SessionToken,
        /// The request's id.
        request: RequestId,
    },
    /// A task of this shard was cancelled by its client, or its time is over.
    CancelTask(ConnectionKey),
    /// A client answered a question of a task.
    TaskAnswer {
        /// The shard's entry for the task.
        connection: ConnectionKey,
        /// The question's number within the call.
        number: u32,
        /// What it said.
        answer: Result<Value, AnswerError>,
    },
    /// A client answered a question.
    Answer {
        /// The call that asked, in the shard's own numbering.
        call: u64,
        /// The question's number within the call.
        number: u32,
        /// What it said.
        answer: Result<Value, AnswerError>,
    },
    /// A message for the channel on this connection.
    Message {
        /// The channel's.
        connection: ConnectionKey,
        /// The message, counted as waiting until it is dropped.
        delivery: Delivery,
    },
}

/// How a shard is told that there are letters.
pub trait Ears: Send + Sync {
    /// Makes the shard take its letters soon. Called by any thread; must not block.
    fn wake(&self);
}

/// One pile per shard.
pub(super) struct Letters(Box<[Pile]>);

#[derive(Default)]
struct Pile {
    letters: Mutex<Unread>,
    /// Spares a shard without letters the lock.
    has_some: AtomicBool,
    ears: OnceLock<Box<dyn Ears>>,
}

#[derive(Default)]
struct Unread {
    letters: Vec<Letter>,
    cancels: usize,
}

impl Letters {
    pub(super) fn new(shards: usize) -> Self {
        Self((0..shards).map(|_| Pile::default()).collect())
    }

    /// The shard listens from now on. Only its first ears count.
    pub(super) fn join(&self, shard: u16, ears: Box<dyn Ears>) {
        let Some(pile) = self.0.get(usize::from(shard)) else {
            return;
        };
        let _ = pile.ears.set(ears);
        // Whoever locks the pile after this sees the ears; whoever did before left something to see here.
        let is_late = !pile.lock().letters.is_empty();
        if is_late {
            pile.wake();
        }
    }

    pub(super) fn leave(&self, shard: u16, letter: Letter) {
        self.leave_all(shard, std::iter::once(letter));
    }

    /// Leaves several at the price of one lock and at most one wake-up.
    pub(super) fn leave_all(&self, shard: u16, letters: impl Iterator<Item = Letter>) {
        if let Some(pile) = self.0.get(usize::from(shard)) {
            pile.leave(letters);
        }
    }

    pub(super) fn cancel(&self, session: SessionToken, request: &RequestId) {
        for pile in &self.0 {
            let request = request.clone();
            pile.leave(std::iter::once(Letter::Cancel { session, request }));
        }
    }

    /// Appends the shard's letters, oldest first.
    pub(super) fn take(&self, shard: u16, into: &mut Vec<Letter>) {
        let Some(pile) = self.0.get(usize::from(shard)) else {
            return;
        };
        if pile.has_some.load(Ordering::SeqCst) {
            let mut unread = pile.lock();
            pile.has_some.store(false, Ordering::SeqCst);
            unread.cancels = 0;
            into.append(&mut unread.letters);
            unread.letters.shrink_to(KEPT_LETTERS_MAX);
        }
    }

    pub(super) fn ready(&self, place: StreamPlace) {
        self.leave(place.shard, Letter::Ready(place.connection));
    }
}

impl Pile {
    fn leave(&self, letters: impl Iterator<Item = Letter>) {
        let mut unread = self.lock();
        let was_empty = unread.letters.is_empty();
        for letter in letters {
            unread.push(letter);
        }
        let is_news = was_empty && !unread.letters.is_empty();
        if is_news {
            self.has_some.store(true, Ordering::SeqCst);
        }
        drop(unread);
        if is_news {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(ears) = self.ears.get() {
            ears.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Unread> {
        // Nothing that runs under the lock leaves a pile half changed.
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unread {
    fn push(&mut self, letter: Letter) {
        if matches!(letter, Letter::Cancel { .. }) {
            if self.cancels >= CANCELS_MAX {
                return;
            }
            self.cancels += 1;
        }
        self.letters.push(letter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::Id;
    use std::sync::Arc;
    use std::sync::mpsc;

    struct Signal(mpsc::Sender<()>);

    impl Ears for Signal {
        fn wake(&self) {
            let _ = self.0.send(());
        }
    }

    fn key(slot: u32) -> ConnectionKey {
        ConnectionKey { slot, generation: 0 }
    }

    fn slots(letters: &[Letter]) -> Vec<u32> {
        let slot = |letter: &Letter| match letter {
            Letter::Ready(key) => key.slot,
            other => panic!("{other:?}"),
        };
        letters.iter().map(slot).collect()
    }

    #[test]
    fn a_burst_wakes_once_and_the_next_burst_again() {
        let (letters, (signal, woken)) = (Letters::new(2), mpsc::channel());
        letters.join(1, Box::new(Signal(signal)));
        (0..5).for_each(|slot| letters.leave(1, Letter::Ready(key(slot))));
        letters.leave(0, Letter::Ready(key(9)));
        letters.leave(2, Letter::Ready(key(9)));
        assert_eq!(woken.try_iter().count(), 1);
        let mut taken = Vec::new();
        letters.take(1, &mut taken);
        letters.take(1, &mut taken);
        assert_eq!(slots(&taken), [0, 1, 2, 3, 4]);
        letters.leave_all(1, [6, 7].map(|slot| Letter::Ready(key(slot))).into_iter());
        assert_eq!(woken.try_iter().count(), 1);
    }

    #[test]
    fn letters_left_before_the_shard_listens_wake_it_when_it_does() {
        let (letters, (signal, woken)) = (Letters::new(1), mpsc::channel());
        letters.leave(0, Letter::Ready(key(1)));
        letters.join(0, Box::new(Signal(signal)));
        assert_eq!(woken.try_iter().count(), 1);
    }

    #[test]
    fn cancellations_reach_every_shard_up_to_the_cap() {
        let letters = Letters::new(2);
        let (session, mut taken) = (SessionToken([1; 16]), Vec::new());
        for number in 0..CANCELS_MAX as i64 + 5 {
            letters.cancel(session, &Id::Signed(number).into());
        }
        letters.leave(0, Letter::Ready(key(1)));
        letters.take(0, &mut taken);
        assert_eq!(taken.len(), CANCELS_MAX + 1);
        letters.take(1, &mut taken);
        assert_eq!(taken.len(), 2 * CANCELS_MAX + 1);
        letters.cancel(session, &Id::Signed(0).into());
        letters.take(1, &mut taken);
        assert_eq!(taken.len(), 2 * CANCELS_MAX + 2);
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        let (letters, (signal, woken)) = (Arc::new(Letters::new(1)), mpsc::channel());
        letters.join(0, Box::new(Signal(signal)));
        let threads: Vec<_> = (0..4_u32)
            .map(|thread| {
                let letters = Arc::clone(&letters);
                let leave = move |n: u32| letters.leave(0, Letter::Ready(key(thread * 1000 + n)));
                std::thread::spawn(move || (0..1000_u32).for_each(leave))
            })
            .collect();
        let mut taken = Vec::new();
        while taken.len() < 4000 {
            woken.recv().unwrap();
            letters.take(0, &mut taken);
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let mut slots = slots(&taken);
        for thread in 0..4 {
            let own = slots.iter().filter(|slot| **slot / 1000 == thread);
            assert!(own.is_sorted(), "thread {thread}");
        }
        slots.sort_unstable();
        assert!(slots.into_iter().eq(0..4000));
    }
}
