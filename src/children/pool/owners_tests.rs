use super::*;
use crate::mcp::{ClientCapabilities, Revision, SessionToken};

fn profile(bits: u16) -> ClientProfile {
    ClientProfile {
        revision: Revision::V2025_11_25,
        capabilities: ClientCapabilities::from_bits(bits),
    }
}

fn session(number: u8) -> ClientKey {
    ClientKey::Session(SessionToken([number; 16]))
}

fn client(number: u8, bits: u16) -> Client {
    Client {
        key: session(number),
        profile: profile(bits),
        has_values: false,
    }
}

/// The owners, and the numbers of their children.
struct Rig {
    owners: Owners,
    last: u64,
    now: Instant,
}

impl Rig {
    fn new(min_idle: u32) -> Rig {
        Rig {
            owners: Owners::new(min_idle, Some(Duration::from_secs(1800))),
            last: 0,
            now: Instant::now(),
        }
    }

    /// Starts what is missing, and gives it to whom it is for.
    fn start(&mut self) -> (MemberKey, StartPlan, Option<Given>) {
        assert!(self.owners.missing() > 0);
        self.last += 1;
        let (member, plan) = (MemberKey(self.last), self.owners.plan());
        let given = self.owners.begin(member, 1, &plan, self.now);
        (member, plan, given)
    }

    fn start_ready(&mut self) -> (MemberKey, StartPlan, Option<Given>) {
        let started = self.start();
        self.owners.on_ready(started.0);
        started
    }

    fn superfluous(&self, leaving: usize, is_full: bool) -> Option<MemberKey> {
        self.owners.superfluous(leaving, is_full, self.now)
    }
}

#[test]
fn a_client_gets_the_child_that_is_ready_for_it_and_keeps_it() {
    let mut rig = Rig::new(1);
    let (first, plan, given) = rig.start_ready();
    assert_eq!((plan.profile, plan.owner), (Some(ClientProfile::NOBODY), None));
    assert!(given.is_none() && rig.owners.missing() == 0);
    let nobody = Client {
        key: session(1),
        profile: ClientProfile::NOBODY,
        has_values: false,
    };
    assert_eq!(rig.owners.want(nobody, None, 0), None);
    assert_eq!(
        rig.owners.want(nobody, None, 2),
        None,
        "another of its calls, elsewhere"
    );
    let given = rig.owners.next_given(rig.now).unwrap();
    let wanted = Given {
        client: session(1),
        member: first,
        shard: 1,
        greeting: None,
        waiting: vec![0, 2],
    };
    assert_eq!(given, wanted);
    assert_eq!(rig.owners.next_given(rig.now), None);
    assert_eq!(rig.owners.want(nobody, None, 3), Some(1));
    assert!(rig.owners.is_owned(first));
    assert_eq!(rig.owners.missing(), 1, "another one is to be ready");
}

#[test]
fn a_client_of_another_profile_gets_one_that_is_started_for_it() {
    let mut rig = Rig::new(1);
    let (first, ..) = rig.start_ready();
    rig.owners.want(client(1, 1), None, 0);
    assert_eq!(rig.owners.next_given(rig.now), None);
    assert_eq!(
        rig.owners.missing(),
        2,
        "its own, and one that is ready for the next like it"
    );
    let (second, plan, given) = rig.start();
    let for_it = StartPlan {
        profile: Some(profile(1)),
        owner: Some(session(1)),
        values: None,
    };
    assert_eq!(plan, for_it);
    assert_eq!(
        given.map(|given| (given.member, given.waiting)),
        Some((second, vec![0]))
    );
    let (third, plan, given) = rig.start_ready();
    assert_eq!((plan.profile, plan.owner, given), (Some(profile(1)), None, None));
    assert_eq!(rig.owners.missing(), 0);
    assert_eq!(
        rig.superfluous(0, false),
        Some(first),
        "nobody like that has come"
    );
    rig.owners.remove(first);
    assert_eq!(rig.superfluous(0, false), None);
    rig.owners.want(client(2, 1), None, 4);
    assert_eq!(rig.owners.next_given(rig.now).unwrap().member, third);
}

#[test]
fn one_of_several_idle_children_is_for_strangers() {
    let mut rig = Rig::new(2);
    rig.start_ready();
    let (spare, plan, _) = rig.start();
    assert_eq!((plan.profile, plan.owner), (None, None));
    assert_eq!(rig.owners.missing(), 0);
    rig.owners.want(client(1, 7), None, 0);
    let given = rig.owners.next_given(rig.now).unwrap();
    assert_eq!((given.member, given.greeting), (spare, Some(profile(7))));
}

#[test]
fn a_child_that_comes_is_better_than_one_that_is_not_greeted() {
    let mut rig = Rig::new(2);
    let (coming, ..) = rig.start();
    rig.start();
    let nobody = |number| Client {
        key: session(number),
        profile: ClientProfile::NOBODY,
        has_values: false,
    };
    rig.owners.want(nobody(1), None, 0);
    rig.owners.want(nobody(2), None, 0);
    assert_eq!(rig.owners.next_given(rig.now).unwrap().member, coming);
    let second = rig.owners.next_given(rig.now).unwrap();
    assert_eq!(second.greeting, Some(ClientProfile::NOBODY));
}

#[test]
fn who_wants_none_any_more_gets_none() {
    let mut rig = Rig::new(0);
    rig.owners.want(client(1, 0), None, 0);
    rig.owners.want(client(1, 0), None, 1);
    rig.owners.want(client(2, 0), None, 0);
    rig.owners.want_no_more(session(1), 0);
    assert_eq!(rig.owners.missing(), 2);
    rig.owners.want_no_more(session(1), 1);
    assert_eq!(rig.owners.missing(), 1);
    assert_eq!(rig.owners.leave(session(2)), []);
    assert_eq!(rig.owners.missing(), 0);
}

#[test]
fn a_client_that_leaves_or_loses_its_child_is_known_no_more() {
    let mut rig = Rig::new(0);
    rig.owners.want(client(1, 0), None, 0);
    let (member, _, _) = rig.start_ready();
    assert_eq!(rig.owners.clients(), 1);
    assert_eq!(rig.owners.leave(session(1)), [member]);
    assert_eq!(rig.owners.remove(member), Some(session(1)));
    assert_eq!(rig.owners.remove(member), None);
    assert_eq!(rig.owners.clients(), 0);
    assert_eq!(rig.owners.want(client(1, 0), None, 0), None, "it begins anew");
}

#[test]
fn the_longest_silent_client_makes_room_and_only_one_for_each_that_waits() {
    let mut rig = Rig::new(0);
    for number in 1..=3 {
        rig.owners.want(client(number, 0), None, 0);
        rig.start_ready();
    }
    rig.owners.want(client(9, 0), None, 0);
    assert_eq!(rig.superfluous(0, true), None, "all were here a moment ago");
    rig.now += Duration::from_secs(60);
    rig.owners.on_active(MemberKey(1), rig.now);
    let silent = rig.superfluous(0, true).unwrap();
    assert_eq!(silent, MemberKey(2));
    assert_eq!(rig.superfluous(0, false), None, "there is room");
    rig.owners.remove(silent);
    assert_eq!(rig.superfluous(1, true), None, "one is about to leave");
}

#[test]
fn idle_children_make_room_before_clients_do() {
    let mut rig = Rig::new(1);
    let (idle, ..) = rig.start_ready();
    rig.owners.want(client(1, 3), None, 0);
    rig.start_ready();
    rig.owners.want(client(2, 3), None, 0);
    rig.now += Duration::from_secs(600);
    assert_eq!(rig.superfluous(0, true), Some(idle));
}

#[test]
fn a_client_that_is_silent_for_very_long_loses_its_child() {
    let mut rig = Rig::new(0);
    rig.owners.want(client(1, 0), None, 0);
    let (member, ..) = rig.start_ready();
    let single = ClientKey::Call { shard: 0, number: 1 };
    let call = Client {
        key: single,
        profile: profile(0),
        has_values: false,
    };
    rig.owners.want(call, None, 0);
    rig.start_ready();
    rig.now += Duration::from_secs(1799);
    assert_eq!(rig.superfluous(0, false), None);
    rig.now += Duration::from_secs(1);
    assert_eq!(rig.superfluous(0, false), Some(member));
    rig.owners.remove(member);
    assert_eq!(
        rig.superfluous(0, false),
        None,
        "a call takes as long as it takes"
    );
}

#[test]
fn a_client_with_values_of_its_own_gets_a_child_that_is_started_with_them() {
    let mut rig = Rig::new(1);
    let (idle, ..) = rig.start_ready();
    let values = ClientValues::new(vec![("TOKEN".to_owned(), b"secret".to_vec())]);
    let key = ClientKey::Values {
        session: Some(SessionToken([1; 16])),
        digest: [7; 16],
    };
    let with_values = Client {
        key,
        profile: ClientProfile::NOBODY,
        has_values: true,
    };
    rig.owners.want(with_values, Some(values.clone()), 0);
    assert_eq!(
        rig.owners.next_given(rig.now),
        None,
        "the idle one was started without"
    );
    let (own, plan, given) = rig.start_ready();
    assert_eq!(
        (plan.values, given.map(|given| given.client)),
        (Some(values), Some(key))
    );
    assert!(!rig.owners.is_owned(idle));
    // It leaves with its session.
    assert_eq!(rig.owners.leave(session(2)), []);
    assert_eq!(rig.owners.leave(session(1)), [own]);
}
