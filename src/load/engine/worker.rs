//! One thread of a run: opens its clients, has them ask when they should, and gives up what takes too long.
//!
//! In a closed loop each client asks again after its answer, at once, or when it has thought; the next request
//! follows a refusal as it does any answer. In an open loop requests are due by the schedule. Each goes out on the
//! connection that has been free for longest, so that refusals, which free a connection early, do not draw further
//! requests to the shard that refused; when none is free another is made. A latency begins when its request was due,
//! and the report says how late requests went out, so that coordinated omission cannot happen.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::io;
use std::iter::Peekable;
use std::time::{Duration, Instant};

use super::clients::{After, Clients, Happened, State};
use super::observer::{Ended, Live, Observer, Sights};
use super::own::{Used, of_this_thread};
use crate::load::figures::{Counts, Own};
use crate::load::peer::{Outcome, RetryAfter, Source};
use crate::load::plan::{Pace, Plan};
use crate::load::schedule::Schedule;

/// How often the clock is read when nothing happens.
const POLL: Duration = Duration::from_millis(5);
/// The server takes connections and opens sessions meanwhile, and longer for many.
const OPENING_PATIENCE: Duration = Duration::from_secs(10);
const OPENING_PATIENCE_EACH: Duration = Duration::from_millis(5);
/// Until a client tries again whose connection brought no answer: so long, twice as long each time, and at most so
/// long; of that a part between a half and all, so that they do not all come together.
const RETRY_MIN: Duration = Duration::from_millis(10);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// For how long answers may come after the end.
const DRAIN: Duration = Duration::from_secs(2);
/// How often old requests are looked for, and somebody is told what happened.
const LOOK: Duration = Duration::from_millis(100);

/// What a thread has when it is done.
pub(super) struct Outcomes {
    pub(super) seen: Sights,
    pub(super) counts: Counts,
    pub(super) firsts: BTreeMap<Outcome, String>,
    pub(super) clients: usize,
    /// Sessions that are still open.
    pub(super) sessions: Vec<String>,
    pub(super) own: Own,
    /// The time that counted.
    pub(super) elapsed: Duration,
}

pub(super) struct Worker<'p> {
    plan: &'p Plan,
    thread: usize,
    clients: Clients<'p>,
    /// Free clients of an open loop, for longest first; before the start those of either.
    free: VecDeque<usize>,
    /// Requests that were due and found no connection.
    held: Backlog,
    /// What clients do later: ask again, or connect again.
    later: BinaryHeap<Reverse<(Instant, usize)>>,
    schedule: Peekable<Share>,
    counts: Counts,
    /// Whether nobody took the last connection that was tried. Then a request that is due makes no further one.
    is_unreached: bool,
    observer: Option<Observer>,
    random: fastrand::Rng,
}

/// When what counts began, and what the thread had done before.
struct Before {
    at: Instant,
    used: Used,
    waited: Duration,
}

/// Requests that are due and found no connection: how many, and a schedule that lags behind and says when. So a server
/// that stands still costs no memory, however long it does.
struct Backlog {
    count: u64,
    lagging: Share,
    started: Instant,
}

impl Backlog {
    /// When the one that has waited for longest was due.
    fn pop(&mut self) -> Option<Instant> {
        if self.count == 0 {
            return None;
        }
        self.count -= 1;
        self.lagging.next().map(|due| self.started + due)
    }
}

/// Every so many-th arrival of a schedule.
#[derive(Clone)]
struct Share {
    schedule: Schedule,
    skip: usize,
    step: usize,
}

impl Iterator for Share {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let next = self.schedule.nth(self.skip);
        self.skip = self.step - 1;
        next
    }
}

impl<'p> Worker<'p> {
    pub(super) fn new(plan: &'p Plan, thread: usize) -> io::Result<Self> {
        let (phases, arrivals) = plan.open().map_or_else(
            || (Vec::new(), crate::load::schedule::Arrivals::Constant),
            |open| (open.phases.clone(), open.arrivals),
        );
        let share = Share {
            schedule: Schedule::new(phases, arrivals, plan.seed),
            skip: thread,
            step: plan.threads.max(1),
        };
        Ok(Worker {
            plan,
            thread,
            clients: Clients::new(plan, thread)?,
            free: VecDeque::new(),
            held: Backlog {
                count: 0,
                lagging: share.clone(),
                started: Instant::now(),
            },
            later: BinaryHeap::new(),
            schedule: share.peekable(),
            counts: Counts::default(),
            is_unreached: false,
            observer: None,
            random: fastrand::Rng::with_seed(plan.seed ^ thread as u64),
        })
    }

    /// Its part of so many.
    fn share(&self, all: usize) -> usize {
        let threads = self.plan.threads.max(1);
        all / threads + usize::from(self.thread < all % threads)
    }

    /// Opens all clients, and waits until they can ask.
    pub(super) fn open(&mut self) -> io::Result<()> {
        let threads = self.plan.threads.max(1);
        let count = self.share(self.plan.clients);
        for number in 0..count {
            let index = self.clients.add();
            let source = self.plan.source_ports.get(number * threads + self.thread);
            let source = source.map_or(Source::Any, |port| Source::Port(*port));
            let happened = self.clients.open(index, source, false)?;
            self.handle(index, happened)?;
        }
        let patience = OPENING_PATIENCE + OPENING_PATIENCE_EACH * count as u32;
        let (end, mut look) = (Instant::now() + patience, Instant::now() + LOOK);
        while self.free.len() < count {
            if self.plan.is_interrupted() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if Instant::now() > end {
                let open = self.free.len();
                let text = format!(
                    "after {} s {open} of {count} clients are connected",
                    patience.as_secs()
                );
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            self.turn(POLL)?;
            if Instant::now() >= look {
                look = Instant::now() + LOOK;
                self.give_up_old(look)?;
            }
        }
        Ok(())
    }

    /// Runs until the end of the plan.
    pub(super) fn run(&mut self, started: Instant, mut tell: impl FnMut(Live)) -> io::Result<Outcomes> {
        let measured = self.plan.measured();
        self.observer = Some(Observer::new(self.plan, self.plan.work.names().len(), started));
        self.held.started = started;
        while Instant::now() < started {
            self.turn(started.saturating_duration_since(Instant::now()))?;
        }
        let last = match &self.plan.pace {
            Pace::Closed { .. } => {
                for index in std::mem::take(&mut self.free) {
                    self.free_now(index, Instant::now())?;
                }
                started + measured.end
            }
            Pace::Open(open) => started + measured.end + open.patience,
        };
        let (mut look, mut before) = (started, None::<Before>);
        loop {
            let now = Instant::now();
            if before.is_none() && now >= started + measured.start {
                before = Some(Before {
                    at: now,
                    used: of_this_thread(),
                    waited: self.clients.waited,
                });
            }
            if now >= look {
                look = now + LOOK;
                self.give_up_old(now)?;
                if let Some(observer) = &mut self.observer {
                    tell(observer.take_live());
                }
            }
            self.do_due(started, now)?;
            let is_done = self.plan.open().is_some()
                && self.schedule.peek().is_none()
                && now >= started + measured.end
                && self.held.count == 0
                && !self.clients.all.iter().any(|client| client.state == State::Busy);
            if is_done || now >= last || self.plan.is_interrupted() {
                break;
            }
            let until = self.next_due(started).unwrap_or(last).min(last);
            // What was done took its time: a wait of less than that would be one of the timer's slack.
            self.turn(until.saturating_duration_since(Instant::now()).min(POLL))?;
        }
        Ok(self.finish(before, self.plan.is_interrupted()))
    }

    /// Waits a moment for the answers that are still to come, so that the end of the load is no crowd of clients that
    /// hang up. They count no more.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        let end = Instant::now() + DRAIN;
        while Instant::now() < end && self.clients.all.iter().any(|client| client.state == State::Busy) {
            for number in 0..self.clients.wait(POLL)? {
                let index = self.clients.index(number);
                self.clients.advance(index)?;
            }
        }
        Ok(())
    }

    /// Asks what is due by now.
    fn do_due(&mut self, started: Instant, now: Instant) -> io::Result<()> {
        while let Some(Reverse((at, index))) = self.later.peek().copied()
            && at <= now
        {
            self.later.pop();
            match self.clients.all[index].state {
                State::Away => self.connect(index, now)?,
                // It has thought.
                State::Free => self.ask(index, at, now)?,
                State::Opening | State::Busy => {}
            }
        }
        while self.schedule.next_if(|due| started + *due <= now).is_some() {
            self.dispatch()?;
        }
        Ok(())
    }

    fn next_due(&mut self, started: Instant) -> Option<Instant> {
        let due = self.schedule.peek().map(|due| started + *due);
        let later = self.later.peek().map(|Reverse((at, _))| *at);
        due.into_iter().chain(later).min()
    }

    fn turn(&mut self, patience: Duration) -> io::Result<()> {
        for number in 0..self.clients.wait(patience)? {
            let index = self.clients.index(number);
            let happened = self.clients.advance(index)?;
            self.handle(index, happened)?;
        }
        Ok(())
    }

    fn handle(&mut self, index: usize, happened: Happened) -> io::Result<()> {
        let now = Instant::now();
        match happened {
            Happened::Nothing => Ok(()),
            Happened::Free => self.free_now(index, now),
            Happened::Ended {
                outcome,
                retry_after,
                after,
            } => {
                self.record(index, outcome, retry_after, now);
                self.is_unreached = outcome == Outcome::NoConnection;
                match after {
                    After::Usable if self.clients.all[index].state == State::Free => {
                        return self.free_now(index, now);
                    }
                    After::Usable => {
                        let happened = self.clients.open_session(index);
                        return self.handle(index, happened);
                    }
                    After::Planned => self.counts.planned_closes += 1,
                    After::Closed => self.counts.server_closes += 1,
                    // One that was never made is not made again.
                    After::Broken if self.is_unreached => {}
                    After::Broken => self.counts.reconnects += 1,
                }
                self.again(index, now)
            }
            Happened::Lost(outcome) => {
                if self.observer.is_none() {
                    return Err(io::Error::other(format!(
                        "a client cannot begin: {}",
                        outcome.meaning()
                    )));
                }
                self.is_unreached = outcome == Outcome::NoConnection;
                self.counts.reconnects += u64::from(!self.is_unreached);
                self.free.retain(|free| *free != index);
                if outcome == Outcome::Reset && self.clients.had_answer(index) {
                    self.counts.idle_closes += 1;
                } else if let Some(observer) = &mut self.observer {
                    observer.record_unasked(outcome, now);
                }
                self.again(index, now)
            }
        }
    }

    /// Connects again: at once, or later if the connection before was of no use at all.
    fn again(&mut self, index: usize, now: Instant) -> io::Result<()> {
        let failures = self.clients.all[index].failures;
        if failures > 0 {
            let pause = pause(failures, self.random.f64());
            self.later.push(Reverse((now + pause, index)));
            return Ok(());
        }
        self.connect(index, now)
    }

    fn connect(&mut self, index: usize, now: Instant) -> io::Result<()> {
        let source = self.clients.next_source();
        match self.clients.open(index, source, true) {
            // What the next request waits for began with the connection.
            Ok(Happened::Free) => self.free_now(index, now),
            Ok(happened) => self.handle(index, happened),
            Err(error) if is_local(&error) => Err(error),
            Err(_) => {
                self.is_unreached = true;
                if let Some(observer) = &mut self.observer {
                    observer.record_unasked(Outcome::NoConnection, now);
                }
                self.clients.all[index].failures += 1;
                self.again(index, now)
            }
        }
    }

    /// A client can ask, since this time.
    fn free_now(&mut self, index: usize, since: Instant) -> io::Result<()> {
        let is_started = self.observer.is_some();
        match &self.plan.pace {
            Pace::Closed { think, .. } if is_started => {
                if think.is_zero() {
                    return self.ask(index, since, since);
                }
                // 1 - [0, 1) is never 0.
                let pause = think.mul_f64(-(1.0 - self.random.f64()).ln());
                self.later.push(Reverse((since + pause, index)));
            }
            Pace::Open(_) if is_started => match self.held.pop() {
                Some(due) => return self.ask(index, due, Instant::now()),
                None => self.free.push_back(index),
            },
            _ => self.free.push_back(index),
        }
        Ok(())
    }

    fn ask(&mut self, index: usize, due: Instant, now: Instant) -> io::Result<()> {
        match self.clients.ask(index, due, now) {
            Happened::Nothing => Ok(()),
            happened => self.handle(index, happened),
        }
    }

    /// Sends the request that is due now, or keeps it until there is a connection.
    fn dispatch(&mut self) -> io::Result<()> {
        self.held.count += 1;
        if let Some(index) = self.free.pop_front()
            && let Some(due) = self.held.pop()
        {
            return self.ask(index, due, Instant::now());
        }
        if self.is_unreached {
            self.counts.unreached += 1;
            return Ok(());
        }
        let most = self.plan.open().map_or(0, |open| self.share(open.clients_max));
        if self.clients.all.len() < most {
            let index = self.clients.add();
            return self.connect(index, Instant::now());
        }
        self.counts.held += 1;
        Ok(())
    }

    fn give_up_old(&mut self, now: Instant) -> io::Result<()> {
        for index in 0..self.clients.all.len() {
            let client = &self.clients.all[index];
            let is_waiting = matches!(client.state, State::Busy | State::Opening);
            if self.clients.is_left_open(index, now) {
                let happened = self.clients.leave(index);
                self.handle(index, happened)?;
            } else if is_waiting && now.saturating_duration_since(client.sent) > self.plan.timeout {
                let happened = self.clients.give_up(index);
                self.handle(index, happened)?;
            }
        }
        Ok(())
    }

    fn record(&mut self, index: usize, outcome: Outcome, retry_after: Option<RetryAfter>, ended: Instant) {
        let client = &self.clients.all[index];
        let (kind, due, sent) = (client.script.kind(), client.due, client.sent);
        let ended = client.answered.unwrap_or(ended);
        if let Some(observer) = &mut self.observer {
            observer.record(&Ended {
                kind,
                outcome,
                retry_after,
                due,
                sent,
                ended,
            });
        }
    }

    /// The time since then, and what this thread did in it.
    fn own_since(&self, before: &Before, now: Instant) -> (Duration, Own) {
        let elapsed = now.saturating_duration_since(before.at);
        let after = of_this_thread();
        let share = |part: Duration| part.as_secs_f64() / elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        let cpu = after.cpu.saturating_sub(before.used.cpu);
        let own = Own {
            busy: share(cpu),
            waited: share(after.waited.saturating_sub(before.used.waited)),
            occupied: 1.0 - share(self.clients.waited.saturating_sub(before.waited)),
            cpu,
        };
        (elapsed, own)
    }

    /// Counts requests without an answer, which never get one now.
    fn finish(&mut self, before: Option<Before>, is_interrupted: bool) -> Outcomes {
        let now = Instant::now();
        self.counts.reconnects += self.clients.renewed;
        self.counts.idle_closes += self.clients.renewed;
        self.counts.server_closes += self.clients.closed;
        let (elapsed, own) = before.map_or_else(Default::default, |before| self.own_since(&before, now));
        let busy: Vec<usize> = (0..self.clients.all.len())
            .filter(|index| self.clients.all[*index].state == State::Busy)
            .collect();
        for index in busy {
            if self.clients.all[index].answered.is_some()
                && let Happened::Ended {
                    outcome, retry_after, ..
                } = self.clients.leave(index)
            {
                self.record(index, outcome, retry_after, now);
                continue;
            }
            match (self.plan.open().filter(|_| !is_interrupted), &mut self.observer) {
                (None, Some(observer)) => observer.record_outstanding(self.clients.all[index].due, now),
                _ => self.record(index, Outcome::Unanswered, None, now),
            }
        }
        // What was held, and what was not even due in time. After an interrupt that says nothing of the server.
        if let Some(observer) = self.observer.as_mut().filter(|_| !is_interrupted) {
            for due in self.held.lagging.by_ref() {
                observer.record(&Ended {
                    kind: 0,
                    outcome: Outcome::Unanswered,
                    retry_after: None,
                    due: self.held.started + due,
                    sent: now,
                    ended: now,
                });
            }
        }
        let observer = self.observer.take();
        let observer = observer.unwrap_or_else(|| Observer::new(self.plan, 1, now));
        let measured = self.plan.measured();
        Outcomes {
            seen: observer.finish(),
            counts: self.counts,
            firsts: self.clients.firsts(),
            clients: self.clients.all.len(),
            sessions: self
                .clients
                .all
                .iter()
                .filter_map(|client| client.script.session().map(str::to_owned))
                .collect(),
            own,
            elapsed: match self.plan.pace {
                Pace::Closed { .. } => elapsed,
                Pace::Open(_) if is_interrupted => elapsed.min(measured.end - measured.start),
                Pace::Open(_) => measured.end - measured.start,
            },
        }
    }
}

/// How long a client waits after so many connections that brought no answer; `random` is from 0 to 1.
fn pause(failures: u32, random: f64) -> Duration {
    let doubled = RETRY_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(RETRY_MAX).mul_f64(0.5 + 0.5 * random)
}

/// Whether it is this machine that has no more descriptors, ports or memory, and not the server that refuses.
fn is_local(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::EADDRNOTAVAIL | libc::ENOMEM | libc::EADDRINUSE)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::schedule::Arrivals;

    #[test]
    fn pauses_double_up_to_a_second_and_differ() {
        let millis = |failures, random| pause(failures, random).as_secs_f64() * 1e3;
        let whole: Vec<f64> = (1..10).map(|failures| millis(failures, 1.0)).collect();
        assert_eq!(
            whole,
            [10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1_000.0, 1_000.0]
        );
        assert_eq!((millis(3, 0.0), millis(u32::MAX, 0.5)), (20.0, 750.0));
    }

    #[test]
    fn a_backlog_says_when_each_was_due_and_keeps_none_of_it() {
        for arrivals in [Arrivals::Constant, Arrivals::Poisson] {
            let share = Share {
                schedule: Schedule::new(
                    vec!["500:1".parse().unwrap(), "50:1".parse().unwrap()],
                    arrivals,
                    9,
                ),
                skip: 1,
                step: 3,
            };
            let started = Instant::now();
            let (schedule, mut naive) = (share.clone(), VecDeque::new());
            let mut backlog = Backlog {
                count: 0,
                lagging: share,
                started,
            };
            let mut random = fastrand::Rng::with_seed(11);
            for due in schedule {
                backlog.count += 1;
                naive.push_back(started + due);
                for _ in 0..random.u32(..3) {
                    assert_eq!(backlog.pop(), naive.pop_front());
                }
            }
            assert_eq!(backlog.count, naive.len() as u64);
            while let Some(due) = backlog.pop() {
                assert_eq!(Some(due), naive.pop_front());
            }
            assert!(naive.is_empty());
        }
    }
}
