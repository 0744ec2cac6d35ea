//! The one `subscriptions/listen` by which a modern child says that its lists change and its resources are updated; an
//! older one says the former unasked, and has a request for the latter.
//!
//! ```text
//! No ─ ready, something to tell ─► Open ─ it ends it ─► Ended ─ after a while ─► Open, lists are read anew
//!  ▲                                │└─ other resources ─► Open anew, then the old one is cancelled
//!  └─────────── refused ────────────┘
//! ```
//! Specification: 2026-07-28, patterns/subscriptions.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::children::child::introduction::ServerCapabilities;
use crate::children::child::listening::ListeningState;
use crate::children::line::{Kind, write_cancelled, write_own_meta};
use crate::jsonrpc::write_string;
use crate::mcp::Era;

use super::{Child, Phase};

/// Between the end of one and the next.
const PAUSE: Duration = Duration::from_secs(30);

impl<C> Child<C> {
    /// Asks a modern child to tell of the changes that it declares, and of the resources that somebody listens to.
    pub(super) fn listen(&mut self, now: Instant) {
        let said = self.introduction.as_ref().map(|said| said.capabilities);
        let Some(said) = said.filter(|_| self.era == Era::Modern) else {
            return;
        };
        let replaced = self.listening.replace();
        self.listening.is_stale = false;
        let has_uris = !self.listening.uris.is_empty() && !self.listening.has_refused_uris;
        if tells(said) || has_uris {
            let id = self.take_own_id();
            let none = BTreeSet::new();
            let uris = if has_uris { &self.listening.uris } else { &none };
            write_listen(self.outgoing.line(now), id, said, uris);
            self.listening.state = ListeningState::Open(id);
        }
        // Last, so that it tells of what happens in between.
        if let Some(replaced) = replaced {
            write_cancelled(self.outgoing.line(now), replaced, "another request replaces it");
        }
    }

    /// Has it tell, or tell no longer, when the resource at a URI is updated.
    pub fn subscribe(&mut self, uri: &str, is_wanted: bool, now: Instant) {
        match self.era {
            Era::Legacy if matches!(self.phase, Phase::Serving) => {
                self.write_subscribe(uri, is_wanted, now);
            }
            Era::Legacy => {}
            Era::Modern => self.listening.want(uri, is_wanted),
        }
    }

    /// Listens anew to a child that is to tell of other resources than it was asked for.
    #[inline]
    pub fn renew_listening(&mut self, now: Instant) {
        // Its ids go on from those of the lists that are being read.
        if self.listening.is_stale && self.rereading.is_none() && matches!(self.phase, Phase::Serving) {
            self.listen(now);
        }
    }

    /// An answer came under this id. Whether it is the end of listening.
    pub(super) fn end_listening(&mut self, id: u64, kind: Kind, now: Instant) -> bool {
        if !self.listening.is_at(id) {
            return self.listening.was_at(id);
        }
        self.listening.state = match kind {
            Kind::Error => ListeningState::No,
            _ => ListeningState::Ended(now),
        };
        if kind == Kind::Error && !self.listening.uris.is_empty() && !self.listening.has_refused_uris {
            // It may tell of lists all the same.
            self.listening.has_refused_uris = true;
            self.listening.is_stale = true;
        }
        true
    }

    /// Listens again to a child that has ended it, and asks what has changed meanwhile.
    pub(super) fn listen_again(&mut self, now: Instant) {
        if let ListeningState::Ended(at) = self.listening.state
            && matches!(self.phase, Phase::Serving)
            && self.rereading.is_none()
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

fn write_listen(out: &mut Vec<u8>, id: u64, said: ServerCapabilities, uris: &BTreeSet<String>) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
    out.extend_from_slice(br#","method":"subscriptions/listen","params":{"#);
    write_own_meta(out);
    out.extend_from_slice(br#","notifications":{"#);
    let mut separator = "";
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
    if !uris.is_empty() {
        out.extend_from_slice(separator.as_bytes());
        out.extend_from_slice(br#""resourceSubscriptions":["#);
        for (at, uri) in uris.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_string(out, uri);
        }
        out.push(b']');
    }
    out.extend_from_slice(b"}}}\n");
}
