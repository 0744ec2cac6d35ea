//! Resources that clients listen to, and the children that are subscribed to them.

use super::*;
use crate::mcp::ChildOwner;

#[test]
fn a_resource_that_somebody_listens_to_is_subscribed_to_at_one_child_at_a_time() {
    let mut rig = Rig::one(1);
    rig.acts();
    rig.listened(None);
    assert!(subscriptions(&rig.acts()).is_empty(), "nobody is ready");
    rig.ready(0, 1, 1);
    assert_eq!(subscriptions(&rig.acts()), [(1, true)]);
    // Another endpoint.
    rig.listened(None);
    rig.unlistened(None);
    assert!(subscriptions(&rig.acts()).is_empty());
    rig.dies(0, 1);
    let acts = rig.pass(Duration::from_secs(2));
    assert_eq!(spawns(&acts), 1);
    rig.ready(0, 2, 1);
    assert_eq!(subscriptions(&rig.acts()), [(2, true)]);
    rig.unlistened(None);
    assert_eq!(subscriptions(&rig.acts()), [(2, false)]);
}

impl Rig {
    /// Somebody listens to a resource: of everybody's children, or of this client's.
    fn listened(&mut self, client: Option<Client>) {
        let owner = client.map(|client| ChildOwner { client, values: None });
        let listened = Mail::Listened {
            server: ServerIndex(0),
            uri: "a".to_owned(),
            owner: owner.map(Box::new),
        };
        self.supervising.handle(listened, self.now);
    }

    fn unlistened(&mut self, client: Option<Client>) {
        let unlistened = Mail::Unlistened {
            server: ServerIndex(0),
            uri: "a".to_owned(),
            client: client.map(|client| client.key),
        };
        self.supervising.handle(unlistened, self.now);
    }
}

/// Which child was asked, and whether to tell or to tell no longer.
fn subscriptions(acts: &[Act]) -> Vec<(u64, bool)> {
    let subscribes = acts.iter().filter_map(|act| match act {
        Act::Subscribe {
            member, is_wanted, ..
        } => Some((*member, *is_wanted)),
        _ => None,
    });
    subscribes.collect()
}

fn client(number: u8) -> Client {
    Client {
        key: ClientKey::Session(SessionToken([number; 16])),
        profile: ClientProfile::NOBODY,
        has_values: false,
    }
}

/// Children that belong to clients, whose next one is started if one is lost. The first is ready.
fn owned(max: u32) -> Rig {
    let pool = PoolSettings {
        on_loss: LossPolicy::Restart,
        max: Some(max),
        ..PoolSettings::default()
    };
    let mut rig = Rig::new(1, 1, &pool);
    rig.acts();
    rig.ready(0, 1, 1);
    rig.acts();
    rig
}

#[test]
fn a_client_that_listens_gets_a_child_which_is_asked_and_so_is_its_successor() {
    let mut rig = owned(64);
    rig.listened(Some(client(1)));
    assert_eq!(
        subscriptions(&rig.acts()),
        [(1, true)],
        "the warm one is given to it"
    );
    rig.listened(Some(client(2)));
    assert!(subscriptions(&rig.acts()).is_empty(), "its child is not ready");
    rig.ready(0, 2, 1);
    assert_eq!(subscriptions(&rig.acts()), [(2, true)]);
    // Nobody calls, and the child is lost: the next one is asked all the same.
    rig.ready(0, 3, 1);
    rig.dies(0, 1);
    assert_eq!(subscriptions(&rig.acts()), [(3, true)]);
    rig.unlistened(Some(client(1)));
    assert_eq!(subscriptions(&rig.acts()), [(3, false)]);
    rig.dies(0, 3);
    rig.ready(0, 4, 1);
    assert!(subscriptions(&rig.pass(Duration::from_secs(5))).is_empty());
}

#[test]
fn a_client_that_listens_keeps_its_child_though_it_makes_no_calls() {
    let mut rig = owned(64);
    rig.listened(Some(client(1)));
    rig.acts();
    let acts = rig.pass(Duration::from_secs(2 * 60 * 60));
    assert!(!acts.contains(&Act::Retire { shard: 0, member: 1 }), "{acts:?}");
    rig.unlistened(Some(client(1)));
    let acts = rig.pass(Duration::from_secs(1));
    assert!(acts.contains(&Act::Retire { shard: 0, member: 1 }), "{acts:?}");
}

#[test]
fn a_client_whose_place_another_one_gets_listens_again_when_it_calls() {
    let mut rig = owned(1);
    rig.listened(Some(client(1)));
    rig.acts();
    rig.pass(Duration::from_secs(61));
    let wanted = |client| ChildNewsEvent::Wanted { client, values: None };
    rig.news(0, 0, wanted(client(2)));
    let acts = rig.acts();
    assert!(acts.contains(&Act::Retire { shard: 0, member: 1 }), "{acts:?}");
    rig.exited(1, ExitStatus::Code(0), ExitReason::Itself);
    rig.gone(0, 1, None);
    assert_eq!(spawns(&rig.acts()), 1);
    rig.ready(0, 2, 1);
    let acts = rig.pass(Duration::from_secs(300));
    assert!(subscriptions(&acts).is_empty(), "{acts:?}");
    assert_eq!(spawns(&acts), 0, "it must not take the place back");
    rig.news(0, 0, wanted(client(1)));
    rig.acts();
    rig.exited(2, ExitStatus::Code(0), ExitReason::Itself);
    rig.gone(0, 2, None);
    rig.acts();
    rig.ready(0, 3, 1);
    assert_eq!(subscriptions(&rig.acts()), [(3, true)]);
}

#[test]
fn a_session_that_is_over_gets_no_child_for_what_it_listened_to() {
    let mut rig = owned(64);
    rig.listened(Some(client(1)));
    rig.acts();
    let ended = SessionToken([1; 16]);
    rig.outsiders.0.borrow_mut().over.push(ended);
    rig.supervising.handle(Mail::SessionEnded(ended), rig.now);
    let acts = rig.acts();
    assert!(acts.contains(&Act::Retire { shard: 0, member: 1 }), "{acts:?}");
    rig.dies(0, 1);
    rig.ready(0, 2, 1);
    rig.listened(Some(client(1)));
    assert!(subscriptions(&rig.pass(Duration::from_secs(5))).is_empty());
}
