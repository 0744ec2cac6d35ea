//! Why a client that comes back cannot go on with a call that another program has.

/// Why a call does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unresumed {
    /// The state is not of this request, was changed, or is too old.
    Unreadable,
    /// Another process has sealed it, which is gone.
    Restarted,
    /// A retry has taken it up before.
    Used,
    /// The client took too long.
    Expired,
    /// The program that had the call is gone.
    Lost,
    /// The call is over for another reason, or was too long ago.
    Over,
}

impl Unresumed {
    /// What clients are told as `data.reason`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Restarted => "restarted",
            Self::Used => "used",
            Self::Expired => "expired",
            Self::Lost => "lost",
            Self::Over => "over",
        }
    }

    /// The same as a clause.
    pub(in crate::mcp) fn clause(self) -> &'static str {
        match self {
            Self::Unreadable => {
                "is not of this request, was changed, is too old, or was sealed before the server was started"
            }
            Self::Restarted => "was sealed before the server was started",
            Self::Used => "was used before",
            Self::Expired => "comes too late: the call was given up",
            Self::Lost => "names a call whose process is gone",
            Self::Over => "names a call that is over",
        }
    }
}
