//! Health and metrics on a listener and thread of their own.
