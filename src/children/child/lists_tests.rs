//! Lists that are read once more.

use super::*;

#[test]
fn lists_are_read_once_more_beside_calls_and_again_if_they_change_meanwhile() {
    let mut rig = Rig::ready(limits_by_default());
    let id = rig.call("a").wire_id();
    assert!(rig.child.reread_lists(rig.now));
    assert!(rig.child.reread_lists(rig.now), "it is being asked");
    assert!(
        rig.read()
            .ends_with("{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\",\"params\":{}}\n")
    );
    rig.say(&format!("{{\"id\":{id},\"result\":{{}}}}\n"));
    assert_eq!(rig.told().len(), 1, "the call is answered");
    rig.say("{\"id\":2,\"result\":{\"tools\":[{\"name\":\"x\"}],\"nextCursor\":\"c\"}}\n");
    assert!(rig.read().contains("\"id\":3"));
    rig.say("{\"id\":3,\"result\":{\"tools\":[{\"name\":\"y\"}]}}\n");
    assert_eq!(rig.told(), ["2 tools"]);
    assert!(rig.read().contains("\"id\":4"), "they had changed");
    // One that does not answer is asked no more, and is pinged as before.
    rig.pass(31);
    rig.pass(31);
    assert!(rig.read().contains("\"method\":\"ping\""));
    rig.say("{\"id\":4,\"result\":{\"tools\":[]}}\n");
    assert!(rig.told().is_empty());
}

#[test]
fn a_child_that_does_not_serve_is_not_asked_for_its_lists() {
    let mut rig = Rig::new(limits_by_default());
    assert!(!rig.child.reread_lists(rig.now));
    let mut rig = Rig::ready(limits_by_default());
    rig.child.retire();
    assert!(!rig.child.reread_lists(rig.now));
}
