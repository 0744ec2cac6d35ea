//! Servers behind a proxy: many clients of all revisions on few connections, and one client on many. Only its bytes
//! belong to a connection.

use serde_json::{Value, json};

use crate::harness::{
    Client, Dialect, EventStream, Request, Revision, Server, Shared, Watched, assert_updated, case,
    connect_to, eventually, subscribe, unsubscribe, uri_of,
};

/// A session of each legacy revision, several times, and modern clients between them.
fn crowd(server: &Server, times: usize) -> Vec<Dialect> {
    let mut all = Vec::new();
    for _ in 0..times {
        for revision in Revision::ALL_LEGACY {
            all.push(server.open_session(&Dialect::legacy(revision).able(json!({"elicitation": {}}))));
        }
        all.push(Dialect::modern());
    }
    all
}

#[test]
fn sessions_open_live_and_end_on_one_connection() {
    let server = Shared::usual();
    let mut proxy = server.connect();
    let mut sessions = Vec::new();
    for turn in 0..5 {
        for revision in Revision::ALL_LEGACY {
            let dialect = Dialect::legacy(revision);
            let opened = proxy.ask(&dialect.initialize(turn));
            let session = Dialect {
                session: Some(opened.field("mcp-session-id").unwrap().to_owned()),
                ..dialect
            };
            proxy
                .ask(&session.notification("notifications/initialized", json!({})))
                .assert_status(202);
            sessions.push(session);
        }
    }
    let (ended, kept) = sessions.split_at(10);
    for session in ended {
        let id = session.session.as_deref().unwrap();
        proxy
            .ask(&Request::new("DELETE", "/mcp").plus("Mcp-Session-Id", id))
            .assert_status(200);
    }
    for session in ended {
        proxy.ask(&session.echo(1, "x")).assert_status(404);
    }
    for (number, session) in kept.iter().enumerate() {
        let secret = format!("secret {number}");
        proxy.ask(&session.echo(1, &secret)).assert_echo(1, &secret);
        proxy.ask(&Dialect::modern().echo(2, "m")).assert_echo(2, "m");
    }
}

#[test]
fn streams_of_many_sessions_follow_each_other_on_one_connection() {
    let server = Shared::usual();
    let mut proxy = server.connect();
    for (number, client) in crowd(&server, 4).iter().enumerate() {
        let _case = case(format!("client {number}, {}", client.revision.0));
        let arguments = json!({"steps": 2, "delay_ms": 0});
        let meta = json!({"progressToken": number});
        let mut stream = proxy.open(&client.tool_with("same", "progress", arguments, meta));
        for _ in 0..2 {
            let params = stream.notification("notifications/progress");
            assert_eq!(params["progressToken"], number);
        }
        stream.answer("same");
        proxy = stream.into_client();
    }
}

#[test]
fn what_a_session_subscribes_to_is_its_own() {
    let server = Watched::start(&[]);
    let mut proxy = connect_to(&server, 0);
    let sessions: Vec<Dialect> = (0..6)
        .map(|_| server.open_session(&Dialect::legacy(Revision::NEWEST_LEGACY)))
        .collect();
    let mut streams: Vec<EventStream> = sessions
        .iter()
        .enumerate()
        .map(|(number, session)| connect_to(&server, number % 2).open(&session.get_stream()))
        .collect();
    // All come over one connection: the even ones subscribe to one file, the odd ones to another.
    for (number, session) in sessions.iter().enumerate() {
        subscribe(&mut proxy, session, ["a.txt", "b.txt"][number % 2]);
        subscribe(&mut proxy, session, "c.txt");
        if number % 3 == 0 {
            unsubscribe(&mut proxy, session, "c.txt");
            subscribe(&mut proxy, session, "c.txt");
        }
    }
    server.change("a.txt");
    server.change("b.txt");
    for (number, stream) in streams.iter_mut().enumerate() {
        let _case = case(format!("session {number}"));
        assert_updated(stream, ["a.txt", "b.txt"][number % 2], None);
    }
    server.change("c.txt");
    for (number, stream) in streams.iter_mut().enumerate() {
        let _case = case(format!("session {number}"));
        assert_updated(stream, "c.txt", Some(["a.txt", "b.txt"][number % 2]));
    }
}

#[test]
fn log_levels_are_per_session() {
    let server = Shared::usual();
    let mut proxy = server.connect();
    let sessions = Revision::ALL_LEGACY.map(|revision| server.open_session(&Dialect::legacy(revision)));
    for (session, level) in sessions.iter().zip(["debug", "emergency", "notice", "error"]) {
        let _case = case(session.revision.0);
        let request = session.request(1, "logging/setLevel", json!({"level": level}));
        assert_eq!(proxy.ask(&request).result(), &json!({}));
        for wrong in [
            json!({"level": "loud"}),
            json!({}),
            json!({"level": 3}),
            json!({"level": "Debug"}),
        ] {
            proxy
                .ask(&session.request(2, "logging/setLevel", wrong))
                .assert_error(200, -32602, 2);
        }
    }
}

#[test]
fn questions_are_answered_through_a_proxy() {
    let server = Shared::usual();
    let dialect = Dialect::legacy(Revision::NEWEST_LEGACY).able(json!({"elicitation": {}}));
    let mut proxy: Client = server.connect();
    let sessions: Vec<Dialect> = (0..8).map(|_| server.open_session(&dialect)).collect();
    let mut calls: Vec<(EventStream, Value, Value)> = sessions
        .iter()
        .map(|session| {
            let mut stream = server.open(&session.tool("same", "ask", json!({"question": "Who?"})));
            let (id, form) = stream.question("elicitation/create");
            (stream, id, form)
        })
        .collect();
    for (number, session) in sessions.iter().enumerate().rev() {
        let (_, id, form) = &calls[number];
        let field = form["requestedSchema"]["properties"]
            .as_object()
            .unwrap()
            .keys()
            .next()
            .unwrap()
            .clone();
        let answer = json!({"action": "accept", "content": {field: format!("secret-{number}-")}});
        proxy.ask(&session.response(id, &answer)).assert_status(202);
    }
    for (number, (stream, ..)) in calls.iter_mut().enumerate() {
        let answer = stream.answer("same");
        let said = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(said.contains(&format!("secret-{number}-")), "{answer}");
    }
}

#[test]
fn equal_ids_of_different_sessions_are_cancelled_apart() {
    let server = Server::start(&["--shards", "2", "--pool-size", "8"]);
    let sessions = [(); 3].map(|()| server.open_session(&Dialect::legacy(Revision::NEWEST_LEGACY)));
    let mut streams = sessions
        .each_ref()
        .map(|session| server.open(&session.progress("same", 60, 20)));
    for stream in &mut streams {
        stream.notification("notifications/progress");
    }
    let mut proxy = server.connect();
    proxy.ask(&sessions[1].cancelled("same")).assert_status(202);
    let rests = streams.each_mut().map(EventStream::rest);
    for (number, rest) in rests.iter().enumerate() {
        let has_answer = rest.last().is_some_and(|message| message["id"] == "same");
        assert_eq!(has_answer, number != 1, "session {number}: {rest:?}");
    }
    eventually("all is over", || server.busy_handlers() == 0);
}

#[test]
fn a_crowd_reads_and_lists_through_few_connections() {
    let server = Watched::start(&[]);
    let mut proxies = [connect_to(&server, 0), connect_to(&server, 1)];
    for (number, client) in crowd(&server, 3).iter().enumerate() {
        let _case = case(format!("client {number}, {}", client.revision.0));
        let proxy = &mut proxies[number % 2];
        let read = client.request(number, "resources/read", json!({"uri": uri_of("a.txt")}));
        let answer = proxy.ask(&read);
        assert_eq!(answer.json()["id"], number);
        assert_eq!(answer.result()["contents"][0]["uri"], uri_of("a.txt").as_str());
        proxy.ask(&client.request(1, "tools/list", json!({}))).result();
    }
}
