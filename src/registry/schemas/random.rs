//! Seeded random documents and schemas for the twins in this folder's tests.
//!
//! Names and scalars come from small sets, so that schemas and documents often meet.

use fastrand::Rng;
use serde_json::{Map, Value, json};

pub(super) const NAMES: [&str; 6] = ["a", "b", "name", "ключ", "a/b~c", ""];
const TEXTS: [&str; 7] = ["", "a", "ab", "héllo", "🦀🦀", "line\nbreak", "name"];
const TYPES: [&str; 7] = [
    "null", "boolean", "integer", "number", "string", "array", "object",
];

/// A JSON value of at most `depth` containers.
pub(in crate::registry) fn document(rng: &mut Rng, depth: usize) -> Value {
    match rng.u8(..if depth == 0 { 6 } else { 10 }) {
        0 => Value::Null,
        1 => Value::Bool(rng.bool()),
        2 => json!(rng.i64(-3..6)),
        3 => number(rng),
        4 | 5 => json!(rng.choice(TEXTS)),
        6 | 7 => (0..rng.usize(..5)).map(|_| document(rng, depth - 1)).collect(),
        _ => Value::Object(object(rng, |rng| document(rng, depth - 1))),
    }
}

/// A schema of at most `depth` levels that may refer to `#/$defs/a` and `#/$defs/b` from within parts.
pub(in crate::registry) fn schema(rng: &mut Rng, depth: usize) -> Value {
    let mut keywords = Map::new();
    for _ in 0..rng.usize(1..4) {
        let (keyword, value) = if depth == 0 || rng.u8(..3) == 0 {
            assertion(rng)
        } else {
            applicator(rng, depth - 1)
        };
        keywords.insert(keyword.to_owned(), value);
    }
    Value::Object(keywords)
}

/// A whole schema document with the definitions that [`schema`] refers to.
pub(super) fn schema_document(rng: &mut Rng) -> Value {
    let mut root = schema(rng, 3);
    root["$defs"] = json!({"a": schema(rng, 1), "b": schema(rng, 1)});
    root
}

fn number(rng: &mut Rng) -> Value {
    match rng.u8(..6) {
        0 => json!(u64::MAX),
        1 => json!(i64::MIN),
        2 => json!(1.5),
        3 => json!(-0.0),
        4 => json!(1e300),
        _ => json!(f64::from(rng.i32(-4..4))),
    }
}

fn object(rng: &mut Rng, mut value: impl FnMut(&mut Rng) -> Value) -> Map<String, Value> {
    let names = (0..rng.usize(..5)).map(|_| *rng.choice(NAMES.iter()).unwrap_or(&""));
    let names: Vec<_> = names.collect();
    names
        .into_iter()
        .map(|name| (name.to_owned(), value(rng)))
        .collect()
}

fn names(rng: &mut Rng) -> Value {
    let mut names: Vec<_> = NAMES.to_vec();
    rng.shuffle(&mut names);
    names.truncate(rng.usize(1..3));
    json!(names)
}

fn assertion(rng: &mut Rng) -> (&'static str, Value) {
    let small = rng.u64(..4);
    match rng.u8(..17) {
        0..=2 => ("type", json!(rng.choice(TYPES))),
        3 => ("type", json!([TYPES[rng.usize(..4)], TYPES[rng.usize(4..7)]])),
        4 => (
            "enum",
            json!([document(rng, 1), document(rng, 1), document(rng, 0)]),
        ),
        5 => ("const", document(rng, 1)),
        6 => ("minimum", json!(rng.i64(-3..3))),
        7 => ("exclusiveMaximum", json!(rng.f64() * 4.0)),
        8 => ("multipleOf", json!([1.0, 2.0, 0.5][rng.usize(..3)])),
        9 => ("minLength", json!(small)),
        10 => ("maxLength", json!(small)),
        11 => ("pattern", json!(["^a", "l+", "^.{2}$", "\\d"][rng.usize(..4)])),
        12 => ("required", names(rng)),
        13 => ("maxItems", json!(small)),
        14 => ("uniqueItems", json!(true)),
        15 => ("minProperties", json!(small)),
        _ => ("dependentRequired", json!({"a": ["b"], "name": ["a"]})),
    }
}

fn applicator(rng: &mut Rng, depth: usize) -> (&'static str, Value) {
    let one = |rng: &mut Rng| match rng.u8(..8) {
        0 => json!({"$ref": "#/$defs/a"}),
        1 => json!({"$ref": "#/$defs/b"}),
        2 => json!(rng.bool()),
        _ => schema(rng, depth),
    };
    match rng.u8(..17) {
        0..=2 => ("properties", Value::Object(object(rng, one))),
        3 => ("additionalProperties", one(rng)),
        4 => ("patternProperties", json!({"^a": one(rng), "e$": one(rng)})),
        5 => ("propertyNames", one(rng)),
        6 | 7 => ("items", one(rng)),
        8 => ("prefixItems", json!([one(rng), one(rng)])),
        9 => ("contains", one(rng)),
        10 => ("anyOf", json!([one(rng), one(rng)])),
        11 => ("oneOf", json!([one(rng), one(rng)])),
        12 => ("allOf", json!([one(rng), one(rng)])),
        13 => ("not", one(rng)),
        14 => ("unevaluatedProperties", one(rng)),
        15 => ("unevaluatedItems", one(rng)),
        _ => ("dependentSchemas", json!({"a": one(rng), "name": one(rng)})),
    }
}
