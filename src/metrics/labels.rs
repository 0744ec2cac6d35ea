//! The closed sets that label metrics, and the registered tools' names.
//!
//! Every label value that a peer can cause comes from one of these enums or from the table of registered tools, so that
//! no peer can add a time series. This module decides nothing: other layers map their own outcomes to these.
//! Invariant: `E::ALL[e.index()] == e`, and the texts of one set differ from each other.

use std::sync::OnceLock;

/// Declares an enum whose members are label values, in order, with their texts.
macro_rules! labels {
    ($(#[$meta:meta])* $name:ident { $($(#[$member_meta:meta])* $member:ident => $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$member_meta])* $member,)+ }

        impl $name {
            /// Every member, in order of index.
            pub const ALL: &'static [Self] = &[$(Self::$member,)+];
            /// How many members there are.
            #[allow(dead_code, reason = "not every set has a family of cells")]
            pub const COUNT: usize = Self::ALL.len();

            /// The text used as label value and in reports.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$member => $text,)+ }
            }

            /// Position in [`Self::ALL`].
            pub const fn index(self) -> usize {
                self as usize
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl Label for $name {
            fn all() -> &'static [Self] {
                Self::ALL
            }

            fn as_str(self) -> &'static str {
                self.as_str()
            }

            fn index(self) -> usize {
                self.index()
            }
        }
    };
}

/// A closed set of label values.
pub trait Label: Copy + 'static {
    /// Every member, in order of index.
    fn all() -> &'static [Self];
    /// The label value.
    fn as_str(self) -> &'static str;
    /// Position in [`Label::all`].
    fn index(self) -> usize;
}

labels! {
    /// How far a child is.
    ChildState {
        /// It was started, and takes no calls yet.
        Starting => "starting",
        /// It takes calls.
        Serving => "serving",
        /// It is to end, and has not.
        Stopping => "stopping",
    }
}

labels! {
    /// Why a call of a server was refused before a child had it.
    ChildRefusal {
        /// As many calls waited as may.
        QueueFull => "queue_full",
        /// It had waited for as long as it may.
        QueueTimeout => "queue_timeout",
        /// The server's children failed too often.
        Quarantined => "quarantined",
        /// The server was about to end.
        Draining => "draining",
        /// The child of the session was gone.
        SessionOver => "session_over",
    }
}

labels! {
    /// Why a child died that nobody had ended.
    ChildDeath {
        /// It could not be started.
        Spawn => "spawn",
        /// It was not ready in time.
        StartTimeout => "start_timeout",
        /// What it said when it was greeted made it useless.
        Handshake => "handshake",
        /// Its process exited.
        Exit => "exit",
        /// A signal ended its process that was not this server's.
        Signal => "signal",
        /// It used more memory than it may.
        Memory => "memory",
        /// This server had no memory left for what it said.
        ServerMemory => "server_memory",
        /// It closed its input or its output.
        PipeClosed => "pipe_closed",
        /// It did not read its input.
        InputStuck => "input_stuck",
        /// It did not answer while it had nothing else to do.
        Unresponsive => "unresponsive",
        /// The launcher ended, and all children with it.
        Launcher => "launcher",
    }
}

labels! {
    /// Which protocol era a request spoke.
    Era {
        /// Revisions up to 2025-11-25.
        Legacy => "legacy",
        /// Revision 2026-07-28 and later.
        Modern => "modern",
        /// A message that is not a request of a known era.
        Unknown => "unknown",
    }
}

labels! {
    /// Whether a request needed a handler.
    RequestClass {
        /// Answered from memory.
        Control => "control",
        /// Runs user code on a handler.
        Work => "work",
    }
}

labels! {
    /// `mcp.method.name` of OpenTelemetry: the methods of every revision; a method that a peer invented is `_OTHER`.
    Method {
        /// `initialize`
        Initialize => "initialize",
        /// `server/discover`
        ServerDiscover => "server/discover",
        /// `ping`
        Ping => "ping",
        /// `tools/list`
        ToolsList => "tools/list",
        /// `tools/call` of no registered tool; calls of registered ones are recorded under the tool.
        ToolsCall => "tools/call",
        /// `resources/list`
        ResourcesList => "resources/list",
        /// `resources/templates/list`
        ResourcesTemplatesList => "resources/templates/list",
        /// `resources/read`
        ResourcesRead => "resources/read",
        /// `resources/subscribe`
        ResourcesSubscribe => "resources/subscribe",
        /// `resources/unsubscribe`
        ResourcesUnsubscribe => "resources/unsubscribe",
        /// `prompts/list`
        PromptsList => "prompts/list",
        /// `prompts/get`
        PromptsGet => "prompts/get",
        /// `completion/complete`
        CompletionComplete => "completion/complete",
        /// `logging/setLevel`
        LoggingSetLevel => "logging/setLevel",
        /// `tasks/get`
        TasksGet => "tasks/get",
        /// `tasks/result`
        TasksResult => "tasks/result",
        /// `tasks/list`
        TasksList => "tasks/list",
        /// `tasks/update`
        TasksUpdate => "tasks/update",
        /// `tasks/cancel`
        TasksCancel => "tasks/cancel",
        /// `subscriptions/listen`
        SubscriptionsListen => "subscriptions/listen",
        /// `notifications/initialized`
        NotificationsInitialized => "notifications/initialized",
        /// `notifications/cancelled`
        NotificationsCancelled => "notifications/cancelled",
        /// `notifications/progress`
        NotificationsProgress => "notifications/progress",
        /// `notifications/roots/list_changed`
        NotificationsRootsListChanged => "notifications/roots/list_changed",
        /// Anything else.
        Other => "_OTHER",
    }
}

impl Method {
    /// The method of this name, compared byte for byte; `Other` when there is none.
    pub fn from_name(name: &str) -> Self {
        let known = Self::ALL.iter().find(|method| method.as_str() == name);
        known.copied().unwrap_or(Self::Other)
    }
}

labels! {
    /// How an operation ended; all but `ok` are values of OpenTelemetry's `error.type`.
    Outcome {
        /// The operation gave a result.
        Ok => "ok",
        /// The operation gave a result with `isError`.
        ToolError => "tool_error",
        /// The call was cancelled, or its client left, before there was an answer.
        Cancelled => "cancelled",
        /// The call timeout ended it.
        Timeout => "timeout",
        /// Parse error.
        ParseError => "-32700",
        /// Invalid request.
        InvalidRequest => "-32600",
        /// Method not found.
        MethodNotFound => "-32601",
        /// Invalid params.
        InvalidParams => "-32602",
        /// Internal error.
        InternalError => "-32603",
        /// Resource not found, legacy.
        ResourceNotFound => "-32002",
        /// A header differs from the body.
        HeaderMismatch => "-32020",
        /// The client lacks a required capability.
        MissingCapability => "-32021",
        /// Unsupported protocol version.
        UnsupportedVersion => "-32022",
        /// Refused by overload.
        Overload => "-31503",
        /// Any other error.
        Other => "_OTHER",
    }
}

impl Outcome {
    /// The outcome in words, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ToolError => "tool error",
            Self::Cancelled => "cancelled",
            Self::Timeout => "timeout",
            Self::ParseError => "parse error",
            Self::InvalidRequest => "invalid request",
            Self::MethodNotFound => "method not found",
            Self::InvalidParams => "invalid params",
            Self::InternalError => "internal error",
            Self::ResourceNotFound => "resource not found",
            Self::HeaderMismatch => "header mismatch",
            Self::MissingCapability => "missing capability",
            Self::UnsupportedVersion => "unsupported version",
            Self::Overload => "overload",
            Self::Other => "other error",
        }
    }

    /// The outcome of an answer with this JSON-RPC error code.
    pub fn from_error_code(code: i64) -> Self {
        match code {
            -32700 => Self::ParseError,
            -32600 => Self::InvalidRequest,
            -32601 => Self::MethodNotFound,
            -32602 => Self::InvalidParams,
            -32603 => Self::InternalError,
            -32002 => Self::ResourceNotFound,
            -32020 => Self::HeaderMismatch,
            -32021 => Self::MissingCapability,
            -32022 => Self::UnsupportedVersion,
            -31503 => Self::Overload,
            _ => Self::Other,
        }
    }
}

labels! {
    /// How a request's wait in a shard's queue ended.
    WaitEnd {
        /// A handler of this shard became free for it.
        Served => "served",
        /// It moved to another shard, which had a free handler; its wait ended there.
        Stolen => "stolen",
        /// Its deadline passed, or a drain's did: it was refused.
        TimedOut => "timed_out",
        /// Its connection was closed, or there was no memory to keep it.
        Left => "left",
    }
}

labels! {
    /// Why work was refused: the closed list of the overload answer's `reason`.
    OverloadReason {
        /// No handler was free and none could be waited for.
        Handlers => "handlers",
        /// The request waited for a handler past its deadline.
        QueueTimeout => "queue_timeout",
        /// The worker pool's queue was full.
        Workers => "workers",
        /// As many calls of its tool were in flight as may, and it could not wait, or waited in vain.
        Tool => "tool",
        /// No child process could take it.
        Children => "children",
        /// The memory budget was spent.
        Memory => "memory",
        /// There were too many connections.
        Connections => "connections",
        /// No task could be added, in all or for one client, because none of the kept ones is over; or too many clients
        /// wait for one task.
        Tasks => "tasks",
        /// The process is stopping.
        Draining => "draining",
    }
}

labels! {
    /// The HTTP status of an answer that refused a request before or beside JSON-RPC.
    HttpRefusal {
        /// Bad Request.
        BadRequest => "400",
        /// Unauthorized.
        Unauthorized => "401",
        /// Forbidden: a foreign `Origin` or `Host`.
        Forbidden => "403",
        /// Not Found.
        NotFound => "404",
        /// Method Not Allowed.
        MethodNotAllowed => "405",
        /// Not Acceptable.
        NotAcceptable => "406",
        /// Request Timeout.
        RequestTimeout => "408",
        /// Content Too Large.
        ContentTooLarge => "413",
        /// URI Too Long.
        UriTooLong => "414",
        /// Unsupported Media Type.
        UnsupportedMediaType => "415",
        /// Expectation Failed.
        ExpectationFailed => "417",
        /// Misdirected Request.
        MisdirectedRequest => "421",
        /// Upgrade Required.
        UpgradeRequired => "426",
        /// Too Many Requests.
        TooManyRequests => "429",
        /// Request Header Fields Too Large.
        HeaderFieldsTooLarge => "431",
        /// Internal Server Error.
        InternalServerError => "500",
        /// Not Implemented: an unknown method or transfer coding.
        NotImplemented => "501",
        /// Service Unavailable.
        ServiceUnavailable => "503",
        /// HTTP Version Not Supported.
        VersionNotSupported => "505",
        /// Any other status.
        Other => "_OTHER",
    }
}

impl HttpRefusal {
    /// The status with its phrase, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "400 Bad Request",
            Self::Unauthorized => "401 Unauthorized",
            Self::Forbidden => "403 Forbidden",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::NotAcceptable => "406 Not Acceptable",
            Self::RequestTimeout => "408 Request Timeout",
            Self::ContentTooLarge => "413 Content Too Large",
            Self::UriTooLong => "414 URI Too Long",
            Self::UnsupportedMediaType => "415 Unsupported Media Type",
            Self::ExpectationFailed => "417 Expectation Failed",
            Self::MisdirectedRequest => "421 Misdirected Request",
            Self::UpgradeRequired => "426 Upgrade Required",
            Self::TooManyRequests => "429 Too Many Requests",
            Self::HeaderFieldsTooLarge => "431 Request Header Fields Too Large",
            Self::InternalServerError => "500 Internal Server Error",
            Self::NotImplemented => "501 Not Implemented",
            Self::ServiceUnavailable => "503 Service Unavailable",
            Self::VersionNotSupported => "505 HTTP Version Not Supported",
            Self::Other => "another status",
        }
    }

    /// The member for an HTTP status code.
    pub fn from_status(status: u16) -> Self {
        match status {
            400 => Self::BadRequest,
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            406 => Self::NotAcceptable,
            408 => Self::RequestTimeout,
            413 => Self::ContentTooLarge,
            414 => Self::UriTooLong,
            415 => Self::UnsupportedMediaType,
            417 => Self::ExpectationFailed,
            421 => Self::MisdirectedRequest,
            426 => Self::UpgradeRequired,
            429 => Self::TooManyRequests,
            431 => Self::HeaderFieldsTooLarge,
            500 => Self::InternalServerError,
            501 => Self::NotImplemented,
            503 => Self::ServiceUnavailable,
            505 => Self::VersionNotSupported,
            _ => Self::Other,
        }
    }
}

labels! {
    /// Why the server closed a connection.
    Eviction {
        /// The head was not complete in time.
        HeadTimeout => "head_timeout",
        /// The body was not complete in time.
        BodyTimeout => "body_timeout",
        /// There was silence while bytes of an unfinished request were missing.
        ReadTimeout => "read_timeout",
        /// The peer did not take its answer.
        WriteStall => "write_stall",
        /// The peer left more of a stream unread than is kept for it.
        SlowReader => "slow_reader",
        /// There was silence between requests.
        Idle => "idle",
        /// It was the oldest incomplete request when assembly buffers ran out.
        AssemblyPressure => "assembly_pressure",
        /// The peer closed or reset the connection amid a request or an answer.
        HangUp => "hang_up",
        /// The peer's machine no longer answers, as the kernel's probes and retransmissions found.
        Vanished => "vanished",
    }
}

labels! {
    /// What a handler is doing.
    HandlerState {
        /// It is on the free list.
        Idle => "idle",
        /// It is leased, with work in flight.
        Busy => "busy",
        /// It is leased, and kept a moment for its connection's next request.
        Lingering => "lingering",
    }
}

labels! {
    /// A stage of a request's way, as a histogram.
    Stage {
        /// From the first byte of a request to its last.
        Read => "read",
        /// Parsing of HTTP head, framing, JSON and envelope.
        Decode => "decode",
        /// Waiting for a handler, a worker or other calls of the tool.
        Queue => "queue",
        /// Registry lookup and argument validation.
        Route => "route",
        /// The tool's own time.
        Execute => "execute",
        /// Writing the answer's head and body.
        Encode => "encode",
        /// From the first send until the kernel has all of the answer.
        Write => "write",
        /// From the first byte of a request until the kernel has all of its answer.
        Total => "total",
    }
}

/// The tools that have a label of their own: the first `tools_max` registered ones, in order of registration, and as
/// many later ones as there is room for. The rest share the row `_OTHER`, so that a registry of any size costs bounded
/// memory and series.
#[derive(Debug)]
pub struct ToolLabels {
    /// All rows but the last, which is for the rest. Those without a name are room.
    names: Box<[OnceLock<Box<str>>]>,
}

/// A row in tables per tool: one per tool with a label, and one for all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ToolRow(u16);

impl ToolRow {
    /// The index into a table of [`ToolLabels::rows`] rows.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl ToolLabels {
    /// The default number of tools with a label of their own; each may cost a histogram per shard.
    pub const TOOLS_MAX_DEFAULT: u16 = 256;

    /// Labels for registered tools, given in order of their index.
    #[cfg(any(test, feature = "internals"))]
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>, tools_max: u16) -> Self {
        Self::with_room(names, tools_max, 0)
    }

    /// The same with room for as many later tools, such as those of other programs, which are known only when those
    /// run. A row costs a histogram only once its tool was called.
    pub fn with_room<'a>(names: impl IntoIterator<Item = &'a str>, tools_max: u16, room: u16) -> Self {
        let labelled = names.into_iter().take(usize::from(tools_max));
        let labelled = labelled.map(|name| OnceLock::from(Box::from(name)));
        let room = (0..room).map(|_| OnceLock::new());
        Self {
            names: labelled.chain(room).collect(),
        }
    }

    /// The row of the tool with this index in its registry.
    pub fn row(&self, tool_index: usize) -> ToolRow {
        let last = self.names.len();
        // At most 65,535 labelled tools and the row for others: the last index fits 16 bits.
        ToolRow(u16::try_from(tool_index.min(last)).unwrap_or(u16::MAX))
    }

    /// The row of the tool with this name, which is given one if there is room. Names of other programs' tools may be
    /// any text: a long one gets no label.
    pub fn row_of(&self, name: &str) -> ToolRow {
        // Names fill the room in order; what another thread has put in first is looked at like the rest.
        let is_it = |row: &OnceLock<Box<str>>| **row.get_or_init(|| name.into()) == *name;
        const NAME_BYTES_MAX: usize = 128;
        let is_own = name != Method::Other.as_str() && name.len() <= NAME_BYTES_MAX;
        let known = is_own.then(|| self.names.iter().position(is_it)).flatten();
        self.row(known.unwrap_or(usize::MAX))
    }

    /// How many rows a table per tool has.
    pub fn rows(&self) -> usize {
        self.names.len() + 1
    }

    /// Whether a tool has this row, or the rest have it.
    pub fn is_taken(&self, row: usize) -> bool {
        self.names.get(row).is_none_or(|name| name.get().is_some())
    }

    /// Every row that is taken, with its label.
    pub fn iter(&self) -> impl Iterator<Item = (ToolRow, &str)> {
        let names = self.names.iter().map(|name| name.get().map(|name| &**name));
        let rows = (0..=u16::MAX).map(ToolRow);
        rows.zip(names.chain([Some(Method::Other.as_str())]))
            .filter_map(|(row, name)| Some((row, name?)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn assert_closed_set<E: Label + PartialEq + std::fmt::Debug>() {
        let mut texts = HashSet::new();
        for (position, &member) in E::all().iter().enumerate() {
            assert_eq!(member.index(), position);
            assert!(texts.insert(member.as_str()), "{member:?} repeats a text");
        }
    }

    #[test]
    fn every_set_is_dense_and_unambiguous() {
        assert_closed_set::<Era>();
        assert_closed_set::<RequestClass>();
        assert_closed_set::<Method>();
        assert_closed_set::<Outcome>();
        assert_closed_set::<WaitEnd>();
        assert_closed_set::<OverloadReason>();
        assert_closed_set::<HttpRefusal>();
        assert_closed_set::<Eviction>();
        assert_closed_set::<HandlerState>();
        assert_closed_set::<Stage>();
    }

    #[test]
    fn codes_and_statuses_lead_to_the_member_that_shows_them() {
        for &outcome in Outcome::ALL {
            if let Ok(code) = outcome.as_str().parse() {
                assert_eq!(Outcome::from_error_code(code), outcome);
            }
        }
        for &refusal in HttpRefusal::ALL {
            if let Ok(status) = refusal.as_str().parse() {
                assert_eq!(HttpRefusal::from_status(status), refusal);
            }
        }
        for &refusal in HttpRefusal::ALL {
            let is_named_after = refusal.name().starts_with(refusal.as_str());
            assert!(is_named_after || refusal == HttpRefusal::Other, "{refusal:?}");
        }
        let names: HashSet<&str> = Outcome::ALL.iter().map(|outcome| outcome.name()).collect();
        assert_eq!(names.len(), Outcome::ALL.len());
        assert_eq!(Outcome::from_error_code(7), Outcome::Other);
        assert_eq!(HttpRefusal::from_status(299), HttpRefusal::Other);
        assert_eq!(Method::from_name("tools/list"), Method::ToolsList);
        assert_eq!(Method::from_name("Tools/List"), Method::Other);
    }

    #[test]
    fn tools_past_the_cap_share_the_last_row() {
        let labels = ToolLabels::new(["a", "b", "c"], 2);
        let names: Vec<_> = labels.iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["a", "b", "_OTHER"]);
        let rows: Vec<_> = (0..5).map(|tool| labels.row(tool).index()).collect();
        assert_eq!(rows, [0, 1, 2, 2, 2]);
        assert_eq!(labels.rows(), 3);
    }

    #[test]
    fn later_tools_take_the_room_there_is() {
        let labels = ToolLabels::with_room(["a", "b", "c"], 2, 2);
        assert_eq!(labels.rows(), 5);
        let names = || labels.iter().map(|(_, name)| name).collect::<Vec<_>>();
        assert_eq!(names(), ["a", "b", "_OTHER"]);
        let row = |name: &str| labels.row_of(name).index();
        assert_eq!(["_OTHER", &"x".repeat(129)].map(row), [4, 4]);
        assert_eq!(["b", "x", "y", "x", "z", "_OTHER"].map(row), [1, 2, 3, 2, 4, 4]);
        assert_eq!(names(), ["a", "b", "x", "y", "_OTHER"]);
        assert_eq!(labels.row(usize::MAX).index(), 4);
    }

    #[test]
    fn no_tools_still_have_the_row_for_others() {
        let labels = ToolLabels::new([], ToolLabels::TOOLS_MAX_DEFAULT);
        assert_eq!(labels.row(0).index(), 0);
        assert_eq!(labels.rows(), 1);
    }
}
