//! All inputs of the command: flags, the environment, and the configuration file.

use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;

use super::command;
use crate::config::{ConfigError, Inputs, Source, is_variable};

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
    for (name, texts) in command::flags(matches) {
        inputs.insert(name, texts, Source::Flag);
    }
    if errors.is_empty() {
        Ok(inputs)
    } else {
        Err(errors)
    }
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
    let text = read_regular_file(path).map_err(|error| {
        vec![ConfigError::FileUnreadable {
            path: path.escape_debug().to_string(),
            reason: error.to_string(),
        }]
    })?;
    // Some editors put a byte-order mark first, which TOML does not allow.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    inputs.insert_file(path, text)
}

/// Reads a regular file only: a pipe may never answer, a device may never end, and opening either could block.
fn read_regular_file(path: &str) -> io::Result<String> {
    /// No real configuration is that long.
    const FILE_BYTES_MAX: u64 = 1 << 20;
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("longer than {FILE_BYTES_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        io::Error::other(format!("line {line} is not UTF-8"))
    })
}
