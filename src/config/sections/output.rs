//! The output of the process: the report at exit, and the log.

use crate::config::kind::Kind::{Choice, Report};
use crate::config::section::section;
use crate::config::spec::option;
#[cfg(feature = "cli")]
use crate::config::values::ReportFormat;
use crate::config::values::{AccessLog, LogFormat, LogLevel, ReportTarget, Words};

section! {
    /// The output of the process. A program that embeds a server uses only the access log of these: it has a log of its
    /// own.
    pub struct OutputOptions {
        /// The report at exit; `None` means text, or none with stdio.
        pub report: Option<ReportTarget> = None => option("report", "text|json|none|html:FILE", Report,
            "The report at exit, on stdout, or on stderr with stdio; or a page for a browser, in a file")
            .derived("text, none with stdio"),
        /// Which requests get a log record.
        pub access_log: AccessLog = AccessLog::Errors => option("access-log", "off|errors|all", Choice(AccessLog::WORDS),
            "Which requests get a log record: those that fail or are refused, or all"),
        /// The least important records that are written.
        pub log_level: LogLevel = LogLevel::Info => option("log-level", "LEVEL", Choice(LogLevel::WORDS),
            "Least important log records to write"),
        /// The format of records.
        pub log_format: LogFormat = LogFormat::Text => option("log-format", "FORMAT", Choice(LogFormat::WORDS),
            "Format of log records on stderr"),
    }
}

/// Logs on stderr; by default text, from the level `info` on.
#[cfg(feature = "cli")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// The least important records that are written.
    pub level: LogLevel,
    /// The format of records.
    pub format: LogFormat,
}

#[cfg(feature = "cli")]
impl Default for LogSettings {
    fn default() -> Self {
        OutputOptions::default().log()
    }
}

#[cfg(feature = "cli")]
impl OutputOptions {
    /// The report at exit, which the settled options always name.
    pub(crate) fn report(&self) -> ReportTarget {
        self.report
            .clone()
            .unwrap_or(ReportTarget::Stream(ReportFormat::None))
    }

    /// The log on stderr.
    pub fn log(&self) -> LogSettings {
        LogSettings {
            level: self.log_level,
            format: self.log_format,
        }
    }
}
