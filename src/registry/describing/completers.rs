//! The completion functions of one prompt or template.

use std::sync::Arc;

use crate::registry::info::index::CompleterIndex;
use crate::registry::running::handler::Handler;
use crate::registry::running::states::{NoState, States, Unbound};

/// The completion functions of one prompt or template, by argument.
#[derive(Default)]
pub(in crate::registry) struct Completers(pub(in crate::registry) Vec<(String, Arc<dyn Handler>)>);

impl Completers {
    /// The index of the function for `argument`, if this row of functions begins at `begin`.
    pub(in crate::registry) fn place(&self, argument: &str, begin: usize) -> Option<CompleterIndex> {
        let at = self.0.iter().position(|(name, _)| name == argument)?;
        Some(CompleterIndex::after(begin + at))
    }
}

/// The same before it is known what they borrow.
#[derive(Default)]
pub(super) struct UnboundCompleters(Vec<(String, Unbound)>);

impl UnboundCompleters {
    pub(super) fn push(&mut self, argument: String, function: Unbound) {
        self.0.push((argument, function));
    }

    /// The arguments that are completed.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.0.iter().map(|(name, _)| name)
    }

    pub(super) fn bind(self, states: &States) -> Result<Completers, NoState> {
        let bound = self
            .0
            .into_iter()
            .map(|(name, function)| Ok((name, function.bind(states)?)));
        bound.collect::<Result<_, _>>().map(Completers)
    }
}
