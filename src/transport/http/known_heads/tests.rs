//! A conversation that knows heads is compared with one that parses each: nothing may differ.

use super::*;
use crate::transport::http::admission::AdmissionPolicy;
use crate::transport::http::{HttpLimits, Intake};
use crate::units::ViewId;
use crate::wire::http1::{BodyLimits, HeadLimits};

const BODY: &[u8] = b"12345 and what is behind it, pipelined";

struct Server {
    policy: AdmissionPolicy,
    limits: HttpLimits,
}

impl Server {
    fn new() -> Self {
        let hosts = &["localhost", "[::1]"];
        Self {
            policy: AdmissionPolicy::new("/mcp", hosts, &["http://localhost:8080"], 1000)
                .unwrap()
                .with_server("/servers/a", ViewId(1)),
            limits: HttpLimits {
                head: HeadLimits {
                    head_bytes_max: 700,
                    ..HeadLimits::default()
                },
                body: BodyLimits::default(),
            },
        }
    }

    /// All that is found at the front of a window, as text.
    fn told(&self, window: &[u8], known: &mut KnownHeads) -> String {
        let mut head = Head::default();
        let progress = Intake::default().advance(window, &self.policy, &self.limits, known, &mut head);
        format!("{progress:?}")
    }

    /// Whether a head is recalled, though only parsed so far.
    fn is_known(&self, window: &[u8], known: &KnownHeads) -> bool {
        let mut heads = known.heads.iter();
        heads.any(|head| head.fill(window, &mut Head::default()).is_some())
    }

    #[track_caller]
    fn assert_told_as_parsed(&self, window: &[u8], known: &mut KnownHeads) {
        let parsed = self.told(window, &mut KnownHeads::default());
        assert_eq!(self.told(window, known), parsed, "{}", window.escape_ascii());
    }
}

const MODERN: &str = "POST /mcp HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: test\r\n\
    Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
    MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: echo\r\n\
    X-Empty:\r\nContent-Length: 5\r\n\r\n";
const LEGACY: &str = "POST http://[::1]:80/mcp HTTP/1.1\r\nContent-Length:  5 \r\nmcp-session-id: abc_DEF-123\r\n\
    Host: [::1]:80\r\nOrigin: http://localhost:8080\r\ncontent-type: application/json; charset=utf-8\r\n\
    connection: keep-alive\r\n\r\n";
const OLD: &str = "\r\nPOST /mcp/ HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json\r\n\
    content-length: 005\r\nConnection: keep-alive\r\n\r\n";

fn window(head: &str) -> Vec<u8> {
    [head.as_bytes(), BODY].concat()
}

fn knowing(server: &Server, heads: &[&str]) -> KnownHeads {
    let mut known = KnownHeads::default();
    for head in heads {
        server.told(&window(head), &mut known);
        assert!(server.is_known(&window(head), &known), "{head}");
    }
    known
}

#[test]
fn a_known_head_is_told_as_if_it_were_parsed() {
    let server = Server::new();
    let known = knowing(&server, &[MODERN, LEGACY, OLD]);
    for head in [MODERN, LEGACY, OLD] {
        for (old, new, is_known) in [
            ("5", "5", true),
            ("5", "0", true),
            ("5", "10", true),
            ("5", "0000005", true),
            ("5", "1000", true),
            ("5", "1001", true),
            ("5", "9223372036854775807", true),
            ("5", "9223372036854775808", false),
            ("5", "18446744073709551621", false),
            ("echo", "a", true),
            ("echo", "=?base64?w6k=?=", true),
            ("echo", "a b", false),
            ("tools/call", "prompts/get", true),
            ("abc_DEF-123", "~", true),
            ("abc_DEF-123", &"x".repeat(VALUE_BYTES_MAX - 1), true),
            ("abc_DEF-123", &"x".repeat(VALUE_BYTES_MAX), false),
        ] {
            let other = window(&head.replacen(old, new, 1));
            if head.contains(old) {
                assert_eq!(
                    server.is_known(&other, &known),
                    is_known,
                    "{}",
                    other.escape_ascii()
                );
            }
            server.assert_told_as_parsed(&other, &mut known.clone());
        }
    }
}

#[test]
fn a_known_head_keeps_what_it_is_for() {
    let server = Server::new();
    let own = MODERN.replacen("/mcp", "/servers/a/mcp", 1);
    let mut known = knowing(&server, &[MODERN, &own]);
    for (head, view) in [(MODERN, "ViewId(0)"), (&own, "ViewId(1)")] {
        let window = window(head);
        server.assert_told_as_parsed(&window, &mut known);
        assert!(server.told(&window, &mut known).contains(view));
    }
}

#[test]
fn a_head_that_differs_in_one_byte_is_never_taken_for_a_known_one() {
    let server = Server::new();
    let known = knowing(&server, &[MODERN, LEGACY, OLD]);
    for head in [MODERN, LEGACY, OLD] {
        for at in 0..head.len() {
            for byte in *b"\r\n\0\t :,;=0x9Z-\x7f\x80\xff" {
                let mut changed = window(head);
                changed[at] = byte;
                server.assert_told_as_parsed(&changed, &mut known.clone());
                let mut inserted = window(head);
                inserted.insert(at, byte);
                server.assert_told_as_parsed(&inserted, &mut known.clone());
            }
            let mut removed = window(head);
            removed.remove(at);
            server.assert_told_as_parsed(&removed, &mut known.clone());
        }
    }
}

#[test]
fn a_line_more_or_less_is_never_missed() {
    let server = Server::new();
    let known = knowing(&server, &[MODERN, LEGACY, OLD]);
    for head in [MODERN, LEGACY, OLD] {
        let ends: Vec<usize> = head.match_indices("\r\n").map(|(at, _)| at + 2).collect();
        for &at in &ends {
            for line in [
                "",
                "Content-Length: 5",
                "Content-Length: 6",
                "content-length: 5, 5",
                "Content-Length : 5",
                "Transfer-Encoding: chunked",
                "Transfer-Encoding: identity",
                "Expect: 100-continue",
                "Host: evil.example",
                "Origin: http://evil.example",
                "Origin: http://localhost:8080",
                "Mcp-Session-Id: stolen",
                "Mcp-Name: other",
                "Mcp-Method: ping",
                "Accept: text/html",
                "Content-Type: text/plain",
                "Content-Encoding: gzip",
                "Connection: close",
                "Authorization: Bearer x",
                " folded",
                "no colon",
            ] {
                let (front, behind) = head.split_at(at);
                let more = format!("{front}{line}\r\n{behind}");
                server.assert_told_as_parsed(&window(&more), &mut known.clone());
            }
        }
        for pair in ends.windows(2) {
            let less = format!("{}{}", &head[..pair[0]], &head[pair[1]..]);
            server.assert_told_as_parsed(&window(&less), &mut known.clone());
        }
        for form in [
            "+5", "-5", "0x5", "5.0", "5,5", "5 5", "", "\"5\"", "5\t", "5;", "\u{0665}",
        ] {
            let other = head.replacen('5', form, 1);
            server.assert_told_as_parsed(&window(&other), &mut known.clone());
        }
    }
}

#[test]
fn a_known_head_in_pieces_is_told_as_if_it_were_parsed() {
    let server = Server::new();
    let mut known = knowing(&server, &[MODERN, LEGACY, OLD]);
    for head in [MODERN, LEGACY, OLD] {
        let whole = window(head);
        for cut in 0..whole.len() {
            let [told, parsed] = [&mut known, &mut KnownHeads::default()].map(|known| {
                let mut intake = Intake::default();
                [&whole[..cut], &whole[..]].map(|window| {
                    let mut head = Head::default();
                    let told = intake.advance(window, &server.policy, &server.limits, known, &mut head);
                    format!("{told:?}")
                })
            });
            assert_eq!(told, parsed, "{cut}");
        }
    }
    assert_eq!(known.heads.len(), 3, "none is remembered twice");
}

/// Seeded.
#[test]
fn heads_with_any_changes_are_told_as_if_they_were_parsed() {
    let server = Server::new();
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut known = KnownHeads::default();
    let texts = [MODERN, LEGACY, OLD];
    for _ in 0..20_000 {
        let mut bytes = window(random.choice(&texts).unwrap());
        for _ in 0..random.usize(..3) {
            let at = random.usize(..bytes.len());
            match random.u8(..4) {
                0 => bytes[at] = random.u8(..),
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, *random.choice(b"\r\n 5:a-").unwrap()),
                _ => {
                    let other = window(random.choice(&texts).unwrap());
                    let from = random.usize(..other.len());
                    let end = (from + random.usize(..80)).min(other.len());
                    bytes.splice(at..at, other[from..end].iter().copied());
                }
            }
        }
        let parsed = server.told(&bytes, &mut KnownHeads::default());
        let told = server.told(&bytes, &mut known);
        assert_eq!(told, parsed, "seed {seed}: {}", bytes.escape_ascii());
        assert!(known.heads.len() <= HEADS_MAX, "seed {seed}");
    }
}

#[test]
fn what_is_no_plain_post_is_not_remembered() {
    let server = Server::new();
    let with = |line: &str| MODERN.replacen("X-Empty:", line, 1);
    for head in [
        with("Authorization: Bearer secret"),
        with("Cookie: secret"),
        with("Proxy-Authorization: secret"),
        with("Expect: 100-continue"),
        with("Accept: */*"),
        with(&format!("X: {}", "x".repeat(HEAD_BYTES_MAX))),
        MODERN.replacen("/mcp", "/mcp?secret=1", 1),
        MODERN.replacen("Content-Length: 5", "Transfer-Encoding: chunked", 1),
        MODERN.replacen("Mcp-Name: echo", "Mcp-Name: a b", 1),
        MODERN.replacen("localhost", "evil.example", 1),
        MODERN
            .replacen("application/json,", "text/html,", 1)
            .replacen("text/event-stream", "a/b", 1),
        "DELETE /mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: a\r\n\r\n".to_owned(),
        "GET /mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: a\r\n\r\n".to_owned(),
    ] {
        let mut known = KnownHeads::default();
        let mut window = window(&head);
        window.extend_from_slice(b"\r\n0\r\n\r\n");
        server.told(&window, &mut known);
        assert_eq!(known.heads.len(), 0, "{head}");
    }
}

#[test]
fn usual_heads_stay_however_many_come_once() {
    let server = Server::new();
    let mut known = knowing(&server, &[MODERN, LEGACY]);
    for number in 0..1000 {
        let once = MODERN.replacen("X-Empty:", &format!("X-Trace: {number}"), 1);
        server.told(&window(&once), &mut known);
        assert!(known.heads.len() <= HEADS_MAX);
        for usual in [MODERN, LEGACY] {
            assert!(server.is_known(&window(usual), &known), "{number}");
            server.told(&window(usual), &mut known);
        }
    }
    // And those that have become usual take the places of those that are no more.
    let later: Vec<String> = (0..HEADS_MAX / 2)
        .map(|number| MODERN.replacen("X-Empty:", &format!("X-Client: {number}"), 1))
        .collect();
    for _ in 0..HEADS_MAX {
        for head in &later {
            server.told(&window(head), &mut known);
        }
    }
    for head in &later {
        assert!(server.is_known(&window(head), &known), "{head}");
    }
}

#[test]
fn heads_that_never_come_again_are_hardly_looked_at() {
    let server = Server::new();
    let mut known = KnownHeads::default();
    let mut remembered = 0;
    for number in 0..MISSES_MAX + 160 {
        let once = MODERN.replacen("X-Empty:", &format!("X-Trace: {number}"), 1);
        server.told(&window(&once), &mut known);
        let is_known = known
            .heads
            .iter()
            .any(|head| head.places(once.as_bytes()).is_some());
        remembered += u32::from(is_known);
    }
    assert_eq!(remembered, MISSES_MAX + 160 / LOOKED_FOR_ONE_OF);
    // When heads come again, they are found again.
    for _ in 0..2 * LOOKED_FOR_ONE_OF {
        server.told(&window(MODERN), &mut known);
    }
    assert_eq!(known.misses, 0);
}
