//! The bytes of an answer that are left for the items it lists.
//!
//! Clients give their models either the structured part of a result or its text, and the text is the structured part's
//! JSON. So the length of that JSON counts.

use serde::Serialize;

use super::limits::FilesLimits;

/// Bytes of JSON that are left.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnswerBytes(usize);

impl AnswerBytes {
    /// No limit, for programs, which read answers of any length.
    pub(super) const UNBOUNDED: AnswerBytes = AnswerBytes(usize::MAX);

    pub(super) fn new(limits: &FilesLimits) -> AnswerBytes {
        AnswerBytes(limits.answer_bytes_max)
    }

    /// Takes the bytes that `item` needs, if so many are left.
    pub(super) fn take(&mut self, item: &(impl Serialize + ?Sized)) -> bool {
        // One more is for a comma. Nothing that is listed here fails to be JSON.
        let needed = serde_json::to_vec(item).map_or(0, |json| json.len() + 1);
        let left = self.0.checked_sub(needed);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}
