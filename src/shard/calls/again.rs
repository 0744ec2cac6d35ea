//! Whether a call of a child is made once more when that dies.

/// Whether a call of a child is made once more when that dies.
#[derive(Debug)]
pub(in crate::shard) enum Again {
    /// It may be, from its request as children of its server get it.
    May(Box<[u8]>),
    /// It was.
    Was,
}
