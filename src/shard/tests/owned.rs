//! Calls to children that belong to clients, on the client's shard and on another.

use std::time::Duration;

use crate::children::{ChildFailure, ClientKey, ClientRules};

use super::client::{Client, Era, call};
use super::nursery::{self, Nursery, QUEUE_TIMEOUT, leave};
use super::rig::{Rig, Sizes};

const TWO_SHARDS: Sizes = Sizes {
    handlers: 1,
    shards: 2,
    ..Sizes::DEFAULT
};

/// Strangers are one client, or each of their calls is one. Children are numbered from 1, one on each of these shards.
fn rig(are_strangers_one: bool, shards: &[usize]) -> (Rig, Nursery) {
    let rules = ClientRules {
        is_by_call: false,
        are_strangers_one,
        key_header: None,
        env_from: Vec::new(),
    };
    let (mut rig, mut nursery) = nursery::owned(1, TWO_SHARDS, 2, 4, rules);
    for (number, shard) in (1..).zip(shards) {
        nursery.start(&mut rig, number, *shard);
    }
    (rig, nursery)
}

fn live(rig: &mut Rig, nursery: &mut Nursery, turns: usize) {
    for _ in 0..turns {
        rig.pass(Duration::from_millis(10));
        nursery.live(rig);
    }
}

#[test]
fn a_clients_calls_wait_until_it_has_a_child_and_then_go_there_from_every_shard() {
    let (mut rig, mut nursery) = rig(true, &[1]);
    let mut clients = [
        Client::new(rig.connect_to(0)),
        Client::new(rig.connect_to(1)),
        Client::new(rig.connect_to(0)),
    ];
    clients[0].request(call(Era::Modern, "child", 1, "a"));
    clients[1].request(call(Era::Modern, "child", 2, "b"));
    live(&mut rig, &mut nursery, 2);
    assert!(nursery.questions(1).is_empty(), "it is nobody's");
    let askers: Vec<u16> = nursery.wanted.iter().map(|(_, shard)| *shard).collect();
    assert_eq!((nursery.wanted[0].0.key, askers.len()), (ClientKey::Everybody, 2));
    nursery.give(&rig, 1, ClientKey::Everybody);
    live(&mut rig, &mut nursery, 3);
    assert_eq!(nursery.questions(1).len(), 2);
    // The third waits where the child is: that takes two at a time.
    clients[2].request(call(Era::Modern, "child", 3, "c"));
    live(&mut rig, &mut nursery, 3);
    assert_eq!(nursery.questions(1).len(), 2);
    assert!(nursery.wanted.is_empty(), "its place is known");
    nursery.answer_all(&mut rig);
    let heard = clients.each_mut().map(Client::heard_results);
    assert_eq!(heard, [["a"], ["b"], ["c"]]);
    leave(rig, nursery, clients.iter().map(|client| &client.peer));
}

#[test]
fn calls_of_a_client_that_is_lost_for_good_fail_and_others_begin_anew() {
    let (mut rig, mut nursery) = rig(true, &[1, 0]);
    let mut clients = [(); 3].map(|()| Client::new(rig.connect_to(0)));
    for (id, client) in clients.iter_mut().enumerate() {
        client.request(call(Era::Modern, "child", id as u64, "x"));
    }
    live(&mut rig, &mut nursery, 2);
    nursery.give(&rig, 1, ClientKey::Everybody);
    live(&mut rig, &mut nursery, 3);
    assert_eq!(nursery.questions(1).len(), 2);
    nursery.kill(&rig, 1);
    live(&mut rig, &mut nursery, 90);
    assert_eq!(nursery.gone, [(1, Some(ChildFailure::OutputEnded))]);
    assert_eq!(nursery.disowned, [1]);
    // Two had been seen by the child; the third was handed back, and its shard asks for another child.
    let heard = clients.each_mut().map(|client| client.heard_results().len());
    assert_eq!(heard.iter().sum::<usize>(), 2, "{heard:?}");
    assert_eq!(nursery.wanted.len(), 1);
    nursery.give(&rig, 2, ClientKey::Everybody);
    nursery.answer_all(&mut rig);
    assert!(clients.iter_mut().any(|client| client.heard_results() == ["x"]));
    // Nobody gets one any more.
    nursery.kill(&rig, 2);
    live(&mut rig, &mut nursery, 90);
    clients[0].request(call(Era::Modern, "child", 9, "y"));
    live(&mut rig, &mut nursery, 2);
    let (wanted, _) = nursery.wanted.pop().unwrap();
    nursery.lose(&rig, wanted.key, true);
    live(&mut rig, &mut nursery, 2);
    let last = clients[0].heard_results().pop().unwrap();
    assert!(last.starts_with('-'), "{last}");
    leave(rig, nursery, clients.iter().map(|client| &client.peer));
}

#[test]
fn a_call_that_is_a_client_of_its_own_has_a_child_for_itself() {
    let (mut rig, mut nursery) = rig(false, &[0, 1]);
    let mut clients = [(); 2].map(|()| Client::new(rig.connect_to(0)));
    clients[0].request(call(Era::Modern, "child", 1, "a"));
    clients[1].request(call(Era::Modern, "child", 2, "b"));
    live(&mut rig, &mut nursery, 2);
    let keys: Vec<ClientKey> = nursery.wanted.iter().map(|(client, _)| client.key).collect();
    assert!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
    // One is placed here and one there.
    nursery.give(&rig, 1, keys[0]);
    nursery.give(&rig, 2, keys[1]);
    live(&mut rig, &mut nursery, 3);
    assert_eq!((nursery.questions(1).len(), nursery.questions(2).len()), (1, 1));
    nursery.answer_all(&mut rig);
    assert_eq!(clients.each_mut().map(Client::heard_results), [["a"], ["b"]]);
    live(&mut rig, &mut nursery, 3);
    nursery.disowned.sort_unstable();
    assert_eq!(nursery.disowned, [1, 2], "each is used up");
    leave(rig, nursery, clients.iter().map(|client| &client.peer));
}

#[test]
fn a_child_that_comes_too_late_for_its_call_is_of_no_use() {
    let (mut rig, mut nursery) = rig(false, &[0, 1]);
    let mut clients = [(); 2].map(|()| Client::new(rig.connect_to(0)));
    for (id, client) in clients.iter_mut().enumerate() {
        client.request(call(Era::Modern, "child", id as u64, "late"));
    }
    live(&mut rig, &mut nursery, 2);
    let keys: Vec<ClientKey> = nursery.wanted.iter().map(|(client, _)| client.key).collect();
    let asked = nursery.wanted.clone();
    rig.pass(QUEUE_TIMEOUT);
    live(&mut rig, &mut nursery, 3);
    assert!(
        clients
            .iter_mut()
            .all(|client| client.heard_results() == ["-31503"])
    );
    assert!(nursery.wanted.is_empty(), "the supervisor is told");
    // It was about to give them children when it heard that.
    nursery.wanted = asked;
    nursery.give(&rig, 1, keys[0]);
    nursery.give(&rig, 2, keys[1]);
    live(&mut rig, &mut nursery, 3);
    nursery.left.sort_unstable_by_key(|key| format!("{key:?}"));
    assert_eq!(nursery.left, keys);
    leave(rig, nursery, clients.iter().map(|client| &client.peer));
}
