//! Where values come from: flags, environment, file, in this order of precedence.
//!
//! Collects texts and remembers their origin; what the texts mean is decided in `values`. Reads neither the
//! environment nor any file itself. Invariant: every stored key is one of the table.

use std::collections::BTreeMap;
use std::fmt;

use super::ConfigError;
use super::options::{Key, Kind, OPTIONS, OptionSpec, VARIABLE_PREFIX, nearest, option_named};

/// The one setting that cannot stand in the file, because it names the file.
pub const CONFIG_NAME: &str = "config";

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
}

/// All texts of all options, the strongest source per option.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    given: BTreeMap<Key, Given>,
}

impl Inputs {
    /// Nothing given.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was given for an option.
    pub fn given(&self, key: Key) -> Option<&Given> {
        self.given.get(&key)
    }

    /// Takes one option's texts, unless a stronger source gave some. No texts: nothing was given.
    pub fn insert(&mut self, key: Key, texts: Vec<String>, source: Source) {
        let is_outranked = self
            .given
            .get(&key)
            .is_some_and(|present| present.source > source);
        if !texts.is_empty() && !is_outranked {
            self.given.insert(key, Given { texts, source });
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

    /// Takes the environment's variables; those without the program's prefix are none of ours, empty ones count as
    /// not set, and commas separate the values of a repeatable option.
    ///
    /// # Errors
    /// One error per unknown variable.
    pub fn insert_environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), Vec<ConfigError>> {
        let mut errors = Vec::new();
        for (variable, text) in variables {
            let is_ours = variable.starts_with(VARIABLE_PREFIX);
            if !is_ours || text.is_empty() || variable == config_variable() {
                continue;
            }
            match OPTIONS.iter().find(|spec| spec.variable() == variable) {
                Some(spec) => self.insert(spec.key, split_variable(spec, &text), Source::Environment),
                None => errors.push(unknown_variable(variable)),
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Takes the text of a configuration file.
    ///
    /// # Errors
    /// When it is not TOML, has an unknown key, or a value of a type no option has.
    pub fn insert_file(&mut self, text: &str) -> Result<(), Vec<ConfigError>> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            vec![ConfigError::NotToml {
                reason: one_line(&error.to_string()),
            }]
        })?;
        let mut errors = Vec::new();
        for (name, value) in &table {
            let texts = match option_named(name) {
                Some(spec) => texts_of(spec, value).map(|texts| (spec.key, texts)),
                None => Err(unknown_key(name)),
            };
            match texts {
                Ok((key, texts)) => self.insert(key, texts, Source::File),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// The environment variable that names the configuration file.
pub fn config_variable() -> String {
    format!("{VARIABLE_PREFIX}{}", CONFIG_NAME.to_ascii_uppercase())
}

fn split_variable(spec: &OptionSpec, text: &str) -> Vec<String> {
    if spec.is_repeatable {
        text.split(',').map(|part| part.trim().to_owned()).collect()
    } else {
        vec![text.to_owned()]
    }
}

fn unknown_key(name: &str) -> ConfigError {
    ConfigError::UnknownKey {
        nearest: nearest(name, OPTIONS.iter().map(|spec| spec.name)).map(str::to_owned),
        name: name.to_owned(),
    }
}

fn unknown_variable(variable: String) -> ConfigError {
    let mut known: Vec<String> = OPTIONS.iter().map(OptionSpec::variable).collect();
    known.push(config_variable());
    // Compared without the prefix, which all of them share.
    let bare = |name: &str| name[VARIABLE_PREFIX.len()..].to_owned();
    let names: Vec<String> = known.iter().map(|name| bare(name)).collect();
    let found = nearest(&bare(&variable), names.iter().map(String::as_str));
    ConfigError::UnknownVariable {
        nearest: found.map(|name| format!("{VARIABLE_PREFIX}{name}")),
        variable,
    }
}

fn texts_of(spec: &OptionSpec, value: &toml::Value) -> Result<Vec<String>, ConfigError> {
    let wrong_type = || ConfigError::WrongType {
        name: spec.name,
        found: value.type_str(),
        wanted: wanted_type(spec),
    };
    match value {
        toml::Value::Array(items) if spec.is_repeatable && !items.is_empty() => items
            .iter()
            .map(|item| text_of(spec.kind, item).ok_or_else(wrong_type))
            .collect(),
        single => text_of(spec.kind, single)
            .map(|text| vec![text])
            .ok_or_else(wrong_type),
    }
}

/// Numbers and truth values may stand unquoted where the option's values look like that.
fn text_of(kind: Kind, value: &toml::Value) -> Option<String> {
    match (kind, value) {
        (Kind::Switch, toml::Value::Boolean(truth)) => Some(truth.to_string()),
        (Kind::Switch, _) => None,
        (_, toml::Value::String(text)) => Some(text.clone()),
        // A bare number is accepted for a duration here, so that the answer is "has no unit", not "wrong type".
        (
            Kind::Count { .. }
            | Kind::CountOrAuto { .. }
            | Kind::Size { .. }
            | Kind::Cpus
            | Kind::Duration { .. }
            | Kind::Patience { .. }
            | Kind::PatienceOrNone { .. },
            toml::Value::Integer(number),
        ) => Some(number.to_string()),
        _ => None,
    }
}

fn wanted_type(spec: &OptionSpec) -> &'static str {
    match (spec.kind, spec.is_repeatable) {
        (Kind::Switch, _) => "true or false",
        (_, true) => "a string or an array of strings",
        (Kind::Count { .. }, _) => "a whole number",
        (Kind::CountOrAuto { .. }, _) => "a whole number or \"auto\"",
        _ => "a string",
    }
}

/// The parser draws a picture over several lines; a log record and an error are one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(inputs: &Inputs, key: Key) -> Option<(Vec<&str>, Source)> {
        inputs
            .given(key)
            .map(|given| (given.texts.iter().map(String::as_str).collect(), given.source))
    }

    fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
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

    #[test]
    fn every_option_can_be_given_in_the_environment_and_in_the_file() {
        for spec in &OPTIONS {
            let mut inputs = Inputs::new();
            inputs
                .insert_environment(variables(&[(&spec.variable(), "true")]))
                .unwrap();
            assert_eq!(
                texts(&inputs, spec.key),
                Some((vec!["true"], Source::Environment))
            );

            let mut inputs = Inputs::new();
            let quoted = if spec.kind == Kind::Switch {
                "true"
            } else {
                "\"true\""
            };
            inputs.insert_file(&format!("{} = {quoted}", spec.name)).unwrap();
            assert_eq!(texts(&inputs, spec.key), Some((vec!["true"], Source::File)));
        }
    }

    #[test]
    fn repeatable_options_are_arrays_in_the_file_and_lists_in_the_environment() {
        let mut inputs = Inputs::new();
        inputs
            .insert_file("toolset = ['demo', 'files']\nallow-host = 'a'")
            .unwrap();
        assert_eq!(
            texts(&inputs, Key::Toolset),
            Some((vec!["demo", "files"], Source::File))
        );
        assert_eq!(texts(&inputs, Key::AllowHost), Some((vec!["a"], Source::File)));
        inputs
            .insert_environment(variables(&[
                ("WEIR_TOOLSET", "files, demo"),
                ("WEIR_CPUS", "0,1"),
            ]))
            .unwrap();
        let expected = (vec!["files", "demo"], Source::Environment);
        assert_eq!(texts(&inputs, Key::Toolset), Some(expected));
        assert_eq!(
            texts(&inputs, Key::Cpus),
            Some((vec!["0,1"], Source::Environment))
        );
    }

    #[test]
    fn numbers_and_truth_may_stand_unquoted() {
        let mut inputs = Inputs::new();
        let file =
            "pool-size = 8\nshards = 2\nmemory-max = 33554432\nrequire-session = true\nhead-timeout = 5";
        inputs.insert_file(file).unwrap();
        for (key, text) in [
            (Key::PoolSize, "8"),
            (Key::Shards, "2"),
            (Key::MemoryMax, "33554432"),
            (Key::RequireSession, "true"),
            (Key::HeadTimeout, "5"),
        ] {
            assert_eq!(texts(&inputs, key), Some((vec![text], Source::File)));
        }
    }

    #[test]
    fn unknown_keys_and_variables_are_refused_with_the_nearest() {
        let cases = [
            (
                "pool_size = 8",
                "unknown key `pool_size`; did you mean `pool-size`?",
            ),
            ("Listen = 'x'", "unknown key `Listen`; did you mean `listen`?"),
            (
                "[pool]\nsize = 8",
                "unknown key `pool`; did you mean `pool-size`?",
            ),
            (
                "qqq = 8",
                "unknown key `qqq`; `weir serve --help` lists all of them",
            ),
            (
                "config = 'x'",
                "unknown key `config`; `weir serve --help` lists all of them",
            ),
        ];
        for (file, message) in cases {
            let errors = Inputs::new().insert_file(file).unwrap_err();
            assert_eq!(errors[0].to_string(), message);
            assert_eq!(errors.len(), 1);
        }
        let errors = Inputs::new()
            .insert_environment(variables(&[
                ("WEIR_POOLSIZE", "8"),
                ("PATH", "/bin"),
                ("WEIR_CONFIG", "f"),
            ]))
            .unwrap_err();
        assert_eq!(errors.len(), 1);
        assert_eq!(
            errors[0].to_string(),
            "unknown environment variable `WEIR_POOLSIZE`; did you mean `WEIR_POOL_SIZE`?"
        );
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let mut inputs = Inputs::new();
        inputs
            .insert_environment(variables(&[("WEIR_ROOT", "")]))
            .unwrap();
        assert_eq!(inputs.given(Key::Root), None);
    }

    #[test]
    fn wrong_types_and_broken_files_are_refused() {
        let cases = [
            (
                "pool-size = 1.5",
                "pool-size: found a float, wanted a whole number",
            ),
            (
                "require-session = 'yes'",
                "require-session: found a string, wanted true or false",
            ),
            ("root = 5", "root: found a integer, wanted a string"),
            ("root = ['a']", "root: found a array, wanted a string"),
            (
                "toolset = []",
                "toolset: found a array, wanted a string or an array of strings",
            ),
            (
                "toolset = [1]",
                "toolset: found a array, wanted a string or an array of strings",
            ),
        ];
        for (file, message) in cases {
            let errors = Inputs::new().insert_file(file).unwrap_err();
            assert_eq!(
                errors[0].to_string(),
                message
                    .replace("a integer", "an integer")
                    .replace("a array", "an array")
            );
        }
        for broken in ["pool-size = ", "pool-size = 1\npool-size = 2", "\u{0}"] {
            let errors = Inputs::new().insert_file(broken).unwrap_err();
            let message = errors[0].to_string();
            assert!(
                message.starts_with("not TOML: TOML parse error at line"),
                "{message}"
            );
            assert!(!message.contains('\n'));
        }
    }
}
