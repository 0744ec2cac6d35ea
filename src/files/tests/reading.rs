//! `read_file`: lines, bytes, bounds, and files that are not text.

use super::*;

#[test]
fn by_lines() {
    let tree = Tree::new();
    tree.file("f", "one\ntwo\r\n\nfour")
        .file("empty", "")
        .file("ends", "one\n");
    let root = tree.root();
    let whole = read(&root, "f").unwrap();
    assert_eq!(
        whole,
        FileText {
            text: "one\ntwo\r\n\nfour".into(),
            first_line: Some(1),
            lines: 4,
            start_byte: 0,
            size_bytes: 14,
            truncated: false,
            next_offset: None,
            next_start_byte: None,
            decoded_from: None,
            has_replaced: false,
        }
    );
    let piece = read_lines(&root, "f", 2, Some(2)).unwrap();
    assert_eq!(
        (piece.text.as_str(), piece.first_line, piece.lines),
        ("two\r\n\n", Some(2), 2)
    );
    assert_eq!((piece.start_byte, piece.truncated), (4, true));
    assert_eq!((piece.next_offset, piece.next_start_byte), (Some(4), Some(10)));
    let last = read_lines(&root, "f", 4, Some(1)).unwrap();
    assert_eq!((last.text.as_str(), last.truncated), ("four", false));
    let error = read_lines(&root, "f", 5, None).unwrap_err().to_string();
    assert_eq!(error, "'f' has only 4 lines; offset 5 is past its end");
    let error = read_lines(&root, "empty", 2, None).unwrap_err().to_string();
    assert_eq!(error, "'empty' has only 0 lines; offset 2 is past its end");
    assert_eq!(read(&root, "empty").unwrap().lines, 0);
    // There may be more behind the last line end tomorrow.
    assert_eq!(read_lines(&root, "ends", 2, None).unwrap().text, "");
    assert!(read_lines(&root, "ends", 3, None).is_err());
    assert!(matches!(
        read_lines(&root, "f", 0, None),
        Err(FileError::BelowOne { argument: "offset" })
    ));
    assert!(matches!(
        read_lines(&root, "f", 1, Some(0)),
        Err(FileError::BelowOne { argument: "limit" })
    ));
}

#[test]
fn by_bytes() {
    let tree = Tree::new();
    tree.file("f", "aä€😀z");
    let root = tree.root();
    // Each start gives the first whole character from there on.
    let starts = [0, 1, 3, 3, 6, 6, 6, 10, 10, 10, 10, 11];
    for (asked, start) in starts.into_iter().enumerate() {
        let piece = read_from(&root, "f", asked as u64).unwrap();
        assert_eq!(piece.start_byte, start, "{asked}");
        assert_eq!(piece.text, "aä€😀z"[start as usize..], "{asked}");
        assert_eq!((piece.first_line, piece.has_replaced), (None, false));
    }
    let error = read_from(&root, "f", 12).unwrap_err().to_string();
    assert_eq!(error, "'f' has only 11 bytes; start_byte 12 is past its end");
    assert!(matches!(
        read_from(&root, "f", u64::MAX),
        Err(FileError::BytePastEnd { .. })
    ));
    let both = ReadFile {
        path: "f".into(),
        offset: Some(1),
        limit: None,
        start_byte: Some(1),
    };
    assert!(matches!(
        read_file(&root, &both, NOT_CANCELLED),
        Err(FileError::OffsetAndStartByte)
    ));
}

/// Following `next_offset` where it is given and `next_start_byte` elsewhere gives the whole file back, with every
/// bound from the smallest on.
#[test]
fn pieces_join_to_the_whole() {
    let tree = Tree::new();
    let text = "aä€😀z\n\n€€€€€€€€\n😀😀😀\r\nno end";
    tree.file("f", text);
    for read_bytes_max in 4..text.len() + 2 {
        let root = tree.root_with(|limits| limits.read_bytes_max = read_bytes_max);
        let (mut joined, mut piece) = (String::new(), read(&root, "f").unwrap());
        loop {
            assert!(
                piece.text.len() <= read_bytes_max && !piece.has_replaced,
                "{piece:?}"
            );
            assert!(!piece.text.is_empty(), "no progress with {read_bytes_max}");
            joined.push_str(&piece.text);
            assert_eq!(piece.truncated, joined.len() < text.len());
            piece = match (piece.next_offset, piece.next_start_byte) {
                (Some(offset), _) => read_lines(&root, "f", offset, None).unwrap(),
                (None, Some(byte)) => read_from(&root, "f", byte).unwrap(),
                (None, None) => break,
            };
        }
        assert_eq!(joined, text, "{read_bytes_max}");
    }
}

#[test]
fn long_files_are_cut_at_a_line() {
    let tree = Tree::new();
    let line = format!("{}\n", "x".repeat(99));
    tree.file("f", line.repeat(10_000))
        .file("one_line", "y".repeat(1_000_000));
    let root = tree.root();
    let piece = read(&root, "f").unwrap();
    assert_eq!(
        (piece.lines, piece.text.len(), piece.truncated),
        (491, 49_100, true)
    );
    assert_eq!(
        (piece.next_offset, piece.next_start_byte),
        (Some(492), Some(49_100))
    );
    let last = read_lines(&root, "f", 10_000, None).unwrap();
    assert_eq!(
        (last.text.len(), last.truncated, last.start_byte),
        (100, false, 999_900)
    );
    let piece = read(&root, "one_line").unwrap();
    assert_eq!((piece.text.len(), piece.lines), (48 << 10, 1));
    assert_eq!((piece.next_offset, piece.next_start_byte), (None, Some(48 << 10)));
}

#[test]
fn binary_files_are_refused_and_stray_bytes_replaced() {
    let tree = Tree::new();
    tree.file("nul", b"ELF\0\x01")
        .file("latin1", b"caf\xe9\n")
        .file("utf16", b"a\0b\0");
    let mut late = vec![b'a'; 9_000];
    late.push(0);
    tree.file("late", &late);
    let root = tree.root_with(|limits| limits.read_bytes_max = 8_500);
    let error = read(&root, "nul").unwrap_err().to_string();
    assert_eq!(error, "'nul' is a binary file of 5 bytes; only text can be read");
    assert!(matches!(read(&root, "utf16"), Err(FileError::Binary { .. })));
    let text = read(&root, "latin1").unwrap();
    assert_eq!((text.text.as_str(), text.has_replaced), ("caf\u{fffd}\n", true));
    // The NUL lies behind what is sniffed and behind the first piece, but in the second.
    assert!(read(&root, "late").unwrap().truncated);
    assert!(matches!(
        read_from(&root, "late", 8_500),
        Err(FileError::Binary { .. })
    ));
}

#[test]
fn huge_files_cost_what_is_asked_for() {
    let tree = Tree::new();
    tree.file("sparse", "").file("text", "a\n".repeat(100_000));
    // A terabyte that takes no room, text at both ends.
    let sparse = fs::OpenOptions::new()
        .write(true)
        .open(tree.path("sparse"))
        .unwrap();
    use std::os::unix::fs::FileExt as _;
    sparse.write_all_at(&[b'\n'; 8 << 10], 0).unwrap();
    sparse.write_all_at(b"the end", 1 << 40).unwrap();
    let root = tree.root_with(|limits| limits.scan_bytes_max = 128 << 10);
    let piece = read_from(&root, "sparse", 1 << 40).unwrap();
    assert_eq!(
        (piece.text.as_str(), piece.size_bytes),
        ("the end", (1 << 40) + 7)
    );
    assert!(matches!(
        read_lines(&root, "sparse", 1 << 50, None),
        Err(FileError::LineTooFar { .. })
    ));
    let error = read_lines(&root, "text", 90_000, None).unwrap_err().to_string();
    assert_eq!(
        error,
        "line 90000 of 'text' lies beyond its first 131072 bytes; use start_byte instead"
    );
    assert_eq!(read_lines(&root, "text", 65_000, Some(1)).unwrap().text, "a\n");
}

#[test]
fn cancelled_between_chunks() {
    let tree = Tree::new();
    tree.file("f", "a\n".repeat(1_000_000));
    let asked = std::cell::Cell::new(0);
    let cancel = || asked.replace(asked.get() + 1) >= 5;
    let args = ReadFile {
        path: "f".into(),
        offset: Some(900_000),
        ..ReadFile::default()
    };
    assert!(matches!(
        read_file(&tree.root(), &args, &cancel),
        Err(FileError::Cancelled)
    ));
    assert_eq!(asked.get(), 6);
}

#[test]
fn a_piece_is_what_stands_in_the_file_whatever_its_size() {
    let tree = Tree::new();
    let root = tree.root();
    let bytes_max = root.limits().read_bytes_max;
    let sizes = [8 << 10, bytes_max, 64 << 10, 256 << 10].map(|size| [size - 1, size, size + 1]);
    for size in sizes.into_iter().flatten() {
        let text: String = (0..)
            .map(|at| char::from(b'a' + (at % 26) as u8))
            .take(size)
            .collect();
        tree.file("f", &text);
        for start in [0, 1, 4095, size - 1, size] {
            let end = size.min(start + bytes_max);
            let piece = read_from(&root, "f", start as u64).unwrap();
            assert!(piece.text == text[start..end], "{start} of {size}");
            assert_eq!(piece.truncated, end < size, "{start} of {size}");
            assert_eq!(piece.size_bytes, size as u64);
        }
    }
}

/// The kernel tells no size of the files that it makes up.
#[test]
fn a_file_may_have_more_than_its_size_says() {
    let root = Root::open("/proc/self").unwrap();
    let status = read(&root, "status").unwrap();
    assert!(status.text.starts_with("Name:"), "{status:?}");
    assert!(status.text.ends_with('\n') && !status.truncated, "{status:?}");
    assert_eq!(status.size_bytes, status.text.len() as u64);
}
