//! Heads: framing, addressing and fields, beside a naive twin.

use super::super::{
    Authority, BodyLength, Connection, Expectation, Field, HeadError, HeadLimits, HostName, Method, Status,
    Version, parse_head,
};
use super::{ECHO, for_seeds, parse, with_lines};

fn error_of(request: &[u8]) -> HeadError {
    parse(request)
        .map(|head| format!("{head:?}"))
        .expect_err(&request.escape_ascii().to_string())
}

fn error_of_lines(lines: &str) -> HeadError {
    error_of(&with_lines(lines))
}

fn error_of_line(line: &str) -> HeadError {
    error_of(format!("{line}\r\nHost: a\r\n\r\n").as_bytes())
}

fn name(text: &str, port: Option<u16>) -> Option<Authority<'_>> {
    Some(Authority {
        host: HostName::Name(text),
        port,
    })
}

#[test]
fn a_usual_request() {
    let head = parse(ECHO).unwrap();
    assert_eq!(
        (head.method, head.path, head.version),
        (Method::Post, "/mcp", Version::Http11)
    );
    assert_eq!(head.authority, name("127.0.0.1", Some(8080)));
    assert_eq!(
        (head.body, head.expectation),
        (BodyLength::Length(2), Expectation::None)
    );
    assert!(head.keep_alive && !head.wants_upgrade && !head.expects_continue());
    assert_eq!(head.extra.method, Field::One(b"tools/call"));
    assert_eq!(head.extra.name.text(), Some("echo"));
    assert_eq!(head.extra.revision, Field::One(b"2026-07-28"));
    assert_eq!(head.fields.origin, Field::Absent);
    assert_eq!(head.lines().count(), 7);
    assert_eq!(head.answer_connection(true), Connection::Persist);
    assert_eq!(head.answer_connection(false), Connection::Close);
}

#[test]
fn names_in_any_case_and_values_without_space_around() {
    for lines in ["x-name: \t echo \t\r\n", "X-NAME:echo\r\n", "x-nAmE: echo\r\n"] {
        assert_eq!(
            parse(&with_lines(lines)).unwrap().extra.name,
            Field::One(b"echo"),
            "{lines}"
        );
    }
    let request = with_lines("X-Name:\r\nAccept: a\r\nX: 1\r\naccept:b\r\nX-Namex: c\r\n");
    let head = parse(&request).unwrap();
    assert_eq!(head.extra.name, Field::One(b""));
    assert_eq!(
        (head.fields.accept, head.fields.accept.value()),
        (Field::Repeated, None)
    );
    assert_eq!(head.values("ACCEPT").collect::<Vec<_>>(), [b"a", b"b"]);
    let request = with_lines("X-Name: \u{e4}\u{2028}\r\n");
    assert_eq!(parse(&request).unwrap().extra.name.text(), Some("\u{e4}\u{2028}"));
}

#[test]
fn both_lengths() {
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Transfer-Encoding: foo\r\nContent-Length: 5\r\nContent-Length: 5\r\n",
    ] {
        assert_eq!(error_of_lines(lines), HeadError::LengthConflict);
    }
}

#[test]
fn content_lengths() {
    for (digits, length) in [("0", 0), ("00042", 42), ("9223372036854775807", i64::MAX as u64)] {
        let request = with_lines(&format!("Content-Length: {digits}\r\n"));
        assert_eq!(parse(&request).unwrap().body, BodyLength::Length(length));
    }
    let too_many = "0".repeat(40) + "1";
    let request = with_lines(&format!("Content-Length: {too_many}\r\n"));
    assert_eq!(parse(&request).unwrap().body, BodyLength::Length(1));
    for value in [
        "",
        "+5",
        "-5",
        "5, 5",
        "5,6",
        "0x5",
        "5.0",
        "5e1",
        "five",
        "5 5",
        "\u{665}",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999999",
        "5;a",
        "\"5\"",
    ] {
        let lines = format!("Content-Length: {value}\r\n");
        assert_eq!(error_of_lines(&lines), HeadError::ContentLength, "{value:?}");
    }
    for second in [5, 6] {
        let lines = format!("Content-Length: 5\r\nContent-Length: {second}\r\n");
        assert_eq!(error_of_lines(&lines), HeadError::ContentLength);
    }
}

#[test]
fn transfer_codings() {
    for value in ["chunked", "Chunked", "CHUNKED \t"] {
        let request = with_lines(&format!("Transfer-Encoding: {value}\r\n"));
        assert_eq!(parse(&request).unwrap().body, BodyLength::Chunked);
    }
    for value in ["gzip, chunked", "foo,chunked", "identity, chunked"] {
        let error = error_of_lines(&format!("Transfer-Encoding: {value}\r\n"));
        assert_eq!(
            (error, error.status()),
            (HeadError::TransferCodingUnknown, Status::NotImplemented),
            "{value}"
        );
    }
    for value in [
        "",
        "foo",
        "gzip",
        "identity",
        "xchunked",
        "chunkedx",
        "chunked, gzip",
        "chunked, identity",
        "chunked, chunked",
        "chunked;q=1",
        "gzip;q=1, chunked",
        "\"chunked\"",
        "chunked,",
        ",chunked",
        "chunk ed",
        "\u{e4}, chunked",
    ] {
        let error = error_of_lines(&format!("Transfer-Encoding: {value}\r\n"));
        assert_eq!(
            (error, error.status()),
            (HeadError::TransferEncoding, Status::BadRequest),
            "{value:?}"
        );
    }
    for value in ["\x0bchunked", "chunked\x0b"] {
        assert_eq!(
            error_of_lines(&format!("Transfer-Encoding: {value}\r\n")),
            HeadError::FieldSyntax
        );
    }
    let twice = "Transfer-Encoding: chunked\r\n".repeat(2);
    assert_eq!(error_of_lines(&twice), HeadError::TransferEncoding);
    let old = b"POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(error_of(old), HeadError::TransferEncoding);
}

#[test]
fn field_syntax() {
    for line in [
        "X-Fold: a\r\n b\r\n",
        "X-Fold: a\r\n\tb\r\n",
        " X-First: a\r\n",
        "X-Space : a\r\n",
        "X-Tab\t: a\r\n",
        "X-Nothing\r\n",
        ": a\r\n",
        "X Y: a\r\n",
        "X\u{e4}: a\r\n",
        "X-DEL: a\x7fb\r\n",
        "X-ESC: \x1b[0m\r\n",
        "X(: a\r\n",
    ] {
        assert_eq!(error_of_lines(line), HeadError::FieldSyntax, "{line:?}");
        let first = format!("POST / HTTP/1.1\r\n{line}Host: a\r\n\r\n");
        assert_eq!(error_of(first.as_bytes()), HeadError::FieldSyntax, "{line:?}");
    }
    assert_eq!(error_of_lines("X-CR: a\rb\r\n"), HeadError::LineEnd);
    assert_eq!(error_of_lines("X-NUL: a\0b\r\n"), HeadError::Nul);
    assert_eq!(error_of_lines("X-\0NUL: a\r\n"), HeadError::Nul);
    assert!(
        HeadError::FieldSyntax.status() == Status::BadRequest
            && HeadError::Nul.status() == Status::BadRequest
    );
}

#[test]
fn hosts() {
    assert_eq!(error_of(b"GET / HTTP/1.1\r\n\r\n"), HeadError::HostMissing);
    assert_eq!(error_of_lines("Host: localhost\r\n"), HeadError::HostRepeated);
    for value in [
        "",
        "a b",
        "exa\tmple",
        "[::1",
        "a:12:34",
        "a:port",
        "ex%zzample",
        "a, b:1:2",
        "http://a",
        "u@a",
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: {value}\r\n\r\n");
        assert_eq!(
            error_of(request.as_bytes()),
            HeadError::HostMalformed,
            "{value:?}"
        );
    }
    let old = parse(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!((old.authority, old.keep_alive), (None, false));
}

#[test]
fn targets() {
    let of = |line: &str| {
        let request = format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = parse(request.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"));
        (head.path.to_owned(), head.authority.unwrap().port)
    };
    assert_eq!(of("GET /mcp?a=[1]&b={|}"), ("/mcp".into(), None));
    assert_eq!(of("GET /?"), ("/".into(), None));
    assert_eq!(of("GET //mcp"), ("//mcp".into(), None));
    assert_eq!(of("GET /%6dcp"), ("/%6dcp".into(), None));
    assert_eq!(of("POST http://b:81/mcp?x"), ("/mcp".into(), Some(81)));
    assert_eq!(of("POST HTTP://b:81"), ("/".into(), Some(81)));
    assert_eq!(of("POST https://b:81?x"), ("/".into(), Some(81)));
    assert_eq!(of("OPTIONS *"), ("*".into(), None));
    assert_eq!(of("CONNECT b:443"), (String::new(), Some(443)));
    for (line, query) in [
        ("GET /mcp?a=[1]&b={|}", "a=[1]&b={|}"),
        ("GET /?", ""),
        ("GET /mcp", ""),
        ("POST https://b:81?x?y", "x?y"),
        ("OPTIONS *", ""),
        ("CONNECT b:443", ""),
    ] {
        let request = format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(parse(request.as_bytes()).unwrap().query, query, "{line}");
    }
    let absolute = parse(b"POST http://b/mcp HTTP/1.1\r\nHost: evil.example\r\n\r\n").unwrap();
    assert_eq!(absolute.authority, name("b", None));
    for line in [
        "GET mcp",
        "GET *",
        "POST *",
        "GET /a#b",
        "GET /a\"b",
        "GET /<>",
        "GET /%zz",
        "GET /%2",
        "GET http:///mcp",
        "GET http://",
        "GET http://u@b/",
        "GET ftp://b/",
        "GET b:443",
        "CONNECT /",
        "CONNECT b",
        "CONNECT http://b:1/",
        "GET /\u{e4}",
        "GET /\x7f",
        "GET http://b:x/",
    ] {
        assert_eq!(
            error_of_line(&format!("{line} HTTP/1.1")),
            HeadError::Target,
            "{line}"
        );
    }
}

#[test]
fn request_lines() {
    for line in [
        "GET",
        "GET /",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        " GET / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET\t/\tHTTP/1.1",
        "G(T / HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1",
        "GET / HTTP/1.1.1",
        "GET / HTTP/01.1",
        "GET / HTTP/1.01",
        "GET / HTTP/1,1",
        "GET / HTTP",
        "GET / HTTPS/1.1",
        "GET /a b HTTP/1.1",
        "\u{e4} / HTTP/1.1",
    ] {
        assert_eq!(error_of_line(line), HeadError::RequestLine, "{line:?}");
    }
    for version in ["2.0", "0.9", "3.0", "9.9"] {
        let error = error_of_line(&format!("GET / HTTP/{version}"));
        assert_eq!(
            (error, error.status()),
            (HeadError::Version, Status::HttpVersionNotSupported)
        );
    }
    assert_eq!(
        parse(b"GET / HTTP/1.2\r\nHost: a\r\n\r\n").unwrap().version,
        Version::Http11
    );
    for (token, method) in [
        ("GET", Method::Get),
        ("HEAD", Method::Head),
        ("POST", Method::Post),
        ("PUT", Method::Put),
        ("DELETE", Method::Delete),
        ("PATCH", Method::Patch),
        ("OPTIONS", Method::Options),
        ("TRACE", Method::Trace),
        ("FROB", Method::Other),
        ("post", Method::Other),
        ("M-SEARCH", Method::Other),
    ] {
        let request = format!("{token} / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(parse(request.as_bytes()).unwrap().method, method);
    }
}

#[test]
fn limits_hold_in_the_parser_too() {
    let limits = HeadLimits {
        head_bytes_max: 1 << 20,
        request_line_bytes_max: 20,
        fields_max: 40,
    };
    let of_fields = |count: usize| {
        [
            "GET / HTTP/1.1\r\nHost: a\r\n",
            &"A: b\r\n".repeat(count - 1),
            "\r\n",
        ]
        .concat()
    };
    for count in [1, 31, 32, 33, 40] {
        assert_eq!(
            parse_head(of_fields(count).as_bytes(), &limits)
                .unwrap()
                .lines()
                .count(),
            count
        );
    }
    assert_eq!(
        parse_head(of_fields(41).as_bytes(), &limits).unwrap_err(),
        HeadError::TooManyFields
    );
    let few = HeadLimits {
        fields_max: 3,
        ..limits
    };
    assert!(parse_head(of_fields(3).as_bytes(), &few).is_ok());
    assert_eq!(
        parse_head(of_fields(4).as_bytes(), &few).unwrap_err(),
        HeadError::TooManyFields
    );
    let unbounded = HeadLimits {
        fields_max: usize::MAX,
        ..limits
    };
    assert!(parse_head(of_fields(HeadLimits::FIELDS_MAX).as_bytes(), &unbounded).is_ok());
    let error = parse_head(of_fields(HeadLimits::FIELDS_MAX + 1).as_bytes(), &unbounded).unwrap_err();
    assert_eq!(
        (error, error.status()),
        (HeadError::TooManyFields, Status::RequestHeaderFieldsTooLarge)
    );
    let of_line = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(bytes - 14));
    assert!(parse_head(of_line(20).as_bytes(), &limits).is_ok());
    let error = parse_head(of_line(21).as_bytes(), &limits).unwrap_err();
    assert_eq!(
        (error, error.status()),
        (HeadError::RequestLineTooLong, Status::UriTooLong)
    );
}

#[test]
fn persistence_and_upgrades() {
    let of = |version: &str, lines: &str| {
        let request = format!("GET / {version}\r\nHost: a\r\n{lines}\r\n");
        let head = parse(request.as_bytes()).unwrap();
        (head.keep_alive, head.wants_upgrade)
    };
    assert_eq!(of("HTTP/1.1", ""), (true, false));
    assert_eq!(of("HTTP/1.1", "Connection: Close\r\n"), (false, false));
    assert_eq!(
        of("HTTP/1.1", "Connection: foo\r\nConnection: keep-alive, close\r\n"),
        (false, false)
    );
    assert_eq!(of("HTTP/1.0", "Connection: Keep-Alive\r\n"), (true, false));
    assert_eq!(
        of("HTTP/1.0", "Connection: keep-alive\r\nConnection: close\r\n"),
        (false, false)
    );
    assert_eq!(
        of(
            "HTTP/1.1",
            "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
        ),
        (false, true)
    );
    assert_eq!(of("HTTP/1.1", "Upgrade: websocket\r\n"), (true, false));
    assert_eq!(of("HTTP/1.1", "Connection: upgrade\r\n"), (true, false));
    assert_eq!(
        of("HTTP/1.0", "Connection: keep-alive, upgrade\r\nUpgrade: foo\r\n"),
        (true, false)
    );
    let connect = parse(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n").unwrap();
    assert!(!connect.keep_alive);
    let old = parse(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap();
    assert_eq!(old.answer_connection(true), Connection::KeepAlive);
}

#[test]
fn expectations() {
    let of = |version: &str, lines: &str| {
        let request = format!("POST / {version}\r\nHost: a\r\n{lines}\r\n");
        parse(request.as_bytes()).unwrap().expectation
    };
    assert_eq!(
        of("HTTP/1.1", "Expect: 100-Continue\r\nContent-Length: 5\r\n"),
        Expectation::Continue
    );
    assert_eq!(
        of(
            "HTTP/1.1",
            "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n"
        ),
        Expectation::Continue
    );
    assert_eq!(
        of("HTTP/1.1", "Expect: 100-continue\r\nContent-Length: 0\r\n"),
        Expectation::None
    );
    assert_eq!(of("HTTP/1.1", "Expect: 100-continue\r\n"), Expectation::None);
    assert_eq!(
        of("HTTP/1.1", "Expect: 200-maybe\r\nContent-Length: 5\r\n"),
        Expectation::Unknown
    );
    assert_eq!(
        of("HTTP/1.1", "Expect: 100-continue, x\r\nContent-Length: 5\r\n"),
        Expectation::Unknown
    );
    assert_eq!(
        of("HTTP/1.1", "Expect: 100-continue\r\nExpect: x\r\n"),
        Expectation::Unknown
    );
    assert_eq!(
        of("HTTP/1.0", "Expect: x\r\nContent-Length: 5\r\n"),
        Expectation::None
    );
}

/// The fields of a well-formed head, by the plainest means.
fn naive_field(request: &str, wanted: &str) -> Vec<String> {
    let head = request.split("\r\n\r\n").next().unwrap_or_default();
    let fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    let found = fields.filter(|(name, _)| name.to_lowercase() == wanted);
    found
        .map(|(_, value)| value.trim_matches([' ', '\t']).to_owned())
        .collect()
}

fn in_random_case(name: &str, rng: &mut fastrand::Rng) -> String {
    name.chars()
        .map(|c| if rng.bool() { c.to_ascii_uppercase() } else { c })
        .collect()
}

#[test]
fn field_extraction_agrees_with_the_naive_twin() {
    const NAMES: [&str; 15] = [
        "accept",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "origin",
        "transfer-encoding",
        "upgrade",
        "accent",
        "x-method",
        "x-name",
        "x-revision",
    ];
    const OTHERS: [&str; 9] = [
        "x_name",
        "x~name",
        "hos~",
        "x-param-x",
        "x-accept",
        "hos",
        "hostx",
        "accepts",
        "x-names",
    ];
    for_seeds(5000, |rng| {
        let mut request = "POST /mcp HTTP/1.1\r\nHost: localhost\r\n".to_owned();
        for _ in 0..rng.usize(..12) {
            let known = [NAMES.as_slice(), &OTHERS].concat();
            let name = known[rng.usize(..known.len())];
            // These fields would be judged, not only extracted.
            if matches!(name, "host" | "content-length" | "transfer-encoding") {
                continue;
            }
            let name = in_random_case(name, rng);
            let mut space = || ["", " ", "\t", " \t "][rng.usize(..4)];
            let (before, after) = (space(), space());
            let value = ["", "a", "a b", "x:y", "a, b", "\u{e4}", "=?base64?YQ==?="][rng.usize(..7)];
            request += &format!("{name}:{before}{value}{after}\r\n");
        }
        request += "\r\nbody: not a field\r\n\r\n";
        let head = parse(request.as_bytes()).unwrap_or_else(|error| panic!("{error}: {request:?}"));
        let (fields, asked) = (head.fields, head.extra);
        let found = [
            fields.accept,
            fields.authorization,
            fields.connection,
            fields.content_encoding,
            fields.content_length,
            fields.content_type,
            fields.expect,
            fields.host,
            fields.origin,
            fields.transfer_encoding,
            fields.upgrade,
            asked.accent,
            asked.method,
            asked.name,
            asked.revision,
        ];
        for (wanted, field) in NAMES.into_iter().zip(found) {
            let naive = naive_field(&request, wanted);
            let expected = match naive.as_slice() {
                [] => Field::Absent,
                [one] => Field::One(one.as_bytes()),
                _ => Field::Repeated,
            };
            assert_eq!(field, expected, "{wanted}: {request:?}");
            let values = head.values(wanted).collect::<Vec<_>>();
            assert_eq!(
                values,
                naive.iter().map(String::as_bytes).collect::<Vec<_>>(),
                "{wanted}: {request:?}"
            );
        }
    });
}

#[test]
fn random_damage_never_panics_and_never_hides_a_second_length() {
    for_seeds(5000, |rng| {
        let mut request = ECHO.to_vec();
        for _ in 0..rng.usize(1..6) {
            let at = rng.usize(..request.len());
            match rng.u8(..3) {
                0 => request[at] = rng.u8(..),
                1 => request.insert(at, b"\r\n\t :,%/?[]\0\x7f\xff"[rng.usize(..14)]),
                _ => drop(request.remove(at)),
            }
        }
        let limits = HeadLimits::default();
        let mut scanner = super::HeadScanner::default();
        let Ok(Some(length)) = scanner.scan(&request, &limits) else {
            return;
        };
        let Ok(head) = parse_head(&request[..length], &limits) else {
            return;
        };
        let text = String::from_utf8_lossy(&request[..length]);
        let lengths = naive_field(&text, "content-length");
        let expected = match lengths.as_slice() {
            [] => BodyLength::None,
            [one] => BodyLength::Length(one.parse().expect("digits only")),
            _ => panic!("accepted with {lengths:?}"),
        };
        assert_eq!(head.body, expected, "{text}");
    });
}
