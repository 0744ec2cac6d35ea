//! The era in which children are spoken to.

use super::*;

#[test]
fn a_child_may_die_of_the_question_for_its_era_and_the_next_is_not_asked() {
    let pool = PoolSettings {
        min_idle: 2,
        max: Some(2),
        ..shared()
    };
    let mut rig = Rig::new(1, 1, &pool);
    assert_eq!(rig.acts(), [Act::Spawn(1), adopt(0, 0, 1, FIRST)]);
    rig.dies(0, 1);
    assert_eq!(
        rig.acts(),
        [
            Act::Exited { shard: 0, member: 1 },
            Act::Spawn(2),
            adopt(0, 0, 2, FIRST)
        ],
        "at once, and clients go on waiting"
    );
    let figures = &rig.supervising.status(rig.now).0[0];
    assert_eq!(figures.deaths_total[ChildDeath::Exit.index()], 0);
    rig.ready(0, 2, 1);
    assert_eq!(spawns(&rig.acts()), 1);
    assert_eq!(rig.eras(), [None, Some(Era::Legacy), Some(Era::Legacy)]);
}

#[test]
fn children_that_always_die_are_failures() {
    let mut rig = Rig::one(1);
    rig.acts();
    for member in 1..=6 {
        rig.dies(0, member);
        rig.pass(Duration::from_secs(8));
    }
    let figures = &rig.supervising.status(rig.now).0[0];
    assert_eq!(figures.deaths_total[ChildDeath::Exit.index()], 5);
    assert_eq!(
        rig.eras()[..4],
        [None, Some(Era::Legacy), None, Some(Era::Legacy)]
    );
    assert!(rig.not_ready().unwrap().contains("fail too often"));
}
