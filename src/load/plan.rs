//! Everything that decides a run, as values.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::schedule::{Arrivals, Phase};
use super::script::{Speaker, Work};

/// When clients ask.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Pace {
    /// Each asks when it has its answer: again at once, or after a while.
    Closed {
        length: Duration,
        /// From an answer to the next request, on average; exponential.
        think: Duration,
    },
    /// Requests are due by a schedule, whether or not earlier ones were answered.
    Open(OpenLoop),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OpenLoop {
    pub(crate) phases: Vec<Phase>,
    pub(crate) arrivals: Arrivals,
    /// Most connections; when all wait for an answer, requests wait here.
    pub(crate) clients_max: usize,
    /// The time after the last phase in which answers still count.
    pub(crate) patience: Duration,
    /// The length of the windows that are reported besides the phases.
    pub(crate) window: Duration,
}

/// A run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) speaker: Speaker,
    pub(crate) work: Work,
    pub(crate) pace: Pace,
    /// The time before anything counts. In an open loop it is that of phases.
    pub(crate) warm_up: Duration,
    /// Connections; in an open loop those made before it begins.
    pub(crate) clients: usize,
    /// Ports of 127.0.0.1 that the first connections come from.
    pub(crate) source_ports: Vec<u16>,
    /// A connection is made anew after so many requests.
    pub(crate) requests_per_connection: Option<u64>,
    /// A request without an answer is given up after this.
    pub(crate) timeout: Duration,
    pub(crate) seed: u64,
    /// Threads, each with its share of the clients and the schedule.
    pub(crate) threads: usize,
    /// CPUs that the threads run on, in turn; any if it is empty.
    pub(crate) cpus: Vec<usize>,
    /// Connections beside the load that ask nothing, and open streams of events.
    pub(crate) idle: usize,
    pub(crate) streams: usize,
    /// The server's process, if its CPU time is wanted.
    pub(crate) server: Option<u32>,
    /// Set when it is to end now, with what it has.
    pub(crate) interrupt: Arc<AtomicBool>,
}

impl Plan {
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }

    /// What counts, from the start.
    pub(crate) fn measured(&self) -> Range<Duration> {
        match &self.pace {
            Pace::Closed { length, .. } => self.warm_up..self.warm_up + *length,
            Pace::Open(open) => self.warm_up..open.phases.iter().map(|phase| phase.length).sum(),
        }
    }

    /// When the server's CPU time is read: around what counts, and in an open loop around its last phase.
    pub(crate) fn looks(&self) -> [Duration; 2] {
        let Range { start, end } = self.measured();
        match &self.pace {
            Pace::Closed { .. } => [start, end],
            Pace::Open(open) => {
                let last = open.phases.last().map_or(Duration::ZERO, |phase| phase.length);
                [end - last, end]
            }
        }
    }

    /// Whether whole sessions are what counts.
    pub(crate) fn is_life_cycle(&self) -> bool {
        matches!(self.work, Work::LifeCycles(_))
    }

    /// The phases of an open loop, as far as they came.
    pub(crate) fn phases(&self, interrupted: Option<Duration>) -> Vec<Phase> {
        let mut left = interrupted.unwrap_or(Duration::MAX);
        let phases = self.open().map_or(&[][..], |open| &open.phases[..]);
        let mut came = Vec::new();
        for phase in phases {
            if left.is_zero() {
                break;
            }
            let length = phase.length.min(left);
            left -= length;
            came.push(Phase { length, ..*phase });
        }
        came
    }

    pub(crate) fn open(&self) -> Option<&OpenLoop> {
        match &self.pace {
            Pace::Closed { .. } => None,
            Pace::Open(open) => Some(open),
        }
    }
}
