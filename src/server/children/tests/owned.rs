//! Children that belong to clients.

use super::*;

/// A client of one call, by its number.
fn single(number: u64) -> Client {
    Client {
        key: ClientKey::Call { shard: 0, number },
        profile: ClientProfile::NOBODY,
        has_values: false,
    }
}

fn wants(client: Client) -> ChildNewsEvent {
    let values = None;
    ChildNewsEvent::Wanted { client, values }
}

#[test]
fn children_of_one_call_are_followed_by_others_at_once() {
    let pool = PoolSettings {
        mode: PoolMode::Call,
        max: Some(3),
        ..PoolSettings::default()
    };
    let mut rig = Rig::new(1, 1, &pool);
    rig.acts();
    rig.ready(0, 1, 1);
    rig.acts();
    rig.news(0, 0, wants(single(1)));
    let acts = rig.acts();
    assert_eq!(spawns(&acts), 1, "one is to be warm: {acts:?}");
    assert_eq!(acts[..2], [assign(0, 1), Act::Placed { shard: 0, place: 0 }]);
    let member = MemberKey(1);
    let is_used_up = true;
    rig.news(0, 0, ChildNewsEvent::Worn { member, is_used_up });
    assert!(rig.acts().is_empty());
    (2..7).for_each(|number| rig.news(0, 0, wants(single(number))));
    let acts = rig.pass(Duration::from_secs(1));
    assert_eq!(spawns(&acts), 1, "no more than there may be: {acts:?}");
    rig.exited(1, ExitStatus::Code(0), ExitReason::Itself);
    rig.gone(0, 1, None);
    assert_eq!(rig.supervising.status(rig.now).1, None);
    rig.ready(0, 2, 1);
    assert_eq!(spawns(&rig.acts()), 1);
}

fn assign(shard: u16, member: u64) -> Act {
    Act::Assign {
        shard,
        member,
        is_greeted: false,
    }
}

fn session(number: u8) -> SessionToken {
    SessionToken([number; 16])
}

fn wanted(number: u8) -> ChildNewsEvent {
    wants(Client {
        key: ClientKey::Session(session(number)),
        profile: ClientProfile::NOBODY,
        has_values: false,
    })
}

/// A server whose children belong to sessions, with one that is ready and nobody's, on shard 0.
fn sessions(pool: PoolSettings) -> Rig {
    let mut rig = Rig::new(1, 2, &pool);
    rig.acts();
    rig.ready(0, 1, 1);
    rig.acts();
    rig
}

#[test]
fn a_session_gets_the_warm_child_and_another_one_is_made_warm() {
    let mut rig = sessions(PoolSettings::default());
    rig.news(1, 0, wanted(1));
    let acts = rig.acts();
    let expected = [
        assign(0, 1),
        Act::Placed { shard: 1, place: 0 },
        Act::Spawn(2),
        adopt(1, 0, 2, LATER),
    ];
    assert_eq!(acts, expected);
    rig.news(0, 0, wanted(1));
    assert_eq!(rig.acts(), [Act::Placed { shard: 0, place: 0 }]);
    rig.news(0, 0, wanted(2));
    assert_eq!(
        rig.acts()[..1],
        [assign(1, 2)],
        "it is not ready yet, but it comes"
    );
}

#[test]
fn a_session_whose_child_dies_is_over_and_gets_no_other() {
    let mut rig = sessions(PoolSettings::default());
    rig.news(0, 0, wanted(1));
    rig.acts();
    rig.news(0, 0, ChildNewsEvent::Disowned(MemberKey(1)));
    let lost = |shard| Act::Lost { shard, is_over: true };
    assert_eq!(rig.acts(), [Act::EndSession(session(1)), lost(0), lost(1)]);
    rig.dies(0, 1);
    let acts = rig.acts();
    assert_eq!(
        count(&acts, |act| matches!(act, Act::Lost { .. })),
        0,
        "it is told once"
    );
    rig.news(1, 0, wanted(1));
    assert_eq!(rig.acts(), [lost(1)]);
}

#[test]
fn a_session_that_may_go_on_gets_another_child() {
    let pool = PoolSettings {
        on_loss: LossPolicy::Restart,
        ..PoolSettings::default()
    };
    let mut rig = sessions(pool);
    rig.news(0, 0, wanted(1));
    rig.acts();
    rig.ready(0, 2, 1);
    rig.news(0, 0, ChildNewsEvent::Disowned(MemberKey(1)));
    let lost = |shard| Act::Lost {
        shard,
        is_over: false,
    };
    assert_eq!(rig.acts(), [lost(0), lost(1)]);
    rig.news(0, 0, wanted(1));
    assert_eq!(rig.acts()[..1], [assign(1, 2)]);
}

#[test]
fn the_child_of_a_client_that_leaves_is_retired() {
    let mut rig = sessions(PoolSettings::default());
    rig.news(0, 0, wanted(1));
    rig.acts();
    let ended = session(1);
    rig.outsiders.0.borrow_mut().over.push(ended);
    rig.supervising.handle(Mail::SessionEnded(ended), rig.now);
    let acts = rig.acts();
    assert_eq!(acts[0], Act::Retire { shard: 0, member: 1 }, "{acts:?}");
    assert_eq!(count(&acts, |act| matches!(act, Act::EndSession(_))), 0);
    rig.supervising.handle(Mail::SessionEnded(session(7)), rig.now);
    assert!(rig.acts().is_empty());
}

#[test]
fn a_session_that_waits_for_a_place_gets_that_of_one_which_is_idle() {
    let pool = PoolSettings {
        max: Some(2),
        min_idle: 0,
        ..PoolSettings::default()
    };
    let mut rig = Rig::new(1, 1, &pool);
    assert_eq!(spawns(&rig.acts()), 1, "it says what the server has");
    rig.ready(0, 1, 1);
    rig.acts();
    rig.exited(1, ExitStatus::Code(0), ExitReason::Itself);
    rig.gone(0, 1, None);
    rig.news(0, 0, wanted(1));
    rig.news(0, 0, wanted(2));
    rig.news(0, 0, wanted(3));
    assert_eq!(spawns(&rig.pass(Duration::from_secs(1))), 2);
    rig.ready(0, 2, 1);
    rig.ready(0, 3, 1);
    let acts = rig.pass(Duration::from_secs(58));
    assert!(acts.is_empty(), "{acts:?}");
    rig.news(0, 0, ChildNewsEvent::Active(vec![MemberKey(2)]));
    let acts = rig.pass(Duration::from_secs(2));
    assert_eq!(acts[0], Act::Retire { shard: 0, member: 3 }, "{acts:?}");
    assert!(acts.contains(&Act::EndSession(session(2))), "{acts:?}");
    assert!(!acts.contains(&Act::Retire { shard: 0, member: 2 }));
    rig.exited(3, ExitStatus::Code(0), ExitReason::Itself);
    rig.gone(0, 3, None);
    let acts = rig.acts();
    assert_eq!(
        (spawns(&acts), acts.contains(&Act::Placed { shard: 0, place: 0 })),
        (1, true)
    );
}

#[test]
fn a_silent_session_ends_with_its_child() {
    let mut rig = sessions(PoolSettings::default());
    rig.news(0, 0, wanted(1));
    rig.acts();
    let acts = rig.pass(Duration::from_secs(30 * 60));
    assert!(acts.contains(&Act::Retire { shard: 0, member: 1 }), "{acts:?}");
    assert!(acts.contains(&Act::EndSession(session(1))), "{acts:?}");
}

#[test]
fn lists_of_a_clients_own_child_are_nobody_elses() {
    let mut rig = sessions(PoolSettings::default());
    rig.news(0, 0, wanted(1));
    rig.acts();
    rig.news(0, 0, changed());
    rig.news(0, 0, changed());
    let acts = rig.pass(Duration::from_secs(1));
    let rereads = |acts: &[Act]| count(acts, |act| matches!(act, Act::Reread { .. }));
    assert_eq!(
        (rereads(&acts), acts.contains(&reread(0, 1))),
        (1, true),
        "{acts:?}"
    );
    // As they were: nobody is told anything.
    rig.news(0, 0, listed(1, 1));
    assert!(rig.acts().is_empty());
    rig.news(0, 0, listed(1, 2));
    assert_eq!(rig.acts(), [Act::Publish(1, 1)], "what all have is as it was");
    let published = |rig: &Rig| rig.outsiders.0.borrow().own.clone();
    let client = ClientKey::Session(session(1));
    assert_eq!(published(&rig), HashMap::from([(client, 2)]));
    // It goes with its child.
    rig.news(0, 0, ChildNewsEvent::Disowned(MemberKey(1)));
    let acts = rig.acts();
    assert!(acts.contains(&Act::Publish(1, 1)), "{acts:?}");
    assert!(published(&rig).is_empty());
}

#[test]
fn a_child_whose_lists_change_before_somebody_gets_it_is_asked_then() {
    let mut rig = sessions(PoolSettings::default());
    rig.news(0, 0, changed());
    rig.news(0, 0, wanted(1));
    let acts = rig.acts();
    assert!(acts.contains(&reread(0, 1)), "{acts:?}");
    rig.news(0, 0, listed(1, 3));
    rig.acts();
    let own = rig.outsiders.0.borrow().own.clone();
    assert_eq!(own.values().collect::<Vec<_>>(), [&3]);
}

#[test]
fn a_client_of_another_profile_has_a_child_greeted_for_it() {
    let pool = PoolSettings {
        min_idle: 2,
        ..PoolSettings::default()
    };
    let mut rig = sessions(pool);
    let client = Client {
        key: ClientKey::Everybody,
        profile: ClientProfile {
            capabilities: ClientCapabilities::ROOTS,
            ..ClientProfile::NOBODY
        },
        has_values: false,
    };
    rig.news(0, 0, wants(client));
    let acts = rig.acts();
    let greeted = Act::Assign {
        shard: 1,
        member: 2,
        is_greeted: true,
    };
    assert!(acts.contains(&greeted), "{acts:?}");
    assert!(spawns(&acts) >= 1);
}
