//! The requests that a child has put to its client and that are not answered.
//!
//! Invariant: there are at most [`OPEN_MAX`] of them, and each is about a call that is running, or about none.

use std::time::Instant;

use super::calls::CallKey;

/// Questions of one child that may be open. Hardly any program asks two at once.
const OPEN_MAX: usize = 32;

/// Why a question is answered by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionRefusal {
    /// It cannot be said whose client is meant, or that one is not to be asked such a thing.
    #[error("there is no client to ask")]
    Nobody,
    /// More are open than may be.
    #[error("too many questions are open")]
    TooMany,
    /// The client cannot be reached, has left or cancelled its call.
    #[error("the client has left or cancelled its call")]
    Left,
    /// The client took too long.
    #[error("the client has not answered in time")]
    TimedOut,
    /// The client's answer could not be read.
    #[error("the client's answer could not be read")]
    Unreadable,
    /// The call is over.
    #[error("the call is over")]
    CallOver,
    /// The server is about to end.
    #[error("the server is about to end")]
    Draining,
}

impl QuestionRefusal {
    /// The code of the JSON-RPC error that the child gets.
    pub fn code(self) -> i32 {
        const METHOD_NOT_FOUND: i32 = -32601;
        const INTERNAL_ERROR: i32 = -32603;
        match self {
            QuestionRefusal::Nobody => METHOD_NOT_FOUND,
            _ => INTERNAL_ERROR,
        }
    }
}

/// A question that waits for its answer.
#[derive(Debug)]
pub(super) struct OpenQuestion {
    /// Counts up from 1 in its child's life.
    pub(super) number: u32,
    /// The call that it is about; `None` if it was asked while there was none.
    pub(super) call: Option<CallKey>,
    /// The id under which the child waits, as it wrote it.
    pub(super) id: Box<str>,
    due: Instant,
}

/// All of one child.
#[derive(Debug, Default)]
pub(super) struct OpenQuestions {
    open: Vec<OpenQuestion>,
    last: u32,
}

impl OpenQuestions {
    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether one is about this call.
    pub(super) fn has_any_of(&self, call: CallKey) -> bool {
        self.open.iter().any(|question| question.call == Some(call))
    }

    /// The call that the newest is about.
    pub(super) fn last_asked(&self) -> Option<CallKey> {
        self.open.iter().rev().find_map(|question| question.call)
    }

    /// The call that this one is about.
    pub(super) fn call_of(&self, number: u32) -> Option<CallKey> {
        let mut open = self.open.iter();
        open.find(|question| question.number == number)?.call
    }

    /// Whether this one is open.
    pub(super) fn has(&self, number: u32) -> bool {
        self.open.iter().any(|question| question.number == number)
    }

    /// Memory that they hold.
    pub(super) fn held_bytes(&self) -> usize {
        self.open.iter().map(|question| question.id.len()).sum()
    }

    /// Notes a question; its number, unless too many are open.
    pub(super) fn begin(&mut self, call: Option<CallKey>, id: &str, due: Instant) -> Option<u32> {
        if self.open.len() >= OPEN_MAX {
            return None;
        }
        self.last = self.last.wrapping_add(1).max(1);
        let number = self.last;
        self.open.push(OpenQuestion {
            number,
            call,
            id: id.into(),
            due,
        });
        Some(number)
    }

    /// Takes one out that is answered.
    pub(super) fn take(&mut self, number: u32) -> Option<OpenQuestion> {
        self.take_where(|question| question.number == number)
    }

    /// Takes one out that is about this call.
    pub(super) fn take_of(&mut self, call: CallKey) -> Option<OpenQuestion> {
        self.take_where(|question| question.call == Some(call))
    }

    /// Takes one out that has waited for too long.
    pub(super) fn take_overdue(&mut self, now: Instant) -> Option<OpenQuestion> {
        self.take_where(|question| question.due <= now)
    }

    /// Takes one out.
    pub(super) fn take_any(&mut self) -> Option<OpenQuestion> {
        self.take_where(|_| true)
    }

    /// Those that are about one call are about another from now on.
    pub(super) fn move_all(&mut self, from: CallKey, to: CallKey) {
        for question in self
            .open
            .iter_mut()
            .filter(|question| question.call == Some(from))
        {
            question.call = Some(to);
        }
    }

    /// They are of no interest any more.
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    fn take_where(&mut self, is_it: impl Fn(&OpenQuestion) -> bool) -> Option<OpenQuestion> {
        let at = self.open.iter().position(is_it)?;
        Some(self.open.remove(at))
    }
}
