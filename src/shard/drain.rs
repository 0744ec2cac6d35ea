//! Draining a shard: nothing queued in the kernel is reset, what is in flight finishes, then it is over.
//!
//! ```text
//! begin ─ new SYNs are kept away ─ grace ─► stop accepting, take what is queued, close the listener
//!       ─ listeners' streams end, questions fail
//!       ─ parked connections get FIN after the parked grace, those that never spoke after the fresh grace
//!       ─ requests that are not there after their grace are given up (408)
//!       ─ every answer closes its connection ─► finished when no connection is left
//! ```
//!
//! New connections are kept away by the server before it begins, and the hard deadline is the server's, too. What is
//! left then, and a server that is dropped without a drain, is aborted: calls are cancelled and connections closed as
//! they are.

use std::time::{Duration, Instant};

/// From keeping new SYNs away to closing the listener: handshakes on their way complete in this time.
const LISTENER_GRACE: Duration = Duration::from_millis(60);
/// How long a connection between two requests stays, so that one that is there already, or on its way, is answered.
const PARKED_GRACE: Duration = Duration::from_millis(50);
/// How long a connection that never sent a byte may still send its first request.
const FRESH_GRACE: Duration = Duration::from_millis(250);
/// How long a request that is not there yet may still take: this, or a quarter of the whole time if that is less.
const INCOMPLETE_GRACE: Duration = Duration::from_secs(1);
/// How long before the process ends those who still wait are refused, so that they hear it: this, or a quarter of
/// the whole time if that is less.
const REFUSAL_GRACE: Duration = Duration::from_millis(500);
/// How long a channel whose task has ended stays for its client to fetch the result: clients look once a second.
pub(super) const RESULT_GRACE: Duration = Duration::from_millis(1500);
/// How long a closing connection waits for the peer's FIN: in service, and while draining.
const CLOSE_LINGER: Duration = Duration::from_secs(2);
const CLOSE_LINGER_DRAINING: Duration = Duration::from_millis(250);

/// Where the drain of a shard stands.
#[derive(Debug, Default)]
pub(super) struct Drain {
    begun: Option<Begun>,
}

#[derive(Debug, Clone, Copy)]
struct Begun {
    at: Instant,
    /// When the process ends, finished or not.
    deadline: Instant,
    /// Nothing is finished any more.
    is_aborted: bool,
}

/// What a drain comes to as its time goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// Everything ends as it is.
    pub is_aborted: bool,
    /// The listener is to be closed.
    pub stops_accepting: bool,
    /// Connections without a request are to be closed if they wait for one since this time.
    pub parked_cutoff: Option<Instant>,
    /// The same of connections that never sent a byte.
    pub fresh_cutoff: Option<Instant>,
    /// Tasks that still run fail.
    pub fails_tasks: bool,
    /// Requests that are not there after so long are given up.
    pub incomplete_after: Option<Duration>,
}

impl Drain {
    /// Whether the shard is on its way out.
    #[inline]
    pub(super) fn is_begun(&self) -> bool {
        self.begun.is_some()
    }

    /// Begins; the process ends at `deadline`. False if it had begun before.
    pub(super) fn begin(&mut self, now: Instant, deadline: Instant) -> bool {
        if self.is_begun() {
            return false;
        }
        self.begun = Some(Begun {
            at: now,
            deadline,
            is_aborted: false,
        });
        true
    }

    /// Nothing is finished any more.
    pub(super) fn abort(&mut self) {
        if let Some(begun) = &mut self.begun {
            begun.is_aborted = true;
        }
    }

    /// Whether nothing is finished any more.
    pub(super) fn is_aborted(&self) -> bool {
        self.begun.is_some_and(|begun| begun.is_aborted)
    }

    /// What it comes to at this time, if it has begun.
    pub(super) fn due(&self, now: Instant) -> Option<Due> {
        let begun = self.begun?;
        let age = now.saturating_duration_since(begun.at);
        let grace = INCOMPLETE_GRACE.min(begun.time() / 4);
        let cutoff = |grace| (age >= grace).then(|| now.checked_sub(grace)).flatten();
        Some(Due {
            is_aborted: begun.is_aborted,
            stops_accepting: age >= LISTENER_GRACE,
            parked_cutoff: cutoff(PARKED_GRACE),
            fresh_cutoff: cutoff(FRESH_GRACE),
            fails_tasks: now >= begun.cutoff(),
            incomplete_after: (age >= grace).then_some(grace),
        })
    }

    /// When requests that still wait are refused, and running tasks fail, so that their clients hear it.
    pub(super) fn cutoff(&self) -> Option<Instant> {
        self.begun.map(|begun| begun.cutoff())
    }

    /// Until when a channel may stay for a task or its result: what then still runs has failed at the cutoff, and its
    /// client has heard so.
    pub(super) fn result_cutoff(&self) -> Option<Instant> {
        self.begun.map(|begun| {
            let cutoff = begun.cutoff();
            cutoff + begun.deadline.saturating_duration_since(cutoff) / 4
        })
    }

    /// How long a half-closed connection waits for its peer.
    pub(super) fn close_linger(&self) -> Duration {
        if self.is_begun() {
            CLOSE_LINGER_DRAINING
        } else {
            CLOSE_LINGER
        }
    }
}

impl Begun {
    /// The time from its beginning to the end of the process.
    fn time(&self) -> Duration {
        self.deadline.saturating_duration_since(self.at)
    }

    fn cutoff(&self) -> Instant {
        self.deadline - (self.time() / 4).min(REFUSAL_GRACE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due_after(drain: &Drain, began: Instant, millis: u64) -> Due {
        drain.due(began + Duration::from_millis(millis)).unwrap()
    }

    #[test]
    fn a_drain_closes_parked_connections_then_the_listener_then_fresh_ones_then_slow_requests() {
        let now = Instant::now();
        let mut drain = Drain::default();
        assert!(!drain.is_begun() && drain.due(now).is_none());
        assert_eq!((drain.cutoff(), drain.close_linger()), (None, CLOSE_LINGER));
        assert!(drain.begin(now, now + Duration::from_secs(10)));
        assert!(
            !drain.begin(now, now + Duration::from_secs(99)),
            "its deadline stays"
        );
        assert_eq!(drain.close_linger(), CLOSE_LINGER_DRAINING);
        let steps = |millis| {
            let due = due_after(&drain, now, millis);
            (
                due.parked_cutoff.is_some(),
                due.stops_accepting,
                due.fresh_cutoff.is_some(),
                due.incomplete_after.is_some(),
                due.fails_tasks,
            )
        };
        assert_eq!(steps(49), (false, false, false, false, false));
        assert_eq!(steps(50), (true, false, false, false, false));
        assert_eq!(steps(60), (true, true, false, false, false));
        assert_eq!(steps(250), (true, true, true, false, false));
        assert_eq!(steps(1000), (true, true, true, true, false));
        assert_eq!(steps(9500), (true, true, true, true, true));
        assert_eq!(drain.cutoff(), Some(now + Duration::from_millis(9500)));
        assert_eq!(drain.result_cutoff(), Some(now + Duration::from_millis(9625)));
    }

    #[test]
    fn a_short_drain_gives_each_step_a_quarter() {
        let now = Instant::now();
        let mut drain = Drain::default();
        drain.begin(now, now + Duration::from_millis(800));
        assert_eq!(drain.cutoff(), Some(now + Duration::from_millis(600)));
        let due = due_after(&drain, now, 200);
        assert_eq!(due.incomplete_after, Some(Duration::from_millis(200)));
        assert!(due_after(&drain, now, 600).fails_tasks);
    }

    #[test]
    fn an_aborted_drain_finishes_nothing() {
        let now = Instant::now();
        let mut drain = Drain::default();
        drain.abort();
        assert!(!drain.is_begun(), "there is nothing to abort");
        drain.begin(now, now);
        drain.abort();
        assert!(due_after(&drain, now, 0).is_aborted);
    }

    #[test]
    fn a_connection_is_parked_as_long_whenever_it_began_to_be() {
        let began = Instant::now();
        let mut drain = Drain::default();
        drain.begin(began, began + Duration::from_secs(10));
        for (millis, grace) in [(50, PARKED_GRACE), (900, PARKED_GRACE)] {
            let cutoff = due_after(&drain, began, millis).parked_cutoff;
            assert_eq!(cutoff, Some(began + Duration::from_millis(millis) - grace));
        }
        let cutoff = due_after(&drain, began, 900).fresh_cutoff;
        assert_eq!(cutoff, Some(began + Duration::from_millis(900) - FRESH_GRACE));
    }
}
