//! Reading of options from texts: all are read, and all faults are reported at once.

use super::environment::split_variable;
use super::error::ConfigError;
use super::inputs::{GivenTexts, Inputs, unknown_key};
use super::options::Options;
use super::spec::OptionSpec;

/// The options that were given, and their faults in the order of the table. An option that cannot be read keeps its
/// default, and options with faults are never used.
pub(super) fn read(inputs: &Inputs) -> (Options, Vec<ConfigError>) {
    let mut options = Options::default();
    let errors = options.read(inputs);
    (options, errors)
}

fn bad_value(spec: &OptionSpec, given: &GivenTexts, text: &str, reason: &str) -> ConfigError {
    let error = ConfigError::BadValue {
        name: spec.name,
        value: text.escape_debug().to_string(),
        place: given.source.place(spec),
        reason: reason.to_owned(),
    };
    match &given.place {
        Some(place) => error.at(place.clone()),
        None => error,
    }
}

impl Options {
    /// Sets the options that were given, and returns their faults in the order of the table. An option with a fault
    /// stays as it is.
    pub(crate) fn read(&mut self, inputs: &Inputs) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        for (spec, field) in self.fields_mut() {
            if let Some(given) = inputs.given(spec.name) {
                field.read(&given.texts, spec.kind, &mut |text, reason| {
                    errors.push(bad_value(spec, given, text, reason));
                });
            }
        }
        errors
    }

    /// Sets an option by its name and a text, for programs whose users choose options: `("queue-timeout", "2s")`. Of a
    /// repeatable option, commas separate the values.
    ///
    /// # Errors
    /// Fails when no option has that name, or when the text is not one of its values; then nothing changes.
    pub fn set_text(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        let mut errors = Vec::new();
        let found = self.fields_mut().find(|(spec, _)| spec.name == name);
        let (spec, field) = found.ok_or_else(|| unknown_key(name))?;
        field.read(&split_variable(spec, text), spec.kind, &mut |text, reason| {
            errors.push(ConfigError::BadValue {
                name: spec.name,
                value: text.escape_debug().to_string(),
                place: "from the program".to_owned(),
                reason: reason.to_owned(),
            });
        });
        errors.into_iter().next().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::inputs::Source;
    use crate::config::kind::Kind;
    use crate::config::values::{AdminSettings, Toolset};

    fn inputs(name: &'static str, texts: &[&str]) -> Inputs {
        let mut inputs = Inputs::new();
        inputs.insert(
            name,
            texts.iter().map(|text| (*text).to_owned()).collect(),
            Source::Flag,
        );
        inputs
    }

    fn read_one(name: &'static str, text: &str) -> (Options, Vec<ConfigError>) {
        read(&inputs(name, &[text]))
    }

    /// What is wrong with a value, as an operator reads it; `None` if nothing is.
    fn complaint(name: &'static str, text: &str) -> Option<String> {
        read_one(name, text).1.first().map(ToString::to_string)
    }

    #[test]
    fn a_program_names_options_too() {
        let mut options = Options::default();
        for text in ["7", "8"] {
            options.set_text("pool-size", text).unwrap();
        }
        options.set_text("allow-host", "seven, eight").unwrap();
        assert_eq!(options.machine.pool_size, Some(8));
        assert_eq!(options.show("allow-host").as_deref(), Some("seven, eight"));
        let refused = |result: Result<(), ConfigError>| result.unwrap_err().to_string();
        assert_eq!(
            refused(options.set_text("pool_size", "8")),
            "unknown key `pool_size`; did you mean `pool-size`?"
        );
        assert_eq!(
            refused(options.set_text("nothing-like-it", "8")),
            "unknown key `nothing-like-it`; `weir serve --help` lists all of them"
        );
        assert_eq!(
            refused(options.set_text("queue-timeout", "2")),
            "queue-timeout = 2 (from the program) has no unit; write for example `30s`"
        );
        assert_eq!(options.machine.pool_size, Some(8));
    }

    #[test]
    fn every_default_is_a_possible_value() {
        for spec in Options::specs() {
            if spec.derived.is_none() {
                assert_eq!(complaint(spec.name, &spec.default_text()), None, "{}", spec.name);
            }
        }
    }

    #[test]
    fn every_bound_holds_at_the_limit_and_not_one_past_it() {
        for spec in Options::specs() {
            let (least, most, unit) = match spec.kind {
                Kind::Count { min, max } | Kind::CountOrAuto { min, max } => (min, max, ""),
                Kind::Size { min_bytes, max_bytes } => (min_bytes, max_bytes, "B"),
                Kind::Duration { min_ms, max_ms }
                | Kind::DurationOrAuto { min_ms, max_ms }
                | Kind::TimeLimit { min_ms, max_ms }
                | Kind::TimeLimitOrNone { min_ms, max_ms } => (min_ms, max_ms, "ms"),
                _ => continue,
            };
            let says = |number: u64| complaint(spec.name, &format!("{number}{unit}"));
            assert_eq!(says(least), None, "{}", spec.name);
            assert_eq!(says(most), None, "{}", spec.name);
            let above = says(most + 1).unwrap();
            assert!(above.contains("too large; the most is"), "{above}");
            if least > 0 {
                let below = says(least - 1).unwrap();
                assert!(below.contains("too small; the least is"), "{below}");
            }
        }
    }

    #[test]
    fn refusals_give_fact_value_limit_and_next_step() {
        let cases = [
            (
                "pool-size",
                "0",
                "pool-size = 0 (from --pool-size) is too small; the least is 1",
            ),
            (
                "pool-size",
                "99999999999999999999999",
                "pool-size = 99999999999999999999999 (from --pool-size) is too large; the most is 65535",
            ),
            (
                "pool-size",
                "-1",
                "pool-size = -1 (from --pool-size) is not a whole number; write one from 1 to 65535",
            ),
            (
                "head-timeout",
                "10",
                "head-timeout = 10 (from --head-timeout) has no unit; write for example `30s`",
            ),
            (
                "head-timeout",
                "forever",
                "head-timeout = forever (from --head-timeout) does not start with a number; write for example `30s`",
            ),
            (
                "body-max",
                "2TiB",
                "body-max = 2TiB (from --body-max) is too large; the most is 1GiB",
            ),
            (
                "report",
                "jsn",
                "report = jsn (from --report) is not one of text, json, none, html:FILE; did you mean `json`?",
            ),
            (
                "listen",
                "8080",
                "listen = 8080 (from --listen) is not an address with a port; write for example \
                 `127.0.0.1:8080`, `localhost:8080`, `[::1]:8080`, or `:8080` for every IPv4 address; \
                 `unix:/run/weir.sock` is a Unix socket",
            ),
            (
                "require-session",
                "maybe",
                "require-session = maybe (from --require-session) is not one of on, off",
            ),
            ("root", "", "root =  (from --root) is empty; name a path"),
        ];
        for (name, text, message) in cases {
            assert_eq!(complaint(name, text).as_deref(), Some(message));
        }
    }

    #[test]
    fn a_value_cannot_break_the_line_it_is_reported_on() {
        let message = complaint("report", "a\nb\u{1b}[31m").unwrap();
        assert!(message.starts_with("report = a\\nb\\u{1b}[31m ("), "{message}");
    }

    #[test]
    fn off_auto_and_forever_are_values() {
        for (name, text) in [
            ("admin", "off"),
            ("shards", "auto"),
            ("busy-poll", "auto"),
            ("busy-poll", "50us"),
            ("idle-timeout", "forever"),
            ("linger", "forever"),
            ("linger", "0s"),
            ("linger", "0ms"),
        ] {
            assert_eq!(complaint(name, text), None);
        }
        assert!(complaint("listen", "off").is_some());
        assert!(complaint("workers", "auto").is_some());
    }

    #[test]
    fn truth_is_taken_wherever_on_and_off_are() {
        for spec in Options::specs() {
            let is_switched = spec.kind == Kind::Switch;
            for text in ["true", "false", "on", "off"] {
                assert!(
                    !is_switched || complaint(spec.name, text).is_none(),
                    "{} = {text}",
                    spec.name
                );
            }
        }
        let steal = |text: &str| read_one("steal", text).0.queue.steal;
        assert_eq!(
            ["true", "on", "false", "off"].map(steal),
            [true, true, false, false]
        );
        let admin = read_one("admin", "false").0.endpoints.admin;
        assert_eq!(admin, AdminSettings::Off);
        assert_eq!(
            complaint("steal", "1").as_deref(),
            Some("steal = 1 (from --steal) is not one of on, off")
        );
        let admin = complaint("admin", "true").unwrap();
        assert!(admin.contains("is not an address with a port"), "{admin}");
        // Words that are not switches stay words.
        assert!(complaint("log-level", "false").is_some());
    }

    #[test]
    fn addresses_may_leave_out_the_host_or_say_localhost() {
        let cases = [
            ("localhost:8080", Some("127.0.0.1:8080")),
            ("LocalHost:0", Some("127.0.0.1:0")),
            (":8080", Some("0.0.0.0:8080")),
            (" :8080 ", Some("0.0.0.0:8080")),
            ("[::]:8080", Some("[::]:8080")),
            ("0.0.0.0:8080", Some("0.0.0.0:8080")),
            ("localhost", None),
            ("localhost:", None),
            ("localhost:65536", None),
            ("localhost:+80", None),
            ("localhost:http", None),
            ("localhost.:8080", None),
            ("example.com:8080", None),
            ("::8080", None),
            (":", None),
            ("", None),
            ("127.0.0.1", None),
            ("256.0.0.1:80", None),
        ];
        for (text, address) in cases {
            for name in ["listen", "admin"] {
                let (options, errors) = read_one(name, text);
                assert_eq!(errors.is_empty(), address.is_some(), "{text}");
                if let Some(address) = address {
                    assert_eq!(options.show(name).as_deref(), Some(address), "{text}");
                }
            }
        }
        let named = complaint("listen", "example.com:8080").unwrap();
        assert!(named.contains("only `localhost` is looked up"), "{named}");
    }

    #[test]
    fn a_second_value_is_refused_unless_repeatable() {
        let (_, errors) = read(&inputs("pool-size", &["1", "2"]));
        assert_eq!(errors.len(), 1);

        let (options, errors) = read(&inputs("toolset", &["demo", "files"]));
        assert_eq!(options.toolsets.names, [Toolset::Demo, Toolset::Files]);
        assert!(errors.is_empty());

        let (options, errors) = read(&inputs("toolset", &["demo", "demo"]));
        assert_eq!(options.toolsets.names, [Toolset::Demo]);
        let message = errors[0].to_string();
        assert_eq!(
            message,
            "toolset = demo (from --toolset) is given twice; give it once"
        );
    }
}
