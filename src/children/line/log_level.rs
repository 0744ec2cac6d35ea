//! How severe a child's log message is.

use crate::jsonrpc::members;
use crate::registry::LogLevel;

use super::message::Message;

/// The level of a `notifications/message`; `None` if it has none that is known.
pub fn level_of(line: &[u8], message: &Message) -> Option<LogLevel> {
    let params = message.params?.of(line);
    let level = members(params)
        .filter(|member| member.name(params) == "level")
        .last()?;
    LogLevel::parse(&serde_json::from_slice::<String>(level.value.of(params)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_and_others_are_not() {
        for (params, expected) in [
            (
                r#"{"data":{"level":"debug"},"level":"\u0065rror"}"#,
                Some(LogLevel::Error),
            ),
            (r#"{"level":"loud"}"#, None),
            (r#"{"level":7}"#, None),
            ("[]", None),
        ] {
            let line = format!(r#"{{"method":"notifications/message","params":{params}}}"#);
            let message = Message::read(line.as_bytes()).unwrap();
            assert_eq!(level_of(line.as_bytes(), &message), expected, "{line}");
        }
    }
}
