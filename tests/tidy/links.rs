//! Links of Markdown and of docs, and paths in texts, must lead to something.
//!
//! The documentation checks links to items (`crate::Server`) itself.

use std::fs;

use super::{Source, assert_only, root, sources};

/// The target of each `](target)`, with its line number. Code has no links.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut is_code = false;
    for (index, line) in text.lines().enumerate() {
        let content = line.trim_start().trim_start_matches(['/', '!']).trim_start();
        is_code ^= content.starts_with("```");
        if is_code {
            continue;
        }
        let prose: Vec<&str> = line.split('`').step_by(2).collect();
        // Text in backticks is removed, so that a link of code keeps its brackets.
        for (at, _) in prose.join("").match_indices("](") {
            let prose = prose.join("");
            let target = prose[at + 2..].split(')').next().unwrap_or_default();
            found.push((index + 1, target.to_owned()));
        }
    }
    found
}

/// Whether a link names a file or a heading of the repository.
fn is_local(target: &str) -> bool {
    let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
    let (path, _) = target.split_once('#').unwrap_or((target, ""));
    let is_file = path.is_empty() || path.contains('/') || path.ends_with(".md");
    !is_elsewhere && is_file && !target.is_empty() && !target.contains("::")
}

/// Anchors of a Markdown text, as renderers make them of headings.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

fn problem_of(source: &Source, target: &str) -> Option<String> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let own = root().join(&source.path);
    let file = if path.is_empty() {
        own
    } else {
        own.parent().unwrap().join(path)
    };
    if !file.exists() {
        return Some(format!("`{target}` leads nowhere"));
    }
    let is_known = || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        anchors(&text).iter().any(|known| known == anchor)
    };
    (!anchor.is_empty() && !is_known()).then(|| format!("`{target}` names no heading"))
}

/// Folders whose paths are told from other words in backticks.
const FOLDERS: [&str; 8] = [
    ".ci/",
    ".cargo/",
    ".github/",
    "benches/",
    "examples/",
    "scripts/",
    "src/",
    "tests/",
];

/// Paths from the root that stand in backticks, with their line numbers.
fn paths(text: &str) -> Vec<(usize, &str)> {
    let lines = text.lines().enumerate();
    let quoted = lines.flat_map(|(index, line)| {
        line.split('`')
            .skip(1)
            .step_by(2)
            .map(move |word| (index + 1, word))
    });
    let is_path = |word: &str| {
        let is_plain = word.chars().all(|c| c.is_alphanumeric() || "/._-".contains(c));
        is_plain && FOLDERS.iter().any(|folder| word.starts_with(folder))
    };
    quoted.filter(|(_, word)| is_path(word)).collect()
}

/// A source's comments, each on its line; all of a Markdown text.
fn prose(source: &Source) -> String {
    let is_prose = |line: &&str| source.is_markdown() || line.trim_start().starts_with("//");
    let lines = source.text.lines();
    let lines: Vec<&str> = lines
        .map(|line| if is_prose(&line) { line } else { "" })
        .collect();
    lines.join("\n")
}

#[test]
fn links_lead_somewhere() {
    let mut problems = Vec::new();
    for source in sources() {
        if !source.is_markdown() && !source.is_rust() {
            continue;
        }
        for (number, target) in links(&prose(&source)) {
            // In Rust and in the guide, a link without a path is an item's, or a heading's of the same page.
            let is_item = source.is_rust() && !target.contains('/');
            if let Some(problem) = problem_of(&source, &target).filter(|_| is_local(&target) && !is_item) {
                problems.push((
                    source.path.clone(),
                    format!("{}:{number}: {problem}", source.path),
                ));
            }
        }
    }
    assert_only(&[], problems);
}

#[test]
fn paths_that_are_named_exist() {
    let mut problems = Vec::new();
    for source in sources() {
        if source.path == "CHANGELOG.md" {
            continue;
        }
        let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (number, path) in paths(&prose(&source)) {
            // Examples, tests and benches are named without their ending.
            let beginnings = [root().to_owned(), root().join(folder)];
            let endings = ["", ".rs"];
            let exists = |ending: &&str| {
                beginnings
                    .iter()
                    .any(|from| from.join(format!("{path}{ending}")).exists())
            };
            if !endings.iter().any(exists) {
                let problem = format!("{}:{number}: `{path}` does not exist", source.path);
                problems.push((source.path.clone(), problem));
            }
        }
    }
    assert_only(&[], problems);
}

#[test]
fn the_rules_find_what_they_are_for() {
    let text = "[a](b.md) and [`c`](d/e.md#f)\n```\n[g](h.md)\n```\n`[i](j.md)` [k](#l-m)\n";
    let found: Vec<String> = links(text).into_iter().map(|(_, target)| target).collect();
    assert_eq!(found, ["b.md", "d/e.md#f", "#l-m"]);
    let local = ["b.md", "d/e.md#f", "#l-m", "../LICENSE"];
    assert!(local.iter().all(|target| is_local(target)));
    let others = ["https://a/b.md", "crate::Server", "Self::drain", "super", ""];
    assert!(others.iter().all(|target| !is_local(target)));
    assert_eq!(anchors("# A `b` (c)!\ntext\n## D-e\n"), ["a-b-c", "d-e"]);
    let text = "See `tests/layers.rs`, `scripts/ring.sh --no-build` and `srcs/x`.\n`src/lib.rs`\n";
    assert_eq!(paths(text), [(1, "tests/layers.rs"), (2, "src/lib.rs")]);
}
