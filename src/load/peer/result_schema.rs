//! What a tool promises of its structured results: the `outputSchema` that its server lists (MCP 2025-06-18 and later,
//! tools, output schema).

use std::fmt;

use serde_json::Value;

use crate::registry::{OutputSchema, SchemaError};

/// A compiled schema.
pub(crate) struct ResultSchema {
    given: Value,
    compiled: OutputSchema,
}

impl ResultSchema {
    /// Compiles what a server says. Nothing is fetched, and its cost is bounded.
    ///
    /// # Errors
    /// Fails for what is no schema, and for one that is too complex.
    pub(crate) fn compile(given: &Value) -> Result<ResultSchema, SchemaError> {
        Ok(ResultSchema {
            compiled: OutputSchema::compile(given)?,
            given: given.clone(),
        })
    }

    /// Why a whole result does not fit; `None` for one that does, and for one that is no last word: an error, or a
    /// question to the client.
    pub(super) fn misfit(&self, result: &Value) -> Option<String> {
        let is_last = result.get("resultType").is_none_or(|kind| kind == "complete");
        if !is_last || result["isError"] == true {
            return None;
        }
        match result.get("structuredContent") {
            None => Some("it has no structuredContent".to_owned()),
            Some(content) => self.compiled.violations(content).map(|found| found.to_string()),
        }
    }
}

impl fmt::Debug for ResultSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.given.fmt(f)
    }
}

impl PartialEq for ResultSchema {
    fn eq(&self, other: &ResultSchema) -> bool {
        self.given == other.given
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_result_fits_or_says_why_not() {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
        let schema = ResultSchema::compile(&schema).unwrap();
        for good in [
            json!({"structuredContent": {"n": 1}}),
            json!({"structuredContent": {"n": 1}, "resultType": "complete"}),
            json!({"isError": true}),
            json!({"resultType": "input_required"}),
        ] {
            assert_eq!(schema.misfit(&good), None, "{good}");
        }
        for (wrong, word) in [
            (json!({"structuredContent": {"n": "1"}}), "/n"),
            (json!({"structuredContent": {}}), "n"),
            (json!({"structuredContent": null}), ""),
            (json!({"content": []}), "no structuredContent"),
        ] {
            let why = schema.misfit(&wrong).unwrap();
            assert!(why.contains(word), "{why}");
        }
    }

    #[test]
    fn what_is_no_schema_is_said() {
        for wrong in [json!({"type": 3}), json!({"$ref": "https://example.com/schema"})] {
            assert!(ResultSchema::compile(&wrong).is_err(), "{wrong}");
        }
    }
}
