//! All inputs of the command: flags, the environment, and the configuration file.

use std::path::Path;

use super::command;
use crate::config::{ConfigError, Inputs, Source, is_variable, read_regular_file};

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
