//! The style, as far as it is cheap to police: sizes, reasons, words and links.
//!
//! | file | its part |
//! |---|---|
//! | `sizes` | lines, files, and the structs of a shard |
//! | `reasons` | every `allow` and `expect` says why |
//! | `words` | words that this code base has given up |
//! | `links` | paths and headings that lead nowhere |
//!
//! A rule that the code does not keep everywhere yet has a list of the places that break it. A list may only shrink: an
//! entry that no longer breaks its rule fails the test as well, so that it is removed together with its reason.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "no shard runs here"
)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod links;
mod reasons;
mod sizes;
mod words;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders and files of the repository that are written by hand.
const PLACES: [&str; 11] = [
    ".ci",
    ".github",
    "CHANGELOG.md",
    "Cargo.toml",
    "README.md",
    "benches",
    "examples",
    "scripts",
    "src",
    "tests",
    "tuning.md",
];
/// Files that were copied from elsewhere, or are built here.
const FOREIGN: [&str; 5] = [
    "node_modules",
    "target",
    "tests/corpus",
    "tests/fuzz/corpus",
    "tests/spec",
];
const LANGUAGES: [&str; 8] = ["md", "mjs", "py", "rs", "sh", "toml", "yml", ""];

/// A text of the repository.
struct Source {
    /// The path from the root, with slashes.
    path: String,
    text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_markdown(&self) -> bool {
        self.path.ends_with(".md")
    }

    /// Whether all of it is tests.
    fn is_test(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| part.trim_end_matches(".rs").ends_with("tests") || part == "models")
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every text, in order.
fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    for place in PLACES {
        collect(&root().join(place), &mut paths);
    }
    paths.sort();
    let sources = paths.into_iter().map(|path| Source {
        text: fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
    });
    sources.collect()
}

fn collect(path: &Path, found: &mut Vec<PathBuf>) {
    if FOREIGN.iter().any(|foreign| path.ends_with(foreign)) {
        return;
    }
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), found);
        }
    } else if path
        .extension()
        .is_none_or(|ending| LANGUAGES.contains(&ending.to_str().unwrap()))
    {
        found.push(path.to_owned());
    }
}

/// Fails with every problem, each naming its place, and with every entry of `excused` that has no problem.
fn assert_only(excused: &[&str], problems: Vec<(String, String)>) {
    let broken: BTreeSet<&str> = problems.iter().map(|(place, _)| place.as_str()).collect();
    let idle = excused.iter().filter(|place| !broken.contains(*place));
    let idle = idle.map(|place| format!("{place}: keeps the rule now; take it off the list in tests/tidy"));
    let unexcused = problems
        .iter()
        .filter(|(place, _)| !excused.contains(&place.as_str()));
    let lines: Vec<String> = unexcused
        .map(|(_, problem)| problem.clone())
        .chain(idle)
        .collect();
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

#[test]
fn the_texts_are_found() {
    let sources = sources();
    assert!(sources.len() > 400, "{} texts", sources.len());
    for path in ["README.md", "src/lib.rs", "tests/tidy/main.rs", ".ci/run"] {
        assert!(sources.iter().any(|source| source.path == path), "{path}");
    }
}

#[test]
#[should_panic(expected = "b: keeps the rule now")]
fn an_entry_without_a_problem_is_one() {
    assert_only(&["a", "b"], vec![("a".to_owned(), "a: too long".to_owned())]);
}

#[test]
#[should_panic(expected = "a: too long")]
fn a_problem_without_an_entry_fails() {
    assert_only(&[], vec![("a".to_owned(), "a: too long".to_owned())]);
}
