//! Bytes on the wire ↔ values: HTTP/1.1, server-sent events, WebSocket frames.
//!
//! Plain synchronous code over slices: no sockets, no clock, no runtime, no policy. Who may be let in is
//! decided in `transport`, who is served in `pool`.

pub mod http1;
pub mod sse;
pub mod websocket;
