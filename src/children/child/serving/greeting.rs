//! What a child says of itself: the handshake, the call that makes it warm, and its lists once more.

use std::time::Instant;

use crate::children::child::event::{Answer, ChildEvent};
use crate::children::child::handshake::{ChildProfile, Handshake, HandshakeStep, message_of};
use crate::children::child::handshake_error::HandshakeError;
use crate::children::child::introduction::Introduction;
use crate::children::child::items::ChildLists;
use crate::children::child::warming;
use crate::children::line::Kind;

use super::{Child, Phase};

impl<C> Child<C> {
    /// Begins the handshake of a child that was told nothing yet.
    pub fn greet(&mut self, profile: &ChildProfile, now: Instant) {
        if let Phase::Ungreeted { wants_lists } = self.phase {
            let handshake = Handshake::begin(profile, wants_lists, self.outgoing.line(now));
            self.own_id = handshake.id();
            self.phase = Phase::Starting(Box::new(handshake));
            self.began = now;
        }
    }

    /// An answer to a request of ours.
    pub(super) fn take_own_answer(
        &mut self,
        id: u64,
        said: Answer<'_>,
        now: Instant,
        tell: &mut impl FnMut(ChildEvent<'_, C>),
    ) {
        if matches!(self.phase, Phase::Warming(_)) {
            return self.take_warmup(id, said, now, tell);
        }
        let Phase::Starting(handshake) = &mut self.phase else {
            if self.end_listening(id, said.message.kind, now) {
                return;
            }
            if self.rereading.is_some() {
                return self.take_list(id, said, now, tell);
            }
            // An error is an answer, too.
            if id == self.own_id && self.pinged_at.take().is_none() {
                self.counters.stray_answers += 1;
            }
            return;
        };
        let outcome = said.message.outcome.map_or(&b""[..], |span| span.of(said.line));
        let step = handshake.on_answer(id, said.message.kind, outcome, self.outgoing.line(now));
        self.own_id = handshake.id();
        match step {
            Ok(HandshakeStep::Waiting) => {}
            Ok(HandshakeStep::Done(done)) => {
                self.era = done.0.revision.era();
                let Some(warmup) = self.warmup.take() else {
                    return self.begin_serving(*done, now, tell);
                };
                self.own_id += 1;
                warmup.write(self.outgoing.line(now), self.era, self.own_id);
                self.phase = Phase::Warming(done);
            }
            Err(error) => self.fail(error.into(), tell),
        }
    }

    /// An answer while it is made warm.
    fn take_warmup(
        &mut self,
        id: u64,
        said: Answer<'_>,
        now: Instant,
        tell: &mut impl FnMut(ChildEvent<'_, C>),
    ) {
        if id != self.own_id {
            return;
        }
        let outcome = said.message.outcome.map_or(&b""[..], |span| span.of(said.line));
        if said.message.kind == Kind::Error {
            let error = HandshakeError::Refused("tools/call", message_of(outcome));
            return self.fail(error.into(), tell);
        }
        if warming::is_failure(outcome) {
            return self.fail(HandshakeError::Warmup.into(), tell);
        }
        if let Phase::Warming(done) = std::mem::replace(&mut self.phase, Phase::Serving) {
            self.begin_serving(*done, now, tell);
        }
    }

    fn begin_serving(
        &mut self,
        (introduction, lists): (Introduction, Option<ChildLists>),
        now: Instant,
        tell: &mut impl FnMut(ChildEvent<'_, C>),
    ) {
        self.phase = Phase::Serving;
        self.introduction = Some(Box::new(introduction.clone()));
        self.listen(now);
        tell(ChildEvent::Ready {
            introduction,
            lists,
            took: now.saturating_duration_since(self.began),
        });
    }

    /// An answer while its lists are read once more.
    fn take_list(
        &mut self,
        id: u64,
        said: Answer<'_>,
        now: Instant,
        tell: &mut impl FnMut(ChildEvent<'_, C>),
    ) {
        let Some((mut handshake, since)) = self.rereading.take() else {
            return;
        };
        let outcome = said.message.outcome.map_or(&b""[..], |span| span.of(said.line));
        let step = handshake.on_answer(id, said.message.kind, outcome, self.outgoing.line(now));
        self.own_id = handshake.id();
        match step {
            Ok(HandshakeStep::Waiting) => self.rereading = Some((handshake, since)),
            Ok(HandshakeStep::Done(done)) => {
                let (introduction, lists) = *done;
                let lists = lists.unwrap_or_default();
                tell(ChildEvent::Listed { introduction, lists });
                if std::mem::take(&mut self.is_reread_wanted) {
                    self.reread_lists(now);
                }
            }
            // It is asked for nothing that could be refused so.
            Err(_) => {}
        }
    }

    /// Asks it for its lists once more; they come as [`ChildEvent::Listed`]. False if it does not serve.
    pub fn reread_lists(&mut self, now: Instant) -> bool {
        let (Phase::Serving, Some(introduction)) = (&self.phase, &self.introduction) else {
            return false;
        };
        if self.rereading.is_some() {
            self.is_reread_wanted = true;
            return true;
        }
        let rereading = Handshake::reread(introduction, self.own_id, self.outgoing.line(now));
        if let Some(rereading) = rereading {
            self.own_id = rereading.id();
            // What a ping would tell, the lists tell.
            self.pinged_at = None;
            self.rereading = Some((Box::new(rereading), now));
        }
        true
    }
}
