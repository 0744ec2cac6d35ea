//! `file_info`: kinds, sizes, times, links.

use super::*;

#[test]
fn kinds_sizes_times_and_links() {
    let tree = Tree::new();
    tree.file("d/f", "123");
    tree.link("d/f", "in")
        .link("../secret", "out")
        .link(tree.base.join("secret"), "absolute");
    tree.link("none", "broken")
        .link("round", "round")
        .link("d", "dir")
        .link(".", "self");
    let root = tree.root();
    let file = info(&root, "d/f").unwrap();
    assert_eq!(
        (file.kind, file.size_bytes, &file.link),
        (Kind::File, Some(3), &None)
    );
    let changed = fs::metadata(tree.path("d/f")).unwrap().modified().unwrap();
    let http = httpdate::fmt_http_date(changed);
    assert_eq!(&file.modified.unwrap()[11..19], &http[17..25]);
    assert_eq!(info(&root, ".").unwrap().kind, Kind::Directory);
    let link = |path: &str| {
        let info = info(&root, path).unwrap();
        assert_eq!((info.kind, info.size_bytes), (Kind::Symlink, None), "{path}");
        let link = info.link.unwrap();
        (link.leads, link.target, link.target_kind)
    };
    assert_eq!(
        link("in"),
        (LinkLeads::Inside, Some("d/f".into()), Some(Kind::File))
    );
    assert_eq!(
        link("dir"),
        (LinkLeads::Inside, Some("d".into()), Some(Kind::Directory))
    );
    assert_eq!(
        link("self"),
        (LinkLeads::Inside, Some(".".into()), Some(Kind::Directory))
    );
    assert_eq!(link("out"), (LinkLeads::Outside, None, None));
    assert_eq!(link("absolute"), (LinkLeads::Outside, None, None));
    assert_eq!(link("broken"), (LinkLeads::Nowhere, None, None));
    assert_eq!(link("round"), (LinkLeads::Nowhere, None, None));
    assert!(matches!(info(&root, ".."), Err(FileError::OutsideRoot { .. })));
    assert!(matches!(info(&root, "/etc"), Err(FileError::OutsideRoot { .. })));
    assert!(matches!(info(&root, "none"), Err(FileError::NotFound { .. })));
}
