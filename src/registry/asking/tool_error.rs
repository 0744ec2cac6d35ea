//! The reasons why an operation gave no result, with texts for the client and for the log.

use super::capabilities::ClientCapabilities;
use super::question::{AnswerError, QuestionRequest};
use crate::jsonrpc::{write_json, write_string};
use crate::registry::content::{TEXT_CLOSE, TEXT_OPEN};

/// Why an operation, of whatever kind, gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// The tool failed, and tells the client why.
    #[error("{0}")]
    Message(String),
    /// The tool panicked. The panic's message is not for the client.
    #[error("the tool failed unexpectedly")]
    Panicked,
    /// The call took too long.
    #[error("the call timed out")]
    TimedOut,
    /// The call was cancelled.
    #[error("the call was cancelled")]
    Cancelled,
    /// The thing that was asked for does not exist. For resources the protocol has an answer of its own.
    #[error("not found")]
    NotFound,
    /// The arguments ask for something impossible; the text tells the client why.
    #[error("{0}")]
    InvalidArguments(String),
    /// The tool or its schema is at fault; the text is for the log only.
    #[error("internal error")]
    Internal(String),
    /// The client has to answer first, and then call again: `ask` gives this where there is no way back to a running
    /// call. A tool passes it on; the call's questions become its answer (MCP 2026-07-28, `InputRequiredResult`).
    #[error("the client has to answer first")]
    InputRequired,
    /// The client cannot be asked this. It lacks these capabilities, or this kind of request does not ask.
    #[error("the client cannot be asked; this needs: {0}")]
    MissingCapability(ClientCapabilities),
    /// The client's answer to a question cannot be used; the text tells the client, whose fault it is, why.
    #[error("{0}")]
    InvalidAnswer(String),
    /// The user has to open these URLs first, then the client may call again (MCP 2025-11-25,
    /// `URLElicitationRequiredError`). See [`ToolError::url_elicitation_required`].
    #[error("the user has to open a URL first")]
    UrlElicitationRequired(Vec<QuestionRequest>),
}

impl ToolError {
    /// A failure with a text that the client reads.
    pub fn message(text: impl std::fmt::Display) -> Self {
        Self::Message(text.to_string())
    }

    /// Arguments that cannot be served, with a text that the client reads.
    pub fn invalid_arguments(text: impl std::fmt::Display) -> Self {
        Self::InvalidArguments(text.to_string())
    }

    /// A failure whose details only the log gets.
    pub fn internal(detail: impl std::fmt::Display) -> Self {
        Self::Internal(detail.to_string())
    }

    /// The details for the log, where they differ from what the client reads.
    pub fn log_detail(&self) -> Option<&str> {
        match self {
            Self::Internal(detail) => Some(detail),
            _ => None,
        }
    }

    /// Appends the content of an `isError` result: this error's text for the client in one text block.
    pub fn write_content(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(TEXT_OPEN);
        match self {
            Self::Message(text) | Self::InvalidArguments(text) | Self::InvalidAnswer(text) => {
                write_string(out, text)
            }
            other => write_json(&mut *out, &format_args!("{other}")),
        }
        out.extend_from_slice(TEXT_CLOSE);
    }

    /// The error of a call that wanted an answer and does not get one.
    pub(super) fn of_answer(error: AnswerError) -> Self {
        match error {
            AnswerError::Refused { .. } | AnswerError::Unavailable => Self::message(error),
            AnswerError::Unreadable(_) => Self::InvalidAnswer(error.to_string()),
            AnswerError::Cancelled => Self::Cancelled,
            AnswerError::TimedOut => Self::TimedOut,
        }
    }
}

impl From<String> for ToolError {
    fn from(text: String) -> Self {
        Self::Message(text)
    }
}

impl From<&str> for ToolError {
    fn from(text: &str) -> Self {
        Self::Message(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::registry::specification::assert_matches;

    #[test]
    fn internal_details_stay_inside() {
        let error = ToolError::internal("/etc/secret");
        let mut text = Vec::new();
        error.write_content(&mut text);
        assert_eq!(text, br#"[{"type":"text","text":"internal error"}]"#);
        assert_eq!(error.log_detail(), Some("/etc/secret"));
    }

    #[test]
    fn what_a_call_needs_of_its_client_is_said_in_words() {
        use crate::registry::{Elicit, QuestionMethod};
        let needs = ClientCapabilities::SAMPLING.with(ClientCapabilities::SAMPLING_TOOLS);
        assert_eq!(
            ToolError::MissingCapability(needs).to_string(),
            "the client cannot be asked; this needs: sampling, sampling.tools"
        );
        let mut text = Vec::new();
        ToolError::InvalidAnswer("not a name".into()).write_content(&mut text);
        let content: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(content, json!([{"type": "text", "text": "not a name"}]));

        let places = ["https://a.example/1", "https://a.example/2"].map(|url| Elicit::url("Go there.", url));
        let ids = places.each_ref().map(|place| place.id().to_owned());
        let ToolError::UrlElicitationRequired(requests) = ToolError::url_elicitation_required(places) else {
            panic!("another error");
        };
        assert_eq!(requests.len(), 2);
        for (request, id) in requests.iter().zip(ids) {
            assert_eq!(request.method, QuestionMethod::Elicit);
            assert_matches("2025-11-25", "ElicitRequestURLParams", &request.params);
            assert_eq!(request.params["elicitationId"], json!(id));
        }
    }
}
