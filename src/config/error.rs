//! Why a configuration is refused: the operator's fault, in the operator's words.
//!
//! Every text gives the fact, the value, the limit and the next step, on one line.

use thiserror::Error;

/// One thing that is wrong with what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {reason}; check the path and its permissions")]
    FileUnreadable {
        /// The file.
        path: String,
        /// What the kernel said.
        reason: String,
    },
    /// The file is not TOML.
    #[error("not TOML: {reason}")]
    NotToml {
        /// What the parser said, with line and column.
        reason: String,
    },
    /// A key nobody knows.
    #[error("unknown key `{name}`; {}", next_name(.nearest))]
    UnknownKey {
        /// As it stands in the file.
        name: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// A variable that looks like ours and is not.
    #[error("unknown environment variable `{variable}`; {}", next_name(.nearest))]
    UnknownVariable {
        /// As it stands in the environment.
        variable: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// A value of a type the option does not take.
    #[error("{name}: found {} {found}, wanted {wanted}", article(.found))]
    WrongType {
        /// The option.
        name: &'static str,
        /// TOML's name of what stands there.
        found: &'static str,
        /// What should.
        wanted: &'static str,
    },
    /// A value that is not understood or out of bounds.
    #[error("{name} = {value} ({place}) {reason}")]
    BadValue {
        /// The option.
        name: &'static str,
        /// What was given.
        value: String,
        /// Where it was given.
        place: String,
        /// Completes the sentence: what is wrong, the limit and what to do.
        reason: String,
    },
    /// Values that are fine alone and impossible together, or on this machine.
    #[error("{0}")]
    Impossible(String),
}

fn next_name(nearest: &Option<String>) -> String {
    match nearest {
        Some(name) => format!("did you mean `{name}`?"),
        None => "`weir serve --help` lists all of them".to_owned(),
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    }
}
