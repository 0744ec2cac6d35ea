//! Many clients, tools, faults and jumps of time by chance; the same seed, the same run.
//!
//! `WEIR_SEED=n` runs one seed, `WEIR_SEEDS=n` that many.

use std::collections::HashMap;
use std::time::Duration;

use super::client::{
    Client, Era, Request, batch, call, chunked, expecting_continue, get, notification, ping,
};
use super::dice::{Announce, Dice, SEEDS, seeds};
use super::rig::{Rig, Sizes};
use crate::config::Linger;
use crate::metrics::WaitEnd;
use crate::ring::simulated::{Faults, PeerView};

const STEPS: usize = 120;

/// How a client takes its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Eager,
    Slow,
    Never,
}

struct Player {
    client: Client,
    reading: Reading,
    piece_bytes: usize,
    next_id: u64,
    has_finished: bool,
}

struct Scene {
    rig: Rig,
    sizes: Sizes,
    /// Few handlers, held for long.
    is_crowded: bool,
    dice: Dice,
    players: Vec<Player>,
    held: Vec<String>,
    secrets: u64,
}

#[test]
fn whatever_happens_answers_are_whole_own_and_once_and_nothing_is_left() {
    let mut ends = HashMap::new();
    for seed in seeds() {
        let _announce = Announce(seed, "seeded");
        for (end, count) in play(seed) {
            *ends.entry(end).or_insert(0) += count;
        }
    }
    // Otherwise the runs above have shown nothing of the queue.
    let is_whole_run = seeds().count() as u64 >= SEEDS;
    let has_seen = |end| ends[&end] > 0;
    let seen = [WaitEnd::Served, WaitEnd::Stolen, WaitEnd::TimedOut].map(has_seen);
    assert!(!is_whole_run || seen == [true; 3], "{ends:?}");
}

/// One run; how often waits ended in which way.
fn play(seed: u64) -> Vec<(WaitEnd, u64)> {
    let mut dice = Dice(seed);
    let is_crowded = dice.one_in(2);
    let sizes = Sizes {
        handlers: if is_crowded { 1 } else { dice.of(&[1, 2, 8]) },
        assembly_buffers: dice.of(&[0, 1, 2, 8]),
        assembly_buffer_bytes: dice.of(&[64, 512, 2048]),
        heap_bytes_max: dice.of(&[0, 10_000, 200_000, 1 << 20]),
        ring_buffers: dice.of(&[1, 2, 16]),
        ring_buffer_bytes: dice.of(&[64, 256, 4096]),
        connections_max: dice.of(if is_crowded {
            &[100, 100]
        } else {
            &[1, 3, 100, 100]
        }),
        shards: dice.of(if is_crowded { &[1, 2, 3] } else { &[1, 1, 2] }),
        queue_depth_max: dice.of(if is_crowded { &[1, 8, 8] } else { &[0, 1, 8] }),
        steal_reserve: dice.of(if is_crowded { &[0] } else { &[0, 0, 1] }),
        linger: dice.of(&[
            Linger::None,
            Linger::None,
            Linger::For(Duration::from_secs(1)),
            Linger::Forever,
        ]),
        ..Sizes::default()
    };
    let rig = Rig::new(seed, sizes);
    rig.network
        .set_faults(dice.of(&[Faults::default(), Faults::ROUGH, MILD]));
    let mut scene = Scene {
        rig,
        sizes,
        is_crowded,
        dice,
        players: Vec::new(),
        held: Vec::new(),
        secrets: 0,
    };
    for _ in 0..STEPS {
        scene.step();
    }
    scene.settle();
    if scene.dice.one_in(2) {
        scene.end_by_drain();
    } else {
        scene.serve_a_fresh_client();
        scene.end();
    }
    let drivers = &scene.rig.drivers;
    let count = |end| {
        drivers
            .iter()
            .map(|driver| driver.metrics.wait_ends.of(end).value())
            .sum()
    };
    WaitEnd::ALL.iter().map(|&end| (end, count(end))).collect()
}

/// Only what a healthy network does, so that most requests are answered.
const MILD: Faults = Faults {
    receive_short: 200,
    receive_starved: 100,
    receive_cancelled: 0,
    receive_reset: 0,
    send_short: 200,
    send_refused: 100,
    send_reset: 0,
    watch_failed: 0,
    accept_exhausted: 50,
    accept_nothing: 200,
    delayed: 200,
    delay_flushes_max: 4,
    reordered: 200,
};

impl Scene {
    fn step(&mut self) {
        match self.dice.below(21) {
            0..=2 => self.connect(),
            3..=6 => self.ask(),
            11 | 12 if self.is_crowded => self.ask(),
            7..=10 => self.send(),
            11..=13 => self.read(),
            14 => self.misbehave(),
            15 if !self.is_crowded || self.dice.one_in(2) => self.release_one(),
            16 => {
                let time = self.dice.of(&[10, 100, 1000, 6000, 9000, 16_000, 61_000]);
                self.rig.pass(Duration::from_millis(time));
            }
            17 => self.rig.offer(Duration::from_millis(1)),
            18 | 19 if self.is_crowded => self.rig.offer(Duration::from_millis(1)),
            _ => {}
        }
        if !self.dice.one_in(4) {
            self.rig.turn();
        }
    }

    fn connect(&mut self) {
        if self.players.len() >= 12 {
            return;
        }
        let shard = self.dice.of(&[0, 0, 0, 1, 2]) % self.sizes.shards;
        let client = Client::new(self.rig.connect_to(shard));
        let reading = self
            .dice
            .of(&[Reading::Eager, Reading::Eager, Reading::Slow, Reading::Never]);
        if reading != Reading::Eager {
            client.peer.set_window(self.dice.of(&[0, 1, 100, 5000]));
        }
        let piece_bytes = if self.is_crowded {
            self.dice.of(&[300, usize::MAX])
        } else {
            self.dice.of(&[1, 30, 100, 700, usize::MAX])
        };
        self.players.push(Player {
            client,
            reading,
            piece_bytes,
            next_id: 1,
            has_finished: false,
        });
    }

    /// A player who may still send.
    fn speaker(&mut self) -> Option<usize> {
        let index = self.dice.below(self.players.len().max(1));
        let player = self.players.get(index)?;
        (!player.has_finished).then_some(index)
    }

    fn ask(&mut self) {
        let Some(index) = self.speaker() else { return };
        if self.players[index].client.has_sent_rubbish {
            return;
        }
        for _ in 0..self.dice.of(&[1, 1, 1, 2, 5]) {
            let request = self.request(index);
            self.players[index].client.ask(request);
        }
    }

    fn request(&mut self, index: usize) -> Request {
        self.secrets += 1;
        let secret = format!("s{}-{}.", self.secrets, self.dice.below(1 << 30));
        let id = self.players[index].next_id;
        self.players[index].next_id += 3;
        let era = self.dice.of(&[Era::Legacy, Era::Modern]);
        let tool = if self.is_crowded {
            self.dice.of(&["hold", "hold", "sole", "pair"])
        } else {
            self.dice.of(&[
                "echo", "echo", "hold", "block", "blob", "fail", "speak", "shout", "sole", "pair",
            ])
        };
        if matches!(tool, "hold" | "speak" | "sole" | "pair") {
            self.held.push(secret.clone());
        }
        match self.dice.below(10) {
            0 => ping(id),
            1 => notification(),
            2 => get(),
            3 => chunked(call(era, tool, id, &secret), self.dice.of(&[1, 10, 1000])),
            4 => expecting_continue(call(era, tool, id, &secret)),
            5 => {
                let secrets = [
                    format!("{secret}a."),
                    format!("{secret}b."),
                    format!("{secret}c."),
                ];
                let tools = [tool, self.dice.of(&["hold", "block", "echo"]), "block"];
                self.held.extend(secrets.iter().cloned());
                batch(&[
                    (tools[0], id, &secrets[0]),
                    (tools[1], id + 1, &secrets[1]),
                    (tools[2], id + 2, &secrets[2]),
                ])
            }
            _ => call(era, tool, id, &secret),
        }
    }

    fn send(&mut self) {
        if let Some(index) = self.speaker() {
            let player = &mut self.players[index];
            player.client.send(player.piece_bytes);
        }
    }

    fn read(&mut self) {
        for player in &mut self.players {
            let reads = match player.reading {
                Reading::Eager => true,
                Reading::Slow => self.dice.one_in(3),
                Reading::Never => false,
            };
            if reads {
                player.client.read();
            }
        }
    }

    fn misbehave(&mut self) {
        let Some(index) = self.speaker() else { return };
        let rubbish = self.dice.of(&[
            &b"\r\n\r\n"[..],
            b"GET",
            b"\x16\x03\x01\x02\x00",
            b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        ]);
        let player = &mut self.players[index];
        match self.dice.below(5) {
            0 => player.client.peer.reset(),
            1 => player.client.peer.close(),
            2 | 3 => player.client.peer.finish(),
            _ if !player.client.has_sent_rubbish => return player.client.rave(rubbish),
            _ => return,
        }
        player.has_finished = true;
    }

    fn release_one(&mut self) {
        if !self.held.is_empty() {
            let index = self.dice.below(self.held.len());
            let secret = self.held.swap_remove(index);
            self.rig.release(&secret);
        }
    }

    /// Faults stop, everybody reads and sends what is left; then every request has its answer, or its
    /// connection is closed.
    fn settle(&mut self) {
        self.rig.network.calm();
        // Where idle connections keep their handlers, others get them after the read timeout, or are refused.
        let (step, steps) = match self.sizes.linger {
            Linger::Forever => (Duration::from_secs(3), 65),
            _ => (Duration::from_millis(100), 10),
        };
        for round in 0..steps + 30 {
            for secret in std::mem::take(&mut self.held) {
                self.rig.release(&secret);
            }
            for player in &mut self.players {
                player.client.peer.set_window(1 << 20);
                player.client.read();
                if !player.has_finished {
                    player.client.send(usize::MAX);
                }
            }
            self.rig.run();
            // Not past a deadline: what is whole must be answered without one.
            if round < steps {
                self.rig.pass(step);
            }
        }
        for (index, player) in self.players.iter_mut().enumerate() {
            player.client.read();
            let client = &player.client;
            // A connection past the cap waits in the listener's queue.
            let is_waiting = client.answers.is_empty() && self.rig.is_full();
            let is_served = !client.is_open() || player.has_finished || client.has_sent_rubbish || is_waiting;
            assert!(
                is_served || client.unanswered() == 0,
                "client {index} waits for {} answers after {:?}",
                client.unanswered(),
                client.results()
            );
        }
    }

    fn leave(&mut self) {
        for player in &mut self.players {
            if !player.has_finished {
                player.client.peer.finish();
            }
            player.has_finished = true;
        }
    }

    fn serve_a_fresh_client(&mut self) {
        self.leave();
        self.rig.live(Duration::from_secs(20));
        let mut client = Client::new(self.rig.connect());
        client.request(call(Era::Modern, "echo", 1, "fresh"));
        self.rig.live(Duration::from_secs(1));
        client.read();
        // Without assembly buffers a request larger than a ring buffer cannot be put together.
        if self.rig.can_assemble() {
            assert_eq!(client.results(), ["fresh"]);
        } else {
            assert_eq!(client.answers.len(), 1);
        }
        client.peer.finish();
        self.rig.live(Duration::from_secs(1));
    }

    fn end(&mut self) {
        self.leave();
        self.rig.live(Duration::from_secs(80));
        self.read_all();
        self.rig.assert_nothing_left();
    }

    fn end_by_drain(&mut self) {
        self.rig.drain();
        self.rig.live(Duration::from_secs(40));
        self.read_all();
        assert!(self.rig.is_finished(), "the drain has not ended");
        for player in &self.players {
            assert_ne!(player.client.peer.view(), PeerView::Open);
        }
        self.rig.assert_nothing_left();
    }

    fn read_all(&mut self) {
        self.players.iter_mut().for_each(|player| player.client.read());
    }
}
