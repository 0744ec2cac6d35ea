//! The one way into a shard from other threads: a bounded lock-free queue and one wake-up.
//!
//! The wake-up is written only when the shard may be asleep on an empty queue, so a burst of mail costs one
//! system call. A shard's mailbox is sized for everything that can be owed to it at once, so a full mailbox
//! is a moment's wait for the sender and never a loss.
//!
//! Invariant: after every `post` either the shard has been woken since, or it has yet to look.

use std::sync::Arc;

use crate::pool::Word;
use crate::session::live::Ears;

use super::medium::{Letters, Medium, Memory};

/// What wakes a sleeping shard: a write to the descriptor its ring reads.
pub trait Wake: Send + Sync + 'static {
    /// Makes the shard look into its mailbox soon.
    fn wake(&self);
}

struct Shared<M, X: Medium> {
    queue: X::Letters<M>,
    /// Whoever posts next need not wake the shard.
    is_announced: X::Word,
    wake: Box<dyn Wake>,
}

/// The posting end; any thread, any number.
pub struct Mailbox<M, X: Medium = Memory>(Arc<Shared<M, X>>);

impl<M, X: Medium> Clone for Mailbox<M, X> {
    fn clone(&self) -> Self {
        Mailbox(Arc::clone(&self.0))
    }
}

impl<M, X: Medium> std::fmt::Debug for Mailbox<M, X> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

impl<M, X: Medium> Mailbox<M, X> {
    /// A mailbox for `capacity` letters.
    pub fn new(capacity: usize, wake: Box<dyn Wake>) -> Mailbox<M, X> {
        Mailbox(Arc::new(Shared {
            queue: X::Letters::new(capacity),
            is_announced: X::Word::new(0),
            wake,
        }))
    }

    /// Delivers `letter`; while the mailbox is full, yields to the shard that empties it.
    pub fn post(&self, letter: M) {
        let mut letter = letter;
        while let Err(back) = self.0.queue.push(letter) {
            letter = back;
            self.0.wake.wake();
            X::give_way();
        }
        if self.0.is_announced.swap(1) == 0 {
            self.0.wake.wake();
        }
    }

    /// The oldest letter. The shard calls [`Mailbox::begin`] once before a run of these.
    pub fn take(&self) -> Option<M> {
        self.0.queue.pop()
    }

    /// Whether a letter is there.
    pub fn has_mail(&self) -> bool {
        !self.0.queue.is_empty()
    }

    /// Tells posters that whatever they post from now on needs a new wake-up. Comes before the emptying: a
    /// letter posted in between is either taken or announced again.
    pub fn begin(&self) {
        self.0.is_announced.swap(0);
    }

    /// Wakes the shard though there is no mail.
    pub fn nudge(&self) {
        self.0.wake.wake();
    }
}

impl<M: Send + 'static> Wake for Mailbox<M> {
    fn wake(&self) {
        self.nudge();
    }
}

/// Letters of the live store wake the shard as its mail does.
impl<M: Send + 'static> Ears for Mailbox<M> {
    fn wake(&self) {
        self.nudge();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    struct Signal(mpsc::Sender<()>);

    impl Wake for Signal {
        fn wake(&self) {
            let _ = self.0.send(());
        }
    }

    #[test]
    fn a_burst_wakes_once_and_the_next_burst_again() {
        let (signal, woken) = mpsc::channel();
        let mailbox: Mailbox<_> = Mailbox::new(8, Box::new(Signal(signal)));
        (0..5).for_each(|n| mailbox.post(n));
        assert_eq!(woken.try_iter().count(), 1);
        mailbox.begin();
        assert_eq!(
            std::iter::from_fn(|| mailbox.take()).collect::<Vec<_>>(),
            [0, 1, 2, 3, 4]
        );
        mailbox.post(5);
        assert_eq!(woken.try_iter().count(), 1);
    }

    #[test]
    fn nothing_is_lost_between_threads_through_a_small_mailbox() {
        let (signal, woken) = mpsc::channel();
        let mailbox: Mailbox<_> = Mailbox::new(4, Box::new(Signal(signal)));
        let posters: Vec<_> = (0..4)
            .map(|poster| {
                let mailbox = mailbox.clone();
                std::thread::spawn(move || (0..1000).for_each(|n| mailbox.post(poster * 1000 + n)))
            })
            .collect();
        let mut seen = Vec::new();
        while seen.len() < 4000 {
            woken.recv().unwrap();
            mailbox.begin();
            seen.extend(std::iter::from_fn(|| mailbox.take()));
        }
        posters.into_iter().for_each(|poster| poster.join().unwrap());
        seen.sort_unstable();
        assert_eq!(seen, (0..4000).collect::<Vec<_>>());
    }
}
