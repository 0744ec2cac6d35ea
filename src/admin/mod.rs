//! Health and metrics, on a listener and a thread of their own, so that they answer when shards do not.
//!
//! It serves `/healthz` (the process is well), `/readyz` (the server is serving: it is not starting, not draining, and
//! what it serves is there) and `/metrics`. It reads atomics and `/proc`, and never asks a shard. A connection has one
//! request; slow or many clients cost each other their places and nobody else anything. There is no command that
//! changes anything, so clients need no authorization.

mod answer;
mod hosts;
mod listener;
mod view;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::{AdminSettings, AllowList};
use crate::transport::http::admission::HostRulesError;
use hosts::host_rules;
pub use listener::AdminLimits;
use listener::Server;
pub use view::{AdminView, Health, Lifecycle};

/// Connections that the kernel keeps until the thread accepts them. A flood of silent ones is worked off at some 32 per
/// millisecond (see [`AdminLimits`]), so a full backlog costs a prober milliseconds; a dropped SYN would cost a second.
const BACKLOG: i32 = 1024;

/// Why there is no admin listener.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The server cannot listen on the address.
    #[error("admin = {address}: {source}; choose another with --admin ADDRESS:PORT, or --admin off")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The listener could not be prepared or its thread started.
    #[error("the admin listener cannot run: {0}")]
    Start(#[from] io::Error),
    /// A name that is not a host.
    #[error(transparent)]
    Hosts(#[from] HostRulesError),
}

/// The listener before and while it runs.
#[derive(Debug)]
pub struct Admin;

impl Admin {
    /// Listens as the settings say. `None` when it is off, or when its port is busy and nobody asked for that one.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn bind(settings: AdminSettings) -> Result<Option<TcpListener>, AdminError> {
        let Some(address) = settings.address() else {
            return Ok(None);
        };
        let is_optional = matches!(settings, AdminSettings::IfFree(_));
        match listen(address) {
            Ok(listener) => Ok(Some(listener)),
            Err(source) if source.kind() == io::ErrorKind::AddrInUse && is_optional => {
                tracing::warn!(%address, "no health or metrics: the default admin port is busy; see --admin");
                Ok(None)
            }
            Err(source) => Err(AdminError::Bind { address, source }),
        }
    }

    /// Starts the thread. `allowed` are the names it may be called by, besides those of loopback.
    ///
    /// # Errors
    /// When a name is none, or the system refuses a thread or a pair of sockets.
    pub fn start(
        listener: TcpListener,
        view: Arc<AdminView>,
        allowed: &AllowList,
        limits: AdminLimits,
    ) -> Result<AdminHandle, AdminError> {
        let address = listener.local_addr()?;
        let hosts = host_rules(address.ip(), allowed)?;
        let (stop, stopped) = UnixStream::pair()?;
        let server = Server::new(listener, stopped, view, hosts, limits)?;
        let thread = std::thread::Builder::new().name("weir-admin".to_owned());
        let thread = thread.spawn(move || server.run())?;
        Ok(AdminHandle {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the last connections of the process before it.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The running listener; it stops when this is dropped.
#[derive(Debug)]
pub struct AdminHandle {
    address: SocketAddr,
    /// The thread watches the other end; closing this one stops it.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl AdminHandle {
    /// Where it listens, with the port the system chose if it was asked to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listener and every connection, and waits for the thread.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for AdminHandle {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the admin thread panicked");
        }
    }
}

#[cfg(test)]
mod tests;
