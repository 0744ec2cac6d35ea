//! The schemas that clients are shown: a Rust type's schema in the keywords that all clients accept.
//!
//! Arguments and results are checked against the type's schema as it is; this makes another one from it for listings.
//! One schema that a client, or the service behind it, cannot accept often costs the client the whole list of tools, so
//! the strictest client sets the rules. Schemas written by hand are listed as they are written;
//! [`unportable_input`](super::unportable_input) tells what is wrong with them.
//!
//! | client | what it does | what is listed |
//! |---|---|---|
//! | Cursor | compares a value's type with the list of types or with the first `anyOf`, and refuses every value for an optional argument | one `type`, no `null`; alternatives have one `type` each |
//! | Gemini API | 400 for the whole request: `type` lists, `const`, `oneOf`, `$ref`, arrays without `items`, `items` or `properties` beside another type or beside `anyOf`, required names that are no property | none of these; keywords beside alternatives are put into each |
//! | OpenAI API | 400: an object without `properties`, a root with `anyOf` and its like; `allOf` and `oneOf` anywhere in strict mode | `properties`, if empty; one object at the root, `anyOf` elsewhere |
//! | Anthropic API | 400: `oneOf`, `anyOf`, `allOf` at the root | as above |
//! | Claude Code, OpenCode | a boolean for a property's schema, or a recursive reference: all tools of the server are gone | `{}`; recursion is written out twice and then cut |
//! | VS Code | refuses an array without `items`; `$defs` are lost on the way to the model | `items` for tuples too; no references |
//! | LibreChat, n8n, LM Studio, Copilot CLI | do not follow references | no references |
//! | MCP gateways (Kuadrant) | drop a tool with a list of types | one `type` |
//! | Ajv, in most clients | prints a warning for each unknown `format`; fails for a `$schema` it has not loaded | formats of JSON Schema alone, no `$schema` |
//! | models, forms | fill in `"default": null`, and are refused | no default that is `null` |
//!
//! Keywords that have no place there are left out of the listing and still checked (`not`, `if`, `propertyNames`, exact
//! tuples and the like). So a listing is never stricter than the check: every value it allows is accepted, except for
//! mixtures of alternatives at the root and of a tuple's places, values below a cut recursion, and values that these
//! keywords refuse. `additionalProperties`, `pattern`, `uniqueItems` and numeric limits stay: the reference SDKs write
//! them in every schema, and clients that talk to an API without them know how to drop them.
//!
//! Results may be `null`, and clients check them, so there `null` stays as an alternative of its own.

mod alternatives;
mod inline;
mod keywords;
mod merge;
mod simplify;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

pub(in crate::registry) use keywords::Place;
use simplify::Direction;
pub(in crate::registry) use simplify::FORMATS;

/// The schema that is listed for arguments of this schema.
pub(in crate::registry) fn input(schema: &Value) -> Value {
    let mut root = simple_root(schema, Direction::Input);
    alternatives::unite(&mut root);
    root.insert("type".to_owned(), json!("object"));
    root.entry("properties").or_insert_with(|| json!({}));
    Value::Object(root)
}

/// The schema that is listed for results of this schema.
pub(in crate::registry) fn output(schema: &Value) -> Value {
    let mut root = simple_root(schema, Direction::Output);
    if let Some(kind) = schema.get("type") {
        root.insert("type".to_owned(), kind.clone());
    }
    Value::Object(root)
}

fn simple_root(schema: &Value, direction: Direction) -> Map<String, Value> {
    match simplify::simplify(&inline::inline(schema), direction) {
        Value::Object(root) => root,
        _ => Map::new(),
    }
}
