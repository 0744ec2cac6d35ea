//! The headers of the modern era: `MCP-Protocol-Version`, `Mcp-Method` and `Mcp-Name` must repeat what the body says
//! (2026-07-28, transports, request headers).
//!
//! Values are compared byte for byte; the case of field names does not matter. `Mcp-Name` may be wrapped as
//! `=?base64?…?=`, which is decoded before the comparison; an incomplete wrapper is taken literally. The same goes for
//! `Mcp-Param-*`, which `param_headers` compares.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::wire::http1::Field;

use crate::mcp::error::Failure;
use crate::mcp::request_context::RequestContext;

const WRAPPER_OPEN: &[u8] = b"=?base64?";
const WRAPPER_CLOSE: &[u8] = b"?=";

/// A value as a client writes it into a head: as it is, or in the wrapper.
pub fn wrapped(value: &str) -> String {
    let is_plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && value.trim() == value
        && !value.starts_with("=?base64?");
    if is_plain {
        value.to_owned()
    } else {
        format!("=?base64?{}?=", STANDARD.encode(value))
    }
}

/// A header that must repeat what the body says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mirrored {
    ProtocolVersion,
    Method,
    Name,
}

impl Mirrored {
    pub(super) const fn header(self) -> &'static str {
        match self {
            Self::ProtocolVersion => "MCP-Protocol-Version",
            Self::Method => "Mcp-Method",
            Self::Name => "Mcp-Name",
        }
    }

    /// Checks the header against the body's value, if the message has a head.
    pub(super) fn check_in<'s>(
        self,
        request_context: &RequestContext<'_>,
        body: &str,
    ) -> Result<(), Failure<'s>> {
        let Some(head) = request_context.head() else {
            return Ok(());
        };
        let field = match self {
            Self::ProtocolVersion => head.protocol_version,
            Self::Method => head.method,
            Self::Name => head.name,
        };
        self.check(field, body)
    }

    fn check<'s>(self, field: Field<'_>, body: &str) -> Result<(), Failure<'s>> {
        let fault = |what| Failure::HeaderMismatch {
            header: self.header(),
            what,
        };
        let value = match self {
            Self::Name => unwrapped(field),
            Self::ProtocolVersion | Self::Method => single(field).map(Cow::Borrowed),
        };
        if value.map_err(fault)? == body.as_bytes() {
            Ok(())
        } else {
            Err(fault(DIFFERS))
        }
    }
}

/// The fault of a header that differs from the body.
pub(super) const DIFFERS: &str = "differs from the body";

/// The value of a field that must be present exactly once.
fn single(field: Field<'_>) -> Result<&[u8], &'static str> {
    match field {
        Field::Absent => Err("is missing"),
        Field::Repeated => Err("is sent more than once"),
        // HTTP lets no control characters but tabs into a value.
        Field::One(value) if !value.is_ascii() => Err("has characters outside ASCII"),
        Field::One(value) => Ok(value),
    }
}

/// The same value, decoded from canonical, padded base64 if it is wrapped.
pub(super) fn unwrapped(field: Field<'_>) -> Result<Cow<'_, [u8]>, &'static str> {
    let value = single(field)?;
    let wrapped = value.strip_prefix(WRAPPER_OPEN);
    match wrapped.and_then(|rest| rest.strip_suffix(WRAPPER_CLOSE)) {
        None => Ok(Cow::Borrowed(value)),
        Some(encoded) => {
            let decoded = STANDARD.decode(encoded).map_err(|_| "is not valid base64")?;
            Ok(Cow::Owned(decoded))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_cannot_stand_in_a_head_is_wrapped() {
        assert_eq!(wrapped("a b"), "a b");
        assert_eq!(wrapped("é"), "=?base64?w6k=?=");
        assert_eq!(wrapped("=?base64?eA==?="), "=?base64?PT9iYXNlNjQ/ZUE9PT89?=");
        assert_eq!(wrapped(" a"), "=?base64?IGE=?=");
    }

    #[test]
    fn names_are_compared_after_decoding() {
        let is_equal =
            |value: &str, body: &str| Mirrored::Name.check(Field::One(value.as_bytes()), body).is_ok();
        assert!(is_equal("echo", "echo"));
        assert!(is_equal("=?base64?ZWNobw==?=", "echo"));
        assert!(is_equal("=?base64?w6k=?=", "é"));
        assert!(is_equal("=?base64?ZWNobw==", "=?base64?ZWNobw=="));
        for value in [
            "ECHO",
            "",
            "é",
            "=?base64?ZWNobw?=",
            "=?base64?ZW%obw==?=",
            "=?base64?ZWNobx==?=",
            "=?BASE64?ZWNobw==?=",
            "=?base64?ZWNobw==",
            "=?base64?c2xlZXA=?=",
            "=?base64?=",
        ] {
            assert!(!is_equal(value, "echo"), "{value}");
        }
        assert!(!is_equal("é", "é"));
    }

    #[test]
    fn only_names_are_wrapped() {
        let wrapped = Field::One(b"=?base64?dG9vbHMvbGlzdA==?=");
        assert!(Mirrored::Method.check(wrapped, "tools/list").is_err());
        assert!(Mirrored::Method.check(Field::Repeated, "tools/list").is_err());
        assert!(Mirrored::Method.check(Field::Absent, "tools/list").is_err());
    }
}
