//! Calls that are made once more when their child dies, here and on another shard.

use std::time::Duration;

use super::client::{Client, Era, call};
use super::nursery::{self, Nursery};
use super::rig::{Rig, Sizes};

const TWO_SHARDS: Sizes = Sizes {
    shards: 2,
    handlers: 1,
    ..Sizes::DEFAULT
};
const LOST: &str = "-32603";

/// A child on each of these shards, with so much time for a call.
fn rig(shards: &[usize], call_timeout: Duration) -> (Rig, Nursery) {
    let (mut rig, mut nursery) = nursery::rig(1, TWO_SHARDS, 4, 4);
    nursery.limit_calls(call_timeout);
    for (number, shard) in (1..).zip(shards) {
        nursery.start(&mut rig, number, *shard);
    }
    (rig, nursery)
}

/// A client whose call of this tool the only child that is there has, and that child.
fn calling(rig: &mut Rig, nursery: &mut Nursery, era: Era, tool: &str) -> (Client, u64) {
    let mut client = Client::new(rig.connect_to(0));
    client.request(call(era, tool, 1, "s1."));
    nursery.live(rig);
    let mut children = nursery.wards.keys().copied();
    let child = children.find(|number| nursery.questions(*number).len() == 1);
    (client, child.expect("a child has it"))
}

fn leave(rig: Rig, nursery: Nursery, client: &Client) {
    nursery::leave(rig, nursery, [&client.peer]);
}

#[test]
fn a_call_that_changes_nothing_is_made_once_more_and_not_twice() {
    for era in [Era::Legacy, Era::Modern] {
        for shards in [[0, 0, 0], [0, 1, 0], [1, 0, 1], [1, 1, 1]] {
            for dies_again in [false, true] {
                let (mut rig, mut nursery) = rig(&shards, Duration::from_secs(60));
                let (mut client, first) = calling(&mut rig, &mut nursery, era, "look");
                nursery.kill(&rig, first);
                nursery.live(&mut rig);
                nursery.live(&mut rig);
                let mut others = (1..=3).filter(|number| *number != first);
                let second = others.find(|number| nursery.questions(*number).len() == 1);
                let second = second.expect("another child has it");
                if dies_again {
                    nursery.kill(&rig, second);
                } else {
                    nursery.answer(second, 0);
                }
                nursery.live(&mut rig);
                nursery.live(&mut rig);
                let expected = if dies_again { LOST } else { "s1." };
                assert_eq!(client.heard_results(), [expected], "{era:?} {shards:?}");
                leave(rig, nursery, &client);
            }
        }
    }
}

#[test]
fn a_call_that_may_change_something_is_not_made_again() {
    let (mut rig, mut nursery) = rig(&[0, 0], Duration::from_secs(60));
    let (mut client, first) = calling(&mut rig, &mut nursery, Era::Legacy, "child");
    nursery.kill(&rig, first);
    nursery.live(&mut rig);
    assert_eq!(client.heard_results(), [LOST]);
    assert!(nursery.questions(3 - first).is_empty());
    leave(rig, nursery, &client);
}

#[test]
fn both_tries_have_the_time_of_one() {
    let (mut rig, mut nursery) = rig(&[0, 1], Duration::from_secs(4));
    let (mut client, first) = calling(&mut rig, &mut nursery, Era::Legacy, "look");
    rig.pass(Duration::from_secs(3));
    nursery.live(&mut rig);
    nursery.kill(&rig, first);
    nursery.live(&mut rig);
    nursery.live(&mut rig);
    assert_eq!(nursery.questions(3 - first).len(), 1);
    assert!(client.heard_results().is_empty());
    rig.pass(Duration::from_millis(1_500));
    nursery.live(&mut rig);
    nursery.live(&mut rig);
    assert_eq!(client.heard_results(), [LOST], "it took too long");
    leave(rig, nursery, &client);
}

#[test]
fn nobody_waits_for_it_any_more() {
    let (mut rig, mut nursery) = rig(&[0, 1], Duration::from_secs(60));
    let (client, first) = calling(&mut rig, &mut nursery, Era::Legacy, "look");
    client.peer.reset();
    nursery.live(&mut rig);
    assert_eq!(nursery.questions(first).len(), 1, "a legacy call goes on");
    nursery.kill(&rig, first);
    nursery.live(&mut rig);
    nursery.live(&mut rig);
    assert!(nursery.questions(3 - first).is_empty());
    leave(rig, nursery, &client);
}
