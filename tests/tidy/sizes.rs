//! Lines, files, and the files and structs of a shard.

use super::{Source, assert_only, sources};

/// Characters of a line of Rust. Code is shorter, by `.rustfmt.toml`; this is for comments.
const LINE_MAX: usize = 120;
/// Lines of a file, without tests at its end.
const FILE_LINES_MAX: usize = 800;
/// The same in `src/shard`.
const SHARD_FILE_LINES_MAX: usize = 500;
/// Fields of a struct in `src/shard`.
const FIELDS_MAX: usize = 16;

const LONG_FILES: [&str; 0] = [];
const LONG_SHARD_FILES: [&str; 0] = [];
const WIDE_STRUCTS: [&str; 0] = [];
const LONG_LINES: [&str; 0] = [];

/// Whether a line may have any length: a row of a table, (part of) a string, an address.
fn is_unbreakable(line: &str) -> bool {
    let line = line.trim_start();
    let comment = line.trim_start_matches('/').trim_start_matches('!').trim_start();
    comment.starts_with('|') || line.contains('"') || line.contains("://") || line.ends_with('\\')
}

fn long_lines(text: &str) -> impl Iterator<Item = usize> {
    let lines = text.lines().enumerate();
    let long = lines.filter(|(_, line)| line.chars().count() > LINE_MAX && !is_unbreakable(line));
    long.map(|(index, _)| index + 1)
}

/// Lines before the tests at the end.
fn lines_of_code(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let is_mark = |line: &&str| line.starts_with("#[cfg(test)]");
    let tests = lines.iter().rposition(is_mark).filter(|at| {
        let after = lines.get(at + 1);
        after.is_some_and(|line| line.starts_with("mod tests {"))
    });
    tests.unwrap_or(lines.len())
}

/// Name and number of fields of each struct.
fn structs(text: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        let Some((before, after)) = line.split_once("struct ") else {
            continue;
        };
        let is_item = before.trim().is_empty() || before.trim().starts_with("pub");
        if !is_item || !line.ends_with('{') {
            continue;
        }
        let name = after.split(|c: char| !c.is_alphanumeric() && c != '_').next();
        let is_field = |line: &&str| {
            let field = line.trim_start();
            let name = field.split_once(':').map(|(name, _)| name);
            let is_named = name.and_then(|name| name.split_whitespace().last()).is_some();
            let is_code = !field.starts_with("//") && !field.starts_with('#');
            is_named && is_code && line.len() - field.len() == indent + 4
        };
        let is_end = |line: &&str| line.trim_start() == "}" && line.len() == indent + 1;
        let body = lines.by_ref().take_while(|line| !is_end(line));
        found.push((name.unwrap().to_owned(), body.filter(is_field).count()));
    }
    found
}

fn of_shard() -> impl Iterator<Item = Source> {
    sources()
        .into_iter()
        .filter(|source| source.path.starts_with("src/shard/") && !source.is_test())
}

#[test]
fn lines_are_short() {
    let mut problems = Vec::new();
    for source in sources().into_iter().filter(Source::is_rust) {
        for number in long_lines(&source.text) {
            let problem = format!("{}:{number}: more than {LINE_MAX} characters", source.path);
            problems.push((source.path.clone(), problem));
        }
    }
    assert_only(&LONG_LINES, problems);
}

fn too_long(source: &Source, lines_max: usize) -> Option<(String, String)> {
    let lines = lines_of_code(&source.text);
    let problem = format!("{}: {lines} lines, at most {lines_max}", source.path);
    (lines > lines_max).then(|| (source.path.clone(), problem))
}

#[test]
fn files_are_short() {
    let sources = sources().into_iter().filter(Source::is_rust);
    let problems = sources.filter_map(|source| too_long(&source, FILE_LINES_MAX));
    assert_only(&LONG_FILES, problems.collect());
}

#[test]
fn files_of_a_shard_are_shorter() {
    let problems = of_shard().filter_map(|source| too_long(&source, SHARD_FILE_LINES_MAX));
    assert_only(&LONG_SHARD_FILES, problems.collect());
}

#[test]
fn structs_of_a_shard_have_few_fields() {
    let mut problems = Vec::new();
    for source in of_shard() {
        for (name, fields) in structs(&source.text) {
            let problem = format!(
                "{}: {name} has {fields} fields, at most {FIELDS_MAX}: give some an owner of their own",
                source.path
            );
            if fields > FIELDS_MAX {
                problems.push((name, problem));
            }
        }
    }
    assert_only(&WIDE_STRUCTS, problems);
}

#[test]
fn the_rules_find_what_they_are_for() {
    let long = "x".repeat(LINE_MAX + 1);
    let text = format!("{long}\nshort\n// {long}\n//! | {long} |\nlet s = \"{long}\";\n// https://{long}\n");
    assert_eq!(long_lines(&text).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(lines_of_code("a\nb\n#[cfg(test)]\nmod tests {\nc\n}\n"), 2);
    assert_eq!(lines_of_code("a\n#[cfg(test)]\nmod tests;\nb\n"), 4);
    let text = "/// A struct of no item\npub(crate) struct A<T> {\n    /// B: c\n    pub b: T,\n    #[x]\n    c: Vec<\n        \
                D,\n    >,\n}\nstruct Unit;\n    struct Inner {\n        a: u8,\n    }\n";
    let found = structs(text);
    assert_eq!(found, [("A".to_owned(), 2), ("Inner".to_owned(), 1)]);
}
