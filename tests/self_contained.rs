//! A clone of this repository needs nothing beside it: no test, script or source looks above the repository's root.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "no shard runs here"
)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

/// Folders whose files are read, built or run.
const FOLDERS: [&str; 6] = [".ci", "benches", "examples", "scripts", "src", "tests"];
/// The languages they are written in.
const LANGUAGES: [&str; 5] = ["rs", "py", "mjs", "sh", ""];
/// Words behind which a path is relative to the file's own folder.
const OWN_FOLDER: [&str; 8] = [
    "include!(",
    "include_str!(",
    "include_bytes!(",
    "#[path",
    "dirname \"$0\"",
    "$here",
    "__file__",
    "import.meta",
];
/// Words behind which a path is relative to the root.
const ROOT: &str = "CARGO_MANIFEST_DIR";

/// How far `line`, in a folder `depth` below the root, climbs above the root.
fn levels_above_root(line: &str, depth: usize) -> usize {
    let climbs = line.matches("..").count() + line.matches(".parent").count();
    let is_from_here = OWN_FOLDER.iter().any(|anchor| line.contains(anchor));
    if line.contains(ROOT) {
        climbs
    } else if is_from_here {
        // In Python, the first `.parent` of a file is the folder it lies in.
        let to_folder = usize::from(line.contains("__file__") && line.contains(".parent"));
        climbs.saturating_sub(depth + to_folder)
    } else {
        0
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_installed = path.ends_with("node_modules") || path.ends_with("target");
        if path.is_dir() && !is_installed {
            files(&path, found);
        } else if path.is_file() {
            let extension = path
                .extension()
                .map_or("", |extension| extension.to_str().unwrap());
            if LANGUAGES.contains(&extension) {
                found.push(path);
            }
        }
    }
}

#[test]
fn nothing_looks_above_the_root() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in FOLDERS {
        files(&root.join(folder), &mut found);
    }
    assert!(found.len() > 200, "{} files", found.len());
    let mut problems = Vec::new();
    for file in found {
        let path = file.strip_prefix(root).unwrap();
        if path == Path::new(file!()) {
            continue;
        }
        let depth = path.components().count() - 1;
        let text = fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&text);
        let is_rooted = text.contains(ROOT);
        for (index, line) in text.lines().enumerate() {
            let is_search = is_rooted && line.contains("ancestors()");
            if is_search || levels_above_root(line, depth) > 0 {
                problems.push(format!("{}:{}: {}", path.display(), index + 1, line.trim()));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn the_rule_finds_what_it_is_for() {
    let cases = [
        (
            "let home = Path::new(env!(\"CARGO_MANIFEST_DIR\")).join(\"tests\");",
            1,
            0,
        ),
        ("concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/../shared\")", 1, 1),
        ("Path::new(env!(\"CARGO_MANIFEST_DIR\")).parent()", 1, 1),
        ("include_str!(\"../../tuning.md\")", 2, 0),
        ("include_str!(\"../../../tuning.md\")", 2, 1),
        ("cd \"$(dirname \"$0\")/..\"", 1, 0),
        ("cd \"$(dirname \"$0\")/../..\"", 1, 1),
        ("target=${CARGO_TARGET_DIR:-$here/../target}", 1, 0),
        ("schemas=$here/../../shared/spec", 1, 1),
        ("Path(__file__).parent.parent", 1, 0),
        ("Path(__file__).parent.parent.parent", 1, 1),
        ("new URL('../spec', import.meta.url)", 1, 0),
        ("new URL('../../spec', import.meta.url)", 1, 1),
        ("for index in 0..64 {", 0, 0),
    ];
    for (line, depth, levels) in cases {
        assert_eq!(levels_above_root(line, depth), levels, "{line}");
    }
}
