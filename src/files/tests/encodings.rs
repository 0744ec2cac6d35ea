//! Byte order marks, and UTF-16.

use super::*;

fn utf16le(text: &str) -> Vec<u8> {
    let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

fn utf16be(text: &str) -> Vec<u8> {
    let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
    units.flat_map(u16::to_be_bytes).collect()
}

#[test]
fn a_mark_is_no_text() {
    let tree = Tree::new();
    tree.file("f", "\u{feff}needle one\nneedle two\n")
        .file("mark", "\u{feff}");
    let root = tree.root();
    let result = grep(&root, "^needle");
    assert_eq!(places(&result), [("f", 1), ("f", 2)]);
    let first = &result.matches[0];
    assert_eq!((first.text.as_str(), first.start_byte), ("needle one", Some(3)));
    assert_eq!(result.matches[1].start_byte, Some(14));
    assert_eq!(read_from(&root, "f", 14).unwrap().text, "needle two\n");
    let whole = read(&root, "f").unwrap();
    assert_eq!(
        (whole.text.as_str(), whole.start_byte),
        ("needle one\nneedle two\n", 3)
    );
    assert!(!whole.has_replaced);
    for inside in 0..=3 {
        assert_eq!(read_from(&root, "f", inside).unwrap().text, whole.text);
    }
    assert_eq!(read_lines(&root, "f", 2, None).unwrap().text, "needle two\n");
    assert_eq!(read(&root, "mark").unwrap().text, "");
}

#[test]
fn utf16_is_read_by_lines_and_by_bytes() {
    let tree = Tree::new();
    let text = "eins ä\r\nzwei 🦀\ndrei";
    tree.file("le", utf16le(text)).file("be", utf16be(text));
    let root = tree.root();
    for (path, encoding) in [("le", "UTF-16LE"), ("be", "UTF-16BE")] {
        let whole = read(&root, path).unwrap();
        assert_eq!((whole.text.as_str(), whole.lines), (text, 3));
        assert_eq!((whole.start_byte, whole.decoded_from), (2, Some(encoding)));
        let size_bytes = 2 + 2 * text.encode_utf16().count() as u64;
        assert_eq!(
            (whole.size_bytes, whole.truncated, whole.has_replaced),
            (size_bytes, false, false)
        );
        let second = read_lines(&root, path, 2, Some(1)).unwrap();
        assert_eq!((second.text.as_str(), second.next_offset), ("zwei 🦀\n", Some(3)));
        let start = second.start_byte;
        assert_eq!(start, 2 + 2 * 8);
        assert_eq!(second.next_start_byte, Some(start + 2 * 8));
        // Each byte gives the next whole character.
        assert_eq!(read_from(&root, path, start + 9).unwrap().text, "🦀\ndrei");
        assert_eq!(read_from(&root, path, start + 10).unwrap().text, "🦀\ndrei");
        for inside in [11, 12, 13, 14] {
            assert_eq!(read_from(&root, path, start + inside).unwrap().text, "\ndrei");
        }
        for front in [0, 1, 2] {
            assert_eq!(read_from(&root, path, front).unwrap().text, text);
        }
        assert_eq!(read_from(&root, path, size_bytes).unwrap().text, "");
        assert!(matches!(
            read_from(&root, path, size_bytes + 1),
            Err(FileError::BytePastEnd { .. })
        ));
        assert_eq!(
            read_lines(&root, path, 4, None).unwrap_err().to_string(),
            format!("'{path}' has only 3 lines; offset 4 is past its end")
        );
    }
}

/// The text is the same piece by piece, whatever the size of the pieces.
#[test]
fn pieces_of_utf16_make_up_the_whole() {
    let tree = Tree::new();
    let text = "a\nä€🦀 longer line\n\n🦀🦀🦀🦀\nend";
    tree.file("f", utf16le(text));
    for read_bytes_max in 4..40 {
        let root = tree.root_with(|limits| limits.read_bytes_max = read_bytes_max);
        let mut together = String::new();
        let mut next = Some(0);
        while let Some(start_byte) = next {
            let piece = read_from(&root, "f", start_byte).unwrap();
            assert!(piece.text.len() <= read_bytes_max && !piece.has_replaced);
            together.push_str(&piece.text);
            next = piece.next_start_byte;
        }
        assert_eq!(together, text, "{read_bytes_max}");
    }
}

#[test]
fn utf16_is_searched() {
    let tree = Tree::new();
    tree.file("le", utf16le("needle ä\nother\nneedle\r\n"))
        .file("be", utf16be("x\nneedle"))
        .file("without", &utf16le("needle")[2..]);
    let result = grep(&tree.root(), "^needle");
    assert_eq!(places(&result), [("be", 2), ("le", 1), ("le", 3)]);
    assert_eq!(result.matches[1].text, "needle ä");
    assert!(result.matches.iter().all(|found| found.start_byte.is_none()));
    assert_eq!(result.omitted.binary_files, 1);
    let root = tree.root();
    for found in &result.matches {
        let line = read_lines(&root, &found.path, found.line, Some(1)).unwrap();
        assert!(line.text.starts_with(&found.text));
    }
}

#[test]
fn what_is_no_utf16_is_binary_or_replaced() {
    let tree = Tree::new();
    tree.file("nul", utf16le("a\0b"))
        .file("utf32", b"\xff\xfe\0\0a\0\0\0")
        .file("half", b"\xff\xfea\0\0\xd8b\0c");
    let root = tree.root();
    for path in ["nul", "utf32"] {
        assert!(
            matches!(read(&root, path), Err(FileError::Binary { .. })),
            "{path}"
        );
    }
    let half = read(&root, "half").unwrap();
    assert_eq!(
        (half.text.as_str(), half.has_replaced),
        ("a\u{fffd}b\u{fffd}", true)
    );
    assert_eq!(
        half.note().unwrap(),
        "decoded from UTF-16LE; bytes that are no characters were replaced by U+FFFD"
    );
}
