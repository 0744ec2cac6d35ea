//! Times as RFC 3339 writes them, in UTC: with milliseconds, `2025-11-25T10:30:00.000Z`, and in whole seconds.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

const DAY_S: i64 = 86_400;
/// The last moment with a year of four digits, with which RFC 3339 ends: `9999-12-31T23:59:59.999Z`.
const LAST: u64 = 253_402_300_799_999;

/// A time that RFC 3339 can write, in milliseconds since 1970; what is outside of the years 1970 to 9999 becomes the
/// nearest such time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The time so many milliseconds after 1970-01-01.
    pub fn from_unix_millis(millis: u64) -> Self {
        Self(millis.min(LAST))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_unix_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, milli) = (self.0 / 1_000, self.0 % 1_000);
        // What is before the last moment with a year of four digits has few digits.
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        write_seconds(f, seconds)?;
        write!(f, ".{milli:03}Z")
    }
}

/// A time in whole seconds since 1970, which may be negative, as RFC 3339 writes it: `2025-11-25T10:30:00Z`. It can
/// write the years 0 to 9999.
#[cfg(feature = "files")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixSeconds(pub i64);

#[cfg(feature = "files")]
impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(f, self.0)?;
        f.write_str("Z")
    }
}

/// Date and time of day, without a zone.
fn write_seconds(f: &mut fmt::Formatter<'_>, unix_s: i64) -> fmt::Result {
    let (year, month, day) = date(unix_s.div_euclid(DAY_S));
    let of_day = unix_s.rem_euclid(DAY_S);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    write!(
        f,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    )
}

/// Year, month and day of the date so many days after 1970-01-01, in the proleptic Gregorian calendar. It counts eras
/// of 400 years, and years from March on, so that the leap day is the last (H. Hinnant, chrono-compatible low-level
/// date algorithms).
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339_has_them() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_764_066_600_000, "2025-11-25T10:30:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (u64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Timestamp::from_unix_millis(millis).to_string(), expected);
        }
    }

    #[test]
    fn times_of_the_system_are_as_exact_as_milliseconds() {
        for (time, expected) in [
            (
                UNIX_EPOCH + Duration::from_nanos(1_999_999),
                "1970-01-01T00:00:00.001Z",
            ),
            (UNIX_EPOCH - Duration::from_secs(1), "1970-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::from(time).to_string(), expected);
        }
    }

    #[test]
    fn every_day_is_the_one_after_the_day_before() {
        let is_leap = |year: i64| year % 4 == 0 && year % 100 != 0 || year % 400 == 0;
        let length = |year: i64, month: i64| match month {
            2 if is_leap(year) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let mut expected = (1970, 1, 1);
        for days in 0..=LAST as i64 / 1_000 / DAY_S {
            assert_eq!(date(days), expected);
            let (year, month, day) = expected;
            expected = if day < length(year, month) {
                (year, month, day + 1)
            } else if month < 12 {
                (year, month + 1, 1)
            } else {
                (year + 1, 1, 1)
            };
        }
    }

    #[cfg(feature = "files")]
    #[test]
    fn dates_at_the_edges() {
        assert_eq!(UnixSeconds(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(UnixSeconds(-1).to_string(), "1969-12-31T23:59:59Z");
        assert_eq!(UnixSeconds(951_782_400).to_string(), "2000-02-29T00:00:00Z");
        assert_eq!(UnixSeconds(-62_135_596_800).to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(UnixSeconds(253_402_300_799).to_string(), "9999-12-31T23:59:59Z");
    }

    /// The twin: what `httpdate` says of the same second.
    #[cfg(feature = "files")]
    #[test]
    fn dates_agree_with_httpdate() {
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let unix_s = random.u64(..253_402_300_800);
            let http = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(unix_s));
            let month = MONTHS.iter().position(|&month| month == &http[8..11]).unwrap() + 1;
            let twin = format!("{}-{month:02}-{}T{}Z", &http[12..16], &http[5..7], &http[17..25]);
            assert_eq!(UnixSeconds(unix_s as i64).to_string(), twin);
        }
    }
}
