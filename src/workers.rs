//! Threads for blocking tools.
