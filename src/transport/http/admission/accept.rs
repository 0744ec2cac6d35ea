//! The kinds of answer that a client accepts (`Accept`, RFC 9110, section 12.5.1).
//!
//! MCP demands that a POST offers JSON and an event stream, since the server chooses between them only when the call is
//! under way. A client that offers only the stream gets the stream; one that offers only JSON cannot be served, since
//! any call may turn out to need a stream. A client without the field accepts anything, as in all of HTTP. Preferences
//! are not ranked.

use super::refusal::Refusal;
use crate::transport::http::Head;
use crate::wire::http1::{Field, split_list};

/// The values that the official clients send, letter for letter, which are accepted without being parsed.
const USUAL: [&[u8]; 2] = [
    b"application/json, text/event-stream",
    b"text/event-stream, application/json",
];

/// Checks that a POST offers `text/event-stream`, since that may be the answer. Ranges count as in RFC 9110, section
/// 12.5.1: `*/*` offers everything, and `application/*` and `text/*` offer their families; the most specific range
/// decides; weight zero refuses. A missing `Accept`, or one without a single range, offers everything.
pub(super) fn check_accept(head: &Head<'_>) -> Result<(), Refusal> {
    let offers = Offers::of(head);
    offers.stream.then_some(()).ok_or(Refusal::NotAcceptable)
}

/// Checks the same for a GET, which has no other answer.
pub(super) fn check_accept_stream(head: &Head<'_>) -> Result<(), Refusal> {
    let offers = Offers::of(head);
    offers.stream.then_some(()).ok_or(Refusal::StreamNotAcceptable)
}

/// Whether an admitted request accepts JSON as well as a stream.
pub fn takes_json(head: &Head<'_>) -> bool {
    Offers::of(head).json
}

/// The offers of a request's `Accept`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Offers {
    json: bool,
    stream: bool,
}

impl Offers {
    const BOTH: Self = Self {
        json: true,
        stream: true,
    };

    fn of(head: &Head<'_>) -> Self {
        match head.fields.accept {
            Field::Absent => Self::BOTH,
            Field::One(value) if USUAL.contains(&value) => Self::BOTH,
            Field::One(value) => Self::read([value]),
            Field::Repeated => Self::read(head.values("accept")),
        }
    }

    fn read<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let (mut json, mut stream) = (Offer::default(), Offer::default());
        let mut is_empty = true;
        for range in values.into_iter().flat_map(|value| split_list(value, b',')) {
            is_empty = false;
            json.consider(range, b"application/json", b"application/*");
            stream.consider(range, b"text/event-stream", b"text/*");
        }
        if is_empty {
            Self::BOTH
        } else {
            Self {
                json: json.is_accepted,
                stream: stream.is_accepted,
            }
        }
    }
}

/// The offer of one media type by the ranges so far.
#[derive(Default)]
struct Offer {
    /// 3 for the type itself, 2 for its family, 1 for `*/*`.
    specificity: u8,
    is_accepted: bool,
}

impl Offer {
    fn consider(&mut self, range: &[u8], exact: &[u8], family: &[u8]) {
        let mut parameters = split_list(range, b';');
        let essence = parameters.next().unwrap_or_default();
        let specificity = match essence {
            essence if essence.eq_ignore_ascii_case(exact) => 3,
            essence if essence.eq_ignore_ascii_case(family) => 2,
            b"*/*" => 1,
            _ => return,
        };
        let is_accepted = parameters
            .find_map(weight)
            .is_none_or(|weight| weight == Weight::Positive);
        // Of two equally specific ranges, one that accepts is enough.
        if specificity > self.specificity {
            *self = Self {
                specificity,
                is_accepted,
            };
        } else if specificity == self.specificity {
            self.is_accepted |= is_accepted;
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    Positive,
    /// The weight is zero, or malformed: an offer that cannot be read is none.
    Zero,
}

/// `q=` and up to three decimals (RFC 9110, section 12.4.2); `None` for any other parameter.
fn weight(parameter: &[u8]) -> Option<Weight> {
    let (name, value) = parameter.split_at_checked(2)?;
    if !name.eq_ignore_ascii_case(b"q=") {
        return None;
    }
    let decimals = match value {
        [b'0' | b'1'] => &b""[..],
        [b'0' | b'1', b'.', decimals @ ..] if decimals.len() <= 3 => decimals,
        _ => return Some(Weight::Zero),
    };
    let is_one = value.first() == Some(&b'1');
    let is_valid = decimals
        .iter()
        .all(|digit| digit.is_ascii_digit() && (!is_one || *digit == b'0'));
    let is_positive = is_valid && (is_one || decimals.iter().any(|digit| *digit != b'0'));
    Some(if is_positive {
        Weight::Positive
    } else {
        Weight::Zero
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_values_offer_both_the_long_way_too() {
        assert!(USUAL.iter().all(|value| Offers::read([*value]) == Offers::BOTH));
        for nothing in [&[][..], &[&b""[..]], &[b" , "]] {
            assert_eq!(Offers::read(nothing.iter().copied()), Offers::BOTH);
        }
        assert!(!Offers::read([&b"application/json"[..]]).stream);
        assert!(!Offers::read([&b"text/event-stream"[..]]).json);
    }
}
