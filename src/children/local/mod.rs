//! The children of one server on one shard, and the calls that wait for them.
//!
//! ```text
//!                       ┌─ a child has room ─► at that child ─ answered, failed ─► its event
//! submit ─ waits in order ─┤
//!                       └─ past its deadline, or wanted no more ─► its event, or none
//! ```
//!
//! Where each child belongs to one client, a call waits for the child of its client, whoever else has room; if that is
//! of no more use, calls that it has not seen are handed back, since nobody else may get them.
//!
//! A call holds its place in the queue, or an entry of a child, and nothing else. When a child is of no more use, the
//! calls that it may have seen fail at once, and those whose bytes never left us go before all that wait.
//!
//! The shard hands in the completions of the pipes, by member, and the time; once a pass it calls
//! [`LocalChildren::advance`] and then [`LocalChildren::flush`], the only one that has the ring. What has to be done by
//! others (the client's shard, the launcher, the pool) comes out as events.
//!
//! Invariant: a call that was taken in ends in exactly one event, or is handed back by [`LocalChildren::cancel`] or
//! [`LocalChildren::take_waiting_of`].

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

use crate::children::child::{Abandoned, Child, ChildEvent, ChildFailure, ChildProfile, ErrorLine};
use crate::children::line::Message;
use crate::children::piped::{PipeKeys, PipeSockets, PipedChild};
use crate::children::pool::{Load, MemberKey, least_loaded};
use crate::mcp::ClientKey;
use crate::metrics::ChildTally;
use crate::ring::{ConnectionKey, DataRing, Received};

pub use event::{CallFailure, ChildEnd, Hearer, LocalEvent, LocalRefusal, Taken};
use member::Member;
use waiting::Waiting;

/// What the calls of one server may take on one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalLimits {
    /// Calls that may wait.
    pub queue_depth_max: u32,
    /// How long each may.
    pub queue_timeout: Duration,
}

/// Whose child a call is for, and how long it may wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubmitTerms {
    /// The client whose child it is for; `None` if any will do.
    pub client: Option<ClientKey>,
    /// When its time in a queue is over; `None` if it has not waited yet.
    pub due: Option<Instant>,
}

impl SubmitTerms {
    /// For the child of this client.
    pub fn of(client: ClientKey, due: Option<Instant>) -> SubmitTerms {
        let client = Some(client);
        SubmitTerms { client, due }
    }
}

/// The children of one server on one shard, whose calls are for callers `C`.
#[derive(Debug)]
pub struct LocalChildren<C, S> {
    members: Vec<Member<C, S>>,
    waiting: Waiting<C>,
    /// Whose turn it is among equals.
    turn: usize,
    loads: Vec<Load>,
    /// Whether the first of equals gets a call, so that others can be idle.
    is_packing: bool,
    refusal: Option<LocalRefusal>,
    /// What those that are gone have asked and lost.
    gone: ChildTally,
}

impl<C: Copy, S> LocalChildren<C, S> {
    /// None yet, and nobody waits.
    pub fn new(limits: LocalLimits) -> LocalChildren<C, S> {
        LocalChildren {
            members: Vec::new(),
            waiting: Waiting::new(limits.queue_depth_max, limits.queue_timeout),
            turn: 0,
            loads: Vec::new(),
            is_packing: false,
            refusal: None,
            gone: ChildTally::default(),
        }
    }

    /// Takes a child in whose process was just started.
    pub fn adopt(&mut self, key: MemberKey, child: Child<C>, sockets: PipeSockets<S>, keys: PipeKeys) {
        self.is_packing |= child.may_rest();
        self.members
            .push(Member::new(key, PipedChild::new(child, sockets, keys)));
    }

    /// A child is this client's from now on. It is greeted, if it was not before.
    pub fn assign(
        &mut self,
        key: MemberKey,
        client: ClientKey,
        greeting: Option<&ChildProfile>,
        now: Instant,
    ) {
        let has_waiting = self.waiting.has_of(client);
        if let Some(member) = self.member(key) {
            member.give_to(client);
            member.has_waiting = has_waiting;
            if let Some(profile) = greeting {
                member.piped.child_mut().greet(profile, now);
            }
        }
    }

    /// Whether the child of this client is here.
    pub fn has_child_of(&self, client: ClientKey) -> bool {
        self.child_of(client).is_some()
    }

    /// The children whose clients have made calls since this was last asked, or have some in flight.
    pub fn take_active(&mut self) -> Vec<MemberKey> {
        let active = self.members.iter_mut().filter_map(|member| {
            let is_active = member.take_active();
            is_active.then_some(member.key)
        });
        active.collect()
    }

    /// Takes the oldest call out that waits for the child of this client.
    pub fn take_waiting_of(&mut self, client: ClientKey) -> Option<Taken<C>> {
        self.waiting.take_of(client)
    }

    /// Whether the child of this client is here and has got no call.
    pub fn is_unused(&self, client: ClientKey) -> bool {
        self.child_of(client)
            .is_some_and(|member| member.piped.child().calls_begun() == 0)
    }

    /// Whether a call waits for the child of this client.
    pub fn has_waiting_of(&self, client: ClientKey) -> bool {
        self.waiting.has_of(client)
    }

    /// From now on calls are refused at once for this reason, or no longer. Those that wait go on waiting.
    pub fn refuse(&mut self, refusal: Option<LocalRefusal>) {
        self.refusal = refusal;
    }

    /// Whether calls are refused at once.
    pub fn is_refusing(&self) -> bool {
        self.refusal.is_some()
    }

    /// Why a call of this client would be refused at once, if it were submitted now.
    pub fn refuses(&self, client: Option<ClientKey>) -> Option<LocalRefusal> {
        if self.refusal.is_some() || !self.waiting.is_full() {
            return self.refusal;
        }
        let has_room = match client {
            Some(client) => self
                .child_of(client)
                .is_some_and(|member| !member.has_waiting && member.load().room > 0),
            None => self.waiting.is_empty() && self.room() > 0,
        };
        (!has_room).then_some(LocalRefusal::QueueFull)
    }

    /// Takes a call in: it goes to a child with room, or waits; if it is a client's, for the child of that one, which
    /// may not be here yet; if it has waited on another shard, before those that have waited here only. `text` is the
    /// client's request and `message` the places of its parts.
    ///
    /// # Errors
    /// The call is refused; its caller comes back with the reason.
    pub fn submit(
        &mut self,
        text: &[u8],
        message: &Message,
        caller: C,
        terms: SubmitTerms,
        now: Instant,
    ) -> Result<(), (C, LocalRefusal)> {
        if let Some(refusal) = self.refusal {
            return Err((caller, refusal));
        }
        let placed = match terms.client {
            Some(client) => self.submit_to_child_of(text, message, caller, client, now),
            None if terms.due.is_none() && !self.waiting.is_empty() => Err(caller),
            None => self.submit_to_child(text, message, caller, now),
        };
        match (placed, terms.due) {
            (Ok(()), _) => Ok(()),
            (Err(caller), None) => self.waiting.push(text, caller, terms.client, now),
            (Err(caller), Some(due)) => {
                self.waiting.push_moved(text, caller, terms.client, due);
                Ok(())
            }
        }
    }

    fn submit_to_child_of(
        &mut self,
        text: &[u8],
        message: &Message,
        caller: C,
        client: ClientKey,
        now: Instant,
    ) -> Result<(), C> {
        let mut members = self.members.iter_mut();
        let Some(member) = members.find(|member| member.owner() == Some(client)) else {
            return Err(caller);
        };
        if member.has_waiting {
            return Err(caller);
        }
        let placed = member.submit_of_owner(text, message, caller, now);
        member.has_waiting = placed.is_err();
        placed
    }

    /// The caller that `is_it` wants no answer any more: it is handed back, and its child told, if one has the call.
    pub fn cancel(&mut self, is_it: impl Fn(&C) -> bool, reason: &str, now: Instant) -> Option<C> {
        if let Some((caller, client)) = self.waiting.remove(&is_it) {
            self.retire_unused(client);
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

    /// Calls that children have, and that somebody waits for.
    pub fn in_flight(&self) -> u32 {
        let members = self.members.iter();
        members
            .map(|member| member.piped.child().in_flight().running())
            .sum()
    }

    /// Calls that wait for a child.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What its children ask, and places that they have lost; those that are gone count as well.
    pub fn tally(&self) -> ChildTally {
        let members = self.members.iter().map(|member| member.piped.child().tally());
        self.gone + members.sum()
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
    #[cfg(test)]
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

    /// Asks a child for its lists once more, if it serves.
    pub fn reread_lists(&mut self, key: MemberKey, now: Instant) {
        if let Some(member) = self.member(key) {
            member.piped.child_mut().reread_lists(now);
        }
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
        self.take_abandoned(now, tell);
        self.hand_back_disowned(tell);
        self.serve_waiting(now);
        self.serve_owners(now);
        self.members.retain_mut(|member| {
            member.piped.child_mut().renew_listening(now);
            if let Some(worn) = member.wear() {
                tell(worn);
            }
            let is_gone = member.is_gone();
            if is_gone {
                self.gone = self.gone + member.piped.child().tally().totals();
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
        let (piped, speaker) = member.speaking();
        let on_event = |event: ChildEvent<'_, C>| {
            event::pass_on(&speaker, event, &mut failure, &mut **tell.borrow_mut());
        };
        let on_line = |line: ErrorLine<'_>| (tell.borrow_mut())(LocalEvent::ErrorLine { member: key, line });
        piped.on_received(pipe, outcome, now, on_event, on_line);
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
        let (piped, speaker) = member.speaking();
        let on_event = |event: ChildEvent<'_, C>| event::pass_on(&speaker, event, &mut failure, tell);
        piped.on_sent(written.0, written.1, now, on_event);
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
        while let Some((caller, client)) = self.waiting.expire(now) {
            self.retire_unused(client);
            tell(LocalEvent::Failed {
                caller,
                failure: CallFailure::Refused(LocalRefusal::QueueTimeout),
            });
        }
        for member in &mut self.members {
            let (key, mut failure) = (member.key, None);
            let (piped, speaker) = member.speaking();
            let on_event = |event: ChildEvent<'_, C>| event::pass_on(&speaker, event, &mut failure, tell);
            piped.child_mut().on_time(now, on_event);
            if member.is_over(now) {
                failure.get_or_insert(ChildFailure::Exited);
            }
            member.fail(failure, now);
            if let Some(step) = member.step(now) {
                tell(LocalEvent::Step { member: key, step });
            }
            if let Some(resting) = member.rest(now) {
                tell(resting);
            }
        }
    }

    fn child_of(&self, client: ClientKey) -> Option<&Member<C, S>> {
        self.members.iter().find(|member| member.owner() == Some(client))
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
        if !self.is_packing {
            self.turn = self.turn.wrapping_add(1);
        }
        let placed = member.piped.child_mut().submit(text, message, caller, now);
        placed.map(|_| ())
    }

    /// A call waits no longer that was all its client is: the child for it has nothing to do any more.
    fn retire_unused(&mut self, client: Option<ClientKey>) {
        let Some(client) = client.filter(ClientKey::is_single) else {
            return;
        };
        let mut members = self.members.iter_mut();
        if let Some(member) = members.find(|member| member.owner() == Some(client)) {
            member.retire();
        }
    }

    /// Hands the calls back that wait for a child of their client which is of no more use.
    fn hand_back_disowned(&mut self, tell: &mut impl FnMut(LocalEvent<'_, C>)) {
        for member in &mut self.members {
            let Some(client) = member.take_disowned() else {
                continue;
            };
            // Told first: who asks for the client's child then must not be sent here again.
            tell(LocalEvent::Disowned { member: member.key });
            while let Some(call) = self.waiting.take_of(client) {
                tell(LocalEvent::Misplaced { call });
            }
        }
    }

    /// Gives waiting calls to the children of their clients.
    fn serve_owners(&mut self, now: Instant) {
        for member in &mut self.members {
            let Some(client) = member.owner().filter(|_| member.has_waiting) else {
                continue;
            };
            while member.load().room > 0 {
                let Some((text, caller, _)) = self.waiting.take_of(client) else {
                    member.has_waiting = false;
                    break;
                };
                let message = Message::read_checked(&text);
                debug_assert!(message.is_ok(), "it was a message when it came");
                if let Ok(message) = message {
                    let placed = member.submit_of_owner(&text, &message, caller, now);
                    debug_assert!(placed.is_ok(), "the child had room");
                }
                self.waiting.keep(text);
            }
        }
    }

    fn serve_waiting(&mut self, now: Instant) {
        while self.waiting.has_unowned() && self.members.iter().any(|member| member.load().room > 0) {
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
    fn take_abandoned(&mut self, now: Instant, tell: &mut impl FnMut(LocalEvent<'_, C>)) {
        for member in &mut self.members {
            let key = member.key;
            let (reason, was_owned) = (member.failure.clone(), member.was_owned());
            for call in member.take_abandoned() {
                match call {
                    Abandoned::Unsent { caller, line } if was_owned => {
                        tell(LocalEvent::Misplaced {
                            call: (line, caller, None),
                        });
                    }
                    Abandoned::Unsent { caller, line } => self.waiting.push_front(line, caller, now),
                    Abandoned::Sent { caller } => {
                        member.calls_lost += 1;
                        tell(LocalEvent::Failed {
                            caller,
                            failure: CallFailure::ChildLost {
                                member: key,
                                reason: reason.clone(),
                            },
                        });
                    }
                }
            }
        }
    }
}
