//! The state of a link under its lock: messages that nobody took yet, questions and their answers.
//!
//! Invariant: a key is used for one question of a call; a question waits until its answer was taken or it is withdrawn.

use std::task::Waker;

use serde_json::Value;

use super::unsent::Unsent;
use crate::registry::asking::question::{AnswerError, AskedQuestion};
use crate::registry::asking::tool_error::ToolError;

/// Questions one call may ask. Each takes a client's answer, so a call with more is probably in a loop.
pub const QUESTIONS_MAX: usize = 256;
/// The longest key of a question; keys travel to the client and back.
pub const QUESTION_KEY_BYTES_MAX: usize = 128;

/// The state under the lock.
#[derive(Default)]
pub(super) struct LinkState {
    /// Messages from another thread, or from times when no shard polled the call.
    pub(super) unsent: Unsent,
    /// The keys of all questions, so that none is asked twice.
    pub(super) keys: Vec<String>,
    /// Questions on the stream whose answers were not yet taken.
    pub(super) waiting: Vec<Waiting>,
    /// Questions that are to be the call's answer.
    pub(super) unanswered: Vec<AskedQuestion>,
}

pub(super) struct Waiting {
    pub(super) number: u32,
    pub(super) state: WaitState,
}

pub(super) enum WaitState {
    Open(Option<Waker>),
    Answered(Result<Value, AnswerError>),
}

impl LinkState {
    /// Empties the state. It keeps its memory, except for what an unusually talkative call needed.
    pub(super) fn clear(&mut self) {
        self.unsent.clear();
        self.keys.clear();
        self.waiting.clear();
        self.unanswered.clear();
    }

    /// Whether nothing was said or asked.
    pub(super) fn is_empty(&self) -> bool {
        self.unsent.iter().next().is_none() && self.keys.is_empty()
    }

    /// Assigns the number of a new question.
    pub(super) fn claim(&mut self, key: &str) -> Result<u32, String> {
        if key.is_empty() || key.len() > QUESTION_KEY_BYTES_MAX {
            return Err(format!(
                "the key of a question is 1 to {QUESTION_KEY_BYTES_MAX} bytes, not {}",
                key.len()
            ));
        }
        if self.keys.iter().any(|known| known == key) {
            return Err(format!("question {key:?} was asked twice in one call"));
        }
        if self.keys.len() >= QUESTIONS_MAX {
            return Err(format!("a call may ask {QUESTIONS_MAX} questions, and no more"));
        }
        self.keys.push(key.to_owned());
        Ok(self.keys.len() as u32 - 1)
    }

    pub(super) fn state_of(&mut self, number: u32) -> Option<&mut WaitState> {
        let waiting = self.waiting.iter_mut().find(|waiting| waiting.number == number);
        waiting.map(|waiting| &mut waiting.state)
    }

    /// Takes the answer to a question, if it has come; nobody waits for it any more.
    pub(super) fn take_answer(&mut self, number: u32) -> Option<Result<Value, ToolError>> {
        let is_answered =
            |waiting: &Waiting| waiting.number == number && matches!(waiting.state, WaitState::Answered(_));
        let at = self.waiting.iter().position(is_answered)?;
        match self.waiting.swap_remove(at).state {
            WaitState::Answered(answer) => Some(answer.map_err(ToolError::of_answer)),
            WaitState::Open(_) => None,
        }
    }

    pub(super) fn forget(&mut self, number: u32) {
        self.waiting.retain(|waiting| waiting.number != number);
        self.unsent.forget_question(number);
    }
}

impl Waiting {
    pub(super) fn take_waker(&mut self) -> Option<Waker> {
        match &mut self.state {
            WaitState::Open(waker) => waker.take(),
            WaitState::Answered(_) => None,
        }
    }
}
