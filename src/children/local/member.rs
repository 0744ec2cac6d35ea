//! One child on a shard: how far its use, and its end, has come.

use std::time::{Duration, Instant};

use crate::children::child::{Abandoned, ChildFailure, EndingStep};
use crate::children::line::Message;
use crate::children::piped::PipedChild;
use crate::children::pool::{Load, MemberKey};
use crate::mcp::ClientKey;

use super::event::{ChildEnd, LocalEvent, Speaker};

/// How long what a process has said is read after its end, if somebody else holds its pipes open.
const READ_AFTER_EXIT: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Member<C, S> {
    pub(super) key: MemberKey,
    pub(super) piped: PipedChild<C, S>,
    /// Why it is of no more use.
    pub(super) failure: Option<ChildFailure>,
    pub(super) exited_at: Option<Instant>,
    /// It ends when nothing is left to do for it.
    pub(super) ends_when_idle: bool,
    /// Whose it is, where children belong to clients.
    owner: Option<ClientKey>,
    /// Whether calls of its owner wait for it.
    pub(super) has_waiting: bool,
    /// The last call of its owner.
    last_call: Option<C>,
    is_disowned: bool,
    /// The calls that it had got when its activity was last told.
    calls_told: u32,
    /// Calls that it took along.
    pub(super) calls_lost: u32,
    is_retired: bool,
    is_told_worn: bool,
    is_told_resting: bool,
    is_ending: bool,
    is_abandoned: bool,
}

impl<C, S> Member<C, S> {
    pub(super) fn new(key: MemberKey, piped: PipedChild<C, S>) -> Member<C, S> {
        Member {
            key,
            piped,
            failure: None,
            exited_at: None,
            ends_when_idle: false,
            owner: None,
            has_waiting: false,
            last_call: None,
            is_disowned: false,
            calls_told: 0,
            calls_lost: 0,
            is_retired: false,
            is_told_worn: false,
            is_told_resting: false,
            is_ending: false,
            is_abandoned: false,
        }
    }

    /// The client that it serves, if it serves only one.
    pub(super) fn owner(&self) -> Option<ClientKey> {
        self.owner.filter(|_| !self.is_disowned)
    }

    /// Whether it has been some client's, who may have left since.
    pub(super) fn was_owned(&self) -> bool {
        self.owner.is_some()
    }

    /// It is this client's from now on.
    pub(super) fn give_to(&mut self, client: ClientKey) {
        debug_assert!(self.owner.is_none(), "a child is given once");
        self.owner = Some(client);
        if client.is_single() {
            self.piped.child_mut().limit_calls(1);
        }
    }

    /// Gives it a call of its owner's.
    ///
    /// # Errors
    /// Returns the caller if it takes no calls now.
    pub(super) fn submit_of_owner(
        &mut self,
        text: &[u8],
        message: &Message,
        caller: C,
        now: Instant,
    ) -> Result<(), C>
    where
        C: Copy,
    {
        let child = self.piped.child_mut();
        child.submit(text, message, caller, now)?;
        if self.owner.is_some_and(|owner| !owner.is_single()) {
            child.hear_between_calls();
            self.last_call = Some(caller);
        }
        Ok(())
    }

    /// Itself, and whose words it says.
    pub(super) fn speaking(&mut self) -> (&mut PipedChild<C, S>, Speaker<'_, C>) {
        let speaker = Speaker {
            member: self.key,
            owner: self.owner(),
            last_call: self.last_call.as_ref(),
        };
        (&mut self.piped, speaker)
    }

    /// It is of no more use to its owner, who is handed back once.
    pub(super) fn take_disowned(&mut self) -> Option<ClientKey> {
        let owner = self.owner()?;
        self.is_disowned = self.is_retired || self.is_ending;
        self.is_disowned.then_some(owner)
    }

    /// Whether its owner has made calls since this was last asked, or has some in flight.
    pub(super) fn take_active(&mut self) -> bool {
        let child = self.piped.child();
        let begun = child.calls_begun();
        let is_active = self.owner.is_some() && (!child.is_idle() || begun != self.calls_told);
        self.calls_told = begun;
        is_active
    }

    pub(super) fn load(&self) -> Load {
        let child = self.piped.child();
        Load {
            taken: child.in_flight().taken(),
            room: child.room(),
        }
    }

    pub(super) fn retire(&mut self) {
        self.is_retired = true;
        self.piped.child_mut().retire();
    }

    /// One that has got its last call is retired; one that is worn goes on until a successor is there. What is to be
    /// told of that, once.
    pub(super) fn wear<'e>(&mut self) -> Option<LocalEvent<'e, C>> {
        let child = self.piped.child();
        let is_used_up = child.is_used_up();
        if self.is_retired || self.is_told_worn || !is_used_up && !child.is_worn() {
            return None;
        }
        self.is_told_worn = true;
        if is_used_up {
            self.retire();
        }
        let member = self.key;
        Some(LocalEvent::Worn { member, is_used_up })
    }

    /// What is to be told of one that has had no calls for long, once each time.
    pub(super) fn rest<'e>(&mut self, now: Instant) -> Option<LocalEvent<'e, C>> {
        let is_resting = !self.is_retired && self.piped.child().is_resting(now);
        let is_news = is_resting && !self.is_told_resting;
        self.is_told_resting = is_resting;
        let member = self.key;
        is_news.then_some(LocalEvent::Resting { member })
    }

    /// It is of no more use, if it failed: its pipes are closed, and its calls will be taken from it. One that is
    /// being ended fails no more, but its calls are over when its process is.
    pub(super) fn fail(&mut self, failure: Option<ChildFailure>, now: Instant) {
        let Some(failure) = failure else { return };
        if !self.is_ending {
            self.failure.get_or_insert(failure);
            self.is_ending = true;
            self.piped.child_mut().begin_ending(now);
        }
        self.piped.close();
    }

    /// Begins the end of one that was retired and has nothing to do.
    pub(super) fn end_if_retired(&mut self, now: Instant) {
        if self.is_retired && !self.is_ending && self.piped.child().is_idle() {
            self.is_ending = true;
            self.piped.child_mut().begin_ending(now);
            self.step(now);
        }
    }

    /// The step of its end that is due, as far as others have to do it.
    pub(super) fn step(&mut self, now: Instant) -> Option<EndingStep> {
        if self.exited_at.is_some() {
            return None;
        }
        match self.piped.child_mut().ending_step(now)? {
            EndingStep::CloseInput => {
                self.piped.close_input();
                None
            }
            step => Some(step),
        }
    }

    /// Whether its process has ended, and what it said was read for long enough.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.exited_at
            .is_some_and(|at| now.saturating_duration_since(at) >= READ_AFTER_EXIT)
    }

    /// Takes its calls from it once, when it is of no more use and the ring has none of them.
    pub(super) fn take_abandoned(&mut self) -> Vec<Abandoned<C>> {
        let is_due =
            self.is_ending && !self.is_abandoned && (self.failure.is_some() || self.piped.is_closed());
        let Some(calls) = is_due.then(|| self.piped.abandon()).flatten() else {
            return Vec::new();
        };
        self.is_abandoned = true;
        calls
    }

    /// Whether nothing of it is left.
    pub(super) fn is_gone(&self) -> bool {
        self.is_abandoned && self.exited_at.is_some() && self.piped.is_closed()
    }

    /// What is told of one of which nothing is left.
    pub(super) fn take_gone<'e>(&mut self) -> LocalEvent<'e, C> {
        let failure = self.failure.take();
        let recording = self.piped.child_mut().take_recording();
        LocalEvent::Gone {
            member: self.key,
            end: ChildEnd {
                recording: recording.filter(|_| failure.is_some()),
                failure,
                calls_lost: self.calls_lost,
                last_errors: self.piped.child().last_errors().map(str::to_owned).collect(),
            },
        }
    }
}
