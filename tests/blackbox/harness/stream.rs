//! Event streams: the body of an answer, unframed as it comes.
//!
//! This is strict about chunks and ends; `event` checks the text. It never concludes that nothing will come; a test
//! shows that a message must not come by another one that comes instead.

use std::time::Instant;

use serde_json::Value;

use super::client::{Client, Ending};
use super::event::{Event, Events, Frame};
use super::message::Revision;
use super::response::Response;
use super::wait::PATIENCE;

/// How the body of a stream is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// In chunks; the connection goes on behind the last one.
    Chunked,
    /// By a length: so many bytes more. The stream was over when its head was written.
    Length(usize),
    /// By the connection's end, as in HTTP/1.0.
    UntilClosed,
}

/// An open event stream and the connection under it.
#[derive(Debug)]
pub(crate) struct EventStream {
    client: Client,
    head: Response,
    framing: Framing,
    events: Events,
    has_ended: bool,
}

impl EventStream {
    /// The stream that begins with `head` on this connection.
    #[track_caller]
    pub(super) fn over(client: Client, head: Response, revision: Revision) -> Self {
        assert_eq!(head.status, 200, "{head:?}");
        assert_eq!(head.field("content-type"), Some("text/event-stream"), "{head:?}");
        assert_eq!(head.field("x-accel-buffering"), Some("no"), "{head:?}");
        let cache = head.field("cache-control").unwrap_or_default();
        assert!(
            cache.contains("no-cache") || cache.contains("no-store"),
            "{head:?}"
        );
        let framing = match (head.field("transfer-encoding"), head.field("content-length")) {
            (Some("chunked"), None) => Framing::Chunked,
            (None, Some(length)) => Framing::Length(length.parse().unwrap()),
            (None, None) if head.closes() => Framing::UntilClosed,
            other => panic!("what says where it ends, {other:?}? {head:?}"),
        };
        Self {
            client,
            head,
            framing,
            events: Events::new(revision),
            has_ended: false,
        }
    }

    /// The head of the answer.
    pub(crate) fn head(&self) -> &Response {
        &self.head
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.framing == Framing::Chunked
    }

    /// The last id seen, with which a client resumes.
    pub(crate) fn last_event_id(&self) -> Option<String> {
        self.events.last_id.clone()
    }

    /// The last `retry` seen.
    pub(crate) fn retry_ms(&self) -> Option<u64> {
        self.events.retry_ms
    }

    /// Comments so far.
    pub(crate) fn comments(&self) -> usize {
        self.events.comments
    }

    /// The connection under the stream, to send on.
    pub(crate) fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// The same, to be looked at.
    pub(super) fn under(&self) -> &Client {
        &self.client
    }

    /// Whether a frame has begun, or the stream has ended, so that [`EventStream::try_frame`] need not wait for long.
    pub(super) fn is_ready(&self) -> bool {
        let is_over = self.has_ended || self.framing == Framing::Length(0);
        is_over || self.events.has_begun() || !self.client.input().is_empty()
    }

    /// From here on, messages are judged by this revision.
    pub(crate) fn judge_by(&mut self, revision: Revision) {
        self.events.judge_by(revision);
    }

    /// The first event of HTTP+SSE on `/sse`: the address to post to, a reference relative to `/sse`.
    #[track_caller]
    pub(crate) fn endpoint(&mut self) -> String {
        let reference = self.reference();
        assert!(!reference.starts_with(['/', '.']), "{reference}");
        format!("/{reference}")
    }

    /// The same, as it is.
    #[track_caller]
    pub(crate) fn reference(&mut self) -> String {
        loop {
            if let Some(place) = self.events.take_endpoint() {
                return place;
            }
            self.unframe_some()
                .unwrap_or_else(|ending| panic!("no endpoint but {ending:?}"));
        }
    }

    /// The next frame, `None` behind the last, or how the connection ended before that.
    pub(crate) fn try_frame(&mut self) -> Result<Option<Frame>, Ending> {
        loop {
            if let Some(frame) = self.events.take_frame() {
                return Ok(Some(frame));
            }
            if self.has_ended {
                assert_eq!(
                    String::from_utf8_lossy(self.events.text()),
                    "",
                    "half an event at the end"
                );
                return Ok(None);
            }
            self.unframe_some()?;
        }
    }

    /// The next event that is not a comment, or `None` behind the last.
    #[track_caller]
    pub(crate) fn next_event(&mut self) -> Option<Event> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.try_frame() {
                Ok(Some(Frame::Event(event))) => return Some(event),
                // Comments are not events, however many there are.
                Ok(Some(Frame::Comment(_))) => {
                    assert!(Instant::now() < deadline, "nothing but signs of life")
                }
                Ok(None) => return None,
                Err(ending) => panic!("the stream was cut: {ending:?}"),
            }
        }
    }

    /// The next message; priming events are skipped.
    #[track_caller]
    pub(crate) fn message(&mut self) -> Value {
        self.try_message().unwrap_or_else(|| panic!("the stream ended"))
    }

    /// The next message, or `None` when the stream ends in order.
    #[track_caller]
    pub(crate) fn try_message(&mut self) -> Option<Value> {
        loop {
            if let Some(message) = self.next_event()?.message {
                return Some(message);
            }
        }
    }

    /// The next message, which must be this notification; its parameters.
    #[track_caller]
    pub(crate) fn notification(&mut self, method: &str) -> Value {
        let mut message = self.message();
        assert_eq!(message["method"], method, "{message}");
        assert!(message.get("id").is_none(), "{message}");
        message["params"].take()
    }

    /// The next message, which must be a request of the server; its id and parameters.
    #[track_caller]
    pub(crate) fn question(&mut self, method: &str) -> (Value, Value) {
        let mut message = self.message();
        assert_eq!(message["method"], method, "{message}");
        let id = message["id"].take();
        assert!(!id.is_null(), "{message}");
        (id, message["params"].take())
    }

    /// The next message, which must be the answer to `id` and the last of the stream.
    #[track_caller]
    pub(crate) fn answer(&mut self, id: impl Into<Value>) -> Value {
        let message = self.message();
        assert!(message.get("method").is_none(), "{message}");
        assert_eq!(message["id"], id.into(), "{message}");
        assert_eq!(self.try_message(), None, "nothing follows an answer");
        message
    }

    /// All messages up to the end.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.try_message()).collect()
    }

    /// Waits for a comment; what else comes before it is a failure.
    #[track_caller]
    pub(crate) fn comment(&mut self) -> String {
        match self.try_frame() {
            Ok(Some(Frame::Comment(text))) => text,
            other => panic!("no comment: {other:?}"),
        }
    }

    /// The connection, once the stream has ended in order.
    #[track_caller]
    pub(crate) fn into_client(mut self) -> Client {
        assert_eq!(self.try_message(), None, "the stream goes on");
        self.client
    }

    /// Ends the connection with a FIN, whatever is still to come.
    pub(crate) fn leave(self) {
        drop(self);
    }

    /// Ends the connection with an RST.
    pub(crate) fn reset(self) {
        self.client.reset();
    }

    fn unframe_some(&mut self) -> Result<(), Ending> {
        if self.framing == Framing::UntilClosed {
            match self.client.try_read() {
                Ok(()) => self.events.text().append(&mut self.client.take_input()),
                Err(Ending::Closed(rest)) => {
                    self.events.text().extend_from_slice(&rest);
                    self.has_ended = true;
                }
                Err(reset) => return Err(reset),
            }
            return Ok(());
        }
        while !self.take_part() {
            self.client.try_read()?;
        }
        Ok(())
    }

    /// Takes one part of the body out of the bytes that have come, if it is complete.
    fn take_part(&mut self) -> bool {
        let Framing::Length(length) = self.framing else {
            return self.take_chunk();
        };
        let Some(body) = self.client.input().get(..length) else {
            return false;
        };
        self.events.text().extend_from_slice(body);
        self.client.consume(length);
        self.has_ended = true;
        true
    }

    /// Takes one whole chunk out of the bytes that have come.
    fn take_chunk(&mut self) -> bool {
        let input = self.client.input();
        let Some(line_end) = input.windows(2).position(|window| window == b"\r\n") else {
            assert!(input.len() <= 16, "no chunk size: {input:?}");
            return false;
        };
        let digits = std::str::from_utf8(&input[..line_end]).unwrap();
        let size = usize::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("no chunk size: {digits:?}"));
        let from = line_end + 2;
        let Some(behind) = input.get(from + size..from + size + 2) else {
            return false;
        };
        assert_eq!(behind, b"\r\n", "a chunk of {size} bytes ends otherwise");
        self.events.text().extend_from_slice(&input[from..from + size]);
        self.has_ended = size == 0;
        self.client.consume(from + size + 2);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;
    use crate::harness::Dialect;

    const HEAD: &str = "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/event-stream\r\n\
                        Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n";
    const PROGRESS: &str =
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#;

    /// A stream read from a peer that sends `pieces`, each in a segment of its own, and leaves.
    fn read_from(pieces: Vec<Vec<u8>>, revision: Revision) -> Vec<Frame> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let peer = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            socket.set_nodelay(true).unwrap();
            pieces.iter().for_each(|piece| socket.write_all(piece).unwrap());
            socket
        });
        let mut client = Client::connect(address);
        client.expect(&Dialect::legacy(revision).get_stream());
        let mut stream = client.receive_stream();
        drop(peer.join().unwrap());
        std::iter::from_fn(|| stream.try_frame().unwrap()).collect()
    }

    fn chunk(text: &str) -> String {
        format!("{:x}\r\n{text}\r\n", text.len())
    }

    fn chunked(chunks: &[&str]) -> Vec<u8> {
        let chunks: String = chunks.iter().map(|text| chunk(text)).collect();
        format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n").into_bytes()
    }

    #[test]
    fn every_split_of_a_stream_reads_the_same() {
        let event = format!("id: 1-2\ndata: {PROGRESS}\n\n");
        let (front, back) = event.split_at(9);
        let bytes = chunked(&["retry: 5\nid: 1-1\ndata:\n\n:\n\n", front, back, ":\n\n"]);
        let whole = read_from(vec![bytes.clone()], Revision::NEWEST_LEGACY);
        let [
            Frame::Event(primer),
            Frame::Comment(first),
            Frame::Event(told),
            Frame::Comment(_),
        ] = &whole[..]
        else {
            panic!("{whole:?}");
        };
        assert!(primer.is_priming() && primer.retry_ms == Some(5) && first.is_empty());
        assert_eq!(told.id.as_deref(), Some("1-2"));
        assert_eq!(told.message.as_ref().unwrap()["params"]["progress"], 1);
        for at in (HEAD.len()..bytes.len()).step_by(3) {
            let pieces = vec![bytes[..at].to_vec(), bytes[at..].to_vec()];
            assert_eq!(read_from(pieces, Revision::NEWEST_LEGACY), whole, "split at {at}");
        }
    }

    #[test]
    fn without_chunks_the_end_is_the_end() {
        let bytes = format!("{HEAD}Connection: close\r\n\r\ndata: {PROGRESS}\n\n");
        let frames = read_from(vec![bytes.into_bytes()], Revision("2025-06-18"));
        assert_eq!(frames.len(), 1);
    }

    #[test]
    #[should_panic(expected = "no events without data")]
    fn older_revisions_are_not_primed() {
        read_from(vec![chunked(&["id: 1\ndata:\n\n"])], Revision("2025-06-18"));
    }

    #[test]
    #[should_panic(expected = "more than one line of data")]
    fn data_is_one_line() {
        read_from(vec![chunked(&["data: {\ndata: }\n\n"])], Revision("2025-06-18"));
    }

    #[test]
    #[should_panic(expected = "half an event")]
    fn an_event_is_whole() {
        read_from(vec![chunked(&["data: {}\n"])], Revision("2025-06-18"));
    }
}
