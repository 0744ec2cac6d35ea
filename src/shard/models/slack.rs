//! A free permit and a waiter that may have it find each other, without a clock.

use super::model_shard::{ModelShard, assert_balanced, at_once, ripen, settle, shards};
use super::{check, check_bounded};

/// Sites whose handlers are all in use.
fn busy(count: u16, handlers: u32, reserve: u32) -> Vec<ModelShard> {
    let mut shards = shards(count, handlers, reserve);
    for shard in &mut shards {
        (0..handlers).for_each(|_| shard.ask());
    }
    shards
}

fn nothing(_: &mut ModelShard) {}

#[test]
fn a_waiter_and_the_last_permit_given_back_find_each_other() {
    check("one waiter, one giver", || {
        let shards = at_once(busy(2, 1, 0), vec![ModelShard::ask, ModelShard::finish]);
        assert_balanced(&shards);
        assert_eq!((shards[0].ripe, shards[1].busy), (0, 1));
    });
}

#[test]
fn two_givers_and_one_that_looks_for_both() {
    check_bounded("two waiters of one, two givers", Some(3), || {
        let ask_twice = |shard: &mut ModelShard| {
            shard.ask();
            shard.ask();
            shard.handle_events();
        };
        let shards = at_once(
            busy(3, 1, 0),
            vec![ask_twice, ModelShard::finish, ModelShard::finish],
        );
        assert_balanced(&shards);
        assert_eq!(shards[0].ripe, 0);
    });
}

#[test]
fn two_that_wait_and_one_that_gives_two_permits() {
    check_bounded("a waiter of each of two, two permits", Some(3), || {
        let mut shards = busy(3, 2, 0);
        shards[0].ask();
        shards[1].ask();
        let answer = |shard: &mut ModelShard| {
            shard.handle_events();
        };
        let give_two = |shard: &mut ModelShard| {
            shard.finish();
            shard.finish();
        };
        let shards = at_once(shards, vec![answer, answer, give_two]);
        assert_balanced(&shards);
    });
}

#[test]
fn who_is_told_and_has_nobody_left_tells_the_next() {
    check("the told one's waiter is served meanwhile", || {
        let mut shards = busy(3, 1, 0);
        shards[0].ask();
        shards[1].ask();
        let shards = at_once(shards, vec![ModelShard::finish, nothing, ModelShard::finish]);
        assert_balanced(&shards);
    });
}

#[test]
fn who_is_told_and_has_only_young_waiters_tells_the_next() {
    check(
        "the told one's oldest is served meanwhile, the next is young",
        || {
            let mut shards = busy(3, 1, 0);
            shards[0].ask();
            shards[0].young += 1;
            shards[1].ask();
            let mut shards = at_once(shards, vec![ModelShard::finish, nothing, ModelShard::finish]);
            assert_balanced(&shards);
            ripen(&mut shards);
            assert_balanced(&shards);
        },
    );
}

/// Two shards whose only handlers are in use, with a waiter each; the first one's is older.
fn waiting() -> Vec<ModelShard> {
    let mut shards = busy(2, 1, 0);
    shards.iter_mut().for_each(ModelShard::ask);
    shards
}

fn ripe(shards: &[ModelShard]) -> [u32; 2] {
    [shards[0].ripe, shards[1].ripe]
}

fn look(shard: &mut ModelShard) {
    shard.handle_events();
}

#[test]
fn a_permit_goes_to_another_shards_older_waiter() {
    check("a giver with a waiter, an older one elsewhere", || {
        let mut shards = at_once(waiting(), vec![look, ModelShard::finish]);
        assert_balanced(&shards);
        assert_eq!(ripe(&shards), [0, 1]);
        // The younger one is next.
        shards[1].finish();
        settle(&mut shards);
        assert_balanced(&shards);
        assert_eq!(ripe(&shards), [0, 0]);
    });
}

#[test]
fn an_older_waiter_that_is_served_meanwhile_leaves_the_permit_to_the_giver() {
    check("two givers, and two waiters", || {
        let shards = at_once(waiting(), vec![ModelShard::finish, ModelShard::finish]);
        assert_balanced(&shards);
        assert_eq!(ripe(&shards), [0, 0]);
    });
}

#[test]
fn an_older_waiter_that_hangs_up_leaves_the_permit_to_the_giver() {
    check("the older one hangs up", || {
        let shards = at_once(waiting(), vec![ModelShard::leave, ModelShard::finish]);
        assert_balanced(&shards);
        assert_eq!(ripe(&shards), [0, 0]);
    });
    check("the older one hangs up while it moves", || {
        let part = |shard: &mut ModelShard| {
            shard.is_leaving = true;
            shard.handle_events();
            shard.abort_moves();
            shard.is_leaving = false;
        };
        let shards = at_once(waiting(), vec![part, ModelShard::finish]);
        assert_balanced(&shards);
        assert_eq!(shards[0].ripe, 0);
    });
}

#[test]
fn a_permit_that_is_not_taken_comes_back() {
    check("ticks of the giver while the other looks", || {
        let part = |shard: &mut ModelShard| {
            shard.finish();
            shard.tick();
            shard.tick();
        };
        let shards = at_once(waiting(), vec![look, part]);
        assert_balanced(&shards);
        assert_eq!(ripe(&shards).iter().sum::<u32>(), 1);
    });
}

#[test]
fn a_permit_given_back_from_afar_is_for_whoever_waits_for_it() {
    check("a move is given up while its target begins to wait", || {
        let mut shards = busy(2, 1, 0);
        shards[1].finish();
        shards[0].is_leaving = true;
        shards[0].ask();
        let shards = at_once(shards, vec![ModelShard::abort_moves, ModelShard::ask]);
        assert_balanced(&shards);
    });
}

#[test]
fn a_permit_given_back_from_afar_is_for_third_ones_too() {
    check("a move is given up while a third one begins to wait", || {
        let mut shards = busy(3, 1, 0);
        shards[1].finish();
        shards[0].is_leaving = true;
        shards[0].ask();
        let shards = at_once(shards, vec![ModelShard::abort_moves, nothing, ModelShard::ask]);
        assert_balanced(&shards);
    });
}

#[test]
fn the_reserve_is_kept_and_what_is_above_it_is_found() {
    check("one waiter, a reserve of one, two given back", || {
        let mut shards = busy(2, 2, 1);
        let give_two = |shard: &mut ModelShard| {
            shard.finish();
            shard.finish();
        };
        shards = at_once(shards, vec![ModelShard::ask, give_two]);
        assert_balanced(&shards);
        assert_eq!(shards[0].ripe, 0);
        // The reserve itself is nobody else's.
        shards[0].ask();
        settle(&mut shards);
        assert_eq!((shards[0].ripe, shards[1].free()), (1, 1));
    });
}

#[test]
fn everybody_waits_gives_and_takes() {
    check_bounded("three that ask and finish", Some(2), || {
        let part = |shard: &mut ModelShard| {
            shard.ask();
            shard.finish();
            shard.handle_events();
        };
        let shards = at_once(busy(3, 1, 0), vec![part, part, part]);
        assert_balanced(&shards);
    });
}
