//! Permits: none made, none lost, none given once closed, and none out once a shard has ended.

use std::sync::Arc;

use loom::thread;

use super::model_shard::{ModelShard, at_once, shards};
use super::{ModelledWord, check};
use crate::pool::{Credit, Word};

/// A credit, and how many use what it gives.
struct Used {
    credit: Credit<ModelledWord>,
    users: ModelledWord,
    is_closed: ModelledWord,
}

impl Used {
    fn new(handlers: u32) -> Arc<Used> {
        let credit = Credit::new(handlers);
        credit.open();
        Arc::new(Used {
            credit,
            users: ModelledWord::new(0),
            is_closed: ModelledWord::new(0),
        })
    }

    /// Uses a permit that was taken, as no more than `users_max` may at once.
    fn use_up(&self, users_max: u32) {
        let others = self.users.fetch_add(1);
        assert!(others < users_max, "{others} had permits");
        self.users.fetch_sub(1);
        self.credit.give_back();
    }
}

#[test]
fn no_more_are_out_than_there_are_handlers() {
    check("one permit, its owner and two others", || {
        let used = Used::new(1);
        let others: Vec<_> = (0..2)
            .map(|_| {
                let used = Arc::clone(&used);
                thread::spawn(move || {
                    if used.credit.try_take(0) {
                        used.use_up(1);
                    }
                })
            })
            .collect();
        if used.credit.try_take_own() {
            used.use_up(1);
        }
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(used.credit.free(), 1);
    });
}

#[test]
fn others_leave_the_reserve() {
    check("two permits, one of them in reserve, two others", || {
        let used = Used::new(2);
        let theirs = Arc::clone(&used);
        let other = thread::spawn(move || {
            if theirs.credit.try_take(1) {
                theirs.use_up(1);
            }
        });
        if used.credit.try_take(1) {
            used.use_up(1);
        }
        other.join().unwrap();
        assert_eq!(used.credit.free(), 2);
    });
}

#[test]
fn once_closed_it_gives_to_its_owner_only() {
    check("closing while two take", || {
        let used = Used::new(2);
        let others: Vec<_> = (0..2)
            .map(|_| {
                let used = Arc::clone(&used);
                thread::spawn(move || {
                    let was_closed = used.is_closed.load() == 1;
                    if used.credit.try_take(0) {
                        assert!(!was_closed, "it was closed");
                        used.credit.give_back();
                    }
                })
            })
            .collect();
        used.credit.close();
        used.is_closed.swap(1);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!((used.credit.free(), used.credit.slack(0)), (2, 0));
        assert!(used.credit.try_take_own());
    });
}

/// Sends a waiter away, if somebody has a handler for it.
fn send(shard: &mut ModelShard) {
    shard.ripe = 1;
    shard.offer();
}

/// Takes a permit for a waiter that then hangs up.
fn give_up(shard: &mut ModelShard) {
    shard.is_leaving = true;
    send(shard);
    shard.abort_moves();
}

/// Ends if nobody is there or on the way, as a shard that drains does whenever it has looked at its mail.
fn end(shard: &mut ModelShard) {
    for _ in 0..2 {
        if shard.is_finished() {
            return shard.has_ended = true;
        }
        shard.handle_events();
        if shard.busy > 0 {
            shard.finish();
        }
    }
}

/// What comes to a shard that has ended is nobody's loss.
fn assert_ended_well(shards: &[ModelShard]) {
    let shard = &shards[0];
    if shard.has_ended {
        assert_eq!((shard.free(), shard.busy), (1, 0), "it ended with a permit out");
    }
    assert_eq!(shard.lost, 0, "a waiter came after the end");
}

#[test]
fn a_shard_ends_with_nobody_on_the_way_to_it() {
    check("ending while a waiter is sent", || {
        assert_ended_well(&at_once(shards(2, 1, 0), vec![end, send]));
    });
}

#[test]
fn a_shard_ends_with_no_permit_of_anothers_left_for_it() {
    check("ending while a permit is handed over", || {
        let mut shards = shards(2, 1, 0);
        for _ in 0..2 {
            shards.iter_mut().for_each(ModelShard::ask);
        }
        let give_up_and_end = |shard: &mut ModelShard| {
            shard.leave();
            shard.finish();
            end(shard);
        };
        let shards = at_once(shards, vec![give_up_and_end, ModelShard::finish]);
        assert_ended_well(&shards);
        assert_eq!((shards[1].free() + shards[1].busy, shards[1].ripe), (1, 0));
    });
}

#[test]
fn a_shard_ends_with_no_permit_on_its_way_back() {
    check("ending while a move is given up", || {
        assert_ended_well(&at_once(shards(2, 1, 0), vec![end, give_up]));
    });
}
