//! Asking for the client's roots (MCP, Roots; deprecated since 2026-07-28).

use serde::Deserialize;
use serde_json::{Value, json};

use super::capabilities::ClientCapabilities;
use super::question::{Question, QuestionMethod, QuestionRequest};

/// Asks which places the client works in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListRoots;

/// A place the client works in. The client says so, and may say anything.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Root {
    /// Where: usually `file://`.
    pub uri: String,
    /// A name for people.
    pub name: Option<String>,
}

impl Question for ListRoots {
    type Answer = Vec<Root>;

    fn needs(&self) -> ClientCapabilities {
        ClientCapabilities::ROOTS
    }

    fn request(&self, _: ClientCapabilities) -> QuestionRequest {
        QuestionRequest {
            method: QuestionMethod::ListRoots,
            params: json!({}),
        }
    }

    fn read(&self, answer: Value) -> Result<Vec<Root>, String> {
        #[derive(Deserialize)]
        struct Listed {
            roots: Vec<Root>,
        }
        serde_json::from_value(answer)
            .map(|listed: Listed| listed.roots)
            .map_err(|error| format!("the answer is no list of roots: {error}"))
    }
}
