//! Checks and decoding for all URIs (RFC 3986).

use std::borrow::Cow;

/// Whether a text has a scheme, a colon and something behind it, in characters that URIs have (RFC 3986).
pub(super) fn is_absolute_uri(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else {
        return false;
    };
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-');
    let is_uri = |byte: u8| byte.is_ascii_graphic() && !br#"<>"{}|\^`"#.contains(&byte);
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(is_scheme)
        && !rest.is_empty()
        && rest.bytes().all(is_uri)
}

/// Percent-decodes (RFC 3986, 2.1); `None` if an escape is broken or the bytes are not UTF-8.
pub(crate) fn percent_decode(value: &str) -> Option<Cow<'_, str>> {
    let Some(mut at) = memchr::memchr(b'%', value.as_bytes()) else {
        return Some(Cow::Borrowed(value));
    };
    let mut rest = value.as_bytes();
    let mut decoded = Vec::with_capacity(value.len());
    loop {
        let (plain, escape) = rest.split_at_checked(at)?;
        decoded.extend_from_slice(plain);
        let (escape, behind) = escape.split_at_checked(3)?;
        let [_, high, low] = escape else { return None };
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        decoded.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
        rest = behind;
        match memchr::memchr(b'%', rest) {
            Some(next) => at = next,
            None => break,
        }
    }
    decoded.extend_from_slice(rest);
    String::from_utf8(decoded).ok().map(Cow::Owned)
}
