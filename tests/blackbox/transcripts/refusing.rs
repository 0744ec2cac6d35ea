//! Bytes that cannot be read or are not a message: no client is left waiting for an answer to them, and the server does
//! not answer answers.

use serde_json::{Value, json};

use super::Feature;
use crate::harness::case;

const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;

#[test]
fn a_refusal_has_the_id_of_what_it_refuses() {
    Feature::Refusals.run(|conversation| {
        let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
        for (member, code) in [
            (r#""x":"cut \ud83d""#.to_owned(), INVALID_REQUEST),
            (r#""x":["\ude00"]"#.to_owned(), INVALID_REQUEST),
            (r#""\ud83d\ud83d":1"#.to_owned(), INVALID_REQUEST),
            (format!("\"x\":{deep}"), INVALID_REQUEST),
            ("\"params\":[1]".to_owned(), INVALID_REQUEST),
            ("\"params\":7".to_owned(), INVALID_REQUEST),
            ("\"x\":tru".to_owned(), PARSE_ERROR),
            ("\"x\":[1,]".to_owned(), PARSE_ERROR),
            ("\"x\":NaN".to_owned(), PARSE_ERROR),
            ("\"x\":01".to_owned(), PARSE_ERROR),
            (format!("\"x\":{}", "[".repeat(3)), PARSE_ERROR),
        ] {
            for id in [json!(701), json!("seven \"zero\" two")] {
                let _case = case(format!("{} {id}", &member[..member.len().min(40)]));
                conversation.send_raw(format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"method":"ping",{member}}}"#
                ));
                conversation.error(&id, code);
                if member.ends_with('[') {
                    // A member behind it counts as deeper.
                    continue;
                }
                conversation.send_raw(format!(
                    r#"{{{member},"method":"ping","id":{id},"jsonrpc":"2.0"}}"#
                ));
                conversation.error(&id, code);
            }
        }
        conversation.send_raw(r#"{"jsonrpc":"2.0","id":703,"method":"#);
        conversation.error(&json!(703), PARSE_ERROR);
        conversation.send_raw(r#"{"jsonrpc":"2.0","id":704,"id":705,"method":"ping","x":tru}"#);
        conversation.error(&Value::Null, PARSE_ERROR);
        // A number beyond the range of a double is no id.
        conversation.send_raw(r#"{"jsonrpc":"2.0","id":1e999,"method":"ping"}"#);
        conversation.error(&Value::Null, INVALID_REQUEST);
    });
}

#[test]
fn answers_and_notifications_are_not_answered() {
    Feature::Refusals.run(|conversation| {
        let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
        for message in [
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}"#,
            r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"}}"#,
            r#"{"jsonrpc":"2.0","id":801,"error":{"code":-32603,"message":"x"}}"#,
            r#"{"jsonrpc":"2.0","id":"nobody asked","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":802,"result":{},"error":null}"#,
            r#"{"jsonrpc":"2.0","id":803,"result":{},"error":{"code":1,"message":"x"}}"#,
            r#"{"jsonrpc":"2.0","id":null,"result":{}}"#,
            r#"{"id":804,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":805,"result":{"x":"\ud83d"}}"#,
            r#"{"jsonrpc":"2.0","id":806,"result":{"x":1e999}}"#,
            r#"{"jsonrpc":"2.0","id":807,"result":{"x":tru}}"#,
            &format!(r#"{{"jsonrpc":"2.0","id":808,"result":{deep}}}"#),
            r#"{"jsonrpc":"2.0","method":"notifications/x","params":null}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"notifications/x"}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/x","params":[]}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/x","params":{"x":"\ud83d"}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/x","params":{"x":1e999}}"#,
            r#"{"jsonrpc":"1.0","method":"notifications/x"}"#,
            r#"{"jsonrpc":"2.0","method":7}"#,
            &format!(r#"{{"jsonrpc":"2.0","method":"notifications/x","params":{{"x":{deep}}}}}"#),
        ] {
            let _case = case(&message[..message.len().min(90)]);
            conversation.send_unanswered(message);
            conversation.assert_quiet();
        }
    });
}

#[test]
fn numbers_of_any_size_pass_where_nobody_reads_them() {
    Feature::LargeNumbers.run(|conversation| {
        for number in ["18446744073709551616", "-100000000000000000000", "1e999", "-1e999"] {
            for message in [
                format!(r#"{{"jsonrpc":"2.0","id":901,"method":"ping","x":{number}}}"#),
                format!(r#"{{"x":[{{"y":{number}}}],"params":{{"_meta":{{"z":{number}}}}},"method":"ping","id":901,"jsonrpc":"2.0"}}"#),
            ] {
                let _case = case(&message);
                conversation.send_raw(message);
                assert_eq!(conversation.result(&json!(901)), json!({}));
            }
        }
        for id in ["1.0", "1e2", "100000000000000000000", "-18446744073709551616"] {
            let _case = case(id);
            conversation.send_raw(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#));
            let id: Value = serde_json::from_str(id).unwrap();
            assert_eq!(conversation.result(&id), json!({}));
        }
        for token in [json!(1.0), json!(1e20), json!(u64::MAX)] {
            let id = conversation.call_with("progress", json!({"steps": 1, "delay_ms": 0}), json!({"progressToken": token}));
            let told = conversation.notification("notifications/progress");
            assert_eq!(told["progressToken"], token);
            conversation.result(&id);
        }
        let large = conversation.call("sleep", json!({"ms": 1e20}));
        let answer = conversation.answer(&large);
        assert!(answer.to_string().contains("/ms"), "{answer}");
        assert_eq!(conversation.text_of("sleep", json!({"ms": 1.0})), "slept 1 ms");
    });
}

#[test]
fn a_refused_answer_ends_the_call_that_waits_for_it() {
    Feature::RefusedAnswer.run(|conversation| {
        let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
        for result in [
            r#"{"action":"accept","content":{"x":"\ud83d"}}"#,
            r#"{"action":"accept","content":{"x":1e999}}"#,
            r#"{"action":"accept","content":{"x":tru}}"#,
            r#"{"action":"accept"},"error":{"code":1,"message":"both"}"#,
            r#"{"action":"accept"},"jsonrpc":"2.0""#,
            &deep,
        ] {
            let _case = case(&result[..result.len().min(60)]);
            let call = conversation.call("ask", json!({"question": "Which?"}));
            let question = conversation.message();
            assert_eq!(question["method"], "elicitation/create", "{question}");
            let id = &question["id"];
            conversation.send_unanswered(format!(r#"{{"jsonrpc":"2.0","result":{result},"id":{id}}}"#));
            let refused = conversation.result(&call);
            assert_eq!(refused["isError"], true, "{refused}");
            let text = refused["content"][0]["text"].as_str().unwrap();
            assert!(text.contains("the client's answer was refused"), "{text}");
        }
        // `null` beside a result is no error.
        for result in [
            r#""result":{"action":"decline"},"error":null"#,
            r#""error":null,"result":{"action":"decline"},"method":null,"params":null"#,
        ] {
            let call = conversation.call("ask", json!({"question": "Which?"}));
            let question = conversation.message();
            let id = &question["id"];
            conversation.send_unanswered(format!(r#"{{"jsonrpc":"2.0",{result},"id":{id}}}"#));
            let declined = conversation.result(&call);
            assert!(!declined.to_string().contains("refused"), "{declined}");
        }
    });
}
