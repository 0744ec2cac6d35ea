//! One connection's conversation: which requests are admitted, and how they are read from and answered on a stream of
//! bytes.

pub mod http;
pub mod stdio;
