//! Validated settings from flags, environment and file.
