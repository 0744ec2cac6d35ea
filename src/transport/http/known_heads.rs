//! Heads that were admitted lately: a head that comes again costs one comparison instead of a parse.
//!
//! Clients send the same head with every request, but for a few values: the body's length, the session's id, and the
//! method and name of a call. What is remembered of a head are its bytes between these values, and where the parsed
//! parts lie in them. A head is recalled if all its bytes between the values are the same, and if each value has a form
//! that leaves no doubt where it ends: digits for the length, visible ASCII for the others. Parsing it would give the
//! same parts, and the rules of admission, which look at nothing but the head, would give the same verdict; only the
//! limit of the body depends on a value, and the caller checks it anew.
//!
//! Not remembered are requests that are no POST with a length to the endpoint itself, that have a query or `Expect`,
//! or that carry credentials: those are compared with nobody's. Nothing that is known of a client comes from here: an
//! id of a session is opened each time it comes. Invariants: at most [`HEADS_MAX`] heads of [`HEAD_BYTES_MAX`] bytes
//! each; all of them were admitted by one policy within the same limits, so whoever replaces those drops this.

use std::net::Ipv6Addr;
use std::ops::Range;

use super::Head;
use crate::mcp::HttpHead;
use crate::units::ViewId;
use crate::wire::http1::{
    Authority, BodyLength, Expectation, Field, Fields, HostName, Method, Version, parse_length,
};

/// Heads that are remembered: some for each kind of client that is there at the same time.
const HEADS_MAX: usize = 16;
/// The longest head that is remembered.
const HEAD_BYTES_MAX: usize = 1024;
/// A head found behind so many others moves ahead, so that the usual ones are found soon.
const LOOKS_USUAL: usize = 4;
/// After so many heads that were not recalled,
const MISSES_MAX: u32 = 64;
/// only one of so many is looked for.
const LOOKED_FOR_ONE_OF: u32 = 16;
/// The longest value that may vary: more than an id of a session takes.
const VALUE_BYTES_MAX: usize = 256;
const VALUES_MAX: usize = 4;
const FIELDS: usize = 16;

/// The heads that one shard has admitted lately.
#[derive(Clone, Debug, Default)]
pub struct KnownHeads {
    /// Those that are recalled often stand in front.
    heads: Vec<KnownHead>,
    /// Heads in a row that were not recalled.
    misses: u32,
}

#[derive(Clone, Debug)]
struct KnownHead {
    /// The head as it came first.
    bytes: Vec<u8>,
    /// The values that vary, in the order of their places in it.
    values: [VaryingValue; VALUES_MAX],
    values_len: usize,
    /// The place of the length among them.
    length_at: usize,
    version: Version,
    keep_alive: bool,
    wants_upgrade: bool,
    path: Part,
    /// What that path is for.
    view: ViewId,
    authority: Option<(Host, Option<u16>)>,
    /// The fields that are there, by their places among the [`slots`].
    fields: Vec<(u8, Part)>,
    block: Part,
}

#[derive(Clone, Copy, Debug, Default)]
struct VaryingValue {
    start: usize,
    end: usize,
    is_length: bool,
}

/// Where a parsed part lies in a head.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// The part is one of the values that vary.
    Value(usize),
    /// The part begins behind so many of the values.
    Fixed {
        values_before: usize,
        start: usize,
        end: usize,
    },
}

#[derive(Clone, Copy, Debug)]
enum Host {
    Name(Part),
    V6(Ipv6Addr),
}

/// Where the parts of a known head lie in another window.
struct Places {
    values: [(usize, usize); VALUES_MAX],
    /// How far the bytes behind so many of the values have moved, modulo the size of the address space.
    moved: [usize; VALUES_MAX + 1],
    head_bytes: usize,
}

impl KnownHeads {
    /// Recalls the head at the front of `window`: fills `head`, which is empty, as parsing it would, and returns the
    /// number of its bytes, and what it is for. It belongs to an admitted POST, unless its body is too large.
    pub(super) fn recall<'w>(&mut self, window: &'w [u8], head: &mut Head<'w>) -> Option<(usize, ViewId)> {
        self.misses = self.misses.wrapping_add(1);
        if self.is_in_vain() {
            return None;
        }
        let mut heads = self.heads.iter().enumerate();
        let (at, found) =
            heads.find_map(|(at, known)| Some((at, (known.fill(window, head)?, known.view))))?;
        self.misses = 0;
        if at >= LOOKS_USUAL {
            self.heads.swap(at, at / 2);
        }
        Some(found)
    }

    /// Whether no head has come again for long, so that most are neither looked for nor remembered: some clients and
    /// proxies write something new into each.
    fn is_in_vain(&self) -> bool {
        self.misses > MISSES_MAX && !self.misses.is_multiple_of(LOOKED_FOR_ONE_OF)
    }

    /// Remembers the `head` of an admitted POST for `view`, which was parsed from `bytes`, if it is one that may be
    /// recalled. One that was not recalled for long is forgotten for it: those in front stay, however many come once.
    pub(super) fn remember(&mut self, bytes: &[u8], head: &Head<'_>, view: ViewId) {
        // A head that came in pieces is parsed although it is known.
        if self.is_in_vain() || self.heads.iter().any(|known| known.places(bytes).is_some()) {
            return;
        }
        let Some(known) = KnownHead::of(bytes, head, view) else {
            return;
        };
        self.heads.truncate(HEADS_MAX - 1);
        self.heads.insert(self.heads.len().min(HEADS_MAX / 2), known);
    }
}

impl KnownHead {
    /// `None` for a head that is not to be remembered.
    fn of(bytes: &[u8], head: &Head<'_>, view: ViewId) -> Option<KnownHead> {
        let is_plain = head.method == Method::Post
            && matches!(head.body, BodyLength::Length(_))
            && head.expectation == Expectation::None
            && !head.fields.expect.is_present()
            && head.query.is_empty();
        let has_credentials = ["authorization", "proxy-authorization", "cookie"]
            .into_iter()
            .any(|name| head.values(name).next().is_some());
        if !is_plain || has_credentials || bytes.len() > HEAD_BYTES_MAX {
            return None;
        }
        let (values, values_len) = varying_values(bytes, head)?;
        let part = |text: &[u8]| part_of(&values[..values_len], bytes, text);
        let mut fields = Vec::new();
        let mut copy = *head;
        for (slot, field) in (0..).zip(slots(&mut copy)) {
            match *field {
                Field::Absent => {}
                Field::One(value) => fields.push((slot, part(value)?)),
                // Hardly any client does that, and then it is parsed.
                Field::Repeated => return None,
            }
        }
        let authority = match head.authority {
            None => None,
            Some(Authority { host, port }) => Some((Host::of(host, part)?, port)),
        };
        Some(KnownHead {
            values,
            values_len,
            length_at: values.iter().position(|value| value.is_length)?,
            version: head.version,
            keep_alive: head.keep_alive,
            wants_upgrade: head.wants_upgrade,
            path: part(head.path.as_bytes())?,
            view,
            authority,
            fields,
            block: part(head.block())?,
            bytes: bytes.to_vec(),
        })
    }

    /// Fills `head` if `window` begins with this head.
    fn fill<'w>(&self, window: &'w [u8], head: &mut Head<'w>) -> Option<usize> {
        let places = self.places(window)?;
        let part = |part: Part| window.get(places.range(part));
        let text = |at| std::str::from_utf8(part(at)?).ok();
        let path = text(self.path)?;
        let authority = match self.authority {
            None => None,
            Some((host, port)) => {
                let host = match host {
                    Host::Name(name) => HostName::Name(text(name)?),
                    Host::V6(address) => HostName::V6(address),
                };
                Some(Authority { host, port })
            }
        };
        let block = part(self.block)?;
        let mut slots = slots(head);
        for (slot, at) in &self.fields {
            if let (Some(slot), Some(value)) = (slots.get_mut(usize::from(*slot)), part(*at)) {
                **slot = Field::One(value);
            }
        }
        head.body = BodyLength::Length(parse_length(head.fields.content_length.value()?)?);
        head.method = Method::Post;
        head.version = self.version;
        head.keep_alive = self.keep_alive;
        head.wants_upgrade = self.wants_upgrade;
        head.path = path;
        head.authority = authority;
        head.set_block(block);
        Some(places.head_bytes)
    }

    /// Compares all bytes, or all but those of the values.
    #[inline]
    fn places(&self, window: &[u8]) -> Option<Places> {
        self.places_with_same_values(window)
            .or_else(|| self.places_with_other_values(window))
    }

    /// Compares all bytes but the length's: most requests of a client differ in nothing else.
    #[inline]
    fn places_with_same_values(&self, window: &[u8]) -> Option<Places> {
        let length = self.values.get(self.length_at)?;
        let rest = window.strip_prefix(self.bytes.get(..length.start)?)?;
        let digits = length.length(rest)?;
        let rest = rest.get(digits..)?.strip_prefix(self.bytes.get(length.end..)?)?;
        let by = (length.start + digits).wrapping_sub(length.end);
        let moved = std::array::from_fn(|before| if before > self.length_at { by } else { 0 });
        let values = std::array::from_fn(|at| {
            let VaryingValue { start, end, .. } = self.values[at];
            let end_moved = end.wrapping_add(moved[at + 1]);
            (start.wrapping_add(moved[at]), end_moved)
        });
        Some(Places {
            values,
            moved,
            head_bytes: window.len() - rest.len(),
        })
    }

    /// Compares all bytes between the values.
    fn places_with_other_values(&self, window: &[u8]) -> Option<Places> {
        let mut values = [(0, 0); VALUES_MAX];
        let mut moved = [0; VALUES_MAX + 1];
        let mut rest = window;
        let mut from = 0;
        for (at, value) in self.values.iter().take(self.values_len).enumerate() {
            rest = rest.strip_prefix(self.bytes.get(from..value.start)?)?;
            let start = window.len() - rest.len();
            let length = value.length(rest)?;
            rest = rest.get(length..)?;
            values[at] = (start, start + length);
            moved[at + 1] = (start + length).wrapping_sub(value.end);
            from = value.end;
        }
        rest = rest.strip_prefix(self.bytes.get(from..)?)?;
        Some(Places {
            values,
            moved,
            head_bytes: window.len() - rest.len(),
        })
    }
}

impl Places {
    #[inline]
    fn range(&self, part: Part) -> Range<usize> {
        match part {
            Part::Value(at) => {
                let (start, end) = self.values[at];
                start..end
            }
            Part::Fixed {
                values_before,
                start,
                end,
            } => {
                let moved = self.moved[values_before];
                // The block of fields ends behind all values.
                let is_rest = end == usize::MAX;
                let end = if is_rest {
                    self.head_bytes
                } else {
                    end.wrapping_add(moved)
                };
                start.wrapping_add(moved)..end
            }
        }
    }
}

impl VaryingValue {
    /// The length of another such value at the front of `rest`.
    #[inline]
    fn length(self, rest: &[u8]) -> Option<usize> {
        if self.is_length {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            return (digits > 0).then_some(digits);
        }
        let end = memchr::memchr(b'\r', rest.get(..VALUE_BYTES_MAX).unwrap_or(rest))?;
        is_visible(rest.get(..end)?).then_some(end)
    }
}

/// Whether `value` is visible ASCII alone, and there is some. Without a stop at the first other byte, so that the
/// compiler takes many bytes in one step.
#[inline]
fn is_visible(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().fold(true, |all, byte| all & byte.is_ascii_graphic())
}

impl Host {
    fn of(host: HostName<'_>, part: impl Fn(&[u8]) -> Option<Part>) -> Option<Host> {
        Some(match host {
            HostName::Name(name) => Host::Name(part(name.as_bytes())?),
            HostName::V6(address) => Host::V6(address),
        })
    }
}

/// The values that vary, in order, and how many there are. `None` if one has not the form in which it may vary.
fn varying_values(bytes: &[u8], head: &Head<'_>) -> Option<([VaryingValue; VALUES_MAX], usize)> {
    let mut values = [VaryingValue::default(); VALUES_MAX];
    let mut values_len = 0;
    for (field, is_length) in [
        (head.fields.content_length, true),
        (head.extra.session_id, false),
        (head.extra.method, false),
        (head.extra.name, false),
    ] {
        let Some(value) = field.value() else {
            continue;
        };
        let (start, end) = range_in(bytes, value)?;
        if !is_length && (!is_visible(value) || value.len() >= VALUE_BYTES_MAX) {
            return None;
        }
        *values.get_mut(values_len)? = VaryingValue {
            start,
            end,
            is_length,
        };
        values_len += 1;
    }
    values.get_mut(..values_len)?.sort_by_key(|value| value.start);
    Some((values, values_len))
}

/// Where `part` lies in `bytes`.
fn part_of(values: &[VaryingValue], bytes: &[u8], part: &[u8]) -> Option<Part> {
    let (start, end) = range_in(bytes, part)?;
    if let Some(at) = values
        .iter()
        .position(|value| (value.start, value.end) == (start, end))
    {
        return Some(Part::Value(at));
    }
    let is_rest = end == bytes.len();
    if !is_rest && values.iter().any(|value| value.start < end && start < value.end) {
        return None;
    }
    Some(Part::Fixed {
        values_before: values.iter().filter(|value| value.end <= start).count(),
        start,
        end: if is_rest { usize::MAX } else { end },
    })
}

/// The place of `part` in `bytes`, if it is a piece of them.
fn range_in(bytes: &[u8], part: &[u8]) -> Option<(usize, usize)> {
    let start = part.as_ptr().addr().checked_sub(bytes.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= bytes.len()).then_some((start, end))
}

/// All fields that are looked at, in one order.
fn slots<'h, 'w>(head: &'h mut Head<'w>) -> [&'h mut Field<'w>; FIELDS] {
    let Fields {
        accept,
        authorization,
        connection,
        content_encoding,
        content_length,
        content_type,
        expect,
        host,
        origin,
        transfer_encoding,
        upgrade,
    } = &mut head.fields;
    let HttpHead {
        protocol_version,
        method,
        name,
        session_id,
        last_event_id,
        params: _,
    } = &mut head.extra;
    [
        accept,
        authorization,
        connection,
        content_encoding,
        content_length,
        content_type,
        expect,
        host,
        origin,
        transfer_encoding,
        upgrade,
        protocol_version,
        method,
        name,
        session_id,
        last_event_id,
    ]
}

#[cfg(test)]
mod tests;
