//! Walks and `find_files`: globs, ignore rules, bounds.

use super::*;

fn glob_of(glob: &str) -> FindFiles {
    FindFiles {
        glob: glob.into(),
        ..FindFiles::default()
    }
}

#[test]
fn globs_by_name_and_by_path() {
    let tree = Tree::new();
    for path in [
        "a.rs",
        "src/b.rs",
        "src/deep/c.rs",
        "src/deep/d.txt",
        "src-x/e.rs",
        ".github/f.yml",
    ] {
        tree.file(path, "");
    }
    let root = tree.root();
    let cases: &[(&str, &[&str])] = &[
        ("*.rs", &["a.rs", "src/b.rs", "src/deep/c.rs", "src-x/e.rs"]),
        ("/*.rs", &["a.rs"]),
        ("./*.rs", &["a.rs"]),
        ("src/*.rs", &["src/b.rs"]),
        (
            "src/**",
            &["src/b.rs", "src/deep/", "src/deep/c.rs", "src/deep/d.txt"],
        ),
        ("src", &["src/"]),
        ("src*/", &["src/", "src-x/"]),
        ("/src*/", &["src/", "src-x/"]),
        ("src/*/", &["src/deep/"]),
        ("a.rs/", &[]),
        ("**/deep/*.{rs,txt}", &["src/deep/c.rs", "src/deep/d.txt"]),
        ("[ab].rs", &["a.rs", "src/b.rs"]),
        ("*.yml", &[".github/f.yml"]),
        ("../*", &[]),
        ("/etc/*", &[]),
    ];
    for (glob, expected) in cases {
        let found = find(&root, glob);
        assert_eq!(
            found.paths.iter().collect::<BTreeSet<_>>(),
            expected
                .iter()
                .map(|s| s.to_string())
                .collect::<Vec<_>>()
                .iter()
                .collect(),
            "{glob}"
        );
        assert_eq!((found.truncated, found.omitted), (false, Omitted::default()));
    }
    // Depth first, by name: the order of two walks is the same.
    assert_eq!(
        find(&root, "*.rs").paths,
        ["a.rs", "src/b.rs", "src/deep/c.rs", "src-x/e.rs"]
    );
    let nested = format!("{}a{}", "{".repeat(500), "}".repeat(500));
    for bad in ["[", "{a", "", &nested, &"a".repeat(1_025)] {
        let error = find_files(&root, &glob_of(bad), NOT_CANCELLED, NOT_TOLD).unwrap_err();
        assert!(matches!(error, FileError::BadGlob { .. }), "{bad}");
    }
}

#[test]
fn gitignore_files_are_obeyed() {
    let tree = Tree::new();
    tree.file(
        ".gitignore",
        "*.log\n/build/\n# comment\ntarget\n!keep.log\n[\nsub/only.txt\n",
    );
    tree.file("sub/.gitignore", "!deep.log\n*.tmp\n/anchored\n");
    for path in [
        "a.log",
        "keep.log",
        "build/x",
        "sub/build/x",
        "target/x",
        "sub/target/x",
        "sub/deep.log",
        "sub/x.tmp",
        "x.tmp",
        "sub/anchored",
        "sub/more/anchored",
        "sub/only.txt",
        "only.txt",
        ".git/config",
        "sub/.git/x",
    ] {
        tree.file(path, "needle");
    }
    // Rules above the root and rules from outside are out of reach.
    fs::write(tree.base.join(".gitignore"), "*").unwrap();
    tree.file("more/x.tmp", "needle")
        .link("../../outside/secret", "more/.gitignore");
    let expected = [
        "keep.log",
        "more/x.tmp",
        "only.txt",
        "sub/build/x",
        "sub/deep.log",
        "sub/more/anchored",
        "x.tmp",
    ];
    let root = tree.root();
    let found = grep(&root, "needle");
    assert_eq!(
        found
            .matches
            .iter()
            .map(|found| found.path.as_str())
            .collect::<Vec<_>>(),
        expected
    );
    let found = find(&root, "*");
    let paths: Vec<_> = found
        .paths
        .iter()
        .filter(|path| !path.ends_with(".gitignore") && !path.ends_with('/'))
        .collect();
    assert_eq!(paths, expected.iter().collect::<Vec<_>>());
}

#[test]
fn links_are_not_descended() {
    let tree = Tree::new();
    tree.file("d/f", "needle")
        .link("..", "d/up")
        .link(".", "d/self")
        .link("../outside", "out")
        .link("d/f", "l");
    let root = tree.root();
    assert_eq!(
        find(&root, "*").paths,
        ["d/", "d/f", "d/self", "d/up", "l", "out"]
    );
    assert_eq!(places(&grep(&root, "needle|SECRET")), [("d/f", 1)]);
}

#[test]
fn bounds_are_kept_and_told() {
    let tree = Tree::new();
    for number in 0..30 {
        tree.file(&format!("d{}/f{number}", number % 3), "needle\n");
    }
    tree.file("deep/1/2/3/f", "needle\n");
    let root = tree.root_with(|limits| limits.find_results_max = 7);
    let found = find(&root, "f*");
    assert_eq!((found.paths.len(), found.truncated), (7, true));
    let root = tree.root_with(|limits| limits.find_results_max = 31);
    assert_eq!(
        (find(&root, "f*").paths.len(), find(&root, "f*").truncated),
        (31, false)
    );
    // The bytes of `"d0/f0",` and the like.
    let root = tree.root_with(|limits| limits.answer_bytes_max = 3 * 8 + 7);
    let found = find(&root, "f?");
    assert_eq!((found.paths.len(), found.truncated), (3, true));
    let root = tree.root_with(|limits| limits.walk_depth_max = 2);
    let found = grep(&root, "needle");
    assert_eq!((found.matches.len(), found.omitted.directories_too_deep), (30, 1));
    let root = tree.root_with(|limits| limits.walk_entries_max = 10);
    let found = find(&root, "f*");
    assert!(found.paths.len() < 10 && found.omitted.entries_beyond_limit && !found.truncated);
    let asked = std::cell::Cell::new(0);
    let cancel = || asked.replace(asked.get() + 1) >= 20;
    let args = glob_of("f*");
    assert!(matches!(
        find_files(&tree.root(), &args, &cancel, NOT_TOLD),
        Err(FileError::Cancelled)
    ));
}

#[test]
fn a_deep_tree_costs_bounded_descriptors() {
    let tree = Tree::new();
    let path = "d/".repeat(100);
    tree.file(&format!("{path}f"), "needle");
    let found = find(&tree.root(), "f");
    assert_eq!((found.paths.len(), found.omitted.directories_too_deep), (0, 1));
}

/// Routes of some frameworks have brackets in their files' names.
#[test]
fn a_path_as_it_stands_finds_itself_first() {
    let tree = Tree::new();
    for path in [
        "app/[id]/page.tsx",
        "app/i/page.tsx",
        "app/{a,b}/x",
        "app/a/x",
        "[id].ts",
        "d.ts",
        "broken[",
        "q?",
    ] {
        tree.file(path, "needle");
    }
    let root = tree.root();
    assert_eq!(
        find(&root, "app/[id]/page.tsx").paths,
        ["app/[id]/page.tsx", "app/i/page.tsx"]
    );
    assert_eq!(find(&root, "app/[id]").paths, ["app/[id]/", "app/i/"]);
    assert_eq!(find(&root, "app/[id]/").paths, ["app/[id]/", "app/i/"]);
    assert_eq!(find(&root, "app/{a,b}/x").paths, ["app/{a,b}/x", "app/a/x"]);
    assert_eq!(find(&root, "[id].ts").paths, ["[id].ts", "d.ts"]);
    assert_eq!(find(&root, "q?").paths, ["q?"]);
    assert_eq!(find(&root, "broken[").paths, ["broken["]);
    assert_eq!(find(&root, "broken[/").paths, [""; 0], "no directory");
    let args = Search {
        pattern: "needle".into(),
        glob: Some("app/[id]/page.tsx".into()),
        ..Search::default()
    };
    let result = search(&root, &args, NOT_CANCELLED, NOT_TOLD).unwrap();
    assert_eq!(result.matches.len(), 2);
    // The name of a link that leads out is shown like any other, and nothing behind it is.
    tree.link("../outside", "[out]").link("../secret", "[s]");
    assert_eq!(find(&root, "[out]").paths, ["[out]"]);
    assert_eq!(find(&root, "[out]/secret").paths, [""; 0]);
    assert_eq!(find(&root, "[out]/../secret").paths, [""; 0]);
    assert_eq!(find(&root, "app/[id]/../../../secret").paths, [""; 0]);
}

#[test]
fn the_case_of_letters_may_be_ignored() {
    let tree = Tree::new();
    tree.file("README.md", "")
        .file("docs/ReadMe.MD", "")
        .file("Ärger", "");
    let found = |glob: &str, ignore_case| {
        let args = FindFiles {
            glob: glob.into(),
            ignore_case,
        };
        find_files(&tree.root(), &args, NOT_CANCELLED, NOT_TOLD)
            .unwrap()
            .paths
    };
    assert_eq!(found("readme.*", Some(true)), ["README.md", "docs/ReadMe.MD"]);
    assert_eq!(found("DOCS/*.md", Some(true)), ["docs/ReadMe.MD"]);
    assert_eq!(found("readme.*", None), [""; 0]);
    assert_eq!(found("readme.*", Some(false)), [""; 0]);
}

#[test]
fn the_roots_repository_may_exclude_more() {
    let tree = Tree::new();
    tree.file(".git/info/exclude", "*.tmp\n*.log\n")
        .file(".gitignore", "!keep.log\n");
    for path in ["a.tmp", "sub/b.tmp", "c.log", "keep.log", "d"] {
        tree.file(path, "");
    }
    assert_eq!(
        find(&tree.root(), "*").paths,
        [".gitignore", "d", "keep.log", "sub/"]
    );
}

#[test]
fn an_overlong_gitignore_is_obeyed_in_part_and_that_is_told() {
    let tree = Tree::new();
    tree.file(".gitignore", "a\nbcd\nefg\n")
        .file("sub/.gitignore", "x\n");
    for path in ["a", "b", "bc", "bcd", "efg"] {
        tree.file(path, "");
    }
    let root = tree.root_with(|limits| limits.gitignore_bytes_max = 5);
    let found = find(&root, "?*");
    assert_eq!(found.omitted.gitignores_cut, 1);
    assert_eq!(
        found.paths,
        [".gitignore", "b", "bc", "bcd", "efg", "sub/", "sub/.gitignore"]
    );
}
