//! What is done about everything that happens to children: the thread's decisions, without the thread.
//!
//! ```text
//! pool: start ─► process asked for, its pipes to a shard ─► ready ─► serves ─► gone, with its reason ─► pool
//!                         └─ never started, or died ─────────────────────────────▲
//! ```
//!
//! A member is there from the start of its process until its shard says that process and pipes are gone. Shards end
//! children, step by step; this does to processes what they ask for, and tells them what became of processes.
//! Invariant: a shard that was told to adopt a child is told once that its process is gone.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, Instant};

use crate::children::{
    Adoption, ChildEnd, ChildNews, ChildNewsEvent, ChildOrder, ClientValues, EndingStep, LocalRefusal,
    MemberEnd, MemberKey, PoolStatus, PoolStep,
};
use crate::launcher::{ChildId, ChildSpec, Exit, Pid};
use crate::metrics::{ChildDeath, ChildServerFigures};
use crate::registry::ServerIndex;

use super::death::{Death, Ends};
use super::era::SpokenEra;
use super::flight::Flight;
use super::inbox::Mail;
use super::member::Member;
use super::outside::{Begun, Known, Outside};
use super::server::ServerChildren;

/// Starts of all servers at once: each takes a CPU for a while, and often the network.
const STARTS_MAX: usize = 2;
/// A start that takes longer, as one that downloads does, holds up no other server's.
const START_COUNTS: Duration = Duration::from_secs(30);
/// Waits between looks while nothing is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How old may be what is known of the memory and CPU time of children.
const USAGE_EVERY: Duration = Duration::from_secs(5);
/// Lines of stderr in a record of a death.
const LAST_ERRORS: usize = 5;

/// All children of all servers.
pub(super) struct Supervising<O> {
    pub(super) outside: O,
    pub(super) shards: u16,
    pub(super) servers: Vec<ServerChildren>,
    /// Whose each process is.
    processes: BTreeMap<ChildId, (usize, MemberKey)>,
    /// The server that is asked first what it wants.
    turn: usize,
    /// When to ask next what processes use.
    usage_at: Option<Instant>,
    is_open: bool,
    is_draining: bool,
}

impl<O: Outside> Supervising<O> {
    /// Nobody is started before [`advance`](Self::advance).
    pub(super) fn new(outside: O, shards: u16, servers: Vec<ServerChildren>) -> Supervising<O> {
        Supervising {
            outside,
            shards,
            servers,
            processes: BTreeMap::new(),
            turn: 0,
            usage_at: None,
            is_open: false,
            is_draining: false,
        }
    }

    /// Takes a word.
    pub(super) fn handle(&mut self, mail: Mail, now: Instant) {
        match mail {
            Mail::News(news) => self.handle_news(news, now),
            Mail::Spawned(process, Ok(pid)) => self.on_running(process, pid),
            Mail::Spawned(process, Err(error)) => self.on_never_started(process, &error.to_string()),
            Mail::Exited(process, exit) => self.on_exited(process, exit),
            Mail::SessionEnded(session) => self.on_session_ended(session),
            Mail::Usage(process, usage) => {
                if let Some(member) = self.member(process) {
                    member.used = (usage.resident_bytes, usage.cpu);
                }
            }
            Mail::Listened { server, uri } => {
                if let Some((at, server)) = self.server(server) {
                    server.subscriptions.begin(&uri);
                    self.place_subscriptions(at);
                }
            }
            Mail::Unlistened { server, uri } => {
                if let Some((at, server)) = self.server(server)
                    && let Some(member) = server.subscriptions.end(&uri)
                {
                    self.order_subscription(at, member, uri, false);
                }
            }
            Mail::Drain | Mail::Stop => {
                self.is_draining = true;
                self.servers
                    .iter_mut()
                    .for_each(|server| server.pool.begin_drain());
            }
        }
    }

    /// Does what is due, and says when something will be.
    pub(super) fn advance(&mut self, now: Instant) -> Instant {
        let mut due = now + LOOK_EVERY;
        let first = self.turn;
        for step in 0..self.servers.len() {
            let at = (first + step) % self.servers.len();
            self.give_children(at, now);
            due = due.min(self.start_for(at, now));
            self.reread(at, now);
            due = self.servers[at].due().map_or(due, |at| due.min(at));
        }
        self.ask_usage(now);
        let mut is_settled = true;
        for server in &mut self.servers {
            is_settled &= server.is_settled(now);
        }
        if is_settled && !self.is_open {
            self.is_open = true;
            // Who comes before a server that has said nothing yet is to hear when it has.
            if self.servers.iter().any(|server| server.known().said.is_empty()) {
                self.publish();
            }
            self.outside.open();
        }
        due.max(now)
    }

    /// Whether the server drains and no child is left.
    #[cfg(test)]
    pub(super) fn is_over(&self) -> bool {
        self.is_draining && self.servers.iter().all(|server| server.members.is_empty())
    }

    /// The figures of all servers, and why no client should come now, if none should.
    pub(super) fn status(&self, now: Instant) -> (Vec<ChildServerFigures>, Option<String>) {
        let figures = self.servers.iter().map(ServerChildren::figures);
        let reasons = self.servers.iter().filter_map(|server| server.not_ready(now));
        let reasons: Vec<String> = reasons.collect();
        let not_ready = (!reasons.is_empty()).then(|| reasons.join("; "));
        (figures.collect(), not_ready)
    }

    /// Asks what processes use, when it is time to: one reading of `/proc` by the launcher serves all.
    fn ask_usage(&mut self, now: Instant) {
        if self.usage_at.is_some_and(|at| now < at) {
            return;
        }
        self.usage_at = Some(now + USAGE_EVERY);
        for process in self.processes.keys() {
            self.outside.ask_usage(*process);
        }
    }

    fn server(&mut self, index: ServerIndex) -> Option<(usize, &mut ServerChildren)> {
        let at = self.servers.iter().position(|server| server.index == index)?;
        Some((at, self.servers.get_mut(at)?))
    }

    /// Starts what a server wants, and gives when to ask it again.
    fn start_for(&mut self, at: usize, now: Instant) -> Instant {
        let servers = self.servers.iter();
        let starting: Vec<Instant> = servers
            .flat_map(|server| server.starting(START_COUNTS, now))
            .collect();
        if starting.len() >= STARTS_MAX {
            return starting.into_iter().min().unwrap_or(now + LOOK_EVERY);
        }
        match self.servers[at].step(now) {
            PoolStep::Wait(until) => {
                // Time alone can end a record of failures.
                self.tell_refusal(at, now);
                until
            }
            PoolStep::Start { member, timeout } => {
                self.turn = at + 1;
                self.start(at, member, timeout, now);
                now
            }
            PoolStep::Retire { member } => {
                self.retire(at, member, "a child is replaced");
                now
            }
        }
    }

    /// Has a child end when it has answered the calls it has.
    pub(super) fn retire(&mut self, at: usize, key: MemberKey, why: &str) {
        let server = &mut self.servers[at];
        let (index, name) = (server.index, server.name.clone());
        if let Some(member) = server.member(key) {
            member.is_stopping = true;
            let (shard, order) = (
                member.shard,
                ChildOrder::Retire {
                    server: index,
                    member: key,
                },
            );
            tracing::info!(server = %name, member = key.0, "{why}");
            self.outside.order(shard, order);
        }
        self.disown(at, key);
        self.place_subscriptions(at);
    }

    /// Asks a child that serves for the updates that no child is asked for.
    fn place_subscriptions(&mut self, at: usize) {
        let server = &mut self.servers[at];
        let members = server.members.iter();
        let gone: Vec<MemberKey> = members
            .filter(|member| member.is_stopping)
            .map(|member| member.key)
            .collect();
        gone.into_iter()
            .for_each(|member| server.subscriptions.lose(member));
        if !server.subscriptions.has_unplaced() {
            return;
        }
        let mut serving = server.members.iter();
        let serving = serving.find(|member| member.ready.is_some() && !member.is_stopping);
        let Some(key) = serving.map(|member| member.key) else {
            return;
        };
        for uri in server.subscriptions.place(key) {
            self.order_subscription(at, key, uri, true);
        }
    }

    fn order_subscription(&mut self, at: usize, key: MemberKey, uri: String, is_wanted: bool) {
        let server = &mut self.servers[at];
        let index = server.index;
        if let Some(member) = server.member(key) {
            let order = ChildOrder::Subscribe {
                server: index,
                member: key,
                uri,
                is_wanted,
            };
            let shard = member.shard;
            self.outside.order(shard, order);
        }
    }

    fn start(&mut self, at: usize, key: MemberKey, timeout: Duration, now: Instant) {
        let server = &mut self.servers[at];
        server.on_start();
        let plan = server.plan();
        let (spec, is_unwrapped) = server.starts.next();
        match self.outside.spawn(&spec_with(spec, plan.values.as_ref())) {
            Ok(Begun {
                process,
                sockets,
                pipes,
            }) => {
                let shard = server.next_shard();
                let era = server.era.next();
                server.members.push(Member {
                    is_spare: plan.profile.is_none(),
                    ..Member::new(key, (process, pipes), is_unwrapped, era, shard, now)
                });
                self.processes.insert(process, (at, key));
                let adoption = Adoption {
                    server: server.index,
                    member: key,
                    sockets,
                    limits: server.limits(timeout),
                    profile: plan.profile.map(|profile| server.told(profile)),
                    owner: plan.owner,
                    wants_lists: server.wants_lists(&plan),
                    warmup: server.warmup.clone(),
                };
                let owners = server.owners.as_mut();
                let given = owners.and_then(|owners| owners.begin(key, shard, &plan, now));
                self.outside.order(shard, ChildOrder::Adopt(Box::new(adoption)));
                if let Some(given) = given {
                    self.tell_placed(at, &given);
                }
            }
            Err(error) => {
                let death = Death {
                    reason: ChildDeath::Spawn,
                    text: error.to_string(),
                };
                let end = server.blame(&death, is_unwrapped);
                server.on_end(key, end, Some(&death), now);
                tell_death(&server.name, None, &death, &[]);
                self.tell_refusal(at, now);
            }
        }
    }

    fn handle_news(&mut self, news: ChildNews, now: Instant) {
        let ChildNews { shard, server, event } = news;
        let Some((at, of)) = self.server(server) else {
            return;
        };
        match event {
            ChildNewsEvent::Ready {
                member,
                introduction,
                lists,
                took,
            } => {
                let is_new = of.on_ready(member, *introduction, lists.map(|lists| *lists), took, now);
                let name = &of.name;
                tracing::info!(server = %name, member = member.0, shard, ?took, "a child is ready");
                self.tell_refusal(at, now);
                self.look_behind(at, member);
                self.place_subscriptions(at);
                if is_new {
                    self.publish();
                }
            }
            ChildNewsEvent::Changed { member, what: _ } => of.on_changed_at(member, shard, now),
            ChildNewsEvent::Wanted { client, values } => self.on_wanted(at, client, values, shard),
            ChildNewsEvent::WantedNoMore(client) => of.want_no_more(client, shard),
            ChildNewsEvent::Left(client) => self.on_left(at, client),
            ChildNewsEvent::Disowned(member) => self.disown(at, member),
            ChildNewsEvent::Active(members) => of.on_active(&members, now),
            ChildNewsEvent::Listed {
                member,
                introduction,
                lists,
            } => {
                let profile = of.profile_of(member);
                if of.on_listed(profile, *introduction, *lists, now) {
                    self.publish();
                }
            }
            ChildNewsEvent::Worn { member, is_used_up } => {
                of.on_worn(member, is_used_up);
                if is_used_up {
                    self.disown(at, member);
                }
                self.place_subscriptions(at);
            }
            ChildNewsEvent::Resting { member } => {
                if of.pool.on_resting(member) {
                    self.retire(at, member, "a child has had no calls for long, and ends");
                }
            }
            ChildNewsEvent::Step { member, step } => self.take_step(at, member, step),
            ChildNewsEvent::Gone { member, end } => self.on_gone(at, member, &end, now),
            ChildNewsEvent::Deserted => of.pool.begin_drain(),
            ChildNewsEvent::Load {
                waiting,
                in_flight,
                answered,
                busy,
                settled,
            } => {
                of.on_load(shard, waiting, in_flight);
                of.on_answered(answered, busy);
                of.on_settled(&settled);
            }
        }
    }

    /// Does to a process what its shard asks for.
    fn take_step(&mut self, at: usize, key: MemberKey, step: EndingStep) {
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

    fn on_running(&mut self, process: ChildId, pid: Pid) {
        let Some(member) = self.member(process) else {
            return;
        };
        member.pid = Some(pid.as_raw_nonzero().get());
        // It may have been ready before.
        if let Some((at, key)) = self.processes.get(&process).copied() {
            self.look_behind(at, key);
        }
    }

    /// Looks what the wrapper of a child has started, so that later ones can do without it.
    fn look_behind(&mut self, at: usize, key: MemberKey) {
        let server = &mut self.servers[at];
        if !server.starts.wants_look() {
            return;
        }
        let found = server.member(key).and_then(|member| {
            let leader = member.named_process()?;
            Some((leader, member.pipes))
        });
        let Some((leader, pipes)) = found else {
            return;
        };
        let found = self.outside.behind(leader, pipes, server.starts.named());
        if server.starts.on_look(found) {
            let program = server.starts.next().0.program.display();
            tracing::info!(server = %server.name, %program, "later children are started without their wrapper");
        }
    }

    fn on_never_started(&mut self, process: ChildId, error: &str) {
        let Some(member) = self.member(process) else {
            return;
        };
        member.spawn_error = Some(error.to_owned());
        self.tell_exited(process);
    }

    fn on_exited(&mut self, process: ChildId, exit: Exit) {
        let Some(member) = self.member(process) else {
            return;
        };
        member.exit = Some(exit);
        self.tell_exited(process);
    }

    fn member(&mut self, process: ChildId) -> Option<&mut Member> {
        let (at, key) = *self.processes.get(&process)?;
        self.servers.get_mut(at)?.member(key)
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
    fn on_gone(&mut self, at: usize, key: MemberKey, end: &ChildEnd, now: Instant) {
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

    /// Tells all shards whether a server's calls are refused, if that has changed.
    fn tell_refusal(&mut self, at: usize, now: Instant) {
        let server = &mut self.servers[at];
        let status = server.pool.status(now);
        let is_quarantined = matches!(status, PoolStatus::Quarantined { .. });
        if is_quarantined == server.is_quarantined {
            return;
        }
        server.is_quarantined = is_quarantined;
        match status {
            PoolStatus::Quarantined { until } => {
                let next = until.saturating_duration_since(now);
                let reason = server.not_ready(now).unwrap_or_default();
                tracing::error!(server = %server.name, ?next, "calls are refused until a child is ready again: {reason}");
            }
            _ => tracing::info!(server = %server.name, "calls are taken again"),
        }
        let (server, refusal) = (server.index, is_quarantined.then_some(LocalRefusal::Quarantined));
        for shard in 0..self.shards {
            self.outside.order(shard, ChildOrder::Refuse { server, refusal });
        }
    }

    fn publish(&mut self) {
        let known: Vec<Known<'_>> = self.servers.iter().map(ServerChildren::known).collect();
        self.outside.publish(&known);
    }

    /// Has the lists of a server read again that a child has changed.
    fn reread(&mut self, at: usize, now: Instant) {
        let server = &mut self.servers[at];
        if let Some(shard) = server.take_changed(now) {
            let server = server.index;
            self.outside.order(shard, ChildOrder::Reread { server });
        }
    }
}

/// Whether a child's death is no failure, since it may have died of the question for its era.
/// What is started, with the values of its client.
fn spec_with<'s>(spec: &'s ChildSpec, values: Option<&ClientValues>) -> Cow<'s, ChildSpec> {
    let mut spec = Cow::Borrowed(spec);
    for (name, value) in values.into_iter().flat_map(ClientValues::iter) {
        let value = OsString::from_vec(value.to_vec());
        spec.to_mut().env.push((name.into(), value));
    }
    spec
}

fn is_excused(era: &mut SpokenEra, member: &Member, reason: ChildDeath) -> bool {
    let may_be_answer = matches!(
        reason,
        ChildDeath::Exit | ChildDeath::Signal | ChildDeath::PipeClosed | ChildDeath::Handshake
    );
    member.ready.is_none()
        && may_be_answer
        && era.on_stillborn(member.spoken, reason == ChildDeath::Handshake)
}

fn tell_death(server: &str, pid: Option<i32>, death: &Death, last_errors: &[String]) {
    let last = last_errors.len().saturating_sub(LAST_ERRORS);
    let stderr = last_errors.get(last..).unwrap_or_default();
    tracing::warn!(%server, pid, reason = %death.reason, ?stderr, "a child has died: {}", death.text);
}
