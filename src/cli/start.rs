//! `weir serve` and `weir doctor`: the same look at the machine, then one starts and the other tells.

use std::process::ExitCode;

use crate::ring::{self, ProbeError};

use super::{allocator, complain, logging, refuse, say};
use crate::config::{
    ConfigError, Findings, Host, HostError, Inputs, Line, Needs, Resolved, RingProblem, Settings, Toolset,
    TransportKind, Verdict, evaluate, raise_soft_limits, resolve,
};
use crate::files;
use crate::ring::listener::{AddressUse, address_use};

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
        allocator::trim_when_idle();
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
        let settings = &self.resolved.settings;
        let mut lines = evaluate(&Needs::of(settings), &self.findings);
        if settings.transport == TransportKind::Http {
            lines.push(listen_line(settings));
        }
        if settings.toolsets.contains(&Toolset::Files) {
            lines.push(root_line(settings));
        }
        lines
    }
}

/// Whether the address can be listened on. Another server of this user there is no obstacle: that is how one takes
/// over from the next. Started twice by mistake, they would share the clients.
fn listen_line(settings: &Settings) -> Line {
    let address = settings.listen;
    let (verdict, text) = match address_use(address) {
        Ok(AddressUse::Free) => (Verdict::Ok, address.to_string()),
        Ok(AddressUse::Shared) => (
            Verdict::Warning,
            format!(
                "another process listens on {address} too, and new connections go to either; stop that one, or choose \
                 another address with --listen"
            ),
        ),
        Err(error) => (
            Verdict::Missing,
            format!("cannot listen on {address}: {error}; choose another with --listen"),
        ),
    };
    Line {
        verdict,
        topic: "listen",
        text,
    }
}

/// Whether the directory can be served.
fn root_line(settings: &Settings) -> Line {
    let (verdict, text) = match files::Root::open(&settings.files.root) {
        Ok(_) => (
            Verdict::Ok,
            format!("root = {:?} can be served", settings.files.root),
        ),
        Err(error) => (Verdict::Missing, error.to_string()),
    };
    Line {
        verdict,
        topic: "files",
        text,
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
