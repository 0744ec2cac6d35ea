//! The failure of a part of the server, without that part's type.

use std::error::Error;

/// The failure of a part of the server: a text for an operator, with the next step. There is nothing in it to match on;
/// its source, if there is one, is the system's error.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Cause(Box<dyn Error + Send + Sync>);

impl Cause {
    pub(super) fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }
}
