//! Requests for a stream to listen on: a legacy session's GET, and `subscriptions/listen`.
//!
//! Both are control: they take no handler, however long they last.

use std::time::Duration;

use crate::mcp::{Listen, NoStream, Opening, OverloadReason, RequestContext, Revision};
use crate::metrics::{self, RequestClass};
use crate::ring::ConnectionKey;
use crate::session::live::{Message, StreamKind, StreamRefused};
use crate::transport::http::HEAD_RESERVE;

use crate::shard::streams::Role;
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Opens a session's stream, or goes on with one that broke.
    pub(in crate::shard) fn open_get_stream(
        &mut self,
        key: ConnectionKey,
        request_context: &RequestContext<'_>,
        mut out: Vec<u8>,
    ) {
        let service = self.view_of(key);
        let request = match service.protocol.get(request_context, &*service.state, &mut out) {
            Opening::Stream(request) => request,
            Opening::Refused(reply) => {
                self.record_control(key, &reply, &out[HEAD_RESERVE..], Duration::ZERO);
                return self.reply(key, out, None, &reply);
            }
        };
        let live = service.store.live();
        let opened = live.open_get_stream(&request.session, request.last_event_id);
        match opened {
            Ok(attached) => {
                let client = service
                    .protocol
                    .client_of_request(request_context, &*service.state);
                if let Some(client) = client {
                    live.listen_as(&attached.stream, client);
                }
                self.writer.put_buffer(out);
                self.log().opened(key, "GET", 200, None);
                let revision = request.session.session.revision;
                let role = match attached.stream.id().kind {
                    StreamKind::Call => Role::Resumed,
                    StreamKind::Get | StreamKind::Listen => Role::Session,
                };
                self.begin_stream(key, attached.stream, role, revision, attached.after);
            }
            Err(refused) => {
                let protocol = &service.protocol;
                let reply = match refused {
                    StreamRefused::Unknown => protocol.refuse_stream(NoStream::Forgotten, &mut out),
                    StreamRefused::Taken => protocol.refuse_stream(NoStream::Taken, &mut out),
                    StreamRefused::Full => {
                        let overload = self.overload(OverloadReason::Memory);
                        protocol.refuse(None, &overload, &mut out)
                    }
                };
                self.record_control(key, &reply, &out[HEAD_RESERVE..], Duration::ZERO);
                self.reply(key, out, None, &reply);
            }
        }
    }

    /// Begins a subscription with its acknowledgement, which is in `out`.
    pub(in crate::shard) fn open_subscription(
        &mut self,
        key: ConnectionKey,
        listen: Listen,
        mut out: Vec<u8>,
    ) {
        let service = self.view_of(key);
        let Listen {
            id,
            interest,
            owner,
            client,
            labels,
        } = listen;
        let opened = match self.refusal_by_channel(key) {
            Some(reason) => Err(reason),
            None => {
                let opened = service.store.live().open_listen(id.clone(), &interest);
                opened.map_err(|_| OverloadReason::Memory)
            }
        };
        match opened {
            Ok(stream) => {
                self.metrics
                    .on_request(metrics::Era::Modern, RequestClass::Control);
                let label = metrics::Operation::Method(labels.method);
                self.metrics.on_operation(label, labels.outcome, Duration::ZERO);
                self.log().opened(key, labels.method.as_str(), 200, Some(&id));
                service.store.tasks().listen(&owner, &interest.tasks, &stream);
                if let Some(client) = client {
                    service.store.live().listen_as(&stream, client);
                }
                stream.push(Message::new(out.split_off(HEAD_RESERVE)));
                self.writer.put_buffer(out);
                self.begin_stream(key, stream, Role::Subscription(id), Revision::V2026_07_28, None);
            }
            Err(reason) => {
                out.truncate(HEAD_RESERVE);
                let overload = self.overload(reason);
                let reply = service.protocol.refuse(Some(id.as_id()), &overload, &mut out);
                self.record_control(key, &reply, &out[HEAD_RESERVE..], Duration::ZERO);
                self.reply(key, out, None, &reply);
            }
        }
    }
}
