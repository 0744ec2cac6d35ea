//! Durations, byte sizes, hosts, small identifiers and errors, as operators write and read them.
//!
//! Quantities are exact integers: no fractions, no rounding, no overflow. Parsing accepts what an operator types
//! (`75s`, `16KiB`), and display writes the largest unit that is exact, so that what is shown can be typed again.
//! This module does not know which option a value belongs to, nor its bounds.

mod authority;
mod causes;
mod duration;
mod ids;
mod size;
mod timestamp;

pub use authority::{Authority, HostName, has_valid_escapes};
pub use causes::with_causes;
pub use duration::{TimeLimit, display_duration, parse_duration};
pub use ids::{CpuId, ShardId, ViewId};
pub use size::ByteSize;
pub use timestamp::Timestamp;
#[cfg(feature = "files")]
pub use timestamp::UnixSeconds;

/// Why a quantity was not understood. The messages complete a sentence that begins with the option's name and value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// The text is empty, or has only spaces.
    #[error("is empty")]
    Empty,
    /// The text does not start with a digit.
    #[error("does not start with a number; write for example `{example}`")]
    NotANumber {
        /// A well-formed value of the kind that was expected.
        example: &'static str,
    },
    /// The text has a decimal point; quantities are whole numbers.
    #[error("is not a whole number; use a smaller unit, for example `{example}`")]
    Fraction {
        /// A well-formed value of the kind that was expected.
        example: &'static str,
    },
    /// A duration has no unit.
    #[error("has no unit; write for example `{example}`")]
    UnitMissing {
        /// A well-formed value of the kind that was expected.
        example: &'static str,
    },
    /// The unit does not exist.
    #[error("has the unknown unit `{unit}`; known are {known}")]
    UnitUnknown {
        /// The text behind the number.
        unit: String,
        /// All units of this kind.
        known: &'static str,
    },
    /// The number does not fit.
    #[error("is too large to be represented")]
    Overflow,
}

/// Splits `12KiB` into `12` and `KiB`.
///
/// # Errors
/// Fails when the text is empty, does not begin with a digit, has a fraction, or its number exceeds 64 bits.
fn split_quantity<'a>(text: &'a str, example: &'static str) -> Result<(u64, &'a str), UnitError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(UnitError::Empty);
    }
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(digits_end);
    if digits.is_empty() {
        return Err(UnitError::NotANumber { example });
    }
    if rest.starts_with(['.', ',']) {
        return Err(UnitError::Fraction { example });
    }
    let number = digits.parse().map_err(|_| UnitError::Overflow)?;
    Ok((number, rest.trim_start()))
}
