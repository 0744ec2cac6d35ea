use super::*;

fn options() -> LiveOptions {
    LiveOptions {
        backlog_bytes_max: 100,
        replay_bytes_max: 50,
        ..LiveOptions::default()
    }
}

#[test]
fn messages_come_in_order_and_the_shard_is_told_once() {
    let live = live(options());
    let stream = live.open_call_stream(None, false).unwrap();
    stream.push(message(1));
    assert_eq!(stream.attach(place(7), None), None);
    assert!(ready(&live, 0).is_empty(), "who attaches looks unasked");
    assert_eq!(
        look(&stream, place(7), usize::MAX),
        (vec!["1".into()], vec![], StreamState::Idle)
    );
    for number in 2..40 {
        stream.push(message(number));
    }
    assert_eq!(ready(&live, 0), [7]);
    let expected: Vec<String> = (2..40).map(|number| number.to_string()).collect();
    assert_eq!(texts(&stream, place(7)), expected);
    stream.push(message(40));
    assert_eq!(ready(&live, 0), [7]);
}

#[test]
fn a_look_takes_what_it_has_room_for() {
    let live = live(options());
    let stream = live.open_call_stream(None, false).unwrap();
    stream.attach(place(1), None);
    for _ in 0..5 {
        stream.push(bulk(10));
    }
    assert_eq!(look(&stream, place(1), 0).2, StreamState::More);
    let (texts, _, state) = look(&stream, place(1), 11);
    assert_eq!((texts.len(), state), (2, StreamState::More));
    // The shard has more to look at, so it needs no event.
    stream.push(bulk(10));
    assert!(ready(&live, 0).is_empty());
    let (texts, _, state) = look(&stream, place(1), 40);
    assert_eq!((texts.len(), state), (4, StreamState::Idle));
}

#[test]
fn the_end_comes_after_what_is_queued() {
    let live = live(options());
    let stream = live.open_call_stream(None, false).unwrap();
    stream.attach(place(1), None);
    assert_eq!(look(&stream, place(1), 100).2, StreamState::Idle);
    stream.push(message(1));
    stream.end();
    stream.end();
    stream.push(message(2));
    assert_eq!(ready(&live, 0), [1]);
    let (texts, _, state) = look(&stream, place(1), 100);
    assert_eq!((texts, state), (vec!["1".into()], StreamState::Ended));
}

#[test]
fn who_does_not_read_is_cut_off() {
    let live = live(options());
    let before = live.stats().bytes;
    let stream = live.open_call_stream(None, false).unwrap();
    stream.attach(place(1), None);
    let empty = live.stats().bytes;
    // A message is taken however large it is, if it is the only one.
    stream.push(bulk(500));
    assert_eq!(look(&stream, place(1), 1000).2, StreamState::Idle);
    stream.push(bulk(60));
    stream.push(bulk(40));
    assert_eq!(look(&stream, place(1), 10).2, StreamState::More);
    assert!(live.stats().bytes > empty);
    stream.push(bulk(60));
    let (texts, _, state) = look(&stream, place(1), 1000);
    assert_eq!(
        (texts.len(), state),
        (2, StreamState::Idle),
        "100 bytes are within the bound"
    );
    stream.push(bulk(60));
    live.take_events(0);
    stream.push(bulk(41));
    assert_eq!(live.stats().bytes, empty, "nothing is kept");
    stream.push(message(1));
    stream.end();
    let (texts, _, state) = look(&stream, place(1), 1000);
    assert_eq!((texts, state), (vec![], StreamState::CutOff));
    drop(stream);
    assert_eq!(live.stats().bytes, before);
}

#[test]
fn what_may_get_lost_does_when_half_of_what_may_be_unread_is() {
    let live = live(options());
    let stream = live.open_call_stream(None, false).unwrap();
    stream.attach(place(1), None);
    stream.offer(bulk(30));
    stream.offer(bulk(20));
    stream.offer(bulk(1));
    // The rest is for what must not.
    stream.push(bulk(50));
    let (texts, _, state) = look(&stream, place(1), 1000);
    assert_eq!((texts.len(), state), (3, StreamState::Idle));
    stream.offer(bulk(500));
    assert_eq!(look(&stream, place(1), 1000).0.len(), 1);
}

#[test]
fn a_client_comes_back_for_what_it_missed() {
    let live = live(options());
    let stream = call_stream(&live, 1);
    assert_eq!(stream.position().seq, 0);
    stream.attach(place(1), None);
    for number in 1..=5 {
        stream.push(message(number));
    }
    assert_eq!(look(&stream, place(1), 3).1, [1, 2, 3]);
    let mut last_seen = stream.position();
    assert_eq!(last_seen.seq, 3);
    stream.detach(place(1));
    stream.push(message(6));
    stream.end();
    last_seen.seq = 2;
    let back = live.open_get_stream(&session(1), Some(last_seen.to_string().as_bytes()));
    let Attached { stream: back, after } = back.unwrap();
    assert!(Arc::ptr_eq(&back, &stream));
    back.attach(on_shard(1, 9), after);
    let expected = (["3", "4", "5", "6"].map(String::from).to_vec(), vec![3, 4, 5, 6]);
    let (texts, seqs, state) = look(&back, on_shard(1, 9), 1000);
    assert_eq!(((texts, seqs), state), (expected, StreamState::Ended));
    // The client comes back while the older connection is still there, which is told to close.
    let again = live
        .open_get_stream(&session(1), Some(last_seen.to_string().as_bytes()))
        .unwrap();
    assert_eq!(again.stream.attach(place(3), again.after), Some(on_shard(1, 9)));
    assert!(matches!(live.take_events(1)[..], [LiveEvent::Displaced(key)] if key.slot == 9));
    assert_eq!(look(&stream, on_shard(1, 9), 1000).2, StreamState::Displaced);
    stream.detach(on_shard(1, 9));
    assert_eq!(look(&stream, place(3), 1000).1, [3, 4, 5, 6]);
}

#[test]
fn an_event_id_is_good_for_its_stream_and_session_alone() {
    let live = live(options());
    let (stream, foreign) = (call_stream(&live, 1), call_stream(&live, 2));
    stream.push(message(1));
    foreign.push(message(2));
    let resume = |session: &OpenSession, id: &str| {
        live.open_get_stream(session, Some(id.as_bytes()))
            .map(|attached| attached.stream.id())
    };
    let id = |stream: &Stream, seq| {
        EventId {
            stream: stream.id(),
            seq,
        }
        .to_string()
    };
    assert_eq!(resume(&session(1), &id(&stream, 0)), Ok(stream.id()));
    assert_eq!(resume(&session(1), &id(&stream, 1)), Ok(stream.id()));
    let get_stream_id = id(&get_stream(&live, 1), 0);
    let same_number = id(&stream, 1).replacen('c', "s", 1);
    let wrong = [
        id(&stream, 2),
        id(&foreign, 1),
        same_number,
        "1".into(),
        String::new(),
        "x".repeat(1000),
    ];
    for wrong in &wrong {
        assert_eq!(resume(&session(1), wrong), Err(StreamRefused::Unknown), "{wrong}");
    }
    for id in [id(&stream, 1), get_stream_id] {
        assert_eq!(resume(&session(2), &id), Err(StreamRefused::Unknown));
        assert_eq!(resume(&session(3), &id), Err(StreamRefused::Unknown));
    }
}

#[test]
fn what_is_retained_is_bounded_in_bytes() {
    let live = live(options());
    let stream = call_stream(&live, 1);
    stream.attach(place(1), None);
    for _ in 0..20 {
        stream.push(bulk(10));
        look(&stream, place(1), 1000);
    }
    stream.attach(place(2), Some(0));
    assert_eq!(look(&stream, place(2), 1000).1, [16, 17, 18, 19, 20]);
    // A stream that is not resumable retains nothing.
    let plain = live
        .open_call_stream(Some((token(1), Principal::ANONYMOUS)), false)
        .unwrap();
    plain.attach(place(3), None);
    plain.push(message(1));
    assert_eq!(texts(&plain, place(3)), ["1"]);
    plain.attach(place(4), Some(0));
    assert_eq!(look(&plain, place(4), 1000), (vec![], vec![], StreamState::Idle));
}

#[test]
fn what_is_retained_is_bounded_in_age() {
    let live = live(LiveOptions {
        replay_age: seconds(10),
        ..options()
    });
    let stream = call_stream(&live, 1);
    stream.attach(place(1), None);
    stream.push(message(1));
    look(&stream, place(1), 1000);
    live.tick(seconds(5));
    stream.push(message(2));
    stream.push(message(3));
    look(&stream, place(1), 1);
    live.tick(seconds(11));
    stream.attach(place(2), Some(0));
    assert_eq!(look(&stream, place(2), 1000).1, [2, 3]);
    // Unsent messages do not age while the client is connected.
    stream.push(message(4));
    live.tick(seconds(30));
    assert_eq!(look(&stream, place(2), 1000).1, [4]);
    // Without a connection all messages age, and the stream with them once its call is over.
    stream.detach(place(2));
    stream.push(message(5));
    live.tick(seconds(41));
    let resume = || live.open_get_stream(&session(1), Some(stream.position().to_string().as_bytes()));
    assert!(resume().is_ok());
    stream.push(message(6));
    stream.end();
    live.tick(seconds(51));
    let attached = resume().unwrap();
    attached.stream.attach(place(3), Some(0));
    assert_eq!(
        look(&stream, place(3), 1000),
        (vec!["6".into()], vec![6], StreamState::Ended)
    );
    stream.detach(place(3));
    live.tick(seconds(61));
    assert!(resume().is_ok());
    live.tick(seconds(62));
    assert_eq!(resume().err(), Some(StreamRefused::Unknown));
    drop((attached, stream));
    assert_eq!(
        live.stats(),
        LiveStats::default(),
        "nothing is left of the session"
    );
}

#[test]
fn of_finished_streams_the_newest_are_retained() {
    let live = live(LiveOptions {
        replay_streams_max: 2,
        ..options()
    });
    let streams: Vec<_> = (0..5).map(|_| call_stream(&live, 1)).collect();
    streams[4].attach(place(1), None);
    for finished in [4, 3, 0, 1] {
        streams[finished].push(message(1));
        streams[finished].end();
    }
    let retained = |stream: &Arc<Stream>| {
        let id = stream.position().to_string();
        live.open_get_stream(&session(1), Some(id.as_bytes())).is_ok()
    };
    // The first call finished last but is the oldest; the third still runs; the last has a connection.
    assert_eq!(
        streams.iter().map(retained).collect::<Vec<_>>(),
        [false, true, true, true, true]
    );
    streams[4].detach(place(1));
    assert_eq!(
        streams.iter().map(retained).collect::<Vec<_>>(),
        [false, false, true, true, true]
    );
}

#[test]
fn a_session_has_one_get_stream() {
    let live = live(options());
    let first = get_stream(&live, 1);
    first.attach(place(1), None);
    let second = live.open_get_stream(&session(1), None);
    assert_eq!(second.err(), Some(StreamRefused::Taken));
    assert!(live.open_get_stream(&session(2), None).is_ok());
    first.push(message(1));
    assert_eq!(texts(&first, place(1)), ["1"]);
    first.detach(place(1));
    first.push(message(2));
    // Without an event id, the stream goes on with what was not sent.
    let second = live.open_get_stream(&session(1), None).unwrap();
    assert!(Arc::ptr_eq(&second.stream, &first));
    second.stream.attach(place(2), second.after);
    assert_eq!(look(&first, place(2), 100).1, [2]);
    // A stream that was cut off is replaced.
    first.push(bulk(100));
    first.push(bulk(100));
    assert_eq!(look(&first, place(2), 100).2, StreamState::CutOff);
    assert!(!Arc::ptr_eq(&get_stream(&live, 1), &first));
}

#[test]
fn an_idle_stream_costs_little() {
    let live = live(LiveOptions::default());
    let table_share = 2 * size_of::<(SessionToken, usize)>();
    let before = live.stats().bytes;
    let stream = get_stream(&live, 1);
    stream.attach(place(1), None);
    live.subscribe(&session(1), "test://watched").unwrap();
    let legacy = live.stats().bytes - before + table_share;
    let before = live.stats().bytes;
    let stream = listen(&live, 1, &["test://watched"]);
    stream.attach(place(2), None);
    let modern = live.stats().bytes - before;
    println!(
        "GET stream: {legacy} bytes, subscription: {modern} bytes, queue: {}",
        size_of::<Stream>()
    );
    assert!(legacy < 900 && modern < 400, "{legacy} and {modern} bytes");
}
