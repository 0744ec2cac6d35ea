//! Several requests on one connection, sent without waiting for answers: they are answered in order, and none is lost.

use serde_json::json;

use crate::harness::{Dialect, Request, Revision, Shared, case, echo, tool};

#[test]
fn a_hundred_pipelined_requests_are_answered_in_order() {
    let server = Shared::usual();
    let (sleeper, spinner) = (20, 60);
    let requests: Vec<Request> = (0..100)
        .map(|id| match id {
            id if id == sleeper => tool(id, "sleep", json!({"ms": 200})),
            id if id == spinner => tool(id, "spin", json!({"ms": 100})),
            id => echo(id, &format!("pipelined {id}")),
        })
        .collect();
    let bytes: Vec<u8> = requests.iter().flat_map(Request::encode).collect();
    let (first, second) = bytes.split_at(bytes.len() / 2 + 7);
    let mut client = server.connect();
    client.send_bytes(first);
    client.send_bytes(second);
    for id in 0..100 {
        let response = client.receive();
        match id {
            id if id == sleeper => assert_eq!(response.tool_text(), "slept 200 ms"),
            id if id == spinner => assert_eq!(response.tool_text(), "spun 100 ms"),
            id => response.assert_echo(id, &format!("pipelined {id}")),
        }
        assert_eq!(response.json()["id"], id);
    }
    assert!(client.is_silent());
}

#[test]
fn every_kind_of_answer_keeps_its_place() {
    let server = Shared::usual();
    let modern = Dialect::modern();
    let legacy = Dialect::legacy(Revision::NEWEST_LEGACY);
    let turns: [(Request, u16); 12] = [
        (echo(0, "a"), 200),
        (
            modern.notification("notifications/cancelled", json!({"requestId": 9})),
            202,
        ),
        (tool(1, "sleep", json!({"ms": 30})), 200),
        (modern.request(2, "no/such", json!({})), 404),
        (legacy.request(3, "ping", json!({})), 200),
        (
            Request::new("GET", "/mcp").plus("Accept", "text/event-stream"),
            405,
        ),
        (tool(4, "spin", json!({"ms": 5})), 200),
        (Request::post("{"), 400),
        (echo(5, "b").with("Content-Type", "text/plain"), 415),
        (Request::new("HEAD", "/mcp"), 405),
        (tool(6, "fail", json!({"how": "error"})), 200),
        (echo(7, "z"), 200),
    ];
    for framing in ["length", "chunked"] {
        let _case = case(framing);
        let mut client = server.connect();
        let mut bytes = Vec::new();
        for (request, status) in &turns {
            client.expect(request);
            let is_chunked = framing == "chunked" && *status == 200;
            bytes.extend(if is_chunked {
                request.encode_chunked(&[3])
            } else {
                request.encode()
            });
        }
        client.send_bytes(&bytes);
        for (at, (_, status)) in turns.iter().enumerate() {
            let _case = case(format!("answer {at}"));
            client.receive().assert_status(*status);
        }
        assert!(client.is_silent());
    }
}

#[test]
fn pipelined_requests_larger_than_any_buffer() {
    let server = Shared::usual();
    let message = |id: usize| format!("{id}-").repeat(100_000);
    let bytes: Vec<u8> = (0..6).flat_map(|id| echo(id, &message(id)).encode()).collect();
    let mut client = server.connect();
    std::thread::scope(|scope| {
        let mut reader = client.second_hand();
        scope.spawn(move || {
            for id in 0..6 {
                reader.receive().assert_echo(id, &message(id));
            }
        });
        client.send_bytes(&bytes);
    });
}

#[test]
fn what_is_pipelined_behind_a_call_is_answered_though_its_client_sends_no_more() {
    let server = Shared::usual();
    let legacy = Dialect::legacy(Revision::NEWEST_LEGACY);
    let requests = [
        legacy.tool(0, "sleep", json!({"ms": 200})),
        legacy.request(1, "ping", json!({})),
        legacy.tool(2, "sleep", json!({"ms": 10})),
        legacy.tool(3, "spin", json!({"ms": 5})),
        legacy.echo(4, "last"),
    ];
    for is_at_once in [true, false] {
        let _case = case(format!("at once: {is_at_once}"));
        let mut client = server.connect();
        if is_at_once {
            client.send_bytes(&requests.each_ref().map(Request::encode).concat())
        } else {
            requests.iter().for_each(|request| client.send(request))
        }
        client.finish();
        for id in 0..requests.len() {
            assert_eq!(client.receive().json()["id"], id);
        }
        client.assert_closed();
    }
}

#[test]
fn a_client_that_finishes_sending_still_gets_its_answer() {
    let server = Shared::usual();
    let mut client = server.connect();
    client.send(&echo(1, "last words"));
    client.finish();
    client.receive().assert_echo(1, "last words");
    client.assert_closed();
}
