use super::*;
use serde_json::json;

fn options() -> LiveOptions {
    LiveOptions::default()
}

fn set_level(live: &Live, number: u32) -> Result<(), StateRefused> {
    live.set_log_level(&session(number), LogLevel::Error)
}

#[test]
fn a_log_level_is_remembered() {
    let live = live(options());
    assert_eq!(live.log_level(token(1)), None);
    set_level(&live, 1).unwrap();
    assert_eq!(live.log_level(token(1)), Some(LogLevel::Error));
    assert_eq!(live.log_level(token(2)), None);
    live.end_session(token(1));
    assert_eq!(live.log_level(token(1)), None);
    assert_eq!(live.stats(), LiveStats::default());
}

#[test]
fn an_answer_finds_its_question_on_another_shard() {
    let live = live(options());
    let ask = |session, shard, call, number| {
        live.ask(
            token(session),
            Principal::ANONYMOUS,
            CallPlace { shard, call },
            number,
        )
        .unwrap()
    };
    let (first, second) = (ask(1, 1, 70, 0), ask(1, 0, 71, 3));
    let foreign = ask(2, 0, 72, 0);
    for wrong in [
        "",
        "q",
        "1",
        foreign.as_str(),
        &first.as_str().replacen('q', "Q", 1),
    ] {
        live.answer(token(1), wrong, Ok(json!(0)));
    }
    live.answer(token(3), first.as_str(), Ok(json!(0)));
    assert!(answers(&live, 0).is_empty() && answers(&live, 1).is_empty());
    live.answer(token(1), first.as_str(), Ok(json!({"a": 1})));
    live.answer(token(1), first.as_str(), Ok(json!("twice")));
    assert_eq!(answers(&live, 1), [(70, 0, Ok(json!({"a": 1})))]);
    live.forget_questions(token(1), CallPlace { shard: 0, call: 71 });
    live.answer(token(1), second.as_str(), Ok(json!(1)));
    assert!(answers(&live, 0).is_empty());
    live.answer(token(2), foreign.as_str(), Err(AnswerError::TimedOut));
    assert_eq!(answers(&live, 0), [(72, 0, Err(AnswerError::TimedOut))]);
    assert_eq!(live.stats(), LiveStats::default(), "nothing is left to remember");
}

#[test]
fn questions_are_bounded_and_cancelled_with_their_session() {
    let live = live(options());
    let asker = CallPlace { shard: 0, call: 5 };
    let ask = |number| live.ask(token(1), Principal::ANONYMOUS, asker, number);
    for number in 0..QUESTIONS_MAX as u32 {
        ask(number).unwrap();
    }
    assert_eq!(ask(0), Err(StateRefused::Full));
    live.end_session(token(1));
    let cancelled = answers(&live, 0);
    assert_eq!(cancelled.len(), QUESTIONS_MAX);
    assert!(
        cancelled
            .iter()
            .all(|(call, _, answer)| *call == 5 && *answer == Err(AnswerError::Cancelled))
    );
}

#[test]
fn ending_a_session_ends_its_streams_after_what_is_queued() {
    let live = live(options());
    let (call, stream) = (call_stream(&live, 1), get_stream(&live, 1));
    call.attach(place(1), None);
    stream.attach(place(2), None);
    stream.push(message(1));
    live.end_session(token(1));
    live.end_session(token(1));
    assert_eq!(look(&call, place(1), 100).2, StreamState::Ended);
    let (texts, _, state) = look(&stream, place(2), 100);
    assert_eq!((texts, state), (vec!["1".into()], StreamState::Ended));
    let id = stream.position().to_string();
    assert_eq!(
        live.open_get_stream(&session(1), Some(id.as_bytes())).err(),
        Some(StreamRefused::Unknown)
    );
    assert!(!live.is_evicted(token(1)));
    drop((call, stream));
    assert_eq!(live.stats(), LiveStats::default());
}

#[test]
fn a_session_with_nothing_left_is_forgotten_and_not_ended() {
    let live = live(options());
    live.subscribe(&session(1), "x:1").unwrap();
    live.subscribe(&session(1), "x:1").unwrap();
    live.subscribe(&session(1), "x:2").unwrap();
    assert_eq!(live.stats().sessions, 1);
    live.unsubscribe(&session(1), "x:1");
    live.unsubscribe(&session(1), "x:unknown");
    assert_eq!(live.stats().sessions, 1);
    live.unsubscribe(&session(1), "x:2");
    live.unsubscribe(&session(1), "x:2");
    assert_eq!(live.stats(), LiveStats::default());
    assert!(!live.is_evicted(token(1)));
    set_level(&live, 1).unwrap();
}

#[test]
fn a_stream_that_nobody_ends_does_not_keep_its_session_for_ever() {
    let live = live(LiveOptions {
        replay_age: seconds(10),
        ..options()
    });
    let stream = call_stream(&live, 1);
    stream.attach(place(1), None);
    stream.detach(place(1));
    live.tick(seconds(20));
    assert_eq!(live.stats().sessions, 1, "its call still runs");
    drop(stream);
    live.tick(seconds(21));
    live.tick(seconds(32));
    assert_eq!(live.stats(), LiveStats::default());
}

#[test]
fn room_is_made_by_evicting_the_session_idle_for_longest() {
    let live = live(LiveOptions {
        sessions_max: 4,
        ..options()
    });
    for number in 1..=4 {
        live.tick(seconds(u64::from(number)));
        set_level(&live, number).unwrap();
    }
    live.tick(seconds(5));
    live.touch(token(1));
    let busy = get_stream(&live, 2);
    busy.attach(place(1), None);
    live.tick(seconds(6));
    set_level(&live, 5).unwrap();
    let evicted = |live: &Live| {
        (1..=8)
            .filter(|number| live.is_evicted(token(*number)))
            .collect::<Vec<_>>()
    };
    assert_eq!(evicted(&live), [3]);
    assert_eq!((live.log_level(token(3)), live.stats().sessions), (None, 4));
    // An evicted session's state does not come back behind its client's back.
    assert_eq!(set_level(&live, 3), Err(StateRefused::Full));
    set_level(&live, 6).unwrap();
    set_level(&live, 7).unwrap();
    assert_eq!(evicted(&live), [1, 3, 4]);
    assert_eq!(
        look(&busy, place(1), 100).2,
        StreamState::Idle,
        "who is connected stays"
    );
    let others: Vec<_> = [5, 6, 7].map(|number| get_stream(&live, number)).into();
    others.iter().zip(2..).for_each(|(stream, slot)| {
        stream.attach(place(slot), None);
    });
    assert_eq!(set_level(&live, 8), Err(StateRefused::Full), "everybody is busy");
    // The session whose stream is let go is the next to be evicted.
    others[1].detach(place(3));
    set_level(&live, 8).unwrap();
    assert_eq!(evicted(&live), [1, 3, 4, 6]);
    assert_eq!(live.stats().evictions, 4);
}

#[test]
fn a_principal_makes_room_for_itself() {
    let live = live(LiveOptions {
        sessions_per_principal_max: 2,
        ..options()
    });
    let (ann, bob) = (Principal([1; 16]), Principal([2; 16]));
    let set = |number, principal| {
        live.tick(seconds(u64::from(number)));
        live.set_log_level(&session_of(number, principal), LogLevel::Info)
    };
    set(1, bob).unwrap();
    for number in 2..=4 {
        set(number, ann).unwrap();
    }
    for number in 5..=9 {
        set(number, Principal::ANONYMOUS).unwrap();
    }
    let evicted: Vec<u32> = (1..=9).filter(|number| live.is_evicted(token(*number))).collect();
    assert_eq!(evicted, [2]);
    let open = |number, slot| {
        let stream = live
            .open_get_stream(&session_of(number, ann), None)
            .unwrap()
            .stream;
        stream.attach(place(slot), None);
        stream
    };
    let _busy = (open(3, 1), open(4, 2));
    assert_eq!(set(10, ann), Err(StateRefused::Full));
    set(11, bob).unwrap();
    live.end_session(token(3));
    set(12, ann).unwrap();
}

#[test]
fn bytes_are_bounded_and_idle_sessions_make_room() {
    let live = live(LiveOptions {
        bytes_max: 8 * 1024,
        ..options()
    });
    let mut number = 0;
    while live.stats().evictions == 0 {
        number += 1;
        set_level(&live, number).unwrap();
        assert!(number < 100, "{:?}", live.stats());
    }
    assert!(live.stats().bytes <= 8 * 1024);
    // Streams that have a connection stay, even if others need the room.
    let mut streams = Vec::new();
    while let Ok(stream) = live.open_call_stream(None, false) {
        stream.attach(place(streams.len() as u32), None);
        streams.push(stream);
        assert!(streams.len() < 100);
    }
    assert_eq!(live.stats().sessions, 0);
    assert!(live.stats().bytes <= 8 * 1024);
    assert_eq!(set_level(&live, number + 1), Err(StateRefused::Full));
    assert_eq!(
        live.open_listen(Id::Signed(1).into(), &interest(&["x:1"])).err(),
        Some(StateRefused::Full)
    );
    // When there is no room, a stream with an unsent message is cut off, and a stream without one gets its message.
    streams[0].push(bulk(8 * 1024));
    streams[1].push(bulk(10));
    streams[0].push(bulk(10));
    assert_eq!(look(&streams[0], place(0), 100).2, StreamState::CutOff);
    assert_eq!(look(&streams[1], place(1), 100).2, StreamState::Idle);
    drop(streams);
    assert_eq!(live.stats().bytes, 0);
}

#[test]
fn who_is_silent_for_too_long_is_evicted() {
    let live = live(LiveOptions {
        idle: seconds(100),
        replay_age: seconds(10),
        session_max_age: seconds(1000),
        ..options()
    });
    for number in 1..=3 {
        set_level(&live, number).unwrap();
    }
    let stream = get_stream(&live, 3);
    stream.attach(place(1), None);
    live.tick(seconds(60));
    live.touch(token(2));
    live.tick(seconds(101));
    assert!(live.is_evicted(token(1)));
    assert!(!live.is_evicted(token(2)) && !live.is_evicted(token(3)));
    live.tick(seconds(500));
    assert!(live.is_evicted(token(2)));
    assert_eq!(live.log_level(token(3)), Some(LogLevel::Error));
    stream.detach(place(1));
    live.tick(seconds(600));
    assert!(!live.is_evicted(token(3)));
    live.tick(seconds(601));
    assert!(live.is_evicted(token(3)));
    drop(stream);
    assert_eq!((live.stats().sessions, live.stats().bytes), (0, 0));
}

#[test]
fn subscriptions_are_bounded() {
    let live = live(LiveOptions {
        subscriptions_max: 2,
        ..options()
    });
    for uri in ["x:1", "x:2", "x:1"] {
        live.subscribe(&session(1), uri).unwrap();
    }
    assert_eq!(live.subscribe(&session(1), "x:3"), Err(StateRefused::Full));
    live.subscribe(&session(2), "x:3").unwrap();
    let id = || Id::Signed(1).into();
    assert!(live.open_listen(id(), &interest(&["x:1", "x:2", "x:1"])).is_ok());
    assert!(live.open_listen(id(), &interest(&["x:1", "x:2", "x:3"])).is_err());
}
