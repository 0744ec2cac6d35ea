//! The address of a server: of the internet, or a Unix socket's.

use std::io;
use std::net::SocketAddr;
use std::str::FromStr;

use socket2::{Domain, SockAddr, Socket, Type};

/// Where a server listens.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    Internet(SocketAddr),
    /// The path of a socket, or `@` and a name without a file.
    Unix(String),
}

impl FromStr for Address {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some(name) => Ok(Self::Unix(name.to_owned())),
            None => text.parse().map(Self::Internet),
        }
    }
}

impl Address {
    /// The `Host` of requests. Clients of a Unix socket name the machine they are on.
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Internet(address) => address.to_string(),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }

    /// A socket that is connected, which takes no time on this machine; it blocks.
    pub(crate) fn connect(&self) -> io::Result<Socket> {
        let (domain, address) = match self {
            Self::Internet(address) => (Domain::for_address(*address), (*address).into()),
            Self::Unix(name) => {
                let name = name
                    .strip_prefix('@')
                    .map_or_else(|| name.clone(), |name| format!("\0{name}"));
                (Domain::UNIX, SockAddr::unix(name)?)
            }
        };
        let socket = Socket::new(domain, Type::STREAM.cloexec(), None)?;
        socket.connect(&address)?;
        if domain != Domain::UNIX {
            socket.set_tcp_nodelay(true)?;
        }
        Ok(socket)
    }
}
