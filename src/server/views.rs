//! The views of a server: what is served at which endpoint.
//!
//! The main view is everything there is. Each server that is another program has a view of its own besides, unless it
//! is everything there is: then both endpoints are one.

use crate::config::{ChildServer, Settings, TransportKind};
use crate::registry::Registry;
use crate::units::ViewId;

/// The views of a server with these settings.
pub(super) struct Views<'s> {
    servers: &'s [ChildServer],
    /// Whether each server has a view of its own.
    are_apart: bool,
}

impl<'s> Views<'s> {
    /// What is registered in this process is in `registry`.
    pub(super) fn of(settings: &'s Settings, registry: &Registry) -> Views<'s> {
        let servers = &settings.children.servers[..];
        let is_http = settings.endpoints.transport == TransportKind::Http;
        Views {
            are_apart: is_http && (servers.len() > 1 || registry.has_own()),
            servers,
        }
    }

    /// The servers with views of their own, in the order of those, which are numbered from 1.
    pub(super) fn servers(&self) -> impl Iterator<Item = &'s ChildServer> {
        let servers = if self.are_apart { self.servers } else { &[] };
        servers.iter()
    }

    /// The view at the endpoint of each server.
    pub(super) fn of_servers(&self) -> impl Iterator<Item = (&'s ChildServer, ViewId)> {
        let are_apart = self.are_apart;
        self.servers.iter().zip(1..).map(move |(server, number)| {
            let own = ViewId(number);
            (server, if are_apart { own } else { ViewId::MAIN })
        })
    }
}
