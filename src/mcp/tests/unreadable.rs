//! Messages that are refused before anything is done with them: the refusal has the request's id, says what is wrong,
//! and is never an answer to an answer.

use super::*;
use crate::registry::AnswerError;

const LEGACY: Revision = Revision::V2025_11_25;
const HEADERS: [(&str, &str); 1] = [("mcp-protocol-version", "2025-11-25")];

/// A ping of id 7 with one more member, in front of the others or behind them.
fn pings(member: &str) -> [String; 2] {
    [
        format!(r#"{{"jsonrpc":"2.0","id":7,"method":"ping",{member}}}"#),
        format!(r#"{{{member},"method":"ping","params":{{"id":1}},"jsonrpc":"2.0","id":7}}"#),
    ]
}

#[test]
fn refusals_say_what_is_wrong_and_carry_the_id() {
    let mut server = Server::new();
    let deep = format!("\"x\":{}{}", "[".repeat(200), "]".repeat(200));
    let many = format!("\"x\":[{}0]", "0,".repeat(crate::jsonrpc::VALUES_MAX));
    for (member, code, words) in [
        (
            r#""x":"cut \ud83d""#,
            -32600,
            r#""/x" has the unpaired surrogate \ud83d"#,
        ),
        (
            r#""x":[{"y/z":"\udE00"}]"#,
            -32600,
            r#""/x/0/y~1z" has the unpaired surrogate \ude00"#,
        ),
        (r#""\ud83d":1"#, -32600, "unpaired surrogate"),
        (&deep, -32600, "128 levels"),
        (&many, -32600, "values"),
        (r#""x":tru"#, -32700, "not a valid JSON text"),
        (r#""x":01"#, -32700, "not a valid JSON text"),
        (r#""params":5"#, -32600, "`params`"),
    ] {
        for body in pings(member) {
            let body = body.replace(r#""params":{"id":1},"#, "");
            let answer = server.post(LEGACY, &HEADERS, &body);
            let shown = &body[..body.len().min(60)];
            assert_eq!(answer.refusal(), (400, code), "{shown}");
            assert_eq!(answer.body["id"], 7, "{shown}");
            let message = answer.body["error"]["message"].as_str().unwrap();
            assert!(message.contains(words), "{shown}: {message}");
        }
    }
}

#[test]
fn large_numbers_are_taken_where_nobody_reads_them() {
    let mut server = Server::new();
    for number in ["18446744073709551616", "-1e999", &"9".repeat(1000)] {
        for body in pings(&format!(r#""x":{number}"#)) {
            // The schema's validator cannot read such numbers.
            let mut out = Vec::new();
            let request_context = request_context(&HEADERS);
            drop(server.protocol.decode(
                &request_context,
                body.as_bytes(),
                &mut server.scratch,
                &server.state,
                &mut out,
            ));
            assert_eq!(out, br#"{"jsonrpc":"2.0","id":7,"result":{}}"#);
        }
    }
    let sum = |terms: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"sum","arguments":{{"terms":{terms}}}}}}}"#
        )
    };
    let fits = server.post(LEGACY, &HEADERS, sum("[1.0,2e1]"));
    assert_eq!(fits.body["result"]["structuredContent"]["sum"], 21);
    for terms in ["[1,1e999]", "[1,-1e999,2]"] {
        let words = "/terms/1: the number is beyond the range of a double";
        let body = sum(terms);
        let mut out = Vec::new();
        let request_context = request_context(&HEADERS);
        let step = server.protocol.decode(
            &request_context,
            body.as_bytes(),
            &mut server.scratch,
            &server.state,
            &mut out,
        );
        let Step::Work(work) = step else {
            panic!("{step:?}")
        };
        let Err(StartError::Violations(violations)) = work.check(&server.tools) else {
            panic!("{terms} is taken");
        };
        assert!(violations.text().contains(words), "{}", violations.text());
    }
}

#[test]
fn progress_tokens_are_repeated_as_they_came() {
    let mut server = Server::new();
    for token in ["1.0", "100000000000000000000", "-0.0", "1e400", "7", r#""x""#] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"_meta":{{"progressToken":{token}}},"name":"echo","arguments":{{"message":"m"}}}}}}"#
        );
        let mut out = Vec::new();
        let step = server.protocol.decode(
            &request_context(&HEADERS),
            body.as_bytes(),
            &mut server.scratch,
            &server.state,
            &mut out,
        );
        let Step::Work(work) = step else {
            panic!("{step:?}")
        };
        let mut written = Vec::new();
        work.ticket().progress_token().unwrap().write(&mut written);
        assert_eq!(String::from_utf8(written).unwrap(), token);
    }
    for token in ["1.5", "true", "{}", "[]"] {
        let params =
            format!(r#"{{"_meta":{{"progressToken":{token}}},"name":"echo","arguments":{{"message":"m"}}}}"#);
        let params: Value = serde_json::from_str(&params).unwrap();
        assert_eq!(
            server.legacy(LEGACY, "tools/call", params).refusal(),
            (200, -32602),
            "{token}"
        );
    }
    let none = json!({"_meta": {"progressToken": null}, "name": "echo", "arguments": {"message": "m"}});
    assert_eq!(server.legacy(LEGACY, "tools/call", none).text(), "m");
}

#[test]
fn what_wants_no_answer_gets_none() {
    let mut server = Server::new();
    let session = server.open_session(LEGACY);
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for (body, status) in [
        (
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"?"}}"#.to_owned(),
            202,
        ),
        (
            r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"?"}}"#.to_owned(),
            202,
        ),
        (r#"{"jsonrpc":"2.0","id":5,"result":{}}"#.to_owned(), 202),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/initialized","params":null}"#.to_owned(),
            202,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/initialized","x":1e999}"#.to_owned(),
            202,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/initialized","params":[]}"#.to_owned(),
            400,
        ),
        (
            r#"{"jsonrpc":"1.0","method":"notifications/initialized"}"#.to_owned(),
            400,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/initialized","params":{"x":"\ud83d"}}"#.to_owned(),
            400,
        ),
        (
            format!(r#"{{"jsonrpc":"2.0","method":"m","params":{{"x":{deep}}}}}"#),
            400,
        ),
        (r#"{"jsonrpc":"2.0","id":null,"result":{}}"#.to_owned(), 400),
        (r#"{"id":"q","result":{}}"#.to_owned(), 400),
        (r#"{"jsonrpc":"2.0","id":"q","result":{"x":tru}}"#.to_owned(), 400),
        (r#"{"jsonrpc":"2.0","id":"q","result":{"x":"#.to_owned(), 400),
        (
            r#"{"jsonrpc":"2.0","id":"q","result":{},"error":{}}"#.to_owned(),
            400,
        ),
    ] {
        let answer = server.post(LEGACY, &[("mcp-session-id", &session)], &body);
        assert_eq!((answer.status, answer.body), (status, Value::Null), "{body}");
    }
}

#[test]
fn a_refused_answer_is_told_to_the_call_that_waits_for_it() {
    let mut server = Server::new();
    let session = server.open_session(LEGACY);
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for (at, (result, words)) in [
        (r#"{"content":{"x":"\ud83d"}}"#, "/result/content/x"),
        (r#"{"content":{"x":1e999}}"#, "beyond the range of a double"),
        (r#"{"content":{"x":tru}}"#, "not a valid JSON text"),
        (&deep, "128 levels"),
        (r#"{},"error":{"code":1,"message":"x"}"#, "a message has either"),
        (r#"{},"result":{}"#, "more than once"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = format!(r#"{{"result":{result},"id":"q-{at}","jsonrpc":"2.0"}}"#);
        let answer = server.post(LEGACY, &[("mcp-session-id", &session)], &body);
        assert_eq!((answer.status, answer.body), (400, Value::Null), "{body}");
        let answers = server.state.answers.borrow();
        assert_eq!(answers.len(), at + 1, "{body}");
        let (_, question, error) = answers.last().unwrap();
        assert_eq!(*question, format!("q-{at}"));
        let Err(AnswerError::Unreadable(why)) = error else {
            panic!("{error:?}")
        };
        assert!(why.contains(words), "{why}");
    }
}

#[test]
fn one_of_result_and_error_may_be_null() {
    let mut server = Server::new();
    let session = server.open_session(LEGACY);
    for body in [
        r#"{"jsonrpc":"2.0","id":"q","result":{"a":1},"error":null}"#,
        r#"{"jsonrpc":"2.0","id":"q","method":null,"params":null,"error":null,"result":{"a":1}}"#,
    ] {
        let answer = server.post(LEGACY, &[("mcp-session-id", &session)], body);
        assert_eq!(answer.status, 202);
        let (_, _, answered) = server.state.answers.borrow_mut().pop().unwrap();
        assert_eq!(answered, Ok(json!({"a": 1})));
    }
    let refused = r#"{"jsonrpc":"2.0","id":"q","result":null,"error":{"code":-1,"message":"no"}}"#;
    assert_eq!(
        server
            .post(LEGACY, &[("mcp-session-id", &session)], refused)
            .status,
        202
    );
    let (_, _, answered) = server.state.answers.borrow_mut().pop().unwrap();
    assert!(
        matches!(answered, Err(AnswerError::Refused { code: -1, .. })),
        "{answered:?}"
    );
}

#[test]
fn each_request_of_a_refused_batch_is_answered_on_a_channel() {
    let mut server = Server::new();
    let channel = RequestContext {
        via: Via::Channel(ChannelContext {
            token: SessionToken([1; 16]),
            session: None,
        }),
        ..request_context(&HEADERS)
    };
    let mut post = |body: &str| {
        let mut out = b"HEAD".to_vec();
        let step = server.protocol.decode(
            &channel,
            body.as_bytes(),
            &mut server.scratch,
            &server.state,
            &mut out,
        );
        let Step::Reply(reply) = step else {
            panic!("{step:?}")
        };
        answer(&reply, &out).body
    };
    let refused = post(
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},5,{"jsonrpc":"2.0","method":"m"},{"id":"b","method":7}]"#,
    );
    let ids: Vec<&Value> = refused
        .as_array()
        .unwrap()
        .iter()
        .map(|error| &error["id"])
        .collect();
    assert_eq!(ids, [&json!(1), &json!("b")]);
    assert!(
        refused
            .as_array()
            .unwrap()
            .iter()
            .all(|error| error["error"]["code"] == -32600)
    );
    for body in ["[]", "[1,2]", r#"[{"jsonrpc":"2.0","method":5}]"#] {
        assert_eq!(post(body)["error"]["code"], -32600, "{body}");
    }
}
