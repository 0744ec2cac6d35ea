//! How long clients may keep an answer (MCP 2026-07-28: `ttlMs`, `cacheScope`).

use std::time::Duration;

/// Who may share a kept answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheScope {
    /// Only the client that asked.
    #[default]
    Private,
    /// Anybody: the answer depends on no user.
    Public,
}

impl CacheScope {
    /// The value of `cacheScope`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
        }
    }
}

/// A hint on keeping an answer. By default answers are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Caching {
    ttl_ms: u64,
    scope: CacheScope,
}

impl Caching {
    /// An answer may be kept for `ttl`, in whole milliseconds, by those in `scope`.
    pub fn new(ttl: Duration, scope: CacheScope) -> Self {
        Self {
            // MCP wants an integer that JavaScript can hold; 2^53 ms are 285,000 years.
            ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).min(1 << 53),
            scope,
        }
    }

    /// The same for those in another scope.
    #[must_use]
    pub(crate) fn with_scope(mut self, scope: CacheScope) -> Self {
        self.scope = scope;
        self
    }

    /// How long an answer may be kept, in milliseconds.
    pub fn ttl_ms(self) -> u64 {
        self.ttl_ms
    }

    /// Who may keep it.
    pub fn scope(self) -> CacheScope {
        self.scope
    }
}
