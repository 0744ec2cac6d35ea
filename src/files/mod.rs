//! The embedded, read-only `files` toolset: `read_file`, `list_directory`, `find_files`, `search`, `file_info`, the
//! prompts `explain-file` and `find-in-files`, and the files themselves as resources that can be subscribed to.
//!
//! The toolset writes nothing, follows nothing out of its [`Root`], and never reads anything but regular files. Every
//! answer is bounded ([`FilesLimits`]) and says what it left out. Unlike its layer's other modules it does file I/O,
//! and it may: its functions are blocking and run on the worker pool only, except for one thread of its own while files
//! are watched, and for small files that are in memory, which a shard reads by `cached`.
//!
//! Each tool is a plain function of a root, its arguments, and a question "has the call been cancelled?".

mod answer_bytes;
mod cached;
mod complete;
mod directory;
mod encoding;
mod entry;
mod error;
mod find;
mod gitignore;
mod info;
mod limits;
mod list;
mod mime_type;
mod progress;
mod prompts;
mod read;
mod resources;
mod root;
mod search;
#[cfg(test)]
mod tests;
mod tools;
mod walk;
mod watch;

pub use entry::Kind;
pub use error::{FileError, ShownPath};
pub use find::{FindFiles, Found, find_files};
pub use info::{FileInfo, FileInfoArguments, LinkInfo, LinkLeads, file_info};
pub use limits::FilesLimits;
pub use list::{ListDirectory, ListedEntry, Listing, list_directory};
pub use progress::{Looked, Progress};
pub use read::{FileText, ReadFile, read_file};
pub use root::{Root, RootError};
pub use search::{LineMatch, Search, SearchResult, search};
pub use walk::Omitted;

/// Whether the call has been cancelled. The tools ask at least every few milliseconds.
pub type Cancel<'a> = &'a dyn Fn() -> bool;
