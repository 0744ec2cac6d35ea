//! Lists that change.

use super::*;

#[test]
fn lists_that_change_are_read_again_by_the_shard_that_knows_and_published_if_they_differ() {
    let mut rig = Rig::one(2);
    rig.acts();
    rig.ready(0, 1, 1);
    rig.acts();
    for _ in 0..3 {
        rig.news(1, 0, changed());
    }
    assert!(rig.acts().is_empty(), "more may come");
    assert_eq!(rig.pass(Duration::from_millis(100)), [Act::Reread { shard: 1 }]);
    let listed = |tools| {
        let (introduction, lists) = introduced(tools);
        let (introduction, lists) = (Box::new(introduction), Box::new(lists));
        ChildNewsEvent::Listed {
            member: MemberKey(1),
            introduction,
            lists,
        }
    };
    rig.news(1, 0, listed(1));
    assert!(rig.acts().is_empty(), "they are as they were");
    rig.news(1, 0, listed(2));
    assert_eq!(rig.acts(), [Act::Publish(1, 2)]);
    // These children do not say when their lists change.
    let acts = rig.pass(Duration::from_secs(301));
    assert_eq!(
        count(&acts, |act| matches!(act, Act::Reread { .. })),
        1,
        "{acts:?}"
    );
}
