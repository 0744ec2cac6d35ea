//! Which load comes next, and what all of them showed.
//!
//! It is a state machine over [`Observation`]s. It offers nothing that it expects to be refused: the saturation rate is
//! found in closed loops, with no more clients than there are handlers and half of the places to wait, and open loops
//! stay below that rate.

use super::curve::{Bracket, Curve};
use super::found::{Ended, Found, Parts};
use super::limit::Limit;
use super::observation::{Inside, Load, Observation, Step};

/// Clients of the second step; the first has one.
const FIRST_CLIENTS: usize = 4;
/// From one closed loop to the next; without metrics, which say how far there is to go, only twice as many.
const CLIENTS_FACTOR: f64 = 4.0;
const CLIENTS_FACTOR_BLIND: f64 = 2.0;
/// More clients that get less than this times as much have found the saturation rate.
const GAIN: f64 = 1.1;
/// So many clients as would lease this many times the handlers fill them, and wait in the queue a little.
const FILL: f64 = 1.25;
/// A pool this full is full: an answer's way to the client and back is missing.
const FULL: f64 = 0.95;
/// Shares of the saturation rate at which the curve is drawn first.
const SHARES: [f64; 5] = [0.3, 0.5, 0.65, 0.8, 0.9];
/// When even the lowest of them does not hold the objective.
const LEAST_SHARE: f64 = 0.1;
/// Brackets are halved until the rates are this near.
const OBJECTIVE_RATIO: f64 = 1.05;
const KNEE_RATIO: f64 = 1.08;
/// The rate that is confirmed is the highest that held by this, because a step can hold by luck; what does not hold
/// then is lowered by it again, so often at most.
const LOWERED: f64 = 0.95;
const CONFIRMATIONS_MAX: usize = 3;
/// Answers that a step waits for: P99 of fewer is a matter of luck.
const ANSWERS: f64 = 2_000.0;
/// Without an objective it is so many times P99 on the plateau.
pub(crate) const OBJECTIVE_FACTOR: f64 = 2.0;
/// No call is waited for longer, when one client is alone.
const IDLE_SECONDS_MAX: f64 = 20.0;
/// The start time of the same process may be told so differently.
const RESTART_SECONDS: f64 = 2.0;
/// What a step takes besides, to come to rest.
const REST: f64 = 0.7;

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    /// Within which 99 of 100 answers are to come, in seconds.
    pub(crate) p99: Option<f64>,
    /// For how long it may look, in seconds.
    pub(crate) budget: f64,
    /// More requests per second are not sent.
    pub(crate) rate_max: Option<f64>,
    /// More clients are not opened.
    pub(crate) clients_max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// One client, for long enough to have an answer.
    Idle {
        seconds: f64,
    },
    /// More and more.
    Fill {
        clients: usize,
    },
    /// The saturation rate once more, for longer.
    Settle {
        clients: usize,
    },
    /// The shares of it, one after the other.
    Draw {
        next: usize,
    },
    /// Halving brackets.
    Refine {
        rate: f64,
    },
    /// The rate that will be recommended.
    Confirm {
        rate: f64,
        tries: usize,
    },
    Done,
}

/// A search.
#[derive(Debug)]
pub(crate) struct Search {
    goal: Goal,
    stage: Stage,
    spent: f64,
    idle: Option<Observation>,
    fills: Vec<Observation>,
    /// The highest rate that was carried, and why it was.
    saturation: Option<f64>,
    limit: Option<Limit>,
    curve: Curve,
    confirmed: Option<f64>,
    ended: Option<Ended>,
}

impl Search {
    pub(crate) fn new(goal: Goal) -> Search {
        Search {
            goal,
            stage: Stage::Idle { seconds: 1.5 },
            spent: 0.0,
            idle: None,
            fills: Vec::new(),
            saturation: None,
            limit: None,
            curve: Curve::default(),
            confirmed: None,
            ended: None,
        }
    }

    /// The next step; `None` when all is known, or the time is over.
    pub(crate) fn next(&mut self) -> Option<Step> {
        let step = match self.stage {
            Stage::Idle { seconds } => self.closed(1, seconds),
            Stage::Fill { clients } => self.closed(clients, 1.5),
            Stage::Settle { clients } => {
                let rate = self.fastest().map_or(1.0, |fill| fill.served);
                self.closed(clients, (1_500.0 / rate.max(1.0)).clamp(2.0, 10.0))
            }
            Stage::Draw { next } => self.open(SHARES[next] * self.saturation?, ANSWERS),
            Stage::Refine { rate } => self.open(rate, ANSWERS),
            Stage::Confirm { rate, .. } => self.open(rate, 2.0 * ANSWERS),
            Stage::Done => return None,
        };
        if self.spent + step.warm_up + step.seconds + REST > self.goal.budget {
            self.end(Ended::TimeIsUp);
            return None;
        }
        Some(step)
    }

    /// Takes what the step that [`Search::next`] gave has shown.
    pub(crate) fn tell(&mut self, seen: Observation) {
        self.spent += seen.spent;
        if let (Stage::Idle { seconds }, 0) = (self.stage, seen.latency.count + seen.failed + seen.refused)
            && seconds < IDLE_SECONDS_MAX
        {
            self.stage = Stage::Idle {
                seconds: 4.0 * seconds,
            };
            return;
        }
        if let Some(why) = self.why_nothing(&seen) {
            return self.end(Ended::Failed(why));
        }
        match self.stage {
            Stage::Idle { .. } => {
                let mut clients = FIRST_CLIENTS.min(self.goal.clients_max);
                if let Some(rate_max) = self.goal.rate_max {
                    clients = clients.min((rate_max / seen.served) as usize);
                }
                // One client alone may be more than may be sent.
                if clients > 1 {
                    self.stage = Stage::Fill { clients };
                    self.idle = Some(seen);
                } else {
                    self.fills.push(seen.clone());
                    self.idle = Some(seen);
                    self.settled();
                }
            }
            Stage::Fill { clients } => self.filled(clients, seen),
            Stage::Settle { .. } => {
                self.fills.push(seen);
                self.settled();
            }
            Stage::Draw { next } => {
                self.curve.add(seen);
                self.drawn(next);
            }
            Stage::Refine { .. } => {
                self.curve.add(seen);
                self.refine();
            }
            Stage::Confirm { rate, tries } => {
                let holds = self.holds(&seen);
                self.curve.add(seen);
                if holds {
                    self.confirmed = Some(rate);
                    self.end(Ended::Complete);
                } else if tries + 1 < CONFIRMATIONS_MAX {
                    self.stage = Stage::Confirm {
                        rate: rate * LOWERED,
                        tries: tries + 1,
                    };
                } else {
                    self.end(Ended::Complete);
                }
            }
            Stage::Done => {}
        }
    }

    /// Why a step says nothing, and no further one would.
    fn why_nothing(&self, seen: &Observation) -> Option<String> {
        let known = self.idle.as_ref().and_then(|idle| idle.server.as_ref());
        let started = |inside: &Inside| inside.started;
        match (known, &seen.server) {
            // A step that was cut at its beginning had no time for a look.
            (Some(_), None) if !seen.is_cut => return Some("its metrics cannot be read any more".to_owned()),
            (Some(before), Some(now)) => {
                let apart = started(before)
                    .zip(started(now))
                    .map(|(before, now)| (now - before).abs());
                if apart.is_some_and(|apart| apart > RESTART_SECONDS) {
                    return Some("it was started anew meanwhile".to_owned());
                }
            }
            (None, _) | (Some(_), None) => {}
        }
        // What the server began to refuse at once is more than it carries, and an answer to what was asked.
        let is_overload = seen.is_cut && self.idle.is_some() && seen.failed == 0;
        if is_overload || (seen.latency.count > 0 && seen.failed <= seen.latency.count) {
            return None;
        }
        let refused = || match seen.refused {
            0 => "no request had a good answer".to_owned(),
            _ => "it refused every request".to_owned(),
        };
        Some(seen.failure.clone().unwrap_or_else(refused))
    }

    /// Ends it, for a reason that is not known here.
    pub(crate) fn end(&mut self, ended: Ended) {
        self.stage = Stage::Done;
        self.ended.get_or_insert(ended);
    }

    /// The saturation rate, more exactly than the one step that found it: of a full pool it follows from the mean time
    /// in service, which all steps together know best.
    fn saturation(&self) -> Option<f64> {
        let saturation = self.saturation?;
        if self.limit != Some(Limit::Pool) {
            return Some(saturation);
        }
        let all = self.fills.iter().chain(self.curve.steps());
        let insides = all.filter_map(|step| Some((step.seconds, step.server.as_ref()?)));
        let (mut calls, mut in_service) = (0.0, 0.0);
        for (seconds, inside) in insides {
            if let (Some(rate), Some(service)) = (inside.calls, inside.service) {
                calls += rate * seconds;
                in_service += rate * seconds * service;
            }
        }
        let full = self.fills.iter().filter_map(|fill| fill.server.as_ref());
        let leased = full.map(|inside| inside.leased).fold(0.0, f64::max);
        Some(if in_service > 0.0 {
            leased * calls / in_service
        } else {
            saturation
        })
    }

    /// What is known by now.
    pub(crate) fn found(&self) -> Found {
        Found::of(Parts {
            objective_given: self.goal.p99,
            objective: self.objective(),
            idle: self.idle.as_ref(),
            fills: &self.fills,
            saturation: self.saturation(),
            limit: self.limit.clone(),
            curve: &self.curve,
            plateau: self.plateau(),
            knee: self.plateau().map(|plateau| self.curve.knee(plateau)),
            holding: self.holding(),
            confirmed: self.confirmed,
            ended: self.ended.clone().unwrap_or(Ended::Interrupted),
        })
    }

    fn closed(&self, clients: usize, seconds: f64) -> Step {
        Step {
            load: Load::Clients(clients),
            warm_up: self.settling(),
            seconds: seconds.max(4.0 * self.latency()),
        }
    }

    fn open(&self, rate: f64, answers: f64) -> Step {
        Step {
            load: Load::Rate(rate),
            warm_up: self.settling(),
            seconds: (answers / rate).clamp(3.0, 10.0),
        }
    }

    /// How long a load takes to be what it will be.
    fn settling(&self) -> f64 {
        (5.0 * self.latency()).clamp(0.4, 2.0)
    }

    /// Of one client.
    fn latency(&self) -> f64 {
        self.idle.as_ref().map_or(0.0, |idle| idle.latency.mean)
    }

    fn fastest(&self) -> Option<&Observation> {
        let by_rate = |one: &&Observation, other: &&Observation| one.served.total_cmp(&other.served);
        self.fills.iter().max_by(by_rate)
    }

    fn filled(&mut self, clients: usize, seen: Observation) {
        let before = self.fills.last().or(self.idle.as_ref());
        let gain = before.map_or(f64::INFINITY, |before| seen.served / before.served);
        let is_full = seen.utilization().is_some_and(|utilization| utilization >= FULL);
        let is_saturated = is_full || gain < GAIN || !seen.is_carried();
        let next = self.more_clients(clients, &seen);
        self.fills.push(seen);
        match next {
            Some(clients) if !is_saturated => self.stage = Stage::Fill { clients },
            _ => {
                // The fewest clients that got what can be got are the gentlest.
                let enough = self.fastest().map_or(0.0, |fill| 0.98 * fill.served);
                let gentle = self.fills.iter().find(|fill| fill.served >= enough);
                let clients = match gentle.map(|fill| fill.load) {
                    Some(Load::Clients(clients)) => clients,
                    _ => clients,
                };
                self.stage = Stage::Settle { clients };
            }
        }
    }

    /// More clients than those of `seen`; `None` if there may be none.
    fn more_clients(&self, clients: usize, seen: &Observation) -> Option<usize> {
        let now = clients as f64;
        let mut next = match &seen.server {
            Some(inside) if inside.leased > 0.0 && inside.handlers > 0.0 => {
                let filling = now * FILL * inside.handlers / inside.leased;
                // The clients that no handler is left for wait in the queue, of which half is enough.
                let busy_clients = now * inside.handlers / inside.leased;
                filling
                    .min(busy_clients + inside.queue_places / 2.0)
                    .min(now * CLIENTS_FACTOR)
            }
            _ => now * CLIENTS_FACTOR_BLIND,
        };
        if let Some(rate_max) = self.goal.rate_max {
            next = next.min(now * rate_max / seen.served.max(f64::MIN_POSITIVE));
        }
        let next = if self.goal.rate_max.is_some() {
            next.floor()
        } else {
            next.ceil()
        };
        let next = (next as usize).min(self.goal.clients_max);
        (next > clients).then_some(next)
    }

    fn settled(&mut self) {
        let Some(fastest) = self.fastest() else { return };
        // The longest closed loop is the last; a faster one was luck, unless it was much faster.
        let settled = self.fills.last().unwrap_or(fastest);
        let seen = if fastest.served > 1.05 * settled.served {
            fastest
        } else {
            settled
        };
        let mut saturation = seen.served;
        let mut limit = Limit::of(seen);
        if let Some(rate_max) = self.goal.rate_max
            && self.more_clients_are_forbidden(seen, rate_max)
        {
            saturation = saturation.min(rate_max);
            limit = Limit::RateMax { rate: rate_max };
        }
        self.saturation = Some(saturation);
        self.limit = Some(limit);
        self.stage = Stage::Draw { next: 0 };
    }

    /// Whether one client more would send more than may be sent.
    fn more_clients_are_forbidden(&self, seen: &Observation, rate_max: f64) -> bool {
        match seen.load {
            Load::Clients(clients) => seen.served * (clients + 1) as f64 / clients as f64 > rate_max,
            Load::Rate(_) => false,
        }
    }

    fn drawn(&mut self, next: usize) {
        let is_over = self.curve.steps().last().is_some_and(|last| {
            let far = self
                .objective()
                .unwrap_or(0.0)
                .max(3.0 * self.plateau().unwrap_or(0.0));
            !last.is_carried() || (far > 0.0 && last.latency.p99 > far)
        });
        if is_over || next + 1 == SHARES.len() {
            self.refine();
        } else {
            self.stage = Stage::Draw { next: next + 1 };
        }
    }

    fn plateau(&self) -> Option<f64> {
        self.curve.plateau(self.saturation?)
    }

    fn objective(&self) -> Option<f64> {
        self.goal
            .p99
            .or_else(|| self.plateau().map(|plateau| OBJECTIVE_FACTOR * plateau))
    }

    fn holding(&self) -> Option<Bracket> {
        Some(self.curve.holding(self.objective()?, self.saturation?))
    }

    fn holds(&self, seen: &Observation) -> bool {
        seen.is_carried()
            && self
                .objective()
                .is_some_and(|objective| seen.latency.p99 <= objective)
    }

    /// Halves the wider of the brackets, and confirms the rate that holds when they are narrow.
    fn refine(&mut self) {
        let (Some(saturation), Some(holding)) = (self.saturation, self.holding()) else {
            return self.end(Ended::Complete);
        };
        if holding.low == 0.0 {
            let least = LEAST_SHARE * saturation;
            let is_tried = self
                .curve
                .steps()
                .first()
                .is_some_and(|first| first.offered() <= least * 1.01);
            if is_tried {
                return self.end(Ended::Complete);
            }
            self.stage = Stage::Refine { rate: least };
            return;
        }
        let knee = self.plateau().map(|plateau| self.curve.knee(plateau));
        let next = [(Some(holding), OBJECTIVE_RATIO), (knee, KNEE_RATIO)]
            .into_iter()
            .filter_map(|(bracket, narrow)| {
                let bracket = closed(bracket?, saturation);
                let excess = bracket.ratio().ln() / narrow.ln();
                (excess > 1.0).then_some((excess, bracket.middle()?))
            })
            .max_by(|one, other| one.0.total_cmp(&other.0));
        // Time for the confirmation is kept.
        let confirming = self.open(holding.low, 2.0 * ANSWERS);
        let left = self.goal.budget - self.spent - confirming.warm_up - confirming.seconds - REST;
        match next {
            Some((_, rate))
                if {
                    let step = self.open(rate, ANSWERS);
                    step.warm_up + step.seconds + REST <= left
                } =>
            {
                self.stage = Stage::Refine { rate };
            }
            _ => {
                self.stage = Stage::Confirm {
                    rate: LOWERED * holding.low,
                    tries: 0,
                };
            }
        }
    }
}

/// What no step has shown to change does so at the saturation rate.
fn closed(bracket: Bracket, saturation: f64) -> Bracket {
    Bracket {
        high: bracket
            .high
            .or(Some(saturation))
            .map(|high| high.max(bracket.low)),
        ..bracket
    }
}
