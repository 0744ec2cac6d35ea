//! Files of variables, as `envFile` of VS Code and Cursor names them: `NAME=value` by line.
//!
//! `export` may stand before a name, `#` begins a comment, single quotes take everything literally, and between double
//! quotes `\n`, `\r`, `\t`, `\"` and `\\` are escapes. Values are not looked into for variables.

/// The variables, in the order of the file.
///
/// # Errors
/// Names the first line that is none of these.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut variables = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // The line may be a secret, so it is not repeated.
        let variable = parse_line(line)
            .ok_or_else(|| format!("line {} is no `NAME=value`, or a quote is not closed", index + 1))?;
        variables.push(variable);
    }
    Ok(variables)
}

fn parse_line(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let name = name.strip_prefix("export").map_or(name, |rest| {
        if rest.starts_with([' ', '\t']) {
            rest.trim_start()
        } else {
            name
        }
    });
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if name.is_empty() || !name.chars().all(is_name) {
        return None;
    }
    let value = value.trim_start();
    let value = match value.chars().next() {
        Some('\'') => single_quoted(&value[1..])?,
        Some('"') => double_quoted(&value[1..])?,
        _ => unquoted(value).to_owned(),
    };
    (!value.contains('\0')).then(|| (name.to_owned(), value))
}

/// To a comment, which a space precedes.
fn unquoted(value: &str) -> &str {
    let is_comment = |at: &usize| *at == 0 || value[..*at].ends_with([' ', '\t']);
    let end = value.match_indices('#').map(|(at, _)| at).find(is_comment);
    value[..end.unwrap_or(value.len())].trim_end()
}

fn single_quoted(value: &str) -> Option<String> {
    let (inside, behind) = value.split_once('\'')?;
    is_nothing(behind).then(|| inside.to_owned())
}

fn double_quoted(value: &str) -> Option<String> {
    let mut inside = String::new();
    let mut letters = value.chars();
    loop {
        match letters.next()? {
            '"' => return is_nothing(letters.as_str()).then_some(inside),
            '\\' => match letters.next()? {
                'n' => inside.push('\n'),
                'r' => inside.push('\r'),
                't' => inside.push('\t'),
                escaped @ ('"' | '\\' | '$') => inside.push(escaped),
                other => inside.extend(['\\', other]),
            },
            letter => inside.push(letter),
        }
    }
}

/// Whether nothing but a comment stands behind a closing quote.
fn is_nothing(behind: &str) -> bool {
    let behind = behind.trim_start();
    behind.is_empty() || behind.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_editors_do() {
        let text = "\u{feff}# comment\n\nA=1\n export B = two words # comment\nC='x # \"$A\\n' # comment\r\n\
                    D=\"a\\n\\\"b\\\" \\x\"\nE=\nF=a#b\nG= # nothing\nexporter=1\nA=2\n";
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "x # \"$A\\n"),
            ("D", "a\n\"b\" \\x"),
            ("E", ""),
            ("F", "a#b"),
            ("G", ""),
            ("exporter", "1"),
            ("A", "2"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn other_lines_are_refused_without_their_text() {
        for line in [
            "secret",
            "=secret",
            "A B=secret",
            "A='secret",
            "A=\"secret",
            "A='secret' secret",
            "A=secret\0",
        ] {
            let reason = parse(&format!("B=1\n{line}\n")).unwrap_err();
            assert!(
                reason.starts_with("line 2 ") && !reason.contains("secret"),
                "{reason}"
            );
        }
    }
}
