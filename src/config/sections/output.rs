//! What the process says: the report at exit, and the log.

use crate::config::kind::Kind::Choice;
use crate::config::section::section;
use crate::config::spec::option;
use crate::config::values::{AccessLog, LogFormat, LogLevel, ReportFormat, Words};

section! {
    /// What the process says. Only the access log concerns programs that embed a server: the log is theirs.
    #[derive(Copy)]
    pub struct OutputOptions {
        /// The report at exit; `None`: text, or none with stdio.
        pub report: Option<ReportFormat> = None => option("report", "FORMAT", Choice(ReportFormat::WORDS),
            "The report at exit, on stdout, or on stderr with stdio").derived("text, none with stdio"),
        /// Which requests get a log record.
        pub access_log: AccessLog = AccessLog::Errors => option("access-log", "off|errors|all", Choice(AccessLog::WORDS),
            "Which requests get a log record: those that fail or are refused, or all"),
        /// The least important record that is written.
        pub log_level: LogLevel = LogLevel::Info => option("log-level", "LEVEL", Choice(LogLevel::WORDS),
            "The least important log record written"),
        /// How records look.
        pub log_format: LogFormat = LogFormat::Text => option("log-format", "FORMAT", Choice(LogFormat::WORDS),
            "How log records on stderr look"),
    }
}
