//! Where values come from: flags, environment, file, in this order of precedence.
//!
//! Collects texts and remembers their origin; what the texts mean is decided in `values`. Reads neither the
//! environment nor any file itself. Invariant: every stored key is one of the table.

use std::collections::BTreeMap;
use std::fmt;

use toml::Spanned;

use super::ConfigError;
use super::error::FilePlace;
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
    /// Where they stand, if in a file.
    pub place: Option<FilePlace>,
}

/// All texts of all options, the strongest source per option.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    given: BTreeMap<Key, Given>,
    notes: Vec<String>,
    remarks: Vec<String>,
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

    fn insert_given(&mut self, key: Key, given: Given) {
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

    /// Takes the environment's variables; those without the program's prefix are none of ours, empty ones count as
    /// not set, and commas separate the values of a repeatable option. A name that is no option is never an error,
    /// since the environment is everybody's: one that is much like an option's is [noted](Self::notes), others are
    /// [remarked on](Self::remarks), and what container platforms set for a service of this name is not even that.
    pub fn insert_environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        for (variable, text) in variables {
            let Some(name) = variable.strip_prefix(VARIABLE_PREFIX) else {
                continue;
            };
            if text.is_empty() || variable == config_variable() || is_service_link(name, &text) {
                continue;
            }
            match OPTIONS.iter().find(|spec| spec.variable() == variable) {
                Some(spec) => self.insert(spec.key, split_variable(spec, &text), Source::Environment),
                None => self.pass_over(&variable),
            }
        }
    }

    fn pass_over(&mut self, variable: &str) {
        let fact = format!("{variable} is set in the environment, but is no option and changes nothing");
        match nearest_variable(variable) {
            Some(meant) => self.notes.push(format!("{fact}; did you mean `{meant}`?")),
            None => self.remarks.push(fact),
        }
    }

    /// Takes the text of a configuration file; `path` is how its operator knows it.
    ///
    /// # Errors
    /// When it is not TOML, has an unknown key, or a value of a type no option has: each with its place in the file, in
    /// the order of the file.
    pub fn insert_file(&mut self, path: &str, text: &str) -> Result<(), Vec<ConfigError>> {
        type Table = BTreeMap<Spanned<String>, Spanned<toml::Value>>;
        let table: Table = toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            let reason = ConfigError::NotToml {
                reason: one_line(error.message()),
            };
            vec![reason.at(FilePlace::new(path, text, span))]
        })?;
        let mut rows: Vec<_> = table.into_iter().collect();
        rows.sort_by_key(|(name, _)| name.span().start);
        let mut errors = Vec::new();
        for (name, value) in &rows {
            match read_row(name.get_ref(), value.get_ref()) {
                Ok((key, texts)) => self.insert_given(
                    key,
                    Given {
                        texts,
                        source: Source::File,
                        place: Some(FilePlace::new(path, text, value.span())),
                    },
                ),
                Err(error) => {
                    let is_about_value = matches!(error, ConfigError::WrongType { .. });
                    let span = if is_about_value { value.span() } else { name.span() };
                    errors.push(error.at(FilePlace::new(path, text, span)));
                }
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// One line of a file, read.
fn read_row(name: &str, value: &toml::Value) -> Result<(Key, Vec<String>), ConfigError> {
    match option_named(name) {
        Some(spec) => texts_of(spec, value).map(|texts| (spec.key, texts)),
        None => Err(match first_table(value) {
            Some(table) => in_a_table(name, table),
            None => unknown_key(name),
        }),
    }
}

/// `[serve]`, `serve = {}` and `[[serve]]`.
fn first_table(value: &toml::Value) -> Option<&toml::Table> {
    match value {
        toml::Value::Table(table) => Some(table),
        toml::Value::Array(items) => items.first().and_then(toml::Value::as_table),
        _ => None,
    }
}

/// `[pool] size = 8` is most likely `pool-size = 8`.
fn in_a_table(name: &str, table: &toml::Table) -> ConfigError {
    let joined = table
        .keys()
        .map(|key| format!("{name}-{}", key.replace('_', "-")));
    let meant = joined.into_iter().find_map(|joined| option_named(&joined));
    ConfigError::Table {
        name: name.to_owned(),
        meant: meant.map(|spec| spec.name),
    }
}

/// The environment variable that names the configuration file.
pub fn config_variable() -> String {
    format!("{VARIABLE_PREFIX}{}", CONFIG_NAME.to_ascii_uppercase())
}

/// Whether an environment variable is an option's, or names the configuration file.
pub fn is_variable(name: &str) -> bool {
    name == config_variable() || OPTIONS.iter().any(|spec| spec.variable() == name)
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

/// Compared without the prefix, which all of them share.
fn nearest_variable(variable: &str) -> Option<String> {
    let bare = |name: &str| {
        name[VARIABLE_PREFIX.len()..]
            .to_ascii_lowercase()
            .replace('_', "-")
    };
    let config = config_variable();
    let known: Vec<String> = OPTIONS.iter().map(OptionSpec::variable).chain([config]).collect();
    let names: Vec<String> = known.iter().map(|name| bare(name)).collect();
    let found = nearest(&bare(variable), names.iter().map(String::as_str))?;
    let at = names.iter().position(|name| name == found)?;
    known.get(at).cloned()
}

/// Whether a variable is one of those that Kubernetes sets in every container for every service, and Docker for every
/// link; `name` is without the prefix. A service `weir` gives `WEIR_PORT=tcp://10.0.0.7:8080`, one called `weir-admin`
/// gives `WEIR_ADMIN_PORT`.
fn is_service_link(name: &str, text: &str) -> bool {
    let has_scheme = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    let is_host = ends_with_word(name, "SERVICE_HOST");
    // The unnamed port, and every named one.
    let is_port = ends_with_word(name, "SERVICE_PORT") || has_words(name, "SERVICE_PORT_");
    let is_address = has_scheme && (ends_with_word(name, "PORT") || has_words(name, "PORT_"));
    // `PORT_8080_TCP_ADDR` and its like.
    let is_part = has_words(name, "PORT_")
        && ["_PROTO", "_PORT", "_ADDR"].iter().any(|end| name.ends_with(end))
        && ["_TCP_", "_UDP_", "_SCTP_"]
            .iter()
            .any(|kind| name.contains(kind));
    // Docker: the names of both containers, and the linked one's own environment.
    let is_docker = (ends_with_word(name, "NAME") && text.starts_with('/')) || has_words(name, "ENV_");
    is_host || is_port || is_address || is_part || is_docker
}

/// Whether `name` is `word`, or ends with it behind an underscore.
fn ends_with_word(name: &str, word: &str) -> bool {
    name.strip_suffix(word)
        .is_some_and(|before| before.is_empty() || before.ends_with('_'))
}

/// Whether `name` begins with `words`, or has them behind an underscore.
fn has_words(name: &str, words: &str) -> bool {
    name.starts_with(words) || name.contains(&format!("_{words}"))
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
        (kind, toml::Value::Boolean(truth)) if kind.takes_truth() => Some(truth.to_string()),
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

fn wanted_type(spec: &OptionSpec) -> String {
    match (spec.kind, spec.is_repeatable) {
        (Kind::Switch, _) => "true or false".to_owned(),
        (_, true) => "a string or an array of strings".to_owned(),
        (Kind::Choice(words), _) => words
            .iter()
            .map(|word| format!("\"{word}\""))
            .collect::<Vec<_>>()
            .join(" or "),
        (Kind::Count { .. }, _) => "a whole number".to_owned(),
        (Kind::CountOrAuto { .. }, _) => "a whole number or \"auto\"".to_owned(),
        _ => "a string".to_owned(),
    }
}

/// The parser may say several things on lines of their own; a log record and an error are one.
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
            inputs.insert_environment(variables(&[(&spec.variable(), "true")]));
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
            inputs
                .insert_file("weir.toml", &format!("{} = {quoted}", spec.name))
                .unwrap();
            assert_eq!(texts(&inputs, spec.key), Some((vec!["true"], Source::File)));
        }
    }

    #[test]
    fn repeatable_options_are_arrays_in_the_file_and_lists_in_the_environment() {
        let mut inputs = Inputs::new();
        inputs
            .insert_file("weir.toml", "toolset = ['demo', 'files']\nallow-host = 'a'")
            .unwrap();
        assert_eq!(
            texts(&inputs, Key::Toolset),
            Some((vec!["demo", "files"], Source::File))
        );
        assert_eq!(texts(&inputs, Key::AllowHost), Some((vec!["a"], Source::File)));
        inputs.insert_environment(variables(&[
            ("WEIR_TOOLSET", "files, demo"),
            ("WEIR_CPUS", "0,1"),
        ]));
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
        inputs.insert_file("weir.toml", file).unwrap();
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

    /// What is wrong with a file, with places.
    fn refused(file: &str) -> Vec<String> {
        let errors = Inputs::new().insert_file("weir.toml", file).unwrap_err();
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_and_their_place() {
        let cases = [
            (
                "pool_size = 8",
                "1:1: unknown key `pool_size`; did you mean `pool-size`?",
            ),
            (
                "\n Listen = 'x'",
                "2:2: unknown key `Listen`; did you mean `listen`?",
            ),
            (
                "qqq = 8",
                "1:1: unknown key `qqq`; `weir serve --help` lists all of them",
            ),
            (
                "config = 'x'",
                "1:1: unknown key `config`; `weir serve --help` lists all of them",
            ),
        ];
        for (file, message) in cases {
            assert_eq!(refused(file), [format!("weir.toml:{message}")]);
        }
    }

    #[test]
    fn tables_are_told_from_options() {
        let cases = [
            (
                "[serve]\npool-size = 8",
                "1:2",
                "serve",
                "drop the line `[serve]`",
            ),
            ("serve = {}", "1:1", "serve", "drop the line `[serve]`"),
            (
                "[[serve]]\npool-size = 8",
                "1:3",
                "serve",
                "drop the line `[serve]`",
            ),
            ("serve.pool-size = 8", "1:1", "serve", "drop the line `[serve]`"),
            ("[pool]\nsize = 8", "1:2", "pool", "did you mean `pool-size`?"),
            ("pool = { size = 8 }", "1:1", "pool", "did you mean `pool-size`?"),
            (
                "[log]\nx = 1\nlevel = 'warn'",
                "1:2",
                "log",
                "did you mean `log-level`?",
            ),
        ];
        for (file, place, name, next) in cases {
            let message = format!(
                "weir.toml:{place}: `{name}` is a table, but options stand at the top of the file, in no table; {next}"
            );
            assert_eq!(refused(file), [message], "{file}");
        }
        assert_eq!(
            refused("[listen]\nx = 1"),
            ["weir.toml:1:1: listen: found a table, wanted a string"]
        );
    }

    #[test]
    fn all_that_is_wrong_with_a_file_stands_in_its_order() {
        let file = "zzz = 1\npool-size = 1.5\n\n  aaa = 2\n";
        let errors = Inputs::new().insert_file("weir.toml", file).unwrap_err();
        let places: Vec<String> = errors.iter().map(|error| error.to_string()).collect();
        let starts = ["weir.toml:1:1: ", "weir.toml:2:13: ", "weir.toml:4:3: "];
        for (text, start) in places.iter().zip(starts) {
            assert!(text.starts_with(start), "{text}");
        }
        assert_eq!(
            errors[1].excerpt(),
            ["  |", "2 | pool-size = 1.5", "  |             ^^^"]
        );
    }

    /// What is said of variables that are no options: as a warning, and in passing.
    fn passed_over(pairs: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let mut inputs = Inputs::new();
        inputs.insert_environment(variables(pairs));
        assert!(inputs.given.is_empty(), "{pairs:?}");
        (inputs.notes().to_vec(), inputs.remarks().to_vec())
    }

    #[test]
    fn a_misspelt_variable_is_named_and_others_are_mentioned() {
        for (variable, meant) in [
            ("WEIR_POOLSIZE", "WEIR_POOL_SIZE"),
            ("WEIR_POOL__SIZE", "WEIR_POOL_SIZE"),
            ("WEIR_pool_size", "WEIR_POOL_SIZE"),
            ("WEIR_MAX_MEMORY", "WEIR_MEMORY_MAX"),
            ("WEIR_CONFG", "WEIR_CONFIG"),
            ("WEIR_PORT", "WEIR_LISTEN"),
            ("WEIR_LOG", "WEIR_LOG_LEVEL"),
        ] {
            let note = format!(
                "{variable} is set in the environment, but is no option and changes nothing; did you mean `{meant}`?"
            );
            assert_eq!(passed_over(&[(variable, "8")]), (vec![note], Vec::new()));
        }
        for variable in ["WEIR_VERSION", "WEIR_HOME", "WEIR_", "WEIR_USER", "WEIR_SHA256"] {
            let remark =
                format!("{variable} is set in the environment, but is no option and changes nothing");
            assert_eq!(passed_over(&[(variable, "1.2.3")]), (Vec::new(), vec![remark]));
        }
    }

    #[test]
    fn what_platforms_set_for_services_is_not_mentioned() {
        let set = [
            ("PATH", "/bin"),
            ("weir_pool_size", "8"),
            ("WEIR_CONFIG", "f"),
            // Kubernetes, for services called `weir`, `weir-admin` and `weir-pool-size`.
            ("WEIR_SERVICE_HOST", "10.0.0.7"),
            ("WEIR_SERVICE_PORT", "8080"),
            ("WEIR_SERVICE_PORT_HTTP", "8080"),
            ("WEIR_SERVICE_PORT_MCP_V2", "8080"),
            ("WEIR_PORT", "tcp://10.0.0.7:8080"),
            ("WEIR_PORT_8080_TCP", "tcp://10.0.0.7:8080"),
            ("WEIR_PORT_8080_TCP_PROTO", "tcp"),
            ("WEIR_PORT_8080_TCP_PORT", "8080"),
            ("WEIR_PORT_8080_TCP_ADDR", "10.0.0.7"),
            ("WEIR_PORT_53_UDP", "udp://10.0.0.7:53"),
            ("WEIR_PORT_53_UDP_ADDR", "10.0.0.7"),
            ("WEIR_PORT_9_SCTP", "sctp://10.0.0.7:9"),
            ("WEIR_ADMIN_SERVICE_HOST", "10.0.0.7"),
            ("WEIR_ADMIN_SERVICE_PORT", "9464"),
            ("WEIR_ADMIN_SERVICE_PORT_METRICS", "9464"),
            ("WEIR_ADMIN_PORT", "tcp://10.0.0.7:9464"),
            ("WEIR_ADMIN_PORT_9464_TCP_ADDR", "10.0.0.7"),
            ("WEIR_POOL_SIZE_SERVICE_HOST", "10.0.0.7"),
            ("WEIR_POOL_SIZE_PORT", "tcp://[fd00::7]:8080"),
            // A service called `weir-reuse` has the name of an option.
            ("WEIR_REUSE_PORT", "tcp://10.0.0.7:8080"),
            // Docker's links.
            ("WEIR_NAME", "/app/weir"),
            ("WEIR_ENV_PATH", "/usr/bin"),
        ];
        assert_eq!(passed_over(&set), (Vec::new(), Vec::new()));
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let empty = [("WEIR_ROOT", ""), ("WEIR_POOLSIZE", ""), ("WEIR_VERSION", "")];
        assert_eq!(passed_over(&empty), (Vec::new(), Vec::new()));
    }

    #[test]
    fn wrong_types_and_broken_files_are_refused() {
        let cases = [
            (
                "pool-size = 1.5",
                "pool-size: found a float, wanted a whole number",
            ),
            (
                "require-session = 1",
                "require-session: found an integer, wanted true or false",
            ),
            ("steal = 1", "steal: found an integer, wanted \"on\" or \"off\""),
            (
                "transport = true",
                "transport: found a boolean, wanted \"http\" or \"stdio\"",
            ),
            ("admin = 1", "admin: found an integer, wanted a string"),
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
            let message = message
                .replace("a integer", "an integer")
                .replace("a array", "an array");
            let column = file.find("= ").unwrap() + 3;
            assert_eq!(refused(file), [format!("weir.toml:1:{column}: {message}")]);
        }
        for (broken, start) in [
            ("pool-size = ", "weir.toml:1:13: not TOML: "),
            (
                "pool-size = 1\npool-size = 2",
                "weir.toml:2:1: not TOML: duplicate key",
            ),
            ("a = 1\n= 2", "weir.toml:2:1: not TOML: "),
            ("\u{0}", "weir.toml:1:2: not TOML: "),
        ] {
            let errors = Inputs::new().insert_file("weir.toml", broken).unwrap_err();
            let message = errors[0].to_string();
            assert!(message.starts_with(start), "{message}");
            assert!(!message.contains('\n'));
            assert_eq!(errors[0].excerpt().len(), 3);
        }
    }

    #[test]
    fn truth_may_stand_unquoted_wherever_on_and_off_are() {
        for (file, key, text) in [
            ("steal = true", Key::Steal, "true"),
            ("sse-legacy = false", Key::SseLegacy, "false"),
            ("steal = 'on'", Key::Steal, "on"),
            ("require-session = 'on'", Key::RequireSession, "on"),
            ("admin = false", Key::Admin, "false"),
        ] {
            let mut inputs = Inputs::new();
            inputs.insert_file("weir.toml", file).unwrap();
            assert_eq!(texts(&inputs, key), Some((vec![text], Source::File)));
        }
    }
}
