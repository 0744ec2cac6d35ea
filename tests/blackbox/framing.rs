//! Where a request ends: `Content-Length`, `Transfer-Encoding`, line ends, chunks (RFC 9112, sections 2.2, 6 and 7).
//!
//! A server that gets this wrong lets one client's bytes become another's request. So each case puts a whole request
//! behind the broken one and fails if the server answers that.

use crate::harness::{Ending, Request, Shared, case, chunked, echo};

/// A text that must never be seen in an answer.
const CANARY: &str = "canary-8f3a";

/// Fails unless `raw` is refused with one of `statuses`, the server closes, and nothing behind it is answered.
#[track_caller]
fn assert_refused_and_closed(server: &Shared, raw: &[u8], statuses: &[u16]) {
    let mut client = server.connect();
    // The server may refuse and close before the last byte is sent.
    let _ = client.try_send_bytes(&[raw, &echo(2, CANARY).encode()].concat());
    let refused = client.receive();
    assert!(
        statuses.contains(&refused.status),
        "{} {}",
        refused.status,
        refused.text()
    );
    assert!(refused.closes(), "{refused:?}");
    let (Ending::Closed(rest) | Ending::Reset(rest)) = client.ending();
    assert!(
        rest.is_empty(),
        "answered behind it: {:?}",
        String::from_utf8_lossy(&rest)
    );
}

fn refuse(server: &Shared, name: &str, raw: &[u8], statuses: &[u16]) {
    let _case = case(name);
    assert_refused_and_closed(server, raw, statuses);
}

#[test]
fn both_lengths_at_once() {
    let server = Shared::usual();
    let request = echo(1, "first");
    let payload = chunked(&request.body, &[]);
    let framed_bytes = payload.len().to_string();
    let body_bytes = request.body.len().to_string();
    for (name, lengths) in [
        (
            "length of the chunks first",
            [
                ("Content-Length", &*framed_bytes),
                ("Transfer-Encoding", "chunked"),
            ],
        ),
        (
            "chunked first",
            [
                ("Transfer-Encoding", "chunked"),
                ("Content-Length", &*framed_bytes),
            ],
        ),
        (
            "length of the body",
            [("Transfer-Encoding", "chunked"), ("Content-Length", &*body_bytes)],
        ),
        (
            "length zero",
            [("Content-Length", "0"), ("Transfer-Encoding", "chunked")],
        ),
        (
            "names in capitals",
            [("CONTENT-LENGTH", &*body_bytes), ("TRANSFER-ENCODING", "chunked")],
        ),
        (
            "an unknown coding",
            [
                ("Content-Length", &*body_bytes),
                ("Transfer-Encoding", "identity"),
            ],
        ),
    ] {
        let broken = lengths
            .into_iter()
            .fold(request.clone(), |request, (name, value)| {
                request.plus(name, value)
            });
        refuse(&server, name, &broken.framed_as(&payload), &[400]);
    }
}

#[test]
fn lengths_that_are_not_one_number() {
    let server = Shared::usual();
    let request = echo(1, "first");
    let bytes = request.body.len();
    let past_limit = u128::from(u64::MAX) * 2 + bytes as u128;
    for value in [
        format!("{bytes}, {bytes}"),
        format!("{}, {bytes}", bytes + 1),
        format!("+{bytes}"),
        format!("-{bytes}"),
        format!("0x{bytes:x}"),
        format!("{bytes}.0"),
        format!("{bytes};"),
        format!("{bytes} {bytes}"),
        format!("\"{bytes}\""),
        String::new(),
        "ten".to_owned(),
        (1_u64 << 63).to_string(),
        u64::MAX.to_string(),
        past_limit.to_string(),
        "9".repeat(400),
    ] {
        let broken = request.clone().plus("Content-Length", &value);
        refuse(&server, &value, &broken.framed_as(&request.body), &[400]);
    }
    for (first, second) in [(bytes, bytes + 1), (bytes + 9, bytes), (bytes, bytes)] {
        let broken = request.clone();
        let broken = broken.plus("Content-Length", first.to_string());
        let broken = broken.plus("content-length", second.to_string());
        refuse(
            &server,
            &format!("{first} and {second}"),
            &broken.framed_as(&request.body),
            &[400],
        );
    }
}

#[test]
fn transfer_codings() {
    let server = Shared::usual();
    let request = echo(1, "first");
    let payload = chunked(&request.body, &[]);
    let old = request
        .clone()
        .with_version("HTTP/1.0")
        .plus("Connection", "keep-alive");
    let old = old.plus("Transfer-Encoding", "chunked").framed_as(&payload);
    refuse(&server, "HTTP/1.0", &old, &[400]);
    for value in [
        "chunked, gzip",
        "chunked, identity",
        "identity",
        "chunked, chunked",
        "",
        ",",
        "chunked,;",
    ] {
        let broken = request.clone().plus("Transfer-Encoding", value);
        refuse(&server, value, &broken.framed_as(&payload), &[400]);
    }
    for value in [
        "gzip, chunked",
        "foo",
        "xchunked",
        "chunked;q=1",
        "\"chunked\"",
        "\x0bchunked",
        "chunked\x0b",
    ] {
        let broken = request.clone().plus("Transfer-Encoding", value);
        refuse(&server, value, &broken.framed_as(&payload), &[400, 501]);
    }
    let twice = request
        .plus("Transfer-Encoding", "chunked")
        .plus("Transfer-Encoding", "chunked");
    refuse(&server, "two fields", &twice.framed_as(&payload), &[400]);
}

#[test]
fn field_lines() {
    let server = Shared::usual();
    let raw = echo(1, "first").encode();
    let first_line_end = raw.windows(2).position(|bytes| bytes == b"\r\n").unwrap() + 2;
    for line in [
        &b"X-Fold: a\r\n b\r\n"[..],
        b"X-Fold: a\r\n\tb\r\n",
        b" X-First: a\r\n",
        b"\tX-First: a\r\n",
        b"X-Space : a\r\n",
        b"X-Tab\t: a\r\n",
        b"X-CR: a\rb\r\n",
        b"X-CR: a\r\r\n",
        b"X-NUL: a\0b\r\n",
        b"X-\0NUL: a\r\n",
        b"X-Bel: a\x07b\r\n",
        b"X-Delete: a\x7fb\r\n",
        b"X-Nothing\r\n",
        b": a\r\n",
        b"X Y: a\r\n",
        b"X(Y): a\r\n",
        b"X\x80: a\r\n",
        b"Content-Length : 3\r\n",
        b"Transfer-Encoding\x0b: chunked\r\n",
    ] {
        let broken = [&raw[..first_line_end], line, &raw[first_line_end..]].concat();
        refuse(&server, &String::from_utf8_lossy(line), &broken, &[400]);
    }
}

#[test]
fn request_lines() {
    let server = Shared::usual();
    let raw = echo(1, "first").encode();
    let first_line_end = raw.windows(2).position(|bytes| bytes == b"\r\n").unwrap();
    for line in [
        &b"POST  /mcp HTTP/1.1"[..],
        b"POST /mcp  HTTP/1.1",
        b" POST /mcp HTTP/1.1",
        b"POST /mcp HTTP/1.1 ",
        b"POST\t/mcp\tHTTP/1.1",
        b"POST /mcp",
        b"POST /mcp http/1.1",
        b"POST /mcp HTTP/1.",
        b"POST /mcp HTTP/1.1x",
        b"POST mcp HTTP/1.1",
        b"POST /m cp HTTP/1.1",
        b"POST /mcp\0 HTTP/1.1",
        b"PO ST /mcp HTTP/1.1",
        b"P\x80ST /mcp HTTP/1.1",
        b"GET * HTTP/1.1",
    ] {
        let broken = [line, &raw[first_line_end..]].concat();
        refuse(&server, &String::from_utf8_lossy(line), &broken, &[400]);
    }
    for version in [&b"HTTP/2.0"[..], b"HTTP/0.9", b"HTTP/3.0"] {
        let broken = [b"POST /mcp ", version, &raw[first_line_end..]].concat();
        refuse(&server, &String::from_utf8_lossy(version), &broken, &[400, 505]);
    }
}

#[test]
fn bare_line_feeds() {
    let server = Shared::usual();
    let request = echo(1, "first");
    let raw = request.encode();
    let ends: Vec<usize> = raw
        .windows(2)
        .enumerate()
        .filter(|(_, b)| b == b"\r\n")
        .map(|(at, _)| at)
        .collect();
    for &end in &ends {
        let broken = [&raw[..end], &raw[end + 1..]].concat();
        refuse(&server, &format!("LF for CRLF at {end}"), &broken, &[400]);
        let broken = [&raw[..=end], &raw[end + 2..]].concat();
        refuse(&server, &format!("CR for CRLF at {end}"), &broken, &[400]);
    }
    let all = String::from_utf8(raw).unwrap().replace("\r\n", "\n");
    refuse(&server, "every line", all.as_bytes(), &[400]);

    let framed = request.clone().plus("Transfer-Encoding", "chunked");
    let good = chunked(&request.body, &[5]);
    let ends: Vec<usize> = good
        .windows(2)
        .enumerate()
        .filter(|(_, b)| b == b"\r\n")
        .map(|(at, _)| at)
        .collect();
    for end in ends {
        let broken = [&good[..end], &good[end + 1..]].concat();
        refuse(
            &server,
            &format!("LF in the chunks at {end}"),
            &framed.framed_as(&broken),
            &[400],
        );
        let broken = [&good[..=end], &good[end + 2..]].concat();
        refuse(
            &server,
            &format!("CR in the chunks at {end}"),
            &framed.framed_as(&broken),
            &[400],
        );
    }
}

#[test]
fn chunk_sizes_and_ends() {
    let server = Shared::usual();
    let request = echo(1, "first");
    let framed = request.clone().plus("Transfer-Encoding", "chunked");
    let body = std::str::from_utf8(&request.body).unwrap();
    let size = format!("{:x}", body.len());
    for line in [
        format!("1{size:0>16}"),
        format!("+{size}"),
        format!("-{size}"),
        format!("0x{size}"),
        format!(" {size}"),
        format!("\t{size}"),
        format!("{}_{}", &size[..1], &size[1..]),
        String::new(),
        format!("g{size}"),
        format!("{size},"),
        format!("{size};\x07"),
        format!("{size};a=\"b"),
        format!("{size} x"),
        format!("{size};a\r"),
    ] {
        let payload = format!("{line}\r\n{body}\r\n0\r\n\r\n");
        refuse(
            &server,
            &format!("{line:?}"),
            &framed.framed_as(payload.as_bytes()),
            &[400],
        );
    }
    for digits in [15, 16, 400] {
        let payload = format!("{}\r\n{body}\r\n0\r\n\r\n", "f".repeat(digits));
        refuse(
            &server,
            &format!("{digits} times f"),
            &framed.framed_as(payload.as_bytes()),
            &[400, 413],
        );
    }
    let short = format!("{:x}", body.len() - 3);
    for payload in [
        format!("{size}\r\n{body}0\r\n\r\n"),
        format!("{short}\r\n{body}\r\n0\r\n\r\n"),
        format!("{size}\r\n{body}xx0\r\n\r\n"),
        format!("{size}\r\n{body}\r\r0\r\n\r\n"),
        format!("{size}\r\n{body}\r\n0\r\nno colon\r\n\r\n"),
        format!("{size}\r\n{body}\r\n0\r\nName : a\r\n\r\n"),
        format!("{size}\r\n{body}\r\n0\r\n: a\r\n\r\n"),
        format!("{size}\r\n{body}\r\n0\r\nA: b\0\r\n\r\n"),
    ] {
        refuse(
            &server,
            &format!("{payload:?}"),
            &framed.framed_as(payload.as_bytes()),
            &[400],
        );
    }
}

#[test]
fn chunk_framing_that_is_allowed() {
    let server = Shared::usual();
    let request = echo(1, "first");
    let framed = request.clone().plus("Transfer-Encoding", "chunked");
    let body = std::str::from_utf8(&request.body).unwrap();
    let size = body.len();
    for payload in [
        format!("{size:X}\r\n{body}\r\n0\r\n\r\n"),
        format!("{size:016x}\r\n{body}\r\n0\r\n\r\n"),
        format!("{size:x};name\r\n{body}\r\n0;last=1\r\n\r\n"),
        format!("{size:x};a=b;c=\"d;\\\"e\"\r\n{body}\r\n000\r\n\r\n"),
        format!("{size:x}\r\n{body}\r\n0\r\nX-Trailer: a\r\nContent-Length: 5\r\nHost: evil.example\r\n\r\n"),
    ] {
        let _case = case(format!("{payload:?}"));
        let mut client = server.connect();
        client
            .ask_bytes(&framed.framed_as(payload.as_bytes()))
            .assert_echo(1, "first");
        client.ask(&echo(2, "behind it")).assert_echo(2, "behind it");
    }
    let mixed = request.clone().plus("Transfer-Encoding", "Chunked");
    server
        .ask_bytes(&mixed.framed_as(&chunked(body.as_bytes(), &[1, 2, 30])))
        .assert_echo(1, "first");
}

#[test]
fn chunk_framing_beyond_its_limit() {
    let server = Shared::usual();
    let request = echo(1, &"x".repeat(4000));
    let framed = request.clone().plus("Transfer-Encoding", "chunked");
    let body = std::str::from_utf8(&request.body).unwrap();
    let size = format!("{:x}", body.len());
    let one_each = |extension: &str| {
        let chunks: String = body
            .chars()
            .map(|byte| format!("1{extension}\r\n{byte}\r\n"))
            .collect();
        format!("{chunks}0\r\n\r\n")
    };
    let trailers: String = (0..64)
        .map(|n| format!("X-{n}: {}\r\n", "t".repeat(1000)))
        .collect();
    for (name, payload) in [
        (
            "an extension of 64 KiB",
            format!("{size};a={}\r\n{body}\r\n0\r\n\r\n", "b".repeat(64 << 10)),
        ),
        (
            "an extension of 1 KiB on each byte",
            one_each(&format!(";{}", "e".repeat(1 << 10))),
        ),
        ("a short extension on each byte", one_each(";abcde")),
        (
            "trailers of 64 KiB",
            format!("{size}\r\n{body}\r\n0\r\n{trailers}\r\n"),
        ),
    ] {
        refuse(
            &server,
            name,
            &framed.framed_as(payload.as_bytes()),
            &[400, 413, 431],
        );
    }
    let within = format!("{size};a={}\r\n{body}\r\n0\r\n\r\n", "b".repeat(15 << 10));
    server
        .ask_bytes(&framed.framed_as(within.as_bytes()))
        .assert_status(200);
}

#[test]
fn a_body_on_a_method_without_one_is_no_second_request() {
    let server = Shared::usual();
    let smuggled = echo(2, CANARY).encode();
    for method in ["GET", "OPTIONS", "PUT", "DELETE"] {
        let _case = case(method);
        let mut client = server.connect();
        let request = Request::new(method, "/mcp").with_body(smuggled.clone());
        let refused = client.ask(&request);
        assert!((400..500).contains(&refused.status), "{refused:?}");
        if !refused.closes() {
            client.ask(&echo(3, "next")).assert_echo(3, "next");
        }
    }
}
