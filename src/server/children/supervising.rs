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

mod ending;
mod starting;
mod subscribing;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::children::{ChildNews, ChildNewsEvent, ChildOrder, LocalRefusal, MemberKey, PoolStatus};
use crate::launcher::ChildId;
use crate::metrics::ChildServerFigures;
use crate::registry::ServerIndex;

use super::inbox::Mail;
use super::member::Member;
use super::outside::{Known, Outside};
use super::server::ServerChildren;

/// Waits between looks while nothing is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How old may be what is known of the memory and CPU time of children.
const USAGE_EVERY: Duration = Duration::from_secs(5);

/// All children of all servers.
pub(super) struct Supervising<O> {
    pub(super) outside: O,
    pub(super) shards: u16,
    /// Starts of all servers at once: each takes a CPU for a while, and often the network.
    starts_max: usize,
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
    pub(super) fn new(
        outside: O,
        shards: u16,
        starts_max: u32,
        servers: Vec<ServerChildren>,
    ) -> Supervising<O> {
        Supervising {
            outside,
            shards,
            starts_max: starts_max as usize,
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
            Mail::Listened { server, uri, owner } => {
                if let Some((at, server)) = self.server(server) {
                    server.subscriptions.begin(&uri, owner.map(|owner| *owner));
                    self.place_subscriptions(at);
                }
            }
            Mail::Unlistened { server, uri, client } => {
                if let Some((at, _)) = self.server(server) {
                    self.on_unlistened(at, uri, client);
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
        let mut has_news = false;
        for server in &mut self.servers {
            has_news |= server.said.take_stale();
        }
        if has_news {
            self.publish();
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
            ChildNewsEvent::Changed { member } => of.on_changed(member, now),
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
                if of.on_listed(member, *introduction, *lists, now) {
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
                tally,
                settled,
            } => {
                of.on_load(shard, waiting, in_flight, tally);
                of.on_answered(answered, busy);
                of.on_settled(&settled);
            }
        }
    }

    fn member(&mut self, process: ChildId) -> Option<&mut Member> {
        let (at, key) = *self.processes.get(&process)?;
        self.servers.get_mut(at)?.member(key)
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

    /// Has the lists of a server read again that have changed, or are old.
    fn reread(&mut self, at: usize, now: Instant) {
        let of = &mut self.servers[at];
        let server = of.index;
        for (shard, member) in of.take_outdated(now) {
            self.outside.order(shard, ChildOrder::Reread { server, member });
        }
    }
}
