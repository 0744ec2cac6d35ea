//! The children of one server as its pool knows them: by number and state, not by what they say.
//!
//! ```text
//! Starting ─ ready ─► Serving ─ retired ─► Stopping ─► gone
//!     └─────────────── failed ───────────────┴────────► gone
//! ```
//!
//! One child starts at a time, and one that is worn goes on until a successor is ready, which may be one child more
//! than there may be otherwise. Where each child belongs to one client, nobody can take its place: as many start as
//! [`Owners`](super::Owners) miss, and one that is worn is retired. The pool is told what happens, and asked what is
//! to be done; it does nothing itself.

use std::time::{Duration, Instant};

use super::failures::Failures;
use super::growth::{Estimate, age, starting_pays};
use super::sizes::PoolSizes;

/// What a server's start is taken to cost before one was measured.
const START_GUESS: Duration = Duration::from_millis(500);
/// Waits between looks at a pool in which nothing is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A child of a pool, by a number that is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberKey(pub u64);

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberEnd {
    /// It was ended: that is no failure.
    Wanted,
    /// It left by itself when it had served and had nothing to do: that is none, either.
    Left,
    /// It died, could not be used, or never started.
    Failed,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolStep {
    /// Start a child, which has this long to be ready.
    Start {
        /// Its name from now on.
        member: MemberKey,
        /// The time for it.
        timeout: Duration,
    },
    /// Have a child retired, whose successor is ready.
    Retire {
        /// Which one.
        member: MemberKey,
    },
    /// Nothing: ask again then, or when something has happened.
    Wait(Instant),
}

/// What a server's pool is like, for whoever wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolStatus {
    /// A child serves.
    Serving,
    /// None does yet.
    Starting,
    /// Its children fail too often: calls are refused until this time at least.
    Quarantined {
        /// When the next child is tried.
        until: Instant,
    },
}

#[derive(Debug)]
struct Member {
    key: MemberKey,
    state: MemberState,
    /// A successor is to take its place.
    is_worn: bool,
}

impl Member {
    fn is_worn_and_serves(&self) -> bool {
        self.is_worn && matches!(self.state, MemberState::Serving { .. })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MemberState {
    Starting { since: Instant },
    Serving { since: Instant },
    Stopping,
}

/// The pool of one server.
#[derive(Debug)]
pub struct Pool {
    sizes: PoolSizes,
    members: Vec<Member>,
    last_key: u64,
    failures: Failures,
    service: Estimate,
    start: Estimate,
    /// Since when calls wait without a pause, or since the newest child is ready, whichever is later.
    waits_since: Option<Instant>,
    /// Children that have become ready since one was worn, and have taken nobody's place yet.
    successors: u32,
    is_draining: bool,
}

impl Pool {
    /// A pool without children.
    pub fn new(sizes: PoolSizes) -> Pool {
        Pool {
            sizes,
            members: Vec::new(),
            last_key: 0,
            failures: Failures::default(),
            service: Estimate::default(),
            start: Estimate::default(),
            waits_since: None,
            successors: 0,
            is_draining: false,
        }
    }

    /// What is to be done now that so many calls wait; where each child belongs to one client, so many are missing.
    pub fn step(&mut self, waiting: usize, now: Instant) -> PoolStep {
        for member in &self.members {
            if let MemberState::Serving { since } = member.state {
                self.failures.on_alive(age(since, now));
            }
        }
        self.wear_old(now);
        self.waits_since = (waiting > 0).then(|| self.waits_since.unwrap_or(now));
        if let Some(member) = self.replaced() {
            self.on_retired(member);
            return PoolStep::Retire { member };
        }
        if !self.wants_another(waiting, now) {
            let look = now + LOOK_EVERY;
            let outlasts = self.waits_since.map(|since| since + self.start_time());
            return PoolStep::Wait(outlasts.filter(|at| *at > now).map_or(look, |at| at.min(look)));
        }
        if !self.failures.may_start(now) {
            let at = self.failures.not_before().unwrap_or(now + LOOK_EVERY);
            return PoolStep::Wait(at.min(now + LOOK_EVERY));
        }
        self.last_key += 1;
        let member = MemberKey(self.last_key);
        self.members.push(Member {
            key: member,
            state: MemberState::Starting { since: now },
            is_worn: false,
        });
        let timeout = match self.start.get() {
            Some(_) => self.sizes.start_timeout,
            None => self.sizes.first_start_timeout,
        };
        PoolStep::Start { member, timeout }
    }

    /// A child is greeted only now, which was started before.
    pub fn on_greeted(&mut self, key: MemberKey, now: Instant) {
        let member = self.members.iter_mut().find(|member| member.key == key);
        if let Some(MemberState::Starting { since }) = member.map(|member| &mut member.state) {
            *since = now;
        }
    }

    /// A child takes calls.
    pub fn on_ready(&mut self, key: MemberKey, now: Instant) {
        let Some(member) = self.members.iter_mut().find(|member| member.key == key) else {
            return;
        };
        if let MemberState::Starting { since } = member.state {
            member.state = MemberState::Serving { since: now };
            self.start.add(age(since, now));
            self.waits_since = None;
            self.failures.on_ready();
            let has_worn = self.members.iter().any(Member::is_worn_and_serves);
            self.successors += u32::from(has_worn);
        }
    }

    /// A child has had so many calls that a successor is to take its place.
    pub fn on_worn(&mut self, key: MemberKey) {
        if let Some(member) = self.members.iter_mut().find(|member| member.key == key) {
            member.is_worn = true;
        }
    }

    /// A child has had no calls for long. Says whether it is to be retired: there are more than there should be.
    pub fn on_resting(&mut self, key: MemberKey) -> bool {
        let serves =
            |member: &Member| member.key == key && matches!(member.state, MemberState::Serving { .. });
        let is_spare = self.members.iter().any(serves) && self.serving() > self.sizes.min_idle;
        if is_spare {
            self.on_retired(key);
        }
        is_spare
    }

    /// A child gets no more calls, and will end.
    pub fn on_retired(&mut self, key: MemberKey) {
        if let Some(member) = self.members.iter_mut().find(|member| member.key == key) {
            member.state = MemberState::Stopping;
        }
    }

    /// A child is gone.
    pub fn on_end(&mut self, key: MemberKey, end: MemberEnd, now: Instant) {
        let Some(at) = self.members.iter().position(|member| member.key == key) else {
            return;
        };
        let member = self.members.swap_remove(at);
        let lived = match member.state {
            MemberState::Serving { since } => age(since, now),
            MemberState::Starting { .. } => Duration::ZERO,
            // It was to end, however it did.
            MemberState::Stopping => return,
        };
        match end {
            MemberEnd::Wanted => {}
            MemberEnd::Left => self.failures.on_left(lived, now),
            MemberEnd::Failed => self.failures.on_failure(lived, now),
        }
    }

    /// A call was answered after the child had it for this long.
    pub fn on_answered(&mut self, took: Duration) {
        self.service.add(took);
    }

    /// From now on no child is started.
    pub fn begin_drain(&mut self) {
        self.is_draining = true;
    }

    /// What it is like.
    pub fn status(&self, now: Instant) -> PoolStatus {
        if self.failures.is_quarantined() {
            let until = self.failures.not_before().unwrap_or(now);
            PoolStatus::Quarantined { until }
        } else if self.serving() > 0 {
            PoolStatus::Serving
        } else {
            PoolStatus::Starting
        }
    }

    /// Children that take calls.
    pub fn serving(&self) -> u32 {
        self.count(|state| matches!(state, MemberState::Serving { .. }))
    }

    /// Whether there are as many children as may be, with those that are about to leave.
    pub fn is_full(&self) -> bool {
        self.children() >= self.sizes.max.max(1)
    }

    /// Children that are about to leave.
    pub fn leaving(&self) -> u32 {
        self.count(|state| state == MemberState::Stopping)
    }

    /// Children that were started and are not gone.
    pub fn children(&self) -> u32 {
        self.count(|_| true)
    }

    /// Notes which children are so old that they are to be replaced.
    fn wear_old(&mut self, now: Instant) {
        let Some(age_max) = self.sizes.age_max else { return };
        for member in &mut self.members {
            if let MemberState::Serving { since } = member.state {
                member.is_worn |= age(since, now) >= age_max;
            }
        }
    }

    /// A worn child whose successor is ready, or that has none.
    fn replaced(&mut self) -> Option<MemberKey> {
        let worn = self.members.iter().find(|member| member.is_worn_and_serves());
        let worn = worn.map(|member| member.key);
        if self.sizes.is_owned {
            return worn;
        }
        if self.successors == 0 {
            return None;
        }
        // Whoever was to be replaced may have gone by itself.
        self.successors = worn.map_or(0, |_| self.successors - 1);
        worn
    }

    fn start_time(&self) -> Duration {
        self.start.get().unwrap_or(START_GUESS)
    }

    fn wants_another(&self, waiting: usize, now: Instant) -> bool {
        let starting = self.count(|state| matches!(state, MemberState::Starting { .. }));
        let serving = self.serving();
        if self.is_draining {
            return false;
        }
        if self.sizes.is_owned {
            return waiting > 0 && !self.is_full();
        }
        if starting > 0 {
            return false;
        }
        let has_worn = self.members.iter().any(Member::is_worn_and_serves);
        if has_worn && self.children() <= self.sizes.max {
            return true;
        }
        if self.children() >= self.sizes.max {
            return false;
        }
        if serving < self.sizes.min_idle.min(self.sizes.max) {
            return true;
        }
        let start = self.start_time();
        let service = self.service.get().unwrap_or(Duration::ZERO);
        // Places may be taken by calls that take much longer than most: their clients are asked, or left.
        let outlasts = |since: Instant| age(since, now) > start;
        match serving {
            0 => waiting > 0,
            _ => {
                starting_pays(waiting, service, serving, self.sizes.in_flight_max, start)
                    || self.waits_since.is_some_and(outlasts)
            }
        }
    }

    fn count(&self, is_it: impl Fn(MemberState) -> bool) -> u32 {
        self.members.iter().filter(|member| is_it(member.state)).count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PoolSettings;

    fn sizes() -> PoolSizes {
        PoolSizes {
            max: 3,
            in_flight_max: 1,
            is_owned: false,
            ..PoolSizes::of(&PoolSettings::default(), 4)
        }
    }

    /// Though calls are short as a rule, one may wait for a place that is not given back.
    #[test]
    fn another_child_starts_when_calls_have_waited_for_as_long_as_that_takes() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut pool = Pool::new(sizes());
        let first = started(&mut pool, 0, at(0));
        pool.on_ready(first, at(100));
        pool.on_answered(Duration::from_millis(1));
        // What comes and goes is no reason.
        for ms in [200, 400, 600] {
            assert_eq!(pool.step(1, at(ms)), PoolStep::Wait(at(ms + 100)));
            assert_eq!(
                pool.step(0, at(ms + 90)),
                PoolStep::Wait(at(ms + 90) + LOOK_EVERY)
            );
        }
        assert_eq!(pool.step(1, at(1000)), PoolStep::Wait(at(1100)));
        let second = started(&mut pool, 1, at(1101));
        assert_eq!(pool.step(1, at(1150)), PoolStep::Wait(at(1150) + LOOK_EVERY));
        pool.on_ready(second, at(1201));
        // It is given the time to take the call.
        assert_eq!(pool.step(1, at(1202)), PoolStep::Wait(at(1302)));
        started(&mut pool, 1, at(1303));
    }

    fn started(pool: &mut Pool, waiting: usize, now: Instant) -> MemberKey {
        match pool.step(waiting, now) {
            PoolStep::Start { member, .. } => member,
            other => panic!("nothing is started: {other:?}"),
        }
    }

    fn waits(pool: &mut Pool, waiting: usize, now: Instant) -> bool {
        matches!(pool.step(waiting, now), PoolStep::Wait(_))
    }

    #[test]
    fn one_child_is_there_unasked_and_one_starts_at_a_time() {
        let now = Instant::now();
        let mut pool = Pool::new(sizes());
        let step = pool.step(0, now);
        let first = MemberKey(1);
        let timeout = Duration::from_secs(300);
        assert_eq!(
            step,
            PoolStep::Start {
                member: first,
                timeout
            }
        );
        assert_eq!(pool.status(now), PoolStatus::Starting);
        assert!(waits(&mut pool, 1_000_000, now));
        pool.on_ready(first, now + Duration::from_secs(1));
        assert_eq!(pool.status(now), PoolStatus::Serving);
        assert!(waits(&mut pool, 0, now));
    }

    #[test]
    fn it_grows_while_that_pays_and_up_to_its_bound() {
        let mut now = Instant::now();
        let mut pool = Pool::new(sizes());
        let first = started(&mut pool, 0, now);
        now += Duration::from_secs(1);
        pool.on_ready(first, now);
        pool.on_answered(Duration::from_millis(10));
        assert!(waits(&mut pool, 100, now), "a second of work, a second to start");
        let step = pool.step(101, now);
        let (member, timeout) = (MemberKey(2), Duration::from_secs(30));
        assert_eq!(step, PoolStep::Start { member, timeout });
        pool.on_ready(member, now + Duration::from_secs(1));
        assert!(waits(&mut pool, 200, now));
        let third = started(&mut pool, 201, now);
        pool.on_ready(third, now + Duration::from_secs(1));
        assert!(waits(&mut pool, 100_000, now), "it is full");
        pool.on_retired(third);
        assert!(waits(&mut pool, 100_000, now), "the process is still there");
        pool.on_end(third, MemberEnd::Failed, now);
        assert!(!waits(&mut pool, 100_000, now), "its end was wanted");
    }

    #[test]
    fn a_child_that_failed_is_replaced_after_a_wait() {
        let now = Instant::now();
        let mut pool = Pool::new(sizes());
        let first = started(&mut pool, 0, now);
        pool.on_ready(first, now);
        pool.on_end(first, MemberEnd::Failed, now);
        pool.on_end(first, MemberEnd::Failed, now);
        let soon = now + Duration::from_millis(500);
        assert_eq!(pool.step(1, now), PoolStep::Wait(soon));
        let second = started(&mut pool, 0, soon);
        assert_ne!(second, first);
        pool.on_end(second, MemberEnd::Wanted, soon);
        started(&mut pool, 0, soon);
    }

    #[test]
    fn a_server_that_fails_too_often_is_quarantined_and_tried_now_and_then() {
        let mut now = Instant::now();
        let mut pool = Pool::new(sizes());
        let mut failed = 0;
        while failed < 5 {
            match pool.step(1, now) {
                PoolStep::Wait(at) => now = at,
                PoolStep::Retire { .. } => panic!("none is worn"),
                PoolStep::Start { member, .. } => {
                    pool.on_end(member, MemberEnd::Failed, now);
                    failed += 1;
                }
            }
        }
        let until = now + Duration::from_secs(60);
        assert_eq!(pool.status(now), PoolStatus::Quarantined { until });
        let mut starts = 0;
        for _ in 0..600 {
            now += Duration::from_secs(1);
            if let PoolStep::Start { member, .. } = pool.step(1, now) {
                starts += 1;
                pool.on_end(member, MemberEnd::Failed, now);
            }
        }
        assert_eq!(starts, 10);
        let member = loop {
            now += Duration::from_secs(1);
            if let PoolStep::Start { member, .. } = pool.step(1, now) {
                break member;
            }
        };
        pool.on_ready(member, now);
        assert_eq!(pool.status(now), PoolStatus::Serving);
    }

    #[test]
    fn a_draining_pool_starts_nobody() {
        let now = Instant::now();
        let mut pool = Pool::new(sizes());
        pool.begin_drain();
        assert!(waits(&mut pool, 10, now));
    }

    #[test]
    fn a_worn_child_is_retired_when_its_successor_is_ready() {
        let mut now = Instant::now();
        let mut pool = Pool::new(PoolSizes {
            max: 2,
            min_idle: 2,
            ..sizes()
        });
        let first = started(&mut pool, 0, now);
        pool.on_ready(first, now);
        let second = started(&mut pool, 0, now);
        pool.on_ready(second, now);
        pool.on_worn(first);
        pool.on_worn(second);
        let third = started(&mut pool, 0, now);
        assert!(
            waits(&mut pool, 0, now),
            "one at a time, and one more than there may be"
        );
        pool.on_ready(third, now);
        assert_eq!(pool.step(0, now), PoolStep::Retire { member: first });
        assert_eq!(pool.serving(), 2);
        assert!(waits(&mut pool, 0, now), "its process is still there");
        pool.on_end(first, MemberEnd::Wanted, now);
        let fourth = started(&mut pool, 0, now);
        // The worn one has gone by itself: nobody is retired in its place.
        pool.on_end(second, MemberEnd::Wanted, now);
        pool.on_ready(fourth, now);
        assert!(waits(&mut pool, 0, now));
        now += Duration::from_secs(3600);
        assert!(
            waits(&mut pool, 0, now),
            "age does not matter unless it is said to"
        );
    }

    #[test]
    fn old_children_are_replaced() {
        let mut now = Instant::now();
        let age_max = Some(Duration::from_secs(60));
        let mut pool = Pool::new(PoolSizes { age_max, ..sizes() });
        let first = started(&mut pool, 0, now);
        pool.on_ready(first, now);
        now += Duration::from_secs(59);
        assert!(waits(&mut pool, 0, now));
        now += Duration::from_secs(1);
        let second = started(&mut pool, 0, now);
        pool.on_ready(second, now);
        assert_eq!(pool.step(0, now), PoolStep::Retire { member: first });
    }

    #[test]
    fn children_that_belong_to_clients_are_started_as_they_are_missed() {
        let now = Instant::now();
        let mut pool = Pool::new(PoolSizes {
            max: 3,
            is_owned: true,
            ..sizes()
        });
        assert!(waits(&mut pool, 0, now));
        let first = started(&mut pool, 2, now);
        started(&mut pool, 1, now);
        pool.on_ready(first, now);
        let third = started(&mut pool, 1, now);
        pool.on_ready(third, now);
        assert!(pool.is_full() && waits(&mut pool, 9, now));
        pool.on_retired(first);
        assert_eq!(pool.leaving(), 1);
        assert!(waits(&mut pool, 9, now), "its process is still there");
        pool.on_end(first, MemberEnd::Wanted, now);
        started(&mut pool, 1, now);
        pool.on_worn(third);
        assert_eq!(pool.step(0, now), PoolStep::Retire { member: third });
    }
}
