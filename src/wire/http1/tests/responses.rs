//! Response heads, byte for byte and as another parser reads them.

use super::super::{
    BodyLength, Connection, Cors, HEAD_RESERVE, OwnField, ResponseHead, Status, UpgradeOffer, origin_value,
    write_bodyless, write_head_before, write_switching_protocols,
};

const EXPOSED: &str = "X-Own, Retry-After, WWW-Authenticate";
const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

fn written(head: &ResponseHead<'_>) -> String {
    let mut buffer = Vec::new();
    write_bodyless(&mut buffer, head);
    String::from_utf8(buffer).unwrap()
}

#[test]
fn a_head_ends_where_the_body_begins() {
    let body = br#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    let mut buffer = [vec![0; HEAD_RESERVE + 3], body.to_vec()].concat();
    let start = write_head_before(
        &mut buffer,
        HEAD_RESERVE + 3,
        &ResponseHead::json(Status::Ok, body.len(), DATE),
    );
    let expected = "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\n\
                    Content-Length: 36\r\n\r\n";
    assert_eq!(&buffer[start..], [expected.as_bytes(), body].concat());
    assert!(buffer[..start].iter().all(|byte| *byte == 0));
}

#[test]
fn the_longest_head_fits_the_reserve() {
    let value = "x".repeat(256);
    let origin = format!("https://{}:65535", "x".repeat(253));
    assert_eq!(origin_value(origin.as_bytes()), Some(origin.as_str()));
    let head = ResponseHead {
        status: Status::RequestHeaderFieldsTooLarge,
        content_type: Some("text/event-stream"),
        body: BodyLength::Length(u64::MAX),
        connection: Connection::KeepAlive,
        date: DATE,
        allow: Some("GET, POST, DELETE, OPTIONS"),
        retry_after_seconds: Some(u32::MAX),
        own: Some(OwnField {
            name: "X-Own: ",
            value: &value,
        }),
        is_live: true,
        upgrade: Some(UpgradeOffer::WebSocket),
        www_authenticate: Some(&value),
        cors: Cors::ReadableBy {
            origin: &origin,
            exposed: EXPOSED,
        },
    };
    let text = written(&head);
    assert!(text.len() <= HEAD_RESERVE, "{}", text.len());
    let mut fields = [httparse::EMPTY_HEADER; 18];
    let mut response = httparse::Response::new(&mut fields);
    assert_eq!(
        response.parse(text.as_bytes()),
        Ok(httparse::Status::Complete(text.len()))
    );
    let names = response
        .headers
        .iter()
        .map(|field| field.name)
        .collect::<Vec<_>>();
    let expected = [
        "Date",
        "Content-Type",
        "Content-Length",
        "Allow",
        "Retry-After",
        "Cache-Control",
        "X-Accel-Buffering",
        "X-Own",
        "WWW-Authenticate",
        "Vary",
        "Access-Control-Allow-Origin",
        "Access-Control-Expose-Headers",
        "Upgrade",
        "Sec-WebSocket-Version",
        "Connection",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_streams_head_says_that_nothing_may_hold_it_back() {
    let chunked = written(&ResponseHead::event_stream(BodyLength::Chunked, DATE));
    let expected = "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/event-stream\r\n\
                    Transfer-Encoding: chunked\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n\r\n";
    assert_eq!(chunked, expected);
    let until_closed = written(&ResponseHead::event_stream(BodyLength::None, DATE));
    assert_eq!(
        until_closed,
        expected.replace("Transfer-Encoding: chunked\r\n", "")
    );
}

#[test]
fn a_426_names_what_to_ask_for() {
    let head = ResponseHead {
        connection: Connection::Close,
        upgrade: Some(UpgradeOffer::WebSocket),
        ..ResponseHead::empty(Status::UpgradeRequired, DATE)
    };
    let expected = "HTTP/1.1 426 Upgrade Required\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\
                    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nConnection: close, Upgrade\r\n\r\n";
    assert_eq!(written(&head), expected);
}

#[test]
fn a_101_answers_the_key_and_names_the_subprotocol_if_there_is_one() {
    let switching = |subprotocol| {
        let mut out = b"before".to_vec();
        write_switching_protocols(&mut out, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", subprotocol);
        String::from_utf8(out).unwrap()
    };
    let plain = "beforeHTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    assert_eq!(switching(None), plain);
    let named = plain.replace("xOo=\r\n", "xOo=\r\nSec-WebSocket-Protocol: mcp\r\n");
    assert_eq!(switching(Some("mcp")), named);
}

#[test]
fn every_status_without_a_body() {
    for status in Status::ALL {
        let text = written(&ResponseHead::empty(status, DATE));
        let mut fields = [httparse::EMPTY_HEADER; 4];
        let mut response = httparse::Response::new(&mut fields);
        assert_eq!(
            response.parse(text.as_bytes()),
            Ok(httparse::Status::Complete(text.len()))
        );
        assert_eq!(
            (response.code, response.reason),
            (Some(status.code()), Some(status.reason()))
        );
        // A client that saw neither length nor chunks would wait for the end of the connection.
        assert_eq!(
            text.contains("\r\nContent-Length: 0\r\n"),
            status != Status::NoContent,
            "{text}"
        );
    }
}

#[test]
fn the_rest_of_the_fields() {
    let with = |change: fn(&mut ResponseHead<'static>)| {
        let mut head = ResponseHead::empty(Status::ServiceUnavailable, DATE);
        change(&mut head);
        written(&head)
    };
    assert!(with(|head| head.connection = Connection::Close).ends_with("\r\nConnection: close\r\n\r\n"));
    assert!(with(|head| head.retry_after_seconds = Some(1)).contains("\r\nRetry-After: 1\r\n"));
    assert!(with(|head| head.allow = Some("POST")).contains("\r\nAllow: POST\r\n"));
    let chunked = with(|head| head.body = BodyLength::Chunked);
    assert!(chunked.contains("\r\nTransfer-Encoding: chunked\r\n") && !chunked.contains("Content-Length"));
}

#[test]
fn a_page_is_told_that_it_may_read() {
    let with = |cors| {
        written(&ResponseHead {
            cors,
            ..ResponseHead::empty(Status::Accepted, DATE)
        })
    };
    let plain = with(Cors::Unsaid);
    let varies = plain.replace("\r\n\r\n", "\r\nVary: Origin\r\n\r\n");
    assert_eq!(with(Cors::Varies), varies);
    let readable = varies.replace(
        "\r\n\r\n",
        "\r\nAccess-Control-Allow-Origin: http://a:1\r\n\
         Access-Control-Expose-Headers: X-Own, Retry-After, WWW-Authenticate\r\n\r\n",
    );
    let origin = "http://a:1";
    assert_eq!(
        with(Cors::ReadableBy {
            origin,
            exposed: EXPOSED
        }),
        readable
    );
}

#[test]
fn only_what_a_browser_can_have_sent_is_repeated() {
    for origin in ["null", "http://localhost:8080", "vscode-webview://abc", "x"] {
        assert_eq!(origin_value(origin.as_bytes()), Some(origin));
    }
    let long = "x".repeat(300);
    for other in ["", "a b", "a\tb", "\u{e4}", &long] {
        assert_eq!(origin_value(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn bodyless_heads_are_appended() {
    let mut buffer = b"before".to_vec();
    write_bodyless(&mut buffer, &ResponseHead::empty(Status::Accepted, DATE));
    let expected =
        "beforeHTTP/1.1 202 Accepted\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&buffer), expected);
}

#[test]
#[should_panic(expected = "no field value of ours")]
fn a_value_cannot_split_the_answer() {
    let mut head = ResponseHead::empty(Status::Ok, DATE);
    head.own = Some(OwnField {
        name: "X-Own: ",
        value: "a\r\nSet-Cookie: b",
    });
    written(&head);
}

#[test]
#[should_panic(expected = "no room for a head")]
fn a_body_without_reserve_is_a_bug() {
    write_head_before(
        &mut [0; HEAD_RESERVE],
        HEAD_RESERVE - 1,
        &ResponseHead::empty(Status::Ok, DATE),
    );
}
