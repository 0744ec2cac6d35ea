//! Children that have had no calls for long.

use super::*;

#[test]
fn calls_that_one_child_can_take_leave_the_others_idle_which_is_told_once() {
    let mut rig = Rig::new(14, 2);
    rig.idle_timeout = Some(Duration::from_secs(20));
    (1..=2).for_each(|number| rig.start(number));
    let resting = |rig: &mut Rig| {
        let mut told = rig.others();
        told.retain(|word| word.ends_with("is resting"));
        told
    };
    for caller in 0..3 {
        rig.later(9_000);
        rig.call(caller).unwrap();
        rig.passes(2);
        rig.answer_all();
        rig.passes(4);
    }
    assert_eq!(resting(&mut rig), ["2 is resting"]);
    rig.later(19_999);
    assert!(resting(&mut rig).is_empty());
    rig.later(1);
    assert_eq!(resting(&mut rig), ["1 is resting"]);
    rig.later(1_000);
    assert!(resting(&mut rig).is_empty());
    // One that has been busy can rest again; a call in flight keeps it from that.
    rig.call(3).unwrap();
    rig.passes(2);
    rig.later(25_000);
    assert!(resting(&mut rig).is_empty());
    rig.answer_all();
    rig.passes(4);
    rig.later(20_000);
    assert_eq!(resting(&mut rig), ["1 is resting"]);
}
