//! Lengths of time.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::{UnitError, split_quantity};

const EXAMPLE: &str = "30s";
const KNOWN: &str = "ns, us, ms, s, m, h, d";

/// Largest first. Days are read but not shown: `24h` stays `24h`.
const UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Reads a whole number and its unit: `500ms`, `75s`, `24h`. The longest is about 584 years.
///
/// # Errors
/// Fails when there is no number, no unit or an unknown one, a fraction, or too large a number.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split_quantity(text, EXAMPLE)?;
    if unit.is_empty() {
        return Err(UnitError::UnitMissing { example: EXAMPLE });
    }
    let nanos = UNITS
        .into_iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, nanos)| nanos)
        .ok_or_else(|| UnitError::UnitUnknown {
            unit: unit.to_owned(),
            known: KNOWN,
        })?;
    number
        .checked_mul(nanos)
        .map(Duration::from_nanos)
        .ok_or(UnitError::Overflow)
}

/// Shows a duration in the largest unit that is exact, seconds for anything below two minutes: `75s`, `24h`.
pub fn display_duration(duration: Duration) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        let nanos = duration.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        let is_shown = |name: &str| match name {
            "d" => false,
            "h" | "m" => nanos >= 120_000_000_000,
            _ => true,
        };
        UNITS
            .into_iter()
            .find(|(name, unit)| is_shown(name) && nanos.is_multiple_of(u128::from(*unit)))
            .map_or(Ok(()), |(name, unit)| {
                write!(f, "{}{name}", nanos / u128::from(unit))
            })
    })
}

/// How long silence is accepted: for some time, or for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeLimit {
    /// Until this much time has passed.
    For(Duration),
    /// There is no deadline; written `forever`.
    Forever,
}

impl TimeLimit {
    /// The time when it ends, if it does. A deadline past the clock's range counts as none.
    pub fn deadline(self, now: Instant) -> Option<Instant> {
        match self {
            Self::For(duration) => now.checked_add(duration),
            Self::Forever => None,
        }
    }
}

impl FromStr for TimeLimit {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        match text.trim() {
            "forever" => Ok(Self::Forever),
            finite => parse_duration(finite).map(Self::For),
        }
    }
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(duration) => display_duration(*duration).fmt(f),
            Self::Forever => f.write_str("forever"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_exactly() {
        let cases = [
            ("0s", Duration::ZERO),
            ("0ms", Duration::ZERO),
            ("1ns", Duration::from_nanos(1)),
            ("100us", Duration::from_micros(100)),
            ("500ms", Duration::from_millis(500)),
            ("75s", Duration::from_secs(75)),
            ("75 s", Duration::from_secs(75)),
            ("2m", Duration::from_secs(120)),
            ("24h", Duration::from_secs(86_400)),
            ("7d", Duration::from_secs(604_800)),
        ];
        for (text, duration) in cases {
            assert_eq!(parse_duration(text), Ok(duration), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused_with_its_reason() {
        let reason = |text: &str| parse_duration(text).unwrap_err();
        assert_eq!(reason(""), UnitError::Empty);
        assert_eq!(reason("75"), UnitError::UnitMissing { example: EXAMPLE });
        assert_eq!(reason("0"), UnitError::UnitMissing { example: EXAMPLE });
        assert_eq!(reason("-5s"), UnitError::NotANumber { example: EXAMPLE });
        assert_eq!(reason("s"), UnitError::NotANumber { example: EXAMPLE });
        assert_eq!(reason("1.5s"), UnitError::Fraction { example: EXAMPLE });
        assert_eq!(reason("99999999999999999999s"), UnitError::Overflow);
        assert!(matches!(reason("5S"), UnitError::UnitUnknown { unit, .. } if unit == "S"));
        assert!(matches!(reason("1h30m"), UnitError::UnitUnknown { unit, .. } if unit == "h30m"));
        assert!(matches!(reason("forever"), UnitError::NotANumber { .. }));
    }

    #[test]
    fn the_longest_of_each_unit_is_read_and_one_more_is_not() {
        for (unit, nanos) in UNITS {
            let most = u64::MAX / nanos;
            assert_eq!(
                parse_duration(&format!("{most}{unit}")),
                Ok(Duration::from_nanos(most * nanos))
            );
            let more = u128::from(most) + 1;
            assert_eq!(parse_duration(&format!("{more}{unit}")), Err(UnitError::Overflow));
        }
    }

    #[test]
    fn what_is_shown_can_be_typed_again() {
        let cases = [
            (Duration::ZERO, "0s"),
            (Duration::from_nanos(1), "1ns"),
            (Duration::from_micros(1500), "1500us"),
            (Duration::from_millis(500), "500ms"),
            (Duration::from_secs(60), "60s"),
            (Duration::from_secs(75), "75s"),
            (Duration::from_secs(120), "2m"),
            (Duration::from_secs(3600), "1h"),
            (Duration::from_secs(86_400), "24h"),
        ];
        for (duration, text) in cases {
            assert_eq!(display_duration(duration).to_string(), text);
            assert_eq!(parse_duration(text), Ok(duration));
        }
    }

    #[test]
    fn patience_is_finite_or_forever() {
        assert_eq!("forever".parse(), Ok(TimeLimit::Forever));
        assert_eq!("5s".parse(), Ok(TimeLimit::For(Duration::from_secs(5))));
        assert!("never".parse::<TimeLimit>().is_err());
        assert_eq!(TimeLimit::Forever.to_string(), "forever");
        assert_eq!(TimeLimit::For(Duration::from_secs(5)).to_string(), "5s");
        let now = Instant::now();
        assert_eq!(TimeLimit::Forever.deadline(now), None);
        assert_eq!(TimeLimit::For(Duration::MAX).deadline(now), None);
        assert_eq!(
            TimeLimit::For(Duration::from_secs(5)).deadline(now),
            Some(now + Duration::from_secs(5))
        );
    }
}
