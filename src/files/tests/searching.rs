//! `search`: places, bounds, patterns, cancellation.

use super::*;

fn search_with(root: &Root, pattern: &str, glob: Option<&str>, limit: Option<u64>) -> SearchResult {
    let args = Search {
        pattern: pattern.into(),
        glob: glob.map(Into::into),
        limit,
        ..Search::default()
    };
    search(root, &args, NOT_CANCELLED, NOT_TOLD).unwrap()
}

#[test]
fn lines_with_their_places() {
    let tree = Tree::new();
    tree.file("a.txt", "one\r\nTWO needle\nthree\nneedle")
        .file("b.rs", "fn needle() {}\n");
    let root = tree.root();
    let result = grep(&root, r"needle\b");
    assert_eq!(places(&result), [("a.txt", 2), ("a.txt", 4), ("b.rs", 1)]);
    assert_eq!(result.matches[0].text, "TWO needle");
    assert_eq!(result.matches[1].start_byte, Some(22));
    assert_eq!(read_from(&root, "a.txt", 22).unwrap().text, "needle");
    assert_eq!(read_lines(&root, "a.txt", 4, None).unwrap().text, "needle");
    assert_eq!(
        places(&grep(&root, "^one$")),
        [("a.txt", 1)],
        "line ends of either kind"
    );
    assert_eq!(places(&grep(&root, "[en]e$")), [("a.txt", 1), ("a.txt", 3)]);
    assert_eq!(places(&grep(&root, "^(three|fn)")), [("a.txt", 3), ("b.rs", 1)]);
    assert_eq!(places(&grep(&root, "(?i)two")), [("a.txt", 2)]);
    assert_eq!(
        places(&search_with(&root, "needle", Some("*.rs"), None)),
        [("b.rs", 1)]
    );
    assert_eq!(grep(&root, "needle").omitted, Omitted::default());
    assert!(grep(&root, "nowhere").matches.is_empty());
}

#[test]
fn limits_are_kept_and_told() {
    let tree = Tree::new();
    tree.file("a", "x\n".repeat(150)).file("b", "x\n".repeat(2_000));
    let root = tree.root();
    let counts = |limit| {
        let result = search_with(&root, "x", None, limit);
        (result.matches.len(), result.truncated)
    };
    assert_eq!(counts(None), (100, true));
    assert_eq!(counts(Some(150)), (150, true));
    assert_eq!(counts(Some(u64::MAX)), (945, true), "as many as fit");
    let wide = tree.root_with(|limits| limits.answer_bytes_max = 1 << 20);
    let result = search_with(&wide, "x", None, Some(u64::MAX));
    assert_eq!((result.matches.len(), result.truncated), (1_000, true));
    assert!(!search_with(&root, "x", Some("a"), Some(150)).truncated);
    let none = Search {
        pattern: "x".into(),
        limit: Some(0),
        ..Search::default()
    };
    assert!(matches!(
        search(&root, &none, NOT_CANCELLED, NOT_TOLD),
        Err(FileError::BelowOne { .. })
    ));
    let each = serde_json::to_string(&grep(&root, "x").matches[0]).unwrap().len() + 1;
    let root = tree.root_with(|limits| limits.answer_bytes_max = 5 * each);
    let result = grep(&root, "x");
    assert_eq!((result.matches.len(), result.truncated), (5, true));
}

#[test]
fn long_lines_are_cut_around_the_match() {
    let tree = Tree::new();
    let long = format!("{}needle{}", "ä".repeat(5_000), "ö".repeat(5_000));
    tree.file("long", &long)
        .file("end", format!("{}needle", "ä".repeat(5_000)));
    for match_bytes_max in [40, 41, 42, 43, 512] {
        let root = tree.root_with(|limits| limits.match_bytes_max = match_bytes_max);
        for found in grep(&root, "needle").matches {
            assert!(
                found.text.contains("needle") && !found.text.contains('\u{fffd}'),
                "{found:?}"
            );
            assert!(found.text.len() <= match_bytes_max && found.text.len() > match_bytes_max - 6);
            assert_eq!(found.text_is_cut, Some(true));
        }
    }
    let root = tree.root_with(|limits| limits.search_line_bytes_max = 4_096);
    let result = grep(&root, "needle");
    assert_eq!(
        (result.matches.len(), result.omitted.files_with_too_long_lines),
        (0, 2)
    );
}

#[test]
fn binary_files_are_skipped_even_with_matches_before_the_nul() {
    let tree = Tree::new();
    let mut late = b"needle\n".repeat(40_000);
    late.push(0);
    tree.file("late", &late)
        .file("nul", b"needle\0\n")
        .file("text", b"needle \xe9\n");
    let result = search_with(&tree.root(), "needle", None, Some(1));
    // `late` fills the answer before its NUL is reached: it counts as text up to there.
    assert_eq!(places(&result), [("late", 1)]);
    tree.file("late", b"needle\nneedle\n\0");
    let result = search_with(&tree.root(), "needle", None, Some(1));
    assert_eq!(places(&result), [("text", 1)]);
    assert_eq!((result.omitted.binary_files, result.truncated), (2, false));
    assert_eq!(result.matches[0].text, "needle \u{fffd}");
}

#[test]
fn bad_and_monstrous_patterns_are_refused_with_the_reason() {
    let tree = Tree::new();
    tree.file("f", "a".repeat(100_000));
    let root = tree.root();
    for pattern in [
        "(",
        "[z-a]",
        r"\q",
        "(?=x)",
        r"a\nb",
        r"\w{1000}{1000}",
        "((a{100}){100}){100}",
    ] {
        let args = Search {
            pattern: pattern.into(),
            ..Search::default()
        };
        match search(&root, &args, NOT_CANCELLED, NOT_TOLD) {
            Err(FileError::BadPattern { reason }) => assert!(!reason.is_empty()),
            other => panic!("{pattern}: {other:?}"),
        }
    }
    let args = Search {
        pattern: "a".repeat(1_025),
        ..Search::default()
    };
    assert!(matches!(
        search(&root, &args, NOT_CANCELLED, NOT_TOLD),
        Err(FileError::BadPattern { .. })
    ));
    // This takes exponential time in a backtracking engine.
    assert!(grep(&root, "(a*)*(a|a)*b").matches.is_empty());
}

#[test]
fn cancelled_between_files_and_within_one() {
    let tree = Tree::new();
    tree.file("f", "x\n".repeat(1_000_000));
    let asked = std::cell::Cell::new(0);
    let cancel = || asked.replace(asked.get() + 1) >= 4;
    let args = Search {
        pattern: "nothing".into(),
        ..Search::default()
    };
    assert!(matches!(
        search(&tree.root(), &args, &cancel, NOT_TOLD),
        Err(FileError::Cancelled)
    ));
    assert_eq!(asked.get(), 5);
}

/// The progress reports of a search.
fn told(root: &Root, pattern: &str) -> Vec<Looked> {
    let told = std::cell::RefCell::new(Vec::new());
    let args = Search {
        pattern: pattern.into(),
        ..Search::default()
    };
    search(root, &args, NOT_CANCELLED, &|looked| {
        told.borrow_mut().push(looked)
    })
    .unwrap();
    told.into_inner()
}

#[test]
fn progress_grows_between_files_and_within_a_long_one() {
    let tree = Tree::new();
    tree.file("a", "needle\n")
        .file("b", "x\n".repeat(2 << 20))
        .file("c", "needle\n");
    let told = told(&tree.root(), "needle");
    let amounts: Vec<_> = told
        .iter()
        .map(|looked| looked.files as f64 + looked.part)
        .collect();
    assert!(amounts.windows(2).all(|pair| pair[0] < pair[1]), "{amounts:?}");
    assert!(amounts.len() > 10, "{amounts:?}");
    let last = Looked {
        files: 3,
        part: 0.0,
        found: 2,
    };
    assert_eq!(told.last(), Some(&last));
}

/// Other clients' calls wait for the worker: it checks for cancellation after a bounded amount of work, however large
/// the file.
#[test]
fn a_huge_file_is_left_soon_after_cancelling() {
    let tree = Tree::new();
    // The file is sparse: it would take long to read.
    let huge = fs::File::create(tree.path("huge")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&huge, &b"x\n".repeat(4 << 20), 0).unwrap();
    huge.set_len(1 << 40).unwrap();
    let read = std::cell::Cell::new(0.0);
    let cancel = || read.get() > 0.0;
    let args = Search {
        pattern: "nothing".into(),
        ..Search::default()
    };
    let result = search(&tree.root(), &args, &cancel, &|looked| {
        assert_eq!(read.replace(looked.part), 0.0, "it read on");
    });
    assert!(matches!(result, Err(FileError::Cancelled)));
    let read_bytes = read.get() * (1_u64 << 40) as f64;
    assert!(read_bytes < (2 << 20) as f64, "{read_bytes}");
}

/// Errors speak of the pattern that the client sent.
#[test]
fn errors_are_about_the_pattern_that_was_sent() {
    let tree = Tree::new();
    let root = tree.root();
    for (pattern, shown) in [
        ("needle(", "needle("),
        ("a)(b", "a)(b"),
        ("[z-a]", "[z-a]"),
        ("*", "*"),
        ("\\p{Nothing}", "\\p{Nothing}"),
    ] {
        let args = Search {
            pattern: pattern.into(),
            ..Search::default()
        };
        let error = search(&root, &args, NOT_CANCELLED, NOT_TOLD)
            .unwrap_err()
            .to_string();
        assert!(error.contains(shown) && !error.contains("(?:"), "{error}");
    }
}

#[test]
fn patterns_with_comments_are_understood() {
    let tree = Tree::new();
    tree.file("f", "needle\nne edle\n");
    for pattern in [
        "(?x) ^ need le # what is sought",
        "(?x)\n  needle  # first\n  $ # last",
    ] {
        assert_eq!(places(&grep(&tree.root(), pattern)), [("f", 1)], "{pattern}");
    }
    assert_eq!(places(&grep(&tree.root(), "n.*# no comment|^ne ")), [("f", 2)]);
}

#[test]
fn texts_are_sought_as_they_stand_and_case_may_be_ignored() {
    let tree = Tree::new();
    tree.file("f", "a.b(c\naxb(c\nA.B(C\nÄ.b(\n");
    let root = tree.root();
    let lines = |pattern: &str, literal, ignore_case| {
        let args = Search {
            pattern: pattern.into(),
            literal,
            ignore_case,
            ..Search::default()
        };
        let result = search(&root, &args, NOT_CANCELLED, NOT_TOLD).unwrap();
        result.matches.iter().map(|found| found.line).collect::<Vec<_>>()
    };
    assert_eq!(lines("a.b(c", Some(true), None), [1]);
    assert_eq!(lines("a.b(c", Some(true), Some(true)), [1, 3]);
    assert_eq!(lines("a.b", Some(false), Some(false)), [1, 2]);
    assert_eq!(lines("a.b", None, Some(true)), [1, 2, 3]);
    assert_eq!(lines("ä", Some(true), Some(true)), [4]);
    assert_eq!(lines("(", Some(true), None), [1, 2, 3, 4]);
    let empty = Search {
        literal: Some(true),
        ..Search::default()
    };
    assert!(matches!(
        search(&root, &empty, NOT_CANCELLED, NOT_TOLD),
        Err(FileError::BadPattern { .. })
    ));
}
