//! A JSON-RPC message on its way to one client or to thousands: serialised once, shared by all their streams.
//!
//! Modern subscriptions must find their own id in every notification, so such a message knows the place where
//! the id belongs, and it is put there when the message is written.

use std::sync::{Arc, OnceLock};

use super::budget::{Budget, Charge};
use crate::jsonrpc::RequestId;

/// One whole JSON-RPC message without line breaks. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Message(Arc<Body>);

#[derive(Debug)]
struct Body {
    json: Box<[u8]>,
    splice: Option<Splice>,
    /// Counted when it is first queued, until the last queue has let go of it.
    charge: OnceLock<Charge>,
}

/// Where and how a subscription's id goes into a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Splice {
    /// So many bytes of the message stand before it.
    pub at: usize,
    /// What comes before the id.
    pub before: &'static [u8],
    /// What comes after it.
    pub after: &'static [u8],
}

impl Message {
    /// A message for one stream.
    pub fn new(json: Vec<u8>) -> Self {
        Self::with_splice(json, None)
    }

    /// A message for many streams; `splice` says where a subscription's id goes.
    pub fn for_subscribers(json: Vec<u8>, splice: Splice) -> Self {
        Self::with_splice(json, Some(splice))
    }

    fn with_splice(json: Vec<u8>, splice: Option<Splice>) -> Self {
        Self(Arc::new(Body {
            json: json.into_boxed_slice(),
            splice,
            charge: OnceLock::new(),
        }))
    }

    /// The message without any subscription's id.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.json
    }

    /// Appends the message, with the subscription's id in its place if there is one. Allocates only what `out`
    /// lacks.
    pub fn write(&self, subscription: Option<&RequestId>, out: &mut Vec<u8>) {
        let json = self.as_bytes();
        let spliced = subscription.zip(self.0.splice.as_ref());
        match spliced.and_then(|(id, splice)| Some((id, splice, json.split_at_checked(splice.at)?))) {
            None => out.extend_from_slice(json),
            Some((id, splice, (head, tail))) => {
                out.extend_from_slice(head);
                out.extend_from_slice(splice.before);
                id.as_id().write(out);
                out.extend_from_slice(splice.after);
                out.extend_from_slice(tail);
            }
        }
    }

    pub(super) fn charge_to(&self, budget: &Arc<Budget>) {
        let bytes = size_of::<Body>() + self.as_bytes().len();
        self.0.charge.get_or_init(|| budget.charge(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::Id;

    #[test]
    fn a_subscriptions_id_goes_into_its_place() {
        let splice = Splice {
            at: 10,
            before: b"\"id\":",
            after: b",",
        };
        let message = Message::for_subscribers(br#"{"params":{"a":1}}"#.to_vec(), Splice { at: 11, ..splice });
        let written = |message: &Message, id: Option<Id<'_>>| {
            let mut out = Vec::new();
            message.write(id.map(RequestId::from).as_ref(), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            written(&message, Some(Id::Text("x\""))),
            r#"{"params":{"id":"x\"","a":1}}"#
        );
        assert_eq!(
            written(&message, Some(Id::Signed(-7))),
            r#"{"params":{"id":-7,"a":1}}"#
        );
        assert_eq!(written(&message, None), r#"{"params":{"a":1}}"#);
        assert_eq!(written(&Message::new(b"{}".to_vec()), Some(Id::Signed(1))), "{}");
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
