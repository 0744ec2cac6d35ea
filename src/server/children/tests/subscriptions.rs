//! Resources that clients listen to, and the children that are subscribed to them.

use super::*;

#[test]
fn a_resource_that_somebody_listens_to_is_subscribed_to_at_one_child_at_a_time() {
    let mut rig = Rig::one(1);
    rig.acts();
    let subscriptions = |acts: Vec<Act>| -> Vec<(u64, bool)> {
        let subscribes = acts.into_iter().filter_map(|act| match act {
            Act::Subscribe {
                member, is_wanted, ..
            } => Some((member, is_wanted)),
            _ => None,
        });
        subscribes.collect()
    };
    let listened = || Mail::Listened {
        server: ServerIndex(0),
        uri: "a".to_owned(),
    };
    let unlistened = || Mail::Unlistened {
        server: ServerIndex(0),
        uri: "a".to_owned(),
    };
    rig.supervising.handle(listened(), rig.now);
    assert!(subscriptions(rig.acts()).is_empty(), "nobody is ready");
    rig.ready(0, 1, 1);
    assert_eq!(subscriptions(rig.acts()), [(1, true)]);
    // Another endpoint.
    rig.supervising.handle(listened(), rig.now);
    rig.supervising.handle(unlistened(), rig.now);
    assert!(subscriptions(rig.acts()).is_empty());
    rig.dies(0, 1);
    let acts = rig.pass(Duration::from_secs(2));
    assert_eq!(spawns(&acts), 1);
    rig.ready(0, 2, 1);
    assert_eq!(subscriptions(rig.acts()), [(2, true)]);
    rig.supervising.handle(unlistened(), rig.now);
    assert_eq!(subscriptions(rig.acts()), [(2, false)]);
}
