//! `weir serve` with its settings: toolsets, signals, the start line and the report.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};

use super::files::write_whole;
use crate::config::{ReportStream, ReportTarget, Settings};
use crate::metrics::Report;
use crate::server::{NO_THREADS, Server, Signals, StartError};
use crate::units::ByteSize;

use super::toolsets;

/// How often a running server is checked between signals.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Serves until it is told to stop. The status is that of the process: 0 after a clean drain, 1 otherwise.
///
/// # Errors
///
/// Says what keeps the server from starting, with the next step.
pub(super) fn run(settings: &Settings) -> Result<ExitCode, Box<dyn std::error::Error>> {
    // Until signals are listened to they end the process at once, and there is nothing to finish yet. So slow work,
    // such as opening a root on another machine, comes before.
    let registry = toolsets::registry(settings)?;
    let signals = Signals::listen(&[SIGTERM, SIGINT, SIGUSR1])
        .map_err(|error| format!("cannot wait for signals: {error}; {NO_THREADS}"))?;
    let server = match Server::start_under(&signals, settings, registry) {
        Ok(server) => server,
        Err(StartError::CutShort) => {
            tracing::info!("told to stop while starting; nothing was served");
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => return Err(error.into()),
    };
    announce(settings, &server);
    loop {
        match signals.next(LOOK_INTERVAL) {
            Some(SIGUSR1) => write(&server.report(), settings),
            Some(signal) => {
                tracing::info!(signal, timeout = ?settings.run.drain_timeout, "draining");
                break;
            }
            None if server.is_over() => {
                tracing::info!("the client has left");
                break;
            }
            None if server.is_broken() => {
                tracing::error!("stopping: a shard has ended unexpectedly");
                break;
            }
            None => {}
        }
    }
    let was_broken = server.is_broken();
    let drained = server.drain(settings.run.drain_timeout, |patience| {
        signals.is_stop_within(patience)
    });
    write(&drained.report, settings);
    if !drained.is_clean {
        tracing::warn!("the drain was cut short; calls in flight are lost");
    }
    // Shards that hang are left behind: nobody waits for their threads, which end with the process.
    Ok(ExitCode::from(u8::from(!drained.is_clean || was_broken)))
}

/// Logs where the server listens and how large it is.
fn announce(settings: &Settings, server: &Server) {
    let memory = ByteSize(settings.memory.fixed_bytes()).rounded();
    let memory_max = ByteSize(settings.memory.budget_bytes).rounded();
    let toolsets: Vec<&str> = settings
        .toolsets
        .names
        .iter()
        .map(|toolset| toolset.name())
        .collect();
    let servers: Vec<&str> = settings
        .children
        .servers
        .iter()
        .map(|server| server.name.as_str())
        .collect();
    let admin = server
        .admin_address()
        .map_or_else(|| "off".to_owned(), |address| address.to_string());
    tracing::info!(
        url = %server.urls().join(", "),
        %admin,
        shards = settings.shards.len(),
        pool_size = settings.sizes.handlers,
        memory = memory.as_str(),
        memory_max = memory_max.as_str(),
        connections_max = settings.connections.limit(),
        toolsets = %toolsets.join(","),
        servers = %servers.join(","),
        "serving"
    );
}

/// Writes a report where it belongs; a closed pipe is nobody's error.
fn write(report: &Report, settings: &Settings) {
    let written = match (settings.output.report(), settings.report_stream) {
        (ReportTarget::Page(file), _) => write_whole(&file, report.to_html()).inspect(|()| {
            tracing::info!(file = %file.display(), "page written");
        }),
        (ReportTarget::Stream(format), ReportStream::Stdout) => {
            report.write(format, &mut io::stdout().lock())
        }
        (ReportTarget::Stream(format), ReportStream::Stderr) => {
            report.write(format, &mut io::stderr().lock())
        }
    };
    if let Err(error) = written {
        tracing::warn!(%error, "the report could not be written");
    }
}
