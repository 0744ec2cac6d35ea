//! The watching of children's resources: the first listener at an endpoint has a child subscribe, the last one has it
//! unsubscribe.

use std::sync::Arc;

use crate::mcp::{ChildOwner, ClientKey};
use crate::registry::{ServerIndex, ToolError, Updates, Watch};

use super::inbox::{Mail, SupervisorInbox};

/// What a server calls the resource that an endpoint serves under this URI, if that is another.
pub(in crate::server) type OwnUri = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What watches the resources of one server for one endpoint.
pub(in crate::server) struct ChildWatch {
    server: ServerIndex,
    inbox: SupervisorInbox,
    own_uri: OwnUri,
}

impl ChildWatch {
    pub(super) fn new(server: ServerIndex, inbox: SupervisorInbox, own_uri: OwnUri) -> ChildWatch {
        ChildWatch {
            server,
            inbox,
            own_uri,
        }
    }
}

impl ChildWatch {
    /// Begins to watch the resource that an endpoint serves under this URI; with an owner, what its own child tells.
    pub(in crate::server) fn begin(&self, uri: &str, owner: Option<&ChildOwner>) -> Box<dyn Send> {
        let own = (self.own_uri)(uri).unwrap_or_else(|| uri.to_owned());
        let (server, uri) = (self.server, own);
        self.inbox.send(Mail::Listened {
            server,
            uri: uri.clone(),
            owner: owner.cloned().map(Box::new),
        });
        Box::new(Watched {
            server,
            uri,
            client: owner.map(|owner| owner.client.key),
            inbox: self.inbox.clone(),
        })
    }
}

impl Watch for ChildWatch {
    fn watch(&self, uri: &str, _: Updates) -> Result<Box<dyn Send>, ToolError> {
        Ok(self.begin(uri, None))
    }
}

/// A resource that is watched until this is dropped.
struct Watched {
    server: ServerIndex,
    uri: String,
    client: Option<ClientKey>,
    inbox: SupervisorInbox,
}

impl Drop for Watched {
    fn drop(&mut self) {
        let uri = std::mem::take(&mut self.uri);
        self.inbox.send(Mail::Unlistened {
            server: self.server,
            uri,
            client: self.client,
        });
    }
}
