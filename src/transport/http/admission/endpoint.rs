//! The purpose of an admitted request.

/// The purpose of an admitted request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A JSON-RPC message in the body.
    Post,
    /// The stream of the session named by `Mcp-Session-Id`, or the rest of one that broke.
    Get,
    /// The client ends the session named by `Mcp-Session-Id`.
    Delete,
    /// The client sends frames instead of HTTP from here on; the handshake is sound.
    WebSocket,
    /// The event stream of HTTP+SSE, which carries all messages to one client.
    SseOpen,
    /// A JSON-RPC message in the body, for the channel of the event stream named by
    /// [`sse_stream_name`](super::sse_stream_name).
    SsePost,
    /// The question whether a page of an allowed origin may send a request; see
    /// [`write_preflight_answer`](super::write_preflight_answer).
    Preflight,
    /// The question whether the server is alive, or ready.
    Health(Probe),
}

/// A prober's question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Is the process alive?
    Health,
    /// Is the server ready, that is, neither starting nor draining?
    Readiness,
}
