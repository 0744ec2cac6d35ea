//! Calls through a whole shard, from the first byte read to the answer's send. The shard is warm: every request was
//! sent before.

use gungraun::{library_benchmark, library_benchmark_group};
use weir::internals::ring::simulated::SimulatedPeer;

use crate::rig::Rig;
use crate::rig::requests::{
    INITIALIZED, LEGACY_ECHO, MODERN_ECHO, delete, frame, initialize, legacy_echo, legacy_post,
    legacy_progress, modern_echo, modern_progress, new_session, open_websocket, session_of,
};
use crate::{ROUNDS, counted, exempt};

/// Passes after which a call that has sent nothing more is over.
const SILENT_PASSES: usize = 8;
const WARM_UP_ROUNDS: usize = 50;

/// A connection whose next request costs what the one before did.
pub(crate) struct Warm {
    rig: Rig,
    peer: SimulatedPeer,
    request: Vec<u8>,
    /// Passes until the last byte of an answer is there.
    passes: usize,
    answer_bytes: usize,
}

impl Warm {
    fn new(mut rig: Rig, peer: SimulatedPeer, request: Vec<u8>, expected: &str) -> Self {
        rig.exchange(&peer, &request);
        for _ in 0..SILENT_PASSES {
            rig.pass();
        }
        peer.read();
        let (passes, answer) = answer(&mut rig, &peer, &request);
        let text = String::from_utf8_lossy(&answer);
        assert!(text.contains(expected), "{text}");
        let answer_bytes = answer.len();
        let mut warm = Self {
            rig,
            peer,
            request,
            passes,
            answer_bytes,
        };
        for _ in 0..WARM_UP_ROUNDS {
            warm.round();
        }
        warm
    }

    fn round(&mut self) {
        exempt(|| self.peer.write(&self.request));
        for _ in 0..self.passes {
            self.rig.pass();
        }
        exempt(|| assert_eq!(self.peer.read().len(), self.answer_bytes));
    }
}

/// The whole answer, and the number of passes in which it came.
fn answer(rig: &mut Rig, peer: &SimulatedPeer, request: &[u8]) -> (usize, Vec<u8>) {
    peer.write(request);
    let mut answer = Vec::new();
    let (mut passes, mut last) = (0, 0);
    while passes < last + SILENT_PASSES {
        rig.pass();
        passes += 1;
        let more = peer.read();
        if !more.is_empty() {
            last = passes;
        }
        answer.extend(more);
    }
    (last, answer)
}

const ECHOED: &str = r#"{"type":"text","text":"hello \"world\"\n"}"#;
const TOLD: &str = "step 10 of 10";

fn http(request: Vec<u8>) -> Warm {
    let rig = Rig::new();
    let peer = rig.connect();
    Warm::new(rig, peer, request, ECHOED)
}

fn told(request: Vec<u8>) -> Warm {
    let rig = Rig::with_caller();
    let peer = rig.connect();
    Warm::new(rig, peer, request, ECHOED)
}

fn told_header(request: Vec<u8>) -> Warm {
    let rig = Rig::with_header();
    let peer = rig.connect();
    Warm::new(rig, peer, request, ECHOED)
}

fn told_session() -> Warm {
    let mut rig = Rig::with_caller();
    let peer = rig.connect();
    let session = new_session(&mut rig, &peer);
    Warm::new(rig, peer, legacy_echo(&session), ECHOED)
}

fn forwarded(request: Vec<u8>) -> Warm {
    let rig = Rig::with_child();
    let peer = rig.connect();
    Warm::new(rig, peer, request, ECHOED)
}

fn session() -> Warm {
    let mut rig = Rig::new();
    let peer = rig.connect();
    let session = new_session(&mut rig, &peer);
    Warm::new(rig, peer, legacy_echo(&session), ECHOED)
}

fn websocket(message: &str) -> Warm {
    let mut rig = Rig::new();
    let peer = open_websocket(&mut rig);
    Warm::new(rig, peer, frame(0x81, message), ECHOED)
}

fn stream(request: Vec<u8>) -> Warm {
    let rig = Rig::new();
    let peer = rig.connect();
    Warm::new(rig, peer, request, TOLD)
}

#[library_benchmark]
#[bench::modern(http(modern_echo()))]
#[bench::legacy(http(legacy_echo("")))]
#[bench::session(session())]
fn echo(mut warm: Warm) -> Warm {
    counted(|| (0..ROUNDS).for_each(|_| warm.round()));
    warm
}

// The tool looks at who calls it.
#[library_benchmark]
#[bench::modern(told(modern_echo()))]
#[bench::legacy(told(legacy_echo("")))]
#[bench::session(told_session())]
fn echo_with_caller(mut warm: Warm) -> Warm {
    counted(|| (0..ROUNDS).for_each(|_| warm.round()));
    warm
}

// The tool reads a header.
#[library_benchmark]
#[bench::modern(told_header(modern_echo()))]
fn echo_with_header(mut warm: Warm) -> Warm {
    counted(|| (0..ROUNDS).for_each(|_| warm.round()));
    warm
}

// The tool is a child's, whose process is exempt.
#[library_benchmark]
#[bench::modern(forwarded(modern_echo()))]
#[bench::legacy(forwarded(legacy_echo("")))]
fn echo_of_a_child(mut warm: Warm) -> Warm {
    counted(|| (0..ROUNDS).for_each(|_| warm.round()));
    warm
}

#[library_benchmark]
#[bench::modern(websocket(MODERN_ECHO))]
#[bench::legacy(websocket(LEGACY_ECHO))]
fn echo_over_websocket(mut warm: Warm) -> Warm {
    counted(|| (0..ROUNDS).for_each(|_| warm.round()));
    warm
}

// A call that reports its progress ten times.
#[library_benchmark]
#[bench::modern(stream(modern_progress()))]
#[bench::legacy(stream(legacy_progress()))]
fn ten_progress_messages(mut warm: Warm) -> Warm {
    counted(|| (0..ROUNDS).for_each(|_| warm.round()));
    warm
}

/// A connection on which whole sessions follow one another.
pub(crate) struct Sessions {
    rig: Rig,
    peer: SimulatedPeer,
}

impl Sessions {
    fn new() -> Self {
        let rig = Rig::new();
        let peer = rig.connect();
        let mut sessions = Self { rig, peer };
        (0..WARM_UP_ROUNDS).for_each(|_| sessions.round());
        sessions
    }

    /// What a legacy client says from its first message to its last.
    fn round(&mut self) {
        let answer = self.step(exempt(initialize), " 200 ");
        let session = exempt(|| session_of(&answer));
        self.step(exempt(|| legacy_post(&session, INITIALIZED)), " 202 ");
        self.step(exempt(|| legacy_echo(&session)), ECHOED);
        self.step(exempt(|| delete(&session)), " 200 ");
    }

    fn step(&mut self, request: Vec<u8>, expected: &str) -> Vec<u8> {
        exempt(|| self.peer.write(&request));
        for _ in 0..SILENT_PASSES {
            self.rig.pass();
            let answer = exempt(|| self.peer.read());
            if !answer.is_empty() {
                exempt(|| {
                    let text = String::from_utf8_lossy(&answer);
                    assert!(text.contains(expected), "{text}");
                    drop(request);
                });
                return answer;
            }
        }
        panic!("no answer to {}", String::from_utf8_lossy(&request));
    }
}

// A session from its beginning to its end: initialize, initialized, one call, DELETE.
#[library_benchmark]
#[bench::legacy(Sessions::new())]
fn life_cycle(mut sessions: Sessions) -> Sessions {
    counted(|| (0..ROUNDS).for_each(|_| sessions.round()));
    sessions
}

library_benchmark_group!(
    name = through_a_shard;
    benchmarks =
        echo, echo_with_caller, echo_with_header, echo_of_a_child, echo_over_websocket, ten_progress_messages,
        life_cycle
);
