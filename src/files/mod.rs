//! The embedded, read-only `files` toolset: `read_file`, `list_directory`, `find_files`, `search`, `file_info`, the
//! prompts `explain-file` and `find-in-files`, and the files themselves as resources that can be subscribed to.
//!
//! Writes nothing, follows nothing out of its [`Root`], and never reads anything but regular files. Every answer
//! is bounded ([`FilesLimits`]) and says what it left out. Unlike its layer's other modules it does file I/O, and
//! may: its functions are blocking ones and run on the worker pool only, but for one thread of its own while files
//! are watched.
//!
//! Each tool is a plain function of a root, its arguments and a question "does anybody still want this?".

mod answer_bytes;
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
pub use tools::register;
pub use walk::Omitted;

/// Asked now and then, every few milliseconds at least: has the call been cancelled?
pub type Cancel<'a> = &'a dyn Fn() -> bool;
