//! The shard's handlers.
