//! The one table of options.
//!
//! Flags, environment variables, keys of the file, help texts and `weir check` are all derived from it, so that none
//! of them can know an option the others do not. Holds no values and parses nothing (see `inputs` and `values`).
//! Invariant: [`OPTIONS`] has exactly one row per [`Key`], in the same order.

/// Names an option inside the program. The order is that of the help text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the table says what each one is")]
pub enum Key {
    Transport,
    Listen,
    ReusePort,
    Path,
    Health,
    Admin,
    Toolset,
    Root,
    FilesReadMax,
    FilesSearchMax,
    Shards,
    Cpus,
    PoolSize,
    BufferSize,
    RingBuffers,
    AssemblyBuffers,
    MemoryMax,
    Prefault,
    QueueDepth,
    QueueTimeout,
    QueueTimeoutAgent,
    Steal,
    StealReserve,
    Linger,
    ConnectionsMax,
    ConnectionsPerIp,
    HeadMax,
    BodyMax,
    HeadTimeout,
    BodyTimeout,
    ReadTimeout,
    IdleTimeout,
    WriteTimeout,
    CallTimeout,
    AskTimeout,
    StreamAfter,
    StreamKeepAlive,
    Websocket,
    WebsocketTimeout,
    InFlightPerConnection,
    SseLegacy,
    TasksMax,
    TasksPerClientMax,
    TaskTtl,
    TaskTtlMax,
    DrainTimeout,
    BusyPoll,
    AllowOrigin,
    AllowHost,
    SessionKeyFile,
    SessionMaxAge,
    RequireSession,
    Workers,
    WorkerQueue,
    Report,
    AccessLog,
    LogLevel,
    LogFormat,
}

impl Key {
    /// The option's row.
    pub fn spec(self) -> &'static OptionSpec {
        &OPTIONS[self as usize]
    }
}

/// One option.
#[derive(Debug)]
pub struct OptionSpec {
    /// Which one.
    pub key: Key,
    /// As a flag (with two dashes) and as a key of the file.
    pub name: &'static str,
    /// What stands for the value in the help text.
    pub value_name: &'static str,
    /// What values are possible.
    pub kind: Kind,
    /// What holds when it is given nowhere.
    pub fallback: Fallback,
    /// Whether it may be given more than once (an array in the file, commas in the environment).
    pub is_repeatable: bool,
    /// One sentence for the help text.
    pub help: &'static str,
}

impl OptionSpec {
    /// Its environment variable: `pool-size` is `WEIR_POOL_SIZE`.
    pub fn variable(&self) -> String {
        let upper = self.name.to_ascii_uppercase().replace('-', "_");
        format!("{VARIABLE_PREFIX}{upper}")
    }
}

/// What every environment variable of the program begins with.
pub const VARIABLE_PREFIX: &str = "WEIR_";

/// What values an option takes; bounds include both ends. Durations are bounded in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An address and port.
    Address,
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
    /// A length of time, or `forever`.
    Patience {
        /// The least.
        min_ms: u64,
        /// The most, short of `forever`.
        max_ms: u64,
    },
    /// A length of time, `forever`, or `0s` for none at all.
    PatienceOrNone {
        /// The least, short of none.
        min_ms: u64,
        /// The most, short of `forever`.
        max_ms: u64,
    },
    /// A file or directory.
    Path,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `scheme://host[:port]`, or `*`.
    Origin,
    /// `host[:port]`, or `*`.
    Host,
    /// The path of a URL.
    UrlPath,
    /// `true` or `false`; the flag alone is `true`.
    Switch,
}

/// The words of an option that is switched on or off.
pub(super) const ON_OFF: &[&str] = &["on", "off"];

impl Kind {
    /// Whether TOML's `true` or `false` can be a value: where `on` and `off`, or `off` alone, are.
    #[cfg(feature = "cli")]
    pub(super) fn takes_truth(self) -> bool {
        match self {
            Self::Switch | Self::AddressOrOff => true,
            Self::Choice(words) => words == ON_OFF,
            _ => false,
        }
    }
}

/// What holds when an option is given nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// This value, read as if it had been given.
    Value(&'static str),
    /// Nothing, or what the rest of the settings leads to; described for the help text.
    Derived(&'static str),
}

impl Fallback {
    /// For the help text.
    pub fn text(self) -> &'static str {
        match self {
            Self::Value(text) | Self::Derived(text) => text,
        }
    }
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
pub(super) const DAY_MS: u64 = 24 * HOUR_MS;

/// Shards are numbered in 16 bits; more cores than this are not planned for.
pub(super) const SHARDS_MAX: u64 = 1024;
/// Handlers of a shard are numbered in 16 bits.
pub(super) const HANDLERS_MAX: u64 = 65_535;
/// Sixteen times what the kernel lets one process open by default (`fs.nr_open`).
pub(super) const CONNECTIONS_MAX: u64 = 16_000_000;

/// Deadlines run on one tick of this length; nothing shorter could be told apart.
const TICK_MS: u64 = 10;

/// Tasks, each with an id, a result and a place in the store.
const TASKS_MAX: u64 = 1_000_000;
/// Longer than any bounded answer time, shorter than a tick counter's range.
const TASK_TTL: Kind = Kind::Duration {
    min_ms: 1_000,
    max_ms: 365 * DAY_MS,
};

const DEADLINE: Kind = Kind::Duration {
    min_ms: TICK_MS,
    max_ms: DAY_MS,
};

/// One answer of the toolset `files`.
const FILES_ANSWER: Kind = Kind::Size {
    min_bytes: KIB,
    max_bytes: 16 * MIB,
};

/// `weir size` takes these too, within the same bounds.
pub(super) const MEMORY: Kind = Kind::Size {
    min_bytes: 8 * MIB,
    max_bytes: 1 << 50,
};
pub(super) const LINGER: Kind = Kind::PatienceOrNone {
    min_ms: TICK_MS,
    max_ms: DAY_MS,
};

const fn one(
    key: Key,
    name: &'static str,
    value_name: &'static str,
    kind: Kind,
    fallback: Fallback,
    help: &'static str,
) -> OptionSpec {
    OptionSpec {
        key,
        name,
        value_name,
        kind,
        fallback,
        is_repeatable: false,
        help,
    }
}

const fn many(spec: OptionSpec) -> OptionSpec {
    OptionSpec {
        is_repeatable: true,
        ..spec
    }
}

/// All options there are.
#[rustfmt::skip] // One row, one option: the eye compares columns.
pub static OPTIONS: [OptionSpec; 58] = {
    use Fallback::{Derived, Value};
    use Kind::{Address, AddressOrOff, Choice, Count, CountOrAuto, Cpus, Duration, Host, Origin, Path, Patience, Size, Switch, UrlPath};
    [
        one(Key::Transport, "transport", "http|stdio", Choice(&["http", "stdio"]), Value("http"), "Serve clients on a port, or the one that started this process, on stdin and stdout"),
        one(Key::Listen, "listen", "ADDR", Address, Value("127.0.0.1:8080"), "Where to serve MCP, over HTTP"),
        one(Key::ReusePort, "reuse-port", "on|off", Choice(ON_OFF), Value("off"), "Whether to start beside another server of this user on the same address, and share its new connections"),
        many(one(Key::Path, "path", "PATH", UrlPath, Value("/mcp"), "A path to serve MCP on, with and without a slash behind it")),
        one(Key::Health, "health", "on|off", Choice(ON_OFF), Value("off"), "Whether /healthz and /readyz are served where MCP is, too, whatever name a probe calls"),
        one(Key::Admin, "admin", "ADDR|off", AddressOrOff, Derived("127.0.0.1:9464, off with stdio"), "Where to serve /healthz, /readyz and /metrics"),
        many(one(Key::Toolset, "toolset", "NAME", Choice(&["files", "demo"]), Value("files"), "What to serve")),
        one(Key::Root, "root", "DIR", Path, Value("."), "The directory whose files the toolset `files` shows, read-only"),
        one(Key::FilesReadMax, "files-read-max", "SIZE", FILES_ANSWER, Value("48KiB"), "Text in one answer of read_file; the answer says how to get the rest"),
        one(Key::FilesSearchMax, "files-search-max", "SIZE", FILES_ANSWER, Value("48KiB"), "Results in one answer of search, find_files or list_directory"),
        one(Key::Shards, "shards", "N|auto", CountOrAuto { min: 1, max: SHARDS_MAX }, Value("auto"), "Shards; `auto` is one per CPU, no more than a cgroup's CPU quota holds, and one with stdio"),
        one(Key::Cpus, "cpus", "LIST", Cpus, Derived("all this process may use"), "CPUs for the shards, such as 0-3,6"),
        one(Key::PoolSize, "pool-size", "N", Count { min: 1, max: HANDLERS_MAX }, Derived("256, 32 with stdio, less if memory asks"), "Handlers per shard"),
        // A ring buffer's bytes must fit into a handler, hence the least size.
        one(Key::BufferSize, "buffer-size", "SIZE", Size { min_bytes: 4 * KIB, max_bytes: 16 * MIB }, Value("16KiB"), "Each of a handler's two buffers"),
        // The kernel takes at most 32768 buffers per ring.
        one(Key::RingBuffers, "ring-buffers", "N", Count { min: 1, max: 32_768 }, Derived("1024, 64 with stdio, less if memory asks"), "Receive buffers per shard, of 4KiB"),
        one(Key::AssemblyBuffers, "assembly-buffers", "N", Count { min: 1, max: 65_535 }, Derived("pool size, less if memory asks"), "Buffers per shard for requests that arrive in pieces"),
        one(Key::MemoryMax, "memory-max", "SIZE", MEMORY, Derived("half of the cgroup's or machine's"), "Memory for everything together"),
        one(Key::Prefault, "prefault", "on|off", Choice(ON_OFF), Value("off"), "Whether preallocated memory is resident from the start rather than from its first use"),
        one(Key::QueueDepth, "queue-depth", "N", Count { min: 0, max: 1_000_000 }, Derived("twice the pool size, at least 32, less if memory asks"), "Requests per shard that may wait for a handler"),
        one(Key::QueueTimeout, "queue-timeout", "TIME", DEADLINE, Value("5s"), "How long a browser's request (one with an Origin) may wait for a handler"),
        one(Key::QueueTimeoutAgent, "queue-timeout-agent", "TIME", DEADLINE, Derived("queue-timeout"), "How long any other request may wait for a handler"),
        one(Key::Steal, "steal", "on|off", Choice(ON_OFF), Value("on"), "Whether shards with slack serve those who wait at others"),
        one(Key::StealReserve, "steal-reserve", "N", Count { min: 0, max: HANDLERS_MAX }, Derived("a tenth of the pool, 0 below 10 handlers"), "Handlers per shard that others' clients may not take"),
        one(Key::Linger, "linger", "TIME|forever", LINGER, Value("0s"), "How long a connection keeps its handler after an answer"),
        one(Key::ConnectionsMax, "connections-max", "N", Count { min: 1, max: CONNECTIONS_MAX }, Derived("descriptor limit less a reserve, less if memory asks"), "Connections, over all shards"),
        one(Key::ConnectionsPerIp, "connections-per-ip", "N", Count { min: 1, max: CONNECTIONS_MAX }, Derived("no cap"), "Connections from one address, over all shards"),
        one(Key::HeadMax, "head-max", "SIZE", Size { min_bytes: KIB, max_bytes: MIB }, Value("32KiB"), "Largest request head"),
        one(Key::BodyMax, "body-max", "SIZE", Size { min_bytes: KIB, max_bytes: GIB }, Value("4MiB"), "Largest request body"),
        one(Key::HeadTimeout, "head-timeout", "TIME", DEADLINE, Value("10s"), "From a request head's first byte to its last"),
        one(Key::BodyTimeout, "body-timeout", "TIME", DEADLINE, Value("60s"), "From a request body's first byte to its last"),
        one(Key::ReadTimeout, "read-timeout", "TIME", DEADLINE, Value("30s"), "Silence in the middle of a request"),
        one(Key::IdleTimeout, "idle-timeout", "TIME|forever", Patience { min_ms: TICK_MS, max_ms: 365 * DAY_MS }, Value("75s"), "Silence between requests"),
        one(Key::WriteTimeout, "write-timeout", "TIME", DEADLINE, Value("30s"), "A client that takes none of its answer"),
        one(Key::CallTimeout, "call-timeout", "TIME", DEADLINE, Value("60s"), "From a tool call's start to its answer"),
        one(Key::AskTimeout, "ask-timeout", "TIME", DEADLINE, Value("5m"), "How long a call waits for what it asked its client"),
        one(Key::StreamAfter, "stream-after", "TIME", DEADLINE, Value("10s"), "When a call without an answer is given a stream with signs of life"),
        one(Key::StreamKeepAlive, "stream-keep-alive", "TIME", DEADLINE, Value("15s"), "Between signs of life on a silent stream"),
        one(Key::Websocket, "websocket", "on|off", Choice(ON_OFF), Value("on"), "Whether a GET of MCP's path may become a WebSocket"),
        one(Key::WebsocketTimeout, "websocket-timeout", "TIME", DEADLINE, Value("60s"), "Silence after which a WebSocket is given up; it is pinged at half of it"),
        one(Key::InFlightPerConnection, "in-flight-per-connection", "N", Count { min: 1, max: HANDLERS_MAX }, Value("64"), "Calls at once, waiting ones included, of a WebSocket or of stdin"),
        one(Key::SseLegacy, "sse-legacy", "on|off", Choice(ON_OFF), Value("off"), "Whether clients of HTTP+SSE (2024-11-05) are served, on /sse and /messages"),
        one(Key::TasksMax, "tasks-max", "N", Count { min: 0, max: TASKS_MAX }, Value("4096"), "Tasks kept, over all clients; 0 for none"),
        one(Key::TasksPerClientMax, "tasks-per-client-max", "N", Count { min: 1, max: TASKS_MAX }, Value("256"), "Tasks kept for one client"),
        one(Key::TaskTtl, "task-ttl", "TIME", TASK_TTL, Derived("15m, or task-ttl-max if that is shorter"), "How long a task is kept that asks for no time"),
        one(Key::TaskTtlMax, "task-ttl-max", "TIME", TASK_TTL, Value("24h"), "How long a task is kept at most"),
        one(Key::DrainTimeout, "drain-timeout", "TIME", Duration { min_ms: 0, max_ms: HOUR_MS }, Value("10s"), "From SIGTERM until what is left is cut off"),
        one(Key::BusyPoll, "busy-poll", "TIME", Duration { min_ms: 0, max_ms: TICK_MS }, Value("100us"), "How long an idle shard waits in its own ring before it parks"),
        many(one(Key::AllowOrigin, "allow-origin", "ORIGIN|*", Origin, Derived("loopback"), "Origin to serve besides loopback ones")),
        many(one(Key::AllowHost, "allow-host", "HOST|*", Host, Derived("loopback"), "Host to serve besides loopback ones")),
        one(Key::SessionKeyFile, "session-key-file", "FILE", Path, Derived("a random key"), "Key that seals session ids, shared by replicas"),
        one(Key::SessionMaxAge, "session-max-age", "TIME", Duration { min_ms: 1_000, max_ms: 365 * DAY_MS }, Value("24h"), "How long a session id is good for"),
        one(Key::RequireSession, "require-session", "true|false", Switch, Value("false"), "Refuse legacy requests without a session id"),
        one(Key::Workers, "workers", "N", Count { min: 1, max: 1024 }, Derived("CPUs, or what a CPU quota holds, at most 4 with stdio"), "Threads for blocking tools"),
        one(Key::WorkerQueue, "worker-queue", "N", Count { min: 1, max: 65_536 }, Value("64"), "Calls that may wait, per worker"),
        one(Key::Report, "report", "FORMAT", Choice(&["text", "json", "none"]), Derived("text, none with stdio"), "The report at exit, on stdout, or on stderr with stdio"),
        one(Key::AccessLog, "access-log", "off|errors|all", Choice(&["off", "errors", "all"]), Value("errors"), "Which requests get a log record: those that fail or are refused, or all"),
        one(Key::LogLevel, "log-level", "LEVEL", Choice(&["off", "error", "warn", "info", "debug", "trace"]), Value("info"), "The least important log record written"),
        one(Key::LogFormat, "log-format", "FORMAT", Choice(&["text", "json"]), Value("text"), "How log records on stderr look"),
    ]
};

/// The option with this name, if there is one.
pub(super) fn option_named(name: &str) -> Option<&'static OptionSpec> {
    OPTIONS.iter().find(|spec| spec.name == name)
}

/// The known name most like an unknown one, unless none is at all like it.
///
/// Edits are counted, since a slip of the finger is one or two of them; a name of the same words in another order, or
/// one that goes on where the other ends, is as good. What several other servers call an option is known by heart.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this two names have too little in common to be a slip of the finger.
    const LIKENESS_MIN: f64 = 0.7;
    let name = name.to_ascii_lowercase().replace('_', "-");
    let elsewhere = ELSEWHERE.iter().find(|(theirs, _)| *theirs == name);
    let mut best: Option<(f64, &str)> = None;
    for candidate in known {
        let likeness = match elsewhere {
            Some((_, ours)) if *ours == candidate => f64::INFINITY,
            _ => likeness(&name, candidate),
        };
        // The first of equals: the table begins with what matters most.
        if likeness >= LIKENESS_MIN && best.is_none_or(|(most, _)| likeness > most) {
            best = Some((likeness, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The option most like an unknown name, by its name.
pub fn nearest_option(name: &str) -> Option<&'static str> {
    nearest(name, OPTIONS.iter().map(|spec| spec.name))
}

/// How other servers call it, and how this one does.
const ELSEWHERE: [(&str, &str); 6] = [
    ("port", "listen"),
    ("host", "listen"),
    ("bind", "listen"),
    ("addr", "listen"),
    ("address", "listen"),
    ("directory", "root"),
];

/// From 0 to 1.
fn likeness(name: &str, candidate: &str) -> f64 {
    /// Shorter ones begin too many words.
    const PREFIX_LENGTH_MIN: usize = 3;
    const BEGINS: f64 = 0.75;
    let words = |text: &str| {
        let mut words: Vec<String> = text.split('-').map(str::to_owned).collect();
        words.sort_unstable();
        words
    };
    if words(name) == words(candidate) {
        return 1.0;
    }
    let (short, long) = match name.len() < candidate.len() {
        true => (name, candidate),
        false => (candidate, name),
    };
    let edits = strsim::normalized_damerau_levenshtein(name, candidate);
    if short.len() >= PREFIX_LENGTH_MIN && long.starts_with(short) {
        return edits.max(BEGINS);
    }
    edits
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_their_keys() {
        for (index, spec) in OPTIONS.iter().enumerate() {
            assert_eq!(spec.key as usize, index, "{}", spec.name);
            assert!(std::ptr::eq(spec.key.spec().name, spec.name));
        }
        assert_eq!(Key::LogFormat as usize, OPTIONS.len() - 1);
    }

    #[test]
    fn names_are_kebab_case_and_unique() {
        let names: HashSet<_> = OPTIONS.iter().map(|spec| spec.name).collect();
        assert_eq!(names.len(), OPTIONS.len());
        let is_kebab = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        assert!(names.iter().all(|name| is_kebab(name)), "{names:?}");
        assert_eq!(Key::PoolSize.spec().variable(), "WEIR_POOL_SIZE");
    }

    #[test]
    fn the_nearest_name_is_what_was_meant() {
        let cases = [
            ("poolsize", Some("pool-size")),
            ("pool_size", Some("pool-size")),
            ("idel-timeout", Some("idle-timeout")),
            ("worker", Some("workers")),
            ("max-memory", Some("memory-max")),
            ("allow-orgin", Some("allow-origin")),
            ("Listen", Some("listen")),
            ("pool", Some("pool-size")),
            ("queue", Some("queue-depth")),
            ("port", Some("listen")),
            ("host", Some("listen")),
            ("zzz", None),
            ("serve", None),
            ("server", None),
            ("version", None),
            ("home", None),
            ("user", None),
            ("uid", None),
            ("image", None),
            ("commit", None),
            ("build-date", None),
        ];
        for (typed, meant) in cases {
            assert_eq!(
                nearest(typed, OPTIONS.iter().map(|spec| spec.name)),
                meant,
                "{typed}"
            );
        }
    }
}
