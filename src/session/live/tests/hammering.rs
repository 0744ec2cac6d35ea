//! Many threads at once lose, double and reorder nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::*;

const PUSHERS: usize = 3;
const EACH: usize = 3000;

fn roomy() -> LiveOptions {
    LiveOptions {
        backlog_bytes_max: usize::MAX,
        backlog_messages_max: usize::MAX,
        replay_bytes_max: usize::MAX,
        ..LiveOptions::default()
    }
}

/// Asserts that the messages of every pusher are there once each, in its order.
fn assert_complete(heard: &[String]) {
    let mut next: HashMap<&str, usize> = HashMap::new();
    for text in heard {
        let (pusher, number) = text.split_once(':').unwrap();
        let expected = next.entry(pusher).or_default();
        assert_eq!(number.parse::<usize>().unwrap(), *expected, "pusher {pusher}");
        *expected += 1;
    }
    assert_eq!(heard.len(), PUSHERS * EACH);
}

fn push_all(stream: &Stream, pusher: usize) {
    for number in 0..EACH {
        stream.push(Message::new(format!("{pusher}:{number}").into_bytes()));
        if number % 64 == 0 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_sleeping_shard_gets_everything_by_its_events() {
    let (signal, woken) = mpsc::channel();
    let live = live_waking(roomy(), &signal);
    let stream = live.open_call_stream(None, false).unwrap();
    stream.attach(place(1), None);
    let mut heard = texts(&stream, place(1));
    std::thread::scope(|scope| {
        for pusher in 0..PUSHERS {
            let stream = &stream;
            scope.spawn(move || push_all(stream, pusher));
        }
        let mut looks = 0;
        while heard.len() < PUSHERS * EACH {
            woken.recv_timeout(seconds(60)).unwrap();
            for slot in ready(&live, 0) {
                // The budget is small, so that some looks end with more to come.
                loop {
                    let (texts, _, state) = look(&stream, place(slot), 200);
                    heard.extend(texts);
                    looks += 1;
                    match state {
                        StreamState::Idle => break,
                        StreamState::More => (),
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
        assert!(looks >= PUSHERS * EACH / 200);
    });
    assert_complete(&heard);
    assert!(ready(&live, 0).len() <= 1);
}

#[test]
fn connections_that_come_and_go_miss_nothing() {
    let live = live(roomy());
    let stream = call_stream(&live, 1);
    let connections = AtomicU32::new(0);
    let is_done = AtomicBool::new(false);
    // The messages that clients got, by event id; a client that comes back names the last one that any client got.
    let seen = std::sync::Mutex::new(Vec::<(u64, String)>::new());
    std::thread::scope(|scope| {
        let pushers: Vec<_> = (0..PUSHERS)
            .map(|pusher| {
                let stream = &stream;
                scope.spawn(move || push_all(stream, pusher))
            })
            .collect();
        for shard in 0..2 {
            let (live, connections, seen, is_done) = (&live, &connections, &seen, &is_done);
            scope.spawn(move || {
                while !is_done.load(Ordering::SeqCst) {
                    let place = on_shard(shard, connections.fetch_add(1, Ordering::Relaxed));
                    visit(live, place, 2000, seen);
                    live.take_events(shard);
                }
            });
        }
        pushers.into_iter().for_each(|pusher| pusher.join().unwrap());
        is_done.store(true, Ordering::SeqCst);
    });
    visit(&live, place(u32::MAX), usize::MAX, &seen);
    let seen = seen.into_inner().unwrap();
    assert!(seen.iter().map(|(seq, _)| *seq).eq(1..=(PUSHERS * EACH) as u64));
    let texts: Vec<String> = seen.into_iter().map(|(_, text)| text).collect();
    assert_complete(&texts);
}

/// The life of one connection: it comes back for messages that no connection got, and takes some of them. Another
/// connection may take the stream over at any moment, and this one does not get what that one gets.
fn visit(live: &Arc<Live>, place: StreamPlace, bytes: usize, seen: &std::sync::Mutex<Vec<(u64, String)>>) {
    // All connections are of one client, which reads from one of them at a time.
    let mut seen = seen.lock().unwrap();
    let stream = live
        .sessions
        .look(token(1), |session| Arc::clone(&session.calls[0]));
    let stream = stream.unwrap();
    let seq = seen.last().map_or(0, |(seq, _)| *seq);
    let id = EventId {
        stream: stream.id(),
        seq,
    }
    .to_string();
    let Attached { stream, after } = live.open_get_stream(&session(1), Some(id.as_bytes())).unwrap();
    stream.attach(place, after);
    let (texts, seqs, _) = look(&stream, place, bytes);
    seen.extend(seqs.into_iter().zip(texts));
    if !seen.len().is_multiple_of(3) {
        stream.detach(place);
    }
}

#[test]
fn two_shards_over_one_stream_share_its_messages() {
    let live = live(roomy());
    let stream = live.open_call_stream(None, false).unwrap();
    let is_done = AtomicBool::new(false);
    let taken: Vec<Vec<String>> = std::thread::scope(|scope| {
        let takers: Vec<_> = (0..2)
            .map(|shard| {
                let (stream, is_done) = (&stream, &is_done);
                scope.spawn(move || {
                    let mut heard = Vec::new();
                    while !is_done.load(Ordering::SeqCst) {
                        stream.attach(on_shard(shard, 1), None);
                        heard.extend(texts(stream, on_shard(shard, 1)));
                    }
                    heard
                })
            })
            .collect();
        let pushers: Vec<_> = (0..PUSHERS)
            .map(|pusher| {
                let stream = &stream;
                scope.spawn(move || push_all(stream, pusher))
            })
            .collect();
        pushers.into_iter().for_each(|pusher| pusher.join().unwrap());
        is_done.store(true, Ordering::SeqCst);
        takers.into_iter().map(|taker| taker.join().unwrap()).collect()
    });
    stream.attach(place(2), None);
    let mut all: Vec<String> = taken
        .into_iter()
        .flatten()
        .chain(texts(&stream, place(2)))
        .collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), PUSHERS * EACH);
}

#[test]
fn sessions_come_and_go_on_all_threads_within_the_caps() {
    let options = LiveOptions {
        sessions_max: 50,
        sessions_per_principal_max: 20,
        bytes_max: 64 * 1024,
        ..LiveOptions::default()
    };
    let (sessions_max, live) = (options.sessions_max, live(options));
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let live = &live;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(u64::from(thread));
                for _ in 0..2000 {
                    let number = random.u32(..200);
                    let session = session_of(number, Principal([(number % 5) as u8; 16]));
                    one_step(live, &mut random, &session);
                    assert!(live.stats().sessions <= sessions_max);
                }
            });
        }
        let live = &live;
        scope.spawn(move || {
            for second in 0..200 {
                live.tick(seconds(second));
                live.broadcast(&Announcement::ToolsChanged);
                live.broadcast(&Announcement::ResourceUpdated("x:1".into()));
            }
        });
    });
    (0..200).for_each(|number| live.end_session(token(number)));
    let LiveStats { sessions, bytes, .. } = live.stats();
    assert_eq!((sessions, bytes), (0, 0));
    assert!(live.context.subscriptions.subjects().is_empty());
}

/// Something a client might do. Refusals are part of it.
fn one_step(live: &Arc<Live>, random: &mut fastrand::Rng, session: &OpenSession) {
    let principal = session.session.principal;
    let place = on_shard(random.u16(..2), random.u32(..1000));
    match random.u8(..7) {
        0 => drop(live.set_log_level(session, LogLevel::Info)),
        1 => drop(live.subscribe(session, ["x:1", "x:2"][random.usize(..2)])),
        2 => live.unsubscribe(session, ["x:1", "x:2"][random.usize(..2)]),
        3 => live.end_session(session.token),
        4 => {
            if let Ok(opened) = live.open_get_stream(session, None) {
                opened.stream.attach(place, opened.after);
                opened.stream.next(place, 100, &mut |_| ());
                opened.stream.detach(place);
            }
        }
        5 => {
            if let Ok(stream) = live.open_call_stream(Some((session.token, principal)), true) {
                stream.attach(place, None);
                stream.push(bulk(100));
                stream.end();
                stream.next(place, 100, &mut |_| ());
                stream.detach(place);
            }
        }
        _ => {
            let asker = CallPlace { shard: 0, call: 1 };
            if let Ok(question) = live.ask(session.token, principal, asker, 0) {
                live.answer(session.token, question.as_str(), Err(AnswerError::Cancelled));
            }
        }
    }
    live.take_events(place.shard);
}
