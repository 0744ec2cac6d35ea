//! What calls are told of who made them.
//!
//! A request of HTTP says it by its head and its connection; a message of a channel by what is kept with the channel;
//! the calls of a batch by what was kept of its request.

use std::sync::Arc;

use crate::mcp::{Era, Work};
use crate::registry::{
    CallContext, CallLink, CallerFacts, CallerSource, ClientSource, HeaderSource, Origin, Registry, Transport,
};
use crate::ring::ConnectionKey;

use crate::shard::service::{LocalService, Within};
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// A link for a call that is about to start.
    #[inline(always)]
    pub(super) fn take_link(
        &mut self,
        key: ConnectionKey,
        within: Within<'_>,
        work: &Work<'_>,
    ) -> Arc<CallLink> {
        let registry = within.service.protocol.registry();
        let Some(lines) = within.heads.lines() else {
            return self.take_link_of_message(key, registry, work);
        };
        let mut caller = work.caller();
        if let Some(connection) = self.table.connection(key) {
            caller.peer = connection.peer(&self.ring);
        }
        // With a session its id is in the head, and was opened.
        if caller.session.is_some() {
            caller.client = ClientSource::Text(within.heads.client_text());
        }
        if let Some(names) = registry.headers_read_by(work.operation()) {
            caller.headers = HeaderSource::Head(names, lines);
        }
        self.calls.take_link(work.client(), &caller)
    }

    #[inline(never)]
    fn take_link_of_message(
        &mut self,
        key: ConnectionKey,
        registry: &Registry,
        work: &Work<'_>,
    ) -> Arc<CallLink> {
        let origin = self.table.origin(key).unwrap_or_default();
        let mut caller = work.caller();
        tell_origin(&mut caller, &origin, registry, work);
        self.calls.take_link(work.client(), &caller)
    }

    /// What is kept of a request with a batch, for those of its calls that begin when the request's head is gone.
    pub(super) fn origin_of_batch(&mut self, key: ConnectionKey, within: Within<'_>) -> Arc<Origin> {
        let Some(lines) = within.heads.lines() else {
            return self.table.origin(key).unwrap_or_default();
        };
        let peer = self
            .table
            .connection(key)
            .and_then(|connection| connection.peer(&self.ring));
        let names = within.service.protocol.registry().headers_read();
        let origin = Origin::new(Transport::Http, peer).with_headers(names, lines);
        Arc::new(origin.with_client(within.heads.client_text()))
    }
}

/// The context of a call of a batch, which is to know who made it.
pub(super) fn context_of_batch(service: &LocalService, work: &Work<'_>, origin: &Origin) -> CallContext {
    let mut caller = work.caller();
    tell_origin(&mut caller, origin, service.protocol.registry(), work);
    CallContext::unheard(Arc::new(CallerFacts::of(&caller)))
}

fn tell_origin<'a>(
    caller: &mut CallerSource<'a>,
    origin: &'a Origin,
    registry: &'a Registry,
    work: &Work<'_>,
) {
    caller.transport = origin.transport;
    caller.peer = origin.peer;
    // A modern client says it with each request, or not at all.
    if work.revision().era() == Era::Legacy {
        caller.client = ClientSource::Text(&origin.client);
    }
    if let Some(names) = registry.headers_read_by(work.operation()) {
        caller.headers = HeaderSource::Kept(names, origin);
    }
}
