//! The embedded toolsets. Programs that embed a server register tools of their own; this is for the command.

use std::path::PathBuf;

use crate::config::kind::Kind::{self, Choice, Path};
use crate::config::kind::{KIB, MIB};
use crate::config::section::section;
use crate::config::spec::option;
use crate::config::values::{Toolset, Words};

/// One answer of the toolset `files`.
const FILES_ANSWER: Kind = Kind::Size {
    min_bytes: KIB,
    max_bytes: 16 * MIB,
};

section! {
    /// The toolsets of `weir serve`.
    pub struct ToolsetSettings {
        /// The toolsets, none twice. There is none if other programs are served and none was asked for.
        pub names: Vec<Toolset> = vec![Toolset::Files] => option("toolset", "NAME", Choice(Toolset::WORDS),
            "Toolset to serve").repeatable().derived("files; none beside other programs"),
        /// The directory of the toolset `files`. Whether it exists turns out when it is opened.
        pub root: PathBuf = PathBuf::from(".") => option("root", "DIR", Path,
            "The directory whose files the toolset `files` shows, read-only").for_files(),
        /// Bytes of text in one answer of `read_file`.
        pub read_bytes_max: usize = 48 << 10 => option("files-read-max", "SIZE", FILES_ANSWER,
            "Text in one answer of read_file; the answer says how to get the rest").for_files(),
        /// Bytes of JSON for the results in one answer of `search`, `find_files` or `list_directory`.
        pub search_bytes_max: usize = 48 << 10 => option("files-search-max", "SIZE", FILES_ANSWER,
            "Results in one answer of search, find_files or list_directory").for_files(),
    }
}
