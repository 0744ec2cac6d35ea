//! Answers to POST as event streams: when a call gets one, its contents, and the fate of the connection.

use serde_json::{Value, json};

use crate::harness::{
    Client, Dialect, Ending, EventStream, Request, Revision, Server, Shared, case, connect_to, echo,
    eventually,
};

/// A client of each revision, the legacy ones with a session and without.
fn dialects(server: &Server) -> Vec<Dialect> {
    let legacy = Revision::ALL_LEGACY.map(Dialect::legacy);
    let sessions: Vec<_> = legacy
        .iter()
        .map(|dialect| server.open_session(dialect))
        .collect();
    legacy
        .into_iter()
        .chain(sessions)
        .chain([Dialect::modern()])
        .collect()
}

fn name_of(dialect: &Dialect) -> String {
    let session = if dialect.session.is_some() {
        " in a session"
    } else {
        ""
    };
    format!("{}{session}", dialect.revision.0)
}

/// Reads `steps` notifications of progress, each further than the last.
#[track_caller]
fn assert_progress(stream: &mut EventStream, token: &Value, steps: usize) {
    let mut last = f64::NEG_INFINITY;
    for _ in 0..steps {
        let params = stream.notification("notifications/progress");
        assert_eq!(&params["progressToken"], token, "{params}");
        let progress = params["progress"].as_f64().unwrap();
        assert!(progress > last, "{progress} after {last}");
        assert!(
            params["total"].as_f64().is_none_or(|total| progress <= total),
            "{params}"
        );
        last = progress;
    }
}

/// Only event streams are accepted.
fn streams_only(request: &Request) -> Request {
    request.clone().with("Accept", "text/event-stream")
}

#[test]
fn progress_is_told_on_a_stream_that_ends_with_the_answer() {
    let server = Shared::usual();
    for dialect in dialects(&server) {
        let _case = case(name_of(&dialect));
        let mut stream = server.open(&dialect.progress("call", 3, 1));
        assert!(stream.is_chunked());
        assert_progress(&mut stream, &json!("token"), 3);
        let answer = stream.answer("call");
        assert_eq!(answer["result"]["content"][0]["type"], "text", "{answer}");
        // The connection goes on.
        let mut client = stream.into_client();
        client.ask(&dialect.echo(2, "on")).assert_echo(2, "on");
        let mut again = client.open(&dialect.progress(3, 2, 0));
        assert_progress(&mut again, &json!("token"), 2);
        again.answer(3);
    }
}

#[test]
fn ids_and_priming_are_for_sessions_of_the_revisions_that_know_them() {
    let server = Shared::usual();
    for dialect in dialects(&server) {
        let _case = case(name_of(&dialect));
        let mut stream = server.open(&dialect.progress(1, 2, 0));
        let first = stream.next_event().unwrap();
        let is_resumable = dialect.session.is_some();
        let is_primed = is_resumable && dialect.revision >= Revision::NEWEST_LEGACY;
        assert_eq!(first.is_priming(), is_primed, "{first:?}");
        assert_eq!(first.id.is_some(), is_resumable, "{first:?}");
        let mut ids: Vec<Option<String>> = vec![first.id];
        while let Some(event) = stream.next_event() {
            ids.push(event.id);
        }
        assert!(ids.iter().all(|id| id.is_some() == is_resumable), "{ids:?}");
        assert_eq!(ids.len(), 3 + usize::from(is_primed), "{ids:?}");
        if is_resumable {
            let mut unique = ids.clone();
            unique.sort();
            unique.dedup();
            assert_eq!(unique.len(), ids.len(), "{ids:?}");
        }
    }
}

#[test]
fn what_has_nothing_to_tell_is_answered_in_json() {
    let server = Shared::usual();
    for dialect in dialects(&server) {
        let _case = case(name_of(&dialect));
        let mut client = server.connect();
        let silent = dialect.tool(1, "progress", json!({"steps": 3, "delay_ms": 1}));
        assert!(!client.ask(&silent).is_tool_error(), "nobody wants progress");
        let token = json!({"progressToken": 7});
        client
            .ask(&dialect.tool_with(2, "echo", json!({"message": "x"}), token))
            .assert_echo(2, "x");
        client.ask(&dialect.request(3, "tools/list", json!({}))).result();
    }
}

#[test]
fn who_accepts_streams_only_gets_streams_only() {
    let server = Shared::usual();
    for dialect in dialects(&server) {
        let _case = case(name_of(&dialect));
        let mut client = server.connect();
        for (id, request) in [
            ("echo", dialect.echo("echo", "x")),
            ("list", dialect.request("list", "tools/list", json!({}))),
            ("unknown", dialect.tool("unknown", "no-such-tool", json!({}))),
        ] {
            let mut stream = client.open(&streams_only(&request));
            let answer = stream.answer(id);
            assert_eq!(answer.get("error").is_some(), id == "unknown", "{answer}");
            client = stream.into_client();
        }
        let mut stream = client.open(&streams_only(&dialect.tool("nap", "sleep", json!({"ms": 20}))));
        assert_eq!(
            stream.answer("nap")["result"]["content"][0]["text"],
            "slept 20 ms"
        );
    }
}

#[test]
fn tokens_come_back_as_they_were() {
    let server = Shared::usual();
    for dialect in [Dialect::modern(), Dialect::legacy(Revision("2025-03-26"))] {
        for token in [
            json!(0),
            json!(-1),
            json!(9_007_199_254_740_993_i64),
            json!(""),
            json!("a \"quoted\" ☃\n\u{1}"),
            json!("x".repeat(200)),
        ] {
            let _case = case(format!("{} {token}", dialect.revision.0));
            let arguments = json!({"steps": 2, "delay_ms": 0});
            let meta = json!({"progressToken": token});
            let mut stream = server.open(&dialect.tool_with(1, "progress", arguments, meta));
            assert_progress(&mut stream, &token, 2);
            stream.answer(1);
        }
    }
}

#[test]
fn requests_behind_a_stream_wait_for_its_end() {
    let server = Shared::usual();
    for dialect in dialects(&server) {
        let _case = case(name_of(&dialect));
        let mut client = server.connect();
        let requests = [
            dialect.progress(1, 3, 5),
            dialect.echo(2, "behind"),
            dialect.progress(3, 2, 5),
            dialect.echo(4, "last"),
        ];
        let bytes: Vec<u8> = requests.iter().flat_map(Request::encode).collect();
        requests.iter().for_each(|request| client.expect(request));
        client.send_bytes(&bytes);
        let mut first = client.receive_stream();
        assert_progress(&mut first, &json!("token"), 3);
        first.answer(1);
        let mut client = first.into_client();
        client.receive().assert_echo(2, "behind");
        let mut second = client.receive_stream();
        assert_progress(&mut second, &json!("token"), 2);
        second.answer(3);
        second.into_client().receive().assert_echo(4, "last");
    }
}

#[test]
fn a_request_sent_while_a_stream_runs_is_answered_behind_it() {
    let server = Shared::usual();
    for dialect in [Dialect::modern(), Dialect::legacy(Revision::NEWEST_LEGACY)] {
        let _case = case(name_of(&dialect));
        let mut stream = server.open(&dialect.progress(1, 4, 5));
        assert_progress(&mut stream, &json!("token"), 1);
        stream.client().send(&dialect.echo(2, "behind"));
        stream.rest();
        stream.into_client().receive().assert_echo(2, "behind");
    }
}

#[test]
fn who_cannot_read_chunks_is_told_the_end_by_the_end() {
    let server = Shared::usual();
    for dialect in [Dialect::modern(), Dialect::legacy(Revision::NEWEST_LEGACY)] {
        let _case = case(name_of(&dialect));
        let old = dialect.progress(1, 3, 1).with_version("HTTP/1.0");
        for request in [old.clone(), old.plus("Connection", "keep-alive")] {
            let mut stream = server.open(&request);
            assert!(!stream.is_chunked());
            assert_progress(&mut stream, &json!("token"), 3);
            stream.answer(1);
        }
        // Asked to close, HTTP/1.1 still says where the stream ends.
        let closing = dialect.progress(2, 2, 1).plus("Connection", "close");
        let mut stream = server.open(&closing);
        assert!(stream.is_chunked() && stream.head().closes());
        assert_progress(&mut stream, &json!("token"), 2);
        stream.answer(2);
        stream.into_client().assert_closed();
    }
}

#[test]
fn many_streams_at_once_keep_to_themselves() {
    let server = Shared::usual();
    let dialects = dialects(&server);
    let mut streams: Vec<(usize, EventStream)> = (0..60)
        .map(|number| {
            let dialect = &dialects[number % dialects.len()];
            let arguments = json!({"steps": 5, "delay_ms": 3});
            let meta = json!({"progressToken": number});
            // All calls have one id: only their streams tell the answers apart.
            (
                number,
                server.open(&dialect.tool_with("same", "progress", arguments, meta)),
            )
        })
        .collect();
    for (number, stream) in &mut streams {
        let _case = case(format!("stream {number}"));
        assert_progress(stream, &json!(*number), 5);
        stream.answer("same");
    }
}

#[test]
fn both_shards_stream() {
    let server = Shared::usual();
    for shard in 0..2 {
        let _case = case(format!("shard {shard}"));
        let mut stream = connect_to(&server, shard).open(&Dialect::modern().progress(1, 3, 1));
        assert_progress(&mut stream, &json!("token"), 3);
        stream.answer(1);
    }
}

#[test]
fn silent_streams_show_life() {
    let server = Server::start(&["--stream-after", "50ms", "--stream-keep-alive", "50ms"]);
    let dialects = dialects(&server);
    let mut streams: Vec<EventStream> = dialects
        .iter()
        // The call has nothing to report, and still gets a stream, since it takes long.
        .map(|dialect| server.open(&dialect.tool("nap", "sleep", json!({"ms": 1_000}))))
        .collect();
    for (stream, dialect) in streams.iter_mut().zip(&dialects) {
        let _case = case(name_of(dialect));
        assert_eq!(
            stream.answer("nap")["result"]["content"][0]["text"],
            "slept 1000 ms"
        );
        assert!(stream.comments() >= 2, "{} comments", stream.comments());
    }
    let listen = json!({"notifications": {"toolsListChanged": true}});
    let mut listening = server.open(&Dialect::modern().request(1, "subscriptions/listen", listen));
    listening.notification("notifications/subscriptions/acknowledged");
    let session = server.open_session(&Dialect::legacy(Revision::NEWEST_LEGACY));
    let mut get_stream = server.open(&session.get_stream());
    assert!(get_stream.next_event().unwrap().is_priming());
    let oldest = server.open_session(&Dialect::legacy(Revision("2024-11-05")));
    let mut unprimed = server.open(&oldest.get_stream());
    for stream in [&mut listening, &mut get_stream, &mut unprimed] {
        for _ in 0..3 {
            assert_eq!(stream.comment(), "");
        }
    }
    // Clients that read chunks and clients that do not both get signs of life.
    let mut old = server.open(
        &session
            .tool(2, "sleep", json!({"ms": 400}))
            .with_version("HTTP/1.0"),
    );
    old.answer(2);
    assert!(old.comments() >= 1);
}

#[test]
fn a_drain_lets_streams_end_with_their_answers() {
    let mut server = Server::start(&[]);
    let session = server.open_session(&Dialect::legacy(Revision::NEWEST_LEGACY));
    let mut streams: Vec<EventStream> = [Dialect::modern(), session]
        .iter()
        .map(|dialect| server.open(&dialect.progress(1, 20, 50)))
        .collect();
    for stream in &mut streams {
        assert_progress(stream, &json!("token"), 1);
    }
    server.signal(rustix::process::Signal::TERM);
    for mut stream in streams {
        let rest = stream.rest();
        assert_eq!(rest.last().unwrap()["id"], 1, "{rest:?}");
        assert_eq!(rest.len(), 20, "nothing is lost: {rest:?}");
        stream.into_client().assert_closed();
    }
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_drain_past_its_time_ends_streams_all_the_same() {
    let mut server = Server::start(&["--drain-timeout", "300ms"]);
    let mut stream = server.open(&Dialect::modern().progress(1, 1_000, 50));
    assert_progress(&mut stream, &json!("token"), 1);
    server.signal(rustix::process::Signal::TERM);
    // The stream ends, in order or not.
    while let Ok(Some(_)) = stream.try_frame() {}
    server.wait();
}

/// A client that half-closes has sent all its requests; it still listens.
#[test]
fn a_half_closed_client_hears_its_stream_to_the_end() {
    let server = Shared::usual();
    for dialect in dialects(&server) {
        let _case = case(name_of(&dialect));
        let mut client = server.connect();
        client.send(&dialect.progress(1, 3, 5));
        let mut stream = client.receive_stream();
        assert_progress(&mut stream, &json!("token"), 1);
        stream.client().finish();
        // A modern client's FIN may mean that it leaves: then nothing more is owed.
        if !dialect.is_modern() {
            assert_progress(&mut stream, &json!("token"), 2);
            stream.answer(1);
        }
    }
}

#[test]
fn a_stream_holds_no_more_than_its_call_does() {
    let server = Server::start(&["--pool-size", "4"]);
    let mut streams: Vec<EventStream> = (0..4)
        .map(|_| server.open(&Dialect::modern().progress(1, 2_000, 20)))
        .collect();
    for stream in &mut streams {
        assert_progress(stream, &json!("token"), 1);
    }
    assert_eq!(server.busy_handlers(), 4);
    streams.into_iter().for_each(EventStream::leave);
    eventually("the handlers are free", || server.busy_handlers() == 0);
    server.ask(&echo(1, "x")).assert_echo(1, "x");
}

#[test]
fn head_and_framing_are_whole_whatever_the_split() {
    let server = Shared::usual();
    let bytes = Dialect::modern().progress(1, 2, 0).encode();
    for at in (1..bytes.len()).step_by(bytes.len() / 12) {
        let _case = case(format!("split at {at}"));
        let mut client: Client = server.connect();
        client.send_bytes(&bytes[..at]);
        assert!(client.is_silent());
        client.send_bytes(&bytes[at..]);
        let mut stream = client.receive_stream();
        assert_progress(&mut stream, &json!("token"), 2);
        stream.answer(1);
    }
}

#[test]
fn a_killed_server_is_noticed() {
    let server = Server::start(&[]);
    let mut stream = server.open(&Dialect::modern().progress(1, 1_000, 20));
    assert_progress(&mut stream, &json!("token"), 1);
    server.kill();
    let ending = loop {
        match stream.try_frame() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("no order behind SIGKILL"),
            Err(ending) => break ending,
        }
    };
    assert!(matches!(ending, Ending::Closed(_) | Ending::Reset(_)));
}
