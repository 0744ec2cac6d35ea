//! The root's name, and the directories that have it one after the other.

use super::*;

/// The answers to all requests that a root can get.
fn answers(root: &Root) -> Vec<Result<String, FileError>> {
    let pattern = Search {
        pattern: ".".into(),
        ..Search::default()
    };
    let glob = FindFiles {
        glob: "*".into(),
        ..FindFiles::default()
    };
    vec![
        read(root, "f").map(|file| file.text),
        list(root, "").map(|listing| names(&listing).join(" ")),
        find_files(root, &glob, NOT_CANCELLED, NOT_TOLD).map(|found| found.paths.join(" ")),
        search(root, &pattern, NOT_CANCELLED, NOT_TOLD).map(|found| found.matches[0].text.clone()),
        info(root, "f").map(|_| "f".to_owned()),
    ]
}

#[track_caller]
fn assert_serves(root: &Root, text: &str) {
    let shown: Vec<String> = answers(root).into_iter().map(Result::unwrap).collect();
    assert_eq!(shown, [text, "f", "f", text, "f"]);
    assert!(root.is_there());
}

#[track_caller]
fn assert_serves_nothing(root: &Root) {
    for answer in answers(root) {
        assert!(matches!(answer, Err(FileError::NoRoot)), "{answer:?}");
    }
    assert!(!root.is_there());
}

#[test]
fn the_directory_that_has_the_name_is_served() {
    let tree = Tree::new();
    tree.file("f", "one");
    let root = tree.root();
    assert_serves(&root, "one");
    fs::remove_dir_all(tree.path("")).unwrap();
    assert_serves_nothing(&root);
    assert_serves_nothing(&root);
    tree.file("f", "two");
    assert_serves(&root, "two");
    // The directories are exchanged at once, as by `rm -r` and `mkdir` in a row.
    fs::remove_dir_all(tree.path("")).unwrap();
    tree.file("f", "three");
    assert_serves(&root, "three");
    fs::rename(tree.path(""), tree.base.join("old")).unwrap();
    tree.file("f", "four");
    assert_serves(&root, "four");
    fs::write(tree.base.join("old/f"), "not served").unwrap();
    assert_serves(&root, "four");
    fs::rename(tree.path(""), tree.base.join("four")).unwrap();
    assert_serves_nothing(&root);
    fs::write(tree.base.join("root"), "no directory").unwrap();
    assert_serves_nothing(&root);
    fs::remove_file(tree.base.join("root")).unwrap();
    symlink("old", tree.base.join("root")).unwrap();
    assert_serves(&root, "not served");
    fs::remove_file(tree.base.join("root")).unwrap();
    symlink("nowhere", tree.base.join("root")).unwrap();
    assert_serves_nothing(&root);
}

/// Two deployments and a link to the current one.
fn deployments() -> (Tree, Root) {
    let tree = Tree::new();
    for (name, text) in [("one", "first"), ("two", "second")] {
        fs::create_dir(tree.base.join(name)).unwrap();
        fs::write(tree.base.join(name).join("f"), text).unwrap();
    }
    symlink("one", tree.base.join("current")).unwrap();
    let root = Root::open(tree.base.join("current")).unwrap();
    (tree, root)
}

fn deploy(tree: &Tree, name: &str) {
    symlink(name, tree.base.join("next")).unwrap();
    fs::rename(tree.base.join("next"), tree.base.join("current")).unwrap();
}

#[test]
fn a_link_that_is_switched_is_followed() {
    let (tree, root) = deployments();
    assert_serves(&root, "first");
    deploy(&tree, "two");
    assert_serves(&root, "second");
    deploy(&tree, "one");
    assert_serves(&root, "first");
}

#[test]
fn absolute_paths_are_taken_under_each_name_of_the_root() {
    let (tree, root) = deployments();
    fs::create_dir(tree.base.join("one/d[1]")).unwrap();
    fs::write(tree.base.join("one/d[1]/g"), "g").unwrap();
    let base = tree.base.canonicalize().unwrap();
    let typed = tree.base.join("current");
    for top in [typed.clone(), base.join("one")] {
        let top = top.to_str().unwrap();
        assert_eq!(read(&root, &format!("{top}/f")).unwrap().text, "first");
        assert_eq!(read(&root, &format!("{top}//./f")).unwrap().text, "first");
        assert_eq!(names(&list(&root, top).unwrap()), ["d[1]", "f"]);
        assert_eq!(names(&list(&root, &format!("{top}/")).unwrap()), ["d[1]", "f"]);
        assert_eq!(info(&root, top).unwrap().kind, Kind::Directory);
        for (glob, found) in [
            (format!("{top}/*"), vec!["d[1]/", "f"]),
            (format!("{top}/**/g"), vec!["d[1]/g"]),
            (format!("{top}/d[1]/g"), vec!["d[1]/g"]),
            (format!("{top}/g"), vec![]),
            (top.to_owned(), vec!["d[1]/", "d[1]/g", "f"]),
            (format!("{}/f", globset::escape(top)), vec!["f"]),
            (format!("{top}x/f"), vec![]),
        ] {
            assert_eq!(find(&root, &glob).paths, found, "{glob}");
        }
        let args = Search {
            pattern: "f|g".into(),
            glob: Some(format!("{top}/d*/*")),
            ..Search::default()
        };
        let result = search(&root, &args, NOT_CANCELLED, NOT_TOLD).unwrap();
        assert_eq!(places(&result), [("d[1]/g", 1)]);
    }
    deploy(&tree, "two");
    let read_at = |top: &str| read(&root, &format!("{}/f", tree.base.join(top).display()));
    assert_eq!(read_at("current").unwrap().text, "second");
    assert_eq!(read_at("two").unwrap().text, "second");
    for outside in ["one", "currently", "."] {
        assert!(
            matches!(read_at(outside), Err(FileError::OutsideRoot { .. })),
            "{outside}"
        );
    }
    let beyond = format!("{}/../one/f", typed.display());
    assert!(matches!(read(&root, &beyond), Err(FileError::OutsideRoot { .. })));
}

#[test]
fn dots_in_the_roots_own_name_are_understood() {
    let (tree, _) = deployments();
    let typed = tree.base.join("two/../one/.");
    let root = Root::open(&typed).unwrap();
    for top in [typed, tree.base.join("one")] {
        let path = top.join("f");
        assert_eq!(read(&root, path.to_str().unwrap()).unwrap().text, "first");
    }
}

/// A renamed directory above takes the root along: the same directory, under another name.
#[test]
fn a_name_that_changed_above_the_root_is_learnt() {
    let tree = Tree::new();
    fs::create_dir_all(tree.base.join("a/r")).unwrap();
    fs::write(tree.base.join("a/r/f"), "f").unwrap();
    symlink("a/r", tree.base.join("link")).unwrap();
    let root = Root::open(tree.base.join("link")).unwrap();
    fs::rename(tree.base.join("a"), tree.base.join("b")).unwrap();
    symlink("b/r", tree.base.join("next")).unwrap();
    fs::rename(tree.base.join("next"), tree.base.join("link")).unwrap();
    let path = tree.base.canonicalize().unwrap().join("b/r/f");
    assert_eq!(read(&root, path.to_str().unwrap()).unwrap().text, "f");
}

/// A call sees one directory, whatever becomes of the name meanwhile.
#[test]
fn a_call_ends_in_the_directory_it_began_in() {
    let (tree, root) = deployments();
    for number in 0..20 {
        for name in ["one", "two"] {
            fs::create_dir(tree.base.join(name).join(format!("d{number:02}"))).unwrap();
            fs::write(tree.base.join(name).join(format!("d{number:02}/{name}")), "").unwrap();
        }
    }
    let asked = std::cell::Cell::new(0);
    let switch = || {
        if asked.replace(asked.get() + 1) == 10 {
            deploy(&tree, "two");
        }
        false
    };
    let args = FindFiles {
        glob: "[ot]*".into(),
        ..FindFiles::default()
    };
    let found = find_files(&root, &args, &switch, NOT_TOLD).unwrap();
    assert_eq!(found.paths.len(), 20);
    assert!(found.paths.iter().all(|path| path.ends_with("one")), "{found:?}");
    assert_serves_only_two(&root);
}

fn assert_serves_only_two(root: &Root) {
    assert_eq!(read(root, "f").unwrap().text, "second");
}

/// Whatever the name leads to at each moment, nothing outside of it is read.
#[test]
fn nothing_leads_out_while_the_link_is_switched() {
    let (tree, root) = deployments();
    for name in ["one", "two"] {
        symlink("../secret", tree.base.join(name).join("out")).unwrap();
        symlink("..", tree.base.join(name).join("up")).unwrap();
    }
    let is_over = AtomicBool::new(false);
    let ended = std::thread::scope(|scope| {
        let over = SetOnDrop(&is_over);
        let switching = scope.spawn(|| {
            let names = ["two", "one"].into_iter().cycle();
            let mut switched = 0;
            for name in names.take_while(|_| !is_over.load(Ordering::Relaxed)) {
                deploy(&tree, name);
                switched += 1;
            }
            switched
        });
        let (mut texts, mut rounds) = (BTreeSet::new(), 0_u64);
        while texts.len() < 2 || rounds < 500 {
            rounds += 1;
            texts.extend(
                read_each_way(&root, "f")
                    .into_iter()
                    .map(|read| read.unwrap().text),
            );
            for path in [
                "out",
                "up/secret",
                "../secret",
                "up/outside/secret",
                "up/two/f",
                "up/one/f",
            ] {
                let refused = read(&root, path);
                assert!(
                    matches!(refused, Err(FileError::OutsideRoot { .. })),
                    "{path}: {refused:?}"
                );
            }
        }
        drop(over);
        assert_eq!(texts.into_iter().collect::<Vec<_>>(), ["first", "second"]);
        switching.join().unwrap()
    });
    assert!(ended > 0);
}
