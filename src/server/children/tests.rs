//! The thread's decisions, with a launcher and shards that are played.

mod eras;

mod lists;
mod owned;
mod subscriptions;
mod upkeep;

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::flight::Flight;
use super::inbox::Mail;
use super::outside::{Begun, Known, Outside};
use super::server::{PoolSurroundings, ServerChildren};
use super::supervising::Supervising;
use crate::children::{
    Adoption, Assignment, ChildEnd, ChildFailure, ChildLists, ChildNews, ChildNewsEvent, ChildOrder,
    ChildProfile, Client, ClientKey, ClientProfile, EndingStep, Handshake, HandshakeStep, Introduction, Kind,
    LocalRefusal, MemberKey, PipeSockets, Settled,
};
use crate::config::{ChildServer, LossPolicy, PoolMode, PoolSettings};
use crate::launcher::{
    Behind, ChildId, ChildSpec, Exit, ExitReason, ExitStatus, Pid, PipeNumbers, ResourceUse, TreeUsage,
};
use crate::mcp::{ClientCapabilities, Era, SessionToken};
use crate::metrics::{ChildDeath, ChildRefusal, ChildState, ChildTally};
use crate::registry::ServerIndex;

/// Something that the thread did.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Act {
    Spawn(u64),
    Adopt {
        shard: u16,
        server: u16,
        member: u64,
        timeout: Duration,
    },
    Exited {
        shard: u16,
        member: u64,
    },
    Refuse {
        shard: u16,
        refusal: Option<LocalRefusal>,
    },
    Reread {
        shard: u16,
        member: u64,
    },
    Retire {
        shard: u16,
        member: u64,
    },
    Assign {
        shard: u16,
        member: u64,
        is_greeted: bool,
    },
    Placed {
        shard: u16,
        place: u16,
    },
    Lost {
        shard: u16,
        is_over: bool,
    },
    EndSession(SessionToken),
    Subscribe {
        member: u64,
        uri: String,
        is_wanted: bool,
    },
    Terminate(u64),
    Kill(u64),
    /// How many servers have said what they have, and the tools of the first.
    Publish(usize, usize),
    Open,
}

#[derive(Debug)]
struct Played {
    acts: VecDeque<Act>,
    eras: Vec<Option<Era>>,
    last: u64,
    /// No process can be asked for.
    is_exhausted: bool,
    /// What was asked for.
    specs: Vec<ChildSpec>,
    /// What is behind a child, and how often that was looked at.
    behind: Behind,
    looks: usize,
    /// Sessions that have ended.
    over: Vec<SessionToken>,
    /// How many tools the own child of each client has, as was published last.
    own: HashMap<ClientKey, usize>,
    /// Children that died, and how.
    kept: Vec<(u64, String)>,
    /// How often it was asked what a process uses.
    usages: usize,
}

impl Default for Played {
    fn default() -> Played {
        Played {
            acts: VecDeque::new(),
            eras: Vec::new(),
            last: 0,
            is_exhausted: false,
            specs: Vec::new(),
            behind: Behind::Unknown,
            looks: 0,
            over: Vec::new(),
            own: HashMap::new(),
            kept: Vec::new(),
            usages: 0,
        }
    }
}

#[derive(Clone, Default)]
struct Outsiders(Rc<RefCell<Played>>);

impl Outside for Outsiders {
    type Socket = ();

    fn spawn(&mut self, spec: &ChildSpec) -> io::Result<Begun<()>> {
        let mut played = self.0.borrow_mut();
        played.specs.push(spec.clone());
        if played.is_exhausted {
            return Err(io::Error::other("no descriptor is left"));
        }
        played.last += 1;
        let number = played.last;
        played.acts.push_back(Act::Spawn(number));
        let sockets = PipeSockets {
            input: (),
            output: (),
            errors: (),
        };
        Ok(Begun {
            process: ChildId::made_up(number),
            sockets,
            pipes: PipeNumbers::default(),
        })
    }

    fn behind(&mut self, _: i32, _: PipeNumbers, _: &ChildSpec) -> Behind {
        let mut played = self.0.borrow_mut();
        played.looks += 1;
        played.behind.clone()
    }

    fn ask_usage(&mut self, _: ChildId) {
        self.0.borrow_mut().usages += 1;
    }

    fn terminate(&mut self, process: ChildId) {
        self.0
            .borrow_mut()
            .acts
            .push_back(Act::Terminate(process.number()));
    }

    fn kill(&mut self, process: ChildId) {
        self.0.borrow_mut().acts.push_back(Act::Kill(process.number()));
    }

    fn keep(&mut self, flight: &Flight<'_>) {
        self.0
            .borrow_mut()
            .kept
            .push((flight.member, flight.death.to_owned()));
    }

    fn order(&mut self, shard: u16, order: ChildOrder<()>) {
        let act = match order {
            ChildOrder::Adopt(adoption) => {
                let Adoption {
                    server,
                    member,
                    limits,
                    profile,
                    owner,
                    wants_lists,
                    ..
                } = *adoption;
                assert!(wants_lists || owner.is_some());
                self.0
                    .borrow_mut()
                    .eras
                    .push(profile.and_then(|profile| profile.era));
                Act::Adopt {
                    shard,
                    server: server.0,
                    member: member.0,
                    timeout: limits.start_timeout,
                }
            }
            ChildOrder::Exited { member, .. } => Act::Exited {
                shard,
                member: member.0,
            },
            ChildOrder::Refuse { refusal, .. } => Act::Refuse { shard, refusal },
            ChildOrder::Assign(Assignment { member, greeting, .. }) => Act::Assign {
                shard,
                member: member.0,
                is_greeted: greeting.is_some(),
            },
            ChildOrder::Placed { shard: place, .. } => Act::Placed { shard, place },
            ChildOrder::Lost { is_over, .. } => Act::Lost { shard, is_over },
            ChildOrder::Subscribe {
                member,
                uri,
                is_wanted,
                ..
            } => Act::Subscribe {
                member: member.0,
                uri,
                is_wanted,
            },
            ChildOrder::Reread { member, .. } => Act::Reread {
                shard,
                member: member.0,
            },
            ChildOrder::Retire { member, .. } => Act::Retire {
                shard,
                member: member.0,
            },
        };
        self.0.borrow_mut().acts.push_back(act);
    }

    fn publish(&mut self, known: &[Known<'_>]) {
        let said = known.iter().filter_map(|known| known.said.last());
        let tools: Vec<usize> = said.map(|said| tools(&said.lists)).collect();
        let first = tools.first().copied().unwrap_or(0);
        let own = known.iter().flat_map(|known| known.own);
        let own = own.map(|(client, said)| (*client, self::tools(&said.lists)));
        self.0.borrow_mut().own = own.collect();
        self.0
            .borrow_mut()
            .acts
            .push_back(Act::Publish(tools.len(), first));
    }

    fn end_session(&mut self, session: SessionToken) {
        let mut played = self.0.borrow_mut();
        played.over.push(session);
        played.acts.push_back(Act::EndSession(session));
    }

    fn is_over(&self, session: SessionToken) -> bool {
        self.0.borrow().over.contains(&session)
    }

    fn open(&mut self) {
        self.0.borrow_mut().acts.push_back(Act::Open);
    }
}

fn tools(lists: &ChildLists) -> usize {
    lists.list(crate::children::ListName::Tools).len()
}

/// The thread, and the time.
struct Rig {
    supervising: Supervising<Outsiders>,
    outsiders: Outsiders,
    now: Instant,
}

const FIRST: Duration = Duration::from_secs(300);
const LATER: Duration = Duration::from_secs(30);

impl Rig {
    fn new(servers: u16, shards: u16, pool: &PoolSettings) -> Rig {
        Rig::starting(2, servers, shards, pool)
    }

    /// So many children are started at one time.
    fn starting(starts_max: u32, servers: u16, shards: u16, pool: &PoolSettings) -> Rig {
        let now = Instant::now();
        let outsiders = Outsiders::default();
        let around = PoolSurroundings {
            shards,
            cpus: 4,
            write_timeout: Duration::from_secs(30),
            ask_timeout: Duration::from_secs(300),
            is_recorded: true,
        };
        let server = |index| {
            let server = ChildServer {
                name: format!("server-{index}"),
                command: "thing".to_owned(),
                args: Vec::new(),
                env: std::collections::BTreeMap::new(),
                cwd: None,
                pool: pool.clone(),
            };
            let spec = server.spec([], None);
            ServerChildren::new(ServerIndex(index), &server, spec, &around, now)
        };
        let servers = (0..servers).map(server).collect();
        Rig {
            supervising: Supervising::new(outsiders.clone(), shards, starts_max, servers),
            outsiders,
            now,
        }
    }

    /// One server on this many shards.
    fn one(shards: u16) -> Rig {
        Rig::new(1, shards, &shared())
    }

    /// Does what is due, and gives what was done since the last look.
    fn acts(&mut self) -> Vec<Act> {
        self.supervising.advance(self.now);
        self.outsiders.0.borrow_mut().acts.drain(..).collect()
    }

    /// Lets time pass, as the thread does: from one due moment to the next.
    fn pass(&mut self, time: Duration) -> Vec<Act> {
        let until = self.now + time;
        let mut acts = Vec::new();
        while self.now < until {
            self.now = self.supervising.advance(self.now).min(until);
            acts.extend(self.acts());
        }
        acts
    }

    fn news(&mut self, shard: u16, server: u16, event: ChildNewsEvent) {
        let server = ServerIndex(server);
        let news = ChildNews { shard, server, event };
        self.supervising.handle(Mail::News(news), self.now);
    }

    fn ready(&mut self, server: u16, member: u64, tools: usize) {
        let (introduction, lists) = introduced(tools);
        let event = ChildNewsEvent::Ready {
            member: MemberKey(member),
            introduction: Box::new(introduction),
            lists: Some(Box::new(lists)),
            took: Duration::from_millis(300),
        };
        self.news(0, server, event);
    }

    fn exited(&mut self, process: u64, status: ExitStatus, reason: ExitReason) {
        let exit = Exit {
            status,
            reason,
            used: ResourceUse::default(),
        };
        let process = ChildId::made_up(process);
        self.supervising.handle(Mail::Exited(process, exit), self.now);
    }

    fn gone(&mut self, server: u16, member: u64, failure: Option<ChildFailure>) {
        let end = ChildEnd {
            failure,
            calls_lost: 0,
            recording: None,
            last_errors: vec!["Error: no\tkey".to_owned(), String::new()],
        };
        let (member, end) = (MemberKey(member), Box::new(end));
        let event = ChildNewsEvent::Gone { member, end };
        self.news(0, server, event);
    }

    /// A child dies of itself.
    fn dies(&mut self, server: u16, member: u64) {
        self.exited(member, ExitStatus::Code(1), ExitReason::Itself);
        self.gone(server, member, Some(ChildFailure::OutputEnded));
    }

    /// The eras in which children were to be spoken to, in order.
    fn eras(&self) -> Vec<Option<Era>> {
        self.outsiders.0.borrow().eras.clone()
    }

    fn not_ready(&self) -> Option<String> {
        self.supervising.status(self.now).1
    }
}

fn changed() -> ChildNewsEvent {
    ChildNewsEvent::Changed { member: MemberKey(1) }
}

fn shared() -> PoolSettings {
    PoolSettings {
        mode: PoolMode::Shared,
        ..PoolSettings::default()
    }
}

/// A child has said once more that it has so many tools.
fn listed(member: u64, tools: usize) -> ChildNewsEvent {
    let (introduction, lists) = introduced(tools);
    ChildNewsEvent::Listed {
        member: MemberKey(member),
        introduction: Box::new(introduction),
        lists: Box::new(lists),
    }
}

fn reread(shard: u16, member: u64) -> Act {
    Act::Reread { shard, member }
}

/// What a child with so many tools says of itself.
fn introduced(tools: usize) -> (Introduction, ChildLists) {
    let tools: Vec<String> = (0..tools)
        .map(|number| format!("{{\"name\":\"t{number}\"}}"))
        .collect();
    let answers = [
        r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"n"}}"#
            .to_owned(),
        format!("{{\"tools\":[{}]}}", tools.join(",")),
    ];
    let mut out = Vec::new();
    let mut handshake = Handshake::begin(&ChildProfile::shared(), true, &mut out);
    for answer in answers {
        let step = handshake.on_answer(handshake.id(), Kind::Result, answer.as_bytes(), &mut out);
        if let HandshakeStep::Done(done) = step.unwrap() {
            return (done.0, done.1.unwrap());
        }
    }
    panic!("it waits for more")
}

fn adopt(shard: u16, server: u16, member: u64, timeout: Duration) -> Act {
    Act::Adopt {
        shard,
        server,
        member,
        timeout,
    }
}

fn count(acts: &[Act], is_it: impl Fn(&Act) -> bool) -> usize {
    acts.iter().filter(|act| is_it(act)).count()
}

fn spawns(acts: &[Act]) -> usize {
    count(acts, |act| matches!(act, Act::Spawn(_)))
}

#[test]
fn the_first_child_opens_the_server_once_its_lists_are_served() {
    let mut rig = Rig::one(2);
    assert_eq!(rig.acts(), [Act::Spawn(1), adopt(0, 0, 1, FIRST)]);
    let waiting = rig.not_ready().unwrap();
    assert_eq!(waiting, "server-0: no child has been ready yet: it is starting");
    let pid = Pid::from_raw(77).unwrap();
    rig.supervising
        .handle(Mail::Spawned(ChildId::made_up(1), Ok(pid)), rig.now);
    assert!(rig.pass(Duration::from_secs(10)).is_empty());
    rig.ready(0, 1, 3);
    assert_eq!(rig.acts(), [Act::Publish(1, 3), Act::Open]);
    assert_eq!(rig.not_ready(), None);
    assert!(rig.pass(Duration::from_secs(10)).is_empty());
    let figures = &rig.supervising.status(rig.now).0[0];
    assert_eq!(figures.children[ChildState::Serving.index()], 1);
    assert_eq!(
        (figures.starts_total, figures.ready_total, figures.ready_ms_total),
        (1, 1, 300)
    );
}

#[test]
fn children_are_spread_over_the_shards_and_asked_for_what_they_have() {
    let pool = PoolSettings {
        min_idle: 4,
        max: Some(4),
        ..shared()
    };
    let mut rig = Rig::new(1, 3, &pool);
    let mut shards = Vec::new();
    for member in 1..=4 {
        let acts = rig.acts();
        shards.extend(acts.iter().filter_map(|act| match act {
            Act::Adopt { shard, .. } => Some(*shard),
            _ => None,
        }));
        rig.ready(0, member, 3);
    }
    assert_eq!(shards, [0, 1, 2, 0]);
    assert!(!rig.acts().contains(&Act::Publish(1, 3)), "nothing new");
    // The next one is put where one is missing, and has another tool.
    rig.dies(0, 2);
    let acts = rig.pass(Duration::from_secs(1));
    assert!(acts.contains(&adopt(1, 0, 5, LATER)), "{acts:?}");
    rig.ready(0, 5, 4);
    assert_eq!(rig.acts(), [Act::Publish(1, 4)]);
}

#[test]
fn a_pool_grows_when_its_shards_say_that_calls_wait_too_long() {
    let mut rig = Rig::one(2);
    rig.acts();
    rig.now += Duration::from_secs(1);
    rig.ready(0, 1, 1);
    rig.acts();
    let load = |waiting| ChildNewsEvent::Load {
        waiting,
        in_flight: 0,
        answered: 10,
        busy: Duration::from_secs(1),
        tally: ChildTally::default(),
        settled: Box::default(),
    };
    rig.news(0, 0, load(320));
    assert_eq!(spawns(&rig.acts()), 0, "half a second of work, one to start");
    rig.news(1, 0, load(400));
    assert_eq!(rig.acts(), [Act::Spawn(2), adopt(1, 0, 2, LATER)]);
    rig.news(1, 0, load(100_000));
    assert_eq!(spawns(&rig.acts()), 0, "one starts at a time");
}

#[test]
fn a_worn_child_is_retired_by_its_shard_when_another_is_ready() {
    let pool = PoolSettings {
        recycle_age: Some(Duration::from_secs(3600)),
        ..shared()
    };
    let mut rig = Rig::new(1, 2, &pool);
    rig.acts();
    rig.ready(0, 1, 1);
    rig.acts();
    let member = MemberKey(1);
    rig.news(
        0,
        0,
        ChildNewsEvent::Worn {
            member,
            is_used_up: false,
        },
    );
    assert_eq!(rig.acts(), [Act::Spawn(2), adopt(1, 0, 2, LATER)]);
    rig.ready(0, 2, 1);
    assert_eq!(rig.acts(), [Act::Retire { shard: 0, member: 1 }]);
    rig.exited(1, ExitStatus::Code(0), ExitReason::Itself);
    rig.gone(0, 1, None);
    assert_eq!(rig.acts(), [Act::Exited { shard: 0, member: 1 }]);
    // The other gets old.
    let acts = rig.pass(Duration::from_secs(3600));
    assert_eq!(spawns(&acts), 1, "{acts:?}");
}

#[test]
fn starts_of_all_servers_together_are_bounded_but_none_holds_up_the_others_for_ever() {
    let mut rig = Rig::new(5, 1, &shared());
    assert_eq!(spawns(&rig.acts()), 2);
    assert_eq!(spawns(&rig.pass(Duration::from_secs(29))), 0);
    // They go on downloading, say.
    assert_eq!(spawns(&rig.pass(Duration::from_secs(2))), 2);
    rig.ready(2, 1, 1);
    let acts = rig.acts();
    assert_eq!(spawns(&acts), 1, "{acts:?}");
    assert!(!acts.contains(&Act::Open), "others are not there yet");
    // A server that is never ready and never fails keeps the others closed only for its time.
    assert!(rig.pass(Duration::from_secs(400)).contains(&Act::Open));
    for starts_max in [1, 4] {
        let mut rig = Rig::starting(starts_max, 5, 1, &shared());
        assert_eq!(spawns(&rig.acts()), starts_max as usize);
    }
}

#[test]
fn a_server_that_cannot_be_started_opens_too_and_is_tried_ever_more_rarely() {
    let mut rig = Rig::one(2);
    rig.acts();
    let error = io::Error::other("cannot start the program: no such file");
    rig.supervising
        .handle(Mail::Spawned(ChildId::made_up(1), Err(error)), rig.now);
    assert_eq!(rig.acts(), [Act::Exited { shard: 0, member: 1 }]);
    rig.gone(0, 1, Some(ChildFailure::OutputEnded));
    assert_eq!(rig.acts(), [Act::Publish(0, 0), Act::Open]);
    let reason = rig.not_ready().unwrap();
    assert!(
        reason.contains("no child has been ready yet: cannot start the program: no such file"),
        "{reason}"
    );
    assert_eq!(spawns(&rig.pass(Duration::from_millis(499))), 0);
    assert_eq!(spawns(&rig.pass(Duration::from_millis(1))), 1);
    let figures = &rig.supervising.status(rig.now).0[0];
    assert_eq!(figures.deaths_total[ChildDeath::Spawn.index()], 1);
}

#[test]
fn a_process_that_cannot_even_be_asked_for_is_a_failure_and_no_storm() {
    let mut rig = Rig::one(1);
    rig.outsiders.0.borrow_mut().is_exhausted = true;
    assert_eq!(rig.acts(), [Act::Publish(0, 0), Act::Open]);
    let refusals = rig.pass(Duration::from_secs(3600));
    assert_eq!(
        refusals,
        [Act::Refuse {
            shard: 0,
            refusal: Some(LocalRefusal::Quarantined)
        }]
    );
    let figures = &rig.supervising.status(rig.now).0[0];
    // Five at first, then one a minute.
    assert!((60..=66).contains(&figures.starts_total), "{figures:?}");
    rig.outsiders.0.borrow_mut().is_exhausted = false;
    assert_eq!(spawns(&rig.pass(Duration::from_secs(60))), 1);
}

#[test]
fn a_server_that_fails_too_often_is_refused_everywhere_until_a_child_is_ready() {
    let mut rig = Rig::one(2);
    rig.acts();
    rig.ready(0, 1, 1);
    let mut member = 1;
    let mut acts = rig.acts();
    while !acts.iter().any(|act| matches!(act, Act::Refuse { .. })) {
        rig.dies(0, member);
        acts = rig.pass(Duration::from_secs(9));
        member += spawns(&acts) as u64;
        assert!(member <= 5, "{acts:?}");
    }
    assert_eq!(member, 5);
    let refused = Some(LocalRefusal::Quarantined);
    for shard in [0, 1] {
        assert!(
            acts.contains(&Act::Refuse {
                shard,
                refusal: refused
            }),
            "{acts:?}"
        );
    }
    let reason = rig.not_ready().unwrap();
    assert_eq!(
        reason,
        "server-0: its children fail too often; the last one: it exited with status 1: Error: no\\tkey"
    );
    assert!(rig.supervising.status(rig.now).0[0].is_quarantined);
    let acts = rig.pass(Duration::from_secs(60));
    assert_eq!(spawns(&acts), 1, "{acts:?}");
    rig.ready(0, 6, 1);
    let acts = rig.acts();
    assert!(
        acts.contains(&Act::Refuse {
            shard: 1,
            refusal: None
        }),
        "{acts:?}"
    );
    assert_eq!(rig.not_ready(), None);
}

#[test]
fn a_child_is_ended_as_its_shard_says_and_its_exit_is_told_once() {
    let mut rig = Rig::one(1);
    rig.acts();
    rig.ready(0, 1, 1);
    rig.acts();
    for step in [EndingStep::CloseInput, EndingStep::Terminate, EndingStep::Kill] {
        let member = MemberKey(1);
        rig.news(0, 0, ChildNewsEvent::Step { member, step });
    }
    assert_eq!(rig.acts(), [Act::Terminate(1), Act::Kill(1)]);
    let figures = &rig.supervising.status(rig.now).0[0];
    assert_eq!(figures.children[ChildState::Stopping.index()], 1);
    for _ in 0..2 {
        rig.exited(1, ExitStatus::Signal(9), ExitReason::Killed);
    }
    assert_eq!(rig.acts(), [Act::Exited { shard: 0, member: 1 }]);
    rig.gone(0, 1, None);
    assert_eq!(
        spawns(&rig.acts()),
        1,
        "its end was wanted, and one is always there"
    );
    // Nobody knows this one any more.
    rig.gone(0, 1, Some(ChildFailure::Exited));
    let member = MemberKey(1);
    let step = EndingStep::Kill;
    rig.news(0, 0, ChildNewsEvent::Step { member, step });
    rig.exited(99, ExitStatus::Code(0), ExitReason::Itself);
    rig.news(0, 7, changed());
    assert!(rig.acts().is_empty());
}

#[test]
fn all_children_are_there_again_after_the_launcher_has_died_and_none_is_to_blame() {
    let pool = PoolSettings {
        min_idle: 3,
        ..shared()
    };
    let mut rig = Rig::new(1, 1, &pool);
    for member in 1..=3 {
        rig.acts();
        rig.ready(0, member, 1);
    }
    rig.acts();
    for round in 0..3 {
        let first = round * 3 + 1;
        for member in first..first + 3 {
            rig.exited(member, ExitStatus::Unknown, ExitReason::LauncherEnded);
            rig.gone(0, member, Some(ChildFailure::OutputEnded));
        }
        for member in first + 3..first + 6 {
            assert_eq!(spawns(&rig.acts()), 1);
            rig.ready(0, member, 1);
        }
    }
    let figures = &rig.supervising.status(rig.now).0[0];
    assert_eq!(figures.deaths_total[ChildDeath::Launcher.index()], 9);
    assert!(!figures.is_quarantined);
}

#[test]
fn a_drain_starts_nobody_and_is_over_with_the_last_child() {
    let mut rig = Rig::one(1);
    rig.acts();
    rig.ready(0, 1, 1);
    rig.acts();
    rig.supervising.handle(Mail::Drain, rig.now);
    assert!(!rig.supervising.is_over());
    let load = ChildNewsEvent::Load {
        waiting: 1_000_000,
        in_flight: 0,
        answered: 1,
        busy: Duration::from_secs(1),
        tally: ChildTally::default(),
        settled: Box::default(),
    };
    rig.news(0, 0, load);
    assert_eq!(spawns(&rig.pass(Duration::from_secs(60))), 0);
    rig.exited(1, ExitStatus::Code(0), ExitReason::Itself);
    rig.gone(0, 1, None);
    assert!(rig.supervising.is_over());
    assert_eq!(spawns(&rig.pass(Duration::from_secs(60))), 0);
}

#[test]
fn a_child_that_starts_during_a_drain_does_not_outlive_it() {
    let mut rig = Rig::one(1);
    rig.acts();
    rig.supervising.handle(Mail::Drain, rig.now);
    rig.exited(1, ExitStatus::Code(0), ExitReason::Itself);
    assert_eq!(rig.acts(), [Act::Exited { shard: 0, member: 1 }]);
    rig.gone(0, 1, None);
    assert!(rig.supervising.is_over());
}
