//! What is read without waiting, and what is not. That both ways answer alike, all tests that read see.

use super::*;
use crate::files::cached::may_be_read;

/// What is read at once, if anything is. The kernel refuses while something on the path changes, or anything is
/// renamed, as other tests do; a file that it has in memory is read before long.
fn at_once(root: &Root, path: &str) -> Option<FileText> {
    const TRIES: usize = 10_000;
    let args = ReadFile {
        path: path.into(),
        ..ReadFile::default()
    };
    let read = (0..TRIES).find_map(|_| read_file_at_once(root, &args));
    read.map(Result::unwrap)
}

#[test]
fn small_files_in_memory_are_read_at_once() {
    let tree = Tree::new();
    let (small, large) = ("s".repeat(64 << 10), "l".repeat((64 << 10) + 1));
    tree.file("small", &small)
        .file("large", &large)
        .file("d/empty", "")
        .file("d/in", "inside")
        .link("d/in", "link");
    let root = tree.root();
    if !may_be_read(
        root.served().unwrap().dir(),
        std::iter::once(tree.path("").as_path()),
    ) {
        // The file system of the trees does not offer it: nothing is tried.
        assert_eq!(at_once(&root, "d/in"), None);
        return;
    }
    let absolute = tree.path("d/in");
    for (path, text) in [
        ("d/in", "inside"),
        ("d/../link", "inside"),
        (absolute.to_str().unwrap(), "inside"),
        ("d/empty", ""),
        ("small", &small[..48 << 10]),
    ] {
        assert_eq!(
            at_once(&root, path).map(|file| file.text).as_deref(),
            Some(text),
            "{path}"
        );
    }
    let made = Command::new("mkfifo").arg(tree.path("fifo")).status().unwrap();
    assert!(made.success());
    tree.link("../secret", "out");
    for path in [
        "large",
        "none",
        "d",
        "d/in/",
        "fifo",
        "out",
        "../secret",
        "/etc/passwd",
        "",
        "a\0",
    ] {
        assert_eq!(at_once(&root, path), None, "{path:?}");
    }
    // What has another name now is not served, though it is open.
    fs::rename(tree.path(""), tree.base.join("aside")).unwrap();
    assert_eq!(at_once(&root, "d/in"), None);
    fs::rename(tree.base.join("aside"), tree.path("")).unwrap();
    assert_eq!(at_once(&root, "d/in").unwrap().text, "inside");
    tree.file("d/in", "replaced");
    assert_eq!(at_once(&root, "d/in").unwrap().text, "replaced");
}

/// A writer that waits for a reader of a FIFO is not let go by a look.
#[test]
fn a_fifo_does_not_notice() {
    let tree = Tree::new();
    let fifo = tree.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let root = tree.root();
    let is_let_go = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn({
            let (fifo, is_let_go) = (&fifo, &is_let_go);
            move || {
                fs::OpenOptions::new().write(true).open(fifo).unwrap();
                is_let_go.store(true, Ordering::SeqCst);
            }
        });
        for _ in 0..1_000 {
            for answer in read_each_way(&root, "fifo") {
                assert!(matches!(answer, Err(FileError::NotAFile { .. })), "{answer:?}");
            }
        }
        let was_let_go = is_let_go.load(Ordering::SeqCst);
        // It is let go now.
        fs::File::open(&fifo).unwrap();
        assert!(!was_let_go);
    });
}
