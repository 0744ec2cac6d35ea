//! Questions to the client, and the reasons why one may get no answer.
//!
//! The kinds are beside this file: [`Elicit`](crate::Elicit), [`Sample`](crate::Sample) and
//! [`ListRoots`](crate::ListRoots).

use serde_json::Value;

use super::capabilities::ClientCapabilities;

/// Something a server can ask a client.
pub trait Question {
    /// The type that the client's answer is read into.
    type Answer;

    /// The capabilities that the client must have declared.
    fn needs(&self) -> ClientCapabilities;

    /// The request, with nothing in it that a client with these capabilities should not get.
    fn request(&self, client: ClientCapabilities) -> QuestionRequest;

    /// Reads the result that the client gave.
    ///
    /// # Errors
    /// Says what is wrong with it, for the client.
    fn read(&self, answer: Value) -> Result<Self::Answer, String>;

    /// Checks whether the question can be asked at all; an error is its author's fault.
    ///
    /// # Errors
    /// Says what is wrong with it, for the log.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// A question without its envelope: neither id nor `_meta`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionRequest {
    /// The kind of the question.
    pub method: QuestionMethod,
    /// `params`: an object.
    pub params: Value,
}

/// The kinds of question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QuestionMethod {
    /// Asks the user (since 2025-06-18).
    Elicit,
    /// Asks the client's model.
    Sample,
    /// Asks for the roots.
    ListRoots,
}

impl QuestionMethod {
    /// The method's name in the protocol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Elicit => "elicitation/create",
            Self::Sample => "sampling/createMessage",
            Self::ListRoots => "roots/list",
        }
    }
}

/// A question that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedQuestion {
    /// Counts up from 0 in its call.
    pub number: u32,
    /// The tool's name for it, unique in its call.
    pub key: String,
    /// The request to send.
    pub request: QuestionRequest,
}

/// Why a question got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The client answered with an error.
    #[error("the client answered with error {code}: {message}")]
    Refused {
        /// The JSON-RPC code.
        code: i64,
        /// The client's message.
        message: String,
    },
    /// The client answered, and the server could not read what it sent; the text says why.
    #[error("the client's answer was refused: {0}")]
    Unreadable(String),
    /// The client, its session or the call is gone.
    #[error("the question was cancelled")]
    Cancelled,
    /// The client took too long.
    #[error("the question timed out")]
    TimedOut,
    /// The question was never sent: as many questions as may wait for clients, or the server is about to end.
    #[error("the server cannot put more questions to clients at present")]
    Unavailable,
}
