//! Starting and stopping shards.

use std::process::ExitCode;

use crate::config::Settings;

/// Serves until told to stop; the status is the process's own.
pub fn run(settings: Settings) -> ExitCode {
    tracing::error!(listen = %settings.listen, "this build has no transport and cannot serve");
    ExitCode::FAILURE
}
