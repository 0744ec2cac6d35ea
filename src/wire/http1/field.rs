//! Header fields. Those of HTTP that Weir acts on, and those that the layer above asks for, are found in one pass;
//! iterators find the others.
//!
//! Names are compared without regard to case; values are kept as bytes without surrounding white space. Nothing is
//! copied, and nothing is judged beyond *absent, once, repeated*: the meaning of a repetition depends on the field (RFC
//! 9110, section 5.3).

/// How often a field occurs, and its value if it occurs once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Field<'a> {
    /// The field was not sent.
    #[default]
    Absent,
    /// The field was sent once, with this value, trimmed; it may be empty.
    One(&'a [u8]),
    /// The field was sent more than once: an error for most fields. The values are in
    /// [`Head::values`](super::Head::values).
    Repeated,
}

impl<'a> Field<'a> {
    /// The value of a field sent exactly once.
    pub fn value(self) -> Option<&'a [u8]> {
        match self {
            Field::One(value) => Some(value),
            Field::Absent | Field::Repeated => None,
        }
    }

    /// The value of a field sent exactly once, if it is UTF-8 (field values may hold any obs-text).
    #[cfg(test)]
    pub fn text(self) -> Option<&'a str> {
        self.value().and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Whether the field was sent at all.
    pub fn is_present(self) -> bool {
        self != Field::Absent
    }

    fn add(&mut self, value: &'a [u8]) {
        *self = match self {
            Field::Absent => Field::One(value),
            Field::One(_) | Field::Repeated => Field::Repeated,
        };
    }
}

/// The fields of HTTP itself that Weir acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the field of its name")]
pub struct Fields<'a> {
    pub accept: Field<'a>,
    pub authorization: Field<'a>,
    pub connection: Field<'a>,
    pub content_encoding: Field<'a>,
    pub content_length: Field<'a>,
    pub content_type: Field<'a>,
    pub expect: Field<'a>,
    pub host: Field<'a>,
    pub origin: Field<'a>,
    pub transfer_encoding: Field<'a>,
    pub upgrade: Field<'a>,
}

/// Fields that a layer above HTTP acts on. They are found in the pass that finds HTTP's own.
pub trait FieldSet<'a>: Default {
    /// The slot for the field of this name, which is a token in any case; `None` if the field is of no interest. Most
    /// names are of none, so an implementation looks at their length first.
    fn slot(&mut self, name: &[u8]) -> Option<&mut Field<'a>>;
}

/// A set without fields besides HTTP's own.
impl<'a> FieldSet<'a> for () {
    fn slot(&mut self, _name: &[u8]) -> Option<&mut Field<'a>> {
        None
    }
}

impl<'a> Fields<'a> {
    /// Adds a field to HTTP's own or to `extra`. `name` must be a token.
    #[inline]
    pub(super) fn add(&mut self, extra: &mut impl FieldSet<'a>, name: &[u8], value: &'a [u8]) {
        if let Some(field) = self.slot(name) {
            field.add(value);
        } else if let Some(field) = extra.slot(name) {
            field.add(value);
        }
    }

    /// The slot is chosen by length first, so that most fields are skipped without a comparison.
    #[inline]
    fn slot(&mut self, name: &[u8]) -> Option<&mut Field<'a>> {
        Some(match (name.len(), name.first()? | LOWER_CASE_BIT) {
            (4, b'h') if is_name(name, b"host") => &mut self.host,
            (6, b'a') if is_name(name, b"accept") => &mut self.accept,
            (6, b'e') if is_name(name, b"expect") => &mut self.expect,
            (6, b'o') if is_name(name, b"origin") => &mut self.origin,
            (7, b'u') if is_name(name, b"upgrade") => &mut self.upgrade,
            (10, b'c') if is_name(name, b"connection") => &mut self.connection,
            (12, b'c') if is_name(name, b"content-type") => &mut self.content_type,
            (13, b'a') if is_name(name, b"authorization") => &mut self.authorization,
            (14, b'c') if is_name(name, b"content-length") => &mut self.content_length,
            (16, b'c') if is_name(name, b"content-encoding") => &mut self.content_encoding,
            (17, b't') if is_name(name, b"transfer-encoding") => &mut self.transfer_encoding,
            _ => return None,
        })
    }
}

/// The bit that distinguishes an ASCII letter's cases. No other byte of a token becomes a letter or a hyphen when it is
/// set.
pub const LOWER_CASE_BIT: u8 = 0x20;

/// Whether `name`, a token, is `expected`, made of lower-case letters and hyphens. With the length known at
/// compile time this is a few word operations, against a byte loop in `eq_ignore_ascii_case`.
#[inline]
pub fn is_name<const N: usize>(name: &[u8], expected: &[u8; N]) -> bool {
    let Ok(name) = <&[u8; N]>::try_from(name) else {
        return false;
    };
    let pairs = name.iter().zip(expected);
    pairs.fold(0, |difference, (own, wanted)| {
        difference | ((own | LOWER_CASE_BIT) ^ wanted)
    }) == 0
}

/// All fields of a head in order, as `(name, trimmed value)`; names as they were written.
#[derive(Clone, Copy, Debug, Default)]
pub struct FieldLines<'a> {
    /// Validated field lines, each ending in CRLF, then the empty line.
    rest: &'a [u8],
}

impl<'a> FieldLines<'a> {
    pub(super) fn new(block: &'a [u8]) -> Self {
        Self { rest: block }
    }

    /// How often a field occurs, and its value if it occurs once; `name` in any case. Walks all fields.
    pub fn field(self, name: &str) -> Field<'a> {
        let mut found = Field::Absent;
        let mut rest = self.rest;
        while let Some(end) = memchr::memchr(b'\r', rest) {
            let (line, behind) = rest.split_at(end);
            rest = behind.get(2..).unwrap_or_default();
            // A line has its colon behind its name, and no other before that.
            if let Some((own, [b':', value @ ..])) = line.split_at_checked(name.len())
                && own.eq_ignore_ascii_case(name.as_bytes())
            {
                found.add(trim_whitespace(value));
            }
        }
        found
    }

    /// The values of one field in order; `name` in any case.
    pub fn values<'n>(self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a, 'n> {
        self.filter(move |(other, _)| other.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }
}

impl<'a> Iterator for FieldLines<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let end = memchr::memchr(b'\r', self.rest)?;
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.get(2..).unwrap_or_default();
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at(colon);
        Some((name, trim_whitespace(value.get(1..).unwrap_or_default())))
    }
}

/// How often a field occurs in the front of a request whose head is incomplete or cannot be parsed, and its value if it
/// occurs once. The answer to a request that was refused early needs this. `name` is in lower case. A last line without
/// its end does not count.
pub fn field_of_unparsed<'a>(front: &'a [u8], name: &str) -> Field<'a> {
    let mut found = Field::Absent;
    let mut rest = front;
    let mut is_request_line = true;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let (line, behind) = rest.split_at(end);
        rest = behind.get(1..).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if is_request_line {
            // Empty lines may stand in front of a request.
            is_request_line = line.is_empty();
            continue;
        }
        if line.is_empty() {
            break;
        }
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (own, value) = line.split_at(colon);
        if own.eq_ignore_ascii_case(name.as_bytes()) {
            found.add(trim_whitespace(value.get(1..).unwrap_or_default()));
        }
    }
    found
}

/// The elements of a list between `separator`s (a comma, or a semicolon for parameters), trimmed, without empty ones,
/// as RFC 9110, section 5.6.1, asks of recipients. A separator inside a quoted string does not count.
pub fn split_list(list: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> + Clone {
    let mut rest = list;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let end = element_length(rest, separator);
            let (element, behind) = rest.split_at(end);
            rest = behind.get(1..).unwrap_or_default();
            let element = trim_whitespace(element);
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    })
}

fn element_length(list: &[u8], separator: u8) -> usize {
    match memchr::memchr2(separator, b'"', list) {
        Some(at) if list.get(at) == Some(&b'"') => quoted_element_length(list, separator),
        Some(at) => at,
        None => list.len(),
    }
}

#[cold]
fn quoted_element_length(list: &[u8], separator: u8) -> usize {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let is_end = |byte: &u8| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match byte {
            b'"' if !was_escaped => is_quoted = !is_quoted,
            b'\\' if is_quoted && !was_escaped => is_escaped = true,
            byte if *byte == separator && !is_quoted => return true,
            _ => {}
        }
        false
    };
    list.iter().position(is_end).unwrap_or(list.len())
}

/// `value` without the spaces and tabs around it (OWS, RFC 9110, section 5.6.3).
pub fn trim_whitespace(value: &[u8]) -> &[u8] {
    let is_content = |byte: &u8| !matches!(byte, b' ' | b'\t');
    match (
        value.iter().position(is_content),
        value.iter().rposition(is_content),
    ) {
        (Some(first), Some(last)) => value.get(first..=last).unwrap_or_default(),
        _ => b"",
    }
}

/// Whether `text` is `1*tchar` (RFC 9110, section 5.6.2).
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_token_byte)
}

/// `tchar`.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+')
        || matches!(byte, b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}

/// Whether a byte may be in a field value: white space, visible characters and obs-text (RFC 9110, section 5.5).
pub(super) fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_outside_quotes() {
        let split = |list: &'static str| split_list(list.as_bytes(), b',').collect::<Vec<_>>();
        assert_eq!(split("a, b\t,c"), [b"a", b"b", b"c"]);
        assert_eq!(split(",, a,,"), [b"a"]);
        assert_eq!(split(r#"a;x="1,2", b"#), [&br#"a;x="1,2""#[..], b"b"]);
        assert_eq!(split(r#""\",", b"#), [&br#""\",""#[..], b"b"]);
        assert_eq!(split(r#""open, b"#), [&br#""open, b"#[..]]);
        assert!(split("").is_empty() && split(" , \t").is_empty());
    }
    #[test]
    fn a_field_is_found_where_no_head_could_be_parsed() {
        let of = |front: &'static str| field_of_unparsed(front.as_bytes(), "origin");
        assert_eq!(
            of("POST / HTTP/9.9\r\nORIGIN:\t http://a \r\n"),
            Field::One(b"http://a")
        );
        assert_eq!(
            of("\r\n\r\nbad line\nbad field\nOrigin: b\n\nOrigin: c\r\n"),
            Field::One(b"b")
        );
        assert_eq!(
            of("G / H\r\nOrigin: a\r\nX: y\r\norigin: b\r\n\r\n"),
            Field::Repeated
        );
        for nothing in [
            "",
            "Origin: a\r\n",
            "G / H\r\nOrigin: a",
            "G / H\r\n\r\nOrigin: a\r\n",
            "G\nOrigins: a\n",
        ] {
            assert_eq!(of(nothing), Field::Absent, "{nothing}");
        }
    }
}
