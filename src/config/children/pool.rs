//! The settings of one server's pool.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::listen::Account;

/// How the children of one server are run, and whom they serve.
///
/// A field that is `None` where its documentation names a default is decided when the pool is made.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolSettings {
    /// `mode`: whom a child serves.
    pub mode: PoolMode,
    /// `anonymous`: what clients without identity get in [`PoolMode::Session`]. `None` is one on loopback, else call.
    pub anonymous: Option<AnonymousClients>,
    /// `min_idle`: children that are warm without being asked for.
    pub min_idle: u32,
    /// `max`: children in all. `None` is [`max`](Self::max).
    pub max: Option<u32>,
    /// `max_in_flight`: calls at one child. `None` is [`in_flight_max`](Self::in_flight_max).
    pub max_in_flight: Option<u32>,
    /// `queue_depth`: calls that wait. `None` is as for the handler pool.
    pub queue_depth: Option<u32>,
    /// `queue_timeout`: how long a call waits. `None` is as for the handler pool.
    pub queue_timeout: Option<Duration>,
    /// `start_timeout`: from the start of a child until it is ready.
    pub start_timeout: Duration,
    /// `first_start_timeout`: the same for a server's first start, which may download it.
    pub first_start_timeout: Duration,
    /// `call_timeout`: for a call; each word on its progress begins it anew.
    pub call_timeout: Duration,
    /// `cancel_grace`: for the answer to a call that was cancelled.
    pub cancel_grace: Duration,
    /// `stop_grace`: between the end of input, SIGTERM and SIGKILL.
    pub stop_grace: Duration,
    /// `inherit`: names of variables of the server's own that its children get as well; `*` is all.
    pub inherit: Vec<String>,
    /// `message_max`: bytes of a message of a child.
    pub message_bytes_max: u64,
    /// `key_header`: the header of HTTP whose value tells clients apart in [`PoolMode::Session`], in lower case.
    pub key_header: Option<String>,
    /// `skip`: the server is left out.
    pub skip: bool,
    /// `list_ttl`: age at which lists are read again from children that do not tell of changes.
    pub list_ttl: Duration,
    /// `idle_timeout`: idleness after which a child ends. `None` is [`idle_timeout`](Self::idle_timeout).
    pub idle_timeout: Option<Duration>,
    /// `recycle_calls`: calls after which a child is replaced.
    pub recycle_calls: Option<u32>,
    /// `recycle_age`: age at which a child is replaced.
    pub recycle_age: Option<Duration>,
    /// `rss_max`: resident bytes of a child and its descendants, above which it is killed.
    pub rss_bytes_max: Option<u64>,
    /// `pids_max`: processes of a child and its descendants, which only a cgroup can keep.
    pub pids_max: Option<u64>,
    /// `interactive`: one call at a time at a shared child, so that its questions and logs have an owner.
    pub interactive: bool,
    /// `warmup`: a call that a child answers before it counts as ready.
    pub warmup: Option<Warmup>,
    /// `env_from`: variables that a client's request sets for its child.
    pub env_from: BTreeMap<String, EnvSource>,
    /// `retry`: calls that are made again after the child died.
    pub retry: RetryPolicy,
    /// `on_loss`: what a session gets whose child is lost.
    pub on_loss: LossPolicy,
    /// `era`: what the children speak. `None` is found out.
    pub era: Option<ChildEra>,
    /// `unwrap`: whether later children start without their wrapper (`npx`, `uvx`).
    pub unwrap: bool,
    /// `user`: whom children run as, and its group.
    pub user: Option<(Account, Option<Account>)>,
    /// `rlimits`: limits of each process, by the names of `setrlimit(2)` in lower case.
    pub rlimits: BTreeMap<String, Rlimit>,
    /// `read`: paths below which a child may read; `None` is everywhere.
    pub read: Option<Vec<PathBuf>>,
    /// `write`: paths below which a child may write; `None` is everywhere.
    pub write: Option<Vec<PathBuf>>,
    /// `tcp`: ports that a child may connect to; `None` is all.
    pub tcp: Option<Vec<u16>>,
}

/// Whom a child serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PoolMode {
    /// Every child serves every client.
    Shared,
    /// A child serves one client: a session, a connection, a principal.
    #[default]
    Session,
    /// A child serves one call.
    Call,
}

/// What clients without identity are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnonymousClients {
    /// All of them are one client.
    One,
    /// Each call is a client.
    Call,
}

/// Calls that are made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetryPolicy {
    /// None.
    #[default]
    Off,
    /// Those of tools that say `readOnlyHint`, once.
    ReadOnly,
}

/// What a session gets whose child is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LossPolicy {
    /// 404, so that its client begins anew.
    #[default]
    NotFound,
    /// Another child.
    Restart,
}

/// The revisions that a child speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildEra {
    /// Those that begin with `initialize`.
    Legacy,
    /// Those without sessions.
    Modern,
}

/// Where a variable's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvSource {
    /// A header of the request, in lower case.
    Header(String),
}

/// A tool call that makes a child warm.
#[derive(Debug, Clone, PartialEq)]
pub struct Warmup {
    /// The tool.
    pub tool: String,
    /// Its arguments.
    pub arguments: serde_json::Map<String, serde_json::Value>,
}

/// A resource limit; `None` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rlimit {
    /// What a process gets.
    pub soft: Option<u64>,
    /// What it may raise that to.
    pub hard: Option<u64>,
}

impl Default for PoolSettings {
    fn default() -> PoolSettings {
        PoolSettings {
            mode: PoolMode::default(),
            anonymous: None,
            min_idle: 1,
            max: None,
            max_in_flight: None,
            queue_depth: None,
            queue_timeout: None,
            start_timeout: Duration::from_secs(30),
            first_start_timeout: Duration::from_secs(5 * 60),
            call_timeout: Duration::from_secs(5 * 60),
            cancel_grace: Duration::from_secs(5),
            stop_grace: Duration::from_secs(2),
            inherit: Vec::new(),
            message_bytes_max: 16 << 20,
            key_header: None,
            skip: false,
            list_ttl: Duration::from_secs(5 * 60),
            idle_timeout: None,
            recycle_calls: None,
            recycle_age: None,
            rss_bytes_max: None,
            pids_max: None,
            interactive: false,
            warmup: None,
            env_from: BTreeMap::new(),
            retry: RetryPolicy::default(),
            on_loss: LossPolicy::default(),
            era: None,
            unwrap: true,
            user: None,
            rlimits: BTreeMap::new(),
            read: None,
            write: None,
            tcp: None,
        }
    }
}

impl PoolSettings {
    /// Children in all, on a machine where they may use so many CPUs.
    pub fn max(&self, cpus: u32) -> u32 {
        /// A session's child is idle most of the time.
        const SESSIONS: u32 = 64;
        self.max.unwrap_or(match self.mode {
            PoolMode::Session => SESSIONS,
            PoolMode::Shared | PoolMode::Call => cpus.max(1),
        })
    }

    /// Whether only one client can be the cause of what a child says: then its questions and log messages reach that
    /// one.
    pub fn is_attributed(&self) -> bool {
        self.interactive || self.mode != PoolMode::Shared
    }

    /// Calls at one child.
    pub fn in_flight_max(&self) -> u32 {
        /// Enough to keep a child busy whose calls wait for others.
        const IN_FLIGHT: u32 = 64;
        let is_single = self.interactive || self.mode == PoolMode::Call;
        self.max_in_flight
            .unwrap_or(if is_single { 1 } else { IN_FLIGHT })
    }

    /// Idleness after which a child ends; `None` is never.
    pub fn idle_timeout(&self) -> Option<Duration> {
        /// A client that was silent for so long has rarely more to say.
        const SESSION: Duration = Duration::from_secs(30 * 60);
        let of_mode = (self.mode == PoolMode::Session).then_some(SESSION);
        // 0 is how `off` is kept apart from what was not said.
        self.idle_timeout.or(of_mode).filter(|timeout| !timeout.is_zero())
    }

    /// Settings that are in bounds alone and do not fit together: the reasons, to follow the server's name.
    pub(super) fn conflicts(&self) -> Vec<String> {
        let mut conflicts = Vec::new();
        let mut refuse = |is_wrong: bool, reason: &str| {
            if is_wrong {
                conflicts.push(reason.to_owned());
            }
        };
        let is_shared = self.mode == PoolMode::Shared;
        let is_single = self.interactive || self.mode == PoolMode::Call;
        refuse(
            self.interactive && !is_shared,
            "`interactive` is for `mode` = `shared`; children of other modes have one client anyway",
        );
        refuse(
            is_shared && !self.env_from.is_empty(),
            "`env_from` gives clients children of their own, which `mode` = `shared` does not; use `session` or `call`",
        );
        refuse(
            self.key_header.is_some() && self.mode != PoolMode::Session,
            "`key_header` tells clients apart, which only `mode` = `session` does",
        );
        refuse(
            is_single && self.max_in_flight.is_some_and(|max| max > 1),
            "`max_in_flight` is 1 with `interactive` and with `mode` = `call`; remove it",
        );
        refuse(
            self.max.is_some_and(|max| max < self.min_idle),
            "`min_idle` is above `max`; lower the one or raise the other",
        );
        conflicts
    }
}
