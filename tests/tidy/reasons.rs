//! An attribute that switches a lint off gives its reason, which the compiler shows.

use super::{Source, assert_only, sources};

/// Line numbers of attributes `allow` and `expect` without a reason.
fn unreasoned(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("#[").chain(text.match_indices("#![")) {
        let line_begin = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let is_own_line = text[line_begin..at].trim().is_empty();
        let attribute = text[at..].trim_start_matches(['#', '!']).trim_start_matches('[');
        let is_switch = ["allow(", "expect("]
            .iter()
            .any(|name| attribute.starts_with(name));
        let end = attribute.find(")]").unwrap_or(attribute.len());
        if is_own_line && is_switch && !attribute[..end].contains("reason = ") {
            found.push(text[..at].lines().count() + usize::from(text[..at].ends_with('\n') || at == 0));
        }
    }
    found.sort_unstable();
    found
}

#[test]
fn every_lint_that_is_switched_off_has_a_reason() {
    let mut problems = Vec::new();
    for source in sources().into_iter().filter(Source::is_rust) {
        for number in unreasoned(&source.text) {
            let problem = format!("{}:{number}: say `reason = \"…\"`", source.path);
            problems.push((source.path.clone(), problem));
        }
    }
    assert_only(&[], problems);
}

#[test]
fn the_rule_finds_what_it_is_for() {
    let text = "#![allow(unsafe_code)]\n#[allow(\n    a,\n    reason = \"b\"\n)]\n    #[expect(c)]\nlet x = \"#[allow(d)]\";\n\
                #[cfg(e)]\n#[allow(f, reason = \"g\")]\n";
    assert_eq!(unreasoned(text), [1, 6]);
}
