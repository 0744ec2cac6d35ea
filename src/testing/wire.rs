//! Connections to a server in this process, or over TCP.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::server::{Connection, Stepped, Waited};

/// How long a server in this process may take for an answer, by its own clock.
const VIRTUAL_PATIENCE: Duration = Duration::from_secs(48 * 3600);
/// How long any other server may be silent.
const REAL_PATIENCE: Duration = Duration::from_secs(60);
/// How often several connections are looked at.
const LOOK: Duration = Duration::from_millis(2);
/// Bytes that are read at one time.
const READ_BYTES: usize = 16 * 1024;

/// Where the server is.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Here(Arc<Stepped>),
    There {
        /// Host and port.
        authority: String,
        path: String,
    },
}

impl Place {
    /// The server at a URL of the form `http://HOST[:PORT][/PATH]`.
    pub(super) fn parse(url: &str) -> Option<Place> {
        let rest = url.strip_prefix("http://")?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let has_port = authority
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port {
            authority.to_owned()
        } else {
            format!("{authority}:80")
        };
        let path = path.to_owned();
        Some(Place::There { authority, path })
    }

    /// What stands in a request's first lines: the path, and the host.
    pub(super) fn target(&self) -> (&str, &str) {
        match self {
            Place::Here(server) => (server.path(), "localhost"),
            Place::There { authority, path } => (path, authority),
        }
    }

    pub(super) fn connect(&self) -> io::Result<Wire> {
        match self {
            Place::Here(server) => Ok(Wire::Here(server.connect(), Arc::clone(server))),
            Place::There { authority, .. } => {
                let address = authority.to_socket_addrs()?.next();
                let address = address.ok_or_else(|| io::Error::other("the host has no address"))?;
                let stream = TcpStream::connect_timeout(&address, REAL_PATIENCE)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(REAL_PATIENCE))?;
                Ok(Wire::There(stream))
            }
        }
    }
}

/// Until when something is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deadline {
    /// By the clock of a server in this process: how far it was moved then.
    Here(Duration),
    There(Instant),
}

/// One connection; it is closed when it is dropped.
#[derive(Debug)]
pub(super) enum Wire {
    Here(Connection, Arc<Stepped>),
    There(TcpStream),
}

impl Wire {
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Wire::Here(connection, _) => {
                connection.write(bytes);
                Ok(())
            }
            Wire::There(stream) => stream.write_all(bytes),
        }
    }

    /// Until when an answer is waited for that is asked for now.
    pub(super) fn deadline(&self) -> Deadline {
        match self {
            Wire::Here(_, server) => Deadline::Here(server.elapsed() + VIRTUAL_PATIENCE),
            Wire::There(_) => Deadline::There(Instant::now() + REAL_PATIENCE),
        }
    }

    /// Waits for bytes and appends them; `false` if none will come any more.
    pub(super) fn read(&mut self, bytes: &mut Vec<u8>, deadline: Deadline) -> io::Result<bool> {
        let (connection, server) = match self {
            Wire::Here(connection, server) => (connection, server),
            Wire::There(stream) => {
                if let Deadline::There(end) = deadline {
                    let left = end.saturating_duration_since(Instant::now());
                    stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
                }
                return read_stream(stream, bytes);
            }
        };
        loop {
            let came = connection.read();
            if !came.is_empty() {
                bytes.extend_from_slice(&came);
                return Ok(true);
            }
            if connection.has_ended() {
                return Ok(false);
            }
            await_here(server, &[connection], deadline)?;
        }
    }

    /// Waits until one of these connections, all of one server, has bytes or an end.
    pub(super) fn await_any(wires: &[&Wire], deadline: Deadline) -> io::Result<()> {
        let here = wires.iter().filter_map(|wire| match wire {
            Wire::Here(connection, _) => Some(connection),
            Wire::There(_) => None,
        });
        let here: Vec<&Connection> = here.collect();
        if let Some(Wire::Here(_, server)) = wires.first() {
            return await_here(server, &here, deadline);
        }
        let Deadline::There(end) = deadline else {
            return Ok(());
        };
        while wires.iter().all(|wire| wire.is_silent_now()) {
            if Instant::now() >= end {
                return Err(io::ErrorKind::TimedOut.into());
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// What came already, without waiting; `None` if no more will come.
    pub(super) fn read_now(&mut self, bytes: &mut Vec<u8>) -> io::Result<bool> {
        match self {
            Wire::Here(connection, server) => {
                server.settle();
                let came = connection.read();
                bytes.extend_from_slice(&came);
                Ok(!came.is_empty() || !connection.has_ended())
            }
            Wire::There(stream) => {
                stream.set_nonblocking(true)?;
                let read = read_stream(stream, bytes);
                stream.set_nonblocking(false)?;
                match read {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
                    read => read,
                }
            }
        }
    }

    /// Whether nothing has come: no bytes, and no end.
    pub(super) fn is_silent_now(&self) -> bool {
        match self {
            Wire::Here(connection, _) => !connection.has_news(),
            Wire::There(stream) => {
                // A server that has closed it has sent an end, which is there to be read.
                let is_silent = |read: io::Result<usize>| {
                    read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
                };
                stream.set_nonblocking(true).is_ok()
                    && is_silent(stream.peek(&mut [0]))
                    && stream.set_nonblocking(false).is_ok()
            }
        }
    }
}

fn await_here(server: &Stepped, connections: &[&Connection], deadline: Deadline) -> io::Result<()> {
    let Deadline::Here(end) = deadline else {
        return Ok(());
    };
    match server.await_news(connections, end.saturating_sub(server.elapsed())) {
        Waited::Reached => Ok(()),
        ended => Err(io::Error::other(reason(ended))),
    }
}

fn read_stream(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; READ_BYTES];
    let count = stream.read(&mut buffer)?;
    bytes.extend_from_slice(&buffer[..count]);
    Ok(count > 0)
}

/// Why nothing came from a server in this process.
fn reason(waited: Waited) -> String {
    match waited {
        Waited::Reached => "nothing came".to_owned(),
        Waited::TimeOver => format!("nothing came for {VIRTUAL_PATIENCE:?} of the server's time"),
        Waited::Stuck => {
            "nothing will come: the server has nothing to do, nothing is due, and no call runs elsewhere"
                .to_owned()
        }
        Waited::RealTimeOver => {
            "nothing came for a minute of real time; a tool blocks its thread, or waits for \
             something outside of the test"
                .to_owned()
        }
        Waited::Broken => "the server's thread has panicked; see above".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_host_and_a_path() {
        let target = |url: &str| {
            let place = Place::parse(url)?;
            let (path, host) = place.target();
            Some(format!("{host} {path}"))
        };
        assert_eq!(
            target("http://127.0.0.1:8080/mcp").as_deref(),
            Some("127.0.0.1:8080 /mcp")
        );
        assert_eq!(target("http://example.com").as_deref(), Some("example.com:80 /"));
        assert_eq!(target("http://[::1]:9/a/b").as_deref(), Some("[::1]:9 /a/b"));
        assert_eq!(target("https://example.com/mcp"), None);
    }
}
