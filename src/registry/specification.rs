//! The specification's own schemas, for tests: what this crate writes must match each revision's definition.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// All revisions, oldest first.
pub(crate) const REVISIONS: [&str; 5] = [
    "2024-11-05",
    "2025-03-26",
    "2025-06-18",
    "2025-11-25",
    "2026-07-28",
];

/// Asserts that `value` is what `revision` defines under `definition`.
pub(crate) fn assert_matches(revision: &str, definition: &str, value: &Value) {
    let mut schema = document(revision);
    let place = ["$defs", "definitions"]
        .into_iter()
        .find(|place| schema.get(place).is_some_and(|all| all.get(definition).is_some()))
        .unwrap_or_else(|| panic!("revision {revision} does not define {definition}"));
    schema["$ref"] = json!(format!("#/{place}/{definition}"));
    let validator = jsonschema::options().offline().build(&schema).unwrap();
    if let Err(error) = validator.validate(value) {
        let path = error.instance_path();
        panic!("not a {definition} of {revision}, at {path:?}: {error}\n{value:#}");
    }
}

fn document(revision: &str) -> Value {
    let path = folder().join(revision).join("schema.json");
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

/// `shared/spec`, beside this crate or beside one of the folders around it.
fn folder() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .map(|folder| folder.join("shared/spec"))
        .find(|folder| folder.is_dir())
        .unwrap_or_else(|| {
            panic!(
                "no shared/spec at or above {}: it holds REVISION/schema.json of the MCP specification",
                here.display()
            )
        })
}
