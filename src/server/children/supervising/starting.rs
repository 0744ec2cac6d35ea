//! Which child is started next, and how.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, Instant};

use crate::children::{Adoption, ChildOrder, ClientValues, MemberKey, PoolStep};
use crate::launcher::ChildSpec;
use crate::metrics::ChildDeath;
use crate::server::children::death::Death;
use crate::server::children::member::Member;
use crate::server::children::outside::{Begun, Outside};

use super::ending::tell_death;
use super::{LOOK_EVERY, Supervising};

/// A start that takes longer, as one that downloads does, holds up no other server's.
const START_COUNTS: Duration = Duration::from_secs(30);

impl<O: Outside> Supervising<O> {
    /// Starts what a server wants, and gives when to ask it again.
    pub(super) fn start_for(&mut self, at: usize, now: Instant) -> Instant {
        let servers = self.servers.iter();
        let starting: Vec<Instant> = servers
            .flat_map(|server| server.starting(START_COUNTS, now))
            .collect();
        if starting.len() >= self.starts_max {
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
                    has_values: plan.values.is_some(),
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

    /// Looks what the wrapper of a child has started, so that later ones can do without it.
    pub(super) fn look_behind(&mut self, at: usize, key: MemberKey) {
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
}

/// What is started, with the values of its client.
fn spec_with<'s>(spec: &'s ChildSpec, values: Option<&ClientValues>) -> Cow<'s, ChildSpec> {
    let mut spec = Cow::Borrowed(spec);
    for (name, value) in values.into_iter().flat_map(ClientValues::iter) {
        let value = OsString::from_vec(value.to_vec());
        spec.to_mut().env.push((name.into(), value));
    }
    spec
}
