//! `list_directory`: order, pages, names.

use super::*;

#[test]
fn entries_in_order_with_kind_and_size() {
    let tree = Tree::new();
    tree.file("b.txt", "12345")
        .file(".hidden", "")
        .file("a/x", "")
        .link("b.txt", "link")
        .link("none", "z");
    let listing = list(&tree.root(), ".").unwrap();
    let seen: Vec<_> = listing
        .entries
        .iter()
        .map(|entry| (entry.name.as_str(), entry.kind, entry.size_bytes))
        .collect();
    assert_eq!(
        seen,
        [
            (".hidden", Kind::File, Some(0)),
            ("a", Kind::Directory, None),
            ("b.txt", Kind::File, Some(5)),
            ("link", Kind::Symlink, None),
            ("z", Kind::Symlink, None),
        ]
    );
    assert!(!listing.truncated && listing.next_after.is_none());
}

#[test]
fn long_listings_go_on_where_they_ended() {
    let tree = Tree::new();
    for number in 0..25 {
        tree.file(&format!("f{number:02}"), "");
    }
    let root = tree.root_with(|limits| limits.list_entries_max = 10);
    let (mut all, mut after) = (Vec::new(), None);
    for expected in [10, 10, 5] {
        let listing = list_directory(
            &root,
            &ListDirectory {
                path: ".".into(),
                after,
            },
            NOT_CANCELLED,
        )
        .unwrap();
        assert_eq!(listing.entries.len(), expected);
        assert_eq!(listing.truncated, expected == 10);
        all.extend(listing.entries.into_iter().map(|entry| entry.name));
        after = listing.next_after;
    }
    assert!(after.is_none());
    assert_eq!(
        all,
        (0..25).map(|number| format!("f{number:02}")).collect::<Vec<_>>()
    );
    let root = tree.root_with(|limits| limits.directory_entries_max = 24);
    let error = list(&root, "").unwrap_err().to_string();
    assert_eq!(error, "'' has more than 24 entries, too many to list");
    let args = ListDirectory::default();
    assert!(matches!(
        list_directory(&tree.root(), &args, &|| true),
        Err(FileError::Cancelled)
    ));
}

#[test]
fn names_that_are_not_utf8_are_shown_and_counted() {
    let tree = Tree::new();
    fs::write(tree.path(OsStr::from_bytes(b"caf\xe9.txt")), "hay").unwrap();
    tree.file("cafe.txt", "hay");
    let root = tree.root();
    let listing = list(&root, ".").unwrap();
    assert_eq!(names(&listing), ["caf\\xe9.txt", "cafe.txt"]);
    assert_eq!(listing.entries[0].name_is_utf8, Some(false));
    assert_eq!(listing.entries[1].name_is_utf8, None);
    assert_eq!(find(&root, "*").paths, ["cafe.txt"]);
    assert_eq!(grep(&root, "hay").omitted.names_not_utf8, 1);
}
