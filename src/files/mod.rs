//! The embedded, read-only `files` toolset.
