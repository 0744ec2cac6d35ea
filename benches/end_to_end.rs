//! A warm echo with the library's own pieces and without sockets: decode, route, validate, execute, encode.
//!
//! Bytes of a request go in, and bytes of its answer come out: in both eras, and in the legacy one with a session. The
//! ring, the lease and the deadlines are not part of it. `cargo test --benches` runs it once as a test.

mod pieces;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use pieces::{Server, legacy, modern, new_session};

fn main() {
    divan::main();
}

fn bench_echo(bencher: Bencher<'_, '_>, mut server: Server, request: &[u8], message: &str) {
    let answer = String::from_utf8_lossy(server.serve(request)).into_owned();
    let expected = format!(r#"{{"type":"text","text":"{message}"}}"#);
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains(&expected),
        "{answer}"
    );
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench_local(|| black_box(server.serve(black_box(request))).len());
}

/// Messages of this many bytes.
#[divan::bench(args = [5, 1_000, 10_000])]
fn modern_echo(bencher: Bencher<'_, '_>, message_bytes: usize) {
    let message = "m".repeat(message_bytes);
    bench_echo(bencher, Server::new(), &modern(&message), &message);
}

#[divan::bench]
fn legacy_echo(bencher: Bencher<'_, '_>) {
    bench_echo(bencher, Server::new(), &legacy(""), "hello");
}

/// The session's id is opened for every request: one AEAD over some hundred bytes.
#[divan::bench]
fn legacy_echo_in_a_session(bencher: Bencher<'_, '_>) {
    let mut server = Server::new();
    let request = legacy(&new_session(&mut server));
    bench_echo(bencher, server, &request, "hello");
}
