//! The embedded `demo` toolset.
