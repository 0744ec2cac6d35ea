//! JSON as editors write it: with comments, with commas behind the last item, with a byte order mark.
//!
//! What is no JSON is replaced by spaces, so that a parser's places are those of the file.

/// The text as plain JSON of the same length.
pub(super) fn plain(text: &str) -> String {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    if let Some(behind) = rest.strip_prefix("\u{feff}".as_bytes()) {
        plain.extend_from_slice(b"   ");
        rest = behind;
    }
    // Where the last comma is, while only spaces and comments came since.
    let mut comma = None;
    while let Some(first) = rest.first() {
        let length = match first {
            b'"' => string_length(rest),
            b'/' => comment_length(rest),
            _ => 1,
        };
        let (part, behind) = rest.split_at(length);
        if *first == b'/' && length > 1 {
            // Line feeds stay, so that lines keep their numbers.
            plain.extend(part.iter().map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }));
        } else {
            match first {
                b',' => comma = Some(plain.len()),
                b'}' | b']' => {
                    if let Some(at) = comma.take() {
                        plain[at] = b' ';
                    }
                }
                b' ' | b'\t' | b'\r' | b'\n' => {}
                _ => comma = None,
            }
            plain.extend_from_slice(part);
        }
        rest = behind;
    }
    // Only whole characters were replaced, and each byte by one of ASCII.
    String::from_utf8(plain).unwrap_or_default()
}

/// The length of the string at the beginning, to the end if it is not closed.
fn string_length(text: &[u8]) -> usize {
    let mut is_escaped = true;
    for (at, byte) in text.iter().enumerate() {
        if *byte == b'"' && !is_escaped {
            return at + 1;
        }
        // The opening quote counts as escaped.
        is_escaped = *byte == b'\\' && !is_escaped;
    }
    text.len()
}

/// The length of the comment at the beginning, 1 if it is none.
fn comment_length(text: &[u8]) -> usize {
    let find = |end: &[u8], from: usize| {
        let found = text[from..].windows(end.len()).position(|window| window == end);
        found.map(|at| from + at)
    };
    match text.get(1) {
        Some(b'/') => find(b"\n", 2).unwrap_or(text.len()),
        // One that is not closed stays, for the parser to refuse.
        Some(b'*') => find(b"*/", 2).map_or(1, |at| at + 2),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_last_commas_become_spaces() {
        let cases = [
            ("{}", "{}"),
            ("\u{feff}{}", "   {}"),
            ("{\"a\": 1, // one\n}", "{\"a\": 1        \n}"),
            ("[1, /* two,\n } */ 2,]", "[1,        \n      2 ]"),
            (
                r#"["//", "/*", "\"//", "a\\"] // x"#,
                r#"["//", "/*", "\"//", "a\\"]     "#,
            ),
            ("[1,,]", "[1, ]"),
            ("{,}", "{ }"),
            ("[1 /", "[1 /"),
            ("[1 /* x", "[1 /* x"),
            ("[\"unclosed, // x", "[\"unclosed, // x"),
            ("// ä\n[\"ä\",]", "     \n[\"ä\" ]"),
        ];
        for (text, expected) in cases {
            let plain = plain(text);
            assert_eq!(plain, expected, "{text}");
            assert_eq!(plain.len(), text.len());
        }
    }
}
