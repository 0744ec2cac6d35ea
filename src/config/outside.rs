//! A configuration file and the environment, read as they are on this machine.

use std::path::Path;

use super::around::read_regular_file;
use super::environment::is_variable;
use super::error::ConfigError;
use super::inputs::Inputs;

impl Inputs {
    /// Adds a configuration file.
    ///
    /// # Errors
    /// It cannot be read, or has faults.
    pub fn read_file(&mut self, path: &str) -> Result<(), Vec<ConfigError>> {
        let text = read_regular_file(Path::new(path)).map_err(|error| {
            vec![ConfigError::FileUnreadable {
                path: path.escape_debug().to_string(),
                reason: error.to_string(),
            }]
        })?;
        // Some editors put a byte-order mark first, which TOML does not allow.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        self.insert_file(path, text)
    }

    /// Adds this process's environment. A name that is not Unicode is ignored; an option's value that is not is a
    /// fault, since any replacement would be another value. A variable that is not an option is mentioned only by its
    /// name.
    pub fn read_environment(&mut self) -> Vec<ConfigError> {
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
        self.insert_environment(variables);
        errors
    }
}
