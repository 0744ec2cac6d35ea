//! The one `subscriptions/listen` by which a modern child says that its lists change; an older one says so unasked.
//!
//! ```text
//! No ─ ready, and it declares changes ─► Open ─ it ends it ─► Ended ─ after a while ─► Open, lists are read anew
//!                                          └─ refused ─► No
//! ```
//! Specification: 2026-07-28, patterns/subscriptions.

use std::time::{Duration, Instant};

use crate::children::child::introduction::ServerCapabilities;
use crate::children::child::listening::Listening;
use crate::children::line::{Kind, write_own_meta};
use crate::mcp::Era;

use super::{Child, Phase};

/// Between the end of one and the next.
const PAUSE: Duration = Duration::from_secs(30);

impl<C> Child<C> {
    /// Asks a modern child to tell of the changes that it declares.
    pub(super) fn listen(&mut self, now: Instant) {
        let said = self.introduction.as_ref().map(|said| said.capabilities);
        let Some(said) = said.filter(|said| self.era == Era::Modern && tells(*said)) else {
            return;
        };
        let id = self.take_own_id();
        write_listen(self.outgoing.line(now), id, said);
        self.listening = Listening::Open(id);
    }

    /// An answer came under this id. Whether it is the end of listening.
    pub(super) fn end_listening(&mut self, id: u64, kind: Kind, now: Instant) -> bool {
        if !self.listening.is_at(id) {
            return false;
        }
        self.listening = match kind {
            Kind::Error => Listening::No,
            _ => Listening::Ended(now),
        };
        true
    }

    /// Listens again to a child that has ended it, and asks what has changed meanwhile.
    pub(super) fn listen_again(&mut self, now: Instant) {
        if let Listening::Ended(at) = self.listening
            && matches!(self.phase, Phase::Serving)
            && now.saturating_duration_since(at) >= PAUSE
        {
            self.listen(now);
            self.reread_lists(now);
        }
    }
}

fn tells(said: ServerCapabilities) -> bool {
    said.tools_changed || said.prompts_changed || said.resources_changed
}

fn write_listen(out: &mut Vec<u8>, id: u64, said: ServerCapabilities) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
    out.extend_from_slice(br#","method":"subscriptions/listen","params":{"#);
    write_own_meta(out);
    let mut separator = r#","notifications":{"#;
    for (is_declared, name) in [
        (said.tools_changed, "toolsListChanged"),
        (said.prompts_changed, "promptsListChanged"),
        (said.resources_changed, "resourcesListChanged"),
    ] {
        if is_declared {
            out.extend_from_slice(separator.as_bytes());
            out.push(b'"');
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(br#"":true"#);
            separator = ",";
        }
    }
    out.extend_from_slice(b"}}}\n");
}
