//! Events: they are parsed out of a stream's text as it comes, and checked before any test sees them.
//!
//! The parser is strict where the writer has no freedom (field names, one JSON text in a line of data), and knows the
//! era: events have no ids in the modern one, and none is empty before 2025-11-25, whose clients would fail on it.

use serde_json::Value;

use super::message::Revision;
use super::specification;

/// One item of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Frame {
    Event(Event),
    /// A line that keeps proxies awake, without its colon.
    Comment(String),
}

/// One event, with its fields as they came.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) retry_ms: Option<u64>,
    pub(crate) data: Option<String>,
    /// The data, unless there is none in it.
    pub(crate) message: Option<Value>,
}

impl Event {
    /// Whether this primes the client: an id and data that is empty.
    pub(crate) fn is_priming(&self) -> bool {
        self.id.is_some() && self.data.as_deref() == Some("")
    }
}

/// The text of a stream as far as it has come, and the facts remembered from it.
#[derive(Debug)]
pub(super) struct Events {
    revision: Revision,
    /// The unframed text that is not parsed yet.
    text: Vec<u8>,
    /// The last id seen, with which a client resumes.
    pub(super) last_id: Option<String>,
    /// The last `retry` seen.
    pub(super) retry_ms: Option<u64>,
    /// Comments seen so far.
    pub(super) comments: usize,
}

impl Events {
    pub(super) fn new(revision: Revision) -> Self {
        Self {
            revision,
            text: Vec::new(),
            last_id: None,
            retry_ms: None,
            comments: 0,
        }
    }

    /// From here on, messages are judged by this revision.
    pub(super) fn judge_by(&mut self, revision: Revision) {
        self.revision = revision;
    }

    /// Adds bytes that have come.
    pub(super) fn text(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// Whether the beginning of a frame is there.
    pub(super) fn has_begun(&self) -> bool {
        !self.text.is_empty()
    }

    /// The first event of HTTP+SSE, the only one that is not a message: the address to post to. `None` if it is not
    /// complete.
    pub(super) fn take_endpoint(&mut self) -> Option<String> {
        let block = self.take_block()?;
        let place = block.strip_prefix("event: endpoint\ndata: ");
        let place = place.unwrap_or_else(|| panic!("no endpoint: {block:?}"));
        Some(place.to_owned())
    }

    /// The frame at the front of the text, if it is complete.
    pub(super) fn take_frame(&mut self) -> Option<Frame> {
        if self.text.first() == Some(&b':') {
            let end = self.text.iter().position(|byte| *byte == b'\n')?;
            let line: Vec<u8> = self.text.drain(..=end).collect();
            // Nothing waits for the dispatch of a comment: the empty line behind it belongs to it.
            if self.text.first() == Some(&b'\n') {
                self.text.remove(0);
            }
            self.comments += 1;
            let comment = std::str::from_utf8(&line[1..end]).unwrap();
            return Some(Frame::Comment(comment.trim().to_owned()));
        }
        if self.text.starts_with(b"\n\n") {
            self.text.remove(0);
            return self.take_frame();
        }
        let block = self.take_block()?;
        Some(Frame::Event(self.parse(&block)))
    }

    /// The lines up to an empty one.
    fn take_block(&mut self) -> Option<String> {
        let end = self.text.windows(2).position(|window| window == b"\n\n")?;
        let mut bytes: Vec<u8> = self.text.drain(..end + 2).collect();
        bytes.truncate(end);
        Some(String::from_utf8(bytes).expect("events are UTF-8"))
    }

    fn parse(&mut self, block: &str) -> Event {
        let mut event = Event::default();
        for line in block.split('\n') {
            let (name, value) = line
                .split_once(':')
                .unwrap_or_else(|| panic!("no field: {line:?}"));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "id" => event.id = Some(value.to_owned()),
                "retry" => event.retry_ms = Some(value.parse().unwrap()),
                "event" => assert_eq!(value, "message", "clients hear no other events"),
                "data" => {
                    assert!(event.data.is_none(), "more than one line of data: {block:?}");
                    event.data = Some(value.to_owned());
                }
                _ => panic!("no field of an event: {line:?}"),
            }
        }
        self.judge(&mut event);
        event
    }

    fn judge(&mut self, event: &mut Event) {
        if self.revision == Revision::MODERN {
            assert_eq!((&event.id, event.retry_ms), (&None, None), "{event:?}");
        }
        if let Some(id) = &event.id {
            let is_visible = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
            assert!(is_visible && id.len() <= 128, "{event:?}");
            assert_ne!(self.last_id.as_ref(), Some(id), "ids are unique");
            self.last_id = Some(id.clone());
        }
        self.retry_ms = event.retry_ms.or(self.retry_ms);
        match event.data.as_deref() {
            Some("") | None => assert!(
                self.revision >= Revision::NEWEST_LEGACY,
                "{} has no events without data: {event:?}",
                self.revision.0
            ),
            Some(data) => event.message = Some(specification::read(data.as_bytes(), self.revision)),
        }
    }
}
