//! Arguments that clients repeat as HTTP headers: `x-mcp-header` in a tool's schema (MCP 2026-07-28, Streamable HTTP,
//! custom headers from tool parameters).
//!
//! They are read and checked when the tool is registered, because clients drop a tool that breaks the rules. The
//! protocol layer compares headers with arguments.

use serde_json::{Map, Value};

/// The keyword.
const ANNOTATION: &str = "x-mcp-header";
/// Keywords whose values are data or names of properties, never schemas.
const DATA: [&str; 5] = ["const", "enum", "default", "examples", "required"];
/// Keywords whose members are schemas under names that their author chose.
const NAMED_SCHEMAS: [&str; 6] = [
    "properties",
    "patternProperties",
    "dependentSchemas",
    "dependencies",
    "$defs",
    "definitions",
];

/// An argument that also comes as a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamHeader {
    header: String,
    path: Vec<String>,
    kind: ParamKind,
}

/// The type of the argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParamKind {
    /// A string.
    String,
    /// A whole number, within 2^53 - 1 of zero.
    Integer,
    /// `true` or `false`.
    Boolean,
}

/// Why a schema's annotations are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamHeaderError {
    /// The value is not a header's name (RFC 9110, section 5.6.2: `token`).
    #[error(
        "\"x-mcp-header\": {0} is not a name for a header: it must be a string of RFC 9110 token characters"
    )]
    Name(String),
    /// Two arguments share one header; the case of letters makes no difference.
    #[error("the header {0:?} is used twice")]
    Duplicate(String),
    /// Only strings, integers and booleans travel in headers.
    #[error("the argument for header {0:?} is not of type string, integer or boolean")]
    Type(String),
    /// A client cannot find the argument.
    #[error("\"x-mcp-header\" under {0:?}: an argument must be reached through \"properties\" only")]
    Place(String),
}

impl ParamHeader {
    /// The part of the header's name that follows `Mcp-Param-`.
    pub fn header(&self) -> &str {
        &self.header
    }

    /// The names of the properties that lead to the argument, outermost first; at least one.
    pub fn path(&self) -> &[String] {
        &self.path
    }

    /// The type of the argument.
    pub fn kind(&self) -> ParamKind {
        self.kind
    }
}

/// The annotated arguments of a tool's schema, in the order in which they stand there.
pub(crate) fn of_schema(schema: &Value) -> Result<Vec<ParamHeader>, ParamHeaderError> {
    let mut found = Vec::new();
    walk(schema, &mut Vec::new(), None, &mut found)?;
    Ok(found)
}

/// Searches one schema. `outside` is the keyword that led off the chain of `properties`, if one did. The depth of
/// schemas is bounded before they come here.
fn walk(
    schema: &Value,
    path: &mut Vec<String>,
    outside: Option<&str>,
    found: &mut Vec<ParamHeader>,
) -> Result<(), ParamHeaderError> {
    let Some(members) = schema.as_object() else {
        return Ok(());
    };
    if let Some(name) = members.get(ANNOTATION) {
        if path.is_empty() || outside.is_some() {
            return Err(ParamHeaderError::Place(outside.unwrap_or("the root").to_owned()));
        }
        let header = read(members, name, path)?;
        if found
            .iter()
            .any(|other| other.header.eq_ignore_ascii_case(&header.header))
        {
            return Err(ParamHeaderError::Duplicate(header.header));
        }
        found.push(header);
    }
    for (keyword, value) in members {
        if DATA.contains(&keyword.as_str()) {
            continue;
        }
        let beyond = match keyword.as_str() {
            "properties" => outside,
            other => outside.or(Some(other)),
        };
        match value {
            Value::Object(named) if NAMED_SCHEMAS.contains(&keyword.as_str()) => {
                for (name, inner) in named {
                    path.push(name.clone());
                    walk(inner, path, beyond, found)?;
                    path.pop();
                }
            }
            Value::Object(_) => walk(value, path, beyond, found)?,
            Value::Array(list) => {
                for inner in list {
                    walk(inner, path, beyond, found)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn read(
    members: &Map<String, Value>,
    name: &Value,
    path: &[String],
) -> Result<ParamHeader, ParamHeaderError> {
    let header = match name.as_str() {
        Some(text) if !text.is_empty() && text.bytes().all(is_token) => text.to_owned(),
        _ => return Err(ParamHeaderError::Name(name.to_string())),
    };
    let kind = match members.get("type").and_then(Value::as_str) {
        Some("string") => ParamKind::String,
        Some("integer") => ParamKind::Integer,
        Some("boolean") => ParamKind::Boolean,
        _ => return Err(ParamHeaderError::Type(header)),
    };
    Ok(ParamHeader {
        header,
        path: path.to_vec(),
        kind,
    })
}

/// Whether a byte is a `tchar` of RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The error of an object with this one property.
    fn refused(property: &Value) -> ParamHeaderError {
        of_schema(&json!({"type": "object", "properties": {"a": property}})).expect_err("refused")
    }

    #[test]
    fn annotated_arguments_are_found_with_their_paths() {
        let schema = json!({
            "type": "object",
            "properties": {
                "region": {"type": "string", "x-mcp-header": "Region"},
                "options": {
                    "type": "object",
                    "properties": {
                        "limit": {"type": "integer", "x-mcp-header": "Max-Rows"},
                        "deep": {"properties": {"dry": {"type": "boolean", "x-mcp-header": "dry.run~"}}},
                    },
                },
                "plain": {"type": "number"},
            },
            "required": ["region"],
        });
        let found = of_schema(&schema).unwrap();
        let facts: Vec<_> = found
            .iter()
            .map(|one| (one.header(), one.path().join("/"), one.kind()))
            .collect();
        let expected = [
            ("Region", "region".to_owned(), ParamKind::String),
            ("Max-Rows", "options/limit".to_owned(), ParamKind::Integer),
            ("dry.run~", "options/deep/dry".to_owned(), ParamKind::Boolean),
        ];
        assert_eq!(facts, expected);
    }

    #[test]
    fn names_are_tokens() {
        for name in [
            json!(""),
            json!("a b"),
            json!("a:b"),
            json!("é"),
            json!("a\r\nb"),
            json!("a/b"),
            json!("(a)"),
        ] {
            let error = refused(&json!({"type": "string", "x-mcp-header": name}));
            assert!(matches!(error, ParamHeaderError::Name(_)), "{name}");
        }
        for name in [json!(null), json!(true), json!(3), json!(["A"]), json!({})] {
            let error = refused(&json!({"type": "string", "x-mcp-header": name}));
            assert!(matches!(error, ParamHeaderError::Name(_)), "{name}");
        }
    }

    #[test]
    fn names_are_unique_whatever_their_case() {
        let schema = json!({
            "type": "object",
            "properties": {
                "a": {"type": "string", "x-mcp-header": "Region"},
                "b": {"properties": {"c": {"type": "string", "x-mcp-header": "rEGION"}}},
            },
        });
        assert_eq!(
            of_schema(&schema),
            Err(ParamHeaderError::Duplicate("rEGION".to_owned()))
        );
    }

    #[test]
    fn only_texts_integers_and_booleans_travel() {
        for kind in [
            json!("number"),
            json!("object"),
            json!("array"),
            json!("null"),
            json!(["string", "null"]),
            json!(["string"]),
        ] {
            let error = refused(&json!({"type": kind, "x-mcp-header": "A"}));
            assert_eq!(error, ParamHeaderError::Type("A".to_owned()), "{kind}");
        }
        let error = refused(&json!({"x-mcp-header": "A", "enum": ["a"]}));
        assert_eq!(error, ParamHeaderError::Type("A".to_owned()));
    }

    #[test]
    fn only_properties_lead_there() {
        let one = json!({"type": "string", "x-mcp-header": "A"});
        let inner = json!({"properties": {"b": one}});
        let mut all = Vec::new();
        for keyword in [
            "items",
            "not",
            "if",
            "then",
            "else",
            "contains",
            "propertyNames",
            "additionalProperties",
        ] {
            all.push((keyword, json!({keyword: one})));
            all.push((keyword, json!({keyword: inner})));
        }
        for keyword in ["oneOf", "anyOf", "allOf", "prefixItems"] {
            all.push((keyword, json!({keyword: [{}, one]})));
            all.push((keyword, json!({keyword: [inner]})));
        }
        for keyword in ["patternProperties", "dependentSchemas", "$defs", "definitions"] {
            all.push((keyword, json!({keyword: {"x": one}})));
            all.push((keyword, json!({keyword: {"x": inner}})));
        }
        for (keyword, members) in all {
            assert_eq!(
                refused(&members),
                ParamHeaderError::Place(keyword.to_owned()),
                "{members}"
            );
            let mut root = members.clone();
            root["type"] = json!("object");
            let error = of_schema(&root).expect_err("refused");
            assert_eq!(error, ParamHeaderError::Place(keyword.to_owned()), "{members}");
        }
        let root = json!({"type": "object", "x-mcp-header": "A"});
        assert_eq!(
            of_schema(&root),
            Err(ParamHeaderError::Place("the root".to_owned()))
        );
        // A reference does not make it reachable either.
        let referred = json!({
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/a"}},
            "$defs": {"a": one},
        });
        assert_eq!(
            of_schema(&referred),
            Err(ParamHeaderError::Place("$defs".to_owned()))
        );
    }

    #[test]
    fn data_and_names_are_no_annotations() {
        let schema = json!({
            "type": "object",
            "properties": {
                "x-mcp-header": {"type": "string"},
                "default": {"type": "string", "x-mcp-header": "Default"},
                "a": {
                    "default": {"x-mcp-header": "B"},
                    "const": {"x-mcp-header": "B"},
                    "enum": [{"x-mcp-header": "B"}],
                    "examples": [{"x-mcp-header": "B"}],
                },
            },
        });
        let found = of_schema(&schema).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].header(), found[0].path()),
            ("Default", &["default".to_owned()][..])
        );
    }
}
