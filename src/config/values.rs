//! The types of options that are not plain numbers, sizes or times.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::units::CpuId;

/// Declares an enum whose members are written as words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$member_meta:meta])* $member:ident => $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name { $($(#[$member_meta])* $member,)+ }

        impl Words for $name {
            const ALL: &'static [Self] = &[$(Self::$member,)+];
            const WORDS: &'static [&'static str] = &[$($word,)+];

            fn word(self) -> &'static str {
                match self { $(Self::$member => $word,)+ }
            }
        }

        impl $name {
            /// The word on the command line.
            pub fn name(self) -> &'static str {
                self.word()
            }
        }
    };
}

/// A type whose values are written as words.
pub(super) trait Words: Copy + PartialEq + 'static {
    /// Every value.
    const ALL: &'static [Self];
    /// Their words, in the same order.
    const WORDS: &'static [&'static str];

    /// The word of this value.
    fn word(self) -> &'static str;

    /// The value of a word, if there is one.
    fn of_word(word: &str) -> Option<Self> {
        let at = Self::WORDS.iter().position(|known| *known == word)?;
        Self::ALL.get(at).copied()
    }
}

words! {
    /// The transport that clients use.
    TransportKind {
        /// Any number of clients, over HTTP and protocols that begin as HTTP.
        Http => "http",
        /// One client, which started this process and holds its stdin and stdout.
        Stdio => "stdio",
    }
}

words! {
    /// An embedded toolset.
    Toolset {
        /// A directory's files, read-only.
        Files => "files",
        /// Tools for trials, tests and benchmarks.
        Demo => "demo",
    }
}

words! {
    /// The report at exit.
    ReportFormat {
        /// Tables for people.
        Text => "text",
        /// One JSON object on one line.
        Json => "json",
        /// There is no report.
        None => "none",
    }
}

/// Where the report at exit goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportTarget {
    /// To stdout or stderr, in this format.
    Stream(ReportFormat),
    /// Into a file, as a page for a browser.
    Page(PathBuf),
}

impl ReportTarget {
    /// Before the file of a page.
    pub(super) const PAGE: &'static str = "html:";
}

words! {
    /// Which requests get a log record of their own.
    AccessLog {
        /// No request gets one.
        Off => "off",
        /// Requests that fail or are refused get one.
        Errors => "errors",
        /// Every request gets one.
        All => "all",
    }
}

words! {
    /// The importance of a log record.
    LogLevel {
        /// Nothing is written.
        Off => "off",
        /// Something failed that should not have.
        Error => "error",
        /// Something an operator should look at.
        Warn => "warn",
        /// Start, stop and the like.
        Info => "info",
        /// Details for developers of tools.
        Debug => "debug",
        /// Everything.
        Trace => "trace",
    }
}

words! {
    /// The format of log records, which are one line each.
    LogFormat {
        /// For people.
        Text => "text",
        /// One JSON object a line.
        Json => "json",
    }
}

/// The listener for health and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminSettings {
    /// There is no such listener.
    Off,
    /// It listens here; a busy port is an error.
    At(SocketAddr),
    /// It listens here, by default; a busy port is a warning.
    IfFree(SocketAddr),
}

impl AdminSettings {
    /// The address of the listener unless an operator says otherwise.
    pub const DEFAULT: Self = Self::IfFree(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464));

    /// The address to listen on, if there is a listener.
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::At(address) | Self::IfFree(address) => Some(address),
        }
    }
}

/// How long a connection keeps its handler after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linger {
    /// It does not: the lease ends with the answer. Written `0s`.
    None,
    /// It keeps it for a moment, for a quick next request; the moment is cut short when others wait.
    For(Duration),
    /// It keeps it from its first byte until it ends, or is silent for the read timeout; the handler is never taken
    /// back.
    Forever,
}

/// Names that are admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowList {
    /// Every name, written `*`.
    Any,
    /// These names, compared as a whole.
    Only(Vec<String>),
}

impl AllowList {
    /// Admits one more name.
    pub fn add(&mut self, name: String) {
        if let Self::Only(names) = self {
            names.push(name);
        }
    }
}

impl Default for AllowList {
    fn default() -> Self {
        Self::Only(Vec::new())
    }
}

/// CPUs, as the operator names them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuList(pub Vec<CpuId>);
