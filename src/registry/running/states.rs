//! The values that functions borrow, and functions that wait for theirs.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::sync::Arc;

use super::handler::Handler;
use crate::registry::owned::Owned;

/// One value of each type.
#[derive(Clone, Default)]
pub(in crate::registry) struct States(HashMap<TypeId, Arc<Owned<Arc<dyn Any + Send + Sync>>>>);

impl States {
    /// Adds a value, in place of another one of its type.
    pub(in crate::registry) fn insert<S: Send + Sync + 'static>(&mut self, state: Arc<S>) {
        self.0.insert(TypeId::of::<S>(), Arc::new(Owned::new(state)));
    }

    fn find<S: Send + Sync + 'static>(&self) -> Option<Arc<S>> {
        let state = self.0.get(&TypeId::of::<S>())?;
        Arc::clone(&***state).downcast().ok()
    }
}

/// There is no value of the type that a function borrows.
#[derive(Debug)]
pub(in crate::registry) struct NoState {
    pub(in crate::registry) type_name: &'static str,
}

/// A function that is a handler once the value is known that it borrows.
pub struct Unbound(Function);

enum Function {
    Whole(Arc<dyn Handler>),
    Borrowing(Box<Bind>),
}

type Bind = dyn FnOnce(&States) -> Result<Arc<dyn Handler>, NoState> + Send + Sync;

impl Unbound {
    /// A function that borrows nothing.
    pub(super) fn whole(handler: Arc<dyn Handler>) -> Self {
        Self(Function::Whole(handler))
    }

    /// A function that borrows an `S`.
    pub(super) fn borrowing<S: Send + Sync + 'static>(
        with: impl FnOnce(Arc<S>) -> Arc<dyn Handler> + Send + Sync + 'static,
    ) -> Self {
        Self(Function::Borrowing(Box::new(|states| match states.find::<S>() {
            Some(state) => Ok(with(state)),
            None => Err(NoState {
                type_name: type_name::<S>(),
            }),
        })))
    }

    /// The function with the value that it borrows.
    pub(in crate::registry) fn bind(self, states: &States) -> Result<Arc<dyn Handler>, NoState> {
        match self.0 {
            Function::Whole(handler) => Ok(handler),
            Function::Borrowing(with) => with(states),
        }
    }
}
