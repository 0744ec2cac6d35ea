//! Reading a directory: bounded, cancellable, in order.
//!
//! This module knows nothing of paths; its caller decides what a directory's failure means.

use std::io;

use cap_std::fs::{Dir, DirEntry};

use super::Cancel;
use super::entry::Kind;
use super::error::FileError;

/// Entries read between two looks at the cancel flag: well under a millisecond.
pub(super) const CANCEL_ENTRIES: usize = 256;

/// The kind of an entry: from the directory where that tells it, else by asking the file.
pub(super) fn kind_of(entry: &DirEntry) -> Kind {
    let told = entry.file_type().map_or(Kind::Unknown, Kind::from);
    match told {
        Kind::Unknown => entry
            .metadata()
            .map_or(Kind::Unknown, |metadata| Kind::from(metadata.file_type())),
        told => told,
    }
}

/// The entries of `dir` as a walk wants them: sorted, names and kinds only. Names that are not UTF-8 are counted.
pub(super) struct SortedEntries {
    pub(super) entries: Vec<(String, Kind)>,
    pub(super) not_utf8: usize,
    /// Whether the directory has more entries than a call may look at.
    pub(super) is_cut: bool,
}

impl SortedEntries {
    pub(super) fn read(
        dir: &Dir,
        entries_max: usize,
        cancel: Cancel<'_>,
    ) -> Result<io::Result<SortedEntries>, FileError> {
        let mut sorted = SortedEntries {
            entries: Vec::new(),
            not_utf8: 0,
            is_cut: false,
        };
        let entries = match dir.entries() {
            Ok(entries) => entries,
            Err(error) => return Ok(Err(error)),
        };
        for (seen, entry) in entries.enumerate() {
            if seen.is_multiple_of(CANCEL_ENTRIES) && cancel() {
                return Err(FileError::Cancelled);
            }
            if seen >= entries_max {
                sorted.is_cut = true;
                break;
            }
            match entry {
                Ok(entry) => match entry.file_name().into_string() {
                    Ok(name) => sorted.entries.push((name, kind_of(&entry))),
                    Err(_) => sorted.not_utf8 += 1,
                },
                Err(error) => return Ok(Err(error)),
            }
        }
        sorted.entries.sort_unstable();
        Ok(Ok(sorted))
    }
}
