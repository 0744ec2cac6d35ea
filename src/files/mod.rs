//! The embedded, read-only `files` toolset: `read_file`, `list_directory`, `find_files`, `search`, `file_info`, and
//! the files themselves as resources.
//!
//! Writes nothing, follows nothing out of its [`Root`], and never reads anything but regular files. Every answer
//! is bounded ([`FilesLimits`]) and says what it left out. Unlike its layer's other modules it does file I/O, and
//! may: its functions are blocking ones and run on the worker pool only.
//!
//! Each tool is a plain function of a root, its arguments and a question "does anybody still want this?".

mod directory;
mod entry;
mod error;
mod find;
mod info;
mod limits;
mod list;
mod mime_type;
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
pub use read::{FileText, ReadFile, read_file};
pub use root::{Root, RootError};
pub use search::{LineMatch, Search, SearchResult, search};
pub use tools::register;
pub use walk::Omitted;

/// Asked now and then: has the call been cancelled?
pub type Cancel<'a> = &'a dyn Fn() -> bool;
