//! "Did you mean": the known name most like an unknown one.

/// The known name most like an unknown one, unless none is similar.
///
/// Edits are counted, since a typing mistake is one or two of them; a name with the same words in another order, or one
/// that goes on where the other ends, is as good. The names that several other servers use for an option are in a
/// table.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this two names have too little in common to be a typing mistake.
    const LIKENESS_MIN: f64 = 0.7;
    let name = name.to_ascii_lowercase().replace('_', "-");
    let elsewhere = ELSEWHERE.iter().find(|(theirs, _)| *theirs == name);
    let mut best: Option<(f64, &str)> = None;
    for candidate in known {
        let likeness = match elsewhere {
            Some((_, ours)) if *ours == candidate => f64::INFINITY,
            _ => likeness(&name, candidate),
        };
        // Of equals the first counts: the table begins with the most important options.
        if likeness >= LIKENESS_MIN && best.is_none_or(|(most, _)| likeness > most) {
            best = Some((likeness, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Names in other servers, and the name here.
const ELSEWHERE: [(&str, &str); 6] = [
    ("port", "listen"),
    ("host", "listen"),
    ("bind", "listen"),
    ("addr", "listen"),
    ("address", "listen"),
    ("directory", "root"),
];

/// The similarity of two names, from 0 to 1.
fn likeness(name: &str, candidate: &str) -> f64 {
    /// Shorter prefixes begin too many words.
    const PREFIX_LENGTH_MIN: usize = 3;
    const BEGINS: f64 = 0.75;
    let words = |text: &str| {
        let mut words: Vec<String> = text.split('-').map(str::to_owned).collect();
        words.sort_unstable();
        words
    };
    if words(name) == words(candidate) {
        return 1.0;
    }
    let (short, long) = if name.len() < candidate.len() {
        (name, candidate)
    } else {
        (candidate, name)
    };
    let edits = strsim::normalized_damerau_levenshtein(name, candidate);
    if short.len() >= PREFIX_LENGTH_MIN && long.starts_with(short) {
        return edits.max(BEGINS);
    }
    edits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options::Options;

    #[test]
    fn the_nearest_name_is_what_was_meant() {
        let cases = [
            ("poolsize", Some("pool-size")),
            ("pool_size", Some("pool-size")),
            ("idel-timeout", Some("idle-timeout")),
            ("worker", Some("workers")),
            ("max-memory", Some("memory-max")),
            ("allow-orgin", Some("allow-origin")),
            ("Listen", Some("listen")),
            ("pool", Some("pool")),
            ("pools", Some("pool")),
            ("poolsize", Some("pool-size")),
            ("queue", Some("queue-depth")),
            ("port", Some("listen")),
            ("host", Some("listen")),
            ("zzz", None),
            ("serve", None),
            ("server", None),
            ("version", None),
            ("home", None),
            ("user", None),
            ("uid", None),
            ("image", None),
            ("commit", None),
            ("build-date", None),
        ];
        for (typed, meant) in cases {
            assert_eq!(
                nearest(typed, Options::specs().map(|spec| spec.name)),
                meant,
                "{typed}"
            );
        }
    }
}
