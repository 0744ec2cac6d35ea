//! The store by its surface: whose tasks, how many, for how long, and who hears of them.

use std::cell::Cell;
use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};

use super::store::WAITERS_MAX;
use super::*;
use crate::jsonrpc::{Id, RequestId};
use crate::mcp::{
    CancelTask, ClientCapabilities, Era, OpenSession, Principal, Session, SessionToken, TaskEnd, TaskEnding,
    TaskId, TaskStatus, Tasks, UnixMillis,
};
use crate::metrics::TaskFigures;
use crate::session::live::{
    Collected, Live, LiveEvent, LiveOptions, Message, Stream, StreamPlace, StreamState,
};

const START: u64 = 1_000_000;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(START) };
}

fn now() -> UnixMillis {
    UnixMillis(NOW.get())
}

const LEGACY: TaskOwner = TaskOwner {
    principal: Principal::ANONYMOUS,
    session: Some(SessionToken([1; 16])),
    era: Era::Legacy,
};
const MODERN: TaskOwner = TaskOwner {
    principal: Principal::ANONYMOUS,
    session: None,
    era: Era::Modern,
};
const CONNECTION: ConnectionKey = ConnectionKey {
    slot: 3,
    generation: 4,
};
const PLACE: TaskPlace = TaskPlace {
    shard: 1,
    connection: CONNECTION,
};

fn store_with(options: TaskOptions) -> Arc<TaskStore> {
    NOW.set(START);
    let live = Live::new(LiveOptions::default(), 2);
    live.join(PLACE.shard, Box::new(Collected::default()));
    TaskStore::new(live, options, now)
}

fn store() -> Arc<TaskStore> {
    store_with(TaskOptions::default())
}

fn new(owner: TaskOwner) -> NewTask {
    NewTask {
        owner,
        revision: match owner.era {
            Era::Legacy => Revision::V2025_11_25,
            Era::Modern => Revision::V2026_07_28,
        },
        ttl: None,
        place: PLACE,
    }
}

fn completed(text: &str) -> TaskEnding {
    TaskEnding {
        status: TaskStatus::Completed,
        end: TaskEnd::Result(text.as_bytes().into()),
        message: None,
    }
}

fn events(store: &TaskStore) -> Vec<LiveEvent> {
    store.live.take_events(PLACE.shard)
}

/// All that a stream has for its client, and how it stands then.
fn read(stream: &Stream) -> (Vec<Value>, StreamState) {
    let place = StreamPlace {
        shard: 0,
        connection: CONNECTION,
    };
    stream.attach(place, None);
    let mut messages = Vec::new();
    let state = stream.next(place, usize::MAX, &mut |event| {
        let mut text = Vec::new();
        event.message.write(event.subscription, &mut text);
        messages.push(serde_json::from_slice(&text).unwrap());
    });
    (messages, state)
}

fn request(number: i64) -> RequestId {
    RequestId::from(Id::Signed(number))
}

fn status(store: &TaskStore, owner: &TaskOwner, id: &TaskId) -> Option<TaskStatus> {
    store.task(owner, id.as_str()).map(|view| view.status)
}

#[test]
fn a_task_is_its_owners_alone() {
    let store = store();
    let id = store.create(new(LEGACY)).unwrap().id;
    assert_eq!(id.as_str().len(), 32);
    assert_eq!(status(&store, &LEGACY, &id), Some(TaskStatus::Working));
    let another_session = TaskOwner {
        session: Some(SessionToken([2; 16])),
        ..LEGACY
    };
    // Its client may have begun a new session: the id is what nobody else has.
    assert!(store.task(&another_session, id.as_str()).is_some());
    let stranger = TaskOwner {
        principal: Principal([9; 16]),
        ..LEGACY
    };
    for owner in [stranger, MODERN] {
        assert_eq!(store.task(&owner, id.as_str()), None);
        assert_eq!(store.cancel_task(&owner, id.as_str()), CancelTask::Unknown);
        assert!(!store.update_task(&owner, id.as_str(), Vec::new()));
        assert_eq!(
            store.wait(&owner, &id, request(1)).err(),
            Some(WaitRefused::Unknown)
        );
        assert_eq!(Tasks::tasks(&*store, &owner, None, 10).0, []);
    }
    assert_eq!(store.task(&LEGACY, "no such"), None);
    assert_eq!(store.task(&LEGACY, &"x".repeat(100)), None);
    assert!(events(&store).is_empty());
}

#[test]
fn lists_have_the_tasks_of_one_session_in_order() {
    let store = store();
    let ids: Vec<TaskId> = (0..5).map(|_| store.create(new(LEGACY)).unwrap().id).collect();
    let other = TaskOwner {
        session: Some(SessionToken([2; 16])),
        ..LEGACY
    };
    store.create(new(other)).unwrap();
    let listed = |after: Option<&TaskId>, max| {
        let (views, has_more) = Tasks::tasks(&*store, &LEGACY, after.map(TaskId::as_str), max);
        (views.iter().map(|view| view.id).collect::<Vec<_>>(), has_more)
    };
    assert_eq!(listed(None, 3), (ids[..3].to_vec(), true));
    assert_eq!(listed(Some(&ids[2]), 3), (ids[3..].to_vec(), false));
    // A client without a session and a name cannot be told from others.
    let nobody = TaskOwner {
        session: None,
        ..LEGACY
    };
    store.create(new(nobody)).unwrap();
    assert_eq!(Tasks::tasks(&*store, &nobody, None, 10), (Vec::new(), false));
}

#[test]
fn results_can_be_fetched_again_and_by_all_who_wait() {
    let store = store();
    let id = store.create(new(LEGACY)).unwrap().id;
    let waiting = [1, 2].map(|number| store.wait(&LEGACY, &id, request(number)).unwrap());
    assert_eq!(read(&waiting[0]), (vec![], StreamState::Idle));
    store.end(&id, completed(r#"{"content":[]}"#));
    store.end(&id, completed(r#"{"late":true}"#));
    let later = store.wait(&LEGACY, &id, request(3)).unwrap();
    for (stream, number) in waiting.iter().chain([&later]).zip(1..) {
        let expected = json!({"jsonrpc": "2.0", "id": number, "result": {"content": []}});
        assert_eq!(read(stream), (vec![expected], StreamState::Ended));
    }
    let view = store.task(&LEGACY, id.as_str()).unwrap();
    assert_eq!(view.status, TaskStatus::Completed);
    assert_eq!(view.end.as_deref(), Some(&completed(r#"{"content":[]}"#).end));
}

#[test]
fn waiters_are_bounded_and_those_who_left_do_not_count() {
    let store = store();
    let id = store.create(new(LEGACY)).unwrap().id;
    let mut streams: Vec<_> = (0..WAITERS_MAX)
        .map(|_| store.wait(&LEGACY, &id, request(1)).unwrap())
        .collect();
    assert_eq!(
        store.wait(&LEGACY, &id, request(1)).err(),
        Some(WaitRefused::Full)
    );
    streams.pop();
    store.wait(&LEGACY, &id, request(1)).unwrap();
}

#[test]
fn a_cancelled_task_stays_cancelled_and_its_shard_hears_of_it() {
    let store = store();
    let id = store.create(new(LEGACY)).unwrap().id;
    let stream = store.wait(&LEGACY, &id, request(1)).unwrap();
    let cancelled = store.cancel_task(&LEGACY, id.as_str());
    assert!(matches!(cancelled, CancelTask::Cancelled(view) if view.status == TaskStatus::Cancelled));
    assert!(matches!(events(&store)[..], [LiveEvent::CancelTask(CONNECTION)]));
    store.end(&id, completed("{}"));
    assert_eq!(status(&store, &LEGACY, &id), Some(TaskStatus::Cancelled));
    assert!(matches!(
        store.cancel_task(&LEGACY, id.as_str()),
        CancelTask::Ended(_)
    ));
    assert!(events(&store).is_empty());
    let (messages, state) = read(&stream);
    assert_eq!(
        (messages[0]["error"]["code"].as_i64(), state),
        (Some(-32603), StreamState::Ended)
    );
}

#[test]
fn whoever_is_first_of_an_end_and_a_cancellation_wins_and_waiters_hear_once() {
    for _ in 0..200 {
        let store = store();
        let id = store.create(new(LEGACY)).unwrap().id;
        let stream = store.wait(&LEGACY, &id, request(1)).unwrap();
        let cancelled = thread::scope(|scope| {
            scope.spawn(|| store.end(&id, completed("{}")));
            let cancelling = scope.spawn(|| store.cancel_task(&LEGACY, id.as_str()));
            matches!(cancelling.join().unwrap(), CancelTask::Cancelled(_))
        });
        let (messages, state) = read(&stream);
        assert_eq!((messages.len(), state), (1, StreamState::Ended));
        assert_eq!(messages[0].get("error").is_some(), cancelled);
        assert_eq!(events(&store).len(), usize::from(cancelled));
        let expected = if cancelled {
            TaskStatus::Cancelled
        } else {
            TaskStatus::Completed
        };
        assert_eq!(status(&store, &LEGACY, &id), Some(expected));
    }
}

#[test]
fn a_task_asks_and_is_answered_by_key() {
    let store = store();
    let id = store.create(new(MODERN)).unwrap().id;
    let request: Arc<[u8]> = br#"{"method":"elicitation/create","params":{}}"#[..].into();
    assert!(store.ask(&id, 0, "name", Arc::clone(&request), None));
    assert!(store.ask(&id, 1, "age", Arc::clone(&request), None));
    let view = store.task(&MODERN, id.as_str()).unwrap();
    assert_eq!(
        (view.status, view.questions.len()),
        (TaskStatus::InputRequired, 2)
    );
    let answers = vec![
        ("age", json!({"action": "decline"})),
        ("other", json!(1)),
        ("age", json!(2)),
    ];
    assert!(store.update_task(&MODERN, id.as_str(), answers));
    let events = events(&store);
    let [
        LiveEvent::TaskAnswer {
            connection,
            number: 1,
            answer: Ok(answer),
        },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!((*connection, answer), (CONNECTION, &json!({"action": "decline"})));
    assert_eq!(status(&store, &MODERN, &id), Some(TaskStatus::InputRequired));
    store.answered(&id, 0);
    assert_eq!(status(&store, &MODERN, &id), Some(TaskStatus::Working));
    store.end(&id, completed("{}"));
    assert!(!store.ask(&id, 2, "late", request, None));
}

#[test]
fn who_waits_gets_the_questions_that_are_open() {
    let store = store();
    let id = store.create(new(LEGACY)).unwrap().id;
    let message = |number: u32| Message::new(json!({"id": number, "method": "ask"}).to_string().into_bytes());
    let request: Arc<[u8]> = b"{}"[..].into();
    store.ask(&id, 1, "one", Arc::clone(&request), Some(message(1)));
    let stream = store.wait(&LEGACY, &id, self::request(9)).unwrap();
    store.ask(&id, 2, "two", request, Some(message(2)));
    store.say(&id, message(3));
    let said: Vec<_> = read(&stream)
        .0
        .iter()
        .map(|message| message["id"].clone())
        .collect();
    assert_eq!(said, [1, 2, 3]);
}

#[test]
fn changes_are_told_to_the_session_and_to_listeners() {
    let store = store();
    let session = OpenSession {
        session: Session {
            revision: Revision::V2025_11_25,
            capabilities: ClientCapabilities::NONE,
            principal: Principal::ANONYMOUS,
        },
        token: SessionToken([1; 16]),
    };
    let get_stream = store.live.open_get_stream(&session, None).unwrap().stream;
    let legacy = store.create(new(LEGACY)).unwrap().id;
    store.end(&legacy, completed("{}"));
    assert_eq!(read(&get_stream).0[0]["params"]["taskId"], legacy.as_str());

    let modern = store.create(new(MODERN)).unwrap().id;
    let listener = store.live.open_call_stream(None, false).unwrap();
    let foreign = store.create(new(LEGACY)).unwrap().id;
    let ids = [modern, foreign].map(|id| id.as_str().into());
    store.listen(&MODERN, &ids, &listener);
    store.end(&foreign, completed("{}"));
    store.end(&modern, completed("{}"));
    let (messages, _) = read(&listener);
    assert_eq!(messages.len(), 1);
}

#[test]
fn tasks_are_forgotten_when_their_time_is_over() {
    let store = store();
    let short = NewTask {
        ttl: Some(Duration::from_secs(5)),
        ..new(MODERN)
    };
    let (running, over) = (store.create(short).unwrap().id, store.create(short).unwrap().id);
    let kept = store.create(new(MODERN)).unwrap();
    assert_eq!(kept.ttl, Some(TaskSettings::default().ttl()));
    store.end(&over, completed("{}"));
    let stream = store.wait(&MODERN, &running, request(1)).unwrap();
    let listener = store.live.open_call_stream(None, false).unwrap();
    store.listen(
        &MODERN,
        &[running.as_str().into(), over.as_str().into()],
        &listener,
    );
    NOW.set(START + 4_999);
    store.tick();
    assert_eq!(store.figures().tasks, 3);
    NOW.set(START + 5_000);
    store.tick();
    assert_eq!(
        (status(&store, &MODERN, &running), status(&store, &MODERN, &over)),
        (None, None)
    );
    assert!(
        matches!(events(&store)[..], [LiveEvent::CancelTask(CONNECTION)]),
        "only one still ran"
    );
    assert_eq!(read(&stream).1, StreamState::Ended);
    let (messages, _) = read(&listener);
    let [told] = &messages[..] else {
        panic!("only one is told of: {messages:?}");
    };
    assert_eq!(
        (&told["params"]["status"], &told["params"]["taskId"]),
        (&json!("failed"), &json!(running.as_str()))
    );
    let why = told["params"]["statusMessage"].as_str().unwrap();
    assert!(
        why.starts_with("the task was not done within its time to live"),
        "{why}"
    );
    assert_eq!((store.figures().tasks, store.figures().expired_total), (1, 2));
}

#[test]
fn nobody_keeps_a_task_for_longer_than_the_limit() {
    let store = store();
    let greedy = NewTask {
        ttl: Some(Duration::MAX),
        ..new(MODERN)
    };
    assert_eq!(
        store.create(greedy).unwrap().ttl,
        Some(TaskSettings::default().ttl_max)
    );
}

#[test]
fn thousands_made_and_abandoned_leave_nothing() {
    let store = store_with(TaskOptions {
        settings: TaskSettings {
            per_client_max: usize::MAX,
            ..TaskSettings::default()
        },
        ..TaskOptions::default()
    });
    for round in 0..4 {
        for number in 0..4096 {
            let id = store
                .create(new(if number % 2 == 0 { LEGACY } else { MODERN }))
                .unwrap()
                .id;
            match number % 3 {
                0 => store.end(&id, completed(&"x".repeat(100))),
                1 => drop(store.ask(&id, 0, "key", b"{}"[..].into(), None)),
                _ => {}
            }
        }
        NOW.set(START + (round + 1) * 86_400_000);
        store.tick();
        let figures = store.figures();
        assert_eq!((figures.tasks, figures.running, figures.bytes), (0, 0, 0));
    }
}

#[test]
fn what_is_over_makes_room_and_what_runs_does_not() {
    let store = store_with(TaskOptions {
        settings: TaskSettings {
            tasks_max: 3,
            per_client_max: 2,
            ..TaskSettings::default()
        },
        ..TaskOptions::default()
    });
    let first = store.create(new(LEGACY)).unwrap().id;
    let second = store.create(new(LEGACY)).unwrap().id;
    assert_eq!(store.create(new(LEGACY)), Err(TaskRefused::FullForClient));
    store.end(&second, completed("{}"));
    let third = store.create(new(LEGACY)).unwrap().id;
    assert_eq!(status(&store, &LEGACY, &second), None);
    store.create(new(MODERN)).unwrap();
    assert_eq!(store.create(new(MODERN)), Err(TaskRefused::Full));
    store.end(&third, completed("{}"));
    store.create(new(MODERN)).unwrap();
    assert_eq!(
        (status(&store, &LEGACY, &first), status(&store, &LEGACY, &third)),
        (Some(TaskStatus::Working), None)
    );
    assert_eq!(
        (store.figures().refused_total, store.figures().evicted_total),
        (2, 2)
    );
}

#[test]
fn the_oldest_that_are_over_make_room_for_bytes() {
    let store = store_with(TaskOptions {
        bytes_max: 20_000,
        ..TaskOptions::default()
    });
    let ids: Vec<TaskId> = (0..4).map(|_| store.create(new(MODERN)).unwrap().id).collect();
    for id in &ids {
        store.end(id, completed(&"x".repeat(8_000)));
        assert!(store.figures().bytes <= 20_000);
    }
    let known: Vec<bool> = ids
        .iter()
        .map(|id| store.task(&MODERN, id.as_str()).is_some())
        .collect();
    assert_eq!(known, [false, false, true, true]);
}

/// The counts by status alone.
fn by_status(store: &TaskStore) -> TaskFigures {
    let figures = store.figures();
    TaskFigures {
        working: figures.working,
        input_required: figures.input_required,
        completed: figures.completed,
        failed: figures.failed,
        cancelled: figures.cancelled,
        ..TaskFigures::default()
    }
}

#[test]
fn counts_by_status_follow_every_task() {
    let store = store();
    let ids: Vec<TaskId> = (0..5).map(|_| store.create(new(MODERN)).unwrap().id).collect();
    store.ask(&ids[1], 0, "key", b"{}"[..].into(), None);
    store.end(&ids[2], completed("{}"));
    store.end(
        &ids[3],
        TaskEnding {
            status: TaskStatus::Failed,
            ..completed("{}")
        },
    );
    store.cancel_task(&MODERN, ids[4].as_str());
    let one_of_each = TaskFigures {
        working: 1,
        input_required: 1,
        completed: 1,
        failed: 1,
        cancelled: 1,
        ..TaskFigures::default()
    };
    assert_eq!(by_status(&store), one_of_each);
    store.answered(&ids[1], 0);
    let answered = TaskFigures {
        working: 2,
        input_required: 0,
        ..one_of_each
    };
    assert_eq!(by_status(&store), answered);
    NOW.set(START + 86_400_000);
    store.tick();
    assert_eq!(by_status(&store), TaskFigures::default());
}

#[test]
fn a_key_is_never_used_again() {
    let store = store();
    let id = store.create(new(MODERN)).unwrap().id;
    let mut keys = Vec::new();
    for (number, key) in (0..).zip(["name", "name", "name-2", "name"]) {
        assert!(store.ask(&id, number, key, b"{}"[..].into(), None));
        let asked = store.task(&MODERN, id.as_str()).unwrap().questions;
        let [(key, _)] = &asked[..] else {
            panic!("{asked:?}")
        };
        // An answer that comes again is none to the next question.
        let late = keys
            .iter()
            .map(|key: &String| (key.as_str(), json!("late")))
            .collect();
        assert!(store.update_task(&MODERN, id.as_str(), late));
        assert!(events(&store).is_empty());
        assert!(store.update_task(&MODERN, id.as_str(), vec![(key, json!(number))]));
        let answers = events(&store);
        assert!(
            matches!(&answers[..], [LiveEvent::TaskAnswer { number: to, .. }] if *to == number),
            "{answers:?}"
        );
        keys.push(key.to_string());
    }
    assert_eq!(keys, ["name", "name-2", "name-2-2", "name-3"]);
}

#[test]
fn what_no_memory_could_hold_fails_its_task() {
    let store = store_with(TaskOptions {
        bytes_max: 20_000,
        ..TaskOptions::default()
    });
    let small = store.create(new(LEGACY)).unwrap().id;
    store.end(&small, completed("{}"));
    let large = store.create(new(LEGACY)).unwrap().id;
    let stream = store.wait(&LEGACY, &large, request(1)).unwrap();
    store.end(&large, completed(&"x".repeat(20_001)));
    assert_eq!(status(&store, &LEGACY, &large), Some(TaskStatus::Failed));
    assert_eq!(read(&stream).0[0]["error"]["code"], -31503);
    assert_eq!(
        status(&store, &LEGACY, &small),
        Some(TaskStatus::Completed),
        "it makes no room for what never fits"
    );
}

#[test]
fn who_is_refused_is_told_what_there_is_too_little_of() {
    let store = store_with(TaskOptions {
        bytes_max: 1,
        ..TaskOptions::default()
    });
    store.create(new(MODERN)).unwrap();
    let refused = store.create(new(MODERN)).unwrap_err();
    assert_eq!(
        (refused, refused.reason()),
        (TaskRefused::NoMemory, OverloadReason::Memory)
    );
    for refused in [TaskRefused::Full, TaskRefused::FullForClient] {
        assert_eq!(refused.reason(), OverloadReason::Tasks);
    }
}

#[test]
fn without_room_for_any_there_are_none() {
    let store = store_with(TaskOptions {
        settings: TaskSettings {
            tasks_max: 0,
            ..TaskSettings::default()
        },
        ..TaskOptions::default()
    });
    assert_eq!(store.create(new(MODERN)), Err(TaskRefused::Full));
    assert_eq!(store.figures().refused_total, 1);
}

#[test]
fn questions_count_against_memory_until_their_task_is_over() {
    let store = store();
    let id = store.create(new(MODERN)).unwrap().id;
    let begun = store.figures().bytes;
    let request: Arc<[u8]> = vec![b'x'; 10_000].into();
    store.ask(&id, 0, "key", request, None);
    assert!(store.figures().bytes > begun + 10_000);
    store.answered(&id, 0);
    assert!(store.figures().bytes < begun + 1_000);
    store.end(&id, completed(""));
    assert_eq!(store.figures().bytes, begun);
}

#[test]
fn a_principal_is_bounded_over_its_sessions_and_others_are_not() {
    let store = store_with(TaskOptions {
        settings: TaskSettings {
            per_client_max: 2,
            ..TaskSettings::default()
        },
        ..TaskOptions::default()
    });
    let named = |name, session| TaskOwner {
        principal: Principal([name; 16]),
        session: Some(SessionToken([session; 16])),
        era: Era::Legacy,
    };
    for session in 0..2 {
        store.create(new(named(1, session))).unwrap();
    }
    assert_eq!(store.create(new(named(1, 2))), Err(TaskRefused::FullForClient));
    let modern = TaskOwner {
        session: None,
        era: Era::Modern,
        ..named(1, 0)
    };
    assert_eq!(store.create(new(modern)), Err(TaskRefused::FullForClient));
    store.create(new(named(2, 0))).unwrap();
    // A principal has one list, whatever sessions it opened.
    assert_eq!(Tasks::tasks(&*store, &named(1, 9), None, 10).0.len(), 2);
}

#[test]
fn shards_that_make_and_end_tasks_at_once_leave_exact_figures() {
    const EACH: usize = 500;
    let store = store_with(TaskOptions {
        settings: TaskSettings {
            tasks_max: 64,
            per_client_max: 64,
            ..TaskSettings::default()
        },
        ..TaskOptions::default()
    });
    let made: usize = thread::scope(|scope| {
        let threads: Vec<_> = [LEGACY, MODERN]
            .into_iter()
            .cycle()
            .take(4)
            .map(|owner| {
                let store = &store;
                scope.spawn(move || {
                    let mut made = 0;
                    for turn in 0..EACH {
                        let Ok(view) = store.create(new(owner)) else {
                            continue;
                        };
                        made += 1;
                        match turn % 4 {
                            0 => drop(store.cancel_task(&owner, view.id.as_str())),
                            1 => drop(store.wait(&owner, &view.id, request(1))),
                            _ => store.end(&view.id, completed("{}")),
                        }
                        store.end(&view.id, completed("{}"));
                    }
                    made
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let figures = store.figures();
    assert_eq!((figures.created_total, figures.running), (made as u64, 0));
    assert_eq!(figures.tasks + figures.evicted_total, made as u64);
    assert!(figures.tasks <= 64 && made + figures.refused_total as usize == 4 * EACH);
    NOW.set(START + 86_400_000);
    store.tick();
    assert_eq!((store.figures().tasks, store.figures().bytes), (0, 0));
}
