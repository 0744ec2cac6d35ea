//! How messages travel: as HTTP requests, as one WebSocket frame each, or as one line each.

use super::address::Address;
use super::response::{Front, Payload, Reading, Reply};

/// Any key will do: it keeps proxies from being fooled, and there are none.
pub(crate) const MASK: [u8; 4] = [0x5A, 0x17, 0xC3, 0x81];
/// A text in one frame, and control frames.
const TEXT: u8 = 0x81;
const PING: u8 = 0x89;
const PONG: u8 = 0x8A;

/// How messages travel over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Http,
    WebSocket,
    Lines,
}

impl Framing {
    /// Whether messages need no request of their own, so that nothing answers a notification.
    pub(crate) fn is_stream(self) -> bool {
        self != Framing::Http
    }

    /// Looks for one answer at the front of `received`; `is_ended` says that nothing will follow.
    pub(super) fn front<'a>(self, reading: &'a mut Reading, received: &'a [u8], is_ended: bool) -> Front<'a> {
        match self {
            Framing::Http => reading.front(received, is_ended),
            Framing::WebSocket => frame_front(received),
            Framing::Lines => line_front(reading, received),
        }
    }
}

/// Appends a message in its frame; `head` is for HTTP. Returns where the message begins.
pub(crate) fn framed(framing: Framing, head: &[u8], message: &[u8], out: &mut Vec<u8>) -> usize {
    match framing {
        Framing::Http => {
            out.extend_from_slice(head);
            if !message.is_empty() {
                out.extend_from_slice(b"content-length: ");
                out.extend_from_slice(itoa::Buffer::new().format(message.len()).as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(message);
            out.len() - message.len()
        }
        Framing::WebSocket => frame(TEXT, message, out),
        Framing::Lines => {
            out.extend_from_slice(message);
            out.push(b'\n');
            out.len() - 1 - message.len()
        }
    }
}

/// Appends a masked frame. Returns where its payload begins.
fn frame(kind: u8, payload: &[u8], out: &mut Vec<u8>) -> usize {
    out.push(kind);
    match payload.len() {
        short @ 0..=125 => out.push(0x80 | short as u8),
        long @ 126..=0xFFFF => {
            out.push(0x80 | 126);
            out.extend((long as u16).to_be_bytes());
        }
        longer => {
            out.push(0x80 | 127);
            out.extend((longer as u64).to_be_bytes());
        }
    }
    out.extend(MASK);
    out.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    out.len() - payload.len()
}

/// Appends the answer to a ping.
pub(super) fn pong(payload: &[u8], out: &mut Vec<u8>) {
    frame(PONG, payload, out);
}

/// The request that opens a WebSocket.
pub(crate) fn upgrade(path: &str, host: &str, headers: &[String]) -> Vec<u8> {
    let mut head = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         sec-websocket-protocol: mcp\r\n"
    );
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

fn frame_front(received: &[u8]) -> Front<'_> {
    let Some((&[first, second], rest)) = received.split_first_chunk() else {
        return Front::Incomplete;
    };
    if !matches!(first, TEXT | PING | PONG) || second & 0x80 != 0 {
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
    let Some(payload) = payload.get(..length) else {
        return Front::Incomplete;
    };
    let bytes = 2 + length_bytes + length;
    match first {
        TEXT => Front::Whole(message(bytes, payload)),
        PING => Front::Ping { bytes, payload },
        _ => Front::Empty(bytes),
    }
}

fn line_front<'a>(reading: &mut Reading, received: &'a [u8]) -> Front<'a> {
    let Some(end) = reading.search(received, b"\n") else {
        return Front::Incomplete;
    };
    match received[..end].trim_ascii() {
        [] => Front::Empty(end + 1),
        line => Front::Whole(message(end + 1, line)),
    }
}

fn message(bytes: usize, payload: &[u8]) -> Reply<'_> {
    Reply {
        bytes,
        status: 200,
        retry_after: None,
        is_last: false,
        payload: Payload::Json(payload.into()),
    }
}

/// How connections to a server are made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Endpoint {
    pub(crate) address: Address,
    pub(crate) framing: Framing,
    /// The path of requests.
    pub(crate) path: String,
    /// The `host` of requests.
    pub(crate) host: String,
    /// Further header lines.
    pub(crate) headers: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(front: Front<'_>) -> (usize, String) {
        match front {
            Front::Whole(Reply {
                bytes,
                payload: Payload::Json(body),
                ..
            }) => (bytes, String::from_utf8_lossy(&body).into_owned()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_frame_is_whole_with_its_last_byte() {
        for length in [2, 125, 126, 70_000] {
            let body = format!("{{{}}}", " ".repeat(length - 2));
            let mut bytes = vec![TEXT];
            match length {
                0..126 => bytes.push(length as u8),
                126..0x1_0000 => bytes.extend([&[126][..], &(length as u16).to_be_bytes()].concat()),
                _ => bytes.extend([&[127][..], &(length as u64).to_be_bytes()].concat()),
            }
            bytes.extend(body.as_bytes());
            for end in (0..16).chain([bytes.len() - 1]).filter(|end| *end < bytes.len()) {
                assert_eq!(frame_front(&bytes[..end]), Front::Incomplete, "{length} {end}");
            }
            assert_eq!(payload(frame_front(&bytes)), (bytes.len(), body));
        }
        assert_eq!(frame_front(b"\x88\x02\x03\xE8"), Front::Malformed, "a close");
        assert_eq!(frame_front(b"\x81\x80"), Front::Malformed, "it is masked");
        let ping = Front::Ping {
            bytes: 4,
            payload: b"hi",
        };
        assert_eq!(frame_front(b"\x89\x02hi"), ping);
        assert_eq!(frame_front(b"\x8A\x00"), Front::Empty(2));
    }

    #[test]
    fn a_line_is_one_message() {
        let front = |received| line_front(&mut Reading::default(), received);
        assert_eq!(front(b"{\"id\":1"), Front::Incomplete);
        assert_eq!(payload(front(b"{}\r\n{}\n")), (4, "{}".to_owned()));
        assert_eq!(front(b"\r\n{}\n"), Front::Empty(2));
    }

    #[test]
    fn messages_are_framed_where_they_say() {
        let message = br#"{"id":1000000000}"#;
        for (framing, head, expected) in [
            (
                Framing::Http,
                &b"POST / HTTP/1.1\r\n"[..],
                "POST / HTTP/1.1\r\ncontent-length: 17\r\n\r\n{\"id\":1000000000}",
            ),
            (Framing::Lines, b"", "{\"id\":1000000000}\n"),
        ] {
            let mut out = Vec::new();
            let at = framed(framing, head, message, &mut out);
            assert_eq!(str::from_utf8(&out).unwrap(), expected);
            assert_eq!(out[at..][..message.len()], message[..]);
        }
        let mut out = Vec::new();
        let at = framed(Framing::WebSocket, b"", b"\x00\x00\x00\x00\xFF", &mut out);
        assert_eq!(out[at..], [0x5A, 0x17, 0xC3, 0x81, !0x5A]);
        out.clear();
        framed(Framing::WebSocket, b"", &[0; 126], &mut out);
        assert_eq!(out[..4], [0x81, 0xFE, 0, 126]);
        out.clear();
        framed(Framing::Http, b"DELETE / HTTP/1.1\r\n", b"", &mut out);
        assert_eq!(out, b"DELETE / HTTP/1.1\r\n\r\n");
    }
}
