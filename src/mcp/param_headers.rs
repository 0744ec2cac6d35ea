//! Headers that repeat arguments of a tool: `Mcp-Param-*` (2026-07-28, Streamable HTTP, custom headers from tool
//! parameters).
//!
//! Only tools that declare such headers have them checked; registration has settled which ones, and that they are
//! allowed. Strings are compared byte for byte, integers as numbers, each after decoding. A header for an argument that
//! is absent or `null` is a fault as well: an intermediary that routes by it sees something that the tool does not.

use crate::jsonrpc::Value;
use crate::mcp::error::{Failure, PARAM_HEADER_PREFIX};
use crate::mcp::headers::{DIFFERS, unwrapped};
use crate::mcp::request_context::ParamHeaders;
use crate::registry::{ParamHeader, ToolInfo};
use crate::wire::http1::Field;

/// Checks every header that `tool` wants against the arguments.
pub(super) fn check<'p>(
    tool: &'p ToolInfo,
    headers: ParamHeaders<'_>,
    arguments: Option<Value<'_, '_>>,
) -> Result<(), Failure<'p>> {
    for param in tool.param_headers() {
        let field = headers.find(&format!("{PARAM_HEADER_PREFIX}{}", param.header()));
        check_one(param, field, arguments).map_err(|what| Failure::ParamHeader {
            name: param.header(),
            what,
        })?;
    }
    Ok(())
}

fn check_one(
    param: &ParamHeader,
    field: Field<'_>,
    arguments: Option<Value<'_, '_>>,
) -> Result<(), &'static str> {
    match (argument(arguments, param.path())?, field) {
        (None, Field::Absent) => Ok(()),
        (None, _) => Err("is sent without its argument"),
        (Some(value), field) if says(&unwrapped(field)?, value) => Ok(()),
        _ => Err(DIFFERS),
    }
}

/// The argument at `path`; `None` if it is absent or `null`.
fn argument<'t, 's>(
    arguments: Option<Value<'t, 's>>,
    path: &[String],
) -> Result<Option<Value<'t, 's>>, &'static str> {
    let mut found = arguments;
    for name in path {
        let members = found.into_iter().flat_map(Value::members);
        let mut values = members.filter(|(other, _)| other == name);
        found = values.next().map(|(_, value)| value);
        if values.next().is_some() {
            return Err("is for an argument that stands twice");
        }
    }
    Ok(found.filter(|value| !value.is_null()))
}

/// Whether a header's text stands for a value. An argument that is neither string, number nor boolean breaks the tool's
/// schema, whose error is clearer.
fn says(text: &[u8], value: Value<'_, '_>) -> bool {
    if let Some(string) = value.as_str() {
        text == string.as_bytes()
    } else if let Some(is_true) = value.as_bool() {
        text == if is_true { &b"true"[..] } else { b"false" }
    } else if let Some(number) = value.as_i128() {
        is_number(text, |written| match written.as_i128() {
            Some(written) => written == number,
            None => written.as_f64() == Some(number as f64),
        })
    } else if let Some(number) = value.as_float() {
        is_number(text, |written| written.as_f64() == Some(number))
    } else {
        true
    }
}

fn is_number(text: &[u8], is_same: impl Fn(serde_json::Number) -> bool) -> bool {
    serde_json::from_slice(text).is_ok_and(is_same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::Scratch;

    fn is_said(text: &str, value: &str) -> bool {
        let mut scratch = Scratch::new();
        let document = scratch.parse(value.as_bytes()).unwrap();
        says(text.as_bytes(), document.root())
    }

    #[test]
    fn values_are_compared_by_what_they_mean() {
        for (text, value) in [
            ("42", "42"),
            ("42.0", "42"),
            ("42", "42.0"),
            ("4.2e1", "42"),
            ("-7", "-7"),
            ("9007199254740991", "9007199254740991"),
            ("true", "true"),
            ("false", "false"),
            ("a b", r#""a b""#),
            ("", r#""""#),
            ("42", r#""42""#),
        ] {
            assert!(is_said(text, value), "{text} for {value}");
        }
        for (text, value) in [
            ("43", "42"),
            ("42.5", "42"),
            ("+42", "42"),
            ("042", "42"),
            ("0x2a", "42"),
            ("", "42"),
            ("NaN", "42"),
            ("9007199254740990", "9007199254740991"),
            ("True", "true"),
            ("1", "true"),
            ("true", "false"),
            ("A b", r#""a b""#),
            ("42.0", r#""42""#),
        ] {
            assert!(!is_said(text, value), "{text} for {value}");
        }
    }
}
