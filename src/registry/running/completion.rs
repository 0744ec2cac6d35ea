//! Completion: proposals for a prompt's argument or a template's variable (MCP, Completion).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Most values in one answer (MCP, Completion: `values` must not exceed 100 items).
pub const COMPLETION_VALUES_MAX: usize = 100;

/// The argument or variable to be completed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct CompletionRequest {
    value: String,
    #[serde(default)]
    arguments: BTreeMap<String, String>,
}

impl CompletionRequest {
    /// What the user has typed so far; perhaps nothing.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The value of another argument, if the client sent the settled ones (since 2025-06-18).
    pub fn argument(&self, name: &str) -> Option<&str> {
        self.arguments.get(name).map(String::as_str)
    }
}

/// Proposals. Serialises as the `completion` of MCP's `CompleteResult`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Completion {
    values: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<usize>,
    has_more: bool,
}

impl Completion {
    /// All values that exist; the client gets the first hundred.
    pub fn all(mut values: Vec<String>) -> Self {
        let total = values.len();
        values.truncate(COMPLETION_VALUES_MAX);
        Self {
            has_more: total > values.len(),
            values,
            total: Some(total),
        }
    }

    /// The first values, if more exist than were counted.
    pub fn some(mut values: Vec<String>) -> Self {
        values.truncate(COMPLETION_VALUES_MAX);
        Self {
            values,
            total: None,
            has_more: true,
        }
    }

    /// The proposals.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Whether more values exist.
    pub fn has_more(&self) -> bool {
        self.has_more
    }
}

/// A type that a completion function may return.
#[diagnostic::on_unimplemented(
    message = "a completion function cannot return `{Self}`",
    label = "not a completion",
    note = "return a `Vec<String>`, or a `Completion` that says whether there are more"
)]
pub trait IntoCompletion {
    /// The proposals.
    fn into_completion(self) -> Completion;
}

impl IntoCompletion for Completion {
    fn into_completion(self) -> Completion {
        self
    }
}

impl IntoCompletion for Vec<String> {
    fn into_completion(self) -> Completion {
        Completion::all(self)
    }
}

impl IntoCompletion for Vec<&'static str> {
    fn into_completion(self) -> Completion {
        Completion::all(self.into_iter().map(str::to_owned).collect())
    }
}
