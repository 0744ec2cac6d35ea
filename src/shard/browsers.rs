//! Pages of other origins: which one the request in hand is from, and what browsers ask before they send one.
//!
//! A connection knows the origin of its request as the answer is to repeat it, so that the page may read that, whatever
//! it is: an answer, the head of a stream, a refusal. Browsers keep one connection for one page, and pages of one site
//! have one origin, so the text is shared: a warm request with an origin allocates nothing more than one without.
//! Invariant: while an answer is written, `origin` is that of its request, or none.

use std::rc::Rc;

use crate::ring::{ConnectionKey, SendMode};
use crate::transport::http::admission::{self, Endpoint};
use crate::transport::http::{HEAD_RESERVE, Intake, Progress};
use crate::wire::http1::{self, Connection as Persistence, Head};

use super::connections::{Outgoing, OutgoingKind, State};
use super::{Shard, ShardRing};

/// The origin that was noted last, for the next connection that comes with the same one.
#[derive(Debug, Default)]
pub(super) struct Origins {
    last: Option<Rc<str>>,
}

impl Origins {
    /// Makes `slot` hold `origin`.
    pub(super) fn note(&mut self, slot: &mut Option<Rc<str>>, origin: Option<&str>) {
        if slot.as_deref() != origin {
            *slot = origin.map(|origin| self.shared(origin));
        }
    }

    #[cold]
    fn shared(&mut self, origin: &str) -> Rc<str> {
        match &self.last {
            Some(last) if **last == *origin => Rc::clone(last),
            _ => Rc::clone(self.last.insert(Rc::from(origin))),
        }
    }
}

impl<R: ShardRing> Shard<R> {
    /// Notes the origin of a request that is refused before anything else of it is known: as far as `window`, the front
    /// of it, says one.
    pub(super) fn note_origin_in(&mut self, key: ConnectionKey, window: &[u8]) {
        if let Some(connection) = self.table.at(key) {
            let origin = http1::field_of_unparsed(window, "origin");
            let origin = self.service.policy.readable_by(origin);
            self.origins.note(&mut connection.origin, origin);
        }
    }

    /// The same for the request whose beginning was kept. That of a request in hand, if there is one, stays.
    pub(super) fn note_origin_of_kept(&mut self, key: ConnectionKey) {
        let policy = &self.service.policy;
        if let Some(connection) = self.table.at(key)
            && connection.is_between_answers()
            && let Some(kept) = connection.assembly.as_deref()
        {
            let origin = http1::field_of_unparsed(kept.window(), "origin");
            self.origins
                .note(&mut connection.origin, policy.readable_by(origin));
        }
    }

    /// The request in hand is refused because of where it comes from: no page is to read that.
    pub(super) fn forget_origin(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.table.at(key) {
            connection.origin = None;
        }
    }

    /// Answers the preflight that `front` is, if it is one, as the last request of a connection that has no place: only
    /// then will the page's own request come, and hear why.
    pub(super) fn answer_preflight_in(&mut self, key: ConnectionKey, front: &[u8]) -> bool {
        let service = Rc::clone(&self.service);
        let progress = Intake::default().advance(front, &service.policy, &service.http);
        let Ok(Progress::Request(request)) = progress else {
            return false;
        };
        let Some(connection) = self.table.at(key) else {
            return false;
        };
        if request.endpoint != Endpoint::Preflight {
            return false;
        }
        connection.persistence = Persistence::Close;
        self.metrics.in_flight.up();
        let out = self.spares.take();
        self.answer_preflight(key, &request.head, out);
        true
    }

    /// Answers a preflight, which is counted in flight. `out` is for the answer.
    pub(super) fn answer_preflight(&mut self, key: ConnectionKey, head: &Head<'_>, mut out: Vec<u8>) {
        let is_draining = self.is_draining();
        let date = *self.date.text();
        let Some(connection) = self.table.at(key).filter(|c| c.state != State::Dead) else {
            self.metrics.in_flight.down();
            return self.spares.put(out);
        };
        if is_draining {
            connection.persistence = Persistence::Close;
        }
        let persistence = connection.persistence;
        admission::write_preflight_answer(&mut out, head, connection.origin.as_deref(), persistence, &date);
        self.log_opened(key, "OPTIONS", 204, None);
        let outgoing = Outgoing {
            range: HEAD_RESERVE..out.len(),
            closes: persistence == Persistence::Close,
            kind: OutgoingKind::Answer,
            is_counted: true,
            ..Outgoing::default()
        };
        self.send(key, out, outgoing, SendMode::Attempt);
    }
}
