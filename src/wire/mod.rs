//! Bytes on the wire ↔ values: HTTP/1.1, server-sent events, WebSocket frames.
//!
//! This is plain synchronous code over slices: no sockets, no clock, no runtime, no policy. `transport` decides which
//! requests are admitted, and `pool` which are served.

pub mod http1;
pub mod sse;
pub mod websocket;
