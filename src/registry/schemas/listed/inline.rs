//! Replacement of references by their targets.
//!
//! A type that contains itself has no end: it is written out [`NESTED_MAX`] times within itself, and the innermost
//! level says only its type and that it goes on. Invariant: the result holds no reference, or is the schema as it was.

use serde_json::{Map, Value, json};

use super::keywords::try_map;
use super::merge::merge;
use crate::registry::uri::percent_decode;

/// How often a recursive definition is written out along one path. A model sees the pattern from two; more would
/// multiply.
const NESTED_MAX: usize = 2;
/// Schemas in the result. Definitions that use others many times would grow beyond all bounds; they stay references.
const SCHEMAS_MAX: usize = 2_000;
/// Keywords of definitions, which nothing refers to any more.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// The schema without references, if it stays within [`SCHEMAS_MAX`].
pub(super) fn inline(schema: &Value) -> Value {
    // Recursion that branches is tried once more with fewer levels.
    [NESTED_MAX, 1]
        .into_iter()
        .find_map(|nested_max| Inliner::new(schema, nested_max).expand(schema))
        .unwrap_or_else(|| schema.clone())
}

struct Inliner<'s> {
    root: &'s Value,
    nested_max: usize,
    schemas_left: usize,
    /// The references followed to get here, outermost first.
    followed: Vec<String>,
}

impl<'s> Inliner<'s> {
    fn new(root: &'s Value, nested_max: usize) -> Self {
        Self {
            root,
            nested_max,
            schemas_left: SCHEMAS_MAX,
            followed: vec![String::new()],
        }
    }

    fn expand(&mut self, schema: &Value) -> Option<Value> {
        self.schemas_left = self.schemas_left.checked_sub(1)?;
        let Some(keywords) = schema.as_object() else {
            return Some(schema.clone());
        };
        let mut own = Map::new();
        for (keyword, value) in keywords {
            if keyword != "$ref" && !DEFINITIONS.contains(&keyword.as_str()) {
                let expanded = try_map(keyword, value, &mut |inner| self.expand(inner))?;
                own.insert(keyword.clone(), expanded);
            }
        }
        match keywords.get("$ref") {
            None => Some(Value::Object(own)),
            Some(reference) => Some(merge(self.follow(reference.as_str()?)?, own)),
        }
    }

    fn follow(&mut self, reference: &str) -> Option<Value> {
        let pointer = percent_decode(reference.strip_prefix('#')?)?.into_owned();
        let target = self.root.pointer(&pointer)?;
        let within = self.followed.iter().filter(|other| **other == pointer).count();
        if within >= self.nested_max {
            return Some(cut(&pointer, target));
        }
        self.followed.push(pointer);
        let expanded = self.expand(target);
        self.followed.pop();
        expanded
    }
}

/// The innermost level of a recursive definition.
fn cut(pointer: &str, target: &Value) -> Value {
    let name = pointer.rsplit('/').next().filter(|name| !name.is_empty());
    let words = match name {
        Some(name) => format!("{name}, structured as above."),
        None => "Structured as the whole.".to_owned(),
    };
    match target.get("type") {
        Some(kind) => json!({"type": kind, "description": words}),
        None => json!({"description": words}),
    }
}
