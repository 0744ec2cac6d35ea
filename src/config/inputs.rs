//! The sources of values: flags, environment and file, in this order of precedence.
//!
//! This collects texts and remembers their source; `read` decides what the texts mean, and `environment` and `file`
//! decide which options an environment or a file holds. Invariant: every stored name is an option's.

use std::collections::BTreeMap;
use std::fmt;

use super::error::{ConfigError, FilePlace};
use super::nearest::nearest;
use super::options::Options;
use super::spec::OptionSpec;

/// Where a value was given. Later sources take precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// It was not given.
    Default,
    /// It was given as a key of the configuration file.
    File,
    /// It was given as an environment variable.
    Environment,
    /// It was given on the command line.
    Flag,
}

impl Source {
    /// The words by which an operator finds the place again.
    pub fn place(self, spec: &OptionSpec) -> String {
        match self {
            Self::Default => "the default".to_owned(),
            Self::File => "from the file".to_owned(),
            Self::Environment => format!("from {}", spec.variable()),
            Self::Flag => format!("from --{}", spec.name),
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
        })
    }
}

/// The texts that were given for an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenTexts {
    /// One text, or several where the option is repeatable; never empty.
    pub texts: Vec<String>,
    /// Where they were given.
    pub source: Source,
    /// Their place, if they stand in a file.
    pub place: Option<FilePlace>,
}

/// All texts of all options, from the strongest source for each option.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    given: BTreeMap<&'static str, GivenTexts>,
    pub(super) notes: Vec<String>,
    pub(super) remarks: Vec<String>,
}

impl Inputs {
    /// Inputs without any values.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same inputs for a server with one client on stdin and stdout, whatever file and environment say.
    pub fn over_stdio(mut self) -> Self {
        self.insert("transport", vec!["stdio".to_owned()], Source::Flag);
        self
    }

    /// The texts that were given for an option.
    pub fn given(&self, name: &str) -> Option<&GivenTexts> {
        self.given.get(name)
    }

    /// Warnings about inputs that look like a typing mistake and change nothing, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Remarks on inputs that were ignored and were probably never meant for this program, one sentence each.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Takes one option's texts, unless a stronger source gave some. An empty list means that nothing was given.
    pub fn insert(&mut self, name: &'static str, texts: Vec<String>, source: Source) {
        debug_assert!(Options::spec(name).is_some(), "{name} is no option");
        self.insert_given(
            name,
            GivenTexts {
                texts,
                source,
                place: None,
            },
        );
    }

    pub(super) fn insert_given(&mut self, name: &'static str, given: GivenTexts) {
        let is_outranked = self
            .given
            .get(name)
            .is_some_and(|present| present.source > given.source);
        if !given.texts.is_empty() && !is_outranked {
            self.given.insert(name, given);
        }
    }
}

/// The name of the option most like an unknown name.
pub fn nearest_option(name: &str) -> Option<&'static str> {
    nearest(name, Options::specs().map(|spec| spec.name))
}

pub(super) fn unknown_key(name: &str) -> ConfigError {
    ConfigError::UnknownKey {
        nearest: nearest_option(name).map(str::to_owned),
        name: name.to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::config) fn texts<'a>(inputs: &'a Inputs, name: &str) -> Option<(Vec<&'a str>, Source)> {
        inputs
            .given(name)
            .map(|given| (given.texts.iter().map(String::as_str).collect(), given.source))
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
                    inputs.insert("pool-size", vec![source.to_string()], *source);
                }
                let strongest = *given.iter().max().unwrap();
                let expected = strongest.to_string();
                assert_eq!(
                    texts(&inputs, "pool-size"),
                    Some((vec![expected.as_str()], strongest))
                );
            }
        }
    }
}
