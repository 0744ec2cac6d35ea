//! The kind of a directory entry, and how its name is shown.

use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::os::unix::ffi::OsStrExt;

use cap_std::fs::{FileType, FileTypeExt};
use schemars::JsonSchema;
use serde::Serialize;

/// The kind of a directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character or block device.
    Device,
    /// A kind that the file system does not tell.
    Unknown,
}

impl From<FileType> for Kind {
    fn from(kind: FileType) -> Kind {
        if kind.is_file() {
            Kind::File
        } else if kind.is_dir() {
            Kind::Directory
        } else if kind.is_symlink() {
            Kind::Symlink
        } else if kind.is_fifo() {
            Kind::Fifo
        } else if kind.is_socket() {
            Kind::Socket
        } else if kind.is_char_device() || kind.is_block_device() {
            Kind::Device
        } else {
            Kind::Unknown
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::File => "regular file",
            Kind::Directory => "directory",
            Kind::Symlink => "symbolic link",
            Kind::Fifo => "named pipe",
            Kind::Socket => "socket",
            Kind::Device => "device",
            Kind::Unknown => "file of unknown kind",
        })
    }
}

/// A name as JSON can carry it. A name that is not UTF-8 is shown with `\xNN` for each stray byte and `\\` for each
/// backslash, so that nothing of it is lost; no tool can open it by that text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ShownName {
    pub(super) text: String,
    pub(super) is_utf8: bool,
}

impl ShownName {
    pub(super) fn new(name: &OsStr) -> ShownName {
        if let Some(text) = name.to_str() {
            return ShownName {
                text: text.to_owned(),
                is_utf8: true,
            };
        }
        let mut text = String::with_capacity(name.len() + 16);
        for chunk in name.as_bytes().utf8_chunks() {
            text.push_str(&chunk.valid().replace('\\', r"\\"));
            for byte in chunk.invalid() {
                // Writing to a String does not fail.
                let _ = write!(text, r"\x{byte:02x}");
            }
        }
        ShownName { text, is_utf8: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_utf8_lose_nothing() {
        let shown = |bytes: &[u8]| ShownName::new(OsStr::from_bytes(bytes));
        assert_eq!(
            shown(b"a\\b"),
            ShownName {
                text: r"a\b".into(),
                is_utf8: true
            }
        );
        assert_eq!(
            shown(b"a\\\xff\xc3b"),
            ShownName {
                text: r"a\\\xff\xc3b".into(),
                is_utf8: false
            }
        );
    }
}
