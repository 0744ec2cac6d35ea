//! A JSON-RPC message on its way to one client or to thousands. It is serialised once, and all their streams share it.
//!
//! Modern clients must find the id of their subscription in every notification, so such a message knows the place of
//! the id, and the id is put there when the message is written.

use std::sync::{Arc, OnceLock};

use super::super::budget::{Budget, Charge};
use crate::jsonrpc::RequestId;
use crate::mcp::{Announced, Announcement, write_announcement};

/// An estimate of what an allocator adds to the two allocations of a message, with the message's place in a queue.
const ALLOCATIONS_BYTES: usize = 64;

/// One whole JSON-RPC message without line breaks. Clones share it.
#[derive(Clone, Debug)]
pub struct Message(Arc<Body>);

#[derive(Debug)]
struct Body {
    json: Box<[u8]>,
    /// The place of a modern subscription's id; `None` if the message is no notification of a subscription.
    announced: Option<Announced>,
    /// The message is counted from the time when it is first queued until its last clone is dropped.
    charge: OnceLock<Charge>,
}

impl Message {
    /// A message for one stream.
    pub fn new(json: Vec<u8>) -> Self {
        Self::with_place(json, None)
    }

    /// A message for many streams.
    pub fn announcement(announcement: &Announcement) -> Self {
        let mut json = Vec::new();
        let announced = write_announcement(announcement, &mut json);
        Self::with_place(json, Some(announced))
    }

    fn with_place(json: Vec<u8>, announced: Option<Announced>) -> Self {
        Self(Arc::new(Body {
            json: json.into_boxed_slice(),
            announced,
            charge: OnceLock::new(),
        }))
    }

    /// The message without any subscription's id.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.json
    }

    /// Appends the message, with the subscription's id in its place if there is one. It allocates only what `out`
    /// lacks.
    pub fn write(&self, subscription: Option<&RequestId>, out: &mut Vec<u8>) {
        match self.0.announced {
            Some(announced) => announced.write(self.as_bytes(), subscription, out),
            None => out.extend_from_slice(self.as_bytes()),
        }
    }

    /// The bytes that it takes in memory; a short message is mostly overhead.
    pub(super) fn weight_bytes(&self) -> usize {
        size_of::<Body>() + ALLOCATIONS_BYTES + self.as_bytes().len()
    }

    pub(super) fn charge_to(&self, budget: &Arc<Budget>) {
        self.0.charge.get_or_init(|| budget.charge(self.weight_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::Id;
    use serde_json::json;

    #[test]
    fn only_announcements_name_subscriptions() {
        let written = |message: &Message, id: Option<Id<'_>>| {
            let mut out = Vec::new();
            message.write(id.map(RequestId::from).as_ref(), &mut out);
            serde_json::from_slice::<serde_json::Value>(&out).unwrap()
        };
        let update = Message::announcement(&Announcement::ResourceUpdated("x:\"".into()));
        let params = json!({"uri": "x:\""});
        assert_eq!(written(&update, None)["params"], params);
        let named = json!({"uri": "x:\"", "_meta": {"io.modelcontextprotocol/subscriptionId": "a\""}});
        assert_eq!(written(&update, Some(Id::Text("a\"")))["params"], named);
        let answer = Message::new(b"{\"id\":1}".to_vec());
        assert_eq!(written(&answer, Some(Id::Signed(7))), json!({"id": 1}));
    }

    #[test]
    fn is_counted_once_however_many_queue_it() {
        let budget = Budget::new(1000);
        let message = Message::new(vec![b' '; 100]);
        message.charge_to(&budget);
        let used = budget.used_bytes();
        assert!(used > 100, "{used}");
        let clone = message.clone();
        clone.charge_to(&budget);
        drop(message);
        assert_eq!(budget.used_bytes(), used);
        drop(clone);
        assert_eq!(budget.used_bytes(), 0);
    }
}
