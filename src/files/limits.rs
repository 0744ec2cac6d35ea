//! The `files` tools' limits, all in one place.

/// How much one call may read, visit and answer.
#[derive(Clone, Debug)]
pub struct FilesLimits {
    /// Bytes of text in one `read_file` answer. The commonest client gives its model about 25,000 tokens of an answer,
    /// and two bytes a token is as dense as text gets.
    pub read_bytes_max: usize,
    /// The largest file that is read as a resource, which cannot be read in pieces.
    pub resource_bytes_max: u64,
    /// How far `read_file` counts lines to find the first one.
    pub scan_bytes_max: u64,
    /// Entries in one `list_directory` answer.
    pub list_entries_max: usize,
    /// Entries of one directory that are looked at, to put them in order.
    pub directory_entries_max: usize,
    /// Entries one walk (`find_files`, `search`) visits.
    pub walk_entries_max: usize,
    /// Directories a walk descends below the root; each costs a descriptor while it is open.
    pub walk_depth_max: usize,
    /// Bytes of one `.gitignore` that are read.
    pub gitignore_bytes_max: usize,
    /// Paths in one `find_files` answer.
    pub find_results_max: usize,
    /// Matches in one `search` answer when the client names no limit.
    pub search_matches_default: usize,
    /// Matches in one `search` answer.
    pub search_matches_max: usize,
    /// Bytes of one matching line that are shown.
    pub match_bytes_max: usize,
    /// Longest line `search` looks at; a file with a longer one is skipped and counted.
    pub search_line_bytes_max: usize,
    /// Bytes of JSON for the entries, paths or lines in one `list_directory`, `find_files` or `search` answer; for the
    /// same reason.
    pub answer_bytes_max: usize,
    /// Length of a glob or pattern.
    pub pattern_bytes_max: usize,
    /// Size of a compiled pattern. It bounds the time spent on a single buffer of text as well, since matching
    /// costs at worst the product of both.
    pub pattern_compiled_bytes_max: usize,
    /// Files that are watched for changes at a time.
    pub watched_files_max: usize,
    /// Directories that are watched for them. Each is one of the user's inotify watches, which other programs of that
    /// user want some of, too.
    pub watched_directories_max: usize,
}

impl Default for FilesLimits {
    fn default() -> FilesLimits {
        FilesLimits {
            read_bytes_max: 48 << 10,
            resource_bytes_max: 1 << 20,
            scan_bytes_max: 1 << 30,
            list_entries_max: 1_000,
            directory_entries_max: 200_000,
            walk_entries_max: 500_000,
            walk_depth_max: 64,
            gitignore_bytes_max: 256 << 10,
            find_results_max: 1_000,
            search_matches_default: 100,
            search_matches_max: 1_000,
            match_bytes_max: 512,
            search_line_bytes_max: 1 << 20,
            answer_bytes_max: 48 << 10,
            pattern_bytes_max: 1 << 10,
            pattern_compiled_bytes_max: 1 << 20,
            watched_files_max: 65_536,
            watched_directories_max: 8_192,
        }
    }
}
