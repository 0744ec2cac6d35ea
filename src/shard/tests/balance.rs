//! Who gets a handler that falls free, over all shards: whoever has waited longest, as if there were one queue.

use std::time::{Duration, Instant};

use super::client::{Client, Era, call};
use super::rig::{Rig, Sizes, now};
use super::tools::NAP;
use super::websocket::WebSocket;
use crate::metrics::WaitEnd;

const SHARDS: usize = 4;
const HANDLERS: u32 = 4;
const CLIENTS: usize = 100;
/// Between two looks at the shards, which is what a hop takes here.
const STEP: Duration = Duration::from_millis(1);
/// How long everybody waits for an answer if all wait in one queue.
const ONE_QUEUE: Duration = NAP.saturating_mul((CLIENTS / (SHARDS * HANDLERS as usize)) as u32);

fn rig(shards: usize, handlers: u32) -> Rig {
    let sizes = Sizes {
        shards,
        handlers,
        queue_depth_max: CLIENTS as u32,
        assembly_buffers: CLIENTS,
        ring_buffers: 2 * CLIENTS as u16,
        ..Sizes::default()
    };
    Rig::new(1, sizes)
}

/// A client that asks again as soon as it has its answer.
struct Asker {
    client: Client,
    asked_at: Instant,
    calls: u64,
}

impl Asker {
    fn new(rig: &Rig, shard: usize) -> Asker {
        let mut asker = Asker {
            client: Client::new(rig.connect_to(shard)),
            asked_at: now(),
            calls: 0,
        };
        asker.ask();
        asker
    }

    fn ask(&mut self) {
        self.calls += 1;
        self.asked_at = now();
        self.client.request(call(Era::Modern, "nap", self.calls, "z"));
    }

    /// How long its call took, once it is answered.
    fn poll(&mut self) -> Option<Duration> {
        self.client.read();
        (self.client.unanswered() == 0).then(|| now() - self.asked_at)
    }
}

/// Lets time pass, with a look at every shard in each step; how long the calls took that were answered meanwhile.
fn live(rig: &mut Rig, askers: &mut [Asker], time: Duration) -> Vec<Duration> {
    let mut latencies = Vec::new();
    for step in 0..time.as_millis() / STEP.as_millis() {
        rig.offer(STEP);
        if step % 100 == 0 {
            rig.pass(Duration::ZERO);
        }
        rig.turn();
        for asker in askers.iter_mut() {
            if let Some(latency) = asker.poll() {
                latencies.push(latency);
                asker.ask();
            }
        }
    }
    latencies.sort_unstable();
    latencies
}

fn end(mut rig: Rig, mut askers: Vec<Asker>) {
    for _ in 0..1_000 {
        rig.offer(STEP);
        rig.turn();
        askers.iter_mut().for_each(|asker| asker.client.read());
    }
    let clients: Vec<Client> = askers.into_iter().map(|asker| asker.client).collect();
    assert!(clients.iter().all(|client| client.unanswered() == 0));
    rig.leave(&clients);
}

fn moves(rig: &Rig) -> u64 {
    rig.drivers
        .iter()
        .map(|driver| driver.metrics.steals_out.value())
        .sum()
}

#[test]
fn clients_that_begin_on_one_shard_wait_as_in_one_queue() {
    let mut rig = rig(SHARDS, HANDLERS);
    let mut askers: Vec<Asker> = (0..CLIENTS).map(|_| Asker::new(&rig, 0)).collect();
    let latencies = live(&mut rig, &mut askers, Duration::from_secs(2));
    let p99 = latencies[latencies.len() * 99 / 100];
    println!(
        "{} calls, P50 {:?}, P99 {p99:?}, {} moves",
        latencies.len(),
        latencies[latencies.len() / 2],
        moves(&rig)
    );
    assert!(
        p99 <= ONE_QUEUE * 13 / 10,
        "P99 {p99:?}, in one queue {ONE_QUEUE:?}"
    );
    // Nor do handlers idle: in all this time they could have run so many calls.
    let most = SHARDS * HANDLERS as usize * 2_000 / NAP.as_millis() as usize;
    assert!(latencies.len() > most * 85 / 100, "{} of {most}", latencies.len());
    end(rig, askers);
}

/// The same for channels, whose calls move one by one and come back as answers.
#[test]
fn channels_that_begin_on_one_shard_wait_as_in_one_queue() {
    let mut rig = rig(SHARDS, HANDLERS);
    let mut askers: Vec<ChannelAsker> = (0..CLIENTS).map(|_| ChannelAsker::new(&rig)).collect();
    let mut latencies = Vec::new();
    for step in 0..2_000 {
        rig.offer(STEP);
        if step % 100 == 0 {
            rig.pass(Duration::ZERO);
        }
        rig.turn();
        for asker in &mut askers {
            latencies.extend(asker.poll());
        }
    }
    latencies.sort_unstable();
    let p99 = latencies[latencies.len() * 99 / 100];
    println!("{} calls, P99 {p99:?}, {} moves", latencies.len(), moves(&rig));
    assert!(
        p99 <= ONE_QUEUE * 13 / 10,
        "P99 {p99:?}, in one queue {ONE_QUEUE:?}"
    );
    let most = SHARDS * HANDLERS as usize * 2_000 / NAP.as_millis() as usize;
    assert!(latencies.len() > most * 85 / 100, "{} of {most}", latencies.len());
    for _ in 0..1_000 {
        rig.offer(STEP);
        rig.turn();
        askers.iter_mut().for_each(|asker| asker.socket.read());
    }
    for asker in &askers {
        assert_eq!(asker.socket.unanswered(), 0);
        asker.socket.peer.finish();
    }
    rig.leave(&[]);
}

/// A WebSocket that asks again as soon as it has its answer.
struct ChannelAsker {
    socket: WebSocket,
    asked_at: Instant,
    calls: u64,
}

impl ChannelAsker {
    fn new(rig: &Rig) -> ChannelAsker {
        let mut asker = ChannelAsker {
            socket: WebSocket::new(rig.connect_to(0)),
            asked_at: now(),
            calls: 0,
        };
        asker.ask();
        asker
    }

    fn ask(&mut self) {
        self.calls += 1;
        self.asked_at = now();
        self.socket.ask(true, "nap", self.calls, "s");
        self.socket.send(usize::MAX);
    }

    /// How long its call took, once it is answered.
    fn poll(&mut self) -> Option<Duration> {
        self.socket.read();
        self.socket.answers.remove(&self.calls)?;
        let latency = now() - self.asked_at;
        self.ask();
        Some(latency)
    }
}

/// Shards that are about as far behind as each other do not exchange clients.
#[test]
fn clients_that_are_spread_evenly_stay_where_they_are() {
    let mut rig = rig(SHARDS, HANDLERS);
    let mut askers: Vec<Asker> = (0..CLIENTS).map(|at| Asker::new(&rig, at % SHARDS)).collect();
    live(&mut rig, &mut askers, Duration::from_secs(1));
    let before = moves(&rig);
    let calls = live(&mut rig, &mut askers, Duration::from_secs(1)).len() as u64;
    let moved = moves(&rig) - before;
    println!("{before} moves, then {moved}, {calls} calls");
    assert!(moved <= calls / 25, "{moved} moves of {calls} calls");
    end(rig, askers);
}

/// A permit that was left for a shard which does not look comes back to the giver's own clients.
#[test]
fn a_shard_that_does_not_look_keeps_no_permits() {
    let mut rig = rig(2, 2);
    let mut stuck: Vec<Asker> = (0..4).map(|_| Asker::new(&rig, 0)).collect();
    let mut own: Vec<Asker> = (0..6).map(|_| Asker::new(&rig, 1)).collect();
    rig.turn();
    rig.offer(STEP);
    rig.turn();
    // From here on the first shard's thread is kept from running by a tool.
    for step in 0..600 {
        rig.pass_of(1, STEP, step % 100 == 0);
        for asker in &mut own {
            if asker.poll().is_some() {
                asker.ask();
            }
        }
    }
    let calls: u64 = own.iter().map(|asker| asker.calls - 1).sum();
    // Two handlers could run 60 calls, and lose at most one of the two for two ticks.
    assert!(calls >= 45, "{calls} calls");
    let timed_out = rig.drivers[0].metrics.wait_ends.of(WaitEnd::TimedOut).value();
    assert_eq!(timed_out, 0);
    live(&mut rig, &mut stuck, Duration::from_millis(200));
    own.append(&mut stuck);
    end(rig, own);
}
