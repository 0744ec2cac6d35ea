//! Requests that arrive in pieces: every cut into two, and delivery byte by byte, leads to the same answer.
//!
//! A piece is sent once the server has read the one before, which `weir_received_bytes_total` shows; so each test
//! has a server of its own, and moves many connections in step.

use serde_json::json;

use crate::harness::{Client, Dialect, Request, Revision, Server, case, echo, eventually, tool};

/// Connections in step: fewer than there are assembly buffers.
const CONNECTIONS: usize = 48;

/// A server, and the number of bytes it was sent.
struct Delivery {
    server: Server,
    sent_bytes: u64,
}

impl Delivery {
    fn new() -> Self {
        let server = Server::start(&["--pool-size", "64"]);
        Self {
            server,
            sent_bytes: 0,
        }
    }

    fn send(&mut self, client: &mut Client, piece: &[u8]) {
        client.send_bytes(piece);
        self.sent_bytes += piece.len() as u64;
    }

    /// Waits until everything sent so far was read.
    fn settle(&self) {
        eventually("everything is read", || {
            self.server.metric("weir_received_bytes_total", &[]) == self.sent_bytes
        });
    }

    /// Sends `raw` once for each cut, in two pieces, and hands each client over with its cut.
    fn cut_everywhere(&mut self, name: &str, raw: &[u8], check: impl Fn(&mut Client)) {
        let cuts: Vec<usize> = (1..raw.len()).collect();
        let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| self.server.connect()).collect();
        for cuts in cuts.chunks(CONNECTIONS) {
            for (client, &cut) in clients.iter_mut().zip(cuts) {
                self.send(client, &raw[..cut]);
            }
            self.settle();
            for (client, &cut) in clients.iter_mut().zip(cuts) {
                self.send(client, &raw[cut..]);
            }
            for (client, cut) in clients.iter_mut().zip(cuts) {
                let _case = case(format!("{name} cut at {cut} of {}", raw.len()));
                check(client);
            }
        }
    }
}

/// Requests of each framing, and the text of their answers.
fn representatives() -> [(&'static str, Vec<u8>, &'static str); 4] {
    let legacy = Dialect::legacy(Revision::NEWEST_LEGACY);
    [
        ("length", echo(1, "split me").encode(), "split me"),
        (
            "chunked",
            echo(1, "split me").encode_chunked(&[7, 100]),
            "split me",
        ),
        (
            "legacy, escapes",
            legacy.echo(1, "\"\\é\u{1f600}").encode(),
            "\"\\é\u{1f600}",
        ),
        (
            "pending call",
            tool(1, "sleep", json!({"ms": 0})).encode_chunked(&[1, 1]),
            "slept 0 ms",
        ),
    ]
}

#[test]
fn every_cut_into_two_gives_the_same_answer() {
    let mut delivery = Delivery::new();
    for (name, raw, text) in representatives() {
        delivery.cut_everywhere(name, &raw, |client| {
            assert_eq!(client.receive().tool_text(), text)
        });
    }
}

#[test]
fn two_pipelined_requests_cut_anywhere() {
    let mut delivery = Delivery::new();
    let raw = [echo(1, "one").encode_chunked(&[9]), echo(2, "two").encode()].concat();
    delivery.cut_everywhere("two", &raw, |client| {
        client.receive().assert_echo(1, "one");
        client.receive().assert_echo(2, "two");
    });
}

#[test]
fn byte_by_byte_gives_the_same_answer() {
    let mut delivery = Delivery::new();
    let representatives = representatives();
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| delivery.server.connect()).collect();
    let longest = representatives.iter().map(|(_, raw, _)| raw.len()).max().unwrap();
    for at in 0..longest {
        for (client, (_, raw, _)) in clients.iter_mut().zip(representatives.iter().cycle()) {
            delivery.send(client, raw.get(at..=at).unwrap_or_default());
        }
        delivery.settle();
    }
    for (client, (name, _, text)) in clients.iter_mut().zip(representatives.iter().cycle()) {
        let _case = case(*name);
        assert_eq!(client.receive().tool_text(), *text);
        client.ask(&echo(2, "behind it")).assert_echo(2, "behind it");
    }
}

#[test]
fn a_broken_request_is_refused_wherever_it_is_cut() {
    let delivery = Delivery::new();
    let broken_chunk = echo(1, "x")
        .plus("Transfer-Encoding", "chunked")
        .framed_as(b"5\r\nhello\r\nzz\r\n");
    for (name, raw) in [
        ("chunk size", broken_chunk),
        ("folding", Request::post("{}").plus("X", "a\r\n b").encode()),
        ("bare LF", Request::post("{}").plus("X", "a\nY: b").encode()),
    ] {
        for cut in (1..raw.len()).step_by(3) {
            let _case = case(format!("{name} cut at {cut} of {}", raw.len()));
            let mut client = delivery.server.connect();
            client.send_bytes(&raw[..cut]);
            // The fault may lie in the first piece, and the second piece may come too late.
            let _ = client.try_send_bytes(&raw[cut..]);
            assert!(client.receive().assert_status(400).closes());
        }
    }
}
