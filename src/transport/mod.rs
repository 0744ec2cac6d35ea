//! One connection's conversation.

pub mod edge;
