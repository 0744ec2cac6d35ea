//! `weir serve` and `weir doctor`: both examine the machine, then one serves and the other reports.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FileType, fstat};

use crate::ring::{self, ProbeError};

use super::files::try_whole;
use super::terminal::{print_error, print_line, refuse};
use super::{allocator, logging, programs, serve, toolsets};
use crate::config::{
    AdminSettings, Around, ConfigError, Findings, Host, HostError, Inputs, Line, ListenAddress, LogLevel,
    Needs, ReportStream, ReportTarget, Resolved, RingProblem, RingUser, Settings, Toolset, TransportKind,
    UnixName, Verdict, evaluate, raise_soft_limits, resolve,
};
use crate::ring::listener::{AddressUse, address_use};
use crate::ring::unix_listener::{UnixListenError, UnixUse, settled_unix_use, unix_use};

/// Serves, unless something is wrong or missing.
pub(super) fn serve(inputs: Result<Inputs, Vec<ConfigError>>) -> ExitCode {
    let is_report_given = inputs
        .as_ref()
        .is_ok_and(|inputs| inputs.given("report").is_some());
    let mut inspection = match inputs.map_err(Problem::Config).and_then(inspect) {
        Ok(inspection) => inspection,
        Err(problem) => return problem.print_error(),
    };
    let log = logging::init(&inspection.resolved.settings.output.log());
    for note in &inspection.resolved.notes {
        tracing::warn!("{note}");
    }
    for remark in &inspection.resolved.remarks {
        tracing::info!("{remark}");
    }
    let is_started_by_client =
        inspection.resolved.settings.endpoints.transport == TransportKind::Http && is_on_pipes();
    if is_started_by_client {
        warn_of_pipes(inspection.resolved.settings.output.log_level);
    }
    if is_started_by_client && !is_report_given {
        inspection.resolved.settings.report_stream = ReportStream::Stderr;
    }
    let lines = inspection.lines();
    let warnings = lines
        .iter()
        .filter(|line| line.verdict == Verdict::Warning && line.topic != ADMIN);
    for line in warnings {
        tracing::warn!("{}: {}", line.topic, line.text);
    }
    let missing: Vec<&Line> = lines
        .iter()
        .filter(|line| line.verdict == Verdict::Missing)
        .collect();
    let obstacles: Vec<String> = if let Some(obstacle) = page_obstacle(&inspection.resolved.settings) {
        vec![obstacle]
    } else if missing.is_empty() {
        allocator::trim_when_idle();
        match serve::run(&inspection.resolved.settings) {
            Ok(code) => return code,
            Err(error) => vec![error.to_string()],
        }
    } else {
        missing
            .iter()
            .map(|line| format!("{}: {}", line.topic, line.text))
            .collect()
    };
    // This bypasses the log, whose level may be `off`: nobody would know why nothing runs. It comes below the last
    // record, where people look for the reason.
    drop(log);
    obstacles.iter().for_each(|obstacle| print_error(obstacle));
    ExitCode::FAILURE
}

/// Why the report at exit could not be written.
fn page_obstacle(settings: &Settings) -> Option<String> {
    match settings.output.report() {
        ReportTarget::Page(file) => {
            let error = try_whole(&file).err()?;
            Some(format!(
                "report: {} cannot be written: {error}; `--report html:FILE` needs a file in a folder that this user may \
                 write into",
                file.display()
            ))
        }
        ReportTarget::Stream(_) => None,
    }
}

/// The note for a client that starts its server and gets HTTP.
const ON_PIPES: &str = "stdin and stdout are pipes, as of an MCP client that starts its server itself, but this serves \
                        HTTP and reads neither; for such a client write `weir stdio` in place of `weir serve`";

/// The note bypasses the log where its level hides warnings: nobody would know why the client waits.
fn warn_of_pipes(level: LogLevel) {
    match level {
        LogLevel::Off | LogLevel::Error => print_error(ON_PIPES),
        _ => tracing::warn!("{ON_PIPES}"),
    }
}

/// Whether both stdin and stdout are pipes or sockets, which is how a client starts a server to talk to it. One of them
/// alone is a shell's or a service manager's.
fn is_on_pipes() -> bool {
    let is_pipe = |descriptor: BorrowedFd<'_>| {
        fstat(descriptor).is_ok_and(|stat| {
            let kind = FileType::from_raw_mode(stat.st_mode);
            matches!(kind, FileType::Fifo | FileType::Socket)
        })
    };
    is_pipe(io::stdin().as_fd()) && is_pipe(io::stdout().as_fd())
}

/// Reports whether serving could begin.
pub(super) fn doctor(inputs: Result<Inputs, Vec<ConfigError>>) -> ExitCode {
    let mut inspection = match inputs.map_err(Problem::Config).and_then(inspect) {
        Ok(inspection) => inspection,
        Err(problem) => return problem.print_error(),
    };
    inspection.try_start();
    let mut lines = inspection.lines();
    // One that is missing keeps no server from starting: others may be served.
    lines.extend(programs::lines(&inspection.resolved.settings));
    lines.iter().for_each(|line| print_line(&line.to_string()));
    for note in &inspection.resolved.notes {
        print_line(&format!("{:<8} settings: {note}", Verdict::Warning));
    }
    for remark in &inspection.resolved.remarks {
        print_line(&format!("{:<8} settings: {remark}", Verdict::Ok));
    }
    match lines.iter().map(|line| line.verdict).max() {
        Some(Verdict::Missing) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

/// Settings, and the machine they are for.
struct Inspection {
    resolved: Resolved,
    findings: Findings,
}

impl Inspection {
    /// Tries the start of a server, unless it is known that it cannot start.
    fn try_start(&mut self) {
        if self.findings.io_uring.is_ok() {
            // The line about the trial reports a panic.
            std::panic::set_hook(Box::new(|_| ()));
            let tried = crate::server::try_start(&self.resolved.settings);
            if tried.as_ref().is_err_and(|problem| problem.is_locked_memory) {
                self.findings.ring_users = ring_users();
            }
            self.findings.start = Some(tried);
        }
    }

    fn lines(&self) -> Vec<Line> {
        let settings = &self.resolved.settings;
        let mut lines = evaluate(&Needs::of(settings), &self.findings);
        if settings.endpoints.transport == TransportKind::Http {
            let is_shared = settings.endpoints.shares_port;
            lines.extend(settings.endpoints.listen.iter().map(|address| match address {
                ListenAddress::Unix(name) => unix_line(name, is_shared),
                ListenAddress::Internet(address) => listen_line(*address, is_shared),
            }));
        }
        lines.extend(admin_line(settings));
        if settings.toolsets.names.contains(&Toolset::Files) {
            lines.push(root_line(settings));
        }
        lines
    }
}

/// Whether the server can listen on the address. Two servers there by mistake would share the clients at random, so
/// another server is an obstacle unless the operator means it.
fn listen_line(address: SocketAddr, is_shared: bool) -> Line {
    let (verdict, text) = match (settled_use(address, is_shared), is_shared) {
        (Ok(AddressUse::Free), _) => (Verdict::Ok, address.to_string()),
        (Ok(AddressUse::Shared), true) => (
            Verdict::Ok,
            format!("{address}, shared with another process of this user: new connections go to either"),
        ),
        (Ok(AddressUse::Shared), false) => (
            Verdict::Missing,
            format!(
                "cannot listen on {address}: another process of this user listens there; stop that one, choose another \
                 address with --listen, or say --reuse-port on if new connections are to go to either"
            ),
        ),
        (Err(error), _) => (
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

/// Whether the server can listen on the Unix socket.
fn unix_line(name: &UnixName, takes_over: bool) -> Line {
    let found = if takes_over {
        unix_use(name)
    } else {
        settled_unix_use(name)
    };
    let (verdict, text) = match found {
        Ok(UnixUse::Free) => (Verdict::Ok, format!("unix:{name}")),
        Ok(UnixUse::Left) => (
            Verdict::Ok,
            format!("unix:{name}, whose file is left of a server that is gone, and is replaced"),
        ),
        Ok(UnixUse::Serving) if takes_over && matches!(name, UnixName::Path(_)) => (
            Verdict::Ok,
            format!("unix:{name}, taken over from another process: new connections come here"),
        ),
        Ok(UnixUse::Serving) => {
            let refusal = match name {
                UnixName::Abstract(_) => UnixListenError::NameTaken,
                _ => UnixListenError::Serving,
            };
            (
                Verdict::Missing,
                format!("cannot listen on unix:{name}: {refusal}"),
            )
        }
        Err(error) => (Verdict::Missing, format!("cannot listen on unix:{name}: {error}")),
    };
    Line {
        verdict,
        topic: "listen",
        text,
    }
}

/// The use of the address, after a moment for a server that is about to release it: a draining one keeps its listeners
/// for a moment, so that handshakes on their way complete.
fn settled_use(address: SocketAddr, is_shared: bool) -> io::Result<AddressUse> {
    const PATIENCE: Duration = Duration::from_millis(500);
    const LOOK: Duration = Duration::from_millis(20);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = address_use(address)?;
        if found == AddressUse::Free || is_shared || Instant::now() >= deadline {
            return Ok(found);
        }
        thread::sleep(LOOK);
    }
}

/// The topic of the line about the admin listener.
const ADMIN: &str = "admin";

/// Whether the server can listen for health and metrics; `None` if they are off. That port is never shared: a prober
/// could not tell which server's health it gets.
fn admin_line(settings: &Settings) -> Option<Line> {
    let address = settings.endpoints.admin.address()?;
    let is_explicit = matches!(settings.endpoints.admin, AdminSettings::At(_));
    let busy = match address_use(address) {
        Ok(AddressUse::Free) => None,
        Ok(AddressUse::Shared) => Some("another process of this user listens there".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Some(error.to_string()),
        Err(error) => {
            return Some(Line {
                verdict: Verdict::Missing,
                topic: ADMIN,
                text: admin_refusal(address, &error.to_string()),
            });
        }
    };
    let (verdict, text) = match (busy, is_explicit) {
        (None, _) => (Verdict::Ok, address.to_string()),
        (Some(reason), true) => (Verdict::Missing, admin_refusal(address, &reason)),
        (Some(reason), false) => (
            Verdict::Warning,
            format!(
                "{address} is busy ({reason}): no health or metrics; choose another with --admin ADDRESS:PORT"
            ),
        ),
    };
    Some(Line {
        verdict,
        topic: ADMIN,
        text,
    })
}

fn admin_refusal(address: SocketAddr, reason: &str) -> String {
    format!(
        "cannot listen on {address}: {reason}; choose another with --admin ADDRESS:PORT, or --admin off; servers that \
         share a port with --reuse-port need one each"
    )
}

/// Whether the directory can be served.
fn root_line(settings: &Settings) -> Line {
    let (verdict, text) = match toolsets::try_root(settings) {
        Ok(()) => (
            Verdict::Ok,
            format!("root = {:?} can be served", settings.toolsets.root),
        ),
        Err(error) => (Verdict::Missing, error),
    };
    Line {
        verdict,
        topic: "files",
        text,
    }
}

/// Why there are no settings to examine.
enum Problem {
    Config(Vec<ConfigError>),
    Host(HostError),
}

impl Problem {
    fn print_error(self) -> ExitCode {
        match self {
            Self::Config(errors) => refuse(&errors),
            Self::Host(error) => {
                print_error(&error.to_string());
                ExitCode::FAILURE
            }
        }
    }
}

fn inspect(inputs: Inputs) -> Result<Inspection, Problem> {
    raise_soft_limits();
    let host = Host::read().map_err(Problem::Host)?;
    let resolved = Around::this_process(|around| resolve(&inputs, &host, &around));
    let resolved = resolved.map_err(Problem::Config)?;
    toolsets::check_tools(&resolved.settings).map_err(|error| Problem::Config(vec![error]))?;
    let io_uring = probe_ring();
    let is_used_up = matches!(io_uring, Err(RingProblem::LockedMemory(_)));
    Ok(Inspection {
        resolved,
        findings: Findings {
            host,
            io_uring,
            start: None,
            ring_users: if is_used_up { ring_users() } else { Vec::new() },
        },
    })
}

fn ring_users() -> Vec<String> {
    RingUser::find().iter().map(ToString::to_string).collect()
}

/// Tries the io_uring features that shards need. It tries for a while if no memory can be locked, since the kernel
/// releases an ended process's locked memory a moment after its end.
fn probe_ring() -> Result<(), RingProblem> {
    const PATIENCE: Duration = Duration::from_secs(1);
    const LOOK: Duration = Duration::from_millis(20);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ring::probe() {
            Ok(()) => return Ok(()),
            Err(ProbeError::Refused { error }) => return Err(RingProblem::Refused(error.to_string())),
            Err(ProbeError::LockedMemory { .. }) if Instant::now() < deadline => thread::sleep(LOOK),
            Err(ProbeError::LockedMemory { error }) => {
                return Err(RingProblem::LockedMemory(error.to_string()));
            }
            Err(other) => return Err(RingProblem::Lacking(other.to_string())),
        }
    }
}
