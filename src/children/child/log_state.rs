//! How much a child logs.

use crate::registry::LogLevel;

/// What the client of a call wants to hear of what is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogWish {
    /// Nothing.
    None,
    /// What is at least so severe, as its request says.
    FromRequest(LogLevel),
    /// What its session says; `None` if that has never said so.
    OfSession(Option<LogLevel>),
}

/// How the wishes of callers are found out.
pub(super) type WishOf<C> = fn(&C) -> LogWish;

/// How much a child logs.
#[derive(Debug)]
pub(super) struct LogState<C> {
    pub(super) wish_of: Option<WishOf<C>>,
    /// The level that the child was told.
    pub(super) told: Option<LogLevel>,
    /// The number of the last request whose answer is of no interest.
    pub(super) last: u64,
}

impl<C> Default for LogState<C> {
    fn default() -> Self {
        LogState {
            wish_of: None,
            told: None,
            last: 0,
        }
    }
}
