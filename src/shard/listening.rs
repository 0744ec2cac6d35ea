//! Requests for a stream to listen on: a legacy session's GET, and `subscriptions/listen`.
//!
//! Both are control: they take no handler, however long they last.

use std::time::Duration;

use crate::mcp::{HttpFacts, Listen, Opening, OverloadReason};
use crate::ring::ConnectionKey;

use super::streams::Role;
use super::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Opens a session's stream, or goes on with one that broke.
    pub(super) fn open_standing(&mut self, key: ConnectionKey, facts: &HttpFacts<'_>, mut out: Vec<u8>) {
        let service = std::rc::Rc::clone(&self.service);
        let request = match service.protocol.get(facts, &*service.store, &mut out) {
            Opening::Refused(reply) => {
                self.record_control(&reply, Duration::ZERO);
                return self.reply(key, out, None, &reply);
            }
            Opening::Stream(request) => request,
        };
        let last_event = request.last_event_id.as_deref().map(str::as_bytes);
        match service.store.live().open_standing(&request.session, last_event) {
            Ok(attached) => {
                self.spares.put(out);
                self.begin_stream(key, attached.stream, Role::Standing, attached.after);
            }
            Err(refused) => {
                let reply = match refused {
                    _ => service.protocol.refuse_stream(refused.into(), &mut out),
                };
                self.record_control(&reply, Duration::ZERO);
                self.reply(key, out, None, &reply);
            }
        }
    }

    /// Begins a subscription with its acknowledgement, which is in `out`.
    pub(super) fn open_listening(&mut self, key: ConnectionKey, listen: Listen, mut out: Vec<u8>) {
        let service = std::rc::Rc::clone(&self.service);
        let Listen { id, interest } = listen;
        match service.store.live().open_listen(id.clone(), &interest) {
            Ok(stream) => {
                use crate::wire::http1::HEAD_RESERVE;
                stream.push_own(out.split_off(HEAD_RESERVE));
                self.spares.put(out);
                self.begin_stream(key, stream, Role::Listening(id), None);
            }
            Err(_) => {
                out.truncate(crate::wire::http1::HEAD_RESERVE);
                let overload = self.overload(OverloadReason::Memory);
                let reply = service.protocol.refuse(Some(id.as_id()), &overload, &mut out);
                self.record_control(&reply, Duration::ZERO);
                self.reply(key, out, None, &reply);
            }
        }
    }
}
