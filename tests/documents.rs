//! The promises of the documents: a README that is short and begins with two commands, and options that exist.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "no shard runs here"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const README_LINES_MAX: usize = 180;

/// Flags in the documents that are not options of `weir`: those of Docker and of this repository's scripts.
const FOREIGN_FLAGS: [&str; 1] = ["--security-opt"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The README, tuning.md, every page of the guide, and the files in `.github`.
fn documents() -> Vec<PathBuf> {
    let pages = ["src/guide", ".github"].into_iter().flat_map(|folder| {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path())
    });
    let pages = pages.filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    let mut found: Vec<PathBuf> = ["README.md", "tuning.md"].map(|name| root().join(name)).into();
    found.extend(pages);
    found
}

/// Every `--flag` with which a piece of inline code begins.
fn flags(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices("`--").map(|(start, _)| &text[start + 1..]);
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '-';
    let names = starts.map(|rest| &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())]);
    names.map(str::to_owned).collect()
}

/// The output of `weir COMMAND --help`.
fn help(command: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args([command, "--help"])
        .output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

#[test]
fn the_readme_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= README_LINES_MAX, "README.md has {lines} lines");
}

#[test]
fn the_readme_begins_with_two_commands() {
    let readme = read("README.md");
    let (_, block) = readme.split_once("```sh\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let commands: Vec<&str> = block
        .lines()
        .map(|line| line.split('#').next().unwrap().trim())
        .collect();
    // One runs the server as it is without options, the other passes the tests.
    assert_eq!(commands, ["cargo run --release -- serve", "cargo test"]);
}

#[test]
fn the_documents_name_options_that_exist() {
    let helps = ["serve", "size", "doctor", "bench", "tune", "top"]
        .map(help)
        .concat();
    let is_known = |flag: &str| {
        let mut places = helps.match_indices(flag).map(|(start, _)| start + flag.len());
        places.any(|end| !helps[end..].starts_with(|c: char| c == '-' || c.is_ascii_alphanumeric()))
    };
    let mut problems = Vec::new();
    for document in documents() {
        for flag in flags(&fs::read_to_string(&document).unwrap()) {
            if !is_known(&flag) && !FOREIGN_FLAGS.contains(&flag.as_str()) {
                problems.push(format!("{}: {flag}", document.display()));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// The flags in the first cell of each row of the tables of a section.
fn flags_of_rows(section: &str) -> Vec<String> {
    let rows = section.lines().filter_map(|line| line.strip_prefix('|'));
    let first_cells = rows.filter_map(|row| row.split('|').next());
    first_cells.flat_map(flags).collect()
}

#[test]
fn tuning_has_a_row_for_every_option_of_serve() {
    let help = help("serve");
    let options = help.lines().filter_map(|line| line.strip_prefix("      --"));
    let mut options: Vec<String> = options
        .filter_map(|option| option.split([' ', '[']).next())
        .map(|name| format!("--{name}"))
        .collect();
    options.sort_unstable();
    let tuning = read("tuning.md");
    let (_, section) = tuning.split_once("\n### Every flag\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut rows = flags_of_rows(section);
    rows.sort_unstable();
    // Equal as lists: an option with two rows has two truths.
    assert_eq!(rows, options);
}

#[test]
fn the_cookbook_names_every_recipe() {
    let entries = fs::read_dir(root().join("examples/cookbook/src")).unwrap();
    let files = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let recipes: BTreeSet<String> = files.filter(|file| file != "lib.rs").collect();
    let page = read("src/guide/cookbook.md");
    let words = page.split('`').skip(1).step_by(2);
    let named: BTreeSet<String> = words
        .filter(|word| word.ends_with(".rs"))
        .map(str::to_owned)
        .collect();
    assert_eq!(named, recipes);
}

#[test]
fn flags_of_rows_are_those_of_first_cells() {
    let found = flags_of_rows("`--text`\n| flag | memory |\n|---|---|\n| `--a`, `--b` | as `--c` |\n");
    assert_eq!(found, ["--a", "--b"]);
}

#[test]
fn flags_are_found_where_code_begins() {
    let found = flags("`--a-b` and `--c 1`, `x --not`, --neither");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["--a-b", "--c"]);
}
