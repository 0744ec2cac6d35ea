//! Arguments that a tool's schema does not name.

use std::fmt::Write as _;

use serde_json::{Value, json};
use simd_json::Node as RawNode;

use super::listed;
use super::tape::split_member;

/// Names in one note.
const NAMES_MAX: usize = 8;
/// Bytes of one name.
const NAME_BYTES_MAX: usize = 64;
/// The least similarity of two names to suggest one for the other, from 0 to 1.
const LIKENESS_MIN: f64 = 0.8;

/// What happens to arguments that a tool's schema does not name.
///
/// By default it is as in JSON Schema: they are ignored, unless the schema forbids them with `"additionalProperties":
/// false` (`#[serde(deny_unknown_fields)]` on the arguments' type). The result does not mention them then, since some
/// clients add arguments of their own to every call, and their users would read about it in every answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownArguments {
    /// They are ignored, as in JSON Schema.
    #[default]
    Ignore,
    /// They are ignored, and the result says so in a text block of its own behind the others, with the name that was
    /// probably meant. Costs each call a comparison of names.
    Report,
    /// They are refused, like other arguments that break the schema. The listed schema says so.
    Refuse,
}

/// Adds to a schema that it accepts no other arguments, unless it mentions others itself.
pub(in crate::registry) fn refuse(schema: &mut Value) {
    let Some(keywords) = schema.as_object_mut() else {
        return;
    };
    let is_settled = ["additionalProperties", "unevaluatedProperties"]
        .iter()
        .any(|keyword| keywords.contains_key(*keyword));
    if is_settled {
        return;
    }
    // One of the two keywords sees properties of alternatives; the other does not.
    let has_parts = ["allOf", "anyOf", "oneOf", "if", "$ref", "dependentSchemas"]
        .iter()
        .any(|keyword| keywords.contains_key(*keyword));
    let keyword = if has_parts {
        "unevaluatedProperties"
    } else {
        "additionalProperties"
    };
    keywords.insert(keyword.to_owned(), json!(false));
}

/// The names of a tool's arguments.
#[derive(Debug)]
pub(in crate::registry) struct KnownArguments(Vec<String>);

impl KnownArguments {
    /// `None` if the schema allows arguments of any name.
    pub(in crate::registry) fn of(schema: &Value) -> Option<Self> {
        let listed = listed::input(schema);
        let has_others =
            listed.get("additionalProperties").is_some() || schema.get("patternProperties").is_some();
        let properties = listed.get("properties")?.as_object()?;
        (!has_others).then(|| Self(properties.keys().cloned().collect()))
    }

    /// The note on the unknown ones among these arguments, if there are any. Allocates only then.
    pub(in crate::registry) fn note(&self, nodes: &[RawNode<'_>]) -> Option<Box<str>> {
        let is_known = |name: &str| self.0.iter().any(|known| known == name);
        let mut rest = nodes.get(1..)?;
        while let Some((name, _, next)) = split_member(rest) {
            if !is_known(name) {
                return Some(self.words(rest));
            }
            rest = next;
        }
        None
    }

    #[cold]
    fn words(&self, mut rest: &[RawNode<'_>]) -> Box<str> {
        let mut words = String::from("Unknown arguments were ignored: ");
        let mut count = 0;
        while let Some((name, _, next)) = split_member(rest) {
            rest = next;
            if self.0.iter().any(|known| known == name) {
                continue;
            }
            count += 1;
            if count > NAMES_MAX {
                continue;
            }
            let separator = if count == 1 { "" } else { ", " };
            let end = name.floor_char_boundary(NAME_BYTES_MAX);
            let _ = write!(words, "{separator}{:?}", &name[..end]);
            if let Some(meant) = nearest(name, self.0.iter().map(String::as_str)) {
                let _ = write!(words, " (did you mean {meant:?}?)");
            }
        }
        if count > NAMES_MAX {
            let _ = write!(words, " and {} more", count - NAMES_MAX);
        }
        words.push('.');
        words.into()
    }
}

/// The name that was probably meant.
pub(super) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let end = name.floor_char_boundary(NAME_BYTES_MAX);
    let name = name[..end].to_lowercase();
    known
        .map(|known| (strsim::jaro_winkler(&name, &known.to_lowercase()), known))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(schema: &Value, arguments: &str) -> Option<String> {
        let mut text = arguments.as_bytes().to_vec();
        let tape = simd_json::to_tape(&mut text).unwrap();
        KnownArguments::of(schema)?.note(&tape.0).map(String::from)
    }

    #[test]
    fn unknown_names_are_told_with_what_may_be_meant() {
        let schema = json!({"type": "object", "properties": {"limit": {"type": "integer"}, "path": {}}});
        assert_eq!(note(&schema, r#"{"limit":1,"path":2}"#), None);
        assert_eq!(note(&schema, "{}"), None);
        assert_eq!(
            note(
                &schema,
                r#"{"limt":1,"path":{"x":1},"zzz":[1,{"limit":2}],"Path":3}"#
            )
            .unwrap(),
            r#"Unknown arguments were ignored: "limt" (did you mean "limit"?), "zzz", "Path" (did you mean "path"?)."#
        );
        let many: Vec<String> = (0..20)
            .map(|at| format!("\"{}{at}\":0", "q".repeat(1_000)))
            .collect();
        let many = note(&schema, &format!("{{{}}}", many.join(","))).unwrap();
        assert!(many.ends_with(" and 12 more.") && many.len() < 1_000, "{many}");
    }

    #[test]
    fn names_of_alternatives_and_patterns_are_known() {
        let one_of = json!({"type": "object", "oneOf": [
            {"type": "object", "properties": {"a": {}}}, {"type": "object", "properties": {"b": {}}},
        ]});
        assert_eq!(note(&one_of, r#"{"a":1,"b":1}"#), None);
        assert!(note(&one_of, r#"{"c":1}"#).is_some());
        for open in [
            json!({"type": "object", "additionalProperties": true}),
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"type": "object", "patternProperties": {"^x-": {}}}),
        ] {
            assert_eq!(note(&open, r#"{"x-a":"1"}"#), None, "{open}");
        }
    }

    #[test]
    fn refusing_sees_the_properties_of_alternatives() {
        let refusing = |mut schema: Value| {
            refuse(&mut schema);
            schema
        };
        let plain = refusing(json!({"type": "object", "properties": {"a": {}}}));
        assert_eq!(plain["additionalProperties"], false);
        let parts = refusing(json!({"type": "object", "oneOf": [{"properties": {"a": {}}}]}));
        assert_eq!(parts["unevaluatedProperties"], false);
        let open = json!({"type": "object", "additionalProperties": {"type": "string"}});
        assert_eq!(refusing(open.clone()), open);
    }
}
