//! The limit of one tool: never more calls in flight than there may be, and no place lost, whoever leaves, moves, ends
//! or edits meanwhile.

use std::sync::Arc;
use std::time::Instant;

use loom::thread;

use super::{LoomSync, ModelledQueue, ModelledWord, check, check_bounded};
use crate::pool::{
    Concurrency, Granted, PermitListener, ToolLimit, ToolPermit, ToolTicket, WaitKey, WaitPlace, Word,
};
use crate::ring::ConnectionKey;
use crate::shard::sync::Queue;
use crate::slab::SlabKey;

type Limit = ToolLimit<LoomSync>;
type Permit = Arc<ToolPermit<LoomSync>>;

/// The mail of one shard.
#[derive(Default)]
struct Mail(ModelledQueue<Granted<LoomSync>>);

impl PermitListener<LoomSync> for Mail {
    fn on_permit(&self, granted: Granted<LoomSync>) {
        self.0.push(granted);
    }
}

/// A shard with one call, as far as a limit knows it.
struct ModelShard {
    limit: Arc<Limit>,
    mail: Arc<Mail>,
    running: Arc<ModelledWord>,
    in_flight_max: u32,
    /// Its call waits.
    ticket: Option<ToolTicket<LoomSync>>,
    /// Permits that are still to come.
    awaited: u32,
    /// Its call has run.
    has_run: bool,
}

fn bounds(in_flight_max: u32) -> Concurrency {
    Concurrency {
        in_flight_max,
        queue_max: None,
    }
}

fn place() -> WaitPlace {
    WaitPlace {
        wait: WaitKey::new(0, 0),
        connection: ConnectionKey {
            slot: 0,
            generation: 0,
        },
    }
}

/// So many shards under one limit.
fn shards(count: usize, in_flight_max: u32) -> Vec<ModelShard> {
    let limit = Limit::on_locks(bounds(in_flight_max));
    let running = Arc::new(ModelledWord::new(0));
    let shard = |_| ModelShard {
        limit: Arc::clone(&limit),
        mail: Arc::default(),
        running: Arc::clone(&running),
        in_flight_max,
        ticket: None,
        awaited: 0,
        has_run: false,
    };
    (0..count).map(shard).collect()
}

impl ModelShard {
    fn enter(&self) -> Option<Permit> {
        self.limit.try_enter(Instant::now())
    }

    /// A call comes: it runs, or waits.
    fn ask(&mut self) {
        match self.enter() {
            Some(permit) => self.run(permit),
            None => self.wait(),
        }
    }

    fn wait(&mut self) {
        let listener = Arc::clone(&self.mail) as Arc<dyn PermitListener<LoomSync>>;
        self.ticket = self.limit.wait(place(), &listener);
        assert!(self.ticket.is_some(), "as many may wait as like");
        self.awaited += 1;
    }

    /// The call runs from its beginning to its end.
    fn run(&mut self, permit: Permit) {
        let others = self.running.fetch_add(1);
        assert!(others < self.in_flight_max, "{others} others run");
        self.running.fetch_sub(1);
        self.has_run = true;
        drop(permit);
    }

    /// Its client leaves, or it is cancelled.
    fn leave(&mut self) {
        if self.ticket.take().is_some_and(|ticket| ticket.leave()) {
            self.awaited -= 1;
        }
    }

    /// Looks at the mail once. The permit of a call that has left is the next one's.
    fn look(&mut self) {
        if let Some(granted) = self.mail.0.pop() {
            self.awaited -= 1;
            match self.ticket.take() {
                Some(_) => self.run(granted.permit),
                None => drop(granted),
            }
        }
    }

    /// Whether it may end: what came to it then would stay there.
    fn is_finished(&self) -> bool {
        self.ticket.is_none() && self.awaited == 0
    }
}

/// Runs a step on each shard, all at once, and gives the shards back.
fn at_once(shards: Vec<ModelShard>, steps: Vec<fn(&mut ModelShard)>) -> Vec<ModelShard> {
    let threads = shards.into_iter().zip(steps).map(|(mut shard, step)| {
        thread::spawn(move || {
            step(&mut shard);
            shard
        })
    });
    let threads: Vec<_> = threads.collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// Lets all shards look at their mail until nothing is left; then every call that waited has run, and no place is gone.
fn settle(mut shards: Vec<ModelShard>) {
    let turns = 2 * shards.len();
    for _ in 0..turns {
        shards.iter_mut().for_each(ModelShard::look);
    }
    for (number, shard) in shards.iter().enumerate() {
        assert!(
            shard.is_finished(),
            "the call of shard {number} waits beside a free place"
        );
    }
    let limit = Arc::clone(&shards[0].limit);
    drop(shards);
    assert!(!limit.is_used(), "a place is lost");
}

#[test]
fn calls_that_end_and_calls_that_come_find_each_other() {
    check("one place, three shards", || {
        let ask: fn(&mut ModelShard) = |shard| {
            shard.ask();
            shard.look();
        };
        let shards = at_once(shards(2, 1), vec![ask; 2]);
        settle(shards);
    });
}

#[test]
fn two_places_are_not_three() {
    check_bounded("two places, three calls", Some(3), || {
        let shards = at_once(shards(3, 2), vec![ModelShard::ask; 3]);
        settle(shards);
    });
}

#[test]
fn who_leaves_loses_nobody_a_place() {
    check("a call that leaves while another ends", || {
        let mut shards = shards(3, 1);
        let running = shards[0].enter().unwrap();
        shards[1].wait();
        shards[2].wait();
        let end = thread::spawn(move || drop(running));
        let leave: fn(&mut ModelShard) = |shard| {
            shard.leave();
            shard.look();
        };
        let rest = shards.split_off(1);
        let rest = at_once(rest, vec![leave, ModelShard::look]);
        end.join().unwrap();
        assert!(!rest[0].has_run, "it has left");
        settle(rest);
    });
}

#[test]
fn a_call_that_moves_takes_its_place_along() {
    check("a permit that is sent on with its call", || {
        let mut shards = shards(3, 1);
        let running = shards[0].enter().unwrap();
        let moved = Arc::new(ModelledQueue::<Permit>::default());
        let arrives = Arc::clone(&moved);
        let mut other = shards.pop().unwrap();
        let mut there = shards.pop().unwrap();
        let arriving = thread::spawn(move || {
            if let Some(permit) = arrives.pop() {
                there.run(permit);
            }
            (there, arrives)
        });
        let asking = thread::spawn(move || {
            other.ask();
            other
        });
        moved.push(running);
        let (mut there, arrives) = arriving.join().unwrap();
        let other = asking.join().unwrap();
        if let Some(permit) = arrives.pop() {
            there.run(permit);
        }
        assert!(there.has_run);
        settle(vec![there, other]);
    });
}

#[test]
fn a_shard_that_ends_leaves_no_place_in_its_mail() {
    check("a shard that drains while a call ends elsewhere", || {
        let mut shards = shards(3, 1);
        let running = shards[0].enter().unwrap();
        shards[1].wait();
        shards[2].wait();
        let end = thread::spawn(move || drop(running));
        let mut draining = shards.remove(1);
        draining.leave();
        for _ in 0..2 {
            if draining.is_finished() {
                break;
            }
            draining.look();
        }
        let has_ended = draining.is_finished();
        end.join().unwrap();
        if has_ended {
            // Nobody looks at its mail any more, which others keep.
            assert!(
                draining.mail.0.is_empty(),
                "a place lies in the mail of a shard that is gone"
            );
            shards.remove(0);
            settle(shards);
        } else {
            shards[0] = draining;
            settle(shards);
        }
    });
}

#[test]
fn an_edit_gives_no_place_twice_and_none_away() {
    check("a limit that is raised while a call ends, and one comes", || {
        let mut shards = shards(3, 2);
        let limit = Arc::clone(&shards[0].limit);
        limit.set(bounds(1));
        let running = shards[0].enter().unwrap();
        shards[1].wait();
        let end = thread::spawn(move || drop(running));
        let edit = thread::spawn(move || limit.set(bounds(2)));
        shards[2].ask();
        edit.join().unwrap();
        end.join().unwrap();
        settle(shards);
    });
}

#[test]
fn what_a_lifted_limit_lets_through_counts_once_it_is_back() {
    check("a tool that is removed and added again while calls come", || {
        let mut shards = shards(3, 1);
        let limit = Arc::clone(&shards[0].limit);
        let running = shards[0].enter().unwrap();
        shards[1].wait();
        let edited = Arc::clone(&limit);
        let edit = thread::spawn(move || {
            edited.lift();
            edited.set(bounds(1));
        });
        let enter = shards[2].enter();
        edit.join().unwrap();
        // Whoever was let through while nothing bounded it asks again, as it does when its turn comes.
        let is_worth = |permit: &Permit| permit.is_of(&limit);
        assert!(is_worth(&running));
        assert!(!enter.as_ref().is_some_and(is_worth), "two may run");
        assert!(limit.try_enter(Instant::now()).is_none());
        if let Some(granted) = shards[1].mail.0.pop() {
            assert!(!is_worth(&granted.permit), "two may run");
            shards[1].awaited -= 1;
            shards[1].ticket = None;
            drop(granted);
        } else {
            shards[1].leave();
        }
        drop((running, enter));
        settle(shards);
    });
}
