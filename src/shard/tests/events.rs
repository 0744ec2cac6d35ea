//! HTTP+SSE on the simulated ring: one thing at a time, then everything by chance.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use super::dice::{Announce, Dice, seeds};
use super::rig::{Rig, Sizes};
use super::websocket::call;
use crate::config::Linger;
use crate::metrics::{Eviction, Stage};
use crate::ring::simulated::{Faults, PeerView, SimulatedPeer};
use crate::wire::http1::{BodyLimits, ChunkDecoder};

const STEPS: usize = 120;
const TWO_SHARDS: Sizes = Sizes {
    shards: 2,
    ..Sizes::DEFAULT
};

/// A request that was POSTed.
#[derive(Debug)]
struct Asked {
    /// None: it was cancelled, and may have an answer or not.
    secret: Option<String>,
    is_accepted: bool,
}

/// A client: its stream, the connection it POSTs on, and what it is owed.
struct Sse {
    stream: SimulatedPeer,
    /// Read and not taken apart.
    heard: Vec<u8>,
    decoder: ChunkDecoder,
    text: Vec<u8>,
    has_head: bool,
    has_ended: bool,
    endpoint: Option<String>,
    comments: usize,
    posts: SimulatedPeer,
    unsent: VecDeque<u8>,
    answered: Vec<u8>,
    /// The ids of POSTs in order; none for what has no id.
    posted: VecDeque<Option<u64>>,
    asked: HashMap<u64, Asked>,
    answers: HashMap<u64, Value>,
    /// POSTs by the status of their answers.
    statuses: HashMap<u16, usize>,
}

impl Sse {
    fn new(stream: SimulatedPeer, posts: SimulatedPeer) -> Sse {
        stream.write(b"GET /sse HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
        Sse {
            stream,
            heard: Vec::new(),
            decoder: ChunkDecoder::default(),
            text: Vec::new(),
            has_head: false,
            has_ended: false,
            endpoint: None,
            comments: 0,
            posts,
            unsent: VecDeque::new(),
            answered: Vec::new(),
            posted: VecDeque::new(),
            asked: HashMap::new(),
            answers: HashMap::new(),
            statuses: HashMap::new(),
        }
    }

    fn is_open(&self) -> bool {
        self.stream.view() == PeerView::Open && !self.has_ended
    }

    fn post(&mut self, id: Option<u64>, message: &Value) {
        let Some(endpoint) = &self.endpoint else { return };
        let body = message.to_string();
        let head = format!(
            "POST {endpoint} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        self.unsent.extend(head.bytes().chain(body.bytes()));
        self.posted.push_back(id);
    }

    fn ask(&mut self, is_modern: bool, tool: &str, id: u64, secret: &str) {
        if self.endpoint.is_none() {
            return;
        }
        let asked = Asked {
            secret: Some(secret.to_owned()),
            is_accepted: false,
        };
        self.asked.insert(id, asked);
        self.post(Some(id), &call(is_modern, tool, id, secret));
    }

    fn cancel(&mut self, id: u64) {
        let params = json!({"requestId": id});
        let message = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
        if let Some(asked) = self.asked.get_mut(&id) {
            asked.secret = None;
        }
        self.post(None, &message);
    }

    /// Ids of accepted requests that are owed an answer.
    fn owed(&self) -> Vec<u64> {
        let is_owed = |asked: &Asked| asked.is_accepted && asked.secret.is_some();
        let owed = self.asked.iter().filter(|(_, asked)| is_owed(asked));
        let mut ids: Vec<u64> = owed.map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    fn status(&self, status: u16) -> usize {
        self.statuses.get(&status).copied().unwrap_or_default()
    }

    fn send(&mut self, bytes_max: usize) {
        let bytes: Vec<u8> = self.unsent.drain(..bytes_max.min(self.unsent.len())).collect();
        if !bytes.is_empty() {
            self.posts.write(&bytes);
        }
    }

    /// POSTs on another connection from now on; what becomes of those on their way is anybody's guess.
    fn post_on(&mut self, posts: SimulatedPeer) {
        self.posts = posts;
        self.unsent.clear();
        self.answered.clear();
        self.posted.clear();
    }

    fn read(&mut self) {
        self.read_stream();
        self.read_posts();
    }

    fn read_stream(&mut self) {
        self.heard.extend(self.stream.read());
        if !self.has_head {
            let Some(end) = memchr::memmem::find(&self.heard, b"\r\n\r\n") else {
                return;
            };
            let head: Vec<u8> = self.heard.drain(..end + 4).collect();
            let head = String::from_utf8(head).unwrap();
            if !head.starts_with("HTTP/1.1 200 ") {
                self.has_ended = true;
                return self.heard.clear();
            }
            assert!(head.contains("Transfer-Encoding: chunked\r\n"), "{head}");
            self.has_head = true;
        }
        if self.has_ended {
            assert_eq!(self.heard, b"", "bytes behind the end");
            return;
        }
        let limits = BodyLimits {
            body_bytes_max: usize::MAX,
            ..BodyLimits::default()
        };
        let progress = self.decoder.decode(&self.heard, &mut self.text, &limits);
        let progress = progress.expect("the body is in chunks");
        self.heard.drain(..progress.consumed);
        self.has_ended = progress.is_done;
        while let Some(end) = memchr::memmem::find(&self.text, b"\n\n") {
            let event: Vec<u8> = self.text.drain(..end + 2).collect();
            self.take_event(std::str::from_utf8(&event[..end]).expect("events are text"));
        }
    }

    fn take_event(&mut self, event: &str) {
        if event == ":" {
            self.comments += 1;
        } else if let Some(endpoint) = event.strip_prefix("event: endpoint\ndata: ") {
            assert!(endpoint.starts_with("messages?sessionId="), "{endpoint}");
            assert!(
                self.endpoint.replace(format!("/{endpoint}")).is_none(),
                "told twice"
            );
        } else if let Some(data) = event.strip_prefix("event: message\ndata: ") {
            assert!(self.endpoint.is_some(), "a message before the endpoint");
            self.judge(serde_json::from_str(data).expect("a message is JSON"));
        } else {
            panic!("no event: {event:?}");
        }
    }

    fn judge(&mut self, message: Value) {
        let Some(id) = message["id"].as_u64() else {
            let said = message["params"]["data"].as_str();
            assert!(said.is_none_or(|said| said.starts_with('s')), "{message}");
            return;
        };
        let asked = self.asked.remove(&id);
        let asked = asked.unwrap_or_else(|| panic!("an answer nobody waits for: {message}"));
        if let (Some(secret), Some(text)) = (asked.secret, message["result"]["content"][0]["text"].as_str())
            && message["result"]["isError"] != true
        {
            let rest = text.strip_prefix(secret.as_str());
            let is_own = rest.is_some_and(|rest| rest.bytes().all(|byte| byte == b'x'));
            assert!(
                is_own,
                "{secret} was asked, {:?} came",
                &text[..text.len().min(80)]
            );
        }
        self.answers.insert(id, message);
    }

    fn read_posts(&mut self) {
        self.answered.extend(self.posts.read());
        while let Some(end) = memchr::memmem::find(&self.answered, b"\r\n\r\n") {
            let head = std::str::from_utf8(&self.answered[..end]).unwrap();
            let status: u16 = head["HTTP/1.1 ".len()..][..3].parse().unwrap();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "));
            let length: usize = length.expect("a length").parse().unwrap();
            if self.answered.len() < end + 4 + length {
                return;
            }
            self.answered.drain(..end + 4 + length);
            *self.statuses.entry(status).or_default() += 1;
            // What comes unasked is a connection's end: it was slow, or idle, or in the way.
            if status == 408 {
                continue;
            }
            let id = self.posted.pop_front().expect("an answer to a POST");
            let Some(id) = id else { continue };
            match status {
                202 => {
                    if let Some(asked) = self.asked.get_mut(&id) {
                        asked.is_accepted = true;
                    }
                }
                404 | 503 => assert!(self.asked.remove(&id).is_some(), "refused, and answered: {id}"),
                other => panic!("status {other}"),
            }
        }
    }
}

fn opened_on(rig: &mut Rig, stream: usize, posts: usize) -> Sse {
    let mut client = Sse::new(rig.connect_to(stream), rig.connect_to(posts));
    exchange(rig, &mut client);
    assert!(client.endpoint.is_some());
    client
}

fn opened(rig: &mut Rig) -> Sse {
    opened_on(rig, 0, 0)
}

/// Sends all that is to be sent, and reads what comes of it.
fn exchange(rig: &mut Rig, client: &mut Sse) {
    client.send(usize::MAX);
    rig.run();
    client.read();
}

/// The client leaves, and nothing is left.
fn end(mut rig: Rig, client: Sse) {
    client.stream.finish();
    client.posts.finish();
    rig.live(Duration::from_secs(20));
    rig.assert_nothing_left();
}

#[test]
fn posts_come_from_any_shard_to_the_stream() {
    for (stream, posts) in [(0, 0), (0, 1), (1, 0)] {
        let mut rig = Rig::new(1, TWO_SHARDS);
        let mut client = opened_on(&mut rig, stream, posts);
        client.ask(true, "hold", 1, "s1.");
        client.ask(false, "echo", 2, "s2.");
        exchange(&mut rig, &mut client);
        assert_eq!((client.status(202), client.owed()), (2, vec![1]));
        client.cancel(1);
        client.ask(false, "echo", 3, "s3.");
        exchange(&mut rig, &mut client);
        assert_eq!((client.owed(), client.answers.len()), (vec![], 2));
        assert_eq!(rig.drivers[stream].shard.calls.busy(), 0);
        end(rig, client);
    }
}

#[test]
fn a_stream_shows_life_as_long_as_its_client_does() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = opened(&mut rig);
    let mut comments = 0;
    for _ in 0..5 {
        rig.live(Duration::from_secs(60));
        client.read();
        assert!(client.comments > comments && client.is_open());
        comments = client.comments;
    }
    client.stream.reset();
    rig.live(Duration::from_secs(1));
    let posts = rig.connect();
    client.post_on(posts);
    client.ask(false, "echo", 1, "s1.");
    exchange(&mut rig, &mut client);
    assert_eq!(client.status(404), 1);
    end(rig, client);
}

#[test]
fn a_request_begins_when_its_message_comes_and_not_with_its_stream() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = opened(&mut rig);
    rig.live(Duration::from_secs(600));
    let posts = rig.connect();
    client.post_on(posts);
    client.ask(false, "echo", 1, "s1.");
    exchange(&mut rig, &mut client);
    assert_eq!(client.answers.len(), 1);
    let total = rig.shard.histograms().stage(Stage::Total).max();
    assert!(total < Duration::from_secs(1), "{total:?}");
    end(rig, client);
}

#[test]
fn a_client_that_does_not_read_is_not_served_and_then_cut_off() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = opened(&mut rig);
    client.stream.set_window(0);
    for id in 0..1200 {
        client.ask(true, "blob", id, &format!("s{id}."));
        exchange(&mut rig, &mut client);
    }
    assert!(
        rig.shard.writer.heap_bytes_used() < 1 << 20,
        "{}",
        rig.shard.writer.heap_bytes_used()
    );
    let (accepted, refused) = (client.status(202), client.status(503));
    assert!(
        accepted > 100 && refused > 0,
        "{accepted} accepted, {refused} refused"
    );
    assert_eq!(accepted + refused, 1200);
    rig.live(Duration::from_secs(9));
    let cut = rig.metrics.snapshot().evictions.of(Eviction::WriteStall);
    assert_eq!(cut, 1, "it has not taken anything for the write timeout");
    client.read();
    client.posts.finish();
    let posts = rig.connect();
    client.post_on(posts);
    client.ask(true, "echo", 2000, "s2000.");
    exchange(&mut rig, &mut client);
    assert_eq!(client.status(404), 1);
    end(rig, client);
}

#[test]
fn who_reads_late_but_in_time_misses_nothing() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = opened(&mut rig);
    client.stream.set_window(0);
    for id in 0..100 {
        client.ask(id % 2 == 0, "blob", id, &format!("s{id}."));
        exchange(&mut rig, &mut client);
    }
    assert!(client.owed().len() > 50, "{:?}", client.owed());
    client.stream.set_window(1 << 20);
    for _ in 0..100 {
        exchange(&mut rig, &mut client);
    }
    assert_eq!(
        (client.owed(), client.answers.len()),
        (vec![], client.status(202))
    );
    end(rig, client);
}

#[test]
fn a_drain_answers_and_ends_the_stream() {
    let mut rig = Rig::new(1, Sizes::default());
    let (mut idle, mut busy) = (opened(&mut rig), opened(&mut rig));
    busy.ask(false, "hold", 1, "s1.");
    exchange(&mut rig, &mut busy);
    // Begun, so that its connection outlives the begin of the drain.
    busy.ask(false, "echo", 2, "s2.");
    busy.send(20);
    rig.run();
    rig.drain();
    rig.run();
    idle.read();
    busy.read();
    assert_eq!((idle.has_ended, busy.has_ended), (true, false));
    exchange(&mut rig, &mut busy);
    assert_eq!(busy.answers[&2]["error"]["data"]["reason"], "draining");
    rig.release("s1.");
    exchange(&mut rig, &mut busy);
    assert_eq!((busy.owed(), busy.has_ended), (vec![], true));
    rig.live(Duration::from_secs(5));
    assert!(rig.is_finished());
    rig.assert_nothing_left();
}

/// How a client takes what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Eager,
    Slow,
    Never,
}

struct Player {
    client: Sse,
    reading: Reading,
    piece_bytes: usize,
    next_id: u64,
    has_left: bool,
}

struct Scene {
    rig: Rig,
    sizes: Sizes,
    dice: Dice,
    players: Vec<Player>,
    held: Vec<String>,
    secrets: u64,
}

#[test]
fn whatever_happens_answers_are_own_and_once_and_nothing_is_left() {
    let mut answers = 0;
    for seed in seeds() {
        let _announce = Announce(seed, "events");
        answers += play(seed);
    }
    assert!(answers > seeds().count(), "{answers} answers");
}

fn play(seed: u64) -> usize {
    let mut dice = Dice(seed);
    let sizes = Sizes {
        handlers: dice.of(&[1, 1, 2, 8]),
        assembly_buffers: dice.of(&[1, 2, 8]),
        assembly_buffer_bytes: dice.of(&[512, 2048]),
        heap_bytes_max: dice.of(&[10_000, 200_000, 1 << 20]),
        ring_buffers: dice.of(&[1, 2, 16]),
        ring_buffer_bytes: dice.of(&[64, 256, 4096]),
        shards: dice.of(&[1, 2, 2]),
        queue_depth_max: dice.of(&[0, 1, 8]),
        linger: dice.of(&[Linger::None, Linger::For(Duration::from_secs(1))]),
        ..Sizes::default()
    };
    let rig = Rig::new(seed, sizes);
    rig.network
        .set_faults(dice.of(&[Faults::default(), Faults::ROUGH]));
    let mut scene = Scene {
        rig,
        sizes,
        dice,
        players: Vec::new(),
        held: Vec::new(),
        secrets: 0,
    };
    for _ in 0..STEPS {
        scene.step();
    }
    scene.settle();
    let answers = scene.players.iter().map(|player| player.client.answers.len());
    let answers = answers.sum();
    scene.end();
    answers
}

impl Scene {
    fn step(&mut self) {
        match self.dice.below(20) {
            0 | 1 => self.connect(),
            2..=6 => self.ask(),
            7..=11 => self.send(),
            12..=14 => self.read(),
            15 => self.misbehave(),
            16 | 17 => self.release_one(),
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

    fn any_peer(&mut self) -> SimulatedPeer {
        let shard = self.dice.below(self.sizes.shards);
        self.rig.connect_to(shard)
    }

    fn connect(&mut self) {
        if self.players.len() >= 8 {
            return;
        }
        let (stream, posts) = (self.any_peer(), self.any_peer());
        let client = Sse::new(stream, posts);
        let reading = self
            .dice
            .of(&[Reading::Eager, Reading::Eager, Reading::Slow, Reading::Never]);
        if reading != Reading::Eager {
            client.stream.set_window(self.dice.of(&[0, 1, 100, 5000]));
        }
        self.players.push(Player {
            client,
            reading,
            piece_bytes: self.dice.of(&[1, 30, 100, 700, usize::MAX]),
            next_id: 1,
            has_left: false,
        });
    }

    fn any_player(&mut self) -> Option<usize> {
        let index = self.dice.below(self.players.len().max(1));
        (index < self.players.len()).then_some(index)
    }

    fn ask(&mut self) {
        let Some(index) = self.any_player() else { return };
        for _ in 0..self.dice.of(&[1, 1, 2, 5]) {
            self.secrets += 1;
            let secret = format!("s{}.", self.secrets);
            let tools = ["echo", "echo", "hold", "block", "blob", "speak", "fail"];
            let (is_modern, tool) = (self.dice.one_in(2), self.dice.of(&tools));
            let kind = self.dice.below(6);
            let player = &mut self.players[index];
            let id = player.next_id;
            player.next_id += 1;
            if kind == 0 {
                let message = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
                player.client.post(None, &message);
                continue;
            }
            player.client.ask(is_modern, tool, id, &secret);
            if kind == 1 {
                player.client.cancel(id);
            }
            if matches!(tool, "hold" | "speak") {
                self.held.push(secret);
            }
        }
    }

    fn send(&mut self) {
        let Some(index) = self.any_player() else { return };
        if self.players[index].client.posts.view() != PeerView::Open {
            let posts = self.any_peer();
            self.players[index].client.post_on(posts);
        }
        let player = &mut self.players[index];
        player.client.send(player.piece_bytes);
    }

    fn read(&mut self) {
        for player in &mut self.players {
            player.client.read_posts();
            let reads = match player.reading {
                Reading::Eager => true,
                Reading::Slow => self.dice.one_in(3),
                Reading::Never => false,
            };
            if reads {
                player.client.read_stream();
            }
        }
    }

    fn misbehave(&mut self) {
        let Some(index) = self.any_player() else { return };
        let posts = self.any_peer();
        let player = &mut self.players[index];
        let client = &mut player.client;
        match self.dice.below(8) {
            0 if !player.has_left => client.stream.reset(),
            1 if !player.has_left => client.stream.close(),
            2 if !player.has_left => client.stream.finish(),
            3 if !player.has_left => return client.stream.write(b"GET /sse HTTP/1.1\r\n"),
            4 => {
                client.posts.reset();
                return client.post_on(posts);
            }
            5 => {
                client.posts.finish();
                return client.post_on(posts);
            }
            _ => return posts.close(),
        }
        player.has_left = true;
        posts.close();
    }

    fn release_one(&mut self) {
        if !self.held.is_empty() {
            let index = self.dice.below(self.held.len());
            let secret = self.held.swap_remove(index);
            self.rig.release(&secret);
        }
    }

    /// Faults stop and everybody sends and reads what is left; then every request that was accepted has its answer, or
    /// its stream is gone.
    fn settle(&mut self) {
        self.rig.network.calm();
        for round in 0..60 {
            for secret in std::mem::take(&mut self.held) {
                self.rig.release(&secret);
            }
            for player in &mut self.players {
                player.client.stream.set_window(1 << 20);
                player.client.read();
                if player.client.posts.view() == PeerView::Open {
                    player.client.send(usize::MAX);
                }
            }
            self.rig.run();
            if round < 10 {
                self.rig.pass(Duration::from_millis(100));
            }
        }
        for (index, player) in self.players.iter_mut().enumerate() {
            player.client.read();
            let is_served = !player.client.is_open() || player.has_left;
            let owed = player.client.owed();
            assert!(is_served || owed.is_empty(), "client {index} waits for {owed:?}");
        }
    }

    fn end(&mut self) {
        if self.dice.one_in(2) {
            self.rig.drain();
            self.rig.live(Duration::from_secs(40));
            assert!(self.rig.is_finished(), "the drain has not ended");
        } else {
            for player in &mut self.players {
                if !player.has_left {
                    player.client.stream.finish();
                }
                player.client.posts.finish();
            }
            self.rig.live(Duration::from_secs(80));
        }
        self.players.iter_mut().for_each(|player| player.client.read());
        self.rig.assert_nothing_left();
    }
}
