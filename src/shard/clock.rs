//! Time on one shard: what "now" is during a pass, and which deadlines are due.
//!
//! The clock is read once for everything that is handled in one pass; where a duration is measured it is read again.
//! All deadlines lie on one timer wheel, one for each connection and one for each call.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::mcp::UnixSeconds;
use crate::timers::{TickClock, TimerKey, TimerKind, Wheel};

/// Timers looked at per tick, so that a flood of deadlines is spread over ticks.
const TIMER_LOOKS_MAX: u32 = 4096;

/// The time of the current pass, and the deadlines that are measured by it.
pub(super) struct Clock {
    source: fn() -> Instant,
    /// When the current pass began.
    pub now: Instant,
    /// The same on the wall, to a tick.
    pub unix_now: UnixSeconds,
    /// Something was handled since the last tick.
    pub is_active: bool,
    /// What is due, and when.
    pub timers: Timers,
}

impl Clock {
    pub(super) fn new(source: fn() -> Instant) -> Clock {
        let now = source();
        Clock {
            source,
            now,
            unix_now: unix_seconds(),
            is_active: false,
            timers: Timers::new(now),
        }
    }

    /// Takes the time for everything that is handled from now on.
    pub(super) fn begin_pass(&mut self) {
        self.now = (self.source)();
    }

    /// A tick has come: takes the wall's time.
    pub(super) fn begin_tick(&mut self) {
        self.is_active = false;
        self.unix_now = unix_seconds();
    }

    /// The time at this moment, for what is measured.
    #[inline]
    pub(super) fn read(&self) -> Instant {
        (self.source)()
    }

    /// Where the time comes from, for what is measured on other threads.
    pub(super) fn source(&self) -> fn() -> Instant {
        self.source
    }

    /// How much of the current pass is over.
    pub(super) fn pass_age(&self) -> Duration {
        self.read().saturating_duration_since(self.now)
    }
}

/// The deadlines of one shard.
pub(super) struct Timers {
    wheel: Wheel,
    ticks: TickClock,
    /// Looks left in the current tick.
    looks: u32,
}

impl Timers {
    fn new(now: Instant) -> Timers {
        let ticks = TickClock::new(now, TickClock::TICK);
        Timers {
            wheel: Wheel::new(ticks.present(now)),
            ticks,
            looks: 0,
        }
    }

    /// Makes room for the timers of the slots below `slots`.
    pub(super) fn reserve(&mut self, kind: TimerKind, slots: u32) {
        self.wheel.reserve(kind, slots);
    }

    /// Sets the one timer of a slot, or moves it.
    pub(super) fn set(&mut self, kind: TimerKind, slot: u32, deadline: Instant) {
        self.wheel
            .set(TimerKey::new(kind, slot), self.ticks.deadline(deadline));
    }

    /// Clears the timer of a slot, if it is set.
    pub(super) fn clear(&mut self, kind: TimerKind, slot: u32) {
        self.wheel.clear(TimerKey::new(kind, slot));
    }

    /// A tick has come: so many timers may be looked at again.
    pub(super) fn begin_tick(&mut self) {
        self.looks = TIMER_LOOKS_MAX;
    }

    /// The next timer that is due in this tick.
    pub(super) fn poll_expired(&mut self, now: Instant) -> Option<(TimerKind, u32)> {
        let present = self.ticks.present(now);
        let timer = self.wheel.poll_expired(present, &mut self.looks)?;
        Some((timer.kind(), timer.slot()))
    }

    /// Whether a timer is due within so many ticks from `now`.
    pub(super) fn is_due_within(&self, now: Instant, ticks: u64) -> bool {
        let soon = self.ticks.present(now) + ticks;
        self.wheel.next_due().is_some_and(|tick| tick <= soon)
    }

    /// Timers that are set.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.wheel.len()
    }
}

/// Wall-clock time, for `Date` and for what sessions' ages are counted in.
#[allow(clippy::disallowed_methods, reason = "read once a tick")]
fn unix_seconds() -> UnixSeconds {
    UnixSeconds(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
    )
}
