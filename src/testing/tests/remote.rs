//! The client over TCP, against a server that runs and against one that is played.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::{Value, json};

use super::*;
use crate::server::Server;

#[test]
fn a_running_server_is_the_same_to_it() {
    let mut registry = registry().edit();
    registry.tools_list_changed();
    let builder = Server::builder("test", "1")
        .listen(([127, 0, 0, 1], 0).into())
        .shards(1)
        .pool_size(4);
    let server = builder.start(registry.build()).unwrap();
    for revision in Revision::ALL {
        let mut client = Client::connect(&server.url()).revision(revision);
        client = client.answer(|_| Reply::accept(json!({"name": "Ada"})));
        assert_eq!(
            client.call("greet", json!({"name": "Ada"})).text(),
            "Hello, Ada!",
            "{revision:?}"
        );
        assert_eq!(client.read("test://about").text(), "About it.");
        if revision >= Revision::V2025_06_18 {
            assert_eq!(client.call("book", json!({})).text(), "booked for Ada");
        }
        client.subscribe("test://about");
        server.handle().resource_updated("test://about");
        assert_eq!(client.next_notification()["params"]["uri"], "test://about");
        let call = client.begin("wait", json!({"seconds": 3600}));
        client.cancel(call);
        assert_eq!(client.call("sum", json!({})).text(), r#"{"sum":7}"#);
    }
}

/// Plays a server that answers `tools/list` with a tool whose results have a schema, and any call with `result`.
fn play(result: Value) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut read = Vec::new();
        loop {
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).unwrap_or(0);
            if count == 0 {
                return;
            }
            read.extend_from_slice(&bytes[..count]);
            let Some(request) = whole(&read) else { continue };
            let schema = json!({"type": "object", "required": ["sum"]});
            let tool = json!({"name": "sum", "inputSchema": {"type": "object"}, "outputSchema": schema});
            let result = if request["method"] == "tools/list" {
                json!({"resultType": "complete", "ttlMs": 0, "cacheScope": "private", "tools": [tool]})
            } else {
                result.clone()
            };
            let body = json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).unwrap();
            read.clear();
        }
    });
    url
}

fn whole(bytes: &[u8]) -> Option<Value> {
    let at = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    serde_json::from_slice(&bytes[at + 4..]).ok()
}

fn content(structured: Value) -> Value {
    json!({"resultType": "complete", "content": [], "structuredContent": structured})
}

#[test]
fn a_result_that_is_as_it_should_be_is_taken() {
    let answer = Client::connect(&play(content(json!({"sum": 7})))).call("sum", json!({}));
    assert_eq!(answer.structured(), &json!({"sum": 7}));
}

#[test]
#[should_panic(expected = "structuredContent breaks the tool's output schema")]
fn a_structured_result_that_breaks_its_schema_is_found() {
    Client::connect(&play(content(json!({})))).call("sum", json!({}));
}

#[test]
#[should_panic(expected = "no structuredContent")]
fn a_structured_result_that_is_missing_is_found() {
    let result = json!({"resultType": "complete", "content": []});
    Client::connect(&play(result)).call("sum", json!({}));
}

#[test]
#[should_panic(expected = "no CallToolResult of 2026-07-28")]
fn a_result_that_is_none_of_the_specification_is_found() {
    Client::connect(&play(json!({"resultType": "complete"}))).call("sum", json!({}));
}
