//! Options in the environment: which variables are options, and which messages there are about those that only look
//! like one.
//!
//! The caller passes the variables in; this reads none itself.

use super::inputs::{Inputs, Source};
use super::nearest::nearest;
use super::options::Options;
use super::spec::{CONFIG, OptionSpec, VARIABLE_PREFIX};

impl Inputs {
    /// Takes the environment's variables. Variables without the program's prefix are skipped, empty ones count as not
    /// set, and commas separate the values of a repeatable option. An unknown name is never an error, since the
    /// environment belongs to everybody: a name much like an option's is [noted](Self::notes), others are [remarked
    /// on](Self::remarks), and variables that container platforms set for a service of this name are not even that.
    pub fn insert_environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        for (variable, text) in variables {
            let Some(name) = variable.strip_prefix(VARIABLE_PREFIX) else {
                continue;
            };
            if text.is_empty() || variable == CONFIG.variable() || is_service_link(name, &text) {
                continue;
            }
            match in_the_environment().find(|spec| spec.variable() == variable) {
                Some(spec) => self.insert(spec.name, split_variable(spec, &text), Source::Environment),
                None => self.pass_over(&variable),
            }
        }
    }

    fn pass_over(&mut self, variable: &str) {
        let fact = format!("{variable} is set in the environment, but is not an option and changes nothing");
        match nearest_variable(variable) {
            Some(meant) => self.notes.push(format!("{fact}; did you mean `{meant}`?")),
            None => self.remarks.push(fact),
        }
    }
}

/// The options that may stand in the environment.
fn in_the_environment() -> impl Iterator<Item = &'static OptionSpec> {
    Options::specs().filter(|spec| spec.places.environment)
}

/// Whether an environment variable is an option's, or names the configuration file.
pub(super) fn is_variable(name: &str) -> bool {
    name == CONFIG.variable() || in_the_environment().any(|spec| spec.variable() == name)
}

pub(super) fn split_variable(spec: &OptionSpec, text: &str) -> Vec<String> {
    if spec.is_repeatable {
        text.split(',').map(|part| part.trim().to_owned()).collect()
    } else {
        vec![text.to_owned()]
    }
}

/// Names are compared without the prefix, which all of them share.
fn nearest_variable(variable: &str) -> Option<String> {
    let bare = |name: &str| {
        name[VARIABLE_PREFIX.len()..]
            .to_ascii_lowercase()
            .replace('_', "-")
    };
    let known: Vec<String> = in_the_environment()
        .chain([&CONFIG])
        .map(OptionSpec::variable)
        .collect();
    let names: Vec<String> = known.iter().map(|name| bare(name)).collect();
    let found = nearest(&bare(variable), names.iter().map(String::as_str))?;
    let at = names.iter().position(|name| name == found)?;
    known.get(at).cloned()
}

/// Whether Kubernetes sets this variable in every container for every service, or Docker for every link; `name` is
/// without the prefix. A service `weir` gives `WEIR_PORT=tcp://10.0.0.7:8080`, one called `weir-admin` gives
/// `WEIR_ADMIN_PORT`.
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
    // Docker sets the names of both containers, and the linked one's own environment.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::inputs::tests::texts;

    fn pairs_of(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn every_option_can_be_given_in_the_environment() {
        for spec in Options::specs() {
            let mut inputs = Inputs::new();
            inputs.insert_environment(pairs_of(&[(&spec.variable(), "true")]));
            assert_eq!(
                texts(&inputs, spec.name),
                Some((vec!["true"], Source::Environment))
            );
        }
    }

    #[test]
    fn repeatable_options_are_lists() {
        let mut inputs = Inputs::new();
        inputs.insert_environment(pairs_of(&[("WEIR_TOOLSET", "files, demo"), ("WEIR_CPUS", "0,1")]));
        let expected = (vec!["files", "demo"], Source::Environment);
        assert_eq!(texts(&inputs, "toolset"), Some(expected));
        assert_eq!(texts(&inputs, "cpus"), Some((vec!["0,1"], Source::Environment)));
    }

    /// The messages about variables that are not options: warnings, and remarks.
    fn passed_over(pairs: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let mut inputs = Inputs::new();
        inputs.insert_environment(pairs_of(pairs));
        assert!(
            Options::specs().all(|spec| inputs.given(spec.name).is_none()),
            "{pairs:?}"
        );
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
                "{variable} is set in the environment, but is not an option and changes nothing; did you mean `{meant}`?"
            );
            assert_eq!(passed_over(&[(variable, "8")]), (vec![note], Vec::new()));
        }
        for variable in ["WEIR_VERSION", "WEIR_HOME", "WEIR_", "WEIR_USER", "WEIR_SHA256"] {
            let remark =
                format!("{variable} is set in the environment, but is not an option and changes nothing");
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
}
