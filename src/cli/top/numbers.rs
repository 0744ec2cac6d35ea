//! Numbers as short texts: at most three significant digits, and a unit where there is one.
//!
//! What no server can have counted or measured, as less than nothing or no number at all, is unknown: `-`.

use crate::scrape::Quantile;
use crate::units::ByteSize;

/// What stands for a number that cannot be told yet, or is none.
pub(super) const UNKNOWN: &str = "-";

/// More of anything, bytes and seconds included, is a fault of whoever says it.
const SENSIBLE_MAX: f64 = 1e15;

/// Whether something can have been counted or measured.
fn is_sensible(number: f64) -> bool {
    (0.0..=SENSIBLE_MAX).contains(&number)
}

/// A whole number: `0`, `512`, `99999`, `120k`, `3.4M`, `50G`.
pub(super) fn count(number: f64) -> String {
    match number {
        number if !is_sensible(number) => UNKNOWN.to_owned(),
        // Not `-0`.
        0.0 => "0".to_owned(),
        number if number < 100_000.0 => format!("{number:.0}"),
        number if number < 1_000_000.0 => format!("{:.0}k", number / 1e3),
        number if number < 10_000_000.0 => format!("{:.1}M", number / 1e6),
        number if number < 10_000_000_000.0 => format!("{:.0}M", number / 1e6),
        number => format!("{:.0}G", number / 1e9),
    }
}

/// So many each second.
pub(super) fn rate(rate: Option<f64>) -> String {
    match rate {
        None => UNKNOWN.to_owned(),
        Some(rate) if !is_sensible(rate) => UNKNOWN.to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(rate) if rate < 0.1 => "<0.1".to_owned(),
        Some(rate) if rate < 9.95 => format!("{rate:.1}"),
        Some(rate) => count(rate),
    }
}

/// A length of time: `0`, `25us`, `1.2ms`, `340ms`, `1.5s`, `75s`, `3m`, `5h`, `12d`.
pub(super) fn seconds(seconds: f64) -> String {
    let short = |number: f64, unit: &str| {
        if number < 9.95 {
            format!("{number:.1}{unit}")
        } else {
            format!("{number:.0}{unit}")
        }
    };
    match seconds {
        seconds if !is_sensible(seconds) => UNKNOWN.to_owned(),
        0.0 => "0".to_owned(),
        seconds if seconds < 0.000_999_5 => format!("{:.0}us", seconds * 1e6),
        seconds if seconds < 0.999_5 => short(seconds * 1e3, "ms"),
        seconds if seconds < 120.0 => short(seconds, "s"),
        seconds if seconds < 7_200.0 => format!("{:.0}m", (seconds / 60.0).floor()),
        seconds if seconds < 172_800.0 => format!("{:.0}h", (seconds / 3_600.0).floor()),
        seconds => format!("{:.0}d", (seconds / 86_400.0).floor()),
    }
}

/// A length of time in whole seconds or more: `7s`, `3m`. Clocks differ, so that it may be a bit less than nothing.
pub(super) fn whole_seconds(number: f64) -> String {
    if (-120.0..120.0).contains(&number) {
        format!("{:.0}s", number.max(0.0).floor())
    } else {
        seconds(number)
    }
}

/// A quantile of latencies; `>60s` where the histogram ends.
pub(super) fn quantile(quantile: Option<Quantile>) -> String {
    match quantile {
        None => UNKNOWN.to_owned(),
        Some(Quantile::Within(value)) => seconds(value),
        Some(Quantile::Beyond(bound)) if is_sensible(bound) => format!(">{}", seconds(bound)),
        Some(Quantile::Beyond(_)) => UNKNOWN.to_owned(),
    }
}

/// A size, as in `31.2 MiB`.
pub(super) fn bytes(bytes: Option<f64>) -> String {
    let bytes = bytes.filter(|bytes| is_sensible(*bytes));
    bytes.map_or_else(|| UNKNOWN.to_owned(), |bytes| ByteSize(bytes as u64).rounded())
}

/// `12/512`.
pub(super) fn of(part: f64, whole: f64) -> String {
    format!("{}/{}", count(part), count(whole))
}

/// `83%`. More than the whole can be there for a moment, but not much more.
pub(super) fn percent(share: f64) -> String {
    if (0.0..=10.0).contains(&share) {
        format!("{:.0}%", share * 100.0)
    } else {
        UNKNOWN.to_owned()
    }
}

/// A bar of `width` characters for a share. Anything at all shows, and only the whole fills it.
pub(super) fn bar(share: f64, width: usize) -> String {
    let filled = (share.clamp(0.0, 1.0) * width as f64).round() as usize;
    let filled = match filled {
        0 if share > 0.0 => 1,
        filled if filled == width && share < 1.0 => width.saturating_sub(1),
        filled => filled,
    };
    format!("{}{}", "#".repeat(filled), ".".repeat(width - filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (99_999.0, "99999"),
            (123_400.0, "123k"),
            (1.25e6, "1.2M"),
            (5e7, "50M"),
            (5e10, "50G"),
        ] {
            assert_eq!(count(number), text);
        }
        for (number, text) in [
            (None, "-"),
            (Some(0.0), "0"),
            (Some(0.04), "<0.1"),
            (Some(0.25), "0.2"),
            (Some(9.96), "10"),
            (Some(1234.5), "1234"),
        ] {
            assert_eq!(rate(number), text);
        }
        for (number, text) in [
            (0.0, "0"),
            (0.000_025, "25us"),
            (0.001, "1.0ms"),
            (0.34, "340ms"),
            (0.9999, "1.0s"),
            (75.0, "75s"),
            (119.0, "119s"),
            (200.0, "3m"),
            (7_199.0, "119m"),
            (18_000.0, "5h"),
            (1e6, "11d"),
        ] {
            assert_eq!(seconds(number), text);
        }
        for (number, text) in [(-1.0, "0s"), (0.9, "0s"), (119.9, "119s"), (200.0, "3m")] {
            assert_eq!(whole_seconds(number), text);
        }
        assert_eq!(quantile(Some(Quantile::Beyond(60.0))), ">60s");
        assert_eq!(bytes(Some(34_590_720.0)), "32.9 MiB");
    }

    #[test]
    fn what_is_no_sensible_number_is_unknown() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, -5e3] {
            assert_eq!(count(number), "-", "{number}");
            assert_eq!(rate(Some(number)), "-", "{number}");
            assert_eq!(seconds(number), "-", "{number}");
            assert_eq!(whole_seconds(number), "-", "{number}");
            assert_eq!(quantile(Some(Quantile::Within(number))), "-", "{number}");
            assert_eq!(quantile(Some(Quantile::Beyond(number))), "-", "{number}");
            assert_eq!(bytes(Some(number)), "-", "{number}");
            assert_eq!(of(number, 4.0), "-/4", "{number}");
            assert_eq!(percent(number), "-", "{number}");
            assert_eq!(bar(number, 4).len(), 4, "{number}");
        }
        assert_eq!(count(-0.0), "0");
    }

    #[test]
    fn a_bar_is_full_only_when_nothing_is_free() {
        for (share, text) in [
            (0.0, "........"),
            (0.001, "#......."),
            (0.5, "####...."),
            (0.999, "#######."),
            (1.0, "########"),
            (7.0, "########"),
            (-1.0, "........"),
            (f64::NAN, "........"),
        ] {
            assert_eq!(bar(share, 8), text, "{share}");
        }
    }
}
