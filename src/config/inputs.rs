//! Where values come from: flags, environment, file, in this order of precedence.
//!
//! Collects texts and remembers their origin; what the texts mean is decided in `values`, and which of them an
//! environment or a file holds in `environment` and `file`. Invariant: every stored key is one of the table.

use std::collections::BTreeMap;
use std::fmt;

use super::ConfigError;
use super::error::FilePlace;
use super::options::{Key, OPTIONS, OptionSpec, nearest, option_named};

/// Where a value was given. Later ones win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Nowhere.
    Default,
    /// A key of the configuration file.
    File,
    /// An environment variable.
    Environment,
    /// The command line.
    Flag,
    /// The program that a server is part of.
    Program,
}

impl Source {
    /// How an operator finds the place again.
    pub fn place(self, spec: &OptionSpec) -> String {
        match self {
            Self::Default => "the default".to_owned(),
            Self::File => "from the file".to_owned(),
            Self::Environment => format!("from {}", spec.variable()),
            Self::Flag => format!("from --{}", spec.name),
            Self::Program => "from the program".to_owned(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
            Self::Program => "program",
        })
    }
}

/// The texts an option was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// One text, or several where the option is repeatable; never empty.
    pub texts: Vec<String>,
    /// Who gave them.
    pub source: Source,
    /// Where they stand, if in a file.
    pub place: Option<FilePlace>,
}

/// All texts of all options, the strongest source per option.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    given: BTreeMap<Key, Given>,
    pub(super) notes: Vec<String>,
    pub(super) remarks: Vec<String>,
}

impl Inputs {
    /// Nothing given.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, for the one client on stdin and stdout, whatever file and environment say.
    pub fn over_stdio(mut self) -> Self {
        self.insert(Key::Transport, vec!["stdio".to_owned()], Source::Flag);
        self
    }

    /// What was given for an option.
    pub fn given(&self, key: Key) -> Option<&Given> {
        self.given.get(&key)
    }

    /// What looks like a slip of the finger and changes nothing, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What was passed over and probably never meant for this program, one sentence each.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Takes one option's texts, unless a stronger source gave some. No texts: nothing was given.
    pub fn insert(&mut self, key: Key, texts: Vec<String>, source: Source) {
        self.insert_given(
            key,
            Given {
                texts,
                source,
                place: None,
            },
        );
    }

    pub(super) fn insert_given(&mut self, key: Key, given: Given) {
        let is_outranked = self
            .given
            .get(&key)
            .is_some_and(|present| present.source > given.source);
        if !given.texts.is_empty() && !is_outranked {
            self.given.insert(key, given);
        }
    }

    /// Takes what the program around a server says of an option: the last text counts, or all of them where the option
    /// is repeatable.
    pub fn add(&mut self, key: Key, text: String) {
        let is_repeated = key.spec().is_repeatable;
        let before = self.given.remove(&key);
        let mut texts = before
            .filter(|given| is_repeated && given.source == Source::Program)
            .map_or_else(Vec::new, |given| given.texts);
        texts.push(text);
        self.insert(key, texts, Source::Program);
    }

    /// The same for an option by its name.
    ///
    /// # Errors
    /// When no option has that name.
    pub fn add_named(&mut self, name: &str, text: String) -> Result<(), ConfigError> {
        let spec = option_named(name).ok_or_else(|| unknown_key(name))?;
        self.add(spec.key, text);
        Ok(())
    }
}

pub(super) fn unknown_key(name: &str) -> ConfigError {
    ConfigError::UnknownKey {
        nearest: nearest(name, OPTIONS.iter().map(|spec| spec.name)).map(str::to_owned),
        name: name.to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::config) fn texts(inputs: &Inputs, key: Key) -> Option<(Vec<&str>, Source)> {
        inputs
            .given(key)
            .map(|given| (given.texts.iter().map(String::as_str).collect(), given.source))
    }

    #[test]
    fn a_program_names_options_and_outranks_everybody() {
        let mut inputs = Inputs::new();
        for text in ["7", "8"] {
            inputs.add_named("pool-size", text.to_owned()).unwrap();
            inputs.add_named("allow-host", text.to_owned()).unwrap();
        }
        inputs.insert(Key::PoolSize, vec!["9".to_owned()], Source::Flag);
        assert_eq!(texts(&inputs, Key::PoolSize), Some((vec!["8"], Source::Program)));
        assert_eq!(
            texts(&inputs, Key::AllowHost),
            Some((vec!["7", "8"], Source::Program))
        );
        let unknown = inputs.add_named("pool_size", "8".to_owned()).unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "unknown key `pool_size`; did you mean `pool-size`?"
        );
    }

    #[test]
    fn the_strongest_source_wins_whatever_the_order() {
        let sources = [Source::File, Source::Environment, Source::Flag];
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        for order in orders {
            for present in 1..8_usize {
                let mut inputs = Inputs::new();
                let given: Vec<Source> = order
                    .iter()
                    .filter(|bit| present >> **bit & 1 == 1)
                    .map(|at| sources[*at])
                    .collect();
                for source in &given {
                    inputs.insert(Key::PoolSize, vec![source.to_string()], *source);
                }
                let strongest = *given.iter().max().unwrap();
                let expected = strongest.to_string();
                assert_eq!(
                    texts(&inputs, Key::PoolSize),
                    Some((vec![expected.as_str()], strongest))
                );
            }
        }
    }
}
