//! The keywords whose values hold other schemas.

use serde_json::{Map, Value};

/// The form of a keyword's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum Place {
    /// Data, or nothing that concerns a walk.
    Data,
    /// One schema.
    One,
    /// An array of schemas.
    List,
    /// An object of schemas, under names that their author chose.
    Map,
}

impl Place {
    /// The form of the value of `keyword`, in all drafts.
    pub(in crate::registry) fn of(keyword: &str) -> Self {
        match keyword {
            "items"
            | "additionalItems"
            | "unevaluatedItems"
            | "contains"
            | "additionalProperties"
            | "unevaluatedProperties"
            | "propertyNames"
            | "not"
            | "if"
            | "then"
            | "else" => Self::One,
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => Self::List,
            "properties" | "patternProperties" | "dependentSchemas" | "$defs" | "definitions" => Self::Map,
            _ => Self::Data,
        }
    }
}

/// The value of `keyword` with each schema in it replaced by the result of `change`; `None` if `change` gives none for
/// one of them.
pub(super) fn try_map(
    keyword: &str,
    value: &Value,
    change: &mut impl FnMut(&Value) -> Option<Value>,
) -> Option<Value> {
    Some(match (Place::of(keyword), value) {
        // Older drafts have a list under `items`.
        (Place::List | Place::One, Value::Array(list)) => {
            Value::Array(list.iter().map(change).collect::<Option<_>>()?)
        }
        (Place::Map, Value::Object(named)) => {
            let changed = named
                .iter()
                .map(|(name, schema)| Some((name.clone(), change(schema)?)));
            Value::Object(changed.collect::<Option<Map<_, _>>>()?)
        }
        (Place::One, one @ Value::Object(_)) => change(one)?,
        _ => value.clone(),
    })
}
