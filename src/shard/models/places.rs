//! The connection cap: it is never passed, and a free place and a shard that waits for one do not stay
//! together.

use loom::thread;

use super::{LoomSync, check, check_bounded};
use crate::shard::acceptor::{ConnectionCap, ShardCap};

/// An acceptor, as far as the cap can tell: it takes one connection at a look.
struct ModelAcceptor {
    cap: ShardCap<LoomSync>,
    connections_max: usize,
    /// Connections that wait in its listener's queue.
    backlog: u32,
    inside: u32,
    is_full: bool,
}

impl ModelAcceptor {
    fn accept(&mut self) {
        self.is_full = false;
        self.cap.stop_waiting();
        if !self.cap.try_enter() && !self.cap.await_place() {
            return self.is_full = true;
        }
        let open = self.cap.open();
        assert!(open <= self.connections_max, "{open} are inside");
        if self.backlog == 0 {
            return self.cap.leave(None);
        }
        self.backlog -= 1;
        self.inside += 1;
    }

    /// Goes on if it was told, and as long as somebody is in the queue.
    fn look(&mut self) -> bool {
        let goes_on = if self.is_full {
            !self.cap.is_waiting()
        } else {
            self.backlog > 0
        };
        if goes_on {
            self.accept();
        }
        goes_on
    }

    fn leave(&mut self) {
        self.inside -= 1;
        self.cap.leave(None);
    }
}

/// Acceptors under one cap, with as many connections in the queue of each.
fn acceptors<const N: usize>(connections_max: usize, backlogs: [u32; N]) -> Vec<ModelAcceptor> {
    let cap: ConnectionCap<LoomSync> = ConnectionCap::new(connections_max, None, N);
    let acceptor = |backlog| ModelAcceptor {
        cap: cap.join(Box::new(|| ())),
        connections_max,
        backlog,
        inside: 0,
        is_full: false,
    };
    backlogs.into_iter().map(acceptor).collect()
}

/// Runs the part of each acceptor in a thread of its own; then those that were told go on.
fn at_once(acceptors: Vec<ModelAcceptor>, parts: Vec<fn(&mut ModelAcceptor)>) -> Vec<ModelAcceptor> {
    assert_eq!(acceptors.len(), parts.len(), "a part for each acceptor");
    let threads: Vec<_> = acceptors
        .into_iter()
        .zip(parts)
        .map(|(mut acceptor, part)| {
            thread::spawn(move || {
                part(&mut acceptor);
                acceptor
            })
        })
        .collect();
    let mut acceptors: Vec<ModelAcceptor> =
        threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    while acceptors.iter_mut().any(ModelAcceptor::look) {}
    acceptors
}

fn assert_no_place_is_forgotten(acceptors: &[ModelAcceptor]) {
    let (open, connections_max) = (acceptors[0].cap.open(), acceptors[0].connections_max);
    let inside: u32 = acceptors.iter().map(|acceptor| acceptor.inside).sum();
    assert_eq!(open, inside as usize, "places");
    let waits = acceptors.iter().any(|acceptor| acceptor.cap.is_waiting());
    assert!(
        open == connections_max || !waits,
        "a place is free, and a shard waits for it"
    );
}

#[test]
fn the_cap_is_never_passed() {
    check_bounded("three that enter where two may", Some(3), || {
        let acceptors = at_once(
            acceptors(2, [1, 1, 1]),
            vec![
                ModelAcceptor::accept,
                ModelAcceptor::accept,
                ModelAcceptor::accept,
            ],
        );
        assert_no_place_is_forgotten(&acceptors);
        assert_eq!(acceptors[0].cap.open(), 2);
    });
}

#[test]
fn who_begins_to_wait_and_who_leaves_find_each_other() {
    check("one that begins to wait, one that leaves", || {
        let mut acceptors = acceptors(1, [1, 1]);
        acceptors[1].accept();
        let acceptors = at_once(acceptors, vec![ModelAcceptor::accept, ModelAcceptor::leave]);
        assert_no_place_is_forgotten(&acceptors);
        assert_eq!(acceptors[0].inside, 1);
    });
}

#[test]
fn who_waits_is_not_forgotten_for_one_that_begins_to() {
    check_bounded("one waits, one begins to, two leave", Some(3), || {
        let mut acceptors = acceptors(2, [1, 1, 2]);
        acceptors[2].accept();
        acceptors[2].accept();
        acceptors[1].accept();
        let leave_twice = |acceptor: &mut ModelAcceptor| {
            acceptor.leave();
            acceptor.leave();
        };
        let acceptors = at_once(acceptors, vec![ModelAcceptor::accept, |_| {}, leave_twice]);
        assert_no_place_is_forgotten(&acceptors);
        assert_eq!((acceptors[0].inside, acceptors[1].inside), (1, 1));
    });
}

#[test]
fn who_is_called_and_has_nobody_left_calls_the_next() {
    check_bounded(
        "two begin to wait, one of them for nobody, one leaves",
        Some(3),
        || {
            let mut acceptors = acceptors(1, [0, 1, 1]);
            acceptors[2].accept();
            let acceptors = at_once(
                acceptors,
                vec![ModelAcceptor::accept, ModelAcceptor::accept, ModelAcceptor::leave],
            );
            assert_no_place_is_forgotten(&acceptors);
            assert_eq!(acceptors[1].inside, 1);
        },
    );
}
