//! Completion: proposals for a prompt's argument or a template's variable (MCP, Completion).

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::blocking::BlockingHandler;
use super::call::AsyncHandler;
use super::context::{BlockingContext, CallContext};
use super::handler::Handler;
use super::operation::CompleterIndex;
use super::outcome::CompletionKind;
use super::output::ToolError;

/// Most values in one answer (MCP, Completion: `values` must not exceed 100 items).
pub const COMPLETION_VALUES_MAX: usize = 100;

/// What is to be completed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Completing {
    value: String,
    #[serde(default)]
    arguments: BTreeMap<String, String>,
}

impl Completing {
    /// What the user has typed so far; perhaps nothing.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Another argument's value, if the client told what is settled already (since 2025-06-18).
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
    /// All values there are; the first hundred are told.
    pub fn all(mut values: Vec<String>) -> Self {
        let total = values.len();
        values.truncate(COMPLETION_VALUES_MAX);
        Self {
            has_more: total > values.len(),
            values,
            total: Some(total),
        }
    }

    /// The first values of more than were counted.
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

    /// Whether there are others.
    pub fn has_more(&self) -> bool {
        self.has_more
    }
}

/// What a completion function may return.
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

/// The completion functions of one prompt or template, by argument.
#[derive(Default)]
pub(super) struct Completers(pub(super) Vec<(String, Arc<dyn Handler>)>);

impl Completers {
    /// The place of the function for `argument`, if this row of functions begins at `begin`.
    pub(super) fn place(&self, argument: &str, begin: usize) -> Option<CompleterIndex> {
        let at = self.0.iter().position(|(name, _)| name == argument)?;
        Some(CompleterIndex::after(begin + at))
    }

    pub(super) fn push<T, F, H>(&mut self, argument: String, function: H)
    where
        T: IntoCompletion + 'static,
        F: Future<Output = Result<T, ToolError>> + 'static,
        H: Fn(CallContext, Completing) -> F + Send + Sync + 'static,
    {
        let handler = AsyncHandler::<CompletionKind, Completing, F, H>::new(function);
        self.0.push((argument, Arc::new(handler)));
    }

    pub(super) fn push_blocking<T, H>(&mut self, argument: String, function: H)
    where
        T: IntoCompletion + 'static,
        H: Fn(&BlockingContext, Completing) -> Result<T, ToolError> + Send + Sync + 'static,
    {
        let handler = BlockingHandler::<CompletionKind, Completing, T, H>::new(function);
        self.0.push((argument, Arc::new(handler)));
    }
}
