//! Answers that fit their readers: how much of one is left for what it lists.
//!
//! Clients give their models the structured part of a result or its text, and hardly one gives both; the text is the
//! structured part's JSON. So that is what is counted.

use serde::Serialize;

use super::limits::FilesLimits;

/// Bytes of JSON that are left.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnswerBytes(usize);

impl AnswerBytes {
    /// For programs, which read answers of any length.
    pub(super) const UNBOUNDED: AnswerBytes = AnswerBytes(usize::MAX);

    pub(super) fn new(limits: &FilesLimits) -> AnswerBytes {
        AnswerBytes(limits.answer_bytes_max)
    }

    /// Takes what `item` needs, if there is so much.
    pub(super) fn take(&mut self, item: &(impl Serialize + ?Sized)) -> bool {
        // And a comma. Nothing that is listed here fails to be JSON.
        let needed = serde_json::to_vec(item).map_or(0, |json| json.len() + 1);
        let left = self.0.checked_sub(needed);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}
