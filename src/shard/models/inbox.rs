//! The inbox: whatever anybody posts is taken, without a wake-up but those that posting gives.
//!
//! The producers are the code that runs: a worker's post, a peer's, the connection cap, the live store's way in, and
//! the listener of calls that speak outside a poll. The shard is the checker's: it sleeps until it is woken, and sleeps
//! without end if an event has no wake-up, which the checker reports as a deadlock. That it does so is shown by models
//! in which two steps are swapped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use loom::sync::Notify;
use loom::thread;

use super::{LoomSync, check, check_bounded};
use crate::config::QueueOptions;
use crate::pool::HandlerKey;
use crate::registry::{LinkListener, ToolError};
use crate::ring::ConnectionKey;
use crate::session::live::{LiveEvent, ShardInbox};
use crate::shard::Moved;
use crate::shard::acceptor::{ConnectionCap, ShardCap};
use crate::shard::admission::{Mesh, Peers};
use crate::shard::inbox::call_number;
use crate::shard::inbox::{Inbox, ShardEvent, Waker};
use crate::units::ShardId;

type LoomInbox = Inbox<(), LoomSync>;

/// A descriptor that a shard sleeps on, and how often it was written.
#[derive(Clone)]
struct Descriptor(Arc<(Notify, AtomicUsize)>);

impl Descriptor {
    fn new() -> Descriptor {
        Descriptor(Arc::new((Notify::new(), AtomicUsize::new(0))))
    }

    fn writes(&self) -> usize {
        self.0.1.load(Ordering::Relaxed)
    }

    fn wait(&self) {
        self.0.0.wait();
    }
}

impl Waker for Descriptor {
    fn wake(&self) {
        self.0.1.fetch_add(1, Ordering::Relaxed);
        self.0.0.notify();
    }
}

fn inbox() -> (LoomInbox, Descriptor) {
    let descriptor = Descriptor::new();
    (Inbox::new(Box::new(descriptor.clone())), descriptor)
}

/// The producers, each of which posts as it does in service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Producer {
    Worker,
    Thief,
    SlackGiver,
    ConnectionCap,
    LiveStore,
    Call,
}

const PRODUCERS: [Producer; 6] = [
    Producer::Worker,
    Producer::Thief,
    Producer::SlackGiver,
    Producer::ConnectionCap,
    Producer::LiveStore,
    Producer::Call,
];

/// Which of them posted this.
fn producer_of(event: &ShardEvent<()>) -> Producer {
    match event {
        ShardEvent::Finished { .. } => Producer::Worker,
        ShardEvent::Stolen(_) => Producer::Thief,
        ShardEvent::Slack => Producer::SlackGiver,
        ShardEvent::PlaceFree => Producer::ConnectionCap,
        ShardEvent::Live(_) => Producer::LiveStore,
        ShardEvent::Spoke(_) => Producer::Call,
        _ => panic!("nobody posts this here"),
    }
}

/// The shard's surroundings: it waits for a place and for slack, which the other shard will give it.
struct Surroundings {
    inbox: LoomInbox,
    descriptor: Descriptor,
    /// The shard's own ends, which stay where they are.
    _own: (Peers<(), LoomSync>, ShardCap<LoomSync>),
    /// What the producers hold.
    peer: Option<Peers<(), LoomSync>>,
    other_cap: Option<ShardCap<LoomSync>>,
}

impl Surroundings {
    fn new() -> Surroundings {
        let (inbox, descriptor) = inbox();
        let epoch = Instant::now();
        let queue = QueueOptions {
            steal: true,
            steal_reserve: Some(0),
            ..QueueOptions::default()
        };
        let mesh = Mesh::new(2, 1, epoch);
        let join = |number, inbox| Peers::join(Arc::clone(&mesh), ShardId(number), inbox, &queue);
        let (mut own, other) = (
            join(0, inbox.clone()),
            join(1, Inbox::new(Box::new(Descriptor::new()))),
        );
        // All handlers of both are in use, and somebody waits here.
        assert!(own.credit().try_take_own() && other.credit().try_take_own());
        assert_eq!(own.seek(Some(epoch)), None);
        let cap: ConnectionCap<LoomSync> = ConnectionCap::new(1, None, 2);
        let own_cap = cap.join(inbox.on_place_free());
        let other_cap = cap.join(Box::new(|| ()));
        assert!(other_cap.try_enter() && !own_cap.await_place());
        Surroundings {
            inbox,
            descriptor,
            _own: (own, own_cap),
            peer: Some(other),
            other_cap: Some(other_cap),
        }
    }

    /// What a producer does, once, on a thread of its own.
    fn part(&mut self, producer: Producer) -> Box<dyn FnOnce() + Send> {
        let inbox = self.inbox.clone();
        let handler = HandlerKey { index: 1, lease: 2 };
        match producer {
            Producer::Worker => Box::new(move || {
                inbox.post(ShardEvent::Finished {
                    handler,
                    began: None,
                    outcome: Err(ToolError::Cancelled),
                    escaped_bytes: None,
                    panic: None,
                });
            }),
            Producer::Thief => Box::new(move || {
                let moved = Moved::bare((), Instant::now());
                inbox.post(ShardEvent::Stolen(Box::new(moved)));
            }),
            Producer::SlackGiver => {
                let peer = self.peer.take().unwrap();
                Box::new(move || peer.give_back())
            }
            Producer::ConnectionCap => {
                let cap = self.other_cap.take().unwrap();
                Box::new(move || cap.leave(None))
            }
            Producer::LiveStore => {
                let key = ConnectionKey {
                    slot: 1,
                    generation: 2,
                };
                Box::new(move || ShardInbox::post(&inbox, LiveEvent::Ready(key)))
            }
            Producer::Call => Box::new(move || inbox.on_emission(call_number(handler))),
        }
    }
}

/// Sleeps until woken and takes what is there, until so many have come; who posted it, and how often it was woken.
fn take_all(inbox: &LoomInbox, descriptor: &Descriptor, count: usize) -> (Vec<Producer>, usize) {
    let (mut taken, mut wakes) = (Vec::new(), 0);
    while taken.len() < count {
        descriptor.wait();
        wakes += 1;
        inbox.begin();
        taken.extend(std::iter::from_fn(|| inbox.take()).map(|event| producer_of(&event)));
    }
    taken.sort_unstable();
    (taken, wakes)
}

/// Everybody in `producers` posts once, while the shard sleeps and takes.
fn all_is_taken(producers: &[Producer]) {
    let mut surroundings = Surroundings::new();
    let parts: Vec<_> = producers
        .iter()
        .map(|producer| surroundings.part(*producer))
        .collect();
    let threads: Vec<_> = parts.into_iter().map(thread::spawn).collect();
    let (inbox, descriptor) = (&surroundings.inbox, &surroundings.descriptor);
    let (taken, wakes) = take_all(inbox, descriptor, producers.len());
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let mut expected = producers.to_vec();
    expected.sort_unstable();
    assert_eq!(taken, expected);
    let writes = descriptor.writes();
    assert!(writes <= wakes + 1, "{writes} writes for {wakes} looks");
}

#[test]
fn a_sleeping_shard_takes_what_any_two_producers_post_at_once() {
    for (at, one) in PRODUCERS.into_iter().enumerate() {
        for other in PRODUCERS.into_iter().skip(at + 1) {
            check_bounded(&format!("{one:?} and {other:?}"), Some(3), move || {
                all_is_taken(&[one, other]);
            });
        }
    }
}

#[test]
fn a_sleeping_shard_takes_what_every_producer_posts() {
    // The checker runs few threads, so that two take part at a time and the third holds what they leave.
    check_bounded("three by three", Some(2), || {
        all_is_taken(&[Producer::Worker, Producer::LiveStore, Producer::Call]);
    });
    check_bounded("the other three", Some(2), || {
        all_is_taken(&[Producer::Thief, Producer::SlackGiver, Producer::ConnectionCap]);
    });
}

/// A call that speaks at each of `said`, on a thread of its own.
fn speaker(inbox: &LoomInbox, said: std::ops::Range<u32>) -> thread::JoinHandle<()> {
    let inbox = inbox.clone();
    let number = |index| call_number(HandlerKey { index, lease: 0 });
    thread::spawn(move || said.for_each(|index| inbox.on_emission(number(index))))
}

/// Each speaker is a worker whose call speaks; the shard sleeps until it is woken and hears each once.
fn speak_and_hear(speakers: u32, calls_each: u32) {
    let (inbox, descriptor) = inbox();
    let first = |speaker| speaker * calls_each;
    let threads: Vec<_> = (0..speakers)
        .map(|number| speaker(&inbox, first(number)..first(number + 1)))
        .collect();
    let mut heard = Vec::new();
    while (heard.len() as u32) < speakers * calls_each {
        descriptor.wait();
        inbox.begin();
        heard.extend(std::iter::from_fn(|| inbox.take()).map(|event| match event {
            ShardEvent::Spoke(handler) => handler.index,
            _ => panic!("nobody posts this here"),
        }));
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    heard.sort_unstable();
    assert!(heard.iter().copied().eq(0..speakers * calls_each), "{heard:?}");
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

#[test]
fn a_burst_wakes_once() {
    check("two posters at once", || {
        let (inbox, descriptor) = inbox();
        let speakers = [speaker(&inbox, 0..1), speaker(&inbox, 1..2)];
        speakers.into_iter().for_each(|speaker| speaker.join().unwrap());
        assert_eq!(descriptor.writes(), 1);
        assert_eq!(take_all(&inbox, &descriptor, 2).1, 1);
    });
}

/// How two calls that speak post, while the shard sleeps and takes.
fn post_with(post: fn(&LoomInbox, ShardEvent<()>)) {
    check_bounded("two that post", Some(3), move || {
        let (inbox, descriptor) = inbox();
        let threads: Vec<_> = (0..2)
            .map(|index| {
                let inbox = inbox.clone();
                let event = ShardEvent::Spoke(HandlerKey { index, lease: 0 });
                thread::spawn(move || post(&inbox, event))
            })
            .collect();
        take_all(&inbox, &descriptor, 2);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn pushing_before_announcing_loses_no_wake_up() {
    post_with(|inbox, event| {
        inbox.push(event);
        inbox.announce();
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn the_checker_finds_the_wake_up_lost_by_announcing_before_the_push() {
    post_with(|inbox, event| {
        inbox.announce();
        inbox.push(event);
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn the_checker_finds_the_wake_up_lost_by_asking_whether_the_inbox_is_empty() {
    // As calls were heard once: the shard may take the event of another between the look and the push.
    post_with(|inbox, event| {
        let was_empty = !inbox.has_events();
        inbox.push(event);
        if was_empty {
            inbox.wake();
        }
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn the_checker_finds_the_wake_up_lost_by_beginning_after_the_taking() {
    check_bounded("a shard that begins too late", Some(3), || {
        let (inbox, descriptor) = inbox();
        let speaker = speaker(&inbox, 0..2);
        let mut taken = 0;
        while taken < 2 {
            descriptor.wait();
            taken += std::iter::from_fn(|| inbox.take()).count();
            inbox.begin();
        }
        speaker.join().unwrap();
    });
}
