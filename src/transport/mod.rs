//! One connection's conversation: which requests are let in, and how they are taken from and answered to a
//! stream of bytes.

pub mod http;
pub mod stdio;
