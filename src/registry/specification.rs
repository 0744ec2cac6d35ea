//! The specification's own schemas, for tests: what this crate writes must match each revision's definition.

use std::fs;

use serde_json::{Value, json};

/// `REVISION/schema.json`; origin and licence are in the folder's README.md.
const SCHEMAS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spec");

/// All revisions, oldest first.
pub(crate) const REVISIONS: [&str; 5] = [
    "2024-11-05",
    "2025-03-26",
    "2025-06-18",
    "2025-11-25",
    "2026-07-28",
];

/// Asserts that `value` is valid by the `definition` of `revision`.
pub(crate) fn assert_matches(revision: &str, definition: &str, value: &Value) {
    let validator = compile(revision, definition);
    if let Err(error) = validator.validate(value) {
        let path = error.instance_path();
        panic!("not a {definition} of {revision}, at {path:?}: {error}\n{value:#}");
    }
}

/// A validator for `definition` of `revision`.
pub(crate) fn compile(revision: &str, definition: &str) -> jsonschema::Validator {
    let path = format!("{SCHEMAS}/{revision}/schema.json");
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut schema: Value = serde_json::from_slice(&text).unwrap();
    let place = ["$defs", "definitions"]
        .into_iter()
        .find(|place| schema.get(place).is_some_and(|all| all.get(definition).is_some()))
        .unwrap_or_else(|| panic!("revision {revision} does not define {definition}"));
    schema["$ref"] = json!(format!("#/{place}/{definition}"));
    jsonschema::options().offline().build(&schema).unwrap()
}
