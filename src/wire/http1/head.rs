//! A complete request head, parsed and checked for everything that concerns framing and addressing.
//!
//! Fields go through `httparse`; the request line is read here, because `httparse` tolerates more in a target and knows
//! fewer versions. There is no policy here: an unknown method or expectation is a value, not an error. Invariant: a
//! [`Head`] leaves no doubt about where its body ends and which host it is for.

use crate::units::has_valid_escapes;

use super::field::is_token;
use super::{Authority, BodyLength, Field, FieldLines, FieldSet, Fields, HeadError, split_list};

/// Bounds on a request head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the whole head with its line ends; a longer one gets 431.
    pub head_bytes_max: usize,
    /// Bytes of the request line without its CRLF; a longer one gets 414.
    pub request_line_bytes_max: usize,
    /// Field lines, at most [`HeadLimits::FIELDS_MAX`]; more get 431.
    pub fields_max: usize,
}

impl HeadLimits {
    /// The highest possible limit on fields: it is the size of an array on the stack.
    pub const FIELDS_MAX: usize = 128;
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self {
            head_bytes_max: 32 << 10,
            request_line_bytes_max: 8 << 10,
            fields_max: 100,
        }
    }
}

/// The request method; names are case-sensitive (RFC 9110, section 9.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the method of its name")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Patch,
    Options,
    Trace,
    Connect,
    /// A valid token that is none of these methods.
    #[default]
    Other,
}

impl Method {
    /// The method as it is written; a method without a name here is `other`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Patch => "PATCH",
            Method::Options => "OPTIONS",
            Method::Trace => "TRACE",
            Method::Connect => "CONNECT",
            Method::Other => "other",
        }
    }

    fn parse(token: &[u8]) -> Option<Self> {
        Some(match token {
            b"POST" => Method::Post,
            b"GET" => Method::Get,
            b"DELETE" => Method::Delete,
            b"HEAD" => Method::Head,
            b"OPTIONS" => Method::Options,
            b"PUT" => Method::Put,
            b"PATCH" => Method::Patch,
            b"TRACE" => Method::Trace,
            b"CONNECT" => Method::Connect,
            other => return is_token(other).then_some(Method::Other),
        })
    }
}

/// The protocol version of the request, as far as it makes a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1, or a later 1.x, which is served as 1.1 (RFC 9110, section 2.5).
    #[default]
    Http11,
}

/// The meaning of `Expect` (RFC 9110, section 10.1.1), which is ignored on HTTP/1.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expectation {
    /// The client expects nothing.
    #[default]
    None,
    /// The field is `100-continue`, and there is a body to wait for.
    Continue,
    /// The field is anything else; 417 is due.
    Unknown,
}

/// A request head whose framing and addressing are sound. Borrows the bytes it was parsed from. The default is empty:
/// room for [`Head::parse`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'a, Extra = ()> {
    /// The method.
    pub method: Method,
    /// The target's path without its query, undecoded; `*` for the asterisk form, empty for `CONNECT`.
    pub path: &'a str,
    /// The query behind the path's `?`, undecoded; empty without one.
    pub query: &'a str,
    /// The host that the request is for: the absolute target's authority if there is one, otherwise `Host`'s. `None`
    /// only on HTTP/1.0 without `Host`, which RFC 9112 permits; `transport` decides whether that is admitted.
    pub authority: Option<Authority<'a>>,
    /// The version of the request; answers are always HTTP/1.1.
    pub version: Version,
    /// The fields of HTTP itself that Weir acts on.
    pub fields: Fields<'a>,
    /// The fields that the layer above asked for.
    pub extra: Extra,
    /// How the body is delimited.
    pub body: BodyLength,
    /// Whether the peer wants, and its bytes allow, another request on this connection. False whenever bytes of another
    /// protocol may follow: `CONNECT`, or `Upgrade` with `Connection: upgrade`.
    pub keep_alive: bool,
    /// The client's expectation.
    pub expectation: Expectation,
    /// Whether the peer offered to switch protocols, and named one.
    pub wants_upgrade: bool,
    lines: &'a [u8],
}

impl<'a, Extra> Head<'a, Extra> {
    /// All fields, in order.
    pub fn lines(&self) -> FieldLines<'a> {
        FieldLines::new(self.lines)
    }

    /// The block of all field lines, with the empty line behind them.
    pub fn block(&self) -> &'a [u8] {
        self.lines
    }

    /// Makes `block` the block of all field lines, for a head that is known to be well-formed without being parsed.
    pub fn set_block(&mut self, block: &'a [u8]) {
        self.lines = block;
    }

    /// The values of one field, in order; `name` in any case. Walks all fields.
    pub fn values(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.lines().values(name)
    }

    /// What the answer has to say about the connection, given whether it stays open.
    #[cfg(test)]
    pub fn answer_connection(&self, stays_open: bool) -> super::Connection {
        use super::Connection;
        match self.version {
            _ if !stays_open => Connection::Close,
            Version::Http10 => Connection::KeepAlive,
            Version::Http11 => Connection::Persist,
        }
    }

    /// Whether the peer waits for `100 Continue` before it sends the body.
    pub fn expects_continue(&self) -> bool {
        self.expectation == Expectation::Continue
    }
}

/// [`parse_head_with`] for callers that ask for no fields but HTTP's own.
///
/// # Errors
/// Fails like [`parse_head_with`].
pub fn parse_head<'a>(head: &'a [u8], limits: &HeadLimits) -> Result<Head<'a>, HeadError> {
    parse_head_with(head, limits)
}

/// Parses `head`, the bytes up to the length that [`HeadScanner::scan`](super::HeadScanner::scan) returned: it relies
/// on the scanner having checked the line ends. Does not allocate.
///
/// # Errors
/// Fails for everything that breaks RFC 9112 or leaves the body's end or the addressed host in doubt.
pub fn parse_head_with<'a, Extra: FieldSet<'a>>(
    head: &'a [u8],
    limits: &HeadLimits,
) -> Result<Head<'a, Extra>, HeadError> {
    let mut parsed = Head::default();
    parsed.parse(head, limits)?;
    Ok(parsed)
}

impl<'a, Extra: FieldSet<'a>> Head<'a, Extra> {
    /// [`parse_head_with`] where the head is to be: it is too large to be handed up from call to call. `self` is empty,
    /// and worth nothing if this fails.
    ///
    /// # Errors
    /// Fails as [`parse_head_with`] does.
    #[inline]
    pub fn parse(&mut self, head: &'a [u8], limits: &HeadLimits) -> Result<(), HeadError> {
        debug_assert!(self.lines.is_empty(), "a head is parsed once");
        let mut rest = head;
        while let Some(behind) = rest.strip_prefix(b"\r\n") {
            rest = behind;
        }
        let end = memchr::memchr(b'\r', rest).ok_or(HeadError::RequestLine)?;
        let (line, block) = rest.split_at(end);
        if line.len() > limits.request_line_bytes_max {
            return Err(HeadError::RequestLineTooLong);
        }
        self.parse_request_line(line)?;
        self.lines = block.strip_prefix(b"\r\n").ok_or(HeadError::LineEnd)?;
        parse_fields(self.lines, limits, &mut self.fields, &mut self.extra)?;
        self.conclude()
    }

    /// `method SP target SP version`, single spaces and nothing else (RFC 9112, section 3).
    #[inline]
    fn parse_request_line(&mut self, line: &'a [u8]) -> Result<(), HeadError> {
        let (method, rest) = split_once(line, b' ').ok_or(HeadError::RequestLine)?;
        let (target, version) = split_once(rest, b' ').ok_or(HeadError::RequestLine)?;
        self.method = Method::parse(method).ok_or(HeadError::RequestLine)?;
        self.version = parse_version(version)?;
        (self.path, self.query, self.authority) =
            parse_target(self.method, target).ok_or(HeadError::Target)?;
        Ok(())
    }

    /// Sets what follows from the fields.
    #[inline]
    fn conclude(&mut self) -> Result<(), HeadError> {
        let (fields, version) = (&self.fields, self.version);
        self.body = body_length(fields, version)?;
        let host = host_authority(fields, version)?;
        self.authority = self.authority.or(host);
        let list = |field, name| list_elements(field, name, self.lines);
        // Most heads have neither this field nor `Expect`.
        let persistence = if fields.connection.is_present() {
            Persistence::of(list(fields.connection, "connection"))
        } else {
            Persistence::default()
        };
        self.wants_upgrade =
            version == Version::Http11 && persistence.has_upgrade && fields.upgrade.is_present();
        self.keep_alive =
            persistence.keep_alive(version) && !self.wants_upgrade && self.method != Method::Connect;
        self.expectation = if fields.expect.is_present() && version == Version::Http11 {
            expectation(list(fields.expect, "expect"), self.body)
        } else {
            Expectation::None
        };
        Ok(())
    }
}

fn split_once(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(separator, text)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

fn parse_version(text: &[u8]) -> Result<Version, HeadError> {
    match text {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => Ok(Version::Http11),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(HeadError::Version),
        _ => Err(HeadError::RequestLine),
    }
}

/// Path, query and, in the absolute form, the authority (RFC 9112, section 3.2).
fn parse_target(method: Method, target: &[u8]) -> Option<(&str, &str, Option<Authority<'_>>)> {
    if method == Method::Connect {
        let authority = Authority::parse(target)?;
        return authority.port.is_some().then_some(("", "", Some(authority)));
    }
    if target == b"*" {
        return (method == Method::Options).then_some(("*", "", None));
    }
    if target.first() == Some(&b'/') {
        let (path, query) = parse_path(target)?;
        return Some((path, query, None));
    }
    let rest = strip_scheme(target)?;
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (path, query) = parse_path(path)?;
    Some((path, query, Some(Authority::parse(authority)?)))
}

/// `https` is accepted too: a client behind a proxy that ends TLS asked the proxy for it.
fn strip_scheme(target: &[u8]) -> Option<&[u8]> {
    [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// The path, and the query behind it. Beyond RFC 3986, the marks that browsers leave unescaped in a query are allowed
/// (URL Standard, query percent-encode set); they have no meaning here.
fn parse_path(text: &[u8]) -> Option<(&str, &str)> {
    let is_allowed = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'#' | b'<' | b'>');
    if !text.iter().all(is_allowed) || !has_valid_escapes(text) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let (path, query) = match memchr::memchr(b'?', text.as_bytes()) {
        Some(mark) => (&text[..mark], &text[mark + 1..]),
        None => (text, ""),
    };
    Some((if path.is_empty() { "/" } else { path }, query))
}

/// The usual number of fields is enough for real clients; the array for the limit itself is only made when more come.
const FIELDS_USUAL: usize = 32;

/// Parses into `fields`, which are empty: they are too large to be returned from call to call.
#[inline]
fn parse_fields<'a>(
    block: &'a [u8],
    limits: &HeadLimits,
    fields: &mut Fields<'a>,
    extra: &mut impl FieldSet<'a>,
) -> Result<(), HeadError> {
    let fields_max = limits.fields_max.min(HeadLimits::FIELDS_MAX);
    let mut usual = [httparse::EMPTY_HEADER; FIELDS_USUAL];
    let usual = usual.get_mut(..fields_max.min(FIELDS_USUAL)).unwrap_or_default();
    match parse_fields_with(usual, block, fields, extra) {
        Err(HeadError::TooManyFields) if fields_max > FIELDS_USUAL => {
            parse_many_fields(block, fields_max, fields, extra)
        }
        result => result,
    }
}

#[cold]
fn parse_many_fields<'a>(
    block: &'a [u8],
    fields_max: usize,
    fields: &mut Fields<'a>,
    extra: &mut impl FieldSet<'a>,
) -> Result<(), HeadError> {
    let mut many = [httparse::EMPTY_HEADER; HeadLimits::FIELDS_MAX];
    parse_fields_with(
        many.get_mut(..fields_max).unwrap_or_default(),
        block,
        fields,
        extra,
    )
}

/// `parsed` is working space. Nothing is added to `fields` and `extra` unless all could be parsed.
fn parse_fields_with<'a>(
    parsed: &mut [httparse::Header<'a>],
    block: &'a [u8],
    fields: &mut Fields<'a>,
    extra: &mut impl FieldSet<'a>,
) -> Result<(), HeadError> {
    match httparse::parse_headers(block, parsed) {
        Ok(httparse::Status::Complete((length, parsed))) if length == block.len() => {
            for header in parsed {
                fields.add(extra, header.name.as_bytes(), header.value);
            }
            Ok(())
        }
        Err(httparse::Error::TooManyHeaders) => Err(HeadError::TooManyFields),
        _ => Err(HeadError::FieldSyntax),
    }
}

/// Finds the length by RFC 9112, section 6.3, and refuses every doubtful case.
#[inline]
fn body_length(fields: &Fields<'_>, version: Version) -> Result<BodyLength, HeadError> {
    match (fields.transfer_encoding, fields.content_length) {
        (Field::Absent, Field::Absent) => Ok(BodyLength::None),
        (Field::Absent, Field::One(digits)) => parse_length(digits)
            .map(BodyLength::Length)
            .ok_or(HeadError::ContentLength),
        (Field::Absent, Field::Repeated) => Err(HeadError::ContentLength),
        (_, Field::One(_) | Field::Repeated) => Err(HeadError::LengthConflict),
        (Field::One(codings), Field::Absent) if version == Version::Http11 => check_transfer_codings(codings),
        (Field::One(_) | Field::Repeated, Field::Absent) => Err(HeadError::TransferEncoding),
    }
}

/// The value of `Content-Length`: `1*DIGIT` below 2^63.
pub fn parse_length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let value = digits.iter().try_fold(0u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })?;
    i64::try_from(value).is_ok().then_some(value)
}

/// Accepts exactly `chunked`. Other codings before a final `chunked` are well-formed but not implemented (501).
fn check_transfer_codings(codings: &[u8]) -> Result<BodyLength, HeadError> {
    if codings.eq_ignore_ascii_case(b"chunked") {
        return Ok(BodyLength::Chunked);
    }
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let mut all = split_list(codings, b',');
    let is_last_chunked = all.clone().last().is_some_and(is_chunked);
    let chunked_count = all.clone().filter(|coding| is_chunked(coding)).count();
    if is_last_chunked && chunked_count == 1 && all.clone().count() > 1 && all.all(is_token) {
        return Err(HeadError::TransferCodingUnknown);
    }
    Err(HeadError::TransferEncoding)
}

fn host_authority<'a>(fields: &Fields<'a>, version: Version) -> Result<Option<Authority<'a>>, HeadError> {
    match fields.host {
        Field::One(text) => Authority::parse(text).map(Some).ok_or(HeadError::HostMalformed),
        Field::Repeated => Err(HeadError::HostRepeated),
        Field::Absent if version == Version::Http10 => Ok(None),
        Field::Absent => Err(HeadError::HostMissing),
    }
}

/// The elements of a list field, whether it came in one line or several.
fn list_elements<'a>(
    field: Field<'a>,
    name: &'static str,
    lines: &'a [u8],
) -> impl Iterator<Item = &'a [u8]> {
    let repeated = (field == Field::Repeated).then(|| FieldLines::new(lines).values(name));
    let values = field.value().into_iter().chain(repeated.into_iter().flatten());
    values.flat_map(|value| split_list(value, b','))
}

/// The elements of `Connection`.
#[derive(Default)]
struct Persistence {
    has_close: bool,
    has_keep_alive: bool,
    has_upgrade: bool,
}

impl Persistence {
    fn of<'a>(options: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut all = Self::default();
        for option in options {
            all.has_close |= option.eq_ignore_ascii_case(b"close");
            all.has_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            all.has_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
        all
    }

    /// Applies RFC 9112, section 9.3.
    fn keep_alive(&self, version: Version) -> bool {
        !self.has_close && (version == Version::Http11 || self.has_keep_alive)
    }
}

/// Without a body there is nothing to wait for, so `100-continue` asks for nothing.
fn expectation<'a>(expectations: impl Iterator<Item = &'a [u8]>, body: BodyLength) -> Expectation {
    let mut found = Expectation::None;
    for expectation in expectations {
        if !expectation.eq_ignore_ascii_case(b"100-continue") {
            return Expectation::Unknown;
        }
        if !matches!(body, BodyLength::None | BodyLength::Length(0)) {
            found = Expectation::Continue;
        }
    }
    found
}
