//! No answer ever crosses from one client to another, whatever the others do.
//!
//! All clients use the same ids, so nothing but the connection tells their answers apart. Each sends texts that no
//! other sends, over recycled handlers and buffers, while some abort, reset, send slowly or are refused.

use fastrand::Rng;
use serde_json::json;

use crate::harness::{Client, Dialect, Request, Revision, Server, echo, eventually, tool};

const CLIENTS: u64 = 12;
const ROUNDS: usize = 40;

/// A call and the text that only its client may see.
struct Secret {
    request: Request,
    text: String,
}

impl Secret {
    fn new(client: u64, random: &mut Rng) -> Self {
        // Sizes on either side of every buffer there is.
        let bytes = *random.choice(&[20, 20, 300, 300, 4_000, 17_000, 70_000]).unwrap();
        let text = format!("{client}:{:016x};", random.u64(..)).repeat(bytes / 20);
        let id = random.u32(..3);
        let legacy = Dialect::legacy(Revision::NEWEST_LEGACY);
        let request = if random.bool() {
            echo(id, &text)
        } else {
            legacy.echo(id, &text)
        };
        Self { request, text }
    }

    fn encode(&self, random: &mut Rng) -> Vec<u8> {
        match random.u8(..3) {
            0 => self
                .request
                .encode_chunked(&[random.usize(1..50), random.usize(1..5000)]),
            _ => self.request.encode(),
        }
    }
}

/// Runs one client's life; every answer it sees must be its own, in order.
fn live(server: &Server, number: u64, seed: u64) {
    let mut random = Rng::with_seed(seed + number);
    let mut kept: Option<Client> = None;
    for _ in 0..ROUNDS {
        let mut client = kept.take().unwrap_or_else(|| {
            if random.bool() {
                server.connect()
            } else {
                Client::with_small_window(server.address)
            }
        });
        let secrets: Vec<Secret> = (0..random.usize(1..5))
            .map(|_| Secret::new(number, &mut random))
            .collect();
        let bytes: Vec<u8> = secrets
            .iter()
            .flat_map(|secret| secret.encode(&mut random))
            .collect();
        match random.u8(..10) {
            0 => {
                let _ = client.try_send_bytes(&bytes[..random.usize(..bytes.len())]);
                client.reset();
            }
            1 => {
                let _ = client.try_send_bytes(&bytes);
                client.reset();
            }
            2 => drop(client.try_send_bytes(&bytes[..random.usize(..bytes.len())])),
            3 => {
                client.send(&tool(0, "sleep", json!({"ms": 60_000})));
                drop(client);
            }
            _ => {
                read_own(&mut client, &secrets, &bytes, random.bool());
                kept = random.bool().then_some(client);
            }
        }
    }
}

/// Sends while it reads, since neither side need buffer all of it.
fn read_own(client: &mut Client, secrets: &[Secret], bytes: &[u8], is_slow: bool) {
    let mut reader = client.second_hand();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for secret in secrets {
                if is_slow {
                    std::thread::yield_now();
                }
                let response = reader.receive();
                match response.status {
                    503 => assert_eq!(response.json()["error"]["code"], -31503),
                    _ => assert!(
                        response.tool_text() == secret.text,
                        "another's answer: {}",
                        response.text()
                    ),
                }
            }
        });
        client.send_bytes(bytes);
    });
}

#[test]
fn no_answer_crosses_from_one_client_to_another() {
    let seed = fastrand::u64(..1 << 40);
    println!("seed {seed}");
    for pool_size in ["2", "16"] {
        // This leaves room for all that arrives in pieces: here no client may be closed in favour of another.
        let server = Server::start(&[
            "--shards",
            "2",
            "--pool-size",
            pool_size,
            "--assembly-buffers",
            "64",
        ]);
        std::thread::scope(|scope| {
            for number in 0..CLIENTS {
                let server = &server;
                scope.spawn(move || live(server, number, seed));
            }
        });
        eventually("all handlers are free", || server.busy_handlers() == 0);
        eventually("all connections are closed", || {
            server.metric("weir_connections", &[]) == 0
        });
    }
}
