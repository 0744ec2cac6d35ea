//! WebSockets on the simulated ring: one thing at a time, then everything by chance.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::ShardEvent;
use super::dice::{Announce, Dice, SEEDS, seeds};
use super::rig::{Rig, Sizes, now};
use super::websocket::{CLOSE, CONTINUATION, PING, TEXT, WebSocket, call, frame};
use crate::config::Linger;
use crate::metrics::Eviction;
use crate::ring::simulated::Faults;

const STEPS: usize = 120;

/// A WebSocket of the first shard.
pub(super) fn opened(rig: &mut Rig) -> WebSocket {
    let mut socket = WebSocket::new(rig.connect());
    exchange(rig, &mut socket);
    socket
}

/// Sends all that is queued, and reads what comes of it.
pub(super) fn exchange(rig: &mut Rig, socket: &mut WebSocket) {
    socket.send(usize::MAX);
    rig.run();
    socket.read();
}

#[test]
fn calls_of_one_channel_run_side_by_side() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut socket = opened(&mut rig);
    socket.ask(true, "hold", 1, "s1.");
    socket.ask(false, "echo", 2, "s2.");
    exchange(&mut rig, &mut socket);
    assert_eq!((socket.waiting(), rig.shard.calls.busy()), (vec![1], 1));
    rig.release("s1.");
    exchange(&mut rig, &mut socket);
    assert_eq!((socket.waiting(), rig.shard.calls.busy()), (vec![], 0));
    end(rig, socket);
}

/// Messages that it has sent wait for it to take its answers: it owes none of them.
#[test]
fn a_channel_that_has_to_wait_itself_is_not_slow() {
    let mut rig = Rig::new(
        1,
        Sizes {
            assembly_buffers: 1,
            ..Sizes::default()
        },
    );
    let mut socket = opened(&mut rig);
    socket.peer.set_window(0);
    for id in 0..60 {
        socket.ask(true, "echo", id, &format!("s{id}.{}", "x".repeat(2000)));
    }
    exchange(&mut rig, &mut socket);
    rig.live(Duration::from_secs(2));
    let mut other = opened(&mut rig);
    other.queue(&frame(TEXT, false, b"{", [7; 4]));
    exchange(&mut rig, &mut other);
    assert_eq!(rig.metrics.evictions.of(Eviction::AssemblyPressure).value(), 0);
    socket.peer.set_window(1 << 20);
    for _ in 0..20 {
        exchange(&mut rig, &mut socket);
    }
    assert_eq!((socket.waiting(), socket.closed), (vec![], None));
    other.peer.finish();
    end(rig, socket);
}

/// Begins a legacy session of a client that can be asked.
pub(super) fn begin_session(socket: &mut WebSocket) {
    socket.say(
        &json!({"jsonrpc": "2.0", "id": 900, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {"elicitation": {}},
            "clientInfo": {"name": "a", "version": "1"},
        }}),
    );
    socket.expect(900, "");
    socket.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
}

/// The peer leaves, and nothing is left.
fn end(mut rig: Rig, socket: WebSocket) {
    socket.peer.finish();
    rig.live(Duration::from_secs(20));
    rig.assert_nothing_left();
}

#[test]
fn a_message_that_waits_does_not_hold_up_those_behind_it() {
    let mut rig = Rig::new(
        1,
        Sizes {
            handlers: 1,
            queue_depth_max: 4,
            ..Sizes::default()
        },
    );
    let mut socket = opened(&mut rig);
    socket.ask(true, "hold", 1, "s1.");
    socket.ask(true, "echo", 2, "s2.");
    socket.ask(true, "echo", 3, "s3.");
    socket.queue(&frame(PING, true, b"alive", [9; 4]));
    socket.cancel(3);
    exchange(&mut rig, &mut socket);
    assert_eq!((socket.waiting(), socket.pongs.len()), (vec![1, 2, 3], 1));
    assert_eq!(
        rig.shard.admission.waiters().count(),
        1,
        "what was cancelled waits no more"
    );
    rig.release("s1.");
    exchange(&mut rig, &mut socket);
    assert_eq!(socket.waiting(), [3]);
    end(rig, socket);
}

#[test]
fn a_cancelled_call_is_not_answered_and_frees_its_handler() {
    for is_modern in [true, false] {
        let mut rig = Rig::new(1, Sizes::default());
        let mut socket = opened(&mut rig);
        socket.ask(is_modern, "hold", 1, "s1.");
        exchange(&mut rig, &mut socket);
        socket.cancel(1);
        exchange(&mut rig, &mut socket);
        assert_eq!(
            (rig.shard.calls.busy(), socket.answers.len()),
            (0, 0),
            "{is_modern}"
        );
        end(rig, socket);
    }
}

#[test]
fn a_channel_has_its_share_in_flight_and_no_more() {
    let mut rig = Rig::new(
        1,
        Sizes {
            handlers: 100,
            ..Sizes::default()
        },
    );
    let mut socket = opened(&mut rig);
    for id in 0..70 {
        socket.ask(true, "hold", id, &format!("s{id}."));
    }
    exchange(&mut rig, &mut socket);
    let refused: Vec<_> = socket
        .answers
        .values()
        .map(|answer| &answer["error"]["code"])
        .collect();
    assert_eq!(refused, [-31503; 6]);
    assert_eq!(rig.shard.calls.busy(), 64);
    end(rig, socket);
}

#[test]
fn who_leaves_takes_its_modern_calls_along() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut socket = opened(&mut rig);
    socket.ask(true, "hold", 1, "s1.");
    socket.ask(false, "hold", 2, "s2.");
    exchange(&mut rig, &mut socket);
    assert_eq!(rig.shard.calls.busy(), 2);
    socket.peer.finish();
    rig.run();
    assert_eq!(rig.shard.calls.busy(), 1, "a legacy call runs on");
    rig.release("s2.");
    rig.run();
    end(rig, socket);
}

#[test]
fn silence_is_asked_about_and_then_ended() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut socket = opened(&mut rig);
    for _ in 0..3 {
        rig.live(Duration::from_secs(31));
        socket.read();
        assert!(socket.pings > 0 && socket.closed.is_none());
        // Any frame is a sign of life.
        socket.pings = 0;
        socket.queue(&frame(10, true, b"", [0; 4]));
        exchange(&mut rig, &mut socket);
    }
    rig.live(Duration::from_secs(62));
    socket.read();
    assert_eq!((socket.pings, socket.closed), (1, Some(1008)));
    end(rig, socket);
}

#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut socket = opened(&mut rig);
    socket.peer.set_window(0);
    for id in 0..60 {
        socket.ask(true, "blob", id, &format!("s{id}."));
        socket.send(usize::MAX);
        rig.run();
    }
    assert!(
        rig.shard.writer.heap_bytes_used() < 1 << 20,
        "{}",
        rig.shard.writer.heap_bytes_used()
    );
    rig.live(Duration::from_secs(9));
    assert_eq!(
        rig.shard.table.open(),
        0,
        "it has not taken anything for the write timeout"
    );
    end(rig, socket);
}

#[test]
fn a_drain_finishes_calls_and_says_goodbye() {
    let mut rig = Rig::new(1, Sizes::default());
    let (mut idle, mut busy) = (opened(&mut rig), opened(&mut rig));
    busy.ask(true, "hold", 1, "s1.");
    exchange(&mut rig, &mut busy);
    rig.drain();
    rig.run();
    idle.read();
    busy.read();
    assert_eq!((idle.closed, busy.closed), (Some(1001), None));
    busy.ask(true, "echo", 2, "s2.");
    exchange(&mut rig, &mut busy);
    assert_eq!(busy.answers[&2]["error"]["data"]["reason"], "draining");
    rig.release("s1.");
    exchange(&mut rig, &mut busy);
    assert_eq!((busy.waiting(), busy.closed), (vec![], Some(1001)));
    rig.live(Duration::from_secs(5));
    assert!(rig.is_finished());
    rig.assert_nothing_left();
}

#[test]
fn rubbish_ends_a_channel_with_its_code() {
    for (bytes, code) in [
        (vec![TEXT | 0x80, 1, b'x'], 1002),
        (frame(TEXT, true, b"\xff", [1; 4]), 1007),
        (frame(2, true, b"{}", [1; 4]), 1003),
        (frame(CLOSE, true, &1000_u16.to_be_bytes(), [1; 4]), 1000),
    ] {
        let mut rig = Rig::new(1, Sizes::default());
        let mut socket = opened(&mut rig);
        socket.ask(true, "hold", 1, "s1.");
        socket.queue(&bytes);
        exchange(&mut rig, &mut socket);
        assert_eq!((socket.closed, rig.shard.calls.busy()), (Some(code), 0));
        end(rig, socket);
    }
}

/// How a peer takes what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Eager,
    Slow,
    Never,
}

struct Player {
    socket: WebSocket,
    reading: Reading,
    piece_bytes: usize,
    next_id: u64,
    has_finished: bool,
    /// It has begun a session in which it can be asked.
    can_be_asked: bool,
    /// Questions that it has not answered.
    questions: Vec<Value>,
}

impl Player {
    /// Reads what has come; questions lie until they are answered.
    fn read(&mut self) {
        self.socket.read();
        let is_question = |said: &mut Value| said["method"] == "elicitation/create";
        self.questions
            .extend(self.socket.said.extract_if(.., is_question));
    }

    fn answer(&mut self, action: &str) {
        if let Some(question) = self.questions.pop()
            && !self.has_finished
        {
            self.socket.say(&json!({"jsonrpc": "2.0", "id": question["id"],
                "result": {"action": action, "content": {}}}));
        }
    }
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
fn whatever_happens_to_channels_answers_are_own_and_once_and_nothing_is_left() {
    let (mut answers, mut moves) = (0, 0);
    for seed in seeds() {
        let _announce = Announce(seed, "channels");
        let (answered, moved) = play(seed);
        answers += answered;
        moves += moved;
    }
    println!("{answers} answers, {moves} moves");
    assert!(answers > seeds().count(), "{answers} answers");
    let is_whole_run = seeds().count() as u64 >= SEEDS;
    assert!(!is_whole_run || moves > SEEDS, "{moves} moves");
}

/// One run; how many answers came, and how many messages were served on another shard.
fn play(seed: u64) -> (usize, u64) {
    let mut dice = Dice(seed);
    let is_crowded = dice.one_in(2);
    let sizes = Sizes {
        handlers: if is_crowded { 1 } else { dice.of(&[1, 2, 8]) },
        assembly_buffers: dice.of(&[1, 2, 8]),
        assembly_buffer_bytes: dice.of(&[512, 2048]),
        heap_bytes_max: dice.of(&[10_000, 200_000, 1 << 20]),
        ring_buffers: dice.of(&[1, 2, 16]),
        ring_buffer_bytes: dice.of(&[64, 256, 4096]),
        shards: dice.of(if is_crowded { &[2, 3] } else { &[1, 1, 2] }),
        queue_depth_max: dice.of(&[0, 1, 8, 8]),
        linger: dice.of(&[Linger::None, Linger::For(Duration::from_secs(1)), Linger::Forever]),
        ..Sizes::default()
    };
    let rig = Rig::new(seed, sizes);
    rig.network
        .set_faults(dice.of(&[Faults::default(), Faults::ROUGH]));
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
    if scene.dice.one_in(3) {
        scene.end_one_shard();
    }
    scene.settle();
    let answers = scene
        .players
        .iter()
        .map(|player| player.socket.answers.len())
        .sum();
    scene.end();
    let drivers = scene.rig.drivers.iter();
    let moves = drivers.map(|driver| driver.metrics.steals_in.value()).sum();
    (answers, moves)
}

impl Scene {
    fn step(&mut self) {
        match self.dice.below(22) {
            0 | 1 => self.connect(),
            2..=6 => self.ask(),
            7..=11 => self.send(),
            12..=14 => self.read(),
            15 => self.misbehave(),
            16 | 17 if !self.is_crowded || self.dice.one_in(3) => self.release_one(),
            18 => {
                let time = self.dice.of(&[10, 100, 1000, 9000, 31_000]);
                self.rig.pass(Duration::from_millis(time));
            }
            _ => self.rig.offer(Duration::from_millis(1)),
        }
        if !self.dice.one_in(4) {
            self.rig.turn();
        }
    }

    fn connect(&mut self) {
        if self.players.len() >= 8 {
            return;
        }
        let shard = self.dice.below(self.sizes.shards);
        let mut socket = WebSocket::new(self.rig.connect_to(shard));
        let reading = self
            .dice
            .of(&[Reading::Eager, Reading::Eager, Reading::Slow, Reading::Never]);
        if reading != Reading::Eager {
            socket.peer.set_window(self.dice.of(&[0, 1, 100, 5000]));
        }
        let can_be_asked = self.dice.one_in(3);
        if can_be_asked {
            begin_session(&mut socket);
        }
        self.players.push(Player {
            can_be_asked,
            questions: Vec::new(),
            socket,
            reading,
            piece_bytes: if self.is_crowded {
                self.dice.of(&[700, usize::MAX])
            } else {
                self.dice.of(&[1, 30, 100, 700, usize::MAX])
            },
            next_id: 1,
            has_finished: false,
        });
    }

    fn speaker(&mut self) -> Option<usize> {
        let index = self.dice.below(self.players.len().max(1));
        let player = self.players.get(index)?;
        (!player.has_finished).then_some(index)
    }

    fn ask(&mut self) {
        let Some(index) = self.speaker() else { return };
        for _ in 0..self.dice.of(&[1, 1, 2, 5]) {
            self.secrets += 1;
            let secret = format!("s{}.", self.secrets);
            let player = &mut self.players[index];
            let id = player.next_id;
            player.next_id += 1;
            if player.can_be_asked && self.dice.one_in(3) {
                player.socket.ask(false, "ask", id, &secret);
                continue;
            }
            let is_modern = self.dice.one_in(2);
            let tool = self.dice.of(if self.is_crowded {
                &["hold", "hold", "hold", "block", "blob", "speak", "fail"]
            } else {
                &["echo", "echo", "hold", "block", "blob", "speak", "fail"]
            });
            if matches!(tool, "hold" | "speak") {
                self.held.push(secret.clone());
            }
            match self.dice.below(6) {
                0 => {
                    let text = call(is_modern, tool, id, &secret).to_string();
                    let (front, back) = text.as_bytes().split_at(self.dice.below(text.len()));
                    player.socket.queue(&frame(TEXT, false, front, [7; 4]));
                    player.socket.queue(&frame(PING, true, b"between", [7; 4]));
                    player.socket.queue(&frame(CONTINUATION, true, back, [5; 4]));
                    player.socket.expect(id, &secret);
                }
                1 => {
                    player.socket.ask(is_modern, tool, id, &secret);
                    player.socket.cancel(id);
                }
                2 => player
                    .socket
                    .say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})),
                _ => player.socket.ask(is_modern, tool, id, &secret),
            }
        }
    }

    fn send(&mut self) {
        if let Some(index) = self.speaker() {
            let player = &mut self.players[index];
            player.socket.send(player.piece_bytes);
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
                player.read();
                let action = self.dice.of(&["accept", "accept", "decline", "later"]);
                if action != "later" {
                    player.answer(action);
                }
            }
        }
    }

    fn misbehave(&mut self) {
        let Some(index) = self.speaker() else { return };
        let player = &mut self.players[index];
        match self.dice.below(6) {
            0 => player.socket.peer.reset(),
            1 => player.socket.peer.close(),
            2 => player.socket.peer.finish(),
            3 => player
                .socket
                .queue(&frame(CLOSE, true, &1000_u16.to_be_bytes(), [3; 4])),
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

    /// One shard ends, at once or by a drain, while the others live. Its clients do not come back.
    fn end_one_shard(&mut self) {
        let shard = self.dice.below(self.sizes.shards);
        let event = match self.dice.below(2) {
            0 => ShardEvent::Abort,
            _ => ShardEvent::Drain(now() + Duration::from_secs(1000)),
        };
        self.rig.drivers[shard].inbox.post(event);
        for _ in 0..self.dice.below(4) {
            self.rig.turn();
            self.rig.offer(Duration::from_millis(1));
        }
    }

    /// Faults stop and everybody sends and reads what is left; then every request has its answer, or its channel is
    /// closed.
    fn settle(&mut self) {
        self.rig.network.calm();
        // A client that has not finished its upgrade may keep a handler for as long as a head may take.
        let step = match self.sizes.linger {
            Linger::Forever => Duration::from_secs(1),
            _ => Duration::from_millis(100),
        };
        for round in 0..40 {
            for secret in std::mem::take(&mut self.held) {
                self.rig.release(&secret);
            }
            for player in &mut self.players {
                player.socket.peer.set_window(1 << 20);
                player.read();
                (0..player.questions.len()).for_each(|_| player.answer("accept"));
                if !player.has_finished {
                    player.socket.send(usize::MAX);
                }
            }
            self.rig.run();
            if round < 10 {
                self.rig.pass(step);
            }
        }
        for (index, player) in self.players.iter_mut().enumerate() {
            player.socket.read();
            let socket = &player.socket;
            let is_served = !socket.is_open() || player.has_finished;
            assert!(
                is_served || socket.unanswered() == 0,
                "client {index} waits for {:?}, {} owed",
                socket.waiting(),
                socket.unanswered()
            );
        }
    }

    fn end(&mut self) {
        if self.dice.one_in(2) {
            self.rig.drain();
            self.rig.live(Duration::from_secs(40));
            assert!(self.rig.is_finished(), "the drain has not ended");
        } else {
            for player in &mut self.players {
                if !player.has_finished {
                    player.socket.peer.finish();
                }
            }
            self.rig.live(Duration::from_secs(80));
        }
        self.players.iter_mut().for_each(|player| player.socket.read());
        self.rig.assert_nothing_left();
    }
}
