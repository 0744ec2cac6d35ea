//! The `weir` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    weir::launcher();
    weir::cli::run(std::env::args_os())
}
