//! Questions for the client's roots (MCP, Roots; deprecated since 2026-07-28).

use serde::Deserialize;
use serde_json::{Value, json};

use super::capabilities::ClientCapabilities;
use super::question::{Question, QuestionMethod, QuestionRequest};

/// Asks in which places the client works.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListRoots;

/// A place in which the client works. The client says so, and may say anything.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Root {
    /// The place, usually `file://`.
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
            .map_err(|error| format!("the answer is not a list of roots: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::specification::{REVISIONS, assert_matches};

    #[test]
    fn roots_are_asked_for_and_read() {
        let request = ListRoots.request(ClientCapabilities::NONE);
        for revision in REVISIONS {
            let whole = json!({
                "jsonrpc": "2.0", "id": 1, "method": request.method.as_str(), "params": request.params,
            });
            assert_matches(revision, "ListRootsRequest", &whole);
        }
        let listed = json!({"roots": [{"uri": "file:///a", "name": "A", "_meta": {}}, {"uri": "file:///b"}]});
        let roots = ListRoots.read(listed).unwrap();
        let names: Vec<_> = roots
            .iter()
            .map(|root| (root.uri.as_str(), root.name.as_deref()))
            .collect();
        assert_eq!(names, [("file:///a", Some("A")), ("file:///b", None)]);
        for wrong in [
            json!(null),
            json!({}),
            json!({"roots": [{"name": "A"}]}),
            json!({"roots": "all"}),
        ] {
            assert!(ListRoots.read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
