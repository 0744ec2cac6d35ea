//! What is known of the caller of one call, in memory that the next call uses again.
//!
//! A call begins with a copy of its message, if that is small, and the places of a few parts in it; nothing is parsed.
//! Of a large message `_meta` is written out of the parsed tape. Invariant: the places lie in the text of this call.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::Map;

use super::client_info::{ClientInfo, NAME_BYTES_MAX};
use super::headers::{HeaderNames, SentHeader};
use super::identity::{CallerSession, Principal, Transport};
use super::origin::Origin;
use crate::jsonrpc::Value;
use crate::ring::Peer;
use crate::wire::http1::FieldLines;

/// A message of at most so many bytes is copied whole, which costs less than finding `_meta` in it.
const COPIED_BYTES_MAX: usize = 4 << 10;
/// The largest `_meta` that a tool can read.
const META_BYTES_MAX: usize = 64 << 10;

/// What a call is told of its caller, as it begins. Texts are copied from here.
#[derive(Clone, Copy, Debug)]
pub struct CallerSource<'a> {
    /// The revision in which the client is answered.
    pub revision: &'static str,
    /// How the request came.
    pub transport: Transport,
    /// Who is at the other end.
    pub peer: Option<Peer>,
    /// Who that is, as far as it was proven.
    pub principal: Principal,
    /// The legacy session or channel.
    pub session: Option<CallerSession>,
    /// What the client says of itself.
    pub client: ClientSource<'a>,
    /// Where its request has `_meta`.
    pub meta: MetaSource<'a>,
    /// The headers that are to be read.
    pub headers: HeaderSource<'a>,
}

/// Where a client says what it is.
#[derive(Clone, Copy, Debug, Default)]
pub enum ClientSource<'a> {
    /// Nowhere.
    #[default]
    Unsaid,
    /// In the request, whose message is small, at these places.
    In(ClientPlaces),
    /// In the request.
    Said {
        /// Its name.
        name: &'a str,
        /// Its version.
        version: &'a str,
    },
    /// In the id of its session, or on its channel: a [`ClientText`](super::client_info::ClientText).
    Text(&'a [u8]),
}

/// Where a small message says what its client is; it is small itself, since it is moved a few times with a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientPlaces {
    name_start: u16,
    name_end: u16,
    version_start: u16,
    version_end: u16,
}

impl ClientPlaces {
    /// The client does not say it.
    pub(crate) const UNSAID: Self = Self {
        name_start: 0,
        name_end: 0,
        version_start: 0,
        version_end: 0,
    };
    /// The client says it, but the message is large, or the text of it elsewhere, since it has escapes.
    pub(crate) const ELSEWHERE: Self = Self {
        name_end: u16::MAX,
        ..Self::UNSAID
    };

    /// The places of a name and a version in a message.
    #[inline]
    pub(crate) fn of(message: &[u8], name: &str, version: &str) -> Self {
        let inside = |part: &str| {
            let start = part.as_ptr().addr().wrapping_sub(message.as_ptr().addr());
            let is_inside = start < message.len() && part.len() <= message.len() - start;
            is_inside.then(|| (start as u16, (start + part.len()) as u16))
        };
        match (inside(name), inside(version)) {
            (Some((name_start, name_end)), Some((version_start, version_end)))
                if message.len() <= COPIED_BYTES_MAX =>
            {
                Self {
                    name_start,
                    name_end,
                    version_start,
                    version_end,
                }
            }
            _ => Self::ELSEWHERE,
        }
    }

    fn name(self) -> Place {
        Place {
            start: self.name_start.into(),
            end: self.name_end.into(),
        }
    }

    fn version(self) -> Place {
        Place {
            start: self.version_start.into(),
            end: self.version_end.into(),
        }
    }
}

/// Where `_meta` is.
#[derive(Clone, Copy, Debug, Default)]
pub enum MetaSource<'a> {
    /// There is none.
    #[default]
    Absent,
    /// It is `params._meta` of this message.
    In(&'a [u8]),
    /// It is this, of a message that is large.
    Value(Value<'a, 'a>),
}

impl<'a> MetaSource<'a> {
    /// The `_meta` of a message that has one; `value` finds it on the message's tape.
    #[inline]
    pub(crate) fn of(message: &'a [u8], value: impl FnOnce() -> Option<Value<'a, 'a>>) -> Self {
        if message.len() <= COPIED_BYTES_MAX {
            Self::In(message)
        } else {
            value().map_or(Self::Absent, Self::Value)
        }
    }
}

/// Where headers are read.
#[derive(Clone, Copy, Debug, Default)]
pub enum HeaderSource<'a> {
    /// Nowhere: nobody wants to.
    #[default]
    Unread,
    /// In the head of the request.
    Head(&'a Arc<HeaderNames>, FieldLines<'a>),
    /// In what is kept of a head.
    Kept(&'a Arc<HeaderNames>, &'a Origin),
}

/// What is known of the caller of a call.
#[derive(Clone)]
pub struct CallerFacts {
    pub(super) revision: &'static str,
    pub(super) transport: Transport,
    pub(super) peer: Option<Peer>,
    pub(super) principal: Principal,
    pub(super) session: Option<CallerSession>,
    /// What the client said, one text behind the other.
    text: Vec<u8>,
    meta: MetaPlace,
    client: ClientPlace,
    reads: Option<Arc<HeaderNames>>,
    /// In the order of their names.
    headers: Vec<SentHeader<Place>>,
}

/// A range of the text. 32 bits are enough for what is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    start: u32,
    end: u32,
}

#[derive(Clone, Copy, Debug)]
enum MetaPlace {
    Nowhere,
    /// `params._meta` of the message, which is there up to here.
    InMessage(u32),
    /// `_meta` itself is there up to here.
    Whole(u32),
}

#[derive(Clone, Copy, Debug)]
enum ClientPlace {
    Nowhere,
    In(ClientPlaces),
    Said { name: Place, version: Place },
    Text(Place),
}

impl CallerFacts {
    /// Of a call that nobody made.
    pub(super) const NOBODY: Self = Self {
        revision: "",
        transport: Transport::InProcess,
        peer: None,
        principal: Principal::ANONYMOUS,
        session: None,
        text: Vec::new(),
        meta: MetaPlace::Nowhere,
        client: ClientPlace::Nowhere,
        reads: None,
        headers: Vec::new(),
    };

    /// Those of a call that begins.
    pub(crate) fn of(source: &CallerSource<'_>) -> Self {
        let mut facts = Self::NOBODY;
        facts.fill(source);
        facts
    }

    /// From now on these are of a call that begins. In steady state this does not allocate.
    // Where it is inlined, the source is never written to memory, but its parts go where they belong.
    #[inline(always)]
    pub(in crate::registry) fn fill(&mut self, source: &CallerSource<'_>) {
        self.revision = source.revision;
        self.transport = source.transport;
        self.peer = source.peer;
        self.principal = source.principal;
        self.session = source.session;
        self.text.clear();
        self.meta = match source.meta {
            MetaSource::Absent => MetaPlace::Nowhere,
            MetaSource::In(message) => {
                self.text.extend_from_slice(message);
                MetaPlace::InMessage(message.len() as u32)
            }
            MetaSource::Value(meta) => self.write_meta(meta),
        };
        self.client = match source.client {
            ClientSource::Unsaid => ClientPlace::Nowhere,
            ClientSource::Text(text) => ClientPlace::Text(self.append(text)),
            ClientSource::In(places) => ClientPlace::In(places),
            ClientSource::Said { name, version } => ClientPlace::Said {
                name: self.append(name.as_bytes()),
                version: self.append(version.as_bytes()),
            },
        };
        self.headers.clear();
        match source.headers {
            HeaderSource::Unread => self.reads = None,
            HeaderSource::Head(names, lines) => {
                self.read(names, |name| SentHeader::of(lines.field(name)));
            }
            HeaderSource::Kept(names, origin) => self.read(names, |name| origin.header(name)),
        }
    }

    /// The call is over. What it needed more memory for than ordinary calls is let go; the rest is overwritten when the
    /// next call begins, and nobody sees it until then.
    #[inline]
    pub(in crate::registry) fn trim(&mut self) {
        if self.text.capacity() > COPIED_BYTES_MAX {
            self.shrink();
        }
    }

    #[cold]
    fn shrink(&mut self) {
        self.text.clear();
        self.text.shrink_to(COPIED_BYTES_MAX);
        self.meta = MetaPlace::Nowhere;
        self.client = ClientPlace::Nowhere;
        self.headers.clear();
    }

    #[cold]
    fn write_meta(&mut self, meta: Value<'_, '_>) -> MetaPlace {
        let written = serde_json::to_writer(Bounded(&mut self.text), &Json(meta));
        if written.is_err() {
            self.text.clear();
            return MetaPlace::Nowhere;
        }
        MetaPlace::Whole(self.text.len() as u32)
    }

    #[inline(never)]
    fn append(&mut self, part: &[u8]) -> Place {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(part);
        Place {
            start,
            end: self.text.len() as u32,
        }
    }

    #[inline(never)]
    fn read<'h>(&mut self, names: &Arc<HeaderNames>, sent: impl Fn(&str) -> SentHeader<&'h str>) {
        for name in names.iter() {
            let header = sent(name).map(|text| self.append(text.as_bytes()));
            self.headers.push(header);
        }
        self.reads = Some(Arc::clone(names));
    }

    fn text(&self, place: Place) -> &[u8] {
        let range = place.start as usize..place.end as usize;
        self.text.get(range).unwrap_or_default()
    }

    fn str(&self, place: Place) -> &str {
        std::str::from_utf8(self.text(place)).unwrap_or_default()
    }

    /// What the client says it is.
    pub(super) fn client(&self) -> Option<ClientInfo<'_>> {
        match self.client {
            ClientPlace::Nowhere => None,
            ClientPlace::Text(place) => ClientInfo::of_text(self.text(place)),
            ClientPlace::In(places) => self.said(places.name(), places.version()),
            ClientPlace::Said { name, version } => self.said(name, version),
        }
    }

    fn said(&self, name: Place, version: Place) -> Option<ClientInfo<'_>> {
        let text = |place: Place| {
            let said = self.text.get(place.start as usize..place.end as usize)?;
            let is_told = !said.is_empty() && said.len() <= NAME_BYTES_MAX;
            let said = is_told.then(|| std::str::from_utf8(said).ok()).flatten()?;
            Some(Cow::Borrowed(said))
        };
        Some(ClientInfo {
            name: text(name)?,
            version: text(version),
        })
    }

    /// The request's `_meta`.
    pub(super) fn meta(&self) -> Option<Map<String, serde_json::Value>> {
        let front = |end: u32| self.text.get(..end as usize).unwrap_or_default();
        match self.meta {
            MetaPlace::Nowhere => None,
            MetaPlace::Whole(end) => serde_json::from_slice(front(end)).ok(),
            MetaPlace::InMessage(end) => {
                let message: Message = serde_json::from_slice(front(end)).ok()?;
                message.params.meta
            }
        }
    }

    /// The whole message, if it was small enough to be copied.
    pub(in crate::registry) fn message(&self) -> Option<&[u8]> {
        match self.meta {
            MetaPlace::InMessage(end) => self.text.get(..end as usize),
            MetaPlace::Nowhere | MetaPlace::Whole(_) => None,
        }
    }

    /// What was sent in a header; `None` if it is not among those to be read.
    pub(super) fn header(&self, name: &str) -> Option<SentHeader<&str>> {
        let at = self.reads.as_ref()?.place(name)?;
        Some(self.headers.get(at)?.map(|place| self.str(place)))
    }
}

impl Default for CallerFacts {
    fn default() -> Self {
        Self::NOBODY
    }
}

/// Shows nothing that a client sent: headers may be secrets.
impl fmt::Debug for CallerFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("revision", &self.revision)
            .field("transport", &self.transport)
            .field("peer", &self.peer)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Message {
    params: MessageParams,
}

#[derive(Deserialize)]
struct MessageParams {
    #[serde(rename = "_meta")]
    meta: Option<Map<String, serde_json::Value>>,
}

/// A writer that takes so much and no more.
struct Bounded<'t>(&'t mut Vec<u8>);

impl std::io::Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > META_BYTES_MAX {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A value on the tape as JSON.
struct Json<'t, 's>(Value<'t, 's>);

impl Serialize for Json<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.0;
        if value.is_object() {
            let mut map = serializer.serialize_map(None)?;
            for (name, value) in value.members() {
                map.serialize_entry(name, &Json(value))?;
            }
            map.end()
        } else if value.is_array() {
            let mut elements = serializer.serialize_seq(None)?;
            for element in value.elements() {
                elements.serialize_element(&Json(element))?;
            }
            elements.end()
        } else {
            value.to_json().serialize(serializer)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jsonrpc::Scratch;
    use crate::registry::caller::client_info::ClientText;

    fn source<'a>() -> CallerSource<'a> {
        CallerSource {
            revision: "2026-07-28",
            transport: Transport::Http,
            peer: None,
            principal: Principal::ANONYMOUS,
            session: None,
            client: ClientSource::Unsaid,
            meta: MetaSource::Absent,
            headers: HeaderSource::Unread,
        }
    }

    /// The `_meta` that a call is told of a message.
    fn meta_of(facts: &mut CallerFacts, message: &str) -> Option<Map<String, serde_json::Value>> {
        let mut scratch = Scratch::new();
        let document = scratch.parse(message.as_bytes()).unwrap();
        let params = document.root().member("params");
        let meta = MetaSource::of(document.text(), || params?.member("_meta"));
        facts.fill(&CallerSource { meta, ..source() });
        facts.meta()
    }

    #[test]
    fn meta_is_the_same_of_a_small_message_and_of_a_large_one() {
        let mut facts = CallerFacts::NOBODY;
        for meta in [
            json!({}),
            json!({"a": [1, -2, 1.5, true, null, "é\"\n"], "b": {"c": {"d": 18_446_744_073_709_551_615_u64}}}),
            json!({"_meta": {"_meta": 1}, "params": 2}),
        ] {
            for padding in [0, COPIED_BYTES_MAX] {
                let arguments = json!({"_meta": {"wrong": 1}, "text": "x".repeat(padding)});
                let message =
                    json!({"method": "tools/call", "params": {"arguments": arguments, "_meta": meta}});
                assert_eq!(
                    meta_of(&mut facts, &message.to_string()).as_ref(),
                    meta.as_object()
                );
            }
        }
    }

    #[test]
    fn meta_beyond_the_bound_is_not_kept_and_its_memory_goes_back() {
        let mut facts = CallerFacts::NOBODY;
        let of = |bytes: usize| json!({"params": {"_meta": {"a": "x".repeat(bytes)}}}).to_string();
        assert!(meta_of(&mut facts, &of(META_BYTES_MAX - 16)).is_some());
        assert!(facts.text.capacity() > COPIED_BYTES_MAX);
        facts.trim();
        assert!(facts.text.capacity() <= COPIED_BYTES_MAX);
        assert_eq!(meta_of(&mut facts, &of(META_BYTES_MAX)), None);
        assert_eq!(facts.text.len(), 0);
    }

    #[test]
    fn numbers_that_no_double_holds_do_not_hide_meta() {
        let mut facts = CallerFacts::NOBODY;
        let message = r#"{"params":{"arguments":{"n":1e999},"_meta":{"a":1}}}"#;
        assert!(meta_of(&mut facts, message).is_some());
    }

    #[test]
    fn parts_of_a_large_message_have_no_places() {
        let message = format!("{:1$}", "probe", COPIED_BYTES_MAX + 1);
        let (name, all) = (&message[..5], message.as_bytes());
        assert_eq!(ClientPlaces::of(all, name, name), ClientPlaces::ELSEWHERE);
        let places = ClientPlaces::of(&all[..COPIED_BYTES_MAX], name, &message[5..6]);
        let bytes = |place: Place| place.end - place.start;
        assert_eq!((bytes(places.name()), bytes(places.version())), (5, 1));
    }

    #[test]
    fn names_are_those_of_this_call_and_bounded() {
        let mut facts = CallerFacts::NOBODY;
        let message = r#"{"params":{"_meta":{"name":"probe","version":"1.0"}}}"#;
        let (long, longer) = ("n".repeat(NAME_BYTES_MAX), "n".repeat(NAME_BYTES_MAX + 1));
        let at = message.find("probe").unwrap();
        let copied = &message[at..at + 5];
        let at = message.find("1.0").unwrap();
        let number = &message[at..at + 3];
        for (name, version, expected) in [
            (copied, number, Some("probe 1.0".to_owned())),
            (copied, "2", Some("probe 2".to_owned())),
            ("not in it", "2", Some("not in it 2".to_owned())),
            ("", "1.0", None),
            ("probe", "", Some("probe".to_owned())),
            (&long, &longer, Some(long.clone())),
            (&longer, "1", None),
        ] {
            let places = ClientPlaces::of(message.as_bytes(), name, version);
            assert_eq!(
                places != ClientPlaces::ELSEWHERE,
                name == copied && version == number
            );
            let client = match places {
                ClientPlaces::ELSEWHERE => ClientSource::Said { name, version },
                places => ClientSource::In(places),
            };
            facts.fill(&CallerSource {
                client,
                meta: MetaSource::In(message.as_bytes()),
                ..source()
            });
            assert_eq!(facts.client().map(|info| info.to_string()), expected);
            // What is copied behind the message is not read as part of it.
            assert_eq!(facts.meta().unwrap()["name"], "probe");
        }
        let text = ClientText::of("old", Some("0.1"));
        facts.fill(&CallerSource {
            client: ClientSource::Text(text.as_bytes()),
            ..source()
        });
        assert_eq!(
            facts.client().map(|info| info.to_string()),
            Some("old 0.1".to_owned())
        );
        assert_eq!(facts.meta(), None);
        facts.fill(&source());
        assert_eq!(facts.client(), None);
    }
}
