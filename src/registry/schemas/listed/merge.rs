//! Merging of two schemas for the same value.

use serde_json::{Map, Value, json};

/// Descriptions and hints: the outer schema is nearer to the reader, and wins.
const ANNOTATIONS: [&str; 7] = [
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
];
/// Keywords that close an object to names its own schema does not have: merged, they would see other names.
const CLOSING: [&str; 2] = ["additionalProperties", "unevaluatedProperties"];
/// The beginning of a line about one value of a choice.
pub(super) const CHOICE: &str = "- `";

/// One schema that demands what `inner` and `outer` demand together.
pub(super) fn merge(inner: Value, outer: Map<String, Value>) -> Value {
    let inner = match inner {
        Value::Object(inner) => inner,
        Value::Bool(true) => Map::new(),
        never => return json!({"allOf": [never, outer]}),
    };
    let mut merged = inner.clone();
    for (keyword, value) in &outer {
        if !absorb(&mut merged, keyword, value) {
            return both(inner, outer);
        }
    }
    Value::Object(merged)
}

/// Both schemas, where they cannot be merged, under the outer one's description.
fn both(inner: Map<String, Value>, outer: Map<String, Value>) -> Value {
    let (mut whole, assertions): (Map<_, _>, Map<_, _>) =
        outer.into_iter().partition(|(keyword, _)| is_annotation(keyword));
    whole.insert("allOf".to_owned(), json!([inner, assertions]));
    Value::Object(whole)
}

fn is_annotation(keyword: &str) -> bool {
    ANNOTATIONS.contains(&keyword) || keyword.starts_with("x-")
}

/// Splits the keywords for readers from those that constrain a value.
pub(super) fn words_and_assertions(schema: Map<String, Value>) -> (Map<String, Value>, Map<String, Value>) {
    schema
        .into_iter()
        .partition(|(keyword, _)| is_annotation(keyword))
}

/// Adds one keyword, unless the merged schema would not mean the same as both.
fn absorb(merged: &mut Map<String, Value>, keyword: &str, value: &Value) -> bool {
    let is_closed = CLOSING.iter().any(|closing| merged.contains_key(*closing));
    let there = merged.get(keyword);
    if there == Some(value) {
        return true;
    }
    let sum = match (keyword, there) {
        ("description", _) => json!(description(value.as_str(), there.and_then(Value::as_str))),
        (annotation, _) if is_annotation(annotation) => value.clone(),
        ("properties", _) if is_closed => return false,
        (closing, _) if CLOSING.contains(&closing) && merged.contains_key("properties") => return false,
        (_, None) => value.clone(),
        ("minimum" | "minLength" | "minItems" | "exclusiveMinimum", Some(there)) => {
            farther(there, value, |there, other| other > there)
        }
        ("maximum" | "maxLength" | "maxItems" | "exclusiveMaximum", Some(there)) => {
            farther(there, value, |there, other| other < there)
        }
        ("required", Some(Value::Array(there))) => {
            let others = value.as_array().into_iter().flatten();
            let others = others.filter(|name| !there.contains(name));
            there.iter().chain(others).cloned().collect()
        }
        ("properties", Some(Value::Object(there))) => match joined(there, value) {
            Some(joined) => Value::Object(joined),
            None => return false,
        },
        _ => return false,
    };
    merged.insert(keyword.to_owned(), sum);
    true
}

fn farther(there: &Value, other: &Value, is_farther: fn(f64, f64) -> bool) -> Value {
    let numbers = (there.as_f64(), other.as_f64());
    match numbers {
        (Some(there), Some(number)) if is_farther(there, number) => other.clone(),
        _ => there.clone(),
    }
}

/// The properties of both, if those of one name are the same.
fn joined(there: &Map<String, Value>, others: &Value) -> Option<Map<String, Value>> {
    let mut joined = there.clone();
    for (name, schema) in others.as_object()? {
        if joined.get(name).is_some_and(|there| there != schema) {
            return None;
        }
        joined.insert(name.clone(), schema.clone());
    }
    Some(joined)
}

/// The outer description, with the lines of the inner one about single values.
pub(super) fn description(outer: Option<&str>, inner: Option<&str>) -> Option<String> {
    let (Some(outer), Some(inner)) = (outer, inner) else {
        return outer.or(inner).map(str::to_owned);
    };
    let told = inner
        .split('\n')
        .filter(|line| line.starts_with(CHOICE) && !outer.contains(line));
    Some(told.fold(outer.to_owned(), |words, line| format!("{words}\n{line}")))
}
