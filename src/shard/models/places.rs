//! The connection gate: the cap is never passed, and a free place and a shard that waits for one do not stay
//! together.

use loom::thread;

use super::{LoomSync, check, check_bounded};
use crate::shard::acceptor::{Gate, ShardGate};

/// An acceptor, as far as the gate can tell: it takes one connection at a look.
struct Door {
    gate: ShardGate<LoomSync>,
    cap: usize,
    /// Who waits in its listener's queue.
    backlog: u32,
    inside: u32,
    is_full: bool,
}

impl Door {
    fn accept(&mut self) {
        self.is_full = false;
        self.gate.stop_waiting();
        if !self.gate.try_enter() && !self.gate.await_place() {
            return self.is_full = true;
        }
        let open = self.gate.open();
        assert!(open <= self.cap, "{open} are inside");
        if self.backlog == 0 {
            return self.gate.leave(None);
        }
        self.backlog -= 1;
        self.inside += 1;
    }

    /// Goes on if it was called, and as long as somebody is in the queue.
    fn look(&mut self) -> bool {
        let goes_on = if self.is_full {
            !self.gate.is_waiting()
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
        self.gate.leave(None);
    }
}

/// Doors of one gate, with as many in the queue of each.
fn doors<const N: usize>(cap: usize, backlogs: [u32; N]) -> Vec<Door> {
    let gate: Gate<LoomSync> = Gate::new(cap, None, N);
    let door = |backlog| Door {
        gate: gate.join(Box::new(|| ())),
        cap,
        backlog,
        inside: 0,
        is_full: false,
    };
    backlogs.into_iter().map(door).collect()
}

/// Runs each door's part in a thread of its own; then whoever was called goes on.
fn at_once(doors: Vec<Door>, parts: Vec<fn(&mut Door)>) -> Vec<Door> {
    assert_eq!(doors.len(), parts.len(), "a part for each door");
    let threads: Vec<_> = doors
        .into_iter()
        .zip(parts)
        .map(|(mut door, part)| {
            thread::spawn(move || {
                part(&mut door);
                door
            })
        })
        .collect();
    let mut doors: Vec<Door> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    while doors.iter_mut().any(Door::look) {}
    doors
}

fn assert_no_place_is_forgotten(doors: &[Door]) {
    let (open, cap) = (doors[0].gate.open(), doors[0].cap);
    let inside: u32 = doors.iter().map(|door| door.inside).sum();
    assert_eq!(open, inside as usize, "places");
    let waits = doors.iter().any(|door| door.gate.is_waiting());
    assert!(open == cap || !waits, "a place is free, and a shard waits for it");
}

#[test]
fn the_cap_is_never_passed() {
    check_bounded("three that enter where two may", Some(3), || {
        let doors = at_once(
            doors(2, [1, 1, 1]),
            vec![Door::accept, Door::accept, Door::accept],
        );
        assert_no_place_is_forgotten(&doors);
        assert_eq!(doors[0].gate.open(), 2);
    });
}

#[test]
fn who_begins_to_wait_and_who_leaves_find_each_other() {
    check("one that begins to wait, one that leaves", || {
        let mut doors = doors(1, [1, 1]);
        doors[1].accept();
        let doors = at_once(doors, vec![Door::accept, Door::leave]);
        assert_no_place_is_forgotten(&doors);
        assert_eq!(doors[0].inside, 1);
    });
}

#[test]
fn who_waits_is_not_forgotten_for_one_that_begins_to() {
    check_bounded("one waits, one begins to, two leave", Some(3), || {
        let mut doors = doors(2, [1, 1, 2]);
        doors[2].accept();
        doors[2].accept();
        doors[1].accept();
        let leave_twice = |door: &mut Door| {
            door.leave();
            door.leave();
        };
        let doors = at_once(doors, vec![Door::accept, |_| {}, leave_twice]);
        assert_no_place_is_forgotten(&doors);
        assert_eq!((doors[0].inside, doors[1].inside), (1, 1));
    });
}

#[test]
fn who_is_called_and_has_nobody_left_calls_the_next() {
    check_bounded(
        "two begin to wait, one of them for nobody, one leaves",
        Some(3),
        || {
            let mut doors = doors(1, [0, 1, 1]);
            doors[2].accept();
            let doors = at_once(doors, vec![Door::accept, Door::accept, Door::leave]);
            assert_no_place_is_forgotten(&doors);
            assert_eq!(doors[1].inside, 1);
        },
    );
}
