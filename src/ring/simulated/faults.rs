//! Faults, by chance and by order, and the seeded dice that decide.
//!
//! A fault strikes only where a completion would have come anyway, so that an idle connection is not
//! broken merely by being looked at often.

use std::collections::VecDeque;

/// Chances out of a thousand, one per completion that could suffer the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Fewer bytes than are there.
    pub receive_short: u16,
    /// `ENOBUFS` although buffers are free.
    pub receive_starved: u16,
    /// `ECANCELED` although nobody asked.
    pub receive_cancelled: u16,
    /// The connection breaks: `ECONNRESET`.
    pub receive_reset: u16,
    /// Fewer bytes taken than there is room for; only in [`SendMode::Attempt`](crate::ring::SendMode).
    pub send_short: u16,
    /// `EAGAIN` although there is room; only in [`SendMode::Attempt`](crate::ring::SendMode).
    pub send_refused: u16,
    /// The connection breaks: `ECONNRESET`.
    pub send_reset: u16,
    /// A watch that was about to end, cancelled or not, fails.
    pub watch_failed: u16,
    /// `EMFILE`; the connection stays queued.
    pub accept_exhausted: u16,
    /// None is there although the listener was ready; the connection stays queued.
    pub accept_nothing: u16,
    /// A completion comes some flushes late.
    pub delayed: u16,
    /// The most flushes it is late.
    pub delay_flushes_max: u64,
    /// A completion overtakes others; those of the listener keep their order.
    pub reordered: u16,
}

impl Faults {
    /// Everything happens, often.
    pub const ROUGH: Faults = Faults {
        receive_short: 300,
        receive_starved: 50,
        receive_cancelled: 20,
        receive_reset: 10,
        send_short: 200,
        send_refused: 50,
        send_reset: 10,
        watch_failed: 20,
        accept_exhausted: 50,
        accept_nothing: 100,
        delayed: 300,
        delay_flushes_max: 8,
        reordered: 300,
    };
}

/// One fault that strikes the next operation of its kind, whatever the chances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// At most this many bytes, at least one.
    ReceiveShort(usize),
    /// `ENOBUFS`.
    ReceiveStarved,
    /// `ECANCELED`.
    ReceiveCancelled,
    /// `ECONNRESET`.
    ReceiveReset,
    /// At most this many bytes, at least one.
    SendShort(usize),
    /// `EAGAIN`.
    SendRefused,
    /// `ECONNRESET`.
    SendReset,
    /// The watch fails.
    WatchFailed,
    /// `EMFILE`.
    AcceptExhausted,
    /// None is there although the listener was ready.
    AcceptNothing,
}

/// Which operations a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Receive,
    /// Whether the send is an attempt, which alone can be short or refused.
    Send {
        is_attempt: bool,
    },
    Watch,
    Accept,
}

impl Fault {
    fn strikes(self, kind: Kind) -> bool {
        match self {
            Fault::ReceiveShort(_)
            | Fault::ReceiveStarved
            | Fault::ReceiveCancelled
            | Fault::ReceiveReset => kind == Kind::Receive,
            Fault::SendShort(_) | Fault::SendRefused => kind == Kind::Send { is_attempt: true },
            Fault::SendReset => matches!(kind, Kind::Send { .. }),
            Fault::WatchFailed => kind == Kind::Watch,
            Fault::AcceptExhausted | Fault::AcceptNothing => kind == Kind::Accept,
        }
    }
}

/// Decides which fault strikes: orders come first, then chances.
#[derive(Debug)]
pub(super) struct Fate {
    pub(super) dice: Dice,
    pub(super) faults: Faults,
    pub(super) orders: VecDeque<Fault>,
}

impl Fate {
    pub(super) fn new(seed: u64) -> Self {
        Fate {
            dice: Dice(seed),
            faults: Faults::default(),
            orders: VecDeque::new(),
        }
    }

    /// The fault that strikes an operation of this kind with `bytes` to move.
    pub(super) fn strike(&mut self, kind: Kind, bytes: usize) -> Option<Fault> {
        if let Some(at) = self.orders.iter().position(|fault| fault.strikes(kind)) {
            return self.orders.remove(at);
        }
        let chances = self.chances(kind);
        let chosen = chances
            .into_iter()
            .find(|(_, per_mille)| self.dice.happens(*per_mille));
        Some(match chosen?.0 {
            Fault::ReceiveShort(_) => Fault::ReceiveShort(self.dice.below(bytes)),
            Fault::SendShort(_) => Fault::SendShort(self.dice.below(bytes)),
            other => other,
        })
    }

    /// The number of flushes by which a completion is late.
    pub(super) fn delay(&mut self) -> u64 {
        let Faults {
            delayed,
            delay_flushes_max,
            ..
        } = self.faults;
        if self.dice.happens(delayed) {
            self.dice.below(delay_flushes_max as usize + 1) as u64
        } else {
            0
        }
    }

    fn chances(&self, kind: Kind) -> [(Fault, u16); 4] {
        let faults = &self.faults;
        let attempt = |chance| match kind {
            Kind::Send { is_attempt: true } => chance,
            _ => 0,
        };
        match kind {
            Kind::Receive => [
                (Fault::ReceiveReset, faults.receive_reset),
                (Fault::ReceiveCancelled, faults.receive_cancelled),
                (Fault::ReceiveStarved, faults.receive_starved),
                (Fault::ReceiveShort(0), faults.receive_short),
            ],
            Kind::Send { .. } => [
                (Fault::SendReset, faults.send_reset),
                (Fault::SendRefused, attempt(faults.send_refused)),
                (Fault::SendShort(0), attempt(faults.send_short)),
                (Fault::SendShort(0), 0),
            ],
            Kind::Watch => [
                (Fault::WatchFailed, faults.watch_failed),
                (Fault::WatchFailed, 0),
                (Fault::WatchFailed, 0),
                (Fault::WatchFailed, 0),
            ],
            Kind::Accept => [
                (Fault::AcceptExhausted, faults.accept_exhausted),
                (Fault::AcceptNothing, faults.accept_nothing),
                (Fault::AcceptNothing, 0),
                (Fault::AcceptNothing, 0),
            ],
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere for a seed.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number less than `bound`, or 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound.max(1) as u64) as usize
    }

    /// True `per_mille` times of a thousand; rolls only when there is a chance.
    pub(super) fn happens(&mut self, per_mille: u16) -> bool {
        per_mille > 0 && self.below(1000) < usize::from(per_mille)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_wait_for_their_kind_and_are_obeyed_once() {
        let mut fate = Fate::new(1);
        fate.orders.push_back(Fault::SendRefused);
        fate.orders.push_back(Fault::ReceiveStarved);
        assert_eq!(fate.strike(Kind::Receive, 1), Some(Fault::ReceiveStarved));
        assert_eq!(fate.strike(Kind::Receive, 1), None);
        assert_eq!(fate.strike(Kind::Send { is_attempt: false }, 1), None);
        let struck = fate.strike(Kind::Send { is_attempt: true }, 1);
        assert_eq!(struck, Some(Fault::SendRefused));
    }

    #[test]
    fn chances_come_out_about_right_and_never_when_zero() {
        let mut dice = Dice(42);
        let hits = (0..10_000).filter(|_| dice.happens(250)).count();
        assert!((2_200..2_800).contains(&hits), "{hits}");
        assert!((0..10_000).all(|_| !dice.happens(0)));
        assert!((0..10_000).all(|_| dice.happens(1000)));
    }
}
