//! The layer test: a module uses its own level's right-hand neighbours and lower levels, never upward.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "no shard runs here"
)]
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Highest level first; within a level a module may use those to its right.
const LEVELS: [(u8, &[&str]); 8] = [
    (8, &["main", "cli"]),
    (7, &["lib", "guide", "server", "admin"]),
    (6, &["shard"]),
    (5, &["transport"]),
    (4, &["pool", "workers", "session", "timers"]),
    (3, &["mcp", "files", "demo"]),
    (2, &["registry", "jsonrpc", "wire"]),
    (1, &["ring", "metrics", "config", "units", "slab"]),
];

#[test]
fn no_module_points_upward() {
    let ranks = ranks();
    let mut problems = Vec::new();
    for file in rust_files(Path::new("src")) {
        let module = module_of(&file);
        let own = *ranks
            .get(module.as_str())
            .unwrap_or_else(|| panic!("{} is in no layer", file.display()));
        let text = fs::read_to_string(&file).unwrap();
        for (number, used) in uses(&text) {
            let Some(&theirs) = ranks.get(used.as_str()) else {
                continue;
            };
            if used != module && theirs <= own {
                let at = format!("{}:{number}", file.display());
                problems.push(format!(
                    "{at}: `{module}` may not use `{used}`; allowed: {}",
                    allowed(own)
                ));
            }
        }
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

/// Position in reading order of the table: a module may use any with a greater rank.
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

/// The top-level module a file belongs to: `src/pool/mod.rs` and `src/pool.rs` are both `pool`.
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
