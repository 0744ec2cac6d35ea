//! What is done to children besides starting and ending them, and what is told of them.

use super::*;

impl Rig {
    fn runs(&mut self, member: u64) {
        let pid = Pid::from_raw(i32::try_from(member).unwrap());
        let spawned = Mail::Spawned(ChildId::made_up(member), Ok(pid.unwrap()));
        self.supervising.handle(spawned, self.now);
    }

    fn serves(&mut self, member: u64) {
        self.runs(member);
        self.ready(0, member, 1);
    }

    fn programs(&self) -> Vec<String> {
        let played = self.outsiders.0.borrow();
        let program = |spec: &ChildSpec| spec.program.to_str().unwrap().to_owned();
        played.specs.iter().map(program).collect()
    }

    fn is_behind(&mut self, program: &str) {
        let spec = ChildSpec {
            program: program.into(),
            ..ChildSpec::default()
        };
        self.outsiders.0.borrow_mut().behind = Behind::Wrapper(Box::new(spec));
    }
}

#[test]
fn what_a_wrapper_starts_is_started_without_it_from_then_on() {
    let mut rig = Rig::one(1);
    rig.is_behind("node");
    rig.acts();
    // The shard may know first.
    rig.ready(0, 1, 1);
    assert_eq!(rig.outsiders.0.borrow().looks, 0);
    rig.runs(1);
    for member in 1..4 {
        rig.dies(0, member);
        rig.pass(Duration::from_secs(9));
        rig.serves(member + 1);
    }
    assert_eq!(rig.programs()[1..], ["node"; 3]);
    assert_eq!(rig.outsiders.0.borrow().looks, 1);
}

#[test]
fn a_start_without_the_wrapper_that_fails_is_followed_by_one_with_it_at_once() {
    let mut rig = Rig::one(1);
    let named = Some("thing".to_owned());
    rig.is_behind("node");
    rig.acts();
    let mut member = 1;
    for _ in 0..3 {
        rig.serves(member);
        rig.exited(member, ExitStatus::Code(0), ExitReason::Itself);
        rig.gone(0, member, None);
        rig.acts();
        assert_eq!(rig.programs().pop().unwrap(), "node");
        assert!(rig.pass(Duration::from_millis(1)).is_empty());
        rig.dies(0, member + 1);
        assert_eq!(spawns(&rig.acts()), 1);
        assert_eq!(rig.programs().pop(), named);
        member += 2;
    }
    // It is not tried for ever.
    rig.serves(member);
    rig.exited(member, ExitStatus::Code(0), ExitReason::Itself);
    rig.gone(0, member, None);
    rig.acts();
    assert_eq!(rig.programs().pop(), named);
    assert_eq!(rig.outsiders.0.borrow().looks, 3);
    let figures = &rig.supervising.status(rig.now).0[0];
    assert!(!figures.is_quarantined);
    assert_eq!(figures.deaths_total[ChildDeath::Exit.index()], 3);
}

#[test]
fn a_server_that_is_not_to_be_unwrapped_is_not_looked_at() {
    let pool = PoolSettings {
        unwrap: false,
        ..shared()
    };
    let mut rig = Rig::new(1, 1, &pool);
    rig.is_behind("node");
    rig.acts();
    rig.serves(1);
    assert_eq!(rig.outsiders.0.borrow().looks, 0);
}

#[test]
fn a_child_that_always_leaves_with_0_is_no_failure_and_no_loop() {
    let mut rig = Rig::one(1);
    rig.acts();
    let mut starts = 1;
    for member in 1..=8 {
        rig.ready(0, member, 1);
        rig.exited(member, ExitStatus::Code(0), ExitReason::Itself);
        rig.gone(0, member, Some(ChildFailure::OutputEnded));
        let wait = Duration::from_millis(500 << (member - 1)).min(Duration::from_secs(30));
        assert_eq!(spawns(&rig.pass(wait - Duration::from_millis(1))), 0, "{member}");
        starts += spawns(&rig.pass(Duration::from_millis(1)));
    }
    assert_eq!(starts, 9);
    let figures = &rig.supervising.status(rig.now).0[0];
    assert!(!figures.is_quarantined);
    assert_eq!(figures.deaths_total, [0; ChildDeath::COUNT]);
    // After a while of service it is followed at once.
    rig.ready(0, 9, 1);
    rig.pass(Duration::from_secs(10));
    rig.exited(9, ExitStatus::Code(0), ExitReason::Itself);
    rig.gone(0, 9, Some(ChildFailure::OutputEnded));
    assert_eq!(spawns(&rig.acts()), 1);
}

#[test]
fn a_server_without_clients_that_could_come_starts_nobody() {
    let mut rig = Rig::one(1);
    rig.acts();
    rig.ready(0, 1, 1);
    rig.acts();
    rig.news(0, 0, ChildNewsEvent::Deserted);
    rig.exited(1, ExitStatus::Code(0), ExitReason::Itself);
    rig.gone(0, 1, None);
    assert_eq!(spawns(&rig.pass(Duration::from_secs(60))), 0);
}

#[test]
fn what_was_recorded_of_a_child_that_died_is_kept() {
    let mut rig = Rig::one(1);
    rig.acts();
    rig.ready(0, 1, 1);
    rig.dies(0, 1);
    rig.pass(Duration::from_secs(1));
    rig.ready(0, 2, 1);
    rig.exited(2, ExitStatus::Code(0), ExitReason::Terminated);
    rig.gone(0, 2, None);
    let kept = rig.outsiders.0.borrow().kept.clone();
    assert_eq!(kept, [(1, "it exited with status 1: Error: no\\tkey".to_owned())]);
}

#[test]
fn children_that_rest_end_but_for_those_that_are_always_there() {
    let pool = PoolSettings {
        min_idle: 2,
        max: Some(4),
        ..shared()
    };
    let mut rig = Rig::new(1, 1, &pool);
    for member in 1..=2 {
        rig.acts();
        rig.ready(0, member, 1);
    }
    let load = |waiting| ChildNewsEvent::Load {
        waiting,
        in_flight: 0,
        answered: 10,
        busy: Duration::from_secs(10),
        tally: ChildTally::default(),
        settled: Box::default(),
    };
    rig.now += Duration::from_secs(1);
    rig.news(0, 0, load(1_000));
    assert_eq!(spawns(&rig.acts()), 1);
    rig.ready(0, 3, 1);
    rig.news(0, 0, load(0));
    rig.acts();
    for member in 1..=3 {
        let member = MemberKey(member);
        rig.news(0, 0, ChildNewsEvent::Resting { member });
    }
    assert_eq!(rig.acts(), [Act::Retire { shard: 0, member: 1 }]);
    rig.exited(1, ExitStatus::Code(0), ExitReason::Itself);
    rig.gone(0, 1, None);
    assert_eq!(spawns(&rig.pass(Duration::from_secs(60))), 0);
}

#[test]
fn figures_are_those_of_all_shards_and_of_children_that_are_gone() {
    let mut rig = Rig::one(2);
    rig.acts();
    rig.ready(0, 1, 1);
    let mut settled = Settled {
        refused: [0, 3, 0, 0, 0],
        repeated: 1,
        ..Settled::default()
    };
    for millis in [20, 40] {
        settled.with_children.record(Duration::from_millis(millis));
        settled.elsewhere.record(Duration::from_millis(millis / 4));
    }
    let load = |waiting, in_flight, questions_held| ChildNewsEvent::Load {
        waiting,
        in_flight,
        answered: 0,
        busy: Duration::ZERO,
        tally: ChildTally {
            questions_held,
            places_lost_total: 1,
            ..ChildTally::default()
        },
        settled: Box::new(settled.clone()),
    };
    rig.news(0, 0, load(5, 2, 7));
    rig.news(0, 0, load(5, 2, 1));
    rig.news(1, 0, load(1, 4, 1));
    let uses = |millis, resident_bytes| TreeUsage {
        resident_bytes,
        cpu: Duration::from_millis(millis),
        ..TreeUsage::default()
    };
    let process = ChildId::made_up(1);
    rig.supervising
        .handle(Mail::Usage(process, uses(70, 4096)), rig.now);
    let figures = |rig: &Rig| rig.supervising.status(rig.now).0[0].clone();
    let now = figures(&rig);
    assert_eq!((now.waiting, now.in_flight, now.calls_total()), (6, 6, 6));
    assert_eq!(now.refused_total[ChildRefusal::QueueTimeout.index()], 9);
    assert_eq!(now.repeated_total, 3);
    assert_eq!(now.with_children.mean(), Duration::from_millis(30));
    assert_eq!(now.elsewhere.mean(), Duration::from_micros(7_500));
    // What happened is told once, and how things stand again and again.
    assert_eq!((now.tally.questions_held, now.tally.places_lost_total), (2, 2));
    assert_eq!(
        (now.resident_bytes, now.cpu_total),
        (4096, Duration::from_millis(70))
    );
    rig.dies(0, 1);
    let later = figures(&rig);
    assert_eq!(
        (later.resident_bytes, later.cpu_total),
        (0, Duration::from_millis(70))
    );
    rig.supervising.handle(Mail::Usage(process, uses(1, 1)), rig.now);
    rig.pass(Duration::from_secs(20));
    assert!((3..6).contains(&rig.outsiders.0.borrow().usages));
}
