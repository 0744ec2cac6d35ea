//! `list_directory`: the entries of one directory, in order, a bounded number at a time.
//!
//! The tool does not descend and obeys no ignore file: it shows every entry. Entries are ordered by name, so that a
//! long listing can go on after the last name seen, whatever has changed in between.

use std::collections::BinaryHeap;

use cap_std::fs::DirEntry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Cancel;
use super::answer_bytes::AnswerBytes;
use super::directory::{CANCEL_ENTRIES, kind_of};
use super::entry::{Kind, ShownName};
use super::error::{FileError, ShownPath};
use super::root::{Root, Served};

/// Arguments of `list_directory`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ListDirectory {
    /// Path of the directory, relative to the served directory; `.` or empty is that directory itself.
    pub path: String,
    /// To go on after a truncated listing: its `next_after`.
    pub after: Option<String>,
}

/// The entries of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Listing {
    /// The entries, ordered by name.
    pub entries: Vec<ListedEntry>,
    /// Whether there are more.
    pub truncated: bool,
    /// The `after` to go on with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_after: Option<String>,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListedEntry {
    /// Its name. If it is not UTF-8: stray bytes as `\xNN`, backslashes doubled; no tool can open it by that.
    pub name: String,
    /// What it is; a symbolic link is not followed.
    pub kind: Kind,
    /// Size in bytes, of regular files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Present, and false, if the name is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_is_utf8: Option<bool>,
}

/// Lists a directory.
///
/// # Errors
/// It is outside the root, missing, unreadable, no directory, or too large to be put in order; the call was
/// cancelled.
pub fn list_directory(root: &Root, args: &ListDirectory, cancel: Cancel<'_>) -> Result<Listing, FileError> {
    list_within(root, args, AnswerBytes::new(root.limits()), cancel)
}

/// Does the same, with as many entries as fit into `bytes`.
pub(super) fn list_within(
    root: &Root,
    args: &ListDirectory,
    mut bytes: AnswerBytes,
    cancel: Cancel<'_>,
) -> Result<Listing, FileError> {
    let root = &root.served()?;
    let entries_max = root.limits().list_entries_max;
    let failed = |error| FileError::from_io(&args.path, error);
    let dir = root.open_dir(&args.path)?;
    let mut first = BinaryHeap::with_capacity(entries_max.saturating_add(1));
    let mut truncated = false;
    for (seen, entry) in dir.entries().map_err(failed)?.enumerate() {
        refuse_endless(root, &args.path, seen, cancel)?;
        let candidate = Candidate::new(entry.map_err(failed)?);
        if args
            .after
            .as_ref()
            .is_some_and(|after| candidate.name.text <= *after)
        {
            continue;
        }
        first.push(candidate);
        // Only the first names are kept, so the last of them is dropped.
        if first.len() > entries_max {
            first.pop();
            truncated = true;
        }
    }
    let mut entries = Vec::new();
    for candidate in first.into_sorted_vec() {
        let entry = candidate.listed();
        // At least one entry is listed, so that the next call goes on behind it.
        if !bytes.take(&entry) && !entries.is_empty() {
            truncated = true;
            break;
        }
        entries.push(entry);
    }
    let next_after = entries.last().filter(|_| truncated).map(|last| last.name.clone());
    Ok(Listing {
        entries,
        truncated,
        next_after,
    })
}

/// Reads a whole directory, within its bound, to put it in order.
fn refuse_endless(root: &Served, path: &str, seen: usize, cancel: Cancel<'_>) -> Result<(), FileError> {
    let entries_max = root.limits().directory_entries_max;
    if seen >= entries_max {
        return Err(FileError::TooManyEntries {
            path: ShownPath::new(path),
            entries_max,
        });
    }
    if seen.is_multiple_of(CANCEL_ENTRIES) && cancel() {
        return Err(FileError::Cancelled);
    }
    Ok(())
}

/// An entry that may be among the first; ordered by name alone.
struct Candidate {
    name: ShownName,
    entry: DirEntry,
}

impl Candidate {
    fn new(entry: DirEntry) -> Candidate {
        Candidate {
            name: ShownName::new(&entry.file_name()),
            entry,
        }
    }

    fn listed(self) -> ListedEntry {
        let kind = kind_of(&self.entry);
        let size_bytes = match kind {
            // The file may be gone by now, or unreadable: then its size is unknown.
            Kind::File => self.entry.metadata().map(|metadata| metadata.len()).ok(),
            _ => None,
        };
        let ShownName { text, is_utf8 } = self.name;
        ListedEntry {
            name: text,
            kind,
            size_bytes,
            name_is_utf8: (!is_utf8).then_some(false),
        }
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.name.cmp(&other.name)
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Candidate {}
