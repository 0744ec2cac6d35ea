//! Questions to the client: what one is, and waiting for its answer.
//!
//! The kinds are beside this file: [`Elicit`](super::Elicit), [`Sample`](super::Sample) and
//! [`ListRoots`](super::ListRoots). The way to the client and back is the [`CallLink`]'s business.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde_json::Value;

use super::capabilities::ClientCapabilities;
use super::link::{CallLink, Put};
use super::output::ToolError;

/// Something a server can ask a client.
pub trait Question {
    /// What the client's answer is read into.
    type Answer;

    /// What the client must have declared.
    fn needs(&self) -> ClientCapabilities;

    /// The request, with nothing in it that a client with these capabilities should not get.
    fn request(&self, client: ClientCapabilities) -> QuestionRequest;

    /// Reads the result that the client gave.
    ///
    /// # Errors
    /// What is wrong with it, in words for the client.
    fn read(&self, answer: Value) -> Result<Self::Answer, String>;

    /// Whether the question can be asked at all; an error is its author's fault.
    ///
    /// # Errors
    /// What is wrong with it, in words for the log.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// A question without its envelope: neither id nor `_meta`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionRequest {
    /// Which kind.
    pub method: QuestionMethod,
    /// `params`: an object.
    pub params: Value,
}

/// The kinds of question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// A question that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotedQuestion {
    /// Counts up from 0 in its call.
    pub number: u32,
    /// What the tool calls it; unique in its call.
    pub key: String,
    /// What to send.
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
        /// The client's words.
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
    /// It was never put: as many questions wait for clients as may, or the server is about to end.
    #[error("the server cannot put more questions to clients at present")]
    Unavailable,
}

impl From<AnswerError> for ToolError {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Refused { .. } | AnswerError::Unavailable => Self::message(error),
            AnswerError::Unreadable(_) => Self::InvalidAnswer(error.to_string()),
            AnswerError::Cancelled => Self::Cancelled,
            AnswerError::TimedOut => Self::TimedOut,
        }
    }
}

/// A question that was put and may be waited for. It is put when `ask` is called, not when this is first polled, so
/// questions asked before the first is awaited go out together. Dropping it takes the question back as far as that
/// is possible: an answer is ignored.
#[must_use = "the answer is what this gives when it is awaited"]
pub struct Ask<Q> {
    question: Q,
    state: AskState,
}

enum AskState {
    Settled(Result<Value, ToolError>),
    Waiting { link: Arc<CallLink>, number: u32 },
    Finished,
}

impl<Q: Question> Ask<Q> {
    /// Puts the question, if there is somebody to put it to.
    pub(super) fn put(link: Option<&Arc<CallLink>>, key: &str, question: Q) -> Self {
        let state = match (link, question.check()) {
            (_, Err(fault)) => AskState::Settled(Err(ToolError::internal(format_args!(
                "question {key:?} cannot be asked: {fault}"
            )))),
            (None, Ok(())) => AskState::Settled(Err(ToolError::MissingCapability(question.needs()))),
            (Some(link), Ok(())) => match link.put(key, &question) {
                Put::Settled(result) => AskState::Settled(result),
                Put::Waiting(number) => AskState::Waiting {
                    link: Arc::clone(link),
                    number,
                },
            },
        };
        Self { question, state }
    }

    /// Waits on this thread. `is_cancelled` is looked at now and then.
    pub(super) fn wait(mut self, is_cancelled: impl Fn() -> bool) -> Result<Q::Answer, ToolError> {
        let answer = match std::mem::replace(&mut self.state, AskState::Finished) {
            AskState::Settled(result) => result,
            AskState::Waiting { link, number } => link.wait_for(number, is_cancelled),
            AskState::Finished => Err(ToolError::Cancelled),
        };
        self.read(answer)
    }

    fn read(&self, answer: Result<Value, ToolError>) -> Result<Q::Answer, ToolError> {
        let answer = answer?;
        // Derived readers take an array for an object, its elements in order.
        if !answer.is_object() {
            return Err(ToolError::InvalidAnswer("the answer is no object".to_owned()));
        }
        self.question.read(answer).map_err(ToolError::InvalidAnswer)
    }
}

// Nothing of it is pinned.
impl<Q> Unpin for Ask<Q> {}

impl<Q: Question> Future for Ask<Q> {
    type Output = Result<Q::Answer, ToolError>;

    /// Polled again after it was ready, it says that it was cancelled.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match std::mem::replace(&mut self.state, AskState::Finished) {
            AskState::Settled(result) => result,
            AskState::Waiting { link, number } => match link.poll_answer(number, cx.waker()) {
                Poll::Ready(result) => result,
                Poll::Pending => {
                    self.state = AskState::Waiting { link, number };
                    return Poll::Pending;
                }
            },
            AskState::Finished => Err(ToolError::Cancelled),
        };
        Poll::Ready(self.read(answer))
    }
}

impl<Q> Drop for Ask<Q> {
    fn drop(&mut self) {
        if let AskState::Waiting { link, number } = &self.state {
            link.withdraw(*number);
        }
    }
}

impl<Q> std::fmt::Debug for Ask<Q> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match &self.state {
            AskState::Settled(_) => "settled",
            AskState::Waiting { .. } => "waiting",
            AskState::Finished => "finished",
        };
        f.debug_tuple("Ask").field(&state).finish()
    }
}
