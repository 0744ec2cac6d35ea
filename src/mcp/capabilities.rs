//! What a client can do when asked; the calls that ask it know it too, so it lives with them.

pub use crate::registry::ClientCapabilities;
