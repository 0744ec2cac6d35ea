//! The memory of an open stream while nothing is sent on it: far below 1 KiB, in either era.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use weir::internals::jsonrpc::{Id, RequestId};
use weir::internals::mcp::{
    ClientCapabilities, FeatureState, Interest, OpenSession, Principal, Revision, Session, SessionToken,
};
use weir::internals::ring::ConnectionKey;
use weir::internals::session::live::{
    Live, LiveEvent, LiveOptions, ShardInbox, Stream, StreamPlace, StreamState,
};

use crate::counting::held_bytes;

const STREAMS: u32 = 2_000;
const URI: &str = "demo://watched";
/// The part of 1 KiB for an open stream; the rest is its connection's.
const HELD_BYTES_MAX: isize = 600;

/// An inbox that only counts the events posted to it.
struct Counting(Arc<AtomicUsize>);

impl ShardInbox for Counting {
    fn post(&self, event: LiveEvent) {
        self.post_all(&mut std::iter::once(event));
    }

    fn post_all(&self, events: &mut dyn Iterator<Item = LiveEvent>) {
        self.0.fetch_add(events.count(), Ordering::SeqCst);
    }
}

fn session(number: u32) -> OpenSession {
    // As random tokens do, these fall evenly into all parts of the store.
    let random = u128::from(number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    OpenSession {
        session: Session {
            revision: Revision::V2025_11_25,
            capabilities: ClientCapabilities::NONE,
            principal: Principal::ANONYMOUS,
        },
        token: SessionToken(random.to_be_bytes()),
    }
}

/// A client's stream, open and silent.
fn attach(stream: Arc<Stream>, slot: u32) -> (Arc<Stream>, StreamPlace) {
    let connection = ConnectionKey { slot, generation: 0 };
    let place = StreamPlace { shard: 0, connection };
    stream.attach(place, None);
    assert_eq!(stream.next(place, 1, &mut |_| ()), StreamState::Idle);
    (stream, place)
}

fn held_per_stream(what: &str, open: impl Fn(&Arc<Live>, u32) -> Arc<Stream>) {
    let live = Live::new(LiveOptions::default(), 1);
    let posted = Arc::new(AtomicUsize::new(0));
    live.join(0, Box::new(Counting(Arc::clone(&posted))));
    let before = held_bytes();
    let mut streams = Vec::with_capacity(STREAMS as usize);
    let handles = held_bytes() - before;
    streams.extend((0..STREAMS).map(|slot| attach(open(&live, slot), slot)));
    let held = (held_bytes() - before - handles) / STREAMS as isize;
    let counted = live.stats().bytes as isize / STREAMS as isize;
    println!("{what}: {held} bytes each, {counted} counted");
    assert!(held < HELD_BYTES_MAX, "{what}: {held} bytes each");
    assert!(
        (held / 2..held * 2).contains(&counted),
        "{what}: {held} bytes held, {counted} counted"
    );
    assert_eq!(posted.load(Ordering::SeqCst), 0, "events");
    drop(streams);
}

#[test]
fn an_idle_stream_of_a_session_holds_little() {
    held_per_stream("GET stream with a subscription", |live, number| {
        let session = session(number);
        live.subscribe(&session, URI).unwrap();
        live.open_get_stream(&session, None).unwrap().stream
    });
}

#[test]
fn an_idle_stream_of_subscriptions_holds_little() {
    held_per_stream("subscriptions/listen", |live, number| {
        let interest = Interest {
            tools: true,
            uris: vec![URI.into()],
            ..Interest::default()
        };
        let id = RequestId::from(Id::Unsigned(u64::from(number)));
        live.open_listen(id, &interest).unwrap()
    });
}
