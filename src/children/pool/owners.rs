//! Which child belongs to which client, for a server whose children are not everybody's.
//!
//! ```text
//!              ┌─ nobody's, made ready for a profile ─┐
//! started ─────┼─ nobody's, not greeted yet ──────────┼─ given ─► a client's ─ gone, or silent ─► retired
//!              └─ for a client that waits ────────────┘
//! ```
//!
//! It is told what happens, as the pool is, and asked what is to be done. A child is given once: whoever had it, nobody
//! gets it after.
//!
//! Invariant: a client has one child at most, and a child one client.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::mcp::{Client, ClientKey, ClientProfile, ClientValues};

use super::growth::age;
use super::members::MemberKey;
use super::profiles::ProfileShares;

/// A client that was silent for so long loses its child to one that has none, if there may be no more children.
const EVICTED_AFTER: Duration = Duration::from_secs(60);
/// From so many idle children on one of them is not greeted, so that it can be for a client of any profile.
const SPARE_FROM: usize = 2;

/// The children of one server, and whose they are.
#[derive(Debug)]
pub struct Owners {
    min_idle: usize,
    idle_timeout: Option<Duration>,
    children: BTreeMap<MemberKey, OwnedChild>,
    by_client: HashMap<ClientKey, MemberKey>,
    /// Clients without a child, oldest first.
    wishes: Vec<Wish>,
    shares: ProfileShares,
}

#[derive(Debug)]
struct OwnedChild {
    shard: u16,
    /// What it was told, or will be; `None` if it is not greeted.
    profile: Option<ClientProfile>,
    is_ready: bool,
    owner: Option<ClientKey>,
    /// Its client waits for what it tells unasked.
    is_listened_to: bool,
    active_at: Instant,
}

#[derive(Debug)]
struct Wish {
    client: Client,
    /// What its child is to be started with, if that is its own.
    values: Option<ClientValues>,
    /// The shards on which its calls wait.
    shards: Vec<u16>,
    /// It waits for what its child tells unasked.
    is_listening: bool,
}

/// A child that is given to a client.
#[derive(Debug, PartialEq, Eq)]
pub struct Given {
    /// The client.
    pub client: ClientKey,
    /// The child.
    pub member: MemberKey,
    /// The shard that has the child.
    pub shard: u16,
    /// What the child is to be told first, if it was told nothing yet.
    pub greeting: Option<ClientProfile>,
    /// The shards on which calls of the client wait.
    pub waiting: Vec<u16>,
}

/// What the next child is started for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartPlan {
    /// What it is told; nothing yet, if that depends on who comes.
    pub profile: Option<ClientProfile>,
    /// Whose it is from the beginning.
    pub owner: Option<ClientKey>,
    /// What it is started with, besides what all are.
    pub values: Option<ClientValues>,
}

impl StartPlan {
    /// A child that is nobody's, and is told this of its client; nothing yet, if that depends on who comes.
    pub fn idle(profile: Option<ClientProfile>) -> StartPlan {
        StartPlan {
            profile,
            owner: None,
            values: None,
        }
    }
}

impl Owners {
    /// No children, and no clients. So many children are to be nobody's; one whose client is silent for
    /// `idle_timeout` ends.
    pub fn new(min_idle: u32, idle_timeout: Option<Duration>) -> Owners {
        Owners {
            min_idle: min_idle as usize,
            idle_timeout,
            children: BTreeMap::new(),
            by_client: HashMap::new(),
            wishes: Vec::new(),
            shares: ProfileShares::default(),
        }
    }

    /// Calls of a client wait on this shard, which knows no child of its. The shard that has it, if there is one;
    /// otherwise it is given one as soon as there is.
    pub fn want(&mut self, client: Client, values: Option<ClientValues>, shard: u16) -> Option<u16> {
        if let Some(child) = self.child_of(client.key) {
            return Some(child.shard);
        }
        let wish = self.wish(client, values);
        if !wish.shards.contains(&shard) {
            wish.shards.push(shard);
        }
        None
    }

    /// No call of a client waits on this shard any more.
    pub fn want_no_more(&mut self, client: ClientKey, shard: u16) {
        self.wishes.retain_mut(|wish| {
            if wish.client.key == client {
                wish.shards.retain(|other| *other != shard);
            }
            wish.is_listening || !wish.shards.is_empty()
        });
    }

    /// A client waits for what its child tells unasked: it gets one if it has none.
    pub fn listen(&mut self, client: Client, values: Option<ClientValues>) {
        match self.by_client.get(&client.key).copied() {
            Some(member) => self.set_listened_to(member, true),
            None => self.wish(client, values).is_listening = true,
        }
    }

    /// It waits for that no more.
    pub fn listen_no_more(&mut self, client: ClientKey) {
        self.wishes.retain_mut(|wish| {
            wish.is_listening &= wish.client.key != client;
            wish.is_listening || !wish.shards.is_empty()
        });
        if let Some(member) = self.by_client.get(&client).copied() {
            self.set_listened_to(member, false);
        }
    }

    /// The child of a client.
    pub fn member_of(&self, client: ClientKey) -> Option<MemberKey> {
        self.by_client.get(&client).copied()
    }

    fn set_listened_to(&mut self, member: MemberKey, is_listened_to: bool) {
        if let Some(child) = self.children.get_mut(&member) {
            child.is_listened_to = is_listened_to;
        }
    }

    /// What a client waits for that has no child.
    fn wish(&mut self, client: Client, values: Option<ClientValues>) -> &mut Wish {
        let known = self.wishes.iter().position(|wish| wish.client.key == client.key);
        let at = known.unwrap_or_else(|| {
            self.shares.add(client.profile);
            self.wishes.push(Wish {
                client,
                values,
                shards: Vec::new(),
                is_listening: false,
            });
            self.wishes.len() - 1
        });
        &mut self.wishes[at]
    }

    /// A client is gone for good, or a session with all clients in it: the children that they have.
    pub fn leave(&mut self, client: ClientKey) -> Vec<MemberKey> {
        let is_gone = |key: &ClientKey| {
            *key == client || client.session().is_some() && key.session() == client.session()
        };
        self.wishes.retain(|wish| !is_gone(&wish.client.key));
        let gone = self.by_client.iter().filter(|(key, _)| is_gone(key));
        gone.map(|(_, member)| *member).collect()
    }

    /// A child was started on this shard as planned; whose calls may go there, if it is somebody's.
    pub fn begin(&mut self, member: MemberKey, shard: u16, plan: &StartPlan, now: Instant) -> Option<Given> {
        let child = OwnedChild {
            shard,
            profile: plan.profile,
            is_ready: false,
            owner: None,
            is_listened_to: false,
            active_at: now,
        };
        self.children.insert(member, child);
        let at = self
            .wishes
            .iter()
            .position(|wish| Some(wish.client.key) == plan.owner)?;
        self.give(at, member, now)
    }

    /// A child takes calls.
    pub fn on_ready(&mut self, member: MemberKey) {
        if let Some(child) = self.children.get_mut(&member) {
            child.is_ready = true;
        }
    }

    /// The client of a child has made calls.
    pub fn on_active(&mut self, member: MemberKey, now: Instant) {
        if let Some(child) = self.children.get_mut(&member) {
            child.active_at = now;
        }
    }

    /// A child gets no more calls, or is gone: the client that has lost it.
    pub fn remove(&mut self, member: MemberKey) -> Option<ClientKey> {
        let owner = self.children.remove(&member)?.owner?;
        self.by_client.remove(&owner);
        Some(owner)
    }

    /// What a child was told of its client, or will be.
    pub fn profile_of(&self, member: MemberKey) -> Option<ClientProfile> {
        self.children.get(&member)?.profile
    }

    /// Whether a child is somebody's.
    pub fn is_owned(&self, member: MemberKey) -> bool {
        self.owner_of(member).is_some()
    }

    /// Whose a child is, if it is somebody's.
    pub fn owner_of(&self, member: MemberKey) -> Option<ClientKey> {
        self.children.get(&member)?.owner
    }

    /// Clients that have a child.
    #[cfg(test)]
    pub fn clients(&self) -> usize {
        self.by_client.len()
    }

    /// Gives a child that is nobody's to the first client for which there is one.
    pub fn next_given(&mut self, now: Instant) -> Option<Given> {
        let found = self.wishes.iter().enumerate().find_map(|(at, wish)| {
            // What it is started with cannot be told to one that runs already.
            let profile = wish.values.is_none().then_some(wish.client.profile)?;
            let member = self.best_for(profile)?;
            Some((at, member))
        });
        let (at, member) = found?;
        self.give(at, member, now)
    }

    /// Children that are to be started besides those that come.
    pub fn missing(&self) -> usize {
        self.wishes.len() + self.missing_idle().len()
    }

    /// What the next child is for, if one is [missing](Self::missing).
    pub fn plan(&self) -> StartPlan {
        match self.wishes.first() {
            Some(wish) => StartPlan {
                profile: Some(wish.client.profile),
                owner: Some(wish.client.key),
                values: wish.values.clone(),
            },
            None => StartPlan::idle(match self.missing_idle().first() {
                Some(missing) => *missing,
                // Nobody needs it but for what it says of itself.
                None => self.shares.ready_for(1).first().copied(),
            }),
        }
    }

    /// A child that is to make room, or that nobody will want; so many are about to leave already, and `is_full` if no
    /// more may be started before they have.
    pub fn superfluous(&self, leaving: usize, is_full: bool, now: Instant) -> Option<MemberKey> {
        if let Some(timeout) = self.idle_timeout
            && let Some(member) = self.longest_silent(timeout, now, |child| !child.is_listened_to)
        {
            return Some(member);
        }
        if is_full && self.wishes.len() > leaving {
            let idle = self.unowned().find(|(_, child)| child.is_settled());
            return match idle {
                Some((member, _)) => Some(member),
                None => self.longest_silent(EVICTED_AFTER, now, |_| true),
            };
        }
        if self.missing() > 0 {
            return None;
        }
        let unwanted = self.unwanted_idle();
        unwanted
            .into_iter()
            .find(|member| self.children.get(member).is_some_and(OwnedChild::is_settled))
    }

    fn child_of(&self, client: ClientKey) -> Option<&OwnedChild> {
        self.children.get(self.by_client.get(&client)?)
    }

    fn unowned(&self) -> impl Iterator<Item = (MemberKey, &OwnedChild)> {
        let children = self.children.iter().map(|(member, child)| (*member, child));
        children.filter(|(_, child)| child.owner.is_none())
    }

    /// The child that is soonest of use to a client of this profile.
    fn best_for(&self, profile: ClientProfile) -> Option<MemberKey> {
        let rank = |child: &OwnedChild| match child.profile {
            Some(told) if told == profile => Some(if child.is_ready { 0 } else { 1 }),
            Some(_) => None,
            None => Some(2),
        };
        let ranked = self
            .unowned()
            .filter_map(|(member, child)| Some((rank(child)?, member)));
        ranked.min().map(|(_, member)| member)
    }

    fn give(&mut self, at: usize, member: MemberKey, now: Instant) -> Option<Given> {
        let child = self.children.get_mut(&member)?;
        let Wish {
            client,
            shards,
            is_listening,
            ..
        } = self.wishes.remove(at);
        let greeting = child.profile.is_none().then_some(client.profile);
        child.profile = Some(client.profile);
        child.owner = Some(client.key);
        child.is_listened_to = is_listening;
        child.active_at = now;
        self.by_client.insert(client.key, member);
        Some(Given {
            client: client.key,
            member,
            shard: child.shard,
            greeting,
            waiting: shards,
        })
    }

    /// What the children that are to be nobody's are ready for; `None` for one that is not greeted.
    fn wanted_idle(&self) -> Vec<Option<ClientProfile>> {
        let has_spare = self.min_idle >= SPARE_FROM;
        let ready = self.shares.ready_for(self.min_idle - usize::from(has_spare));
        let ready = ready.into_iter().map(Some);
        ready.chain(has_spare.then_some(None)).collect()
    }

    /// Puts the children that are nobody's to what is wanted; what is missing, and who is of no use.
    fn match_idle(&self) -> (Vec<Option<ClientProfile>>, Vec<MemberKey>) {
        let mut missing = self.wanted_idle();
        let mut unwanted = Vec::new();
        for (member, child) in self.unowned() {
            let is_met = |wanted: &Option<ClientProfile>| match (child.profile, wanted) {
                (Some(ready), Some(wanted)) => self.shares.is_as_good(ready, *wanted),
                (None, None) => true,
                _ => false,
            };
            let exact = missing.iter().position(|wanted| *wanted == child.profile);
            match exact.or_else(|| missing.iter().position(is_met)) {
                Some(at) => {
                    missing.remove(at);
                }
                None => unwanted.push(member),
            }
        }
        (missing, unwanted)
    }

    fn missing_idle(&self) -> Vec<Option<ClientProfile>> {
        self.match_idle().0
    }

    fn unwanted_idle(&self) -> Vec<MemberKey> {
        self.match_idle().1
    }

    /// The child that may go whose client has been silent longest, if that is this long; one that is listened to comes
    /// last. A client of one call is never idle.
    fn longest_silent(
        &self,
        silence: Duration,
        now: Instant,
        may_go: impl Fn(&OwnedChild) -> bool,
    ) -> Option<MemberKey> {
        let owned = self.children.iter().filter(|(_, child)| {
            let is_lasting = child.owner.is_some_and(|owner| !owner.is_single());
            is_lasting && age(child.active_at, now) >= silence && may_go(child)
        });
        let longest = owned.min_by_key(|(_, child)| (child.is_listened_to, child.active_at));
        longest.map(|(member, _)| *member)
    }
}

impl OwnedChild {
    /// Whether it is where it was to be: ready, or started and not to be greeted.
    fn is_settled(&self) -> bool {
        self.is_ready || self.profile.is_none()
    }
}

#[cfg(test)]
#[path = "owners_tests.rs"]
mod tests;
