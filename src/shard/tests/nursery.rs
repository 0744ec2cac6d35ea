//! The children of one server, played by the test: their processes, and the supervisor, who does what it must at once.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::super::*;
use super::rig::{Rig, Sizes, TIMEOUTS};
use crate::children::played_process::{Process, limits_by_default};
use crate::children::{
    Adoption, Assignment, ChildFailure, ChildLimits, ChildMesh, ChildNews, ChildNewsEvent, ChildOrder,
    ChildProfile, ChildrenParts, Client, ClientKey, ClientRules, LocalLimits, MemberKey, ServerParts,
    Supervisor,
};
use crate::registry::{ForeignFeatures, ForeignItem, ForeignServer, ServerIndex};
use crate::ring::simulated::SimulatedPeer;

pub(super) const SERVER: ServerIndex = ServerIndex(0);
pub(super) const QUEUE_TIMEOUT: Duration = Duration::from_secs(3);

/// Keeps what the supervisor would hear.
struct Listener(Mutex<Sender<ChildNews>>);

impl Supervisor for Listener {
    fn tell(&self, news: ChildNews) {
        let _ = self.0.lock().unwrap().send(news);
    }
}

/// A process, and the shard whose ring has its pipes.
pub(super) struct Ward {
    pub(super) process: Process,
    pub(super) shard: usize,
    is_greeted: bool,
    is_dead: bool,
}

/// The children and who looks after them.
pub(super) struct Nursery {
    pub(super) wards: BTreeMap<u64, Ward>,
    news: Receiver<ChildNews>,
    /// Children that are gone, with why.
    pub(super) gone: Vec<(u64, Option<ChildFailure>)>,
    /// Calls that were answered, as told to the supervisor, and those that waited when it was last told.
    pub(super) answered: u32,
    pub(super) waiting: usize,
    /// Clients that want a child, with the shards that say so.
    pub(super) wanted: Vec<(Client, u16)>,
    /// Clients that are gone for good.
    pub(super) left: Vec<ClientKey>,
    /// Children that are of no more use to their clients.
    pub(super) disowned: Vec<u64>,
    limits: ChildLimits,
}

/// A rig whose server `SERVER` has the tool `child`, and nobody for it yet.
pub(super) fn rig(seed: u64, sizes: Sizes, in_flight_max: u32, queue_depth_max: u32) -> (Rig, Nursery) {
    let limits = ChildLimits {
        in_flight_max,
        ..limits_by_default()
    };
    rig_of(seed, sizes, limits, queue_depth_max, None)
}

/// The same whose children have one call at a time, and may ask its client.
pub(super) fn attributed(seed: u64, sizes: Sizes, queue_depth_max: u32) -> (Rig, Nursery) {
    let limits = ChildLimits {
        in_flight_max: 1,
        ask_timeout: Some(TIMEOUTS.ask),
        ..limits_by_default()
    };
    rig_of(seed, sizes, limits, queue_depth_max, None)
}

/// The same, where children belong to clients who are told apart so.
pub(super) fn owned(
    seed: u64,
    sizes: Sizes,
    in_flight_max: u32,
    queue_depth_max: u32,
    clients: ClientRules,
) -> (Rig, Nursery) {
    let limits = ChildLimits {
        in_flight_max,
        ask_timeout: Some(TIMEOUTS.ask),
        ..limits_by_default()
    };
    rig_of(seed, sizes, limits, queue_depth_max, Some(clients))
}

fn rig_of(
    seed: u64,
    sizes: Sizes,
    limits: ChildLimits,
    queue_depth_max: u32,
    clients: Option<ClientRules>,
) -> (Rig, Nursery) {
    let (tell, news) = channel();
    let parts = ChildrenParts {
        servers: vec![ServerParts {
            name: "played".to_owned(),
            is_attributed: limits.ask_timeout.is_some(),
            is_repeating: true,
            limits: LocalLimits {
                queue_depth_max,
                queue_timeout: QUEUE_TIMEOUT,
            },
            clients,
        }],
        mesh: ChildMesh::new(1, sizes.shards),
        supervisor: Arc::new(Listener(Mutex::new(tell))),
    };
    let child = json!({"name": "child", "inputSchema": {"type": "object"}});
    let slow =
        json!({"name": "slow", "inputSchema": {"type": "object"}, "execution": {"taskSupport": "optional"}});
    let look =
        json!({"name": "look", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}});
    let item = |tool: Value| ForeignItem {
        name: tool["name"].as_str().unwrap().to_owned(),
        text: tool.to_string().into_bytes().into(),
    };
    let server = ForeignServer {
        server: SERVER,
        name: "played".to_owned(),
        server_info: br#"{"name":"played","version":"1"}"#.as_slice().into(),
        instructions: None,
        is_modern: false,
        clients: None,
        features: ForeignFeatures {
            tools: true,
            ..ForeignFeatures::default()
        },
        tools: vec![item(child), item(slow), item(look)],
        prompts: Vec::new(),
        resources: Vec::new(),
        templates: Vec::new(),
    };
    let rig = Rig::with_children(seed, sizes, TIMEOUTS, Some((parts, server)));
    let nursery = Nursery {
        wards: BTreeMap::new(),
        news,
        gone: Vec::new(),
        answered: 0,
        waiting: 0,
        limits,
        wanted: Vec::new(),
        left: Vec::new(),
        disowned: Vec::new(),
    };
    (rig, nursery)
}

impl Nursery {
    /// Starts a child on a shard and greets it.
    pub(super) fn start(&mut self, rig: &mut Rig, number: u64, shard: usize) {
        self.adopt(rig, number, shard);
        for _ in 0..8 {
            self.live(rig);
        }
        assert!(self.wards[&number].is_greeted, "{number}");
    }

    /// Gives a child to a client, and tells the shards on which calls of that wait.
    pub(super) fn give(&mut self, rig: &Rig, number: u64, client: ClientKey) {
        let shard = self.wards[&number].shard;
        let assignment = Assignment {
            server: SERVER,
            member: MemberKey(number),
            client,
            greeting: None,
        };
        rig.drivers[shard]
            .inbox
            .post(ShardEvent::Children(ChildOrder::Assign(assignment)));
        self.place(rig, number, client);
    }

    /// Tells the shards on which calls of a client wait where its child is.
    pub(super) fn place(&mut self, rig: &Rig, number: u64, client: ClientKey) {
        let shard = self.wards[&number].shard;
        for (wanted, asker) in std::mem::take(&mut self.wanted) {
            if wanted.key != client {
                self.wanted.push((wanted, asker));
                continue;
            }
            let order = ChildOrder::Placed {
                server: SERVER,
                client,
                shard: shard as u16,
            };
            rig.drivers[usize::from(asker)]
                .inbox
                .post(ShardEvent::Children(order));
        }
    }

    /// A child gets no more calls, and ends when it has answered those it has.
    pub(super) fn retire(&self, rig: &Rig, number: u64) {
        let order = ChildOrder::Retire {
            server: SERVER,
            member: MemberKey(number),
        };
        let shard = self.wards[&number].shard;
        rig.drivers[shard].inbox.post(ShardEvent::Children(order));
    }

    /// Children that take calls, as far as is known.
    pub(super) fn greeted(&self) -> Vec<u64> {
        let wards = self.wards.iter();
        let greeted = wards.filter(|(_, ward)| ward.is_greeted && !ward.is_dead);
        greeted.map(|(number, _)| *number).collect()
    }

    /// Tells all shards that a client has no child any more.
    pub(super) fn lose(&self, rig: &Rig, client: ClientKey, is_over: bool) {
        for driver in &rig.drivers {
            let order = ChildOrder::Lost {
                server: SERVER,
                client,
                is_over,
            };
            driver.inbox.post(ShardEvent::Children(order));
        }
    }

    /// Starts a child on a shard, which greets it in its own time.
    pub(super) fn adopt(&mut self, rig: &Rig, number: u64, shard: usize) {
        let (process, sockets) = Process::start(&rig.network);
        let adoption = Adoption {
            server: SERVER,
            member: MemberKey(number),
            sockets,
            limits: self.limits,
            profile: Some(ChildProfile::shared()),
            owner: None,
            wants_lists: false,
            warmup: None,
        };
        let order = ChildOrder::Adopt(Box::new(adoption));
        rig.drivers[shard].inbox.post(ShardEvent::Children(order));
        let ward = Ward {
            process,
            shard,
            is_greeted: false,
            is_dead: false,
        };
        self.wards.insert(number, ward);
    }

    /// Turns of the shards; children read, and answer what is not a call; the supervisor does what it must.
    pub(super) fn live(&mut self, rig: &mut Rig) {
        rig.run();
        for ward in self.wards.values_mut().filter(|ward| !ward.is_dead) {
            ward.process.read();
            while let Some(at) = ward
                .process
                .questions
                .iter()
                .position(|question| !question.contains("tools/call"))
            {
                ward.process.answer_other(at);
            }
        }
        rig.run();
        self.supervise(rig);
    }

    /// A child's process is gone.
    pub(super) fn kill(&mut self, rig: &Rig, number: u64) {
        let Some(ward) = self.wards.get_mut(&number).filter(|ward| !ward.is_dead) else {
            return;
        };
        ward.is_dead = true;
        ward.process.die();
        let order = ChildOrder::Exited {
            server: SERVER,
            member: MemberKey(number),
        };
        rig.drivers[ward.shard].inbox.post(ShardEvent::Children(order));
    }

    /// Hears what shards say. A child that is to be ended is gone at the first signal, or at the end of its input.
    pub(super) fn supervise(&mut self, rig: &Rig) {
        while let Ok(news) = self.news.try_recv() {
            assert_eq!(news.server, SERVER);
            match news.event {
                ChildNewsEvent::Ready { member, .. } => {
                    if let Some(ward) = self.wards.get_mut(&member.0) {
                        ward.is_greeted = true;
                    }
                }
                ChildNewsEvent::Step { member, .. } => self.kill(rig, member.0),
                ChildNewsEvent::Gone { member, end } => {
                    let failure = end.failure;
                    self.kill(rig, member.0);
                    self.wards.remove(&member.0);
                    self.gone.push((member.0, failure));
                }
                ChildNewsEvent::Load {
                    waiting, answered, ..
                } => {
                    self.answered += answered;
                    self.waiting = waiting;
                }
                ChildNewsEvent::Wanted { client, .. } => self.wanted.push((client, news.shard)),
                ChildNewsEvent::Left(client) => self.left.push(client),
                ChildNewsEvent::WantedNoMore(client) => {
                    self.wanted.retain(|(wanted, _)| wanted.key != client);
                }
                ChildNewsEvent::Disowned(member) => self.disowned.push(member.0),
                ChildNewsEvent::Worn { .. }
                | ChildNewsEvent::Changed { .. }
                | ChildNewsEvent::Listed { .. }
                | ChildNewsEvent::Resting { .. }
                | ChildNewsEvent::Deserted
                | ChildNewsEvent::Active(_) => {}
            }
        }
    }

    /// The calls that a child has read and not answered.
    pub(super) fn questions(&self, number: u64) -> &[String] {
        self.wards
            .get(&number)
            .map_or(&[], |ward| ward.process.questions.as_slice())
    }

    /// A child answers one of its calls.
    pub(super) fn answer(&mut self, number: u64, at: usize) {
        let Some(ward) = self.wards.get_mut(&number).filter(|ward| !ward.is_dead) else {
            return;
        };
        let question = ward.process.questions.remove(at);
        let question: Value = serde_json::from_str(&question).unwrap();
        let text = &question["params"]["arguments"]["secret"];
        let result = json!({"content": [{"type": "text", "text": text}]});
        let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": result});
        ward.process.say(&format!("{answer}\n"));
    }

    /// A child says how far one of its calls is.
    pub(super) fn progress(&self, number: u64, at: usize) {
        let process = &self.wards[&number].process;
        let question: Value = serde_json::from_str(&process.questions[at]).unwrap();
        let token = &question["params"]["_meta"]["progressToken"];
        let params = json!({"progressToken": token, "progress": 0.5});
        let said = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params});
        process.say(&format!("{said}\n"));
    }

    /// Children that are started from now on have so much time for a call.
    pub(super) fn limit_calls(&mut self, call_timeout: Duration) {
        self.limits.call_timeout = call_timeout;
    }

    /// A child says this line.
    pub(super) fn say(&self, number: u64, line: &str) {
        self.wards[&number].process.say(&format!("{line}\n"));
    }

    /// Everything that a child has read.
    pub(super) fn seen(&self, number: u64) -> String {
        String::from_utf8_lossy(&self.wards[&number].process.seen).into_owned()
    }

    /// All children answer all that they have read, until nothing moves.
    pub(super) fn answer_all(&mut self, rig: &mut Rig) {
        for _ in 0..16 {
            self.live(rig);
            for number in self.wards.keys().copied().collect::<Vec<_>>() {
                while !self.questions(number).is_empty() {
                    self.answer(number, 0);
                }
            }
        }
        self.live(rig);
    }
}

/// Everybody leaves, children are ended, and nothing stays.
pub(super) fn leave<'p>(
    mut rig: Rig,
    mut nursery: Nursery,
    peers: impl IntoIterator<Item = &'p SimulatedPeer>,
) {
    peers.into_iter().for_each(SimulatedPeer::finish);
    rig.live(Duration::from_secs(80));
    nursery.answer_all(&mut rig);
    rig.drain();
    for _ in 0..40 {
        rig.pass(Duration::from_millis(100));
        nursery.live(&mut rig);
    }
    assert!(rig.is_finished(), "the drain is not over");
    assert!(nursery.wards.is_empty(), "children are left");
    rig.assert_nothing_left();
}
