//! The header discipline of the modern era: what `MCP-Protocol-Version`, `Mcp-Method` and `Mcp-Name` say must
//! be what the body says (2026-07-28, transports, request headers).
//!
//! Values are compared byte for byte, field names were matched without regard to case. `Mcp-Name` may be wrapped
//! as `=?base64?…?=`, which is decoded before the comparison; a wrapper that is not whole is a literal.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::wire::http1::Field;

use super::error::Failure;

const WRAPPER_OPEN: &[u8] = b"=?base64?";
const WRAPPER_CLOSE: &[u8] = b"?=";

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

    /// Checks the header against the body's value.
    pub(super) fn check<'s>(self, field: Field<'_>, body: &str) -> Result<(), Failure<'s>> {
        let fault = |what| Failure::HeaderMismatch { header: self, what };
        match field {
            Field::Absent => Err(fault("is missing")),
            Field::Repeated => Err(fault("is sent more than once")),
            Field::One(value) if !value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) => {
                Err(fault("has characters outside ASCII"))
            }
            Field::One(value) => match self.unwrapped(value) {
                None if value == body.as_bytes() => Ok(()),
                Some(encoded) => decodes_to(encoded, body).map_err(fault),
                None => Err(fault("differs from the body")),
            },
        }
    }

    fn unwrapped(self, value: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Name => value.strip_prefix(WRAPPER_OPEN)?.strip_suffix(WRAPPER_CLOSE),
            Self::ProtocolVersion | Self::Method => None,
        }
    }
}

/// Whether canonical, padded base64 stands for `body`.
fn decodes_to(encoded: &[u8], body: &str) -> Result<(), &'static str> {
    let decoded = STANDARD.decode(encoded).map_err(|_| "is not valid base64")?;
    match decoded == body.as_bytes() {
        true => Ok(()),
        false => Err("differs from the body"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
