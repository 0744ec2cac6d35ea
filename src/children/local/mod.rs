//! The children of one server on one shard, and the calls that wait for them.
//!
//! ```text
//!                       ┌─ a child has room ─► at that child ─ answered, failed ─► its event
//! submit ─ waits in order ─┤
//!                       └─ past its deadline, or wanted no more ─► its event, or none
//! ```
//!
//! A call holds its place in the queue, or an entry of a child, and nothing else. When a child is of no more use, the
//! calls that it may have seen fail at once, and those whose bytes never left us go before all that wait.
//!
//! The shard hands in the completions of the pipes, by member, and the time; once a pass it calls
//! [`LocalChildren::advance`] and then [`LocalChildren::flush`], the only one that has the ring. What has to be done by
//! others (the client's shard, the launcher, the pool) comes out as events.
//!
//! Invariant: a call that was taken in ends in exactly one event, or is handed back by [`LocalChildren::cancel`].

mod asking;
mod event;
mod member;
mod waiting;

#[cfg(test)]
mod real_pipes_tests;
#[cfg(test)]
mod tests;

use std::io;
use std::time::{Duration, Instant};

use crate::children::child::{Abandoned, Child, ChildEvent, ChildFailure, ErrorLine};
use crate::children::line::Message;
use crate::children::piped::{PipeKeys, PipeSockets, PipedChild};
use crate::children::pool::{Load, MemberKey, least_loaded};
use crate::ring::{ConnectionKey, DataRing, Received};

pub use event::{CallFailure, LocalEvent, LocalRefusal};
use member::Member;
pub use waiting::Taken;
use waiting::Waiting;

/// What the calls of one server may take on one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalLimits {
    /// Calls that may wait.
    pub queue_depth_max: u32,
    /// How long each may.
    pub queue_timeout: Duration,
}

/// The children of one server on one shard, whose calls are for callers `C`.
#[derive(Debug)]
pub struct LocalChildren<C, S> {
    members: Vec<Member<C, S>>,
    waiting: Waiting<C>,
    /// Whose turn it is among equals.
    turn: usize,
    loads: Vec<Load>,
    refusal: Option<LocalRefusal>,
}

impl<C, S> LocalChildren<C, S> {
    /// None yet, and nobody waits.
    pub fn new(limits: LocalLimits) -> LocalChildren<C, S> {
        LocalChildren {
            members: Vec::new(),
            waiting: Waiting::new(limits.queue_depth_max, limits.queue_timeout),
            turn: 0,
            loads: Vec::new(),
            refusal: None,
        }
    }

    /// Takes a child in whose process was just started.
    pub fn adopt(&mut self, key: MemberKey, child: Child<C>, sockets: PipeSockets<S>, keys: PipeKeys) {
        self.members
            .push(Member::new(key, PipedChild::new(child, sockets, keys)));
    }

    /// From now on calls are refused at once for this reason, or no longer. Those that wait go on waiting.
    pub fn refuse(&mut self, refusal: Option<LocalRefusal>) {
        self.refusal = refusal;
    }

    /// Whether calls are refused at once.
    pub fn is_refusing(&self) -> bool {
        self.refusal.is_some()
    }

    /// Takes a call in: it goes to a child with room, or waits. `text` is the client's request and `message` the
    /// places of its parts.
    ///
    /// # Errors
    /// The call is refused; its caller comes back with the reason.
    pub fn submit(
        &mut self,
        text: &[u8],
        message: &Message,
        caller: C,
        now: Instant,
    ) -> Result<(), (C, LocalRefusal)> {
        if let Some(refusal) = self.refusal {
            return Err((caller, refusal));
        }
        if !self.waiting.is_empty() {
            return self.waiting.push(text, caller, now);
        }
        match self.submit_to_child(text, message, caller, now) {
            Ok(()) => Ok(()),
            Err(caller) => self.waiting.push(text, caller, now),
        }
    }

    /// Takes a call in that has waited on another shard, and may wait until `due` in all: it goes to a child with room,
    /// or before those that have waited here only.
    ///
    /// # Errors
    /// The call is refused; its caller comes back with the reason.
    pub fn submit_moved(
        &mut self,
        text: &[u8],
        message: &Message,
        caller: C,
        due: Instant,
        now: Instant,
    ) -> Result<(), (C, LocalRefusal)> {
        if let Some(refusal) = self.refusal {
            return Err((caller, refusal));
        }
        if let Err(caller) = self.submit_to_child(text, message, caller, now) {
            self.waiting.push_moved(text, caller, due);
        }
        Ok(())
    }

    /// The caller that `is_it` wants no answer any more: it is handed back, and its child told, if one has the call.
    pub fn cancel(&mut self, is_it: impl Fn(&C) -> bool, reason: &str, now: Instant) -> Option<C> {
        if let Some(caller) = self.waiting.remove(&is_it) {
            return Some(caller);
        }
        self.members.iter_mut().find_map(|member| {
            let child = member.piped.child_mut();
            let key = child.in_flight().find(&is_it)?;
            child.cancel(key, reason, now)
        })
    }

    /// Calls that its children would take, beyond those that wait for them.
    pub fn room(&self) -> u32 {
        let room: u32 = self
            .members
            .iter()
            .map(|member| member.piped.child().room())
            .sum();
        room.saturating_sub(self.waiting.len() as u32)
    }

    /// Calls that wait for a child.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Memory that its children hold: lines that are not whole, and what is to be written. Those that are of no more
    /// use are about to give theirs back.
    pub fn held_bytes(&self) -> usize {
        let in_use = self.members.iter().filter(|member| member.failure.is_none());
        in_use.map(|member| member.piped.child().held_bytes()).sum()
    }

    /// There is no memory for what its children hold: the one that holds most is given up.
    pub fn give_up_largest(&mut self, now: Instant) {
        let largest = self
            .members
            .iter_mut()
            .filter(|member| member.failure.is_none())
            .max_by_key(|member| member.piped.child().held_bytes());
        if let Some(member) = largest {
            member.fail(Some(ChildFailure::OutOfMemory), now);
        }
    }

    /// Whether no call is here.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.members.iter().all(|member| member.piped.child().is_idle())
    }

    /// Whether no child is here, and none of their processes.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Takes the oldest call out that waits and is one that `may_go`.
    pub fn take_waiting(&mut self, may_go: impl Fn(&C) -> bool) -> Option<Taken<C>> {
        self.waiting.take_first(may_go)
    }

    /// Asks one of its children for the server's lists once more, if one serves.
    pub fn reread_lists(&mut self, now: Instant) {
        let _ = self
            .members
            .iter_mut()
            .any(|member| member.piped.child_mut().reread_lists(now));
    }

    /// A child gets no more calls, and ends when it has answered those it has.
    pub fn retire(&mut self, key: MemberKey) {
        if let Some(member) = self.member(key) {
            member.retire();
        }
    }

    /// All children end when they have answered the calls they have and those that wait; no more are taken in.
    pub fn begin_drain(&mut self) {
        self.refusal = Some(LocalRefusal::Draining);
        for member in &mut self.members {
            member.ends_when_idle = true;
        }
    }

    /// Gives everything up: the calls that are here are nobody's, and the pipes are closed whatever their processes do.
    pub fn abort(&mut self, now: Instant) {
        self.refusal = Some(LocalRefusal::Draining);
        while self.waiting.take_first(|_| true).is_some() {}
        for member in &mut self.members {
            member.fail(Some(ChildFailure::Exited), now);
            member.exited_at.get_or_insert(now);
        }
    }

    /// Gives waiting calls to children with room, and goes on with the ends of those that are of no more use.
    pub fn advance(&mut self, now: Instant, tell: &mut impl FnMut(LocalEvent<'_, C>)) {
        self.end_idle(now);
        self.take_abandoned(tell);
        self.serve_waiting(now);
        self.members.retain_mut(|member| {
            if let Some(worn) = member.wear() {
                tell(worn);
            }
            let is_gone = member.is_gone();
            if is_gone {
                tell(member.take_gone());
            }
            !is_gone
        });
    }

    /// Begins what is to be read, written and closed.
    pub fn flush<R: DataRing<Socket = S>>(&mut self, ring: &mut R) {
        for member in &mut self.members {
            member.piped.flush(ring);
        }
    }

    /// A receive on a pipe of a child is over.
    pub fn on_received(
        &mut self,
        key: (MemberKey, ConnectionKey),
        outcome: Received,
        now: Instant,
        tell: &mut impl FnMut(LocalEvent<'_, C>),
    ) {
        let (key, pipe) = key;
        let Some(member) = self.member(key) else {
            return;
        };
        let tell = std::cell::RefCell::new(tell);
        let mut failure = None;
        let on_event = |event: ChildEvent<'_, C>| {
            event::pass_on(key, event, &mut failure, &mut **tell.borrow_mut());
        };
        let on_line = |line: ErrorLine<'_>| (tell.borrow_mut())(LocalEvent::ErrorLine { member: key, line });
        member.piped.on_received(pipe, outcome, now, on_event, on_line);
        member.fail(failure, now);
    }

    /// A write to a child's stdin is over.
    pub fn on_sent(
        &mut self,
        key: MemberKey,
        written: (Vec<u8>, io::Result<usize>),
        now: Instant,
        tell: &mut impl FnMut(LocalEvent<'_, C>),
    ) {
        let Some(member) = self.member(key) else {
            return;
        };
        let mut failure = None;
        let on_event = |event: ChildEvent<'_, C>| event::pass_on(key, event, &mut failure, tell);
        member.piped.on_sent(written.0, written.1, now, on_event);
        member.fail(failure, now);
    }

    /// A pipe of a child is closed.
    pub fn on_closed(&mut self, key: MemberKey, pipe: ConnectionKey) {
        if let Some(member) = self.member(key) {
            member.piped.on_closed(pipe);
        }
    }

    /// A child's process is gone, or was never started. What it said before is still read for a moment: others may
    /// hold its pipes open.
    pub fn on_exited(&mut self, key: MemberKey, now: Instant) {
        if let Some(member) = self.member(key) {
            member.exited_at.get_or_insert(now);
        }
    }

    /// What time brings: calls that waited or took too long, children that fail, and the steps of their ends.
    pub fn on_time(&mut self, now: Instant, tell: &mut impl FnMut(LocalEvent<'_, C>)) {
        while let Some(caller) = self.waiting.expire(now) {
            tell(LocalEvent::Failed {
                caller,
                failure: CallFailure::Refused(LocalRefusal::QueueTimeout),
            });
        }
        for member in &mut self.members {
            let (key, mut failure) = (member.key, None);
            let on_event = |event: ChildEvent<'_, C>| event::pass_on(key, event, &mut failure, tell);
            member.piped.child_mut().on_time(now, on_event);
            if member.is_over(now) {
                failure.get_or_insert(ChildFailure::Exited);
            }
            member.fail(failure, now);
            if let Some(step) = member.step(now) {
                tell(LocalEvent::Step { member: key, step });
            }
        }
    }

    fn member(&mut self, key: MemberKey) -> Option<&mut Member<C, S>> {
        self.members.iter_mut().find(|member| member.key == key)
    }

    /// Gives a call to the least loaded child with room.
    fn submit_to_child(&mut self, text: &[u8], message: &Message, caller: C, now: Instant) -> Result<(), C> {
        self.loads.clear();
        self.loads.extend(self.members.iter().map(Member::load));
        let chosen = least_loaded(&self.loads, self.turn);
        let Some(member) = chosen.and_then(|at| self.members.get_mut(at)) else {
            return Err(caller);
        };
        self.turn = self.turn.wrapping_add(1);
        let placed = member.piped.child_mut().submit(text, message, caller, now);
        placed.map(|_| ())
    }

    fn serve_waiting(&mut self, now: Instant) {
        while !self.waiting.is_empty() && self.members.iter().any(|member| member.load().room > 0) {
            let Some((text, message, caller)) = self.waiting.pop() else {
                return;
            };
            let placed = self.submit_to_child(&text, &message, caller, now);
            debug_assert!(placed.is_ok(), "a child had room");
            self.waiting.keep(text);
        }
    }

    /// Ends children that are to end and have nothing to do.
    fn end_idle(&mut self, now: Instant) {
        let nobody_waits = self.waiting.is_empty();
        for member in &mut self.members {
            if member.ends_when_idle && nobody_waits {
                member.retire();
            }
            member.end_if_retired(now);
        }
    }

    /// Takes the calls from children that are of no more use.
    fn take_abandoned(&mut self, tell: &mut impl FnMut(LocalEvent<'_, C>)) {
        for member in &mut self.members {
            let key = member.key;
            let reason = member.failure.clone();
            for call in member.take_abandoned() {
                match call {
                    Abandoned::Unsent { caller, line } => self.waiting.push_front(line, caller),
                    Abandoned::Sent { caller } => tell(LocalEvent::Failed {
                        caller,
                        failure: CallFailure::ChildLost {
                            member: key,
                            reason: reason.clone(),
                        },
                    }),
                }
            }
        }
    }
}
