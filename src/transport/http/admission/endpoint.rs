//! What a request that is let in is for.

/// What an admitted request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A JSON-RPC message in the body.
    Post,
    /// The stream of the session named by `Mcp-Session-Id`, or the rest of one that broke.
    Get,
    /// The end of the session named by `Mcp-Session-Id`.
    Delete,
    /// Frames instead of HTTP from here on; the handshake is sound.
    WebSocket,
    /// The event stream of HTTP+SSE, which carries all that the server says to one client.
    SseOpen,
    /// A JSON-RPC message in the body, for the channel of the event stream named by
    /// [`sse_stream_name`](super::sse_stream_name).
    SsePost,
    /// Whether a page of an allowed origin may send what it wants to; see
    /// [`write_preflight_answer`](super::write_preflight_answer).
    Preflight,
    /// Whether the server is well, or serves.
    Health(Probe),
}

/// What a prober asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Whether the process is well.
    Health,
    /// Whether the server is serving: not starting, not draining.
    Readiness,
}
