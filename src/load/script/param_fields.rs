//! Arguments that a request's head repeats: `Mcp-Param-*` (MCP 2026-07-28, Streamable HTTP, custom headers from tool
//! parameters). A server refuses a call whose head lacks them.

use serde_json::Value;

use super::message::field;
use crate::mcp::wrapped;
use crate::registry::ParamHeader;

/// What a field's name begins with.
const PREFIX: &str = "mcp-param-";

/// The header lines for arguments, an object's text. One that is absent or null has none.
pub(super) fn param_fields(params: &[ParamHeader], arguments: &str) -> String {
    let mut lines = String::new();
    if params.is_empty() {
        return lines;
    }
    let arguments = serde_json::from_str::<Value>(arguments).unwrap_or_default();
    for param in params {
        let argument = param
            .path()
            .iter()
            .try_fold(&arguments, |found, name| found.get(name));
        if let Some(text) = argument.and_then(text) {
            field(
                &mut lines,
                &format!("{PREFIX}{}", param.header()),
                &wrapped(&text),
            );
        }
    }
    lines
}

/// A value as a header says it. Objects and arrays have no such form, and the server will say so.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::param_headers;

    #[test]
    fn each_argument_that_is_there_has_a_line() {
        let schema = json!({"properties": {
            "text": {"type": "string", "x-mcp-header": "Text"},
            "deep": {"properties": {"n": {"type": "integer", "x-mcp-header": "N"}}},
            "dry": {"type": "boolean", "x-mcp-header": "Dry"},
        }});
        let params = param_headers(&schema).unwrap();
        for (arguments, expected) in [
            (
                r#"{"text":"a b","deep":{"n":-7},"dry":false}"#,
                "mcp-param-Text: a b\r\nmcp-param-N: -7\r\nmcp-param-Dry: false\r\n",
            ),
            (r#"{"text":null,"deep":{}}"#, ""),
            (r#"{"text":"","deep":3}"#, "mcp-param-Text: \r\n"),
            (r#"{"text":" a"}"#, "mcp-param-Text: =?base64?IGE=?=\r\n"),
            (
                r#"{"text":"a\r\nb: c"}"#,
                "mcp-param-Text: =?base64?YQ0KYjogYw==?=\r\n",
            ),
        ] {
            assert_eq!(param_fields(&params, arguments), expected, "{arguments}");
        }
    }
}
