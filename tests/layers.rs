//! The layer test: a module uses its own level's right-hand neighbours and lower levels, never upward; and inside a
//! folder of `src` neither files nor subfolders import each other in a circle.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "no shard runs here"
)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "layers/circles.rs"]
mod circles;
#[path = "layers/source.rs"]
mod source;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use circles::Crate;

/// Highest level first; within a level a module may use those to its right.
const LEVELS: [(u8, &[&str]); 8] = [
    (8, &["main", "cli", "tune", "load"]),
    (7, &["lib", "guide", "testing", "server", "admin"]),
    (6, &["shard"]),
    (5, &["transport"]),
    (
        4,
        &[
            "children",
            "pool",
            "workers",
            "tokio_runtime",
            "session",
            "timers",
        ],
    ),
    (3, &["mcp", "files", "demo"]),
    (2, &["registry", "jsonrpc", "wire"]),
    (
        1,
        &[
            "ring", "metrics", "page", "scrape", "config", "launcher", "units", "slab", "clock",
        ],
    ),
];

#[test]
fn no_module_points_upward() {
    let files = sources();
    let problems: Vec<String> = files
        .iter()
        .flat_map(|(path, text)| upward_imports(path, text))
        .collect();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn no_folder_has_a_circle() {
    let files = sources();
    let all = read(&files);
    let mut problems = Vec::new();
    for folder in all.folders() {
        problems.extend(all.circles(&folder));
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_source_module_has_a_layer() {
    let ranks = ranks();
    for file in rust_files(Path::new("src")) {
        assert!(
            ranks.contains_key(module_of(&file).as_str()),
            "{} is in no layer",
            file.display()
        );
    }
}

#[test]
fn a_planted_upward_import_is_found() {
    let text = "//! Queues.\nuse crate::units::Size;\n\nfn ask(shard: &crate::shard::Shard) {}\n";
    let problems = upward_imports(Path::new("src/pool/queue.rs"), text);
    assert_eq!(problems.len(), 1, "{problems:?}");
    let expected = "src/pool/queue.rs:4: `pool` may not use `shard`; allowed: workers,";
    assert!(problems[0].starts_with(expected), "{}", problems[0]);
}

#[test]
fn a_planted_circle_of_files_is_found() {
    let circles = planted(&[
        (
            "src/pool/mod.rs",
            "mod line;\nmod word;\nmod leaf;\npub use line::Line;\npub use word::Word;\n",
        ),
        (
            "src/pool/line.rs",
            "use super::leaf::Leaf;\nuse super::Word;\n\nfn f(word: super::word::Word) {}\n",
        ),
        (
            "src/pool/word.rs",
            "use super::leaf::Leaf;\n\nfn f() -> crate::pool::Line {}\n",
        ),
        ("src/pool/leaf.rs", "pub struct Leaf;\n"),
    ]);
    let expected =
        "src/pool: line -> word -> line is a circle; change src/pool/word.rs:3, where `word` imports `line`:
    line -> word: src/pool/line.rs:2, src/pool/line.rs:4
    word -> line: src/pool/word.rs:3";
    assert_eq!(circles, [expected]);
}

#[test]
fn a_planted_circle_of_subfolders_is_found() {
    // No two files import each other, but the wings do.
    let circles = planted(&[
        ("src/pool/mod.rs", "mod asking;\nmod running;\n"),
        ("src/pool/asking/mod.rs", "mod form;\nmod link;\n"),
        (
            "src/pool/asking/form.rs",
            "use crate::pool::running::call::Call;\n",
        ),
        ("src/pool/asking/link.rs", ""),
        ("src/pool/running/mod.rs", "pub mod call;\nmod start;\n"),
        ("src/pool/running/call.rs", ""),
        (
            "src/pool/running/start.rs",
            "use super::super::asking::{self, link::Link};\n",
        ),
    ]);
    assert_eq!(circles.len(), 1, "{circles:?}");
    assert!(
        circles[0].starts_with("src/pool: asking -> running -> asking is a circle;"),
        "{}",
        circles[0]
    );
}

#[test]
fn a_planted_circle_through_the_front_door_is_found() {
    let circles = planted(&[
        (
            "src/pool/mod.rs",
            "mod word;\n\npub struct Pool;\n\nfn f() {\n    word::read()\n}\n",
        ),
        ("src/pool/word.rs", "impl super::Pool {}\n"),
    ]);
    assert_eq!(circles.len(), 1, "{circles:?}");
    assert!(circles[0].contains("src/pool/word.rs:1"), "{}", circles[0]);
}

#[test]
fn tests_comments_literals_and_visibilities_import_nothing() {
    let circles = planted(&[
        (
            "src/pool/mod.rs",
            "mod line;\n#[cfg(test)]\nmod tests;\nmod word;\npub use word::Word;\n",
        ),
        ("src/pool/line.rs", "use super::Word;\n"),
        (
            "src/pool/word.rs",
            "//! See `super::line`.\npub(in crate::pool) fn f<'a>(c: char) -> &'a str {\n    \
             if c == '\"' { \"super::line::Line\" } else { r#\"\" super::line::Line\"# }\n}\n\
             #[cfg(test)]\nmod tests {\n    use super::super::line::Line;\n}\n",
        ),
        ("src/pool/tests.rs", "use super::line::Line;\n"),
    ]);
    assert_eq!(circles, [""; 0]);
}

fn planted(files: &[(&str, &str)]) -> Vec<String> {
    let root = ("src/lib.rs", "mod pool;\n");
    Crate::read(files.iter().copied().chain([root])).circles("pool")
}

fn sources() -> Vec<(PathBuf, String)> {
    rust_files(Path::new("src"))
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path, text)
        })
        .collect()
}

fn read(files: &[(PathBuf, String)]) -> Crate {
    Crate::read(
        files
            .iter()
            .map(|(path, text)| (path.to_str().unwrap(), text.as_str())),
    )
}

/// A line for each import of `text` that points upward.
fn upward_imports(file: &Path, text: &str) -> Vec<String> {
    let ranks = ranks();
    let module = module_of(file);
    let own = *ranks
        .get(module.as_str())
        .unwrap_or_else(|| panic!("{} is in no layer", file.display()));
    let mut problems = Vec::new();
    for (number, used) in uses(text) {
        let Some(&theirs) = ranks.get(used.as_str()) else {
            continue;
        };
        if used != module && theirs <= own {
            problems.push(format!(
                "{}:{number}: `{module}` may not use `{used}`; allowed: {}",
                file.display(),
                allowed(own)
            ));
        }
    }
    problems
}

/// The position in reading order of the table: a module may use any with a greater rank.
fn ranks() -> HashMap<&'static str, usize> {
    LEVELS
        .iter()
        .flat_map(|(_, modules)| modules.iter())
        .enumerate()
        .map(|(rank, name)| (*name, rank))
        .collect()
}

fn allowed(rank: usize) -> String {
    let all: Vec<&str> = LEVELS
        .iter()
        .flat_map(|(_, modules)| modules.iter().copied())
        .collect();
    all[rank + 1..].join(", ")
}

/// The top-level module a file belongs to: `src/ring/mod.rs` and `src/lib.rs` are of `ring` and `lib`.
fn module_of(file: &Path) -> String {
    let inside = file.strip_prefix("src").unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// Line number and module of each `crate::module` or `weir::module` path outside comments.
fn uses(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for prefix in ["crate::", "weir::"] {
            for (at, _) in code.match_indices(prefix) {
                found.extend(
                    names_after(&code[at + prefix.len()..])
                        .into_iter()
                        .map(|name| (number + 1, name)),
                );
            }
        }
    }
    found
}

/// `a::b` names `a`; `{a::b, c}` names `a` and `c`.
fn names_after(path: &str) -> Vec<String> {
    let ident = |text: &str| {
        text.trim()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    match path.strip_prefix('{') {
        Some(group) => group
            .split(',')
            .map(ident)
            .filter(|name| !name.is_empty())
            .collect(),
        None => vec![ident(path)],
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files
}
