//! The children of one server, all shards together: what the pool decides about them, and what is known of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::children::{
    ChildLimits, ChildLists, ChildProfile, Client, ClientKey, ClientProfile, Introduction, MemberEnd,
    MemberKey, Owners, Pool, PoolSizes, PoolStatus, PoolStep, Settled, StartPlan, WarmupCall,
};
use crate::config::{ChildServer, LossPolicy, PoolMode};
use crate::launcher::ChildSpec;
use crate::mcp::Era;
use crate::metrics::{ChildDeath, ChildServerFigures, ChildState, ChildTally};
use crate::registry::ServerIndex;

use super::death::Death;
use super::era::SpokenEra;
use super::member::Member;
use super::outside::Known;
use super::said::{Outdated, SaidOfAll};
use super::starts::Starts;
use super::subscriptions::Subscriptions;

/// The children of one server.
#[derive(Debug)]
pub(super) struct ServerChildren {
    pub(super) index: ServerIndex,
    pub(super) name: String,
    pub(super) starts: Starts,
    pub(super) pool: Pool,
    /// Whose the children are; `None` if everybody's.
    pub(super) owners: Option<Owners>,
    /// What a session gets whose child is lost.
    pub(super) on_loss: LossPolicy,
    /// Whether each call is a client of its own, as was asked for.
    is_by_call: bool,
    /// Whether it was said in the log that clients cannot be told apart.
    pub(super) has_met_strangers: bool,
    /// What a child may take, but for the time of its start.
    limits: ChildLimits,
    /// What a child is to answer before it takes calls.
    pub(super) warmup: Option<Arc<WarmupCall>>,
    pub(super) members: Vec<Member>,
    /// How the next child is spoken to.
    pub(super) era: SpokenEra,
    /// Calls that wait for a child, and that children have, shard by shard.
    waiting: Vec<usize>,
    in_flight: Vec<u32>,
    tallies: Vec<ChildTally>,
    /// CPU time of children that are gone.
    cpu_of_gone: Duration,
    /// The shard that is next among those with as few children.
    turn: usize,
    /// What children have said of themselves and of what they have.
    pub(super) said: SaidOfAll,
    /// By when it has been ready or failed once, or is taken to have.
    settle_by: Instant,
    is_settled: bool,
    /// Lists that have changed, or that nobody has read yet.
    pub(super) outdated: Vec<Outdated>,
    /// How old the lists of a child may be that does not say when they change.
    pub(super) list_ttl: Duration,
    /// Whether the shards were told to refuse its calls.
    pub(super) is_quarantined: bool,
    /// Why the last child died.
    last_death: Option<String>,
    figures: ChildServerFigures,
    /// The resources that clients listen to.
    pub(super) subscriptions: Subscriptions,
}

impl ServerChildren {
    /// No children yet. A pipe that is full may take `write_timeout` to take something.
    pub(super) fn new(
        index: ServerIndex,
        server: &ChildServer,
        spec: ChildSpec,
        around: &PoolSurroundings,
        now: Instant,
    ) -> ServerChildren {
        let sizes = PoolSizes::of(&server.pool, around.cpus);
        ServerChildren {
            index,
            name: server.name.clone(),
            // What a wrapper makes of the values of one client could be in what is found, and is for nobody else.
            starts: Starts::new(spec, server.pool.unwrap && server.pool.env_from.is_empty()),
            pool: Pool::new(sizes),
            owners: sizes
                .is_owned
                .then(|| Owners::new(sizes.min_idle, server.pool.idle_timeout())),
            on_loss: server.pool.on_loss,
            is_by_call: server.pool.mode == PoolMode::Call,
            has_met_strangers: false,
            limits: ChildLimits {
                ask_timeout: server.pool.is_attributed().then_some(around.ask_timeout),
                is_recorded: around.is_recorded,
                ..ChildLimits::of(&server.pool, sizes.start_timeout, around.write_timeout)
            },
            warmup: server
                .pool
                .warmup
                .as_ref()
                .map(|warmup| Arc::new(WarmupCall::new(warmup))),
            members: Vec::new(),
            era: SpokenEra::new(server.pool.era),
            waiting: vec![0; usize::from(around.shards)],
            in_flight: vec![0; usize::from(around.shards)],
            tallies: vec![ChildTally::default(); usize::from(around.shards)],
            cpu_of_gone: Duration::ZERO,
            turn: 0,
            said: SaidOfAll::default(),
            settle_by: now + sizes.first_start_timeout + SETTLE_GRACE,
            is_settled: false,
            outdated: Vec::new(),
            list_ttl: server.pool.list_ttl,
            is_quarantined: false,
            last_death: None,
            subscriptions: Subscriptions::default(),
            figures: ChildServerFigures {
                server: server.name.clone(),
                ..ChildServerFigures::default()
            },
        }
    }

    /// What the pool wants now.
    pub(super) fn step(&mut self, now: Instant) -> PoolStep {
        // Before anything is known of it, one child is wanted whether somebody waits or not.
        let unknown = usize::from(self.said.known().is_empty() && self.members.is_empty());
        let missing = match &self.owners {
            Some(owners) => owners.missing(),
            None => self.waiting.iter().sum(),
        };
        self.pool.step(missing.max(unknown), now)
    }

    /// The shard for the next child: one with the fewest, in turn.
    pub(super) fn next_shard(&mut self) -> u16 {
        let shards = self.waiting.len().max(1);
        let children = |shard: usize| {
            let here = |member: &&Member| usize::from(member.shard) == shard;
            self.members.iter().filter(here).count()
        };
        let order = (0..shards).map(|step| (self.turn + step) % shards);
        let chosen = order.min_by_key(|shard| children(*shard)).unwrap_or(0);
        self.turn = (chosen + 1) % shards;
        u16::try_from(chosen).unwrap_or(u16::MAX)
    }

    /// What a child is told of its client.
    pub(super) fn told(&self, profile: ClientProfile) -> ChildProfile {
        let is_interactive = self.owners.is_none() && self.limits.ask_timeout.is_some();
        let told = if is_interactive {
            ChildProfile::interactive()
        } else {
            ChildProfile::of(profile)
        };
        told.speaking(self.era.next())
    }

    /// A client that listens to resources waits for its own child: it gets one, unless that was taken from it.
    pub(super) fn want_for_subscriptions(&mut self, client: ClientKey) {
        let Some(owner) = self.subscriptions.owner(client).cloned() else {
            return;
        };
        let profile = self.profile_for(owner.client);
        let Some(owners) = &mut self.owners else {
            return;
        };
        if owners.member_of(client).is_some() || !self.subscriptions.is_paused(client) {
            let client = Client {
                profile,
                ..owner.client
            };
            owners.listen(client, owner.values);
            self.on_stranger(client.key);
        }
    }

    /// The child of a client, if it takes calls.
    pub(super) fn serving_child_of(&mut self, client: ClientKey) -> Option<MemberKey> {
        let member = self.owners.as_ref()?.member_of(client)?;
        self.member(member).filter(|member| member.serves())?;
        Some(member)
    }

    /// A child that is to make room, or that nobody needs.
    pub(super) fn superfluous(&self, now: Instant) -> Option<MemberKey> {
        let leaving = self.pool.leaving() as usize;
        let owners = self.owners.as_ref()?;
        owners.superfluous(leaving, self.pool.is_full(), now)
    }

    /// A child that was started before is greeted only now.
    pub(super) fn on_greeted(&mut self, key: MemberKey, now: Instant) {
        self.pool.on_greeted(key, now);
        if let Some(member) = self.member(key) {
            member.is_spare = false;
            member.began = now;
        }
    }

    /// Says once that clients come who cannot be told apart, and what that means for them.
    pub(super) fn on_stranger(&mut self, client: ClientKey) {
        let what = match client {
            ClientKey::Everybody => "all of them share one child and what it remembers",
            ClientKey::Call { .. } if !self.is_by_call => "each of their calls gets a child of its own",
            _ => return,
        };
        if !std::mem::replace(&mut self.has_met_strangers, true) {
            tracing::info!(server = %self.name, "some clients cannot be told apart: {what}; `anonymous` says otherwise");
        }
    }

    /// What the next child is for.
    pub(super) fn plan(&self) -> StartPlan {
        match &self.owners {
            Some(owners) => owners.plan(),
            None => StartPlan::idle(Some(ClientProfile::NOBODY)),
        }
    }

    /// Whether the next child is asked for its lists. A later one may be another version, which the first was not
    /// asked for; but a client does not wait for that.
    pub(super) fn wants_lists(&self, plan: &StartPlan) -> bool {
        let is_known = |profile| self.said.of_profile(profile).is_some();
        // What a child has that was started for one client may be that client's.
        plan.values.is_none() && (plan.owner.is_none() || !plan.profile.is_some_and(is_known))
    }

    /// No call of a client waits on this shard any more.
    pub(super) fn want_no_more(&mut self, client: ClientKey, shard: u16) {
        if let Some(owners) = &mut self.owners {
            owners.want_no_more(client, shard);
        }
    }

    /// The clients of these children have made calls.
    pub(super) fn on_active(&mut self, members: &[MemberKey], now: Instant) {
        if let Some(owners) = &mut self.owners {
            members.iter().for_each(|member| owners.on_active(*member, now));
        }
    }

    /// What the next child may take.
    pub(super) fn limits(&self, start_timeout: Duration) -> ChildLimits {
        ChildLimits {
            start_timeout,
            ..self.limits
        }
    }

    /// A child was started, or is about to be.
    pub(super) fn on_start(&mut self) {
        self.figures.starts_total += 1;
    }

    pub(super) fn member(&mut self, key: MemberKey) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.key == key)
    }

    /// A child takes calls. Says whether it has other lists than were known.
    pub(super) fn on_ready(
        &mut self,
        key: MemberKey,
        introduction: Introduction,
        lists: Option<ChildLists>,
        took: Duration,
        now: Instant,
    ) -> bool {
        let Some(member) = self.member(key) else {
            return false;
        };
        member.ready = Some(now);
        self.era.on_ready(introduction.revision.era());
        self.pool.on_ready(key, now);
        self.is_settled = true;
        self.figures.ready_total += 1;
        self.figures.ready_ms_total += u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let profile = self.profile_of(key);
        if let Some(owners) = &mut self.owners {
            owners.on_ready(key);
        }
        let is_new = match lists {
            Some(lists) => self.on_said(key, introduction, lists, false, now),
            None => {
                self.take_for_said(key, profile, now);
                false
            }
        };
        self.give_said(key, now);
        is_new
    }

    /// What a child is to be told of this client. A modern child hears of it with each request.
    pub(super) fn profile_for(&self, client: Client) -> ClientProfile {
        if self.era.next() == Some(Era::Modern) {
            ClientProfile::NOBODY
        } else {
            client.profile
        }
    }

    /// What a child was told of its client.
    pub(super) fn profile_of(&self, key: MemberKey) -> ClientProfile {
        let owners = self.owners.as_ref();
        let profile = owners.and_then(|owners| owners.profile_of(key));
        profile.unwrap_or(ClientProfile::NOBODY)
    }

    /// A child has got as many calls as it is to get, or all that it ever gets.
    pub(super) fn on_worn(&mut self, key: MemberKey, is_used_up: bool) {
        if !is_used_up {
            return self.pool.on_worn(key);
        }
        self.pool.on_retired(key);
        if let Some(member) = self.member(key) {
            member.is_stopping = true;
        }
    }

    /// What a death says of the server. `was_try` is whether another way to start it is left, which is taken at once.
    pub(super) fn blame(&mut self, death: &Death, was_try: bool) -> MemberEnd {
        if death.reason == ChildDeath::Launcher {
            // It is not to blame for what happened to all.
            return MemberEnd::Wanted;
        }
        if was_try {
            self.starts.on_failed();
            tracing::warn!(server = %self.name, "a start without the wrapper has failed; the next one is with it");
            return MemberEnd::Wanted;
        }
        MemberEnd::Failed
    }

    /// A child is gone that was a member, or that never became one; it may have died.
    pub(super) fn on_end(&mut self, key: MemberKey, end: MemberEnd, death: Option<&Death>, now: Instant) {
        self.pool.on_end(key, end, now);
        if let Some(death) = death {
            self.is_settled = true;
            self.figures.deaths_total[death.reason.index()] += 1;
            self.last_death = Some(death.text.clone());
        }
    }

    /// So many calls wait on a shard, and so many are with its children, which ask and have lost so much.
    pub(super) fn on_load(&mut self, shard: u16, waiting: usize, in_flight: u32, tally: ChildTally) {
        let shard = usize::from(shard);
        if let (Some(waits), Some(runs)) = (self.waiting.get_mut(shard), self.in_flight.get_mut(shard)) {
            (*waits, *runs) = (waiting, in_flight);
        }
        if let Some(known) = self.tallies.get_mut(shard) {
            *known = tally;
        }
    }

    /// What became of calls of one shard's clients.
    pub(super) fn on_settled(&mut self, settled: &Settled) {
        let figures = &mut self.figures;
        figures.with_children.merge(&settled.with_children);
        figures.elsewhere.merge(&settled.elsewhere);
        figures.repeated_total += u64::from(settled.repeated);
        for (count, more) in figures.refused_total.iter_mut().zip(settled.refused) {
            *count += u64::from(more);
        }
    }

    /// A child is gone that had used so much.
    pub(super) fn on_used(&mut self, member: &Member) {
        let by_exit = member.exit.as_ref().map(|exit| exit.used.user + exit.used.system);
        self.cpu_of_gone += by_exit.unwrap_or_default().max(member.used.1);
    }

    /// So many calls were answered in this time together.
    pub(super) fn on_answered(&mut self, answered: u32, busy: Duration) {
        if let Some(each) = busy.checked_div(answered) {
            self.pool.on_answered(each);
        }
    }

    /// The next moment at which something is due that the pool knows nothing of.
    pub(super) fn due(&self) -> Option<Instant> {
        let settled = (!self.is_settled).then_some(self.settle_by);
        [settled, self.outdated_at()].into_iter().flatten().min()
    }

    /// Whether it was ready or has failed once, or has had its time.
    pub(super) fn is_settled(&mut self, now: Instant) -> bool {
        self.is_settled |= now >= self.settle_by;
        self.is_settled
    }

    /// What it has, as far as it has said so.
    pub(super) fn known(&self) -> Known<'_> {
        Known {
            server: self.index,
            name: &self.name,
            is_attributed: self.limits.ask_timeout.is_some(),
            said: self.said.known(),
            own: self.said.own(),
        }
    }

    /// Children that were started less than this long ago, and may be ready any moment.
    pub(super) fn starting(&self, within: Duration, now: Instant) -> impl Iterator<Item = Instant> {
        let starting = self.members.iter().filter(|member| member.is_starting());
        let ends = starting.map(move |member| member.began + within);
        ends.filter(move |end| *end > now)
    }

    /// Why no client should come for it now, if none should.
    pub(super) fn not_ready(&self, now: Instant) -> Option<String> {
        let name = &self.name;
        let died = self.last_death.as_deref().unwrap_or("it is starting");
        match self.pool.status(now) {
            PoolStatus::Quarantined { .. } => Some(format!(
                "{name}: its children fail too often; the last one: {died}"
            )),
            PoolStatus::Serving => None,
            // Later on a client's call waits for the next child.
            PoolStatus::Starting if !self.said.known().is_empty() => None,
            PoolStatus::Starting => Some(format!("{name}: no child has been ready yet: {died}")),
        }
    }

    /// The figures at this moment.
    pub(super) fn figures(&self) -> ChildServerFigures {
        let mut figures = self.figures.clone();
        for member in &self.members {
            let state = match member {
                member if member.is_stopping => ChildState::Stopping,
                member if member.ready.is_some() => ChildState::Serving,
                _ => ChildState::Starting,
            };
            figures.children[state.index()] += 1;
        }
        figures.in_flight = self.in_flight.iter().map(|count| u64::from(*count)).sum();
        figures.waiting = self.waiting.iter().map(|count| *count as u64).sum();
        figures.tally = self.tallies.iter().copied().sum();
        figures.resident_bytes = self.members.iter().map(|member| member.used.0).sum();
        let cpu: Duration = self.members.iter().map(|member| member.used.1).sum();
        figures.cpu_total = self.cpu_of_gone + cpu;
        figures.is_quarantined = self.is_quarantined;
        figures
    }
}

/// What the pools of all servers have around them.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolSurroundings {
    pub(super) shards: u16,
    /// The CPUs that children may use.
    pub(super) cpus: u32,
    /// How long a child's stdin may be full.
    pub(super) write_timeout: Duration,
    /// How long a client may think about a child's question.
    pub(super) ask_timeout: Duration,
    /// Whether the last that went each way is kept.
    pub(super) is_recorded: bool,
}

/// The time after its first start's within which a child that was not ready is given up and gone.
const SETTLE_GRACE: Duration = Duration::from_secs(1);
