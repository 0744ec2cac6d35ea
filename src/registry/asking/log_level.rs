//! The severity of a log message (MCP, Logging; RFC 5424, section 6.2.1).

use serde::{Deserialize, Serialize};

/// Severities, least severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Details for finding faults.
    Debug,
    /// What happens, in general.
    Info,
    /// Normal, but worth a look.
    Notice,
    /// Something may be wrong.
    Warning,
    /// Something is wrong.
    Error,
    /// A part has failed.
    Critical,
    /// Somebody has to act at once.
    Alert,
    /// Nothing works.
    Emergency,
}

impl LogLevel {
    /// All levels, least severe first.
    pub const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// The level of this name, in lower case as in the protocol.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }

    /// The name in the protocol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }
}

impl std::fmt::Display for LogLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::specification::{REVISIONS, assert_matches};
    use serde_json::json;

    #[test]
    fn names_are_the_protocols_and_lead_back() {
        for level in LogLevel::ALL {
            let written = serde_json::to_value(level).unwrap();
            assert_eq!(written, json!(level.as_str()));
            assert_eq!(
                serde_json::from_value::<LogLevel>(written.clone()).unwrap(),
                level
            );
            assert_eq!(LogLevel::parse(level.as_str()), Some(level));
            for revision in REVISIONS {
                assert_matches(revision, "LoggingLevel", &written);
            }
        }
        for name in ["", "Info", "warn", "info ", "fatal"] {
            assert_eq!(LogLevel::parse(name), None, "{name}");
        }
    }

    #[test]
    fn the_order_is_that_of_severity() {
        assert!(LogLevel::ALL.is_sorted());
        assert!(LogLevel::Debug < LogLevel::Info && LogLevel::Alert < LogLevel::Emergency);
    }
}
