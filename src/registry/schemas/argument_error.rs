//! The reasons why arguments do not become the type that a function takes.

use std::borrow::Cow;
use std::fmt;

use serde::de::Unexpected;

use super::violations::{TEXT_BYTES_MAX, Violation};

/// Why arguments do not become the tool's type, and where.
#[derive(Debug)]
pub(in crate::registry) struct ArgumentError {
    /// Reference tokens of a JSON pointer, innermost first, escaped and cut.
    path: Vec<String>,
    message: String,
}

impl ArgumentError {
    pub(in crate::registry) fn new(message: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            message: message.into(),
        }
    }

    /// The same error, seen from the object that has the failing value under `name`.
    pub(super) fn under_name(mut self, name: &str) -> Self {
        // The name is cut before it is escaped: a peer's name may be megabytes long, and there may be one at each
        // level.
        let end = name.floor_char_boundary(TEXT_BYTES_MAX);
        self.path.push(name[..end].replace('~', "~0").replace('/', "~1"));
        self
    }

    /// The same error, seen from the array that has the failing value at `index`.
    pub(super) fn under_index(mut self, index: usize) -> Self {
        self.path.push(index.to_string());
        self
    }

    pub(in crate::registry) fn into_violation(self) -> Violation {
        let path: String = self.path.iter().rev().flat_map(|token| ["/", token]).collect();
        Violation::new(&path, &self.message)
    }
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ArgumentError {}

impl serde::de::Error for ArgumentError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    /// Serde's default prints the value, which may be megabytes long.
    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::new(format!("invalid type: {}, expected {expected}", kind(unexpected)))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::new(format!(
            "invalid value: {}, expected {expected}",
            kind(unexpected)
        ))
    }
}

/// The kind of the value that was found, without its text.
fn kind(unexpected: Unexpected<'_>) -> Cow<'static, str> {
    match unexpected {
        Unexpected::Str(_) | Unexpected::Char(_) => "a string".into(),
        Unexpected::Bytes(_) => "bytes".into(),
        Unexpected::Unit => "null".into(),
        other => other.to_string().into(),
    }
}
