//! Calls that others work for: how they begin and end.

use crate::pool::HandlerKey;
use crate::ring::ConnectionKey;

use super::Calls;
use super::call::Call;

impl Calls {
    /// Whether no handler works for this call.
    #[inline]
    pub(in crate::shard) fn is_without_handler(&self, call: HandlerKey) -> bool {
        self.places.is_one(call)
    }

    /// Enters a call that needs no handler. `None` if there are more than can be numbered.
    pub(in crate::shard) fn begin_without_handler(
        &mut self,
        holder: ConnectionKey,
        call: Call,
    ) -> Option<HandlerKey> {
        self.places.insert(holder, call)
    }

    /// Takes a call out that had no handler and is over.
    pub(in crate::shard) fn leave(&mut self, call: HandlerKey) {
        self.places.remove(call);
    }
}
