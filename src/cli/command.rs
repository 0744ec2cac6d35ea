//! The commands and flags, made from the table of options.

use std::env;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command};

use super::{bench, new, top, tune};
use crate::config::{
    CONFIG, Kind, OptionSpec, Options, SIZE_OPTIONS, SizeOption, UsedBy, joined, nearest_option,
};

const FILE_NAME: &str = "file";

/// The words behind `--`.
const WORDS: &str = "words";

/// The options about other programs to serve.
const CHILDREN: [&str; 3] = [PROGRAM, "pool", "mcp-json"];
/// The one that the words behind `--` stand for.
const PROGRAM: &str = "stdio";

const SOURCES_HELP: &str = "\
Every option can also stand in a TOML file (--config FILE) under the same name, and in the environment as WEIR_ and \
its name in capitals (WEIR_POOL_SIZE=64). A flag wins over the environment, the environment over the file; an empty variable counts as not set. \
Durations and sizes have units: 500ms, 75s, 24h; 16KiB, 4MiB.";

const SIZE_HELP: &str = "\
With `--linger forever` the pool holds every client: clients / 0.75. Otherwise it holds calls in flight: rate x \
service time / 0.75. Exit status 1 says that it does not fit, and what would.";

/// The whole command line.
pub(super) fn command() -> Command {
    Command::new("weir")
        .version(env!("CARGO_PKG_VERSION"))
        .about("An MCP (Model Context Protocol) server for Linux: pooled handlers on every core")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_options(Command::new("serve").about(
            "Serve MCP over HTTP; without options, this directory's files, read-only",
        )))
        .subcommand(stdio())
        .subcommand(with_options(Command::new("doctor").about(
            "Tell whether `serve` with these options can run here, and what to type if not",
        )))
        .subcommand(
            Command::new("check")
                .about("Tell what a configuration file would do, without the environment, and start nothing")
                .arg(
                    Arg::new(FILE_NAME)
                        .value_name("FILE")
                        .required_unless_present_any(CHILDREN.into_iter().chain([WORDS]))
                        .help("The file: options in TOML, or other programs to serve in JSON"),
                )
                .args(CHILDREN.into_iter().filter_map(Options::spec).map(argument))
                .arg(words()),
        )
        .subcommand(new::command())
        .subcommand(bench::command())
        .subcommand(tune::command())
        .subcommand(probe())
        .subcommand(
            Command::new("size")
                .about(
                    "Tell how large pool, queue and memory must be for so many clients, and the flags for it",
                )
                .args(SIZE_OPTIONS.iter().map(size_argument))
                .after_help(SIZE_HELP),
        )
        .subcommand(top::command())
}

/// The same error; for an unknown flag it names the option that was probably meant, found as for files and variables,
/// because the parser would suggest `--report` for `--port`.
pub(super) fn with_nearest(mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let name = flag.trim_start_matches('-').split('=').next().unwrap_or_default();
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    if let Some(meant) = nearest_option(name) {
        error.remove(ContextKind::Usage);
        error.insert(
            ContextKind::SuggestedArg,
            ContextValue::String(format!("--{meant}")),
        );
    }
    error
}

/// The options that may stand on the command line.
fn on_the_command_line() -> impl Iterator<Item = &'static OptionSpec> {
    Options::specs().filter(|spec| spec.places.flag)
}

/// The values of the flags, option by option.
pub(super) fn flags(matches: &ArgMatches) -> Vec<(&'static str, Vec<String>)> {
    let given = on_the_command_line().filter_map(|spec| {
        // A command may not have all of them.
        let texts = matches.try_get_many::<String>(spec.name).ok()??;
        Some((spec.name, texts.cloned().collect()))
    });
    let words = matches.get_many::<String>(WORDS).map(|words| {
        let words: Vec<String> = words.cloned().collect();
        // Words of a command line have no NUL.
        (PROGRAM, vec![joined(&words).unwrap_or_default()])
    });
    given.chain(words).collect()
}

/// The configuration file that the flag names, or the environment.
pub(super) fn config_file(matches: &ArgMatches) -> Option<String> {
    matches
        .get_one::<String>(CONFIG.name)
        .cloned()
        .or_else(|| env::var(CONFIG.variable()).ok().filter(|path| !path.is_empty()))
}

/// The file that `check` was given.
pub(super) fn file_argument(matches: &ArgMatches) -> Option<&str> {
    matches.get_one::<String>(FILE_NAME).map(String::as_str)
}

/// The value that `size` was given for one of its options.
pub(super) fn size_text(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.get_one::<String>(name).cloned()
}

/// `serve --transport stdio` under a name of its own. Options that only listeners use are accepted with a note, but not
/// offered.
fn stdio() -> Command {
    let command = Command::new("stdio").about(
        "Serve the one client that starts this process, on stdin and stdout; without options, this directory's files, \
         read-only",
    );
    with_options(command)
        .mut_args(move |argument| {
            let spec = Options::spec(argument.get_id().as_str());
            argument.hide(
                spec.is_some_and(|spec| matches!(spec.used_by, UsedBy::Listeners | UsedBy::UnixSockets)),
            )
        })
        .mut_arg("transport", |argument| argument.hide(true).value_parser([STDIO]))
}

/// The value of `--transport` for which `stdio` stands.
pub(super) const STDIO: &str = "stdio";

/// The name of the command that finds out what a program is like.
pub(super) const PROBE: &str = "probe";

fn probe() -> Command {
    let named = CHILDREN.into_iter().filter(|name| *name != "pool").chain([WORDS]);
    Command::new(PROBE)
        .about(
            "Start a program a few times and tell what it is like as an MCP server on stdio: what it speaks and has, \
             how long it takes, how it ends, and the command that serves it",
        )
        .args(CHILDREN.into_iter().filter_map(Options::spec).map(argument))
        .arg(words())
        .group(ArgGroup::new("program").args(named.collect::<Vec<_>>()).required(true).multiple(true))
}

fn size_argument(option: &'static SizeOption) -> Arg {
    let help = match option.fallback {
        Some(fallback) => format!("{} [default: {fallback}]", option.help),
        None => option.help.to_owned(),
    };
    Arg::new(option.name)
        .long(option.name)
        .value_name(option.value_name)
        .allow_negative_numbers(true)
        .required(option.fallback.is_none())
        .help(help)
}

fn with_options(command: Command) -> Command {
    command
        .arg(
            Arg::new(CONFIG.name)
                .long(CONFIG.name)
                .value_name(CONFIG.value_name)
                .help(CONFIG.help),
        )
        .args(on_the_command_line().map(argument))
        .arg(words())
        .after_help(SOURCES_HELP)
}

/// Everything behind `--`: a program to serve.
fn words() -> Arg {
    Arg::new(WORDS)
        .value_name("COMMAND")
        .last(true)
        .num_args(1..)
        .allow_hyphen_values(true)
        .conflicts_with(PROGRAM)
        .help("Behind `--`: the program of --stdio, with its arguments")
}

fn argument(spec: &'static OptionSpec) -> Arg {
    let argument = Arg::new(spec.name)
        .long(spec.name)
        .value_name(spec.value_name)
        .allow_negative_numbers(true)
        .help(help(spec));
    match spec.kind {
        Kind::Switch => argument.num_args(0..=1).default_missing_value("on"),
        _ if spec.is_repeatable => argument.action(ArgAction::Append),
        _ => argument,
    }
}

fn help(spec: &OptionSpec) -> String {
    let words = spec.kind.words();
    let choices = if words.is_empty() {
        String::new()
    } else {
        format!(": {}", words.join(", "))
    };
    let repeat = if spec.is_repeatable { " (repeatable)" } else { "" };
    format!(
        "{}{choices}{repeat} [default: {}]",
        spec.help,
        spec.default_text()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags_of(arguments: &[&str]) -> Vec<(&'static str, Vec<String>)> {
        let line = ["weir", "serve"].into_iter().chain(arguments.iter().copied());
        let matches = command().try_get_matches_from(line).unwrap();
        flags(matches.subcommand_matches("serve").unwrap())
    }

    #[test]
    fn the_command_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_option_is_a_flag_with_its_default_in_the_help() {
        for spec in Options::specs() {
            let flag = format!("--{}=1", spec.name);
            assert_eq!(flags_of(&[&flag]), [(spec.name, vec!["1".to_owned()])]);
        }
        let mut serve = command().find_subcommand("serve").unwrap().clone();
        let help = serve
            .render_help()
            .to_string()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        for spec in Options::specs() {
            assert!(help.contains(&format!("--{}", spec.name)), "{}", spec.name);
            assert!(
                help.contains(&format!("[default: {}]", spec.default_text())),
                "{}",
                spec.name
            );
        }
    }

    #[test]
    fn stdio_is_a_subcommand_that_offers_what_one_client_needs() {
        let mut stdio = command().find_subcommand("stdio").unwrap().clone();
        let help = stdio.render_help().to_string();
        for name in [
            "--root",
            "--toolset",
            "--config",
            "--report",
            "--log-level",
            "--admin",
        ] {
            assert!(help.contains(name), "{name}: {help}");
        }
        for name in ["--transport", "--listen", "--linger", "--sse-legacy"] {
            assert!(!help.contains(name), "{name}: {help}");
        }
        let parsed = |arguments: &[&str]| {
            let line = ["weir", "stdio"].into_iter().chain(arguments.iter().copied());
            command().try_get_matches_from(line)
        };
        assert!(parsed(&["--listen", "127.0.0.1:1", "--transport", "stdio"]).is_ok());
        assert!(parsed(&["--transport", "http"]).is_err());
    }

    #[test]
    fn every_option_of_size_is_a_flag_with_its_default_in_the_help() {
        let mut size = command().find_subcommand("size").unwrap().clone();
        let help = size.render_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for option in &SIZE_OPTIONS {
            let flag = format!("--{}=5", option.name);
            let given = command()
                .try_get_matches_from(["weir", "size", "--peak-clients=5", &flag])
                .or_else(|_| command().try_get_matches_from(["weir", "size", &flag]))
                .unwrap();
            let matches = given.subcommand_matches("size").unwrap();
            assert_eq!(size_text(matches, option.name).as_deref(), Some("5"));
            if let Some(fallback) = option.fallback {
                assert!(
                    help.contains(&format!("[default: {fallback}]")),
                    "{}",
                    option.name
                );
            }
        }
    }

    #[test]
    fn repeatable_flags_repeat_and_the_switch_needs_no_value() {
        let given = flags_of(&["--toolset", "demo", "--toolset", "files", "--require-session"]);
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            given,
            [
                ("toolset", texts(&["demo", "files"])),
                ("require-session", texts(&["on"]))
            ]
        );
        assert_eq!(
            flags_of(&["--require-session=false"]),
            [("require-session", texts(&["false"]))]
        );
        assert_eq!(flags_of(&["--pool-size", "-1"]), [("pool-size", texts(&["-1"]))]);
        assert_eq!(flags_of(&[]), []);
    }

    #[test]
    fn wrong_usage_has_a_status_of_its_own() {
        let cases: [(&[&str], i32); 10] = [
            (&["weir"], 2),
            (&["weir", "sevre"], 2),
            (&["weir", "serve", "--poolsize", "8"], 2),
            (&["weir", "serve", "--pool-size", "8", "--pool-size", "9"], 2),
            (&["weir", "check"], 2),
            (&["weir", "size"], 2),
            (&["weir", "probe"], 2),
            (&["weir", "probe", "--pool", "max=1"], 2),
            (&["weir", "--version"], 0),
            (&["weir", "serve", "--help"], 0),
        ];
        for (line, status) in cases {
            let error = command().try_get_matches_from(line).unwrap_err();
            assert_eq!(error.exit_code(), status, "{line:?}");
        }
        let misspelt = command()
            .try_get_matches_from(["weir", "serve", "--poolsize", "8"])
            .unwrap_err();
        assert!(misspelt.to_string().contains("--pool-size"), "{misspelt}");
        for (typed, meant) in [
            ("--port", "--listen"),
            ("--host=0.0.0.0", "--listen"),
            ("--poolsize", "--pool-size"),
            ("--max-memory", "--memory-max"),
        ] {
            let error = command()
                .try_get_matches_from(["weir", "serve", typed])
                .unwrap_err();
            let text = with_nearest(error).to_string();
            assert!(
                text.contains(&format!("a similar argument exists: '{meant}'")),
                "{text}"
            );
        }
    }
}
