//! The places where a server listens: they are taken when it starts and left when it drains.
//!
//! A port has one socket for each shard, among which the kernel spreads connections. A Unix socket is one, which all
//! shards accept from.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::config::{EndpointSettings, ListenAddress, UnixName};
use crate::ring::listener::{self, ListenerOptions};
use crate::ring::steering::{Diverted, Group};
use crate::ring::unix_listener::{SocketFile, UnixListenerOptions, listen_unix};

use super::accounts::owner_ids;
use super::cause::Cause;
use super::start_error::StartError;

/// One place, and the sockets there.
#[derive(Debug)]
pub(super) struct Listening {
    /// With the port that the system chose, if port 0 was asked for.
    address: ListenAddress,
    sockets: Sockets,
}

#[derive(Debug)]
enum Sockets {
    Port(Group),
    Unix {
        /// Until a drain removes it. It goes first: while the socket is open no other file has its number.
        file: Option<SocketFile>,
        socket: Arc<OwnedFd>,
    },
}

/// The listening sockets of one shard, or one for each shard.
pub(super) type ShardSockets = Vec<Arc<OwnedFd>>;

/// Listens at every address. Returns the places, and for each shard the sockets that it accepts from.
pub(super) fn listen(
    endpoints: &EndpointSettings,
    shards: usize,
) -> Result<(Vec<Listening>, Vec<ShardSockets>), StartError> {
    let mut places = Vec::with_capacity(endpoints.listen.len());
    let mut of_shards = vec![ShardSockets::with_capacity(endpoints.listen.len()); shards];
    for address in &endpoints.listen {
        let (place, sockets) = match address {
            ListenAddress::Internet(address) => listen_on_port(*address, endpoints.shares_port, shards)?,
            ListenAddress::Unix(name) => listen_on_unix(name, endpoints, shards)?,
        };
        places.push(place);
        for (shard, socket) in of_shards.iter_mut().zip(sockets) {
            shard.push(socket);
        }
    }
    Ok((places, of_shards))
}

/// Makes one listener per shard on the same address. The first settles the port if it is 0, and makes sure that nobody
/// else has it.
fn listen_on_port(
    address: SocketAddr,
    is_shared: bool,
    count: usize,
) -> Result<(Listening, ShardSockets), StartError> {
    let refused = |error: io::Error| StartError::Listen { address, error };
    let options = ListenerOptions::default();
    let mut bound = address;
    let mut listeners = Vec::with_capacity(count);
    for index in 0..count {
        let socket = match index {
            0 if !is_shared => listener::listen_first(bound, options),
            _ => listener::listen(bound, options),
        };
        let socket = socket.map_err(refused)?;
        bound = listener::local_address(&socket).map_err(refused)?;
        listeners.push(Arc::new(socket));
    }
    let place = Listening {
        address: bound.into(),
        sockets: Sockets::Port(Group::new(bound, listeners.clone())),
    };
    Ok((place, listeners))
}

fn listen_on_unix(
    name: &UnixName,
    endpoints: &EndpointSettings,
    count: usize,
) -> Result<(Listening, ShardSockets), StartError> {
    let refused = |cause: Cause| StartError::Unix {
        name: name.clone(),
        cause,
    };
    let owner = owner_ids(endpoints.unix_owner.as_ref());
    let (uid, gid) = owner.map_err(|error| refused(Cause::new(error)))?;
    let options = UnixListenerOptions {
        backlog: ListenerOptions::default().backlog,
        mode: endpoints.unix_mode.0,
        uid,
        gid,
        takes_over: endpoints.shares_port,
    };
    let (socket, file) = listen_unix(name, &options).map_err(|error| refused(Cause::new(error)))?;
    let socket = Arc::new(socket);
    let place = Listening {
        address: name.clone().into(),
        sockets: Sockets::Unix {
            socket: Arc::clone(&socket),
            file,
        },
    };
    Ok((place, vec![socket; count]))
}

impl Listening {
    /// The address.
    pub(super) fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// Keeps new connections away: other processes at the same place get them, or nobody.
    pub(super) fn divert_new_connections(&mut self) {
        let address = &self.address;
        match &mut self.sockets {
            Sockets::Port(group) => match group.divert_new_connections() {
                Ok(Diverted::Steered(sockets)) => {
                    tracing::info!(%address, sockets, "new connections go to another process on the same address");
                }
                Ok(Diverted::Ignored) => {}
                // A client that connects in the last moment sees a reset, which is worse but not wrong.
                Err(error) => tracing::debug!(%error, "new connections cannot be kept away while draining"),
            },
            Sockets::Unix { file, .. } => match file.take().map(SocketFile::remove) {
                Some(Ok(false)) => {
                    tracing::info!(%address, "new connections go to another process on the same path")
                }
                Some(Err(error)) => tracing::warn!(%address, %error, "the file of the socket stays"),
                Some(Ok(true)) | None => {}
            },
        }
    }

    /// Whether nothing else in this process holds the sockets any more, so that they can be closed.
    pub(super) fn is_released(&self) -> bool {
        match &self.sockets {
            Sockets::Port(group) => group.is_released(),
            Sockets::Unix { socket, .. } => Arc::strong_count(socket) == 1,
        }
    }

    /// Closes the sockets.
    pub(super) fn close(self) {
        if let Sockets::Port(group) = self.sockets {
            group.close();
        }
    }
}

/// How clients are pointed to an address: as a URL, for Unix sockets as nginx writes it.
pub(super) struct Url<'a> {
    pub(super) address: &'a ListenAddress,
    pub(super) path: &'a str,
}

impl fmt::Display for Url<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Url { address, path } = self;
        match address {
            ListenAddress::Internet(address) => write!(f, "http://{address}{path}"),
            ListenAddress::Unix(name) => write!(f, "http://unix:{name}:{path}"),
        }
    }
}
