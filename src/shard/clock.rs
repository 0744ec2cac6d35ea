//! Time on one shard: what "now" is during a pass, and which deadlines are due.
//!
//! The clock is read once for everything that is handled in one pass; where a duration is measured it is read again,
//! once between two steps that follow upon each other.
//! All deadlines lie on one timer wheel, one for each connection and one for each call.

use std::time::{Duration, Instant};

use crate::clock;
use crate::mcp::UnixSeconds;
use crate::ring::ConnectionKey;
use crate::timers::{Tick, TickClock, TimerKey, TimerKind, Wheel};

/// Timers looked at per tick, so that a flood of deadlines is spread over ticks.
const TIMER_LOOKS_MAX: u32 = 4096;

/// The time of the current pass, and the deadlines that are measured by it.
pub(super) struct Clock {
    source: fn() -> Instant,
    /// When the current pass began.
    now: Instant,
    /// The same on the wall, to a tick.
    unix_now: UnixSeconds,
    /// When the last measured step ended, as long as nothing has been done since.
    step_ended: Option<Instant>,
    /// Something was handled since the last tick.
    is_active: bool,
    /// When the last tick was.
    ticked: Instant,
    wheel: Wheel,
    ticks: TickClock,
    /// The deadlines that were converted last: in one pass, those of a kind are at the same time.
    recent: [(Instant, Tick); 2],
    /// Timers that may still be looked at in the current tick.
    looks: u32,
}

impl Clock {
    pub(super) fn new(source: fn() -> Instant) -> Clock {
        let now = source();
        let ticks = TickClock::new(now, TickClock::TICK);
        Clock {
            source,
            now,
            unix_now: unix_seconds(),
            step_ended: None,
            is_active: false,
            ticked: now,
            wheel: Wheel::new(ticks.present(now)),
            ticks,
            recent: [(now, ticks.deadline(now)); 2],
            looks: 0,
        }
    }

    /// When the current pass began: the time of everything that is handled in it.
    #[inline]
    pub(super) fn now(&self) -> Instant {
        self.now
    }

    /// The same on the wall, to a tick.
    #[inline]
    pub(super) fn unix_now(&self) -> UnixSeconds {
        self.unix_now
    }

    /// Takes the time for everything that is handled from now on.
    pub(super) fn begin_pass(&mut self) {
        self.now = (self.source)();
        self.step_ended = Some(self.now);
    }

    /// A tick has come: takes the wall's time, and so many timers may be looked at again.
    pub(super) fn begin_tick(&mut self) {
        self.is_active = false;
        self.ticked = self.now;
        self.unix_now = unix_seconds();
        self.looks = TIMER_LOOKS_MAX;
    }

    /// When the last tick was.
    #[inline]
    pub(super) fn ticked(&self) -> Instant {
        self.ticked
    }

    /// Something was handled.
    #[inline]
    pub(super) fn on_activity(&mut self) {
        self.is_active = true;
    }

    /// Whether something was handled since the last tick.
    pub(super) fn is_active(&self) -> bool {
        self.is_active
    }

    /// The time at this moment, for what is measured.
    #[inline]
    pub(super) fn read(&self) -> Instant {
        (self.source)()
    }

    /// The time at which a step begins that is measured: of one that follows upon another, the end of that, without
    /// another look at the clock.
    #[inline]
    pub(super) fn begin_step(&mut self) -> Instant {
        self.step_ended.take().unwrap_or_else(|| self.read())
    }

    /// The time at which a step ends that is measured.
    #[inline]
    pub(super) fn end_step(&mut self) -> Instant {
        let ended = self.read();
        self.step_ended = Some(ended);
        ended
    }

    /// Something has been done that is not measured.
    #[inline]
    pub(super) fn on_unmeasured(&mut self) {
        self.step_ended = None;
    }

    /// Where the time comes from, for what is measured on other threads.
    pub(super) fn source(&self) -> fn() -> Instant {
        self.source
    }

    /// How much of the current pass is over.
    pub(super) fn pass_age(&self) -> Duration {
        self.read().saturating_duration_since(self.now)
    }

    // Deadlines.

    /// Makes room for the deadline of an entry of the table.
    pub(super) fn reserve(&mut self, key: ConnectionKey) {
        self.wheel.reserve(TimerKind::Connection, key.slot + 1);
    }

    /// Makes room for the deadlines of the calls that so many handlers work for.
    pub(super) fn reserve_calls(&mut self, handlers: u32) {
        self.wheel.reserve(TimerKind::Call, handlers);
    }

    /// Sets the one deadline of an entry of the table, or moves it.
    #[inline]
    pub(super) fn set_deadline(&mut self, key: ConnectionKey, deadline: Instant) {
        self.set(TimerKey::new(TimerKind::Connection, key.slot), deadline);
    }

    /// Clears the deadline of an entry, if it is set.
    #[inline]
    pub(super) fn clear_deadline(&mut self, key: ConnectionKey) {
        self.wheel.clear(TimerKey::new(TimerKind::Connection, key.slot));
    }

    /// Sets the deadline of the call in this slot, or moves it. A call has the slot of its handler, and another one
    /// while it waits for its client.
    #[inline]
    pub(super) fn set_call_deadline(&mut self, slot: u32, deadline: Instant) {
        self.set(TimerKey::new(TimerKind::Call, slot), deadline);
    }

    /// Clears the deadline of the call in this slot, if it is set.
    #[inline]
    pub(super) fn clear_call_deadline(&mut self, slot: u32) {
        self.wheel.clear(TimerKey::new(TimerKind::Call, slot));
    }

    fn set(&mut self, key: TimerKey, deadline: Instant) {
        let tick = self.tick_of(deadline);
        self.wheel.set(key, tick);
    }

    /// The tick of a deadline, which takes a division unless it was converted just before.
    #[inline]
    fn tick_of(&mut self, deadline: Instant) -> Tick {
        let known = self.recent.iter().find(|(known, _)| *known == deadline);
        if let Some((_, tick)) = known {
            return *tick;
        }
        let tick = self.ticks.deadline(deadline);
        self.recent = [(deadline, tick), self.recent[0]];
        tick
    }

    /// The next deadline that is over, as far as this tick looks: whose it is, and its slot.
    pub(super) fn next_expired(&mut self) -> Option<(TimerKind, u32)> {
        let present = self.ticks.present(self.now);
        let timer = self.wheel.poll_expired(present, &mut self.looks)?;
        Some((timer.kind(), timer.slot()))
    }

    /// Whether a deadline is over within so many ticks.
    pub(super) fn is_due_within(&self, ticks: u64) -> bool {
        let soon = self.ticks.present(self.now) + ticks;
        self.wheel.next_due().is_some_and(|tick| tick <= soon)
    }

    /// When the clock is to be looked at next for a deadline; none is over before.
    #[cfg(feature = "testing")]
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.ticks.instant(self.wheel.next_due()?)
    }

    /// Deadlines that are set.
    #[cfg(test)]
    pub(super) fn deadlines(&self) -> usize {
        self.wheel.len()
    }
}

/// Wall-clock time, for `Date` and for what sessions' ages are counted in.
fn unix_seconds() -> UnixSeconds {
    UnixSeconds(clock::since_1970().as_secs())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const ENTRY: ConnectionKey = ConnectionKey {
        slot: 3,
        generation: 1,
    };

    /// A clock whose hand the test moves, and the hand, in milliseconds.
    fn clock() -> (Clock, &'static AtomicU64) {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        static MILLIS: AtomicU64 = AtomicU64::new(0);
        let source = || *START + Duration::from_millis(MILLIS.load(Ordering::Relaxed));
        (Clock::new(source), &MILLIS)
    }

    #[test]
    fn a_step_begins_where_the_one_before_has_ended() {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        thread_local!(static READINGS: Cell<u64> = const { Cell::new(0) });
        let mut clock = Clock::new(|| {
            READINGS.set(READINGS.get() + 1);
            *START + Duration::from_millis(READINGS.get())
        });
        clock.begin_pass();
        let began = clock.now();
        assert_eq!(clock.begin_step(), began);
        assert!(clock.begin_step() > began, "the end of a step is used once");
        let ended = clock.end_step();
        assert_eq!(clock.begin_step(), ended);
        let ended = clock.end_step();
        clock.on_unmeasured();
        assert!(clock.begin_step() > ended);
    }

    #[test]
    fn an_entry_has_one_deadline_and_a_call_another_in_the_same_slot() {
        let (mut clock, millis) = clock();
        clock.reserve(ENTRY);
        clock.reserve_calls(4);
        let began = clock.now();
        clock.set_deadline(ENTRY, began + Duration::from_secs(1));
        clock.set_deadline(ENTRY, began + Duration::from_secs(5));
        clock.set_call_deadline(ENTRY.slot, began + Duration::from_secs(2));
        assert_eq!(clock.deadlines(), 2);
        millis.store(3000, Ordering::Relaxed);
        assert_eq!(clock.now(), began, "time stands still within a pass");
        assert_eq!(clock.pass_age(), Duration::from_secs(3));
        clock.begin_pass();
        clock.begin_tick();
        assert_eq!(clock.next_expired(), Some((TimerKind::Call, ENTRY.slot)));
        assert_eq!(clock.next_expired(), None, "the entry's was moved");
        assert!(!clock.is_due_within(1));
        clock.clear_deadline(ENTRY);
        clock.clear_call_deadline(ENTRY.slot);
        assert_eq!(clock.deadlines(), 0);
    }

    #[test]
    fn a_clock_is_active_until_the_next_tick() {
        let (mut clock, _) = clock();
        assert!(!clock.is_active());
        clock.on_activity();
        assert!(clock.is_active());
        clock.begin_tick();
        assert!(!clock.is_active());
    }
}
