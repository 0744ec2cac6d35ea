//! Sessions that hold nothing: no log level, no subscriptions, no questions, no state sealed for the client.
//!
//! What would have to be remembered is refused, what could only be forgotten is ignored.

use super::SealedSessions;
use crate::jsonrpc::RequestId;
use crate::mcp::{LiveRefused, LiveState, OpenSession, SessionToken, StateSeal, UnixSeconds};
use crate::registry::{AnswerError, LogLevel};

impl LiveState for SealedSessions {
    fn set_log_level(&self, _: &OpenSession, _: LogLevel) -> Result<(), LiveRefused> {
        Err(LiveRefused::Full)
    }

    fn log_level(&self, _: SessionToken) -> Option<LogLevel> {
        None
    }

    fn subscribe(&self, _: &OpenSession, _: &str) -> Result<(), LiveRefused> {
        Err(LiveRefused::Full)
    }

    fn unsubscribe(&self, _: &OpenSession, _: &str) {}

    fn cancel(&self, _: SessionToken, _: &RequestId) {}

    fn answer(&self, _: SessionToken, _: &str, _: Result<serde_json::Value, AnswerError>) {}
}

impl StateSeal for SealedSessions {
    fn seal(&self, _: &[u8], _: &[u8], _: UnixSeconds) -> Option<String> {
        None
    }

    fn open(&self, _: &str, _: &[u8], _: UnixSeconds) -> Option<Vec<u8>> {
        None
    }
}
