//! `null` for an argument that may be left out: it means the same, though the argument's schema has no `null`.
//!
//! Only arguments that break their schema are searched, so that valid ones pay nothing. A `null` is removed where a
//! property of that name is optional and none of the schemas that apply accepts `null` for it; a `null` that a tool
//! could tell from an absent argument stays.

use serde_json::Value;
use simd_json::{Node as RawNode, StaticNode};

use super::tape::{split_member, split_value};

/// Schemas that apply to one value before the search gives up. The cost of a registered schema is bounded too.
const SCHEMAS_MAX: usize = 200;
/// References and alternatives followed to find out whether `null` is accepted.
const DEPTH_MAX: usize = 16;
/// Schemas looked at for one call, whatever a peer sends.
const STEPS_MAX: usize = 100_000;
/// Keywords whose schemas apply to the same value.
const SAME_VALUE: [&str; 6] = ["allOf", "anyOf", "oneOf", "if", "then", "else"];

/// The value without its meaningless nulls; `None` if it has none.
pub(super) fn left_out<'t>(schema: &Value, nodes: &[RawNode<'t>]) -> Option<Vec<RawNode<'t>>> {
    if !has_null(nodes) {
        return None;
    }
    let mut sweep = Sweep {
        root: schema,
        out: Vec::with_capacity(nodes.len()),
        has_dropped: false,
        steps_left: STEPS_MAX,
    };
    sweep.value(nodes, &[schema])?;
    sweep.has_dropped.then_some(sweep.out)
}

fn has_null(nodes: &[RawNode<'_>]) -> bool {
    nodes.iter().any(is_null)
}

fn is_null(node: &RawNode<'_>) -> bool {
    matches!(node, RawNode::Static(StaticNode::Null))
}

struct Sweep<'s, 't> {
    root: &'s Value,
    out: Vec<RawNode<'t>>,
    has_dropped: bool,
    steps_left: usize,
}

impl<'s, 't> Sweep<'s, 't> {
    /// Copies one value, all of `nodes`, to which `schemas` apply. The recursion is as deep as admitted arguments are
    /// nested.
    fn value(&mut self, nodes: &[RawNode<'t>], schemas: &[&'s Value]) -> Option<()> {
        if schemas.is_empty() || !has_null(nodes) {
            self.out.extend_from_slice(nodes);
            return Some(());
        }
        let schemas = self.applied(schemas)?;
        let start = self.out.len();
        let (first, mut rest) = nodes.split_first()?;
        self.out.push(*first);
        match first {
            RawNode::Object { .. } => {
                let mut len = 0;
                while let Some((name, value, next)) = split_member(rest) {
                    // The name has a node of its own, which lives as long as the input.
                    let name_node = rest.first()?;
                    rest = next;
                    if value.first().is_some_and(is_null) && self.may_be_left_out(&schemas, name) {
                        self.has_dropped = true;
                        continue;
                    }
                    len += 1;
                    self.out.push(*name_node);
                    let inner: Vec<_> = schemas.iter().filter_map(|schema| member(schema, name)).collect();
                    self.value(value, &inner)?;
                }
                let count = self.out.len() - start - 1;
                self.out[start] = RawNode::Object { len, count };
            }
            RawNode::Array { len, .. } => {
                let mut at = 0;
                while let Some((value, next)) = split_value(rest) {
                    rest = next;
                    let inner: Vec<_> = schemas.iter().filter_map(|schema| element(schema, at)).collect();
                    self.value(value, &inner)?;
                    at += 1;
                }
                let count = self.out.len() - start - 1;
                self.out[start] = RawNode::Array { len: *len, count };
            }
            RawNode::String(_) | RawNode::Static(_) => {}
        }
        Some(())
    }

    /// The schemas and all others that apply to the same value.
    fn applied(&mut self, schemas: &[&'s Value]) -> Option<Vec<&'s Value>> {
        let mut all: Vec<&Value> = Vec::new();
        let mut next: Vec<&Value> = schemas.to_vec();
        while let Some(schema) = next.pop() {
            self.steps_left = self.steps_left.checked_sub(1)?;
            if all.len() > SCHEMAS_MAX {
                return None;
            }
            if all.iter().any(|known| std::ptr::eq(*known, schema)) {
                continue;
            }
            all.push(schema);
            next.extend(referred(self.root, schema));
            for keyword in SAME_VALUE {
                match schema.get(keyword) {
                    Some(Value::Array(list)) => next.extend(list),
                    Some(one) => next.push(one),
                    None => {}
                }
            }
        }
        Some(all)
    }

    /// Whether the property is optional in one schema, and no schema accepts `null` for it.
    fn may_be_left_out(&self, schemas: &[&Value], name: &str) -> bool {
        let having = || {
            schemas
                .iter()
                .filter_map(|schema| Some((schema, schema.get("properties")?.get(name)?)))
        };
        let is_required = |schema: &Value| {
            let required = schema.get("required").and_then(Value::as_array);
            required.is_some_and(|names| names.iter().any(|required| required == name))
        };
        having().any(|(schema, _)| !is_required(schema))
            && !having().any(|(_, property)| takes_null(self.root, property, DEPTH_MAX))
    }
}

fn referred<'s>(root: &'s Value, schema: &Value) -> Option<&'s Value> {
    root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
}

fn member<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    let property = schema.get("properties").and_then(|all| all.get(name));
    property.or_else(|| schema.get("additionalProperties"))
}

fn element(schema: &Value, at: usize) -> Option<&Value> {
    let place = schema.get("prefixItems").and_then(|places| places.get(at));
    place.or_else(|| schema.get("items"))
}

/// Whether `null` is valid by a schema, as far as this can tell; when in doubt it is.
fn takes_null(root: &Value, schema: &Value, depth_left: usize) -> bool {
    let Some(depth_left) = depth_left.checked_sub(1) else {
        return true;
    };
    if *schema == Value::Bool(false) {
        return false;
    }
    let is_null_kind = |kind: &Value| kind == "null";
    let kind = schema.get("type").is_none_or(|kind| match kind {
        Value::Array(kinds) => kinds.iter().any(is_null_kind),
        kind => is_null_kind(kind),
    });
    let values = |keyword: &str| schema.get(keyword).and_then(Value::as_array);
    let inner = |schema: &Value| takes_null(root, schema, depth_left);
    kind && schema.get("const").is_none_or(Value::is_null)
        && values("enum").is_none_or(|values| values.contains(&Value::Null))
        && values("allOf").is_none_or(|all| all.iter().all(inner))
        && values("anyOf").is_none_or(|any| any.iter().any(inner))
        && values("oneOf").is_none_or(|any| any.iter().any(inner))
        && referred(root, schema).is_none_or(inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn swept(schema: &Value, document: &Value) -> Option<Value> {
        let mut text = document.to_string().into_bytes();
        let tape = simd_json::to_tape(&mut text).unwrap();
        let nodes = left_out(schema, &tape.0)?;
        let steps = super::super::tape::Steps::for_nodes(0, 0);
        let node = super::super::tape::TapeNode::new(&nodes, &steps);
        Some(super::super::deserialize::from_tape(node).unwrap())
    }

    #[test]
    fn nulls_go_where_they_mean_nothing() {
        let schema = json!({
            "type": "object",
            "properties": {
                "a": {"type": "string"},
                "needed": {"type": "string"},
                "nullable": {"type": ["string", "null"]},
                "any": {},
                "list": {"items": {"$ref": "#/$defs/item"}},
                "map": {"additionalProperties": {"$ref": "#/$defs/item"}},
                "either": {"oneOf": [{"properties": {"b": {"enum": ["x"]}}}, {"properties": {"c": {"const": 1}}}]},
            },
            "required": ["needed"],
            "$defs": {"item": {"properties": {"n": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}}},
        });
        assert_eq!(
            swept(
                &schema,
                &json!({
                    "a": null, "needed": null, "nullable": null, "any": null, "other": null,
                    "list": [{"n": null, "m": null}, null, {"n": 1}],
                    "map": {"x": {"n": null}, "y": null},
                    "either": {"b": null, "c": null, "d": null},
                })
            ),
            Some(json!({
                "needed": null, "nullable": null, "any": null, "other": null,
                "list": [{"m": null}, null, {"n": 1}],
                "map": {"x": {}, "y": null},
                "either": {"d": null},
            }))
        );
        for document in [
            json!({"a": "x"}),
            json!({"any": {"a": null}}),
            json!({"needed": null}),
        ] {
            assert_eq!(swept(&schema, &document), None, "{document}");
        }
    }

    #[test]
    fn a_search_ends() {
        let schema = json!({
            "type": "object",
            "properties": {"next": {"$ref": "#"}, "a": {"type": "integer"}, "self": {"anyOf": [{"$ref": "#"}]}},
        });
        let mut document = json!({"a": null});
        for _ in 0..100 {
            document = json!({"next": document, "a": null});
        }
        let found = swept(&schema, &document).unwrap();
        assert_eq!(found.get("a"), None);
        let wide = json!({"list": vec![json!({"a": null}); 200_000]});
        let schema = json!({"type": "object", "properties": {"list": {"items": {"properties": {"a": {"type": "string"}}}}}});
        assert_eq!(swept(&schema, &wide), None);
    }
}
