//! Why a child died, and whose doing that was.

use crate::children::{ChildEnd, ChildFailure};
use crate::launcher::{Exit, ExitReason, ExitStatus};
use crate::metrics::ChildDeath;
use crate::units::ByteSize;

/// What is known of the end of a child that nobody had asked to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Death {
    pub(super) reason: ChildDeath,
    /// The rest of a sentence about it.
    pub(super) text: String,
}

/// How a child ended, as far as each part of the server has seen it.
#[derive(Debug, Default)]
pub(super) struct Ends<'e> {
    /// Why it could not be started.
    pub(super) spawn_error: Option<&'e str>,
    /// How its process ended.
    pub(super) exit: Option<&'e Exit>,
    /// What its shard says; nothing if it was ended on purpose.
    pub(super) said: Option<&'e ChildEnd>,
    /// Whether it had taken calls.
    pub(super) has_served: bool,
}

impl Death {
    /// The death that these ends come to; `None` if it was no death. A child that has served and leaves with 0, when
    /// it has nothing to do, was not needed any more.
    pub(super) fn of(ends: &Ends<'_>) -> Option<Death> {
        let death = |reason, text: String| Some(Death { reason, text });
        if let Some(error) = ends.spawn_error {
            return death(ChildDeath::Spawn, error.to_owned());
        }
        let said = ends.said?;
        let failure = said.failure.as_ref()?;
        match ends.exit.map(|exit| exit.reason) {
            Some(ExitReason::LauncherEnded) => {
                return death(
                    ChildDeath::Launcher,
                    "the launcher ended, and it as well".to_owned(),
                );
            }
            Some(ExitReason::Memory { resident_bytes: 0 }) => {
                return death(
                    ChildDeath::Memory,
                    "it used more memory than `rss_max`".to_owned(),
                );
            }
            Some(ExitReason::Memory { resident_bytes }) => {
                let used = ByteSize(resident_bytes).rounded();
                return death(
                    ChildDeath::Memory,
                    format!("it used {used} of memory, which is more than `rss_max`"),
                );
            }
            _ => {}
        }
        // What it did to its pipes is mostly what its exit did.
        let own_exit = ends.exit.filter(|exit| exit.reason == ExitReason::Itself);
        let is_about_pipes = matches!(
            failure,
            ChildFailure::Exited | ChildFailure::OutputEnded | ChildFailure::InputBroken
        );
        match own_exit.map(|exit| exit.status).filter(|_| is_about_pipes) {
            Some(ExitStatus::Code(0)) if ends.has_served && said.calls_lost == 0 => None,
            Some(ExitStatus::Code(code)) => death(ChildDeath::Exit, format!("it exited with status {code}")),
            Some(ExitStatus::Signal(signal)) => {
                death(ChildDeath::Signal, format!("signal {signal} ended it"))
            }
            _ => death(reason_of(failure), failure.to_string()),
        }
    }
}

impl Death {
    /// The same, with the last thing that the child said on stderr, of a bounded length.
    pub(super) fn with_last_line(mut self, last_errors: &[String]) -> Death {
        const BYTES_MAX: usize = 200;
        let is_said = |line: &&String| !line.trim().is_empty();
        if let Some(line) = last_errors.iter().rev().find(is_said) {
            let line = line.trim();
            let end = line.floor_char_boundary(BYTES_MAX);
            self.text = format!("{}: {}", self.text, line[..end].escape_debug());
        }
        self
    }
}

fn reason_of(failure: &ChildFailure) -> ChildDeath {
    match failure {
        ChildFailure::Handshake(_) => ChildDeath::Handshake,
        ChildFailure::StartTimeout => ChildDeath::StartTimeout,
        ChildFailure::Exited => ChildDeath::Exit,
        ChildFailure::OutputEnded | ChildFailure::InputBroken => ChildDeath::PipeClosed,
        ChildFailure::OutOfMemory => ChildDeath::ServerMemory,
        ChildFailure::InputStuck => ChildDeath::InputStuck,
        ChildFailure::Unresponsive => ChildDeath::Unresponsive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::ResourceUse;

    fn exit(status: ExitStatus, reason: ExitReason) -> Exit {
        Exit {
            status,
            reason,
            used: ResourceUse::default(),
        }
    }

    fn death(exit: &Exit, failure: ChildFailure, served: Option<u64>) -> Option<(ChildDeath, String)> {
        death_with(exit, failure, served.is_some(), 0)
    }

    fn death_with(
        exit: &Exit,
        failure: ChildFailure,
        has_served: bool,
        calls_lost: u32,
    ) -> Option<(ChildDeath, String)> {
        let said = ChildEnd {
            failure: Some(failure),
            calls_lost,
            ..ChildEnd::default()
        };
        let ends = Ends {
            spawn_error: None,
            exit: Some(exit),
            said: Some(&said),
            has_served,
        };
        Death::of(&ends).map(|death| (death.reason, death.text))
    }

    #[test]
    fn a_status_says_more_than_what_happened_to_the_pipes() {
        let died = exit(ExitStatus::Code(3), ExitReason::Itself);
        for failure in [
            ChildFailure::Exited,
            ChildFailure::OutputEnded,
            ChildFailure::InputBroken,
        ] {
            let told = death(&died, failure, None).unwrap();
            assert_eq!(told, (ChildDeath::Exit, "it exited with status 3".to_owned()));
        }
        let killed = exit(ExitStatus::Signal(11), ExitReason::Itself);
        assert_eq!(
            death(&killed, ChildFailure::OutputEnded, Some(99)).unwrap(),
            (ChildDeath::Signal, "signal 11 ended it".to_owned())
        );
        // It closed its output and stayed, so it was ended.
        let ended = exit(ExitStatus::Signal(15), ExitReason::Terminated);
        let told = death(&ended, ChildFailure::OutputEnded, Some(99)).unwrap();
        assert_eq!(told, (ChildDeath::PipeClosed, "it closed its output".to_owned()));
        let stuck = death(&ended, ChildFailure::InputStuck, Some(99)).unwrap();
        assert_eq!(stuck.0, ChildDeath::InputStuck);
        let late = death(&died, ChildFailure::StartTimeout, None).unwrap();
        assert_eq!(late.0, ChildDeath::StartTimeout);
    }

    #[test]
    fn a_child_that_has_served_and_leaves_with_0_has_not_failed_unless_it_takes_calls_along() {
        let left = exit(ExitStatus::Code(0), ExitReason::Itself);
        assert_eq!(death(&left, ChildFailure::OutputEnded, Some(10)), None);
        assert_eq!(death(&left, ChildFailure::OutputEnded, Some(0)), None);
        assert!(death_with(&left, ChildFailure::OutputEnded, true, 1).is_some());
        assert!(death(&left, ChildFailure::OutputEnded, None).is_some());
        assert!(death(&left, ChildFailure::Unresponsive, Some(10)).is_some());
        let on_purpose = Ends {
            exit: Some(&left),
            ..Ends::default()
        };
        assert_eq!(Death::of(&on_purpose), None);
    }

    #[test]
    fn memory_the_launcher_and_a_start_that_failed_are_named() {
        let large = exit(
            ExitStatus::Signal(9),
            ExitReason::Memory {
                resident_bytes: 64 << 20,
            },
        );
        let told = death(&large, ChildFailure::OutputEnded, Some(1)).unwrap();
        assert!(
            told.0 == ChildDeath::Memory && told.1.contains("64 MiB"),
            "{told:?}"
        );
        let lost = exit(ExitStatus::Unknown, ExitReason::LauncherEnded);
        assert_eq!(
            death(&lost, ChildFailure::OutputEnded, Some(1)).unwrap().0,
            ChildDeath::Launcher
        );
        let never = Ends {
            spawn_error: Some("cannot start the program: No such file"),
            ..Ends::default()
        };
        assert_eq!(Death::of(&never).unwrap().reason, ChildDeath::Spawn);
    }
}
