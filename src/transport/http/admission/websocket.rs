//! The handshake by which a request becomes a WebSocket (RFC 6455, section 4.2).
//!
//! `http::admission` has judged origin, host and path before it asks here. Frames are the business of
//! [`wire::websocket`](crate::wire::websocket). No revision of MCP has WebSockets: one message is one JSON-RPC message,
//! as on stdio. Deliberately absent: extensions (compression), which are never agreed on, and cookies.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::refusal::Refusal;
use crate::transport::http::Head;
use crate::wire::http1::{self, BodyLength, Field, Method, split_list};

/// The subprotocol that a client may name in `Sec-WebSocket-Protocol`; one that names none is served all the same.
pub const SUBPROTOCOL: &str = "mcp";
/// The only version there is.
const VERSION: &[u8] = b"13";
/// The length of a client's random value, and of its base64.
const KEY_BYTES: usize = 16;
const KEY_TEXT_BYTES: usize = 24;
/// The length of a SHA-1 in base64.
const ACCEPT_KEY_BYTES: usize = 28;
/// The constant that proves that the server understands the handshake (section 1.3).
const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The variable parts of the 101.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upgrade {
    /// `Sec-WebSocket-Accept`.
    pub accept_key: [u8; ACCEPT_KEY_BYTES],
    /// `Sec-WebSocket-Protocol`, if the client offers ours.
    pub subprotocol: Option<&'static str>,
}

impl Upgrade {
    /// Appends the head that ends HTTP on the connection.
    pub fn append_head(&self, out: &mut Vec<u8>) {
        http1::write_switching_protocols(out, &self.accept_key, self.subprotocol);
    }
}

/// Whether a request asks for a WebSocket: `GET`, HTTP/1.1, and both fields name it.
pub fn is_wanted(head: &Head<'_>) -> bool {
    let names_it = |value| split_list(value, b',').any(|name| name.eq_ignore_ascii_case(b"websocket"));
    head.method == Method::Get && head.wants_upgrade && head.values("upgrade").any(names_it)
}

/// Checks whether a request that asks for a WebSocket can have one. Allocates nothing.
///
/// # Errors
/// Returns the first rule of the handshake that it breaks.
pub fn check_handshake(head: &Head<'_>) -> Result<(), Refusal> {
    if !matches!(head.body, BodyLength::None | BodyLength::Length(0)) {
        return Err(Refusal::WebSocketBody);
    }
    match head.lines().field("sec-websocket-version") {
        Field::One(VERSION) => {}
        Field::Absent => return Err(Refusal::WebSocketVersionMissing),
        Field::One(_) | Field::Repeated => return Err(Refusal::WebSocketVersion),
    }
    client_key(head).map(drop)
}

/// The answer to a request that was admitted as a WebSocket.
///
/// # Errors
/// Fails like [`check_handshake`], so never for an admitted request.
pub fn upgrade(head: &Head<'_>) -> Result<Upgrade, Refusal> {
    check_handshake(head)?;
    let offers = head
        .values("sec-websocket-protocol")
        .flat_map(|value| split_list(value, b','))
        .any(|name| name == SUBPROTOCOL.as_bytes());
    Ok(Upgrade {
        accept_key: accept_key(client_key(head)?),
        subprotocol: offers.then_some(SUBPROTOCOL),
    })
}

/// `Sec-WebSocket-Key` as it was sent.
fn client_key<'a>(head: &Head<'a>) -> Result<&'a [u8], Refusal> {
    let key = head.lines().field("sec-websocket-key").value();
    key.filter(|key| is_key(key)).ok_or(Refusal::WebSocketKey)
}

fn is_key(text: &[u8]) -> bool {
    // Decoding is checked against the room that base64 estimates, in whole groups.
    let mut decoded = [0; KEY_TEXT_BYTES];
    text.len() == KEY_TEXT_BYTES && STANDARD.decode_slice(text, &mut decoded) == Ok(KEY_BYTES)
}

fn accept_key(client_key: &[u8]) -> [u8; ACCEPT_KEY_BYTES] {
    let digest = Sha1::new()
        .chain_update(client_key)
        .chain_update(ACCEPT_GUID)
        .finalize();
    let mut text = [0; ACCEPT_KEY_BYTES];
    let encoded = STANDARD.encode_slice(digest, &mut text);
    debug_assert_eq!(encoded, Ok(ACCEPT_KEY_BYTES), "twenty bytes are 28 in base64");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::http::parse_head;
    use crate::wire::http1::{HeadLimits, Status, UpgradeOffer};

    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    const VERSION_13: &str = "Sec-WebSocket-Version: 13";

    fn answer(lines: &[&str]) -> Result<Upgrade, Refusal> {
        let fixed = "GET /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c, websocket";
        let text = format!("{fixed}\r\n{}\r\n\r\n", lines.join("\r\n"));
        let head = parse_head(text.as_bytes(), &HeadLimits::default()).unwrap();
        assert!(is_wanted(&head));
        let answer = upgrade(&head);
        assert_eq!(check_handshake(&head), answer.map(drop));
        answer
    }

    #[test]
    fn the_example_of_the_specification() {
        // The example of section 1.3.
        let upgrade = answer(&[KEY, VERSION_13]).unwrap();
        assert_eq!(&upgrade.accept_key, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(upgrade.subprotocol, None);
    }

    #[test]
    fn our_subprotocol_is_found_among_others_and_in_its_own_case() {
        let named = |line: &str| answer(&[KEY, VERSION_13, line]).unwrap().subprotocol;
        assert_eq!(named("Sec-WebSocket-Protocol: mcp"), Some("mcp"));
        assert_eq!(named("sec-websocket-protocol: soap, mcp ,wamp"), Some("mcp"));
        let two = "Sec-WebSocket-Protocol: soap\r\nSec-WebSocket-Protocol: mcp";
        assert_eq!(named(two), Some("mcp"));
        assert_eq!(named("Sec-WebSocket-Protocol: MCP, mcp2"), None);
        assert_eq!(named("Sec-WebSocket-Extensions: permessage-deflate"), None);
    }

    #[test]
    fn a_key_is_sixteen_bytes_in_base64_and_sent_once() {
        for key in [
            "",
            "AAAA",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZXg=",
            "dGhlIHNhbXBsZSBub25jZXh5",
            "dGhlIHNhbXBsZSBub25!ZQ==",
            "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
        ] {
            let line = format!("Sec-WebSocket-Key: {key}");
            assert_eq!(answer(&[&line, VERSION_13]), Err(Refusal::WebSocketKey), "{key}");
        }
        assert_eq!(answer(&[VERSION_13]), Err(Refusal::WebSocketKey));
        assert_eq!(answer(&[KEY, KEY, VERSION_13]), Err(Refusal::WebSocketKey));
        assert_eq!(Refusal::WebSocketKey.status(), Status::BadRequest);
    }

    #[test]
    fn there_is_one_version() {
        let version = |version: &str| answer(&[KEY, &format!("Sec-WebSocket-Version: {version}")]);
        for other in ["8", "12", "14", "013", "13, 8", "", "x"] {
            assert_eq!(version(other), Err(Refusal::WebSocketVersion), "{other}");
        }
        assert_eq!(
            answer(&[KEY, VERSION_13, VERSION_13]),
            Err(Refusal::WebSocketVersion)
        );
        assert_eq!(answer(&[KEY]), Err(Refusal::WebSocketVersionMissing));
        let refusal = Refusal::WebSocketVersion;
        let told = (refusal.status(), refusal.upgrade());
        assert_eq!(told, (Status::UpgradeRequired, Some(UpgradeOffer::WebSocket)));
        assert_eq!(Refusal::WebSocketVersionMissing.status(), Status::BadRequest);
    }

    #[test]
    fn a_handshake_has_no_body() {
        let with = |line: &str| answer(&[KEY, VERSION_13, line]).map(drop);
        assert_eq!(with("Content-Length: 0"), Ok(()));
        assert_eq!(with("Content-Length: 1"), Err(Refusal::WebSocketBody));
        assert_eq!(with("Transfer-Encoding: chunked"), Err(Refusal::WebSocketBody));
        assert_eq!(Refusal::WebSocketBody.status(), Status::BadRequest);
    }
}
