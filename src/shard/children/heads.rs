//! What the heads of a request say of its client, also when the request itself is gone.

use crate::children::KeptFields;
use crate::mcp::RequestContext;

/// The heads of the request that a call came with.
#[derive(Clone, Copy)]
pub(in crate::shard) enum Heads<'h> {
    /// It is being decoded.
    Of(&'h RequestContext<'h>),
    /// It was a batch; this is what was kept of it.
    Kept(&'h KeptFields),
    /// It had none, or none that say anything.
    None,
}

impl<'h> Heads<'h> {
    /// The value of a field, whose name is in lower case.
    pub(super) fn value(self, name: &str) -> Option<&'h [u8]> {
        match self {
            Heads::Of(context) => context.header(name)?.value(),
            Heads::Kept(fields) => fields.value(name),
            Heads::None => None,
        }
    }
}
