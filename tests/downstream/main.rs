//! Programs that depend on this crate: what `weir new` writes, what the compiler says to authors of tools, and how much
//! comes along.
//!
//! They are built as a user's would be, without a network, by the cargo that runs this test and into its target folder,
//! with the features and the profile for which the dependencies are there already.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "no shard runs here"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod dependencies;
mod errors;
mod new;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const WEIR: &str = env!("CARGO_BIN_EXE_weir");
const CLONE: &str = env!("CARGO_MANIFEST_DIR");

/// An empty folder for programs, the same in every run: cargo keeps what it has built for it.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("downstream")
        .join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Cargo in the folder of a package that depends on this crate.
fn cargo(package: &Path, arguments: &[&str]) -> Output {
    // The versions that this crate was built with are those that are there.
    fs::copy(Path::new(CLONE).join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    // From `target/debug/weir`.
    let target = Path::new(WEIR).parent().and_then(Path::parent).unwrap();
    Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--offline", "--features", "weir-mcp/default,weir-mcp/internals"])
        .args(["--config", "profile.dev.debug='line-tables-only'"])
        .args(["--config", "profile.dev.package.simd-json.opt-level=3"])
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_TERM_COLOR", "never")
        .current_dir(package)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
