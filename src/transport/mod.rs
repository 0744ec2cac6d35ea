//! One connection's conversation: which requests are admitted, and how they are read from and answered on a stream of
//! bytes. Messages that are lines, as on stdio, need no more than [`crate::jsonrpc::Lines`].

pub mod http;
