//! A server that exists as arithmetic: handlers, a queue before them, and a CPU before that.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::observation::{Inside, Latency, Load, Observation, Step, quantile_ranks};

/// How long calls take; each has the same mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Spread {
    Constant,
    Exponential,
    /// Nine of ten calls are quick, and the tenth takes about sixteen times as long.
    Mixed,
}

/// A server, and the noise of the machine it is on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Simulated {
    pub(super) handlers: usize,
    pub(super) queue_places: usize,
    /// The mean time in service.
    pub(super) service: f64,
    pub(super) spread: Spread,
    /// What each call computes.
    pub(super) cpu: f64,
    /// Latencies are longer by up to this share.
    pub(super) noise: f64,
    /// A stall of the machine begins so often per second, and lasts for this long.
    pub(super) stalls: f64,
    pub(super) stall: f64,
    /// Whether its metrics can be read.
    pub(super) is_seen: bool,
}

/// A value as a key of a heap.
fn key(at: f64) -> u64 {
    (at * 1e9) as u64
}

impl Simulated {
    /// The highest rate that it can carry.
    pub(super) fn capacity(&self) -> f64 {
        let by_pool = self.handlers as f64 / self.service;
        if self.cpu > 0.0 {
            by_pool.min(1.0 / self.cpu)
        } else {
            by_pool
        }
    }

    fn service(&self, random: &mut fastrand::Rng) -> f64 {
        match self.spread {
            Spread::Constant => self.service,
            Spread::Exponential => -self.service * (1.0 - random.f64()).ln(),
            Spread::Mixed if random.f64() < 0.9 => 0.4 * self.service,
            Spread::Mixed => 6.4 * self.service,
        }
    }

    /// Carries a step out.
    pub(super) fn observe(&self, step: Step, random: &mut fastrand::Rng) -> Observation {
        Run::new(self, step).carried_out(random)
    }

    /// P99 of a long run at a rate, the truth that a short one is about, and the share of calls that were refused.
    pub(super) fn p99_at(&self, rate: f64, random: &mut fastrand::Rng) -> (f64, f64) {
        let step = Step {
            load: Load::Rate(rate),
            warm_up: 5.0,
            seconds: (30_000.0 / rate).max(60.0),
        };
        let mut run = Run::new(self, step);
        run.refused_max = u64::MAX;
        let seen = run.carried_out(random);
        let all = seen.latency.count + seen.refused;
        (seen.latency.p99, seen.refused as f64 / all as f64)
    }
}

struct Run<'a> {
    server: &'a Simulated,
    step: Step,
    /// When each handler is free.
    free: BinaryHeap<Reverse<u64>>,
    /// When the calls that wait will have their handlers.
    starts: VecDeque<f64>,
    cpu_free: f64,
    next_stall: Option<f64>,
    latencies: Vec<f64>,
    refused: u64,
    refused_max: u64,
    leased: f64,
    waited: f64,
    queued_max: usize,
    service: (f64, u64),
    cpu: f64,
}

impl Run<'_> {
    fn new(server: &Simulated, step: Step) -> Run<'_> {
        Run {
            server,
            step,
            free: (0..server.handlers).map(|_| Reverse(0)).collect(),
            starts: VecDeque::new(),
            cpu_free: 0.0,
            next_stall: None,
            latencies: Vec::new(),
            refused: 0,
            refused_max: 20,
            leased: 0.0,
            waited: 0.0,
            queued_max: 0,
            service: (0.0, 0),
            cpu: 0.0,
        }
    }

    fn carried_out(mut self, random: &mut fastrand::Rng) -> Observation {
        let end = self.step.warm_up + self.step.seconds;
        match self.step.load {
            Load::Rate(rate) => {
                let mut at = 0.0;
                loop {
                    at -= (1.0 - random.f64()).ln() / rate;
                    if at >= end || self.is_cut() {
                        break;
                    }
                    self.call(at, at, random);
                }
            }
            Load::Clients(clients) => {
                let mut ready: BinaryHeap<Reverse<u64>> = (0..clients).map(|_| Reverse(0)).collect();
                while let Some(Reverse(at)) = ready.pop() {
                    let at = at as f64 / 1e9;
                    if at >= end {
                        break;
                    }
                    // A client that was refused comes again after a while.
                    let answered = self.call(at, at, random).unwrap_or(at + 0.05);
                    ready.push(Reverse(key(answered + 30e-6)));
                }
            }
        }
        self.observation()
    }

    /// As the driver ends a step when a server refuses.
    fn is_cut(&self) -> bool {
        self.refused >= self.refused_max
    }

    /// A call that is due at a time; when it is answered, if it is.
    fn call(&mut self, due: f64, at: f64, random: &mut fastrand::Rng) -> Option<f64> {
        let server = self.server;
        if server.stalls > 0.0 {
            let draw = |random: &mut fastrand::Rng| -(1.0 - random.f64()).ln() / server.stalls;
            let stall = *self.next_stall.get_or_insert_with(|| draw(random));
            if at >= stall {
                self.cpu_free = self.cpu_free.max(stall + server.stall);
                self.next_stall = Some(at + draw(random));
            }
        }
        let read = at.max(self.cpu_free) + server.cpu;
        self.cpu_free = read;
        while self.starts.front().is_some_and(|start| *start <= read) {
            self.starts.pop_front();
        }
        let counts = at >= self.step.warm_up;
        let Reverse(free) = *self.free.peek()?;
        let start = read.max(free as f64 / 1e9);
        if start > read {
            if self.starts.len() >= server.queue_places {
                self.refused += u64::from(counts);
                return None;
            }
            self.starts.push_back(start);
            self.queued_max = self.queued_max.max(self.starts.len());
        }
        let service = server.service(random);
        let end = start + service;
        self.free.pop();
        self.free.push(Reverse(key(end)));
        if counts {
            let noise = 1.0 + server.noise * random.f64();
            self.latencies.push((end - due) * noise);
            self.waited += start - read;
            self.service = (self.service.0 + service, self.service.1 + 1);
            self.cpu += server.cpu;
        }
        let window = self.step.warm_up..self.step.warm_up + self.step.seconds;
        self.leased += (end.min(window.end) - start.max(window.start)).max(0.0);
        Some(end)
    }

    fn observation(mut self) -> Observation {
        let seconds = self.step.seconds;
        let end = self.step.warm_up + seconds;
        self.latencies.sort_by(f64::total_cmp);
        let count = self.latencies.len() as u64;
        let rank = |rank: u64| self.latencies.get(rank as usize - 1).copied().unwrap_or(0.0);
        let quantile = |quantile: f64| rank(((count as f64 * quantile).ceil() as u64).max(1));
        let (low, high) = quantile_ranks(count, 0.99);
        let latency = Latency {
            count,
            mean: self.latencies.iter().sum::<f64>() / count.max(1) as f64,
            p50: quantile(0.5),
            p99: quantile(0.99),
            p99_low: rank(low),
            p99_high: rank(high),
        };
        // In a closed loop those that are still waited for are nobody's answers yet.
        let served = self.service.1 as f64 / seconds;
        let leased = self.leased / seconds;
        let handlers = self.server.handlers as f64;
        let inside = Inside {
            started: Some(500.0),
            shards: vec![leased / handlers],
            handlers,
            leased,
            queued: self.waited / seconds,
            queued_max: self.queued_max as f64,
            queue_places: self.server.queue_places as f64,
            service: Some(self.service.0 / self.service.1.max(1) as f64),
            calls: Some(served),
            cpus: Some(self.cpu / seconds),
            ..Inside::default()
        };
        Observation {
            load: self.step.load,
            seconds,
            spent: end + 0.3,
            served,
            latency,
            refused: self.refused,
            failed: 0,
            failure: None,
            late: 0.0,
            hindrance: None,
            is_cut: self.is_cut(),
            server: self.server.is_seen.then_some(inside),
        }
    }
}
