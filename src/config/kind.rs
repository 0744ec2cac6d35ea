//! The kinds of values that options take, and their bounds.
//!
//! This holds no values and reads no texts (see `text` and `field`).

/// The kind of values an option takes; bounds include both ends. Durations are bounded in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An address and port, or a Unix socket.
    Listen,
    /// The permissions of a file, in octal.
    Mode,
    /// A user and a group.
    Owner,
    /// Users, with commas between them.
    Users,
    /// An address and port, or `off`.
    AddressOrOff,
    /// A whole number.
    Count {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A whole number, or `auto`.
    CountOrAuto {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// CPU numbers and ranges: `0-3,6`.
    Cpus,
    /// Bytes.
    Size {
        /// The least.
        min_bytes: u64,
        /// The most.
        max_bytes: u64,
    },
    /// A length of time.
    Duration {
        /// The least.
        min_ms: u64,
        /// The most.
        max_ms: u64,
    },
    /// A length of time, or `auto`.
    DurationOrAuto {
        /// The least.
        min_ms: u64,
        /// The most.
        max_ms: u64,
    },
    /// A length of time, or `forever`.
    TimeLimit {
        /// The least.
        min_ms: u64,
        /// The most, short of `forever`.
        max_ms: u64,
    },
    /// A length of time, `forever`, or `0s` for none at all.
    TimeLimitOrNone {
        /// The least, short of none.
        min_ms: u64,
        /// The most, short of `forever`.
        max_ms: u64,
    },
    /// A file or directory.
    Path,
    /// Any text.
    Text,
    /// A format, or `html:` and a file.
    Report,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `scheme://host[:port]`, or `*`.
    Origin,
    /// `host[:port]`, or `*`.
    Host,
    /// The path of a URL.
    UrlPath,
    /// `NAME:KEY=VALUE,…` of tools.
    Tools,
    /// `on` or `off`; `true` and `false` mean the same, and the flag alone is `on`.
    Switch,
}

impl Kind {
    /// The words that are values, for a kind with only a few values.
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::Choice(words) => words,
            Self::Switch => &["on", "off"],
            _ => &[],
        }
    }

    /// Whether TOML's `true` or `false` can be a value: it can where `on` and `off`, or `off` alone, are values.
    #[cfg(feature = "cli")]
    pub(super) fn takes_truth(self) -> bool {
        matches!(self, Self::Switch | Self::AddressOrOff)
    }
}

pub(super) const KIB: u64 = 1 << 10;
pub(super) const MIB: u64 = 1 << 20;
pub(super) const GIB: u64 = 1 << 30;
const MINUTE_MS: u64 = 60_000;
pub(super) const HOUR_MS: u64 = 60 * MINUTE_MS;
pub(super) const DAY_MS: u64 = 24 * HOUR_MS;

/// Shards are numbered in 16 bits; machines with more cores than this are not planned for.
pub(super) const SHARDS_MAX: u64 = 1024;
/// Handlers of a shard are numbered in 16 bits.
pub(super) const HANDLERS_MAX: u64 = 65_535;
/// Sixteen times what the kernel lets one process open by default (`fs.nr_open`).
pub(super) const CONNECTIONS_MAX: u64 = 16_000_000;

/// Deadlines run on one tick of this length, so nothing shorter could be told apart.
pub(super) const TICK_MS: u64 = 10;

/// The deadline of one step.
pub(super) const DEADLINE: Kind = Kind::Duration {
    min_ms: TICK_MS,
    max_ms: DAY_MS,
};

/// The memory of the whole process. `weir size` takes this and the next one too, within the same bounds.
pub(super) const MEMORY: Kind = Kind::Size {
    min_bytes: 8 * MIB,
    max_bytes: 1 << 50,
};
pub(super) const LINGER: Kind = Kind::TimeLimitOrNone {
    min_ms: TICK_MS,
    max_ms: DAY_MS,
};
