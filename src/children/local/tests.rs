//! The children of one server on a shard's simulated ring, whose processes a test plays.

mod resting;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::children::child::{ChildLimits, EndingStep};
use crate::children::played_process::{Process, limits_by_default, request};
use crate::jsonrpc::Id;
use crate::mcp::ClientProfile;
use crate::mcp::{ClientCapabilities, Revision, SessionToken};
use crate::ring::simulated::{Faults, PeerView, SimulatedNetwork, SimulatedRing, SimulatedSocket};
use crate::ring::{Completion, RingOptions};

const OPTIONS: RingOptions = RingOptions {
    submission_entries: 8,
    completion_entries: 32,
    buffers: 4,
    buffer_bytes: 512,
    is_fixed: false,
    is_prefaulted: false,
};
const LIMITS: LocalLimits = LocalLimits {
    queue_depth_max: 8,
    queue_timeout: Duration::from_secs(5),
};

#[derive(Default)]
struct Told {
    answered: BTreeMap<u32, String>,
    failed: BTreeMap<u32, CallFailure>,
    /// Calls that are handed back.
    misplaced: Vec<u32>,
    others: Vec<String>,
}

impl Told {
    fn take(&mut self, event: LocalEvent<'_, u32>) {
        let other = match event {
            LocalEvent::Answered { caller, answer, .. } => {
                let mut out = Vec::new();
                answer.write(&mut out, Id::Signed(caller.into()));
                let text = String::from_utf8(out).unwrap();
                assert!(
                    self.answered.insert(caller, text).is_none(),
                    "{caller} ends twice"
                );
                return;
            }
            LocalEvent::Failed { caller, failure } => {
                assert!(
                    self.failed.insert(caller, failure).is_none(),
                    "{caller} ends twice"
                );
                return;
            }
            LocalEvent::Progress { .. } | LocalEvent::ErrorLine { .. } | LocalEvent::Rubbish { .. } => return,
            LocalEvent::Ready { member, .. } => format!("{} is ready", member.0),
            LocalEvent::Worn { member, is_used_up } => format!("{} is worn, used up: {is_used_up}", member.0),
            LocalEvent::Resting { member } => format!("{} is resting", member.0),
            LocalEvent::Step { member, step } => format!("{}: {step:?}", member.0),
            LocalEvent::Gone { member, end } => {
                let why = end
                    .failure
                    .map_or("as it should".to_owned(), |failure| failure.to_string());
                format!("{} is gone: {why}", member.0)
            }
            LocalEvent::Listed { lists, .. } => {
                format!(
                    "lists: {} tools",
                    lists.list(crate::children::ListName::Tools).len()
                )
            }
            LocalEvent::Misplaced {
                call: (text, caller, _),
            } => {
                assert!(String::from_utf8_lossy(&text).contains("tools/call"));
                self.misplaced.push(caller);
                return;
            }
            LocalEvent::Disowned { member } => format!("{} is disowned", member.0),
            LocalEvent::Changed { .. }
            | LocalEvent::Told { .. }
            | LocalEvent::Asked { .. }
            | LocalEvent::Unanswered { .. }
            | LocalEvent::Updated { .. } => "something else".to_owned(),
        };
        self.others.push(other);
    }
}

struct Rig {
    network: SimulatedNetwork,
    ring: SimulatedRing,
    local: LocalChildren<u32, SimulatedSocket>,
    processes: BTreeMap<u64, Process>,
    /// By the slot of a pipe.
    members: BTreeMap<u32, MemberKey>,
    in_flight_max: u32,
    calls_max: Option<u32>,
    worn_after: Option<u32>,
    idle_timeout: Option<Duration>,
    now: Instant,
    told: Told,
}

impl Rig {
    fn new(seed: u64, in_flight_max: u32) -> Rig {
        let network = SimulatedNetwork::new(seed);
        let ring = network.ring(OPTIONS);
        Rig {
            network,
            ring,
            local: LocalChildren::new(LIMITS),
            processes: BTreeMap::new(),
            members: BTreeMap::new(),
            in_flight_max,
            calls_max: None,
            worn_after: None,
            idle_timeout: None,
            now: Instant::now(),
            told: Told::default(),
        }
    }

    /// One with so many children that take calls, numbered from 1.
    fn with_children(seed: u64, children: u64, in_flight_max: u32) -> Rig {
        let mut rig = Rig::new(seed, in_flight_max);
        (1..=children).for_each(|number| rig.start(number));
        rig
    }

    fn start(&mut self, number: u64) {
        self.adopt(number, Some(&ChildProfile::shared()));
        let ready = format!("{number} is ready");
        for _ in 0..100 {
            self.pass();
            let process = self.process(number);
            process.read();
            if !process.questions.is_empty() {
                process.answer(0);
            }
            if self.told.others.last() == Some(&ready) {
                break;
            }
        }
        assert_eq!(self.told.others.pop(), Some(ready));
        self.pass();
        let process = self.process(number);
        process.read();
        // What it was told is not to be answered; a call that waited for it is.
        process
            .questions
            .retain(|question| question.contains("tools/call"));
    }

    fn adopt_ungreeted(&mut self, number: u64) {
        self.adopt(number, None);
    }

    fn adopt(&mut self, number: u64, profile: Option<&ChildProfile>) {
        let key = MemberKey(number);
        let (process, sockets) = Process::start(&self.network);
        let slot = self.members.len() as u32;
        let pipe = |at| ConnectionKey {
            slot: slot + at,
            generation: 0,
        };
        self.members.extend((0..3).map(|at| (slot + at, key)));
        let keys = PipeKeys {
            input: pipe(0),
            output: pipe(1),
            errors: pipe(2),
        };
        let limits = ChildLimits {
            in_flight_max: self.in_flight_max,
            calls_max: self.calls_max,
            worn_after: self.worn_after,
            idle_timeout: self.idle_timeout,
            // A child that rests is looked at later.
            ping_interval: limits_by_default()
                .ping_interval
                .max(self.idle_timeout.unwrap_or_default() * 100),
            ..limits_by_default()
        };
        let child = Child::new(limits, profile, false, self.now);
        self.local.adopt(key, child, sockets, keys);
        self.processes.insert(number, process);
    }

    fn process(&mut self, number: u64) -> &mut Process {
        self.processes.get_mut(&number).unwrap()
    }

    fn pass(&mut self) {
        let told = &mut self.told;
        self.local
            .advance(self.now, &mut |event: LocalEvent<'_, u32>| told.take(event));
        self.local.flush(&mut self.ring);
        self.ring.flush().unwrap();
        while let Some(completion) = self.ring.next_completion() {
            let now = self.now;
            let tell = &mut |event: LocalEvent<'_, u32>| told.take(event);
            match completion {
                Completion::Received { key, outcome } => {
                    let member = self.members[&key.slot];
                    self.local.on_received((member, key), outcome, now, tell);
                }
                Completion::Sent { key, buffer, result } => {
                    let member = self.members[&key.slot];
                    self.local.on_sent(member, (buffer, result), now, tell);
                }
                Completion::Closed { key } => self.local.on_closed(self.members[&key.slot], key),
                other => panic!("{other:?}"),
            }
        }
    }

    fn passes(&mut self, count: usize) {
        (0..count).for_each(|_| self.pass());
    }

    fn later(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        let told = &mut self.told;
        let tell = &mut |event: LocalEvent<'_, u32>| told.take(event);
        self.local.on_time(self.now, tell);
    }

    fn call(&mut self, caller: u32) -> Result<(), LocalRefusal> {
        self.call_of(caller, None)
    }

    fn call_of(&mut self, caller: u32, client: Option<ClientKey>) -> Result<(), LocalRefusal> {
        let text = request(caller, 10);
        let message = Message::read(text.as_bytes()).unwrap();
        let expected = self.local.refuses(client);
        let taken = self.local.submit(
            text.as_bytes(),
            &message,
            caller,
            SubmitTerms { client, due: None },
            self.now,
        );
        let taken = taken.map_err(|(back, refusal)| {
            assert_eq!(back, caller);
            refusal
        });
        assert_eq!(taken.err(), expected);
        taken
    }

    /// Every process reads, and answers all it has.
    fn answer_all(&mut self) {
        for process in self.processes.values_mut() {
            process.read();
            while !process.questions.is_empty() {
                process.answer(0);
            }
        }
    }

    fn others(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told.others)
    }
}

#[test]
fn calls_spread_over_the_children_and_wait_in_order() {
    let mut rig = Rig::with_children(1, 2, 2);
    for caller in 0..6 {
        rig.call(caller).unwrap();
    }
    assert_eq!((rig.local.waiting(), rig.local.room()), (2, 0));
    rig.passes(2);
    for number in [1, 2] {
        let process = rig.process(number);
        process.read();
        assert_eq!(process.questions.len(), 2, "child {number}");
    }
    rig.process(1).answer(0);
    rig.passes(8);
    rig.process(1).read();
    assert!(
        rig.processes[&1].saw(4) && !rig.processes[&1].saw(5),
        "the oldest is next"
    );
    for _ in 0..8 {
        rig.answer_all();
        rig.passes(4);
    }
    assert_eq!(rig.told.answered.len(), 6);
    assert_eq!((rig.local.room(), rig.local.is_idle()), (4, true));
}

#[test]
fn what_can_not_wait_is_refused_and_what_waits_too_long_is_too() {
    let mut rig = Rig::new(2, 1);
    for caller in 0..8 {
        rig.call(caller).unwrap();
    }
    assert_eq!(rig.call(8), Err(LocalRefusal::QueueFull));
    rig.later(4000);
    assert_eq!(rig.local.cancel(|caller| *caller == 3, "left", rig.now), Some(3));
    rig.call(9).unwrap();
    rig.later(1000);
    assert_eq!(rig.told.failed.len(), 7);
    let timed_out = CallFailure::Refused(LocalRefusal::QueueTimeout);
    assert!(rig.told.failed.values().all(|failure| *failure == timed_out));
    assert_eq!(rig.local.waiting(), 1);
    rig.local.refuse(Some(LocalRefusal::Quarantined));
    assert_eq!(rig.call(10), Err(LocalRefusal::Quarantined));
    // The next child serves who waits.
    rig.start(1);
    rig.answer_all();
    rig.passes(8);
    assert!(rig.told.answered.contains_key(&9));
}

#[test]
fn a_call_that_moves_to_another_shard_waits_no_longer_than_if_it_had_stayed() {
    let (mut here, mut there) = (Rig::new(12, 1), Rig::with_children(13, 1, 1));
    there.now = here.now;
    // Whoever waits there is behind it.
    (10..12).for_each(|caller| there.call(caller).unwrap());
    here.call(1).unwrap();
    here.later(4000);
    let (text, caller, due) = here.local.take_waiting(|_| true).unwrap();
    assert_eq!((caller, here.local.waiting()), (1, 0));
    let message = Message::read_checked(&text).unwrap();
    assert!(due.is_some());
    let (now, client) = (here.now, None);
    there
        .local
        .submit(&text, &message, caller, SubmitTerms { client, due }, now)
        .unwrap();
    there.later(4999);
    assert!(there.told.failed.is_empty() && there.local.waiting() == 2);
    there.later(1);
    let timed_out = CallFailure::Refused(LocalRefusal::QueueTimeout);
    assert_eq!(there.told.failed.get(&1), Some(&timed_out));
    // One whose time is not over goes first.
    here.call(2).unwrap();
    let (text, caller, due) = here.local.take_waiting(|_| true).unwrap();
    let message = Message::read_checked(&text).unwrap();
    there.call(12).unwrap();
    let taken = there
        .local
        .submit(&text, &message, caller, SubmitTerms { client, due }, now);
    taken.unwrap();
    for _ in 0..3 {
        there.passes(2);
        there.answer_all();
    }
    there.passes(8);
    assert!(there.processes[&1].saw(2), "it waited longest");
}

#[test]
fn a_cancelled_call_is_told_to_its_child_only() {
    let mut rig = Rig::with_children(3, 2, 4);
    (0..4).for_each(|caller| rig.call(caller).unwrap());
    rig.pass();
    assert_eq!(rig.local.cancel(|caller| *caller == 2, "left", rig.now), Some(2));
    assert_eq!(rig.local.cancel(|caller| *caller == 2, "left", rig.now), None);
    rig.passes(2);
    let told = |process: &mut Process| {
        process.read();
        String::from_utf8_lossy(&process.seen)
            .matches("notifications/cancelled")
            .count()
    };
    let cancellations: Vec<usize> = rig.processes.values_mut().map(told).collect();
    assert_eq!(cancellations.iter().sum::<usize>(), 1);
    rig.answer_all();
    rig.passes(8);
    assert_eq!(rig.told.answered.keys().copied().collect::<Vec<_>>(), [0, 1, 3]);
}

#[test]
fn the_calls_of_a_dead_child_fail_or_move_and_others_go_on() {
    let mut rig = Rig::with_children(4, 2, 4);
    rig.call(0).unwrap();
    rig.call(1).unwrap();
    rig.passes(2);
    rig.processes.values_mut().for_each(Process::read);
    let dead = rig
        .processes
        .iter()
        .find(|(_, process)| process.saw(0))
        .map(|(number, _)| *number)
        .unwrap();
    rig.process(dead).die();
    // It is not known to be dead yet.
    rig.call(2).unwrap();
    rig.call(3).unwrap();
    rig.local.on_exited(MemberKey(dead), rig.now);
    rig.passes(5);
    rig.answer_all_of_others(dead);
    rig.passes(8);
    rig.answer_all_of_others(dead);
    rig.passes(8);
    assert_eq!(rig.told.answered.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    assert!(matches!(&rig.told.failed[&0], CallFailure::ChildLost { member, .. } if member.0 == dead));
    let others = rig.others();
    assert_eq!(others.len(), 1);
    assert!(
        others[0].starts_with(&format!("{dead} is gone: it closed its")),
        "{others:?}"
    );
    assert_eq!(rig.local.room(), 4);
}

#[test]
fn what_a_dead_child_has_not_seen_waits_no_longer_than_other_calls_if_there_is_no_other_child() {
    let mut rig = Rig::with_children(4, 1, 4);
    rig.process(1).die();
    // It is not known to be dead yet.
    rig.call(0).unwrap();
    rig.local.on_exited(MemberKey(1), rig.now);
    rig.passes(5);
    rig.local.refuse(Some(LocalRefusal::Quarantined));
    assert_eq!(rig.local.waiting(), 1);
    rig.later(4999);
    assert_eq!(rig.local.waiting(), 1);
    rig.later(1);
    let timed_out = CallFailure::Refused(LocalRefusal::QueueTimeout);
    assert_eq!(rig.told.failed.get(&0), Some(&timed_out));
    assert_eq!(rig.local.waiting(), 0);
}

impl Rig {
    fn answer_all_of_others(&mut self, dead: u64) {
        for (_, process) in self.processes.iter_mut().filter(|(number, _)| **number != dead) {
            process.read();
            while !process.questions.is_empty() {
                process.answer(0);
            }
        }
    }
}

/// A process leaves its pipes to one that it has started, which says nothing.
#[test]
fn a_process_that_leaves_its_pipes_to_others_is_dead_all_the_same() {
    let mut rig = Rig::with_children(5, 1, 4);
    rig.call(0).unwrap();
    rig.passes(2);
    rig.local.on_exited(MemberKey(1), rig.now);
    rig.later(400);
    rig.passes(5);
    assert!(rig.told.failed.is_empty());
    rig.later(100);
    rig.passes(5);
    assert_eq!(rig.told.failed.len(), 1);
    assert_eq!(rig.others(), ["1 is gone: its process ended"]);
    assert!(rig.local.is_empty());
}

#[test]
fn a_child_that_does_not_answer_is_ended_step_by_step() {
    let mut rig = Rig::with_children(6, 1, 4);
    rig.later(30_000);
    rig.passes(2);
    rig.later(30_000);
    rig.call(0).unwrap();
    rig.passes(5);
    assert_eq!(rig.local.waiting(), 1, "nobody is given to it");
    assert_eq!(rig.process(1).stdin.view(), PeerView::Ended);
    rig.later(2000);
    assert_eq!(rig.others(), [format!("1: {:?}", EndingStep::Terminate)]);
    rig.later(2000);
    assert_eq!(rig.others(), [format!("1: {:?}", EndingStep::Kill)]);
    rig.local.on_exited(MemberKey(1), rig.now);
    rig.passes(5);
    assert_eq!(rig.others(), ["1 is gone: it does not answer"]);
}

#[test]
fn a_drain_lets_calls_finish_and_then_ends_the_children() {
    let mut rig = Rig::with_children(7, 1, 1);
    rig.call(0).unwrap();
    rig.call(1).unwrap();
    rig.local.begin_drain();
    assert_eq!(rig.call(2), Err(LocalRefusal::Draining));
    rig.passes(3);
    assert_eq!(rig.process(1).stdin.view(), PeerView::Open);
    for _ in 0..2 {
        rig.answer_all();
        rig.passes(8);
    }
    assert_eq!(rig.told.answered.len(), 2);
    assert_eq!(rig.process(1).stdin.view(), PeerView::Ended);
    rig.process(1).die();
    rig.local.on_exited(MemberKey(1), rig.now);
    rig.passes(8);
    assert_eq!(rig.others(), ["1 is gone: as it should"]);
    assert!(rig.local.is_empty());
}

#[test]
fn a_retired_child_ends_when_it_has_answered_and_another_goes_on() {
    let mut rig = Rig::with_children(8, 2, 1);
    rig.call(0).unwrap();
    rig.call(1).unwrap();
    rig.call(2).unwrap();
    rig.local.retire(MemberKey(1));
    rig.passes(3);
    rig.answer_all();
    rig.passes(8);
    rig.answer_all();
    rig.passes(8);
    assert_eq!(rig.told.answered.len(), 3);
    assert!(rig.processes[&2].saw(2));
    assert_eq!(rig.process(1).stdin.view(), PeerView::Ended);
    // It ignores that.
    rig.later(2000);
    assert_eq!(rig.others(), ["1: Terminate"]);
    rig.process(1).die();
    rig.local.on_exited(MemberKey(1), rig.now);
    rig.passes(8);
    assert_eq!(rig.others(), ["1 is gone: as it should"]);
}

/// Seeded: children die and are replaced under load, over rough pipes. Every call ends once, and none is seen by two
/// children.
#[test]
fn a_child_for_one_call_gets_one_and_ends_with_it() {
    let mut rig = Rig::new(1, 1);
    rig.calls_max = Some(1);
    rig.start(1);
    rig.start(2);
    for caller in 1..=3 {
        rig.call(caller).unwrap();
        rig.passes(4);
    }
    assert_eq!(rig.local.waiting(), 1, "both have had their call");
    assert_eq!(
        rig.told.others,
        ["1 is worn, used up: true", "2 is worn, used up: true"]
    );
    rig.process(1).read();
    rig.process(1).answer(0);
    rig.passes(8);
    assert!(rig.told.answered.contains_key(&1));
    assert_eq!(rig.local.waiting(), 1, "it gets no other, though it is idle");
    assert_ne!(rig.process(1).stdin.view(), PeerView::Open, "it is asked to end");
    rig.start(3);
    rig.passes(4);
    rig.process(3).read();
    assert!(rig.process(3).saw(3));
}

#[test]
fn a_worn_child_goes_on_until_it_is_retired() {
    let mut rig = Rig::new(1, 4);
    rig.worn_after = Some(2);
    rig.start(1);
    for caller in 1..=3 {
        rig.call(caller).unwrap();
        rig.passes(4);
        rig.process(1).read();
        rig.process(1).answer(0);
        rig.passes(8);
    }
    assert_eq!(rig.told.answered.len(), 3);
    assert_eq!(rig.told.others, ["1 is worn, used up: false"], "it is told once");
    rig.local.retire(MemberKey(1));
    rig.passes(4);
    rig.call(4).unwrap();
    assert_eq!(rig.local.waiting(), 1);
}

#[test]
fn every_call_ends_once_whatever_dies() {
    let rough = Faults {
        receive_short: 200,
        receive_starved: 50,
        send_short: 200,
        send_refused: 100,
        delayed: 200,
        delay_flushes_max: 4,
        reordered: 200,
        ..Faults::default()
    };
    for seed in 0..40 {
        let mut rig = Rig::with_children(seed, 3, 3);
        let mut rng = fastrand::Rng::with_seed(seed);
        rig.network.set_faults(rough);
        let (mut submitted, mut cancelled) = (BTreeSet::new(), BTreeSet::new());
        let (mut next_child, mut caller) = (4, 0);
        let mut dead = BTreeSet::new();
        for _ in 0..300 {
            for _ in 0..rng.u32(..3) {
                if rig.call(caller).is_ok() {
                    submitted.insert(caller);
                }
                caller += 1;
            }
            if rng.u8(..20) == 0 {
                let wanted = rng.u32(..caller.max(1));
                if rig
                    .local
                    .cancel(|caller| *caller == wanted, "left", rig.now)
                    .is_some()
                {
                    cancelled.insert(wanted);
                }
            }
            if rng.u8(..40) == 0 {
                let alive: Vec<u64> = rig
                    .processes
                    .keys()
                    .copied()
                    .filter(|number| !dead.contains(number))
                    .collect();
                let number = *rng.choice(&alive).unwrap();
                rig.process(number).read();
                rig.process(number).die();
                rig.local.on_exited(MemberKey(number), rig.now);
                dead.insert(number);
                rig.start(next_child);
                next_child += 1;
            }
            rig.pass();
            rig.later(5);
            for (number, process) in &mut rig.processes {
                if !dead.contains(number) && rng.bool() {
                    process.read();
                    if !process.questions.is_empty() {
                        process.answer(rng.usize(..process.questions.len()));
                    }
                }
            }
        }
        for _ in 0..2000 {
            for number in &dead {
                rig.processes.remove(number);
            }
            rig.answer_all();
            rig.pass();
            rig.later(5);
            if rig.local.is_idle() {
                break;
            }
        }
        let mut ended: BTreeSet<u32> = rig.told.answered.keys().copied().collect();
        ended.extend(rig.told.failed.keys());
        assert!(ended.is_disjoint(&cancelled), "seed {seed}");
        ended.extend(&cancelled);
        assert_eq!(ended, submitted, "seed {seed}");
        for (caller, answer) in &rig.told.answered {
            assert!(
                answer.contains(&format!("\"caller\":{caller},")),
                "seed {seed}: {answer}"
            );
        }
    }
}

/// A client of its own.
fn channel(number: u8) -> ClientKey {
    ClientKey::Channel(SessionToken([number; 16]))
}

#[test]
fn the_child_of_a_client_serves_nobody_else() {
    let mut rig = Rig::with_children(21, 2, 2);
    rig.local.assign(MemberKey(1), channel(1), None, rig.now);
    rig.local.assign(MemberKey(2), channel(2), None, rig.now);
    (0..4).for_each(|caller| rig.call_of(caller, Some(channel(1))).unwrap());
    rig.call_of(9, Some(channel(2))).unwrap();
    rig.call_of(7, Some(channel(3))).unwrap();
    rig.passes(2);
    rig.processes.values_mut().for_each(Process::read);
    assert_eq!(
        (rig.process(1).questions.len(), rig.process(2).questions.len()),
        (2, 1)
    );
    for _ in 0..8 {
        rig.answer_all();
        rig.passes(4);
    }
    assert!((0..4).all(|caller| rig.processes[&1].saw(caller) && !rig.processes[&2].saw(caller)));
    assert_eq!(
        rig.told.answered.keys().copied().collect::<Vec<_>>(),
        [0, 1, 2, 3, 9]
    );
    assert!(rig.local.has_waiting_of(channel(3)) && !rig.local.has_child_of(channel(3)));
    let active: Vec<u64> = rig.local.take_active().iter().map(|member| member.0).collect();
    assert_eq!(active, [1, 2]);
    assert!(rig.local.take_active().is_empty());
    assert_eq!(
        rig.local.take_waiting_of(channel(3)).map(|(_, caller, _)| caller),
        Some(7)
    );
}

#[test]
fn a_call_that_waits_is_served_when_its_child_is_there_and_ready() {
    let mut rig = Rig::new(22, 1);
    rig.call_of(1, Some(channel(1))).unwrap();
    rig.call_of(2, Some(channel(2))).unwrap();
    rig.start(1);
    rig.passes(3);
    assert_eq!(rig.local.waiting(), 2, "it is nobody's yet");
    rig.local.assign(MemberKey(1), channel(2), None, rig.now);
    for _ in 0..4 {
        rig.answer_all();
        rig.passes(4);
    }
    assert_eq!(rig.told.answered.keys().copied().collect::<Vec<_>>(), [2]);
    rig.later(5000);
    assert!(rig.told.failed.contains_key(&1));
}

#[test]
fn what_the_child_of_a_client_has_not_seen_is_handed_back_when_it_is_of_no_more_use() {
    let mut rig = Rig::with_children(23, 2, 2);
    rig.local.assign(MemberKey(1), channel(1), None, rig.now);
    (0..2).for_each(|caller| rig.call_of(caller, Some(channel(1))).unwrap());
    rig.passes(2);
    rig.process(1).read();
    rig.call_of(2, Some(channel(1))).unwrap();
    rig.process(1).die();
    rig.local.on_exited(MemberKey(1), rig.now);
    rig.passes(6);
    rig.later(500);
    rig.passes(4);
    assert!([0, 1].iter().all(|caller| rig.told.failed.contains_key(caller)));
    assert_eq!(rig.told.misplaced, [2]);
    let others = rig.others();
    assert_eq!(others[0], "1 is disowned", "{others:?}");
    assert!(others[1].starts_with("1 is gone"), "{others:?}");
    assert!(!rig.processes[&2].saw(2), "the other child is nobody's of theirs");
}

#[test]
fn the_child_of_a_call_that_nobody_wants_any_more_ends_unused() {
    let mut rig = Rig::new(24, 1);
    let call = ClientKey::Call { shard: 0, number: 1 };
    rig.call_of(1, Some(call)).unwrap();
    rig.start(1);
    // It is not ready for the call: the call waits.
    rig.local.assign(MemberKey(1), call, None, rig.now);
    assert!(rig.local.is_unused(call));
    rig.local.cancel(|caller| *caller == 1, "left", rig.now);
    rig.passes(3);
    assert!(rig.others().contains(&"1 is disowned".to_owned()));
}

#[test]
fn the_child_of_a_call_gets_no_second_one() {
    let mut rig = Rig::with_children(25, 1, 4);
    let call = ClientKey::Call { shard: 0, number: 1 };
    rig.local.assign(MemberKey(1), call, None, rig.now);
    rig.call_of(1, Some(call)).unwrap();
    rig.call_of(2, Some(call)).unwrap();
    for _ in 0..6 {
        rig.answer_all();
        rig.passes(4);
    }
    assert!(rig.told.answered.contains_key(&1) && !rig.processes[&1].saw(2));
    assert_eq!(rig.told.misplaced, [2]);
}

#[test]
fn a_child_is_greeted_when_its_client_is_known() {
    let mut rig = Rig::new(26, 1);
    rig.adopt_ungreeted(1);
    rig.passes(3);
    rig.process(1).read();
    assert!(rig.process(1).seen.is_empty());
    rig.later(40_000);
    rig.passes(2);
    assert!(rig.others().is_empty(), "it has all the time");
    let profile = ChildProfile::of(ClientProfile {
        revision: Revision::V2025_06_18,
        capabilities: ClientCapabilities::ROOTS,
    });
    rig.call_of(1, Some(channel(1))).unwrap();
    rig.local
        .assign(MemberKey(1), channel(1), Some(&profile), rig.now);
    rig.passes(3);
    rig.process(1).read();
    let seen = String::from_utf8_lossy(&rig.process(1).seen).into_owned();
    assert!(
        seen.contains("\"2025-06-18\"") && seen.contains("\"roots\""),
        "{seen}"
    );
    for _ in 0..6 {
        rig.answer_all();
        rig.passes(4);
    }
    assert!(rig.told.answered.contains_key(&1));
}
