//! The types of options that are not plain numbers, sizes or times.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
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
            /// As it is written on the command line.
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

    /// As it is written.
    fn word(self) -> &'static str;

    /// The value of a word, if it is one.
    fn of_word(word: &str) -> Option<Self> {
        let at = Self::WORDS.iter().position(|known| *known == word)?;
        Self::ALL.get(at).copied()
    }
}

words! {
    /// How clients come.
    TransportKind {
        /// Any number of them, over HTTP and what begins as HTTP.
        Http => "http",
        /// One, which started this process and holds its stdin and stdout.
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
        /// Nothing.
        None => "none",
    }
}

words! {
    /// Which requests get a log record of their own.
    AccessLog {
        /// None.
        Off => "off",
        /// Those that fail or are refused.
        Errors => "errors",
        /// Every one.
        All => "all",
    }
}

words! {
    /// Importance of a log record.
    LogLevel {
        /// Nothing is written.
        Off => "off",
        /// Something failed that should not have.
        Error => "error",
        /// Something an operator should look at.
        Warn => "warn",
        /// Start, stop and the like.
        Info => "info",
        /// What a developer of tools wants to see.
        Debug => "debug",
        /// Everything.
        Trace => "trace",
    }
}

words! {
    /// How log records look; each is one line either way.
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
    /// No such listener.
    Off,
    /// Listen here; a busy port is an error.
    At(SocketAddr),
    /// Listen here, since nobody asked for another place; a busy port is a warning.
    IfFree(SocketAddr),
}

impl AdminSettings {
    /// Where the listener of a server is unless an operator says otherwise.
    pub const DEFAULT: Self = Self::IfFree(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464));

    /// Where to listen, if anywhere.
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
    /// Not at all: the lease ends with the answer. Written `0s`.
    None,
    /// A moment for a quick next request, cut short when others wait.
    For(Duration),
    /// From a connection's first byte until it ends, or is silent for the read timeout; never taken back.
    Forever,
}

/// Names that are let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowList {
    /// Every name, written `*`.
    Any,
    /// These, compared whole.
    Only(Vec<String>),
}

impl AllowList {
    /// Lets one more name in.
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

/// CPUs, as they are named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuList(pub Vec<CpuId>);
