//! The children of a server on the real ring, behind real pipes, at whose other ends threads answer.

use std::io::{self, BufRead, BufReader, Write};
use std::thread::{self, JoinHandle};

use super::*;
use crate::children::child::ChildProfile;
use crate::children::played_process::{limits_by_default, request};
use crate::jsonrpc::Id;
use crate::ring::{Completion, KernelRing, RingOptions, Socket};

const OPTIONS: RingOptions = RingOptions {
    submission_entries: 32,
    completion_entries: 64,
    buffers: 8,
    buffer_bytes: 4096,
    is_fixed: false,
    is_prefaulted: false,
};
const LIMITS: LocalLimits = LocalLimits {
    queue_depth_max: 1000,
    queue_timeout: Duration::from_secs(600),
};
/// Far more than any test needs; one that hangs fails instead.
const PASSES_MAX: usize = 5000;
const TURN: Duration = Duration::from_millis(20);

/// Answers what is asked until its input ends, or it has answered this many calls; then it closes its pipes.
fn serve(input: io::PipeReader, mut output: io::PipeWriter, mut errors: io::PipeWriter, calls_max: u32) {
    let mut calls = 0;
    for line in BufReader::new(input).lines() {
        let line = line.unwrap();
        let message = Message::read(line.as_bytes()).unwrap();
        let Some(id) = message.call_id(line.as_bytes()) else {
            continue;
        };
        if line.contains("\"initialize\"") {
            let result = r#"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{}}"#;
            writeln!(output, "{{\"id\":{id},\"result\":{result}}}").unwrap();
            continue;
        }
        if calls == calls_max {
            return;
        }
        calls += 1;
        let params = message.params.unwrap().of(line.as_bytes());
        let params = std::str::from_utf8(params).unwrap();
        // Nobody may be there any more to hear it.
        let _ = writeln!(errors, "asked {id}");
        let _ = writeln!(output, "{{\"id\":{id},\"result\":{params}}}");
    }
}

struct Rig {
    ring: KernelRing,
    local: LocalChildren<u32, Socket>,
    threads: Vec<JoinHandle<()>>,
    answered: Vec<u32>,
    failed: Vec<u32>,
    lines: usize,
    gone: Vec<(u64, bool)>,
}

impl Rig {
    fn new() -> Rig {
        Rig {
            ring: KernelRing::new(OPTIONS).unwrap(),
            local: LocalChildren::new(LIMITS),
            threads: Vec::new(),
            answered: Vec::new(),
            failed: Vec::new(),
            lines: 0,
            gone: Vec::new(),
        }
    }

    fn start(&mut self, calls_max: u32) {
        let number = self.threads.len() as u64;
        let (stdin, to_child) = io::pipe().unwrap();
        let (from_child, stdout) = io::pipe().unwrap();
        let (errors_of_child, stderr) = io::pipe().unwrap();
        let pipe = |end: std::os::fd::OwnedFd| Socket::pipe_end(end).unwrap();
        let sockets = PipeSockets {
            input: pipe(to_child.into()),
            output: pipe(from_child.into()),
            errors: pipe(errors_of_child.into()),
        };
        let key = |at| ConnectionKey {
            slot: 3 * number as u32 + at,
            generation: 0,
        };
        let keys = PipeKeys {
            input: key(0),
            output: key(1),
            errors: key(2),
        };
        let child = Child::new(
            limits_by_default(),
            Some(&ChildProfile::shared()),
            false,
            Instant::now(),
        );
        self.local.adopt(MemberKey(number), child, sockets, keys);
        self.threads
            .push(thread::spawn(move || serve(stdin, stdout, stderr, calls_max)));
    }

    /// Runs until it is so.
    fn until(&mut self, what: &str, is_so: impl Fn(&Rig) -> bool) {
        for _ in 0..PASSES_MAX {
            self.pass();
            if is_so(self) {
                return;
            }
            self.ring.flush_and_wait(TURN).unwrap();
        }
        panic!("{what} did not come about");
    }

    fn pass(&mut self) {
        let now = Instant::now();
        let Rig {
            ring,
            local,
            answered,
            failed,
            lines,
            gone,
            ..
        } = self;
        let tell = &mut |event: LocalEvent<'_, u32>| match event {
            LocalEvent::Answered { caller, answer, .. } => {
                let mut out = Vec::new();
                answer.write(&mut out, Id::Text("theirs"));
                let text = String::from_utf8(out).unwrap();
                assert!(
                    text.contains("\"id\":\"theirs\"") && text.contains(&format!("\"caller\":{caller},"))
                );
                answered.push(caller);
            }
            LocalEvent::Failed { caller, .. } => failed.push(caller),
            LocalEvent::ErrorLine { .. } => *lines += 1,
            LocalEvent::Gone { member, end } => gone.push((member.0, end.failure.is_some())),
            LocalEvent::Ready { .. } | LocalEvent::Rubbish { .. } => {}
            other => panic!("{other:?}"),
        };
        local.advance(now, tell);
        local.flush(ring);
        ring.flush().unwrap();
        while let Some(completion) = ring.next_completion() {
            match completion {
                Completion::Received { key, outcome } => {
                    let member = MemberKey(u64::from(key.slot) / 3);
                    local.on_received((member, key), outcome, now, tell);
                }
                Completion::Sent { key, buffer, result } => {
                    let member = MemberKey(u64::from(key.slot) / 3);
                    local.on_sent(member, (buffer, result), now, tell);
                }
                Completion::Closed { key } => local.on_closed(MemberKey(u64::from(key.slot) / 3), key),
                other => panic!("{other:?}"),
            }
        }
    }

    fn call(&mut self, caller: u32, bytes: usize) {
        let text = request(caller, bytes);
        let message = Message::read(text.as_bytes()).unwrap();
        let taken = self.local.submit(
            text.as_bytes(),
            &message,
            caller,
            SubmitTerms::default(),
            Instant::now(),
        );
        assert!(taken.is_ok(), "{taken:?}");
    }

    /// Waits for the threads, as the launcher does for processes.
    fn reap(&mut self) {
        for (number, thread) in self.threads.drain(..).enumerate() {
            thread.join().unwrap();
            self.local.on_exited(MemberKey(number as u64), Instant::now());
        }
    }
}

#[test]
fn calls_small_and_large_are_answered_and_nothing_is_left() {
    let mut rig = Rig::new();
    rig.start(u32::MAX);
    rig.start(u32::MAX);
    for caller in 0..300 {
        // Some are larger than a pipe.
        rig.call(caller, if caller % 50 == 7 { 200_000 } else { 100 });
    }
    rig.until("all answers", |rig| rig.answered.len() == 300);
    rig.until("all lines", |rig| rig.lines == 300);
    rig.local.begin_drain();
    rig.pass();
    rig.ring.flush().unwrap();
    rig.reap();
    rig.until("the end", |rig| rig.local.is_empty());
    assert_eq!((rig.failed.len(), rig.gone.len()), (0, 2));
    assert!(rig.gone.iter().all(|(_, has_failed)| !has_failed));
    let counters = rig.ring.counters();
    assert_eq!((counters.in_flight, counters.buffers_free), (0, 8));
}

#[test]
fn a_child_that_dies_under_load_costs_only_what_it_had() {
    let mut rig = Rig::new();
    rig.start(20);
    rig.start(u32::MAX);
    for caller in 0..400 {
        rig.call(caller, 1000);
    }
    rig.until("all ends", |rig| rig.answered.len() + rig.failed.len() == 400);
    rig.answered.sort_unstable();
    rig.answered.dedup();
    assert_eq!(rig.answered.len() + rig.failed.len(), 400);
    let in_flight_max = limits_by_default().in_flight_max as usize;
    assert!(rig.failed.len() <= in_flight_max, "{}", rig.failed.len());
    rig.local.begin_drain();
    rig.pass();
    rig.ring.flush().unwrap();
    rig.reap();
    rig.until("the end", |rig| rig.local.is_empty());
    rig.gone.sort_unstable();
    assert_eq!(rig.gone, [(0, true), (1, false)]);
}
