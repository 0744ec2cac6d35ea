//! All inputs of the command: flags, the environment, and the configuration file; and the machine that it runs on.

use std::process::ExitCode;

use super::command;
use super::terminal::{print_error, refuse};
use super::toolsets;
use crate::config::{Around, ConfigError, Host, Inputs, Resolved, Source, raise_soft_limits, resolve};

/// All inputs, from the weakest source to the strongest.
pub(super) fn inputs(matches: &clap::ArgMatches) -> Result<Inputs, Vec<ConfigError>> {
    let mut inputs = Inputs::new();
    let mut errors = Vec::new();
    if let Some(path) = command::config_file(matches) {
        errors.extend(inputs.read_file(&path).err().into_iter().flatten());
    }
    errors.extend(inputs.read_environment());
    insert_flags(&mut inputs, matches);
    if errors.is_empty() {
        Ok(inputs)
    } else {
        Err(errors)
    }
}

/// Adds the flags to the inputs.
pub(super) fn insert_flags(inputs: &mut Inputs, matches: &clap::ArgMatches) {
    for (name, texts) in command::flags(matches) {
        inputs.insert(name, texts, Source::Flag);
    }
}

/// This machine, with those limits raised that can be.
///
/// # Errors
/// It cannot be read, which was printed.
pub(super) fn machine() -> Result<Host, ExitCode> {
    raise_soft_limits();
    Host::read().map_err(|error| {
        print_error(&error.to_string());
        ExitCode::FAILURE
    })
}

/// What the inputs mean on this machine.
///
/// # Errors
/// They mean nothing, or the machine cannot be read, which was printed.
pub(super) fn resolved(inputs: &Inputs) -> Result<Resolved, ExitCode> {
    let host = machine()?;
    let resolved =
        Around::this_process(|around| resolve(inputs, &host, &around)).map_err(|errors| refuse(&errors))?;
    match toolsets::check_tools(&resolved.settings) {
        Ok(()) => Ok(resolved),
        Err(error) => Err(refuse(&[error])),
    }
}
