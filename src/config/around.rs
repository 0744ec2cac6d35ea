//! What settings refer to outside of them: variables of the environment, and other files.
#![allow(clippy::disallowed_methods, reason = "before there are shards")]

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What settings may refer to.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// The directory that paths begin in.
    pub directory: &'a Path,
    /// The value of a variable of the environment.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The text of a file.
    pub read: &'a dyn Fn(&Path) -> io::Result<String>,
}

impl Around<'_> {
    /// Nothing is around.
    #[cfg(test)]
    pub fn nothing() -> Around<'static> {
        Around {
            directory: Path::new(""),
            variable: &|_| None,
            read: &|_| Err(io::Error::new(io::ErrorKind::NotFound, "there are no files")),
        }
    }

    /// Hands over what is around this process.
    pub fn this_process<T>(use_it: impl FnOnce(Around<'_>) -> T) -> T {
        // Without a current directory, relative paths stay what they are, and nothing is found there.
        let directory = env::current_dir().unwrap_or_else(|_| PathBuf::new());
        use_it(Around {
            directory: &directory,
            variable: &|name| env::var(name).ok(),
            read: &read_regular_file,
        })
    }
}

/// Reads a regular file only: a pipe may never answer, a device may never end, and opening either could block.
pub fn read_regular_file(path: &Path) -> io::Result<String> {
    /// No real configuration is that long.
    const FILE_BYTES_MAX: u64 = 1 << 20;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("longer than {FILE_BYTES_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        io::Error::other(format!("line {line} is not UTF-8"))
    })
}
