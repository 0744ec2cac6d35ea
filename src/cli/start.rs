//! `weir serve` and `weir doctor`: the same look at the machine, then one starts and the other tells.

use std::process::ExitCode;

use crate::ring::{self, ProbeError};

use super::{complain, logging, refuse, say};
use crate::config::{
    ConfigError, Findings, Host, HostError, Inputs, Line, Needs, Resolved, RingProblem, Verdict, evaluate,
    raise_soft_limits, resolve,
};

/// Serves, unless something is wrong or missing.
pub(super) fn serve(inputs: Result<Inputs, Vec<ConfigError>>) -> ExitCode {
    let look = match inputs.map_err(Problem::Config).and_then(look) {
        Ok(look) => look,
        Err(problem) => return problem.complain(),
    };
    logging::init(&look.resolved.settings.log);
    for note in &look.resolved.notes {
        tracing::warn!("{note}");
    }
    let lines = look.lines();
    for line in lines.iter().filter(|line| line.verdict == Verdict::Warning) {
        tracing::warn!("{}: {}", line.topic, line.text);
    }
    let missing: Vec<&Line> = lines
        .iter()
        .filter(|line| line.verdict == Verdict::Missing)
        .collect();
    if missing.is_empty() {
        return crate::server::run(look.resolved.settings);
    }
    // Not through the log: its level may be `off`, and nobody would know why nothing runs.
    for line in missing {
        complain(&format!("{}: {}", line.topic, line.text));
    }
    ExitCode::FAILURE
}

/// Tells whether serving could begin.
pub(super) fn doctor(inputs: Result<Inputs, Vec<ConfigError>>) -> ExitCode {
    let look = match inputs.map_err(Problem::Config).and_then(look) {
        Ok(look) => look,
        Err(problem) => return problem.complain(),
    };
    let lines = look.lines();
    lines.iter().for_each(|line| say(&line.to_string()));
    for note in &look.resolved.notes {
        say(&format!("{:<8} settings: {note}", Verdict::Warning));
    }
    match lines.iter().map(|line| line.verdict).max() {
        Some(Verdict::Missing) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

/// Settings, and the machine they are for.
struct Look {
    resolved: Resolved,
    findings: Findings,
}

impl Look {
    fn lines(&self) -> Vec<Line> {
        evaluate(&Needs::of(&self.resolved.settings), &self.findings)
    }
}

/// Why there are no settings to look at.
enum Problem {
    Config(Vec<ConfigError>),
    Host(HostError),
}

impl Problem {
    fn complain(self) -> ExitCode {
        match self {
            Self::Config(errors) => refuse(&errors),
            Self::Host(error) => {
                complain(&error.to_string());
                ExitCode::FAILURE
            }
        }
    }
}

fn look(inputs: Inputs) -> Result<Look, Problem> {
    raise_soft_limits();
    let host = Host::read().map_err(Problem::Host)?;
    let resolved = resolve(&inputs, &host).map_err(Problem::Config)?;
    let io_uring = probe_ring();
    Ok(Look {
        resolved,
        findings: Findings { host, io_uring },
    })
}

/// Tries what the shards need of io_uring.
fn probe_ring() -> Result<(), RingProblem> {
    ring::probe().map_err(|error| match error {
        ProbeError::Refused { error } => RingProblem::Refused(error.to_string()),
        other => RingProblem::Lacking(other.to_string()),
    })
}
