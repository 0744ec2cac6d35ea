//! Sealed session ids.
