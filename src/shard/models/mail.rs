//! Mail: whatever is posted is taken, without a wake-up but those that posting gives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::sync::Notify;
use loom::thread;

use super::{Modelled, check, check_bounded};
use crate::shard::{Mailbox, Wake};

/// A descriptor that a shard sleeps on, and how often it was written.
struct Descriptor {
    readable: Notify,
    writes: AtomicUsize,
}

#[derive(Clone)]
struct Writer(Arc<Descriptor>);

impl Wake for Writer {
    fn wake(&self) {
        self.0.writes.fetch_add(1, Ordering::Relaxed);
        self.0.readable.notify();
    }
}

fn mailbox(capacity: usize) -> (Mailbox<u32, Modelled>, Arc<Descriptor>) {
    let descriptor = Arc::new(Descriptor {
        readable: Notify::new(),
        writes: AtomicUsize::new(0),
    });
    let mailbox = Mailbox::new(capacity, Box::new(Writer(Arc::clone(&descriptor))));
    (mailbox, descriptor)
}

fn posters(mailbox: &Mailbox<u32, Modelled>, count: u32) -> Vec<thread::JoinHandle<()>> {
    let poster = |letter| {
        let mailbox = mailbox.clone();
        thread::spawn(move || mailbox.post(letter))
    };
    (0..count).map(poster).collect()
}

/// Sleeps until woken and takes what is there, until all has come; how often it was woken. A letter without a
/// wake-up is a sleep without end, which the checker reports.
fn take_all(mailbox: &Mailbox<u32, Modelled>, descriptor: &Descriptor, count: usize) -> usize {
    let mut letters = Vec::new();
    let mut wakes = 0;
    while letters.len() < count {
        descriptor.readable.wait();
        wakes += 1;
        mailbox.begin();
        letters.extend(std::iter::from_fn(|| mailbox.take()));
    }
    letters.sort_unstable();
    assert!(letters.iter().copied().eq(0..count as u32), "{letters:?}");
    wakes
}

#[test]
fn a_sleeping_shard_gets_every_letter() {
    check_bounded("two posters and a shard that sleeps", Some(3), || {
        let (mailbox, descriptor) = mailbox(2);
        let posters = posters(&mailbox, 2);
        let wakes = take_all(&mailbox, &descriptor, 2);
        posters.into_iter().for_each(|poster| poster.join().unwrap());
        let writes = descriptor.writes.load(Ordering::Relaxed);
        assert!(writes <= wakes + 1, "{writes} writes for {wakes} looks");
    });
}

#[test]
fn a_burst_wakes_once() {
    check("two posters at once", || {
        let (mailbox, descriptor) = mailbox(2);
        let posters = posters(&mailbox, 2);
        posters.into_iter().for_each(|poster| poster.join().unwrap());
        assert_eq!(descriptor.writes.load(Ordering::Relaxed), 1);
        assert_eq!(take_all(&mailbox, &descriptor, 2), 1);
    });
}

#[test]
fn a_full_mailbox_loses_nothing() {
    check_bounded("two posters and room for one letter", Some(3), || {
        let (mailbox, descriptor) = mailbox(1);
        let posters = posters(&mailbox, 2);
        take_all(&mailbox, &descriptor, 2);
        posters.into_iter().for_each(|poster| poster.join().unwrap());
    });
}
