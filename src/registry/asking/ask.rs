//! A question that was asked, and the wait for its answer. [`CallLink`] carries both.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde_json::Value;

use super::link::{CallLink, QuestionState};
use super::question::Question;
use super::tool_error::ToolError;

/// A question that was asked, whose answer can be awaited. The question goes out when `ask` is called, not when this is
/// first polled, so several questions can go out before the first is awaited. Dropping this withdraws the question as
/// far as that is possible: its answer is ignored.
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
    /// Asks the question, if there is a client to ask.
    pub(in crate::registry) fn begin(link: Option<&Arc<CallLink>>, key: &str, question: Q) -> Self {
        let state = match (link, question.check()) {
            (_, Err(fault)) => AskState::Settled(Err(ToolError::internal(format_args!(
                "question {key:?} cannot be asked: {fault}"
            )))),
            (None, Ok(())) => AskState::Settled(Err(ToolError::MissingCapability(question.needs()))),
            (Some(link), Ok(())) => match link.begin_question(key, &question) {
                QuestionState::Settled(result) => AskState::Settled(result),
                QuestionState::Waiting(number) => AskState::Waiting {
                    link: Arc::clone(link),
                    number,
                },
            },
        };
        Self { question, state }
    }

    /// Waits on this thread, and checks `is_cancelled` now and then.
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
        // Derived readers would take an array for an object, its elements in order.
        if !answer.is_object() {
            return Err(ToolError::InvalidAnswer("the answer is not an object".to_owned()));
        }
        self.question.read(answer).map_err(ToolError::InvalidAnswer)
    }
}

// Nothing in it is pinned.
impl<Q> Unpin for Ask<Q> {}

impl<Q: Question> Future for Ask<Q> {
    type Output = Result<Q::Answer, ToolError>;

    /// A poll after it was ready says that it was cancelled.
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
