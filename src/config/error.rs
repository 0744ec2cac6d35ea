//! The reasons why a configuration is refused, in words for the operator, whose fault it is.
//!
//! Every message gives the fact, the value, the limit and the next step, on one line. For a setting in a file its line
//! is shown as well, with a caret below it ([`ConfigError::excerpt`]).

use std::ops::Range;

use thiserror::Error;

/// One fault of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {reason}; check the path and its permissions")]
    FileUnreadable {
        /// The file.
        path: String,
        /// The kernel's message.
        reason: String,
    },
    /// An error has a place in a file.
    #[error("{place}: {error}")]
    InFile {
        /// The place.
        place: FilePlace,
        /// The error there.
        error: Box<ConfigError>,
    },
    /// The file is not TOML.
    #[error("not TOML: {reason}")]
    NotToml {
        /// The parser's message.
        reason: String,
    },
    /// The file is not JSON, nor JSON with comments.
    #[error("not JSON: {reason}")]
    NotJson {
        /// The parser's message.
        reason: String,
    },
    /// A server of a file cannot be served.
    #[error("{path}: server `{server}`: {reason}")]
    InServer {
        /// The file.
        path: String,
        /// The server's name there.
        server: String,
        /// The fault and the next step.
        reason: String,
    },
    /// A table stands where options stand by themselves.
    #[error("`{name}` is a table, but options stand at the top of the file, in no table; {}", next_line(.name, *.meant))]
    Table {
        /// The name as it stands in the file.
        name: String,
        /// The option that table and key together probably mean.
        meant: Option<&'static str>,
    },
    /// A key is unknown.
    #[error("unknown key `{name}`; {}", next_name(.nearest))]
    UnknownKey {
        /// The key as it stands in the file.
        name: String,
        /// The option that was probably meant.
        nearest: Option<String>,
    },
    /// A value has a type that the option does not take.
    #[error("{name}: found {} {found}, wanted {wanted}", article(.found))]
    WrongType {
        /// The option.
        name: &'static str,
        /// TOML's name of the type found.
        found: &'static str,
        /// The types the option takes.
        wanted: String,
    },
    /// A value cannot be read, or is out of bounds.
    #[error("{name} = {value} ({place}) {reason}")]
    BadValue {
        /// The option.
        name: &'static str,
        /// The value that was given.
        value: String,
        /// The place where it was given.
        place: String,
        /// The rest of the sentence: the fault, the limit and the next step.
        reason: String,
    },
    /// Values that are valid alone are impossible together, or on this machine.
    #[error("{0}")]
    Impossible(String),
}

impl ConfigError {
    /// The same error, found at a place in a file.
    pub(super) fn at(self, place: FilePlace) -> Self {
        Self::InFile {
            place,
            error: Box::new(self),
        }
    }

    /// The line of the file that the error is about, with a caret below the fault; three lines, or none if the error is
    /// about no file.
    pub fn excerpt(&self) -> Vec<String> {
        match self {
            Self::InFile { place, .. } => place.excerpt(),
            _ => Vec::new(),
        }
    }
}

/// A place in a configuration file, and the text of its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePlace {
    path: String,
    /// Lines and columns count from 1; columns are characters.
    line: usize,
    column: usize,
    /// The part of the line that is shown, with one character for each in the file.
    shown: String,
    /// The place and length of the caret in it, in characters.
    caret: Range<usize>,
}

impl FilePlace {
    /// The place of the bytes `span` of `text`, which is the content of the file at `path`.
    pub(super) fn new(path: &str, text: &str, span: Range<usize>) -> Self {
        /// Characters of a long line that are shown before the place and from it on.
        const SHOWN_BEFORE: usize = 60;
        const SHOWN_AFTER: usize = 60;
        let boundary = |at: usize| {
            (0..=at.min(text.len()))
                .rev()
                .find(|at| text.is_char_boundary(*at))
        };
        let start = boundary(span.start).unwrap_or_default();
        let end = boundary(span.end).unwrap_or_default().max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |feed| feed + 1);
        let rest = text[line_start..].split('\n').next().unwrap_or_default();
        let line = rest.strip_suffix('\r').unwrap_or(rest);
        let column = text[line_start..start].chars().count();
        // A span may go on over several lines; the caret does not.
        let length = text[start..end]
            .split('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count();
        let from = column.saturating_sub(SHOWN_BEFORE);
        let shown: String = line
            .chars()
            .skip(from)
            .take(SHOWN_BEFORE + SHOWN_AFTER)
            .map(|c| if c == '\t' { ' ' } else { c })
            .collect();
        let caret = column - from;
        let length = length.min(shown.chars().count().saturating_sub(caret)).max(1);
        Self {
            path: path.escape_debug().to_string(),
            line: text[..line_start].matches('\n').count() + 1,
            column: column + 1,
            shown,
            caret: caret..caret + length,
        }
    }

    fn excerpt(&self) -> Vec<String> {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let caret = format!("{}{}", " ".repeat(self.caret.start), "^".repeat(self.caret.len()));
        vec![
            format!("{margin} |"),
            format!("{number} | {}", self.shown),
            format!("{margin} | {caret}"),
        ]
    }
}

impl std::fmt::Display for FilePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.path, self.line, self.column)
    }
}

fn next_name(nearest: &Option<String>) -> String {
    match nearest {
        Some(name) => format!("did you mean `{name}`?"),
        None => "`weir serve --help` lists all of them".to_owned(),
    }
}

fn next_line(name: &str, meant: Option<&'static str>) -> String {
    match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("drop the line `[{name}]`"),
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    }
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_line_a_column_and_a_caret() {
        let text = "a = 1\r\n\tgröße = 'x'\nlast";
        let place = |part: &str| {
            let start = text.find(part).unwrap();
            FilePlace::new("weir.toml", text, start..start + part.len())
        };
        let cases = [
            ("1", "weir.toml:1:5", ["  |", "1 | a = 1", "  |     ^"]),
            (
                "'x'",
                "weir.toml:2:10",
                ["  |", "2 |  größe = 'x'", "  |          ^^^"],
            ),
            (
                "größe",
                "weir.toml:2:2",
                ["  |", "2 |  größe = 'x'", "  |  ^^^^^"],
            ),
            (
                "'x'\nlast",
                "weir.toml:2:10",
                ["  |", "2 |  größe = 'x'", "  |          ^^^"],
            ),
            ("last", "weir.toml:3:1", ["  |", "3 | last", "  | ^^^^"]),
        ];
        for (part, shown, excerpt) in cases {
            assert_eq!(place(part).to_string(), shown);
            assert_eq!(place(part).excerpt(), excerpt);
        }
        let end = FilePlace::new("weir.toml", text, text.len()..text.len());
        assert_eq!(end.to_string(), "weir.toml:3:5");
        assert_eq!(end.excerpt()[2], "  |     ^");
        for span in [0..0, 9..10, 500..900] {
            for text in ["", "\n", "é"] {
                let excerpt = FilePlace::new("f", text, span.clone()).excerpt();
                assert!(excerpt[2].ends_with('^'), "{excerpt:?}");
            }
        }
    }

    #[test]
    fn a_long_line_is_shown_around_its_place() {
        let text = format!("{}X{}", "a".repeat(1000), "b".repeat(1000));
        let excerpt = FilePlace::new("f", &text, 1000..1001).excerpt();
        assert_eq!(excerpt[1], format!("1 | {}X{}", "a".repeat(60), "b".repeat(59)));
        assert_eq!(excerpt[2], format!("  | {}^", " ".repeat(60)));
    }
}
