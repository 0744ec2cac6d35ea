//! Room at the children of one shard and a call that waits on another find each other.

use std::sync::Arc;

use loom::thread;

use super::{ModelledWord, check};
use crate::children::ChildMesh;
use crate::registry::ServerIndex;

const SERVER: ServerIndex = ServerIndex(0);

type Mesh = ChildMesh<ModelledWord>;

/// Shard 0 has a call that waits: whether it took room for it on shard 1.
fn wait(mesh: &Mesh) -> bool {
    mesh.begin_waiting(SERVER, 0);
    mesh.take_room(SERVER, 0).is_some()
}

#[test]
fn who_waits_takes_the_room_or_is_told_of_it() {
    check("a waiter, and a child that has room again", || {
        let mesh = Mesh::new(1, 2);
        let waiter = Arc::clone(&mesh);
        let waiter = thread::spawn(move || wait(&waiter));
        let told = mesh.publish(SERVER, 1, 1);
        let took = waiter.join().unwrap();
        assert!(took || told == Some(0), "the call waits beside a child with room");
        // Whoever is told looks again.
        assert!(took || wait(&mesh));
    });
}

#[test]
fn room_is_taken_once() {
    check("two that wait for one place", || {
        let mesh = Mesh::new(1, 3);
        mesh.publish(SERVER, 1, 1);
        let other = Arc::clone(&mesh);
        let other = thread::spawn(move || other.take_room(SERVER, 2).is_some());
        let took = mesh.take_room(SERVER, 0).is_some();
        let both = [took, other.join().unwrap()];
        assert_eq!(both.iter().filter(|took| **took).count(), 1);
    });
}

#[test]
fn of_two_with_room_each_tells_whoever_it_sees() {
    check("a waiter, and children on two shards", || {
        let mesh = Mesh::new(1, 3);
        let (waiter, giver) = (Arc::clone(&mesh), Arc::clone(&mesh));
        let waiter = thread::spawn(move || wait(&waiter));
        let giver = thread::spawn(move || giver.publish(SERVER, 2, 1));
        let told = [mesh.publish(SERVER, 1, 1), giver.join().unwrap()];
        let took = waiter.join().unwrap();
        assert!(took || told.contains(&Some(0)));
    });
}
