//! One connection's conversation.
