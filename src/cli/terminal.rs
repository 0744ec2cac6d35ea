//! What the command says itself: answers on stdout, and complaints on stderr before there is a log.

use std::io::{self, Write};
use std::process::ExitCode;

use super::logging;
use crate::config::ConfigError;

/// The status of a command that was used wrongly: its arguments or its configuration.
pub(super) const EXIT_USAGE: u8 = 2;

/// Says on stderr what is wrong, one line each, and shows the line of the file it stands on.
pub(super) fn refuse(errors: &[ConfigError]) -> ExitCode {
    for error in errors {
        complain(&error.to_string());
        for line in error.excerpt() {
            let _ = writeln!(io::stderr(), "{}", logging::escape_text(&line));
        }
    }
    ExitCode::from(EXIT_USAGE)
}

/// One line on stderr, before there is a log. Unlike `eprintln!` it does not panic when nobody listens.
pub(super) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "weir: {}", logging::escape_text(text));
}

/// One line on stdout; nobody listening is fine.
pub(super) fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{}", logging::escape_text(text));
}
