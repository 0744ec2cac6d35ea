//! A question that was put, and waiting for its answer. The way to the client and back is the [`CallLink`]'s business.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde_json::Value;

use super::link::{CallLink, Put};
use super::question::Question;
use super::tool_error::ToolError;

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
    pub(in crate::registry) fn put(link: Option<&Arc<CallLink>>, key: &str, question: Q) -> Self {
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
    pub(in crate::registry) fn wait(
        mut self,
        is_cancelled: impl Fn() -> bool,
    ) -> Result<Q::Answer, ToolError> {
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
