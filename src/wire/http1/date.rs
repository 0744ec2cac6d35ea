//! The `Date` field's value, formatted once a second (RFC 9110, section 6.6.1).

use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

/// The last second of year 9999, past which an IMF-fixdate has no form.
const UNIX_SECONDS_MAX: u64 = 253_402_300_799;

/// The current second as text; one per shard.
#[derive(Clone, Debug)]
pub struct DateCache {
    unix_seconds: u64,
    text: [u8; 29],
}

impl DateCache {
    /// Formats the first second.
    pub fn new(unix_seconds: u64) -> Self {
        Self {
            unix_seconds,
            text: format(unix_seconds),
        }
    }

    /// Formats again only when the second has changed; returns the text either way.
    pub fn refresh(&mut self, unix_seconds: u64) -> &[u8; 29] {
        if unix_seconds != self.unix_seconds {
            *self = Self::new(unix_seconds);
        }
        &self.text
    }

    /// The text of the last refresh, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub fn text(&self) -> &[u8; 29] {
        &self.text
    }
}

fn format(unix_seconds: u64) -> [u8; 29] {
    let time = UNIX_EPOCH + Duration::from_secs(unix_seconds.min(UNIX_SECONDS_MAX));
    let mut text = [b' '; 29];
    // An IMF-fixdate is 29 bytes long and the clamp keeps the year at four digits, so it always fits.
    let written = write!(text.as_mut_slice(), "{}", httpdate::HttpDate::from(time));
    debug_assert!(written.is_ok(), "{unix_seconds} does not fit an IMF-fixdate");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_second() {
        let mut cache = DateCache::new(784_111_777);
        assert_eq!(cache.text(), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(cache.refresh(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(cache.refresh(784_111_778), b"Sun, 06 Nov 1994 08:49:38 GMT");
        assert_eq!(cache.refresh(u64::MAX), b"Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(cache.refresh(0), b"Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
