//! The command's own output: answers on stdout, and errors on stderr before there is a log.

use std::io::{self, Write};
use std::process::ExitCode;

use super::logging;
use crate::config::ConfigError;

/// The status of a command that was used wrongly: its arguments or its configuration.
pub(super) const EXIT_USAGE: u8 = 2;

/// Prints the errors on stderr, one line each, and below each the line of the file it is about.
pub(super) fn refuse(errors: &[ConfigError]) -> ExitCode {
    for error in errors {
        print_error(&error.to_string());
        for line in error.excerpt() {
            let _ = writeln!(io::stderr(), "{}", logging::escape_text(&line));
        }
    }
    ExitCode::from(EXIT_USAGE)
}

/// Prints one line on stderr, before there is a log. Unlike `eprintln!` it does not panic when nobody reads.
pub(super) fn print_error(text: &str) {
    let _ = writeln!(io::stderr(), "weir: {}", logging::escape_text(text));
}

/// Prints one line on stdout; it is fine if nobody reads.
pub(super) fn print_line(text: &str) {
    let _ = writeln!(io::stdout(), "{}", logging::escape_text(text));
}

/// How wide the terminal is; 80 where there is none.
pub(super) fn terminal_columns() -> usize {
    crossterm::terminal::size().map_or(80, |(columns, _)| usize::from(columns))
}
