//! One `GET` of a server's metrics, over HTTP/1.1 without TLS.
//!
//! The whole exchange has one deadline, however the server dawdles, and the answer a bound. Only 200 is an answer.
#![allow(
    clippy::disallowed_methods,
    reason = "blocks on sockets, and looks at the clock; this runs in commands, never on a shard"
)]

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::address::AdminAddress;

/// The largest answer.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// The largest head of an answer.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// The longest line that has a chunk's size: a number, and extensions that nobody uses.
const CHUNK_LINE_BYTES_MAX: usize = 1024;

/// The most fields of an answer's head.
const FIELDS_MAX: usize = 64;

/// Why there are no metrics. Nothing of what the server sent is in it.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The host's name is unknown.
    #[error("the name is not known")]
    UnknownHost,
    /// Nobody accepted, or the connection broke.
    #[error("{0}")]
    Connection(io::Error),
    /// The deadline passed.
    #[error("no answer in time")]
    TimedOut,
    /// The status was another than 200.
    #[error("it answers {0}, not 200; is this the admin listener (--admin)?")]
    Status(u16),
    /// The answer is not of HTTP/1.1, or no text.
    #[error("its answer is broken: {0}")]
    Malformed(&'static str),
    /// The answer is larger than any server's.
    #[error("its answer is larger than {} MiB", ANSWER_BYTES_MAX >> 20)]
    TooLarge,
}

impl From<io::Error> for FetchError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // A read that times out is reported as the former.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Connection(error),
        }
    }
}

/// Fetches the text of a server's metrics; blocks for at most `patience`, the time to look up a name not included.
///
/// # Errors
/// Fails when nobody answers in time, or with something else than metrics.
pub fn fetch(address: &AdminAddress, patience: Duration) -> Result<String, FetchError> {
    let deadline = Instant::now() + patience;
    let mut socket = connect(address, deadline)?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: weir/{}\r\nAccept: text/plain\r\nConnection: close\r\n\r\n",
        address.path,
        address.authority,
        env!("CARGO_PKG_VERSION")
    );
    socket.set_write_timeout(Some(left(deadline)?))?;
    socket.write_all(request.as_bytes())?;
    let mut answer = Answer::default();
    let mut piece = vec![0; 64 * 1024];
    loop {
        socket.set_read_timeout(Some(left(deadline)?))?;
        let count = socket.read(&mut piece)?;
        if let Some(body) = answer.take(&piece[..count])? {
            return String::from_utf8(body).map_err(|_| FetchError::Malformed("it is not UTF-8"));
        }
    }
}

/// Connects to the first of the host's addresses that accepts.
fn connect(address: &AdminAddress, deadline: Instant) -> Result<TcpStream, FetchError> {
    let places = (address.host.as_str(), address.port).to_socket_addrs();
    let mut failure = FetchError::UnknownHost;
    for place in places.map_err(|_| FetchError::UnknownHost)? {
        match TcpStream::connect_timeout(&place, left(deadline)?) {
            Ok(socket) => return Ok(socket),
            Err(error) => failure = error.into(),
        }
    }
    Err(failure)
}

/// The time until the deadline, which is never zero: sockets take that for "no limit".
fn left(deadline: Instant) -> Result<Duration, FetchError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(FetchError::TimedOut)
    } else {
        Ok(left)
    }
}

/// How an answer's body ends.
#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
    Close,
}

/// An answer as it comes, in pieces of any size. What was read of it is not read again, so that a server that sends
/// each byte by itself costs no more than another.
#[derive(Default)]
struct Answer {
    /// What has come: the head, and then, once that was read, only what follows it.
    bytes: Vec<u8>,
    /// How the body ends; `None` until the head has been read.
    framing: Option<Framing>,
    /// How many of the bytes are chunks that have been read.
    read_bytes: usize,
    /// The chunks that have been read, together.
    chunks: Vec<u8>,
}

impl Answer {
    /// Takes the next piece, an empty one being the end. The body, once it is whole.
    fn take(&mut self, piece: &[u8]) -> Result<Option<Vec<u8>>, FetchError> {
        if self.bytes.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err(FetchError::TooLarge);
        }
        self.bytes.extend_from_slice(piece);
        // A head can only be whole, or wrong in a way that shows, where a line ends.
        if self.framing.is_none() && (piece.is_empty() || piece.contains(&b'\n')) {
            self.read_head()?;
        }
        let body = match self.framing {
            None if self.bytes.len() > HEAD_BYTES_MAX => {
                return Err(FetchError::Malformed("its head is too large"));
            }
            None => None,
            Some(Framing::Length(length)) if self.bytes.len() >= length => {
                self.bytes.truncate(length);
                Some(std::mem::take(&mut self.bytes))
            }
            Some(Framing::Length(_)) => None,
            Some(Framing::Chunked) => self.read_chunks()?.then(|| std::mem::take(&mut self.chunks)),
            Some(Framing::Close) => piece.is_empty().then(|| std::mem::take(&mut self.bytes)),
        };
        if piece.is_empty() && body.is_none() {
            return Err(FetchError::Malformed("it ends early"));
        }
        Ok(body)
    }

    fn read_head(&mut self) -> Result<(), FetchError> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut head = httparse::Response::new(&mut fields);
        let head_part = &self.bytes[..self.bytes.len().min(HEAD_BYTES_MAX)];
        let parsed = head
            .parse(head_part)
            .map_err(|_| FetchError::Malformed("it is not HTTP/1.1"))?;
        let httparse::Status::Complete(head_bytes) = parsed else {
            return Ok(());
        };
        match head.code {
            Some(200) => {}
            status => return Err(FetchError::Status(status.unwrap_or_default())),
        }
        self.framing = Some(framing(head.headers)?);
        self.bytes.drain(..head_bytes);
        Ok(())
    }

    /// Reads the chunks that are whole; whether the last has come. Trailers are not waited for.
    fn read_chunks(&mut self) -> Result<bool, FetchError> {
        const MALFORMED: FetchError = FetchError::Malformed("its chunks are broken");
        loop {
            let bytes = &self.bytes[self.read_bytes..];
            let size_line = &bytes[..bytes.len().min(CHUNK_LINE_BYTES_MAX)];
            let size = httparse::parse_chunk_size(size_line).map_err(|_| MALFORMED)?;
            let httparse::Status::Complete((start, size)) = size else {
                return if size_line.len() < CHUNK_LINE_BYTES_MAX {
                    Ok(false)
                } else {
                    Err(MALFORMED)
                };
            };
            if size == 0 {
                return Ok(true);
            }
            let size = usize::try_from(size)
                .ok()
                .filter(|size| *size <= ANSWER_BYTES_MAX);
            let size = size.ok_or(FetchError::TooLarge)?;
            let Some((chunk, rest)) = bytes[start..].split_at_checked(size) else {
                return Ok(false);
            };
            match rest {
                [] | [b'\r'] => return Ok(false),
                [b'\r', b'\n', ..] => {}
                _ => return Err(MALFORMED),
            }
            self.chunks.extend_from_slice(chunk);
            self.read_bytes += start + size + b"\r\n".len();
        }
    }
}

/// See RFC 9112, section 6.3.
fn framing(fields: &[httparse::Header<'_>]) -> Result<Framing, FetchError> {
    let field = |name: &str| {
        let mut found = fields
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(name));
        found.next().map(|field| field.value)
    };
    if let Some(coding) = field("transfer-encoding") {
        return if coding.eq_ignore_ascii_case(b"chunked") {
            Ok(Framing::Chunked)
        } else {
            Err(FetchError::Malformed("its coding is not known"))
        };
    }
    let Some(length) = field("content-length") else {
        return Ok(Framing::Close);
    };
    let length = std::str::from_utf8(length)
        .ok()
        .and_then(|length| length.parse().ok());
    match length.ok_or(FetchError::Malformed("its length is no number"))? {
        length if length > ANSWER_BYTES_MAX => Err(FetchError::TooLarge),
        length => Ok(Framing::Length(length)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// What comes of a server that sends these pieces, and then closes.
    fn fetched(pieces: &'static [&'static [u8]]) -> (Result<String, FetchError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                socket.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            for piece in pieces {
                // A client that has seen enough may be gone.
                let _ = socket.write_all(piece);
            }
            String::from_utf8(request).unwrap()
        });
        let fetched = fetch(&address, PATIENCE);
        (fetched, server.join().unwrap())
    }

    /// The same answer with its length, up to its end, and in chunks.
    const FRAMINGS: [&[&[u8]]; 3] = [
        &[b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na 1\nrest"],
        &[b"HTTP/1.1 200 OK\r\n", b"\r\na 1", b"\n"],
        &[
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n2\r\na \r",
            b"\n2;x=y\r\n1\n\r\n0\r\n\r\n",
        ],
    ];

    #[test]
    fn every_framing_is_read() {
        for pieces in FRAMINGS {
            let (text, request) = fetched(pieces);
            assert_eq!(text.unwrap(), "a 1\n");
            assert!(
                request.starts_with("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:"),
                "{request}"
            );
        }
    }

    /// An answer whose pieces are taken until there is a body or an error.
    fn taken<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<Vec<u8>>, FetchError> {
        let mut answer = Answer::default();
        for piece in pieces {
            if let Some(body) = answer.take(piece)? {
                return Ok(Some(body));
            }
        }
        Ok(None)
    }

    #[test]
    fn pieces_may_be_of_any_size() {
        for pieces in FRAMINGS {
            let whole = pieces.concat();
            for split in 1..whole.len() {
                let (one, other) = whole.split_at(split);
                assert_eq!(taken([one, other, b""]).unwrap().unwrap(), b"a 1\n", "{split}");
            }
            let bytes = whole.chunks(1).chain([&b""[..]]);
            assert_eq!(taken(bytes).unwrap().unwrap(), b"a 1\n");
        }
    }

    #[test]
    fn what_was_read_is_not_read_again() {
        // This takes many minutes if every piece has all before it read again.
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut answer = Answer::default();
        assert!(answer.take(head).unwrap().is_none());
        for _ in 0..300_000 {
            assert!(answer.take(b"1\r\na\r\n").unwrap().is_none());
        }
        assert_eq!(answer.take(b"0\r\n\r\n").unwrap().unwrap().len(), 300_000);
    }

    #[test]
    fn heads_and_sizes_of_chunks_are_bounded() {
        let reason = |start: &'static [u8], more: &'static [u8]| {
            let pieces = std::iter::once(start).chain(std::iter::repeat_n(more, 70_000));
            taken(pieces).unwrap_err().to_string()
        };
        let too_large = "its answer is broken: its head is too large";
        assert_eq!(reason(b"HTTP/1.1 200 OK\r\nX: ", b"a"), too_large);
        assert_eq!(
            reason(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x"),
            "its answer is broken: its chunks are broken"
        );
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        let reason = |pieces| fetched(pieces).0.unwrap_err().to_string();
        let broken = |reason| format!("its answer is broken: {reason}");
        assert_eq!(
            reason(&[b"HTTP/1.1 404 \x1b[2J\r\n\r\n"]),
            broken("it is not HTTP/1.1")
        );
        assert_eq!(
            reason(&[b"HTTP/1.1 404 Not Found\r\n\r\n"]),
            "it answers 404, not 200; is this the admin listener (--admin)?"
        );
        assert_eq!(
            reason(&[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na 1\n"]),
            broken("it ends early")
        );
        assert_eq!(reason(&[]), broken("it ends early"));
        assert_eq!(
            reason(&[b"HTTP/1.1 200 OK\r\n\r\n\xff"]),
            broken("it is not UTF-8")
        );
        assert_eq!(
            reason(&[b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"]),
            "its answer is larger than 32 MiB"
        );
        assert_eq!(
            reason(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naa\r\n"]),
            broken("its chunks are broken")
        );
        assert_eq!(
            reason(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"]),
            broken("its coding is not known")
        );
    }

    #[test]
    fn nobody_and_silence_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address: AdminAddress = listener.local_addr().unwrap().to_string().parse().unwrap();
        // The kernel accepts for a listener that never does.
        let silent = fetch(&address, Duration::from_millis(20)).unwrap_err();
        assert!(matches!(silent, FetchError::TimedOut), "{silent}");
        drop(listener);
        let refused = fetch(&address, PATIENCE).unwrap_err();
        assert!(matches!(refused, FetchError::Connection(_)), "{refused}");
        let unknown = fetch(&"no.such.name.invalid:1".parse().unwrap(), PATIENCE).unwrap_err();
        assert!(matches!(unknown, FetchError::UnknownHost), "{unknown}");
    }
}
