//! What calls speak into, and the buffers in which what they have said is passed on.

use std::sync::Arc;

use crate::pool::HandlerKey;
use crate::registry::{CallLink, CallerSource, ClientFacts, Emission, Started};

use super::Calls;

impl Calls {
    /// A link for a call of this caller, whose client is as `facts` say.
    #[inline(always)]
    pub(in crate::shard) fn take_link(
        &mut self,
        facts: ClientFacts,
        caller: &CallerSource<'_>,
    ) -> Arc<CallLink> {
        self.links.take(facts, caller)
    }

    /// Takes the link back of a call that has `started` and will never speak; any other is the call's.
    pub(in crate::shard) fn keep_link(
        &mut self,
        link: Arc<CallLink>,
        started: &Started,
    ) -> Option<Arc<CallLink>> {
        match started {
            Started::Future(_) => self.links.put_silent(link),
            // The function has not been given it yet.
            Started::Blocking(_) | Started::Readied(_) => Some(link),
        }
    }

    /// A call that has just got this handler speaks into this link, whose listener is told this number.
    #[inline]
    pub(in crate::shard) fn bind_link(&mut self, handler: HandlerKey, number: u64, link: Arc<CallLink>) {
        link.bind(number);
        if let Some(call) = self.pool.call_mut(handler) {
            call.link = Some(link);
        }
    }

    /// Takes a link back whose call is over.
    pub(in crate::shard) fn put_link(&mut self, link: Arc<CallLink>) {
        self.links.put(link);
    }

    /// What a call has said; goes back to [`Calls::put_emissions`], so that passing it on allocates nothing.
    pub(in crate::shard) fn take_emissions(&mut self, link: &CallLink) -> Vec<Emission> {
        let mut emissions = std::mem::take(&mut self.emissions);
        link.take_emissions(&mut emissions);
        emissions
    }

    /// Takes the emptied list back.
    pub(in crate::shard) fn put_emissions(&mut self, emissions: Vec<Emission>) {
        self.emissions = emissions;
    }

    /// A buffer for one message, empty; goes back to [`Calls::put_message`].
    pub(in crate::shard) fn take_message(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.message)
    }

    /// Takes the buffer back, and keeps no more of it than most messages need.
    pub(in crate::shard) fn put_message(&mut self, mut message: Vec<u8>) {
        message.clear();
        message.shrink_to(self.pool.buffer_bytes());
        self.message = message;
    }
}
