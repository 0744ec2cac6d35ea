//! From bytes to values and back: request heads, chunked bodies, admission, response heads.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use weir::internals::transport::http::admission::AdmissionPolicy;
use weir::internals::transport::http::parse_head;
use weir::internals::wire::http1::{
    BodyLimits, ChunkDecoder, DateCache, HEAD_RESERVE, HeadLimits, HeadScanner, ResponseHead, Status,
    write_head_before,
};

/// A tool call as a current MCP client sends it.
const ECHO: &[u8] = b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Type: application/json\r\n\
    Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n\
    Mcp-Name: echo\r\nContent-Length: 230\r\n\r\n";

fn main() {
    divan::main();
}

#[divan::bench]
fn scan_head(bencher: Bencher<'_, '_>) {
    let limits = HeadLimits::default();
    bencher
        .counter(BytesCount::of_slice(ECHO))
        .bench(|| HeadScanner::default().scan(black_box(ECHO), &limits));
}

#[divan::bench]
fn parse_request_head(bencher: Bencher<'_, '_>) {
    let limits = HeadLimits::default();
    bencher
        .counter(BytesCount::of_slice(ECHO))
        .bench(|| parse_head(black_box(ECHO), &limits).map(|head| head.extra.name));
}

/// All the work on a head before its body is looked at.
#[divan::bench]
fn scan_parse_admit(bencher: Bencher<'_, '_>) {
    let limits = HeadLimits::default();
    let policy = AdmissionPolicy::new(
        "/mcp",
        AdmissionPolicy::LOOPBACK_HOSTS,
        AdmissionPolicy::LOOPBACK_ORIGINS,
        4 << 20,
    )
    .expect("valid");
    bencher.counter(BytesCount::of_slice(ECHO)).bench(|| {
        let length = HeadScanner::default()
            .scan(black_box(ECHO), &limits)
            .ok()
            .flatten()?;
        let head = parse_head(ECHO.get(..length)?, &limits).ok()?;
        policy.admit(&head).ok()
    });
}

/// 64 KiB in chunks of this size.
#[divan::bench(args = [256, 4096, 65536])]
fn chunked_body(bencher: Bencher<'_, '_>, chunk_bytes: usize) {
    let limits = BodyLimits::default();
    let chunk = format!("{chunk_bytes:x}\r\n{}\r\n", "x".repeat(chunk_bytes));
    let input = chunk.repeat(65536 / chunk_bytes) + "0\r\n\r\n";
    let mut body = Vec::with_capacity(65536);
    bencher.counter(BytesCount::of_str(&input)).bench_local(|| {
        body.clear();
        ChunkDecoder::default().decode(black_box(input.as_bytes()), &mut body, &limits)
    });
}

#[divan::bench]
fn response_head(bencher: Bencher<'_, '_>) {
    let mut date = DateCache::new(784_111_777);
    let mut buffer = vec![0; HEAD_RESERVE + 200];
    bencher.bench_local(|| {
        let head = ResponseHead::json(Status::Ok, black_box(200), date.refresh(784_111_777));
        write_head_before(&mut buffer, HEAD_RESERVE, &head)
    });
}
