//! Words that a reader had to be told before he could read, and what is said instead. Whoever renames the last of a
//! word adds it here.

use super::{Source, assert_only, sources};

/// In any case, also as parts of names; with what to say.
const BANNED: [(&str, &str); 17] = [
    ("alarm", "waker"),
    ("bell", "eventfd"),
    ("bury", "reap"),
    ("complain", "print_error, or refuse"),
    ("ear", "waker, or listener"),
    ("glimpse", "outline"),
    ("herald", "broadcaster"),
    ("hush", "silence"),
    ("mailbox", "inbox"),
    ("nudge", "wake"),
    ("postbox", "inbox"),
    ("seat", "slot"),
    ("seating", "slab"),
    ("standing", "GET (stream)"),
    ("stripe", "partition"),
    ("switchboard", "shared context"),
    ("untold", "pending"),
];

/// Line number and word of each banned one. A word ends where its letters do, or an upper-case letter follows.
fn banned<'w>(text: &str, words: &'w [(&'w str, &'w str)]) -> Vec<(usize, &'w (&'w str, &'w str))> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for word in split(line) {
            let singular = word.strip_suffix('s').unwrap_or(&word);
            let hit = words
                .iter()
                .find(|(banned, _)| *banned == word || *banned == singular);
            found.extend(hit.map(|hit| (index + 1, hit)));
        }
    }
    found
}

/// The words of a line in lower case, those of names too: `shard_inbox`, `ShardInbox`.
fn split(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for letter in line.chars() {
        let begins = !letter.is_alphabetic() || letter.is_uppercase() && was_lower;
        was_lower = letter.is_lowercase();
        if begins {
            words.push(String::new());
        }
        if letter.is_alphabetic() {
            words.last_mut().unwrap().extend(letter.to_lowercase());
        }
    }
    words
}

#[test]
fn words_that_were_given_up_stay_away() {
    let is_judged = |source: &Source| source.is_rust() && !source.path.starts_with("tests/tidy/");
    let mut problems = Vec::new();
    for source in sources().into_iter().filter(is_judged) {
        for (number, (word, instead)) in banned(&source.text, &BANNED) {
            let problem = format!("{}:{number}: `{word}` was given up; say {instead}", source.path);
            problems.push((source.path.clone(), problem));
        }
    }
    assert_only(&[], problems);
}

#[test]
fn the_rule_finds_what_it_is_for() {
    let words = [("ear", "waker"), ("seat", "slot")];
    let text = "// Ears hear.\nlet year = seat_of(Wear);\nstruct SeatTable;\nfn fear() {}\n";
    let found: Vec<_> = banned(text, &words)
        .into_iter()
        .map(|(line, (word, _))| (line, *word))
        .collect();
    assert_eq!(found, [(1, "ear"), (2, "seat"), (3, "seat")]);
}
