//! The live store as its users see it.

mod broadcaster;
mod hammering;
mod sessions;
mod streams;

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use super::live_store::QUESTIONS_MAX;
use super::*;
use crate::jsonrpc::Id;
use crate::mcp::{
    Announcement, ClientCapabilities, FeatureState, Interest, OpenSession, Principal, Revision, Session,
    SessionToken, StateRefused,
};
use crate::registry::{AnswerError, LogLevel};
use crate::ring::ConnectionKey;

/// A store of two shards, for which tests stand in.
pub(super) fn live(options: LiveOptions) -> Arc<Live> {
    let live = Live::new(options, 2);
    (0..2).for_each(|shard| live.join(shard, Box::new(Collected::default())));
    live
}

/// The same; `waker` gets a signal when a shard is woken.
fn live_waking(options: LiveOptions, waker: &mpsc::Sender<()>) -> Arc<Live> {
    let live = Live::new(options, 2);
    (0..2).for_each(|shard| live.join(shard, Box::new(Collected::waking(waker.clone()))));
    live
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn token(number: u32) -> SessionToken {
    let mut token = [0; 16];
    token[..4].copy_from_slice(&number.to_be_bytes());
    token[15] = number as u8;
    SessionToken(token)
}

fn session(number: u32) -> OpenSession {
    session_of(number, Principal::ANONYMOUS)
}

fn session_of(number: u32, principal: Principal) -> OpenSession {
    OpenSession {
        session: Session {
            revision: Revision::V2025_11_25,
            capabilities: ClientCapabilities::default(),
            principal,
        },
        token: token(number),
    }
}

fn place(slot: u32) -> StreamPlace {
    on_shard(0, slot)
}

fn on_shard(shard: u16, slot: u32) -> StreamPlace {
    let connection = ConnectionKey { slot, generation: 0 };
    StreamPlace { shard, connection }
}

fn message(number: usize) -> Message {
    Message::new(number.to_string().into_bytes())
}

/// A message of so many bytes.
fn bulk(bytes: usize) -> Message {
    Message::new(vec![b'1'; bytes])
}

fn call_stream(live: &Arc<Live>, number: u32) -> Arc<Stream> {
    let session = Some((token(number), Principal::ANONYMOUS));
    live.open_call_stream(session, true).unwrap()
}

fn get_stream(live: &Arc<Live>, number: u32) -> Arc<Stream> {
    live.open_get_stream(&session(number), None).unwrap().stream
}

fn interest(uris: &[&str]) -> Interest {
    Interest {
        uris: uris.iter().map(|uri| (*uri).into()).collect(),
        ..Interest::default()
    }
}

fn listen(live: &Arc<Live>, id: i64, uris: &[&str]) -> Arc<Stream> {
    live.open_listen(Id::Signed(id).into(), &interest(uris)).unwrap()
}

/// The result of a look into a stream: the messages as text, the sequence numbers of their ids, and the stream's state.
fn look(stream: &Stream, place: StreamPlace, budget_bytes: usize) -> (Vec<String>, Vec<u64>, StreamState) {
    let (mut texts, mut seqs) = (Vec::new(), Vec::new());
    let state = stream.next(place, budget_bytes, &mut |event| {
        let mut text = Vec::new();
        event.message.write(event.subscription, &mut text);
        texts.push(String::from_utf8(text).unwrap());
        seqs.extend(event.id.map(|id| id.seq));
        assert!(event.id.is_none_or(|id| id.stream == stream.id()));
    });
    (texts, seqs, state)
}

fn texts(stream: &Stream, place: StreamPlace) -> Vec<String> {
    look(stream, place, usize::MAX).0
}

/// The slots of the connections that have messages to take; there must be no other events.
fn ready(live: &Live, shard: u16) -> Vec<u32> {
    let slot = |event| match event {
        LiveEvent::Ready(key) => key.slot,
        other => panic!("{other:?}"),
    };
    live.take_events(shard).into_iter().map(slot).collect()
}

fn answers(live: &Live, shard: u16) -> Vec<(u64, u32, Result<Value, AnswerError>)> {
    let answer = |event| match event {
        LiveEvent::Answer { call, number, answer } => (call, number, answer),
        other => panic!("{other:?}"),
    };
    live.take_events(shard).into_iter().map(answer).collect()
}
