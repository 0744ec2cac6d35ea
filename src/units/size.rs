//! Sizes in bytes.

use std::fmt;
use std::str::FromStr;

use super::{UnitError, split_quantity};

const EXAMPLE: &str = "4MiB";
const KNOWN: &str = "B, KiB, MiB, GiB, TiB, kB, MB, GB, TB";

/// Binary units first and largest first: display looks for the largest exact one among these.
const BINARY: [(&str, u64); 4] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
];
const DECIMAL: [(&str, u64); 4] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
];

/// A number of bytes that is read and shown with its unit: `16KiB`, `4MiB`, or plain bytes.
///
/// Units are matched without regard to case; `K`, `M`, `G`, `T` alone are binary, as in systemd and Docker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// The size rounded down to three significant digits, for people: `31.2 MiB`.
    pub fn rounded(self) -> String {
        let Some((unit, factor)) = BINARY.into_iter().find(|(_, factor)| self.0 >= *factor) else {
            return format!("{} B", self.0);
        };
        let tenths = u128::from(self.0) * 10 / u128::from(factor);
        match (tenths / 10, tenths % 10) {
            (whole, 0) => format!("{whole} {unit}"),
            (whole, tenth) if whole < 100 => format!("{whole}.{tenth} {unit}"),
            (whole, _) => format!("{whole} {unit}"),
        }
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split_quantity(text, EXAMPLE)?;
        let factor = factor_of(unit).ok_or_else(|| UnitError::UnitUnknown {
            unit: unit.to_owned(),
            known: KNOWN,
        })?;
        number.checked_mul(factor).map(Self).ok_or(UnitError::Overflow)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match BINARY
            .into_iter()
            .find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor))
        {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

fn factor_of(unit: &str) -> Option<u64> {
    if unit.is_empty() || unit.eq_ignore_ascii_case("b") {
        return Some(1);
    }
    let is_named = |name: &str| unit.eq_ignore_ascii_case(name);
    BINARY
        .into_iter()
        .find(|(name, _)| is_named(name) || is_named(&name[..1]))
        .or_else(|| DECIMAL.into_iter().find(|(name, _)| is_named(name)))
        .map(|(_, factor)| factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_exactly() {
        let cases: [(&str, u64); 14] = [
            ("0", 0),
            ("1", 1),
            ("512B", 512),
            ("16KiB", 16_384),
            ("16kib", 16_384),
            ("16K", 16_384),
            ("4MiB", 4 << 20),
            ("4 MiB", 4 << 20),
            (" 4MiB ", 4 << 20),
            ("2G", 2 << 30),
            ("1TiB", 1 << 40),
            ("3kB", 3_000),
            ("5MB", 5_000_000),
            ("18446744073709551615", u64::MAX),
        ];
        for (text, bytes) in cases {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_refused_with_its_reason() {
        let reason = |text: &str| text.parse::<ByteSize>().unwrap_err();
        assert_eq!(reason(""), UnitError::Empty);
        assert_eq!(reason("   "), UnitError::Empty);
        assert_eq!(reason("-1"), UnitError::NotANumber { example: EXAMPLE });
        assert_eq!(reason("KiB"), UnitError::NotANumber { example: EXAMPLE });
        assert_eq!(reason("1.5MiB"), UnitError::Fraction { example: EXAMPLE });
        assert_eq!(reason("18446744073709551616"), UnitError::Overflow);
        assert_eq!(reason("16777216TiB"), UnitError::Overflow);
        assert!(matches!(reason("4 potatoes"), UnitError::UnitUnknown { unit, .. } if unit == "potatoes"));
        assert!(matches!(reason("4MiB1"), UnitError::UnitUnknown { .. }));
    }

    #[test]
    fn the_largest_size_of_each_unit_is_read_and_one_more_is_not() {
        for (unit, factor) in BINARY.into_iter().chain(DECIMAL) {
            let most = u64::MAX / factor;
            assert_eq!(format!("{most}{unit}").parse(), Ok(ByteSize(most * factor)));
            assert_eq!(
                format!("{}{unit}", most + 1).parse::<ByteSize>(),
                Err(UnitError::Overflow)
            );
        }
    }

    #[test]
    fn what_is_shown_can_be_typed_again() {
        for bytes in [
            0,
            1,
            1000,
            1023,
            1024,
            1025,
            16_384,
            4 << 20,
            (4 << 20) + 1,
            3 << 30,
            u64::MAX,
        ] {
            assert_eq!(ByteSize(bytes).to_string().parse(), Ok(ByteSize(bytes)));
        }
        assert_eq!(ByteSize(16_384).to_string(), "16KiB");
        assert_eq!(ByteSize(1536).to_string(), "1536");
    }

    #[test]
    fn rounding_is_down_and_for_people() {
        assert_eq!(ByteSize(0).rounded(), "0 B");
        assert_eq!(ByteSize(1023).rounded(), "1023 B");
        assert_eq!(ByteSize(1536).rounded(), "1.5 KiB");
        assert_eq!(ByteSize(32 << 20).rounded(), "32 MiB");
        assert_eq!(ByteSize((32 << 20) - 1).rounded(), "31.9 MiB");
        assert_eq!(ByteSize((200 << 20) + (1 << 19)).rounded(), "200 MiB");
        assert_eq!(ByteSize(u64::MAX).rounded(), "16777215 TiB");
    }
}
