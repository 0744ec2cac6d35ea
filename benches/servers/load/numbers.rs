//! Ids that no other request of the session has, as those of real clients; written over the id of the same request.

use std::io::Write;

const NAME: &[u8] = b"\"id\":";
const DIGITS: usize = 10;

/// Where the id stands in a request, and the next one.
#[derive(Debug)]
pub(crate) struct Numbers {
    at: usize,
    next: u64,
}

impl Numbers {
    /// The numbers from the one on that `request` has, if it has so many digits that others fit in its place.
    pub(crate) fn of(request: &[u8]) -> Option<Numbers> {
        let at = memchr::memmem::find(request, NAME)? + NAME.len();
        let digits = request.get(at..at + DIGITS)?;
        let is_number = digits.iter().all(u8::is_ascii_digit) && digits[0] != b'0';
        let next = str::from_utf8(digits).ok()?.parse().ok()?;
        is_number.then_some(Numbers { at, next })
    }

    /// Writes the next number into a copy of the request.
    pub(crate) fn put_next(&mut self, request: &mut [u8]) {
        // A number with more digits does not fit, and nothing runs for so long.
        let _ = write!(&mut request[self.at..self.at + DIGITS], "{}", self.next);
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_counted_in_their_place() {
        let mut request = br#"{"id":1000000009,"method":"ping"}"#.to_vec();
        let mut numbers = Numbers::of(&request).unwrap();
        for id in ["1000000009", "1000000010"] {
            numbers.put_next(&mut request);
            let text = String::from_utf8(request.clone()).unwrap();
            assert_eq!(text, format!(r#"{{"id":{id},"method":"ping"}}"#));
        }
        assert!(Numbers::of(br#"{"id":1,"method":"ping"}"#).is_none());
        assert!(Numbers::of(br#"{"method":"ping"}"#).is_none());
    }
}
