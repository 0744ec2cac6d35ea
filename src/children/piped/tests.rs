//! A child on the simulated ring, whose pipes are short, slow and break.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::children::child::{ChildLimits, ChildProfile, EndingStep};
use crate::children::line::Message;
use crate::children::played_process::{Process, limits_by_default, request};
use crate::jsonrpc::Id;
use crate::ring::simulated::{Fault, Faults, PeerView, SimulatedNetwork, SimulatedRing, SimulatedSocket};
use crate::ring::{Completion, RingOptions};

const OPTIONS: RingOptions = RingOptions {
    submission_entries: 8,
    completion_entries: 32,
    buffers: 2,
    buffer_bytes: 256,
    is_fixed: false,
    is_prefaulted: false,
};

/// What pipes do to those who use them, often.
const ROUGH: Faults = Faults {
    receive_short: 300,
    receive_starved: 50,
    receive_cancelled: 20,
    receive_reset: 0,
    send_short: 300,
    send_refused: 200,
    send_reset: 0,
    watch_failed: 0,
    accept_exhausted: 0,
    accept_nothing: 0,
    delayed: 300,
    delay_flushes_max: 6,
    reordered: 300,
};

/// A child whose process a test plays, and what became of its calls.
struct Rig {
    network: SimulatedNetwork,
    ring: SimulatedRing,
    piped: PipedChild<u32, SimulatedSocket>,
    process: Process,
    now: Instant,
    told: Told,
}

#[derive(Default)]
struct Told {
    is_ready: bool,
    answered: BTreeMap<u32, String>,
    progress: Vec<u32>,
    rubbish: u32,
    failures: Vec<String>,
    errors: Vec<String>,
}

impl Told {
    fn take(&mut self, event: ChildEvent<'_, u32>) {
        match event {
            ChildEvent::Ready { .. } => self.is_ready = true,
            ChildEvent::Answered { caller, answer, .. } => {
                let mut out = Vec::new();
                answer.write(&mut out, Id::Signed(caller.into()));
                let text = String::from_utf8(out).unwrap();
                assert_eq!(
                    self.answered.insert(caller, text),
                    None,
                    "{caller} is answered twice"
                );
            }
            ChildEvent::Progress { caller, .. } => self.progress.push(*caller),
            ChildEvent::Failed(failure) => self.failures.push(failure.to_string()),
            // What was cut off by the end of the output.
            ChildEvent::Rubbish { .. } if self.rubbish == 0 => self.rubbish += 1,
            other => panic!("{other:?}"),
        }
    }
}

impl Rig {
    fn new(seed: u64) -> Rig {
        let network = SimulatedNetwork::new(seed);
        let ring = network.ring(OPTIONS);
        let now = Instant::now();
        let (process, sockets) = Process::start(&network);
        let key = |slot| ConnectionKey { slot, generation: 0 };
        let keys = PipeKeys {
            input: key(0),
            output: key(1),
            errors: key(2),
        };
        let limits = ChildLimits {
            in_flight_max: 16,
            ..limits_by_default()
        };
        let child = Child::new(limits, Some(&ChildProfile::shared()), false, now);
        Rig {
            network,
            ring,
            piped: PipedChild::new(child, sockets, keys),
            process,
            now,
            told: Told::default(),
        }
    }

    fn ready(seed: u64) -> Rig {
        let mut rig = Rig::new(seed);
        rig.pass();
        rig.process.read();
        rig.process.answer(0);
        rig.pass();
        assert!(rig.told.is_ready);
        rig.pass();
        rig.process.read();
        rig.process.questions.clear();
        rig
    }

    /// One pass of a shard.
    fn pass(&mut self) {
        self.piped.flush(&mut self.ring);
        self.ring.flush().unwrap();
        while let Some(completion) = self.ring.next_completion() {
            let Told { errors, .. } = &mut self.told;
            let mut lines = std::mem::take(errors);
            let told = &mut self.told;
            match completion {
                Completion::Received { key, outcome } => self.piped.on_received(
                    key,
                    outcome,
                    self.now,
                    |event| told.take(event),
                    |line| lines.push(line.text.to_owned()),
                ),
                Completion::Sent { buffer, result, .. } => {
                    self.piped
                        .on_sent(buffer, result, self.now, |event| told.take(event));
                }
                Completion::Closed { key } => self.piped.on_closed(key),
                other => panic!("{other:?}"),
            }
            self.told.errors = lines;
        }
    }

    fn call(&mut self, caller: u32, bytes: usize) -> bool {
        let text = request(caller, bytes);
        let message = Message::read(text.as_bytes()).unwrap();
        let child = self.piped.child_mut();
        child.submit(text.as_bytes(), &message, caller, self.now).is_ok()
    }

    /// Closes the pipes and waits until nothing is with the ring.
    fn close(&mut self) -> Vec<Abandoned<u32>> {
        self.piped.child_mut().begin_ending(self.now);
        self.piped.close();
        for _ in 0..100 {
            if self.piped.is_closed() {
                break;
            }
            self.pass();
        }
        assert!(self.piped.is_closed());
        let abandoned = self.piped.abandon().expect("nothing is under way");
        self.ring.assert_settled();
        abandoned
    }
}

#[test]
fn a_child_is_greeted_and_answers() {
    let mut rig = Rig::ready(1);
    assert!(rig.call(1, 0) && rig.call(2, 0));
    rig.pass();
    rig.process.read();
    assert_eq!(rig.process.questions.len(), 2, "one write has both");
    rig.process.answer(1);
    rig.process.answer(0);
    (0..8).for_each(|_| rig.pass());
    assert_eq!(rig.told.answered.len(), 2);
    assert!(rig.told.answered[&1].contains("\"id\":1,") && rig.told.answered[&1].contains("\"caller\":1,"));
    assert_eq!(rig.told.progress, [2, 1]);
    assert_eq!(rig.told.errors.len(), 2);
    assert_eq!(rig.close(), []);
}

/// Both sides write more than their pipes hold, and neither reads before it has written.
#[test]
fn full_pipes_on_both_sides_are_no_deadlock() {
    let mut rig = Rig::ready(2);
    rig.process.is_reading = false;
    rig.process.stdin.set_window(1000);
    for caller in 0..16 {
        assert!(rig.call(caller, 10_000));
    }
    for _ in 0..20 {
        rig.process.stderr.write(&[b'e'; 100_000]);
        rig.process
            .say(&format!("{{\"id\":1,\"result\":\"{}\"}}\n", "x".repeat(50_000)));
        rig.pass();
    }
    rig.process.is_reading = true;
    for _ in 0..20_000 {
        rig.pass();
        rig.process.read();
        while !rig.process.questions.is_empty() {
            rig.process.answer(0);
        }
        if rig.told.answered.len() == 16 {
            break;
        }
    }
    assert_eq!(rig.told.answered.len(), 16);
    assert_eq!(rig.close(), []);
}

#[test]
fn the_end_of_a_childs_input_lets_it_finish() {
    let mut rig = Rig::ready(3);
    assert!(rig.call(1, 0));
    rig.pass();
    rig.piped.child_mut().retire();
    assert!(!rig.piped.child().is_idle());
    rig.piped.child_mut().begin_ending(rig.now);
    assert_eq!(
        rig.piped.child_mut().ending_step(rig.now),
        Some(EndingStep::CloseInput)
    );
    rig.piped.close_input();
    rig.pass();
    assert_eq!(rig.process.stdin.view(), PeerView::Ended);
    rig.process.read();
    rig.process.answer(0);
    rig.process.stdout.finish();
    rig.process.stderr.finish();
    (0..10).for_each(|_| rig.pass());
    assert_eq!(rig.told.answered.len(), 1);
    assert_eq!(rig.told.failures, [""; 0]);
    assert!(rig.piped.is_closed());
    assert_eq!(rig.piped.abandon(), Some(Vec::new()));
}

#[test]
fn a_child_that_dies_is_a_failure_and_its_calls_are_known() {
    let mut rig = Rig::ready(4);
    assert!(rig.call(1, 0));
    rig.pass();
    rig.process.read();
    rig.process.stdin.close();
    assert!(rig.call(2, 0));
    rig.process.stdout.finish();
    (0..5).for_each(|_| rig.pass());
    assert_eq!(rig.told.failures.len(), 1);
    let abandoned = rig.close();
    let [
        Abandoned::Sent { caller: 1 },
        Abandoned::Unsent { caller: 2, line },
    ] = &abandoned[..]
    else {
        panic!("{abandoned:?}")
    };
    assert!(line.ends_with(b"}"));
}

#[test]
fn a_read_that_fails_is_the_end_of_the_output() {
    let mut rig = Rig::ready(5);
    rig.network.order(Fault::ReceiveReset);
    rig.process.say("{}\n");
    (0..3).for_each(|_| rig.pass());
    assert_eq!(rig.told.failures, ["it closed its output"]);
    rig.close();
}

/// Seeded: whatever pipes do, every call is answered once with what the child said to it.
#[test]
fn rough_pipes_lose_nothing() {
    for seed in 0..60 {
        let mut rig = Rig::ready(seed);
        let mut rng = fastrand::Rng::with_seed(seed);
        rig.network.set_faults(ROUGH);
        let mut submitted = 0;
        for _ in 0..400 {
            rig.process.stdin.set_window(rng.usize(50..2000));
            if rng.bool() && rig.call(submitted, rng.usize(..600)) {
                submitted += 1;
            }
            rig.pass();
            if rng.bool() {
                rig.process.read();
            }
            if !rig.process.questions.is_empty() && rng.bool() {
                let at = rng.usize(..rig.process.questions.len());
                rig.process.answer(at);
            }
        }
        for _ in 0..5000 {
            rig.pass();
            rig.process.read();
            if !rig.process.questions.is_empty() {
                rig.process.answer(0);
            }
            if rig.told.answered.len() == submitted as usize {
                break;
            }
        }
        assert_eq!(rig.told.answered.len(), submitted as usize, "seed {seed}");
        for (caller, answer) in &rig.told.answered {
            assert!(
                answer.contains(&format!("\"caller\":{caller},")),
                "seed {seed}: {answer}"
            );
        }
        assert_eq!((rig.told.rubbish, rig.told.failures.len()), (0, 0), "seed {seed}");
        assert_eq!(rig.close(), [], "seed {seed}");
    }
}

/// Seeded: a child dies at any time. Each call is answered, or known to be with it, or can go to another one; what can
/// was never seen by it.
#[test]
fn a_death_at_any_time_loses_no_call_and_repeats_none() {
    for seed in 0..120 {
        let mut rig = Rig::ready(seed);
        let mut rng = fastrand::Rng::with_seed(seed);
        rig.network.set_faults(Faults {
            send_reset: 5,
            receive_reset: 2,
            ..ROUGH
        });
        let mut submitted = BTreeSet::new();
        let dies_at = rng.u32(..300);
        for step in 0..300 {
            rig.process.stdin.set_window(rng.usize(50..2000));
            let caller = submitted.len() as u32;
            if rng.bool() && rig.call(caller, rng.usize(..600)) {
                submitted.insert(caller);
            }
            rig.pass();
            if rng.bool() {
                rig.process.read();
            }
            if !rig.process.questions.is_empty() && rng.bool() {
                let at = rng.usize(..rig.process.questions.len());
                rig.process.answer(at);
            }
            if step == dies_at {
                rig.process.read();
                rig.process.die();
                break;
            }
            if !rig.told.failures.is_empty() {
                break;
            }
        }
        for _ in 0..200 {
            rig.now += Duration::from_millis(10);
            rig.pass();
        }
        assert_eq!(rig.told.failures.len(), 1, "seed {seed}");
        rig.process.read();
        let abandoned = rig.close();
        let mut ended: BTreeSet<u32> = rig.told.answered.keys().copied().collect();
        for call in &abandoned {
            let caller = match call {
                Abandoned::Sent { caller } => *caller,
                Abandoned::Unsent { caller, line } => {
                    assert!(!rig.process.saw(*caller), "seed {seed}: {caller} was seen");
                    let text = std::str::from_utf8(line).unwrap();
                    assert!(text.contains(&format!("\"caller\":{caller},")), "seed {seed}");
                    *caller
                }
            };
            assert!(ended.insert(caller), "seed {seed}: {caller} ends twice");
        }
        assert_eq!(ended, submitted, "seed {seed}");
    }
}
