//! Nothing outside the root is reached, by any spelling, any kind of file, or any race.

use super::*;

#[test]
fn no_spelling_leaves_the_root() {
    let tree = Tree::new();
    tree.file("in.txt", "inside").file("d/in.txt", "inside");
    tree.link("../secret", "up")
        .link(tree.base.join("secret"), "absolute");
    tree.link("up", "twice")
        .link("../outside", "d_out")
        .link("d/../../secret", "winding");
    let root = tree.root();
    let base = tree.base.to_str().unwrap();
    let beside = format!("{base}/root-not/../secret");
    let absolute = format!("{base}/secret");
    let under = format!("{base}/root/../secret");
    let doubled = format!("/{base}//secret");
    let outside = [
        "../secret",
        "..",
        "../",
        "./../secret",
        "d/../../secret",
        "d//..//..//secret",
        "../root/../secret",
        "../root/in.txt",
        "/",
        "//",
        "/etc/passwd",
        "//etc/passwd",
        "/proc/self/environ",
        "up",
        "absolute",
        "twice",
        "d_out/secret",
        "d_out/../secret",
        "winding",
        "up/",
        &absolute,
        &under,
        &doubled,
        &beside,
    ];
    for path in outside {
        for error in [
            read(&root, path).map(|_| ()).unwrap_err(),
            list(&root, path).map(|_| ()).unwrap_err(),
        ] {
            assert!(
                matches!(error, FileError::OutsideRoot { .. }),
                "{path}: {error:?}"
            );
            assert!(
                error.to_string().ends_with("is outside the served directory"),
                "{error}"
            );
        }
    }
    // Names that only look like an escape to something that decodes them.
    for path in [
        "%2e%2e/secret",
        "..%2fsecret",
        "%2e%2e%2fsecret",
        "..\\secret",
        "~",
        "~root",
        "file:///etc/passwd",
        "..\u{2215}secret",
        "\u{ff0e}\u{ff0e}/secret",
        "d/..;/secret",
        "secret",
    ] {
        let error = read(&root, path).unwrap_err();
        assert!(matches!(error, FileError::NotFound { .. }), "{path}: {error:?}");
    }
    for path in ["in.txt\0", "\0", "..\0/secret", "d/\0../in.txt"] {
        assert!(
            matches!(read(&root, path), Err(FileError::InvalidPath { .. })),
            "{path:?}"
        );
        assert!(
            matches!(info(&root, path), Err(FileError::InvalidPath { .. })),
            "{path:?}"
        );
    }
    for path in ["a/".repeat(3_000), "a".repeat(300), "a".repeat(5_000_000)] {
        let error = read(&root, &path).unwrap_err();
        assert!(
            matches!(error, FileError::InvalidPath { .. } | FileError::NotFound { .. }),
            "{error:?}"
        );
        assert!(error.to_string().len() < 400, "{}", error.to_string().len());
    }
}

#[test]
fn every_spelling_of_an_inside_path_is_the_same_file() {
    let tree = Tree::new();
    tree.file("d/in.txt", "inside")
        .link("d/in.txt", "link")
        .link("d", "dir_link")
        .link("../d/in.txt", "d/back");
    let root = tree.root();
    let absolute = fs::canonicalize(tree.path("d/in.txt")).unwrap();
    for path in [
        "d/in.txt",
        "./d/in.txt",
        "d//in.txt",
        "d/./in.txt",
        "d/../d/in.txt",
        "link",
        "dir_link/in.txt",
        "d/back",
        absolute.to_str().unwrap(),
    ] {
        assert_eq!(read(&root, path).unwrap().text, "inside", "{path}");
    }
    for path in [
        "",
        ".",
        "./",
        "d/..",
        absolute.parent().unwrap().parent().unwrap().to_str().unwrap(),
    ] {
        assert_eq!(
            names(&list(&root, path).unwrap()),
            ["d", "dir_link", "link"],
            "{path}"
        );
    }
}

#[test]
fn errors_name_the_path_as_given_and_nothing_else() {
    let tree = Tree::new();
    tree.file("d/f", "x")
        .link("loop_b", "loop_a")
        .link("loop_a", "loop_b")
        .link("nothing", "broken");
    let root = tree.root();
    let cases = [
        ("d/none", "'d/none' does not exist"),
        ("d/f/none", "'d/f/none' does not exist"),
        ("broken", "'broken' does not exist"),
        ("loop_a", "'loop_a' leads through too many symbolic links"),
        ("d", "'d' is not a regular file but a directory"),
        ("a\u{1b}[31m\r\nb", "'a\\u{1b}[31m\\r\\nb' does not exist"),
    ];
    for (path, text) in cases {
        assert_eq!(read(&root, path).unwrap_err().to_string(), text);
    }
    assert_eq!(
        list(&root, "d/f").unwrap_err().to_string(),
        "'d/f' is not a directory"
    );
    assert_eq!(
        list(&root, "d/f/x").unwrap_err().to_string(),
        "'d/f/x' does not exist"
    );
    let missing = Root::open(tree.path("none")).unwrap_err().to_string();
    assert!(
        missing.contains("none") && missing.contains("give a directory"),
        "{missing}"
    );
    assert!(Root::open(tree.path("d/f")).is_err());
}

/// Swaps a link and a directory between inside and outside while they are read.
#[test]
fn a_race_on_links_reads_inside_or_nothing() {
    const SEEN_EACH: usize = 200;
    let tree = Tree::new();
    tree.file("real/secret", "inside").file("other/secret", "inside");
    let root = tree.root();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let swap = tree.path("swap");
            while !over.load(Ordering::Relaxed) {
                for target in ["real", "../outside"] {
                    symlink(format!("{target}/secret"), &swap).unwrap();
                    fs::rename(&swap, tree.path("link")).unwrap();
                    symlink(target, &swap).unwrap();
                    fs::rename(&swap, tree.path("dir")).unwrap();
                }
                // A true directory that turns into a link out, and back.
                fs::rename(tree.path("other"), tree.path("aside")).unwrap();
                symlink("../outside", tree.path("other")).unwrap();
                fs::remove_file(tree.path("other")).unwrap();
                fs::rename(tree.path("aside"), tree.path("other")).unwrap();
            }
        });
        let _over = SetOnDrop(&over);
        let (mut inside, mut refused) = (0, 0);
        while inside < SEEN_EACH || refused < SEEN_EACH {
            for path in ["link", "dir/secret", "other/secret", "dir/../dir/secret"] {
                for answer in read_each_way(&root, path) {
                    match answer {
                        Ok(piece) => {
                            assert_eq!(piece.text, "inside", "{path}");
                            inside += 1;
                        }
                        Err(FileError::OutsideRoot { .. }) => refused += 1,
                        // The path is gone for a moment, or changed under a resolver that goes step by step.
                        Err(_) => {}
                    }
                }
            }
            let found = grep(&root, "inside|SECRET");
            assert!(
                found.matches.iter().all(|found| found.text == "inside"),
                "{found:?}"
            );
            if let Ok(FileInfo { link: Some(link), .. }) = info(&root, "link") {
                assert!(!format!("{link:?}").contains("outside"), "{link:?}");
            }
        }
    });
}

#[test]
fn nothing_but_regular_files_is_opened() {
    let tree = Tree::new();
    tree.file("f", "x").link("fifo", "to_fifo");
    let made = Command::new("mkfifo").arg(tree.path("fifo")).status().unwrap();
    assert!(made.success());
    let _listener = UnixListener::bind(tree.path("socket")).unwrap();
    let root = tree.root();
    // A FIFO without a writer would block its reader for ever.
    for (path, kind) in [
        ("fifo", Kind::Fifo),
        ("to_fifo", Kind::Fifo),
        ("socket", Kind::Socket),
    ] {
        match read(&root, path) {
            Err(FileError::NotAFile { kind: found, .. }) => assert_eq!(found, kind),
            other => panic!("{path}: {other:?}"),
        }
    }
    assert_eq!(info(&root, "fifo").unwrap().kind, Kind::Fifo);
    assert_eq!(places(&grep(&root, "")), [("f", 1)]);
    assert_eq!(find(&root, "*").paths, ["f", "to_fifo"]);
    let devices = Root::open("/dev").unwrap();
    for path in ["null", "zero", "tty", "ptmx"] {
        match read(&devices, path) {
            Err(FileError::NotAFile {
                kind: Kind::Device, ..
            }) => {}
            other => panic!("{path}: {other:?}"),
        }
    }
}

/// A FIFO that takes a file's place between the look and the opening must not block either.
#[test]
fn a_race_on_the_kind_does_not_block() {
    const SEEN_EACH: usize = 50;
    let tree = Tree::new();
    tree.file("a", "inside");
    assert!(
        Command::new("mkfifo")
            .arg(tree.path("b"))
            .status()
            .unwrap()
            .success()
    );
    let root = tree.root();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for target in ["a", "b"] {
                    symlink(target, tree.path("swap")).unwrap();
                    fs::rename(tree.path("swap"), tree.path("link")).unwrap();
                }
            }
        });
        let _over = SetOnDrop(&over);
        let (mut inside, mut refused) = (0, 0);
        while inside < SEEN_EACH || refused < SEEN_EACH {
            for answer in read_each_way(&root, "link") {
                match answer {
                    Ok(piece) => inside += usize::from(piece.text == "inside"),
                    Err(FileError::NotAFile { kind: Kind::Fifo, .. }) => refused += 1,
                    Err(FileError::NotFound { .. }) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        }
    });
}
