//! The command line: `weir serve`, `weir stdio`, `weir doctor`, `weir check`, `weir probe`, `weir size`, `weir bench`,
//! `weir tune`, `weir top`, `weir new`.
//!
//! This collects the inputs, resolves them, sets up logging and hands over. It gives no option its meaning (see
//! `config`) and serves nothing itself. Messages go to stderr, requested answers (`check`, `doctor`, `probe`, `size`,
//! `bench`, `tune`, `new`, help) to stdout; a closed pipe is no error. The exit status is 0 for success, 1 if the
//! command cannot run here, and 2 if it was used wrongly.
#![allow(clippy::disallowed_methods, reason = "before there are shards")]

mod allocator;
mod asked;
mod bench;
mod command;
mod files;
mod given;
mod interrupt;
mod log_queue;
mod logging;
mod new;
mod probe;
mod programs;
mod serve;
mod show;
mod size;
mod start;
mod terminal;
mod toolsets;
mod top;
mod tune;
mod typed;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::config::Inputs;

use given::inputs;
pub use logging::{LogGuard, init as init_logging};
use terminal::EXIT_USAGE;

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
        Some(("check", given)) => show::check(given),
        Some((command::PROBE, given)) => probe::run(given),
        Some((top::TOP, given)) => top::run(given),
        Some((new::NEW, given)) => new::run(given),
        Some((bench::BENCH, given)) => bench::run(given),
        Some((tune::TUNE, given)) => tune::run(given),
        _ => ExitCode::from(EXIT_USAGE),
    }
}
