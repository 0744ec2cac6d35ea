//! What is kept of a connection's client beside its requests, for those that come without a head of their own: messages
//! of a channel, and calls of a batch, whose head is gone when they begin.

use std::fmt;

use super::headers::SentHeader;
use super::identity::Transport;
use crate::ring::Peer;
use crate::wire::http1::FieldLines;

/// Where the requests of a channel, or the calls of a batch, come from.
#[derive(Clone, Default)]
pub struct Origin {
    /// How they come.
    pub transport: Transport,
    /// Who is at the other end, if that has an address or is a process that the kernel knows.
    pub peer: Option<Peer>,
    /// The name and version that the client gave by `initialize`: a [`ClientText`](super::client_info::ClientText).
    pub client: Box<[u8]>,
    /// Those headers of the request that opened it that any tool reads, if they were sent.
    headers: Box<[KeptHeader]>,
}

/// A header's name, and what was sent in it.
type KeptHeader = (Box<str>, SentHeader<Box<str>>);

impl Origin {
    /// Without a head, and before the client has said anything.
    pub fn new(transport: Transport, peer: Option<Peer>) -> Self {
        Self {
            transport,
            peer,
            ..Self::default()
        }
    }

    /// One with a head that has these headers.
    #[must_use]
    pub fn with_headers<'n>(self, names: impl Iterator<Item = &'n str>, lines: FieldLines<'_>) -> Self {
        let mut headers: Vec<KeptHeader> = Vec::new();
        for name in names {
            let sent = SentHeader::of(lines.field(name));
            if sent != SentHeader::Absent && !headers.iter().any(|(known, _)| **known == *name) {
                headers.push((name.into(), sent.map(Box::from)));
            }
        }
        Self {
            headers: headers.into(),
            ..self
        }
    }

    /// The same with what the client said of itself.
    #[must_use]
    pub fn with_client(&self, client: &[u8]) -> Self {
        Self {
            client: client.into(),
            ..self.clone()
        }
    }

    /// What was sent in the header of this name, which is in lower case.
    pub(super) fn header(&self, name: &str) -> SentHeader<&str> {
        let mut headers = self.headers.iter();
        match headers.find(|(known, _)| **known == *name) {
            None | Some((_, SentHeader::Absent)) => SentHeader::Absent,
            Some((_, SentHeader::Text(text))) => SentHeader::Text(text),
            Some((_, SentHeader::Repeated)) => SentHeader::Repeated,
            Some((_, SentHeader::NotText)) => SentHeader::NotText,
        }
    }
}

/// Shows no header: they may be secrets.
impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin")
            .field("transport", &self.transport)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http1::{HeadLimits, parse_head};

    #[test]
    fn headers_are_kept_if_anything_reads_them_and_are_shown_to_nobody() {
        let head = b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nX-Tenant: s3cret\r\nX-Two: a\r\nX-Two: b\r\nX-Other: c\r\n\r\n";
        let head = parse_head(head, &HeadLimits::default()).unwrap();
        let names = ["x-tenant", "x-two", "x-tenant", "x-none"].into_iter();
        let origin = Origin::new(Transport::WebSocket, None).with_headers(names, head.lines());
        let origin = origin.with_client(b"~probe");
        assert_eq!(origin.header("x-tenant"), SentHeader::Text("s3cret"));
        assert_eq!(origin.header("x-two"), SentHeader::Repeated);
        for unknown in ["x-none", "x-other", "host"] {
            assert_eq!(origin.header(unknown), SentHeader::Absent, "{unknown}");
        }
        assert_eq!(origin.headers.len(), 2);
        assert_eq!(
            (origin.transport, &*origin.client),
            (Transport::WebSocket, &b"~probe"[..])
        );
        assert!(!format!("{origin:?}").contains("s3cret"));
    }
}
