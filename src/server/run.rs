//! What `weir serve` does: embedded toolsets, signals, the start line and the report.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::config::{ReportFormat, Settings, Toolset};
use crate::demo;
use crate::files;
use crate::metrics::Report;
use crate::registry::Registry;
use crate::units::ByteSize;

use super::{ENDPOINT_PATH, Server, StartError};

/// How often a running server is looked at between signals.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Serves until told to stop; the status is the process's own: 0 after a clean drain, 1 otherwise.
pub fn run(settings: Settings) -> ExitCode {
    match try_run(&settings) {
        Ok(code) => code,
        Err(error) => {
            // Not through the log, whose level may hide it.
            let _ = writeln!(io::stderr(), "weir: {error}");
            ExitCode::FAILURE
        }
    }
}

fn try_run(settings: &Settings) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let signals = listen_to_signals()?;
    let registry = registry(settings)?;
    let server = match Server::start_unless(settings, registry, || is_told_to_stop(&signals)) {
        Ok(server) => server,
        Err(StartError::CutShort) => {
            tracing::info!("told to stop while starting; nothing was served");
            // Shards that are up are idle: nobody waits for their threads.
            std::process::exit(0)
        }
        Err(error) => return Err(error.into()),
    };
    announce(settings, &server);
    loop {
        match signals.recv_timeout(LOOK_INTERVAL) {
            Ok(SIGUSR1) => print(&server.report(), settings.report),
            Ok(signal) => {
                tracing::info!(signal, timeout = ?settings.drain_timeout, "draining");
                break;
            }
            Err(RecvTimeoutError::Timeout) if server.is_broken() => {
                tracing::error!("a shard has ended; stopping");
                break;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let was_broken = server.is_broken();
    let drained = server.drain(settings.drain_timeout, |patience| {
        is_second_signal(&signals, patience)
    });
    print(&drained.report, settings.report);
    if !drained.is_clean {
        tracing::warn!("the drain was cut short; what was in flight is lost");
    }
    let code = ExitCode::from(u8::from(!drained.is_clean || was_broken));
    if drained.is_clean {
        return Ok(code);
    }
    // Shards may hang: nobody waits for their threads.
    std::process::exit(1)
}

/// A SIGTERM or SIGINT ends a start; there is nothing to report on SIGUSR1 yet.
fn is_told_to_stop(signals: &Receiver<i32>) -> bool {
    signals
        .try_iter()
        .any(|signal| matches!(signal, SIGTERM | SIGINT))
}

/// A second SIGTERM or SIGINT ends a drain; SIGUSR1 does not.
fn is_second_signal(signals: &Receiver<i32>, patience: Duration) -> bool {
    matches!(signals.recv_timeout(patience), Ok(SIGTERM | SIGINT))
}

/// Signals, in order, from a thread that does nothing else.
fn listen_to_signals() -> io::Result<Receiver<i32>> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGUSR1])?;
    let (to, from) = mpsc::channel();
    thread::Builder::new()
        .name("weir-signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                if to.send(signal).is_err() {
                    return;
                }
            }
        })?;
    Ok(from)
}

/// The tools of the toolsets asked for.
fn registry(settings: &Settings) -> Result<Registry, Box<dyn std::error::Error>> {
    let mut tools = Registry::builder();
    for toolset in &settings.toolsets {
        match toolset {
            Toolset::Demo => demo::register(&mut tools)?,
            Toolset::Files => files::register(&mut tools, &files::Root::open(&settings.files.root)?)?,
        }
    }
    Ok(tools.build())
}

/// Says where it listens and what it is made of.
fn announce(settings: &Settings, server: &Server) {
    let memory = ByteSize(settings.memory.fixed_bytes()).rounded();
    let memory_max = ByteSize(settings.memory.budget_bytes).rounded();
    let toolsets: Vec<&str> = settings.toolsets.iter().map(|toolset| toolset.name()).collect();
    let admin = server
        .admin_address()
        .map_or_else(|| "off".to_owned(), |address| address.to_string());
    tracing::info!(
        url = %format_args!("http://{}{ENDPOINT_PATH}", server.address()),
        %admin,
        shards = settings.shards.len(),
        pool_size = settings.pool.handlers,
        memory = memory.as_str(),
        memory_max = memory_max.as_str(),
        connections_max = settings.connections_max,
        toolsets = %toolsets.join(","),
        "serving"
    );
}

/// Prints a report on stdout; a closed pipe is nobody's error.
fn print(report: &Report, format: ReportFormat) {
    if let Err(error) = report.write(format, &mut io::stdout().lock()) {
        tracing::warn!(%error, "the report could not be written");
    }
}
