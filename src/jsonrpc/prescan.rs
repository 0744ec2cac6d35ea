//! A look at a large body before it is parsed: nesting and number of values, in one pass without storage.
//!
//! The parser allocates for every structural byte before it judges any; this scan bounds that. It is not a parser: a
//! text that it accepts may still not be JSON, but a text that it refuses is never acceptable.
//! Invariant: for a valid text it counts exactly the values and member names, that is the tape's entries.

use memchr::memchr2;

use super::parse_error::{DEPTH_MAX, ParseError, VALUES_MAX};

/// Separators a text with `VALUES_MAX` values can have: one `,` or `:` and one closing bracket for each.
const SEPARATORS_MAX: usize = 2 * VALUES_MAX;

pub(super) fn check(body: &[u8]) -> Result<(), ParseError> {
    let mut depth = 0_usize;
    let mut values = 0_usize;
    let mut separators = 0_usize;
    let mut in_scalar = false;
    let mut rest = body;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'"' => {
                rest = after_string(behind).ok_or(ParseError::Syntax)?;
                values += 1;
                in_scalar = false;
            }
            b'[' | b'{' => {
                depth += 1;
                values += 1;
                in_scalar = false;
                if depth > DEPTH_MAX {
                    return Err(ParseError::TooDeep);
                }
            }
            b']' | b'}' => {
                depth = depth.checked_sub(1).ok_or(ParseError::Syntax)?;
                separators += 1;
                in_scalar = false;
            }
            b',' | b':' => {
                separators += 1;
                in_scalar = false;
            }
            b' ' | b'\n' | b'\r' | b'\t' => in_scalar = false,
            _ => {
                values += usize::from(!in_scalar);
                in_scalar = true;
            }
        }
        if values > VALUES_MAX || separators > SEPARATORS_MAX {
            return Err(ParseError::TooManyValues);
        }
    }
    Ok(())
}

/// What follows the string whose opening quote was just read; none if it never ends.
pub(super) fn after_string(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        let at = memchr2(b'"', b'\\', text)?;
        if text.get(at) == Some(&b'"') {
            return text.get(at + 1..);
        }
        text = text.get(at + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_exactly_the_tapes_entries() {
        let fits = format!("[{}1]", "\"a,[\\\"\",".repeat(VALUES_MAX - 2));
        let over = format!("[{}1]", "\"a,[\\\"\",".repeat(VALUES_MAX - 1));
        assert_eq!(check(fits.as_bytes()), Ok(()));
        assert_eq!(check(over.as_bytes()), Err(ParseError::TooManyValues));
    }

    #[test]
    fn refuses_depth_and_floods_of_separators() {
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(check(deep(DEPTH_MAX).as_bytes()), Ok(()));
        assert_eq!(check(deep(DEPTH_MAX + 1).as_bytes()), Err(ParseError::TooDeep));
        assert_eq!(check(b"[]]"), Err(ParseError::Syntax));
        assert_eq!(check(b"\"never ends"), Err(ParseError::Syntax));
        assert_eq!(check(b"\"ends in a backslash\\"), Err(ParseError::Syntax));
        let commas = ",".repeat(SEPARATORS_MAX + 1);
        assert_eq!(check(commas.as_bytes()), Err(ParseError::TooManyValues));
    }
}
