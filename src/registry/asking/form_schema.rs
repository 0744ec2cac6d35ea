//! Schemas of forms: flat objects with only what clients can show (MCP: `ElicitRequestFormParams`).
//!
//! Derived schemas are reduced to that, and hand-written ones are refused if they have more. Reducing loses what a
//! client could not show (patterns, formats of its own); the answer is still converted into the Rust type afterwards.

use serde_json::{Map, Value, json};

use super::property::TextFormat;
use crate::registry::schemas::schema::OutputSchema;

/// How many references from one definition to the next are followed.
const REFERENCES_MAX: usize = 8;
/// Keywords of every property.
const COMMON: [&str; 3] = ["title", "description", "default"];
const FORMATS: [TextFormat; 4] = [
    TextFormat::Email,
    TextFormat::Uri,
    TextFormat::Date,
    TextFormat::DateTime,
];

/// Checks that clients can show a form's schema.
///
/// # Errors
/// Says what they could not show, for the form's author.
pub(in crate::registry) fn check(schema: &Value) -> Result<(), String> {
    let flat = flat(schema)?;
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        let kept = &flat["properties"][name];
        let mut given = property.as_object().into_iter().flatten();
        if let Some((keyword, _)) = given.find(|(keyword, value)| kept.get(keyword) != Some(value)) {
            return Err(format!("property {name:?} cannot have this {keyword:?}"));
        }
    }
    let required = schema.get("required").and_then(Value::as_array);
    let is_property = |name: &Value| {
        name.as_str()
            .is_some_and(|name| flat["properties"].get(name).is_some())
    };
    if let Some(name) = required.into_iter().flatten().find(|name| !is_property(name)) {
        return Err(format!("{name} is required, but is not a property"));
    }
    OutputSchema::compile(schema)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

/// The schema reduced to a flat form.
///
/// # Errors
/// Fails when a property cannot be shown, or when the schema is no object.
pub(in crate::registry) fn flat(schema: &Value) -> Result<Value, String> {
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err("the schema of a form must be an object".to_owned());
    }
    let none = Map::new();
    let given = schema.get("properties").map_or(Some(&none), Value::as_object);
    let given = given.ok_or("`properties` must be an object")?;
    let has_alternatives = ["oneOf", "anyOf"]
        .iter()
        .any(|keyword| schema.get(keyword).is_some());
    if given.is_empty() && has_alternatives {
        return Err("a form must be one object, not a choice of several".to_owned());
    }
    let mut properties = Map::new();
    let mut nullable = Vec::new();
    for (name, property) in given {
        let resolved = resolve(schema, property, 0).ok_or_else(|| not_flat(name))?;
        if resolved.is_nullable {
            nullable.push(name.as_str());
        }
        let property = reduce(schema, &resolved.members).ok_or_else(|| not_flat(name))?;
        properties.insert(name.clone(), Value::Object(property));
    }
    let required = schema.get("required").and_then(Value::as_array);
    let required: Vec<&Value> = required
        .into_iter()
        .flatten()
        .filter(|name| name.as_str().is_some_and(|name| !nullable.contains(&name)))
        .collect();
    Ok(json!({"type": "object", "properties": properties, "required": required}))
}

fn not_flat(name: &str) -> String {
    format!("property {name:?} is not a string, number, boolean, choice or list of choices")
}

/// A property with its references followed.
struct Resolved {
    members: Map<String, Value>,
    is_nullable: bool,
}

/// Follows `$ref`, and takes `null` out of a property that may also be something else. The description nearest to the
/// property wins.
fn resolve(root: &Value, property: &Value, depth: usize) -> Option<Resolved> {
    if depth > REFERENCES_MAX {
        return None;
    }
    let mut members = property.as_object()?.clone();
    let mut is_nullable = false;
    if let Some(Value::Array(kinds)) = members.get("type") {
        let mut others = kinds.iter().filter(|kind| *kind != "null");
        let (kind, None) = (others.next()?.clone(), others.next()) else {
            return None;
        };
        is_nullable = kinds.len() > 1;
        members.insert("type".to_owned(), kind);
    }
    let reference = members.shift_remove("$ref");
    let inner = match &reference {
        Some(reference) => root.pointer(reference.as_str()?.strip_prefix('#')?),
        None => match members.get("anyOf").and_then(Value::as_array).map(Vec::as_slice) {
            Some([one, null] | [null, one]) if *null == json!({"type": "null"}) => {
                is_nullable = true;
                Some(one)
            }
            _ => {
                return Some(Resolved { members, is_nullable });
            }
        },
    };
    let inner = inner?.clone();
    members.shift_remove("anyOf");
    let mut resolved = resolve(root, &inner, depth + 1)?;
    resolved.members.extend(members);
    resolved.is_nullable |= is_nullable;
    Some(resolved)
}

/// The members that clients know; `None` if the property has none of the shapes they know.
fn reduce(root: &Value, members: &Map<String, Value>) -> Option<Map<String, Value>> {
    let kind = members.get("type").and_then(Value::as_str);
    let choice = choice(members, "oneOf");
    let mut flat = Map::new();
    flat.insert("type".to_owned(), json!(kind.unwrap_or("string")));
    let mut keep = |keywords: &[&str]| {
        for keyword in COMMON.iter().chain(keywords) {
            if let Some(value) = members.get(*keyword).filter(|value| !value.is_null()) {
                flat.insert((*keyword).to_owned(), value.clone());
            }
        }
    };
    match (kind, choice) {
        (Some("string") | None, Some(choice)) => {
            keep(&["enumNames"]);
            flat.extend(choice);
        }
        (Some("string"), None) => {
            keep(&["minLength", "maxLength"]);
            let format = members.get("format").and_then(Value::as_str);
            if let Some(format) = FORMATS.into_iter().find(|known| Some(known.as_str()) == format) {
                flat.insert("format".to_owned(), json!(format.as_str()));
            }
        }
        (Some("number" | "integer"), _) => keep(&["minimum", "maximum"]),
        (Some("boolean"), _) => keep(&[]),
        (Some("array"), _) => {
            keep(&["minItems", "maxItems"]);
            let items = resolve(root, members.get("items")?, 0)?.members;
            let mut items = self::choice(&items, "anyOf").or_else(|| self::choice(&items, "oneOf"))?;
            match items.shift_remove("oneOf") {
                Some(titled) => items.insert("anyOf".to_owned(), titled),
                None => items.insert("type".to_owned(), json!("string")),
            };
            flat.insert("items".to_owned(), Value::Object(items));
        }
        _ => return None,
    }
    Some(flat)
}

/// A choice of strings: `enum`, or values with titles under `oneOf`.
fn choice(members: &Map<String, Value>, titled: &str) -> Option<Map<String, Value>> {
    let mut found = Map::new();
    if let Some(Value::Array(values)) = members.get("enum") {
        let texts: Vec<&Value> = values.iter().filter(|value| value.is_string()).collect();
        found.insert("enum".to_owned(), json!(texts));
    } else if let Some(value) = members.get("const").filter(|value| value.is_string()) {
        found.insert("enum".to_owned(), json!([value]));
    } else {
        let Some(Value::Array(all)) = members.get(titled) else {
            return None;
        };
        let mut values = Vec::new();
        for one in all {
            values.extend(titled_values(one)?);
        }
        found.insert("oneOf".to_owned(), Value::Array(values));
    }
    Some(found)
}

/// The values of one alternative with their titles: its own title, its description or the value itself.
fn titled_values(one: &Value) -> Option<Vec<Value>> {
    let words = one.get("title").or_else(|| one.get("description"));
    let titled = |value: &Value| {
        let text = value.as_str()?;
        let title = words.and_then(Value::as_str).unwrap_or(text);
        Some(json!({"const": text, "title": title}))
    };
    match (one.get("const"), one.get("enum")) {
        (Some(value), _) => Some(vec![titled(value)?]),
        (None, Some(Value::Array(values))) => values.iter().map(titled).collect(),
        _ => None,
    }
}
