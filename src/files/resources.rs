//! Files as resources: `file:///PATH`, with PATH relative to the root and percent-encoded.
//!
//! The root is the top of all URIs, as if it were `/`: clients do not learn where it really lies. The files of its top
//! level are listed, a page at a time; deeper files are read by the template and found by completing its path.
//! Subscribers are notified when a file changes, appears or disappears, and all clients when a listed one appears or
//! disappears ([`Watcher`]). Only the [`Root`] confines access. A file that cannot be reached, read or named is
//! reported as missing: the client is not told why.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;

use super::answer_bytes::AnswerBytes;
use super::complete::complete_path;
use super::directory::kind_of;
use super::encoding::Encoding;
use super::error::{FileError, ShownPath};
use super::list::{ListDirectory, ListedEntry, list_within};
use super::read::read_whole;
use super::root::Root;
use super::watch::{OnChange, WatchError, Watched, Watcher};
use super::{Cancel, Kind, mime_type};
use crate::registry::{
    BlockingContext, CompletionRequest, ListRequest, ListUpdates, ReadOutput, RegistryBuilder, RegistryError,
    Resource, ResourceInfo, ResourceLister, ResourcePage, ResourceTemplate, ToolError, Updates,
    percent_decode,
};

const URI_START: &str = "file:///";

/// Variables of the template.
#[derive(Debug, Deserialize)]
struct Variables {
    path: String,
}

/// Adds the root's files as resources.
pub(super) fn register(registry: &mut RegistryBuilder, root: &Root) -> Result<(), RegistryError> {
    let watcher = Watcher::new(root.clone());
    let list_watcher = watcher.clone();
    registry.add(
        ResourceTemplate::new("file:///{+path}", "file")
            .title("A file")
            .description("A regular file; its path is relative to the served directory.")
            .complete_blocking(
                "path",
                |root: &Root, context: &BlockingContext, request: CompletionRequest| {
                    let cancel: Cancel<'_> = &|| context.is_cancelled();
                    complete_path(root, request.value(), cancel).map_err(FileError::told)
                },
            )
            .watch(move |uri, updates| match watch(&watcher, uri, updates) {
                Ok(watched) => Ok(Box::new(watched)),
                Err(error) => Err(of_watching(error)),
            })
            .read_blocking(|root: &Root, context: &BlockingContext, variables: Variables| {
                let cancel: Cancel<'_> = &|| context.is_cancelled();
                read(root, &variables.path, cancel).map_err(of_reading)
            }),
    )?;
    let list = |root: &Root, context: &BlockingContext, request: ListRequest| {
        let cancel: Cancel<'_> = &|| context.is_cancelled();
        list(root, request, cancel).map_err(FileError::told)
    };
    let listed = root.clone();
    let watch_list = move |updates: ListUpdates| match watch_list(&list_watcher, &listed, updates) {
        Ok(watched) => Ok(Box::new(watched) as Box<dyn Send>),
        Err(error) => Err(of_watching(error)),
    };
    registry.add(ResourceLister::blocking("files", list).watch(watch_list))?;
    Ok(())
}

/// Reads the whole of a file: as text if it is UTF-8, or UTF-16 with a mark, without a NUL; else as bytes.
fn read(root: &Root, path: &str, cancel: Cancel<'_>) -> Result<ReadOutput, FileError> {
    // For a URI the root is the top; an absolute path would be a second name of the same file.
    if path.starts_with('/') {
        return Err(FileError::OutsideRoot {
            path: ShownPath::new(path),
        });
    }
    let bytes = read_whole(root, path, cancel)?;
    let (output, is_text) = match Encoding::of(&bytes).decode_whole(bytes) {
        Ok(text) => (ReadOutput::text(text), true),
        Err(bytes) => {
            let is_text = memchr::memchr(0, &bytes).is_none();
            (ReadOutput::blob(bytes), is_text)
        }
    };
    Ok(output.mime_type(mime_type::of(path, is_text)))
}

/// The error for a file that cannot be read: it says only what the client can do something about.
fn of_reading(error: FileError) -> ToolError {
    match error {
        FileError::OutsideRoot { .. }
        | FileError::InvalidPath { .. }
        | FileError::NotFound { .. }
        | FileError::PermissionDenied { .. }
        | FileError::TooManySymlinks { .. }
        | FileError::NotAFile { .. } => ToolError::not_found(""),
        other => other.told(),
    }
}

/// Announces changes of the file at `uri`, whether the file exists yet or not.
fn watch(watcher: &Watcher, uri: &str, updates: Updates) -> Result<Watched, WatchError> {
    let path = uri.strip_prefix(URI_START).and_then(percent_decode);
    let path = path.ok_or(WatchError::NotBelowRoot)?;
    let since = updates.since();
    let on_change: OnChange = Arc::new(move || updates.updated());
    watcher.watch(Path::new(&*path), since, on_change)
}

/// Announces changes of the list. Editors that write a file beside and rename it leave the list as it was.
fn watch_list(watcher: &Watcher, root: &Root, updates: ListUpdates) -> Result<Watched, WatchError> {
    let known = Arc::new(AtomicU64::new(0));
    let on_change: OnChange = {
        let (known, root) = (Arc::clone(&known), root.clone());
        Arc::new(move || {
            let now = fingerprint(&root);
            if known.swap(now, Ordering::Relaxed) != now {
                updates.changed();
            }
        })
    };
    let watched = watcher.watch_list(on_change)?;
    // This comes last, when no change can escape any more.
    known.store(fingerprint(root), Ordering::Relaxed);
    Ok(watched)
}

/// A number for the names of the listed files, whatever their order; zero for no root. It covers as many entries as are
/// listed at most.
fn fingerprint(root: &Root) -> u64 {
    let Ok(entries) = root.served().and_then(|served| {
        let entries = served.dir().entries();
        entries.map_err(|error| FileError::from_io(".", error))
    }) else {
        return 0;
    };
    let entries = entries.take(root.limits().directory_entries_max).flatten();
    let files = entries.filter(|entry| kind_of(entry) == Kind::File);
    files.fold(1, |sum, entry| {
        let mut hasher = DefaultHasher::new();
        entry.file_name().hash(&mut hasher);
        sum.wrapping_add(hasher.finish())
    })
}

/// The message for the subscriber of a file that cannot be watched. The operator can raise limits.
fn of_watching(error: WatchError) -> ToolError {
    match error {
        WatchError::NotBelowRoot => ToolError::not_found("not found"),
        WatchError::System(ref reason) if reason.kind() == io::ErrorKind::PermissionDenied => {
            ToolError::not_found("not found")
        }
        error => {
            tracing::warn!("changes of files will not be announced: {error}");
            ToolError::message("no more files can be watched at present")
        }
    }
}

/// The regular files of the top level, behind `from`.
fn list(root: &Root, request: ListRequest, cancel: Cancel<'_>) -> Result<ResourcePage, FileError> {
    let arguments = ListDirectory {
        path: String::new(),
        after: request.after,
    };
    let listing = list_within(root, &arguments, AnswerBytes::UNBOUNDED, cancel)?;
    Ok(ResourcePage {
        resources: listing.entries.into_iter().filter_map(listed).collect(),
        next: listing.next_after,
    })
}

/// Names that are not UTF-8 cannot be asked for.
fn listed(entry: ListedEntry) -> Option<ResourceInfo> {
    if entry.kind != Kind::File || entry.name_is_utf8 == Some(false) {
        return None;
    }
    let resource = Resource::new(uri_of(&entry.name), entry.name.as_str());
    let resource = match mime_type::by_name(&entry.name) {
        Some(known) => resource.mime_type(known),
        None => resource,
    };
    let resource = match entry.size_bytes {
        Some(size_bytes) => resource.size_bytes(size_bytes),
        None => resource,
    };
    Some(resource.listed())
}

/// Percent-encodes what a path in a URI cannot have as it stands (RFC 3986: unreserved, and `/`).
pub(super) fn uri_of(path: &str) -> String {
    let mut uri = String::with_capacity(URI_START.len() + path.len());
    uri.push_str(URI_START);
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(byte.into())
            }
            _ => {
                let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
                uri.push('%');
                uri.push(digit(byte >> 4).to_ascii_uppercase());
                uri.push(digit(byte & 15).to_ascii_uppercase());
            }
        }
    }
    uri
}
