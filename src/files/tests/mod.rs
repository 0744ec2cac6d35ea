//! The tools against a real tree. The kernel's confinement is tried with every spelling, and under races.

mod cached;
mod confinement;
mod describing;
mod encodings;
mod gitignoring;
mod listing;
mod prompts;
mod reading;
mod replacing;
mod resources;
mod searching;
mod tools;
mod walking;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::read::read_file_at_once;
use super::*;
use crate::registry::{
    BlockingContext, CallContext, Cancellation, Execution, Registry, Started, ToolError, ToolOutput,
};

/// A text that no answer may contain.
const SECRET: &str = "SECRET-outside-the-root";

/// A directory `root` to serve, beside a file `secret` and a directory `outside`; removed when dropped.
pub(in crate::files) struct Tree {
    pub(in crate::files) base: PathBuf,
}

impl Tree {
    pub(in crate::files) fn new() -> Tree {
        static TREES: AtomicUsize = AtomicUsize::new(0);
        let number = TREES.fetch_add(1, Ordering::Relaxed);
        let base = std::env::temp_dir().join(format!("weir-files-{}-{number}", std::process::id()));
        // Left behind by a killed run whose process id came round again.
        let _ = fs::remove_dir_all(&base);
        fs::create_dir_all(base.join("root")).unwrap();
        fs::create_dir_all(base.join("outside")).unwrap();
        fs::write(base.join("secret"), SECRET).unwrap();
        fs::write(base.join("outside/secret"), SECRET).unwrap();
        Tree { base }
    }

    pub(in crate::files) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.base.join("root").join(name)
    }

    pub(in crate::files) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> &Tree {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    pub(in crate::files) fn link(&self, target: impl AsRef<Path>, name: &str) -> &Tree {
        symlink(target, self.path(name)).unwrap();
        self
    }

    pub(in crate::files) fn root(&self) -> Root {
        Root::open(self.path("")).unwrap()
    }

    pub(in crate::files) fn root_with(&self, change: impl FnOnce(&mut FilesLimits)) -> Root {
        let mut limits = FilesLimits::default();
        change(&mut limits);
        Root::with_limits(self.path(""), limits).unwrap()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.base);
    }
}

const NOT_CANCELLED: Cancel<'static> = &|| false;
const NOT_TOLD: Progress<'static> = &|_| ();

/// Reads both ways, which must come to the same.
fn read_with(root: &Root, args: &ReadFile) -> Result<FileText, FileError> {
    let at_once = read_file_at_once(root, args);
    let read = read_file(root, args, NOT_CANCELLED);
    if let Some(at_once) = at_once {
        assert_eq!(format!("{at_once:?}"), format!("{read:?}"), "{args:?}");
    }
    read
}

/// Reads both ways, of which one may do nothing, while the file may change between them.
fn read_each_way(root: &Root, path: &str) -> Vec<Result<FileText, FileError>> {
    let args = ReadFile {
        path: path.into(),
        ..ReadFile::default()
    };
    let at_once = read_file_at_once(root, &args);
    at_once
        .into_iter()
        .chain([read_file(root, &args, NOT_CANCELLED)])
        .collect()
}

fn read(root: &Root, path: &str) -> Result<FileText, FileError> {
    let args = ReadFile {
        path: path.into(),
        ..ReadFile::default()
    };
    read_with(root, &args)
}

fn read_lines(root: &Root, path: &str, offset: u64, limit: Option<u64>) -> Result<FileText, FileError> {
    let args = ReadFile {
        path: path.into(),
        offset: Some(offset),
        limit,
        start_byte: None,
    };
    read_with(root, &args)
}

fn read_from(root: &Root, path: &str, start_byte: u64) -> Result<FileText, FileError> {
    let args = ReadFile {
        path: path.into(),
        start_byte: Some(start_byte),
        ..ReadFile::default()
    };
    read_with(root, &args)
}

fn list(root: &Root, path: &str) -> Result<Listing, FileError> {
    list_directory(
        root,
        &ListDirectory {
            path: path.into(),
            after: None,
        },
        NOT_CANCELLED,
    )
}

fn names(listing: &Listing) -> Vec<&str> {
    listing.entries.iter().map(|entry| entry.name.as_str()).collect()
}

fn info(root: &Root, path: &str) -> Result<FileInfo, FileError> {
    file_info(root, &FileInfoArguments { path: path.into() })
}

fn find(root: &Root, glob: &str) -> Found {
    let args = FindFiles {
        glob: glob.into(),
        ..FindFiles::default()
    };
    find_files(root, &args, NOT_CANCELLED, NOT_TOLD).unwrap()
}

fn grep(root: &Root, pattern: &str) -> SearchResult {
    search(
        root,
        &Search {
            pattern: pattern.into(),
            ..Search::default()
        },
        NOT_CANCELLED,
        NOT_TOLD,
    )
    .unwrap()
}

fn places(result: &SearchResult) -> Vec<(&str, u64)> {
    result
        .matches
        .iter()
        .map(|found| (found.path.as_str(), found.line))
        .collect()
}

/// Ends the thread that swaps, also when the test fails; the scope would wait for it for ever.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
