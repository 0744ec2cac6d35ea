//! The command line: `weir serve`, `weir stdio`, `weir doctor`, `weir check FILE`, `weir size`.
//!
//! Collects what was given, has it resolved, sets up logging and hands over. Holds no option's meaning (see `config`)
//! and serves nothing itself. Texts go to stderr, answers that were asked for (`check`, `doctor`, `size`, help) to
//! stdout; a closed pipe is no error. Exit status: 0 done, 1 it cannot run here, 2 it was asked for wrongly.
#![allow(clippy::disallowed_methods, reason = "before there are shards")]

mod allocator;
mod command;
mod log_queue;
mod logging;
mod serve;
mod show;
mod size;
mod start;
mod toolsets;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::ExitCode;

use crate::config::{ConfigError, Inputs, Source, is_variable};

pub use logging::{LogGuard, init as init_logging};

/// Asked for wrongly: usage or configuration.
const EXIT_USAGE: u8 = 2;

/// Runs the command; the arguments begin with the program's name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    allocator::settle();
    let matches = match command::command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => {
            let error = command::with_nearest(error);
            // Help and version are "errors" too, of status 0. Nobody is left to tell when printing fails.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(EXIT_USAGE));
        }
    };
    match matches.subcommand() {
        Some(("serve", given)) => start::serve(inputs(given)),
        Some((command::STDIO, given)) => start::serve(inputs(given).map(Inputs::over_stdio)),
        Some(("doctor", given)) => start::doctor(inputs(given)),
        Some(("size", given)) => size::run(given),
        Some(("check", given)) => show::check(command::file_argument(given)),
        _ => ExitCode::from(EXIT_USAGE),
    }
}

/// Everything that was given, from the weakest source to the strongest.
fn inputs(matches: &clap::ArgMatches) -> Result<Inputs, Vec<ConfigError>> {
    let mut inputs = Inputs::new();
    let mut errors = Vec::new();
    if let Some(path) = command::config_file(matches) {
        errors.extend(read_file(&mut inputs, &path).err().into_iter().flatten());
    }
    let (variables, unreadable) = environment();
    errors.extend(unreadable);
    inputs.insert_environment(variables);
    for (name, texts) in command::flags(matches) {
        inputs.insert(name, texts, Source::Flag);
    }
    if errors.is_empty() {
        Ok(inputs)
    } else {
        Err(errors)
    }
}

/// The environment as text. A name that is not Unicode is none of ours; an option's value that is not is refused, since
/// any replacement would be another value. What is no option is only mentioned by its name.
fn environment() -> (Vec<(String, String)>, Vec<ConfigError>) {
    let mut variables = Vec::new();
    let mut errors = Vec::new();
    for (name, value) in std::env::vars_os() {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => variables.push((name, value)),
            (Ok(name), Err(value)) if is_variable(&name) => {
                errors.push(ConfigError::Impossible(format!(
                    "{name} = {} is not Unicode; write it in UTF-8",
                    value.display()
                )));
            }
            (Ok(name), Err(value)) => variables.push((name, value.to_string_lossy().into_owned())),
            _ => {}
        }
    }
    // The system's order says nothing.
    variables.sort_unstable();
    (variables, errors)
}

/// Adds a configuration file to the inputs.
fn read_file(inputs: &mut Inputs, path: &str) -> Result<(), Vec<ConfigError>> {
    let text = read_regular_file(path).map_err(|error| {
        vec![ConfigError::FileUnreadable {
            path: path.escape_debug().to_string(),
            reason: error.to_string(),
        }]
    })?;
    // A mark that some editors put first; TOML knows none.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    inputs.insert_file(path, text)
}

/// Reads no pipe, which may never answer, and no device, which may never end; opening one does not block either.
fn read_regular_file(path: &str) -> io::Result<String> {
    /// No configuration is that long.
    const FILE_BYTES_MAX: u64 = 1 << 20;
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("longer than {FILE_BYTES_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        io::Error::other(format!("line {line} is not UTF-8"))
    })
}

/// Says on stderr what is wrong, one line each, and shows the line of the file it stands on.
fn refuse(errors: &[ConfigError]) -> ExitCode {
    for error in errors {
        complain(&error.to_string());
        for line in error.excerpt() {
            let _ = writeln!(io::stderr(), "{}", logging::escape_text(&line));
        }
    }
    ExitCode::from(EXIT_USAGE)
}

/// One line on stderr, before there is a log. Unlike `eprintln!` it does not panic when nobody listens.
fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "weir: {}", logging::escape_text(text));
}

/// One line on stdout; nobody listening is fine.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{}", logging::escape_text(text));
}
