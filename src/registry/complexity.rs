//! What a schema may cost, found before it is compiled.
//!
//! A few lines of `$ref` and `anyOf` can ask for a million checks of one value, or for endlessly many. This follows
//! every keyword that applies a subschema and counts how many a single value may be checked against, references
//! expanded; above the limit, or without an end, the schema is refused. What grows with the *document* instead is
//! bounded while the check runs. Errs on the side of counting too much.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::{Map, Value};

use super::schema::SchemaError;

/// Subschemas one value may be checked against. Measured: at the limit a check takes some milliseconds.
const SUBSCHEMAS_MAX: u64 = 10_000;
/// Subschemas and references on one way down; this module recurses, and so does the validator.
const DEPTH_MAX: usize = 128;

/// Applied to the same value: one schema.
const SAME_VALUE_ONE: [&str; 4] = ["not", "if", "then", "else"];
/// Applied to the same value: an array of schemas.
const SAME_VALUE_LIST: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// Applied to the same value: an object of schemas. `dependencies` is older drafts' (its arrays are no schemas).
const SAME_VALUE_MAP: [&str; 2] = ["dependentSchemas", "dependencies"];
/// Applied to parts of the value: one schema, or for `items` in older drafts a list.
const PART_ONE: [&str; 8] = [
    "items",
    "additionalItems",
    "unevaluatedItems",
    "contains",
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
    "contentSchema",
];
/// Applied to parts of the value: an array of schemas.
const PART_LIST: [&str; 2] = ["prefixItems", "items"];
/// Applied to parts of the value: an object of schemas.
const PART_MAP: [&str; 2] = ["properties", "patternProperties"];
/// References, of all drafts.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];
/// Names that references may use, of all drafts.
const ANCHORS: [&str; 2] = ["$anchor", "$dynamicAnchor"];

/// Refuses a schema that may cost too much, or that refers outside itself.
pub(super) fn check(schema: &Value) -> Result<(), SchemaError> {
    let mut analysis = Analysis {
        root: schema,
        anchors: HashMap::new(),
        costs: HashMap::new(),
    };
    analysis.find_anchors(schema, 0)?;
    analysis.cost(schema, 0).map(|_| ())
}

struct Analysis<'s> {
    root: &'s Value,
    anchors: HashMap<&'s str, &'s Value>,
    /// By the address of the subschema; `None` while it is being counted.
    costs: HashMap<*const Value, Option<Cost>>,
}

/// Checks of one value by one subschema, itself included.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// To find out whether it holds.
    verdict: u64,
    /// To find out, besides, which parts it has looked at (`unevaluatedProperties` and `unevaluatedItems` ask).
    marks: u64,
}

impl<'s> Analysis<'s> {
    fn cost(&mut self, schema: &'s Value, depth: usize) -> Result<Cost, SchemaError> {
        let Some(keywords) = schema.as_object() else {
            return Ok(Cost { verdict: 1, marks: 1 });
        };
        match self.costs.entry(std::ptr::from_ref(schema)) {
            Entry::Occupied(known) => {
                return known.get().ok_or_else(|| SchemaError::Endless(name_of(keywords)));
            }
            Entry::Vacant(unknown) => unknown.insert(None),
        };
        if depth >= DEPTH_MAX {
            return Err(SchemaError::TooDeep { max: DEPTH_MAX });
        }
        if keywords.get("$id").is_some_and(Value::is_string) && !std::ptr::eq(schema, self.root) {
            return Err(SchemaError::Reference(name_of(keywords)));
        }
        let cost = self.own_cost(keywords, depth)?;
        self.costs.insert(std::ptr::from_ref(schema), Some(cost));
        for part in parts(keywords) {
            self.part(part, depth)?;
        }
        Ok(cost)
    }

    /// The cost at this value: this schema and all that apply to the same value.
    fn own_cost(&mut self, keywords: &'s Map<String, Value>, depth: usize) -> Result<Cost, SchemaError> {
        let (mut verdicts, mut marks) = (0_u64, 0_u64);
        let references = REFERENCES.iter().filter_map(|name| keywords.get(*name)?.as_str());
        let mut same_value: Vec<&Value> = references
            .map(|reference| self.resolve(reference))
            .collect::<Result<_, _>>()?;
        same_value.extend(one(keywords, &SAME_VALUE_ONE));
        same_value.extend(list(keywords, &SAME_VALUE_LIST));
        same_value.extend(map(keywords, &SAME_VALUE_MAP));
        for schema in same_value {
            let cost = self.cost(schema, depth + 1)?;
            verdicts = verdicts.saturating_add(cost.verdict);
            marks = marks.saturating_add(cost.marks);
        }
        let asks_for_marks =
            keywords.contains_key("unevaluatedProperties") || keywords.contains_key("unevaluatedItems");
        let cost = Cost {
            verdict: verdicts
                .saturating_add(if asks_for_marks { marks } else { 0 })
                .saturating_add(1),
            // Marking asks for the verdict of each alternative first.
            marks: verdicts.saturating_add(marks).saturating_add(1),
        };
        if cost.verdict > SUBSCHEMAS_MAX {
            return Err(SchemaError::TooComplex {
                subschemas: cost.verdict,
                max: SUBSCHEMAS_MAX,
            });
        }
        Ok(cost)
    }

    /// A schema for a part of the value: counted for itself. Meeting a schema that is still being looked through
    /// is recursion that goes down into the value, and fine.
    fn part(&mut self, schema: &'s Value, depth: usize) -> Result<(), SchemaError> {
        if self.costs.contains_key(&std::ptr::from_ref(schema)) {
            return Ok(());
        }
        self.cost(schema, depth + 1).map(|_| ())
    }

    fn resolve(&self, reference: &str) -> Result<&'s Value, SchemaError> {
        let unknown = || SchemaError::Reference(reference.to_owned());
        let fragment = reference.strip_prefix('#').ok_or_else(unknown)?;
        let fragment = percent_decoded(fragment).ok_or_else(unknown)?;
        if fragment.is_empty() {
            return Ok(self.root);
        }
        if !fragment.starts_with('/') {
            return self.anchors.get(fragment.as_str()).copied().ok_or_else(unknown);
        }
        self.root.pointer(&fragment).ok_or_else(unknown)
    }

    fn find_anchors(&mut self, value: &'s Value, depth: usize) -> Result<(), SchemaError> {
        if depth >= DEPTH_MAX {
            return Err(SchemaError::TooDeep { max: DEPTH_MAX });
        }
        match value {
            Value::Object(members) => {
                let names = ANCHORS.iter().filter_map(|name| members.get(*name)?.as_str());
                self.anchors.extend(names.map(|name| (name, value)));
                members
                    .values()
                    .try_for_each(|member| self.find_anchors(member, depth + 1))
            }
            Value::Array(elements) => elements
                .iter()
                .try_for_each(|element| self.find_anchors(element, depth + 1)),
            _ => Ok(()),
        }
    }
}

fn parts(keywords: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    one(keywords, &PART_ONE)
        .chain(list(keywords, &PART_LIST))
        .chain(map(keywords, &PART_MAP))
}

fn one<'s>(keywords: &'s Map<String, Value>, names: &'static [&str]) -> impl Iterator<Item = &'s Value> {
    names
        .iter()
        .filter_map(|name| keywords.get(*name))
        .filter(|value| value.is_object())
}

fn list<'s>(keywords: &'s Map<String, Value>, names: &'static [&str]) -> impl Iterator<Item = &'s Value> {
    names
        .iter()
        .filter_map(|name| keywords.get(*name)?.as_array())
        .flatten()
}

fn map<'s>(keywords: &'s Map<String, Value>, names: &'static [&str]) -> impl Iterator<Item = &'s Value> {
    names
        .iter()
        .filter_map(|name| keywords.get(*name)?.as_object())
        .flat_map(Map::values)
}

/// Something to find a subschema by in a message.
fn name_of(keywords: &Map<String, Value>) -> String {
    ["$id", "$anchor", "$dynamicAnchor", "$ref", "title"]
        .iter()
        .find_map(|name| keywords.get(*name)?.as_str())
        .unwrap_or("#")
        .to_owned()
}

/// RFC 3986, 2.1.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        decoded.push((high * 16 + low) as u8);
    }
    String::from_utf8(decoded).ok()
}
