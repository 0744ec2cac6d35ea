//! Children that belong to clients, by chance: clients of several users, deaths, evictions, clients that leave, faults
//! of sockets and pipes, and jumps of time. The same seed, the same run.
//!
//! Every call ends once, in its own client's answer; no child hears of two users; nothing stays.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::client::{Client, Era, Request, batch, call, with_field};
use super::dice::{Announce, Dice, SEEDS, seeds};
use super::nursery::{self, Nursery, QUEUE_TIMEOUT, leave};
use super::rig::{Rig, Sizes};
use crate::children::{ClientKey, ClientRules};
use crate::ring::simulated::Faults;

const STEPS: usize = 80;
const USERS: usize = 5;
const CHILDREN_MAX: usize = 4;

/// Reads and writes that are short, refused or late, and now and then one that fails: of clients and of pipes.
const FAULTS: Faults = Faults {
    receive_short: 200,
    receive_starved: 50,
    receive_cancelled: 10,
    receive_reset: 3,
    send_short: 200,
    send_refused: 50,
    send_reset: 3,
    watch_failed: 0,
    accept_exhausted: 0,
    accept_nothing: 0,
    delayed: 200,
    delay_flushes_max: 4,
    reordered: 200,
};

struct Scene {
    seed: u64,
    rig: Rig,
    nursery: Nursery,
    dice: Dice,
    shards: usize,
    clients: BTreeMap<u64, Client>,
    /// Whose each child is.
    owners: BTreeMap<u64, ClientKey>,
    /// Children that were ever somebody's.
    given: BTreeSet<u64>,
    /// The user whose calls a child has heard.
    users: BTreeMap<u64, String>,
    last_child: u64,
    last_call: u64,
    seen: Seen,
}

#[test]
fn whatever_happens_calls_end_once_and_no_child_hears_of_two_clients() {
    let mut seen = Seen::default();
    // A run is longer than others are.
    let step = if seeds().count() as u64 == SEEDS { 3 } else { 1 };
    for seed in seeds().step_by(step) {
        let _announce = Announce(seed, "owned_seeded");
        let Seen {
            answered,
            killed,
            evicted,
        } = play(seed);
        seen.answered += answered;
        seen.killed += killed;
        seen.evicted += evicted;
    }
    // Otherwise the runs above have shown nothing.
    let runs = seeds().step_by(step).count();
    let is_enough = seen.answered as usize > 5 * runs && seen.killed > runs && seen.evicted > runs;
    assert!(is_enough || runs < 20, "{seen:?}");
}

/// What has happened in a run.
#[derive(Debug, Default)]
struct Seen {
    /// Calls that children have answered.
    answered: u32,
    killed: usize,
    evicted: usize,
}

/// One run.
fn play(seed: u64) -> Seen {
    let mut dice = Dice(seed);
    let shards = 1 + dice.below(3);
    let sizes = Sizes {
        shards,
        handlers: 2,
        ..Sizes::DEFAULT
    };
    let rules = ClientRules {
        is_by_call: false,
        are_strangers_one: false,
        key_header: Some("x-user".to_owned()),
        env_from: Vec::new(),
    };
    let (in_flight_max, queue) = (1 + dice.below(3) as u32, 1 + dice.below(6) as u32);
    let (rig, nursery) = nursery::owned(seed, sizes, in_flight_max, queue, rules);
    rig.network.set_faults(FAULTS);
    let mut scene = Scene {
        seed,
        rig,
        nursery,
        dice,
        shards,
        clients: BTreeMap::new(),
        owners: BTreeMap::new(),
        given: BTreeSet::new(),
        users: BTreeMap::new(),
        last_child: 0,
        last_call: 0,
        seen: Seen::default(),
    };
    for _ in 0..STEPS {
        scene.step();
        scene.live();
    }
    scene.settle();
    let seen = Seen {
        answered: scene.nursery.answered,
        ..scene.seen
    };
    let clients: Vec<Client> = scene.clients.into_values().collect();
    leave(
        scene.rig,
        scene.nursery,
        clients.iter().map(|client| &client.peer),
    );
    seen
}

impl Scene {
    fn step(&mut self) {
        match self.dice.below(12) {
            0 if self.dice.one_in(2) => {
                if let Some(number) = self.any_child() {
                    self.nursery.kill(&self.rig, number);
                    self.seen.killed += 1;
                }
            }
            1 if self.dice.one_in(2) => self.evict(),
            2 => self
                .rig
                .pass(Duration::from_millis(500 * self.dice.below(4) as u64)),
            3 if self.dice.one_in(3) => {
                let ids: Vec<u64> = self.clients.keys().copied().collect();
                if !ids.is_empty()
                    && let Some(client) = self.clients.remove(&self.dice.of(&ids))
                {
                    client.peer.reset();
                }
            }
            4..=7 => self.call(),
            _ => self.answer_some(),
        }
    }

    fn any_child(&mut self) -> Option<u64> {
        let numbers: Vec<u64> = self.nursery.wards.keys().copied().collect();
        (!numbers.is_empty()).then(|| self.dice.of(&numbers))
    }

    /// A user makes a call, or some in a batch, on a connection of its own.
    fn call(&mut self) {
        self.last_call += 1;
        let id = self.last_call;
        let user = format!("u{}", self.dice.below(USERS));
        let secret = format!("{user}-{id}");
        let request: Request = match self.dice.below(4) {
            0 => batch(&[("child", 1, &secret), ("echo", 2, &secret), ("child", 3, &secret)]),
            1 => call(Era::Legacy, "child", id, &secret),
            _ => call(Era::Modern, "child", id, &secret),
        };
        let mut client = Client::new(self.rig.connect_to(self.dice.below(self.shards)));
        client.request(with_field(request, "X-User", &user));
        self.clients.insert(id, client);
    }

    fn answer_some(&mut self) {
        for number in self.nursery.wards.keys().copied().collect::<Vec<_>>() {
            let questions = self.nursery.questions(number).len();
            if questions > 0 {
                let at = self.dice.below(questions);
                self.nursery.answer(number, at);
            }
        }
    }

    fn live(&mut self) {
        self.nursery.live(&mut self.rig);
        self.check_hearing();
        self.supervise();
        self.clients.values_mut().for_each(Client::read);
    }

    /// No child has heard of two users.
    fn check_hearing(&mut self) {
        for number in self.nursery.wards.keys() {
            for question in self.nursery.questions(*number) {
                let (_, rest) = question.split_once(r#""secret":""#).unwrap();
                let (user, _) = rest.split_once('-').unwrap();
                let known = self.users.entry(*number).or_insert_with(|| user.to_owned());
                assert_eq!(known, user, "seed {}: child {number}", self.seed);
            }
        }
    }

    /// Clients get children that are nobody's, or new ones, or those of others are ended for them.
    fn supervise(&mut self) {
        let over = std::mem::take(&mut self.nursery.disowned);
        let gone = std::mem::take(&mut self.nursery.gone);
        for number in over.into_iter().chain(gone.into_iter().map(|(number, _)| number)) {
            self.disown(number);
        }
        while let Some((client, _)) = self.nursery.wanted.first().copied() {
            let client = client.key;
            if let Some((number, _)) = self.owners.iter().find(|(_, owner)| **owner == client) {
                self.nursery.place(&self.rig, *number, client);
                continue;
            }
            let mut idle = self.nursery.greeted();
            idle.retain(|number| !self.given.contains(number));
            if let Some(number) = idle.first() {
                self.owners.insert(*number, client);
                self.given.insert(*number);
                self.nursery.give(&self.rig, *number, client);
                continue;
            }
            if self.nursery.wards.len() < CHILDREN_MAX {
                self.last_child += 1;
                let shard = self.dice.below(self.shards);
                self.nursery.adopt(&self.rig, self.last_child, shard);
            } else if self.dice.one_in(20) {
                self.evict();
            }
            return;
        }
    }

    /// A child's client has no child any more.
    fn disown(&mut self, number: u64) {
        if let Some(client) = self.owners.remove(&number) {
            self.nursery.lose(&self.rig, client, false);
        }
    }

    /// A client loses its child, which answers what it has.
    fn evict(&mut self) {
        let owned: Vec<u64> = self.owners.keys().copied().collect();
        if !owned.is_empty() {
            let number = self.dice.of(&owned);
            self.nursery.retire(&self.rig, number);
            self.seen.evicted += 1;
            self.disown(number);
        }
    }

    /// Nothing goes wrong any more: children answer what they have, and who waits gets one, or is refused in time. The
    /// calls of a batch wait one after the other.
    fn settle(&mut self) {
        self.rig.network.calm();
        for _ in 0..20 {
            for _ in 0..4 {
                self.answer_some();
                self.live();
            }
            self.rig.pass(QUEUE_TIMEOUT / 4);
        }
        for client in self.clients.values_mut().filter(|client| client.is_open()) {
            client.read();
            assert_eq!(client.unanswered(), 0, "seed {}: {client:?}", self.seed);
        }
    }
}
