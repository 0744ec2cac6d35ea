use std::sync::Arc;

use super::live::LiveOptions;
use super::tasks::TaskOptions;
use super::*;
use crate::jsonrpc::Scratch;
use crate::mcp::{
    ClientCapabilities, EndSession, HttpHead, Identity, Options, Principal, Protocol, Reply, ReplyKind,
    RequestContext, Revision, Sessions, Step, Via,
};
use crate::registry::{ClientText, Registry};
use crate::wire::http1::Field;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3600);

fn sessions() -> ShardStore {
    sessions_of([7; 32], SessionOptions::default())
}

fn sessions_of(key: [u8; 32], options: SessionOptions) -> ShardStore {
    ShardStore::new(Arc::new(store(key, options)))
}

fn store(key: [u8; 32], options: SessionOptions) -> Store {
    let (live, tasks) = (LiveOptions::default(), TaskOptions::default());
    Store::new(&SessionKey(key), options, live, tasks, 1)
}

fn session() -> Session {
    Session {
        revision: Revision::V2025_06_18,
        capabilities: ClientCapabilities::SAMPLING.with(ClientCapabilities::ROOTS),
        principal: Principal([9; 16]),
    }
}

fn later(duration: Duration) -> UnixSeconds {
    UnixSeconds(NOW.0 + duration.as_secs())
}

#[test]
fn an_id_is_its_session() {
    let (sessions, session) = (sessions(), session());
    let id = sessions.mint(&session, &ClientText::NONE, NOW).unwrap();
    let open = sessions.open(id.as_bytes(), session.principal, NOW).unwrap();
    assert_eq!(open.session, session);
    assert_eq!(id.as_bytes().len(), 96);
    assert!(id.as_bytes().iter().all(u8::is_ascii_graphic));
    // After a restart, and on a replica, with the same key.
    assert_eq!(
        self::sessions().open(id.as_bytes(), session.principal, NOW),
        Some(open)
    );
    let other = sessions.mint(&session, &ClientText::NONE, NOW).unwrap();
    let other = sessions.open(other.as_bytes(), session.principal, NOW).unwrap();
    assert_ne!(other.token, open.token);
}

#[test]
fn every_changed_bit_and_length_is_unknown() {
    let (sessions, session) = (sessions(), session());
    let is_known = |text: &[u8]| sessions.open(text, session.principal, NOW).is_some();
    let longest = ClientText::of(&"n".repeat(63), None);
    for client in [ClientText::NONE, ClientText::of("probe", Some("1.0")), longest] {
        let id = sessions.mint(&session, &client, NOW).unwrap();
        let text = id.as_bytes().to_vec();
        for at in 0..text.len() {
            for replacement in *b"AB-_9z~=\xff\0" {
                let mut changed = text.clone();
                changed[at] = replacement;
                assert_eq!(is_known(&changed), changed == text, "{at} {replacement}");
            }
            assert!(!is_known(&text[..at]));
        }
        for more in [&b"A"[..], b"=", b"~", b"~A"] {
            assert!(!is_known(&[&text[..], more].concat()));
        }
        assert!(!is_known(
            &[b' '].into_iter().chain(text.clone()).collect::<Vec<_>>()
        ));
    }
    assert!(!is_known(b"no-such-session"));
    assert!(!is_known(&b"A".repeat(4096)));
    assert!(!is_known(b""));
}

/// What a client says of itself is no part of its session, but of its id: on every shard, after a restart too.
#[test]
fn an_id_says_what_its_client_said() {
    let (sessions, session) = (sessions(), session());
    let client = ClientText::of("probe", Some("1.0"));
    let id = sessions.mint(&session, &client, NOW).unwrap();
    assert!(id.as_bytes().ends_with(b"~probe~1.0"));
    assert_eq!(SessionId::client_text(id.as_bytes()), client.as_bytes());
    let open = sessions.open(id.as_bytes(), session.principal, NOW).unwrap();
    assert_eq!(open.session, session);
    for other in [self::sessions(), sessions] {
        let sealed = &id.as_bytes()[..SessionId::SEALED_BYTES];
        for text in [sealed.to_vec(), [sealed, b"~other~1.0"].concat()] {
            assert_eq!(other.open(&text, session.principal, NOW), None);
            assert_eq!(other.end(&text, session.principal, NOW), EndSession::Unknown);
        }
        assert_eq!(other.open(id.as_bytes(), session.principal, NOW), Some(open));
    }
}

#[test]
fn other_keys_and_other_principals_are_strangers() {
    let (sessions, session) = (sessions(), session());
    let id = sessions.mint(&session, &ClientText::NONE, NOW).unwrap();
    let other_key = sessions_of([8; 32], SessionOptions::default());
    assert_eq!(other_key.open(id.as_bytes(), session.principal, NOW), None);
    assert_eq!(sessions.open(id.as_bytes(), Principal::ANONYMOUS, NOW), None);
    assert_eq!(
        sessions.end(id.as_bytes(), Principal::ANONYMOUS, NOW),
        EndSession::Unknown
    );
    assert!(sessions.open(id.as_bytes(), session.principal, NOW).is_some());
}

#[test]
fn ids_expire() {
    let options = SessionOptions {
        max_age: HOUR,
        ..SessionOptions::default()
    };
    let sessions = sessions_of([7; 32], options);
    let session = session();
    let id = sessions.mint(&session, &ClientText::NONE, NOW).unwrap();
    let is_known = |now| sessions.open(id.as_bytes(), session.principal, now).is_some();
    assert!(is_known(later(HOUR - Duration::from_secs(1))));
    assert!(!is_known(later(HOUR)));
    // A replica whose clock is behind still knows it.
    assert!(is_known(UnixSeconds(NOW.0 - 60)));
}

/// Every rule holds for an id that the shard remembers as it does for one that it opens for the first time.
#[test]
fn a_remembered_id_is_no_different() {
    let options = SessionOptions {
        max_age: HOUR,
        ..SessionOptions::default()
    };
    let store = Arc::new(store([7; 32], options));
    let shards = [(); 2].map(|()| ShardStore::new(Arc::clone(&store)));
    let session = session();
    let [minted, opened] = &shards;
    let id = minted.mint(&session, &ClientText::NONE, NOW).unwrap();
    let known = |principal, now| {
        shards
            .each_ref()
            .map(|shard| shard.open(id.as_bytes(), principal, now).is_some())
    };
    for _ in 0..2 {
        assert_eq!(known(session.principal, NOW), [true; 2]);
        assert_eq!(known(Principal::ANONYMOUS, NOW), [false; 2]);
        assert_eq!(known(session.principal, later(HOUR)), [false; 2]);
    }
    assert_eq!(
        opened.end(id.as_bytes(), session.principal, NOW),
        EndSession::Ended
    );
    assert_eq!(known(session.principal, NOW), [false; 2]);
    assert_eq!(
        minted.end(id.as_bytes(), session.principal, NOW),
        EndSession::Unknown
    );
}

#[test]
fn works_where_no_id_may_be_remembered() {
    let options = SessionOptions {
        opened_max: 0,
        ..SessionOptions::default()
    };
    let (sessions, session) = (sessions_of([7; 32], options), session());
    let id = sessions.mint(&session, &ClientText::NONE, NOW).unwrap();
    assert!(sessions.open(id.as_bytes(), session.principal, NOW).is_some());
    assert_eq!(
        sessions.end(id.as_bytes(), session.principal, NOW),
        EndSession::Ended
    );
    assert_eq!(sessions.open(id.as_bytes(), session.principal, NOW), None);
}

#[test]
fn an_ended_session_stays_ended() {
    let options = SessionOptions {
        max_age: HOUR,
        tombstones_max: 64,
        ..SessionOptions::default()
    };
    let sessions = sessions_of([7; 32], options);
    let session = session();
    let principal = session.principal;
    let mut ended = Vec::new();
    // There is one place for each of 64 random bytes: after so many, some have made room for others.
    while sessions.tombstones().forgotten_total == 0 {
        let id = sessions.mint(&session, &ClientText::NONE, NOW).unwrap();
        assert_eq!(sessions.end(id.as_bytes(), principal, NOW), EndSession::Ended);
        assert_eq!(sessions.open(id.as_bytes(), principal, NOW), None);
        assert_eq!(sessions.end(id.as_bytes(), principal, NOW), EndSession::Unknown);
        ended.push(id);
    }
    assert_eq!(sessions.tombstones().remembered, ended.len() as u64 - 1);
    let mut back = ended
        .iter()
        .filter_map(|id| sessions.open(id.as_bytes(), principal, NOW));
    assert_eq!(back.next().map(|open| open.session), Some(session));
    assert_eq!(back.next(), None, "of the others, all are remembered");
    // An id that has expired does not count as forgotten.
    for _ in 0..1000 {
        let id = sessions.mint(&session, &ClientText::NONE, later(HOUR)).unwrap();
        assert_eq!(
            sessions.end(id.as_bytes(), principal, later(HOUR)),
            EndSession::Ended
        );
    }
    assert!(sessions.tombstones().remembered <= 64);
}

#[test]
fn ids_are_unguessable() {
    let (sessions, session) = (sessions(), session());
    let ids: Vec<Vec<u8>> = (0..2000)
        .map(|_| {
            sessions
                .mint(&session, &ClientText::NONE, NOW)
                .unwrap()
                .as_bytes()
                .to_vec()
        })
        .collect();
    let mut bits = 0.0;
    for column in 0..ids[0].len() {
        let mut counts = [0_u32; 256];
        for id in &ids {
            counts[usize::from(id[column])] += 1;
        }
        let share = |count: &u32| f64::from(*count) / ids.len() as f64;
        bits -= counts
            .iter()
            .map(share)
            .filter(|share| *share > 0.0)
            .map(|share| share * share.log2())
            .sum::<f64>();
        // Four characters are format and key; every other one varies as much as base64 can.
        assert!((column < 4) == counts.contains(&2000), "column {column}");
    }
    assert!(bits > 500.0, "{bits} bits observed");
}

/// The protocol over sealed sessions: what clients see.
#[test]
fn a_sessions_life_over_the_protocol() {
    let protocol = Protocol::new(
        Registry::builder().build(),
        &Identity::default(),
        Options::default(),
    );
    let sessions = sessions();
    let opened = post(&protocol, &sessions, Field::Absent, INITIALIZE);
    let id = opened.session.unwrap();
    assert_eq!(opened.kind, ReplyKind::Answered);
    assert_eq!(
        post(&protocol, &sessions, Field::One(id.as_bytes()), PING).kind,
        ReplyKind::Answered
    );
    let request_context = request_context(Field::One(id.as_bytes()));
    assert_eq!(
        protocol.delete(&request_context, &sessions, &mut Vec::new()).kind,
        ReplyKind::SessionEnded
    );
    assert_eq!(
        post(&protocol, &sessions, Field::One(id.as_bytes()), PING).kind,
        ReplyKind::Gone
    );
    let refused = protocol.delete(&request_context, &sessions, &mut Vec::new());
    assert_eq!(refused.kind, ReplyKind::Gone);
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
const PING: &str = r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#;

fn request_context(session_id: Field<'_>) -> RequestContext<'_> {
    RequestContext {
        via: Via::Http(HttpHead {
            session_id,
            ..HttpHead::default()
        }),
        principal: Principal::ANONYMOUS,
        now: NOW,
    }
}

fn post(protocol: &Protocol, sessions: &ShardStore, session_id: Field<'_>, body: &str) -> Reply {
    let mut scratch = Scratch::new();
    let mut out = Vec::new();
    match protocol.decode(
        &request_context(session_id),
        body.as_bytes(),
        &mut scratch,
        sessions,
        &mut out,
    ) {
        Step::Reply(reply) => reply,
        other => panic!("{other:?}"),
    }
}
