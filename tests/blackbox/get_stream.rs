//! The legacy GET stream: which clients get one, what its events carry, and resuming after a lost connection.

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{
    Client, Dialect, EventStream, Request, Revision, Server, Shared, Watched, assert_updated, case,
    connect_to, eventually_some, subscribe,
};

fn newest() -> Dialect {
    Dialect::legacy(Revision::NEWEST_LEGACY)
}

/// A stream that replaces one whose end the server may not have seen yet.
#[track_caller]
fn open_when_free(server: &Server, shard: usize, session: &Dialect) -> EventStream {
    eventually_some("the GET stream is free", || {
        let mut client = connect_to(server, shard);
        client.send(&session.get_stream());
        if client.is_stream_next() {
            return Some(client.receive_stream());
        }
        assert_eq!(client.receive().status, 409);
        None
    })
}

/// Opens a GET stream on a shard, and reads its priming event.
#[track_caller]
fn open_primed(client: Client, request: &Request) -> EventStream {
    let mut stream = client.open(request);
    let event = stream.next_event().unwrap();
    assert!(event.is_priming(), "{event:?}");
    stream
}

#[test]
fn only_a_session_has_one() {
    let server = Shared::usual();
    let session = server.open_session(&newest());
    let mut client = server.connect();
    client.ask(&newest().get_stream()).assert_status(405);
    for wrong in ["no-such-session", ""] {
        let stranger = Dialect {
            session: Some(wrong.to_owned()),
            ..newest()
        };
        client.ask(&stranger.get_stream()).assert_status(404);
    }
    let cut = Dialect {
        session: session.session.as_deref().map(|id| id[1..].to_owned()),
        ..newest()
    };
    client.ask(&cut.get_stream()).assert_status(404);
    // Requests that no stream can answer.
    for accept in ["application/json", "text/html"] {
        client
            .ask(&session.get_stream().with("Accept", accept))
            .assert_status(406);
    }
    let unknown = session.get_stream().with("MCP-Protocol-Version", "1999-01-01");
    client.ask(&unknown).assert_status(400);
    // The modern era has no GET stream at all.
    let modern = Dialect::modern().get_stream();
    assert_eq!(
        client.ask(&modern).assert_status(405).field("allow"),
        Some("POST")
    );
    client.ask(&session.echo(1, "x")).assert_echo(1, "x");
}

#[test]
fn priming_and_retry_are_for_the_revision_that_knows_them() {
    let server = Watched::start(&[]);
    for revision in Revision::ALL_LEGACY {
        let _case = case(revision.0);
        let session = server.open_session(&Dialect::legacy(revision));
        let mut stream = server.open(&session.get_stream());
        subscribe(&mut server.connect(), &session, "a.txt");
        server.change("a.txt");
        let first = stream.next_event().unwrap();
        let is_primed = revision >= Revision::NEWEST_LEGACY;
        assert_eq!(first.is_priming(), is_primed, "{first:?}");
        assert!(first.id.is_some(), "{first:?}");
        if is_primed {
            assert!(first.retry_ms.is_some_and(|ms| ms > 0), "{first:?}");
            assert_updated(&mut stream, "a.txt", None);
        } else {
            let message = first.message.as_ref().unwrap();
            assert_eq!(message["method"], "notifications/resources/updated");
            assert_eq!(stream.retry_ms(), None);
        }
        assert!(stream.last_event_id().is_some());
    }
}

#[test]
fn a_second_one_is_refused_and_harms_nobody() {
    let server = Watched::start(&[]);
    let session = server.open_session(&newest());
    let other = server.open_session(&newest());
    let mut stream = open_primed(connect_to(&server, 0), &session.get_stream());
    for shard in 0..2 {
        let _case = case(format!("shard {shard}"));
        let mut second = connect_to(&server, shard);
        second.ask(&session.get_stream()).assert_status(409);
        second.ask(&session.echo(1, "x")).assert_echo(1, "x");
    }
    // Every session has its own.
    let mut others = open_primed(connect_to(&server, 1), &other.get_stream());
    subscribe(&mut server.connect(), &session, "a.txt");
    subscribe(&mut server.connect(), &other, "b.txt");
    server.change("a.txt");
    assert_updated(&mut stream, "a.txt", None);
    server.change("b.txt");
    assert_updated(&mut others, "b.txt", None);
    // When the stream is gone, the next may come, on any shard.
    stream.leave();
    let mut next = open_when_free(&server, 1, &session);
    server.change("a.txt");
    assert_updated(&mut next, "a.txt", None);
}

#[test]
fn a_lost_stream_goes_on_behind_the_last_event_on_any_shard() {
    let server = Watched::start(&[]);
    for (from, to) in [(0, 0), (0, 1), (1, 0)] {
        for revision in Revision::ALL_LEGACY {
            let _case = case(format!("{}: from shard {from} to {to}", revision.0));
            let session = server.open_session(&Dialect::legacy(revision));
            for name in ["a.txt", "b.txt", "c.txt"] {
                subscribe(&mut server.connect(), &session, name);
            }
            let mut stream = connect_to(&server, from).open(&session.get_stream());
            server.change("a.txt");
            assert_updated(&mut stream, "a.txt", None);
            let last = stream.last_event_id().unwrap();
            stream.leave();
            server.change("b.txt");
            let mut stream = connect_to(&server, to).open(&session.resumption(&last));
            assert_updated(&mut stream, "b.txt", Some("a.txt"));
            server.change("c.txt");
            assert_updated(&mut stream, "c.txt", Some("b.txt"));
            assert_ne!(stream.last_event_id().as_ref(), Some(&last));
        }
    }
}

#[test]
fn what_was_seen_is_not_told_again_and_what_was_missed_is() {
    let server = Watched::start(&[]);
    let session = server.open_session(&newest());
    let names = ["a.txt", "b.txt", "c.txt"];
    for name in names {
        subscribe(&mut server.connect(), &session, name);
    }
    let mut stream = open_primed(server.connect(), &session.get_stream());
    let primed = stream.last_event_id().unwrap();
    // Replacing a file is one event, so each change is announced once.
    let mut ids = vec![primed];
    for name in names {
        server.replace(name);
        assert_updated(&mut stream, name, None);
        ids.push(stream.last_event_id().unwrap());
    }
    stream.leave();
    for (seen, id) in ids.iter().enumerate() {
        let _case = case(format!("behind event {seen}"));
        let mut stream = server.open(&session.resumption(id));
        let mut told = Vec::new();
        while told.len() < names.len() - seen {
            let params = stream.notification("notifications/resources/updated");
            told.push(params["uri"].as_str().unwrap().to_owned());
        }
        let missed: Vec<String> = names[seen..]
            .iter()
            .map(|name| crate::harness::uri_of(name))
            .collect();
        assert_eq!(told, missed);
        let replayed = stream.last_event_id();
        assert!(
            seen == names.len() || replayed.as_ref() == ids.last(),
            "ids are kept"
        );
        if seen < names.len() {
            assert!(stream.client().is_silent(), "nothing else");
            stream.leave();
            continue;
        }
        // A stream that missed nothing goes on with the next event.
        server.change("b.txt");
        assert_updated(&mut stream, "b.txt", None);
    }
}

/// A client that lost its connection may know so before the server does.
#[test]
fn resumption_takes_over_from_a_connection_still_open() {
    let server = Watched::start(&[]);
    let session = server.open_session(&newest());
    subscribe(&mut server.connect(), &session, "a.txt");
    let mut first = open_primed(connect_to(&server, 0), &session.get_stream());
    let last = first.last_event_id().unwrap();
    let mut second = connect_to(&server, 1).open(&session.resumption(&last));
    // The first ends, and everything comes on the second.
    while let Ok(Some(_)) = first.try_frame() {}
    server.change("a.txt");
    assert_updated(&mut second, "a.txt", None);
}

#[test]
fn event_ids_that_are_not_the_sessions_own_open_nothing() {
    let server = Watched::start(&[]);
    let (session, other) = (server.open_session(&newest()), server.open_session(&newest()));
    subscribe(&mut server.connect(), &other, "a.txt");
    let mut theirs = open_primed(server.connect(), &other.get_stream());
    server.change("a.txt");
    let foreign_ids = [theirs.last_event_id().unwrap(), {
        assert_updated(&mut theirs, "a.txt", None);
        theirs.last_event_id().unwrap()
    }];
    theirs.leave();
    let mine = open_primed(server.connect(), &session.get_stream());
    let own = mine.last_event_id().unwrap();
    mine.leave();
    let garbage = [
        "0",
        "-1",
        "18446744073709551616",
        "garbage",
        "a b",
        "\u{e9}",
        &"9".repeat(120),
        &"x".repeat(4_000),
        &format!("{own}0"),
        &own[..own.len() - 1],
    ];
    let ids = foreign_ids
        .iter()
        .map(String::as_str)
        .chain(garbage)
        .filter(|id| *id != own);
    for id in ids {
        let _case = case(id.chars().take(60).collect::<String>());
        let mut client = server.connect();
        let refused = client.ask(&session.resumption(id));
        assert!([400, 404].contains(&refused.status), "{refused:?}");
        client.ask(&session.echo(1, "x")).assert_echo(1, "x");
    }
    // None of that took the session's own stream from it.
    let mut stream = server.open(&session.resumption(&own));
    subscribe(&mut server.connect(), &session, "b.txt");
    server.change("b.txt");
    assert_updated(&mut stream, "b.txt", None);
}

/// Reads from a stream whose call runs on until `count` messages have come.
#[track_caller]
fn take(stream: &mut EventStream, count: usize) -> Vec<Value> {
    (0..count).map(|_| stream.message()).collect()
}

#[test]
fn a_lost_call_stream_is_resumed_by_get_with_nothing_lost_or_doubled() {
    let server = Watched::start(&[]);
    for (from, to) in [(0, 0), (0, 1), (1, 0)] {
        let _case = case(format!("from shard {from} to {to}"));
        let session = server.open_session(&newest());
        let mut stream = connect_to(&server, from).open(&session.progress("call", 30, 10));
        let mut messages = take(&mut stream, 3);
        let last = stream.last_event_id().unwrap();
        stream.reset();
        let mut stream = connect_to(&server, to).open(&session.resumption(&last));
        messages.extend(stream.rest());
        assert_eq!(messages.len(), 31, "{messages:?}");
        assert_eq!(messages.last().unwrap()["id"], "call");
        let steps: Vec<f64> = messages[..30]
            .iter()
            .map(|message| message["params"]["progress"].as_f64().unwrap())
            .collect();
        assert!(steps.is_sorted_by(|one, next| one < next), "{steps:?}");
        // Its end has arrived; when the client asks again, it arrives again, from whichever event the client names.
        let end = stream.last_event_id().unwrap();
        let mut again = server.open(&session.resumption(&last));
        assert_eq!(again.rest().len(), 28);
        assert_eq!(again.last_event_id(), Some(end));
    }
}

#[test]
fn a_call_stream_that_is_resumed_is_no_get_stream() {
    let server = Watched::start(&[]);
    let session = server.open_session(&newest());
    subscribe(&mut server.connect(), &session, "a.txt");
    let mut get_stream = open_primed(server.connect(), &session.get_stream());
    let mut stream = server.open(&session.progress("call", 40, 20));
    take(&mut stream, 2);
    let last = stream.last_event_id().unwrap();
    stream.reset();
    // These come beside the GET stream, and each message on only one of them.
    let mut resumed = server.open(&session.resumption(&last));
    server.change("a.txt");
    let rest = resumed.rest();
    let is_of_call =
        |message: &Value| message["method"] == "notifications/progress" || message["id"] == "call";
    assert!(rest.iter().all(is_of_call), "{rest:?}");
    assert_updated(&mut get_stream, "a.txt", None);
}

#[test]
fn what_is_sent_while_nobody_listens_waits() {
    let server = Watched::start(&[]);
    let session = server.open_session(&newest());
    let stream = open_primed(server.connect(), &session.get_stream());
    subscribe(&mut server.connect(), &session, "a.txt");
    let last = stream.last_event_id().unwrap();
    stream.leave();
    let mut witness = crate::harness::listen_to(server.connect(), 1, &["a.txt"]);
    server.change("a.txt");
    assert_updated(&mut witness, "a.txt", None);
    let mut stream = server.open(&session.resumption(&last));
    assert_updated(&mut stream, "a.txt", None);
}

#[test]
fn deletion_ends_the_stream() {
    let server = Watched::start(&[]);
    for shard in 0..2 {
        let _case = case(format!("shard {shard}"));
        let session = server.open_session(&newest());
        let mut stream = open_primed(connect_to(&server, 0), &session.get_stream());
        let id = session.session.clone().unwrap();
        let deletion = Request::new("DELETE", "/mcp").plus("Mcp-Session-Id", id);
        connect_to(&server, shard).ask(&deletion).assert_status(200);
        assert_eq!(stream.rest(), Vec::<Value>::new());
        let mut client = server.connect();
        client.ask(&session.get_stream()).assert_status(404);
        let last = stream.last_event_id().unwrap();
        client.ask(&session.resumption(&last)).assert_status(404);
    }
}

#[test]
fn a_drain_ends_get_streams_in_order() {
    let mut server = Server::start(&["--shards", "2"]);
    let sessions: Vec<Dialect> = (0..8).map(|_| server.open_session(&newest())).collect();
    let streams: Vec<EventStream> = sessions
        .iter()
        .map(|session| open_primed(server.connect(), &session.get_stream()))
        .collect();
    server.signal(Signal::TERM);
    for mut stream in streams {
        assert_eq!(stream.rest(), Vec::<Value>::new());
        stream.into_client().assert_closed();
    }
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn get_streams_hold_no_handler() {
    let server = Server::start(&["--pool-size", "1"]);
    let streams: Vec<EventStream> = (0..10)
        .map(|_| open_primed(server.connect(), &server.open_session(&newest()).get_stream()))
        .collect();
    assert_eq!(server.busy_handlers(), 0);
    let session = server.open_session(&newest());
    let mut call = server.open(&session.progress(1, 2, 1));
    call.rest();
    streams.into_iter().for_each(EventStream::leave);
}

#[test]
fn http_1_0_gets_one_without_chunks() {
    let server = Watched::start(&[]);
    let session = server.open_session(&newest());
    let mut stream = server.open(&session.get_stream().with_version("HTTP/1.0"));
    assert!(!stream.is_chunked());
    subscribe(&mut server.connect(), &session, "a.txt");
    server.change("a.txt");
    assert_updated(&mut stream, "a.txt", None);
}
