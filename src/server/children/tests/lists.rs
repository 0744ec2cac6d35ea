//! Lists that change, and lists of which nobody says whether they do.

use super::*;

/// Longer than `list_ttl` is unless somebody says so.
const LIST_TTL: Duration = Duration::from_secs(301);

fn rereads(acts: &[Act]) -> Vec<&Act> {
    let rereads = acts.iter().filter(|act| matches!(act, Act::Reread { .. }));
    rereads.collect()
}

/// A server whose children belong to clients, the first child ready and nobody's.
fn owned(pool: PoolSettings) -> Rig {
    let mut rig = Rig::new(1, 1, &pool);
    rig.acts();
    rig.ready(0, 1, 1);
    rig.acts();
    rig
}

/// A session has made a call that waits for a child.
fn wanted(session: u8) -> ChildNewsEvent {
    let client = Client {
        key: ClientKey::Session(SessionToken([session; 16])),
        profile: ClientProfile::NOBODY,
        has_values: false,
    };
    let values = None;
    ChildNewsEvent::Wanted { client, values }
}

/// A child takes calls that was not asked for its lists.
fn ready_unasked(rig: &mut Rig, member: u64) {
    let event = ChildNewsEvent::Ready {
        member: MemberKey(member),
        introduction: Box::new(introduced(1).0),
        lists: None,
        took: Duration::from_millis(300),
    };
    rig.news(0, 0, event);
}

#[test]
fn lists_that_change_are_read_again_of_the_child_that_says_so_and_published_if_they_differ() {
    let mut rig = Rig::one(2);
    rig.acts();
    rig.ready(0, 1, 1);
    rig.acts();
    for _ in 0..3 {
        rig.news(0, 0, changed());
    }
    assert!(rig.acts().is_empty(), "more may come");
    assert_eq!(rig.pass(Duration::from_millis(100)), [reread(0, 1)]);
    rig.news(0, 0, listed(1, 1));
    assert!(rig.acts().is_empty(), "they are as they were");
    rig.news(0, 0, listed(1, 2));
    assert_eq!(rig.acts(), [Act::Publish(1, 2)]);
}

#[test]
fn one_of_many_children_is_asked_again_if_they_do_not_tell_of_changes() {
    let pool = PoolSettings {
        min_idle: 3,
        max: Some(3),
        ..shared()
    };
    let mut rig = Rig::new(1, 1, &pool);
    for member in 1..4 {
        rig.pass(Duration::from_secs(9));
        rig.ready(0, member, 1);
    }
    rig.acts();
    // However often: one that does not answer is asked again, too.
    for turn in 0..3 {
        let acts = rig.pass(LIST_TTL);
        assert_eq!(rereads(&acts).len(), 1, "turn {turn}: {acts:?}");
    }
    rig.news(0, 0, listed(1, 4));
    assert_eq!(rig.acts(), [Act::Publish(1, 4)]);
}

#[test]
fn the_child_that_says_so_is_asked_and_another_if_it_is_gone_by_then() {
    let pool = PoolSettings {
        min_idle: 2,
        max: Some(2),
        ..shared()
    };
    let mut rig = Rig::new(1, 1, &pool);
    rig.acts();
    rig.ready(0, 1, 1);
    rig.pass(Duration::from_secs(1));
    rig.ready(0, 2, 1);
    rig.acts();
    let member = MemberKey(2);
    rig.news(0, 0, ChildNewsEvent::Changed { member });
    let acts = rig.pass(Duration::from_secs(1));
    assert_eq!(rereads(&acts), [&reread(0, 2)]);
    rig.news(0, 0, ChildNewsEvent::Changed { member });
    rig.dies(0, 2);
    let acts = rig.pass(Duration::from_millis(200));
    assert_eq!(rereads(&acts), [&reread(0, 1)]);
}

#[test]
fn the_own_child_of_a_client_is_asked_again_if_it_does_not_tell_of_changes() {
    let mut rig = owned(PoolSettings::default());
    rig.news(0, 0, wanted(1));
    rig.acts();
    rig.ready(0, 2, 1);
    let own = reread(0, 1);
    for turn in 0..2 {
        let acts = rig.pass(LIST_TTL);
        assert_eq!(count(&acts, |act| *act == own), 1, "turn {turn}: {acts:?}");
        assert_eq!(rereads(&acts).len(), 2, "and the one that is nobody's: {acts:?}");
    }
    rig.news(0, 0, listed(1, 2));
    assert_eq!(rig.acts(), [Act::Publish(1, 1)], "what all have is as it was");
    let own = rig.outsiders.0.borrow().own.clone();
    assert_eq!(own.values().collect::<Vec<_>>(), [&2]);
    // A child that is gone is asked no more.
    rig.news(0, 0, ChildNewsEvent::Disowned(MemberKey(1)));
    rig.dies(0, 1);
    let acts = rig.pass(LIST_TTL);
    assert!(!acts.contains(&reread(0, 1)), "{acts:?}");
}

#[test]
fn a_child_that_was_not_asked_is_when_what_it_is_taken_to_have_is_old() {
    let pool = PoolSettings {
        min_idle: 0,
        max: Some(1),
        ..PoolSettings::default()
    };
    let mut rig = owned(pool);
    rig.exited(1, ExitStatus::Code(0), ExitReason::Itself);
    rig.gone(0, 1, None);
    rig.news(0, 0, wanted(1));
    rig.pass(Duration::from_secs(1));
    ready_unasked(&mut rig, 2);
    assert!(rereads(&rig.acts()).is_empty());
    let acts = rig.pass(LIST_TTL);
    assert_eq!(rereads(&acts), [&reread(0, 2)]);
}

#[test]
fn children_of_one_call_are_not_asked_again() {
    let pool = PoolSettings {
        mode: PoolMode::Call,
        min_idle: 0,
        ..PoolSettings::default()
    };
    let mut rig = owned(pool);
    let client = Client {
        key: ClientKey::Call { shard: 0, number: 1 },
        profile: ClientProfile::NOBODY,
        has_values: false,
    };
    let values = None;
    rig.news(0, 0, ChildNewsEvent::Wanted { client, values });
    rig.news(0, 0, changed());
    let acts = rig.pass(LIST_TTL);
    assert!(acts.contains(&Act::Placed { shard: 0, place: 0 }), "{acts:?}");
    assert!(rereads(&acts).is_empty(), "{acts:?}");
}

#[test]
fn a_child_is_asked_when_somebody_gets_it_if_others_have_other_lists_by_then() {
    let pool = PoolSettings {
        // Two are ready for a client, one is told nothing yet.
        min_idle: 3,
        ..PoolSettings::default()
    };
    let mut rig = owned(pool);
    rig.ready(0, 2, 1);
    rig.news(0, 0, listed(1, 2));
    rig.acts();
    rig.news(0, 0, wanted(1));
    assert!(rereads(&rig.acts()).is_empty(), "it has said so itself");
    rig.news(0, 0, wanted(2));
    let acts = rig.acts();
    assert_eq!(rereads(&acts), [&reread(0, 2)], "{acts:?}");
}

#[test]
fn a_list_that_a_child_refuses_stays_as_it_was() {
    let mut rig = Rig::one(1);
    rig.acts();
    rig.ready(0, 1, 3);
    rig.acts();
    let mut out = Vec::new();
    let (introduction, _) = introduced(0);
    let mut handshake = Handshake::reread(&introduction, 7, &mut out).unwrap();
    let error = br#"{"code":-32603,"message":"not now"}"#;
    let step = handshake.on_answer(handshake.id(), Kind::Error, error, &mut out);
    let HandshakeStep::Done(done) = step.unwrap() else {
        panic!("it waits for more");
    };
    let event = ChildNewsEvent::Listed {
        member: MemberKey(1),
        introduction: Box::new(introduction),
        lists: Box::new(done.1.unwrap()),
    };
    rig.news(0, 0, event);
    assert!(rig.acts().is_empty());
}
