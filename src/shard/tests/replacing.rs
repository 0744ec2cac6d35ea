//! What is served changes while calls run.

use std::sync::Arc;

use super::client::{Client, Era, call};
use super::rig::{Rig, Sizes};
use crate::mcp::Announcement;
use crate::registry::{CallContext, NoArguments, Tool};
use crate::shard::{Common, Service};
use crate::transport::http::admission::AdmissionPolicy;
use crate::units::ViewId;

#[test]
fn calls_end_as_they_began_and_new_ones_find_what_is_there_now() {
    let mut rig = Rig::new(
        1,
        Sizes {
            shards: 2,
            ..Sizes::default()
        },
    );
    let mut clients: Vec<Client> = (0..2).map(|shard| Client::new(rig.connect_to(shard))).collect();
    for client in &mut clients {
        client.request(call(Era::Legacy, "hold", 1, "old"));
    }
    rig.run();
    let before = Arc::clone(&rig.shard.service.main().protocol);
    let mut registry = before.registry().edit();
    assert!(registry.remove_tool("hold"));
    // In the place of one that is gone: indices of before mean other tools now.
    let fresh = Tool::new("fresh").run(|_: CallContext, _: NoArguments| async { Ok("new") });
    registry.add(fresh).unwrap();
    let after = Arc::new(before.with_registry(registry.build()));
    assert_eq!(after.changes_since(&before), [Announcement::ToolsChanged]);
    assert!(before.changes_since(&before).is_empty());
    let service = rig.shard.service.main().with_protocol(after);
    let served = rig.shard.service.served();
    served.replace(ViewId::MAIN, Arc::new(service));
    for client in &mut clients {
        client.request(call(Era::Legacy, "fresh", 4, "new"));
        client.request(call(Era::Legacy, "hold", 7, "gone"));
    }
    rig.run();
    rig.release("old");
    rig.run();
    for client in &mut clients {
        assert_eq!(client.heard_results(), ["old", "new", "-32602"]);
    }
    // Counted under the names they were called by; what came later shares a row.
    let counted = |name| {
        let row = crate::metrics::Operation::Tool(rig.row(name));
        rig.metrics.durations().count(row, crate::metrics::Outcome::Ok)
    };
    assert_eq!((counted("hold"), counted("_OTHER")), (1, 1));
    rig.leave(&clients);
}

#[test]
fn a_head_that_was_admitted_before_is_judged_anew() {
    let mut rig = Rig::new(1, Sizes::default());
    let client = Client::new(rig.connect());
    let status = |rig: &mut Rig| {
        client.peer.write(&call(Era::Legacy, "echo", 1, "a").bytes);
        rig.run();
        let answer = client.peer.read();
        String::from_utf8_lossy(&answer[9..12]).into_owned()
    };
    // The second is recalled.
    assert_eq!([status(&mut rig), status(&mut rig)], ["200", "200"]);
    let policy = AdmissionPolicy::new("/mcp", ["other.example"], [], 1 << 16).unwrap();
    let before = rig.shard.service.main();
    let common = Common {
        policy,
        ..Common::clone(&before.common)
    };
    let service = Service {
        common: Arc::new(common),
        ..Service::clone(before)
    };
    let served = rig.shard.service.served();
    served.replace(ViewId::MAIN, Arc::new(service));
    // A service is taken up behind the head of a request.
    status(&mut rig);
    assert_eq!(status(&mut rig), "403");
    rig.leave(&[client]);
}
