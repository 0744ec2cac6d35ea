//! Legacy sessions: their ids are unguessable, belong to one principal, expire, and cost nothing.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::harness::{Client, Dialect, Request, Revision, Scratch, Server, Shared, case, eventually};

const UNKNOWN_SESSION: i64 = -32600;

fn newest() -> Dialect {
    Dialect::legacy(Revision::NEWEST_LEGACY)
}

/// A DELETE of a session.
fn deletion(dialect: &Dialect) -> Request {
    let id = dialect.session.as_deref().unwrap();
    Request::new("DELETE", "/mcp").plus("Mcp-Session-Id", id)
}

fn with_id(id: &str) -> Dialect {
    Dialect {
        session: Some(id.to_owned()),
        ..newest()
    }
}

/// Shannon entropy of each column of characters, summed: fixed parts do not raise it.
fn entropy_bits(ids: &[String]) -> f64 {
    let columns = ids[0].len();
    let count = ids.len() as f64;
    let mut bits = 0.0;
    for column in 0..columns {
        let mut seen = [0_u32; 256];
        ids.iter()
            .for_each(|id| seen[usize::from(id.as_bytes()[column])] += 1);
        let shares = seen
            .iter()
            .filter(|times| **times > 0)
            .map(|times| f64::from(*times) / count);
        bits -= shares.map(|share| share * share.log2()).sum::<f64>();
    }
    bits
}

#[test]
fn ids_are_visible_ascii_and_unguessable() {
    let server = Shared::usual();
    let mut client = server.connect();
    let mut ids = Vec::new();
    let requests: Vec<u8> = newest().initialize(0).encode().repeat(100);
    for _ in 0..20 {
        client.send_bytes(&requests);
        ids.extend((0..100).map(|_| client.receive().field("mcp-session-id").unwrap().to_owned()));
    }
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    assert!(
        ids.iter()
            .all(|id| id.len() <= 160 && id.bytes().all(|byte| byte.is_ascii_graphic()))
    );
    assert!(ids.iter().all(|id| id.len() == ids[0].len()));
    let bits = entropy_bits(&ids);
    assert!(bits >= 122.0, "{bits} bits in {:?}", ids[0]);
}

#[test]
fn an_id_that_is_not_exactly_one_of_ours_is_unknown() {
    let server = Shared::usual();
    let session = server.open_session(&newest());
    let id = session.session.clone().unwrap();
    let mut client = server.connect();
    for at in 0..id.len() {
        let _case = case(format!("character {at} changed"));
        let mut changed = id.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        client
            .ask(&with_id(&changed).echo(1, "x"))
            .assert_error(404, UNKNOWN_SESSION, 1);
    }
    for wrong in [
        "no-such-session".to_owned(),
        id[..id.len() - 1].to_owned(),
        id[1..].to_owned(),
        format!("{id}A"),
        format!("{id}="),
        format!("{id} {id}"),
        id.to_ascii_lowercase(),
        "A".repeat(4096),
        String::new(),
        "\u{e9}".to_owned(),
    ] {
        let _case = case(wrong.chars().take(60).collect::<String>());
        client
            .ask(&with_id(&wrong).echo(1, "x"))
            .assert_error(404, UNKNOWN_SESSION, 1);
        let ended = client.ask(&deletion(&with_id(&wrong)));
        assert_eq!(ended.status, 404, "{}", ended.text());
    }
    let twice = session.echo(1, "x").plus("Mcp-Session-Id", &id);
    client.ask(&twice).assert_error(400, UNKNOWN_SESSION, 1);
    client.ask(&session.echo(1, "x")).assert_echo(1, "x");
}

#[test]
fn a_deleted_session_stays_deleted_on_every_shard() {
    let server = Shared::usual();
    let (gone, other) = (server.open_session(&newest()), server.open_session(&newest()));
    let ended = server.ask(&deletion(&gone));
    assert!(
        [200, 204].contains(&ended.status) && ended.body.is_empty(),
        "{ended:?}"
    );
    for turn in 0..12 {
        let _case = case(format!("connection {turn}"));
        let mut client = server.connect();
        client
            .ask(&gone.echo(1, "x"))
            .assert_error(404, UNKNOWN_SESSION, 1);
        client
            .ask(&gone.notification("notifications/initialized", json!({})))
            .assert_status(404);
        client.ask(&deletion(&gone)).assert_status(404);
        client.ask(&other.echo(1, "x")).assert_echo(1, "x");
    }
    server
        .ask(&Request::new("DELETE", "/mcp"))
        .assert_error(400, -32600, Value::Null);
}

#[test]
fn a_request_without_an_id_gets_no_session_unless_one_is_required() {
    let server = Server::start(&[]);
    server.open_session(&newest());
    let answered = server.ask(&newest().echo(1, "x"));
    answered.assert_echo(1, "x");
    assert_eq!(answered.field("mcp-session-id"), None);

    let strict = Server::start(&["--require-session"]);
    let session = strict.open_session(&newest());
    for request in [newest().echo(1, "x"), newest().request(1, "ping", json!({}))] {
        strict.ask(&request).assert_error(400, -32600, 1);
    }
    strict
        .ask(&newest().notification("notifications/initialized", json!({})))
        .assert_status(400);
    strict.ask(&session.echo(1, "x")).assert_echo(1, "x");
    strict.ask(&Dialect::modern().echo(1, "x")).assert_echo(1, "x");
}

#[test]
fn an_id_expires() {
    let server = Server::start(&["--session-max-age", "1s"]);
    let session = server.open_session(&newest());
    let mut client = server.connect();
    eventually("the session has expired", || {
        client.ask(&session.request(1, "ping", json!({}))).status == 404
    });
    client.ask(&deletion(&session)).assert_status(404);
    client
        .ask(&server.open_session(&newest()).echo(1, "x"))
        .assert_echo(1, "x");
}

#[test]
fn replicas_with_one_key_know_each_others_sessions_and_strangers_do_not() {
    let folder = Scratch::new("session-keys");
    let key_file = |name: &str, digits: &str| {
        std::fs::write(folder.path().join(name), digits.repeat(4) + "\n").unwrap();
        folder.text(name)
    };
    let (ours, theirs) = (
        key_file("ours", "0123456789abcdef"),
        key_file("theirs", "fedcba9876543210"),
    );
    let [first, second] = [(); 2].map(|()| Server::start(&["--session-key-file", &ours]));
    let stranger = Server::start(&["--session-key-file", &theirs]);
    let random = Server::start(&[]);
    for revision in Revision::ALL_LEGACY {
        let _case = case(revision.0);
        let session = first.open_session(&Dialect::legacy(revision));
        second.ask(&session.echo(1, "x")).assert_echo(1, "x");
        for other in [&stranger, &random] {
            other
                .ask(&session.echo(1, "x"))
                .assert_error(404, UNKNOWN_SESSION, 1);
        }
    }
    let session = second.open_session(&newest());
    drop(second);
    first.ask(&session.echo(1, "x")).assert_echo(1, "x");
}

/// Sessions are their ids: those that nobody ends must not add up.
#[test]
fn abandoned_sessions_take_no_memory() {
    let server = Server::start(&["--prefault", "on"]);
    let batch = newest().initialize(0).encode().repeat(250);
    let abandon = |count: usize| {
        let mut client: Client = server.connect();
        for _ in 0..count / 250 {
            client.send_bytes(&batch);
            for _ in 0..250 {
                assert!(client.receive().field("mcp-session-id").is_some());
            }
        }
    };
    abandon(2_000);
    let before = server.resident_kib();
    abandon(20_000);
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < 1024, "{grown} KiB for 20,000 sessions");
}

#[test]
fn every_deletion_is_granted_and_in_the_end_the_oldest_are_forgotten() {
    const AT_ONCE: usize = 100;
    // With little memory few are remembered.
    let server = Server::start(&["--memory-max", "12MiB", "--pool-size", "4"]);
    let mut client = server.connect();
    let initialize = newest().initialize(0).encode().repeat(AT_ONCE);
    let tombstones = |name| server.metric(name, &[("end", "deleted")]);
    let forgotten = || tombstones("weir_session_tombstones_forgotten_total");
    let mut sessions: Vec<Dialect> = Vec::new();
    while forgotten() < 10 {
        client.send_bytes(&initialize);
        let opened: Vec<Dialect> = (0..AT_ONCE)
            .map(|_| with_id(client.receive().field("mcp-session-id").unwrap()))
            .collect();
        let deletions: Vec<u8> = opened.iter().flat_map(|it| deletion(it).encode()).collect();
        client.send_bytes(&deletions);
        for _ in &opened {
            assert_eq!(client.receive().status, 200);
        }
        sessions.extend(opened);
        assert!(sessions.len() < 20_000, "they are bounded");
    }
    let (remembered, forgotten) = (tombstones("weir_session_tombstones"), forgotten());
    assert_eq!(remembered + forgotten, sessions.len() as u64);
    // A client with the id of a forgotten session still has a session, and may end it again.
    let mut back: Vec<&Dialect> = Vec::new();
    for session in &sessions {
        match client.ask(&session.echo(1, "x")).status {
            200 => back.push(session),
            status => assert_eq!(status, 404),
        }
    }
    assert_eq!(back.len() as u64, forgotten);
    assert_eq!(client.ask(&deletion(back[0])).status, 200);
    client
        .ask(&back[0].echo(1, "x"))
        .assert_error(404, UNKNOWN_SESSION, 1);
}
