//! Calls of children that speak 2026-07-28: the envelope of requests that have none, and what older clients do not know
//! of what such children say.

use crate::children::{EnvelopeTerms, Message, older_notification, write_as_modern};
use crate::mcp::Era;
use crate::pool::HandlerKey;
use crate::registry::{Asking, ClientCapabilities, ForeignServer, ServerIndex};

use crate::shard::calls::{Call, Forwarding, Rounds, Run};
use crate::shard::service::Service;
use crate::shard::{Shard, ShardRing};

/// What a server has, if it speaks the modern era.
fn modern_server(service: &Service, server: ServerIndex) -> Option<&ForeignServer> {
    let servers = service.protocol.registry().foreign_servers().iter();
    let mut known = servers.filter(|known| known.server == server && known.is_modern);
    known.next().map(|server| &**server)
}

/// Whether a server speaks the modern era.
pub(super) fn speaks_modern(service: &Service, server: ServerIndex) -> bool {
    modern_server(service, server).is_some()
}

/// Whether the client of a call can be asked what a modern child asks by its answer.
fn may_be_asked(call: &Call) -> bool {
    let asking = call.ticket.asking();
    let is_heard = asking == Asking::OnStream || asking == Asking::ByRetry && call.task.is_some();
    is_heard && call.batch.is_none()
}

/// What a modern child says of a legacy client's call as the client is to read it; `None` if that is as the child wrote
/// it.
pub(super) fn for_older(call: &Call, line: &[u8], said: &Message) -> Option<(Vec<u8>, Message)> {
    let Run::Forwarded(Forwarding { server, .. }) = call.run else {
        return None;
    };
    let is_older = call.ticket.revision().era() == Era::Legacy && speaks_modern(&call.service, server);
    is_older.then(|| older_notification(line, said)).flatten()
}

impl<R: ShardRing> Shard<R> {
    /// Keeps a request as it was given to a modern server, if its client may be asked, and it be made again then.
    pub(super) fn keep_for_rounds(&mut self, call: HandlerKey, server: ServerIndex, text: &[u8]) {
        let entry = self.calls.at(call).filter(|call| call.rounds.is_none());
        if let Some(call) = entry.filter(|call| may_be_asked(call) && speaks_modern(&call.service, server)) {
            call.rounds = Some(Box::new(Rounds::new(text)));
        }
    }

    /// The request of a legacy client as a modern server is to have it; `None` if it can stay as it is.
    pub(super) fn as_modern(
        &mut self,
        call: HandlerKey,
        server: ServerIndex,
        text: &[u8],
        message: &Message,
    ) -> Option<(Vec<u8>, Message)> {
        let call = self.calls.at(call)?;
        if call.ticket.revision().era() == Era::Modern || message.has_envelope {
            return None;
        }
        let server = modern_server(&call.service, server)?;
        let Run::Forwarded(forwarding) = call.run else {
            return None;
        };
        let terms = EnvelopeTerms {
            capabilities: if may_be_asked(call) {
                call.ticket.capabilities()
            } else {
                ClientCapabilities::NONE
            },
            log_level: forwarding.log_level.filter(|_| server.features.logging),
        };
        let mut modern = Vec::with_capacity(text.len() + 512);
        write_as_modern(&mut modern, text, message, &terms);
        let message = Message::read_checked(&modern).ok()?;
        Some((modern, message))
    }
}
