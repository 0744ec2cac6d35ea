//! The command line of this process as it can be typed again, for pages that say how something was measured.

use std::env;

/// What stands for a secret.
const HIDDEN: &str = "...";
/// Flags whose values are secret, or may be.
const SECRET: [&str; 2] = ["--token", "--header"];

/// This process's command line, without what is secret in it.
pub(super) fn typed() -> String {
    typed_again(env::args_os().map(|word| word.to_string_lossy().into_owned()))
}

fn typed_again(arguments: impl Iterator<Item = String>) -> String {
    let mut words = vec!["weir".to_owned()];
    let mut is_secret = false;
    for word in arguments.skip(1) {
        let name = word.split('=').next().unwrap_or_default();
        let (hides, has_value) = (SECRET.contains(&name), name.len() < word.len());
        let told = match (is_secret, hides && has_value) {
            (true, _) => HIDDEN.to_owned(),
            (false, true) => format!("{name}={HIDDEN}"),
            (false, false) => word.clone(),
        };
        is_secret = !is_secret && hides && !has_value;
        words.push(told);
    }
    let joined = shlex::try_join(words.iter().map(String::as_str));
    joined.unwrap_or_else(|_| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> String {
        typed_again(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn a_command_is_typed_again_without_its_secrets() {
        let told = line(&[
            "/bin/weir",
            "tune",
            "http://x/mcp",
            "--args",
            r#"{"a b":1}"#,
            "--token",
            "--s",
            "--p99",
            "2s",
        ]);
        assert_eq!(
            told,
            r#"weir tune http://x/mcp --args '{"a b":1}' --token ... --p99 2s"#
        );
        assert_eq!(
            line(&["weir", "--token=s", "--header", "a: s", "x"]),
            "weir '--token=...' --header ... x"
        );
        assert_eq!(line(&["weir", "--header", "--token", "s"]), "weir --header ... s");
    }
}
