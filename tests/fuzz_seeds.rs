//! Replays the seeds of the fuzz targets (`tests/fuzz`), each whole and cut off behind every byte.
#![allow(clippy::disallowed_methods, reason = "no shard runs here")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

#[path = "fuzz/targets.rs"]
#[allow(unreachable_pub, reason = "the fuzz crate's library")]
mod targets;

/// Texts that more than one target reads.
const SHARED: [(&str, &str); 2] = [
    ("prescan", "tests/corpus/json-parsing"),
    ("envelope", "tests/corpus/json-parsing"),
];
/// The number of beginnings that are tried of a longer seed.
const BEGINNINGS_MAX: usize = 256;

fn replay(target: &str) {
    let run = targets::targets()[target];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = format!("tests/fuzz/corpus/{target}");
    let shared = SHARED.iter().filter(|(name, _)| *name == target);
    let mut seeds = 0;
    for folder in [own.as_str()]
        .into_iter()
        .chain(shared.map(|(_, folder)| *folder))
    {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            eprintln!("{}", path.display());
            run(&bytes);
            let beginnings = 0..bytes.len().min(BEGINNINGS_MAX);
            beginnings.for_each(|length| run(&bytes[..length]));
            seeds += 1;
        }
    }
    assert!(seeds >= 5, "{seeds} seeds of {target}");
}

#[test]
fn head() {
    replay("head");
}

#[test]
fn chunked() {
    replay("chunked");
}

#[test]
fn websocket() {
    replay("websocket");
}

#[test]
fn prescan() {
    replay("prescan");
}

#[test]
fn envelope() {
    replay("envelope");
}

#[test]
fn known_structures() {
    replay("known_structures");
}

#[test]
fn uri_template() {
    replay("uri_template");
}

#[test]
fn foreign_line() {
    replay("foreign_line");
}

#[test]
fn every_target_is_replayed() {
    let folders = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/fuzz_targets"));
    let mut programs: Vec<String> = folders
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    programs.sort();
    let mut known: Vec<&str> = targets::targets().into_keys().collect();
    known.sort_unstable();
    assert_eq!(programs, known);
}
