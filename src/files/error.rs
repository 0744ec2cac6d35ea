//! The reasons why a `files` tool gives no answer, in words for the client.
//!
//! A message names the path as the client spelled it, cut and escaped; it never says where the root lies, and never has
//! an error number. Failures of the system itself go only to the log.

use std::fmt;
use std::io;

use thiserror::Error;

use super::entry::Kind;

/// Why a `files` tool gives no answer.
#[derive(Debug, Error)]
pub enum FileError {
    /// The path, or a symbolic link on it, leads out of the root.
    #[error("{path} is outside the served directory")]
    OutsideRoot {
        /// The client's path.
        path: ShownPath,
    },
    /// The text cannot be a path: it has a NUL, or is too long.
    #[error("{path} is not a path: {reason}")]
    InvalidPath {
        /// The client's path.
        path: ShownPath,
        /// The fault.
        reason: &'static str,
    },
    /// Nothing is there.
    #[error("{path} does not exist")]
    NotFound {
        /// The client's path.
        path: ShownPath,
    },
    /// The server's user may not read it.
    #[error("{path} may not be read: permission denied")]
    PermissionDenied {
        /// The client's path.
        path: ShownPath,
    },
    /// There are symbolic links in a circle, or too many of them.
    #[error("{path} leads through too many symbolic links")]
    TooManySymlinks {
        /// The client's path.
        path: ShownPath,
    },
    /// A directory, FIFO, device or socket is where a regular file is wanted.
    #[error("{path} is not a regular file but a {kind}")]
    NotAFile {
        /// The client's path.
        path: ShownPath,
        /// The kind of the entry.
        kind: Kind,
    },
    /// Something else is where a directory is wanted.
    #[error("{path} is not a directory")]
    NotADirectory {
        /// The client's path.
        path: ShownPath,
    },
    /// The file is not text: it has a NUL byte.
    #[error("{path} is a binary file of {size_bytes} bytes; only text can be read")]
    Binary {
        /// The client's path.
        path: ShownPath,
        /// The size of the file.
        size_bytes: u64,
    },
    /// The line asked for comes after the last one.
    #[error("{path} has only {lines} lines; offset {offset} is past its end")]
    LinePastEnd {
        /// The client's path.
        path: ShownPath,
        /// The line asked for.
        offset: u64,
        /// The number of lines.
        lines: u64,
    },
    /// The byte asked for comes after the last one.
    #[error("{path} has only {size_bytes} bytes; start_byte {start_byte} is past its end")]
    BytePastEnd {
        /// The client's path.
        path: ShownPath,
        /// The byte asked for.
        start_byte: u64,
        /// The number of bytes.
        size_bytes: u64,
    },
    /// Counting lines up to the one asked for would read too much.
    #[error("line {offset} of {path} lies beyond its first {scan_bytes_max} bytes; use start_byte instead")]
    LineTooFar {
        /// The client's path.
        path: ShownPath,
        /// The line asked for.
        offset: u64,
        /// How far lines are counted.
        scan_bytes_max: u64,
    },
    /// Two arguments exclude each other.
    #[error("give offset or start_byte, not both")]
    OffsetAndStartByte,
    /// Lines count from one.
    #[error("{argument} must be at least 1")]
    BelowOne {
        /// The argument.
        argument: &'static str,
    },
    /// The directory is too large to list in order.
    #[error("{path} has more than {entries_max} entries, too many to list")]
    TooManyEntries {
        /// The client's path.
        path: ShownPath,
        /// The most entries that are listed.
        entries_max: usize,
    },
    /// A glob does not parse.
    #[error("the glob is not valid: {reason}")]
    BadGlob {
        /// The fault.
        reason: String,
    },
    /// A regular expression does not parse, or is too large.
    #[error("the pattern is not valid: {reason}")]
    BadPattern {
        /// The fault.
        reason: String,
    },
    /// The file is larger than what is read at once.
    #[error(
        "{path} has {size_bytes} bytes, more than the {bytes_max} that are read at once; read_file reads pieces"
    )]
    TooLarge {
        /// The client's path.
        path: ShownPath,
        /// The size of the file, or as much of it as was seen.
        size_bytes: u64,
        /// The most bytes that are read.
        bytes_max: u64,
    },
    /// There is no served directory at present.
    #[error(
        "the served directory is not there: it was removed, renamed or closed to this server, and nothing can be \
         read or found until it is back"
    )]
    NoRoot,
    /// Nobody waits for the answer any more.
    #[error("cancelled")]
    Cancelled,
    /// The system failed. The source is for the log: the client is told no more than that.
    #[error("{path}: {source}")]
    System {
        /// The client's path.
        path: ShownPath,
        /// The system's reason.
        source: io::Error,
    },
}

impl FileError {
    /// The meaning of `error` for the client that asked for `path`.
    pub(super) fn from_io(path: &str, error: io::Error) -> FileError {
        let shown = ShownPath::new(path);
        match (error.kind(), error.raw_os_error()) {
            // This is cap-std's own verdict, and the only denial that carries no error number.
            (io::ErrorKind::PermissionDenied, None) => FileError::OutsideRoot { path: shown },
            (_, Some(libc::EXDEV)) => FileError::OutsideRoot { path: shown },
            (io::ErrorKind::PermissionDenied, Some(_)) => FileError::PermissionDenied { path: shown },
            // A path through a file does not exist, whatever the kernel calls it.
            (io::ErrorKind::NotFound | io::ErrorKind::NotADirectory, _) => {
                FileError::NotFound { path: shown }
            }
            (_, Some(libc::ELOOP)) => FileError::TooManySymlinks { path: shown },
            (_, Some(libc::ENAMETOOLONG)) => FileError::InvalidPath {
                path: shown,
                reason: "it is too long",
            },
            _ => FileError::System {
                path: shown,
                source: error,
            },
        }
    }
}

/// A client's path as error texts show it: quoted, control and other invisible characters escaped, cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownPath(String);

impl ShownPath {
    /// Characters shown of a long path.
    const CHARS_MAX: usize = 200;

    pub(super) fn new(path: &str) -> ShownPath {
        let mut shown: String = path
            .chars()
            .take(Self::CHARS_MAX)
            .flat_map(char::escape_debug)
            .collect();
        if path.chars().nth(Self::CHARS_MAX).is_some() {
            shown.push('…');
        }
        ShownPath(shown)
    }
}

impl fmt::Display for ShownPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_paths_are_escaped_and_cut() {
        assert_eq!(ShownPath::new("a/b c").to_string(), "'a/b c'");
        assert_eq!(
            ShownPath::new("a\n\x1b[31m\u{2028}\u{202e}\0").to_string(),
            r"'a\n\u{1b}[31m\u{2028}\u{202e}\0'"
        );
        assert_eq!(
            ShownPath::new(&"ä".repeat(200)).to_string(),
            format!("'{}'", "ä".repeat(200))
        );
        assert_eq!(
            ShownPath::new(&"ä".repeat(201)).to_string(),
            format!("'{}…'", "ä".repeat(200))
        );
    }
}
