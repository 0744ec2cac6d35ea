//! Bodies: JSON by RFC 8259, byte for byte, and unambiguous JSON-RPC envelopes.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::harness::{Dialect, Request, Revision, Shared, case, echo, eras, fixture};

const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
/// The parser's limits, as its messages name them.
const DEPTH_MAX: usize = 128;

/// An `echo` of `MARK` with id 4242 whose body is `change`d as bytes.
fn changed(dialect: &Dialect, change: impl Fn(&[u8]) -> Vec<u8>) -> Request {
    let request = dialect.echo(4242, "MARK");
    let body = change(&request.body);
    request.with_body(body)
}

/// Every occurrence of `from` replaced.
fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert!(bytes.windows(from.len()).any(|window| window == from));
    let mut changed = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        changed.extend_from_slice(&rest[..at]);
        changed.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    changed.extend_from_slice(rest);
    changed
}

/// One more member, in front or at the end.
fn spliced(body: &[u8], member: &str, is_first: bool) -> Vec<u8> {
    let member = member.as_bytes();
    if is_first {
        [b"{", member, b",", &body[1..]].concat()
    } else {
        [&body[..body.len() - 1], b",", member, b"}"].concat()
    }
}

#[test]
fn what_is_no_json_is_a_parse_error_with_the_id_that_can_be_read() {
    let server = Shared::usual();
    for dialect in eras() {
        let whole = dialect.echo(7, "x").body;
        let halves = [&whole[..whole.len() / 2], &whole[..whole.len() - 1], &whole[1..]];
        let others: [&[u8]; 8] = [b"", b"  ", b"\r\n", b"hello", b"{\"a\":}", b"'x'", b"{]", b"\0"];
        let twice = [&whole[..], &whole[..]].concat();
        let trailing = [&whole[..], b" x"].concat();
        let with_id = [halves[0], halves[1], &trailing[..]];
        let without = [halves[2], &twice[..]].into_iter().chain(others);
        let all = with_id.map(|body| (body, json!(7))).into_iter();
        for (body, id) in all.chain(without.map(|body| (body, Value::Null))) {
            let _case = case(String::from_utf8_lossy(body));
            let mut client = server.connect();
            client
                .ask(&dialect.echo(7, "x").with_body(body))
                .assert_error(400, PARSE_ERROR, id);
            client.ask(&dialect.echo(8, "goes on")).assert_echo(8, "goes on");
        }
    }
}

#[test]
fn the_corpus_of_json_texts() {
    let server = Shared::usual();
    let mut files: Vec<_> = std::fs::read_dir(fixture("corpus/json-parsing"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    let count = |kind: &str| {
        let is_kind =
            |path: &&std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(kind);
        files.iter().filter(is_kind).count()
    };
    assert_eq!(
        (count("n_"), count("y_"), count("i_")),
        (188, 95, 35),
        "the corpus is not whole"
    );
    let [modern, legacy] = eras();
    for dialect in [modern, legacy, Dialect::legacy(Revision::BATCHING)] {
        let mut client = server.connect();
        for path in &files {
            let name = path.file_name().unwrap().to_str().unwrap();
            let _case = case(format!("{name} in {}", dialect.revision.0));
            let response = client.ask(&dialect.echo(1, "x").with_body(std::fs::read(path).unwrap()));
            let code = response.json()["error"]["code"].as_i64();
            assert!((400..500).contains(&response.status), "{response:?}");
            assert!(!response.closes());
            match &name[..2] {
                "n_" => assert_eq!((response.status, code), (400, Some(PARSE_ERROR))),
                "y_" => assert_eq!(code, Some(INVALID_REQUEST)),
                _ => assert!([Some(PARSE_ERROR), Some(INVALID_REQUEST)].contains(&code)),
            }
        }
    }
}

#[test]
fn ids_are_strings_or_integers_and_come_back_exactly() {
    let server = Shared::usual();
    for dialect in eras() {
        for id in ["null", "1.5", "true", "false", "{}", "[]", "[1]"] {
            let _case = case(id);
            let response = server.ask(&changed(&dialect, |body| replace(body, b"4242", id.as_bytes())));
            response.assert_error(400, INVALID_REQUEST, Value::Null);
        }
        for id in ["1e400", &"9".repeat(400)] {
            let _case = case(id);
            server
                .ask(&changed(&dialect, |body| replace(body, b"4242", id.as_bytes())))
                .assert_error(400, INVALID_REQUEST, Value::Null);
        }
        for id in [0, 1, -1, (1 << 53) + 1, -(1 << 53) - 1, i64::MAX, i64::MIN] {
            server.ask(&dialect.echo(id, "x")).assert_echo(id, "x");
        }
        // Whole numbers come back exactly as sent, however they are written and however large.
        for id in [
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775809",
            "100000000000000000000",
            &"9".repeat(100),
            "1.0",
            "-1.0",
            "1e2",
            "100e-2",
            "1E+2",
        ] {
            let _case = case(id);
            let response = server.ask(&changed(&dialect, |body| replace(body, b"4242", id.as_bytes())));
            assert_eq!(response.tool_text(), "MARK");
            assert!(
                response.text().contains(&format!("\"id\":{id},")),
                "{}",
                response.text()
            );
            // They do in a refusal too.
            let refused = server.ask(&changed(&dialect, |body| {
                replace(
                    &replace(body, b"4242", id.as_bytes()),
                    b"\"MARK\"",
                    b"\"\\ud800\"",
                )
            }));
            assert_eq!(refused.status, 400);
            assert!(
                refused.text().contains(&format!("\"id\":{id},")),
                "{}",
                refused.text()
            );
        }
        for id in [
            "",
            "1",
            "a b",
            "é\u{2028}中\u{1f600}",
            "q\"\\/\u{8}\n\t",
            "\0\u{1f}",
            "9007199254740993",
            &"x".repeat(5000),
        ] {
            server.ask(&dialect.echo(id, "x")).assert_echo(id, "x");
        }
    }
}

#[test]
fn errors_carry_the_id_wherever_it_can_be_read() {
    let server = Shared::usual();
    let modern = Dialect::modern();
    for (id, message) in [
        (json!("a"), json!({"jsonrpc": "2.0", "id": "a", "method": 5})),
        (json!(3), json!({"jsonrpc": "1.0", "id": 3, "method": "ping"})),
        (json!(4), json!({"id": 4, "method": "ping"})),
        (
            json!(5),
            json!({"jsonrpc": "2.0", "id": 5, "method": "ping", "params": [1]}),
        ),
        (json!(6), json!({"jsonrpc": "2.0", "id": 6})),
        (
            json!(7),
            json!({"jsonrpc": "2.0", "id": 7, "method": "ping", "result": {}}),
        ),
    ] {
        let _case = case(message.to_string());
        server
            .ask(&modern.post(&message))
            .assert_error(400, INVALID_REQUEST, id);
    }
    for message in [
        json!("text"),
        json!(1),
        json!(null),
        json!(true),
        json!({}),
        json!({"jsonrpc": "2.0"}),
    ] {
        let _case = case(message.to_string());
        server
            .ask(&modern.post(&message))
            .assert_error(400, INVALID_REQUEST, Value::Null);
    }
}

#[test]
fn members_that_decide_stand_once() {
    let server = Shared::usual();
    for dialect in eras() {
        let body: Value = serde_json::from_slice(&dialect.echo(4242, "MARK").body).unwrap();
        for (name, other) in [
            ("method", json!("tools/list")),
            ("params", json!({})),
            ("id", json!(99)),
            ("jsonrpc", json!("1.0")),
        ] {
            let escaped = format!("\\u{:04x}{}", u32::from(name.as_bytes()[0]), &name[1..]);
            for member in [
                format!("\"{name}\":{}", body[name]),
                format!("\"{name}\":{other}"),
                format!("\"{escaped}\":{other}"),
                format!("\"{name}\":null"),
            ] {
                for is_first in [true, false] {
                    let _case = case(format!("{member}, first: {is_first}"));
                    let response = server.ask(&changed(&dialect, |body| spliced(body, &member, is_first)));
                    assert_eq!(response.status, 400, "{}", response.text());
                    assert_eq!(response.json()["error"]["code"], INVALID_REQUEST);
                }
            }
        }
    }
}

#[test]
fn no_two_readers_of_one_request_see_different_values() {
    let server = Shared::usual();
    for dialect in eras() {
        for (from, to) in [
            (r#""name":"echo""#, r#""name":"echo","name":"fail""#),
            (r#""name":"echo""#, r#""name":"fail","name":"echo""#),
            (r#""name":"echo""#, r#""name":"echo","n\u0061me":"fail""#),
            (
                r#""arguments":{"#,
                r#""arguments":{"message":"other"},"arguments":{"#,
            ),
            (r#""message":"MARK""#, r#""message":"MARK","message":5"#),
            (r#""message":"MARK""#, r#""message":5,"message":"MARK""#),
            (r#""message":"MARK""#, r#""message":"other","message":"MARK""#),
        ] {
            let _case = case(format!("{to} in {}", dialect.revision.0));
            let response = server.ask(&changed(&dialect, |body| {
                replace(body, from.as_bytes(), to.as_bytes())
            }));
            let is_refused = response.json().get("error").is_some() || response.is_tool_error();
            assert!(is_refused, "{}", response.text());
        }
    }
    // The server runs what it checks: a duration past the schema's bound can be slept under neither name.
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"sleep","arguments":{"ms":1,"ms":99999999}}}"#;
    let response = server.ask(&Request::post(&body[..]));
    assert!(
        response.json().get("error").is_some() || response.is_tool_error(),
        "{}",
        response.text()
    );
}

#[test]
fn member_names_match_byte_for_byte() {
    let server = Shared::usual();
    for dialect in eras() {
        for name in [
            "Method",
            "METHOD",
            "ｍethod",
            "method ",
            " method",
            "metho\u{64}\u{301}",
            "method\\u0000",
            "method\\u0000x",
        ] {
            let _case = case(name);
            let renamed = changed(&dialect, |body| {
                replace(body, b"\"method\":", format!("\"{name}\":").as_bytes())
            });
            server.ask(&renamed).assert_error(400, INVALID_REQUEST, 4242);
            // Beside the true one, such a member is one of the unknown ones.
            for is_first in [true, false] {
                let member = format!("\"{name}\":\"tools/list\"");
                server
                    .ask(&changed(&dialect, |body| spliced(body, &member, is_first)))
                    .assert_echo(4242, "MARK");
            }
        }
        for name in [
            "Message",
            "MESSAGE",
            "me\u{17f}\u{17f}age",
            "message\\u0000",
            "messag\u{435}",
        ] {
            let _case = case(name);
            let renamed = changed(&dialect, |body| {
                replace(body, b"\"message\":", format!("\"{name}\":").as_bytes())
            });
            assert!(server.ask(&renamed).is_tool_error());
        }
        let escaped = changed(&dialect, |body| {
            replace(body, b"\"method\"", br#""\u006d\u0065thod""#)
        });
        server.ask(&escaped).assert_echo(4242, "MARK");
    }
}

#[test]
fn strings_are_unicode_or_refused() {
    let server = Shared::usual();
    for dialect in eras() {
        let with = |bytes: &[u8]| changed(&dialect, |body| replace(body, b"MARK", bytes));
        for bytes in [
            &b"\xff"[..],
            b"\xc0\xaf",
            b"\xc1\xbf",
            b"\xe0\x80\xaf",
            b"\xf0\x80\x80\xaf",
            b"\xed\xa0\xbd\xed\xb0\x80",
            b"\xed\xa0\x80",
            b"\xed\xbf\xbf",
            b"\xf4\x90\x80\x80",
            b"\xf8\x88\x80\x80\x80",
            b"\xe2\x82",
            b"\x80",
            b"a\xc3",
            b"\0",
            b"\n",
            b"\x1f",
            b"\\x41",
            b"\\u12",
            b"\\uzzzz",
            b"\\",
        ] {
            let _case = case(format!("{bytes:x?}"));
            server.ask(&with(bytes)).assert_error(400, PARSE_ERROR, 4242);
        }
        for escape in [
            r"\ud800",
            r"\udc00",
            r"\ud800A",
            r"\ud800\u0041",
            r"\ud800\ud800",
            r"\udc00\ud800",
            r"\uDBFF",
        ] {
            let _case = case(escape);
            let response = server.ask(&with(escape.as_bytes()));
            let error = response.assert_error(400, INVALID_REQUEST, 4242);
            let words = error["message"].as_str().unwrap().to_lowercase();
            assert!(words.contains("/params/arguments/message"), "{words}");
            assert!(words.contains(&escape[..6].to_lowercase()), "{words}");
            // Even where nobody reads the string, it is not text.
            let beside = changed(&dialect, |body| {
                spliced(body, &format!("\"x\":[\"{escape}\"]"), true)
            });
            let error = server.ask(&beside);
            let error = error.assert_error(400, INVALID_REQUEST, 4242);
            assert!(error["message"].as_str().unwrap().contains("\"/x/0\""), "{error}");
        }
        for (raw, text) in [
            (r"\ud83d\ude00", "\u{1f600}"),
            (r"\uD83D\uDE00", "\u{1f600}"),
            (r"\u0000\u001f", "\0\u{1f}"),
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (
                "\u{7f}\u{feff}\u{fffe}\u{10ffff}",
                "\u{7f}\u{feff}\u{fffe}\u{10ffff}",
            ),
        ] {
            server.ask(&with(raw.as_bytes())).assert_echo(4242, text);
        }
        let marked = changed(&dialect, |body| [b"\xef\xbb\xbf", body].concat());
        server.ask(&marked).assert_error(400, PARSE_ERROR, 4242);
        let wide = changed(&dialect, |body| body.iter().flat_map(|byte| [*byte, 0]).collect());
        server.ask(&wide).assert_error(400, PARSE_ERROR, Value::Null);
    }
}

#[test]
fn deep_nesting_is_refused_and_moderate_nesting_is_not() {
    let server = Shared::usual();
    let deep = 100_000;
    let closed =
        |open: &str, inner: &str, close: &str| [&*open.repeat(deep), inner, &*close.repeat(deep)].concat();
    for (name, body, code) in [
        ("open arrays", "[".repeat(deep), PARSE_ERROR),
        ("open objects", "{\"a\":".repeat(deep), PARSE_ERROR),
        ("closed arrays", closed("[", "", "]"), INVALID_REQUEST),
        ("closed objects", closed("{\"a\":", "1", "}"), INVALID_REQUEST),
        ("mixed", closed("[{\"a\":", "1", "}]"), INVALID_REQUEST),
    ] {
        let _case = case(name);
        server
            .ask(&echo(1, "x").with_body(body))
            .assert_error(400, code, Value::Null);
    }
    let nested = |depth: usize| {
        let value = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        changed(&Dialect::modern(), |body| {
            spliced(body, &format!("\"x\":{value}"), false)
        })
    };
    server.ask(&nested(64)).assert_echo(4242, "MARK");
    server.ask(&nested(DEPTH_MAX - 1)).assert_echo(4242, "MARK");
    for depth in [DEPTH_MAX, 1_000, deep] {
        let refused = server.ask(&nested(depth));
        let error = refused.assert_error(400, INVALID_REQUEST, 4242);
        assert!(
            error["message"].as_str().unwrap().contains("128 levels"),
            "{error}"
        );
    }
}

#[test]
fn extreme_numbers_are_taken_or_refused_by_name() {
    let server = Shared::usual();
    for number in [
        "1e999999999",
        "-1e999999999",
        "1e-999999999",
        "-0",
        "-0.0",
        "0e0",
        "1E+2",
        "123456789012345678901234567890",
        &"9".repeat(5000),
        &format!("0.{}1", "0".repeat(5000)),
        &format!("1{}e-5000", "0".repeat(5000)),
        &"1".repeat(1 << 20),
    ] {
        let _case = case(&number[..number.len().min(40)]);
        for dialect in eras() {
            for is_first in [true, false] {
                let member = format!("\"x\":{{\"y\":[{number}]}}");
                let ignored = changed(&dialect, |body| spliced(body, &member, is_first));
                server.ask(&ignored).assert_echo(4242, "MARK");
            }
            let argument = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"sleep","arguments":{{"ms":{number}}}}}}}"#
            );
            // Without a session and a header it is a request of 2025-03-26, which has errors for wrong arguments.
            let response = server.ask(&Request::post(argument));
            let value: Result<Value, _> = serde_json::from_str(number);
            match value.as_ref().ok().and_then(Value::as_f64) {
                Some(value) if value.abs() < 0.5 && value.fract() == 0.0 => {
                    assert_eq!(response.tool_text(), "slept 0 ms");
                }
                Some(1.0) => assert_eq!(response.tool_text(), "slept 1 ms"),
                Some(100.0) => assert_eq!(response.tool_text(), "slept 100 ms"),
                Some(_) => {
                    let error = response.assert_error(200, -32602, 1);
                    assert_eq!(error["data"]["violations"][0]["path"], "/ms", "{error}");
                }
                None => {
                    let error = response.assert_error(200, -32602, 1);
                    assert_eq!(
                        error["data"]["violations"],
                        json!([{"path": "/ms", "message": "the number is beyond the range of a double"}])
                    );
                }
            }
        }
    }
}

/// Quadratic work on these would take minutes; the client's patience is the bound.
#[test]
fn a_hundred_thousand_members_cost_linear_time() {
    let server = Shared::usual();
    let mut members = String::new();
    for number in 0..100_000_u64 {
        write!(
            members,
            "\"same prefix of every name {:x}\":{},",
            number * 4096,
            number % 10
        )
        .unwrap();
    }
    for place in [r#""_meta":{"#, r#""arguments":{"#, r#""params":{"#, "{"] {
        let _case = case(place);
        let request = Dialect::legacy(Revision::NEWEST_LEGACY).request(
            1,
            "tools/call",
            json!({"name": "echo", "arguments": {"message": "MARK"}, "_meta": {"a": 1}}),
        );
        let body = String::from_utf8(request.body.clone()).unwrap();
        let body = body.replacen(place, &format!("{place}{members}"), 1);
        server.ask(&request.with_body(body)).assert_echo(1, "MARK");
    }
}

#[test]
fn too_many_values_are_refused() {
    let server = Shared::usual();
    let body = format!("[{}0]", "0,".repeat(1 << 20));
    let refused = server.ask(&echo(1, "x").with_body(body));
    refused.assert_error(400, INVALID_REQUEST, Value::Null);
    for is_first in [true, false] {
        let member = format!("\"x\":[{}0]", "0,".repeat(1 << 20));
        let refused = server.ask(&changed(&Dialect::modern(), |body| {
            spliced(body, &member, is_first)
        }));
        refused.assert_error(400, INVALID_REQUEST, 4242);
    }
}

#[test]
fn null_is_none_where_a_value_may_be_missing() {
    let server = Shared::usual();
    for dialect in eras() {
        for (method, params) in [
            ("tools/list", json!({"cursor": null})),
            ("resources/list", json!({"cursor": null})),
            ("resources/templates/list", json!({"cursor": null})),
            ("prompts/list", json!({"cursor": null})),
        ] {
            let _case = case(format!("{method} {params} in {}", dialect.revision.0));
            let (with, without) = (
                server.ask(&dialect.request(1, method, params)),
                server.ask(&dialect.request(1, method, json!({}))),
            );
            assert_eq!(with.result(), without.result());
        }
        let meta = json!({"progressToken": null});
        let arguments = json!({"message": "x"});
        server
            .ask(&dialect.tool_with(1, "echo", arguments, meta))
            .assert_echo(1, "x");
    }
    let legacy = Dialect::legacy(Revision::NEWEST_LEGACY);
    for method in ["ping", "tools/list", "prompts/list"] {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": null});
        server.ask(&legacy.post(&message)).result();
    }
    let told = json!({"jsonrpc": "2.0", "method": "notifications/initialized", "params": null});
    for dialect in eras() {
        server.ask(&dialect.post(&told)).assert_status(202);
    }
    let params =
        json!({"protocolVersion": "2025-11-25", "capabilities": null, "clientInfo": null, "_meta": null});
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    assert_eq!(
        server.ask(&Request::post(message.to_string())).result()["protocolVersion"],
        "2025-11-25"
    );
    let mut optional = Dialect::envelope();
    optional["io.modelcontextprotocol/clientInfo"] = Value::Null;
    optional["io.modelcontextprotocol/logLevel"] = Value::Null;
    let params = json!({"name": "echo", "arguments": {"message": "x"}, "_meta": optional, "inputResponses": null, "requestState": null});
    server
        .ask(&Dialect::modern().request(1, "tools/call", params))
        .assert_echo(1, "x");
}

#[test]
fn content_encodings_are_not_supported() {
    let server = Shared::usual();
    for dialect in eras() {
        for coding in [
            "gzip",
            "br",
            "deflate",
            "zstd",
            "x-unknown",
            "identity, gzip",
            "gzip, identity",
        ] {
            let _case = case(coding);
            server
                .ask(&dialect.echo(1, "x").plus("Content-Encoding", coding))
                .assert_status(415);
        }
        server
            .ask(&dialect.echo(1, "x").plus("Content-Encoding", "identity"))
            .assert_echo(1, "x");
    }
}
