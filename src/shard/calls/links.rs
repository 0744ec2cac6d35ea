//! What calls speak into before they end: made once, used again.

use std::sync::Arc;

use crate::registry::{CallLink, CallerSource, ClientFacts, LinkListener, ServerHandle};

/// Links kept for calls to come; more run at once only while a burst lasts.
const LINKS_KEPT_MAX: usize = 256;

/// The links of calls: made once, used again.
pub(super) struct Links {
    free: Vec<Arc<CallLink>>,
    listener: Arc<dyn LinkListener>,
    server: ServerHandle,
}

impl Links {
    /// Links whose calls tell `listener` of what they say outside a poll.
    pub(super) fn new(listener: Arc<dyn LinkListener>, server: ServerHandle) -> Links {
        Links {
            free: Vec::with_capacity(LINKS_KEPT_MAX),
            listener,
            server,
        }
    }

    /// A link for a call of this caller, whose client is as `facts` say. Allocates only while more calls run than ever
    /// before.
    #[inline(always)]
    pub(super) fn take(&mut self, facts: ClientFacts, caller: &CallerSource<'_>) -> Arc<CallLink> {
        let mut link = self
            .free
            .pop()
            .unwrap_or_else(|| CallLink::new(Arc::clone(&self.listener), self.server.clone()));
        match Arc::get_mut(&mut link) {
            Some(own) => own.begin_for(facts, caller),
            None => debug_assert!(false, "a free link is nobody's"),
        }
        link
    }

    /// Takes the link of a call back that has started without a word and kept nothing to speak into, as most tools
    /// do. Any other link is returned.
    pub(super) fn put_silent(&mut self, mut link: Arc<CallLink>) -> Option<Arc<CallLink>> {
        if !Arc::get_mut(&mut link).is_some_and(CallLink::rest_if_silent) {
            return Some(link);
        }
        self.keep(link);
        None
    }

    /// Takes a link back whose call is over. One that a tool still holds is left to it.
    pub(super) fn put(&mut self, mut link: Arc<CallLink>) {
        match Arc::get_mut(&mut link) {
            Some(own) => {
                own.rest();
                self.keep(link);
            }
            None => link.close(),
        }
    }

    fn keep(&mut self, link: Arc<CallLink>) {
        if self.free.len() < LINKS_KEPT_MAX {
            self.free.push(link);
        }
    }
}
