//! What an answer is counted as.

use crate::jsonrpc::members;
use crate::metrics::Outcome;

use super::message::{Kind, Message};

/// What a child's answer is counted as. Looks no further into it than was done already.
pub fn outcome_of(line: &[u8], message: &Message) -> Outcome {
    match (message.kind, message.outcome) {
        (Kind::Error, Some(error)) => {
            Outcome::from_error_code(error_code(error.of(line)).unwrap_or_default())
        }
        _ if message.result.is_error => Outcome::ToolError,
        _ => Outcome::Ok,
    }
}

fn error_code(error: &[u8]) -> Option<i64> {
    let code = members(error)
        .filter(|member| member.name(error) == "code")
        .last()?;
    serde_json::from_slice(code.value.of(error)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        for (line, expected) in [
            (r#"{"id":1,"result":{"content":[]}}"#, Outcome::Ok),
            (r#"{"id":1,"result":{"content":[],"isError":false}}"#, Outcome::Ok),
            (r#"{"id":1,"result":{"content":[{"isError":true}]}}"#, Outcome::Ok),
            (r#"{"id":1,"result":{"isError":"true"}}"#, Outcome::Ok),
            (r#"{"id":1,"result":[{"isError":true}]}"#, Outcome::Ok),
            (r#"{"id":1,"result":null,"isError":true}"#, Outcome::Ok),
            (
                r#"{"id":1,"result":{"content":[],"isError" : true}}"#,
                Outcome::ToolError,
            ),
            (r#"{"result":{"is\u0045rror":true},"id":1}"#, Outcome::ToolError),
            (
                r#"{"id":1,"error":{"code":-32602,"message":""}}"#,
                Outcome::InvalidParams,
            ),
            (
                r#"{"id":1,"error":{"data":{"code":1},"code":-32002}}"#,
                Outcome::ResourceNotFound,
            ),
            (r#"{"id":1,"error":{"code":-32000}}"#, Outcome::Other),
            (r#"{"id":1,"error":{"code":1e400}}"#, Outcome::Other),
            (r#"{"id":1,"error":{}}"#, Outcome::Other),
            (r#"{"id":1,"error":7}"#, Outcome::Other),
        ] {
            let message = Message::read(line.as_bytes()).unwrap();
            assert_eq!(outcome_of(line.as_bytes(), &message), expected, "{line}");
        }
    }
}
