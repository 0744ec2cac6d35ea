//! The era in which the children of a server are spoken to: found out with the first, and remembered for all others.
//!
//! ```text
//! Unknown ─ ready ─► Known ─ refuses to be spoken to so ─► Unknown
//!    └─ died of the question ─► Legacy is tried ─ ready ─► Known
//!                                    └─ died ─► Unknown
//! ```

use crate::config::ChildEra;
use crate::mcp::Era;

/// What is known of the era of a server's children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SpokenEra {
    state: State,
    /// A child died of the question, and nobody has been ready since.
    is_excused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The configuration says it.
    Configured(Era),
    Known(Era),
    Unknown,
    /// The legacy era is tried, because the last child may have died of the question.
    Tried,
}

impl SpokenEra {
    pub(super) fn new(configured: Option<ChildEra>) -> SpokenEra {
        let state = match configured {
            None => State::Unknown,
            Some(ChildEra::Legacy) => State::Configured(Era::Legacy),
            Some(ChildEra::Modern) => State::Configured(Era::Modern),
        };
        SpokenEra {
            state,
            is_excused: false,
        }
    }

    /// How the next child is spoken to; in `None` it is asked what it is.
    pub(super) fn next(self) -> Option<Era> {
        match self.state {
            State::Configured(era) | State::Known(era) => Some(era),
            State::Unknown => None,
            State::Tried => Some(Era::Legacy),
        }
    }

    /// A child takes calls.
    pub(super) fn on_ready(&mut self, era: Era) {
        self.is_excused = false;
        if !matches!(self.state, State::Configured(_)) {
            self.state = State::Known(era);
        }
    }

    /// A child that was spoken to like this died before it took calls, of a handshake that failed if `is_refusal`.
    /// Whether that is excused, because it may have died of the question: another one will not be asked.
    pub(super) fn on_stillborn(&mut self, spoken: Option<Era>, is_refusal: bool) -> bool {
        match self.state {
            State::Configured(_) => return false,
            State::Known(_) if !is_refusal => return false,
            // Another child has been ready meanwhile.
            State::Known(era) if spoken != Some(era) => return false,
            State::Unknown if spoken.is_none() => {
                self.state = State::Tried;
                return !std::mem::replace(&mut self.is_excused, true);
            }
            State::Known(_) | State::Unknown | State::Tried => self.state = State::Unknown,
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_first_child_speaks_is_remembered() {
        for era in [Era::Legacy, Era::Modern] {
            let mut spoken = SpokenEra::new(None);
            assert_eq!(spoken.next(), None);
            spoken.on_ready(era);
            assert_eq!(spoken.next(), Some(era));
            assert!(!spoken.on_stillborn(Some(era), false));
            assert_eq!(spoken.next(), Some(era), "it may have died of anything");
            assert!(!spoken.on_stillborn(Some(era), true));
            assert_eq!(spoken.next(), None, "it is another program now");
        }
    }

    #[test]
    fn a_child_may_die_of_the_question_once() {
        let mut spoken = SpokenEra::new(None);
        assert!(spoken.on_stillborn(None, false));
        assert_eq!(spoken.next(), Some(Era::Legacy));
        assert!(!spoken.on_stillborn(Some(Era::Legacy), false));
        assert_eq!(spoken.next(), None);
        assert!(!spoken.on_stillborn(None, false), "so do those that always die");
        assert_eq!(spoken.next(), Some(Era::Legacy));
        spoken.on_ready(Era::Legacy);
        assert!(
            !spoken.on_stillborn(None, true),
            "it began before the other was ready"
        );
        assert_eq!(spoken.next(), Some(Era::Legacy));
    }

    #[test]
    fn what_is_configured_stays() {
        for (configured, era) in [(ChildEra::Legacy, Era::Legacy), (ChildEra::Modern, Era::Modern)] {
            let mut spoken = SpokenEra::new(Some(configured));
            assert_eq!(spoken.next(), Some(era));
            assert!(!spoken.on_stillborn(Some(era), true));
            spoken.on_ready(era);
            assert_eq!(spoken.next(), Some(era));
        }
    }
}
