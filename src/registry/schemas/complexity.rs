//! The cost of a schema, estimated before it is compiled.
//!
//! A few lines of `$ref` and `anyOf` can ask for a million checks of one value, or for endlessly many. This follows
//! every keyword that applies a subschema and counts how many a single value may be checked against, references
//! expanded; above the limit, or without an end, the schema is refused. Costs that grow with the *document* instead are
//! bounded while the check runs. The count errs on the high side.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::{Map, Value};

use super::schema_error::SchemaError;
use crate::registry::uri::percent_decode;

/// Subschemas one value may be checked against. Generated unions of hundreds of types stay below; a check that is out
/// of steps may still go through as many at each level.
const SUBSCHEMAS_MAX: u64 = 1_000;
/// Subschemas and references applied one within the other to the same value. The validator recurses through them
/// at each level of a document: measured, this times 128 levels takes a quarter of a thread's usual 2 MiB.
const SAME_VALUE_DEPTH_MAX: usize = 16;
/// Levels of JSON in a schema; this module and the compiler recurse through them.
const JSON_DEPTH_MAX: usize = 128;

/// Keywords that apply one schema to the same value.
const SAME_VALUE_ONE: [&str; 4] = ["not", "if", "then", "else"];
/// Keywords that apply an array of schemas to the same value.
const SAME_VALUE_LIST: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// Keywords that apply an object of schemas to the same value. Older drafts have `dependencies` (its arrays are no
/// schemas).
const SAME_VALUE_MAP: [&str; 2] = ["dependentSchemas", "dependencies"];
/// Keywords that apply one schema to parts of the value; in older drafts `items` may be a list.
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
/// Keywords that apply an array of schemas to parts of the value.
const PART_LIST: [&str; 2] = ["prefixItems", "items"];
/// Keywords that apply an object of schemas to parts of the value.
const PART_MAP: [&str; 2] = ["properties", "patternProperties"];
/// Keywords of references, in all drafts.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];
/// Keywords of names that references may use, in all drafts.
const ANCHORS: [&str; 2] = ["$anchor", "$dynamicAnchor"];

/// Refuses a schema that may cost too much, or that refers outside itself. Returns how many subschemas lie within one
/// another, at most, for the same value.
pub(in crate::registry) fn check(schema: &Value) -> Result<usize, SchemaError> {
    let mut analysis = Analysis {
        root: schema,
        anchors: HashMap::new(),
        costs: HashMap::new(),
        parts: vec![schema],
    };
    analysis.find_anchors(schema, 0)?;
    let mut depth = 0;
    while let Some(part) = analysis.parts.pop() {
        // A schema seen before may be an ancestor: this recursion goes down into the value, which is fine.
        if !analysis.costs.contains_key(&std::ptr::from_ref(part)) {
            depth = depth.max(analysis.cost(part, 0)?.depth);
        }
    }
    Ok(depth)
}

struct Analysis<'s> {
    root: &'s Value,
    anchors: HashMap<&'s str, &'s Value>,
    /// By the address of the subschema; `None` while it is being counted.
    costs: HashMap<*const Value, Option<Cost>>,
    /// Schemas for parts of a value, each of which is counted by itself.
    parts: Vec<&'s Value>,
}

/// Checks of one value by one subschema, itself included.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// Checks to find out whether the value is valid.
    verdict: u64,
    /// Additional checks to find out which parts were looked at (`unevaluatedProperties` and `unevaluatedItems` need
    /// that).
    marks: u64,
    /// How deep the subschemas lie within one another.
    depth: usize,
}

impl Cost {
    const LEAF: Self = Self {
        verdict: 1,
        marks: 1,
        depth: 1,
    };
}

impl<'s> Analysis<'s> {
    /// `same_value_depth` is the number of schemas that this one lies within.
    fn cost(&mut self, schema: &'s Value, same_value_depth: usize) -> Result<Cost, SchemaError> {
        let Some(keywords) = schema.as_object() else {
            return Ok(Cost::LEAF);
        };
        match self.costs.entry(std::ptr::from_ref(schema)) {
            Entry::Occupied(known) => {
                return known.get().ok_or_else(|| SchemaError::Endless(name_of(keywords)));
            }
            Entry::Vacant(unknown) => unknown.insert(None),
        };
        // Known costs hide depth and are counted afterwards; this bounds the module's own stack.
        if same_value_depth >= SAME_VALUE_DEPTH_MAX {
            return Err(too_deep());
        }
        if keywords.get("$id").is_some_and(Value::is_string) && !std::ptr::eq(schema, self.root) {
            return Err(SchemaError::Reference(name_of(keywords)));
        }
        let cost = self.own_cost(keywords, same_value_depth)?;
        self.costs.insert(std::ptr::from_ref(schema), Some(cost));
        self.parts.extend(parts(keywords));
        Ok(cost)
    }

    /// The cost at this value: this schema and all that apply to the same value.
    fn own_cost(
        &mut self,
        keywords: &'s Map<String, Value>,
        same_value_depth: usize,
    ) -> Result<Cost, SchemaError> {
        let (mut verdicts, mut marks, mut depth_below) = (0_u64, 0_u64, 0);
        let references = REFERENCES.iter().filter_map(|name| keywords.get(*name)?.as_str());
        let mut same_value: Vec<&Value> = references
            .map(|reference| self.resolve(reference))
            .collect::<Result<_, _>>()?;
        same_value.extend(one(keywords, &SAME_VALUE_ONE));
        same_value.extend(list(keywords, &SAME_VALUE_LIST));
        same_value.extend(map(keywords, &SAME_VALUE_MAP));
        for schema in same_value {
            let cost = self.cost(schema, same_value_depth + 1)?;
            verdicts = verdicts.saturating_add(cost.verdict);
            marks = marks.saturating_add(cost.marks);
            depth_below = depth_below.max(cost.depth);
        }
        let asks_for_marks =
            keywords.contains_key("unevaluatedProperties") || keywords.contains_key("unevaluatedItems");
        let cost = Cost {
            verdict: verdicts
                .saturating_add(if asks_for_marks { marks } else { 0 })
                .saturating_add(1),
            // Marking needs the verdict of each alternative first.
            marks: verdicts.saturating_add(marks).saturating_add(1),
            depth: depth_below + 1,
        };
        if cost.depth > SAME_VALUE_DEPTH_MAX {
            return Err(too_deep());
        }
        if cost.verdict > SUBSCHEMAS_MAX {
            return Err(SchemaError::TooComplex {
                subschemas: cost.verdict,
                max: SUBSCHEMAS_MAX,
            });
        }
        Ok(cost)
    }

    fn resolve(&self, reference: &str) -> Result<&'s Value, SchemaError> {
        let unknown = || SchemaError::Reference(reference.to_owned());
        let fragment = reference.strip_prefix('#').ok_or_else(unknown)?;
        let fragment = percent_decode(fragment).ok_or_else(unknown)?;
        if fragment.is_empty() {
            return Ok(self.root);
        }
        if !fragment.starts_with('/') {
            return self.anchors.get(&*fragment).copied().ok_or_else(unknown);
        }
        self.root.pointer(&fragment).ok_or_else(unknown)
    }

    fn find_anchors(&mut self, value: &'s Value, depth: usize) -> Result<(), SchemaError> {
        if depth >= JSON_DEPTH_MAX {
            return Err(SchemaError::TooDeep { max: JSON_DEPTH_MAX });
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

fn too_deep() -> SchemaError {
    SchemaError::TooDeep {
        max: SAME_VALUE_DEPTH_MAX,
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

/// A name by which a message identifies a subschema.
fn name_of(keywords: &Map<String, Value>) -> String {
    ["$id", "$anchor", "$dynamicAnchor", "$ref", "title"]
        .iter()
        .find_map(|name| keywords.get(*name)?.as_str())
        .unwrap_or("#")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// `a0` leads to `a1` eight times, and so on, 8^levels checks in all.
    fn bomb(keyword: &str, levels: usize) -> Value {
        let mut definitions = Map::new();
        for level in 0..levels {
            let next = json!({"$ref": format!("#/$defs/a{}", level + 1)});
            definitions.insert(format!("a{level}"), json!({keyword: vec![next; 8]}));
        }
        definitions.insert(format!("a{levels}"), json!({"type": "string"}));
        json!({"type": "object", "$ref": "#/$defs/a0", "$defs": definitions})
    }

    #[test]
    fn bombs_are_refused() {
        for keyword in SAME_VALUE_LIST {
            let refused = check(&bomb(keyword, 7));
            assert!(
                matches!(refused, Err(SchemaError::TooComplex { .. })),
                "{refused:?}"
            );
            assert_eq!(check(&bomb(keyword, 2)), Ok(6));
        }
        let wide = vec![json!(true); 1 << 20];
        let refused = check(&json!({"type": "object", "anyOf": wide}));
        assert!(
            matches!(refused, Err(SchemaError::TooComplex { .. })),
            "{refused:?}"
        );
    }

    #[test]
    fn bombs_inside_parts_are_refused() {
        for part in ["items", "additionalProperties", "contains"] {
            let mut schema = bomb("anyOf", 7);
            schema["$defs"]["top"] = json!({part: {"$ref": "#/$defs/a0"}});
            schema["$ref"] = json!("#/$defs/top");
            assert!(
                matches!(check(&schema), Err(SchemaError::TooComplex { .. })),
                "{part}"
            );
        }
    }

    #[test]
    fn unevaluated_within_unevaluated_doubles() {
        let mut schema = json!({"type": "object"});
        for _ in 0..14 {
            schema = json!({"type": "object", "allOf": [schema], "unevaluatedProperties": false});
        }
        assert!(matches!(check(&schema), Err(SchemaError::TooComplex { .. })));
    }

    #[test]
    fn endless_references_are_refused() {
        for schema in [
            json!({"type": "object", "$ref": "#"}),
            json!({"type": "object", "anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#/$defs/a"}}}}),
            json!({"type": "object", "$dynamicRef": "#x", "$dynamicAnchor": "x"}),
        ] {
            assert!(matches!(check(&schema), Err(SchemaError::Endless(_))), "{schema}");
        }
    }

    #[test]
    fn recursion_into_parts_is_fine() {
        let schema = json!({
            "type": "object",
            "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "all": {"items": {"$ref": "#list"}}},
            "$defs": {"a/b": {"$anchor": "list", "prefixItems": [{"$ref": "#/$defs/a~1b"}, {"$ref": "#/%24defs/a~1b"}]}},
        });
        assert_eq!(check(&schema), Ok(2));
    }

    #[test]
    fn long_ways_are_refused() {
        let mut deep = json!({"type": "object"});
        for _ in 0..JSON_DEPTH_MAX / 2 {
            deep = json!({"type": "object", "properties": {"a": deep}});
        }
        assert_eq!(check(&deep), Err(SchemaError::TooDeep { max: JSON_DEPTH_MAX }));
        let chain = |length: usize| {
            let mut links = Map::new();
            for link in 0..length {
                links.insert(
                    format!("a{link}"),
                    json!({"$ref": format!("#/$defs/a{}", link + 1)}),
                );
            }
            links.insert(format!("a{length}"), json!({}));
            // The middle is visited first, and its cost is known when the beginning needs it.
            let middle = json!({"$ref": format!("#/$defs/a{}", length / 2)});
            json!({"type": "object", "$ref": "#/$defs/a0", "items": middle, "$defs": links})
        };
        assert_eq!(check(&chain(14)), Ok(16));
        assert_eq!(check(&chain(15)), Err(too_deep()));
    }

    #[test]
    fn references_out_of_the_schema_are_refused() {
        for reference in [
            "https://example.com/schema.json",
            "file:///etc/passwd",
            "other.json",
            "#/$defs/none",
            "#none",
            "#/%zz",
            "https://json-schema.org/draft/2020-12/schema",
        ] {
            for keyword in REFERENCES {
                let schema = json!({"type": "object", "properties": {"a": {keyword: reference}}});
                let refused = SchemaError::Reference(reference.to_owned());
                assert_eq!(check(&schema), Err(refused), "{keyword} {reference}");
            }
        }
    }

    #[test]
    fn embedded_resources_are_refused() {
        let schema = json!({"type": "object", "properties": {"a": {"$id": "https://example.com/a"}}});
        assert!(matches!(check(&schema), Err(SchemaError::Reference(_))));
        assert_eq!(
            check(&json!({"type": "object", "$id": "https://example.com/a"})),
            Ok(1)
        );
    }
}
