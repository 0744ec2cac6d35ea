//! The end of a child, step by step: it is asked by the end of its input, then by a signal, then it is not asked.

use std::time::{Duration, Instant};

/// What is to be done now to end a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndingStep {
    /// Close its stdin: the polite way, which every server knows.
    CloseInput,
    /// Send SIGTERM to its group.
    Terminate,
    /// Send SIGKILL to its group.
    Kill,
}

/// How far the end of a child has come.
#[derive(Debug)]
pub struct Ending {
    next: Option<EndingStep>,
    due: Instant,
    grace: Duration,
}

impl Ending {
    /// An end that begins now and leaves the child `grace` after each of the first two steps.
    pub fn new(now: Instant, grace: Duration) -> Ending {
        Ending {
            next: Some(EndingStep::CloseInput),
            due: now,
            grace,
        }
    }

    /// The step that is due, if one is.
    pub fn advance(&mut self, now: Instant) -> Option<EndingStep> {
        if self.due > now {
            return None;
        }
        let step = self.next?;
        self.next = match step {
            EndingStep::CloseInput => Some(EndingStep::Terminate),
            EndingStep::Terminate => Some(EndingStep::Kill),
            EndingStep::Kill => None,
        };
        self.due = now + self.grace;
        Some(step)
    }

    /// When the next step is due; `None` behind the last one.
    #[cfg(test)]
    pub fn due(&self) -> Option<Instant> {
        self.next.map(|_| self.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_asked_twice() {
        let start = Instant::now();
        let later = |millis| start + Duration::from_millis(millis);
        let mut ending = Ending::new(start, Duration::from_secs(2));
        assert_eq!(ending.advance(start), Some(EndingStep::CloseInput));
        assert_eq!(ending.advance(later(1999)), None);
        assert_eq!(ending.advance(later(2000)), Some(EndingStep::Terminate));
        assert_eq!(ending.due(), Some(later(4000)));
        assert_eq!(ending.advance(later(4500)), Some(EndingStep::Kill));
        assert_eq!(ending.due(), None);
        assert_eq!(ending.advance(later(100_000)), None);
    }
}
