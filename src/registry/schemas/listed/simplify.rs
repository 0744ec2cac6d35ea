//! One schema rewritten in the keywords that all clients know, from the inside out.
//!
//! No step makes a schema stricter than it was, except that arguments lose `null`, which means the same as leaving them
//! out.

use serde_json::{Map, Value, json};

use super::alternatives;
use super::keywords::try_map;
use super::merge::{description, merge, words_and_assertions};

/// Keywords that tell a caller nothing, or are too much for clients. Values are still checked against all of them.
const LEFT_OUT: [&str; 20] = [
    "$schema",
    "$id",
    "$anchor",
    "$comment",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "propertyNames",
    "contains",
    "minContains",
    "maxContains",
    "unevaluatedItems",
    "readOnly",
    "writeOnly",
    "contentEncoding",
    "contentMediaType",
];
/// Formats of strings in JSON Schema (2020-12 Validation, 7.3). Validators warn of others each time they see one.
pub(in crate::registry) const FORMATS: [&str; 19] = [
    "date-time",
    "date",
    "time",
    "duration",
    "email",
    "idn-email",
    "hostname",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "uri",
    "uri-reference",
    "iri",
    "iri-reference",
    "uuid",
    "uri-template",
    "json-pointer",
    "relative-json-pointer",
    "regex",
];

/// The writer of the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// The client, which may leave an argument out instead of sending `null`.
    Input,
    /// The tool.
    Output,
}

/// Rewrites the schema and all schemas in it.
pub(super) fn simplify(schema: &Value, direction: Direction) -> Value {
    match schema {
        // A client that expects objects drops the tool, or the whole server, over a boolean.
        Value::Bool(true) => json!({}),
        Value::Object(keywords) => Value::Object(simplify_keywords(keywords, direction)),
        other => other.clone(),
    }
}

fn simplify_keywords(keywords: &Map<String, Value>, direction: Direction) -> Map<String, Value> {
    let mut simple = Map::new();
    for (keyword, value) in keywords {
        if LEFT_OUT.contains(&keyword.as_str()) {
            continue;
        }
        let inside = try_map(keyword, value, &mut |inner| Some(simplify(inner, direction)));
        simple.insert(keyword.clone(), inside.unwrap_or_else(|| value.clone()));
    }
    if direction == Direction::Input {
        drop_null(&mut simple);
    }
    drop_empty(&mut simple);
    split_types(&mut simple);
    name_values(&mut simple);
    merge_all(&mut simple);
    alternatives::simplify(&mut simple);
    close(&mut simple);
    list_items(&mut simple);
    if direction == Direction::Input && simple.get("type").is_some_and(|kind| kind == "object") {
        simple.entry("properties").or_insert_with(|| json!({}));
    }
    simple
}

/// Removes `null`: an argument that may be `null` may be left out as well.
fn drop_null(simple: &mut Map<String, Value>) {
    if let Some(Value::Array(kinds)) = simple.get_mut("type")
        && kinds.len() > 1
    {
        kinds.retain(|kind| kind != "null");
    }
    for keyword in ["enum", "anyOf", "oneOf"] {
        if let Some(Value::Array(all)) = simple.get_mut(keyword)
            && !all.iter().all(is_null)
        {
            all.retain(|one| !is_null(one));
        }
    }
    if let Some(default) = simple.get_mut("default") {
        match default {
            Value::Null => drop(simple.shift_remove("default")),
            default => drop_null_members(default),
        }
    }
}

/// Whether a schema is `null`, or of nothing else.
pub(super) fn is_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(schema) => {
            let values = schema.get("enum").and_then(Value::as_array);
            schema.get("type").is_some_and(|kind| kind == "null")
                || schema.get("const").is_some_and(Value::is_null)
                || values.is_some_and(|values| values.iter().all(Value::is_null))
        }
        _ => false,
    }
}

/// Removes members of defaults that stand for an omitted argument.
fn drop_null_members(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_null_members);
        }
        Value::Array(elements) => elements.iter_mut().for_each(drop_null_members),
        _ => {}
    }
}

/// Removes empty lists of required names, which are an error in older drafts, and formats that are not JSON Schema's,
/// of which validators warn.
fn drop_empty(simple: &mut Map<String, Value>) {
    if simple
        .get("required")
        .and_then(Value::as_array)
        .is_some_and(Vec::is_empty)
    {
        simple.shift_remove("required");
    }
    if simple
        .get("format")
        .is_some_and(|format| !FORMATS.iter().any(|known| format == known))
    {
        simple.shift_remove("format");
    }
    // Where nothing is allowed under a name, the name is left out.
    if let Some(Value::Object(properties)) = simple.get_mut("properties") {
        properties.retain(|_, schema| *schema != Value::Bool(false));
    }
}

/// A list of types becomes one type, or alternatives of one type each.
fn split_types(simple: &mut Map<String, Value>) {
    let Some(Value::Array(kinds)) = simple.get("type") else {
        return;
    };
    if let [kind] = &kinds[..] {
        let kind = kind.clone();
        simple.insert("type".to_owned(), kind);
        return;
    }
    let kinds = kinds.clone();
    let (words, assertions) = words_and_assertions(std::mem::take(simple));
    let alternatives = kinds.iter().map(|kind| {
        let concerns = |keyword: &str| kind_of(keyword).is_none_or(|of| of.iter().any(|known| kind == known));
        let mut one = Map::from_iter([("type".to_owned(), kind.clone())]);
        let own = assertions
            .iter()
            .filter(|(keyword, _)| *keyword != "type" && concerns(keyword));
        one.extend(own.map(|(keyword, value)| (keyword.clone(), value.clone())));
        if let Some(Value::Array(values)) = one.get_mut("enum") {
            values.retain(|value| is_of_kind(value, kind));
        }
        Value::Object(one)
    });
    let alternatives: Vec<_> = alternatives.collect();
    *simple = words;
    simple.insert("anyOf".to_owned(), Value::Array(alternatives));
}

/// The types that a keyword constrains.
fn kind_of(keyword: &str) -> Option<&'static [&'static str]> {
    Some(match keyword {
        "minLength" | "maxLength" | "pattern" | "format" => &["string"],
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
            &["integer", "number"]
        }
        "items" | "prefixItems" | "minItems" | "maxItems" | "uniqueItems" => &["array"],
        "properties"
        | "required"
        | "additionalProperties"
        | "patternProperties"
        | "unevaluatedProperties"
        | "minProperties"
        | "maxProperties" => &["object"],
        _ => return None,
    })
}

fn is_of_kind(value: &Value, kind: &Value) -> bool {
    match value {
        Value::Null => kind == "null",
        Value::Bool(_) => kind == "boolean",
        Value::Number(_) => kind == "number" || kind == "integer",
        Value::String(_) => kind == "string",
        Value::Array(_) => kind == "array",
        Value::Object(_) => kind == "object",
    }
}

/// Makes one value a choice of one, and gives a choice of strings the type string.
fn name_values(simple: &mut Map<String, Value>) {
    if let Some(value) = simple.shift_remove("const") {
        simple.entry("enum").or_insert_with(|| json!([value]));
    }
    let values = simple.get("enum").and_then(Value::as_array);
    if values.is_some_and(|values| values.iter().all(Value::is_string)) && !simple.contains_key("type") {
        simple.insert("type".to_owned(), json!("string"));
    }
}

/// Merges the schemas of `allOf` where that is possible.
fn merge_all(simple: &mut Map<String, Value>) {
    let Some(Value::Array(all)) = simple.get("allOf") else {
        return;
    };
    let all = all.clone();
    let mut whole = simple.clone();
    whole.shift_remove("allOf");
    for one in all {
        let Value::Object(one) = one else { return };
        // The outer description stays.
        let words = description(
            whole.get("description").and_then(Value::as_str),
            one.get("description").and_then(Value::as_str),
        );
        let Value::Object(mut merged) = merge(Value::Object(whole), one) else {
            return;
        };
        if merged.contains_key("allOf") {
            return;
        }
        if let Some(words) = words {
            merged.insert("description".to_owned(), json!(words));
        }
        whole = merged;
    }
    *simple = whole;
}

/// Says in older drafts' keywords which members an object may have besides its properties.
fn close(simple: &mut Map<String, Value>) {
    if let Some(others) = simple.shift_remove("unevaluatedProperties")
        && others == json!(false)
        && !simple.contains_key("anyOf")
        && !simple.contains_key("allOf")
    {
        simple.entry("additionalProperties").or_insert(others);
    }
    let Some(Value::Object(patterns)) = simple.shift_remove("patternProperties") else {
        return;
    };
    let others = simple.shift_remove("additionalProperties");
    let mut schemas: Vec<Value> = Vec::new();
    for schema in patterns.into_iter().map(|(_, schema)| schema) {
        if !schemas.contains(&schema) {
            schemas.push(schema);
        }
    }
    match (others, schemas.pop()) {
        // Names of another pattern are refused when they come.
        (Some(Value::Bool(false)), Some(only)) if schemas.is_empty() => {
            simple.insert("additionalProperties".to_owned(), only);
        }
        _ => {}
    }
}

/// Gives every array one schema for the items in all places.
fn list_items(simple: &mut Map<String, Value>) {
    if let Some(places) = take_places(simple) {
        let rest = simple.get("items").or_else(|| simple.get("additionalItems"));
        let rest = rest.filter(|rest| rest.is_object()).cloned();
        let mut kinds: Vec<Value> = Vec::new();
        for place in places.iter().cloned().chain(rest) {
            if !kinds.contains(&place) {
                kinds.push(place);
            }
        }
        if kinds.len() > 1 {
            let order = format!(
                "In this order: {}.",
                places.iter().map(kind_words).collect::<Vec<_>>().join(", ")
            );
            let words = simple.get("description").and_then(Value::as_str);
            let words = words.map_or(order.clone(), |words| format!("{words}\n{order}"));
            simple.insert("description".to_owned(), json!(words));
        }
        let mut items = Map::from_iter([("anyOf".to_owned(), Value::Array(kinds))]);
        alternatives::simplify(&mut items);
        simple.insert("items".to_owned(), Value::Object(items));
    }
    simple.shift_remove("additionalItems");
    let is_array = simple.get("type").is_some_and(|kind| kind == "array");
    if is_array && !simple.get("items").is_some_and(Value::is_object) {
        simple.insert("items".to_owned(), json!({}));
    }
}

/// The schemas of a tuple's places, if this is a tuple.
fn take_places(simple: &mut Map<String, Value>) -> Option<Vec<Value>> {
    if let Some(Value::Array(places)) = simple.shift_remove("prefixItems") {
        if simple.get("items") == Some(&Value::Bool(false)) {
            simple.entry("maxItems").or_insert(json!(places.len()));
        }
        return Some(places).filter(|places| !places.is_empty());
    }
    // Older drafts have a list here.
    let places = simple.get("items")?.as_array()?.clone();
    simple.shift_remove("items");
    Some(places).filter(|places| !places.is_empty())
}

fn kind_words(schema: &Value) -> &str {
    let kind = schema.get("type").and_then(Value::as_str);
    kind.unwrap_or("any value")
}
