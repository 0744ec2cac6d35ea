//! The calls that a child has in flight, by the ids that it knows them under.
//!
//! ```text
//! Running ─ answered ─► out
//!    ├─ its client wants it no more, or its time is over ─► Cancelled ─ answered after all ─► out
//!    │                                                          └─ not within the grace ─► Lost ─ answered ─► out
//! ```
//!
//! A call that is cancelled keeps its place, because the child may still be busy with it; one that is lost keeps it
//! until the child ends, unless an answer comes after all. Ids are never used again in a child's life, so a late
//! answer finds nothing of anybody else's.

use std::time::{Duration, Instant};

use crate::slab::{Slab, SlabKey};

/// The bits of an id that are the call's place. Ids have up to 48 bits, fewer than a double is exact in.
const PLACE_BITS: u32 = 16;

/// Ids below this are for requests of our own: the handshake's, and pings.
pub const OWN_IDS_MAX: u64 = 1 << PLACE_BITS;

/// The name of a call in flight at one child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallKey {
    place: u32,
    turn: u32,
}

impl SlabKey for CallKey {
    const GENERATION_MAX: u32 = u32::MAX - 1;

    fn new(place: u32, turn: u32) -> CallKey {
        CallKey { place, turn }
    }

    fn slot(self) -> u32 {
        self.place
    }

    fn generation(self) -> u32 {
        self.turn
    }
}

impl CallKey {
    /// The id under which the child knows the call; it is the call's progress token, too.
    pub fn wire_id(self) -> u64 {
        (u64::from(self.turn) + 1) << PLACE_BITS | u64::from(self.place)
    }

    /// The call that a child knows under this id; `None` for ids of our own requests and for those that no call has.
    pub fn from_wire(id: u64) -> Option<CallKey> {
        let turn = (id >> PLACE_BITS).checked_sub(1)?;
        Some(CallKey {
            place: (id & (OWN_IDS_MAX - 1)) as u32,
            turn: u32::try_from(turn).ok()?,
        })
    }
}

/// How long calls may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallTimes {
    /// For a call, from its beginning and anew from each word on its progress.
    pub call_timeout: Duration,
    /// For a call in all.
    pub call_max: Duration,
    /// For the answer to a call that was cancelled.
    pub cancel_grace: Duration,
}

/// Who got an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended<C> {
    /// A call that somebody waits for.
    Call {
        /// Its caller.
        caller: C,
        /// When it was given to the child.
        began: Instant,
    },
    /// A call that was cancelled; its place is free now.
    Unwanted,
    /// No call has this id, or it was answered before.
    Nobody,
}

/// What time did to a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Expired<C> {
    /// Its time is over; it counts as cancelled from now on.
    TimedOut {
        /// Its name.
        key: CallKey,
        /// Its caller.
        caller: C,
    },
    /// The child has not answered a cancelled call within the grace: the place is lost.
    Lost,
}

#[derive(Debug)]
struct Place<C> {
    state: State<C>,
    began: Instant,
    /// Where the call's line begins in what the child is to read.
    line_at: u64,
    /// Since when its client is being asked, which is not its own time.
    paused_at: Option<Instant>,
}

impl<C> Place<C> {
    fn due(&self) -> Option<Instant> {
        match &self.state {
            State::Running { .. } if self.paused_at.is_some() => None,
            State::Running { due, .. } | State::Cancelled { due } => Some(*due),
            State::Lost => None,
        }
    }
}

#[derive(Debug)]
enum State<C> {
    Running { caller: C, due: Instant },
    Cancelled { due: Instant },
    Lost,
}

/// The calls in flight at one child.
#[derive(Debug)]
pub struct InFlight<C> {
    places: Slab<CallKey, Place<C>>,
    times: CallTimes,
    running: u32,
    lost: u32,
    /// No call is due before this.
    due: Option<Instant>,
}

impl<C> InFlight<C> {
    /// A table with so many places, allocated now.
    pub fn new(places_max: u32, times: CallTimes) -> InFlight<C> {
        InFlight {
            places: Slab::preallocated(places_max.min(OWN_IDS_MAX as u32)),
            times,
            running: 0,
            lost: 0,
            due: None,
        }
    }

    /// Puts a call into a free place; its line begins at `line_at`.
    ///
    /// # Errors
    /// Returns the caller if no place is free.
    pub fn begin(&mut self, caller: C, line_at: u64, now: Instant) -> Result<CallKey, C> {
        if self.free() == 0 {
            return Err(caller);
        }
        let due = now + self.times.call_timeout.min(self.times.call_max);
        let place = Place {
            state: State::Running { caller, due },
            began: now,
            line_at,
            paused_at: None,
        };
        let key = self.places.insert(place).map_err(|place| match place.state {
            State::Running { caller, .. } => caller,
            State::Cancelled { .. } | State::Lost => unreachable!("it was just made as running"),
        })?;
        self.running += 1;
        self.note_due(due);
        Ok(key)
    }

    /// The time of a call that was just begun has run since then.
    pub fn antedate(&mut self, key: CallKey, began: Instant) {
        let due = began + self.times.call_timeout.min(self.times.call_max);
        let Some(place) = self.places.get_mut(key) else {
            return;
        };
        place.began = began;
        if let State::Running { due: own, .. } = &mut place.state {
            *own = due;
        }
        self.note_due(due);
    }

    /// An answer came under this id.
    pub fn end(&mut self, id: u64) -> Ended<C> {
        let place = CallKey::from_wire(id).and_then(|key| self.places.remove(key));
        match place.map(|place| (place.state, place.began)) {
            Some((State::Running { caller, .. }, began)) => {
                self.running -= 1;
                Ended::Call { caller, began }
            }
            Some((State::Cancelled { .. }, _)) => Ended::Unwanted,
            Some((State::Lost, _)) => {
                self.lost -= 1;
                Ended::Unwanted
            }
            None => Ended::Nobody,
        }
    }

    /// A word on the progress of the call with this id: it gets more time. Its caller, while somebody waits for it.
    pub fn progress(&mut self, id: u64, now: Instant) -> Option<&C> {
        let place = self.places.get_mut(CallKey::from_wire(id)?)?;
        let due_max = place.began + self.times.call_max;
        match &mut place.state {
            State::Running { caller, due } => {
                *due = (now + self.times.call_timeout).min(due_max).max(*due);
                Some(caller)
            }
            State::Cancelled { .. } | State::Lost => None,
        }
    }

    /// The call of the caller that `is_it`, if one is running.
    pub fn find(&self, is_it: impl Fn(&C) -> bool) -> Option<CallKey> {
        let mut places = self.places.iter();
        places.find_map(|(key, place)| match &place.state {
            State::Running { caller, .. } if is_it(caller) => Some(key),
            _ => None,
        })
    }

    /// The running call that was begun first.
    pub fn oldest(&self) -> Option<CallKey> {
        self.oldest_of(|_| true)
    }

    /// The oldest running call that `is_it`.
    pub fn oldest_of(&self, is_it: impl Fn(CallKey) -> bool) -> Option<CallKey> {
        let is_running = |place: &Place<C>| matches!(place.state, State::Running { .. });
        let running = self
            .places
            .iter()
            .filter(|(key, place)| is_running(place) && is_it(*key));
        running.min_by_key(|(_, place)| place.line_at).map(|(key, _)| key)
    }

    /// The caller of a running call.
    pub fn caller(&self, key: CallKey) -> Option<&C> {
        match &self.places.get(key)?.state {
            State::Running { caller, .. } => Some(caller),
            State::Cancelled { .. } | State::Lost => None,
        }
    }

    /// The same, to be replaced.
    pub fn caller_mut(&mut self, key: CallKey) -> Option<&mut C> {
        match &mut self.places.get_mut(key)?.state {
            State::Running { caller, .. } => Some(caller),
            State::Cancelled { .. } | State::Lost => None,
        }
    }

    /// The call waits for its client: its own time stands still.
    pub fn pause(&mut self, key: CallKey, now: Instant) {
        if let Some(place) = self.places.get_mut(key) {
            place.paused_at.get_or_insert(now);
        }
    }

    /// It waits no longer.
    pub fn resume(&mut self, key: CallKey, now: Instant) {
        let Some(place) = self.places.get_mut(key) else {
            return;
        };
        let Some(since) = place.paused_at.take() else {
            return;
        };
        let waited = now.saturating_duration_since(since);
        place.began += waited;
        if let State::Running { due, .. } = &mut place.state {
            *due += waited;
            let due = *due;
            self.note_due(due);
        }
    }

    /// The caller of the only call that the child may be busy with.
    pub fn sole(&self) -> Option<&C> {
        let (_, place) = self.places.iter().next().filter(|_| self.taken() == 1)?;
        match &place.state {
            State::Running { caller, .. } => Some(caller),
            State::Cancelled { .. } | State::Lost => None,
        }
    }

    /// Nobody waits for this call any more: its caller, and where its line begins. `None` if nobody did before.
    pub fn cancel(&mut self, key: CallKey, now: Instant) -> Option<(C, u64)> {
        let due = now + self.times.cancel_grace;
        let place = self.places.get_mut(key)?;
        if !matches!(place.state, State::Running { .. }) {
            return None;
        }
        let state = std::mem::replace(&mut place.state, State::Cancelled { due });
        let line_at = place.line_at;
        self.running -= 1;
        self.note_due(due);
        match state {
            State::Running { caller, .. } => Some((caller, line_at)),
            State::Cancelled { .. } | State::Lost => None,
        }
    }

    /// The next call whose time is over, if there is one: to be asked until there is none.
    pub fn expire(&mut self, now: Instant) -> Option<Expired<C>> {
        if self.due.is_none_or(|due| due > now) {
            return None;
        }
        let is_due = |place: &Place<C>| place.due().is_some_and(|due| due <= now);
        let over = self.places.iter().find(|(_, place)| is_due(place));
        let Some((key, _)) = over else {
            self.due = self.places.iter().filter_map(|(_, place)| place.due()).min();
            return None;
        };
        if let Some((caller, _)) = self.cancel(key, now) {
            return Some(Expired::TimedOut { key, caller });
        }
        if let Some(place) = self.places.get_mut(key) {
            place.state = State::Lost;
            self.lost += 1;
        }
        Some(Expired::Lost)
    }

    /// When to ask for calls whose time is over, at the latest.
    #[cfg(test)]
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Takes all calls out that somebody waits for, each with where its line begins. No place is taken afterwards.
    pub fn drain(&mut self) -> Vec<(C, u64)> {
        let keys: Vec<CallKey> = self.places.keys().collect();
        let places = keys.into_iter().filter_map(|key| self.places.remove(key));
        let running = places.filter_map(|place| match place.state {
            State::Running { caller, .. } => Some((caller, place.line_at)),
            State::Cancelled { .. } | State::Lost => None,
        });
        let running = running.collect();
        (self.running, self.lost, self.due) = (0, 0, None);
        running
    }

    /// Places that are free.
    pub fn free(&self) -> u32 {
        self.places.slots_max() - self.places.len()
    }

    /// Places that are taken, by whatever.
    pub fn taken(&self) -> u32 {
        self.places.len()
    }

    /// Calls that somebody waits for.
    pub fn running(&self) -> u32 {
        self.running
    }

    /// Places that calls have taken which were never answered.
    pub fn lost(&self) -> u32 {
        self.lost
    }

    /// Whether so many places are lost that the child should be replaced.
    pub fn has_lost_half(&self) -> bool {
        self.lost > 0 && self.lost * 2 >= self.places.slots_max()
    }

    fn note_due(&mut self, due: Instant) {
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    const TIMES: CallTimes = CallTimes {
        call_timeout: Duration::from_secs(300),
        call_max: Duration::from_secs(1800),
        cancel_grace: Duration::from_secs(5),
    };

    fn after(seconds: u64) -> impl Fn(Instant) -> Instant {
        move |start| start + Duration::from_secs(seconds)
    }

    #[test]
    fn ids_are_exact_and_never_ours() {
        for (place, turn) in [(0, 0), (3, 0), (65535, 7), (0, u32::MAX - 1)] {
            let key = CallKey { place, turn };
            assert!((OWN_IDS_MAX..1 << 53).contains(&key.wire_id()));
            assert_eq!(CallKey::from_wire(key.wire_id()), Some(key));
        }
        assert_eq!(CallKey::from_wire(0), None);
        assert_eq!(CallKey::from_wire(OWN_IDS_MAX - 1), None);
        assert_eq!(CallKey::from_wire(u64::MAX), None);
    }

    #[test]
    fn an_answer_finds_its_call_once() {
        let now = Instant::now();
        let mut calls = InFlight::new(2, TIMES);
        let first = calls.begin("first", 0, now).unwrap();
        let second = calls.begin("second", 10, now).unwrap();
        assert_eq!(calls.begin("third", 20, now), Err("third"));
        assert_eq!((calls.free(), calls.running()), (0, 2));
        let answered = Ended::Call {
            caller: "second",
            began: now,
        };
        assert_eq!(calls.end(second.wire_id()), answered);
        assert_eq!(calls.end(second.wire_id()), Ended::Nobody);
        let third = calls.begin("third", 20, now).unwrap();
        assert_ne!(third.wire_id(), second.wire_id(), "the same place has another id");
        assert_eq!(calls.end(second.wire_id()), Ended::Nobody);
        assert_eq!(calls.progress(first.wire_id(), now), Some(&"first"));
        assert_eq!(calls.progress(second.wire_id(), now), None);
    }

    #[test]
    fn a_call_that_was_begun_elsewhere_has_the_time_that_is_left() {
        let start = Instant::now();
        let mut calls = InFlight::new(2, TIMES);
        let key = calls.begin("a", 0, after(200)(start)).unwrap();
        calls.antedate(key, start);
        assert_eq!(calls.expire(after(299)(start)), None);
        let over = calls.expire(after(300)(start));
        assert_eq!(over, Some(Expired::TimedOut { key, caller: "a" }));
    }

    #[test]
    fn a_cancelled_call_keeps_its_place_until_it_is_answered_or_for_good() {
        let start = Instant::now();
        let mut calls = InFlight::new(2, TIMES);
        let key = calls.begin("a", 5, start).unwrap();
        assert_eq!(calls.cancel(key, start), Some(("a", 5)));
        assert_eq!(calls.cancel(key, start), None);
        assert_eq!((calls.free(), calls.running()), (1, 0));
        assert_eq!(calls.progress(key.wire_id(), start), None);
        assert_eq!(calls.end(key.wire_id()), Ended::Unwanted);
        assert_eq!(calls.free(), 2);
        let key = calls.begin("b", 5, start).unwrap();
        calls.cancel(key, start);
        assert_eq!(calls.expire(after(4)(start)), None);
        assert_eq!(calls.expire(after(5)(start)), Some(Expired::Lost));
        assert_eq!(calls.expire(after(5)(start)), None);
        assert_eq!((calls.lost(), calls.free(), calls.due()), (1, 1, None));
        assert!(calls.has_lost_half());
        assert_eq!(calls.end(key.wire_id()), Ended::Unwanted, "a very late answer");
        assert_eq!((calls.lost(), calls.free()), (0, 2));
        assert!(!calls.has_lost_half());
    }

    #[test]
    fn progress_gives_more_time_but_not_for_ever() {
        let start = Instant::now();
        let mut calls = InFlight::new(4, TIMES);
        let slow = calls.begin("slow", 0, start).unwrap();
        let silent = calls.begin("silent", 0, start).unwrap();
        let mut told = 0;
        while told < 1750 {
            told += 250;
            assert!(calls.progress(slow.wire_id(), after(told)(start)).is_some());
            if told == 250 {
                assert_eq!(calls.expire(after(299)(start)), None);
                let over = Expired::TimedOut {
                    key: silent,
                    caller: "silent",
                };
                assert_eq!(calls.expire(after(300)(start)), Some(over));
                assert_eq!(calls.expire(after(300)(start)), None);
                assert_eq!(calls.expire(after(305)(start)), Some(Expired::Lost));
            }
            assert_eq!(calls.expire(after(told)(start)), None, "{told}");
        }
        let over = Expired::TimedOut {
            key: slow,
            caller: "slow",
        };
        assert_eq!(calls.expire(after(1799)(start)), None);
        assert_eq!(calls.expire(after(1800)(start)), Some(over));
    }

    #[test]
    fn the_end_of_a_child_takes_all_calls_out() {
        let now = Instant::now();
        let mut calls = InFlight::new(4, TIMES);
        calls.begin("a", 0, now).unwrap();
        let cancelled = calls.begin("b", 10, now).unwrap();
        calls.begin("c", 20, now).unwrap();
        calls.cancel(cancelled, now);
        assert_eq!(calls.drain(), [("a", 0), ("c", 20)]);
        assert_eq!((calls.free(), calls.running(), calls.due()), (4, 0, None));
    }

    /// Seeded: whatever happens in whatever order, each call ends once and counts agree.
    #[test]
    fn every_call_ends_once() {
        for seed in 0..50 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut now = Instant::now();
            let mut calls = InFlight::new(8, TIMES);
            let (mut open, mut ids, mut ended): (HashMap<u32, CallKey>, Vec<CallKey>, HashSet<u32>) =
                Default::default();
            for number in 0..400_u32 {
                match rng.u8(..5) {
                    0 | 1 => {
                        if let Ok(key) = calls.begin(number, 0, now) {
                            open.insert(number, key);
                            assert!(!ids.contains(&key), "seed {seed}: an id twice");
                            ids.push(key);
                        }
                    }
                    2 => {
                        let id = rng.choice(&ids).map_or(0, |key| key.wire_id());
                        if let Ended::Call { caller, .. } = calls.end(id) {
                            assert!(ended.insert(caller) && open.remove(&caller).is_some());
                        }
                    }
                    3 => {
                        if let Some((caller, _)) = rng.choice(&ids).and_then(|key| calls.cancel(*key, now)) {
                            assert!(ended.insert(caller) && open.remove(&caller).is_some());
                        }
                    }
                    _ => {
                        now += Duration::from_secs(rng.u64(..200));
                        while let Some(expired) = calls.expire(now) {
                            if let Expired::TimedOut { caller, .. } = expired {
                                assert!(ended.insert(caller) && open.remove(&caller).is_some());
                            }
                        }
                    }
                }
                assert_eq!(calls.running() as usize, open.len(), "seed {seed}");
                assert!(calls.lost() + calls.running() <= calls.taken());
                assert_eq!(calls.taken() + calls.free(), 8);
            }
            let left: HashSet<u32> = calls.drain().into_iter().map(|(caller, _)| caller).collect();
            assert_eq!(left, open.keys().copied().collect());
        }
    }
}
