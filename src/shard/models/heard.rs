//! Calls heard outside a poll: whatever one of them says is taken, without a wake-up but those that speaking gives.

use std::sync::Arc;

use loom::sync::Notify;
use loom::thread;

use super::{Modelled, check_bounded};
use crate::shard::Wake;
use crate::shard::speaking::Heard;

#[derive(Clone)]
struct Bell(Arc<Notify>);

impl Wake for Bell {
    fn wake(&self) {
        self.0.notify();
    }
}

/// Each speaker is a worker whose call speaks, one call after the other; the shard sleeps until it is woken. Who was
/// noted and is not taken makes it sleep without end, which the checker reports.
fn speak_and_hear(speakers: u64, calls_each: u64) {
    let readable = Arc::new(Notify::new());
    let heard: Arc<Heard<Modelled>> = Arc::new(Heard::new(Box::new(Bell(Arc::clone(&readable)))));
    let threads: Vec<_> = (0..speakers)
        .map(|speaker| {
            let heard = Arc::clone(&heard);
            thread::spawn(move || {
                (0..calls_each).for_each(|call| heard.note(speaker * calls_each + call));
            })
        })
        .collect();
    let mut taken = Vec::new();
    while (taken.len() as u64) < speakers * calls_each {
        readable.wait();
        heard.begin();
        taken.extend(std::iter::from_fn(|| heard.take()));
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    taken.sort_unstable();
    assert!(taken.iter().copied().eq(0..speakers * calls_each), "{taken:?}");
}

#[test]
fn a_sleeping_shard_hears_two_that_speak_at_once() {
    check_bounded("two calls speak, and the shard sleeps", Some(3), || {
        speak_and_hear(2, 1)
    });
}

#[test]
fn a_sleeping_shard_hears_one_that_speaks_while_it_listens() {
    check_bounded("two calls speak one after the other", Some(3), || {
        speak_and_hear(1, 2)
    });
}
