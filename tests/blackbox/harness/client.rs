//! One raw connection.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::message::Revision;
use super::request::Request;
use super::response::Response;
use super::stream::EventStream;
use super::wait::PATIENCE;

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A FIN came, after these bytes.
    Closed(Vec<u8>),
    /// An RST came, after these bytes.
    Reset(Vec<u8>),
}

/// A client that sends whatever it is told to, and reads responses strictly.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    /// For each owed response in order, whether it is for a HEAD, or for a request sent as a value.
    expected: VecDeque<bool>,
    revision: Revision,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::over(
            TcpStream::connect(address).unwrap_or_else(|error| panic!("connecting to {address}: {error}")),
        )
    }

    /// A client whose kernel takes little that it does not read, and lets the server's keep little: the buffer that the
    /// server's kernel keeps for a peer grows with the segments that the peer takes, which over loopback are huge.
    pub(crate) fn with_small_window(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.set_tcp_mss(536).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(socket.into())
    }

    pub(crate) fn local_address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// A client on a Unix socket.
    pub(crate) fn connect_unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path);
        Self::over_unix(stream.unwrap_or_else(|error| panic!("connecting to {}: {error}", path.display())))
    }

    /// A stream is a stream: reading, writing and shutting down are the same calls.
    pub(crate) fn over_unix(stream: UnixStream) -> Self {
        Self::over_any(TcpStream::from(OwnedFd::from(stream)))
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self::over_any(stream)
    }

    fn over_any(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            input: Vec::new(),
            expected: VecDeque::new(),
            revision: Revision::MODERN,
        }
    }

    /// Sends a request under `Content-Length`.
    #[track_caller]
    pub(crate) fn send(&mut self, request: &Request) {
        self.expect(request);
        self.send_bytes(&request.encode());
    }

    /// Notes a request whose bytes are sent by other means, so that its answer is judged by its revision.
    pub(crate) fn expect(&mut self, request: &Request) {
        self.expected.push_back(request.method == "HEAD");
        if let Some(revision) = request.field("mcp-protocol-version").and_then(Revision::parse) {
            self.revision = revision;
        }
    }

    #[track_caller]
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.try_send_bytes(bytes).unwrap();
    }

    pub(crate) fn try_send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends and receives.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: &Request) -> Response {
        self.send(request);
        self.receive()
    }

    /// Sends a request that must be answered by an event stream, which takes the connection.
    #[track_caller]
    pub(crate) fn open(mut self, request: &Request) -> EventStream {
        self.send(request);
        self.receive_stream()
    }

    /// The event stream that is the next response.
    #[track_caller]
    pub(crate) fn receive_stream(mut self) -> EventStream {
        loop {
            if let Some((head, taken)) = Response::take_head(&self.input) {
                if head.field("content-type") != Some("text/event-stream") {
                    panic!("no event stream but {:?}", self.receive());
                }
                self.input.drain(..taken);
                self.expected.pop_front();
                let revision = self.revision;
                return EventStream::over(self, head, revision);
            }
            self.read_some()
                .unwrap_or_else(|ending| panic!("no stream but {ending:?}"));
        }
    }

    /// Whether the next response is an event stream; waits for its head.
    #[track_caller]
    pub(crate) fn is_stream_next(&mut self) -> bool {
        loop {
            if let Some((head, _)) = Response::take_head(&self.input) {
                return head.field("content-type") == Some("text/event-stream");
            }
            self.read_some()
                .unwrap_or_else(|ending| panic!("no response but {ending:?}"));
        }
    }

    /// Sends bytes that are one request, and receives.
    #[track_caller]
    pub(crate) fn ask_bytes(&mut self, bytes: &[u8]) -> Response {
        self.send_bytes(bytes);
        self.receive()
    }

    /// The next response, interim ones included.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> Response {
        self.try_receive()
            .unwrap_or_else(|ending| panic!("no response but {ending:?}"))
    }

    /// The next response, or how the connection ended instead.
    pub(crate) fn try_receive(&mut self) -> Result<Response, Ending> {
        let is_to_head = self.expected.front().copied().unwrap_or(false);
        loop {
            if let Some((response, taken)) = Response::take(&self.input, is_to_head, self.revision) {
                self.input.drain(..taken);
                if response.status >= 200 {
                    self.expected.pop_front();
                }
                return Ok(response);
            }
            self.read_some()?;
        }
    }

    /// The head of a response that ends HTTP on this connection.
    #[track_caller]
    pub(crate) fn receive_head(&mut self) -> Response {
        loop {
            if let Some((head, taken)) = Response::take_head(&self.input) {
                self.consume(taken);
                self.expected.pop_front();
                return head;
            }
            self.read_some()
                .unwrap_or_else(|ending| panic!("no response but {ending:?}"));
        }
    }

    /// Reads until the server has closed.
    pub(crate) fn ending(&mut self) -> Ending {
        loop {
            if let Err(ending) = self.read_some() {
                return ending;
            }
        }
    }

    /// A second handle of the same connection, to read while this one sends.
    pub(crate) fn second_hand(&self) -> Self {
        Self::over_any(self.stream.try_clone().unwrap())
    }

    /// Fails unless the server closes in order and sends nothing more.
    #[track_caller]
    pub(crate) fn assert_closed(&mut self) {
        assert_eq!(self.ending(), Ending::Closed(Vec::new()));
    }

    /// Whether nothing came and the connection is still open, as far as the kernel knows now.
    pub(crate) fn is_silent(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let seen = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        self.input.is_empty() && seen.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Sends a FIN: no more will be sent.
    pub(crate) fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Ends the connection with an RST.
    pub(crate) fn reset(self) {
        let socket = Socket::from(self.stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// The bytes that have come and were not taken.
    pub(super) fn input(&self) -> &[u8] {
        &self.input
    }

    pub(super) fn take_input(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.input)
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.input.drain(..count);
    }

    /// Waits until more bytes have come.
    pub(super) fn try_read(&mut self) -> Result<(), Ending> {
        self.read_some()
    }

    fn read_some(&mut self) -> Result<(), Ending> {
        let mut buffer = [0; 64 << 10];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(Ending::Closed(std::mem::take(&mut self.input))),
                Ok(count) => {
                    self.input.extend_from_slice(&buffer[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                    return Err(Ending::Reset(std::mem::take(&mut self.input)));
                }
                Err(error) => {
                    let seen = String::from_utf8_lossy(&self.input[..self.input.len().min(300)]);
                    panic!("waiting for the server: {error}; came so far: {seen:?}")
                }
            }
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
