//! All inputs of the command: flags, the environment, and the configuration file; and the machine that it runs on.

use std::path::Path;
use std::process::ExitCode;

use super::command;
use super::terminal::{print_error, refuse};
use crate::config::{
    Around, ConfigError, Host, Inputs, Resolved, Source, is_variable, raise_soft_limits, read_regular_file,
    resolve,
};

/// All inputs, from the weakest source to the strongest.
pub(super) fn inputs(matches: &clap::ArgMatches) -> Result<Inputs, Vec<ConfigError>> {
    let mut inputs = Inputs::new();
    let mut errors = Vec::new();
    if let Some(path) = command::config_file(matches) {
        errors.extend(read_file(&mut inputs, &path).err().into_iter().flatten());
    }
    let (variables, unreadable) = environment();
    errors.extend(unreadable);
    inputs.insert_environment(variables);
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
    Around::this_process(|around| resolve(inputs, &host, &around)).map_err(|errors| refuse(&errors))
}

/// The environment as text. A name that is not Unicode is ignored; an option's value that is not is refused, since any
/// replacement would be another value. A variable that is not an option is mentioned only by its name.
fn environment() -> (Vec<(String, String)>, Vec<ConfigError>) {
    let mut variables = Vec::new();
    let mut errors = Vec::new();
    for (name, value) in std::env::vars_os() {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => variables.push((name, value)),
            (Ok(name), Err(value)) if is_variable(&name) => {
                errors.push(ConfigError::Impossible(format!(
                    "{name} = {} is not Unicode; write it in UTF-8",
                    value.display()
                )));
            }
            (Ok(name), Err(value)) => variables.push((name, value.to_string_lossy().into_owned())),
            _ => {}
        }
    }
    // The system's order has no meaning.
    variables.sort_unstable();
    (variables, errors)
}

/// Adds a configuration file to the inputs.
pub(super) fn read_file(inputs: &mut Inputs, path: &str) -> Result<(), Vec<ConfigError>> {
    let text = read_regular_file(Path::new(path)).map_err(|error| {
        vec![ConfigError::FileUnreadable {
            path: path.escape_debug().to_string(),
            reason: error.to_string(),
        }]
    })?;
    // Some editors put a byte-order mark first, which TOML does not allow.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    inputs.insert_file(path, text)
}
