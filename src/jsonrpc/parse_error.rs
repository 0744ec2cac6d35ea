//! The reasons why a body is refused, and the limits of an accepted one.

/// Deepest nesting of arrays and objects that is accepted.
pub const DEPTH_MAX: usize = 128;

/// Most values (member names included) in one body, so that the tape stays within 12 MiB.
pub const VALUES_MAX: usize = 512 * 1024;

/// Why a body is not a JSON text that the server accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not JSON (RFC 8259), or not UTF-8.
    #[error("not a valid JSON text")]
    Syntax,
    /// A string has half of a surrogate pair, which stands for no character.
    #[error("a string has the unpaired surrogate \\u{unit:04x}, which is not text")]
    Surrogate {
        /// The UTF-16 code unit.
        unit: u16,
        /// Where in the body its escape begins.
        at: usize,
    },
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// More than [`VALUES_MAX`] values.
    #[error("more than {VALUES_MAX} values")]
    TooManyValues,
}
