//! What a server is started as: as it was named, and without its wrapper once it is known what that starts.
//!
//! ```text
//! Named ─ a child is ready, and its last process holds our pipes ─► Unwrapped ─ a start fails ─► Named
//! ```
//!
//! The environment of a process that was found may hold secrets: it is kept here only, and logged nowhere.

use crate::launcher::{Behind, ChildSpec};

/// Children that are looked at in all: what two of them do not show, or what fails twice, is not worth a third.
const LOOKS_MAX: u8 = 3;

/// How a server is started.
#[derive(Debug)]
pub(super) struct Starts {
    named: ChildSpec,
    unwrapped: Option<Box<ChildSpec>>,
    looks: u8,
}

impl Starts {
    /// As it was named, for good if it is not to be unwrapped.
    pub(super) fn new(named: ChildSpec, is_unwrapped: bool) -> Starts {
        Starts {
            named,
            unwrapped: None,
            looks: if is_unwrapped { LOOKS_MAX } else { 0 },
        }
    }

    /// As it was named.
    pub(super) fn named(&self) -> &ChildSpec {
        &self.named
    }

    /// What to start next, and whether that is without the wrapper.
    pub(super) fn next(&self) -> (&ChildSpec, bool) {
        match &self.unwrapped {
            Some(unwrapped) => (unwrapped, true),
            None => (&self.named, false),
        }
    }

    /// Whether a look at a child that is ready could tell something.
    pub(super) fn wants_look(&self) -> bool {
        self.unwrapped.is_none() && self.looks > 0
    }

    /// A child that was started as named was looked at. Says whether later ones are started without the wrapper.
    pub(super) fn on_look(&mut self, found: Behind) -> bool {
        self.looks = self.looks.saturating_sub(1);
        match found {
            Behind::Itself => self.looks = 0,
            Behind::Wrapper(spec) => self.unwrapped = Some(spec),
            Behind::Unknown => {}
        }
        self.unwrapped.is_some()
    }

    /// A child that was started without the wrapper was never ready.
    pub(super) fn on_failed(&mut self) {
        self.unwrapped = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(program: &str) -> ChildSpec {
        ChildSpec {
            program: program.into(),
            ..ChildSpec::default()
        }
    }

    fn found() -> Behind {
        Behind::Wrapper(Box::new(spec("node")))
    }

    #[test]
    fn what_fails_without_the_wrapper_is_tried_a_few_times_only() {
        let mut starts = Starts::new(spec("npx"), true);
        for _ in 0..LOOKS_MAX {
            assert_eq!(
                (starts.next().0.program.to_str(), starts.next().1),
                (Some("npx"), false)
            );
            assert!(starts.wants_look() && starts.on_look(found()));
            assert!(!starts.wants_look());
            assert_eq!(
                (starts.next().0.program.to_str(), starts.next().1),
                (Some("node"), true)
            );
            starts.on_failed();
        }
        assert!(!starts.wants_look());
        assert_eq!(starts.next().0, starts.named());
    }

    #[test]
    fn who_has_no_wrapper_is_looked_at_once() {
        let mut starts = Starts::new(spec("node"), true);
        assert!(!starts.on_look(Behind::Unknown));
        assert!(starts.wants_look());
        assert!(!starts.on_look(Behind::Itself));
        assert!(!starts.wants_look());
        assert!(!Starts::new(spec("npx"), false).wants_look());
    }
}
