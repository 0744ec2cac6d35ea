//! What is done to processes, and about what becomes of them.

use std::time::Instant;

use crate::children::{ChildEnd, ChildOrder, EndingStep, MemberEnd, MemberKey};
use crate::launcher::{ChildId, Exit, Pid};
use crate::metrics::ChildDeath;
use crate::server::children::death::{Death, Ends};
use crate::server::children::era::SpokenEra;
use crate::server::children::flight::Flight;
use crate::server::children::member::Member;
use crate::server::children::outside::Outside;

use super::Supervising;

/// Lines of stderr in a record of a death.
const LAST_ERRORS: usize = 5;

impl<O: Outside> Supervising<O> {
    /// Does to a process what its shard asks for.
    pub(super) fn take_step(&mut self, at: usize, key: MemberKey, step: EndingStep) {
        let Some(member) = self.servers[at].member(key) else {
            return;
        };
        member.is_stopping = true;
        let process = member.process;
        match step {
            // The shard has done that.
            EndingStep::CloseInput => {}
            EndingStep::Terminate => self.outside.terminate(process),
            EndingStep::Kill => self.outside.kill(process),
        }
    }

    pub(super) fn on_running(&mut self, process: ChildId, pid: Pid) {
        let Some(member) = self.member(process) else {
            return;
        };
        member.pid = Some(pid.as_raw_nonzero().get());
        // It may have been ready before.
        if let Some((at, key)) = self.processes.get(&process).copied() {
            self.look_behind(at, key);
        }
    }

    pub(super) fn on_never_started(&mut self, process: ChildId, error: &str) {
        let Some(member) = self.member(process) else {
            return;
        };
        member.spawn_error = Some(error.to_owned());
        self.tell_exited(process);
    }

    pub(super) fn on_exited(&mut self, process: ChildId, exit: Exit) {
        let Some(member) = self.member(process) else {
            return;
        };
        member.exit = Some(exit);
        self.tell_exited(process);
    }

    /// Tells the shard that has its pipes that a process is gone.
    fn tell_exited(&mut self, process: ChildId) {
        let Some((at, key)) = self.processes.remove(&process) else {
            return;
        };
        let server = &mut self.servers[at];
        let index = server.index;
        if let Some(member) = server.member(key) {
            let (shard, order) = (
                member.shard,
                ChildOrder::Exited {
                    server: index,
                    member: key,
                },
            );
            self.outside.order(shard, order);
        }
    }

    /// A shard has let go of a child.
    pub(super) fn on_gone(&mut self, at: usize, key: MemberKey, end: &ChildEnd, now: Instant) {
        let server = &mut self.servers[at];
        let Some(place) = server.members.iter().position(|member| member.key == key) else {
            return;
        };
        let member = server.members.swap_remove(place);
        server.subscriptions.lose(key);
        self.processes.remove(&member.process);
        server.on_used(&member);
        let death = Death::of(&Ends {
            spawn_error: member.spawn_error.as_deref(),
            exit: member.exit.as_ref(),
            said: Some(end),
            has_served: member.ready.is_some(),
        });
        let last_errors = &end.last_errors;
        let death = death.map(|death| death.with_last_line(last_errors));
        let is_excused = death
            .as_ref()
            .is_some_and(|death| is_excused(&mut server.era, &member, death.reason));
        let counted = death.as_ref().filter(|_| !is_excused);
        let for_pool = match counted {
            Some(death) => server.blame(death, member.is_failed_try()),
            None if death.is_none() && end.failure.is_some() => MemberEnd::Left,
            None => MemberEnd::Wanted,
        };
        server.on_end(key, for_pool, counted, now);
        self.disown(at, key);
        // Whoever listened to it has another one told, or gets one.
        self.place_subscriptions(at);
        let server = &self.servers[at];
        match &death {
            Some(death) if is_excused => {
                let (server, reason) = (&server.name, &death.text);
                tracing::info!(%server, pid = member.pid, %reason, "a child died when it was asked for its era; the next is not asked");
            }
            Some(death) => {
                tell_death(&server.name, member.pid, death, last_errors);
                let (server, death) = (&server.name, &death.text);
                self.outside.keep(&Flight {
                    server,
                    member: key.0,
                    pid: member.pid,
                    death,
                    end,
                });
            }
            None => tracing::info!(server = %server.name, pid = member.pid, "a child has ended"),
        }
        self.tell_refusal(at, now);
    }
}

/// Whether a child's death is no failure, since it may have died of the question for its era.
fn is_excused(era: &mut SpokenEra, member: &Member, reason: ChildDeath) -> bool {
    let may_be_answer = matches!(
        reason,
        ChildDeath::Exit | ChildDeath::Signal | ChildDeath::PipeClosed | ChildDeath::Handshake
    );
    member.ready.is_none()
        && may_be_answer
        && era.on_stillborn(member.spoken, reason == ChildDeath::Handshake)
}

pub(super) fn tell_death(server: &str, pid: Option<i32>, death: &Death, last_errors: &[String]) {
    let last = last_errors.len().saturating_sub(LAST_ERRORS);
    let stderr = last_errors.get(last..).unwrap_or_default();
    tracing::warn!(%server, pid, reason = %death.reason, ?stderr, "a child has died: {}", death.text);
}
