//! Results of `wire::http1` for bytes, good and bad, whole and in pieces.

mod chunks;
mod heads;
mod responses;
mod scanning;

use super::{Field, FieldSet, Head, HeadError, HeadLimits, HeadScanner, is_name, parse_head_with};

/// A request as a current client sends it.
const ECHO: &[u8] = b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Type: application/json\r\n\
    Accept: application/json, text/event-stream\r\nX-Revision: 2026-07-28\r\nX-Method: tools/call\r\n\
    X-Name: echo\r\nContent-Length: 2\r\n\r\n{}";

/// Fields of a layer above; one is as long as one of HTTP's own and begins with the same letter.
#[derive(Clone, Copy, Debug, Default)]
struct Asked<'a> {
    name: Field<'a>,
    method: Field<'a>,
    revision: Field<'a>,
    accent: Field<'a>,
}

impl<'a> FieldSet<'a> for Asked<'a> {
    fn slot(&mut self, name: &[u8]) -> Option<&mut Field<'a>> {
        Some(match name.len() {
            6 if is_name(name, b"x-name") => &mut self.name,
            6 if is_name(name, b"accent") => &mut self.accent,
            8 if is_name(name, b"x-method") => &mut self.method,
            10 if is_name(name, b"x-revision") => &mut self.revision,
            _ => return None,
        })
    }
}

/// Scans and parses a complete request.
fn parse(request: &[u8]) -> Result<Head<'_, Asked<'_>>, HeadError> {
    let limits = HeadLimits::default();
    let length = HeadScanner::default()
        .scan(request, &limits)?
        .expect("a complete head");
    parse_head_with(
        request.get(..length).expect("a length within the window"),
        &limits,
    )
}

/// A request with these field lines (each with its CRLF) behind a valid request line and `Host`.
fn with_lines(lines: &str) -> Vec<u8> {
    format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n").into_bytes()
}

/// Runs a fuzzer with many seeds and names the seed that fails. `WEIR_TEST_SEED` replays one.
fn for_seeds(count: u64, run: impl Fn(&mut fastrand::Rng) + std::panic::RefUnwindSafe) {
    let replayed = std::env::var("WEIR_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let first: u64 = replayed.unwrap_or_else(|| fastrand::u64(..u64::MAX - count));
    for seed in first..first + if replayed.is_some() { 1 } else { count } {
        let outcome = std::panic::catch_unwind(|| run(&mut fastrand::Rng::with_seed(seed)));
        assert!(outcome.is_ok(), "failed with WEIR_TEST_SEED={seed}");
    }
}
