//! Requests of clients: calls of both eras, a session, a WebSocket's frames.

use weir::internals::ring::simulated::SimulatedPeer;

use super::Rig;

pub(crate) fn post(fields: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub(crate) const MODERN_ECHO: &str = r#"{"jsonrpc":"2.0","id":"a-uuid-is-36-characters-long-as-this","method":"tools/call",
    "params":{"name":"echo","arguments":{"message":"hello \"world\"\n"},"_meta":{
    "io.modelcontextprotocol/protocolVersion":"2026-07-28",
    "io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"},
    "io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{}}}}}}"#;
pub(crate) const LEGACY_ECHO: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo",
    "arguments":{"message":"hello \"world\"\n"}}}"#;

pub(crate) fn modern_echo() -> Vec<u8> {
    let fields = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: echo\r\n";
    post(fields, MODERN_ECHO)
}

pub(crate) fn legacy_echo(session: &str) -> Vec<u8> {
    legacy_post(session, LEGACY_ECHO)
}

/// A message of a legacy client, of which `session` is the header line.
pub(crate) fn legacy_post(session: &str, message: &str) -> Vec<u8> {
    post(&format!("MCP-Protocol-Version: 2025-11-25\r\n{session}"), message)
}

/// A call of ten messages and a result, all in one stream of events.
const LEGACY_PROGRESS: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"progress",
    "arguments":{"steps":10,"delay_ms":0},"_meta":{"progressToken":"a-uuid-is-36-characters-long-as-this"}}}"#;
const MODERN_PROGRESS: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"progress",
    "arguments":{"steps":10,"delay_ms":0},"_meta":{"progressToken":"a-uuid-is-36-characters-long-as-this",
    "io.modelcontextprotocol/protocolVersion":"2026-07-28",
    "io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"},
    "io.modelcontextprotocol/clientCapabilities":{}}}}"#;

pub(crate) fn legacy_progress() -> Vec<u8> {
    post("MCP-Protocol-Version: 2025-11-25\r\n", LEGACY_PROGRESS)
}

pub(crate) fn modern_progress() -> Vec<u8> {
    let fields = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: progress\r\n";
    post(fields, MODERN_PROGRESS)
}

/// A message of more than 125 bytes in one frame, masked by zeros; or a control frame.
pub(crate) fn frame(first: u8, payload: &str) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    let length = match payload.len() {
        0..=125 => vec![0x80 | length[1]],
        _ => [&[0x80 | 126][..], &length].concat(),
    };
    [&[first][..], &length, &[0; 4], payload.as_bytes()].concat()
}

/// A connection that has become a WebSocket.
pub(crate) fn open_websocket(rig: &mut Rig) -> SimulatedPeer {
    let peer = rig.connect();
    let head = rig.exchange(
        &peer,
        b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let head = String::from_utf8_lossy(&head);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    peer
}

/// The notification that follows `initialize`.
pub(crate) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

pub(crate) fn initialize() -> Vec<u8> {
    post(
        "",
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25",
            "capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#,
    )
}

/// The end of a session.
pub(crate) fn delete(session: &str) -> Vec<u8> {
    format!("DELETE /mcp HTTP/1.1\r\nHost: localhost\r\nMCP-Protocol-Version: 2025-11-25\r\n{session}\r\n")
        .into_bytes()
}

/// `Mcp-Session-Id` of a new session, as a header line.
pub(crate) fn new_session(rig: &mut Rig, peer: &SimulatedPeer) -> String {
    session_of(&rig.exchange(peer, &initialize()))
}

/// The header line of the session that the answer to `initialize` tells.
pub(crate) fn session_of(answer: &[u8]) -> String {
    let answer = String::from_utf8_lossy(answer);
    let is_id = |line: &&str| line.to_ascii_lowercase().starts_with("mcp-session-id:");
    let line = answer
        .lines()
        .find(is_id)
        .unwrap_or_else(|| panic!("no session: {answer}"));
    format!("{line}\r\n")
}
