//! A legacy client's call to a child that asks by its answers: what is needed to make it again.

use std::time::Instant;

/// A call that may be made again, with what its client answers in between.
#[derive(Debug)]
pub(in crate::shard) struct Rounds {
    /// The request as children of its server get it.
    pub text: Box<[u8]>,
    /// How often the child has asked.
    pub count: u32,
    /// What the child wants back, with its quotes.
    pub state: Option<Box<[u8]>>,
    /// The questions of this round.
    pub questions: Vec<RoundQuestion>,
    /// When the client has to have answered.
    pub due: Option<Instant>,
}

/// A question that a client was asked.
#[derive(Debug)]
pub(in crate::shard) struct RoundQuestion {
    /// The string by which the child knows it, with its quotes.
    pub key: Box<[u8]>,
    /// The client's result.
    pub answer: Option<Box<[u8]>>,
}

impl Rounds {
    pub(in crate::shard) fn new(text: &[u8]) -> Rounds {
        Rounds {
            text: text.into(),
            count: 0,
            state: None,
            questions: Vec::new(),
            due: None,
        }
    }

    /// Whether all questions of this round are answered.
    pub(in crate::shard) fn is_answered(&self) -> bool {
        self.questions.iter().all(|question| question.answer.is_some())
    }
}
