//! The same calls over WebSocket: the handshake, a request as one masked frame, an answer as one frame.
//!
//! There is one request at a time, as over HTTP. Pings do not come while a loop is closed, and would be malformed here.

use std::io::{self, Read, Write};
use std::time::Duration;

use socket2::Socket;

use crate::address::Address;
use crate::response::{Front, Outcome, judge, refusal};

/// Any key will do: it keeps proxies from being fooled, and there are none.
const MASK: [u8; 4] = [0x5A, 0x17, 0xC3, 0x81];
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A text in one frame.
const TEXT: u8 = 0x81;

/// The frame that carries a call.
pub(crate) fn frame(body: &[u8]) -> Vec<u8> {
    let mut frame = vec![TEXT];
    match body.len() {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        long @ 126..=0xFFFF => {
            frame.push(0x80 | 126);
            frame.extend((long as u16).to_be_bytes());
        }
        longer => {
            frame.push(0x80 | 127);
            frame.extend((longer as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(body.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// Opens one; blocks until it is open.
pub(crate) fn open(address: &Address, path: &str) -> io::Result<Socket> {
    let mut socket = address.connect()?;
    socket.set_read_timeout(Some(HANDSHAKE_TIMEOUT))?;
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         sec-websocket-protocol: mcp\r\n\r\n",
        address.host()
    )?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    if !head.starts_with(b"HTTP/1.1 101 ") {
        let text = String::from_utf8_lossy(&head);
        return Err(io::Error::other(format!("no WebSocket but {text}")));
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Looks for one answer at the front of `received`.
pub(crate) fn front(received: &[u8]) -> Front {
    let Some((&[first, second], rest)) = received.split_first_chunk() else {
        return Front::Incomplete;
    };
    if first != TEXT || second & 0x80 != 0 {
        return Front::Malformed;
    }
    let length_bytes = match second {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some((digits, payload)) = rest.split_at_checked(length_bytes) else {
        return Front::Incomplete;
    };
    let length = match length_bytes {
        0 => usize::from(second),
        _ => digits
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte)),
    };
    let Some(body) = payload.get(..length) else {
        return Front::Incomplete;
    };
    let outcome = match judge(body) {
        Outcome::Failed if memchr::memmem::find(body, br#""code":-31503"#).is_some() => {
            Outcome::Refused(refusal(body))
        }
        outcome => outcome,
    };
    Front::Response {
        bytes: 2 + length_bytes + length,
        outcome,
        is_last: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::Refusal;

    fn answer(body: &str) -> Vec<u8> {
        let mut frame = vec![TEXT, 126];
        frame.extend((body.len() as u16).to_be_bytes());
        frame.extend(body.as_bytes());
        frame
    }

    #[test]
    fn each_answer_has_its_outcome() {
        let overload = r#"{"id":1,"error":{"code":-31503,"data":{"reason":"handlers"}}}"#;
        for (body, expected) in [
            (r#"{"result":{}}"#, Outcome::Ok),
            (r#"{"result":{"isError":true}}"#, Outcome::Failed),
            (r#"{"error":{"code":-32602}}"#, Outcome::Failed),
            (overload, Outcome::Refused(Refusal::Handlers)),
        ] {
            let bytes = answer(body);
            for end in 0..bytes.len() {
                assert_eq!(front(&bytes[..end]), Front::Incomplete, "{body} {end}");
            }
            let (bytes, outcome) = (bytes.len(), expected);
            let is_last = false;
            let whole = Front::Response {
                bytes,
                outcome,
                is_last,
            };
            assert_eq!(front(&answer(body)), whole);
        }
        assert_eq!(front(b"\x88\x02\x03\xE8"), Front::Malformed);
        assert_eq!(front(b"\x81\x80"), Front::Malformed);
    }

    #[test]
    fn a_frame_is_masked() {
        assert_eq!(
            frame(b"\x00\x00\x00\x00\xFF")[6..],
            [0x5A, 0x17, 0xC3, 0x81, !0x5A]
        );
        assert_eq!(frame(&[0; 126])[..4], [0x81, 0xFE, 0, 126]);
    }
}
