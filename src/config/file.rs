//! The configuration file: TOML, in which only keys at the top are options.
//!
//! The caller passes the text in; this reads no file itself. All faults are reported at once, each with its place.

use std::collections::BTreeMap;

use toml::Spanned;

use super::error::{ConfigError, FilePlace};
use super::inputs::{GivenTexts, Inputs, Source, unknown_key};
use super::kind::Kind;
use super::options::Options;
use super::spec::OptionSpec;

impl Inputs {
    /// Takes the text of a configuration file; `path` is the name by which the operator knows it.
    ///
    /// # Errors
    /// Fails when the text is not TOML, has an unknown key, or has a value of a type that the option does not take:
    /// each with its place, in the order of the file.
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
                Ok((name, texts)) => self.insert_given(
                    name,
                    GivenTexts {
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

/// The option of this name, if it may stand in a file.
fn option_in_file(name: &str) -> Option<&'static OptionSpec> {
    Options::spec(name).filter(|spec| spec.places.file)
}

/// One line of a file, read.
fn read_row(name: &str, value: &toml::Value) -> Result<(&'static str, Vec<String>), ConfigError> {
    if let (Some(spec), toml::Value::Table(tools)) = (option_in_file(name), value)
        && spec.kind == Kind::Tools
    {
        return texts_of_tools(spec, tools).map(|texts| (spec.name, texts));
    }
    let table = first_table(value).map(|table| in_a_table(name, table));
    match (option_in_file(name), table) {
        // The option is no table, but another one was looked for in a table of this name.
        (Some(_), Some(error @ ConfigError::Table { meant: Some(_), .. })) => Err(error),
        (Some(spec), _) => texts_of(spec, value).map(|texts| (spec.name, texts)),
        (None, Some(error)) => Err(error),
        (None, None) => Err(unknown_key(name)),
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

/// `[pool] size = 8` probably means `pool-size = 8`.
fn in_a_table(name: &str, table: &toml::Table) -> ConfigError {
    let joined = table
        .keys()
        .map(|key| format!("{name}-{}", key.replace('_', "-")));
    let meant = joined.into_iter().find_map(|joined| option_in_file(&joined));
    ConfigError::Table {
        name: name.to_owned(),
        meant: meant.map(|spec| spec.name),
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

/// `[tool.search]` with `concurrency = 4` is `search:concurrency=4`.
fn texts_of_tools(spec: &OptionSpec, tools: &toml::Table) -> Result<Vec<String>, ConfigError> {
    let wrong_type = |value: &toml::Value| ConfigError::WrongType {
        name: spec.name,
        found: value.type_str(),
        wanted: wanted_type(spec),
    };
    let pair = |(key, value): (&String, &toml::Value)| match value {
        toml::Value::String(text) => Ok(format!("{key}={text}")),
        toml::Value::Integer(number) => Ok(format!("{key}={number}")),
        other => Err(wrong_type(other)),
    };
    let tool = |(name, settings): (&String, &toml::Value)| {
        let settings = settings.as_table().ok_or_else(|| wrong_type(settings))?;
        let pairs: Vec<String> = settings.iter().map(pair).collect::<Result<_, _>>()?;
        Ok(format!("{name}:{}", pairs.join(",")))
    };
    tools.iter().map(tool).collect()
}

/// Numbers and booleans may stand unquoted if the option's values look like that.
fn text_of(kind: Kind, value: &toml::Value) -> Option<String> {
    match (kind, value) {
        (kind, toml::Value::Boolean(truth)) if kind.takes_truth() => Some(truth.to_string()),
        (_, toml::Value::String(text)) => Some(text.clone()),
        // A bare number is accepted for a duration here, so that the message is "has no unit", not "wrong type".
        (
            Kind::Count { .. }
            | Kind::CountOrAuto { .. }
            | Kind::Size { .. }
            | Kind::Cpus
            | Kind::Duration { .. }
            | Kind::DurationOrAuto { .. }
            | Kind::TimeLimit { .. }
            | Kind::TimeLimitOrNone { .. },
            toml::Value::Integer(number),
        ) => Some(number.to_string()),
        _ => None,
    }
}

fn wanted_type(spec: &OptionSpec) -> String {
    match (spec.kind, spec.is_repeatable) {
        (Kind::Tools, _) => {
            "tables such as `[tool.search]` with `concurrency`, `queue` and `timeout`; a name with dots \
                             has quotes"
                .to_owned()
        }
        (_, true) => "a string or an array of strings".to_owned(),
        (Kind::Choice(_) | Kind::Switch, _) => spec
            .kind
            .words()
            .iter()
            .map(|word| format!("\"{word}\""))
            .collect::<Vec<_>>()
            .join(" or "),
        (Kind::Count { .. }, _) => "a whole number".to_owned(),
        (Kind::CountOrAuto { .. }, _) => "a whole number or \"auto\"".to_owned(),
        _ => "a string".to_owned(),
    }
}

/// The parser may return several lines; a log record and an error have one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::inputs::tests::texts;

    #[test]
    fn repeatable_options_are_arrays() {
        let mut inputs = Inputs::new();
        inputs
            .insert_file("weir.toml", "toolset = ['demo', 'files']\nallow-host = 'a'")
            .unwrap();
        assert_eq!(
            texts(&inputs, "toolset"),
            Some((vec!["demo", "files"], Source::File))
        );
        assert_eq!(texts(&inputs, "allow-host"), Some((vec!["a"], Source::File)));
    }

    #[test]
    fn numbers_and_truth_may_stand_unquoted() {
        let mut inputs = Inputs::new();
        let file =
            "pool-size = 8\nshards = 2\nmemory-max = 33554432\nrequire-session = true\nhead-timeout = 5";
        inputs.insert_file("weir.toml", file).unwrap();
        for (key, text) in [
            ("pool-size", "8"),
            ("shards", "2"),
            ("memory-max", "33554432"),
            ("require-session", "true"),
            ("head-timeout", "5"),
        ] {
            assert_eq!(texts(&inputs, key), Some((vec![text], Source::File)));
        }
    }

    /// The faults of a file, with places.
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
            ["weir.toml:1:1: listen: found a table, wanted a string or an array of strings"]
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

    #[test]
    fn wrong_types_and_broken_files_are_refused() {
        let cases = [
            (
                "pool-size = 1.5",
                "pool-size: found a float, wanted a whole number",
            ),
            (
                "require-session = 1",
                "require-session: found an integer, wanted \"on\" or \"off\"",
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
            ("steal = true", "steal", "true"),
            ("sse-legacy = false", "sse-legacy", "false"),
            ("steal = 'on'", "steal", "on"),
            ("require-session = 'on'", "require-session", "on"),
            ("admin = false", "admin", "false"),
        ] {
            let mut inputs = Inputs::new();
            inputs.insert_file("weir.toml", file).unwrap();
            assert_eq!(texts(&inputs, key), Some((vec![text], Source::File)));
        }
    }

    #[test]
    fn tools_have_tables() {
        let mut inputs = Inputs::new();
        let file = "[tool.search]\nconcurrency = 4\ntimeout = '5s'\n\n[tool.'a.b']\nqueue = 0\n";
        inputs.insert_file("weir.toml", file).unwrap();
        let expected = vec!["a.b:queue=0", "search:concurrency=4,timeout=5s"];
        assert_eq!(texts(&inputs, "tool"), Some((expected, Source::File)));
        inputs
            .insert_file("weir.toml", "tool = ['a:queue=1', 'b:queue=2']")
            .unwrap();
        let expected = vec!["a:queue=1", "b:queue=2"];
        assert_eq!(texts(&inputs, "tool"), Some((expected, Source::File)));
        let wanted = "wanted tables such as `[tool.search]` with `concurrency`, `queue` and `timeout`; a name with dots has \
                      quotes";
        for (file, place, found) in [
            ("[tool]\nsearch = 4", "1:1", "found an integer"),
            ("[tool.search]\nconcurrency = 1.5", "1:2", "found a float"),
            ("[tool.a.b]\nqueue = 0", "1:2", "found a table"),
        ] {
            assert_eq!(
                refused(file),
                [format!("weir.toml:{place}: tool: {found}, {wanted}")]
            );
        }
    }

    #[test]
    fn every_option_can_be_given_in_the_file() {
        for spec in Options::specs() {
            let mut inputs = Inputs::new();
            let quoted = if spec.kind == Kind::Switch {
                "true"
            } else {
                "\"true\""
            };
            inputs
                .insert_file("weir.toml", &format!("{} = {quoted}", spec.name))
                .unwrap();
            assert_eq!(texts(&inputs, spec.name), Some((vec!["true"], Source::File)));
        }
    }
}
